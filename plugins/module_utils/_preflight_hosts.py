# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Check that each host can be asked and told apart from the others: names, addresses, identities, clocks, ports.

Each check is a function from a `_preflight_view.View` to findings; `_preflight` lists them. Leaves out: what the machine
itself is (`_preflight_machine`) and which cluster it belongs to (`_preflight_cluster`).
"""

from __future__ import annotations

import re

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _pki_plan,
    _ports,
    _settings,
)
from ansible_collections.multimaster.kubernetes.plugins.module_utils._finding import WARNING, Finding
from ansible_collections.multimaster.kubernetes.plugins.module_utils._lock import CLOCK_SECONDS

# File folders of ours: a listener that was started from there is no foreign process.
OUR_BINARIES = "/opt/multimaster/"
# Programs of the distribution that we run ourselves.
OUR_PROCESSES = ("haproxy",)
SUCCESSOR_ADDRESS = "Give the successor another address, or call it by the old name and leave `by` out."
STAYING_ADDRESS = "Give the host that stays another address (multimaster_node_address), or list it only when the removal is done."


def hosts_observed(view):
    """Want every host of the inventory to have been observed.

    Of several that are silent none can be taken out alone, since the others would be found here: they go by one request.
    """
    silent = [name for name in view.inventory.names if not view.observed.get(name)]
    together = [*(host.name for host in view.topology.leaving), *silent]
    gone = "A host that is gone for good is" if len(together) == 1 else "Those that are gone for good are, by one run,"
    for name in silent:
        yield Finding(
            name,
            "host-unreachable",
            f"not observed: {view.reasons[name]}" if view.reasons.get(name) else "the host was not observed",
            "every host of the inventory reachable and observed in this run",
            f"Try: ansible {name} -m ping. {gone} taken out by remove_node.yml -e node={','.join(together)}.",
        )


def hostnames_valid(view):
    """Want hostnames that can be node names; of nodes, those of the API are none, since no node gets a certificate for them."""
    reserved = _pki_plan.api_dns_names(view.settings.cluster_domain)
    for host, observation in view.seen():
        hostname = observation["hostname"]
        if not _settings.SUBDOMAIN.match(hostname.lower()) or hostname.split(".")[0].lower() == "localhost":
            yield Finding(
                host.name,
                "hostname-invalid",
                f"the hostname is {hostname!r}",
                "a DNS name (RFC 1123), since it becomes the node's name",
                f"Set it: hostnamectl set-hostname {_suggest_name(host.name)}",
            )
        elif hostname.lower() in reserved and (host.master or host.worker):
            yield _named_as_the_api(host, hostname, reserved, view.recorded(observation))


def _named_as_the_api(host, hostname, reserved, recorded):
    """Return the finding on a node with a name of the API's; one that is in the cluster by it goes on, and is not renamed."""
    said, wanted = f"the hostname is {hostname!r}, a name of the API itself", f"none of {', '.join(reserved)}"
    if not recorded:
        return Finding(host.name, "hostname-invalid", said, wanted, "Set another: hostnamectl set-hostname NAME.")
    return Finding(
        host.name,
        "hostname-invalid",
        f"{said}, so its kubelet's serving certificate is not renewed; when it ends, logs of its pods and metrics are not served",
        wanted,
        f"Within the year for which that is valid: remove_node.yml -e node={host.name}, set another name (hostnamectl "
        "set-hostname NAME), list it again. Of an only master, make another host a master first.",
        WARNING,
    )


def hostnames_kept(view):
    """Want every host to be called as its node and its etcd member are: a run with another name would rewrite what works.

    A host that is not part of the cluster yet has no name in it, and so one that was made anew.
    """
    for host, observation in view.seen():
        now, was = observation["hostname"].lower(), (observation.get("node_name") or "").lower()
        if was and now != was:
            yield Finding(
                host.name,
                "hostname-changed",
                f"the hostname is {now}, and the host's name in the cluster is {was}",
                was,
                f"hostnamectl set-hostname {was} on this host. Where cloud-init changes it at each boot, set "
                "preserve_hostname: true in /etc/cloud/cloud.cfg.d/. A node cannot be renamed: for another name take it out "
                "(remove_node.yml) and in again.",
            )


def hostnames_once(view):
    """Want every hostname to be one host's: it becomes the node's name and the etcd member's.

    A successor may not have that of the host that leaves, dead or not: until that is out, both would be called by it.
    """
    values = {host.name: host.node_name for host in view.topology.leaving}
    values.update({host.name: host.node_name for host, _observation in view.seen()})
    return _once("duplicate-hostname", "hostname", values, "Give each host its own: hostnamectl set-hostname NAME")


def addresses_once(view):
    """Want every node address to be one host's.

    A successor may not have that of the host that leaves, dead or not: by its peer URL a member is told to leave, so both would.
    """
    staying = {host.name: host.address for host in view.topology.hosts}
    leaving = {host.name: host.address for host in view.topology.leaving if host.address in staying.values()}
    replaced = {host.replaces for host in view.topology.hosts}
    fix = "Is one host listed twice? Else set multimaster_node_address per host."
    fixes = {name: SUCCESSOR_ADDRESS if name in replaced else STAYING_ADDRESS for name in leaving}
    return _once("duplicate-address", "node address", leaving | staying, fix, fixes)


def machine_ids_once(view):
    """Want every machine id to be one host's: the kubelet and VXLAN interfaces derive identities from it."""
    values = {host.name: observation["machine_id"] for host, observation in view.seen()}
    fix = "Cloned machines: rm /etc/machine-id /var/lib/dbus/machine-id; systemd-machine-id-setup, then reboot."
    return _once("duplicate-machine-id", "machine id", values, fix)


def addresses_known(view):
    """Want every host to have a node address that it carries itself; of one that leaves and is dead, that it had.

    By its address its etcd member and its node are known, where it cannot be asked for its hostname.
    """
    for host in (one for one in view.topology.leaving if not view.observed.get(one.name) and not one.address):
        yield Finding(
            host.name,
            "node-address",
            "it cannot be asked, and its node address is known neither from the inventory nor from the others",
            "the IPv4 address that it had",
            "Set multimaster_node_address for the host (kubectl get nodes -o wide shows it), then run the same command again.",
        )
    for host in view.topology.hosts:
        observation = view.observed.get(host.name)
        if not host.address:
            yield Finding(
                host.name,
                "node-address",
                "no node address is known",
                "an IPv4 address",
                "Set multimaster_node_address for the host.",
            )
        elif observation and not host.interface:
            own = ", ".join(sorted(item["address"] for item in observation["addresses"])) or "none"
            yield Finding(
                host.name,
                "node-address",
                f"{host.address} is on no interface of the host (it has {own})",
                "one of the host's own addresses",
                "Correct multimaster_node_address (or ansible_host) of the host.",
            )


def clocks_agree(view):
    """Want the hosts' clocks within 2 s of each other and of the controller's.

    A host's clock was read somewhere within the window of the controller's clock; only what lies outside is skew, and between two
    hosts what the windows of both leave. Of several pairs the farthest apart is told.
    """
    ahead = {}  # {host: by how much at least and at most its clock is ahead of the controller's}
    for host, observation in view.seen():
        window = observation.get("clock_window")
        if not window:
            continue
        least, most = observation["clock"] - window[1], observation["clock"] - window[0]
        skew = max(0.0, least) + min(0.0, most)
        if abs(skew) > CLOCK_SECONDS:
            yield _skewed(host.name, skew, "the controller")
        else:
            ahead[host.name] = least, most
    fast = max(ahead, key=lambda name: ahead[name][0], default="")
    slow = min(ahead, key=lambda name: ahead[name][1], default="")
    apart = ahead[fast][0] - ahead[slow][1] if ahead else 0.0
    if apart > CLOCK_SECONDS:
        yield _skewed(fast, apart, slow)


def _skewed(name, skew, other):
    return Finding(
        name,
        "clock-skew",
        f"the clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} {other}'s",
        f"at most {CLOCK_SECONDS:.0f} s",
        f"Let systemd-timesyncd or chrony run on the host and on {other}.",
    )


def ports_free(view):
    """Want the components' ports not to be taken by somebody else's process."""
    for host, observation in view.seen():
        wanted = _needed(view, host)
        for port, process in sorted(
            {(item["port"], item["process"]) for item in observation["listening"] if _foreign(item, observation)}
        ):
            if port in wanted:
                yield Finding(
                    host.name,
                    "port-taken",
                    f"port {port} is taken by {process or 'an unknown process'}",
                    f"a free port: {wanted[port]}",
                    f"Stop and disable it (ss -ltnp 'sport = :{port}' shows it).",
                )


def _once(check, what, values, fix, fixes=None):
    """Return a finding for each value that more than one host has; empty values do not count.

    `fixes` says of single hosts what to do instead when one of them is among those.
    """
    hosts = {}
    for host, value in sorted(values.items()):
        if value:
            hosts.setdefault(value, []).append(host)
    found = []
    for value, names in sorted(hosts.items()):
        if len(names) > 1:
            special = next((fixes[name] for name in names if name in (fixes or {})), fix)
            said = f"{what} {value} on {', '.join(names)}"
            found.append(Finding(names[0], check, said, f"a {what} of its own on each host", special))
    return found


def _needed(view, host):
    """Return {port: what listens there}; behind a balancer of the user's the API keeps its own port."""
    api_port = view.settings.endpoint_port if view.managed else _ports.API
    return _ports.needed(view.parts(host), api_port)


def _foreign(item, observation):
    ours = item["executable"].startswith(OUR_BINARIES) or (
        item["process"] in OUR_PROCESSES and observation["cluster"] is not None
    )
    return not ours


def _suggest_name(name):
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-") or "NAME"
