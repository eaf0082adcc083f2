# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Strike machines and cut runs off, one after the other: what test_cluster_life.py draws, for listed requests.

So it is known that machines do fail in the middle, that some of those runs stop and others end, that a gate which judges
what was read at the beginning would be found, and that a run between any masters and any others can be cut off anywhere.
Each of the listed requests is cut off after every act. Of the blows, and of the cuts between any masters and any others, the
default takes every so manieth; with SIMULATION set it takes them all.
"""

from __future__ import annotations

import collections
import copy
import functools
import itertools
import pathlib
from dataclasses import replace

import pytest
import yaml
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _quorum
from cluster_model import Cluster, Machine
from etcd_model import Refused
from test_cluster_life import HUNG, LIVES, LOST, NAMES, OFF, Blow, Life

# A prime, so that blows of every kind, on every host and at every act are among those that are taken.
EVERY = 1 if LIVES else 149
REQUESTS = {
    # name: (what the controller does, masters at first, who comes, who goes)
    "1 -> 2": ("by_site", 1, ["m2"], []),
    "2 -> 3": ("by_site", 2, ["m3"], []),
    "3 -> 5": ("by_site", 3, ["m4", "m5"], []),
    "5 -> 4": ("by_removal", 5, [], ["m1"]),
    "3 -> 2": ("by_removal", 3, [], ["m3"]),
    "2 -> 1": ("by_removal", 2, [], ["m1"]),
    "one is replaced, by the plan": ("by_plan", 3, ["m5"], ["m1"]),
    "one is replaced": ("by_replacement", 3, ["m5"], ["m1"]),
}


class Told(Life):
    """A life outside of hypothesis."""

    def __init__(self):
        super().__init__()
        self.told = []
        self.say = self.told.append

    def run_into(self, blow=None, cut=10_000):
        """Carry the request out, or its first acts; return what that stopped with."""
        return self.converge(self.order, cut, blow)


@functools.cache
def at_rest(masters, by_playbooks):
    """Return a cluster of these masters."""
    life = Told()
    life.found([Machine(name) for name in NAMES], set(masters), by_playbooks=by_playbooks)
    return life.cluster


def asked(request):
    """Return a life in which the request was made and nothing was done."""
    order, size, comes, goes = REQUESTS[request]
    return wished(order, NAMES[:size], {*NAMES[:size], *comes} - set(goes))


def wished(order, before, after):
    """Return a life in which these masters are to become those, by this order, and nothing was done."""
    life = Told()
    life.order, life.sound, life.by_playbooks, life.aside = order, True, order != "by_plan", set()
    life.cluster = copy.deepcopy(at_rest(before, life.by_playbooks))
    life.cluster.goal |= set(after)
    goes, comes = set(before) - set(after), set(after) - set(before)
    if order == "by_replacement":
        life.succeed(*goes, *comes)
    else:
        life.leave(goes)
    return life


def replacement(size, node, by, befalls):
    """Return a life in which something befell one of these masters, and it is to be replaced, by itself where nobody is named."""
    before = NAMES[:size]
    life = wished("by_site", before, before)
    life.order = "by_replacement"
    life.succeed(node, by)
    befalls(life.cluster, node)
    life.cluster.settle()
    return life


def order_of(before, after):
    """Return who changes these masters to those: a playbook, where one does it alone."""
    return "by_site" if before < after else "by_removal" if after < before else "by_plan"


def blows(request):
    """Return every blow that can befall a run of this request before its last act."""
    calm = asked(request)
    whom = sorted(calm.cluster.goal | calm.cluster.leaving)
    assert calm.run_into() == ""
    acts = len(calm.told) - 1
    assert acts > 5
    return [Blow(what, name, after) for name in whom for after in range(1, acts) for what in (OFF, LOST, HUNG)]


def test_whoever_fails_after_whichever_act_the_run_stops_or_ends_and_the_next_ones_reach_the_goal():
    seen = collections.Counter()
    for request, blow in [(name, blow) for name in REQUESTS for blow in blows(name)][::EVERY]:
        life = asked(request)
        said = life.run_into(blow)
        if life.struck:  # who does not run etcd yet, or any more, cannot hang
            seen[blow.what, bool(said)] += 1
            life.finish()
    assert {what for what, _stopped in seen} == {OFF, LOST, HUNG}, seen
    assert {stopped for _what, stopped in seen} == {False, True}, seen


@pytest.mark.parametrize("request_", REQUESTS)
def test_after_whichever_act_a_run_is_cut_off_the_next_one_reaches_the_goal(request_):
    calm = asked(request_)
    assert calm.run_into() == ""
    for cut in range(1, len(calm.told) - 1):
        life = asked(request_)
        assert life.run_into(cut=cut) == "cut off"
        life.finish()


SETS = [names for size in (1, 2, 3) for names in itertools.combinations(NAMES[:4], size)]
CHANGES = [(before, after) for before in SETS for after in SETS if before != after]


def test_from_any_masters_to_any_others_a_run_is_cut_off_after_any_act_and_the_next_one_reaches_the_goal():
    """After every act at most one host holds the address, it answers if it did, and so does the API (`Life.keep`)."""
    cuts = []
    for before, after in CHANGES:
        calm = wished(order_of(set(before), set(after)), before, after)
        assert calm.run_into() == ""
        calm.at_rest()
        cuts += [(before, after, cut) for cut in range(1, len(calm.told) - 1)]
    assert len(cuts) > 10 * len(CHANGES)
    for before, after, cut in cuts[::EVERY]:
        life = wished(order_of(set(before), set(after)), before, after)
        assert life.run_into(cut=cut) == "cut off"
        life.finish()


def test_a_demotion_that_is_cut_off_is_ended_and_recorded_by_the_next_run():
    calm = asked("3 -> 2")
    assert calm.run_into() == ""
    calm.at_rest()
    first, last = (next(n for n, act in enumerate(calm.told) if f"has {word} leftover" in act) for word in ("a", "no"))
    for cut in range(first, last + 2):
        life = asked("3 -> 2")
        assert life.run_into(cut=cut) == "cut off"
        life.finish()


@pytest.mark.parametrize("phase", ["etcd", "demote"])
def test_wherever_a_member_joins_it_is_recorded_that_the_data_are_its_own(phase):
    """As `Cluster._join` has it."""
    path = pathlib.Path(__file__).resolve().parents[3] / f"playbooks/phases/{phase}.yml"
    (tasks,) = (play["tasks"] for play in yaml.safe_load(path.read_text()) if "'tasks_from': 'join'" in str(play))
    (joins,) = (n for n, task in enumerate(tasks) if "'tasks_from': 'join'" in str(task))
    (after,) = (task for task in tasks[joins:] if "{'etcd_leftover': False}" in str(task))
    assert after.get("when") == (None if phase == "demote" else "__self.etcd_leftover")


def its_etcd_fails(cluster, name):
    cluster.etcd.stop(name)


def it_dies(cluster, name):
    cluster.power_off(name)
    cluster.machines[name].lost = True


def it_is_installed_anew(cluster, name):
    it_dies(cluster, name)
    cluster.new_disk(name)


def its_etcd_loses_its_disk(cluster, name):
    cluster.etcd.wipe(name)


REPLACEMENTS = [
    *((by, befalls) for by in ("m4",) for befalls in (lambda _cluster, _name: None, its_etcd_fails, it_dies)),
    *(("", befalls) for befalls in (it_is_installed_anew, its_etcd_loses_its_disk)),
]


@pytest.mark.parametrize(("by", "befalls"), REPLACEMENTS)
@pytest.mark.parametrize("node", NAMES[:3] if LIVES else ("m1",))
def test_a_replacement_is_cut_off_after_any_act_and_the_same_command_ends_it(node, by, befalls):
    calm = replacement(3, node, by, befalls)
    assert calm.run_into() == "", calm.told
    calm.at_rest()
    for cut in range(1, len(calm.told) - 1):
        life = replacement(3, node, by, befalls)
        assert life.run_into(cut=cut) == "cut off"
        assert life.run_into() == "", (cut, life.told)
        life.at_rest()


def test_whoever_fails_in_a_replacement_the_same_command_or_others_end_it():
    """As above, and more densely: who takes a place may die as well, and is given up together with whose place it was."""
    seen = collections.Counter()
    whole = [(by, befalls, blow) for by, befalls in REPLACEMENTS for blow in blows_in_a_replacement(by, befalls)]
    for by, befalls, blow in whole[:: 1 if LIVES else 41]:
        life = replacement(3, "m1", by, befalls)
        said = life.run_into(blow)
        if life.struck:
            life.finish()
            seen[bool(said)] += 1
    assert set(seen) == {False, True}, seen


def blows_in_a_replacement(by, befalls):
    calm = replacement(3, "m1", by, befalls)
    assert calm.run_into() == ""
    whom = sorted(calm.cluster.goal)
    return [Blow(what, name, after) for name in whom for after in range(1, len(calm.told) - 2) for what in (OFF, LOST, HUNG)]


@pytest.mark.parametrize("size", [2, 3])
def test_a_move_that_is_cut_off_is_finished_by_the_same_command_and_by_site(size):
    def asked_to_move():
        life = wished("by_site", NAMES[:size], NAMES[:size])
        life.order = "by_move"
        return life

    calm = asked_to_move()
    (first,) = calm.cluster.segment.holders()
    assert calm.run_into() == ""
    calm.at_rest()
    assert calm.cluster.segment.holders() != [first]
    acts = len(calm.told) - 1
    assert acts > 1
    for cut, order in itertools.product(range(1, acts), ("by_move", "by_site")):
        life = asked_to_move()
        assert life.run_into(cut=cut) == "cut off"
        nobody_else = len(life.stand_still()) == size - 1
        said = life.converge(order)
        # where nobody could take it from the other, site.yml has to mend that first
        assert bool(said) is (order == "by_move" and nobody_else), said
        if said:
            life.finish()
        life.at_rest()


ZONES = {"m1": "a", "m2": "a", "m3": "b", "m4": "c"}


@pytest.mark.parametrize("names", list(itertools.combinations(ZONES, 3)))
def test_who_stands_by_of_four_is_one_whose_vote_would_cost_the_survival_of_a_zone(names):
    life = Told()
    life.found([Machine(name, zone) for name, zone in ZONES.items()], set(names))
    life.cluster.goal = set(ZONES)
    assert life.converge("by_site") == ""
    life.at_rest()


def removals_beside_a_member_that_hangs():
    """Return what 3 -> 2 stops with where a voter that stays hangs early; etcd's own refusals are raised."""
    return [asked("3 -> 2").run_into(Blow(HUNG, "m2", after)) for after in range(1, 5)]


def test_a_gate_that_judges_what_was_read_at_the_beginning_is_found(monkeypatch):
    said = removals_beside_a_member_that_hangs()
    assert any(one.startswith(_quorum.REMOVE) and "1 of 2 voters would be healthy" in one for one in said), said
    judged = Cluster._judged

    def judged_of_old(self, kind, target):
        """Judge the members of this moment by who was healthy when the run began."""
        fresh = self.observe()
        members = tuple(replace(member, healthy=member.healthy or member.name in self.answered) for member in fresh.members)
        self.observe = lambda: replace(fresh, members=members)
        try:
            return judged(self, kind, target)
        finally:
            del self.observe

    monkeypatch.setattr(Cluster, "_judged", judged_of_old)
    with pytest.raises(Refused, match="unhealthy cluster"):
        removals_beside_a_member_that_hangs()
