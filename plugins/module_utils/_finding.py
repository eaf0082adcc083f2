# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What a check found: one shape for every judgement, and one table to show all of them at once.

A finding names its place (host), the rule (check id), what was found, what is wanted and the remedy, so that a person
mends everything in one go. Leaves out: deciding anything, and how a finding reaches the screen.
"""

from __future__ import annotations

import dataclasses
import textwrap

ERROR = "error"
WARNING = "warning"

COLUMNS = (("LEVEL", 7), ("HOST", 14), ("CHECK", 22), ("FOUND", 34), ("WANTED", 30), ("FIX", 40))
GAP = "  "


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
    """Say what is wrong where, and what to do; `host` is an inventory name, or "" for the whole cluster."""

    host: str
    check: str
    found: str
    wanted: str
    fix: str
    level: str = ERROR

    def as_dict(self):
        """Return plain data for facts and results."""
        return dataclasses.asdict(self)

    def line(self):
        """Return the finding as one line of text, for a warning."""
        place = f"{self.host}: " if self.host else ""
        return f"{place}{self.found} (wanted: {self.wanted}). {self.fix} [{self.check}]"


def errors(findings):
    """Return the findings that forbid going on."""
    return tuple(finding for finding in findings if finding.level == ERROR)


def warnings(findings):
    """Return the findings that only need to be known."""
    return tuple(finding for finding in findings if finding.level != ERROR)


def without(findings, ignored):
    """Return the findings whose check id is not in `ignored`."""
    ignored = frozenset(ignored)
    return tuple(finding for finding in findings if finding.check not in ignored)


def in_order(findings):
    """Return the findings without repetition: errors first, then by host and check."""
    return tuple(sorted(set(findings), key=lambda item: (item.level != ERROR, item.host, item.check, item.found)))


def some(names):
    """Return up to three names, and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def cause(message):
    """Return the last line of a failed task's message without what Ansible puts before it, at most 200 characters."""
    lines = [line.strip() for line in str(message or "").splitlines() if line.strip()]
    last = lines[-1] if lines else "no reason was given"
    for opening in ("Task failed: ", "Failed to connect to the host via ssh: "):
        last = last[len(opening) :] if last.startswith(opening) else last
    return last.rstrip(":")[:200]


def table(findings, columns=COLUMNS):
    """Render findings as an aligned text table; long cells wrap inside their column (widths are characters)."""
    rows = [(item.level, item.host or "(cluster)", item.check, item.found, item.wanted, item.fix) for item in in_order(findings)]
    if not rows:
        return ""
    widths = [min(limit, max([len(title)] + [len(row[index]) for row in rows])) for index, (title, limit) in enumerate(columns)]
    lines = [_line([title for title, _limit in columns], widths), _line(["-" * width for width in widths], widths)]
    for row in rows:
        # a name, an option or a path with a hyphen stays whole where it fits, so that it can be copied
        cells = [textwrap.wrap(cell, width, break_on_hyphens=False) or [""] for cell, width in zip(row, widths)]
        for number in range(max(len(cell) for cell in cells)):
            lines.append(_line([cell[number] if number < len(cell) else "" for cell in cells], widths))
    return "\n".join(lines)


def _line(cells, widths):
    return GAP.join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip()
