# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a prober's result is good enough."""

from __future__ import annotations

import copy
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))

import probe  # noqa: E402

STREAM = {"sent": 100, "failed": 0, "retried": 2, "longest_gap_ms": 40.0, "longest_gap_at": "t", "first_errors": []}
CLEAN = {
    "read": dict(STREAM),
    "write": dict(STREAM),
    "watch": dict(STREAM),
    "read_back": {"done": True, "lost": 0, "first_lost": []},
    "end_errors": [],
}


def result(path, value):
    made = copy.deepcopy(CLEAN)
    part = made
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return made


def test_retries_alone_are_no_problem():
    assert probe.problems(CLEAN, {}) == []


@pytest.mark.parametrize(
    "path,value",
    [
        (("read", "failed"), 1),
        (("write", "failed"), 1),
        (("watch", "failed"), 1),
        (("read_back", "lost"), 1),
        (("read_back", "done"), False),
        (("read", "sent"), 0),
        (("write", "sent"), 0),
    ],
)
def test_one_failure_of_any_kind_is_a_problem(path, value):
    assert len(probe.problems(result(path, value), {})) == 1


def test_limits_allow_so_many_and_no_more():
    limits = probe.parse_allowed("percent=1,gap=600")
    for stream in ("read", "write"):
        most = CLEAN[stream]["sent"] // 100
        assert probe.problems(result((stream, "failed"), most), limits) == []
        assert probe.problems(result((stream, "failed"), most + 1), limits) != []
    assert probe.problems(result(("write", "longest_gap_ms"), 601), limits) != []


WORKLOAD = {"read": dict(STREAM), "clean": True}


def test_a_workloads_result_is_judged_by_its_reads_alone():
    assert probe.problems(WORKLOAD, {}, probe.WORKLOAD) == []
    for key, value in (("failed", 1), ("sent", 0)):
        bad = {"read": dict(STREAM) | {key: value}}
        assert len(probe.problems(bad, {}, probe.WORKLOAD)) == 1
    assert probe.problems({"read": dict(STREAM) | {"failed": 1}}, {"percent": 1.0}, probe.WORKLOAD) == []


def test_a_result_without_writes_is_none_of_the_api():
    with pytest.raises(KeyError):
        probe.problems(WORKLOAD, {})


@pytest.mark.parametrize("failed,percent,blind", [(0, 0, True), (1, 0, False), (1, 1, True), (2, 1, False)])
def test_a_control_that_sees_no_more_than_is_allowed_is_blind(failed, percent, blind):
    seen = {"read": dict(STREAM) | {"failed": failed}}
    assert bool(probe.unseen(seen, {"percent": percent}, probe.WORKLOAD)) is blind


def test_lost_writes_can_not_be_allowed():
    with pytest.raises(ValueError):
        probe.parse_allowed("lost=1")


EVENTS = [
    {"event": "play", "at": 100.0, "play": "p"},
    {"event": "task", "at": 100.5, "task": "First"},
    {"event": "task", "at": 105.0, "task": "Second"},
    {"event": "stats", "at": 110.0, "hosts": {}},
]


@pytest.mark.parametrize("at,task", [(99.0, ""), (100.2, "its beginning"), (101.0, "First"), (107.0, "Second"), (111.0, "")])
def test_a_time_is_found_in_the_run_it_belongs_to(at, task):
    assert probe.task_at(EVENTS, at) == task


def test_a_burst_of_failures_names_the_step_that_was_being_done():
    burst = {"from": "1970-01-01T00:01:47.25Z", "to": "1970-01-01T00:01:48Z", "failed": 3}
    lines = probe.explain(result(("read", "bursts"), [burst]), {"join": EVENTS})
    assert lines == ["3 reads from 00:01:47.25Z to 00:01:48Z, during join: Second"]


def test_a_workloads_burst_of_failures_names_the_step_too():
    burst = {"from": "1970-01-01T00:01:41Z", "to": "1970-01-01T00:01:42Z", "failed": 2}
    lines = probe.explain({"read": {"bursts": [burst]}}, {"drain": EVENTS})
    assert lines == ["2 reads from 00:01:41Z to 00:01:42Z, during drain: First"]


@pytest.mark.parametrize("text,seconds", [("1970-01-01T00:01:40Z", 100.0), ("1970-01-01T00:01:40.123456789Z", 100.123456789)])
def test_times_of_the_prober_are_read(text, seconds):
    assert abs(probe.parse_time(text) - seconds) < 1e-6
