#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate before every step that etcd feels."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_quorum
short_description: Let a step pass only while etcd's quorum survives it
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Looks at the cluster afresh, judges the step on the cluster as it would be during and after it, and passes when it
    is safe. Otherwise waits up to O(timeout) for it to become safe, then fails with the reason and the next step.
  - That nobody else operates on the cluster is not asked here; M(multimaster.kubernetes.operation_lock) does, before the step.
  - It never changes anything. In check mode it looks once and does not fail, because steps before it were not taken;
    the verdict is in RV(verdict) and a refusal is a warning.
extends_documentation_fragment:
  - multimaster.kubernetes.attributes.info
  - multimaster.kubernetes.attributes.host
  - multimaster.kubernetes.etcd_client
options:
  step:
    description: What is about to be done.
    type: str
    choices: [restart, remove, add_learner, promote, update]
    required: true
  target:
    description: The member it is done to, by id (in decimal, as M(multimaster.kubernetes.etcd_info) returns it), name or peer
      URL; the newcomer's name with O(step=add_learner).
    type: str
    required: true
  ours:
    description: Names or peer URLs of the members the inventory accounts for; a learner outside forbids steps. All count
      as ours when this is not given.
    type: list
    elements: str
  allow_outage:
    description: Allow the restart of the only voter, during which the whole API is away.
    type: bool
    default: false
  stable_for:
    description: Seconds for which the step must have been safe without interruption, after an earlier step.
    type: int
    default: 0
  timeout:
    description: Seconds to wait at most for safety, O(stable_for) not counted.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Quorum survives the restart of this member
  multimaster.kubernetes.etcd_quorum:
    endpoints: [https://192.0.2.11:2379]
    step: restart
    target: m1
    stable_for: 5
"""

RETURN = r"""
safe:
  description: Whether the step is safe now.
  returned: success
  type: bool
  sample: true
reason:
  description: What makes it safe, or all reasons why it is not.
  returned: always
  type: str
  sample: during the step 2 of 3 voters healthy, quorum 2, survives 0 more
verdict:
  description: The whole verdict, with how many failures are survived before, during and after the step.
  returned: always
  type: dict
  sample: {safe: true, move_leader_to: ""}
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _etcd, _failure, _https, _quorum, _quorum_gate
from ansible_collections.multimaster.kubernetes.plugins.module_utils._membership_flow import Patience, cluster_of


def judged(params, observed):
    """Return the verdict on the step, from one observation."""
    cluster = cluster_of(observed, params["ours"])
    step = _quorum.Step(params["step"], params["target"])
    return _quorum.judge(cluster, step, params["allow_outage"])


def run(params, observe, check=False, clock=time.monotonic, sleep=time.sleep):
    """Return (verdict, whether the gate opened, the last look) once it opens or the time is up; a check looks once."""
    stable_for, since = 0 if check else params["stable_for"], None
    patience = Patience(params["timeout"] + params["stable_for"], clock, sleep)
    while True:
        observed = observe()
        verdict, now = judged(params, observed), clock()
        since = _quorum_gate.safe_since(verdict.safe, since, now)
        opens = _quorum_gate.opens(since, now, stable_for)
        if opens or check or patience.over():
            return verdict, opens, observed


def main():
    module = AnsibleModule(
        argument_spec={
            **_etcd.ARGUMENTS,
            "step": {"type": "str", "choices": list(_quorum.KINDS), "required": True},
            "target": {"type": "str", "required": True},
            "ours": {"type": "list", "elements": "str"},
            "allow_outage": {"type": "bool", "default": False},
            "stable_for": {"type": "int", "default": 0},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        opener = _https.https_opener(params["ca"], params["client_cert"], params["client_key"], module.check_mode)
    except _https.CredentialsError as error:
        module.fail_json(msg=_failure.message(error, f"not known whether it is safe to {params['step']} {params['target']}"))
    verdict, opens, seen = run(params, lambda: _etcd.observe(params["endpoints"], opener), module.check_mode)
    result = {"verdict": verdict.as_dict(), "reason": verdict.reason, "errors": list(seen.errors)}
    if not opens:
        unproven = [] if seen.confirmed else [member.name or member.id for member in seen.members]
        name = cluster_of(seen, params["ours"]).name_of(params["target"])
        said = _quorum_gate.refusal(verdict, params["stable_for"], seen.errors, unproven, name)
        if not module.check_mode:
            module.fail_json(msg=said, **result)
        module.warn(said)
    module.exit_json(changed=False, safe=opens, **result)


if __name__ == "__main__":
    main()
