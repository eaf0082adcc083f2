# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The quorum rule: named cases, a proof by enumeration up to seven voters, and mutants that the proof must catch.

The oracle knows nothing of n // 2 + 1. A majority of a configuration is a subset with more members inside than
outside, found by trying every subset; a cluster lives when some majority of it is alive.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import sys
import types

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _quorum
from ansible_collections.multimaster.kubernetes.plugins.module_utils._quorum import (
    ADD_LEARNER,
    PROMOTE,
    REMOVE,
    RESTART,
    UPDATE,
    Cluster,
    Member,
    Step,
    judge,
    placement_losses,
    quorum,
    zone_losses,
)
from hypothesis import given, settings
from hypothesis import strategies as st

UP, DOWN, UNKNOWN = True, False, None
MOST_VOTERS = 7


def cluster(voters, learners=(), leader="m1", **besides):
    """Return a cluster of voters m1, m2, ... and learners l1, ... with the given health; all of them ours."""
    members = [Member(f"id-m{n}", f"m{n}", healthy=health) for n, health in enumerate(voters, 1)]
    members += [Member(f"id-l{n}", f"l{n}", is_learner=True, healthy=health) for n, health in enumerate(learners, 1)]
    besides.setdefault("ours", frozenset(member.name for member in members))
    besides.setdefault("cluster_ids", ("c1",))
    return Cluster(members=tuple(members), leader_id=f"id-{leader}" if leader else "", **besides)


def codes(verdict):
    return sorted(refusal.code for refusal in verdict.refusals)


# --- the table, in named cases -----------------------------------------------------------------------------------

CASES = {
    # name: (voters, learners, step, target, codes of the refusals; none = safe)
    "one voter restarts: an outage of the API": ([UP], [], RESTART, "m1", ["outage"]),
    "one dead voter restarts: still the outage": ([DOWN], [], RESTART, "m1", ["outage"]),
    "one voter restarts while a learner stands by: they change places": ([UP], [UP], RESTART, "m1", ["gives_way"]),
    "one voter restarts while a learner is down: start that first": ([UP], [DOWN], RESTART, "m1", ["gives_way"]),
    "one voter is removed: the cluster would be gone": ([UP], [], REMOVE, "m1", ["last_voter"]),
    "one voter takes a learner": ([UP], [], ADD_LEARNER, "m2", []),
    "one dead voter takes no learner": ([DOWN], [], ADD_LEARNER, "m2", ["uncommitted"]),
    "one voter becomes two": ([UP], [UP], PROMOTE, "l1", []),
    "two voters: neither restarts in place": ([UP, UP], [], RESTART, "m2", ["even_restart"]),
    "two voters beside a learner: neither restarts in place": ([UP, UP], [UP], RESTART, "m2", ["even_restart"]),
    "two voters, one dead: the living one does not restart": ([UP, DOWN], [], RESTART, "m1", ["restart"]),
    "two voters, one dead: nor does the dead one, as far as is known": ([UP, DOWN], [], RESTART, "m2", ["restart"]),
    "two voters become one": ([UP, UP], [], REMOVE, "m2", []),
    "two voters, one dead: it cannot be removed": ([UP, DOWN], [], REMOVE, "m2", ["uncommitted"]),
    "two voters, one dead: the living one stays": ([UP, DOWN], [], REMOVE, "m1", ["remove", "uncommitted"]),
    "three voters: any one restarts": ([UP, UP, UP], [], RESTART, "m3", []),
    "three voters, one dead: no other restarts": ([UP, UP, DOWN], [], RESTART, "m2", ["restart"]),
    "three voters, one dead: the dead one restarts": ([UP, UP, DOWN], [], RESTART, "m3", []),
    "three voters, one unknown: no other restarts": ([UP, UP, UNKNOWN], [], RESTART, "m2", ["restart"]),
    "three voters, one dead: it is removed": ([UP, UP, DOWN], [], REMOVE, "m3", []),
    "three voters, one dead: no living one is removed": ([UP, UP, DOWN], [], REMOVE, "m2", ["remove"]),
    "three voters, one dead: never add first": ([UP, UP, DOWN], [], ADD_LEARNER, "m4", ["add_learner"]),
    "three voters, one dead: a learner in sync helps": ([UP, UP, DOWN], [UP], PROMOTE, "l1", []),
    "three voters, two dead: nothing is committed": ([UP, DOWN, DOWN], [], REMOVE, "m3", ["remove", "uncommitted"]),
    "three voters: the learner restarts freely": ([UP, UP, DOWN], [UP], RESTART, "l1", []),
    "three voters: a learner is removed": ([UP, UP, DOWN], [UP], REMOVE, "l1", []),
    "three voters, two dead: no learner is removed": ([UP, DOWN, DOWN], [UP], REMOVE, "l1", ["uncommitted"]),
    "three voters: a learner out of sync waits": ([UP, UP, UP], [DOWN], PROMOTE, "l1", ["not_in_sync"]),
    "three voters: an unknown learner waits": ([UP, UP, UP], [UNKNOWN], PROMOTE, "l1", ["not_in_sync"]),
    "three voters and two learners: no third learner": ([UP] * 3, [UP, UP], ADD_LEARNER, "m9", ["learners_full"]),
    "five voters, one dead: a learner may be added": ([UP] * 4 + [DOWN], [], ADD_LEARNER, "m6", []),
    "five voters, two dead: no learner": ([UP] * 3 + [DOWN] * 2, [], ADD_LEARNER, "m6", ["add_learner"]),
    "five voters, one dead: another restarts": ([UP] * 4 + [DOWN], [], RESTART, "m2", []),
    "five voters, two dead: no other restarts": ([UP] * 3 + [DOWN] * 2, [], RESTART, "m2", ["restart"]),
    "three voters, two dead: a learner does not save it": (
        [UP, DOWN, DOWN],
        [UP],
        PROMOTE,
        "l1",
        ["promote", "uncommitted"],
    ),
    "one voter is reached elsewhere: there is nobody to reach it": ([UP], [], UPDATE, "m1", []),
    "one dead voter is not updated": ([DOWN], [], UPDATE, "m1", ["uncommitted"]),
    "two voters: neither may be out of reach": ([UP, UP], [], UPDATE, "m2", ["even_update"]),
    "three voters: one is reached elsewhere": ([UP, UP, UP], [], UPDATE, "m2", []),
    "three voters, one dead: its address changed": ([UP, UP, DOWN], [], UPDATE, "m3", []),
    "three voters, one dead: no other is updated": ([UP, UP, DOWN], [], UPDATE, "m2", ["update"]),
    "three voters, two dead: nothing is updated": ([UP, DOWN, DOWN], [], UPDATE, "m3", ["uncommitted", "update"]),
    "three voters, one dead: a learner is updated": ([UP, UP, DOWN], [UP], UPDATE, "l1", []),
    "the target must exist": ([UP, UP, UP], [], RESTART, "m9", ["no_target"]),
    "no target at all": ([UP, UP, UP], [], RESTART, "", ["no_target"]),
    "a member is not added twice": ([UP, UP, UP], [], ADD_LEARNER, "m2", ["exists"]),
    "a voter is not promoted": ([UP, UP, UP], [], PROMOTE, "m2", ["voter_already"]),
}

# What installers got wrong in the field; each step here was let through (or wrongly blocked) by one of them.
FROM_THE_FIELD = {
    "healthy >= unhealthy passes 2 of 4 (kubespray): restart": ([UP, UP, DOWN, DOWN], [], RESTART, "m1", ["restart"]),
    "healthy >= unhealthy passes 2 of 4 (kubespray): remove": ([UP, UP, DOWN, DOWN], [], REMOVE, "m4", ["uncommitted"]),
    "healthy >= unhealthy passes 2 of 4 (kubespray): add": (
        [UP, UP, DOWN, DOWN],
        [],
        ADD_LEARNER,
        "m5",
        ["add_learner", "uncommitted"],
    ),
    "healthy >= unhealthy passes 0 of 0 (kubespray)": ([], [], RESTART, "m1", ["no_target", "nobody"]),
    "throttle n // 2 restarts two of four together (kubespray)": ([UP, UP, UP, DOWN], [], RESTART, "m3", ["restart"]),
    "an even-count assert blocks 3 -> 4 (kubespray #12268)": ([UP] * 3, [UP], PROMOTE, "l1", []),
    "an even-count assert blocks 4 -> 3 (kubespray #12268)": ([UP] * 4, [], REMOVE, "m4", []),
    "an even-count assert blocks 4 -> 5 (kubespray #12268)": ([UP] * 4, [UP], PROMOTE, "l1", []),
    "the first master cannot go (kubespray #13516)": ([UP] * 3, [], REMOVE, "m1", []),
    "the dead first master cannot be replaced (k3s-ansible #400)": ([DOWN, UP, UP], [], REMOVE, "m1", []),
}


@pytest.mark.parametrize("name", [*CASES, *FROM_THE_FIELD])
def test_case(name):
    voters, learners, kind, target, refused = {**CASES, **FROM_THE_FIELD}[name]
    leader = next((f"m{n}" for n, health in enumerate(voters, 1) if health), "m1")
    verdict = judge(cluster(voters, learners, leader), Step(kind, target))
    assert codes(verdict) == refused
    assert verdict.safe is (not refused)


REFUSED_BESIDES = {
    "no leader": ({"leader": None}, "leaderless"),
    "a leader that is no member": ({"leader": "m9"}, "leaderless"),
    "a leader that is a learner": ({"leader": "l1"}, "leaderless"),
    "two cluster ids": ({"cluster_ids": ("c1", "c2")}, "cluster_ids"),
    "no space": ({"alarms": (("id-m2", "NOSPACE"),)}, "alarm"),
    "corruption": ({"alarms": (("id-m2", "CORRUPT"),)}, "alarm"),
    "an alarm of a member that is gone": ({"alarms": (("id-gone", "CORRUPT"),)}, "alarm"),
    "a stray learner": ({"ours": frozenset({"m1", "m2", "m3"})}, "stray_learner"),
    "nothing is ours": ({"ours": frozenset()}, "stray_learner"),
}
STEPS = {RESTART: "m2", REMOVE: "m2", ADD_LEARNER: "m4", PROMOTE: "l1", UPDATE: "m2"}


@pytest.mark.parametrize("kind", _quorum.KINDS)
@pytest.mark.parametrize("name", REFUSED_BESIDES)
def test_refused_besides_whatever_the_step(name, kind):
    besides, code = REFUSED_BESIDES[name]
    step = Step(kind, STEPS[kind])
    assert judge(cluster([UP] * 3, [UP]), step).safe
    verdict = judge(cluster([UP] * 3, [UP], **besides), step)
    assert not verdict.safe
    assert codes(verdict) == [code]


def test_all_reasons_are_said_at_once():
    everything = cluster(
        [UP, DOWN, DOWN],
        [UP],
        leader=None,
        cluster_ids=("c1", "c2"),
        alarms=(("id-m1", "NOSPACE"), ("id-m2", "CORRUPT")),
        ours=frozenset({"m1"}),
    )
    verdict = judge(everything, Step(REMOVE, "m1"))
    assert codes(verdict) == sorted(["leaderless", "cluster_ids", "alarm", "alarm", "stray_learner", "uncommitted", "remove"])
    for refusal in verdict.refusals:
        assert refusal.reason in verdict.reason
        assert refusal.next_step in verdict.next_step


def test_a_corrupt_member_that_is_out_of_use_and_disarmed_goes_like_any_dead_one():
    """As the runbook has it; until it is disarmed nothing goes, since without writes no run could hold the lock."""
    assert codes(judge(cluster([UP, DOWN, UP], alarms=(("id-m2", "CORRUPT"),)), Step(REMOVE, "m2"))) == ["alarm"]
    assert judge(cluster([UP, DOWN, UP]), Step(REMOVE, "m2")).safe


def test_a_stray_learner_may_be_removed_itself_by_id_or_peer_url():
    stray = Member("id-x", is_learner=True, peer_urls=("https://192.0.2.9:2380",))
    known = cluster([UP] * 3)
    observed = Cluster((*known.members, stray), known.leader_id, known.cluster_ids, ours=known.ours)
    assert codes(judge(observed, Step(RESTART, "m2"))) == ["stray_learner"]
    assert judge(observed, Step(REMOVE, "id-x")).safe
    assert judge(observed, Step(REMOVE, "https://192.0.2.9:2380")).safe
    assert judge(observed, Step(RESTART, "m2")).next_step.endswith(": `e member remove id-x`")


@pytest.mark.parametrize(
    ("told", "shown"),
    [("10501334649042878790", "91bc3c398fb3c146"), ("9372538179322589801", "8211f1d0f64f3269"), ("13", "d"), ("id-x", "id-x")],
)
def test_ids_are_said_as_etcdctl_shows_and_takes_them(told, shown):
    assert _quorum.hex_id(told) == shown
    assert (
        _quorum.removal(told) == f"on an etcd host, with `e` of {_quorum.AT_RISK_RUNBOOK}, section 4: `e member remove {shown}`"
    )
    stray = Member(told, is_learner=True)
    known = cluster([UP] * 3, alarms=((told, "NOSPACE"),))
    verdict = judge(dataclasses.replace(known, members=(*known.members, stray)), Step(RESTART, "m2"))
    assert verdict.reason.count(f"the unnamed member {shown} (") == 2
    gone = judge(known, Step(RESTART, "m2"))
    assert gone.reason == f"NOSPACE is raised on {shown}"


def test_an_alarm_is_told_with_what_to_do_about_it():
    found, wanted, fix = _quorum.alarm_words("13", "NOSPACE", "m2")
    assert (found, wanted) == ("etcd has raised NOSPACE on m2: no write is taken", "no alarm")
    assert fix.startswith("Compact, defragment") and fix.endswith("section 4).")


@pytest.mark.parametrize(
    ("member_id", "alarm", "name", "said", "following"),
    [
        ("13", "NOSPACE", "m2", "m2", "defragment"),
        ("13", "CORRUPT", "m2", "m2", "replace_node.yml"),
        ("13", "CORRUPT", "", "d", "replace_node.yml"),
        ("0", "CORRUPT", "", "no member in particular", "remove none"),
        ("13", "etcdserver: something new", "m2", "m2", "ook it up"),
    ],
)
def test_each_alarm_is_told_with_its_own_remedy_and_whose_it_is(member_id, alarm, name, said, following):
    found, _wanted, fix = _quorum.alarm_words(member_id, alarm, name)
    assert found == f"etcd has raised {alarm} on {said}: no write is taken"
    assert following in fix and _quorum.AT_RISK_RUNBOOK in fix
    known = cluster([UP] * 3, alarms=((member_id if not name else "id-m2", alarm),))
    [refusal] = judge(known, Step(RESTART, "m1")).refusals
    assert refusal.reason == f"{alarm} is raised on {said}" and following in refusal.next_step


def test_a_learner_is_ours_by_its_peer_url_before_it_has_a_name():
    newcomer = Member("id-n", is_learner=True, peer_urls=("https://192.0.2.4:2380",))
    known = cluster([UP] * 3)
    ours = known.ours | {"https://192.0.2.4:2380"}
    observed = Cluster((*known.members, newcomer), known.leader_id, known.cluster_ids, ours=ours)
    assert judge(observed, Step(RESTART, "m2")).safe


def test_an_unnamed_voter_counts_as_an_unhealthy_voter():
    known = cluster([UP, UP])
    observed = Cluster((*known.members, Member("id-x")), known.leader_id, known.cluster_ids, ours=known.ours)
    verdict = judge(observed, Step(RESTART, "m2"))
    assert codes(verdict) == ["restart"]
    assert "the unnamed member id-x (no URL)" in verdict.next_step


def test_a_name_that_two_members_share_is_refused():
    twins = Cluster(tuple(Member(f"id-{n}", "m1", healthy=UP) for n in (1, 2, 3)), "id-1", ours=frozenset({"m1"}))
    assert codes(judge(twins, Step(REMOVE, "m1"))) == ["many_targets"]
    assert judge(twins, Step(REMOVE, "id-2")).safe


def test_an_unknown_kind_of_step_is_an_error():
    with pytest.raises(ValueError, match="explode"):
        judge(cluster([UP]), Step("explode", "m1"))


def test_the_outage_of_the_only_voter_is_named_and_needs_to_be_allowed():
    one = cluster([UP])
    refused, allowed = judge(one, Step(RESTART, "m1")), judge(one, Step(RESTART, "m1"), allow_outage=True)
    assert (refused.safe, refused.outage) == (False, False)
    assert "the whole API is away" in refused.reason
    assert "etcd_allow_outage=true" in refused.next_step, "the name of the role's input"
    assert (allowed.safe, allowed.outage) == (True, True)
    assert "outage" in allowed.reason


def test_the_leadership_goes_to_the_most_up_to_date_healthy_voter():
    members = (
        Member("id-a", "a", healthy=UP, raft_index=900),
        Member("id-b", "b", healthy=DOWN, raft_index=999),
        Member("id-c", "c", healthy=UP, raft_index=70),
        Member("id-d", "d", healthy=UP, raft_index=80),
        Member("id-e", "e", healthy=UP, raft_index=80),
        Member("id-l", "l", is_learner=True, healthy=UP, raft_index=990),
    )
    observed = Cluster(members, "id-a", ours=frozenset("abcdel"))
    verdict = judge(observed, Step(RESTART, "a"))
    assert verdict.safe
    assert verdict.move_leader_to.name == "d"
    assert verdict.next_step == "move the leadership to d first"
    assert judge(observed, Step(RESTART, "c")).move_leader_to is None


def test_a_verdict_is_plain_data_for_a_module():
    import json

    data = judge(cluster([UP] * 3), Step(REMOVE, "m1")).as_dict()
    assert json.loads(json.dumps(data)) == data
    assert data["during"] == {"voters": 2, "healthy": 2, "quorum": 2, "survives": 0}
    assert data["move_leader_to"] == "id-m2"


@pytest.mark.parametrize("code", _quorum._SENTENCES)
def test_every_refusal_is_a_sentence_with_a_remedy_and_is_reached_by_a_test(code):
    reason, next_step = _quorum._SENTENCES[code]
    assert len(reason) > 15
    assert len(next_step) > 15
    named = {one for *_rest, refused in [*CASES.values(), *FROM_THE_FIELD.values()] for one in refused}
    named |= {code for _besides, code in REFUSED_BESIDES.values()} | {"many_targets"}
    assert code in named


SAID = {
    # (voters, learners, step, target): what is said, and what to do
    ((UP, UP, DOWN), (), RESTART, "m2"): (
        "without m2 1 of 3 voters would be healthy and 2 are needed",
        "bring back m3 first",
    ),
    ((UP, UP, DOWN), (), REMOVE, "m2"): (
        "after removing m2 1 of 2 voters would be healthy and 2 are needed",
        "bring back m3 first, or remove the dead member before this one",
    ),
    ((UP, UP, DOWN), (), ADD_LEARNER, "m4"): (
        "2 of 3 voters are healthy and 3 must be before another joins: it may fail once it votes",
        "bring back m3, or remove the dead member first: replacing is remove, wipe, add",
    ),
    ((UP, UP, UP), (), ADD_LEARNER, "m2"): (
        "m2 is a member already",
        "start or promote it; one that lost its data is taken out and added anew by replace_node.yml",
    ),
    ((UP, DOWN, UNKNOWN), (UP,), PROMOTE, "l1"): (
        "1 of 3 voters are healthy and 2 must agree to any change of membership; "
        "with l1 as a voter 2 of 4 would be healthy and 3 are needed",
        f"bring back m2, m3; if that is impossible, see {_quorum.LOST_QUORUM_RUNBOOK}; bring back m2, m3 first",
    ),
    ((UP, UP), (), RESTART, "m1"): (
        "without m1 1 of 2 voters would be healthy and 2 are needed: of two, neither can be spared",
        "run with -e multimaster_even_voters=false, so that one of the two stands by as a learner; or add a third member first",
    ),
    ((UP, UP), (), UPDATE, "m2"): (
        "while m2 is not reached at another address 1 of 2 voters would be healthy and 2 are needed: "
        "of two, neither can be spared",
        "run site.yml at the old address with -e multimaster_even_voters=false, so that one of the two stands by as a learner; "
        "or add a third member first",
    ),
    ((UP, DOWN), (), REMOVE, "m2"): (
        "1 of 2 voters are healthy and 2 must agree to any change of membership",
        f"bring back m2; if that is impossible, see {_quorum.LOST_QUORUM_RUNBOOK}",
    ),
    ((UP, DOWN), (), RESTART, "m2"): ("without m2 1 of 2 voters would be healthy and 2 are needed", "bring back m2 first"),
    ((UP, UP, UP), (), RESTART, "m2"): (
        "during the step 2 of 3 voters healthy, quorum 2, survives 0 more",
        "",
    ),
}


@pytest.mark.parametrize("case", SAID, ids=lambda case: f"{case[2]} {case[3]}, {len(case[0])} voters")
def test_what_is_said(case):
    voters, learners, kind, target = case
    verdict = judge(cluster(voters, learners), Step(kind, target))
    assert (verdict.reason, verdict.next_step) == SAID[case]


def test_who_is_to_be_brought_back_is_ill_and_somebody_is_unless_nobody_votes():
    for n, healthy, kind in itertools.product(range(1, 6), range(6), _quorum.KINDS):
        verdict = judge(cluster([UP] * healthy + [DOWN] * (n - healthy), [DOWN]), Step(kind, STEPS[kind]))
        assert "its voters" not in verdict.next_step


def test_no_sentence_is_left_with_a_hole_in_it():
    for n, healthy, kind in itertools.product(range(5), range(5), _quorum.KINDS):
        verdict = judge(cluster([UP] * healthy + [DOWN] * (n - healthy), [DOWN]), Step(kind, STEPS[kind]))
        assert "{" not in verdict.reason + verdict.next_step


# --- the oracle --------------------------------------------------------------------------------------------------


def subsets(things):
    things = sorted(things)
    return [frozenset(some) for size in range(len(things) + 1) for some in itertools.combinations(things, size)]


@functools.cache
def majorities(configuration):
    return [some for some in subsets(configuration) if len(some) > len(configuration - some)]


@functools.cache
def lives(configuration, alive):
    """Return whether some majority of the configuration is alive."""
    return any(majority <= alive for majority in majorities(configuration))


@functools.cache
def survivable(configuration, alive):
    """Return the largest number of further failures that leaves a majority alive whoever fails; -1 if none is."""
    numbers = [
        size
        for size in range(len(alive) + 1)
        if all(lives(configuration, alive - set(failing)) for failing in itertools.combinations(sorted(alive), size))
    ]
    return max(numbers, default=-1)


def oracle(voters, healthy, kind, target):
    """Return (safe, configuration and the living at the worst moment, the same afterwards), from first principles."""
    committed = lives(voters, healthy)
    newcomer = frozenset([target])
    if target not in voters:
        if kind == RESTART:
            return True, (voters, healthy), (voters, healthy)
        if kind in (REMOVE, UPDATE):
            return committed, (voters, healthy), (voters, healthy)
        larger = voters | newcomer
        if kind == ADD_LEARNER:
            return committed and (len(voters) == 1 or lives(larger, healthy)), (voters, healthy), (voters, healthy)
        return committed and lives(larger, healthy | newcomer), (larger, healthy), (larger, healthy | newcomer)
    left, alive = voters - newcomer, healthy - newcomer
    if kind == RESTART:
        return lives(voters, alive), (voters, alive), (voters, healthy)
    if kind == UPDATE and len(voters) == 1:
        return committed, (voters, healthy), (voters, healthy)
    if kind == UPDATE:
        return committed and lives(voters, alive), (voters, alive), (voters, healthy)
    return committed and lives(left, alive), (left, alive), (left, alive)


def enumerated(n):
    """Yield every case with n voters: (healthy ids, leader, kind, target)."""
    voters = [f"v{number}" for number in range(n)]
    steps = [(kind, voter) for kind in (RESTART, REMOVE, UPDATE) for voter in voters]
    steps += [(RESTART, "l"), (REMOVE, "l"), (UPDATE, "l"), (PROMOTE, "l"), (ADD_LEARNER, "new")]
    for healthy in subsets(voters):
        for leader in voters:
            for kind, target in steps:
                yield frozenset(voters), healthy, leader, kind, target


def disagreement(module, case):
    """Return how the module's verdict differs from the oracle in one case, or None."""
    voters, healthy, leader, kind, target = case
    # the unhealthy are False and None in turn: both must count the same.
    down = itertools.cycle([False, None])
    members = [module.Member(v, v, healthy=True if v in healthy else next(down)) for v in sorted(voters)]
    members.append(module.Member("l", "l", is_learner=True, healthy=True))
    observed = module.Cluster(tuple(members), leader, ("c",), ours=frozenset({*voters, "l"}))
    step = module.Step(kind, target)
    verdict = module.judge(observed, step)
    safe, during, after = oracle(voters, healthy, kind, target)
    if verdict.safe != safe:
        return f"safe is {verdict.safe}"
    if safe != (not verdict.refusals):
        return "safety and reasons differ"
    if ("last_voter" in codes(verdict)) != (kind == REMOVE and voters == {target}):
        return "the last voter is not named as such"
    for when, seen, (configuration, alive) in (("during", verdict.during, during), ("after", verdict.after, after)):
        if (seen.voters, seen.healthy) != (len(configuration), len(alive)):
            return f"{when}: {seen}"
    if safe and survivable(*after) != max(-1, verdict.after.failures):
        return f"survives {verdict.after.failures} further failures"
    heir = verdict.move_leader_to
    if safe and target == leader and kind in (RESTART, REMOVE):
        if heir is None or heir.id not in healthy - {target}:
            return f"the leadership goes to {heir}"
    elif heir is not None:
        return "the leadership is moved for nothing"
    if module.judge(observed, step, allow_outage=True).safe != safe:
        return "the outage is allowed although a learner stands by"
    alone = module.Cluster(tuple(members[:-1]), leader, ("c",), ours=voters)
    if target == "l":
        return None
    if module.judge(alone, step).safe != safe:
        return "safe is another without a learner"
    allowed = module.judge(alone, step, allow_outage=True)
    if allowed.safe != (safe or (kind == RESTART and voters == {target})):
        return f"with the outage allowed, safe is {allowed.safe}"
    return None


@pytest.mark.parametrize("kind", _quorum.KINDS)
@pytest.mark.parametrize("n", range(1, MOST_VOTERS + 1))
def test_every_verdict_agrees_with_the_definition_of_a_majority(n, kind):
    cases = [case for case in enumerated(n) if case[3] == kind]
    assert len(cases) >= n * 2**n
    wrong = [(case, said) for case in cases for said in [disagreement(_quorum, case)] if said]
    assert wrong == []


@pytest.mark.parametrize("n", range(1, MOST_VOTERS + 1))
def test_quorum_is_the_smallest_majority(n):
    configuration = frozenset(map(str, range(n)))
    assert quorum(n) == min(len(majority) for majority in majorities(configuration))
    assert all(one & other for one in majorities(configuration) for other in majorities(configuration))


@pytest.mark.parametrize("n", range(1, MOST_VOTERS))
def test_a_change_by_one_voter_cannot_split_the_cluster(n):
    """Any majority before and any after overlap: two leaders in one term are impossible (Raft thesis, section 4.1)."""
    small = frozenset(map(str, range(n)))
    large = small | {"new"}
    assert all(before & after for before in majorities(small) for after in majorities(large))


@pytest.mark.parametrize("n", range(MOST_VOTERS + 1))
def test_the_number_of_survivable_failures_is_exact(n):
    configuration = frozenset(map(str, range(n)))
    for alive in subsets(configuration):
        assert max(-1, _quorum.Survival(n, len(alive)).failures) == survivable(configuration, alive)


def test_nothing_has_no_quorum():
    assert quorum(0) == 1
    assert not lives(frozenset(), frozenset())
    assert _quorum.Survival(0, 0).failures == -1


# --- mutants: the proof above must notice each ---------------------------------------------------------------------

# The line of the source, and for each deliberate mistake what stands there instead.
MUTATIONS = {
    "return voters // 2 + 1": {
        "quorum: half is enough": "return voters // 2",
        "quorum: half, rounded up": "return (voters + 1) // 2",
        "quorum: one too many": "return voters // 2 + 2",
    },
    "for member in self.voters if member.healthy is True": {
        "health: unknown is healthy": "for member in self.voters if member.healthy is not False",
        "health: everybody is healthy": "for member in self.voters",
        "health: learners count": "for member in self.members if member.healthy is True",
    },
    "for member in self.members if member.voter": {"a learner counts as a voter": "for member in self.members"},
    "RESTART: (without >= quorum(n), n, without)": {
        "restart: > for >=": "RESTART: (without > quorum(n), n, without)",
        "restart: the target counts": "RESTART: (h >= quorum(n), n, without)",
        "restart: healthy >= unhealthy": "RESTART: (without >= n - without, n, without)",
        "restart: n // 2 may be away": "RESTART: (without >= n - n // 2, n, without)",
        "restart: no rule": "RESTART: (True, n, without)",
    },
    "if step.kind == RESTART and n == 1 and cluster.learners:": {
        "restart: the outage may be allowed although a learner stands by": "if False:",
        "restart: of one that is alone the outage is never allowed": "if step.kind == RESTART and n == 1:",
    },
    "if not allow_outage:": {
        "restart: the outage needs no permission": "if False:",
        "restart: the outage is never allowed": "if True:",
    },
    "if step.kind == RESTART and n == 1:": {
        "restart: an outage of two may be allowed": "if step.kind == RESTART and n <= 2:",
        "restart: any outage may be allowed": "if step.kind == RESTART and not safe:",
    },
    "REMOVE: (without >= quorum(n - 1), n - 1, without)": {
        "remove: > for >=": "REMOVE: (without > quorum(n - 1), n - 1, without)",
        "remove: q(n) for q(n - 1)": "REMOVE: (without >= quorum(n), n - 1, without)",
        "remove: the target counts": "REMOVE: (h >= quorum(n - 1), n - 1, without)",
        "remove: no rule": "REMOVE: (True, n - 1, without)",
    },
    "if step.kind == REMOVE and not n - 1 >= 1:": {
        "remove: the last voter is not named": "if step.kind == REMOVE and not n - 1 >= 0:",
        "remove: the last two may not go": "if step.kind == REMOVE and not n - 1 > 1:",
    },
    "if step.kind != RESTART and not h >= quorum(n):": {
        "commit: not asked for": "if False:",
        "commit: > for >=": "if step.kind != RESTART and not h > quorum(n):",
        "commit: asked for restarts too": "if not h >= quorum(n):",
        "commit: not asked for removals": "if step.kind not in (RESTART, REMOVE) and not h >= quorum(n):",
    },
    "if step.kind in (RESTART, REMOVE, UPDATE) and (target is None or target.is_learner):": {
        "a learner's restart is a voter's": "if target is None and step.kind in (RESTART, REMOVE, UPDATE):",
    },
    "UPDATE: (n == 1 or without >= quorum(n), n, without)": {
        "update: > for >=": "UPDATE: (n == 1 or without > quorum(n), n, without)",
        "update: q(n - 1) for q(n)": "UPDATE: (n == 1 or without >= quorum(n - 1), n, without)",
        "update: the member counts though nobody reaches it": "UPDATE: (n == 1 or h >= quorum(n), n, without)",
        "update: the only voter is no exception": "UPDATE: (without >= quorum(n), n, without)",
    },
    "ADD_LEARNER: (n == 1 or h >= quorum(n + 1), n + 1, h)": {
        "add: the only voter is no exception": "ADD_LEARNER: (h >= quorum(n + 1), n + 1, h)",
        "add: q(n) for q(n + 1)": "ADD_LEARNER: (n == 1 or h >= quorum(n), n + 1, h)",
        "add: > for >=": "ADD_LEARNER: (n == 1 or h > quorum(n + 1), n + 1, h)",
        "add: the newcomer counts as up": "ADD_LEARNER: (n == 1 or h + 1 >= quorum(n + 1), n + 1, h)",
        "add: all must be up, as before etcd 3.6.16": "ADD_LEARNER: (h >= n, n + 1, h)",
    },
    "PROMOTE: (h + 1 >= quorum(n + 1), n + 1, h + 1)": {
        "promote: the newcomer counts as down": "PROMOTE: (h >= quorum(n + 1), n + 1, h + 1)",
        "promote: > for >=": "PROMOTE: (h + 1 > quorum(n + 1), n + 1, h + 1)",
    },
    "heir = next_leader(cluster, target) if leads else None": {"leader: not moved": "heir = None"},
    "others = [member for member in cluster.healthy if member != leader]": {
        "leader: moved to itself": "others = list(cluster.healthy)",
        "leader: moved to the dead": "others = [one for one in cluster.voters if one != leader]",
        "leader: moved to a learner": "others = list(cluster.learners)",
    },
    "target is not None and target == cluster.leader and": {
        "leader: moved for others' sake": "target is not None and",
    },
    "return before, Survival(n, without), before": {
        "projection: up during its restart": "return before, before, before",
    },
    "return before, Survival(n - 1, without), Survival(n - 1, without)": {
        "projection: a voter after its removal": "return before, Survival(n - 1, without), before",
    },
    "return before, Survival(n + 1, h), Survival(n + 1, h + 1)": {
        "projection: promoted without a gain": "return before, Survival(n + 1, h), Survival(n + 1, h)",
        "projection: no learner meanwhile": "return before, before, Survival(n + 1, h + 1)",
    },
}
MUTANTS = {name: (old, new) for old, mistakes in MUTATIONS.items() for name, new in mistakes.items()}


def mutant(old, new):
    """Return the module compiled anew from its source with one deliberate mistake."""
    with open(_quorum.__file__, encoding="utf-8") as source:
        text = source.read()
    assert text.count(old) == 1, f"the source holds {old!r} {text.count(old)} times: mend the list of mutants"
    module = types.ModuleType("_quorum_mutant")
    sys.modules[module.__name__] = module  # dataclasses look their module up
    try:
        exec(compile(text.replace(old, new), module.__name__, "exec"), module.__dict__)
    finally:
        del sys.modules[module.__name__]
    return module


@pytest.mark.parametrize("name", MUTANTS)
def test_the_proof_catches_the_mutant(name):
    module = mutant(*MUTANTS[name])
    cases = itertools.chain.from_iterable(enumerated(n) for n in range(1, MOST_VOTERS + 1))
    assert any(disagreement(module, case) for case in cases)


def test_the_source_itself_is_no_mutant():
    module = mutant("def judge(", "def judge(")
    assert not any(disagreement(module, case) for n in (1, 2, 3) for case in enumerated(n))


# --- properties --------------------------------------------------------------------------------------------------

HEALTH = st.sampled_from([UP, DOWN, UNKNOWN])
SOME_CLUSTER = st.builds(cluster, st.lists(HEALTH, min_size=1, max_size=9), st.lists(HEALTH, max_size=2))
SOME_STEP = st.builds(Step, st.sampled_from(_quorum.KINDS), st.sampled_from([*(f"m{n}" for n in range(1, 11)), "l1", "l2"]))


def with_members(observed, members):
    return Cluster(tuple(members), observed.leader_id, observed.cluster_ids, ours=observed.ours)


@given(SOME_CLUSTER, SOME_STEP)
@settings(max_examples=150, deadline=None)
def test_unknown_is_judged_as_unhealthy(observed, step):
    known = [Member(m.id, m.name, m.is_learner, False if m.healthy is None else m.healthy) for m in observed.members]
    assert codes(judge(observed, step)) == codes(judge(with_members(observed, known), step))


@given(SOME_CLUSTER, SOME_STEP, st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_the_order_of_the_members_means_nothing(observed, step, random):
    shuffled = list(observed.members)
    random.shuffle(shuffled)
    one, other = judge(observed, step), judge(with_members(observed, shuffled), step)
    assert (one.safe, codes(one), one.during, one.move_leader_to) == (
        other.safe,
        codes(other),
        other.during,
        other.move_leader_to,
    )


@given(SOME_CLUSTER, SOME_STEP)
@settings(max_examples=150, deadline=None)
def test_a_healthier_cluster_never_allows_less(observed, step):
    best = [Member(m.id, m.name, m.is_learner, UP) for m in observed.members]
    assert judge(with_members(observed, best), step).safe >= judge(observed, step).safe


@given(SOME_CLUSTER, SOME_STEP)
@settings(max_examples=150, deadline=None)
def test_a_safe_step_never_leaves_the_cluster_without_quorum(observed, step):
    verdict = judge(observed, step)
    if verdict.safe and (step.kind != RESTART or verdict.before.failures >= 0):
        assert verdict.after.failures >= 0
    if verdict.safe and step.kind in (RESTART, REMOVE) and not step.target.startswith("l"):
        assert verdict.during.failures >= 0


# --- zones -------------------------------------------------------------------------------------------------------


def zones(**counts):
    """Return members by zone; a number is healthy voters, a list their health."""
    return {
        zone: [
            Member(f"{zone}{n}", f"{zone}{n}", healthy=health)
            for n, health in enumerate([UP] * state if isinstance(state, int) else state)
        ]
        for zone, state in counts.items()
    }


ZONES = {
    # name: (zones, zones whose loss loses quorum, avoidable)
    "one master": (zones(a=1), ["a"], False),
    "two masters in two zones": (zones(a=1, b=1), ["a", "b"], False),
    "three masters in one zone": (zones(a=3), ["a"], False),
    "three masters in two zones": (zones(a=2, b=1), ["a"], False),
    "three masters in three zones": (zones(a=1, b=1, c=1), [], True),
    "three masters badly placed, the third zone is known": (zones(a=2, b=1, c=0), ["a"], True),
    "four voters in three zones": (zones(a=2, b=1, c=1), ["a"], False),
    "four voters in four zones": (zones(a=1, b=1, c=1, d=1), [], True),
    "five in three zones": (zones(a=2, b=2, c=1), [], True),
    "five badly placed": (zones(a=3, b=1, c=1), ["a"], True),
    "five in two zones": (zones(a=3, b=2), ["a"], False),
    "seven in three zones": (zones(a=3, b=2, c=2), [], True),
    "a dead voter makes every zone needed": (zones(a=[UP], b=[UP], c=[UNKNOWN]), ["a", "b"], True),
    "nobody": ({}, [], False),
}


@pytest.mark.parametrize("name", ZONES)
def test_zone_losses(name):
    members, lost, avoidable = ZONES[name]
    losses = zone_losses(members)
    assert [loss.zone for loss in losses] == sorted(zone for zone in members if members[zone])
    assert [loss.zone for loss in losses if not loss.survives] == lost
    assert all(loss.avoidable is avoidable for loss in losses)
    for loss in losses:
        assert loss.reason.startswith(f"without zone {loss.zone} ")


def test_learners_do_not_count_in_a_zone():
    members = zones(a=1, b=1, c=1)
    members["d"] = [Member("l", "l", is_learner=True, healthy=UP)]
    assert [loss.zone for loss in zone_losses(members)] == ["a", "b", "c"]
    assert {loss.voters for loss in zone_losses(members)} == {3}


@pytest.mark.parametrize("placement", ["", "a", "ab", "aab", "abc", "aabbc", "aaabc"])
def test_a_placement_is_judged_as_healthy_voters_in_these_zones_are(placement):
    counts = {zone: placement.count(zone) for zone in "abcd"}
    assert placement_losses(list(placement), "abcd") == zone_losses(zones(**counts))
    assert placement_losses(list(placement)) == zone_losses(zones(**{zone: n for zone, n in counts.items() if n}))


@pytest.mark.parametrize("count", range(1, 5))
@pytest.mark.parametrize("n", range(1, MOST_VOTERS + 1))
def test_zone_losses_agree_with_trying_every_placement(n, count):
    """A loss is survived iff a majority lives outside; avoidable iff some placement of the n survives any loss."""
    names = "abcd"[:count]

    def survives(placement, zone):
        voters = frozenset(range(n))
        return lives(voters, frozenset(v for v in voters if placement[v] != zone))

    placements = set(itertools.combinations_with_replacement(names, n))
    avoidable = any(all(survives(placement, zone) for zone in names) for placement in placements)
    for placement in placements:
        for loss in zone_losses(zones(**{zone: placement.count(zone) for zone in names})):
            assert loss.survives is survives(placement, loss.zone)
            assert loss.avoidable is avoidable
