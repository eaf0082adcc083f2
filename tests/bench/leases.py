#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure how long nobody leads the controller-managers and the schedulers while a playbook runs.

Usage: leases.py LAB roll.yml [-e node=all ...]    (the words of tests/lab/play.py)
The leases are read every 50 ms. A leader that ends in order empties its lease (client-go's leader election, `release`); one that
does not keeps it until it is too old. Hand-over is from the last renewal or the release to the next leader's acquireTime, both of
which lie in the lease; hosts of one lab have one clock. Nothing here is asserted.
"""

from __future__ import annotations

import contextlib
import datetime
import http.client
import json
import pathlib
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lab"))

import access  # noqa: E402

EVERY = 0.05  # seconds between two reads
LEASES = ("kube-controller-manager", "kube-scheduler")


@dataclass(frozen=True)
class Reading:
    """What a lease said; moments in seconds since the epoch."""

    holder: str
    acquired: float
    renewed: float


@dataclass(frozen=True)
class Handover:
    """Who led before and after, and for how many seconds nobody did."""

    before: str
    after: str
    seconds: float
    released: bool


def moment(text: str | None) -> float:
    """Return the seconds since the epoch of a MicroTime; 0 of none."""
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if text else 0.0


def handovers(readings: list[Reading]) -> list[Handover]:
    """Return the changes of leader in what was read in turn; who comes back after a release is one too."""
    found, last, end, released = [], "", 0.0, False
    for now in readings:
        if now.holder and last and (now.holder != last or released):
            found.append(Handover(last, now.holder, round(now.acquired - end, 3), released))
        if now.holder:
            last, released = now.holder, False
        released = released or not now.holder
        end = now.renewed
    return found


class Watch(threading.Thread):
    """Read the leases again and again; a read that fails is left out."""

    def __init__(self, cluster: access.Cluster):
        """Take the cluster; the thread ends with `over`."""
        super().__init__(daemon=True)
        self.cluster, self.over = cluster, threading.Event()
        self.readings: dict[str, list[Reading]] = {name: [] for name in LEASES}

    def run(self) -> None:
        """Read until it is over; what did not change is kept once."""
        while not self.over.wait(EVERY):
            for name, kept in self.readings.items():
                with contextlib.suppress(access.AccessError, OSError, http.client.HTTPException):
                    spec = self.cluster.get(f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{name}")["spec"]
                    now = Reading(spec.get("holderIdentity", ""), moment(spec.get("acquireTime")), moment(spec.get("renewTime")))
                    if not kept or now != kept[-1]:
                        kept.append(now)


def main(argv: list[str]) -> int:
    """Run the playbook, print the figures and keep them with the run's."""
    if len(argv) < 2:
        sys.exit(__doc__.split("\n\n")[1])
    cluster = access.Cluster(argv[0])
    watch = Watch(cluster)
    watch.start()
    code = subprocess.run([sys.executable, str(HERE.parent / "lab/play.py"), *argv], check=False).returncode
    watch.over.set()
    watch.join()
    results = {name: handovers(readings) for name, readings in watch.readings.items()}
    for name, found in results.items():
        told = ", ".join(f"{h.seconds:.2f} s {'after a release' if h.released else 'after its end'}" for h in found)
        print(f"{name}: {len(found)} hand-overs: {told or 'none'}")
    file = cluster.results / "leases.json"
    file.write_text(json.dumps({name: [asdict(one) for one in found] for name, found in results.items()}, indent=1) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
