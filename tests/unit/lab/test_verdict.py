# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a prober's result is good enough: without any harm, and where something was harmed on purpose."""

from __future__ import annotations

import copy
import pathlib
import sys

import pytest
from prober_fixtures import CLEAN, STREAM, at, result

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))

import verdict

T0 = verdict.parse_time("2026-01-01T00:00:00Z")


def failing(*bursts, untimed=0, stream="read"):
    """Return a result whose stream failed in bursts of (from, to, how many), and so often after the list of them was full."""
    made = copy.deepcopy(CLEAN)
    made[stream]["bursts"] = [{"from": at(begin), "to": at(end), "failed": failed} for begin, end, failed in bursts]
    made[stream]["failed"] = sum(failed for _begin, _end, failed in bursts) + untimed
    return made


def test_retries_alone_are_no_problem():
    assert verdict.problems(CLEAN, {}) == []


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
    assert len(verdict.problems(result(path, value), {})) == 1


def test_limits_allow_so_many_and_no_more():
    limits = verdict.parse_allowed("percent=1,gap=600")
    for stream in verdict.API:
        most = CLEAN[stream]["sent"] // 100
        assert verdict.problems(result((stream, "failed"), most), limits) == []
        assert verdict.problems(result((stream, "failed"), most + 1), limits) != []
    assert verdict.problems(result(("write", "longest_gap_ms"), 601), limits) != []


@pytest.mark.parametrize(
    ("limits", "most"), [("failed=10", 10), ("failed=3,percent=0", 3), ("percent=1,failed=1", CLEAN["read"]["sent"] // 100)]
)
def test_a_number_bounds_what_fails_however_long_it_was_measured(limits, most):
    for failed, bearable in ((most, True), (most + 1, False)):
        assert (verdict.problems(result(("read", "failed"), failed), verdict.parse_allowed(limits)) == []) is bearable


def test_lost_writes_can_not_be_allowed():
    with pytest.raises(ValueError):
        verdict.parse_allowed("lost=1")


WORKLOAD = {"read": dict(STREAM), "clean": True}


def test_a_workloads_result_is_judged_by_its_reads_alone():
    assert verdict.problems(WORKLOAD, {}, verdict.WORKLOAD) == []
    for key, value in (("failed", 1), ("sent", 0)):
        bad = {"read": dict(STREAM) | {key: value}}
        assert len(verdict.problems(bad, {}, verdict.WORKLOAD)) == 1
    assert verdict.problems({"read": dict(STREAM) | {"failed": 1}}, {"percent": 1.0}, verdict.WORKLOAD) == []


def test_a_result_without_writes_is_none_of_the_api():
    with pytest.raises(KeyError):
        verdict.problems(WORKLOAD, {})


@pytest.mark.parametrize("failed,percent,blind", [(0, 0, True), (1, 0, False), (1, 1, True), (2, 1, False)])
def test_a_control_that_sees_no_more_than_is_allowed_is_blind(failed, percent, blind):
    seen = {"read": dict(STREAM) | {"failed": failed}}
    assert bool(verdict.unseen(seen, {"percent": percent}, verdict.WORKLOAD)) is blind


# --- where something was harmed ------------------------------------------------------------------------------------------

DIED = verdict.Window(T0 + 100, T0 + 110, {"failed": 5, "gap": 8000}, "m1 lost its power")
AGAIN = verdict.Window(T0 + 300, T0 + 310, {"failed": 5, "gap": 8000}, "m2 lost its power")
ALWAYS = {"failed": 1, "gap": 4000}


@pytest.mark.parametrize(
    ("seen", "found"),
    [
        (failing(), []),
        (failing((104, 110, 5)), []),
        (failing((100, 101, 2), (103, 110, 3)), []),
        (failing((104, 110, 5), (301, 301, 5), (200, 200, 1)), []),
        (failing((104, 110, 6)), ["6 of 100 reads failed after m1 lost its power (5 allowed within 10.0 s)"]),
        (failing((100, 101, 3), (103, 110, 3)), ["6 of 100 reads failed after m1 lost its power (5 allowed within 10.0 s)"]),
        (
            failing((104, 111, 2)),
            [
                "2 of 100 reads failed at other times (1 allowed): "
                "2 from 00:01:44.000 to 00:01:51.000 (4.0 to 11.0 s after m1 lost its power)"
            ],
        ),
        (failing((99, 104, 2)), ["(-1.0 to 4.0 s after m1 lost its power)"]),
        (failing((50, 50, 2)), ["2 of 100 reads failed at other times (1 allowed): 2 from 00:00:50.000 to 00:00:50.000"]),
        (failing((50, 50, 1), (320, 320.5, 1)), ["; 1 from 00:05:20.000 to 00:05:20.500 (20.0 to 20.5 s after m2"]),
        (failing((104, 305, 5)), ["5 of 100 reads failed at other times"]),
    ],
    ids=[
        "nothing",
        "within",
        "two bursts within",
        "one without and both within",
        "too many within",
        "too many of two bursts",
        "it lasts longer",
        "it began before",
        "before it",
        "one before, one after",
        "from one to the other",
    ],
)
def test_failures_are_allowed_after_a_harm_and_judged_strictly_at_other_times(seen, found):
    said = verdict.problems(seen, ALWAYS, windows=[DIED, AGAIN])
    assert len(said) == len(found) and all(part in line for part, line in zip(found, said, strict=True))
    if seen["read"]["failed"] > 1:
        assert verdict.problems(seen, ALWAYS) == [f"{seen['read']['failed']} of 100 reads failed (1 allowed)"]


@pytest.mark.parametrize(("untimed", "found"), [(0, 0), (1, 1), (2, 2)])
def test_what_failed_after_the_list_of_bursts_was_full_is_never_within(untimed, found):
    said = verdict.problems(failing((104, 105, 2), untimed=untimed), ALWAYS, windows=[DIED])
    assert len(said) == found
    if found:
        assert said[-1] == f"when {untimed} reads failed is not known: there were more bursts than the 1 that are told"


@pytest.mark.parametrize(
    ("gaps", "longest", "found"),
    [
        ([], (at(1), 4000), 0),
        ([], (at(1), 4001), 1),
        ([(at(98), 7000)], (at(98), 7000), 0),
        ([(at(98), 8001)], (at(98), 8001), 1),
        ([(at(50), 4500), (at(98), 7000)], (at(98), 7000), 1),
        ([(at(50), 3500), (at(98), 7000)], (at(98), 7000), 0),
        ([(at(109.5), 5000)], (at(109.5), 5000), 0),
        ([(at(110.5), 5000)], (at(110.5), 5000), 1),
        ([(at(80), 19000)], (at(80), 19000), 1),
    ],
)
def test_a_long_gap_is_allowed_after_a_harm_and_hides_no_other(gaps, longest, found):
    seen = result(("read", "gaps"), [{"from": begin, "ms": ms} for begin, ms in gaps])
    seen["read"]["longest_gap_at"], seen["read"]["longest_gap_ms"] = longest
    assert len(verdict.problems(seen, ALWAYS, windows=[DIED])) == found
    assert len(verdict.problems(seen, {}, windows=[DIED])) == 0, "without a limit any gap is allowed"


@pytest.mark.parametrize(("moment", "found"), [(0, 0), (300, 0), (600, 0), (-1, 1), (601, 1)])
def test_who_says_that_a_host_died_is_held_to_it(moment, found):
    assert len(verdict.without_death(CLEAN, [(T0 + moment, "m1")])) == found
    assert verdict.without_death(CLEAN, [])


def measured(**more):
    streams = {stream: {"sent": 9} for stream in verdict.API}
    return {**streams, "watch": {"failed": 0}, "read_back": {"done": True, "lost": 0}, **more}


@pytest.mark.parametrize(
    ("result", "found"),
    [
        (measured(), []),
        (measured(write={"sent": 0}), ["no write was measured"]),
        (measured(watch={"failed": 2}), ["the watch missed 2 events"]),
    ],
)
def test_a_prober_proves_something_when_it_measured_and_lost_nothing(result, found):
    assert verdict.unproven(result) == found


def test_each_prober_has_limits_and_those_of_a_workload_know_no_death():
    assert set(verdict.LIMITS) == {"machine", "pod", "in-cluster", "workload"}
    died = [(T0, "m1"), (T0 + 5, "m2")]
    windows = {kind: limits.windows(died) for kind, limits in verdict.LIMITS.items()}
    assert {kind: len(found) for kind, found in windows.items()} == {"machine": 2, "pod": 0, "in-cluster": 2, "workload": 0}
    for kind, single in (("machine", 1), ("in-cluster", 5)):
        limits, window = verdict.LIMITS[kind], windows[kind][1]
        assert (window.since, window.until, window.harm) == (T0 + 5, T0 + 5 + limits.within, "m2 lost its power")
        assert window.allowed["failed"] > limits.always["failed"] == single and window.allowed["gap"] > limits.always["gap"]


SEEN_IN_CLUSTER = [
    (5.0, 34.6, 250), (41.0, 41.0, 1), (42.3, 42.7, 2), (52.0, 52.0, 1), (55.9, 55.9, 11), (59.2, 59.2, 8), (72.8, 72.8, 10),
    (76.8, 76.8, 5), (80.4, 80.4, 2), (104.3, 104.3, 8), (107.5, 107.5, 1), (122.7, 122.7, 8), (126.0, 126.0, 7),
    (129.3, 129.3, 2),
]  # fmt: skip  # a burst beside the next


@pytest.mark.parametrize(
    ("kind", "bursts"),
    [("machine", [(5.0, 5.0, 1)]), ("machine", [(5.1, 10.5, 59)]), ("in-cluster", SEEN_IN_CLUSTER)],
    ids=["a master dies", "a member of an etcd of its own dies", "a master dies, in the cluster"],
)
def test_what_was_seen_is_within_the_limits_and_the_same_without_a_death_is_not(kind, bursts):
    limits, died = verdict.LIMITS[kind], T0 + 60
    seen = failing(*[(60 + begin, 60 + end, failed) for begin, end, failed in bursts])
    assert verdict.problems(seen, limits.always, windows=limits.windows([(died, "m1")])) == []
    assert bool(verdict.problems(seen, limits.always)) is (sum(failed for *_when, failed in bursts) > 1)
    elsewhere = limits.windows([(died + 400, "m1")])
    assert bool(verdict.problems(seen, limits.always, windows=elsewhere)) is (sum(failed for *_when, failed in bursts) > 1)


@pytest.mark.parametrize("text,seconds", [("1970-01-01T00:01:40Z", 100.0), ("1970-01-01T00:01:40.123456789Z", 100.123456789)])
def test_times_of_the_prober_are_read(text, seconds):
    assert abs(verdict.parse_time(text) - seconds) < 1e-6
