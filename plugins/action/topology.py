# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the inventory and what was observed, judge it, and work out the fact `multimaster`.

Everything here is reading: the decisions are _settings, _topology and _preflight. It touches no managed host. What is decided
is registered by the task and no fact of Ansible's, which a cache would keep for a run that decided nothing.
"""

from __future__ import annotations

import os
import secrets

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _beside_turns,
    _finding,
    _plan,
    _preflight,
    _request,
    _topology,
    _topology_fact,
    _upgrade_refusals,
    _upgrade_scene,
)
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _document, _hooks, _inventory_view, _known

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
    "so_far": {"type": "str", "default": "Nothing was touched."},
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
        known = _known.Known.read(task_vars, args)
        topology = self._topology(known, args["drifted"] or ())
        turns = self._turns(known, topology)
        findings = self._findings(known, topology, turns, args["only"])
        errors = _finding.errors(findings)
        if errors:
            Display().display(f"\n{_finding.table(findings)}\n")
            result.update(failed=True, msg=message(errors, args["so_far"]))
            return result
        # Whether a voter that cannot be spared has to restart is asked next, and then decided anew: said is only the end of it.
        decided = args["drifted"] is not None or not topology.giving.voters or args["only"] is not None
        result.update(changed=False, findings=[one.as_dict() for one in findings])
        result["multimaster"] = fact(known, topology, turns, decided)
        if args["only"] == "preflight":
            Display().display(passed(len(known.inventory.names), findings))
            return result
        for finding in findings if decided else ():
            Display().warning(finding.line())
        if args["only"] is None and decided:
            plan = _plan.told(topology.plan, known.request)
            result["plan"] = plan.as_dict()
            output = "" if self._task.check_mode else args["output"]
            _document.publish(result["plan"], shown(plan), args["format"], output)
            if args["must"] == "be_empty" and topology.plan.steps:
                result.update(failed=True, msg=to_do(topology.plan))
        return result

    def _topology(self, known, drifted):
        """Return the Topology, that of an upgrade with what it changes."""
        members = known.inventory.members
        outage, downgrade = (known.wished(name, members) for name in (ALLOW_OUTAGE, _upgrade_refusals.ALLOW_DOWNGRADE))
        seen = (known.settings, known.inventory, known.observed, known.store_exists)
        topology = _topology.build(*seen, secrets.token_hex(4), not self._task.check_mode, known.request, outage, drifted)
        if known.request.kind != _request.UPGRADE:
            return topology
        extra = _inventory_view.arguments(topology.hosts, known.hostvars)
        return _upgrade_scene.upgraded(topology, known.observed, extra, outage, downgrade)

    def _turns(self, known, topology):
        """Return the keys of the fact that say what comes with turns."""
        wishes = {name: known.wished(name, known.inventory.names) for name in _beside_turns.WISHES}
        hooks, order = _hooks.paths(known.settings, known.folder), dict(topology.order)
        return _beside_turns.fact(known.settings, known.request.kind, hooks, wishes, order, self._task.check_mode)

    def _findings(self, known, topology, turns, only):
        """Return the findings on settings, hosts and the request, in order, without those the user leaves out."""
        if known.left_out:  # of hosts that nobody looked at the others would only say that they are unreachable
            return known.left_out
        ignored = known.settings.preflight_ignore
        found, requested = known.findings, known.unknown
        if only != "topology":
            staying = known.inventory.without(known.request.leaving)
            why = _inventory_view.reasons(staying.names, known.hostvars)
            own = _inventory_view.own_kubelet(staying.names, known.hostvars)
            wrong = _hooks.wrong(_hooks.paths(known.settings, known.folder) if only else turns["hooks"], self._loader)
            view = _preflight.View(known.settings, staying, known.observed, topology, known.store_exists, why, own, wrong)
            found += _preflight.judge_request(view, known.request.kind, ignored)
            # Of checks the user may know better; a request is refused for what the hosts and phases could not do.
            requested += refused(topology.plan)
        return _finding.in_order(_finding.without(found, ignored) + requested)


def fact(known, topology, turns, decided):
    """Return the fact `multimaster`."""
    return {
        **_topology_fact.as_fact(topology, secrets.token_hex(8), not decided),
        "ca_store": known.path(known.settings.ca_store),
        "kubeconfig": known.path(known.settings.kubeconfig),
        **turns,
        "snapshots": os.path.join(known.folder, "snapshots"),
    }


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


def message(errors, so_far):
    """Return what the run stops with: which checks failed where, and what it did; the table shown before says the rest, once."""
    places = "; ".join(sorted({f"{one.check} ({one.host or 'cluster'})" for one in errors}))
    said = f"{len(errors)} problem(s) to solve first, see the table above: {places}. {so_far}"
    if not {one.check for one in errors} <= set(_request.CHECKS):
        said += " A check that does not fit your case is left out by its id: multimaster_preflight_ignore: [CHECK]."
    return f"{said} Next: do what the table says of each, then run again."
