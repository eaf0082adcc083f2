# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Know which flags and feature gates a program lost with which minor: with one of them it does not start."""

from __future__ import annotations

FLAG, GATE = "flag", "feature gate"
GATE_FLAGS = ("feature-gates", "featureGates")

# {program: {(major, minor): names gone since}}
FLAGS = {}
GATES = {}


def gone(program, line, flags):
    """Yield (flag or feature gate, its name, the minor) for each of the given flags that this minor does not have any more."""
    for raw, value in sorted(flags.items()):
        name = str(raw).lstrip("-").replace("_", "-")
        if value is None:
            continue
        yield from _lost(FLAG, FLAGS, program, line, name)
        if name in GATE_FLAGS:
            for gate in sorted(gates(value)):
                yield from _lost(GATE, GATES, program, line, gate)


def gates(value):
    """Return the names of feature gates in "A=true,kube:B=false", a list of such, or a dict."""
    parts = value if isinstance(value, (dict, list, tuple)) else str(value).split(",")
    return {str(part).split("=")[0].rsplit(":", 1)[-1].strip() for part in parts} - {""}


def _lost(what, table, program, line, name):
    for since, names in sorted(table.get(program, {}).items()):
        if since <= line and name in names:
            yield what, name, ".".join(map(str, since))
