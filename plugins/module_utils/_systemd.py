# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Read and change systemd units in few calls: one `show` for all, one start for all, then wait for each.

A `systemctl` call costs 10-20 ms, so everything that can be read from files is read from files. Decisions are in
``_unit_plan.py``; every program, clock and probe is injected.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from . import _command, _files, _https, _ready
from . import _unit_plan as plan

#: systemd's search path for unit files (systemd.unit(5)); drop-ins that last only until the next boot are first-start
#: arguments or an administrator's trial and no part of a unit's identity.
UNIT_PATH = (
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
)
DROP_IN_PATH = tuple(path for path in UNIT_PATH if not path.startswith("run/"))
DROP_IN = "50-multimaster.conf"
RECORDS = "run/multimaster"
PROPERTIES = (
    "Id,LoadState,ActiveState,SubState,MainPID,NRestarts,Result,UnitFileState,NeedDaemonReload,InvocationID,"
    "ActiveEnterTimestamp,ActiveEnterTimestampMonotonic,Job"
)
#: Seconds between two looks; a start takes 0.2-3 s, so the first looks are close together.
POLL, SLOW_POLL, SLOW_AFTER = 0.1, 0.5, 3.0
#: Seconds a newly started unit that cannot be asked has to stay up: Type=simple is "active" before its program has run.
STAY = 0.3
#: Seconds a blocking systemctl call may take: TimeoutStopSec is 90 s by default.
BLOCKING = 100.0
JOURNAL_LINES = 15


class UnitError(Exception):
    """Say which unit failed, what it said, and what to look at next."""


@dataclass(frozen=True)
class Unit:
    """Hold what a caller wants of one unit."""

    name: str
    inputs: tuple[str, ...] = ()
    ready: Mapping | None = None
    reload: bool = False
    enabled: bool = True

    @property
    def timeout(self) -> float:
        """Return the seconds this unit may take to be up and ready."""
        return float((self.ready or {}).get("timeout") or 60)


class Systemd:
    """Give the few operations this collection needs of systemd."""

    def __init__(
        self,
        runner: _command.Runner = _command.run,
        prober: _ready.Prober = _ready.probe,
        root: str = "/",
        manifest: str = "/opt/multimaster/.artifacts.json",
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runner, self._prober, self._root = runner, prober, root
        self._manifest, self._sleep, self._monotonic = manifest, sleep, monotonic
        self._programs: dict | None = None
        #: Units that were left running as they are, and are not ready.
        self.unready: list[str] = []

    # Reading

    def show(self, names: Sequence[str]) -> dict[str, plan.State]:
        """Return the state of units by one call."""
        result = self._call("show", *names, "-p", PROPERTIES)
        try:
            return plan.parse_show(result.out, names)
        except ValueError as error:
            raise UnitError(f"{error}: {result}\n{_look_at(*names)}") from error

    def told(self, states: Mapping[str, plan.State]) -> dict[str, dict]:
        """Return what a result says of each unit."""
        now, monotonic = time.time(), self._monotonic()
        return {
            name: {"pid": one.pid, "active": one.active, "since": one.since, "began": plan.began(one, now, monotonic)}
            for name, one in states.items()
        }

    def identity(self, unit: Unit) -> plan.Identity:
        """Return the hashes of what a unit would be started with now; an input that is missing counts as such."""
        fixed, texts = {}, []
        for path in self.unit_files(unit.name):
            with open(path, encoding="utf-8", errors="replace") as handle:
                texts.append(handle.read())
            fixed[path] = hashlib.sha256(texts[-1].encode("utf-8", "replace")).hexdigest()
        known = self._known_programs()
        fixed.update((path, known[path]) for text in texts for path in plan.programs(text) if path in known)
        return plan.identity(fixed, {path: self._hash(path) for path in unit.inputs})

    def sources(self, unit: Unit) -> list[str]:
        """Return every file a unit is started with: its own, its drop-ins, its inputs."""
        return [*self.unit_files(unit.name), *unit.inputs]

    def missing_inputs(self, unit: Unit) -> list[str]:
        """Return the inputs of a unit that do not exist."""
        return [path for path in unit.inputs if self._hash(path) == "missing"]

    def unit_files(self, name: str) -> list[str]:
        """Return a unit's own file and its lasting drop-ins, ours left out."""
        files = [path for path in (os.path.join(self._root, folder, name) for folder in UNIT_PATH) if os.path.isfile(path)][:1]
        drop_ins: dict[str, str] = {}
        for folder in reversed(DROP_IN_PATH):  # the same file name in a later directory hides the earlier one
            with contextlib.suppress(OSError):
                where = os.path.join(self._root, folder, name + ".d")
                drop_ins.update((file, os.path.join(where, file)) for file in os.listdir(where) if file.endswith(".conf"))
        return files + [drop_ins[file] for file in sorted(drop_ins) if file != DROP_IN and os.path.isfile(drop_ins[file])]

    def running(self, state: plan.State) -> plan.Identity:
        """Return what a unit's present invocation was started (or last reloaded) with.

        A process whose program was replaced on disk, as by a package that does not restart it, runs with what nobody wants.
        """
        if state.pid and self._program(state.pid).endswith(" (deleted)"):
            return plan.REPLACED
        with contextlib.suppress(OSError, ValueError):
            record = json.loads(_read(self._record(state.name)))
            if record["invocation"] == state.invocation:
                return plan.Identity(record["all"], record["fixed"])
        if state.pid:
            return plan.parse_environ(self._environ(state.pid))
        # A unit without a process (oneshot) that was started at boot: its loaded environment is all there is.
        return (
            plan.parse_environ(" " + self._call("show", state.name, "-p", "Environment", "--value").out)
            if state.up
            else (plan.NOTHING)
        )

    def drop_in(self, name: str) -> str:
        """Return the content of a unit's drop-in of ours, empty when there is none."""
        with contextlib.suppress(OSError):
            return _read(self._drop_in(name))
        return ""

    # Changing

    def act(self, units: Sequence[Unit], verdicts: Sequence[plan.Verdict], states: Mapping[str, plan.State]) -> None:
        """Do what was decided: drop-ins, enable, one daemon-reload, stop, reload, then start all at once."""

        def named(choice: Callable[[plan.Verdict], bool]) -> list[str]:
            return [verdict.name for verdict in verdicts if choice(verdict)]

        for verdict in verdicts:
            if verdict.drop_in is not None:
                _files.write(self._drop_in(verdict.name), verdict.drop_in, 0o600)
        touched = {
            verdict.name
            for verdict in verdicts
            if verdict.drop_in is not None
            or (
                verdict.action in ("configure", "start", "restart", "reload")
                and (states[verdict.name].stale or states[verdict.name].load == "not-found")
            )
        }
        enable = named(lambda verdict: verdict.enable)
        if enable:  # it would reload systemd a second time
            self._call("enable", "--quiet", "--no-reload", *enable, blame=enable)
        if touched or enable:
            self._call("daemon-reload", timeout=BLOCKING)
        for command, chosen in (
            (["reset-failed"], named(lambda verdict: verdict.reset)),
            (["stop"], named(lambda verdict: verdict.action == "stop")),
            (["disable", "--quiet"], named(lambda verdict: verdict.disable)),
            (["reload"], named(lambda verdict: verdict.action == "reload")),
            (["restart", "--no-block"], named(lambda verdict: verdict.action == "restart")),
            (["start", "--no-block"], named(lambda verdict: verdict.action == "start")),
        ):
            if chosen:
                self._call(*command, *chosen, timeout=BLOCKING, blame=chosen)

    def wait(
        self,
        units: Sequence[Unit],
        verdicts: Mapping[str, plan.Verdict],
        before: Mapping[str, plan.State],
        running_ready: bool = True,
    ) -> dict[str, plan.State]:
        """Wait until every unit is up (newly, when it was restarted) and ready; return the states.

        One whose restart is held is asked once and not waited for: what it waits for may be that very restart. The same goes
        without `running_ready` for one that runs as it should. Raises UnitError as soon as a unit has failed for good or ends
        again and again, or when its time is over.
        """
        started = looked = self._monotonic()
        alone = ("hold",) if running_ready else ("hold", "none")
        left = [unit for unit in units if verdicts[unit.name].action in alone]
        self.unready = [unit.name for unit in left if not self._probe(unit)[0]]
        units = [unit for unit in units if unit not in left]
        pending, arrived, words = {unit.name: unit for unit in units}, {unit.name: before[unit.name] for unit in left}, {}
        seen: dict[str, tuple[str, float]] = {}  # unit: (invocation, since when it is known to be up)
        quiet = all(verdicts[unit.name].action == "none" for unit in units)
        states = dict(before) if quiet else self.show(list(pending))
        tries, late = {name: state.restarts for name, state in states.items()}, 0.0
        while True:
            lost = []
            for name, unit in list(pending.items()):
                loops = plan.loops(states[name].restarts - tries[name], late)
                if plan.arrived(states[name], before[name], verdicts[name]):
                    if seen.get(name, ("",))[0] != states[name].invocation:
                        seen[name] = (states[name].invocation, looked)
                    stayed = looked - seen[name][1] >= STAY or _ready.target(unit.ready or {}) or quiet
                    ready, words[name] = self._probe(unit)
                    if ready and (stayed or verdicts[name].action not in ("start", "restart", "wait")):
                        arrived[name] = states[name]
                        del pending[name]
                elif loops or plan.lost(states[name]):
                    lost.append(unit)
            late = self._monotonic() - started
            lost += [unit for unit in pending.values() if late >= unit.timeout and unit not in lost]
            if lost:
                raise UnitError(
                    "\n\n".join(self._blame(unit, states[unit.name], words.get(unit.name, ""), late) for unit in lost)
                )
            if not pending:
                return arrived
            self._sleep(POLL)
            if self._monotonic() - looked >= (POLL if late < SLOW_AFTER else SLOW_POLL):
                states, looked = {**states, **self.show(list(pending))}, self._monotonic()

    def settle(
        self,
        units: Sequence[Unit],
        verdicts: Sequence[plan.Verdict],
        before: Mapping[str, plan.State],
        wanted: Mapping[str, plan.Identity],
        running_ready: bool = True,
    ) -> dict[str, plan.State]:
        """Wait for started units and write down what they run with, or see that stopped ones are down."""
        if not wanted:
            states = self.show([unit.name for unit in units]) if any(item.changed for item in verdicts) else dict(before)
            for name, state in states.items():
                if state.active not in ("inactive", "failed"):
                    raise UnitError(f"{name} did not stop: it is {state.words}.\n{self._journal(name)}\n{_look_at(name)}")
            return states
        actions = {verdict.name: verdict for verdict in verdicts}
        states = self.wait(units, actions, before, running_ready)
        for unit in units:
            if actions[unit.name].action in ("start", "restart", "reload"):
                self.record(unit, states[unit.name], wanted[unit.name])
        return states

    def record(self, unit: Unit, state: plan.State, wanted: plan.Identity) -> None:
        """Write down what a unit runs with where its environment cannot tell: after a reload, or without a process."""
        environ = plan.parse_environ(self._environ(state.pid)) if state.pid else plan.NOTHING
        if unit.reload or environ.all != wanted.all:
            text = json.dumps({"invocation": state.invocation, "all": wanted.all, "fixed": wanted.fixed}) + "\n"
            _files.write(self._record(unit.name), text, 0o600)

    # Details

    def _call(self, *arguments: str, timeout: float = 20.0, blame: Sequence[str] = ()) -> _command.Result:
        """Run systemctl; raise UnitError with its own words, and the journal of the units it was about."""
        result = self._runner(["systemctl", *arguments], timeout)
        if result.rc != 0:
            raise UnitError("\n\n".join([str(result), *(self._journal(name) for name in blame[:2]), _look_at(*blame[:2])]))
        return result

    def _probe(self, unit: Unit) -> tuple[bool, str]:
        try:
            return self._prober(unit.ready or {})
        except _https.CredentialsError as error:
            raise UnitError(f"{unit.name} cannot be asked whether it is ready: {error}") from error

    def _blame(self, unit: Unit, state: plan.State, answer: str, late: float) -> str:
        """Return the whole story of a unit that did not come up."""
        asked = _ready.target(unit.ready or {})
        said = f" {asked}: last answer: {answer or 'not asked, the unit never was up'}." if asked else ""
        return (
            f"{unit.name} is not {'ready' if state.up else 'up'} after {late:.1f} s (limit {unit.timeout:g} s): it is "
            f"{state.words}.{said}\n{self._journal(unit.name)}\n{_look_at(unit.name)}"
        )

    def _journal(self, name: str) -> str:
        return journal(self._runner, name)

    def _hash(self, path: str) -> str:
        """Return the SHA-256 of a file, or of all files below a directory; read anew, since it may have been written since."""
        try:
            if os.path.isdir(path):
                below = sorted(os.path.join(top, name) for top, _folders, files in os.walk(path) for name in files)
                text = "".join(f"{name}\0{self._hash(name)}\n" for name in below)
                return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
            with open(path, "rb") as handle:
                return hashlib.sha256(handle.read()).hexdigest()
        except OSError:
            return "missing"

    def _known_programs(self) -> dict[str, str]:
        """Return {program: SHA-256} as release_artifact has written it down, so that no binary is read again."""
        if self._programs is None:
            self._programs = {}
            with contextlib.suppress(OSError, ValueError, AttributeError, KeyError, TypeError):
                entries = json.loads(_read(self._manifest))
                self._programs = {path: entry["sha256"] for path, entry in entries.items()}
        return self._programs

    def _program(self, pid: int) -> str:
        """Return the program of a process, with " (deleted)" after it when that is no longer the file there (proc(5))."""
        with contextlib.suppress(OSError):
            return os.readlink(os.path.join(self._root, "proc", str(pid), "exe"))
        return ""

    def _environ(self, pid: int) -> str:
        with contextlib.suppress(OSError):
            return _read(os.path.join(self._root, "proc", str(pid), "environ"))
        return ""

    def _drop_in(self, name: str) -> str:
        return os.path.join(self._root, "etc/systemd/system", name + ".d", DROP_IN)

    def _record(self, name: str) -> str:
        return os.path.join(self._root, RECORDS, name + ".inputs")


def journal(runner: _command.Runner, name: str) -> str:
    """Return what a unit said last, under a heading."""
    said = runner(["journalctl", "-u", name, "-n", str(JOURNAL_LINES), "--no-pager", "-q", "-o", "short-iso"], 10.0).out
    return f"Last journal lines of {name}:\n{said.strip() or '(none)'}"


def _look_at(*names: str) -> str:
    """Return what a person does next about units that failed, or about systemd itself when none is named."""
    if not names:
        return "Next: `systemctl is-system-running` and `journalctl -b -n 50` on this host; mend the cause and run again."
    return (
        f"Next: `journalctl {' '.join(f'-u {name}' for name in names)} -e` and `systemctl status {' '.join(names)}` on this "
        "host; mend the cause and run again."
    )


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as handle:
        return handle.read()
