# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Know which flags and feature gates come and go with which minor: given one it does not have, a program does not start.

The tables are printed by tests/tools/removed_flags.py, which asks the programs of two releases themselves. Leaves out: what
a flag or gate means, and the fields of configuration files.
"""

from __future__ import annotations

import typing

from ansible_collections.multimaster.kubernetes.plugins.module_utils._skew import COMPONENTS

GATE_FLAGS = ("feature-gates", "featureGates")
# Whose gates are whose: the programs of Kubernetes share one set.
FAMILY = {program: "etcd" if program == "etcd" else "kubernetes" for program in COMPONENTS.values()}

# {program or family: {(major, minor) since which it is so: names}}
FLAGS_GONE = {}
FLAGS_ADDED = {}
GATES_GONE = {}
GATES_ADDED = {}
# {family: {(major, minor): {gate: the only value it takes since then}}}
GATES_LOCKED = {}


class Unfit(typing.NamedTuple):
    """A flag or feature gate that a version does not take: what it is, and the rest of a sentence that says why."""

    what: str
    name: str
    why: str


def unfit(program, line, flags) -> tuple:
    """Return an Unfit for each of {flag: value} that this program's minor, as (major, minor), does not take.

    A flag whose value is None is not passed. Raises KeyError for a program that is none of ours.
    """
    family, found = FAMILY[program], []
    for raw, value in sorted(flags.items()):
        name = str(raw).lstrip("-").replace("_", "-")
        if value is None:
            continue
        found += [Unfit("flag", name, why) for why in _missing(FLAGS_GONE, FLAGS_ADDED, program, line, name)]
        if name in GATE_FLAGS:
            for gate, setting in sorted(gates(value).items()):
                found += [Unfit("feature gate", gate, why) for why in _missing(GATES_GONE, GATES_ADDED, family, line, gate)]
                found += [Unfit("feature gate", gate, why) for why in _locked(family, line, gate, setting)]
    return tuple(found)


def gates(value) -> dict:
    """Return {feature gate: its setting, True or False} of "A=true,kube:B=false", a list of such, or a dict."""
    pairs = value.items() if isinstance(value, dict) else _pairs(value)
    return {str(name).rsplit(":", 1)[-1].strip(): str(setting).strip().lower() in ("true", "1", "t") for name, setting in pairs}


def _pairs(value):
    parts = value if isinstance(value, (list, tuple)) else [value]
    return [part.partition("=")[::2] for text in parts for part in str(text).split(",") if part.strip()]


def _missing(gone, added, key, line, name):
    for since, names in sorted(gone.get(key, {}).items()):
        if since <= line and name in names:
            yield f"is gone since {since[0]}.{since[1]}"
    for since, names in sorted(added.get(key, {}).items()):
        if line < since and name in names:
            yield f"comes only with {since[0]}.{since[1]}"


def _locked(family, line, gate, setting):
    for since, only in sorted(GATES_LOCKED.get(family, {}).items()):
        if since <= line and only.get(gate, setting) != setting:
            yield f"can only be {str(only[gate]).lower()} since {since[0]}.{since[1]}"
