# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds the address, who would take it, in which order masters get their parts, and what identifies the virtual router."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _endpoint
from ansible_collections.multimaster.kubernetes.plugins.module_utils._endpoint import (
    BALANCED,
    DIRECT,
    EXTERNAL,
    NOBODY,
    MasterState,
    before_turns,
    heirs_of,
    holder_first,
    holders,
    move,
    priorities,
    vrid,
    wanted_state,
)
from hypothesis import given, settings
from hypothesis import strategies as st


def nothing(name):
    return MasterState(name)


def alone(name):
    """Return a master that holds the address by its own unit."""
    return MasterState(name, ("eth0",))


def backup(name):
    return MasterState(name, balancer=True, vrrp=True)


def holder(name):
    return MasterState(name, ("eth0",), balancer=True, vrrp=True)


M2, M3 = ("m1", "m2"), ("m1", "m2", "m3")


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


def test_holders_count_every_interface():
    assert holders([backup("m1"), MasterState("m2", ("lo",)), holder("m3")]) == ("m2", "m3")


def test_turns_the_holder_then_who_runs_vrrp_then_newcomers():
    """A newcomer that starts VRRP before a backup knows it does not hear that one when it takes over."""
    masters = [nothing("m1"), backup("m2"), MasterState("m3", balancer=True), holder("m4"), backup("m5")]
    assert holder_first(masters) == holder_first(masters[::-1]) == ("m4", "m2", "m5", "m1", "m3")
    assert holder_first([nothing("m1"), nothing("m2"), alone("m3")]) == ("m3", "m1", "m2")


# --- a move of the address -----------------------------------------------------------------------------------------

M4 = ("m1", "m2", "m3", "m4")


STOPPED = MasterState("m1", balancer=True)
LONE, TWO_OF_US = [alone("m1"), nothing("m2"), nothing("m3")], [holder("m1"), backup("m2")]


@pytest.mark.parametrize(
    ("staying", "leaving", "before", "mode", "first"),
    [
        # others join a lone master, or the last one of those that were there
        (LONE, [], DIRECT, BALANCED, True),
        ([holder("m1"), nothing("m4")], [(MasterState("m2", reachable=False), False)], BALANCED, BALANCED, True),
        ([holder("m2"), MasterState("m3", balancer=True)], [(STOPPED, False)], BALANCED, BALANCED, True),
        ([holder("m2"), nothing("m3")], [(STOPPED, True)], BALANCED, BALANCED, True),
        ([holder("m1")], [(MasterState("m2", reachable=False), False)], BALANCED, DIRECT, True),
        ([holder("m2")], [(STOPPED, False)], BALANCED, DIRECT, True),
        ([MasterState("m1", balancer=True), nothing("m4")], [], BALANCED, BALANCED, True),  # its keepalived is down
        # one that leaves takes part, or serves where one is left without a balancer
        ([holder("m2"), nothing("m3")], [(backup("m1"), True)], BALANCED, BALANCED, False),
        ([backup("m2"), nothing("m3")], [(holder("m1"), True)], BALANCED, BALANCED, False),
        ([holder("m2")], [(STOPPED, True)], BALANCED, DIRECT, False),
        # nobody is alone, nobody is there, one master stays one, the balancer is not ours
        (TWO_OF_US, [], BALANCED, BALANCED, False),
        ([*TWO_OF_US, nothing("m3")], [], BALANCED, BALANCED, False),
        ([nothing("m1"), nothing("m2")], [], BALANCED, BALANCED, False),
        ([nothing("m1")], [], "", DIRECT, False),
        ([alone("m1")], [], DIRECT, DIRECT, False),
        (LONE, [], EXTERNAL, EXTERNAL, False),
    ],
)
def test_masters_get_their_parts_before_the_turns_where_one_is_alone_behind_the_address(staying, leaving, before, mode, first):
    assert before_turns(staying, leaving, before, mode) is first


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
    assert found.stopped == (("m2",) if why == "does not run keepalived" else ()), "HAProxy is not made right by a move"
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
    first = {max(priorities(names), key=priorities(names).get) for names in itertools.combinations(M4, 3)}
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
