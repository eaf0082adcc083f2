# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Read feature gates as people write them, and put a user's beside our own.

Solves: all gates of a program are one flag, so a user's value would replace ours, and with it what the product relies on,
without a word. Leaves out: which gates there are (``_removed_flags``).
"""

from __future__ import annotations

FLAG = "feature-gates"
# What may stand before a gate of Kubernetes; beside gates without it, it is refused (component-base/compatibility/registry.go).
PREFIX = "kube:"


def gates(value) -> dict:
    """Return {feature gate: its setting, True or False} of "A=true,kube:B=false", a list of such, or a dict."""
    return {gate: setting.lower() in ("true", "1", "t") for gate, setting in _pairs(value)}


def merged(ours, theirs) -> str:
    """Return the text of the flag with the gates of both texts: ours that theirs do not name, then theirs as they stand.

    So of a gate in both theirs counts; and where theirs name all of ours nothing changes, or a program would restart for it.
    """
    named = gates(theirs)
    missing = [f"{gate}={setting}" for gate, setting in _pairs(ours) if gate not in named]
    return ",".join(missing + [f"{gate}={setting}" for gate, setting in _pairs(theirs)]) if missing else theirs


def _pairs(value):
    parts = value if isinstance(value, (list, tuple)) else [value]
    texts = [part for text in parts for part in str(text).split(",") if part.strip()]
    pairs = value.items() if isinstance(value, dict) else [text.partition("=")[::2] for text in texts]
    return [(str(gate).strip().removeprefix(PREFIX), str(setting).strip()) for gate, setting in pairs]
