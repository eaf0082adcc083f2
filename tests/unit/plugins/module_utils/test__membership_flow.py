# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test waiting: a silent leader is waited for in bounded time, and what ends in vain names a next step."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _etcd,
    _membership,
    _membership_flow,
    _quorum,
    _quorum_gate,
)
from fake_etcd import FakeEtcd

MOVE, DONE = _membership.Move("move_leader", "it leads"), _membership.Move(_membership.DONE, "it does not lead")


class Clock:
    """Count the seconds slept, and call something back at each sleep."""

    def __init__(self, after=None):
        self.now, self._after = 0.0, after or (lambda now: None)

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self._after(self.now)


def stepper(fake, clock, seconds=10):
    return _membership_flow.Stepper(
        lambda: _etcd.observe([fake.client_url(name) for name in "bc"], fake),
        lambda endpoint: SimpleNamespace(endpoint=endpoint),
        _membership_flow.Patience(seconds, clock, clock.sleep),
    )


def ask_the_leader(step):
    """Return an act that needs the leader itself, as giving the leadership away does."""
    asked = []

    def act(observed, move):
        asked.append(step.serving(observed, leader_only=True).endpoint)
        return "asked", None

    return act, lambda observed: DONE if asked else MOVE, asked


def test_a_leader_that_does_not_answer_is_waited_for():
    fake = FakeEtcd("a", "b", "c")
    fake.running.discard("a")
    clock = Clock(lambda now: fake.running.add("a") if now >= 3 else None)
    step = stepper(fake, clock)
    act, decide, asked = ask_the_leader(step)
    step.run(decide, act)
    assert asked == ["https://a:2379"]
    assert clock.now == 3


def test_waiting_for_the_leader_is_bounded_and_ends_with_a_next_step():
    fake = FakeEtcd("a", "b", "c")
    fake.running.discard("a")
    clock = Clock()
    step = stepper(fake, clock, seconds=5)
    act, decide, asked = ask_the_leader(step)
    with pytest.raises(_membership.StepFailed) as failed:
        step.run(decide, act)
    said = str(failed.value)
    assert said.startswith("not within 5 s: no member serves just now as the leader (https://a:2379: ")
    assert said.endswith(f". Next: {_quorum_gate.LOOK}")
    assert clock.now == 5
    assert asked == []


def test_a_lost_quorum_ends_with_the_runbook():
    fake = FakeEtcd("a", "b", "c")
    fake.running = {"b"}
    clock = Clock()
    step = stepper(fake, clock, seconds=2)
    with pytest.raises(_membership.StepFailed, match=f"Next: see {_quorum.LOST_QUORUM_RUNBOOK}$"):
        step.run(lambda observed: DONE, lambda observed, move: ("never", None))


@pytest.mark.parametrize("next_step", [_membership.JOURNAL, "bring it up first", ""])
def test_an_act_that_succeeds_and_changes_nothing_is_bounded(next_step):
    """As a start that systemd takes and an etcd that ends at once; only what the journal explains is told with it."""
    clock, acts = Clock(), []
    step = stepper(FakeEtcd("a", "b", "c"), clock, seconds=5)
    step._journal = lambda: "Last journal lines of etcd.service:\nunknown flag: --x"
    move = _membership.Move(_membership.START, "etcd is not running here", "1", next_step)

    def act(observed, move):
        acts.append(clock.now)
        assert len(acts) < 50, "it goes on for ever"
        return move.kind, None

    with pytest.raises(_membership.StepFailed) as failed:
        step.run(lambda observed: move, act)
    said = ".\nLast journal lines of etcd.service:\nunknown flag: --x\n" if next_step == _membership.JOURNAL else ". "
    assert str(failed.value) == f"not within 5 s: etcd is not running here{said}Next: {next_step or _quorum_gate.LOOK}"
    assert acts == [0, 0, 1, 2, 3, 4, 5], "the first one is looked at at once"


def test_different_acts_follow_each_other_without_a_pause():
    clock, left = Clock(), [("move_leader", "1"), ("remove", "1"), ("remove", "2"), ("add", ""), ("start", "3")]
    step = stepper(FakeEtcd("a", "b", "c"), clock, seconds=0)
    step.run(
        lambda observed: _membership.Move(*left[0][:1], "due", left[0][1]) if left else DONE,
        lambda observed, move: (left.pop(0)[0], None),
    )
    assert step.actions == ["move_leader", "remove", "remove", "add", "start"]
    assert clock.now == 0


def test_any_healthy_voter_will_do_and_the_leader_is_asked_first():
    fake = FakeEtcd("a", "b", "c")
    step = stepper(fake, Clock())
    assert step.serving(step.look()).endpoint == "https://a:2379"
    fake.running.discard("a")
    assert step.serving(step.look()).endpoint == "https://b:2379"
