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

from ansible.errors import AnsibleError
from ansible.module_utils.parsing import convert_bool as parsing
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
    _upgrade,
    _upgrade_refusals,
    _upgrade_scene,
)
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _ca_store, _document, _hooks

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
FACT = "multimaster_host"
# Inputs of roles that an upgrade has to know of beforehand: the user's own arguments of each program, and a permission.
EXTRA_FLAGS = {
    "etcd": "etcd_extra_flags",
    "kube-apiserver": "kube_apiserver_extra_flags",
    "kube-controller-manager": "kube_controller_manager_extra_flags",
    "kube-scheduler": "kube_scheduler_extra_flags",
}
# Likewise, for the limits at which pods are evicted.
KUBELET_CONFIG = "kubelet_extra_config"
ALLOW_OUTAGE = "etcd_allow_outage"
# The finding that a request is refused. Like that of one nobody understands it is no check, so it cannot be left out.
REFUSED = "request-refused"
# What role preflight registers of its one task.
OBSERVATION = "preflight_result"


class ActionModule(ActionBase):
    """Return the fact `multimaster`, or show all findings in one table and fail."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        """Judge first, unless told not to, and return the topology of what passed."""
        result = super().run(tmp, task_vars)
        _unused, args = self.validate_argument_spec(argument_spec=ARGUMENTS)
        settings, inventory, findings, folder = read(task_vars["groups"], task_vars["hostvars"])
        asked = {name: args[name] for name in ("remove", "replace", "by", "upgrade", "roll", "move")}
        request, unknown = _request.read(inventory.names, **asked)
        store = os.path.normpath(os.path.join(folder, os.path.expanduser(settings.ca_store)))
        exists = _ca_store.exists(store)
        observed = observations(inventory.names, task_vars["hostvars"], time.time() - args["max_age"])
        outage, downgrade = (
            wished(name, inventory.members, task_vars["hostvars"]) for name in (ALLOW_OUTAGE, _upgrade_refusals.ALLOW_DOWNGRADE)
        )
        topology = _topology.build(
            settings,
            inventory,
            observed,
            exists,
            secrets.token_hex(4),
            not self._task.check_mode,
            request,
            outage,
            args["drifted"] or (),
        )
        order = dict(topology.order)
        gives_way = bool(order["roll_late" if request.kind == _request.ROLL else "demote"])
        wishes = {name: wished(name, inventory.names, task_vars["hostvars"]) for name in _beside_turns.WISHES}
        hooks = _hooks.paths(settings, folder)
        turns = _beside_turns.fact(settings, request.kind, hooks, wishes, gives_way, self._task.check_mode)
        ignored = settings.preflight_ignore
        if request.kind == _request.UPGRADE:
            topology = upgraded(topology, observed, task_vars["hostvars"], outage, downgrade)
            # What the plan of an upgrade says of versions is said for this very purpose.
            ignored = (*ignored, "version-skew")
        # The address is moved off a master that is not well, too: a move asks who holds it and who can take it, and no more.
        if args["only"] != "topology" and request.kind != _request.MOVE:
            staying = inventory.without(request.leaving)
            why = reasons(staying.names, task_vars["hostvars"])
            own = own_eviction(staying.names, task_vars["hostvars"])
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
                result.update(failed=True, msg=f"{len(topology.plan.steps)} step(s) are to be done; nothing was touched.")
        return result


def read(groups, hostvars):
    """Return (settings, inventory, findings, inventory folder) from the inventory as Ansible holds it.

    Settings are those of the first host by name; that the others have the same is checked.
    """
    listed = {name: tuple(groups.get(name, ())) for name in _preflight.GROUPS}
    names = sorted({host for hosts in listed.values() for host in hosts})
    variables, findings, hosts = {}, (), []
    for name in names:
        variables[name], problems = ours(hostvars[name], name)
        own, more = _settings.parse_host(variables[name], name)
        findings += problems + more
        reached = variable(hostvars[name], "ansible_host", name)
        hosts.append(_topology.InventoryHost(name, own.zone, own.node_address or "", str(reached or name)))
    first = variables[names[0]] if names else {}
    folder = str(variable(hostvars[names[0]], "inventory_dir", ".") or ".") if names else "."
    settings, problems = _settings.parse(first, folder)
    findings += (
        problems
        + _settings.differing(variables)
        + _settings.unknown({variable for own in variables.values() for variable in own})
    )
    inventory = _topology.Inventory(
        masters=listed[_topology.MASTER_GROUP],
        workers=listed[_topology.WORKER_GROUP],
        etcd=listed[_topology.ETCD_GROUP],
        hosts=tuple(hosts),
        groups=tuple(name for name, members in groups.items() if members and name not in ("all", "ungrouped")),
    )
    return settings, inventory, findings, folder


def wished(wish, names, hostvars):
    """Tell whether the user wants it on one of these hosts, or allows it: such as the only voter, and the API with it, away."""
    return any(parsing.boolean(variable(hostvars[name], wish, False), strict=False) for name in names)


def upgraded(topology, observed, hostvars, allow_outage, allow_downgrade):
    """Return the topology of an upgrade: its plan and ways back, whose etcd member is saved and told to go back before it."""
    running = {program: topology.members if program == "etcd" else topology.masters for program in EXTRA_FLAGS}
    extra = {
        program: [variable(hostvars[host], EXTRA_FLAGS[program], {}) or {} for host in hosts]
        for program, hosts in running.items()
    }
    plan = _upgrade_scene.plan(topology, observed, extra, allow_outage, allow_downgrade)
    saved = any(step.kind == _upgrade.SNAPSHOT for step in plan.steps)
    return dataclasses.replace(
        topology,
        plan=plan,
        snapshot=_upgrade_scene.snapshot_host(topology, observed) if saved else "",
        downgrade=_upgrade_scene.downgrade(topology, observed, plan),
        way_back=_upgrade_scene.ways_back(plan),
    )


def refused(plan):
    """Return a finding for each reason not to do what is asked."""
    return tuple(_finding.Finding("", REFUSED, said, "a step that is safe", fix) for said, fix in plan.refusals)


def shown(plan):
    """Return the plan as lines for people."""
    return ["What will be done:", *plan.lines()] if plan.steps else ["Nobody joins, leaves or moves.", *plan.notes]


def ours(host, name):
    """Return ({variable: value} of our prefix, findings for those that cannot be worked out)."""
    values, findings = {}, []
    for key in sorted(key for key in host if str(key).startswith(_settings.PREFIX)):
        if key in _settings.FACTS:
            continue
        try:
            values[str(key)] = host[key]
        except AnsibleError as error:
            findings.append(
                _finding.Finding(
                    name,
                    "setting-invalid",
                    f"{key}: {error}",
                    "a value that can be worked out",
                    "Correct its template.",
                )
            )
    return values, tuple(findings)


def variable(host, name, default):
    """Return a host's variable, or the default when it is missing or cannot be worked out."""
    try:
        return host.get(name, default)
    except AnsibleError:
        return default


def observations(names, hostvars, oldest):
    """Return {host: observation}; one from before `oldest` (seconds since the epoch) counts as none.

    A fact cache would else show what a dead host was like last week.
    """
    found = {}
    for name in names:
        observation = variable(hostvars[name], "ansible_facts", {}).get(FACT)
        if observation and observation.get("clock_window", (0, 0))[1] >= oldest:
            found[name] = observation
    return found


def reasons(names, hostvars):
    """Return {host: why it could not be observed}, of those where role preflight was told."""
    found = {}
    for name in names:
        result = variable(hostvars[name], OBSERVATION, {})
        if result.get("unreachable") or result.get("failed"):
            found[name] = _finding.cause(result.get("msg"))
    return found


def own_eviction(names, hostvars):
    """Return the hosts whose kubelet is given limits of the user's own, at which it evicts pods."""
    return frozenset(name for name in names if "evictionHard" in (variable(hostvars[name], KUBELET_CONFIG, {}) or {}))


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
    if {one.check for one in errors} <= {REFUSED, _request.CHECK}:
        return said
    return f"{said} A check that does not fit your case is left out by its id: multimaster_preflight_ignore: [CHECK]."
