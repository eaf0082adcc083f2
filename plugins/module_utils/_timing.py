# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Derive etcd's heartbeat interval and election timeout from measured round-trip times.

Solves: defaults made for one rack make a cluster over three sites elect leaders without end, and values that follow
each measurement would restart every member on every run. Leaves out: measuring.

Rules (etcd docs, "Tuning"): the heartbeat interval is about the largest mean round-trip time between two members, the
election timeout at least ten times that; both are the same on all members. What is measured is the least of a few TCP
connects (`_host.round_trips`), which lies below the mean where the way is uneven and above it while a host is starved.
Changing the values takes a rolling restart, so those in use stay as long as they are within the bounds the same page gives
(0.5 to 1.5 times): one bad moment, 115 ms beside the usual 0.3, has restarted every member, and the next run did it again.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

# ms; etcd's own defaults (--heartbeat-interval, --election-timeout).
HEARTBEAT_MIN = 100
ELECTION_MIN = 1000
# ms; embed/config.go: maxElectionMs. It refuses more, and an election below 5 heartbeats.
ELECTION_MAX = 50000
ELECTION_PER_HEARTBEAT = 10
HEARTBEAT_MAX = ELECTION_MAX // ELECTION_PER_HEARTBEAT
# ms; measured values are rounded up to this.
HEARTBEAT_STEP = 10
# The heartbeat in use stays while the round-trip time is within these multiples ("Tuning": 0.5-1.5x).
KEEP_FROM, KEEP_TO = 0.5, 1.5
# ms; beyond this members are on other continents, and every write waits for it.
FAR = 150


@dataclass(frozen=True)
class Timing:
    """What to run etcd with (ms), why, and what to be warned of."""

    heartbeat_ms: int
    election_ms: int
    reason: str = ""
    warnings: tuple = ()


def timing(rtt_ms, present=None) -> Timing:
    """Return the Timing for {member: {peer: measured round-trip time in ms, or None}}.

    ``present``: (heartbeat, election) in use. What was measured in either direction counts, the larger of both.
    """
    pairs = _pairs(rtt_ms)
    measured = {pair: value for pair, value in pairs.items() if value is not None}
    warnings = []
    if len(measured) < len(pairs):
        unknown = ", ".join("-".join(pair) for pair in sorted(set(pairs) - set(measured)))
        warnings.append(f"no round-trip time was measured between {unknown}")
    if not measured:
        return _unmeasured(pairs, present, warnings)
    (one, other), largest = max(measured.items(), key=lambda item: (item[1], item[0]))
    said = f"the largest round-trip time is {largest:g} ms ({one}-{other})"
    if largest > FAR:
        warnings.append(f"{said}: every write waits for a majority, and elections take longer than ten times that")
    if largest > HEARTBEAT_MAX:
        warnings.append(f"{said}: etcd takes no election timeout over {ELECTION_MAX} ms, so elections may never end")
    heartbeat = max(HEARTBEAT_MIN, min(HEARTBEAT_MAX, math.ceil(largest / HEARTBEAT_STEP) * HEARTBEAT_STEP))
    if present and tuple(present) != _both(heartbeat) and _fits(present, largest):
        return Timing(*present, f"{said}; the values in use still fit", tuple(warnings))
    least = ", the least used" if heartbeat == HEARTBEAT_MIN else ""
    reason = f"{said}; heartbeat {heartbeat} ms{least}, election {ELECTION_PER_HEARTBEAT} times that"
    return Timing(*_both(heartbeat), reason, tuple(warnings))


def _both(heartbeat):
    return heartbeat, max(ELECTION_MIN, ELECTION_PER_HEARTBEAT * heartbeat)


def _pairs(rtt_ms):
    """Return {(member, peer): larger of both directions, or None}, each pair once."""
    named = set(rtt_ms).union(*(peers or {} for peers in rtt_ms.values()))
    pairs = {}
    for one, other in itertools.combinations(sorted(named), 2):
        both = [(rtt_ms.get(a) or {}).get(b) for a, b in ((one, other), (other, one))]
        pairs[one, other] = max((v for v in both if v is not None and math.isfinite(v) and v >= 0), default=None)
    return pairs


def _unmeasured(pairs, present, warnings):
    if present:
        return Timing(*present, "nothing was measured; the values in use stay", tuple(warnings))
    why = "nothing was measured" if pairs else "one member has nobody to wait for"
    return Timing(*_both(HEARTBEAT_MIN), f"{why}; etcd's defaults", tuple(warnings))


def _fits(present, largest):
    """Return whether (heartbeat, election) in use are within the bounds for this round-trip time."""
    heartbeat, election = present
    near = KEEP_FROM * largest <= heartbeat <= KEEP_TO * max(HEARTBEAT_MIN, largest)
    patient = election >= ELECTION_PER_HEARTBEAT * heartbeat
    return heartbeat >= HEARTBEAT_MIN and near and patient and election <= ELECTION_MAX
