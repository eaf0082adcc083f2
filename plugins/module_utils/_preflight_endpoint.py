# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Check that the endpoint address is the cluster's own: in the right subnet, on no host for itself, held once at most.

Each check is a function from a `_preflight_view.View` to findings; `_preflight` lists them. Leaves out: moving the address
(`_endpoint`, `_endpoint_plan`).
"""

from __future__ import annotations

import ipaddress

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _ports, _topology
from ansible_collections.multimaster.kubernetes.plugins.module_utils._finding import ERROR, WARNING, Finding, some


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


def endpoint_port_own(view):
    """Want the API's port to be no other component's: an API server listens on it, and any host may be made a master later."""
    port = view.settings.endpoint_port
    user = _ports.beside_api(port)
    if not view.managed:
        return
    if user:
        where = [host.name for host in view.masters if _ports.beside_api(port, view.parts(host))]
        yield Finding(
            "",
            "endpoint-port",
            f"multimaster_endpoint_port {port} is the port of {user}"
            + (f" ({'on ' + some(where) if where else 'on no master now'})" if view.built else ""),
            f"a port that no component listens on, such as {_ports.API}",
            _other_port(view.built, where),
            WARNING if view.built and not where else ERROR,
        )
    elif port in _ports.NODE_PORTS and not view.built:
        yield Finding(
            "",
            "endpoint-port",
            f"multimaster_endpoint_port {port} is a node port that a Service may get, which then takes the API's connections",
            f"a port outside {_ports.NODE_PORTS.start}-{_ports.NODE_PORTS.stop - 1}",
            "Choose another multimaster_endpoint_port, or keep it out of kube-apiserver's service-node-port-range.",
            WARNING,
        )


def _other_port(built, where):
    """Return what to do about a port of another component; a living cluster keeps its own, whatever that is."""
    keeps = "a cluster keeps the one that it is made with"
    if not built:
        return f"Choose another multimaster_endpoint_port; {keeps}."
    if where:
        return (
            f"As {keeps}, leave off what brings that component to its masters, such as a second master. One that never ran is "
            "built anew with another port (reset.yml)."
        )
    return f"Nothing now, as {keeps}. What brings that component to its masters, such as a second master, is refused."


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
    # Those of hosts that leave are ours as well: until then one of them may hold it.
    ours = {mac.lower() for observation in view.observed.values() for mac in (observation or {}).get("macs", ())}
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
    """Want at most one holder of the endpoint address; on lo it is on its way from one holder to the next."""
    endpoint = view.settings.endpoint_address
    holders = {}
    for host, observation in view.seen():
        interfaces = [interface for interface in observation["endpoint_address"]["held_on"] if interface != "lo"]
        if host.master and interfaces:
            holders[host.name] = f"{host.name} ({', '.join(interfaces)})"
    if len(holders) > 1 and view.managed:
        yield Finding(
            sorted(holders)[0],
            "endpoint-twice",
            f"the endpoint address {endpoint} is on {', '.join(holders.values())}",
            "one holder",
            f"It may just have moved: run again. If it stays, find by its MAC who answers (ip neigh show {endpoint}), and take "
            "the address off the others (or stop keepalived there).",
        )
