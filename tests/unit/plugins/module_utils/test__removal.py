# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What taking hosts out will do, on whole clusters as they are observed."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _quorum, _topology
from cluster_fixtures import fresh, inventory, living, member, settings, status

ZONES = {"m1": "a", "m2": "b", "m3": "c", "m4": "a", "m5": "b"}
THREE, FIVE = ("m1", "m2", "m3"), ("m1", "m2", "m3", "m4", "m5")


def removal(leaving, masters, learners=(), dead=(), holder="m1", newcomers=(), added=()):
    """Return the topology of a living stacked cluster with one worker from which hosts are to leave; m1 leads etcd.

    `newcomers` are masters without anything on them, of which `added` are members that never started.
    """
    members = [member(name, learner=name in learners) for name in masters]
    members += [member(name, learner=True, started=False) for name in added]
    seen = {name: fresh(name) for name in newcomers}
    for name in (*masters, "w1"):
        if name in dead:
            continue
        seen[name] = living(name, members, master=name in masters)
        if name in masters:
            seen[name]["etcd"]["status"] = status(name, members, leader="m1")
        if name == holder:
            seen[name]["endpoint_address"] = {"held_on": ["eth0"]}
    listed = inventory((*masters, *newcomers), ("w1",), zones=ZONES)
    return _topology.build(settings(), listed, seen, True, leaving=tuple(leaving))


def steps(topology):
    return [f"{step.kind} {step.host}" for step in topology.removal.steps]


def test_nobody_leaves_nothing_is_planned():
    assert removal([], THREE).removal is None


@pytest.mark.parametrize(
    ("leaving", "masters", "seen", "wanted"),
    [
        (["w1"], THREE, {}, ["drain w1", "clean w1"]),
        # the first master of the inventory, holder and leader: its follower m3 becomes the learner that stands by
        (["m1"], THREE, {},
         ["drain m1", "repoint m3", "yield m1", "stop m1", "remove m1", "remove m3", "add_learner m3", "clean m1"]),
        (["m3"], THREE, {}, ["drain m3", "repoint m2", "stop m3", "remove m3", "remove m2", "add_learner m2", "clean m3"]),
        # two masters: the learner votes before the voter goes
        (["m1"], ("m1", "m2"), {"learners": ("m2",)},
         ["drain m1", "promote m2", "repoint m2", "yield m1", "stop m1", "remove m1", "clean m1"]),
        (["m2"], ("m1", "m2"), {"learners": ("m2",)}, ["drain m2", "stop m2", "remove m2", "clean m2"]),
        # a dead one is only forgotten
        (["m2"], THREE, {"dead": ("m2",)}, ["drain m2", "repoint m3", "remove m2", "remove m3", "add_learner m3", "clean m2"]),
        # several: the holder is the last to stop, the leader the last to leave etcd
        (["m1", "m2"], FIVE, {},
         ["drain m2", "drain m1", "stop m2", "yield m1", "stop m1", "remove m2", "remove m1", "clean m2", "clean m1"]),
    ],
)  # fmt: skip
def test_the_plan_in_order(leaving, masters, seen, wanted):
    assert steps(removal(leaving, masters, **seen)) == wanted


@pytest.mark.parametrize(
    ("leaving", "masters", "seen", "why"),
    [
        (["m1"], ("m1",), {}, "no master"),
        (["m1", "m2", "m3"], THREE, {}, "no master"),
        (["m1"], THREE, {"dead": ("m2",)}, "1 of 2 voters would be healthy and 2 are needed"),
    ],
)
def test_what_is_not_done_is_refused_with_its_reason(leaving, masters, seen, why):
    made = removal(leaving, masters, **seen)
    assert not made.removal.steps
    [(reason, next_step)] = made.removal.refusals
    assert why in reason and next_step


JOINING = {
    # name: (members, hosts that are no members yet, dead, refused)
    "a newcomer": (THREE, ("m4",), (), ["m4"]),
    "a newcomer to stand by while one is dead": (THREE, ("m4",), ("m3",), ["m4"]),
    "two newcomers": (THREE, ("m4", "m5"), (), ["m4", "m5"]),
}


@pytest.mark.parametrize("name", JOINING)
def test_hosts_that_have_not_joined_yet_are_refused_before_anything_is_touched(name):
    """The phase that lets members join comes before the one that removes: etcd would refuse it halfway."""
    members, newcomers, dead, refused = JOINING[name]
    made = removal(["m3"], members, dead=dead, newcomers=newcomers)
    assert not made.removal.steps
    [(reason, next_step)] = made.removal.refusals
    assert reason.startswith(", ".join(refused) + " would have to join etcd first") and "site.yml" in next_step


@pytest.mark.parametrize(("dead", "refused"), [((), False), (("m3",), True)])
def test_a_join_that_was_cut_off_before_it_left_data_is_refused_only_while_a_member_is_dead(dead, refused):
    made = removal(["m3"], THREE, dead=dead, newcomers=("m4",), added=("m4",))
    assert bool(made.removal.refusals) is refused


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_any_masters_may_leave_a_healthy_cluster_and_every_step_keeps_quorum(count):
    masters = FIVE[:count]
    learners = masters[-1:] if count % 2 == 0 else ()
    for size in range(1, count):
        for leaving in itertools.combinations(masters, size):
            made = removal(leaving, masters, learners=learners)
            assert not made.removal.refusals, (masters, leaving)
            voters = set(masters) - set(learners)
            for one in made.etcd.planned:
                if one.verdict is not None:
                    assert one.verdict.safe and one.verdict.after.failures >= 0
                if one.step.kind == _quorum.PROMOTE:
                    voters.add(one.step.target)
                elif one.step.kind == _quorum.REMOVE:
                    voters.discard(one.step.target)
            assert len(voters) % 2 == 1 and voters == set(made.etcd.voters)
            assert set(made.masters) == set(masters) - set(leaving)
            orders = dict(made.order)
            assert not set(leaving) & {*orders["grow"], *orders["demote"], *orders["masters"], *orders["any_master"]}
            assert set(orders["leaving_masters"]) == set(leaving)


def test_a_host_that_can_not_be_reached_is_warned_about_and_not_worked_on():
    made = removal(["m2"], THREE, dead=("m2",))
    assert any("m2 cannot be reached" in line for line in made.removal.lines())
    assert dict(made.order)["leaving"] == []


def test_one_master_left_holds_the_address_itself():
    made = removal(["m1"], ("m1", "m2"), learners=("m2",))
    assert made.endpoint_mode == "direct" and "one master is left" in made.removal.lines()[-1]


@pytest.mark.parametrize(
    ("leaving", "masters", "seen", "order"),
    [
        (["m1", "m3"], THREE, {"dead": ("m3",)}, ["m3", "m1"]),  # never a healthy one while a dead one counts
        (["m1", "m2"], FIVE, {}, ["m2", "m1"]),  # the leader last
        (["m1", "w1"], THREE, {}, ["w1", "m1"]),
    ],
)
def test_members_leave_in_the_order_of_the_plan_that_was_shown(leaving, masters, seen, order):
    made = removal(leaving, masters, **seen)
    assert not made.removal.refusals
    assert [one["node_name"] for one in _topology.as_fact(made)["leaving"]] == order


def test_the_fact_keeps_the_hosts_that_leave_apart_from_those_that_stay():
    fact = _topology.as_fact(removal(["m1", "w1"], THREE))
    assert fact["masters"] == ["m2", "m3"] and fact["workers"] == []
    assert sorted(one["node_name"] for one in fact["leaving"]) == ["m1", "w1"]
    assert set(fact["hosts"]) == {"m1", "m2", "m3", "w1"}
    assert fact["etcd"]["endpoints"] == ["https://192.0.2.12:2379", "https://192.0.2.13:2379"]
    assert fact["hosts"]["m2"]["vrrp"]["peers"] == ["192.0.2.13"]
