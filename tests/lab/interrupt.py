#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cut a playbook off before and inside each of its steps, in order, and let the same command finish in the end.

    interrupt.py mol-interrupted remove_node.yml --at 'Drain the node' --at 'Remove the member' -e node=m1 -e confirmed=true
    interrupt.py mol-interrupted control

`--at` names a step by its task, or its PLAY > TASK (regular expressions), in the order of the plan. Each step is cut twice:
before any host works on it, and some milliseconds after one has begun. With `--every-step` the plan is read first. A kind of
step in it that no `--at` names is an error, and each host's own step is cut inside: where none of the cuts so far found it at
work there, another one waits for that host, in the plan's order, as long as the plan still has the step. After every cut the
API must answer through the endpoint, exactly one host must have its address, and etcd must have its quorum, within seconds:
nobody works at it then. With `--sample` versions and quorum are read all along (see sampler.py), so what was lost and came back
is seen too. What is not known here goes to ansible-playbook. A seed repeats the milliseconds.

`control` is the negative control of what is looked for after a cut, and of the samples: with two holders of the address, and with
so many members stopped that the quorum is lost, each of them must say so, and before that nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import re
import sys
import time
from pathlib import Path

import access
import play
import refuse
import sampler
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _quorum

CONTROL = "control"  # in the place of a playbook
CONTROL_ANSWERS = 6.0  # instead of the seconds below: nobody mends what the control has broken
FELT = 3.0  # seconds after which an API server has looked at etcd again: until then it says what it saw last
WITHIN = 1200  # milliseconds after a host has begun
WITHIN_OWN = 400  # likewise, where it is that host that is waited for
ANSWERS = 20.0  # seconds after which the API must answer, etcd have its quorum and a host have the endpoint address

# Where a step of a plan happens, by its kind; any one of several tasks will do.
PART = "api_endpoint : Bring this master into its part"
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
    "repoint": ("kube_apiserver : Write the unit", "Send its API server no new connections"),
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
# Where a step of a plan happens on the host that it is about, as (play, task); all that such a play does there belongs to it.
# Other steps are done by another host on its behalf.
FETCH = ("", "Fetch, verify and place the release files")
TURN = ("Restart what must restart on each master", "kube_apiserver : Write the unit")
OWN = {
    "prepare": FETCH,
    "fetch": FETCH,
    "add_learner": ("", "Join as a learner and get in sync"),
    "promote": ("", "Become a voter"),
    "serve": ("Configure the control plane", "kube_apiserver : Write the unit"),
    "repoint": TURN,
    "master": TURN,
    "register": ("Run the node services", "kubelet : Write the unit"),
    "node": ("Restart node services that run with other settings", "Move its pods away"),
    "yield": ("Let the endpoint address go to a master that stays", PART),
    **dict.fromkeys(("balance", "promote_ip"), ("Give each master its part in the endpoint", PART)),
    "stop": ("", "Stop API server, controller manager, scheduler and approver"),
    "clean": ("", "Stop and remove what this collection made"),
}
# What the same command is to `plan.yml`: its variables by those of the playbook.
ASKS = {"remove_node.yml": {"node": "remove"}, "replace_node.yml": {"node": "replace", "by": "by"}}


def cuts(steps: list[str], seed: int) -> list[str]:
    """Return the cuts of a series: before and inside each step."""
    chance = random.Random(seed)
    return [cut for step in steps for cut in (f"before {step}", f"inside {step} +{chance.randrange(WITHIN)}")]


def asking(playbook: str, extra: list[str]) -> list[str]:
    """Return the arguments of `plan.yml` that ask for the plan of a command."""
    values = dict(value.split("=", 1) for option, value in zip(extra, extra[1:]) if option == "-e")
    asked = {told: values[name] for name, told in ASKS.get(playbook, {}).items() if name in values}
    if playbook == "upgrade.yml":
        asked["upgrade"] = "true"
    return [part for name, value in asked.items() for part in ("-e", f"{name}={value}")]


def is_at(where: str, task: str) -> bool:
    """Say whether a place of a series (TASK or PLAY > TASK, as a cut has them) is at a task."""
    return bool(re.search(where.rpartition(" > ")[2], task))


def left_out(steps: list[dict], at: list[str]) -> list[str]:
    """Return the steps of a plan, as its JSON has them, that happen in no task where the series cuts."""
    cut = {kind for kind, tasks in HAPPENS.items() if any(is_at(one, task) for one in at for task in tasks)}
    return [f"no cut is at a step that the plan has: {kind}" for kind in sorted({step["kind"] for step in steps} - cut)]


def own_steps(steps: list[dict]) -> list[tuple[str, str]]:
    """Return (kind, host) of each step of a plan that happens on the host that it is about, in the plan's order.

    A step of an upgrade may be about several hosts at once.
    """
    found = ((step["kind"], host) for step in steps for host in step.get("hosts") or [step["host"]])
    return list(dict.fromkeys((kind, host) for kind, host in found if kind in OWN))


def assigned(steps: list[tuple[str, str]], at: list[str]) -> list[list[tuple[str, str]]]:
    """Return for each cut of a series the steps that are cut on their hosts after it.

    That is the last one at a task of the kind, so that the others find it undone, and none before that of a step which the plan
    has earlier: what a cut runs past is done.
    """
    found: list[list[tuple[str, str]]] = [[] for _at in at]
    least = 0
    for kind, host in steps:
        fitting = [number for number, one in enumerate(at) if any(is_at(one, task) for task in (*HAPPENS[kind], OWN[kind][1]))]
        least = max(least, fitting[0 if kind == "yield" else -1] if fitting else 0)  # balancers also begin, later on
        found[least].append((kind, host))
    return found


def at_work(events: list[dict]) -> set[tuple[str, str, str]]:
    """Return (play, task, host) of what hosts had begun and not ended when the events of a run broke off."""
    begun: dict[str, tuple[str, str, str]] = {}
    for event in events:
        if event["event"] == "start":
            begun[event["host"]] = (event.get("play", ""), event["task"], event["host"])
        elif event["event"] == "result":
            begun.pop(event["host"], None)
    return set(begun.values())


def cut_inside(steps: list[tuple[str, str]], events: list[dict]) -> set[tuple[str, str]]:
    """Return the steps that hosts were at work on when a run was cut off."""
    found = set()
    for in_play, doing, at in at_work(events):
        for kind, host in steps:
            play_name, task = OWN[kind]
            if at == host and (re.search(play_name, in_play) if play_name else re.search(task, doing)):
                found.add((kind, host))
    return found


def broken(cluster: access.Cluster, patience: float | None = None) -> list[str]:
    """Return what a cut has broken: an API that does not answer, a quorum that is lost, an address without its one holder.

    Each may take so many seconds to come back (default: ANSWERS). No run goes on, so nobody restarts a voter: of one and of two
    voters each must serve too. A voter whose host the drill itself has killed is only one that does not serve. A learner or a
    member that never started is told of only: the next run promotes, starts or removes it.
    """
    found, samples, held = [], [], []

    def has_quorum() -> bool:
        samples.append(sampler.look(cluster))
        return sampler.has_quorum(samples[-1])

    def is_held() -> bool:
        held[:] = cluster.holders()
        return bool(held) or not cluster.managed  # a second holder is found at once, and is not waited away

    for what, holds in {
        "the API answers": lambda: cluster.request("GET", "/readyz")[0] == 200,
        "etcd has its quorum": has_quorum,
        "a host has the endpoint address": is_held,
    }.items():
        try:
            access.wait(what, holds, ANSWERS if patience is None else patience)
        except access.AccessError as error:
            found.append(str(error))
    for sample in samples[-1:]:
        print(f"  {sampler.state_of(sample)}", flush=True)
    return found + ([f"the endpoint address is on {', '.join(held)}"] if len(held) > 1 else [])


# --- the negative control ------------------------------------------------------------------------------------------------


def too_many(voters: list[str]) -> list[str]:
    """Return the fewest voters without which the others have no quorum; the first one stays.

    Of one and of two the samples find no loss by the voter that restarts (see sampler.must_stand), so it takes three.
    """
    if len(voters) < 3:
        raise access.AccessError(f"the control takes three voters, and there are {', '.join(voters) or 'none'}")
    return voters[_quorum.quorum(len(voters)) - 1 :]


def unseen(harm: str, words: tuple[str, ...], found: list[str]) -> list[str]:
    """Return which words no finding has that is made of the harm."""
    said = "; ".join(found) or "nothing"
    return [
        f"negative control, {harm}: no finding {word!r}, it found {said}" for word in words if not any(word in f for f in found)
    ]


@contextlib.contextmanager
def quorum_lost(cluster: access.Cluster):
    """Stop so many members that the quorum is lost, and start them again."""
    hosts = too_many(sorted(member.name for member in sampler.look(cluster).etcd.voters))
    cluster.each(hosts, lambda host: cluster.ssh(host, "systemctl stop etcd.service"))
    try:
        time.sleep(FELT)
        yield
    finally:
        cluster.each(hosts, lambda host: cluster.ssh(host, "systemctl start --no-block etcd.service"))


def control(cluster: access.Cluster) -> list[str]:
    """Break what must not be broken after a cut, and return what of it the judges did not see, or saw before."""
    wrong = [f"before any harm: {line}" for line in broken(cluster, CONTROL_ANSWERS)]
    with refuse.two_holders(cluster):
        wrong += unseen("two hosts have the address", ("the endpoint address is on",), broken(cluster, CONTROL_ANSWERS))
    with sampler.Watch(cluster) as watch:
        access.wait("a sample of a cluster that is well", lambda: watch.samples, ANSWERS)
        wrong += [f"before any harm: {line}" for line in sampler.judge(list(watch.samples))]
        with quorum_lost(cluster):
            since = time.time()
            found = broken(cluster, CONTROL_ANSWERS)
            access.wait("a sample without quorum", lambda: any(one.at >= since for one in watch.samples), ANSWERS)
    sampled = sampler.judge([one for one in watch.samples if one.at >= since])
    wrong += unseen("the quorum is lost", ("the API answers: not", "etcd has its quorum: not"), found)
    wrong += unseen("the quorum is lost, the samples", ("voters run and",), sampled)
    for line in (*found, *sampled):
        print(f"negative control, the quorum is lost: {line}", flush=True)
    refuse.settle(cluster)
    return wrong


# --- cutting -------------------------------------------------------------------------------------------------------------


class Series:
    """One command that is cut off again and again: what it was cut inside of, and what was not as it should be."""

    def __init__(self, lab: str, playbook: str, inventories: list[str], extra: list[str], seed: int):
        """Take the command and begin a series of milliseconds."""
        self.lab, self.playbook, self.inventories, self.extra = lab, playbook, inventories, extra
        self.name = playbook.split(".")[0]
        self.seed, self.chance = seed, random.Random(seed)
        self.number = self.times_asked = 0
        self.inside: set[tuple[str, str]] = set()
        self.wrong: list[str] = []

    @property
    def command(self) -> list[str]:
        """Return what is given to play.py."""
        return [self.lab, self.playbook, *self.inventories, *self.extra]

    def ask(self) -> list[dict] | None:
        """Return the steps that the command has left to do, as the plan's JSON has them; None when there is no plan."""
        self.times_asked += 1
        file = access.Cluster(self.lab).results / f"{self.name}-plan-{self.times_asked}.json"
        file.unlink(missing_ok=True)
        ask = ["-e", "plan_format=json", "-e", f"plan_output={file}", *asking(self.playbook, self.extra)]
        if play.main([self.lab, "plan.yml", *self.inventories, *ask, "--name", f"{self.name}-asked-{self.times_asked}"]):
            return None
        return json.loads(file.read_text())["steps"]

    def off(self, cut: str, steps: list[tuple[str, str]], own: tuple[tuple[str, str], ...] = ()) -> None:
        """Cut the command off, note which of the steps were being done (own: those it waits for), see what that has broken."""
        self.number += 1
        name = f"{self.name}-cut-{self.number}"
        print(f"cut {self.number}: {cut}", flush=True)
        if play.main([*self.command, "--name", name, "--cut", cut, "--expect", "cut"]):
            self.wrong.append(f"cut {self.number} ({cut}): the run ended by itself")
        else:
            self.inside |= set(own) | cut_inside(
                steps, play.read_events((access.Cluster(self.lab).results / f"{name}.events").read_text())
            )
        self.wrong += [f"after cut {self.number} ({cut}): {line}" for line in broken(access.Cluster(self.lab))]

    def cut(self, at: list[str], steps: list[tuple[str, str]]) -> None:
        """Cut before and inside each task, and inside each step on its own host."""
        series = cuts(at, self.seed)
        for number, own in enumerate(assigned(steps, at)):
            for cut in series[2 * number : 2 * number + 2]:
                self.off(cut, steps)
            for step in own:
                if step not in self.inside:
                    self.cut_own(*step, steps)
        self.wrong += [
            f"no cut was inside a step that the plan had: {kind} {host}"
            for kind, host in steps
            if (kind, host) not in self.inside
        ]

    def cut_own(self, kind: str, host: str, steps: list[tuple[str, str]]) -> None:
        """Cut inside a step on its host, unless the plan has it no more: then the run would end by itself."""
        left = self.ask()
        if left is None or (kind, host) not in own_steps(left):
            print(f"{kind} {host}: {'there is no plan' if left is None else 'done already'}", flush=True)
            return
        play_name, task = OWN[kind]
        where = f"{play_name} > {task}" if play_name else task
        self.off(f"inside {where} @{host} +{self.chance.randrange(WITHIN_OWN)}", steps, ((kind, host),))

    def finish(self) -> None:
        """Let the same command come to its end."""
        self.wrong += ["the run after the cuts failed"] if play.main([*self.command, "--name", f"{self.name}-finish"]) else []


def main(argv: list[str]) -> int:
    """Cut, look, cut further on, finish."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("lab")
    parser.add_argument("playbook", help=f"or {CONTROL}")
    parser.add_argument("--inventory", action="append", default=[], metavar="FILE")
    parser.add_argument("--at", action="append", default=[], metavar="TASK")
    parser.add_argument("--every-step", action="store_true", help="no kind of step of the plan may be left out")
    parser.add_argument("--sample", action="store_true", help="read versions and quorum all along")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    options, extra = parser.parse_known_args(argv)
    if options.playbook == CONTROL:
        wrong = control(access.Cluster(options.lab))
        for line in wrong:
            print(f"NOT AS EXPECTED: {line}", file=sys.stderr)
        return 1 if wrong else 0
    inventories = [part for path in options.inventory for part in ("--inventory", path)]
    series = Series(options.lab, options.playbook, inventories, extra, options.seed)
    steps: list[dict] = []
    if options.every_step:
        asked = series.ask()
        if asked is None:
            return 1
        steps = asked
        series.wrong += left_out(steps, options.at)
    print(f"seed {options.seed}", flush=True)
    watch = contextlib.nullcontext()
    if options.sample:
        watch = sampler.Watch(access.Cluster(options.lab, [str(Path(path).resolve()) for path in options.inventory] or None))
    with watch:
        series.cut(options.at, own_steps(steps))
        series.finish()
    wrong, name = series.wrong, series.name
    wrong += watch.report(name) if options.sample else []
    for line in wrong:
        print(f"NOT AS EXPECTED (seed {options.seed}): {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
