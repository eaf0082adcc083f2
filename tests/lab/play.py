#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a playbook on a lab as a user does, keep what it did as JSON, and hold it to an expectation.

    play.py life site.yml --inventory molecule/life/inventory/full.yml --expect unchanged
    play.py life roll.yml -e node={holder}                 {holder}: who has the endpoint address as the run begins
    play.py life site.yml --expect changed --another kube-apiserver
    play.py life site.yml --inventory molecule/life/inventory/second.yml --same etcd --same kube-apiserver@m1
    play.py life upgrade.yml --then 'inside Stop the API server @!m3 +200' 'hosts.py kill m3' --expect stopped --says words

Expectations: `done` (it ends well), `unchanged` (besides, no task reports a change, and on no host a unit has another process, a
file of ours or a cordon is another than before), `foreseen` (for --check when there is something to do: it tells of changes, and
nothing on the hosts is another than before),
`changed` (it ends well, tasks report changes, and what each --another names is another than before: a unit's process wherever it
runs, or on the host behind an @, the `keys` that API servers and etcd show, the `holder` of the endpoint address),
`stopped` (a task failed and its message has the words of every --says), `cut` (it was cut off, see --cut). Of a run that is to be
`done`, `changed` or `stopped`, what each --same names is the same afterwards: nothing restarted that keeps its settings, or that
had no turn yet; of one that `stopped`, what each --one names is another on one host alone, the first. With --then it goes on:
at that event (written as a cut) another program of tests/lab is run on the same lab, such as one that lets a host die. With
--foreseen each change that an earlier check of that name foretold is made.
The run gets nothing of this program's environment that Ansible or Molecule would read, so it is the run a person would start
in the checkout.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import time
import uuid
from dataclasses import asdict, dataclass, field
from pathlib import Path

import access
import another
import cutoff
import typist

ROOT = Path(__file__).resolve().parents[2]
EXPECTATIONS = ("done", "unchanged", "foreseen", "changed", "stopped", "cut")
FAILED_TASK = 2  # ansible-playbook's exit code; others mean that it broke, not that it stopped
UNREACHABLE = 4  # likewise, when the last that it met was a host that does not answer
LISTED = 12  # slowest and changed tasks that a result names
# What the controller does by itself: no module goes to a host.
ON_CONTROLLER = {
    "ansible.builtin.validate_argument_spec",
    "ansible.builtin.include_vars",
    "ansible.builtin.debug",
    *(f"multimaster.kubernetes.{name}" for name in ("topology", "summary", "health", "admin_kubeconfig")),
}


@dataclass
class Outcome:
    """What a run did; seconds from the first event to the last."""

    name: str
    command: list[str]
    code: int = 0
    seconds: float = 0.0
    cut: str = ""
    then: str = ""
    hosts: dict = field(default_factory=dict)
    executions: dict = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    failures: list[dict] = field(default_factory=list)
    slowest: list[dict] = field(default_factory=list)
    restarted: list[str] = field(default_factory=list)
    compared: list[str] = field(default_factory=list)


def summarize(outcome: Outcome, events: list[dict]) -> Outcome:
    """Fill an outcome from a run's events: executions count modules that ran on a host, skipped tasks do not."""
    began: dict[str, float] = {}
    spent: dict[str, float] = {}
    task, since, action = "", 0.0, ""
    for event in events:
        if event["event"] == "task":
            if task:
                spent[task] = spent.get(task, 0.0) + event["at"] - since
            task, since, action = event["task"], event["at"], event.get("action", "")
        elif event["event"] == "result":
            if event["status"] != "skipped" and action not in ON_CONTROLLER:
                outcome.executions[event["host"]] = outcome.executions.get(event["host"], 0) + 1
            if event["status"] == "changed":
                outcome.changed.append(f"{event['host']}: {event['task']}")
            elif event["status"] in ("failed", "unreachable"):
                outcome.failures.append({key: event.get(key, "") for key in ("host", "task", "status", "message")})
        elif event["event"] == "stats":
            outcome.hosts = event["hosts"]
            if task:
                spent[task] = spent.get(task, 0.0) + event["at"] - since
        began.setdefault("first", event["at"])
        began["last"] = event["at"]
    outcome.seconds = round(began.get("last", 0.0) - began.get("first", 0.0), 2)
    order = sorted(spent.items(), key=lambda item: -item[1])[:LISTED]
    outcome.slowest = [{"task": name, "seconds": round(seconds, 2)} for name, seconds in order]
    return outcome


@dataclass(frozen=True)
class Then:
    """What is done at an event of a run that goes on: a program of tests/lab, run on the lab with arguments."""

    where: cutoff.Cut
    program: str
    arguments: tuple[str, ...] = ()

    def run(self, lab: str, log: Path) -> str:
        """Run it to its end beside the log of the run, and return what it said; raise SystemExit when it fails."""
        command = [sys.executable, str(Path(__file__).parent / self.program), lab, *self.arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        said = (done.stdout + done.stderr).strip()
        log.with_suffix(".then").write_text(f"{shlex.join(command)}\n{said}\n")
        if done.returncode:
            raise SystemExit(f"{self.program} ended with {done.returncode} while the run was going on: {said}")
        return said


def parse_then(where: str, what: str) -> Then:
    """Return what is to be done at an event, written as a cut and a command line."""
    program, *arguments = shlex.split(what)
    if not (Path(__file__).parent / program).is_file():
        raise ValueError(f"{program!r} is no program of tests/lab")
    return Then(cutoff.parse_cut(where), program, tuple(arguments))


def missed(check: dict, outcome: Outcome) -> list[str]:
    """Return what the result of a check foresaw (host: task) and the run after it did not change."""
    return sorted(set(check["changed"]) - set(outcome.changed))


def findings(outcome: Outcome, expect: str, says: list[str] | None = None) -> list[str]:
    """Return in which way an outcome is not what was expected; empty = it is."""
    if expect == "cut":
        if not outcome.cut:
            return ["the run was to be cut off, but it ended by itself: the event of --cut never came"]
        return []
    if expect == "stopped":
        stops = (FAILED_TASK, UNREACHABLE) if outcome.then else (FAILED_TASK,)  # a host may have died under it
        found = [] if outcome.code in stops else [f"it was to stop on a failed task, but ended with code {outcome.code}"]
        told = " ".join(failure["message"] for failure in outcome.failures)
        return found + outcome.compared + [f"it was not said: {words!r}" for words in says or () if words not in told]
    found = [f"it ended with code {outcome.code}"] if outcome.code else []
    found += [f"{f['host']}: {f['task']}: {f['message']}" for f in outcome.failures if outcome.code]
    if outcome.code == 0 and not outcome.hosts:
        found.append("no host took part: wrong inventory or pattern")
    if expect == "unchanged" and outcome.changed:
        found.append(f"a run with nothing to do reports {len(outcome.changed)} changes: " + "; ".join(outcome.changed[:LISTED]))
    if expect == "foreseen" and not outcome.changed:
        found.append("a check in front of a change foresees none")
    if expect == "changed" and not outcome.code:
        found += [] if outcome.changed else ["a run that has something to change reports no change"]
    found += outcome.compared
    if expect in ("unchanged", "foreseen") and outcome.restarted:
        found.append("something happened on the hosts: " + "; ".join(outcome.restarted))
    return found


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Return what differs between two observations of the hosts, a line each."""
    keys = [key for key in sorted(set(before) | set(after)) if before.get(key) != after.get(key)]
    return [f"{key} was {before.get(key, 'absent')}, is {after.get(key, 'absent')}" for key in keys]


def clean_environment(marker: str, events: Path) -> dict[str, str]:
    """Return the environment of a person's shell with the lab's callback added."""
    kept = {k: v for k, v in os.environ.items() if not re.match(r"(ANSIBLE|MOLECULE|PYTEST|TESTINFRA)_", k)}
    key, value = marker.split("=", 1)
    return kept | {
        "PATH": f"{Path(sys.executable).parent}:{kept.get('PATH', '')}",
        "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "lab_events",
        "ANSIBLE_FORCE_COLOR": "false",
        "LAB_EVENTS": str(events),
        key: value,
    }


def read_events(text: str) -> list[dict]:
    """Return the complete lines of an events file."""
    return [json.loads(line) for line in text.split("\n")[:-1] if line]


def begin(command: list[str], log: Path, events: Path, marker: str, **more) -> subprocess.Popen:
    """Start a command as a person does, with a log and a file of events of its own; `more` goes to Popen."""
    events.write_text("")
    with log.open("w") as output:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=clean_environment(marker, events),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            **more,
        )


def converse(command: list[str], log: Path, events: Path, answers: list[str]) -> int:
    """Run a command that asks, give it these answers, and return its code."""
    person = typist.Typist(answers, log)
    marker = f"LAB_RUN={uuid.uuid4().hex}"
    process = begin(command, log, events, marker, stdin=person.terminal, preexec_fn=person.take_terminal)
    while process.poll() is None:
        person.look()
        time.sleep(0.2)
    person.close()
    return process.returncode


def reached(process: subprocess.Popen, events: Path, where: cutoff.Cut) -> str:
    """Wait for an event of a run and the delay after it, and return its place; "" when the run ended before."""
    waiting, left = "", where.nth
    with events.open() as follow:
        while process.poll() is None:
            waiting += follow.read()
            lines, _, waiting = waiting.rpartition("\n")
            hits = [event for event in read_events(lines + "\n") if where.matches(event)]
            if len(hits) >= left:
                hit = hits[left - 1]
                time.sleep(where.delay)
                named = (hit["event"], hit.get("number", ""), hit.get("task", hit.get("play", "")), hit.get("host", ""))
                place = " ".join(str(part) for part in named if part != "")
                return "" if process.poll() is not None else f"{place} +{where.delay:.2f} s"
            left -= len(hits)
            time.sleep(0.01)
    return ""


def execute(command: list[str], log: Path, events: Path, cut: cutoff.Cut | None, sockets: str) -> tuple[int, str]:
    """Run a command, cut it off where asked, and return its code and where it was cut ("" = it was not)."""
    marker = f"LAB_RUN={uuid.uuid4().hex}"
    process = begin(command, log, events, marker, stdin=subprocess.DEVNULL)
    place = reached(process, events, cut) if cut else ""
    if place:
        cutoff.kill(marker, sockets)
    return process.wait(), place


def accompany(command: list[str], log: Path, events: Path, then: Then, lab: str) -> tuple[int, str]:
    """Run a command, do something else at an event of it, and return its code and what was done where ("" = nothing was)."""
    process = begin(command, log, events, f"LAB_RUN={uuid.uuid4().hex}", stdin=subprocess.DEVNULL)
    place = reached(process, events, then.where)
    try:
        done = f"{place}: {then.run(lab, log)}" if place else ""
    finally:
        code = process.wait()
    return code, done


def perform(
    cluster: access.Cluster,
    name: str,
    arguments: list[str],
    cut: cutoff.Cut | None = None,
    answers: list[str] | None = None,
    then: Then | None = None,
) -> tuple[Outcome, Path]:
    """Run ansible-playbook on a lab's cluster, cut it off where asked, and return what it did and where its output is.

    With answers there is somebody to ask, who gives them; with ``then`` something happens to the lab meanwhile.
    """
    log, events = cluster.results / f"{name}.log", cluster.results / f"{name}.events"
    sources = [part for path in cluster.inventories for part in ("-i", path)]
    outcome = Outcome(name, ["ansible-playbook", *sources, *arguments])
    began = time.monotonic()
    if then:
        outcome.code, outcome.then = accompany(outcome.command, log, events, then, cluster.name)
    elif answers is None:
        outcome.code, outcome.cut = execute(outcome.command, log, events, cut, cluster.control_path)
    else:
        outcome.code = converse(outcome.command, log, events, answers)
    summarize(outcome, read_events(events.read_text()))
    outcome.seconds = round(time.monotonic() - began, 2)
    return outcome, log


def parse(argv: list[str]) -> argparse.Namespace:
    """Read the command line; what it does not know goes to ansible-playbook."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("lab")
    parser.add_argument("playbook")
    parser.add_argument("--inventory", action="append", default=[], metavar="FILE", help="beside the lab's own")
    parser.add_argument("--name", default="", help="name of the result (default: playbook and expectation)")
    parser.add_argument("--expect", choices=EXPECTATIONS, default="done")
    for option, said in (
        ("--another", "of --expect changed: this is new"),
        ("--same", "of --expect changed, done or stopped: this stays"),
        ("--one", "of --expect stopped: this is new on one host"),
    ):
        parser.add_argument(option, action="append", default=[], type=another.parse_what, metavar="WHAT[@HOST]", help=said)
    parser.add_argument("--foreseen", default="", metavar="NAME", help="the check of which every change is made now")
    parser.add_argument("--cut", type=cutoff.parse_cut, metavar="WHERE", help="cut the run off (see cutoff.py)")
    parser.add_argument(
        "--then", nargs=2, metavar=("WHERE", "WHAT"), help="run a program of tests/lab there, and let the run go on"
    )
    parser.add_argument("--says", action="append", default=[], metavar="WORDS", help="of --expect stopped")
    parser.add_argument("--answer", action="append", metavar="WORD", help="type this when the run asks, and sit at a terminal")
    options, options.extra = parser.parse_known_args(argv)
    if options.then:
        try:
            options.then = parse_then(*options.then)
        except ValueError as error:
            parser.error(str(error))
    if options.then and (options.cut or options.answer):
        parser.error("--then goes without --cut and --answer")
    if options.another and options.expect != "changed":
        parser.error("--another goes with --expect changed")
    if options.cut and options.expect == "done":
        options.expect = "cut"
    if options.same and options.expect not in ("changed", "done", "stopped"):
        parser.error("--same goes with --expect changed, done or stopped, and without --cut")
    if options.one and options.expect != "stopped":
        parser.error("--one goes with --expect stopped")
    if options.foreseen and options.expect not in ("changed", "done"):
        parser.error("--foreseen goes with --expect changed or done, and without --cut")
    options.name = options.name or f"{Path(options.playbook).stem}-{options.expect}"
    return options


def main(argv: list[str]) -> int:
    """Run, observe, judge, tell."""
    options = parse(argv)
    cluster = access.Cluster(options.lab, inventories=[str(Path(p).resolve()) for p in options.inventory] or None)
    if "{holder}" in " ".join(options.extra):
        held = cluster.holders()
        if len(held) != 1:
            print(f"NOT AS EXPECTED: the endpoint's address is on {', '.join(held) or 'no host'}", file=sys.stderr)
            return 1
        options.extra = [part.replace("{holder}", ",".join(held)) for part in options.extra]
    before = cluster.observe() if options.expect in ("unchanged", "foreseen") else {}
    compared = [*options.another, *options.same, *options.one]
    old = another.look(cluster, compared)
    outcome, log = perform(cluster, options.name, [*options.extra, options.playbook], options.cut, options.answer, options.then)
    if before:
        outcome.restarted = differences(before, cluster.observe())
    if not outcome.code or options.expect == "stopped":
        new = another.look(cluster, compared)
        outcome.compared = another.same(old, new, options.another) + another.replaced(old, new, options.same)
        outcome.compared += another.not_one(old, new, options.one)
    if options.foreseen and not outcome.code:
        check = json.loads((cluster.results / f"{options.foreseen}.json").read_text())
        outcome.compared += [f"{options.foreseen} foresaw it, and it was not done: {one}" for one in missed(check, outcome)]
    cluster.remember(finished=not outcome.code)
    (cluster.results / f"{options.name}.json").write_text(json.dumps(asdict(outcome), indent=1) + "\n")
    wrong = findings(outcome, options.expect, options.says)
    if options.then and not outcome.then:
        wrong.append("the event of --then never came, so nothing was done to the lab")
    executed = max(outcome.executions.values(), default=0)
    print(
        f"{options.name}: {options.playbook} {' '.join(options.extra)} {outcome.seconds} s, {len(outcome.changed)} changed, "
        f"{executed} executions on the busiest host{', cut off at: ' + outcome.cut if outcome.cut else ''}"
        f"{', then, at ' + outcome.then if outcome.then else ''}"
    )
    for line in wrong:
        print(f"NOT AS EXPECTED ({options.expect}): {line}", file=sys.stderr)
    if wrong:
        print(f"The whole output is in {log}; its end:\n{log.read_text()[-3000:]}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
