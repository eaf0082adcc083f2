#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run every check of the project, the cheap ones first, and end with one line that counts.

Usage: run_all.py [--within SECONDS] [SCENARIO…]    (default: what `make scenarios` lists)
Each part's output goes to the screen and to .cache/logs/. Parts that keep one core busy at most are run side by side, and shown
one after the other; the scenarios that measure come last, and only when all of those have passed. The last lines are the time
of each part and `N passed, N failed`, where tests count one each and a part without tests counts one. A part whose tests were
all skipped has failed: it showed nothing.
With --within a scenario that would not end in time, going by the one before it, is not begun, since a run that is killed at its
limit tells nothing of all it did. It neither passed nor failed: the line before the last says `NOT RUN`, and the exit code is
that of what ran. Without --within, as `make test` by hand, every scenario is run.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import pathlib
import re
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOGS = ROOT / ".cache" / "logs"
UNIT = ("unit tests", "unit")  # on all cores
# What is in one lane is run one after the other, beside the other lanes.
LANES = (
    (("lint", "lint"), ("sanity", "sanity"), ("the prober's own tests", "prober-test")),
    (("modules on real components", "integration"),),
)
# One host and no prober: this scenario waits more than it works. Others measure, and have the machine to themselves.
BESIDE = "single"
# How long a scenario takes beside another that was just run here, as measured in one sitting.
SHARE = {("external_etcd", "life"): 0.4}
SCREEN = threading.Lock()
SUMMARY = re.compile(r"^(?:=+ )?(\d+ (?:passed|failed|error|skipped|deselected)[^\n]*) in [\d.]+s", re.M)


def scenarios():
    """Return the names that the Makefile lists for `make test`, in order."""
    command = ["make", "--no-print-directory", "scenarios"]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.split()


def scenario(name):
    """Return one scenario as a part."""
    return f"scenario {name}", "scenario", f"S={name}"


def run(name, *target, show=print):
    """Run one make target; return (name, seconds, passed, failed)."""
    LOGS.mkdir(parents=True, exist_ok=True)
    began, text = time.monotonic(), []
    show(f"\n===== {name} =====\n", end="", flush=True)
    with open(LOGS / (re.sub(r"\W+", "-", name) + ".log"), "w", encoding="utf-8") as log:
        process = subprocess.Popen(
            ["make", "--no-print-directory", *target],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
        )
        for line in process.stdout:
            show(line, end="", flush=True)
            log.write(line)
            text.append(line)
    return name, time.monotonic() - began, *verdict(process.wait(), "".join(text))


def lane(parts):
    """Run parts one after the other, each of which is shown as a whole when it has ended; return what `run` does of each."""
    done = []
    for name, *target in parts:
        lines = []
        done.append(run(name, *target, show=lambda line, lines=lines, **_how: lines.append(line)))
        with SCREEN:
            print("".join(lines), end="", flush=True)
    return done


def verdict(code, text):
    """Return (passed, failed) of a part by its exit code and what it printed."""
    passed, failed = count(text)
    if passed or failed:
        return passed, failed or int(code != 0)
    return (0, 1) if code or SUMMARY.search(text) else (1, 0)


def count(text):
    """Return (passed, failed) summed over pytest's summary lines in a text."""
    summaries = SUMMARY.findall(text)
    numbers = [
        sum(int(number) for summary in summaries for number in re.findall(rf"(\d+) {word}", summary))
        for word in ("passed", "(?:failed|error)")
    ]
    return numbers[0], numbers[1]


def fits(name, parts, spent, within):
    """Tell whether a scenario is expected to end in time, by what another one took; without a measure or a limit it is begun."""
    took = {part[0].removeprefix("scenario "): part[1] for part in parts}
    expected = [took[other] * share for (one, other), share in SHARE.items() if one == name and other in took]
    return not within or not expected or spent + max(expected) <= within


def not_run(names, within):
    """Return what is said of scenarios that were not begun."""
    return (
        f"NOT RUN: {', '.join(f'scenario {name}' for name in names)}, which would not end within {within:g} s on this machine; "
        f"what follows says nothing of it. Next: make scenario S={names[0]}"
    )


def main():
    """Run all parts and print the account."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--within", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO")
    options = parser.parse_args()
    began, parts, skipped, chosen = time.monotonic(), [run(*UNIT)], [], options.scenarios or scenarios()
    lanes = [*LANES, *([scenario(name)] for name in chosen if name == BESIDE)]
    with concurrent.futures.ThreadPoolExecutor(len(lanes)) as pool:
        parts += [part for done in pool.map(lane, lanes) for part in done]
    if not any(failed for _name, _seconds, _passed, failed in parts):
        parts.append(run("components and images", "artifacts-next"))
        for name in (one for one in chosen if one != BESIDE):
            if fits(name, parts, time.monotonic() - began, options.within):
                parts.append(run(*scenario(name)))
            else:
                skipped.append(name)
    print("\n===== account =====")
    for name, seconds, passed, failed in parts:
        print(f"{seconds:8.1f} s  {name:32} {passed} passed, {failed} failed")
    print(f"{time.monotonic() - began:8.1f} s  in all, some of them side by side")
    failed = sum(part[3] for part in parts)
    if skipped:
        print(not_run(skipped, options.within))
    print(f"{sum(part[2] for part in parts)} passed, {failed} failed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
