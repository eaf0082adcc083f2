# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _metrics

TEXT = """# HELP etcd_server_leader_changes_seen_total The number of leader changes seen.
# TYPE etcd_server_leader_changes_seen_total counter
etcd_server_leader_changes_seen_total 1
etcd_server_leader_changes_seen_total_more 9
process_start_time_seconds 1.76e+09
asked_total{path="a,b=\\"c\\"}",code="200"} 4 1700000000
asked_total{code="500",} 1
asked_total{code="503"} many
asked_total
asked_total{} +Inf
"""


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (("etcd_server_leader_changes_seen_total",), [("etcd_server_leader_changes_seen_total", {}, 1.0)]),
        (("process_start_time_seconds",), [("process_start_time_seconds", {}, 1.76e9)]),
        (("nothing", "process_start_time_seconds"), [("process_start_time_seconds", {}, 1.76e9)]),
        (("nothing",), []),
        (
            ("asked_total",),
            [
                ("asked_total", {"path": 'a,b="c"}', "code": "200"}, 4.0),
                ("asked_total", {"code": "500"}, 1.0),
                ("asked_total", {}, float("inf")),
            ],
        ),
    ],
)
def test_the_lines_of_these_metrics_and_no_others(names, wanted):
    assert _metrics.read(TEXT, *names) == wanted


def test_a_line_break_in_a_label_is_one_again():
    assert _metrics.read('a_total{x="1\\\\n2\\n3"} 1\n', "a_total") == [("a_total", {"x": "1\\n2\n3"}, 1.0)]
