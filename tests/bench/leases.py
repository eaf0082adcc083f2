#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure how long nobody leads the controller-managers and the schedulers while a playbook runs.

Usage: leases.py [--times 1] LAB roll.yml [-e node=all ...]    (the words of tests/lab/play.py, done so many times)
The leases are read every 50 ms. A leader that ends in order empties its lease (client-go's leader election, `release`); one that
does not keeps it until it is too old. Hand-over is from the last renewal or the release to the next leader's acquireTime, both of
which lie in the lease; hosts of one lab have one clock. Nothing here is asserted.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import http.client
import json
import pathlib
import statistics
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lab"))

import access

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


HEAD = "| | hand-overs | without a leader, P50 | max | without a release |\n|" + " --- |" * 5


def told(name: str, found: list[Handover]) -> str:
    """Return the figures of a lease as a row below HEAD."""
    seconds = [one.seconds for one in found]
    figures = f"{statistics.median(seconds):.2f} s | {max(seconds):.2f} s" if seconds else "- | -"
    return f"| {name} | {len(found)} | {figures} | {sum(not one.released for one in found)} |"


def parse(argv: list[str]) -> argparse.Namespace:
    """Read the command line; from the lab on its words are play.py's."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("lab")
    parser.add_argument("playbook")
    parser.add_argument("more", nargs=argparse.REMAINDER)
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Run the playbook so many times, or until it fails, print the figures of all of them and keep each hand-over."""
    options = parse(argv)
    cluster = access.Cluster(options.lab)
    watch, code = Watch(cluster), 0
    watch.start()
    play = [sys.executable, str(HERE.parent / "lab/play.py"), options.lab, options.playbook, *options.more]
    for _time in range(options.times):
        code = code or subprocess.run(play, check=False).returncode
    watch.over.set()
    watch.join()
    results = {name: handovers(readings) for name, readings in watch.readings.items()}
    print(HEAD)
    for name, found in results.items():
        print(told(name, found))
    file = cluster.results / "leases.json"
    file.write_text(json.dumps({name: [asdict(one) for one in found] for name, found in results.items()}, indent=1) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
