# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that run were started with the flags that the inventory of the last run gives them besides ours."""

from __future__ import annotations

import flags
import pytest


def test_every_program_runs_with_the_extra_flags_of_the_inventory(cluster):
    if not cluster.finished:
        pytest.skip("the last run stopped, so some programs run with the flags that they had before")
    wanted = flags.wanted(cluster)
    if not wanted:
        pytest.skip("the inventory gives no program flags besides ours")
    running = cluster.each(sorted(wanted), lambda host: flags.command_lines(cluster.ssh(host, flags.ASK)))
    assert flags.missing(wanted, running) == []
