# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Say what comes with the turns of hosts when that was asked for: questions, the user's own tasks, a canary, a reboot.

Solves: only hosts that are upgraded or restarted take turns that a person asked for, and each wish means something there only.
Leaves out: who takes a turn and when (``_turns``), and judging a canary (``_canary``).
"""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _drain, _lock, _request

# Variables of the user's, each on any host: to be asked before each turn, that the plan was read, to reboot.
WISHES = ("confirm_each", "confirmed", "reboot")
# Seconds for which the lock is held. Fetching programs over a slow line, saving a large etcd, a person's answer, a reboot (900 to
# go down and 900 to come up, `reboot_timeout` of phases/tasks/stop_or_reboot.yml) take longer than a usual step.
SLOW_STEP_SECONDS = 1800
GO_ON = {
    _request.UPGRADE: "the same command again goes on here",
    _request.ROLL: "roll.yml with -e node=HOSTS,… and whoever else is left",
}


def fact(settings, kind: str, hooks: Mapping, wishes: Mapping, order: Mapping, checking: bool) -> dict:
    """Return the keys of the fact `multimaster` that say what comes with turns.

    ``kind``: that of the request. ``hooks``: files of the user's tasks, by `before` and `after`. ``wishes``: those of
    WISHES, as booleans. ``order``: that of the Topology, by name. ``checking``: in check
    mode nobody is asked. The keys:

        ============  ================================================================================================
        operation     the kind of the turns, "" where no host takes one that was asked for
        hooks         as given, "" for each where there is no such turn
        canary        ``seconds`` for which the first master of an upgrade is watched, ``leader_changes`` let pass
        confirm_each  whether a person is asked before each turn
        confirmed     whether the plan was confirmed beforehand; who wants to be asked before each host is asked that too
        before_host   whether anything comes before a turn
        gives_way     whether two members change places in this run
        before_swap   whether anything comes before two members change places
        go_on         what to do after a turn that was not confirmed; HOSTS stands for those whose turn it was
        ask_without   what to do where nobody can be asked
        reboot        whether hosts are rebooted, not restarted
        drain_seconds how long a drain waits for pods
        seconds       for which the lock is held: a ``usual`` step, a ``slow`` one, a look at the ``canary``, a ``restart``, a
                      ``drain``, and the first step of each of ``turns``, by the word of the plan: of some that is a drain
        ============  ================================================================================================
    """
    turning = kind in (_request.UPGRADE, _request.ROLL)
    each = bool(wishes["confirm_each"] and turning and not checking)
    reboot = bool(wishes["reboot"] and kind == _request.ROLL)
    watched = settings.upgrade_canary_seconds if kind == _request.UPGRADE else 0
    gives_way = bool(order["roll_late" if kind == _request.ROLL else "demote"])
    drain = _lock.STEP_SECONDS + max(0, settings.drain_seconds - _drain.SECONDS)
    turns = {"member": _lock.STEP_SECONDS, "master": _lock.STEP_SECONDS, "node": drain, "restart": drain}
    before = each or bool(turning and hooks["before"])
    return {
        "operation": kind if turning else "",
        "hooks": {name: path if turning else "" for name, path in hooks.items()},
        "canary": {"seconds": watched, "leader_changes": settings.upgrade_canary_leader_changes},
        "confirm_each": each,
        "confirmed": bool(wishes["confirmed"] and not each),
        "before_host": before,
        "gives_way": gives_way,
        "before_swap": before and gives_way,
        "go_on": GO_ON.get(kind, "") + (", and -e reboot=true" if reboot else ""),
        "ask_without": "leave confirm_each out" if each else "give -e confirmed=true after reading the plan",
        "reboot": reboot,
        "drain_seconds": settings.drain_seconds,
        "seconds": {
            "usual": _lock.STEP_SECONDS,
            "slow": SLOW_STEP_SECONDS,
            "canary": _lock.STEP_SECONDS + watched,
            "restart": SLOW_STEP_SECONDS if reboot else _lock.STEP_SECONDS,
            "drain": drain,
            "turns": turns,
        },
    }
