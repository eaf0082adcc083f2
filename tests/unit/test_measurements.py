# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold what docs/performance.md sums up to docs/measurements.md, where each drill has a row for each time that it was run."""

from __future__ import annotations

import math
import pathlib
import re

import pytest

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
SUMMARY, LOG = (DOCS / f"{name}.md" for name in ("performance", "measurements"))
FAILED = re.compile(r"([\d,]+) of ([\d,]+)")
BOTH = ("reads failed", "writes failed")


def rows(text):
    """Yield each row of a page's tables as {title of the column: cell}."""
    titles = None
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")] if line.startswith("|") else None
        if cells is None or titles is None:
            titles = cells
        elif not line.startswith("| ---"):
            yield dict(zip(titles, cells))


def sections():
    """Return {title: text} of the log."""
    parts = re.split(r"^## (.*)$", LOG.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def upgrades():
    """Return the rows of the summary's table of upgrades."""
    return [row for row in rows(SUMMARY.read_text(encoding="utf-8")) if set(row) == {"drill", "date", *BOTH}]


def counted(cell):
    """Return (how many failed, of how many)."""
    return tuple(int(number.replace(",", "")) for number in FAILED.match(cell).groups())


@pytest.mark.parametrize("row", upgrades(), ids=lambda row: f"{row['drill']} {row['date']}")
def test_each_upgrade_of_the_summary_is_a_row_of_its_drill_in_the_log(row):
    (section,) = [text for title, text in sections().items() if row["drill"] in title]
    logged = [one for one in rows(section) if one.get("reads failed") == row["reads failed"]]
    assert [one["writes failed"].startswith(row["writes failed"]) for one in logged] == [True]


def test_no_upgrade_that_the_log_counts_from_outside_and_by_itself_is_left_out():
    """Which is a row that says so, or any of a drill that is one; where a host dies it is none of these."""
    drills = ("two_masters", "upgrade_interrupted", "upgrade_refused", "go_back")
    logged = [
        row["reads failed"]
        for title, text in sections().items()
        if not re.search("upgrade_master_dies|external_etcd", title)
        for row in rows(text)
        for steps in [next(iter(row.values()))]
        if re.search("upgrade|Kubernetes 1", steps) or any(drill in title for drill in drills)
        if not re.search("in the cluster|a workload", steps)
    ]
    assert sorted(logged) == sorted(row["reads failed"] for row in upgrades())


def test_what_is_said_of_all_upgrades_is_what_their_rows_say():
    text = SUMMARY.read_text(encoding="utf-8")
    reads, writes = ([counted(row[column]) for row in upgrades()] for column in BOTH)
    said = re.search(r"In (\d+) upgrades no read failed, of (\S+), and (\d+) writes did, of (\S+),", text)
    assert int(said[1]) == len(upgrades())
    assert [said[2], said[4]] == [f"{sum(every for _failed, every in seen):,}" for seen in (reads, writes)]
    assert int(said[3]) == sum(failed for failed, _every in writes)
    for title, seen in (("reads on new connections", reads), ("writes on a kept one", writes)):
        failed = sorted(one for one, _every in seen)
        ranks = [failed[math.ceil(share * len(failed)) - 1] for share in (0.5, 0.95, 1.0)]
        assert f"| here, failed {title} | {' | '.join(map(str, ranks))} |" in text


def test_the_summary_names_every_drill_of_the_log():
    text = SUMMARY.read_text(encoding="utf-8")
    drills = [drill for title in sections() for drill in re.findall(r"S=(\w+)", title)]
    assert len(drills) > 10
    assert [drill for drill in drills if f"`{drill}`" not in text] == []
    anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in sections()}
    assert set(re.findall(r"measurements\.md#([\w-]+)", text)) <= anchors
