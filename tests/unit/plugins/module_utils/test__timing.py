# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Timings of etcd from round-trip times: named cases and the limits etcd itself sets."""

from __future__ import annotations

import math

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils._timing import (
    ELECTION_MAX,
    HEARTBEAT_MIN,
    Timing,
    timing,
)
from hypothesis import given
from hypothesis import strategies as st


def among(**pairs):
    """Return measurements: `a_b=12` is 12 ms from a to b."""
    rtt = {}
    for pair, value in pairs.items():
        one, other = pair.split("_")
        rtt.setdefault(one, {})[other] = value
        rtt.setdefault(other, {})
    return rtt


CASES = {
    # name: (measured, in use, heartbeat, election)
    "one member": ({"a": {}}, None, 100, 1000),
    "nobody": ({}, None, 100, 1000),
    "one rack": (among(a_b=0.3, b_c=0.4, a_c=0.2), None, 100, 1000),
    "one city": (among(a_b=2, b_c=5, a_c=3), None, 100, 1000),
    "exactly the least": (among(a_b=100), None, 100, 1000),
    "one above the least": (among(a_b=101), None, 110, 1100),
    "rounded up": (among(a_b=120.2), None, 130, 1300),
    "the largest pair counts": (among(a_b=1, b_c=1, a_c=180), None, 180, 1800),
    "the slower direction counts": (among(a_b=120, b_a=150), None, 150, 1500),
    "continents": (among(a_b=350), None, 350, 3500),
    "the most etcd takes": (among(a_b=5000), None, 5000, 50000),
    "more than etcd takes": (among(a_b=9000), None, 5000, 50000),
    "a slightly better line keeps the values": (among(a_b=104), (120, 1200), 120, 1200),
    "a slightly worse line keeps the values": (among(a_b=135), (120, 1350), 120, 1350),
    "a much better line changes them": (among(a_b=20), (200, 2000), 100, 1000),
    "a much worse line changes them": (among(a_b=300), (120, 1200), 300, 3000),
    "a bad moment restarts nobody": (among(a_b=115), (100, 1000), 100, 1000),
    "nor does the next good one": (among(a_b=0.3), (120, 1200), 120, 1200),
    "a line twice as long does": (among(a_b=201), (100, 1000), 210, 2100),
    "an impatient election is changed": (among(a_b=1), (100, 500), 100, 1000),
    "a patient election is kept": (among(a_b=1), (100, 5000), 100, 5000),
    "an election etcd refuses is changed": (among(a_b=1), (100, 60000), 100, 1000),
    "a heartbeat below the least is changed": (among(a_b=1), (50, 1000), 100, 1000),
    "nothing measured keeps the values": (among(a_b=None), (230, 2300), 230, 2300),
    "nothing measured, nothing in use": (among(a_b=None), None, 100, 1000),
    "no number counts as not measured": (among(a_b=math.nan, b_c=math.inf, a_c=-1), None, 100, 1000),
    "a host that said nothing": ({"a": None, "b": {"a": 200}}, None, 200, 2000),
    "a peer that is no host": ({"a": {"b": 200}}, None, 200, 2000),
    "the heartbeat may be half the round trip": (among(a_b=240), (120, 2400), 120, 2400),
    "but not less": (among(a_b=242), (120, 2420), 250, 2500),
    "the heartbeat may be half more than the round trip": (among(a_b=100), (150, 1500), 150, 1500),
    "or half more than the least": (among(a_b=1), (150, 1500), 150, 1500),
    "but not longer": (among(a_b=98), (151, 1510), 100, 1000),
    "the longest election is kept": (among(a_b=1), (100, 50000), 100, 50000),
    "itself does not count": ({"a": {"a": 900, "b": 1}, "b": {}}, None, 100, 1000),
}


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    measured, present, heartbeat, election = CASES[name]
    found = timing(measured, present)
    assert (found.heartbeat_ms, found.election_ms) == (heartbeat, election)
    assert found.reason


@pytest.mark.parametrize("name", CASES)
def test_a_second_run_changes_nothing(name):
    measured, present, _heartbeat, _election = CASES[name]
    first = timing(measured, present)
    second = timing(measured, (first.heartbeat_ms, first.election_ms))
    assert (second.heartbeat_ms, second.election_ms) == (first.heartbeat_ms, first.election_ms)


def test_the_summary_names_the_pair():
    assert timing(among(a_b=1, a_c=1, b_c=142.5)) == Timing(
        150, 1500, "the largest round-trip time is 142.5 ms (b-c); heartbeat 150 ms, election 10 times that"
    )


def test_a_pair_that_was_not_measured_is_a_warning():
    assert timing(among(a_b=1, b_c=None)).warnings == ("no round-trip time was measured between a-c, b-c",)
    assert timing(among(a_b=1, b_c=2, a_c=2)).warnings == ()


def test_why_nothing_was_derived():
    assert timing({"a": {}}).reason == "one member has nobody to wait for; etcd's defaults"
    assert timing(among(a_b=None)).reason == "nothing was measured; etcd's defaults"


def test_values_in_use_are_explained_as_such_only_when_they_differ():
    assert timing(among(a_b=0), (100, 2000)).reason == ("the largest round-trip time is 0 ms (a-b); the values in use still fit")
    assert timing(among(a_b=1), (100, 1000)).reason.endswith("heartbeat 100 ms, the least used, election 10 times that")


def test_far_members_are_a_warning():
    assert timing(among(a_b=150)).warnings == ()
    assert len(timing(among(a_b=5000)).warnings) == 1
    assert "every write waits" in timing(among(a_b=151)).warnings[0]
    assert "elections may never end" in timing(among(a_b=5001)).warnings[1]


ROUND_TRIPS = st.floats(min_value=0, max_value=20000, allow_nan=False)


@given(ROUND_TRIPS, st.none() | st.tuples(st.integers(1, 9000), st.integers(1, 90000)))
def test_etcd_accepts_every_result(largest, present):
    """embed/config.go: an election is at least 5 heartbeats and at most 50 s."""
    found = timing(among(a_b=largest), present)
    assert found.heartbeat_ms >= HEARTBEAT_MIN
    assert 5 * found.heartbeat_ms <= found.election_ms <= ELECTION_MAX
    # values in use stay within the bounds of "Tuning", from half of what would be chosen
    assert found.election_ms >= min(ELECTION_MAX, 10 * largest if present is None else 5 * largest)
    again = timing(among(a_b=largest), (found.heartbeat_ms, found.election_ms))
    assert (again.heartbeat_ms, again.election_ms) == (found.heartbeat_ms, found.election_ms)


@given(ROUND_TRIPS, ROUND_TRIPS)
def test_a_slower_line_never_gets_shorter_timings(one, other):
    faster, slower = sorted((one, other))
    assert timing(among(a_b=faster)).heartbeat_ms <= timing(among(a_b=slower)).heartbeat_ms
