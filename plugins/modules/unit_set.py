#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a set of systemd units to run with what is written, and wait until they are ready."""

from __future__ import annotations

DOCUMENTATION = r"""
module: unit_set
short_description: Write files and run a set of systemd units with them
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Writes the files it is given, as M(multimaster.kubernetes.file_set) does, then starts a set of units at once and waits
    for each to be active and ready. One execution does both, because executions are what a run's time goes to.
  - A running unit is restarted when the hash of its unit file, drop-ins, program and inputs is not the one its own process
    was started with. The hash reaches the process by a drop-in C(50-multimaster.conf), so a run that was cut off between
    writing a file and restarting its reader loses nothing.
  - Drop-ins under C(/run) are no part of the hash.
extends_documentation_fragment:
  - multimaster.kubernetes.attributes
  - multimaster.kubernetes.attributes.host
  - multimaster.kubernetes.files
options:
  units:
    description: The units.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the unit; without a suffix it is a service.
        type: str
        required: true
      inputs:
        description: Files (or directories) the unit reads and that call for a restart when they change. Each must exist.
        type: list
        elements: path
        default: []
      ready:
        description: How to see that the unit is ready. Without it, active is enough.
        type: dict
        suboptions:
          url:
            description: A URL that answers 2xx when the unit is ready; asked every 100 ms.
            type: str
          tcp:
            description: An address C(host:port) that accepts connections when the unit is ready.
            type: str
          ca:
            description: File of the only CA trusted for O(units[].ready.url).
            type: path
          cert:
            description: File of the client certificate.
            type: path
          key:
            description: File of the client certificate's key.
            type: path
          insecure:
            description: Do not verify the server's certificate.
            type: bool
            default: false
          timeout:
            description: Seconds the unit may take until it is up and ready.
            type: float
            default: 60
      reload:
        description: Whether the unit can take changed inputs by a reload; a changed unit file still needs a restart.
        type: bool
        default: false
      enabled:
        description: Whether the unit shall come up at boot. V(false) leaves that as it is.
        type: bool
        default: true
  state:
    description:
      - V(started), V(stopped), or V(absent), which is stopped and not started at boot; no file is removed.
      - V(configured) does everything but start, for a unit that another step starts; what runs goes on running, and what
        systemd starts again and again is stopped.
    type: str
    choices: [started, configured, stopped, absent]
    default: started
  restart:
    description: Whether running units may be restarted or reloaded. With V(false) units that are down are started, and what
      would be restarted is only returned in RV(restart_needed). Such a unit is not waited for, since what it waits for may be
      that restart; RV(unready) says which of them is not ready.
    type: bool
    default: true
  running_ready:
    description: Whether a unit that runs as it should is waited for until it is ready, too. V(false) is for one that uses another
      which is yet to restart.
    type: bool
    default: true
  manifest:
    description: Where M(multimaster.kubernetes.release_artifact) writes down what it has installed.
    type: path
    default: /opt/multimaster/.artifacts.json
"""

EXAMPLES = r"""
- name: Run the control plane
  multimaster.kubernetes.unit_set:
    files:
      - path: /etc/kubernetes/scheduler.conf
        content: "{{ scheduler_kubeconfig | to_nice_json }}"
    units:
      - name: kube-apiserver
        inputs: [/etc/kubernetes/pki/apiserver.crt, /etc/kubernetes/pki/apiserver.key]
        ready:
          url: https://127.0.0.1:6443/readyz
          ca: /etc/kubernetes/pki/ca.crt
      - name: kube-scheduler
        inputs: [/etc/kubernetes/scheduler.conf]

- name: See which units run with something else than what is written
  multimaster.kubernetes.unit_set:
    units: [{name: etcd, inputs: [/etc/etcd/pki/server.crt]}]
    restart: false
"""

RETURN = r"""
changed_paths:
  description: Paths that were, or in check mode would be, written or removed.
  returned: always
  type: list
  elements: str
started:
  description: Units that were down and were, or would be, started.
  returned: always
  type: list
  elements: str
restarted:
  description: Units that were, or would be, restarted.
  returned: always
  type: list
  elements: str
reloaded:
  description: Units that were, or would be, reloaded.
  returned: always
  type: list
  elements: str
stopped:
  description: Units that were, or would be, stopped.
  returned: always
  type: list
  elements: str
restart_needed:
  description: Units that O(restart=false) kept from being restarted or reloaded.
  returned: always
  type: list
  elements: str
unready:
  description: Units that were left running as they are, in want of a restart or without O(running_ready), and are not ready.
  returned: always
  type: list
  elements: str
reasons:
  description: Why each unit was touched, or needs to be.
  returned: always
  type: dict
  sample: {kube-apiserver.service: /etc/kubernetes/pki/apiserver.crt changed}
pids:
  description: Main process of each unit, 0 where there is none.
  returned: always
  type: dict
  sample: {kube-apiserver.service: 812}
units:
  description: Per unit its C(pid), C(active) state and C(since) when it has been active; C(began) is the same in seconds since
    the epoch by this host's clock, 0 where it never was.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _failure, _file_plan, _files, _systemd, _unit_plan

READY = {
    "url": {"type": "str"},
    "tcp": {"type": "str"},
    "ca": {"type": "path"},
    "cert": {"type": "path"},
    "key": {"type": "path", "no_log": False},
    "insecure": {"type": "bool", "default": False},
    "timeout": {"type": "float", "default": 60},
}
UNIT = {
    "name": {"type": "str", "required": True},
    "inputs": {"type": "list", "elements": "path", "default": []},
    "ready": {"type": "dict", "options": READY, "mutually_exclusive": [("url", "tcp")]},
    "reload": {"type": "bool", "default": False},
    "enabled": {"type": "bool", "default": True},
}
ARGUMENTS = {
    **_files.ARGUMENTS,
    "units": {"type": "list", "elements": "dict", "required": True, "options": UNIT},
    "state": {"type": "str", "default": _unit_plan.STARTED, "choices": list(_unit_plan.GOALS)},
    "restart": {"type": "bool", "default": True},
    "running_ready": {"type": "bool", "default": True},
    "manifest": {"type": "path", "default": "/opt/multimaster/.artifacts.json"},
}


def look(systemd, unit, state, goal):
    """Return what there is to know of a unit that is to be as the goal says."""
    if goal in _unit_plan.DOWN:
        return _unit_plan.Seen(state)
    return _unit_plan.Seen(
        state,
        systemd.identity(unit),
        systemd.running(state),
        systemd.drop_in(unit.name),
        sources=tuple(systemd.sources(unit)),
        reloads=unit.inputs if unit.reload else None,
        missing=tuple(systemd.missing_inputs(unit)),
        has_file=bool(systemd.unit_files(unit.name)),
        enabled=unit.enabled,
    )


def main():
    """Read, decide, act unless in check mode, wait, report."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    systemd = _systemd.Systemd(manifest=module.params["manifest"])
    units = [
        _systemd.Unit(_unit_plan.service(item["name"]), tuple(item["inputs"]), item["ready"], item["reload"], item["enabled"])
        for item in module.params["units"]
    ]
    goal, check = module.params["state"], module.check_mode
    try:
        paths = _files.converge(module.params, check)
        before = states = systemd.show([unit.name for unit in units])
        seen = [look(systemd, unit, before[unit.name], goal) for unit in units]
        obstacles = _unit_plan.obstacles(goal, seen, check)
        if obstacles:
            raise _systemd.UnitError(f"no unit was touched: {'; '.join(obstacles)}. Next: mend what is named, then run again")
        changing = [step.wanted.path for step in paths] if check else ()
        verdicts = _unit_plan.decide(goal, seen, module.params["restart"], changing)
        if not check:
            systemd.act(units, verdicts, before)
            if goal != _unit_plan.CONFIGURED:
                wanted = {one.state.name: one.wanted for one in seen if one.wanted}
                states = systemd.settle(units, verdicts, before, wanted, module.params["running_ready"])
            elif any(verdict.action == "stop" for verdict in verdicts):
                states = systemd.show([unit.name for unit in units])
    except (_systemd.UnitError, _file_plan.PlanError, _files.FileError) as error:
        module.fail_json(msg=_failure.message(error))
    result = {
        **_unit_plan.told(verdicts),
        "unready": systemd.unready,
        "pids": {name: state.pid for name, state in states.items()},
        "units": systemd.told(states),
        "changed_paths": [step.wanted.path for step in paths],
    }
    result["changed"] |= bool(paths)
    if module._diff:
        files = _file_plan.diffs(paths, _files.names(paths))
        units_diff = _unit_plan.diff(verdicts, before)
        result["diff"] = files + [units_diff] if files else units_diff
    module.exit_json(**result)


if __name__ == "__main__":
    main()
