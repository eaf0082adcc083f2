# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Decide which systemd units have to be started, restarted or reloaded, from what their running processes carry.

It solves: a run that was cut off between writing a file and restarting its reader must not lose the restart. So the
hash of everything a unit was started with is in its process's environment (or, for what survives a reload, in a record
that names the unit's invocation), and only that is compared. It leaves out asking systemd (``_systemd.py``).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

#: Names of the two variables in the drop-in: the hash of everything, and of the part a reload cannot change.
ALL, FIXED = "MULTIMASTER_INPUTS", "MULTIMASTER_UNIT"
#: States in which a unit's start job is over or under way (systemd.unit(5), org.freedesktop.systemd1(5)).
UP = ("active", "reloading", "refreshing")
#: What units are to be, as module unit_set takes it: DOWN are those in which nothing runs.
STARTED, CONFIGURED, STOPPED, ABSENT = GOALS = ("started", "configured", "stopped", "absent")
DOWN = (STOPPED, ABSENT)
#: UnitFileState values that `systemctl enable` cannot or need not change (systemctl(1), is-enabled).
FIXED_STATES = ("enabled", "static", "indirect", "generated", "transient", "alias")
#: A unit that was started anew so often in so many seconds ends by itself, most often for a setting: nothing comes of waiting.
#: One that waits for another takes longer over each try (an API server without etcd 20 s), and gets its whole time.
LOOP_RESTARTS, LOOP_SECONDS = 10, 30.0


@dataclass(frozen=True)
class State:
    """Hold what systemd and the process table say about one unit."""

    name: str
    load: str = "not-found"
    active: str = "inactive"
    sub: str = "dead"
    pid: int = 0
    restarts: int = 0
    result: str = "success"
    file_state: str = ""
    stale: bool = False  # NeedDaemonReload
    invocation: str = ""
    since: str = ""
    job: bool = False  # a start or stop is under way or queued
    entered: int = 0  # when it became active, in microseconds of CLOCK_MONOTONIC; 0 = it never was

    @property
    def up(self) -> bool:
        """Return whether the unit runs."""
        return self.active in UP

    @property
    def words(self) -> str:
        """Return the state as people read it."""
        extra = "" if self.result in ("success", "") else f", last result {self.result}"
        return f"{self.active} ({self.sub}){extra}" + (f", restarted {self.restarts} times" if self.restarts else "")


@dataclass(frozen=True)
class Identity:
    """Hold the hashes of what a unit is (to be) started with; ``parts`` are (path, hash) pairs."""

    all: str
    fixed: str
    parts: tuple[tuple[str, str], ...] = ()


#: What a process runs with that was not started by this collection.
NOTHING = Identity("", "")
#: What a process runs with whose program was replaced on disk: equal to nothing that can be wanted.
REPLACED = Identity("replaced", "replaced")


@dataclass(frozen=True)
class Seen:
    """Hold what was read of one unit; of one that is to be down its state is enough.

    ``wanted``, ``running``: what it would be started with now and was started with; ``drop_in``: ours, as it is. ``sources``: the
    files behind ``wanted``, of which it takes up ``reloads`` without a restart. ``missing``: inputs that do not exist.
    ``enabled``: whether it is to come up at boot.
    """

    state: State
    wanted: Identity | None = None
    running: Identity = NOTHING
    drop_in: str = ""
    sources: tuple[str, ...] = ()
    reloads: tuple[str, ...] | None = None  # None: it cannot reload
    missing: tuple[str, ...] = ()
    has_file: bool = True
    enabled: bool = True


@dataclass(frozen=True)
class Verdict:
    """Say what to do with one unit, and why: none, start, restart, reload or stop; wait for one that is coming up; hold one
    that would be restarted; configure one that somebody else starts.
    """

    name: str
    action: str
    reason: str
    enable: bool = False
    disable: bool = False
    reset: bool = False  # forget failures first: systemd refuses starts beyond StartLimitBurst
    drop_in: str | None = None  # its new content

    @property
    def changed(self) -> bool:
        """Return whether anything on the host is touched."""
        return self.action not in ("none", "hold", "wait", "configure") or self.enable or self.disable or self.drop_in is not None


def loops(restarts: int, seconds: float) -> bool:
    """Tell whether a unit ends again and again, from how often it was started anew in so many seconds of watching."""
    return seconds >= LOOP_SECONDS and restarts >= LOOP_RESTARTS


def service(name: str) -> str:
    """Return a unit's full name; one without a suffix is a service."""
    return name if re.search(r"\.(service|socket|target|timer|mount|path)$", name) else name + ".service"


def identity(fixed: Mapping[str, str], inputs: Mapping[str, str]) -> Identity:
    """Return the identity of a unit from {path: hash} of its unit files and program, and of its inputs."""

    def digest(*groups: Mapping[str, str]) -> str:
        text = "\n\n".join("\n".join(f"{path}\0{group[path]}" for path in sorted(group)) for group in groups)
        return hashlib.sha256(text.encode()).hexdigest()

    return Identity(digest(fixed, inputs), digest(fixed), tuple(sorted({**fixed, **inputs}.items())))


def render_drop_in(wanted: Identity) -> str:
    """Return the drop-in that hands an identity to the unit's next process; comments say what it was made of."""
    parts = "".join(f"# {value[:16]} {path}\n" for path, value in wanted.parts)
    return (
        "# Written by multimaster.kubernetes.unit_set: what the unit's process was started with.\n"
        f"{parts}[Service]\nEnvironment={ALL}={wanted.all} {FIXED}={wanted.fixed}\n"
    )


def parse_drop_in(text: str) -> Identity:
    """Return the identity a drop-in holds (hashes of parts are shortened)."""
    found = dict(re.findall(rf"\b({ALL}|{FIXED})=([0-9a-f]+)", text))
    parts = tuple((path, value) for value, path in re.findall(r"(?m)^# ([0-9a-f]{16}|missing) (.+)$", text))
    return Identity(found.get(ALL, ""), found.get(FIXED, ""), parts)


def parse_environ(text: str) -> Identity:
    """Return the identity a process's environment holds (NUL or blank separated)."""
    found = dict(re.findall(rf"(?:^|[\0 ])({ALL}|{FIXED})=([0-9a-f]*)", text))
    return Identity(found.get(ALL, ""), found.get(FIXED, ""))


def difference(wanted: Identity, running: Identity, written: Identity) -> str:
    """Say in words what changed since the running process was started, by names where they are known."""
    if not running.all:
        return "the running process was not started by this collection"
    if written.all != running.all or not written.parts:
        return "its unit file or program changed" if running.fixed != wanted.fixed else "its inputs changed"
    before, after = dict(written.parts), {path: value[:16] for path, value in wanted.parts}
    said = [f"{path} {'is new' if path not in before else 'changed'}" for path in after if before.get(path) != after[path]]
    return ", ".join(said + [f"{path} is no longer read" for path in before if path not in after])


def obstacles(goal: str, seen: Sequence[Seen], check: bool) -> list[str]:
    """Return all that makes it impossible to bring units up; in check mode files may still have to be written."""
    if goal in DOWN:
        return []
    found = [impossible(one.state, one.has_file, check) for one in seen]
    if not check:
        found += [f"{one.state.name} reads {path}, which does not exist; write it first" for one in seen for path in one.missing]
    return [said for said in found if said]


def decide(goal: str, seen: Sequence[Seen], restart: bool = True, changing: Iterable[str] = ()) -> list[Verdict]:
    """Return what brings units to be as ``goal`` says; with ``restart`` false those that run are left alone.

    ``changing``: in a check the files that a run would write before it looks.
    """
    if goal in DOWN:
        return [decide_down(one.state, goal == ABSENT) for one in seen]
    verdicts = [
        decide_started(one.state, one.wanted, one.running, one.drop_in, one.reloads is not None, one.enabled) for one in seen
    ]
    if goal == CONFIGURED:
        verdicts = only_configure(verdicts)
    elif not restart:
        verdicts = hold_restarts(verdicts)
    return foresee(
        verdicts,
        {one.state.name: one.sources for one in seen},
        set(changing),
        restart and goal != CONFIGURED,
        {one.state.name: one.reloads for one in seen if one.reloads is not None},
        [one.state.name for one in seen if one.state.active == "activating"],
    )


def told(verdicts: Sequence[Verdict]) -> dict:
    """Return what a result says of verdicts: the units by what was, or would be, done to them, and why."""

    def named(action: str) -> list[str]:
        return [verdict.name for verdict in verdicts if verdict.action == action]

    return {
        "changed": any(verdict.changed for verdict in verdicts),
        "started": named("start"),
        "restarted": named("restart"),
        "reloaded": named("reload"),
        "stopped": named("stop"),
        "restart_needed": named("hold"),
        "reasons": {verdict.name: verdict.reason for verdict in verdicts if verdict.action != "none"},
    }


def decide_started(
    state: State,
    wanted: Identity,
    running: Identity,
    drop_in: str,
    can_reload: bool,
    enabled: bool = True,
) -> Verdict:
    """Return what brings a unit to run with ``wanted``; ``drop_in`` is the present content of its drop-in.

    A reload is enough when only inputs differ and the unit can do it; a unit that runs with an identity of nobody's is
    restarted, because unknown counts as different. One that systemd starts again and again counts as down also in the moment of
    a try, unless it tries with what is written.
    """
    text = render_drop_in(wanted)
    common = {
        "enable": enabled and state.file_state not in FIXED_STATES,
        "drop_in": text if text != drop_in else None,
    }
    waits, tries = state.sub.startswith("auto-restart"), state.active == "activating" and state.restarts > 0
    if state.active == "failed" or waits or (tries and running.all != wanted.all):
        return Verdict(
            state.name, "start" if state.active == "failed" else "restart", f"it was {state.words}", reset=True, **common
        )
    if not state.up and state.active != "activating":
        return Verdict(state.name, "start", f"it was {state.words}", **common)
    if running.all == wanted.all:
        return Verdict(state.name, "none" if state.up else "wait", "it runs with what is written", **common)
    reason = difference(wanted, running, parse_drop_in(drop_in))
    if can_reload and running.fixed == wanted.fixed and state.up:
        return Verdict(state.name, "reload", reason, **common)
    return Verdict(state.name, "restart", reason, **common)


def only_configure(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the verdicts for units that another step starts: prepared when they are down, held when they run.

    One that systemd restarts by itself again and again is stopped, or its next try would be the start.
    """

    def configured(item: Verdict) -> Verdict:
        if item.reset and item.action == "restart":
            return Verdict(item.name, "stop", item.reason, item.enable, reset=True, drop_in=item.drop_in)
        if item.action in ("start", "wait"):
            return Verdict(item.name, "configure", "started by another step", item.enable, drop_in=item.drop_in)
        return item

    return [configured(item) for item in hold_restarts(verdicts)]


def impossible(state: State, has_file: bool, check: bool) -> str:
    """Return why a unit cannot be started at all, or nothing; in check mode its file may still have to be written."""
    if state.load == "masked":
        return f"{state.name} is masked; run `systemctl unmask {state.name}` when that is no longer meant"
    if state.load == "not-found" and not has_file and not check:
        return f"{state.name} has no unit file on this host; write it before it is started"
    return ""


def decide_down(state: State, disable: bool) -> Verdict:
    """Return what stops a unit, and disables it when it shall not come back at boot."""
    down = state.active in ("inactive", "failed") or state.load == "not-found"
    return Verdict(
        state.name,
        "none" if down else "stop",
        "it was down" if down else f"it was {state.words}",
        disable=disable and state.file_state in ("enabled", "enabled-runtime"),
    )


def hold_restarts(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the verdicts with every restart and reload of a running unit left out, for a caller that only looks.

    A held unit's drop-in stays too, so a crash meanwhile brings back what ran. What systemd is restarting by itself
    counts as down: it goes on.
    """
    return [
        Verdict(item.name, "hold", item.reason, item.enable) if item.action in ("restart", "reload") and not item.reset else item
        for item in verdicts
    ]


def foresee(
    verdicts: Sequence[Verdict],
    sources: Mapping[str, Sequence[str]],
    changing: set[str],
    restart: bool,
    reloads: Mapping[str, Sequence[str]],
    activating: Sequence[str] = (),
) -> list[Verdict]:
    """Return the verdicts of a check in which files would change that a unit which runs was started with.

    ``reloads``: by unit the files that it takes up by a reload; a change of any other one is a restart. ``activating``: units
    that run and wait, such as an etcd member for others.
    """
    foreseen = []
    for item in verdicts:
        paths = sorted(changing.intersection(sources.get(item.name, ())))
        waits = item.action == "configure" and item.name in activating
        if (item.action in ("none", "wait", "reload") or waits) and paths:
            reload = item.action != "wait" and set(paths) <= set(reloads.get(item.name, ()))
            action = "hold" if not restart else "reload" if reload else "restart"
            item = Verdict(item.name, action, ", ".join(f"{path} would change" for path in paths), item.enable)
        foreseen.append(item)
    return foreseen


def diff(verdicts: Sequence[Verdict], states: Mapping[str, State]) -> dict[str, str]:
    """Return Ansible's diff: a line per unit that is touched."""
    after = {"start": "started", "restart": "restarted", "reload": "reloaded", "stop": "stopped"}
    return {
        "before": "".join(f"{item.name}: {states[item.name].words}\n" for item in verdicts if item.changed),
        "after": "".join(
            f"{item.name}: {after.get(item.action, states[item.name].words)}, {item.reason}"
            f"{', enabled' if item.enable else ''}{', disabled' if item.disable else ''}\n"
            for item in verdicts
            if item.changed
        ),
    }


def arrived(state: State, before: State, verdict: Verdict) -> bool:
    """Return whether a unit is up, and newly so when it was restarted."""
    return state.up and (verdict.action not in ("restart", "start") or state.invocation != before.invocation)


def began(state: State, now: float, monotonic: float) -> float:
    """Return when a unit became active, in seconds since the epoch by this host's clock as it is now; 0 when it never was.

    ``now``, ``monotonic``: both clocks, read together. systemd's own text has no fraction, and a zone that other hosts do not
    know.
    """
    return round(now - monotonic + state.entered / 1e6, 3) if state.entered else 0.0


def lost(state: State) -> bool:
    """Return whether a start has failed for good: the unit is down and nothing is under way or queued for it."""
    return state.active in ("failed", "inactive") and not state.job


def parse_show(text: str, names: Sequence[str]) -> dict[str, State]:
    """Return {unit: State} from `systemctl show u1 u2 … -p …`: blocks in the order asked for, parted by empty lines.

    Raises ValueError when the number of blocks is not the number of units.
    """
    blocks = text.strip().split("\n\n")
    if len(blocks) != len(names):
        raise ValueError(f"systemctl show answered {len(blocks)} blocks for {len(names)} units")
    states = {}
    for name, block in zip(names, blocks):
        row = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        states[name] = State(
            name,
            row.get("LoadState", "not-found"),
            row.get("ActiveState", "inactive"),
            row.get("SubState", "dead"),
            _integer(row.get("MainPID")),
            _integer(row.get("NRestarts")),
            row.get("Result", "success"),
            row.get("UnitFileState", ""),
            row.get("NeedDaemonReload") == "yes",
            row.get("InvocationID", ""),
            row.get("ActiveEnterTimestamp", ""),
            row.get("Job", "") not in ("", "0"),
            _integer(row.get("ActiveEnterTimestampMonotonic")),
        )
    return states


def _integer(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0


def programs(unit_file: str) -> list[str]:
    """Return the programs a unit file starts, without systemd's prefix characters (systemd.service(5))."""
    return re.findall(r"(?m)^\s*Exec(?:Start|StartPre|StartPost)\s*=\s*[-@:+!|]*(/\S+)", unit_file)
