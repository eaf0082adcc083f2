#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cut a playbook off before and inside each of its steps, in order, and let the same command finish in the end.

    interrupt.py mol-interrupted remove_node.yml --at 'Drain the node' --at 'Remove the member' -e node=m1 -e confirmed=true

`--at` names a step by its task (a regular expression), in the order of the plan. Each step is cut twice: before any host works on
it, and some milliseconds after one has begun. With `--every-step` the plan is read first, and a kind of step in it that no `--at`
names is an error. After every cut the API must answer through the endpoint, no two hosts may have the
address, and etcd must have its quorum. With `--sample` versions and quorum are read all along (see sampler.py). What is not known
here goes to ansible-playbook. A seed repeats the milliseconds.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import re
import sys
from pathlib import Path

import access
import play
import sampler

WITHIN = 1200  # milliseconds after a host has begun
ANSWERS = 20.0  # seconds after which the API must answer and etcd must have its quorum

# Where a step of a plan happens, by its kind; any one of several tasks will do.
PART = "Bring this master into its part"
HAPPENS = {
    "forget": ("Delete its node", "Take its pods as gone"),
    "prepare": ("Fetch, verify and place the release files",),
    "found": ("Start the first voters from one bootstrap record",),
    "start": ("Start or restart the member",),
    "serve": ("kube_apiserver : Write the unit",),
    "register": ("kubelet : Write the unit",),
    "add_learner": ("Join as a learner and get in sync",),
    "promote": ("Become a voter",),
    "remove": ("Remove the member behind the quorum gate", "Remove the voter behind the quorum gate"),
    "repoint": ("kube_apiserver : Write the unit", "Drain the API server in this balancer"),
    "drain": ("Drain the node",),
    "stop": ("Stop API server, controller manager, scheduler and approver",),
    "clean": ("Stop and remove what this collection made",),
    "restart": ("Start or restart the member", "kube_apiserver : Write the unit", "kubelet : Write the unit"),
    **dict.fromkeys(("hold", "balance", "promote_ip", "give_back", "yield"), (PART,)),
    "fetch": ("Fetch, verify and place the release files",),
    "snapshot": ("Save what etcd holds, verify the copy, keep one on the controller",),
    **dict.fromkeys(("cancel", "downgrade"), ("Tell etcd, and wait until the data of every member fit",)),
    "member": ("Start or restart the member",),
    "swap": ("Remove the voter behind the quorum gate",),
    "master": ("kube_apiserver : Write the unit", "Send its API server no new connections"),
    "node": ("kubelet : Write the unit", "Move its pods away"),
}
# What the same command is to `plan.yml`: its variables by those of the playbook.
ASKS = {"remove_node.yml": {"node": "remove"}, "replace_node.yml": {"node": "replace", "by": "by"}}


def cuts(steps: list[str], seed: int) -> list[str]:
    """Return the cuts of a series: before and inside each step."""
    chance = random.Random(seed)  # noqa: S311
    return [cut for step in steps for cut in (f"before {step}", f"inside {step} +{chance.randrange(WITHIN)}")]


def asking(playbook: str, extra: list[str]) -> list[str]:
    """Return the arguments of `plan.yml` that ask for the plan of a command."""
    values = dict(value.split("=", 1) for option, value in zip(extra, extra[1:]) if option == "-e")
    asked = {told: values[name] for name, told in ASKS.get(playbook, {}).items() if name in values}
    if playbook == "upgrade.yml":
        asked["upgrade"] = "true"
    return [part for name, value in asked.items() for part in ("-e", f"{name}={value}")]


def left_out(steps: list[dict], at: list[str]) -> list[str]:
    """Return the steps of a plan, as its JSON has them, that happen in no task where the series cuts."""
    cut = {kind for kind, tasks in HAPPENS.items() if any(re.search(pattern, task) for pattern in at for task in tasks)}
    return [f"no cut is at a step that the plan has: {kind}" for kind in sorted({step["kind"] for step in steps} - cut)]


def broken(cluster: access.Cluster) -> list[str]:
    """Return what a cut has broken: an API that does not answer, a quorum that is lost, an address with two holders.

    A learner or a member that never started is told of only: the next run promotes, starts or removes it.
    """
    found, samples = [], []

    def has_quorum() -> bool:
        samples.append(sampler.look(cluster))
        return bool(samples[-1].etcd.voters) and not sampler.is_short(samples[-1])

    for what, holds in {
        "the API answers": lambda: cluster.request("GET", "/readyz")[0] == 200,
        "etcd has its quorum": has_quorum,
    }.items():
        try:
            access.wait(what, holds, ANSWERS)
        except access.AccessError as error:
            found.append(str(error))
    for sample in samples[-1:]:
        print(f"  {sampler.state_of(sample)}", flush=True)
    held = cluster.holders()
    return found + ([f"the endpoint address is on {', '.join(held)}"] if len(held) > 1 else [])


def main(argv: list[str]) -> int:
    """Cut, look, cut further on, finish."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("lab")
    parser.add_argument("playbook")
    parser.add_argument("--inventory", action="append", default=[], metavar="FILE")
    parser.add_argument("--at", action="append", default=[], metavar="TASK")
    parser.add_argument("--every-step", action="store_true", help="no kind of step of the plan may be left out")
    parser.add_argument("--sample", action="store_true", help="read versions and quorum all along")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))  # noqa: S311
    options, extra = parser.parse_known_args(argv)
    inventories = [part for path in options.inventory for part in ("--inventory", path)]
    run = [options.lab, options.playbook, *inventories, *extra]
    name, wrong = options.playbook.split(".")[0], []
    if options.every_step:
        file = access.Cluster(options.lab).results / f"{name}-plan.json"
        ask = ["-e", "plan_format=json", "-e", f"plan_output={file}", *asking(options.playbook, extra)]
        if play.main([options.lab, "plan.yml", *inventories, *ask, "--name", f"{name}-asked"]):
            return 1
        wrong += left_out(json.loads(file.read_text())["steps"], options.at)
    print(f"seed {options.seed}", flush=True)
    watch = contextlib.nullcontext()
    if options.sample:
        watch = sampler.Watch(access.Cluster(options.lab, [str(Path(path).resolve()) for path in options.inventory] or None))
    with watch:
        for number, cut in enumerate(cuts(options.at, options.seed), 1):
            print(f"cut {number}: {cut}", flush=True)
            if play.main([*run, "--name", f"{name}-cut-{number}", "--cut", cut, "--expect", "cut"]):
                wrong.append(f"cut {number} ({cut}): the run ended by itself")
            wrong += [f"after cut {number} ({cut}): {line}" for line in broken(access.Cluster(options.lab))]
        wrong += ["the run after the cuts failed"] if play.main([*run, "--name", f"{name}-finish"]) else []
    wrong += watch.report(name) if options.sample else []
    for line in wrong:
        print(f"NOT AS EXPECTED (seed {options.seed}): {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
