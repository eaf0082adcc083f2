# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Order the steps that lead from the etcd cluster as it is to the wanted one.

Solves: who votes, who joins or leaves next, and what a cut-off run left half done. The plan is made by asking "what is
the one next step?", taking it on a model, and asking again, so what remains after some steps is the rest of the same
plan, wherever a run was cut off. Leaves out: founding (``_bootstrap``), and whether a step is safe at this moment: each
is judged again by ``_quorum.judge`` from a fresh reading before it is taken.

Rules, in the order in which they ask for the next step:

1. A member that was added and never started is started. A dead member that is to leave, or one of ours that provably
   lost its disk, is removed: never add first while one is down, nor add anew who was added and has no data yet.
2. Voters grow in pairs, so that their number stays odd: both newcomers are learners first, then promoted one right
   after the other. Who comes first: the zone with the fewest voters, then the name.
3. Healthy members leave only now, when their replacements vote. Who leaves first: the unhealthy, then the fullest
   zone, the leader last.
4. Odd voters at rest: of an even number of hosts one stands by as a learner. etcd has no demotion, so a voter too many
   is removed and added again, unless its host cannot be looked at and so could not come back.
5. An API server uses its own member when that votes, else all voters. It is pointed elsewhere before what it uses is
   removed; for the rest, at the end; never from members that serve to one that does not.

Nothing is removed because an inventory is short: a member that no host accounts for stays, and while one votes nobody
is demoted. Only what ``Wanted.leaving`` names exactly is removed.
"""

from __future__ import annotations

import itertools
import typing
from dataclasses import dataclass, replace

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _membership
from ansible_collections.multimaster.kubernetes.plugins.module_utils._quorum import (
    ADD_LEARNER,
    KINDS,
    MAX_LEARNERS,
    PROMOTE,
    REMOVE,
    Cluster,
    Member,
    Step,
    Verdict,
    hex_id,
    judge,
    next_leader,
    placement_losses,
    removal,
)

# Steps of a plan besides those that _quorum judges: they change no membership.
START = "start"  # start etcd on a host that is a member already
REPOINT = "repoint"  # drain an API server, restart it with the step's URLs as --etcd-servers, see it ready

# A member is at most started, repointed twice, promoted, removed, added and promoted again: more means a circle.
STEPS_PER_MEMBER = 8


@dataclass(frozen=True)
class Host:
    """One wanted etcd host: its node name, zone and etcd URLs.

    ``data``: whether etcd's data folder holds something; None is unknown, and such a host is left alone. ``leftover``:
    that data is known to come from a member that was removed, so a join may wipe it. ``unasked``: its member may serve, though
    it told nothing: nobody could ask it.
    """

    name: str
    zone: str = ""
    peer_url: str = ""
    client_url: str = ""
    data: bool | None = None
    leftover: bool = False
    unasked: bool = False


@dataclass(frozen=True)
class Wanted:
    """The wanted cluster.

    ``leaving``: exact ids, names or peer URLs of members to remove (it wins over ``hosts``). ``api_servers``: (node
    name, etcd URLs in use) of each API server that runs now, those of leaving masters too. ``stand_by``: the host that is to
    stand by as the learner, where one has to: a lone voter that must restart so gives way to the other.
    """

    hosts: tuple = ()
    even_voters: bool = False
    leaving: tuple = ()
    api_servers: tuple = ()
    stand_by: str = ""

    @property
    def staying(self):
        """Return the hosts that are not to leave, by name; one that is listed twice counts once."""
        staying = [host for host in self.hosts if not {host.name, host.peer_url} & set(self.leaving)]
        by_name = {host.name: host for host in sorted(staying, key=lambda host: (host.name, host.peer_url))}
        return tuple(by_name.values())


@dataclass(frozen=True)
class Roles:
    """Who is to vote and who stands by, at rest; names in order."""

    voters: tuple = ()
    learners: tuple = ()


class Obstacle(typing.NamedTuple):
    """A host that the plan leaves alone, why, and what to do; there ``{host}`` stands for its name in the inventory."""

    host: str
    reason: str
    next_step: str


@dataclass(frozen=True)
class Planned:
    """A step of the plan with its expected verdict (None for a step that changes no membership), and the cluster around it."""

    step: Step
    verdict: Verdict | None = None
    before: Cluster = Cluster()
    after: Cluster = Cluster()


def preview(observed: Cluster, wanted: Wanted) -> tuple:
    """Return the plan with each step's expected verdict, as far as today's health lets us tell.

    It is empty when the wanted cluster is reached, or when there is no cluster to join.
    """
    return _followed(observed, wanted)[0]


def at_rest(observed: Cluster, wanted: Wanted) -> Roles:
    """Return who votes and who stands by when the plan is done.

    Asked at its beginning, ``wanted_roles`` may name another standby than in the end: the leader changes on the way.
    """
    return wanted_roles(*_followed(observed, wanted)[1:])


def at_end(observed: Cluster, wanted: Wanted) -> Cluster:
    """Return the cluster as it will be when the plan is done, by which later steps are judged beforehand."""
    return _followed(observed, wanted)[1]


def _followed(observed, wanted):
    """Return the plan with its verdicts, and the model of cluster and wanted cluster at its end."""
    planned = []
    for _step in range(STEPS_PER_MEMBER * (len(observed.members) + len(wanted.hosts) + len(wanted.api_servers) + 1)):
        step = _next_step(observed, wanted)
        if step is None:
            return tuple(planned), observed, wanted
        before, verdict = observed, judge(observed, step) if step.kind in KINDS else None
        observed, wanted = _taken(observed, wanted, step)
        planned.append(Planned(step, verdict, before, observed))
    raise AssertionError(f"the plan does not end: {phases(one.step for one in planned)}")


def together(standing: int) -> int:
    """Return how many hosts join before the first of them votes: a pair, as far as learners that stay such leave places.

    ``standing``: how many of those there are from the beginning; who is to stand by and is new joins last.
    """
    return max(1, min(2, MAX_LEARNERS - standing))


def phases(plan) -> tuple:
    """Return the plan as (kind, targets): neighbouring steps of one kind together."""
    return tuple(
        (kind, tuple(step.target for step in steps)) for kind, steps in itertools.groupby(plan, key=lambda step: step.kind)
    )


def etcd_endpoints(host: str, members) -> tuple:
    """Return the etcd URLs for the API server on this node: its own member's when that votes, else all voters'.

    A learner serves no clients (etcd docs, "Learner"), and a member that never started has no client URL.
    """
    voters = sorted((member for member in members if member.voter and member.client_urls), key=lambda m: m.name)
    own = [member for member in voters if member.name == host]
    return tuple(url for member in own or voters for url in member.client_urls)


def repointed(host: str, used, members) -> tuple | None:
    """Return the etcd URLs that the API server on this node is to use instead of these, None when it stays with them.

    It stays with members that serve as long as the one it belongs to does not.
    """
    urls = etcd_endpoints(host, members)
    moves = set(used) != set(urls) and (_serves(members, urls) or not _serves(members, used))
    return urls if moves else None


def wanted_roles(observed: Cluster, wanted: Wanted) -> Roles:
    """Return who votes at rest: all hosts of an odd number, all but one of an even one.

    Who stands by: who is asked to; else whose voting costs the survival of a zone; else who does not vote yet (an outsider
    before a learner, the last to join first); else the first to leave. A host that cannot join now (see ``obstacles``) has no
    role yet, except before the cluster is founded.
    """
    hosts = [host for host in wanted.staying if not observed.voters or _member(observed, host) or _may_join(observed, host)]
    names = tuple(host.name for host in hosts)
    others = _unaccounted_voters(observed, wanted)
    present = _voting(observed, wanted)
    candidates = [host for host in hosts if not others or host.name not in present]
    if (len(hosts) + len(others)) % 2 or wanted.even_voters or not candidates:
        return Roles(names)
    joining = join_order(observed, wanted)
    leaving = leave_order(observed, wanted, present)

    def rank(host):
        if host.name == wanted.stand_by:
            return (False, -1, 0)
        zones = [other.zone for other in hosts if other != host] + [f"\0{member.id}" for member in others]
        if host.name in present:
            return not _survives_zones(zones), 2, leaving.index(host.name)
        return not _survives_zones(zones), int(_learns(observed, host)), -joining.index(host.name)

    standby = min(candidates, key=rank).name
    return Roles(tuple(name for name in names if name != standby), (standby,))


def join_order(observed: Cluster, wanted: Wanted) -> tuple:
    """Return the names of the hosts that do not vote: the zone with the fewest voters first, then by name."""
    present = _voting(observed, wanted)
    count = {host.zone: 0 for host in wanted.staying}
    for host in wanted.staying:
        count[host.zone] += host.name in present
    waiting = [host for host in wanted.staying if host.name not in present]
    order = []
    while waiting:
        first = min(waiting, key=lambda host: (count[host.zone], host.name))
        waiting.remove(first)
        count[first.zone] += 1
        order.append(first.name)
    return tuple(order)


def leave_order(observed: Cluster, wanted: Wanted, names) -> tuple:
    """Return these hosts or members in the order of leaving: the unhealthy, then the fullest zone, the leader last."""
    host_of = {host.name: host for host in wanted.hosts}
    zone_of = {member.id: host.zone for host in wanted.hosts for member in [_member(observed, host)] if member}
    voting = [zone_of[member.id] for member in observed.voters if member.id in zone_of]
    waiting = {name: _member(observed, host_of.get(name, Host(name))) or _NOBODY for name in names}

    def rank(name):
        member = waiting[name]
        return member.healthy is not True, member.id != observed.leader_id, voting.count(zone_of.get(member.id)), name

    order = []
    while waiting:
        first = max(waiting, key=rank)
        member = waiting.pop(first)
        if member.voter and member.id in zone_of:
            voting.remove(zone_of[member.id])
        order.append(first)
    return tuple(order)


def obstacles(observed: Cluster, wanted: Wanted) -> tuple:
    """Return what keeps hosts out of the plan, who leaves and could not be asked, and the members nobody accounts for."""
    found = []
    for host in wanted.staying:
        member = _member(observed, host)
        if member is not None and member.voter and _lost(host, member):
            called = member.name or hex_id(member.id)
            reason = f"its etcd member {called} ran and this host has lost the data: it must not start again"
            found.append(Obstacle(host.name, reason, "replace_node.yml -e node={host}"))
            continue
        if member is not None and not _never_ran(member):
            continue
        if host.data is None:
            reason = "it is not known whether it holds etcd data, so it can neither join nor be started"
            found.append(Obstacle(host.name, reason, "make it reachable and run again"))
        elif member is None and host.data and not host.leftover and observed.healthy:  # else nobody knows who is a member
            reason = "it holds etcd data and is no member of this cluster; joining would wipe the data"
            found.append(Obstacle(host.name, reason, f"find out whose data they are; {_membership.ASIDE}"))
    for host, member in _untold(observed, wanted):
        who = member.name or hex_id(member.id)
        reason = f"its etcd member {who} may run, and could not be asked whether it serves or may go as dead"
        remedy = "site.yml gives each listed host its certificates; where it is dead, stop etcd on this host; then run again"
        found.append(Obstacle(host.name, reason, remedy))
    for member in _strays(observed, wanted):
        reason = "it is a member of the etcd cluster and no host of the inventory accounts for it"
        remedy = f"list its host again; only if the machine is gone for good: {removal(member.id)}"
        found.append(Obstacle(member.label, reason, remedy))
    return tuple(found)


_NOBODY = Member("")


def _member(observed, host):
    """Return the host's member: by its peer URL, which a member has before its name, else by its name."""
    for target in (host.peer_url, host.name):
        found = observed.called(target)
        if found:
            return found[0]
    return None


def _learns(observed, host):
    member = _member(observed, host)
    return member is not None and member.is_learner


def _leaving(observed, wanted):
    """Return the members named to leave."""
    return [member for member in observed.members if any(member.called(target) for target in wanted.leaving)]


def _untold(observed, wanted):
    """Return (host, its member) of each member that is to leave and could not be asked."""
    going = _leaving(observed, wanted)
    return [(host, member) for host in wanted.hosts if host.unasked for member in [_member(observed, host)] if member in going]


def _strays(observed, wanted):
    """Return the members that neither a host nor the leaving account for."""
    known = {member.id for host in wanted.hosts for member in [_member(observed, host)] if member}
    known |= {member.id for member in _leaving(observed, wanted)}
    return [member for member in observed.members if member.id not in known]


def _unaccounted_voters(observed, wanted):
    return [member for member in _strays(observed, wanted) if member.voter]


def _never_ran(member):
    """Return whether it was added, or named at the founding, and never published itself (name and client URLs)."""
    return member.healthy is not True and not member.client_urls


def _lost(host, member):
    """Return whether a member that once ran has provably lost its disk; it must never start again."""
    return host.data is False and member.healthy is not True and not _never_ran(member)


def lost(observed: Cluster, wanted: Wanted) -> tuple:
    """Return the names of the staying hosts whose member once ran and whose disk is provably gone."""
    return tuple(host.name for host, member in _staying(observed, wanted) if _lost(host, member))


def _voting(observed, wanted):
    """Return the names of the staying hosts whose member votes and has its data."""
    return {host.name for host, member in _staying(observed, wanted) if member.voter and not _lost(host, member)}


def _survives_zones(zones):
    """Return whether voters in these zones keep quorum when any one zone is lost."""
    return bool(zones) and all(loss.survives for loss in placement_losses(zones))


def _may_join(observed, host):
    """Return whether a host outside the cluster can be added: it holds no data, or only a removed member's."""
    return _member(observed, host) is None and (host.data is False or (host.data is True and host.leftover))


def _next_step(observed, wanted):
    """Return the one next step, or None at the end; the numbers are those of the module's docstring."""
    if not observed.voters:
        return None
    return (
        _repair(observed, wanted)
        or _grow(observed, wanted)
        or _shrink(observed, wanted)
        or _stand_by(observed, wanted)
        or _repoint_rest(observed, wanted)
    )


def _repair(observed, wanted):
    """1: finish half-done joins, remove the dead.

    A half-done member without data is removed and added anew when it is started (``_membership``), so the dead go first.
    """
    going = _leaving(observed, wanted)
    half_done = [host for host, member in _staying(observed, wanted) if member not in going and _never_ran(member)]
    for host in half_done:
        if host.data:
            return Step(START, host.name, _HALF_DONE)
    for target, why in _removals(observed, wanted):
        return _repoint_before(observed, wanted, target) or Step(REMOVE, target, why)
    for host in half_done:
        if host.data is False:
            return Step(START, host.name, _HALF_DONE)
    return None


def dead(observed: Cluster, wanted: Wanted) -> tuple:
    """Return the members that go before any is added, in order, as the steps that remove them name them."""
    return tuple(target for target, _why in _removals(observed, wanted))


def _removals(observed, wanted):
    """Return (target, why) of each: those that are to leave and are not healthy, then ours that lost their data.

    Who could not be asked leaves with the healthy, after its successor votes.
    """
    untold = [member for _host, member in _untold(observed, wanted)]
    ill = [m.name or m.id for m in _leaving(observed, wanted) if m.healthy is not True and m not in untold]
    return [
        *((target, "it is to leave and is not healthy") for target in leave_order(observed, wanted, ill)),
        *((member.name or member.id, _LOST) for host, member in _staying(observed, wanted) if _lost(host, member)),
    ]


def _staying(observed, wanted):
    """Return (host, its member) of each host that stays and has one."""
    return [(host, member) for host in wanted.staying for member in [_member(observed, host)] if member]


_HALF_DONE = "it is a member and has never run"
_LOST = "it lost its data: it may only come back as a new member"


def _grow(observed, wanted):
    """2: add learners and promote them, in pairs."""
    voters = wanted_roles(observed, wanted).voters
    host_of = {host.name: host for host in wanted.staying}
    coming = [host_of[name] for name in join_order(observed, wanted) if name in voters]
    learning = [member for host in coming for member in [_member(observed, host)] if member]
    joining = [host for host in coming if _may_join(observed, host)]
    places = MAX_LEARNERS - (len(observed.learners) - len(learning))
    together = 1 if len(observed.voters) % 2 == 0 else min(2, places)
    if learning and (len(learning) >= together or not joining):
        return Step(PROMOTE, learning[0].name or learning[0].id, f"it makes {len(observed.voters) + 1} voters")
    if joining and len(observed.learners) < MAX_LEARNERS:
        return Step(ADD_LEARNER, joining[0].name, "it is to become a voter")
    return None


def _shrink(observed, wanted):
    """3 and 4: let members leave, and turn a voter too many into the standby."""
    roles = wanted_roles(observed, wanted)
    present = _voting(observed, wanted)
    going = leave_order(observed, wanted, [member.name or member.id for member in _leaving(observed, wanted)])
    why = "it is to leave"
    if not going and set(roles.voters) <= present:
        # who cannot be looked at could not come back, nor be told that the data it holds are its own former member's
        seen = {host.name for host in wanted.staying if host.data is not None}
        going = tuple(name for name in roles.learners if name in present & seen)
        why = "voters stay odd at rest: it comes back as a learner"
    for target in going:
        return _repoint_before(observed, wanted, target) or Step(REMOVE, target, why)
    return None


def _repoint_before(observed, wanted, target):
    """5: point an API server elsewhere when nothing that it uses would be left, or nothing of it would serve."""
    left = [member for member in observed.members if not member.called(target)]
    known = {url for member in left if member.voter for url in member.client_urls}
    for host, used in sorted(wanted.api_servers):
        if _serves(left, used) or (set(used) & known and not _serves(observed.members, used)):
            continue
        for urls in (_endpoints_at_rest(host, left, observed, wanted), etcd_endpoints(host, left)):
            if _serves(left, urls):
                return Step(REPOINT, host, f"{target}, which it uses, is about to be removed", urls=urls)
    return None


def _serves(members, urls):
    """Return whether one of these etcd URLs is a healthy voter's."""
    return any(url in urls for member in members if member.voter and member.healthy is True for url in member.client_urls)


def _stand_by(observed, wanted):
    """4: add the standby learner."""
    learners = wanted_roles(observed, wanted).learners
    for host in wanted.staying:
        if host.name in learners and _may_join(observed, host) and len(observed.learners) < MAX_LEARNERS:
            return Step(ADD_LEARNER, host.name, "it stands by as a learner, so that voters stay odd")
    return None


def _repoint_rest(observed, wanted):
    """5: point every API server where it belongs."""
    for host, used in sorted(wanted.api_servers):
        urls = repointed(host, used, observed.members)
        if urls is not None:
            return Step(REPOINT, host, "the voters have changed", urls=urls)
    return None


def _endpoints_at_rest(host, left, observed, wanted):
    """Return the etcd URLs for an API server among these voters that are neither leaving nor to become the standby."""
    going = {member.id for member in _leaving(observed, wanted)}
    standby = wanted_roles(observed, wanted).learners
    going |= {m.id for h in wanted.staying if h.name in standby for m in [_member(observed, h)] if m}
    return etcd_endpoints(host, [member for member in left if member.id not in going])


def _taken(observed, wanted, step):
    """Return the model after a step that went well."""
    if step.kind == REPOINT:
        servers = tuple((host, step.urls if host == step.target else used) for host, used in wanted.api_servers)
        return observed, replace(wanted, api_servers=servers)
    host = next((h for h in wanted.hosts if step.target == h.name), None)
    member = _member(observed, host or Host(step.target))
    host = host or next((h for h in wanted.hosts if member and _member(observed, h) == member), Host(step.target))
    others = tuple(one for one in observed.members if one != member)
    if step.kind == REMOVE:
        hosts = tuple(replace(h, leftover=True) if h == host and h.data else h for h in wanted.hosts)
        leader = (next_leader(observed, member) or _NOBODY).id if observed.leader_id == member.id else observed.leader_id
        return replace(observed, members=others, leader_id=leader), replace(wanted, hosts=hosts)
    hosts = tuple(replace(h, data=True, leftover=False) if h == host else h for h in wanted.hosts)
    peer_urls = (host.peer_url,) if host.peer_url else ()
    new = member or Member(f"new:{host.name}", is_learner=True, peer_urls=peer_urls, zone=host.zone)
    new = replace(
        new,
        name=new.name or host.name,
        healthy=True,
        is_learner=new.is_learner and step.kind != PROMOTE,
        client_urls=new.client_urls or ((host.client_url,) if host.client_url else ()),
    )
    members = (*others, new)
    return replace(observed, members=members, ours=observed.ours | {new.name}), replace(wanted, hosts=hosts)
