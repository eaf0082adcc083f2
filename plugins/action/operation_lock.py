# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the module operation_lock, and add what only the controller knows: who this run is, and whether another still lives.

One module execution, and a second one when the lock was refused for the sake of a run of this controller that is dead.
"""

from __future__ import annotations

import multiprocessing
import os
import socket

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _lock

# proc(5): fields 3 and 22 of /proc/PID/stat, counted from the end of the program's name, which may hold anything
STATE, START = 0, 19
DEAD = ("Z", "X")


class ActionModule(ActionBase):
    """Fill in arguments, and take over from a run of this controller whose process is gone."""

    _requires_connection = True
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        """Execute the module of the same name and return its result."""
        super().run(tmp, task_vars)
        arguments = completed(self._task.args)
        result = self._execute_module(module_args=arguments, task_vars=task_vars)
        gone = dead_holder(arguments, result)
        if gone:
            result = self._execute_module(module_args={**arguments, "gone": gone}, task_vars=task_vars)
        return result


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
