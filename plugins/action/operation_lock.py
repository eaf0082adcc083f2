# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the module operation_lock, and add what only the controller knows: who this run is, what it holds, who still lives.

One module execution, none for a renewal that is not due, and another one for each place in which the lock was refused for the
sake of a run of this controller that is dead. What the run holds stands in a file in its own temporary folder, since tasks run
in children of the process that is the run; it goes when the run ends.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import socket
import time

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _lock

# proc(5): fields 3 and 22 of /proc/PID/stat, counted from the end of the program's name, which may hold anything
STATE, START = 0, 19
DEAD = ("Z", "X")
MEMORY = "multimaster-lock.json"
# A clock that goes on while a controller sleeps, as a lock's end does; what else there is where there is none.
CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class ActionModule(ActionBase):
    """Fill in arguments, leave out what is not due, and take over from a run of this controller whose process is gone."""

    _requires_connection = True
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        """Execute the module of the same name and return its result."""
        super().run(tmp, task_vars)
        memory, now = Memory.read(constants.DEFAULT_LOCAL_TMP), time.clock_gettime(CLOCK)
        arguments = completed(self._task.args)
        state, host = arguments.get("state", "held"), self._task.delegate_to or (task_vars or {}).get("inventory_hostname", "")
        if state != "held":
            arguments.update(memory.arguments(host))
        if state == "kept":
            unneeded = "a check holds no lock" if self._task.check_mode else memory.unneeded(arguments, host, now)
            if unneeded:
                return {"changed": False, "step": _lock.NOTHING, "refused": False, "reason": unneeded}
        result = self._asked(arguments, task_vars)
        if not (result.get("failed") or result.get("unreachable") or self._task.check_mode):
            memory.write(state, arguments, result, host, now)
        return result

    def _asked(self, arguments, task_vars):
        result = self._execute_module(module_args=arguments, task_vars=task_vars)
        for _place in _lock.PLACES:
            gone = dead_holder(arguments, result)
            if not gone:
                break
            result = self._execute_module(module_args={**arguments, "gone": gone}, task_vars=task_vars)
        return result


class Memory:
    """What this run holds: {place: {host, moment, seconds}}, and what it said of itself when it took the lock."""

    def __init__(self, path, said=None):
        self.path = path
        self.places = (said or {}).get("places", {})
        self.nodes = (said or {}).get("nodes", [])

    @classmethod
    def read(cls, folder):
        """Return what this run noted down, or that it holds nothing."""
        path = os.path.join(folder, MEMORY)
        try:
            with open(path, encoding="utf-8") as file:
                return cls(path, json.load(file))
        except FileNotFoundError:
            return cls(path)

    def write(self, state, arguments, result, host, now):
        """Note down what the run holds after an answer."""
        if state == "free":
            self.places = {}
        else:
            seconds = int(arguments.get("seconds") or _lock.STEP_SECONDS)
            self.places.update({place: {"host": host, "moment": now, "seconds": seconds} for place in result.get("places", ())})
        if state == "held":
            self.nodes = arguments.get("nodes") or []
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            json.dump({"places": self.places, "nodes": self.nodes}, file)
        os.replace(self.path + ".new", self.path)

    def here(self, host):
        """Return the places that can be reached from a host: the Lease from any, a file only from its own."""
        return [name for name, one in self.places.items() if name == _lock.CLUSTER or one["host"] == host]

    def arguments(self, host):
        """Return the arguments with which to keep or to release what was taken; the module's own when nothing is known."""
        here = self.here(host)
        return {"places": here, "nodes": self.nodes} if here else {}

    def unneeded(self, arguments, host, now):
        """Return why nothing needs to be renewed from a host, "" when something does."""
        if not self.places:
            return ""
        held = [self.places[name] for name in self.here(host)]
        if not held:
            return f"this run's lock is not held through {host}"
        seconds = int(arguments.get("seconds") or _lock.STEP_SECONDS)
        if any(_lock.due(now - one["moment"], one["seconds"], seconds) for one in held):
            return ""
        return f"this run renewed its lock {now - min(one['moment'] for one in held):.0f} s ago"


def completed(given):
    """Return the arguments with what names this run; what is given and not empty stands."""
    arguments = {**process(), **{name: value for name, value in given.items() if value not in (None, "")}}
    if not arguments.get("run"):
        if not (arguments["boot"] and arguments["started"]):
            raise AnsibleActionFail(
                "this controller has no /proc that tells this run from all others. Next: give `run`, unique to this run"
            )
        arguments["run"] = f"{arguments['boot'][:8]}-{arguments['pid']}-{arguments['started']}"
    arguments.setdefault("holder", f"{arguments['controller']}/{arguments['run']}")
    return arguments


def dead_holder(arguments, result):
    """Return the holder for whose sake the lock was refused, when it is a run of this controller that is gone; else ""."""
    lock = result.get("lock") or {}
    if not result.get("refused") or not lock or arguments.get("state", "held") != "held":
        return ""
    run = _lock.Run(**{name: lock[name] for name in ("holder", "controller", "boot", "pid", "started")})
    me = _lock.Run(controller=str(arguments["controller"]), boot=str(arguments["boot"]))
    return run.holder if _lock.abandoned(run, me, started(run.pid)) else ""


def process():
    """Return controller, boot, pid and started of the ansible process this task belongs to; "" and 0 for what is unknown."""
    # tasks run in children of the process that lives as long as the run does
    parent = multiprocessing.parent_process()
    pid = parent.pid if parent else os.getpid()
    return {"controller": socket.gethostname(), "boot": boot(), "pid": pid, "started": max(started(pid) or 0, 0)}


def boot():
    """Return what a process number is unique within: the kernel's boot and the process namespace; "" when unknown."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def started(pid):
    """Return when a process started, in clock ticks after the boot; None when there is none, UNKNOWN when it is hidden."""
    try:
        os.kill(pid, 0)  # asks only; tells of a process even where /proc shows nobody else's
    except ProcessLookupError:
        return None
    except (OSError, OverflowError):
        pass
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return _lock.UNKNOWN
    return None if fields[STATE] in DEAD else int(fields[START])
