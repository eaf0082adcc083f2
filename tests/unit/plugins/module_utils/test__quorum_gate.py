# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test when the gate before a step on etcd opens, and what it says when it does not."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _quorum, _quorum_gate


@pytest.mark.parametrize(
    ("safe", "before", "since"),
    [(True, None, 10.0), (True, 4.0, 4.0), (True, 0.0, 0.0), (False, 4.0, None), (False, None, None)],
)
def test_a_step_is_safe_since_the_first_look_after_the_last_at_which_it_was_not(safe, before, since):
    assert _quorum_gate.safe_since(safe, before, 10.0) == since


@pytest.mark.parametrize(
    ("since", "stable_for", "opens"),
    [(10.0, 0, True), (10.0, 1, False), (5.1, 5, False), (5.0, 5, True), (0.0, 5, True), (None, 0, False), (None, 5, False)],
)
def test_the_gate_opens_to_what_has_been_safe_for_long_enough(since, stable_for, opens):
    assert _quorum_gate.opens(since, 10.0, stable_for) is opens


@pytest.mark.parametrize(
    ("looks", "stable_for", "opened"),
    [
        ("ssssss", 3, 3),
        ("usssss", 3, 4),
        ("ssusss", 3, None),
        ("ssusssss", 3, 6),
        ("sususu", 1, None),
        ("sususu", 0, 0),
        ("uuuuuu", 0, None),
    ],
)
def test_a_relapse_starts_the_quiet_time_anew(looks, stable_for, opened):
    since, found = None, None
    for now, look in enumerate(looks):
        since = _quorum_gate.safe_since(look == "s", since, now)
        if found is None and _quorum_gate.opens(since, now, stable_for):
            found = now
    assert found == opened


def verdict(*healthy):
    """Return the verdict on a restart of a in a cluster of three of which these are healthy."""
    members = tuple(_quorum.Member(name, name, healthy=name in healthy) for name in "abc")
    return _quorum.judge(_quorum.Cluster(members, "a", ours=frozenset("abc")), _quorum.Step(_quorum.RESTART, "a"))


def test_an_unsafe_step_is_refused_with_its_reasons_who_is_silent_and_what_to_do():
    said = "unsafe to restart a: without a 1 of 3 voters would be healthy and 2 are needed"
    shut = verdict("a", "b")
    assert _quorum_gate.refusal(shut, 5) == f"{said}. Next: bring back c first"
    silent = ("c: timed out", "d: refused")
    assert _quorum_gate.refusal(shut, 5, silent) == f"{said}. Not answering: c: timed out; d: refused. Next: bring back c first"


def test_members_that_no_quorum_confirms_are_named_and_not_said_to_be_none():
    unseen = _quorum.judge(_quorum.Cluster(), _quorum.Step(_quorum.REMOVE, "c"))
    assert _quorum_gate.refusal(unseen, 0, ("b: refused",), ("a", "b")) == (
        "unsafe to remove c: no quorum stood behind the list of members (a, b), so it cannot be judged. "
        "Not answering: b: refused. Next: bring back those that do not answer; if that is impossible, "
        "see docs/runbooks/etcd-lost-quorum.md"
    )


def test_what_is_safe_again_and_again_is_refused_for_not_staying_so():
    said = _quorum_gate.refusal(verdict("a", "b", "c"), 5)
    assert said == f"unsafe to restart a: safe just now, but never for 5 s without interruption. Next: {_quorum_gate.LOOK}"
