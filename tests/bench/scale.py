#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure the seconds it takes to add and to remove a worker, a master and two masters, at three masters and at five.

Usage: scale.py    (makes a lab of its own and removes it)
Machines differ and are shared, so only figures of one sitting compare. Nothing here is asserted but that each run does its work.
"""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lab"))

import access

LAB = "bench-scale"
MASTERS, WORKERS = ("m1", "m2", "m3", "m4", "m5"), ("w1", "w2", "w3")
#: (what is measured, how many masters and workers the inventory lists, who is removed).
RUNS = (
    ("build 3 masters, 2 workers", 3, 2, ()),
    ("3 masters: add a worker", 3, 3, ()),
    ("3 masters: remove a worker", 3, 3, ("w3",)),
    ("3 masters: add a master, which stands by", 4, 2, ()),
    ("4 masters: remove a master", 4, 2, ("m4",)),
    ("3 masters: add two masters", 5, 2, ()),
    ("5 masters: add a worker", 5, 3, ()),
    ("5 masters: remove a worker", 5, 3, ("w3",)),
    ("5 masters: remove two masters", 5, 2, ("m4", "m5")),
)


def lab(*words: str, **options) -> None:
    """Run the lab tool."""
    subprocess.run([sys.executable, str(HERE.parent / "lab/lab.py"), *words], check=True, **options)


def described(name: str, masters: int, workers: int) -> dict:
    """Return a lab's data: hosts without groups, which the inventory of each run gives them."""
    named = [(host, 11 + n) for n, host in enumerate(MASTERS[:masters])]
    named += [(host, 21 + n) for n, host in enumerate(WORKERS[:workers])]
    return {"name": name, "hosts": [{"name": host, "address": last, "zone": "abc"[last % 3]} for host, last in named]}


def inventory(folder: pathlib.Path, masters: int, workers: int) -> pathlib.Path:
    """Write the inventory that lists so many of each, and return where."""
    groups = {"kube_control_plane": MASTERS[:masters], "kube_node": WORKERS[:workers]}
    path = folder / f"{masters}-{workers}.json"
    listed = {group: {"hosts": dict.fromkeys(names, {})} for group, names in groups.items()}
    path.write_text(json.dumps({"all": {"children": listed}}))
    return path


def converge(
    name: str, run: str, masters: int, workers: int, going: tuple[str, ...] = (), settings: tuple[str, ...] = ()
) -> dict:
    """Let site.yml, or for those who go remove_node.yml, do its work for so many hosts that are listed; return the outcome.

    settings: what -e gives the playbook.
    """
    playbook = ["remove_node.yml", "-e", f"node={','.join(going)}", "-e", "confirmed=true"] if going else ["site.yml"]
    with tempfile.TemporaryDirectory() as folder:
        listed = inventory(pathlib.Path(folder), masters, workers)
        play = [sys.executable, str(HERE.parent / "lab/play.py"), name, *playbook, "--inventory", str(listed), "--name", run]
        play += [word for one in settings for word in ("-e", one)]
        subprocess.run(play, check=True, cwd=HERE.parents[1], stdout=subprocess.DEVNULL)
    return json.loads((access.Cluster(name, []).results / f"{run}.json").read_text())


def main() -> int:
    """Run everything in turn and print the seconds of each."""
    lab("up", "-", input=json.dumps(described(LAB, len(MASTERS), len(WORKERS))), text=True)
    try:
        for number, (what, masters, workers, going) in enumerate(RUNS):
            outcome = converge(LAB, f"scale-{number}", masters, workers, going)
            print(f"{outcome['seconds']:6.1f} s  {max(outcome['executions'].values())} executions  {what}", flush=True)
    finally:
        lab("down", LAB)
    return 0


if __name__ == "__main__":
    sys.exit(main())
