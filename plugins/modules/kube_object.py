#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Apply or delete a list of Kubernetes objects from a host that has nothing but Python."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_object
short_description: Apply or delete Kubernetes objects
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Applies objects in the order given, server-side, as field manager C(multimaster); fields that other managers own are
    taken over. With O(state=absent) they are deleted in the opposite order.
  - An object counts as changed when what the API server holds afterwards differs from before, its status and bookkeeping
    apart. Check mode asks the server for a dry run, so that its defaults and admission are part of the answer; while no
    API server answers yet, or none lets this client in, everything counts as created, and of the latter it warns.
  - Waits a bounded time for an API server that is starting.
extends_documentation_fragment:
  - multimaster.kubernetes.attributes
  - multimaster.kubernetes.attributes.host
  - multimaster.kubernetes.kube_client
options:
  objects:
    description: Whole objects, each with C(apiVersion), C(kind) and C(metadata.name).
    type: list
    elements: dict
    required: true
  state:
    description: Whether the objects shall exist.
    type: str
    choices: [present, absent]
    default: present
  wait:
    description: Wait until Deployments and DaemonSets have all their pods updated and available, and until deleted
      objects are gone.
    type: bool
    default: false
  wait_timeout:
    description: Seconds to wait at most, per object.
    type: int
    default: 120
  retry_seconds:
    description: Seconds during which a request is repeated that is refused by an API server that starts or stops.
    type: int
    default: 60
  forbidden:
    description: Whether an identity without the rights is a failure, or is only reported in RV(authorized) for somebody to
      grant them first.
    type: str
    choices: [fail, report]
    default: fail
"""

EXAMPLES = r"""
- name: Cluster DNS runs
  multimaster.kubernetes.kube_object:
    objects: "{{ cluster_dns_objects }}"
    wait: true
"""

RETURN = r"""
authorized:
  description: Whether the API server let this identity do it; never false unless O(forbidden=report).
  returned: success
  type: bool
objects:
  description: What became, or in check mode would become, of each object.
  returned: success
  type: list
  elements: dict
  sample: [{object: Deployment kube-system/coredns, result: unchanged}]
reason:
  description: The same in one line.
  returned: success
  type: str
  sample: 1 changed of 3 objects (Deployment kube-system/coredns created)
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _failure
from ansible_collections.multimaster.kubernetes.plugins.module_utils._https import CredentialsError
from ansible_collections.multimaster.kubernetes.plugins.module_utils._kube import (
    ARGUMENTS,
    NOT_LET_IN,
    Kube,
    KubeError,
    ensure_absent,
    ensure_present,
    wait_absent,
    wait_ready,
)


def run(module, kube):
    """Bring every object to its state and return the module's result."""
    params, check = module.params, module.check_mode
    present = params["state"] == "present"
    wanted = params["objects"] if present else list(reversed(params["objects"]))
    done = [(ensure_present if present else ensure_absent)(kube, obj, check) for obj in wanted]
    if params["wait"] and not check:
        for obj in wanted:
            (wait_ready if present else wait_absent)(kube, obj, params["wait_timeout"])
    changed = [one for one in done if one.changed]
    names = ", ".join(f"{one.title} {one.result}" for one in changed)
    return {
        "changed": bool(changed),
        "authorized": True,
        "objects": [{"object": one.title, "result": one.result} for one in done],
        "reason": f"{len(changed)} changed of {len(done)} objects" + (f" ({names})" if names else ""),
        "diff": [one.diff() for one in changed] if module._diff else [],
    }


def main():
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "objects": {"type": "list", "elements": "dict", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "wait": {"type": "bool", "default": False},
            "wait_timeout": {"type": "int", "default": 120},
            "retry_seconds": {"type": "int", "default": 60},
            "forbidden": {"type": "str", "choices": ["fail", "report"], "default": "fail"},
        },
        supports_check_mode=True,
    )
    not_let_in = NOT_LET_IN if module.params["forbidden"] == "fail" else (401,)  # a lack of rights is the answer then
    try:
        kube = Kube.from_arguments(module.params, module.params["retry_seconds"], module.check_mode, module.warn, not_let_in)
        result = run(module, kube)
    except (KubeError, CredentialsError, ValueError) as error:
        if module.params["forbidden"] == "fail" or getattr(error, "reason", "") != "Forbidden":
            module.fail_json(msg=_failure.message(error))
        result = {"changed": False, "authorized": False, "objects": [], "reason": str(error)}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
