#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell etcd to go back one minor, or that it shall not after all."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_downgrade
short_description: Enable, call off or await etcd's formal downgrade by one minor
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Once every member runs a newer minor, an older program does not start with their data. etcd makes them fit again when a
    downgrade is enabled. Then members may restart with the older program, one by one.
  - It restarts nothing. Ask M(multimaster.kubernetes.etcd_quorum) before each restart.
  - What etcd has done already is not done again, so a run that was cut off is continued by the same task.
  - In check mode it looks once and waits for nothing.
extends_documentation_fragment:
  - multimaster.kubernetes.attributes
  - multimaster.kubernetes.attributes.host
  - multimaster.kubernetes.etcd_client
options:
  state:
    description:
      - V(enabled) validates and enables the downgrade, then waits until the data of every member that answers fit
        O(version). It is enabled only when every member answers and is newer. With a member left that runs O(version)
        there is nothing to enable.
      - V(cancelled) calls off whichever downgrade is enabled. Members that run the older program already go on.
      - V(completed) changes nothing. It waits until every member runs O(version) and etcd has ended the downgrade.
    type: str
    choices: [enabled, cancelled, completed]
    required: true
  version:
    description: Version to go back to; its minor counts. Needed unless O(state=cancelled).
    type: str
  timeout:
    description: Seconds to wait at most.
    type: int
    default: 120
seealso:
  - module: multimaster.kubernetes.etcd_snapshot
"""

EXAMPLES = r"""
- name: Make the data of etcd 3.7 fit 3.6 again
  multimaster.kubernetes.etcd_downgrade:
    endpoints: [https://192.0.2.11:2379]
    state: enabled
    version: 3.6.16

- name: Stay with 3.7 after all
  multimaster.kubernetes.etcd_downgrade:
    endpoints: [https://192.0.2.11:2379]
    state: cancelled
"""

RETURN = r"""
reason:
  description: Why etcd is as wanted, or what it was told and why.
  returned: success
  type: str
  sample: a downgrade to 3.6 is enabled, and the data fit it
actions:
  description: What etcd was told.
  returned: success
  type: list
  elements: str
  sample: [enable]
before:
  description: The members before it, by name.
  returned: success
  type: list
  elements: dict
  sample: [{name: m1, version: 3.7.3, storage: 3.7.0, downgrade: ""}]
after:
  description: The members after it; in check mode as before.
  returned: success
  type: list
  elements: dict
  sample: [{name: m1, version: 3.7.3, storage: 3.6.0, downgrade: 3.6.0}]
"""

import json
import time
from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _downgrade, _etcd, _failure, _https, _membership
from ansible_collections.multimaster.kubernetes.plugins.module_utils._membership import StepFailed
from ansible_collections.multimaster.kubernetes.plugins.module_utils._membership_flow import Patience, Stepper, no_quorum


def tell(stepper, observed, move, target):
    """Tell a member that serves; return (what was done, None), or (None, why it has to wait)."""
    client = stepper.serving(observed)
    try:
        if move.kind == _downgrade.ENABLE:
            client.downgrade("VALIDATE", target)
            client.downgrade("ENABLE", target)
        else:
            client.downgrade("CANCEL")
    except _etcd.EtcdRefused as error:
        if not error.no_downgrade_now:
            raise
        return None, _membership.Move(_membership.WAIT, str(error), next_step=_downgrade.LOGS)
    return move.kind, None


def run(params, observe, client, check=False, clock=time.monotonic, sleep=time.sleep):
    """Bring etcd to the wanted state and return the module's result."""
    target = _downgrade.minor(params["version"]) if params["version"] else ""
    stepper = Stepper(observe, client, Patience(params["timeout"], clock, sleep))

    def decide(observed):
        return _downgrade.toward(params["state"], target, _downgrade.stands(observed), _downgrade.ENABLE in stepper.actions)

    first = stepper.look()
    if check:
        return _foretold(decide(first) if first.confirmed else no_quorum(first), target, first)
    last, move = stepper.run(decide, lambda observed, move: tell(stepper, observed, move, target))
    return _result(bool(stepper.actions), move.reason, stepper.actions, first, last)


def _foretold(move, target, observed):
    if move.kind == _membership.REFUSE:
        raise StepFailed(move.reason, move.next_step)
    acting = move.kind in _downgrade.TELLING
    result = _result(acting, move.reason, [move.kind] if acting else [], observed, observed)
    result["diff"]["after"] = _shown(_downgrade.foretold(move.kind, target, _downgrade.stands(observed)))
    return result


def _shown(members):
    return json.dumps([asdict(one) for one in members], indent=2) + "\n"


def _result(changed, reason, actions, first, last):
    before, after = _downgrade.stands(first), _downgrade.stands(last)
    return {
        "changed": changed,
        "reason": reason,
        "actions": actions,
        "before": [asdict(one) for one in before],
        "after": [asdict(one) for one in after],
        "diff": {"before": _shown(before), "after": _shown(after)},
    }


def main():
    module = AnsibleModule(
        argument_spec={
            **_etcd.ARGUMENTS,
            "state": {"type": "str", "choices": list(_downgrade.STATES), "required": True},
            "version": {"type": "str"},
            "timeout": {"type": "int", "default": 120},
        },
        required_if=[("state", _downgrade.ENABLED, ["version"]), ("state", _downgrade.COMPLETED, ["version"])],
        supports_check_mode=True,
    )
    params = module.params
    try:
        opener = _https.https_opener(params["ca"], params["client_cert"], params["client_key"], module.check_mode)
        result = run(
            params,
            lambda: _etcd.observe(params["endpoints"], opener),
            lambda endpoint: _etcd.Etcd(endpoint, opener),
            module.check_mode,
        )
    except (StepFailed, _etcd.EtcdError, _https.CredentialsError, ValueError) as error:
        module.fail_json(msg=_failure.message(error, f"downgrade of etcd {params['version'] or ''}, {params['state']}"))
    if not module._diff:
        del result["diff"]
    module.exit_json(**result)


if __name__ == "__main__":
    main()
