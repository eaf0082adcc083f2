# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Bring one master into its part: judge, write its files, take the steps, prove the outcome, remove what is left over.

Solves the order of writing and judging: what is written decides what has to restart, and a refusal must come before
anything is written. Leaves out deciding (`_endpoint_plan`) and doing a step (`_endpoint_host`).
"""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _addresses,
    _arp,
    _endpoint_host,
    _endpoint_plan,
    _failure,
    _file_plan,
    _files,
    _haproxy,
    _https,
    _keepalived,
    _systemd,
    _vrrp,
)

ERRORS = (
    _addresses.AddressError,
    _arp.ArpError,
    _endpoint_host.EndpointError,
    _file_plan.PlanError,
    _files.FileError,
    _haproxy.HaproxyError,
    _https.CredentialsError,
    _keepalived.KeepalivedError,
    _systemd.UnitError,
    _vrrp.VrrpError,
)


def bring(master, wanted, check):
    """Return (seen before, seen after, plan, steps of files that changed); raise one of ERRORS.

    `master` is an `_endpoint_host.Master`, `wanted` the arguments of module `api_endpoint`. In check mode nothing is done and a
    plan that refuses is returned: steps on other masters that come before this one were not taken either.
    """
    files = _files.survey(_files.from_arguments({**wanted, "absent": []}), check=check)
    remnants = _files.survey([_files.wanted({"path": path}, "absent") for path in wanted["absent"]])
    writing = any(step.changed for step in files)
    before, plan = look(master, wanted, writing=writing)
    after, written = before, [step for step in [*files, *remnants] if step.changed]
    if not check:
        agreed(plan)
        if writing:
            _files.apply(files)
            after, plan = look(master, wanted, listen=False)
            agreed(plan, "its files were written, and nothing else was changed")
        after = work(master, plan, wanted["state"], wanted["allow_loss"]) or after
        _files.apply(remnants)
    return before, after, plan, written


def look(master, wanted, listen=True, writing=False):
    """Return what is seen and the plan; neighbours are asked only when something has to be done, or files will be written."""
    state, allow_loss, heirs = wanted["state"], wanted["allow_loss"], tuple(wanted["heirs"])
    preparing = state == _endpoint_plan.PREPARED
    seen = master.observe(
        ask_neighbours=False, listen_for=wanted["vrid"] if preparing and listen else None, peers=wanted["peers"]
    )
    plan = _endpoint_plan.plan(seen, state, allow_loss, heirs)
    if (plan.changed or writing) and not preparing:
        seen = master.observe()
        plan = _endpoint_plan.plan(seen, state, allow_loss, heirs)
    return seen, plan


def agreed(plan, done="nothing was changed"):
    """Raise EndpointError with what was done, the plan's reasons when it refuses, and what to do next."""
    if plan.refusals:
        raise _endpoint_host.EndpointError(f"{done}: {plan.reason}", plan.next_step)


def work(master, plan, state, allow_loss):
    """Take the steps, prove the outcome, return what is seen then."""
    for step in plan.steps:
        try:
            master.take(step, allow_loss)
        except ERRORS as error:
            following = _failure.next_step(error) or f"see {_endpoint_host.RUNBOOK}; then run again"
            raise _endpoint_host.EndpointError(f"step {step.kind} ({step.why}): {error}", following) from error
    if plan.changed and state != _endpoint_plan.PREPARED:
        master.prove(state)
    return master.observe(ask_neighbours=False) if plan.changed else None
