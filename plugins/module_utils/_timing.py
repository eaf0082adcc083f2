# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Derive etcd's heartbeat interval and election timeout from measured round-trip times (interface; being filled)."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Timing:
    """heartbeat_ms, election_ms, why (one sentence), warnings (sentences)."""

    heartbeat_ms: int
    election_ms: int
    reason: str = ""
    warnings: tuple = ()


def timing(rtt_ms, present=None):
    """Return Timing; rtt_ms = {member: {peer: mean ms or None}}, present = (heartbeat_ms, election_ms) now in use."""
    raise NotImplementedError
