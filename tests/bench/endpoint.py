#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure for how long the endpoint does not answer when its holder loses its link, and while move_endpoint.yml moves it.

Usage: endpoint.py LAB [--times 30] [-e NAME=VALUE ...]    (a lab with a balanced cluster on it; it stays as it is)
A connection is tried every 10 ms from this machine. The link is away for some seconds, so that nobody is told.
What the cluster was built with by -e is to be given again, or the move would bring back what the inventories say.
The limit is VRRP's: three adverts and the skew of a priority (RFC 9568, section 6.1). Nothing here is asserted.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import socket
import statistics
import subprocess
import sys
import threading
import time

LAB_TOOLS = pathlib.Path(__file__).resolve().parents[1] / "lab"
sys.path.insert(0, str(LAB_TOOLS))

import access
import lab as lab_tool

EVERY, PATIENCE = 0.01, 1.0  # seconds between two connections, and for one
AWAY, REST = 3.0, 4.0  # seconds without a link, and until the next time


class Watch(threading.Thread):
    """Try to connect again and again; keep the moments at which it worked, and how many did not."""

    def __init__(self, address: tuple[str, int]):
        """Take the address; the thread ends with `over`."""
        super().__init__(daemon=True)
        self.address, self.good, self.failed, self.over = address, [time.monotonic()], 0, threading.Event()

    def run(self) -> None:
        """Connect every few milliseconds, each try in a thread of its own, so that one that hangs delays no other."""
        while not self.over.wait(EVERY):
            threading.Thread(target=self.connect, daemon=True).start()

    def connect(self) -> None:
        """Connect once."""
        try:
            with socket.create_connection(self.address, timeout=PATIENCE):
                self.good.append(time.monotonic())
        except OSError:
            self.failed += 1

    def longest_gap(self) -> float:
        """Return the longest time between two connections that worked, in seconds."""
        moments = sorted(self.good)
        return max(later - earlier for earlier, later in zip(moments, moments[1:], strict=False))


def watched(cluster: access.Cluster, act) -> tuple[float, int]:
    """Return (longest gap in seconds, failed connections) around what is done."""
    port = int(cluster.credentials["server"].rsplit(":", 1)[1])
    watch = Watch((cluster.endpoint, port))
    watch.start()
    time.sleep(0.5)
    act()
    time.sleep(PATIENCE + 0.5)
    watch.over.set()
    watch.join()
    return watch.longest_gap(), watch.failed


def cut(cluster: access.Cluster, host: str) -> None:
    """Take a host's link away and give it back."""
    container = f"mm-{cluster.name}-{host}"
    gateway = cluster.variable("lab_gateway")
    lab_tool.run("podman", "exec", container, "ip", "link", "set", "eth0", "down")
    time.sleep(AWAY)
    lab_tool.run("podman", "exec", container, "ip", "link", "set", "eth0", "up")
    lab_tool.run("podman", "exec", container, "ip", "route", "replace", "default", "via", gateway)


def move(cluster: access.Cluster, settings: list[str]) -> None:
    """Let move_endpoint.yml give the address to another master, as a person does."""
    play = [sys.executable, str(LAB_TOOLS / "play.py"), cluster.name, "move_endpoint.yml", "--name", "bench-move"]
    play += [word for one in settings for word in ("-e", one)]
    subprocess.run(play, check=True, stdout=subprocess.DEVNULL)


HEAD = "| | times | longest gap, P50 | P95 | max | failed connections | failed at most |\n|" + " --- |" * 7


def told(name: str, gaps: list[float], failed: list[int]) -> str:
    """Return the figures of a series as a row below HEAD."""
    ordered = sorted(gaps)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    figures = " | ".join(f"{gap:.2f} s" for gap in (statistics.median(gaps), p95, max(gaps)))
    return f"| {name} | {len(gaps)} | {figures} | {sum(failed)} | {max(failed)} |"


def main(argv: list[str]) -> int:
    """Measure both and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("lab")
    parser.add_argument("--times", type=int, default=30)
    parser.add_argument("-e", action="append", default=[], dest="settings", metavar="NAME=VALUE", help="of the playbook")
    options = parser.parse_args(argv)
    cluster = access.Cluster(options.lab)
    results = {}
    acts = (
        ("address moved by move_endpoint.yml", lambda _holder: move(cluster, options.settings)),
        ("holder without its link", lambda holder: cut(cluster, holder)),
    )
    print(HEAD, flush=True)
    for name, act in acts:
        gaps, failed = [], []
        for _time in range(options.times):
            (host,) = access.wait("one holder", lambda: (h := cluster.holders()) and len(h) == 1 and h)
            gap, lost = watched(cluster, lambda act=act, host=host: act(host))
            gaps.append(gap)
            failed.append(lost)
            time.sleep(REST)
        print(told(name, gaps, failed), flush=True)
        results[name] = {"gaps": gaps, "failed": failed}
    (cluster.results / "endpoint.json").write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
