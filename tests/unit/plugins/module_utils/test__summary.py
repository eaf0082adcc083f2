# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the line a person reads at the end of a run: what etcd survives, and that it says so when it serves no more."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _summary


def members(text):
    """Return members from `v` (healthy voter), `V` (a voter that is not) and `l` (learner)."""
    return [{"is_learner": one == "l", "healthy": one != "V"} for one in text]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("vvv", "3 voters (quorum 2), survives the loss of 1"),
        ("vvV", "3 voters (quorum 2), survives the loss of 0"),
        ("vVV", "3 voters (quorum 2), HAS NO QUORUM"),
        ("vl", "1 voters (quorum 1), survives the loss of 0"),
        ("lV", "1 voters (quorum 1), HAS NO QUORUM"),
        ("", "0 voters (quorum 1), HAS NO QUORUM"),
    ],
)
def test_etcds_line_counts_voters_that_serve(text, said):
    assert _summary.etcd_line(True, members(text)) == f"etcd       stacked, {said}"


def test_etcd_on_hosts_of_its_own_is_called_external():
    assert _summary.etcd_line(False, members("v")).startswith("etcd       external, 1 voters")
