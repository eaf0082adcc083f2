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
    limits = probe.parse_allowed("reads=1,gap=600")
    assert probe.problems(result(("read", "failed"), 1), limits) == []
    assert probe.problems(result(("read", "failed"), 2), limits) != []
    assert probe.problems(result(("write", "failed"), 1), limits) != []
    assert probe.problems(result(("write", "longest_gap_ms"), 601), limits) != []


def test_lost_writes_can_not_be_allowed():
    with pytest.raises(ValueError):
        probe.parse_allowed("lost=1")
