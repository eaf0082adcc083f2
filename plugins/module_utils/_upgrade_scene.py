# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""See a cluster as an upgrade needs it: what runs where, who leads, who holds the address, who is stopped.

Leaves out: what is to be done about it (``_upgrade``) and how it was read (``_host``).
"""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _downgrade,
    _endpoint,
    _etcd_scene,
    _host_scene,
    _plan,
    _rolling,
    _skew,
    _unit_plan,
    _upgrade,
    _upgrade_refusals,
)

# Answers of systemd to a unit that is installed and does not run.
STOPPED = ("inactive", "failed", "deactivating")
# The turns in which a way back is told, by the kind of a step.
TURNS = {
    _upgrade.DOWNGRADE: "etcd",
    _upgrade.CANCEL: "etcd",
    **dict.fromkeys((_upgrade.MEMBER, _upgrade.SWAP, _upgrade.MASTER), "control"),
    _upgrade.NODES: "node",
}


def running_versions(seen):
    """Return what runs on which host, by inventory name, as _skew.Versions; `seen` is (host, observation) of each."""
    return _versions([(host, observation.get("versions", {})) for host, observation in seen])


def unit_versions(seen):
    """Return likewise what the unit files start, whether it runs or not."""
    return _versions([(host, observation.get("unit_versions", {})) for host, observation in seen])


def _versions(found):
    return _skew.Versions(
        **{
            component: {host.name: versions[unit] for host, versions in found if versions.get(unit)}
            for component, unit in _skew.COMPONENTS.items()
        }
    )


def plan(topology, observed, extra=None, allow_outage=False, allow_downgrade=False):
    """Return the _upgrade.Plan of a topology, its refusals as (reason, next step) like those of any plan.

    `extra` is {program: {host: {flag: value}}}, the user's own arguments on each host. `allow_outage`,
    `allow_downgrade`: permissions of this run.
    """
    settings = topology.settings
    seen = [(host, observed[host.name]) for host in topology.hosts if observed.get(host.name)]
    cluster = _etcd_scene.cluster(topology.hosts, observed)
    # A join that was cut off is finished before a voter stops, so its learners vote by then; of two members see `giving`.
    joining = () if topology.giving.old else topology.etcd.promote
    pinned = _rolling.pinned(topology.hosts)
    members = {url: member for member in cluster.members for url in member.peer_urls}
    found = {host.name: members.get(host.peer_url) for host in topology.hosts if host.member}
    hosts = tuple(
        _host(host, observed.get(host.name), found.get(host.name), cluster.leader_id, joining, pinned) for host in topology.hosts
    )
    wanted = _upgrade.Wanted(
        settings.kubernetes_version,
        settings.etcd_version,
        settings.upgrade_batch,
        allow_outage,
        allow_downgrade,
        extra or {},
        settings.even_voters,
    )
    parts = [_host_scene.part(host.name, observed.get(host.name)) for host in topology.hosts if host.master]
    holder = _endpoint.holder(parts, topology.endpoint_mode)
    made = _upgrade.plan(running_versions(seen), hosts, wanted, told(topology, observed), holder)
    # A voter whose settings alone differ gives way too, which no step of an upgrade says.
    swapped = {name for step in made.steps if step.kind == _upgrade.SWAP for name in step.hosts}
    giving = topology.giving
    notes = _plan.given_way("" if giving.old in swapped else giving.old, giving.heir, giving.later)
    joined = [f"etcd of {name} becomes a voter before any voter stops: its join was cut off" for name in joining if made.steps]
    refusals = tuple((one.reason, one.next_step) for one in made.refusals)
    return replace(made, refusals=refusals, notes=(*made.notes, *joined, *notes))


def told(topology, observed):
    """Return what etcd says of itself, as _upgrade.Etcd: by the member that is ahead, since one cut off may be behind.

    The version its data are of follows its cluster version within seconds.
    """
    ahead = _etcd_scene.newest(_etcd_scene.answers(topology.hosts, observed)) or {}
    return _upgrade.Etcd(ahead.get("storage_version", ""), ahead.get("downgrade", ""))


def downgrade(topology, observed, made):
    """Return (host to speak from, wanted state of ``etcd_downgrade``) before any member changes, ("", "") for none.

    One that is enabled already is waited for again: the run before may have been cut off while etcd made its data fit.
    """
    kinds = {step.kind for step in made.steps}
    enabled, target = _skew.line(told(topology, observed).downgrade), _skew.line(topology.settings.etcd_version)
    if _upgrade.CANCEL in kinds:
        state = _downgrade.CANCELLED
    elif _upgrade.DOWNGRADE in kinds or (enabled and enabled == target):
        state = _downgrade.ENABLED
    else:
        return "", ""
    return snapshot_host(topology, observed), state


def ways_back(made):
    """Return {turn: {host: way back}} to tell when a turn begins, since it may stop in it, and under "end" the last one."""
    found, before = {"etcd": {}, "control": {}, "node": {}, "end": ""}, ""
    for step in made.steps:
        after = step.way_back
        turns = found.get(TURNS.get(step.kind), {})
        for host in step.hosts:
            once = f"{before}; once {host} is done: {after}"
            text = once if after and before not in ("", after, _upgrade_refusals.UNTOUCHED) else after or before
            if text:
                turns[host] = text
        before = found["end"] = after or before
    return found


def upgraded(topology, observed, extra, allow_outage, allow_downgrade):
    """Return the topology of an upgrade: its plan and ways back, whose etcd member is saved and told to go back before it.

    The arguments are those of ``plan``.
    """
    made = plan(topology, observed, extra, allow_outage, allow_downgrade)
    saved = any(step.kind == _upgrade.SNAPSHOT for step in made.steps)
    return replace(
        topology,
        plan=made,
        snapshot=snapshot_host(topology, observed) if saved else "",
        downgrade=downgrade(topology, observed, made),
        way_back=ways_back(made),
    )


def snapshot_host(topology, observed):
    """Return the host whose etcd member is to be saved: the leader's, else the first healthy voter's; "" without one."""
    cluster = _etcd_scene.cluster(topology.hosts, observed)
    voting = {url: member for member in cluster.voters if member.healthy for url in member.peer_urls}
    members = [(host, voting[host.peer_url]) for host in topology.hosts if host.member and host.peer_url in voting]
    members.sort(key=lambda pair: (pair[1].id != cluster.leader_id, pair[0].name))
    return members[0][0].name if members else ""


def _host(host, observation, member, leader_id, joining, pinned):
    units, versions = ((observation or {}).get(key) or {} for key in ("units", "versions"))
    return _upgrade.Host(
        name=host.name,
        zone=host.zone,
        master=host.master,
        worker=host.worker,
        member=host.member,
        reachable=bool(observation),
        holds=_host_scene.holds(observation),
        leads=member is not None and member.id == leader_id,
        votes=member.voter or host.name in joining if member else None,
        # One that is starting may wait for others, and a run that was cut off may have left it so.
        sick=bool(observation) and member is not None and not member.healthy and units.get("etcd") in _unit_plan.UP,
        pinned=host.name in pinned,
        starts=((observation or {}).get("unit_versions") or {}).get("etcd", ""),
        stopped=tuple(component for component, unit in _skew.COMPONENTS.items() if _stopped(units.get(unit), versions.get(unit))),
    )


def _stopped(state, version):
    """Tell whether a unit that is installed does not run.

    One that systemd starts again and again (``activating`` without a process, as after a flag that its program does not take)
    counts as stopped: it is in use nowhere, and its turn is what mends it. One whose process is there may wait for others.
    """
    return state in STOPPED or (state == "activating" and not version)
