# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Say which hosts take their turn at being started or restarted, in which order, and how many at once.

Solves: what restarts is decided from what runs (``_unit_plan``), so whoever already runs as it should is left out, and what
restarts together never takes more out of the cluster than it can spare. Leaves out: the gates between two turns (the modules).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _topology, _unit_plan

BATCH = re.compile(r"([1-9][0-9]*)(%?)")
DOWN, RESTART, ANY = "down", "restart", "any"


def needing_a_turn(hostvars: Mapping[str, Mapping], names: Sequence[str], registered, why: str = ANY) -> list[str]:
    """Return those of the hosts whose service is down or runs with other settings than it should, in the order given.

    ``registered``: the variable, or several, in which a host's result of `unit_set` or `api_endpoint` stands; a host without one
    needs nothing. ``why``: only who is ``down``, or only who must ``restart``. A unit that is activating counts as up: it may
    wait for other members to come up.
    """
    variables = [registered] if isinstance(registered, str) else registered
    return [name for name in names if any(_asks(hostvars[name].get(variable) or {}, why) for variable in variables)]


def _asks(result, why):
    states = [unit["active"] for unit in (result.get("units") or {}).values()]
    down = any(state not in (*_unit_plan.UP, "activating") for state in states)
    restart = bool(result.get("restart_needed") or result.get("turn_needed"))
    return {DOWN: down, RESTART: restart, ANY: down or restart}[why]


def batch_size(batch: str, count: int) -> int:
    """Return how many of `count` hosts go at once: a number, or a percentage of them and at least 1; ValueError otherwise."""
    found = BATCH.fullmatch(str(batch).strip())
    if not found:
        raise ValueError(f"{batch!r} is neither a number from 1 on nor a percentage such as 20%")
    number = int(found.group(1))
    return max(1, count * number // 100) if found.group(2) else number


def node_turns(names: Sequence[str], hosts: Mapping[str, Mapping], batch: str) -> dict:
    """Return {hosts: a host pattern, serial: how many in each batch}: masters one by one, then workers of one zone at a time.

    ``hosts`` is that of the fact `multimaster`; ``batch`` as for ``batch_size``, of all workers of the cluster.
    """
    masters = sorted((name for name in names if hosts[name]["master"]), key=lambda name: (hosts[name]["zone"], name))
    workers = sum(host["worker"] and not host["master"] for host in hosts.values())
    size = batch_size(batch, workers)
    ordered, serial = masters, [1] * len(masters)
    for zone in sorted({hosts[name]["zone"] for name in names if name not in masters}):
        same = sorted(name for name in names if name not in masters and hosts[name]["zone"] == zone)
        ordered = ordered + same
        serial += [len(same[start : start + size]) for start in range(0, len(same), size)]
    return {"hosts": _topology.host_pattern(ordered), "serial": serial or [1]}
