# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Decide who of two etcd members gives way to the other, because it has to restart and cannot be spared.

Solves: two masters have one voter, and the API stops while that restarts, for whatever reason. Leaves out: the steps of
changing places (``_etcd_plan``), and in which order hosts restart (``_rolling``).
"""

from __future__ import annotations

import dataclasses

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _etcd_scene, _request


@dataclasses.dataclass(frozen=True)
class GivingWay:
    """Hold who gives way to whom in a group of two etcd members, in inventory names.

    Restarting a voter of such a group in place would be an outage of the API. So the other votes instead, and it comes back as
    the learner that stands by, whatever it has to restart for. `voters`: those that cannot restart in place, () when none could
    be taken over from; `old`: the one that gives way, `heir`: the other, "" for nobody; `later`: voters that have to restart
    too and do so in another run, since of two that vote only one can give way at a time, and none to a member that leaves.
    """

    voters: tuple = ()
    old: str = ""
    heir: str = ""
    later: tuple = ()


def who_restarts(settings, hosts, observed, request, drifted):
    """Return the names of the hosts whose etcd has to restart, for whatever reason: settings, another version, a roll."""
    names = {host.name for host in hosts if host.member and host.name in drifted}
    if request.kind == _request.UPGRADE:
        running = {host.name: ((observed.get(host.name) or {}).get("versions") or {}).get("etcd") for host in hosts}
        # Who was taken out by a run that was cut off comes back with what is written.
        staying = [host for host in hosts if host.member and not host.etcd_leftover]
        names |= {host.name for host in staying if running[host.name] != settings.etcd_version}
    if request.kind == _request.ROLL:
        names |= {host.name for host in hosts if host.member and host.name in request.nodes}
    return names


def giving_way(settings, hosts, observed, restarting, gone=()):
    """Return the GivingWay of a group of two members, of which those in `restarting` have to restart; `gone` are to leave.

    A dead member that leaves is out before anybody has a turn, any other one after all turns: until then no other one of so
    few can restart. One that is new joins as a learner before the turns, so the lone voter waits for the next run, in which
    they change places. A run that was cut off in the middle finds two voters, of which the one that has not restarted gives
    way; where neither has, as far as can be seen, the leader, which the old voter is until it goes. Or it finds one voter and
    what the other left.
    """
    members, seen = [host for host in hosts if host.member], _etcd_scene.cluster((*hosts, *gone), observed)
    present = {url: member for member in seen.members for url in member.peer_urls}
    late = [host for host in gone if _leaves_late(host, present, observed)]
    early = {host.peer_url for host in gone} - {host.peer_url for host in late}
    cluster = dataclasses.replace(seen, members=tuple(member for member in seen.members if not early & set(member.peer_urls)))

    def left_to_the_next(names):
        return GivingWay(names, later=tuple(name for name in names if name in restarting))

    def voters(servers=None):
        """Return the names of those that stay and vote: all, or those that the API server of another of these hosts has alone."""
        names = {host.name for host in members if host.peer_url in present and present[host.peer_url].voter}
        return tuple(sorted(names if servers is None else names & _alone(members, servers, observed)))

    # Of three that stay no API server that stays is to have one alone: one that does moves before its turn (`_turns`).
    served = gone if len(members) > 2 else (*hosts, *gone)
    if late:
        running = dict(_etcd_scene.api_servers(hosts, observed))
        # One that is down starts before the turns with what it is to use, of two members one alone.
        starts = len(members) < 3 and any(host.master and host.name not in running for host in hosts)
        return left_to_the_next(voters() if len(cluster.voters) < 3 or starts else voters(served))
    known = [member for host in members for member in [present.get(host.peer_url)] if member]
    there = all(observed.get(host.name) for host in members)
    if settings.even_voters or len(members) != 2 or len(cluster.members) != len(known) or not there:
        return left_to_the_next(voters(served) if len(members) > 2 else ())
    if not all(host.peer_url in present or host.etcd_leftover for host in members):
        return left_to_the_next(voters())

    def rank(host):
        return present[host.peer_url] != cluster.leader, host.name

    names = tuple(host.name for host in sorted((host for host in members if host.name in voters()), key=rank))
    asked = tuple(name for name in names if name in restarting)
    if any(host.name in restarting for host in members if host.peer_url not in present):
        # It comes back as the learner and restarts as that, which ends the run that was cut off.
        return GivingWay(names, later=asked)
    if not asked:
        return GivingWay(names)
    heir = next(host.name for host in members if host.name != asked[0])
    return GivingWay(names, asked[0], heir, asked[1:])


def _alone(members, servers, observed):
    """Return the names of the members that are all that the running API server of another host, one of these, has."""
    running = _etcd_scene.api_servers(servers, observed)
    return {host.name for host in members if _etcd_scene.alone_on([host.client_url], running) - {host.name}}


def _leaves_late(host, present, observed):
    """Return whether a host that leaves has a member that does so after the turns: the dead are taken out before."""
    member = present.get(host.peer_url) if host.member else None
    return member is not None and (member.healthy is True or _etcd_scene.unasked(observed.get(host.name)))


def learners_started(cluster, hosts, observed):
    """Return the cluster with each learner of a host that has its data running.

    A run that was cut off may have left it stopped; the playbooks start who is down before it votes (etcd_member waits until it
    is in sync, or says why it is not), and the gate judges that step anew.
    """
    seen = {host.peer_url for host in hosts if ((observed.get(host.name) or {}).get("etcd") or {}).get("data")}
    return dataclasses.replace(
        cluster,
        members=tuple(
            dataclasses.replace(member, healthy=True)
            if member.is_learner and member.started and seen & set(member.peer_urls)
            else member
            for member in cluster.members
        ),
    )
