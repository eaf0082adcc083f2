#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell how long the planner takes as the cluster grows: what is observed of every host in, the whole plan out.

    planner.py            rows of masters, workers, milliseconds of CPU for each of PLANS

Observations are those of the unit tests. A planner only computes: the least of TURNS turns counts, and of it the time of this
process alone, so that what else the machine does weighs little.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "tests" / "unit")]

import cluster_fixtures as made
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _request, _topology, _upgrade_scene

SIZES = ((3, 0), (5, 0), (3, 97), (7, 1000))  # masters, workers; the last is the limit of 50 ms
TURNS = 10
PLANS = (
    "nothing to do",
    "remove m1",
    "one master joins",
    "restart all",
    "upgrade, a fifth of the workers at once",
    "upgrade, worker by worker",
)


def milliseconds(settings, inventory, observed, request) -> float:
    """Return the least time one plan took."""
    best = float("inf")
    for _turn in range(TURNS):
        began = time.process_time()
        topology = _topology.build(settings, inventory, observed, ca_store_exists=True, nonce="n", request=request)
        if request.kind == _request.UPGRADE:
            topology = _upgrade_scene.upgraded(topology, observed, {}, False, False)
        best = min(best, time.process_time() - began)
        assert not topology.plan.refusals, topology.plan.refusals
    return best * 1000


def main() -> int:
    """Print the table."""
    print(f"| masters | workers | {' | '.join(PLANS)} |\n|{' --- |' * (2 + len(PLANS))}")
    for count, others in SIZES:
        masters, workers, observed = made.many(count, others)
        settings, at_rest, upgrade = made.settings(), made.inventory(masters, workers), _request.Request(_request.UPGRADE)
        fifth, one = (
            made.settings(kubernetes_version="1.37.2", etcd_version="3.7.3", upgrade_batch=batch) for batch in ("20%", "1")
        )
        new = f"m{count + 1}"
        grown = made.inventory([*masters, new], workers)
        times = (
            milliseconds(settings, at_rest, observed, _request.CONVERGING),
            milliseconds(settings, at_rest, observed, _request.Request(_request.REMOVE, ("m1",))),
            milliseconds(settings, grown, {**observed, new: made.fresh(new)}, _request.CONVERGING),
            milliseconds(settings, at_rest, observed, _request.Request(_request.ROLL, (*masters, *workers))),
            milliseconds(fifth, at_rest, observed, upgrade),
            milliseconds(one, at_rest, observed, upgrade),
        )
        print(f"| {count} | {others} | " + " | ".join(f"{one:.1f} ms" for one in times) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
