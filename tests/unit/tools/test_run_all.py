# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make test` runs, and how its parts are counted."""

from __future__ import annotations

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "tools"))
import run_all


def test_the_scenarios_are_those_of_the_makefile_and_exist(monkeypatch):
    for name in ("SCENARIOS", "MAKEFLAGS"):
        monkeypatch.delenv(name, raising=False)
    names = run_all.scenarios()
    assert names
    assert set(names) <= {path.parent.name for path in ROOT.glob("molecule/*/molecule.yml")}
    monkeypatch.setenv("SCENARIOS", "single life")
    assert run_all.scenarios() == ["single", "life"]


@pytest.mark.parametrize(
    ("text", "counted"),
    [
        ("", (0, 0)),
        ("12 passed in 3.4s", (12, 0)),
        ("==== 1 failed, 12 passed, 2 errors in 3.4s ====", (12, 3)),
        ("3 passed in 1.0s\nmore\n=== 4 passed in 2.0s ===", (7, 0)),
    ],
)
def test_tests_are_summed_over_all_summaries(text, counted):
    assert run_all.count(text) == counted


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (0, "== 3 passed, 1 skipped in 0.12s ==", (3, 0)),
        (1, "== 3 passed, 1 failed in 0.12s ==", (3, 1)),
        (1, "== 3 passed in 0.12s ==", (3, 1)),
        (0, "nothing to count", (1, 0)),
        (2, "nothing to count", (0, 1)),
        (0, "== 4 skipped in 0.12s ==", (0, 1)),
    ],
    ids=["some", "a-failure", "a-failure-outside-tests", "no-tests", "no-tests-and-a-failure", "all-skipped"],
)
def test_a_part_is_judged_by_its_code_and_its_tests(code, text, expected):
    assert run_all.verdict(code, text) == expected


def test_a_part_beside_others_is_shown_as_a_whole_when_it_has_ended(monkeypatch, capsys):
    def run(name, *_target, show):
        for line in (f"===== {name} =====\n", "1 passed in 0.1s\n"):
            show(line, end="", flush=True)
            assert not capsys.readouterr().out
        return name, 0.1, 1, 0

    monkeypatch.setattr(run_all, "run", run)
    assert run_all.lane((("lint", "lint"),)) == [("lint", 0.1, 1, 0)]
    assert capsys.readouterr().out == "===== lint =====\n1 passed in 0.1s\n"


def test_every_cheap_part_is_in_one_lane_or_the_first():
    targets = [target for _name, target in (run_all.UNIT, *(part for lane in run_all.LANES for part in lane))]
    assert sorted(targets) == ["integration", "lint", "prober-test", "sanity", "unit"]


@pytest.mark.parametrize("failing", ["", "lint"])
def test_what_measures_has_the_machine_to_itself_and_comes_when_the_rest_has_passed(monkeypatch, failing):
    ran = []

    def run(name, *_target, **_how):
        ran.append(name)
        return name, 0.1, 1, int(name == failing)

    monkeypatch.setattr(run_all, "run", run)
    monkeypatch.setattr(sys, "argv", ["run_all.py", "single", "life"])
    with pytest.raises(SystemExit) as ended:
        run_all.main()
    measured = ["components and images", "scenario life"]
    assert ran[0] == "unit tests" and set(ran[1:7]) >= {"lint", "sanity", "modules on real components", "scenario single"}
    assert ran[6:] == ([] if failing else measured)
    assert ended.value.code == bool(failing)


@pytest.mark.parametrize(
    ("name", "took", "spent", "within", "begun"),
    [
        ("external_etcd", 2000, 3000, 5100, True),
        ("external_etcd", 2000, 4400, 5100, False),
        ("external_etcd", 2000, 4400, 0, True),
        ("life", 2000, 5000, 5100, True),  # there is no measure for it: it is what is to be shown
    ],
)
def test_a_scenario_that_would_not_end_in_time_is_not_begun(name, took, spent, within, begun):
    assert run_all.fits(name, [("lint", 100, 1, 0), ("scenario life", took, 40, 0)], spent, within) is begun


@pytest.mark.parametrize("failing", ["", "scenario life"])
def test_a_scenario_that_was_not_begun_is_named_where_nobody_overlooks_it(monkeypatch, capsys, failing):
    """The last line is read by a program, which knows these two numbers only."""
    monkeypatch.setattr(run_all, "run", lambda name, *_target, **_how: (name, 0.1, 1, int(name == failing)))
    monkeypatch.setattr(run_all, "fits", lambda name, *_rest: name == "life")
    monkeypatch.setattr(sys, "argv", ["run_all.py", "--within", "5100", "single", "life", "external_etcd"])
    with pytest.raises(SystemExit) as ended:
        run_all.main()
    told = capsys.readouterr().out.splitlines()
    assert ended.value.code is bool(failing) and told[-1] == f"8 passed, {int(bool(failing))} failed"
    assert told[-2].startswith("NOT RUN: scenario external_etcd, which would not end within 5100 s")
    assert told[-2].endswith("Next: make scenario S=external_etcd")
