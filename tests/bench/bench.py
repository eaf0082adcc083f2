#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure a build and a run with nothing to do on five fresh hosts, beside another installer where one is given.

Usage: bench.py    (RIVAL="command" runs another installer in the same sitting; it prints `<seconds> s  <step>` lines)
Machines differ and are shared, so the ratio counts and not the seconds. Nothing here is asserted.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAB = "bench"
STEPS = (("build", "done"), ("again", "unchanged"))


def lab(*words, **options):
    """Run the lab tool."""
    return subprocess.run([sys.executable, str(ROOT / "tests/lab/lab.py"), *words], check=True, **options)


def ours():
    """Return {step: outcome} of a build from bare hosts and a second run."""
    data = json.loads((ROOT / "tests/lab/demo.json").read_text())
    lab("up", "-", input=json.dumps({**data, "name": LAB}), text=True)
    outcomes = {}
    try:
        for name, expect in STEPS:
            play = [sys.executable, str(ROOT / "tests/lab/play.py"), LAB, "site.yml", "--expect", expect, "--name", name]
            subprocess.run(play, cwd=ROOT, check=True)
            outcomes[name] = json.loads((results() / LAB / f"{name}.json").read_text())
    finally:
        lab("down", LAB)
    return outcomes


def results():
    """Return the folder in which the lab's results lie."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    return cache / "multimaster-kubernetes" / "results"


def rival(command):
    """Return the seconds of the rival's last step."""
    text = subprocess.run(shlex.split(command), check=True, stdout=subprocess.PIPE, text=True).stdout
    print(text, end="")
    return float(re.findall(r"^\s*([\d.]+) s ", text, re.M)[-1])


def main():
    """Run both and print the ratio."""
    outcomes = ours()
    for name, outcome in outcomes.items():
        counts = ", ".join(f"{host} {number}" for host, number in sorted(outcome["executions"].items()))
        print(f"{name}: {outcome['seconds']:.1f} s; executions: {counts}")
        for row in outcome["slowest"][:5]:
            print(f"    {row['seconds']:6.1f} s  {row['task']}")
    if os.environ.get("RIVAL"):
        other = rival(os.environ["RIVAL"])
        build = outcomes["build"]["seconds"]
        print(f"build {build:.1f} s, rival {other:.1f} s: ratio {build / other:.2f} (wanted: at most 1.5)")


if __name__ == "__main__":
    main()
