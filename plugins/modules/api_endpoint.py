#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring one master into its wanted part in the endpoint."""

from __future__ import annotations

DOCUMENTATION = r"""
module: api_endpoint
short_description: Bring one master step by step into its part in the endpoint
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Starts, hands over and stops what makes the endpoint address answer on this master, in an order in which it answers at
    every moment and a run cut off anywhere leaves at most one holder.
  - Writes the files it is given, as M(multimaster.kubernetes.file_set) does; O(absent) goes last, when nothing needs it.
  - After the last step exactly one host answers for the address, by ARP, and the API answers at it; else the module fails and
    says what it saw.
  - Nothing is written or done when another host holds the address against the plan; the message says which, by MAC. In check
    mode that is a warning, because what was to happen on that host before did not.
extends_documentation_fragment:
  - multimaster.kubernetes.attributes
  - multimaster.kubernetes.attributes.host
  - multimaster.kubernetes.files
options:
  state:
    description:
      - V(direct) - this only master holds the address by a unit of its own, which comes back at boot.
      - V(prepared) - HAProxy runs and sees an API server that passes its check; whoever holds the address keeps it, and a
        keepalived that does not run does not start at boot.
      - V(balanced) - HAProxy and keepalived run and keepalived is holder or backup.
      - V(yielded) - another master has taken the address, keepalived is stopped until V(balanced), also over a reboot.
      - V(absent) - another master has the address, keepalived and HAProxy are stopped and do not come back.
    type: str
    required: true
    choices: [direct, prepared, balanced, yielded, absent]
  address:
    description: The endpoint address.
    type: str
    required: true
  interface:
    description: The interface that carries it.
    type: str
    required: true
  port:
    description: The port of the API at the address. After each change C(GET /readyz) there has to succeed, checked with the
      cluster's CA.
    type: int
    default: 6443
  allow_loss:
    description: Let this host give the address up although nobody takes it over, when a whole cluster is taken down.
    type: bool
    default: false
  vrid:
    description:
      - The virtual router ID. When it is given, a master without VRRP is V(prepared) only if nobody but O(peers) is heard
        to speak for it on the segment; this takes a second and a half.
    type: int
  peers:
    description: Node addresses of the other masters.
    type: list
    elements: str
    default: []
  heirs:
    description: Other masters that could take the address now, by name. With V(balanced) the holder lets one of them have it
      before its HAProxy or keepalived restarts; when there is none, they restart in place.
    type: list
    elements: str
    default: []
  backend_timeout:
    description: Seconds HAProxy may take to see an API server pass its check.
    type: float
    default: 30
  settle_timeout:
    description: Seconds keepalived may take to become holder or backup.
    type: float
    default: 15
"""

EXAMPLES = r"""
- name: Let the first master hold the address
  multimaster.kubernetes.api_endpoint:
    state: direct
    address: 192.0.2.10
    interface: eth0

- name: Take part in the balanced endpoint
  multimaster.kubernetes.api_endpoint:
    state: balanced
    address: 192.0.2.10
    interface: eth0
    vrid: 51
    peers: [192.0.2.12, 192.0.2.13]
"""

RETURN = r"""
before:
  description: What was seen - the interfaces with the address, the MACs of others that answer for it, the services.
  returned: always
  type: dict
after:
  description: The same after the last step; in check mode equal to RV(before).
  returned: always
  type: dict
  sample: {held_on: [eth0], others: [], direct_up: false, balancer_up: true, vrrp_up: true, vrrp_state: holder}
plan:
  description: The steps that were, or in check mode would be, taken, each with the reason.
  returned: always
  type: list
  elements: dict
  sample: [{step: run_balancer, why: HAProxy needs a start}]
reason:
  description: The plan in one sentence.
  returned: always
  type: str
turn_needed:
  description: Whether O(state=balanced) would still take a step on this master; after V(prepared), whether it needs its turn.
    In check mode also whether a file would change that a service is started with.
  returned: always
  type: bool
changed_paths:
  description: Paths that were, or in check mode would be, written or removed.
  returned: always
  type: list
  elements: str
"""

from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _endpoint_flow,
    _endpoint_host,
    _endpoint_plan,
    _failure,
    _file_plan,
    _files,
)

ARGUMENTS = {
    **_files.ARGUMENTS,
    "state": {"type": "str", "required": True, "choices": list(_endpoint_plan.STATES)},
    "address": {"type": "str", "required": True},
    "interface": {"type": "str", "required": True},
    "port": {"type": "int", "default": 6443},
    "allow_loss": {"type": "bool", "default": False},
    "vrid": {"type": "int"},
    "peers": {"type": "list", "elements": "str", "default": []},
    "heirs": {"type": "list", "elements": "str", "default": []},
    "backend_timeout": {"type": "float", "default": 30},
    "settle_timeout": {"type": "float", "default": 15},
}


def main():
    """Read, decide, act unless in check mode, report."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    wanted = module.params
    master = _endpoint_host.Master(
        wanted["address"],
        wanted["interface"],
        wanted["port"],
        backend_timeout=wanted["backend_timeout"],
        settle_timeout=wanted["settle_timeout"],
    )
    try:
        before, after, plan, written = _endpoint_flow.bring(master, wanted, module.check_mode)
    except _endpoint_flow.ERRORS as error:
        module.fail_json(msg=_failure.message(error, f"{wanted['address']} is not brought to {wanted['state']}"))
    touched = master.sources().intersection(step.wanted.path for step in written) if module.check_mode else ()
    result = {
        "changed": plan.changed or bool(written),
        "before": asdict(before),
        "after": asdict(after),
        "reason": plan.reason,
        "plan": [{"step": step.kind, "why": step.why} for step in plan.steps],
        "turn_needed": bool(touched or _endpoint_plan.plan(after, _endpoint_plan.BALANCED).steps),
        "changed_paths": [step.wanted.path for step in written],
    }
    if plan.refusals:
        said = f"{wanted['address']} would not be brought to {wanted['state']} now: {plan.reason}"
        module.warn(f"{said}. Next: nothing when the same run does that before; otherwise {plan.next_step}")
    if module._diff:
        steps = {"before": "", "after": "".join(f"{s.kind}: {s.why}\n" for s in plan.steps if s.changes)}
        result["diff"] = [*_file_plan.diffs(written, _files.names(written)), steps]
    module.exit_json(**result)


if __name__ == "__main__":
    main()
