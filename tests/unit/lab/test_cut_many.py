# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Series of cuts, and what must not have been made twice after them."""

from __future__ import annotations

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))

import cut_many  # noqa: E402
import cutoff  # noqa: E402
import yaml  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[3]


def test_every_drawn_cut_can_be_read_and_the_founding_comes_first():
    for seed in range(50):
        cuts = cut_many.draw(seed, 10)
        assert len(cuts) == 10
        assert all(cutoff.parse_cut(text).task for text in cuts[: len(cut_many.FOUNDING)])
        assert all(cutoff.parse_cut(text).delay for text in cuts[len(cut_many.FOUNDING) :])


def test_a_seed_repeats_its_series():
    assert cut_many.draw(7, 10) == cut_many.draw(7, 10) != cut_many.draw(8, 10)


def task_names():
    for path in (ROOT / "roles").glob("*/tasks/*.yml"):
        yield from (task["name"] for task in yaml.safe_load(path.read_text()))


def test_the_moments_of_the_founding_are_tasks_that_exist():
    names = list(task_names())
    for text in cut_many.FOUNDING:
        cut = cutoff.parse_cut(text.format(ms=1))
        assert any(cut.task in name for name in names), f"no role has a task named {cut.task!r} any more"


def test_the_cuts_of_scenarios_name_tasks_that_exist():
    names = list(task_names())
    for path in (ROOT / "molecule").glob("*/steps/*.yml"):
        step = yaml.safe_load(path.read_text())[0].get("vars", {}).get("step", [])
        if "--cut" in step:
            cut = cutoff.parse_cut(step[step.index("--cut") + 1])
            assert any(cut.task in name for name in names), f"{path.name}: no role has a task named {cut.task!r} any more"


def test_one_authority_everywhere_is_fine_and_is_remembered():
    known = {}
    assert cut_many.second_authorities(known, {"/ca.crt": {"a"}}) == []
    assert known == {"/ca.crt": "a"}


def test_an_authority_made_twice_or_differing_between_hosts_is_found():
    assert cut_many.second_authorities({"/ca.crt": "a"}, {"/ca.crt": {"b"}}) == ["/ca.crt was made a second time"]
    assert "/ca.crt differs between hosts" in cut_many.second_authorities({}, {"/ca.crt": {"a", "b"}})
