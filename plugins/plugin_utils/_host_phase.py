# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run one phase of a module that an action calls several times.

Solves: the module's error is the task's error, whichever phase it comes from. Leaves out: what the phases are (each action).
"""

from __future__ import annotations

from ansible.errors import AnsibleActionFail


def run(action, module, phase, task_vars, **arguments):
    """Return what a phase of a module returned on the action's host; AnsibleActionFail when it failed or the host is away."""
    result = action._execute_module(module_name=module, module_args={"phase": phase, **arguments}, task_vars=task_vars)
    if result.get("failed") or result.get("unreachable"):
        unsaid = f"{module} failed in phase {phase}. Next: run again with -vvv, which shows what the host said"
        raise AnsibleActionFail(result.get("msg") or unsaid, result=result)
    return result
