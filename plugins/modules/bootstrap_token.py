#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let kubelets join for a short time with a token the controller made."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bootstrap_token
short_description: Make a bootstrap token valid, or take it back
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Makes the Secret behind a bootstrap token, so that kubelets may ask for their first certificate with it, as group
    C(system:bootstrappers:multimaster).
  - The token comes from the controller and is never returned, so a result can be printed.
extends_documentation_fragment:
  - multimaster.kubernetes.attributes
  - multimaster.kubernetes.attributes.host
  - multimaster.kubernetes.kube_client
options:
  token:
    description: The token, C(id.secret), of 6 and 16 lower-case letters or digits. Its first part is no secret. May be
      empty in check mode, as long as there is nothing to derive one from.
    type: str
    required: true
  ttl:
    description: Seconds for which it is valid, at most a day. One that has at least half of that left is not renewed.
    type: int
    default: 3600
  description:
    description: What it is for; shown to people who list tokens.
    type: str
    default: nodes join
  state:
    description: Whether the token shall be valid.
    type: str
    choices: [present, absent]
    default: present
  retry_seconds:
    description: Seconds during which a request is repeated that is refused by an API server that starts or stops.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Nodes may join during this run
  multimaster.kubernetes.bootstrap_token:
    token: "{{ join_token }}"

- name: Nobody joins with it any more
  multimaster.kubernetes.bootstrap_token:
    token: "{{ join_token }}"
    state: absent
"""

RETURN = r"""
name:
  description: Name of the Secret in C(kube-system).
  returned: success
  type: str
  sample: bootstrap-token-abcdef
seconds_left:
  description: For how long the token is valid from now on.
  returned: success
  type: int
  sample: 3600
reason:
  description: Why something was, or would be, changed or not.
  returned: success
  type: str
  sample: the token was not known
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _bootstrap_token as tokens
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _failure
from ansible_collections.multimaster.kubernetes.plugins.module_utils._https import CredentialsError
from ansible_collections.multimaster.kubernetes.plugins.module_utils._kube import (
    ARGUMENTS,
    Kube,
    KubeError,
    ensure_absent,
    ensure_present,
    look,
)


def run(module, kube, now):
    """Bring the token's Secret to its state and return the module's result."""
    params = module.params
    if module.check_mode and not params["token"]:
        present = params["state"] == "present"
        return {"changed": present, "name": "", "seconds_left": 0, "reason": "there is no token yet"}
    wanted = tokens.secret(params["token"], params["ttl"], now, params["description"])
    name = wanted["metadata"]["name"]
    found = look(kube, module.check_mode, "v1", "Secret", name, tokens.NAMESPACE)
    left = tokens.seconds_left(found, now) if found else 0
    if params["state"] == "absent":
        done = ensure_absent(kube, wanted, module.check_mode)
        reason, left = "the token was known" if done.changed else "the token is not known", 0
    elif found and tokens.serves(found, wanted, params["ttl"], now):
        return {"changed": False, "name": name, "seconds_left": left, "reason": f"the token is valid for {left} s more"}
    else:
        done = ensure_present(kube, wanted, module.check_mode)
        reason = f"the token was valid for only {left} s more" if found else "the token was not known"
        left = params["ttl"]
    result = {"changed": done.changed, "name": name, "seconds_left": left, "reason": reason}
    return {**result, "diff": [done.diff()]} if module._diff and done.changed else result


def main():
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "token": {"type": "str", "required": True, "no_log": True},
            "ttl": {"type": "int", "default": 3600},
            "description": {"type": "str", "default": "nodes join"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "retry_seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    try:
        kube = Kube.from_arguments(module.params, module.params["retry_seconds"], module.check_mode, module.warn)
        result = run(module, kube, time.time())
    except (KubeError, CredentialsError, ValueError) as error:
        module.fail_json(msg=_failure.message(error, f"the bootstrap token is not {module.params['state']}"))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
