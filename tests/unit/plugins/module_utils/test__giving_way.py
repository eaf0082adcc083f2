# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restart etcd on two masters for any reason, cut off anywhere, and never have fewer voters than quorum asks for."""

from __future__ import annotations

import dataclasses
import itertools
import re

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _giving_way,
    _quorum,
    _request,
    _topology,
    _upgrade_scene,
)
from cluster_fixtures import address, fresh, inventory, living, member, settings, status

M1, M2 = PAIR = ("m1", "m2")
VOTER, LEARNER, OUT = "voter", "learner", ""
DRIFT, ROLL, UPGRADE = REASONS = ("drift", "roll", "upgrade")
OLD, NEW = "3.6.16", "3.6.17"
# Runs that finish whatever a cut left behind: at most one for each host, and one that finds nothing to do.
RUNS = 3


def url(name):
    return f"https://{address(name)}:2379"


class Pair:
    """Two masters and their etcd, changed act by act in the order of the playbooks.

    `old`: who has to restart still; `stopped`: whose etcd was stopped and not started again; `api`: {master: etcd URLs in use}.
    """

    def __init__(self, roles, leader, old):
        self.roles, self.leader, self.old = dict(roles), leader, set(old)
        self.stopped, self.leftover = set(), set()
        self.api = {name: [url(name)] if role == VOTER else [url(leader)] for name, role in self.roles.items()}

    def voters(self):
        return [name for name in PAIR if self.roles[name] == VOTER]

    def observed(self, reason=""):
        """Return what would be observed; of an upgrade the version that runs tells who has to restart."""
        members = [member(name, learner=self.roles[name] == LEARNER) for name in PAIR if self.roles[name]]
        seen = {name: living(name, members) for name in PAIR}
        for name in PAIR:
            answers = self.roles[name] and name not in self.stopped
            seen[name]["etcd"] = {
                "data": True,
                "record": None,
                "unit": "active" if answers else "failed",
                "status": status(name, members, leader=self.leader) if answers else None,
            }
            seen[name]["versions"]["etcd"] = OLD if reason != UPGRADE or name in self.old else NEW
            seen[name]["api_server"] = {"etcd_servers": self.api[name]}
            seen[name]["cluster"] = {"name": "prod", "etcd_leftover": name in self.leftover}
        return seen

    def topology(self, reason):
        """Return what is decided for a reason; whose settings differ is seen of voters alone (playbooks/phases/observe.yml)."""
        request = {ROLL: _request.Request(_request.ROLL, tuple(sorted(self.old))), UPGRADE: _request.Request(_request.UPGRADE)}
        asked = request.get(reason, _request.CONVERGING) if self.old else _request.CONVERGING
        listed, seen = inventory(PAIR), self.observed(reason)
        wished = settings(etcd_version=NEW if reason == UPGRADE else OLD)
        first = _topology.build(wished, listed, seen, True, request=asked)
        drifted = [name for name in first.giving.voters if reason == DRIFT and name in self.old]
        return _topology.build(wished, listed, seen, True, request=asked, drifted=drifted)

    def judged(self, kind, name):
        """Want the gate to let a step pass, on what is so at that moment."""
        members = tuple(_quorum.Member(n, n, self.roles[n] == LEARNER, n not in self.stopped) for n in PAIR if self.roles[n])
        verdict = _quorum.judge(_quorum.Cluster(members, self.leader, ("c",), ours=frozenset(PAIR)), _quorum.Step(kind, name))
        assert verdict.safe, verdict.reason

    def check(self):
        """Want a quorum of healthy voters, and every API server whose host does not restart to reach one."""
        healthy = [name for name in self.voters() if name not in self.stopped]
        assert len(healthy) >= _quorum.quorum(len(self.voters()))
        assert self.leader in healthy
        serving = {url(name) for name in healthy}
        assert all(serving & set(self.api[name]) for name in PAIR if name not in self.stopped)

    # acts, each a generator's step

    def run(self, reason):
        """Do what site.yml, roll.yml or upgrade.yml does; yield after each act."""
        made = self.topology(reason)
        assert made.plan.refusals == ()
        orders, hosts = dict(made.order), {host.name: host for host in made.hosts}
        yield from self.rolled(orders["roll"], {name: hosts[name].etcd_now for name in PAIR})
        if reason == ROLL and self.old and not orders["roll_late"]:
            return
        # phases/etcd.yml: who is down and learners, then newcomers and voters to be
        for name in sorted(self.stopped):
            self.stopped.discard(name)
            yield f"start {name}"
        if reason != ROLL:
            for name in made.etcd.learners:
                yield from self.restarted(name)
        for name in orders["grow"]:
            yield from self.joined(name, reason)
            if hosts[name].voter and self.roles[name] != VOTER:
                self.judged(_quorum.PROMOTE, name)
                self.roles[name] = VOTER
                yield f"promote {name}"
        # phases/turns.yml
        late = [name for name in self.voters() if name not in (*orders["demote"], *made.giving.later, *made.etcd.learners)]
        for name in late if reason != ROLL else ():
            yield from self.restarted(name)
        for name in PAIR:
            if set(self.api[name]) != set(hosts[name].etcd_endpoints):
                self.api[name] = list(hosts[name].etcd_endpoints)
                yield f"repoint {name}"
        # phases/demote.yml
        for name in orders["demote"]:
            self.leftover.add(name)
            yield f"{name} has a leftover"
            self.judged(_quorum.REMOVE, name)
            (self.leader,) = {*self.voters()} - {name}
            yield f"{self.leader} leads"
            self.roles[name] = OUT
            yield f"remove {name}"
            yield from self.joined(name, reason)
        yield from self.rolled(orders["roll_late"], {name: hosts[name].etcd_endpoints for name in PAIR})

    def joined(self, name, reason):
        if self.roles[name] == OUT:
            assert name in self.leftover, "data of nobody knows whom would be wiped"
            self.judged(_quorum.ADD_LEARNER, name)
            self.roles[name] = LEARNER
            if reason != ROLL:
                self.old.discard(name)  # it starts with what is written
            yield f"add {name}"
        self.leftover.discard(name)
        yield f"{name} has no leftover"

    def restarted(self, name):
        if name in self.old:
            self.judged(_quorum.RESTART, name)
            self.stopped.add(name)
            yield f"stop {name}"
            self.stopped.discard(name)
            self.old.discard(name)
            yield f"start {name}"

    def rolled(self, names, servers):
        for name in names:
            yield from self.restarted(name)
            self.api[name] = list(servers[name])
            yield f"{name} is used again"


def run(pair, reason, cut=1000):
    """Run until the end or until cut off after so many acts; return whether it came to its end."""
    acts = pair.run(reason)
    for _act in range(cut):
        try:
            next(acts)
        except StopIteration:
            return True
        pair.check()
    return False


STATES = {
    "m1 votes": ({M1: VOTER, M2: LEARNER}, M1),
    "m2 votes": ({M1: LEARNER, M2: VOTER}, M2),
    "both vote, m1 leads": ({M1: VOTER, M2: VOTER}, M1),
    "both vote, m2 leads": ({M1: VOTER, M2: VOTER}, M2),
}
SOME = [set(names) for size in (1, 2) for names in itertools.combinations(PAIR, size)]
LONGEST = 20
# A run that goes on is cut off too, here and there; 0: it is not.
SECOND = (0, 1, 4, 7)


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("old", SOME, ids=lambda names: "+".join(sorted(names)))
@pytest.mark.parametrize("state", STATES)
def test_cut_off_after_any_act_the_same_command_finishes_and_quorum_is_kept(state, old, reason):
    cuts = 0
    for first, second in itertools.product(range(LONGEST + 1), SECOND):
        pair = Pair(*STATES[state], old)
        ended = run(pair, reason, first)
        run(pair, reason, second)
        for _again in range(RUNS):
            run(pair, reason)
        assert not pair.old, (first, second)
        assert sorted(pair.roles.values()) == [LEARNER, VOTER]
        made = pair.topology(reason)
        assert not pair.stopped and not any(host.etcd_leftover for host in made.hosts)
        assert made.plan.steps == () and made.giving.old == ""
        assert all(set(pair.api[host.name]) == set(host.etcd_endpoints) for host in made.hosts)
        cuts += not ended
    assert cuts


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("old", SOME, ids=lambda names: "+".join(sorted(names)))
@pytest.mark.parametrize("state", ["m1 votes", "m2 votes"])
def test_without_a_cut_one_run_is_enough(state, old, reason):
    pair = Pair(*STATES[state], old)
    assert run(pair, reason) and not pair.old


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize(("state", "learner"), [("m1 votes", M2), ("m2 votes", M1)])
def test_who_does_not_vote_restarts_and_nobody_changes_places(state, learner, reason):
    made = Pair(*STATES[state], {learner}).topology(reason)
    assert made.giving.old == "" and made.etcd.planned == () and dict(made.order)["roll_late"] == []


@pytest.mark.parametrize("reason", [DRIFT, ROLL])
def test_a_learner_that_a_cut_left_stopped_is_started_and_votes(reason):
    pair = Pair(*STATES["m1 votes"], {M1})
    pair.stopped = {M2}
    assert run(pair, reason) and pair.voters() == [M2]


@pytest.mark.parametrize("state", ["m1 votes", "m2 votes"])
def test_nothing_to_restart_is_nothing_to_do(state):
    made = Pair(*STATES[state], ()).topology(DRIFT)
    assert made.plan.lines() == ()


NOTE = "etcd of m1 has to restart and cannot be spared: m2 votes instead of it, and m1 comes back as the learner that stands by"
ONE, TWO = "1 of 1 healthy, quorum 1", "2 of 2 healthy, quorum 2"
CHANGING_PLACES = [
    f"promote      m2           it makes 2 voters   [etcd: {ONE} -> {TWO}]",
    "repoint      m1, m2       m1, which it uses, is about to be removed   "
    "[restarts kube-apiserver, kube-controller-manager, kube-scheduler]",
    f"remove       m1           voters stay odd at rest: it comes back as a learner   [etcd: {TWO} -> {ONE}]",
    "add_learner  m1           it stands by as a learner, so that voters stay odd   [restarts etcd]",
]
RESTART = "restart      {}           drained, its API server drained in every balancer, the etcd leadership moved first"
GOLDEN = {
    "drift of both": (DRIFT, PAIR, CHANGING_PLACES),
    "drift of the voter": (DRIFT, {M1}, CHANGING_PLACES),
    "roll of both": (ROLL, PAIR, [RESTART.format(M2), *CHANGING_PLACES, RESTART.format(M1)]),
    "roll of the voter": (ROLL, {M1}, [*CHANGING_PLACES, RESTART.format(M1)]),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_plan_says_it_step_by_step(name):
    reason, old, lines = GOLDEN[name]
    pair = Pair(*STATES["m1 votes"], old)
    numbered = [f"{number:3}. {line}" for number, line in enumerate(lines, 1)]
    assert list(pair.topology(reason).plan.lines()) == [*numbered, NOTE]


@pytest.mark.parametrize(("state", "asked"), [("m1 votes", (M2,)), ("m1 votes", ("w1",)), ("both vote, m2 leads", ("w1",))])
def test_a_roll_promises_nothing_of_a_voter_that_it_was_not_asked_to_restart(state, asked):
    pair = Pair(*STATES[state], ())
    seen = {**pair.observed(), "w1": living("w1", [], master=False)}
    request = _request.Request(_request.ROLL, asked)
    made = _topology.build(settings(), inventory(PAIR, ["w1"]), seen, True, request=request, drifted=PAIR)
    assert made.giving.old, "its settings differ"
    assert [(step.kind, step.host) for step in made.plan.steps] == [("restart", *asked)]
    assert made.plan.notes == () and dict(made.order)["roll_late"] == []


def test_the_plan_of_an_upgrade_says_it_in_one_step_and_does_the_same():
    pair = Pair(*STATES["m1 votes"], PAIR)
    seen, made = pair.observed(UPGRADE), pair.topology(UPGRADE)
    for observation in seen.values():
        programs = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
        observation["versions"].update(dict.fromkeys(programs, made.settings.kubernetes_version))
        observation["units"].update(dict.fromkeys((*programs, "etcd"), "active"))
    plan = _upgrade_scene.plan(made, seen)
    said = [f"{step.kind} {','.join(step.hosts)}" for step in plan.steps]
    assert said == ["fetch m1,m2", "snapshot m1", "master m2", "swap m1"]
    assert NOTE not in plan.notes, "the swap says it"
    assert made.etcd.planned == Pair(*STATES["m1 votes"], PAIR).topology(DRIFT).etcd.planned


def test_of_two_voters_that_both_have_to_restart_the_other_is_left_to_the_next_run():
    for reason in (DRIFT, ROLL):
        made = Pair(*STATES["both vote, m2 leads"], PAIR).topology(reason)
        assert (made.giving.old, made.giving.later) == (M2, (M1,))
        assert "etcd of m1 has to restart too and cannot be spared in this run: run the same again, for m1" in made.plan.lines()


@pytest.mark.parametrize("allowed", [False, True])
def test_a_lone_master_restarts_only_when_that_is_allowed(allowed):
    seen = {M1: living(M1, [member(M1)])}
    asked = _request.Request(_request.ROLL, (M1,))
    made = _topology.build(settings(), inventory([M1]), seen, True, request=asked, allow_outage=allowed)
    assert made.giving == _giving_way.GivingWay()
    assert [step.kind for step in made.plan.steps] == ["restart"] * allowed
    assert ["-e etcd_allow_outage=true" in fix for _said, fix in made.plan.refusals] == [True] * (not allowed)


def test_no_permission_lets_a_voter_restart_in_place_while_a_learner_stands_by():
    pair = Pair(*STATES["m1 votes"], {M1})
    asked = _request.Request(_request.ROLL, (M1,))
    made = _topology.build(settings(), inventory(PAIR), pair.observed(), True, request=asked, allow_outage=True)
    assert "promote" in [step.kind for step in made.plan.steps]
    del (seen := pair.observed())[M2]
    [(said, fix)] = _topology.build(settings(), inventory(PAIR), seen, True, request=asked, allow_outage=True).plan.refusals
    assert "m2 stands by" in said and "see to it that m2 runs" in fix


LEAVING = {
    "the standby leaves": (_request.Request("remove", (M2,)), [LEARNER], "active"),
    "the standby is replaced": (_request.Request("replace", (M2,), "m3"), [LEARNER], "active"),
    "one of two voters leaves": (_request.Request("remove", (M2,)), [VOTER], "active"),
    # it is taken out before anybody has a turn
    "the standby is dead": (_request.Request("remove", (M2,)), [LEARNER], "failed"),
    "the standby of three leaves": (_request.Request("remove", (M2,)), [LEARNER, VOTER, VOTER], "active"),
}


@pytest.mark.parametrize("drifted", [(), (M1,)])
@pytest.mark.parametrize("case", LEAVING)
def test_while_another_member_leaves_a_voter_that_cannot_be_spared_is_left_to_the_next_run(case, drifted):
    request, others, unit = LEAVING[case]
    roles = dict(zip((M1, M2, "m3", "m4"), (VOTER, *others)))
    members = [member(name, learner=role == LEARNER) for name, role in roles.items()]
    seen = {name: living(name, members) for name in roles}
    seen[M2]["etcd"].update({"unit": unit} if unit == "active" else {"unit": unit, "status": None})
    if request.by:
        seen[request.by] = fresh(request.by)
    made = _topology.build(settings(), inventory(sorted(seen)), seen, True, request=request, drifted=drifted)
    left = unit == "active" and len(roles) == 2
    assert made.plan.refusals == () and made.giving == _giving_way.GivingWay((M1,) * left, later=drifted if left else ())
    said = [note for note in made.plan.notes if "cannot be spared while m2 is a member" in note]
    assert len(said) == bool(left and drifted) and all("site.yml" in note for note in said)


def given(roles, request=_request.CONVERGING, drifted=(), masters="", dead="", new="", alone=None):
    """Return what is decided of members with these roles: v votes, l learns.

    `alone`: {master: the one member that its API server uses, "" where that is down}.
    """
    members = [member(name, learner=role == "l") for name, role in roles.items()]
    living_ones = [name for name in dict.fromkeys((*roles, *masters.split(), *(alone or ()))) if name not in dead.split()]
    leader = next(name for name in living_ones if roles.get(name) == "v")
    seen = {name: living(name, members, master=name[0] == "m") for name in living_ones}
    for name in roles.keys() & seen.keys():
        seen[name]["etcd"]["status"] = status(name, members, leader=leader)
    for name in (name for name in seen if name[0] == "m"):
        seen[name]["units"].update(haproxy="active", keepalived="active")
    for name, used in (alone or {}).items():
        seen[name]["api_server"] = {"etcd_servers": [url(used)]} if used else None
    seen.update({name: fresh(name) for name in new.split()})
    names = sorted({*seen, *roles})
    listed = inventory([n for n in names if n[0] == "m"], etcd=[n for n in names if n[0] == "e"])
    return _topology.build(settings(), listed, seen, True, request=request, drifted=drifted)


AT_REST = _giving_way.Group(PAIR, voters=(M1,), voting=1)
THREE_STAY = _giving_way.Group((M1, M2, "m3"), voters=(M1, M2, "m3"), voting=3)
LEAVES = {"leaving": frozenset({"m4"})}


@pytest.mark.parametrize(
    ("group", "more", "restarting", "case"),
    [
        # one leaves: two that vote need each other, three do not
        (AT_REST, {**LEAVES, "voting": 1}, M1, _giving_way.FEW),
        (AT_REST, {**LEAVES, "voting": 2}, "", _giving_way.FEW),
        (AT_REST, {**LEAVES, "voting": 3}, M1, _giving_way.ENOUGH),
        (THREE_STAY, {**LEAVES, "voting": 2}, M1, _giving_way.FEW),
        # of two an API server that starts has one alone, of three it has its own
        (AT_REST, {**LEAVES, "voting": 3, "starting": frozenset({M2})}, M1, _giving_way.FEW),
        (THREE_STAY, {**LEAVES, "starting": frozenset({M2})}, M1, _giving_way.ENOUGH),
        (AT_REST, {"starting": frozenset({M2})}, M1, _giving_way.CHANGE_PLACES),
        # that some leave or are many comes before that they insist, or are not known
        (AT_REST, {**LEAVES, "voting": 2, "even_voters": True, "known": False}, M1, _giving_way.FEW),
        (THREE_STAY, {"even_voters": True, "known": False}, M1, _giving_way.ENOUGH),
        # nobody stands by
        (AT_REST, {"staying": (M1,)}, M1, _giving_way.NO_PAIR),
        (AT_REST, {"even_voters": True}, M1, _giving_way.NO_PAIR),
        (AT_REST, {"known": False}, M1, _giving_way.NO_PAIR),
        # the other one is not there yet, or not any more
        (AT_REST, {"new": frozenset({M2})}, M1, _giving_way.JOINING),
        (AT_REST, {"out": frozenset({M2})}, M2, _giving_way.COMING_BACK),
        (AT_REST, {"out": frozenset({M2})}, f"{M1} {M2}", _giving_way.COMING_BACK),
        (AT_REST, {"out": frozenset({M2})}, M1, _giving_way.CHANGE_PLACES),
        (AT_REST, {"out": frozenset({M2})}, "", _giving_way.AT_REST),
        # a learner restarts as it likes, a voter does not
        (AT_REST, {}, "", _giving_way.AT_REST),
        (AT_REST, {}, M2, _giving_way.AT_REST),
        (AT_REST, {}, M1, _giving_way.CHANGE_PLACES),
        (AT_REST, {"voters": PAIR, "voting": 2}, M2, _giving_way.CHANGE_PLACES),
    ],
)
def test_case(group, more, restarting, case):
    assert _giving_way.classify(dataclasses.replace(group, **more), {*restarting.split()}) == case


def test_each_case_has_its_row_and_its_answer():
    rows = re.findall(r"^    ([A-Z_]+) +\S", _giving_way.__doc__, re.MULTILINE)
    assert [getattr(_giving_way, name) for name in rows] == list(_giving_way._ANSWERS)


def groups():
    """Return the groups of up to three that stay, whatever is so of each of them and of one that leaves."""
    for size in (1, 2, 3):
        names = (M1, M2, "m3")[:size]
        for parts in itertools.product((VOTER, LEARNER, "new", "out"), repeat=size):
            of = {part: tuple(name for name, one in zip(names, parts) if one == part) for part in (VOTER, "new", "out")}
            for leaving, more in itertools.product(((), ("m4",)), (0, 1)):
                for kept, starting, known, even in itertools.product(
                    (of[VOTER][:1], ()), ((), names[-1:]), (True, False), (True, False)
                ):
                    yield _giving_way.Group(
                        *(names, of[VOTER], frozenset(kept), frozenset(of["new"]), frozenset(of["out"]), frozenset(leaving)),
                        *(len(of[VOTER]) + more * len(leaving), frozenset(starting), known, even),
                    )


def test_of_every_group_each_voter_that_has_to_restart_is_spared_gives_way_or_waits():
    for group in groups():
        for size in range(len(group.staying) + 1):
            for restarting in map(set, itertools.combinations(group.staying, size)):
                case = _giving_way.classify(group, restarting)
                giving = _giving_way._ANSWERS[case](group, restarting)
                spared = {_giving_way.ENOUGH: {*group.voters} - group.kept, _giving_way.NO_PAIR: {*group.voters}}.get(case, set())
                assert {*giving.voters} == {*group.voters} - spared
                assert {*giving.later, giving.old} - {""} == restarting & {*giving.voters}
                assert giving.old not in giving.later and bool(giving.old) == (case == _giving_way.CHANGE_PLACES)
                # to a member that is there or comes back and has not to restart as that, while no other one leaves
                assert not giving.old or {giving.old, giving.heir} == {*group.staying} - group.new and not group.leaving
                assert giving.heir not in restarting & group.out
                # whoever else restarts in its turn leaves a quorum behind, or the gate says no
                unsafe = group.leaving and group.voting < 3
                assert not unsafe or {*giving.later} == restarting & {*group.voters}


TWO = {"m1": "v", "m2": "l"}
THREE, OF_ITS_OWN = dict.fromkeys(("m1", "m2", "m3"), "v"), dict.fromkeys(("e1", "e2", "e3"), "v")


def remove(*names):
    return _request.Request(_request.REMOVE, names)


@pytest.mark.parametrize(
    ("more", "drifted", "giving"),
    [
        # a dead one leaves before anybody has a turn: of the two that are left one gives way
        ({"roles": THREE, "request": remove("m1"), "dead": "m1"}, "m2", (("m2", "m3"), "m2", "m3", ())),
        ({"roles": THREE, "request": remove("m1"), "dead": "m1"}, "m3", (("m2", "m3"), "m3", "m2", ())),
        ({"roles": THREE, "request": remove("m1"), "dead": "m1"}, "m2 m3", (("m2", "m3"), "m2", "m3", ("m3",))),
        ({"roles": OF_ITS_OWN, "masters": "m1 m2", "request": remove("e1"), "dead": "e1"}, "e2", (("e2", "e3"), "e2", "e3", ())),
        # another one leaves after the turns
        ({"roles": THREE, "request": remove("m1", "m2"), "dead": "m1"}, "m3", (("m3",), "", "", ("m3",))),
        ({"roles": {**THREE, "m4": "l"}, "request": remove("m1", "m2"), "dead": "m1"}, "m3", (("m3",), "", "", ("m3",))),
        # the second of two joins before the turns
        ({"roles": {"m1": "v"}, "new": "m2"}, "m1", (("m1",), "", "", ("m1",))),
        ({"roles": {"m1": "v"}, "new": "m2"}, "", (("m1",), "", "", ())),
        ({"roles": {"e1": "v"}, "masters": "m1", "new": "e2"}, "e1", (("e1",), "", "", ("e1",))),
        ({"roles": TWO, "request": _request.Request("replace", ("m2",), "m4"), "dead": "m2", "new": "m4"}, "m1",
         (("m1",), "", "", ("m1",))),
        ({"roles": {"m1": "v"}, "new": "m2 m3"}, "m1", ((), "", "", ())),
        # a removal was cut off, or the third one's API server did not start: another one has the member alone, and keeps it
        ({"roles": THREE, "request": remove("m3"), "alone": {"m2": "m1"}}, "m1", (("m1",), "", "", ("m1",))),
        ({"roles": THREE, "request": remove("m1"), "alone": {"m3": "m2"}}, "m2 m3", (("m2",), "", "", ("m2",))),
        ({"roles": THREE, "request": remove("m1"), "alone": {"m3": ""}}, "m2", (("m2", "m3"), "", "", ("m2",))),
        ({"roles": {**THREE, "m4": "l"}, "request": remove("m4"), "alone": {"m3": ""}}, "m2", ((), "", "", ())),
        ({"roles": THREE, "request": remove("m1")}, "m2", ((), "", "", ())),
        ({"roles": OF_ITS_OWN, "request": remove("e3"), "alone": {"m1": "e1"}}, "e1", (("e1",), "", "", ("e1",))),
        # who stays moves in its turn, who leaves does not
        ({"roles": THREE, "alone": {"m2": "m1"}}, "m1", ((), "", "", ())),
        ({"roles": {**THREE, "m4": "l"}, "request": remove("m4"), "alone": {"m4": "m3"}}, "m3", (("m3",), "", "", ("m3",))),
        ({"roles": OF_ITS_OWN, "masters": "m2", "request": remove("m1"), "alone": {"m1": "e1"}}, "e1",
         (("e1",), "", "", ("e1",))),
        ({"roles": {"e1": "v", "e2": "l"}, "masters": "m2", "request": remove("m1"), "alone": {"m1": "e1"}}, "e1",
         (("e1",), "e1", "e2", ())),
    ],
)  # fmt: skip  # a case a row
def test_who_can_be_spared_is_judged_on_who_is_there_in_the_turns(more, drifted, giving):
    made = given(**more, drifted=drifted.split())
    assert made.plan.refusals == ()
    assert made.giving == _giving_way.GivingWay(*giving)


@pytest.mark.parametrize(
    ("more", "note"),
    [
        ({"roles": {"m1": "v"}, "new": "m2"}, "in this run: run the same again, for m1"),
        (
            {"roles": TWO, "request": _request.Request("replace", ("m2",), "m4"), "dead": "m2", "new": "m4"},
            "in this run: afterwards site.yml sees to it",
        ),
        (
            {"roles": THREE, "request": remove("m3"), "alone": {"m2": "m1"}},
            "while m3 is a member: afterwards site.yml sees to it",
        ),
    ],
)
def test_who_waits_for_another_run_is_told_which(more, note):
    assert f"etcd of m1 has to restart and cannot be spared {note}" in given(**more, drifted=("m1",)).plan.notes


def test_while_a_master_without_a_member_leaves_it_is_said_to_be_a_master():
    made = given(OF_ITS_OWN, remove("m1"), ("e1",), masters="m1 m2", alone={"m1": "e1"})
    assert (
        "etcd of e1 has to restart and cannot be spared while m1 is a master: afterwards site.yml sees to it" in made.plan.notes
    )


def test_who_insists_on_even_voters_and_who_has_three_see_nobody_give_way():
    pair = Pair(*STATES["both vote, m1 leads"], PAIR)
    assert (
        _topology.build(settings(even_voters=True), inventory(PAIR), pair.observed(), True, drifted=PAIR).giving
        == _giving_way.GivingWay()
    )
    names = (M1, M2, "m3")
    three = {name: living(name, [member(one) for one in names]) for name in names}
    assert _topology.build(settings(), inventory(names), three, True, drifted=names).giving == _giving_way.GivingWay()


@pytest.mark.parametrize("asked", [(M1,), (M2,), PAIR])
def test_what_a_roll_of_two_that_both_vote_is_told_to_do_can_be_done(asked):
    """Its refusal asks for multimaster_even_voters=false; with that the same roll is planned, and run again for who is left."""
    seen, request = Pair(*STATES["both vote, m1 leads"], PAIR).observed(), _request.Request(_request.ROLL, asked)
    refused = _topology.build(settings(even_voters=True), inventory(PAIR), seen, True, request=request).plan
    assert {following for _reason, following in refused.refusals} == {_quorum.EVEN_NEXT} and refused.steps == ()
    followed = _topology.build(settings(even_voters=False), inventory(PAIR), seen, True, request=request)
    first = (followed.plan.refusals, followed.giving.old, [s.host for s in followed.plan.steps if s.kind == "restart"])
    assert first == ((), asked[0], [asked[0]])
    # and so it is after site.yml with that, which makes one of them the learner: then all are rolled in one run
    one_votes = Pair(*STATES["m1 votes"], PAIR).observed()
    then = _topology.build(settings(even_voters=False), inventory(PAIR), one_votes, True, request=request).plan
    assert (then.refusals, {step.host for step in then.steps if step.kind == "restart"}) == ((), set(asked))


def test_an_upgrade_says_who_gives_way_for_its_settings_alone():
    pair = Pair(*STATES["m1 votes"], ())
    asked, seen = _request.Request(_request.UPGRADE), pair.observed(DRIFT)
    made = _topology.build(settings(etcd_version=OLD), inventory(PAIR), seen, True, request=asked, drifted=[M1])
    assert made.giving.old == M1 and NOTE in _upgrade_scene.plan(made, seen).notes
