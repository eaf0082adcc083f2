# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a step finds and leaves, as data and in words."""

from __future__ import annotations

import dataclasses
import json
import types

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _plan_state, _quorum


def cluster(zones, sick=(), learners=0):
    """Return a cluster with a voter in each of these zones, named m1, m2, …"""
    voters = [_quorum.Member(f"{n}", f"m{n}", healthy=f"m{n}" not in sick, zone=zone) for n, zone in enumerate(zones, 1)]
    return _quorum.Cluster((*voters, *(_quorum.Member(f"l{n}", is_learner=True) for n in range(learners))))


def state(zones, sick=(), learners=0):
    return _plan_state.etcd(cluster(zones, sick, learners))


@pytest.mark.parametrize(
    ("seen", "figures", "zones"),
    [
        (state("abc"), (3, 3, 2, 1), ("a", "b", "c")),
        (state("aab"), (3, 3, 2, 1), ("b",)),
        (state("abc", sick=("m1",)), (3, 2, 2, 0), ()),
        # a zone without a healthy voter is lost already
        (state("abcab", sick=("m3",)), (5, 4, 3, 1), ()),
        (state("abcde", sick=("m3",)), (5, 4, 3, 1), ("a", "b", "d", "e")),
        (state("abc", sick=("m1", "m2")), (3, 1, 2, -1), ()),
        (state("a"), (1, 1, 1, 0), ()),
        (state(["a", "b", ""]), (3, 3, 2, 1), None),
        (state("abc", learners=1), (3, 3, 2, 1), ("a", "b", "c")),
    ],
)
def test_etcd(seen, figures, zones):
    assert (seen.voters, seen.healthy, seen.quorum, seen.survives) == figures
    assert seen.zones == zones


def test_nobody_votes_nothing_is_known():
    assert _plan_state.etcd(_quorum.Cluster()) is None
    assert state("", learners=1) is None


def test_who_does_not_serve_meanwhile_is_not_healthy():
    assert _plan_state.etcd(_plan_state.without(cluster("abc"), "m2")) == state("abc", sick=("m2",))
    assert _plan_state.without(cluster("abc"), "m9") == cluster("abc")


def step(before, after, during=None, holders=("m1", "m1")):
    return types.SimpleNamespace(
        before=before, during=during or after, after=after, holder_before=holders[0], holder_after=holders[1]
    )


THREE, DEGRADED = "3 of 3 healthy, quorum 2", "2 of 3 healthy, quorum 2"


@pytest.mark.parametrize(
    ("before", "during", "after", "said"),
    [
        (state("abc"), state("abc"), state("abc"), ""),
        (None, None, None, ""),
        (state("abc"), None, state("ab"), f"etcd: {THREE} -> 2 of 2 healthy, quorum 2; no zone may be lost"),
        (state("abc"), state("abc", ["m1"]), state("abc"), f"etcd: {THREE} -> {DEGRADED} meanwhile; no zone may be lost"),
        (state("ab"), None, state("abc"), f"etcd: 2 of 2 healthy, quorum 2 -> {THREE}; any one of the zones a, b, c may be lost"),
        (state("ab"), None, state("aab"), f"etcd: 2 of 2 healthy, quorum 2 -> {THREE}; zone b may be lost"),
        # the set is the same, and not empty: nothing to say
        (state("abcab"), None, state("abcabc"), "etcd: 5 of 5 healthy, quorum 3 -> 6 of 6 healthy, quorum 4"),
        # that none may be lost is said each time
        (state("ab"), None, state("a"), "etcd: 2 of 2 healthy, quorum 2 -> 1 of 1 healthy, quorum 1; no zone may be lost"),
        (state(["", ""]), None, state([""]), "etcd: 2 of 2 healthy, quorum 2 -> 1 of 1 healthy, quorum 1"),
        (None, None, state(["", "", ""]), f"etcd: none -> {THREE}"),
    ],
)
def test_what_becomes_of_etcd_is_said_where_something_does(before, during, after, said):
    assert _plan_state.etcd_text(step(before, after, during)) == said


@pytest.mark.parametrize(
    ("holders", "said"),
    [
        (("m1", "m1"), ""),
        ((None, None), ""),
        (("m1", "m2"), "address: m1 -> m2"),
        (("", "m1"), "address: nobody -> m1"),
        (("m1", None), "address: m1 -> not known"),
    ],
)
def test_who_has_the_address_is_said_where_that_changes(holders, said):
    assert _plan_state.holder_text(step(None, None, holders=holders)) == said


def test_what_there_is_to_say_stands_in_one_bracket():
    assert _plan_state.bracket("", "a", "", "b") == "   [a; b]"
    assert _plan_state.bracket("", "") == ""


def test_a_plan_is_plain_data():
    @dataclasses.dataclass(frozen=True)
    class Step:
        hosts: tuple = ("m1",)
        after: _plan_state.Etcd = state("abc")

    told = _plan_state.as_dict(types.SimpleNamespace(steps=(Step(),), notes=("so",)))
    after = {"voters": 3, "healthy": 3, "quorum": 2, "survives": 1, "zones": ["a", "b", "c"]}
    assert told == {"steps": [{"hosts": ["m1"], "after": after}], "notes": ["so"]} == json.loads(json.dumps(told))
