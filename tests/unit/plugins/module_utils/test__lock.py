# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test who gets the lock: by a table, and by every combination of holder, controller, process and time."""

from __future__ import annotations

import importlib
import itertools
from dataclasses import replace

import pytest
import yaml
from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _beside_turns,
    _drain,
    _lock,
)

COLLECTION = "ansible_collections.multimaster.kubernetes.plugins"
END = 1000.0
ME = _lock.Run("ctl1/b", "remove m1", "ctl1", "boot1", 20, 200, "b")
OTHER = _lock.Run("ctl1/a", "upgrade to 1.37.2", "ctl1", "boot1", 10, 100, "a")
HELD = _lock.Lease(OTHER, "ten", "eleven", END)
ENDED = END + _lock.CLOCK_SECONDS + 0.1


@pytest.mark.parametrize(
    ("lease", "now", "gone", "step", "said"),
    [
        pytest.param(None, 0.0, "", "take", "nobody held the lock", id="no-lease"),
        pytest.param(replace(HELD, run=_lock.Run()), 0.0, "", "take", "nobody held the lock", id="emptied"),
        pytest.param(replace(HELD, run=ME), 0.0, "", "renew", "this run has held the lock since ten", id="mine"),
        pytest.param(
            replace(HELD, run=ME), ENDED, "", "renew",
            "this run has held the lock since ten; it had ended at eleven, and nobody took it meanwhile", id="mine-and-ended",
        ),
        pytest.param(replace(HELD, run=ME, ends=None), 0.0, "", "renew", None, id="mine-and-unreadable-end"),
        pytest.param(
            HELD, 0.0, "", "refuse",
            "another operation holds the lock of this cluster: upgrade to 1.37.2 from ctl1 (holder ctl1/a), since ten until "
            "eleven. Next: run again after that; when that run is known to be dead, "
            "`kubectl -n kube-system delete lease multimaster-operation` and run again", id="held",
        ),
        pytest.param(
            replace(HELD, run=_lock.Run("x"), ends=None), ENDED, "", "refuse",
            "another operation holds the lock of this cluster: an operation that says no purpose (holder x); it says no end that "
            "can be read. Next: let it end; when that run is known to be dead, "
            "`kubectl -n kube-system delete lease multimaster-operation` and run again", id="unreadable-end",
        ),
        pytest.param(HELD, END + _lock.CLOCK_SECONDS, "", "refuse", None, id="ended-by-less-than-clocks-differ"),
        pytest.param(
            HELD, ENDED, "", "take_over",
            "the lock was held for upgrade to 1.37.2 from ctl1 (holder ctl1/a) until eleven and was not renewed", id="ended",
        ),
        pytest.param(
            HELD, 0.0, "ctl1/a", "take_over",
            "the lock was held for upgrade to 1.37.2 from ctl1 (holder ctl1/a), whose process is gone", id="gone",
        ),
        pytest.param(replace(HELD, ends=None), 0.0, "ctl1/a", "take_over", None, id="gone-and-unreadable-end"),
        pytest.param(HELD, 0.0, "ctl1/c", "refuse", None, id="another-is-gone"),
        pytest.param(replace(HELD, run=ME), 0.0, ME.holder, "renew", None, id="mine-whatever-is-gone"),
    ],
)  # fmt: skip  # a case a row
def test_judge(lease, now, gone, step, said):
    verdict = _lock.judge(lease, ME, now, gone)
    assert verdict.step == step
    assert said is None or verdict.reason == said
    assert verdict.refused == (step == "refuse")


@pytest.mark.parametrize("mine", [True, False], ids=["mine", "another's"])
@pytest.mark.parametrize("same_controller", [True, False], ids=["this-controller", "another-controller"])
@pytest.mark.parametrize("process", ["alive", "gone", "number-reused", "unknown"])
@pytest.mark.parametrize("expired", [True, False, None], ids=["ended", "running", "end-unreadable"])
def test_every_combination_against_the_rule(mine, same_controller, process, expired):
    """Another's lock is had when its end has passed, or its process is seen gone from where it can be seen; else never."""
    run = replace(OTHER, holder=ME.holder if mine else OTHER.holder, controller="ctl1" if same_controller else "ctl2")
    lease = _lock.Lease(run, "ten", "eleven", None if expired is None else END)
    now = ENDED if expired else END - 1
    seen = {"alive": run.started, "gone": None, "number-reused": run.started + 1, "unknown": _lock.UNKNOWN}[process]
    gone = run.holder if _lock.abandoned(run, ME, seen) else ""
    dead = same_controller and process in ("gone", "number-reused")
    wanted = "renew" if mine else "take_over" if dead or expired else "refuse"
    assert _lock.judge(lease, ME, now, gone).step == wanted


SEEN = {"gone": None, "reused": 101, "alive": 100, "hidden": _lock.UNKNOWN}


def test_a_process_is_gone_only_where_its_number_is_known_to_mean_something():
    """Enumerates what is known of the other run and of this one; whatever is unknown or different counts as alive."""
    fields = {"controller": ("ctl1", "ctl2", ""), "boot": ("boot1", "boot2", ""), "pid": (10, 0, -1), "started": (100, 0, -1)}
    for controller, boot, pid, started in itertools.product(*fields.values()):
        run = _lock.Run("x", "", controller, boot, pid, started)
        for my_controller, my_boot, (name, seen) in itertools.product(("ctl1", ""), ("boot1", ""), SEEN.items()):
            me = _lock.Run("me", controller=my_controller, boot=my_boot)
            known = (controller, boot, pid, started, my_controller, my_boot) == ("ctl1", "boot1", 10, 100, "ctl1", "boot1")
            assert _lock.abandoned(run, me, seen) == (known and name in ("gone", "reused"))


@pytest.mark.parametrize(
    ("lease", "step", "said"),
    [
        pytest.param(None, "nothing", "nobody holds the lock", id="no-lease"),
        pytest.param(replace(HELD, run=_lock.Run()), "nothing", "nobody holds the lock", id="emptied"),
        pytest.param(replace(HELD, run=ME), "release", "this run has held the lock since ten", id="mine"),
        pytest.param(
            HELD,
            "refuse",
            "the lock of this cluster is not this run's to release: upgrade to 1.37.2 from ctl1 (holder ctl1/a) holds it, since "
            "ten until eleven. Next: leave it; if this run had it before, it was longer than its bound and both were at work: "
            "see what each did",
            id="another's",
        ),
    ],
)
def test_judge_release(lease, step, said):
    assert _lock.judge_release(lease, ME) == _lock.Verdict(step, said)


KEPT_WORDS = {
    "removed": "this run no longer holds the lock of this cluster, nobody does: somebody removed it, and may have operated "
    "since. The next step was not begun. Next: see who did, then run this again, which goes on where it stopped",
    "lost": "this run has lost the lock of this cluster to another operation: upgrade to 1.37.2 from ctl1 (holder ctl1/a), since "
    "ten until eleven. The next step was not begun. Next: let it end, see what it did, then run this again, which goes on "
    "where it stopped; when that run is known to be dead, "
    "`kubectl -n kube-system delete lease multimaster-operation` and run again",
}


@pytest.mark.parametrize(
    ("lease", "now", "step", "said"),
    [
        pytest.param(None, 0.0, "refuse", KEPT_WORDS["removed"], id="no-lease"),
        pytest.param(replace(HELD, run=_lock.Run()), 0.0, "refuse", KEPT_WORDS["removed"], id="emptied"),
        pytest.param(HELD, 0.0, "refuse", KEPT_WORDS["lost"], id="another's"),
        pytest.param(HELD, ENDED, "refuse", None, id="another's-and-ended"),
        pytest.param(replace(HELD, run=ME), 0.0, "renew", "this run has held the lock since ten", id="mine"),
        pytest.param(
            replace(HELD, run=ME),
            ENDED,
            "renew",
            "this run has held the lock since ten; it had ended at eleven, and nobody took it meanwhile",
            id="mine-and-ended",
        ),
    ],
)
def test_a_lock_is_kept_or_was_lost(lease, now, step, said):
    """A run that had it takes it from nobody, not even when that one's has ended: what that run did has to be looked at."""
    verdict = _lock.judge_kept(lease, ME, now)
    assert verdict.step == step
    assert said is None or verdict.reason == said


def test_the_lock_in_a_file_is_broken_by_its_own_means():
    for verdict in (_lock.judge(HELD, ME, 0.0, remedy="`rm x` on m1"), _lock.judge_kept(HELD, ME, 0.0, "`rm x` on m1")):
        assert "when that run is known to be dead, `rm x` on m1 and run again" in verdict.reason
        assert "kubectl" not in verdict.reason


@pytest.mark.parametrize("lease", [None, HELD, replace(HELD, run=_lock.Run())])
def test_a_run_without_a_name_gets_nothing(lease):
    nobody = _lock.Run()
    for verdict in (_lock.judge(lease, nobody, ENDED), _lock.judge_release(lease, nobody)):
        assert verdict.refused
        assert "give `holder`" in verdict.reason
    assert _lock.judge_kept(lease, nobody, ENDED).refused


@pytest.mark.parametrize(
    ("passed", "had", "wants", "due"),
    [
        (None, 600, 600, True),
        (0.0, 600, 600, False),
        (29.9, 600, 600, False),
        (30.0, 600, 600, True),
        (-0.1, 600, 600, True),
        (1.0, 600, 1800, True),
        (1.0, 1800, 600, False),
    ],
)
def test_a_renewal_is_due(passed, had, wants, due):
    assert _lock.due(passed, had, wants) is due


def test_what_is_not_due_leaves_the_coming_step_its_bound_and_half_of_the_margin():
    for seconds in (1, _lock.STEP_SECONDS, 1800):
        passed = next(one for one in range(10**4) if _lock.due(one, seconds, seconds)) - 1
        assert _lock.duration(seconds) - passed >= seconds + _lock.MARGIN_SECONDS / 2


def test_a_slow_step_is_longer_than_the_usual_one_and_no_longer_than_a_lock_may_last():
    assert _lock.STEP_SECONDS < _beside_turns.SLOW_STEP_SECONDS <= _lock.LONGEST_SECONDS


WAITS = [("kube_node", "timeout", "detach_timeout"), ("cluster_ready", "timeout"), ("etcd_member", "timeout")]


def documented(module):
    return yaml.safe_load(importlib.import_module(f"{COLLECTION}.modules.{module}").DOCUMENTATION)["options"]


@pytest.mark.parametrize("waits", [*WAITS, ("etcd_quorum", "timeout")], ids=lambda waits: waits[0])
def test_no_module_waits_longer_than_a_step(waits):
    module, *options = waits
    assert 0 < sum(documented(module)[option]["default"] for option in options) <= _lock.STEP_SECONDS


def test_a_step_has_room_for_a_drain_and_for_the_node_to_be_ready_again():
    drain, ready = documented("kube_node"), documented("cluster_ready")
    assert drain["timeout"]["default"] == _drain.SECONDS, "documentation cannot import"
    assert _drain.SECONDS + drain["detach_timeout"]["default"] + ready["timeout"]["default"] <= _lock.STEP_SECONDS


def test_bounds_of_a_step():
    assert [_lock.duration(seconds) for seconds in (1, 600, 86400)] == [61, 660, 86460]
    for seconds in (0, -1, 86401):
        with pytest.raises(ValueError, match=f"a step bounded by {seconds} s: wanted 1 to 86400"):
            _lock.duration(seconds)


def test_what_a_module_returns_of_it():
    assert HELD.as_dict() == {
        "holder": "ctl1/a",
        "purpose": "upgrade to 1.37.2",
        "controller": "ctl1",
        "boot": "boot1",
        "pid": 10,
        "started": 100,
        "run": "a",
        "since": "ten",
        "until": "eleven",
    }


@pytest.mark.parametrize(
    ("masters", "serving", "places"),
    [
        (0, False, ("host",)),
        (1, False, ("host",)),
        (3, False, ("host",)),
        (1, True, ("host", "cluster")),
        (2, True, ("cluster",)),
    ],
)
def test_where_a_run_holds_its_lock(masters, serving, places):
    assert _lock.places(masters, serving) == places
