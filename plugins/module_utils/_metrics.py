# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Read metrics in Prometheus' text format.

Solves: of the megabytes an API server tells, the few lines somebody asks for are read. Leaves out: histograms as such, exemplars,
types. Source: Prometheus docs, "Exposition formats".
"""

from __future__ import annotations

import re

_LINE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+(\S+)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:\\.|[^"\\])*)"')
_ESCAPED = re.compile(r"\\(.)")


def read(text: str, *names: str) -> list:
    """Return (name, {label: value}, value) of each line of these metrics; a line that cannot be read is left out."""
    found = []
    for line in text.splitlines():
        match = _LINE.match(line) if line.startswith(names) else None
        if not match or match.group(1) not in names:
            continue
        labels = {name: _ESCAPED.sub(_meant, value) for name, value in _LABEL.findall(match.group(2) or "")}
        try:
            found.append((match.group(1), labels, float(match.group(3))))
        except ValueError:
            continue
    return found


def _meant(escape):
    return "\n" if escape.group(1) == "n" else escape.group(1)
