# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Judge settings, inventory and hosts before anything is touched, and report everything at once.

`CHECKS` maps each id (what `multimaster_preflight_ignore` takes) to a function from a View to findings. An error stops
the run, a warning is shown. Leaves out: the form of single settings (_settings) and mending anything.
"""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import itertools
import re

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _bootstrap,
    _quorum,
    _settings,
    _skew,
    _topology,
)
from ansible_collections.multimaster.kubernetes.plugins.module_utils._finding import (
    ERROR,
    WARNING,
    Finding,
    in_order,
    without,
)

# What the scenarios run on; other systems with systemd may work and are a warning.
SUPPORTED_OS = {"debian": ("12", "13"), "ubuntu": ("22.04", "24.04")}
SUPPORTED_ARCHITECTURES = ("amd64", "arm64")
# kube-proxy's nftables mode asks for Linux 5.13 (Kubernetes docs, "Virtual IPs and Service Proxies").
KERNEL_MINIMUM = (5, 13)
PYTHON_MINIMUM = (3, 9)
REQUIRED_COMMANDS = ("systemctl", "ip")
# MiB. Kubernetes' own floor is 2 GiB for a control-plane node ("Creating a cluster with kubeadm", before you begin).
MASTER_MEMORY_MIB = 2048
WORKER_MEMORY_MIB = 1024
# Share of the nominal memory that firmware and kernel keep for themselves: a "2 GiB" machine shows about 1950 MiB.
MEMORY_KEPT = 0.1
MASTER_DISK_MIB = {"/var/lib": 4096, "/opt": 1024}
WORKER_DISK_MIB = {"/var/lib": 2048, "/opt": 1024}
# Seconds. Certificates are valid from the moment they are signed and etcd warns from 1 s; leases bear more.
CLOCK_SKEW_SECONDS = 2.0
# Prefix length of a node's part of the pod network (kube-controller-manager --node-cidr-mask-size-ipv4, default).
NODE_POD_PREFIX = 24
# kube-apiserver takes at most 20 bits of service addresses; the cluster's DNS sits on the tenth.
SERVICE_PREFIX_MIN, SERVICE_PREFIX_MAX = 12, 28
# ms. etcd's FAQ: 99 % of WAL syncs should take less.
DISK_P99_MS = 10.0
# File folders of ours: a listener that was started from there is no foreign process.
OUR_BINARIES = "/opt/multimaster/"
MASTER_PORTS = (6443, 10257, 10259)
NODE_PORTS = (10250, 10249, 10256)
MEMBER_PORTS = (2379, 2380)
# Programs of the distribution that we run ourselves.
OUR_PROCESSES = ("haproxy",)
AUTHORITIES = ("kubernetes", "front_proxy", "etcd_client", "etcd_peer")
GROUPS = (_topology.MASTER_GROUP, _topology.WORKER_GROUP, _topology.ETCD_GROUP)
# Ids of the findings of _skew begin so.
SKEW_IDS = ("skew-", "version-")
# Characters that mean something in an Ansible host pattern; our orders are such patterns.
PATTERN_CHARACTERS = re.compile(r"[,:;&!*?\[\]~\s]")


@dataclasses.dataclass(frozen=True)
class View:
    """Hold everything a check may look at.

    `observed` has no entry, or None, for a host that could not be asked; `reasons` says for some of those why.
    """

    settings: object
    inventory: _topology.Inventory
    observed: dict
    topology: _topology.Topology
    ca_store_exists: bool = False
    reasons: dict = dataclasses.field(default_factory=dict)

    def seen(self):
        """Return (host, observation) of every host that was observed."""
        return [(host, self.observed[host.name]) for host in self.topology.hosts if self.observed.get(host.name)]

    @property
    def masters(self):
        """Return the masters."""
        return [host for host in self.topology.hosts if host.master]

    @property
    def managed(self):
        """Tell whether the endpoint address is ours to move."""
        return self.settings.endpoint_mode == "managed"


def judge(view, ignore=()):
    """Return all findings, errors first, without those whose check is in `ignore`."""
    found = (finding for check, judge_one in CHECKS.items() if check not in ignore for finding in judge_one(view))
    return in_order(without(found, ignore))


def hosts_observed(view):
    """Want every host of the inventory to have been observed."""
    for name in view.inventory.names:
        if not view.observed.get(name):
            yield Finding(
                name,
                "host-unreachable",
                f"not observed: {view.reasons[name]}" if view.reasons.get(name) else "the host was not observed",
                "every host of the inventory reachable and observed in this run",
                f"Try: ansible {name} -m ping. Do not leave hosts out by --limit; take a dead host out by remove.yml.",
            )


def masters_listed(view):
    """Want at least one master, and no group whose name is a near miss of ours."""
    inventory = view.inventory
    if not inventory.masters:
        yield Finding(
            "",
            "inventory-no-master",
            f"group {_topology.MASTER_GROUP} is missing or empty",
            "at least one host in it",
            f"Put the masters into the group {_topology.MASTER_GROUP}.",
        )


def groups_spelt(view):
    """Want no group that looks like a misspelt one of ours: a misspelt etcd group would make the cluster stacked."""
    present = {
        _topology.MASTER_GROUP: bool(view.inventory.masters),
        _topology.WORKER_GROUP: bool(view.inventory.workers),
        _topology.ETCD_GROUP: bool(view.inventory.etcd),
    }
    missing = [name for name in GROUPS if not present[name]]
    for group in sorted(set(view.inventory.groups) - set(GROUPS)):
        plain = group.lower().replace("-", "_")
        near = difflib.get_close_matches(plain, missing, n=1, cutoff=0.75)
        if _topology.ETCD_GROUP in missing and plain.startswith(_topology.ETCD_GROUP):
            near = [_topology.ETCD_GROUP]
        if near:
            yield Finding(
                "",
                "inventory-group",
                f"group {group} has hosts or children, group {near[0]} has none",
                f"the group {near[0]}",
                f"Rename {group} to {near[0]}, or ignore this check if it is another thing.",
            )


def names_usable(view):
    """Want inventory names that can stand in a host pattern."""
    for name in view.inventory.names:
        if PATTERN_CHARACTERS.search(name):
            yield Finding(
                name,
                "inventory-name",
                f"the inventory name {name!r}",
                "letters, digits, dots and hyphens",
                "Rename the host.",
            )


def hostnames_valid(view):
    """Want hostnames that can be node names."""
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


def hostnames_once(view):
    """Want every hostname to be one host's: it becomes the node's name and the etcd member's."""
    values = {host.name: host.node_name for host, _observation in view.seen()}
    return _once("duplicate-hostname", "hostname", values, "Give each host its own: hostnamectl set-hostname NAME")


def addresses_once(view):
    """Want every node address to be one host's."""
    values = {host.name: host.address for host in view.topology.hosts}
    fix = "Is one host listed twice? Else set multimaster_node_address per host."
    return _once("duplicate-address", "node address", values, fix)


def machine_ids_once(view):
    """Want every machine id to be one host's: the kubelet and VXLAN interfaces derive identities from it."""
    values = {host.name: observation["machine_id"] for host, observation in view.seen()}
    fix = "Cloned machines: rm /etc/machine-id /var/lib/dbus/machine-id; systemd-machine-id-setup, then reboot."
    return _once("duplicate-machine-id", "machine id", values, fix)


def addresses_known(view):
    """Want every host to have a node address that it carries itself."""
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


def endpoint_own(view):
    """Want the endpoint address to belong to the cluster, not to a host."""
    endpoint = view.settings.endpoint_address
    for host in view.topology.hosts:
        if endpoint and view.managed and host.address == endpoint:
            yield Finding(
                host.name,
                "endpoint-is-host",
                f"multimaster_endpoint_address {endpoint} is the node address of {host.name}",
                "a free address in the masters' subnet that belongs to no host",
                "Choose another one: etcd, SSH and certificates hang on the node address, while the endpoint moves.",
            )


def endpoint_in_subnet(view):
    """Want the endpoint address inside the subnet of every master's node address, and not its first or last one."""
    endpoint = view.settings.endpoint_address
    if not endpoint or not view.managed:
        return
    address = ipaddress.ip_address(endpoint)
    for host in view.masters:
        network = _topology.subnet(host)
        if network is None:
            continue
        reserved = network.prefixlen < 31 and address in (network.network_address, network.broadcast_address)
        if address not in network or reserved:
            yield Finding(
                host.name,
                "endpoint-subnet",
                f"endpoint address {endpoint}; node address {host.address}/{host.prefix}",
                f"a usable address in {network}",
                "Choose one in the subnet all masters share; without such a subnet use multimaster_endpoint_mode: external.",
            )


def endpoint_free(view):
    """Want nobody but a master of ours to hold the endpoint address."""
    endpoint = view.settings.endpoint_address
    if not endpoint or not view.managed:
        return
    ours = {mac.lower() for _host, observation in view.seen() for mac in observation.get("macs", ())}
    foreign = {}
    for host, observation in view.seen():
        for mac in observation["arp"] or ():
            if mac.lower() not in ours:
                foreign.setdefault(mac.lower(), []).append(host.name)
        if observation["endpoint_address"]["held_on"] and not host.master:
            yield Finding(
                host.name,
                "endpoint-taken",
                f"the endpoint address {endpoint} is on {', '.join(observation['endpoint_address']['held_on'])}",
                "no host but a master to hold it",
                f"Remove it from {host.name}, or choose another endpoint address.",
            )
    unseen = [host.name for host in view.masters if not view.observed.get(host.name)]
    for mac, hosts in sorted(foreign.items()):
        yield Finding(
            hosts[0],
            "endpoint-taken",
            f"{mac} answers for the endpoint address {endpoint} (asked by {', '.join(hosts)})",
            "a free address, or one held by a master of this inventory",
            f"It may be {' or '.join(unseen)}, which was not observed."
            if unseen
            else f"Find that machine (ip neigh show {endpoint}) or choose another endpoint address.",
            WARNING if unseen else ERROR,
        )


def endpoint_once(view):
    """Want at most one holder of the endpoint address; a run that was cut off may leave two, and the run mends it."""
    holders = [
        host.name
        for host, observation in view.seen()
        if host.master and any(interface != "lo" for interface in observation["endpoint_address"]["held_on"])
    ]
    if len(holders) > 1 and view.managed:
        yield Finding(
            holders[0],
            "endpoint-twice",
            f"the endpoint address is on {', '.join(holders)}",
            "one holder",
            "Going on makes one of them the only holder.",
            WARNING,
        )


def networks_apart(view):
    """Want pod, service and node networks not to overlap, and the endpoint address outside the first two."""
    settings = view.settings
    named = [("multimaster_pod_cidr", settings.pod_cidr), ("multimaster_service_cidr", settings.service_cidr)]
    nodes = sorted({network for network in map(_topology.subnet, view.topology.hosts) if network}, key=str)
    named += [("the nodes' network", network) for network in nodes]
    named += [
        (f"the node address of {host.name}", ipaddress.ip_network(host.address))
        for host in view.topology.hosts
        if host.address and not host.prefix
    ]
    if settings.endpoint_address:
        named.append(("multimaster_endpoint_address", ipaddress.ip_network(settings.endpoint_address)))
    for (one, network), (other, second) in itertools.combinations(named, 2):
        if not one.startswith("multimaster_") or one == "multimaster_endpoint_address":
            continue
        if network.overlaps(second):
            yield Finding(
                "",
                "network-overlap",
                f"{one} {network} overlaps {other} {second}",
                "networks that share no address",
                f"Choose another {one}.",
            )


def networks_large_enough(view):
    """Want room for a pod network on every node, and a service network the API server accepts."""
    settings = view.settings
    nodes = len(set(view.inventory.masters) | set(view.inventory.workers))
    room = 2 ** (NODE_POD_PREFIX - settings.pod_cidr.prefixlen) if settings.pod_cidr.prefixlen <= NODE_POD_PREFIX else 0
    if nodes > room:
        yield Finding(
            "",
            "network-size",
            f"multimaster_pod_cidr {settings.pod_cidr} has room for {room} nodes of {nodes}",
            f"a /{NODE_POD_PREFIX} for every node",
            "Choose a larger pod network.",
        )
    if not SERVICE_PREFIX_MIN <= settings.service_cidr.prefixlen <= SERVICE_PREFIX_MAX:
        yield Finding(
            "",
            "network-size",
            f"multimaster_service_cidr {settings.service_cidr}",
            f"a prefix length from {SERVICE_PREFIX_MIN} to {SERVICE_PREFIX_MAX}",
            "Choose another service network.",
        )


def zones_known(view):
    """Want each host's zone to be one of multimaster_zones, when those are listed."""
    zones = view.settings.zones
    for host in view.topology.hosts:
        if zones and host.zone not in zones:
            near = difflib.get_close_matches(host.zone, zones, n=1)
            yield Finding(
                host.name,
                "zone-unknown",
                f"zone {host.zone!r}" if host.zone else "no zone",
                f"one of {', '.join(zones)}",
                f"Did you mean {near[0]}?" if near else "Set multimaster_zone of the host, or add the zone to multimaster_zones.",
            )


def zones_complete(view):
    """Want all masters and etcd members to have a zone once one of them has."""
    hosts = [host for host in view.topology.hosts if host.master or host.member]
    if view.settings.zones or not any(host.zone for host in hosts):
        return
    for host in hosts:
        if not host.zone:
            yield Finding(
                host.name,
                "zone-missing",
                "no zone, while others have one",
                "a zone on every master",
                "Set multimaster_zone.",
                WARNING,
            )


def zones_survivable(view):
    """Want the loss of any one zone to leave etcd its quorum; an error only where the same hosts could be placed so."""
    voters = [host for host in view.topology.hosts if host.voter]
    if not voters or not all(host.zone for host in voters):
        return
    zones = set(view.settings.zones) | {host.zone for host in view.topology.hosts if host.zone}
    total, needed = len(voters), _quorum.quorum(len(voters))
    evenly_lost = -(-total // len(zones))
    possible = total - evenly_lost >= needed
    for zone in sorted({host.zone for host in voters}):
        lost = [host.name for host in voters if host.zone == zone]
        if total - len(lost) >= needed:
            continue
        yield Finding(
            "",
            "zone-quorum",
            f"zone {zone} holds {len(lost)} of {total} voters ({', '.join(lost)}); its loss stops the API",
            f"at most {total - needed} voters in a zone" if total > needed else "voters in three zones",
            f"Spread them over {', '.join(sorted(zones))}, or set multimaster_allow_lost_zone: true."
            if possible
            else "It takes three voters in three zones to survive the loss of any one.",
            WARNING if view.settings.allow_lost_zone or not possible else ERROR,
        )


def members_odd(view):
    """Tell what becomes of an even number of etcd members."""
    members = len(view.topology.members)
    if not members or members % 2:
        return
    if view.settings.even_voters:
        found, wanted = f"{members} voters, as multimaster_even_voters asks", "an odd number"
        fix = f"{members} voters survive no more failures than {members - 1}, and more can fail."
    else:
        found, wanted = (
            f"{members} etcd members: {members - 1} vote, 1 stands by as a learner",
            "an odd number of members",
        )
        fix = "Add one more to survive a further failure; nothing is wrong with the standby."
        if members == 2:
            fix = "If the voter is lost the API stops; with a third master the cluster survives any one loss."
    yield Finding("", "members-even", found, wanted, fix, WARNING)


def ca_store_there(view):
    """Want the CA store to be there when any host carries certificates: a second CA would end the living cluster."""
    holding = [host.name for host, observation in view.seen() if observation["certificates"]]
    if holding and not view.ca_store_exists:
        yield Finding(
            "",
            "ca-store",
            f"CA store not found at {view.settings.ca_store}, but {', '.join(holding)} carry certificates",
            "the store the cluster was made with",
            "Copy it from where the cluster was built, restore it, or correct multimaster_ca_store. No new CA is made.",
        )


def ca_same(view):
    """Want all hosts to trust the same authorities; hosts in the middle of a CA rotation still share one."""
    for name in AUTHORITIES:
        trusted = {host.name: frozenset(observation["ca_fingerprints"].get(name) or ()) for host, observation in view.seen()}
        camps = []
        for host, prints in sorted(trusted.items()):
            camp = next((camp for camp in camps if prints & camp[0]), None)
            if camp:
                camp[0].update(prints)
                camp[1].append(host)
            elif prints:
                camps.append((set(prints), [host]))
        for _prints, hosts in sorted(camps, key=lambda camp: (-len(camp[1]), camp[1]))[1:]:
            yield Finding(
                hosts[0],
                "ca-differs",
                f"{', '.join(hosts)}: another {name} CA than the other hosts",
                "one CA for the whole cluster",
                "Is this host another cluster's? Take it out of the inventory, or wipe it first by reset.yml.",
            )


def same_cluster(view):
    """Want no host that belongs to another cluster."""
    for host, observation in view.seen():
        name = (observation["cluster"] or {}).get("name")
        if name and name != view.settings.cluster_name:
            yield Finding(
                host.name,
                "cluster-other",
                f"the host belongs to the cluster {name}",
                f"a host of {view.settings.cluster_name}, or a fresh one",
                "Take it out of the inventory, or wipe it first by reset.yml; a cluster is not renamed.",
            )


def clocks_agree(view):
    """Want the hosts' clocks within 2 s of each other and of the controller's.

    A host's clock was read somewhere within the window of the controller's clock; only what lies outside is skew.
    """
    for host, observation in view.seen():
        window = observation.get("clock_window")
        if not window:
            continue
        clock = observation["clock"]
        skew = clock - window[1] if clock > window[1] else min(0.0, clock - window[0])
        if abs(skew) > CLOCK_SKEW_SECONDS:
            yield Finding(
                host.name,
                "clock-skew",
                f"the clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the controller's",
                f"at most {CLOCK_SKEW_SECONDS:.0f} s",
                "Let systemd-timesyncd or chrony run on the host and on the controller.",
            )


def ports_free(view):
    """Want the components' ports not to be taken by somebody else's process."""
    for host, observation in view.seen():
        wanted = set(NODE_PORTS if host.master or host.worker else ())
        wanted |= set(MASTER_PORTS + (view.settings.endpoint_port,) if host.master else ())
        wanted |= set(MEMBER_PORTS if host.member else ())
        for port, process in sorted(
            {(item["port"], item["process"]) for item in observation["listening"] if _foreign(item, observation)}
        ):
            if port in wanted:
                yield Finding(
                    host.name,
                    "port-taken",
                    f"port {port} is taken by {process or 'an unknown process'}",
                    "a free port",
                    f"Stop and disable it (ss -ltnp 'sport = :{port}' shows it).",
                )


def systems_supported(view):
    """Want an operating system, architecture, kernel and Python that the components run on."""
    for host, observation in view.seen():
        system = observation["os"]
        if system["version_id"] not in SUPPORTED_OS.get(system["id"], ()):
            yield Finding(
                host.name,
                "os-unsupported",
                system["name"] or "an unknown operating system",
                "Debian 12 or 13, Ubuntu 22.04 or 24.04",
                "It may work; only these are tested.",
                WARNING,
            )


def architectures_supported(view):
    """Want an architecture that the upstream projects publish binaries for."""
    for host, observation in view.seen():
        if observation["architecture"] not in SUPPORTED_ARCHITECTURES:
            yield Finding(
                host.name,
                "architecture",
                observation["architecture"],
                "amd64 or arm64",
                "Take the host out of the inventory.",
            )


def kernels_new_enough(view):
    """Want a kernel with what kube-proxy's nftables mode needs."""
    for host, observation in view.seen():
        if host.member and not (host.master or host.worker):
            continue
        if _numbers(observation["kernel"]) < KERNEL_MINIMUM:
            yield Finding(
                host.name,
                "kernel",
                f"Linux {observation['kernel']}",
                "5.13 or newer",
                "Upgrade the kernel, or the operating system.",
            )


def pythons_new_enough(view):
    """Want a Python the modules run on."""
    for host, observation in view.seen():
        if _numbers(observation["python"]) < PYTHON_MINIMUM:
            yield Finding(
                host.name,
                "python",
                f"Python {observation['python']}",
                "3.9 or newer",
                "Install a newer one and set ansible_python_interpreter.",
            )


def commands_there(view):
    """Want the programs nothing can do without; others are installed by us."""
    for host, observation in view.seen():
        missing = [name for name in REQUIRED_COMMANDS if not observation["commands"].get(name)]
        if missing:
            yield Finding(
                host.name,
                "command-missing",
                f"{', '.join(missing)} not found",
                "a host that runs systemd and has iproute2",
                "Install the packages systemd and iproute2; containers without an init system are no hosts.",
            )


def memory_enough(view):
    """Want 2 GiB of memory on masters and 1 GiB on workers, less what firmware and kernel keep."""
    for host, observation in view.seen():
        wanted = MASTER_MEMORY_MIB if host.master or host.member else WORKER_MEMORY_MIB
        if observation["memory_mib"] < wanted * (1 - MEMORY_KEPT):
            yield Finding(
                host.name,
                "memory",
                f"{observation['memory_mib']} MiB of memory",
                f"{wanted} MiB",
                "Give the machine more memory.",
            )


def disks_large_enough(view):
    """Want free disk space where images, etcd's data and the binaries go; on a host in use it is a warning."""
    for host, observation in view.seen():
        for path, wanted in sorted((MASTER_DISK_MIB if host.master or host.member else WORKER_DISK_MIB).items()):
            free = observation["disk_free_mib"].get(path, 0)
            if free < wanted:
                yield Finding(
                    host.name,
                    "disk-space",
                    f"{free} MiB free under {path}",
                    f"{wanted} MiB",
                    "Free some space or enlarge the file system.",
                    WARNING if observation["certificates"] else ERROR,
                )


def disks_fast_enough(view):
    """Want etcd's disk to sync within 10 ms, when that was measured."""
    for host, observation in view.seen():
        taken = observation.get("disk_fdatasync_p99_ms")
        if host.member and taken is not None and taken > DISK_P99_MS:
            yield Finding(
                host.name,
                "disk-slow",
                f"99 % of 2300-byte writes are synced within {taken:.1f} ms",
                f"{DISK_P99_MS:.0f} ms",
                "Give etcd a faster disk of its own (SSD) at /var/lib/etcd; slow syncs cost leader elections.",
                WARNING,
            )


def etcd_startable(view):
    """Want a way to an etcd cluster that loses nothing."""
    etcd = view.topology.etcd
    if etcd.action == _bootstrap.REFUSE and view.topology.members:
        yield Finding("", "etcd-refused", etcd.reason, "a new cluster, or one with quorum", etcd.next_step)


def etcd_joinable(view):
    """Want nothing in the way of the members that are to join."""
    for name, reason, next_step in view.topology.etcd.obstacles:
        yield Finding(name, "etcd-obstacle", reason, "a member that can be joined", next_step)


def etcd_known(view):
    """Tell of etcd members that no host of the inventory accounts for; they are never removed by themselves."""
    if view.topology.etcd.strays:
        yield Finding(
            "",
            "etcd-stray",
            f"etcd has members that are not in the inventory: {', '.join(view.topology.etcd.strays)}",
            "only members of the inventory",
            "Add the host back, or remove it for good by remove.yml.",
            WARNING,
        )


def timings_good(view):
    """Tell what the measured round-trip times mean for etcd."""
    fix = "Members must reach each other (measured on the SSH port); far ones belong closer together."
    for sentence in view.topology.timing.warnings:
        yield Finding("", "etcd-latency", sentence, "members near each other", fix, WARNING)


def versions_fit(view):
    """Want versions that may run side by side, and a wanted version that is one allowed hop away."""
    running = running_versions(view)
    yield from _skew.judge_skew(running)
    yield from _skew.judge_target(running, view.settings.kubernetes_version, view.settings.etcd_version)


def ignored_known(view):
    """Want every id in multimaster_preflight_ignore to be a check."""
    for check in view.settings.preflight_ignore:
        known = [*CHECKS, *_settings.CHECKS, "etcd-security"]
        if check not in known and not check.startswith(SKEW_IDS):
            near = difflib.get_close_matches(check, known, n=1)
            yield Finding(
                "",
                "ignore-unknown",
                f"multimaster_preflight_ignore names {check}",
                "ids of checks",
                f"Did you mean {near[0]}?" if near else "Remove it.",
                WARNING,
            )


CHECKS = {
    "host-unreachable": hosts_observed,
    "inventory-no-master": masters_listed,
    "inventory-group": groups_spelt,
    "inventory-name": names_usable,
    "hostname-invalid": hostnames_valid,
    "duplicate-hostname": hostnames_once,
    "duplicate-address": addresses_once,
    "duplicate-machine-id": machine_ids_once,
    "node-address": addresses_known,
    "endpoint-is-host": endpoint_own,
    "endpoint-subnet": endpoint_in_subnet,
    "endpoint-taken": endpoint_free,
    "endpoint-twice": endpoint_once,
    "network-overlap": networks_apart,
    "network-size": networks_large_enough,
    "zone-unknown": zones_known,
    "zone-missing": zones_complete,
    "zone-quorum": zones_survivable,
    "members-even": members_odd,
    "ca-store": ca_store_there,
    "ca-differs": ca_same,
    "cluster-other": same_cluster,
    "clock-skew": clocks_agree,
    "port-taken": ports_free,
    "os-unsupported": systems_supported,
    "architecture": architectures_supported,
    "kernel": kernels_new_enough,
    "python": pythons_new_enough,
    "command-missing": commands_there,
    "memory": memory_enough,
    "disk-space": disks_large_enough,
    "disk-slow": disks_fast_enough,
    "etcd-refused": etcd_startable,
    "etcd-obstacle": etcd_joinable,
    "etcd-stray": etcd_known,
    "etcd-latency": timings_good,
    "version-skew": versions_fit,
    "ignore-unknown": ignored_known,
}


def running_versions(view):
    """Return what runs on which host, by inventory name, as _skew.Versions."""
    units = {
        "apiserver": "kube-apiserver",
        "controller_manager": "kube-controller-manager",
        "scheduler": "kube-scheduler",
        "kubelet": "kubelet",
        "kube_proxy": "kube-proxy",
        "etcd": "etcd",
    }
    return _skew.Versions(
        **{
            component: {
                host.name: observation["versions"][unit]
                for host, observation in view.seen()
                if observation.get("versions", {}).get(unit)
            }
            for component, unit in units.items()
        }
    )


def _once(check, what, values, fix):
    """Return a finding for each value that more than one host has; empty values do not count."""
    hosts = {}
    for host, value in sorted(values.items()):
        if value:
            hosts.setdefault(value, []).append(host)
    return [
        Finding(names[0], check, f"{what} {value} on {', '.join(names)}", f"a {what} of its own on each host", fix)
        for value, names in sorted(hosts.items())
        if len(names) > 1
    ]


def _foreign(item, observation):
    ours = item["executable"].startswith(OUR_BINARIES) or (
        item["process"] in OUR_PROCESSES and observation["cluster"] is not None
    )
    return not ours


def _numbers(text):
    """Return the leading numbers of a version, such as (6, 1) of 6.1.0-30-amd64."""
    found = re.match(r"^(\d+)\.(\d+)", text)
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)


def _suggest_name(name):
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-") or "NAME"
