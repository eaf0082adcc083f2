# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A prober's clean result, and results in which one thing is another."""

from __future__ import annotations

import copy


def at(seconds):
    """Return a moment of a session, as the prober writes it."""
    return f"2026-01-01T00:{int(seconds) // 60:02d}:{seconds % 60:06.3f}Z"


STREAM = {
    "sent": 100,
    "failed": 0,
    "retried": 2,
    "longest_gap_ms": 40.0,
    "longest_gap_at": at(1),
    "gaps": [],
    "first_errors": [],
    "bursts": [],
}
CLEAN = {
    "started": at(0),
    "ended": at(600),
    "read": dict(STREAM),
    "write": dict(STREAM),
    "watch": dict(STREAM),
    "read_back": {"done": True, "lost": 0, "first_lost": []},
    "end_errors": [],
}


def result(path, value):
    """Return a result that has this value at a path of keys."""
    made = copy.deepcopy(CLEAN)
    part = made
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return made
