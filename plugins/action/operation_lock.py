# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the module operation_lock, and add what only the controller knows: who this run is, what it holds, who still lives.

One module execution, none for a renewal that is not due, and another one for each place in which the lock was refused for the
sake of a run of this controller that is dead.
"""

from __future__ import annotations

import time

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _lock
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _lock_memory, _this_run

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
        memory, now = _lock_memory.Memory.read(constants.DEFAULT_LOCAL_TMP), time.clock_gettime(CLOCK)
        arguments = completed(self._task.args)
        state, host = arguments.get("state", "held"), self._task.delegate_to or (task_vars or {}).get("inventory_hostname", "")
        if state != "held":
            arguments.update(memory.arguments(arguments, host))
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


def completed(given):
    """Return the arguments with what names this run; what is given and not empty stands."""
    arguments = {**_this_run.process(), **{name: value for name, value in given.items() if value not in (None, "")}}
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
    return run.holder if _lock.abandoned(run, me, _this_run.started(run.pid)) else ""
