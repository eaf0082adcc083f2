#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run every check of the project, the cheap ones first, and end with one line that counts.

Usage: run_all.py [SCENARIO…]    (default: what `make scenarios` lists)
Each part's output goes to the screen and to .cache/logs/; a scenario is run only when all cheap parts have passed. The last
lines are the time of each part and `N passed, N failed`, where tests count one each and a part without tests counts one. A part
whose tests were all skipped has failed: it showed nothing.
"""

from __future__ import annotations

import pathlib
import re
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOGS = ROOT / ".cache" / "logs"
CHEAP = (
    ("lint", "lint"), ("sanity", "sanity"), ("unit tests", "unit"), ("the prober's own tests", "prober-test"),
    ("modules on real components", "integration"),
)  # fmt: skip
SUMMARY = re.compile(r"^(?:=+ )?(\d+ (?:passed|failed|error|skipped|deselected)[^\n]*) in [\d.]+s", re.M)


def scenarios():
    """Return the names that the Makefile lists for `make test`, in order."""
    command = ["make", "--no-print-directory", "scenarios"]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.split()


def run(name, *target):
    """Run one make target; return (name, seconds, passed, failed)."""
    print(f"\n===== {name} =====", flush=True)
    LOGS.mkdir(parents=True, exist_ok=True)
    began, text = time.monotonic(), []
    with open(LOGS / (re.sub(r"\W+", "-", name) + ".log"), "w", encoding="utf-8") as log:
        process = subprocess.Popen(
            ["make", "--no-print-directory", *target], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, text=True, errors="replace",
        )  # fmt: skip
        for line in process.stdout:
            print(line, end="", flush=True)
            log.write(line)
            text.append(line)
    return name, time.monotonic() - began, *verdict(process.wait(), "".join(text))


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


def main():
    """Run all parts and print the account."""
    parts = [run(name, target) for name, target in CHEAP]
    if not any(failed for _name, _seconds, _passed, failed in parts):
        parts.append(run("components and images", "artifacts-next"))
        parts += [run(f"scenario {name}", "scenario", f"S={name}") for name in sys.argv[1:] or scenarios()]
    print("\n===== account =====")
    for name, seconds, passed, failed in parts:
        print(f"{seconds:8.1f} s  {name:32} {passed} passed, {failed} failed")
    print(f"{sum(part[1] for part in parts):8.1f} s  in all")
    failed = sum(part[3] for part in parts)
    print(f"{sum(part[2] for part in parts)} passed, {failed} failed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
