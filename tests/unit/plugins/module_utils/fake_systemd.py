# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Play systemd for tests: units as files below a folder, processes as /proc entries, answers as systemd 252 prints them."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _command


@dataclass
class Fake:
    """One unit: what its start leads to, and what it is."""

    active: str = "inactive"
    sub: str = "dead"
    pid: int = 0
    restarts: int = 0
    result: str = "success"
    enabled: str = "disabled"
    invocation: str = ""
    loaded: str | None = None  # the unit's text when systemd last read it
    environment: str = ""
    outcome: str = "active"  # active | failed | auto-restart | loop | activating | assert | exited
    looks: int = 1  # `show` calls until the outcome is there
    since: float = 0.0  # when it was started
    every: float = 1.0  # seconds from one start of a loop to the next
    job: bool = False
    masked: bool = False


class FakeSystemd:
    """A runner for systemctl and journalctl, and a clock that only sleeping moves."""

    def __init__(self, root) -> None:
        self.root, self.units, self.calls, self.now, self.number = root, {}, [], 100.0, 100
        self.folder = root / "etc/systemd/system"
        self.folder.mkdir(parents=True)

    def add(self, name, text="[Service]\nExecStart=/bin/true\n", **state):
        (self.folder / name).write_text(text)
        self.units[name] = Fake(**state)
        return self.units[name]

    def picture(self):
        """Return what a check must leave as it is: the units, and the calls that change something."""
        return copy.deepcopy((self.units, self.commands()))

    def sleep(self, seconds):
        self.now += seconds

    def monotonic(self):
        return self.now

    def commands(self, *words):
        """Return the systemctl calls that change something, without options."""
        reading = ("show", "journalctl")
        calls = [[word for word in call[1:] if not word.startswith("-")] for call in self.calls if call[0] == "systemctl"]
        return [call for call in calls if call[0] not in reading and (not words or call[0] in words)]

    def __call__(self, argv, timeout):
        self.calls.append(list(argv))
        if argv[0] == "journalctl":
            return _command.Result(tuple(argv), 0, f"2026-11-22T17:46:21+0000 m1 {argv[2]}[270]: cannot bind\n")
        names = [word for word in argv[2:] if re.fullmatch(r"[\w-]+\.(service|target)", word)]
        if argv[1] == "show" and "--value" in argv:
            return _command.Result(tuple(argv), 0, self.units[names[0]].environment + "\n")
        if argv[1] == "show":
            return _command.Result(tuple(argv), 0, "\n".join(self._show(name) for name in names))
        if argv[1] == "daemon-reload":
            for name in self.units:
                self.units[name].loaded = self._text(name)
        for name in names:
            getattr(self, "_" + argv[1].replace("-", "_"))(name)
        return _command.Result(tuple(argv), 0)

    def _text(self, name):
        files = [self.folder / name, *sorted((self.folder / (name + ".d")).glob("*.conf"))]
        return "".join(file.read_text() for file in files if file.exists())

    def _show(self, name):
        unit = self.units.get(name, Fake(enabled=""))
        there = (self.folder / name).exists()
        load = "masked" if unit.masked else "loaded" if there else "not-found"
        if unit.job:
            unit.looks -= 1
            if unit.looks <= 0:
                self._arrive(unit)
        elif unit.outcome == "loop" and unit.active == "activating":
            unit.restarts = int((self.now - unit.since) / unit.every)
        stale = unit.loaded is not None and unit.loaded != self._text(name)
        return (
            f"MainPID={unit.pid}\nResult={unit.result}\nNRestarts={unit.restarts}\nId={name}\n"
            f"LoadState={load}\nActiveState={unit.active}\nSubState={unit.sub}\n"
            f"UnitFileState={unit.enabled if there else ''}\nActiveEnterTimestamp=Sun 2026-11-22 17:47:25 UTC\n"
            f"ActiveEnterTimestampMonotonic={unit.pid and 12500000}\n"
            f"Job={'431' if unit.job else ''}\nNeedDaemonReload={'yes' if stale else 'no'}\nInvocationID={unit.invocation}\n"
        )

    def _start(self, name):
        unit = self.units[name]
        unit.loaded = unit.loaded or self._text(name)
        unit.job, unit.active, unit.sub, unit.pid, unit.since = True, "activating", "start", 0, self.now
        if unit.looks <= 0:
            unit.looks = 1

    _restart = _start

    def _arrive(self, unit):
        unit.job = unit.outcome == "activating"
        if unit.outcome == "assert":
            unit.active, unit.sub = "inactive", "dead"
            return
        self.number += 1
        unit.invocation = f"{self.number:032x}"
        found = re.findall(r"(?m)^Environment=(.*)$", unit.loaded or "")
        unit.environment = " ".join(found)
        if unit.outcome in ("active", "exited"):
            unit.active, unit.sub = "active", "running" if unit.outcome == "active" else "exited"
            unit.pid = self.number if unit.outcome == "active" else 0
            if unit.pid:
                process = self.root / "proc" / str(unit.pid)
                process.mkdir(parents=True)
                (process / "environ").write_text("PATH=/usr/bin\0" + unit.environment.replace(" ", "\0") + "\0")
        elif unit.outcome == "failed":
            unit.active = unit.sub = "failed"
            unit.result = "exit-code"
        elif unit.outcome == "loop":
            unit.active, unit.sub, unit.result = "activating", "auto-restart", "exit-code"
        elif unit.outcome == "auto-restart":
            unit.active, unit.sub, unit.result, unit.restarts = "activating", "auto-restart", "exit-code", unit.restarts + 1
        else:
            unit.active, unit.sub = "activating", "start"

    def _stop(self, name):
        self.units[name].active, self.units[name].sub, self.units[name].pid = "inactive", "dead", 0

    def _enable(self, name):
        self.units[name].enabled = "enabled"

    def _disable(self, name):
        self.units[name].enabled = "disabled"

    def _reset_failed(self, name):
        if self.units[name].active == "failed":
            self.units[name].active, self.units[name].sub, self.units[name].result = "inactive", "dead", "success"

    def _reload(self, name):
        assert self.units[name].active == "active"
