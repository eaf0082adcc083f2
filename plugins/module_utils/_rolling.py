# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Put the hosts that restart in order, and judge what the restart of each means for etcd.

Solves: whom the others need goes last: the holder of the endpoint address, then the etcd leader; who gives way restarts once
another votes; a node is drained only where its pods have somewhere to go. Leaves out: who gives way (``_giving_way``), and the
gate before each turn, which judges anew (the modules).
"""

from __future__ import annotations

import collections

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _etcd_scene, _host_scene, _quorum, _request


def in_order(hosts, observed):
    """Return masters and members in the order of their turns: by zone and name, the holder of the address last but the leader."""

    def rank(host):
        observation = observed.get(host.name)
        status = ((observation or {}).get("etcd") or {}).get("status") or {}
        leads = bool(status.get("ok")) and status.get("leader_id") == status.get("member_id")
        return leads, _host_scene.holds(observation), host.zone, host.name

    return tuple(host.name for host in sorted((host for host in hosts if host.master or host.member), key=rank))


def rolling(hosts, observed, request, giving):
    """Return (name, whether a master, whether it has the address) of the hosts to restart: masters and members, then workers."""
    if request.kind != _request.ROLL:
        return ()
    known, first = {host.name: host for host in hosts}, in_order(hosts, observed)
    workers = sorted((host for host in hosts if host.name not in first), key=lambda host: (host.zone, host.name))
    asked = set(request.nodes) - set(giving.later)
    order = [name for name in (*first, *(host.name for host in workers)) if name in asked]
    return tuple((name, known[name].master, _host_scene.holds(observed.get(name))) for name in order)


def late(hosts, observed, request, giving):
    """Return the hosts to restart once etcd's steps are done: who gives way, and who was taken out by a run that was cut off."""
    if request.kind != _request.ROLL:
        return ()
    present = {url for member in _etcd_scene.cluster(hosts, observed).members for url in member.peer_urls}
    out = {host.name for host in hosts if host.etcd_leftover and host.peer_url not in present}
    return tuple(sorted(({giving.old} | out) & set(request.nodes) - set(giving.later)))


def pinned(hosts):
    """Return the nodes, by name, whose pods no other node could take: a drain would end them for nothing, or never end.

    Pods on a node tolerate its taints, so another takes them that has no further ones. A budget which allows one disruption lets
    the first pod go, whose successor waits for the very node that is being drained, and then no other (role coredns has one).
    """
    kinds = {host.name: _taints(host) for host in hosts if host.master or host.worker}
    # A thousand nodes have two kinds of taints or so; each node takes its own pods too.
    counts = collections.Counter(kinds.values())
    alone = {kind for kind in counts if sum(count for other, count in counts.items() if other <= kind) == 1}
    return frozenset(name for name, kind in kinds.items() if kind in alone)


def _taints(host):
    return frozenset((taint["key"], taint["effect"]) for taint in host.taints)


def verdicts(hosts, observed, names, allow_outage, afterwards, at_end):
    """Return (name, verdict) on restarting the etcd member of each of these hosts; of those `afterwards`, as it will be then."""
    cluster = _etcd_scene.cluster(hosts, observed)
    return tuple(
        (
            host.name,
            _quorum.judge(
                at_end if host.name in afterwards else cluster, _quorum.Step(_quorum.RESTART, host.peer_url), allow_outage
            ),
        )
        for host in hosts
        if host.member and host.name in names
    )


def orders(scene, hosts):
    """Return the orders of hosts that restart: masters and members one by one, who gives way once it has, then workers."""
    single = {host.name for host in hosts if host.master or host.member}
    names = [name for name, _master, _holds_it in scene.rolling]
    return {
        "roll": [n for n in names if n in single and n not in scene.late],
        "roll_late": [n for n in names if n in scene.late],
        "roll_workers": [n for n in names if n not in single],
    }
