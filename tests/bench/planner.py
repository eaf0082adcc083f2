#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell how long the planner takes as the cluster grows: what is observed of every host in, the whole plan out.

    planner.py            rows of masters, workers, milliseconds for nothing to do, a removal, a master that joins

Observations are those of the unit tests; the least of TURNS turns counts, since a planner only computes.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests" / "unit")]

import cluster_fixtures as made  # noqa: E402
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _request, _topology  # noqa: E402

SIZES = ((3, 0), (5, 0), (3, 97), (7, 1000))  # masters, workers; the last is the limit of 50 ms
TURNS = 10


def cluster(masters: int, workers: int) -> tuple[list[str], list[str], dict]:
    """Return (masters, workers, what is observed of each) of a cluster at rest, and number the hosts."""
    names = [f"m{n}" for n in range(1, masters + 1)], [f"w{n}" for n in range(1, workers + 1)]
    made.NUMBERS.update({name: number for number, name in enumerate([*names[0], f"m{masters + 1}", *names[1]], 11)})
    members = [made.member(name) for name in names[0]]
    observed = {name: made.living(name, members, name in names[0]) for name in (*names[0], *names[1])}
    return *names, observed


def milliseconds(settings, inventory, observed, request) -> float:
    """Return the least time one plan took."""
    best = float("inf")
    for _turn in range(TURNS):
        began = time.perf_counter()
        _topology.build(settings, inventory, observed, ca_store_exists=True, nonce="n", request=request)
        best = min(best, time.perf_counter() - began)
    return best * 1000


def main() -> int:
    """Print the table."""
    print("| masters | workers | nothing to do | remove m1 | one master joins |\n| --- | --- | --- | --- | --- |")
    for count, others in SIZES:
        masters, workers, observed = cluster(count, others)
        settings, at_rest = made.settings(), made.inventory(masters, workers)
        remove = _request.Request(_request.REMOVE, ("m1",))
        new = f"m{count + 1}"
        grown = made.inventory([*masters, new], workers)
        times = (
            milliseconds(settings, at_rest, observed, _request.CONVERGING),
            milliseconds(settings, at_rest, observed, remove),
            milliseconds(settings, grown, {**observed, new: made.fresh(new)}, _request.CONVERGING),
        )
        print(f"| {count} | {others} | " + " | ".join(f"{one:.1f} ms" for one in times) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
