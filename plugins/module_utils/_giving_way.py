# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Decide who of two etcd members gives way to the other, because it has to restart and cannot be spared.

Solves: two masters have one voter, and the API stops while that restarts, for whatever reason. Leaves out: the steps of
changing places (``_etcd_plan``), and in which order hosts restart (``_rolling``).

A voter restarts in its turn where the others are a quorum without it ("restart voter x" of ``_quorum``) and no API server in use
has it alone. Where that is not so it gives way or waits for another run. The first of these cases that a group is in counts:

    =============  ====================================  ======================  ===============================================
    case           of which group                        who gives way or waits  why
    =============  ====================================  ======================  ===============================================
    FEW            a member leaves after the turns, and  all voters wait         until it has left, a restart takes the quorum,
                   until then at most two vote, or at                            or from an API server, which starts before the
                   most two stay and an API server is                            turns, the only member that it is to use
                   down
    ENOUGH         more than two stay, or vote until     a voter waits that an   the quorum is kept, but that API server would
                   another leaves                        API server keeps alone  answer nothing
    NO_PAIR        one member; two that are both to      nobody                  nobody could take over: the gate says no to a
                   vote (``even_voters``); a member                              restart, or that it is an outage, which has to
                   that is nobody's; a host unseen                               be allowed
    JOINING        the other of two is new               the voter waits         the other joins as a learner before the turns,
                                                                                 and in the next run they change places
    COMING_BACK    the other of two was taken out by a   the voter waits         it comes back as the learner and restarts as
                   run that was cut off, and has to                              that, which ends the run that was cut off
                   restart
    AT_REST        no voter of two has to restart        nobody                  a learner may restart at any time
    CHANGE_PLACES  a voter of two has to restart         it gives way; one that  docs/adr/0008-two-masters-change-places.md; of
                                                         votes besides waits     two that vote only one can be taken over from
    =============  ====================================  ======================  ===============================================

A dead member that leaves is out before anybody has a turn and counts no more, any other one is a member until all had theirs.
"""

from __future__ import annotations

import dataclasses

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _etcd_scene, _request

FEW, ENOUGH, NO_PAIR, JOINING = "few", "enough", "no pair", "joining"
COMING_BACK, AT_REST, CHANGE_PLACES = "coming back", "at rest", "change places"


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


@dataclasses.dataclass(frozen=True)
class Group:
    """Hold what the case of a group of etcd members is told by, in inventory names.

    `staying`: the hosts whose member stays. Of those `voters`, the leader first, then by name; `kept`: the voters that are all
    that an API server of another host has and keeps in the turns; `new`: who is to join, `out`: who was taken out by a run that
    was cut off and is to come back. `leaving`: the hosts whose member leaves after the turns, `voting`: how many vote until
    then. `starting`: the masters that stay whose API server is down. `known`: each host of `staying` was seen, and each member
    is one of theirs, but for the dead that leave. `even_voters`: the setting.
    """

    staying: tuple = ()
    voters: tuple = ()
    kept: frozenset = frozenset()
    new: frozenset = frozenset()
    out: frozenset = frozenset()
    leaving: frozenset = frozenset()
    voting: int = 0
    starting: frozenset = frozenset()
    known: bool = True
    even_voters: bool = False


def who_restarts(settings, hosts, observed, request, drifted) -> set:
    """Return the names of the hosts whose etcd has to restart, for whatever reason: settings, another version, a roll.

    ``settings``: as `_settings.parse` returns them. ``hosts``: the `_topology.Host` that stay. ``observed``: {inventory name:
    what `multimaster_host` saw}, a missing one was not reached. ``request``: the `_request.Request`. ``drifted``: the names of
    hosts whose etcd runs with other settings than it should.
    """
    names = {host.name for host in hosts if host.member and host.name in drifted}
    if request.kind == _request.UPGRADE:
        running = {host.name: ((observed.get(host.name) or {}).get("versions") or {}).get("etcd") for host in hosts}
        # Who was taken out by a run that was cut off comes back with what is written.
        staying = [host for host in hosts if host.member and not host.etcd_leftover]
        names |= {host.name for host in staying if running[host.name] != settings.etcd_version}
    if request.kind == _request.ROLL:
        names |= {host.name for host in hosts if host.member and host.name in request.nodes}
    return names


def giving_way(settings, hosts, observed, restarting, gone=()) -> GivingWay:
    """Return who gives way and who waits, by the table of this file.

    ``settings``, ``hosts`` and ``observed`` as for `who_restarts`, and ``restarting`` what that returned; ``gone``: the
    `_topology.Host` that are to leave.
    """
    group = group_of(settings, hosts, observed, gone)
    return _ANSWERS[classify(group, restarting)](group, restarting)


def group_of(settings, hosts, observed, gone=()) -> Group:
    """Return the Group that these hosts make; the arguments are those of `giving_way`."""
    members, everybody = [host for host in hosts if host.member], (*hosts, *gone)
    seen = _etcd_scene.cluster(everybody, observed)
    present = {url: member for member in seen.members for url in member.peer_urls}
    leaving = [host for host in gone if _leaves_late(host, present, observed)]
    early = {host.peer_url for host in gone} - {host.peer_url for host in leaving}
    cluster = dataclasses.replace(seen, members=tuple(member for member in seen.members if not early & set(member.peer_urls)))
    there = [(host, present[host.peer_url]) for host in members if host.peer_url in present]
    absent = [host for host in members if host.peer_url not in present]
    voters = sorted((member != cluster.leader, host.name) for host, member in there if member.voter)
    # Of three that stay no API server that stays is to have one alone: one that does moves before its turn (`_turns`).
    unmoved = gone if len(members) > 2 else everybody
    running = dict(_etcd_scene.api_servers(hosts, observed))
    return Group(
        staying=tuple(host.name for host in members),
        voters=tuple(name for _follows, name in voters),
        kept=frozenset(_alone([host for host, member in there if member.voter], unmoved, observed)),
        new=frozenset(host.name for host in absent if not host.etcd_leftover),
        out=frozenset(host.name for host in absent if host.etcd_leftover),
        leaving=frozenset(host.name for host in leaving),
        voting=len(cluster.voters),
        starting=frozenset(host.name for host in hosts if host.master and host.name not in running),
        known=len(cluster.members) == len(there) and all(observed.get(host.name) for host in members),
        even_voters=settings.even_voters,
    )


def classify(group: Group, restarting: set) -> str:
    """Return which case of this file's table a group is in; `restarting`: the names of those that have to restart."""
    many = len(group.staying) > 2
    if group.leaving and (group.voting < 3 or (group.starting and not many)):
        return FEW
    if group.leaving or many:
        return ENOUGH
    if len(group.staying) != 2 or group.even_voters or not group.known:
        return NO_PAIR
    if group.new:
        return JOINING
    if restarting.intersection(group.out):
        return COMING_BACK
    return CHANGE_PLACES if restarting.intersection(group.voters) else AT_REST


def _all_wait(group, restarting):
    """Leave whoever votes to another run."""
    return _wait(group.voters, restarting)


def _kept_wait(group, restarting):
    """Leave a voter that an API server has alone to another run."""
    return _wait(group.kept, restarting)


def _wait(voters, restarting):
    names = tuple(sorted(voters))
    return GivingWay(names, later=tuple(name for name in names if name in restarting))


def _nobody(_group, _restarting):
    """Name nobody."""
    return GivingWay()


def _named(group, _restarting):
    """Name whoever votes, who would give way: whether its settings differ is looked at before the plan is shown."""
    return GivingWay(group.voters)


def _one_gives_way(group, restarting):
    """Let a voter give way to the other member: of two that have to restart the leader.

    A run that was cut off in the middle finds two voters, of which the one that has not restarted gives way; where neither has,
    as far as can be seen, the leader, which the old voter is until it goes. Or it finds one voter and what the other left.
    """
    old, *later = [name for name in group.voters if name in restarting]
    (heir,) = {*group.staying} - {old}
    return GivingWay(group.voters, old, heir, tuple(later))


_ANSWERS = {
    FEW: _all_wait,
    ENOUGH: _kept_wait,
    NO_PAIR: _nobody,
    JOINING: _all_wait,
    COMING_BACK: _all_wait,
    AT_REST: _named,
    CHANGE_PLACES: _one_gives_way,
}


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
