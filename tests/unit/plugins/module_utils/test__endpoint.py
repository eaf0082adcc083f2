# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The endpoint's transitions: named cases, and runs cut off after every step in a world that counts holders."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _endpoint
from ansible_collections.multimaster.kubernetes.plugins.module_utils._endpoint import (
    ABSENT,
    BALANCED,
    DIRECT,
    EXTERNAL,
    KINDS,
    NOBODY,
    PREPARED,
    PROVE,
    YIELDED,
    EndpointStep,
    MasterState,
    heirs_of,
    holder_first,
    holders,
    move,
    observed_state,
    priorities,
    transition,
    vrid,
    wanted_state,
)
from hypothesis import given, settings
from hypothesis import strategies as st


def nothing(name):
    return MasterState(name)


def alone(name):
    """Return a master that holds the address by its own unit."""
    return MasterState(name, ("eth0",), direct=True)


def backup(name, knows=None):
    return MasterState(name, balancer=True, vrrp=True, knows=knows)


def holder(name, knows=None):
    return MasterState(name, ("eth0",), balancer=True, vrrp=True, knows=knows)


def said(steps, proofs=False):
    return "; ".join(f"{step.kind} {step.host}".strip() for step in steps if proofs or step.kind != PROVE)


M2, M3 = ("m1", "m2"), ("m1", "m2", "m3")

CASES = {
    # name: (observed, wanted, steps without the proofs)
    "the first master": ([nothing("m1")], "m1", "direct m1"),
    "one master at rest": ([alone("m1")], "m1", ""),
    "one master, the address lost at a reboot": ([MasterState("m1", direct=True)], "m1", "direct m1"),
    "one master, an address that nothing keeps": ([MasterState("m1", ("eth0",))], "m1", "direct m1"),
    "one master, keepalived beside its own unit": ([replace(alone("m1"), vrrp=True)], "m1", "direct m1"),
    "one master, a backup elsewhere": ([alone("m1"), backup("m2")], "m1", "yielded m2; absent m2"),
    "many at once": (
        [],
        "m1 m2 m3",
        "prepared m1; prepared m2; prepared m3; balanced m3; balanced m2; balanced m1",
    ),
    "two at rest": ([holder("m1"), backup("m2")], "m1 m2", ""),
    "promotion, 1 -> 2": ([alone("m1")], "m1 m2", "prepared m2; balanced m1; balanced m2"),
    "promotion, 1 -> 3": ([alone("m1")], "m1 m2 m3", "prepared m2; prepared m3; balanced m1; balanced m3; balanced m2"),
    "promotion of the other": ([alone("m2")], "m1 m2", "prepared m1; balanced m2; balanced m1"),
    "promotion, cut off with the newcomer prepared": (
        [alone("m1"), MasterState("m2", balancer=True)],
        "m1 m2",
        "balanced m1; balanced m2",
    ),
    "promotion, cut off with the balancer beside the old master": (
        [MasterState("m1", ("eth0", "lo"), direct=True, balancer=True), MasterState("m2", balancer=True)],
        "m1 m2",
        "balanced m1; balanced m2",
    ),
    "promotion, cut off before the newcomer's keepalived": (
        [holder("m1", M2), MasterState("m2", balancer=True)],
        "m1 m2",
        "balanced m2",
    ),
    "an address that nothing keeps": ([MasterState("m1", ("eth0",))], "m1 m2", "prepared m2; balanced m1; balanced m2"),
    "a third master": (
        [holder("m1", M2), backup("m2", M2)],
        "m1 m2 m3",
        "prepared m3; balanced m2; balanced m1; balanced m3",
    ),
    "a balancer stopped": ([holder("m1"), replace(backup("m2"), balancer=False)], "m1 m2", "prepared m2"),
    "keepalived stopped on one": ([holder("m1"), MasterState("m2", balancer=True)], "m1 m2", "balanced m2"),
    "keepalived stopped on both": (
        [MasterState("m1", balancer=True), MasterState("m2", balancer=True)],
        "m1 m2",
        "balanced m2; balanced m1",
    ),
    "a backup leaves, 3 -> 2": (
        [holder("m1", M3), backup("m2", M3), backup("m3", M3)],
        "m1 m2",
        "yielded m3; balanced m2; balanced m1; absent m3",
    ),
    "the holder leaves, 3 -> 2": (
        [backup("m1", M3), backup("m2", M3), holder("m3", M3)],
        "m1 m2",
        "yielded m3; balanced m2; balanced m1; absent m3",
    ),
    "give-back, 2 -> 1": ([holder("m1"), backup("m2")], "m1", "yielded m2; direct m1; absent m2"),
    "give-back, the holder leaves": ([backup("m1"), holder("m2")], "m1", "yielded m2; direct m1; absent m2"),
    "give-back, the first master leaves": ([holder("m1"), backup("m2")], "m2", "yielded m1; direct m2; absent m1"),
    "give-back, 3 -> 1": (
        [backup("m1"), holder("m2"), backup("m3")],
        "m1",
        "yielded m3; yielded m2; direct m1; absent m2; absent m3",
    ),
    "give-back, cut off after the address moved": (
        [holder("m1"), MasterState("m2", balancer=True)],
        "m1",
        "direct m1; absent m2",
    ),
    "give-back, cut off before the balancer stopped": (
        [replace(alone("m1"), balancer=True), MasterState("m2", balancer=True)],
        "m1",
        "direct m1; absent m2",
    ),
    "give-back, cut off before the end": ([alone("m1"), MasterState("m2", balancer=True)], "m1", "absent m2"),
    "give-back to one without keepalived": (
        [MasterState("m1", balancer=True), holder("m2")],
        "m1",
        "balanced m1; yielded m2; direct m1; absent m2",
    ),
    "the only master is replaced": (
        [alone("m1"), nothing("m2")],
        "m2",
        "prepared m2; balanced m1; balanced m2; yielded m1; direct m2; absent m1",
    ),
    "the only master is replaced by two": (
        [alone("m1")],
        "m2 m3",
        "prepared m2; prepared m3; balanced m1; balanced m3; yielded m1; balanced m2; absent m1",
    ),
    "a dead master leaves": (
        [holder("m1", M2), MasterState("m2", reachable=False)],
        "m1",
        "direct m1",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    observed, wanted, steps = CASES[name]
    found = transition(observed, wanted.split())
    assert said(found.steps) == steps
    assert found.refusals == ()
    assert all(step.kind in KINDS and step.why for step in found.steps)


@pytest.mark.parametrize("name", CASES)
def test_the_order_of_the_inventory_means_nothing(name):
    observed, wanted, _steps = CASES[name]
    assert transition(observed, wanted.split()) == transition(observed[::-1], wanted.split()[::-1])


@pytest.mark.parametrize("name", CASES)
def test_after_each_change_of_hands_the_holder_is_proven(name):
    observed, wanted, _steps = CASES[name]
    steps = transition(observed, wanted.split()).steps
    for step, following in zip(steps, [*steps[1:], None]):
        assert (following is not None and following.kind == PROVE) is (step.kind in (BALANCED, YIELDED, DIRECT))


REFUSED = {
    "two holders": ([alone("m1"), holder("m2")], "m1 m2", "m1 and m2 at once"),
    "two holders, one on lo": ([alone("m1"), MasterState("m2", ("lo",))], "m1", "m1 and m2 at once"),
    "nobody wanted": ([alone("m1")], "", "no home"),
    "a master that cannot be looked at": (
        [MasterState("m1", reachable=False), nothing("m2")],
        "m1 m2",
        "m1 cannot be looked at",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    observed, wanted, text = REFUSED[name]
    found = transition(observed, wanted.split())
    assert found.steps == ()
    assert text in "; ".join(found.refusals)


def test_all_reasons_are_said_at_once():
    found = transition([alone("m1"), holder("m2"), MasterState("m3", reachable=False)], ["m1", "m2", "m3"])
    assert len(found.refusals) == 2


@pytest.mark.parametrize(
    ("masters", "mode", "state"),
    [
        ([], "managed", NOBODY),
        (["m1"], "managed", DIRECT),
        (["m1", "m1"], "managed", DIRECT),
        (["m1", "m2"], "managed", BALANCED),
        (["m1"], "external", EXTERNAL),
        (["m1", "m2"], "external", EXTERNAL),
    ],
)
def test_wanted_state(masters, mode, state):
    assert wanted_state(masters, mode) == state


@pytest.mark.parametrize(
    ("observed", "state"),
    [([], NOBODY), ([nothing("m1")], NOBODY), ([alone("m1")], DIRECT), ([holder("m1"), backup("m2")], BALANCED)],
)
def test_observed_state(observed, state):
    assert observed_state(observed) == state
    assert transition(observed, ["m1"]).before == state


def test_holders_count_every_interface():
    assert holders([backup("m1"), MasterState("m2", ("lo",)), holder("m3")]) == ("m2", "m3")


def test_turns_the_holder_then_who_runs_vrrp_then_newcomers():
    """A newcomer that starts VRRP before a backup knows it does not hear that one when it takes over."""
    masters = [nothing("m1"), backup("m2"), MasterState("m3", balancer=True), holder("m4"), backup("m5")]
    assert holder_first(masters) == holder_first(masters[::-1]) == ("m4", "m2", "m5", "m1", "m3")
    assert holder_first([nothing("m1"), nothing("m2"), alone("m3")]) == ("m3", "m1", "m2")


def test_a_balancer_that_is_not_ours_needs_nothing_of_us():
    assert transition([nothing("m1"), nothing("m2")], ["m1", "m2"], "external").steps == ()
    leaving = transition([holder("m1"), backup("m2")], ["m1", "m2"], "external")
    assert said(leaving.steps) == "absent m2; absent m1"
    assert (leaving.before, leaving.after) == (BALANCED, EXTERNAL)


# --- a move of the address -----------------------------------------------------------------------------------------

M4 = ("m1", "m2", "m3", "m4")


def test_the_heir_of_a_move_is_the_first_of_the_others_by_priority():
    for name in M4:
        found = move([holder(name), *(backup(other) for other in M4 if other != name)], M4)
        assert (found.holder, found.unfit, found.refusals) == (name, (), ())
        assert found.heirs == tuple(sorted(set(M4) - {name}, key=lambda other: -priorities(M4)[other]))


AWAY = MasterState("m2", reachable=False)


@pytest.mark.parametrize(
    ("observed", "mode", "known"),
    [
        ([holder("m1"), backup("m2")], BALANCED, "m1"),
        ([alone("m1")], DIRECT, "m1"),
        ([holder("m1"), AWAY], BALANCED, "m1"),
        ([backup("m1"), backup("m2")], BALANCED, ""),
        ([], BALANCED, ""),
        ([backup("m1"), AWAY], BALANCED, None),
        ([holder("m1"), holder("m2")], BALANCED, None),
        ([holder("m1")], EXTERNAL, None),
    ],
)
def test_holder(observed, mode, known):
    assert _endpoint.holder(observed, mode) == known


@pytest.mark.parametrize(
    ("others", "first"),
    [
        ([backup("m2"), backup("m3")], "m3"),
        ([backup("m2"), nothing("m3")], "m2"),
        ([AWAY, backup("m3")], "m3"),  # it waits longer than m3
        ([backup("m2"), MasterState("m3", reachable=False)], None),
        ([nothing("m2"), nothing("m3")], None),
        ([], None),
    ],
)
def test_the_first_heir_is_known_unless_one_that_cannot_be_looked_at_may_be_quicker(others, first):
    assert _endpoint.heirs_of(others).first == first


UNFIT = {
    "cannot be reached": MasterState("m2", reachable=False),
    "does not run keepalived": MasterState("m2", balancer=True),
    "does not run HAProxy": MasterState("m2", vrrp=True),
    "does not run HAProxy and keepalived": nothing("m2"),
}


@pytest.mark.parametrize("why", UNFIT)
def test_who_does_not_take_part_is_no_heir(why):
    found = move([holder("m1"), UNFIT[why], backup("m3")], M3)
    assert (found.heirs, found.unfit, found.refusals) == (("m3",), (("m2", why),), ())
    assert set(heirs_of([holder("m1"), UNFIT[why], backup("m3")]).names) == {"m1", "m3"}
    [(reason, next_step)] = move([holder("m1"), UNFIT[why]], M2).refusals
    assert reason == f"nobody could take the endpoint address from m1: m2 {why}" and "site.yml" in next_step


STAYS = {
    # name: (observed, mode, reason, next step)
    "one master": ([alone("m1")], DIRECT, "m1 is the only master: nobody else", "list another master"),
    "somebody else's balancer": ([nothing("m1"), nothing("m2")], EXTERNAL, "not ours", "move it there"),
    "nobody has it": ([backup("m1"), backup("m2")], BALANCED, "nothing to move", "site.yml"),
    "nobody was seen to have it": (
        [backup("m1"), MasterState("m2", reachable=False)],
        BALANCED,
        "m2, which cannot be reached, may have it",
        "make m2 reachable",
    ),
    "two have it": ([holder("m1"), holder("m2")], BALANCED, "on m1 and m2 at once", "run again"),
    "two have it, one on lo": ([holder("m1"), replace(backup("m2"), holds=("lo",))], BALANCED, "m1 and m2", "run again"),
    "its holder runs no VRRP": ([replace(holder("m1"), vrrp=False), backup("m2")], BALANCED, "cannot hand it on", "site.yml"),
}


@pytest.mark.parametrize("name", STAYS)
def test_an_address_that_stays_where_it_is(name):
    observed, mode, why, then = STAYS[name]
    found = move(observed, tuple(state.name for state in observed), mode)
    [(reason, next_step)] = found.refusals
    assert why in reason and then in next_step


# --- a world that counts holders ---------------------------------------------------------------------------------


class World:
    """Masters whose services behave as systemd, HAProxy and keepalived do; it knows nothing of plans."""

    def __init__(self):
        self.direct, self.balancer, self.vrrp, self.knows, self.holding = set(), set(), set(), {}, None

    def settle(self):
        """Let VRRP find its holder: who has the address keeps it, else somebody who runs keepalived takes it."""
        if self.holding not in self.vrrp:
            self.holding = min(self.vrrp, default=None)

    @property
    def holders(self):
        self.settle()
        return sorted(self.direct) + ([self.holding] if self.holding else [])

    def observe(self):
        held = self.holders
        return [
            MasterState(
                name,
                ("eth0",) if name in held else (),
                name in self.direct,
                name in self.balancer,
                name in self.vrrp,
                knows=self.knows.get(name),
            )
            for name in NAMES
        ]

    def take(self, step, wanted):
        host = step.host
        if step.kind == PREPARED:
            self.balancer.add(host)
        elif step.kind == BALANCED:
            assert not self.direct - {host}, "VRRP starts while another host holds the address by its own unit"
            self.balancer.add(host)
            if host in self.direct:
                assert not self.vrrp
                self.holding = host
            self.direct.discard(host)
            self.vrrp.add(host)
            self.knows[host] = wanted
        elif step.kind == YIELDED:
            assert self.vrrp - {host}, "nobody is there to take the address"
            self.vrrp.discard(host)
        elif step.kind == DIRECT:
            assert not (self.vrrp | self.direct) - {host}, "two would hold the address"
            self.vrrp.discard(host)
            self.balancer.discard(host)
            self.direct.add(host)
        elif step.kind == ABSENT:
            assert host not in self.holders, "the holder leaves"
            for part in (self.direct, self.balancer, self.vrrp):
                part.discard(host)
        elif step.kind == PROVE:
            assert len(self.holders) == 1


def test_the_world_notices_what_must_not_happen():
    """The negative control of the tests below."""
    two = settled(M2)
    with pytest.raises(AssertionError, match="two would hold"):
        two.take(EndpointStep(DIRECT, "m1"), M2)
    with pytest.raises(AssertionError, match="the holder leaves"):
        two.take(EndpointStep(ABSENT, two.holders[0]), M2)
    two.take(EndpointStep(YIELDED, "m1"), M2)
    with pytest.raises(AssertionError, match="nobody is there"):
        two.take(EndpointStep(YIELDED, "m2"), M2)
    with pytest.raises(AssertionError, match="VRRP starts"):
        settled(("m1",)).take(EndpointStep(BALANCED, "m2"), M2)


NAMES = ("m1", "m2", "m3", "m4")
GOALS = [goal for size in (1, 2, 3) for goal in itertools.combinations(NAMES, size)]


def settled(goal):
    """Return a world at rest with these masters."""
    world = World()
    for step in transition(world.observe(), goal).steps:
        world.take(step, goal)
    return world


@pytest.mark.parametrize("goal", GOALS, ids=" ".join)
def test_from_any_masters_to_any_others_with_a_cut_after_every_step(goal):
    """Exactly one holder at any time, and what is left after a cut is the rest of the same plan."""
    for start in GOALS:
        world = settled(start)
        steps = transition(world.observe(), goal).steps
        for number, step in enumerate(steps):
            world.take(step, goal)
            assert len(world.holders) == 1
            if step.kind != PROVE:
                rest = transition(world.observe(), goal)
                left = [one for one in steps[number + 1 :] if one.kind != PROVE]
                assert [one for one in rest.steps if one.kind != PROVE] == left
        assert transition(world.observe(), goal).steps == ()
        assert world.holders[0] in goal
        expected = (set(goal), set(), set()) if len(goal) == 1 else (set(), set(goal), set(goal))
        assert (world.direct, world.balancer, world.vrrp) == expected


@given(st.lists(st.tuples(st.sampled_from(GOALS), st.integers(0, 12), st.sampled_from(NAMES)), max_size=6))
@settings(max_examples=100, deadline=None)
def test_changes_of_mind_and_failovers_between_cut_off_runs(runs):
    world = settled(("m1",))
    for goal, length, favourite in [*runs, (("m1", "m2"), 99, "m1")]:
        for step in transition(world.observe(), goal).steps[:length]:
            world.take(step, goal)
            assert len(world.holders) == 1
        if favourite in world.vrrp:
            world.holding = favourite
    assert transition(world.observe(), ("m1", "m2")).steps == ()


# --- VRID and priorities -----------------------------------------------------------------------------------------


@given(st.text(), st.text())
def test_a_vrid_is_stable_and_in_range(name, address):
    assert 1 <= vrid(name, address) <= 254
    assert vrid(name, address) == vrid(name, address)


def test_vrids_of_other_clusters_differ_as_well_as_chance_allows():
    found = [vrid(f"cluster-{n}", "192.0.2.10") for n in range(2000)]
    assert set(found) == set(range(1, 255))
    assert max(map(found.count, set(found))) < 25


def test_the_vrid_of_a_cluster_never_changes():
    """A new value would make two halves of a rolling change deaf to each other."""
    assert vrid("prod", "192.0.2.10") == 196


@pytest.mark.parametrize("count", range(1, 12))
def test_priorities_are_far_apart(count):
    names = [f"m{n}" for n in range(count)]
    found = priorities(names)
    values = sorted(found.values())
    assert set(found) == set(names)
    assert (values[-1], values[0] if count > 1 else 1) == (254, 1)
    assert all(later - earlier >= 253 // max(1, count - 1) for earlier, later in itertools.pairwise(values))


def test_priorities_do_not_follow_the_names_or_the_inventory():
    assert priorities(["m3", "m1", "m2"]) == priorities(["m1", "m2", "m3", "m1"])
    first = {max(priorities(names), key=priorities(names).get) for names in itertools.combinations(NAMES, 3)}
    assert first != {"m1", "m2"}


@given(st.sets(st.text(min_size=1), min_size=1, max_size=8), st.text(min_size=1), st.data())
@settings(max_examples=100, deadline=None)
def test_no_mixture_while_a_master_joins_makes_neighbours(names, newcomer, data):
    before, after = priorities(names), priorities({*names, newcomer})
    rolled = data.draw(st.sets(st.sampled_from(sorted(names))))
    mixed = sorted(after[name] if name in rolled else before[name] for name in names)
    assert all(later - earlier > 1 for earlier, later in itertools.pairwise(mixed))


def test_more_masters_than_priorities():
    assert len(priorities(map(str, range(127)))) == 127
    with pytest.raises(ValueError, match="128 masters"):
        priorities(map(str, range(128)))
