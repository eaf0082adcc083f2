# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Check what settings and inventory say together: groups, names, networks, zones, number of members.

Each check is a function from a `_preflight_view.View` to findings; `_preflight` lists them. Leaves out: the form of single
settings (`_settings`) and the state of hosts (`_preflight_hosts`, `_preflight_machine`).
"""

from __future__ import annotations

import difflib
import ipaddress
import itertools
import re

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _quorum,
    _topology,
)
from ansible_collections.multimaster.kubernetes.plugins.module_utils._finding import ERROR, WARNING, Finding

GROUPS = (_topology.MASTER_GROUP, _topology.WORKER_GROUP, _topology.ETCD_GROUP)
# Characters that mean something in an Ansible host pattern; our orders are such patterns.
PATTERN_CHARACTERS = re.compile(r"[,:;&!*?\[\]~\s]")
# Prefix length of a node's part of the pod network (kube-controller-manager --node-cidr-mask-size-ipv4, default).
NODE_POD_PREFIX = 24
# kube-apiserver takes at most 20 bits of service addresses; the cluster's DNS sits on the tenth.
SERVICE_PREFIX_MIN, SERVICE_PREFIX_MAX = 12, 28


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
        if one.startswith("multimaster_") and network.overlaps(second):
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
                "a zone on every master and etcd member",
                "Set multimaster_zone.",
                WARNING,
            )


def zones_survivable(view):
    """Want the loss of any one zone to leave etcd its quorum; an error where other places, or others leaving, would."""
    voters = [host for host in view.topology.hosts if host.voter]
    if not voters or not all(host.zone for host in voters):
        return
    zones = set(view.settings.zones) | {host.zone for host in view.topology.hosts if host.zone}
    # A zone that a removal empties is one in which voters can be: others could leave. The dead are out, whoever leaves.
    leaving = _serving_voters(view.seen_leaving())
    emptied = sorted(host.name for host in leaving if host.zone not in {one.zone for one in voters})
    zones |= {host.zone for host in leaving}
    better = f"Let {' or '.join(emptied)} stay" if emptied else f"Spread them over {', '.join(sorted(zones))}"
    spare = len(voters) - _quorum.quorum(len(voters))
    for loss in _quorum.placement_losses([host.zone for host in voters], zones):
        if loss.survives:
            continue
        lost = [host.name for host in voters if host.zone == loss.zone]
        yield Finding(
            "",
            "zone-quorum",
            f"zone {loss.zone} holds {len(lost)} of {loss.voters} voters ({', '.join(lost)}); its loss stops the API",
            f"at most {spare} voters in a zone" if spare else "voters in three zones",
            f"{better}, or set multimaster_allow_lost_zone: true."
            if loss.avoidable
            else "It takes three voters in three zones to survive the loss of any one.",
            WARNING if view.settings.allow_lost_zone or not loss.avoidable else ERROR,
        )


def _serving_voters(seen):
    """Return the hosts with a zone whose etcd member votes and serves."""
    told = [(host, (observation.get("etcd") or {}).get("status") or {}) for host, observation in seen]
    return [host for host, status in told if host.zone and status.get("healthy") and not status.get("is_learner")]


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
            third = "master" if view.topology.stacked else "etcd member"
            fix = f"If the voter is lost the API stops; with a third {third} the cluster survives any one loss."
    yield Finding("", "members-even", found, wanted, fix, WARNING)


def hooks_usable(view):
    """Want files of your own tasks that can be read, before the first host takes its turn."""
    for setting, wrong in sorted(view.hooks.items()):
        yield Finding(
            "",
            "hook-unusable",
            f"{setting}: {wrong}",
            "a file with a list of tasks on this controller",
            f"Correct {setting}, or leave it out.",
        )
