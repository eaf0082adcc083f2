# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the inventory, and what was observed of its hosts, as Ansible holds them: `groups` and `hostvars`.

Leaves out: judging them (``_preflight``) and deciding from them (``_topology``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from ansible.errors import AnsibleError
from ansible.module_utils.parsing import convert_bool as parsing
from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _finding,
    _preflight,
    _removed_flags,
    _request,
    _settings,
    _skew,
    _topology,
    _upgrade_view,
)

# The fact that host_info makes of a host.
FACT = "multimaster_host"
# What role preflight registers of its one task.
OBSERVATION = "preflight_result"
# Seconds by which this clock may have been set back, by who keeps it right, since an observation of this run ended.
CLOCK_SLEW = 2.0
# An input of the role kubelet: what it says itself, it is told nothing about.
KUBELET_CONFIG = "kubelet_extra_config"


def once(groups, hostvars):
    """Return {host of our groups: its variables}, looked up once: Ansible merges all variables of a host at each look-up."""
    names = {name for group in _preflight.GROUPS for name in groups.get(group, ())}
    return {name: hostvars[name] for name in sorted(names)}


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


def given(names, hostvars, roles):
    """Return {host: {variable: value}} of the variables whose names begin with a role's, as far as they can be worked out.

    A template that cannot be worked out yet may be one of what is decided later; its task says so then.
    """
    prefixes, found = tuple(f"{role}_" for role in roles), {}
    for name in names:
        found[name] = {}
        for key in hostvars[name]:
            if str(key).startswith(prefixes):
                with contextlib.suppress(AnsibleError):
                    found[name][str(key)] = hostvars[name][key]
    return found


def variable(host, name, default):
    """Return a host's variable, or the default when it is missing or cannot be worked out."""
    try:
        return host.get(name, default)
    except AnsibleError:
        return default


def observations(names, hostvars, now, max_age):
    """Return {host: observation} of those that answered in this run; variables that a task registered are of no earlier one.

    A fact cache would else show what a dead host was like. One that ended more than `max_age` seconds before `now`, by this
    clock, counts as none, and so does one of the future: the clock was set back since.
    """
    found = {}
    for name in names:
        told = variable(hostvars[name], OBSERVATION, {})
        if not told or told.get("unreachable") or told.get("failed"):
            continue
        observation = variable(hostvars[name], "ansible_facts", {}).get(FACT)
        if observation and now - max_age <= observation.get("clock_window", (0, 0))[1] <= now + CLOCK_SLEW:
            found[name] = observation
    return found


def left_out(names, hostvars, limit=""):
    """Return a finding for each host that this run did not look at; `limit` is what was given by --limit.

    Whatever was decided without it could be wrong: a host that is alive would count as dead.
    """
    said = "this run did not look at it" + (f" (--limit {limit})" if limit else "")
    return tuple(
        _finding.Finding(
            name,
            _request.LEFT_OUT,
            said,
            "every host of the inventory is looked at, also one that is dead",
            "Run again without --limit, --tags, --skip-tags and --start-at-task. Where role preflight failed above, mend that.",
        )
        for name in names
        if not variable(hostvars[name], OBSERVATION, {})
    )


def reasons(names, hostvars):
    """Return {host: why it could not be observed}, of those where role preflight was told."""
    found = {}
    for name in names:
        result = variable(hostvars[name], OBSERVATION, {})
        if result.get("unreachable") or result.get("failed"):
            found[name] = _finding.cause(result.get("msg"))
    return found


def arguments(hosts, hostvars):
    """Return the user's own arguments of each program, {program: {host: {flag: value}}}, of every host that is to run it.

    Of a configuration file these are the feature gates: it has fields and no flags, and which fields go is not known.
    """
    found = {}
    for host in hosts:
        for component in _upgrade_view.components(host):
            program = _skew.COMPONENTS[component]
            given = variable(hostvars[host.name], _upgrade_view.EXTRA[program], {})
            given = given if isinstance(given, Mapping) else {}
            if component in _upgrade_view.NODE:
                given = {_removed_flags.GATE_FIELD: given.get(_removed_flags.GATE_FIELD)}
            found.setdefault(program, {})[host.name] = given
    return found


def own_kubelet(names, hostvars):
    """Return {host: what the user gives its kubelet}, fields of a KubeletConfiguration."""
    given = {name: variable(hostvars[name], KUBELET_CONFIG, {}) for name in names}
    return {name: dict(fields) if isinstance(fields, Mapping) else {} for name, fields in given.items()}


def own_eviction(names, hostvars):
    """Return the hosts whose kubelet is given limits of the user's own, at which it evicts pods."""
    return frozenset(name for name, fields in own_kubelet(names, hostvars).items() if "evictionHard" in fields)
