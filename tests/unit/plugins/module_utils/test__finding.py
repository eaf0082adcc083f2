# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _finding
from ansible_collections.multimaster.kubernetes.plugins.module_utils._finding import WARNING, Finding

SMALL = Finding("m1", "memory", "512 MiB of memory", "2048 MiB", "Give the machine more memory.")
EVEN = Finding("", "members-even", "2 members", "an odd number", "Add one.", WARNING)


def test_errors_stand_before_warnings_and_repetitions_once():
    assert _finding.in_order([EVEN, SMALL, EVEN]) == (SMALL, EVEN)


def test_errors_and_warnings_are_told_apart():
    assert (_finding.errors([EVEN, SMALL]), _finding.warnings([EVEN, SMALL])) == ((SMALL,), (EVEN,))


def test_a_check_is_left_out_by_its_id_on_all_hosts():
    assert _finding.without([SMALL, EVEN], ["memory"]) == (EVEN,)


def test_the_table_names_level_host_check_and_remedy_in_aligned_columns():
    assert _finding.table([EVEN, SMALL]).splitlines() == [
        "LEVEL    HOST       CHECK         FOUND              WANTED         FIX",
        "-------  ---------  ------------  -----------------  -------------  -----------------------------",
        "error    m1         memory        512 MiB of memory  2048 MiB       Give the machine more memory.",
        "warning  (cluster)  members-even  2 members          an odd number  Add one.",
    ]


def test_long_cells_wrap_inside_their_column_and_lose_no_word():
    words = " ".join(f"word{number}" for number in range(30))
    table = _finding.table([Finding("m1", "memory", words, "w", "f")])
    column = table.splitlines()[0].index("FOUND")
    rebuilt = " ".join(line[column : column + 34].strip() for line in table.splitlines()[2:])
    assert rebuilt == words
    assert all(len(line) <= sum(width for _title, width in _finding.COLUMNS) + 10 for line in table.splitlines())


def test_a_name_with_hyphens_that_fits_is_not_broken():
    found = "the hostname of this machine is k8s-worker-a-17"
    table = _finding.table([Finding("m1", "memory", found, "w", "f")])
    assert "k8s-worker-a-17" in table
    assert found not in table, "a cell this long has to wrap, or this shows nothing"


def test_no_finding_makes_no_table():
    assert _finding.table([]) == ""


def test_a_line_says_place_problem_wish_remedy_and_id():
    assert SMALL.line() == "m1: 512 MiB of memory (wanted: 2048 MiB). Give the machine more memory. [memory]"
    assert EVEN.line().startswith("2 members (wanted")


def test_a_finding_becomes_plain_data():
    assert SMALL.as_dict()["level"] == "error"
    assert sorted(SMALL.as_dict()) == ["check", "fix", "found", "host", "level", "wanted"]


@pytest.mark.parametrize(
    "message,cause",
    [
        (
            "Task failed: Failed to connect to the host via ssh: ssh: connect to host m1 port 22: Connection refused",
            "ssh: connect to host m1 port 22: Connection refused",
        ),
        ("Failed to connect to the host via ssh: Warning: a new key\r\nConnection timed out\n", "Connection timed out"),
        ("x" * 300, "x" * 200),
        ("", "no reason was given"),
        (None, "no reason was given"),
    ],
)
def test_the_cause_of_a_failed_task_is_its_last_line(message, cause):
    assert _finding.cause(message) == cause


def test_many_hosts_are_counted_instead_of_named():
    assert _finding.some(["a"]) == "a"
    assert _finding.some(["a", "b", "c"]) == "a, b, c"
    assert _finding.some(["a", "b", "c", "d"]) == "a, b, c and 1 more"
    assert _finding.some(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
