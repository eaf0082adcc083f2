# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the inventory and what was observed, judge it, and work out the fact `multimaster`.

Everything here is reading: the decisions are _settings, _topology and _preflight. It touches no managed host.
"""

from __future__ import annotations

import dataclasses
import os
import secrets
import time

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _beside_turns,
    _finding,
    _preflight,
    _request,
    _settings,
    _topology,
    _topology_fact,
    _upgrade_refusals,
    _upgrade_scene,
)
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _ca_store, _document, _hooks, _inventory_view

ARGUMENTS = {
    "only": {"type": "str", "choices": ["preflight", "topology"]},
    "max_age": {"type": "int", "default": 900},
    "remove": {"type": "list", "elements": "str"},
    "replace": {"type": "list", "elements": "str"},
    "by": {"type": "str", "default": ""},
    "upgrade": {"type": "bool", "default": False},
    "roll": {"type": "list", "elements": "str"},
    "move": {"type": "bool", "default": False},
    "drifted": {"type": "list", "elements": "str"},
    "format": {"type": "str", "choices": ["text", "json"], "default": "text"},
    "output": {"type": "str", "default": ""},
    "must": {"type": "str", "choices": ["be_sound", "be_empty"], "default": "be_sound"},
}
# An input of a role that is a permission, which an upgrade has to know of beforehand.
ALLOW_OUTAGE = "etcd_allow_outage"


class ActionModule(ActionBase):
    """Return the fact `multimaster`, or show all findings in one table and fail."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        """Judge first, unless told not to, and return the topology of what passed."""
        result = super().run(tmp, task_vars)
        _unused, args = self.validate_argument_spec(argument_spec=ARGUMENTS)
        hostvars = _inventory_view.once(task_vars["groups"], task_vars["hostvars"])
        settings, inventory, findings, folder = _inventory_view.read(task_vars["groups"], hostvars)
        asked = {name: args[name] for name in ("remove", "replace", "by", "upgrade", "roll", "move")}
        request, unknown = _request.read(inventory.names, **asked)
        settings = within_forks(settings, inventory.without(request.leaving), int(task_vars.get("ansible_forks") or 0))
        store = os.path.normpath(os.path.join(folder, os.path.expanduser(settings.ca_store)))
        exists = _ca_store.exists(store)
        observed = _inventory_view.observations(inventory.names, hostvars, time.time() - args["max_age"])
        outage, downgrade = (
            _inventory_view.wished(name, inventory.members, hostvars)
            for name in (ALLOW_OUTAGE, _upgrade_refusals.ALLOW_DOWNGRADE)
        )
        topology = _topology.build(
            settings, inventory, observed, exists, secrets.token_hex(4), not self._task.check_mode, request, outage,
            args["drifted"] or (),
        )  # fmt: skip
        wishes = {name: _inventory_view.wished(name, inventory.names, hostvars) for name in _beside_turns.WISHES}
        hooks = _hooks.paths(settings, folder)
        turns = _beside_turns.fact(settings, request.kind, hooks, wishes, dict(topology.order), self._task.check_mode)
        ignored = settings.preflight_ignore
        if request.kind == _request.UPGRADE:
            extra = _inventory_view.arguments(topology.hosts, hostvars)
            topology = _upgrade_scene.upgraded(topology, observed, extra, outage, downgrade)
            # What the plan of an upgrade says of versions is said for this very purpose.
            ignored = (*ignored, "version-skew")
        # The address is moved off a master that is not well, too: a move asks who holds it and who can take it, and no more.
        if args["only"] != "topology" and request.kind != _request.MOVE:
            staying = inventory.without(request.leaving)
            why = _inventory_view.reasons(staying.names, hostvars)
            own = _inventory_view.own_eviction(staying.names, hostvars)
            wrong = _hooks.wrong(hooks if args["only"] else turns["hooks"], self._loader)
            view = _preflight.View(settings, staying, observed, topology, exists, why, own, wrong)
            findings += _preflight.judge(view, ignored)
        # Of checks the user may know better; a request is refused for what the hosts and phases could not do.
        requested = unknown + (refused(topology.plan) if args["only"] != "topology" else ())
        findings = _finding.in_order(_finding.without(findings, settings.preflight_ignore) + requested)
        errors = _finding.errors(findings)
        if errors:
            Display().display(f"\n{_finding.table(findings)}\n")
            result.update(failed=True, msg=message(errors))
            return result
        result.update(changed=False, findings=[one.as_dict() for one in findings])
        # Whether a voter that cannot be spared has to restart is asked next, and then decided anew: said is only the end of it.
        decided = args["drifted"] is not None or not topology.giving.voters or args["only"] is not None
        fact = _topology_fact.as_fact(topology, secrets.token_hex(8), not decided)
        fact["ca_store"] = store
        fact["kubeconfig"] = os.path.normpath(os.path.join(folder, os.path.expanduser(settings.kubeconfig)))
        fact.update(turns)
        fact["snapshots"] = os.path.join(folder, "snapshots")
        result["ansible_facts"] = {"multimaster": fact}
        if args["only"] == "preflight":
            Display().display(passed(len(inventory.names), findings))
            return result
        for finding in findings if decided else ():
            Display().warning(finding.line())
        if args["only"] is None and decided:
            result["plan"] = topology.plan.as_dict()
            output = "" if self._task.check_mode else args["output"]
            _document.publish(result["plan"], shown(topology.plan), args["format"], output)
            if args["must"] == "be_empty" and topology.plan.steps:
                result.update(failed=True, msg=to_do(topology.plan))
        return result


def within_forks(settings, inventory, forks):
    """Return the settings with no more workers in a batch than this run works on at once."""
    workers = len(set(inventory.workers) - set(inventory.masters))
    return dataclasses.replace(settings, upgrade_batch=_settings.batch_within(settings.upgrade_batch, workers, forks))


def to_do(plan):
    """Return what a run that was to find nothing to do ends with."""
    return (
        f"{len(plan.steps)} step(s) are to be done; nothing was touched. Next: read the plan above, then run the operation that "
        "was planned, site.yml when none was named; it takes these steps"
    )


def refused(plan):
    """Return a finding for each reason not to do what is asked."""
    return tuple(_finding.Finding("", _request.REFUSED, said, "a step that is safe", fix) for said, fix in plan.refusals)


def shown(plan):
    """Return the plan as lines for people."""
    return ["What will be done:", *plan.lines()] if plan.steps else ["Nobody joins, leaves or moves.", *plan.notes]


def passed(count, findings):
    """Return what a preflight without errors ends with: the warnings, and how many hosts are fine."""
    hosts = "1 host" if count == 1 else f"{count} hosts"
    if not findings:
        return f"\n{hosts}, no problem found\n"
    return f"\n{_finding.table(findings)}\n\n{hosts}, no problem found, {len(findings)} warning(s)\n"


def message(errors):
    """Return what the run stops with: which checks failed where; the table shown before says the rest, once."""
    places = "; ".join(sorted({f"{one.check} ({one.host or 'cluster'})" for one in errors}))
    said = f"{len(errors)} problem(s) to solve first, see the table above: {places}. Nothing was touched."
    if not {one.check for one in errors} <= set(_request.CHECKS):
        said += " A check that does not fit your case is left out by its id: multimaster_preflight_ignore: [CHECK]."
    return f"{said} Next: do what the table says of each, then run again."
