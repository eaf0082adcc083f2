# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""See a cluster as an upgrade needs it: what runs where, who leads, who holds the address, who is stopped.

Leaves out: what is to be done about it (``_upgrade``) and how it was read (``_host``).
"""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _skew, _topology, _upgrade

# Answers of systemd to a unit that is installed and does not run.
STOPPED = ("inactive", "failed", "deactivating")
# Steps that no playbook takes: etcd is told by a person to go back once every member is new, or that it shall not after all.
BY_HAND = (_upgrade.DOWNGRADE, _upgrade.CANCEL)
GO_BACK = (
    "every etcd member runs the newer minor, so etcd goes back by its formal downgrade, which starts by hand",
    "docs/runbooks/upgrade-go-back.md",
)


def running_versions(seen):
    """Return what runs on which host, by inventory name, as _skew.Versions; `seen` is (host, observation) of each."""
    return _skew.Versions(
        **{
            component: {
                host.name: observation["versions"][unit]
                for host, observation in seen
                if observation.get("versions", {}).get(unit)
            }
            for component, unit in _skew.COMPONENTS.items()
        }
    )


def plan(topology, observed, extra=None, allow_outage=False):
    """Return the _upgrade.Plan of a topology, its refusals as (reason, next step) like those of any plan.

    `extra` is {program: {flag: value}}, the user's own arguments.
    """
    settings = topology.settings
    seen = [(host, observed[host.name]) for host in topology.hosts if observed.get(host.name)]
    cluster = _topology.etcd_cluster(topology.hosts, observed)
    hosts = tuple(_host(host, observed.get(host.name), cluster) for host in topology.hosts)
    wanted = _upgrade.Wanted(
        settings.kubernetes_version, settings.etcd_version, settings.upgrade_batch, allow_outage, extra or {}
    )
    made = _upgrade.plan(running_versions(seen), hosts, wanted)
    refusals = tuple((one.reason, one.next_step) for one in made.refusals)
    if any(step.kind in BY_HAND for step in made.steps):
        refusals += (GO_BACK,)
    return replace(made, steps=() if refusals else made.steps, refusals=refusals)


def snapshot_host(topology, observed):
    """Return the host whose etcd member is to be saved: the leader's, else the first healthy voter's; "" without one."""
    cluster = _topology.etcd_cluster(topology.hosts, observed)
    voting = {url: member for member in cluster.voters if member.healthy for url in member.peer_urls}
    members = [(host, voting[host.peer_url]) for host in topology.hosts if host.member and host.peer_url in voting]
    members.sort(key=lambda pair: (pair[1].id != cluster.leader_id, pair[0].name))
    return members[0][0].name if members else ""


def _host(host, observation, cluster):
    units = (observation or {}).get("units") or {}
    members = {url: member for member in cluster.members for url in member.peer_urls}
    member = members.get(host.peer_url) if host.member else None
    return _upgrade.Host(
        name=host.name,
        zone=host.zone,
        master=host.master,
        worker=host.worker,
        member=host.member,
        reachable=bool(observation),
        holds=bool(((observation or {}).get("endpoint_address") or {}).get("held_on")),
        leads=member is not None and member.id == cluster.leader_id,
        votes=member.voter if member else None,
        stopped=tuple(component for component, unit in _skew.COMPONENTS.items() if units.get(unit) in STOPPED),
    )
