# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benches make of what they measured, and which words they give to the playbooks."""

from __future__ import annotations

import pathlib
import subprocess
import sys
import types

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench"))

import endpoint
import leases
import scale


def read(*rows):
    return [leases.Reading(*row) for row in rows]


@pytest.mark.parametrize(
    ("readings", "found"),
    [
        (read(("a", 1, 5), ("a", 1, 7)), []),
        (read(("a", 1, 7), ("", 1, 8), ("b", 10, 10)), [leases.Handover("a", "b", 2, True)]),
        (read(("a", 1, 7), ("b", 22, 22)), [leases.Handover("a", "b", 15, False)]),
        (read(("a", 1, 7), ("", 1, 8), ("a", 9, 9)), [leases.Handover("a", "a", 1, True)]),
    ],
    ids=["none", "after a release", "after its end", "back to the same one"],
)
def test_a_hand_over_is_from_the_release_or_the_last_renewal(readings, found):
    assert leases.handovers(readings) == found


@pytest.mark.parametrize("bench", [endpoint, leases], ids=lambda bench: bench.__name__)
def test_a_row_has_the_columns_of_its_head(bench):
    rows = {
        endpoint: endpoint.told("moved", [0.3, 0.1, 0.2], [0, 2, 1]),
        leases: leases.told("kube-scheduler", [leases.Handover("a", "b", 2, True), leases.Handover("b", "a", 15, False)]),
    }
    expected = {
        endpoint: "| moved | 3 | 0.20 s | 0.30 s | 0.30 s | 3 | 2 |",
        leases: "| kube-scheduler | 2 | 8.50 s | 15.00 s | 1 |",
    }
    assert rows[bench] == expected[bench]
    assert {line.count("|") for line in (*bench.HEAD.splitlines(), rows[bench])} == {rows[bench].count("|")}


def test_without_a_hand_over_there_are_no_seconds():
    assert leases.told("kube-scheduler", []) == "| kube-scheduler | 0 | - | - | 0 |"


@pytest.mark.parametrize(
    ("words", "times", "more"),
    [
        (["x", "roll.yml", "-e", "node=all", "--times", "2"], 1, ["-e", "node=all", "--times", "2"]),
        (["--times", "30", "x", "roll.yml"], 30, []),
    ],
)
def test_from_the_lab_on_the_words_are_those_of_the_playbook(words, times, more):
    options = leases.parse(words)
    assert (options.times, options.lab, options.playbook, options.more) == (times, "x", "roll.yml", more)


def test_the_address_is_moved_by_the_playbook(monkeypatch):
    ran = []
    monkeypatch.setattr(subprocess, "run", lambda command, **_options: ran.append(command[2:]))
    endpoint.move(types.SimpleNamespace(name="x"), ["a=1"])
    assert ran == [["x", "move_endpoint.yml", "--name", "bench-move", "-e", "a=1"]]


def test_settings_that_are_given_reach_each_run(monkeypatch, tmp_path):
    ran = []
    (tmp_path / "act.json").write_text("{}")
    monkeypatch.setattr(scale.subprocess, "run", lambda command, **_options: ran.append(command[2:]))
    monkeypatch.setattr(scale.access, "Cluster", lambda *_: types.SimpleNamespace(results=tmp_path))
    scale.converge("x", "act", 2, 0, ("m2",), ("a=1",))
    assert ran[0][:2] == ["x", "remove_node.yml"] and ran[0][-2:] == ["-e", "a=1"]
