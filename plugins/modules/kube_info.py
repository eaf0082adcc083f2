#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what planning and health need of the Kubernetes API."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_info
short_description: Read nodes, leases and readiness from an API server
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Returns the nodes, who leads among the controller-managers and schedulers, the checks of this API server's own
    C(/readyz), and whether the client may do everything.
  - What cannot be read is null, with the reason in RV(error), unless O(required) is true.
extends_documentation_fragment:
  - multimaster.kubernetes.attributes.info
  - multimaster.kubernetes.attributes.host
  - multimaster.kubernetes.kube_client
options:
  gather:
    description: What to read.
    type: list
    elements: str
    choices: [nodes, leases, readyz, authorized]
    default: [nodes, leases, readyz, authorized]
  required:
    description: Fail when something cannot be read. Not in check mode, where the API server may be only going to be made.
    type: bool
    default: true
  retry_seconds:
    description: Seconds during which a request is repeated that is refused by an API server that starts or stops.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Nodes as the API server knows them
  multimaster.kubernetes.kube_info:
    gather: [nodes]
  register: kube
"""

RETURN = r"""
nodes:
  description: The nodes by name.
  returned: success
  type: list
  elements: dict
  sample:
    - {name: m1, ready: true, ready_message: kubelet is posting ready status, version: v1.36.3, zone: a,
       internal_ip: 192.0.2.11, taints: [], unschedulable: false, pressures: [], pressure_message: "",
       pod_cidr: 10.244.0.0/24, labels: {}, annotations: {}}
leases:
  description: Leases of C(kube-controller-manager) and C(kube-scheduler); null when there is none yet.
  returned: success
  type: dict
  sample:
    kube-scheduler: {holder: m1_6d1f, renewed: "2026-01-01T00:00:00.000000Z", duration_seconds: 15, transitions: 2}
readyz:
  description: Whether this API server is ready, and the checks that failed.
  returned: success
  type: dict
  sample: {ready: true, failed: []}
authorized:
  description: Whether the client may do every verb on every resource.
  returned: success
  type: bool
  sample: true
error:
  description: Why something could not be read; empty when all was.
  returned: success
  type: str
  sample: ""
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _failure, _kube_reading
from ansible_collections.multimaster.kubernetes.plugins.module_utils._https import CredentialsError
from ansible_collections.multimaster.kubernetes.plugins.module_utils._kube import ARGUMENTS, Kube, KubeError

READERS = {
    "nodes": _kube_reading.nodes,
    "leases": _kube_reading.leases,
    "readyz": _kube_reading.readyz,
    "authorized": Kube.may_do_anything,
}


def main():
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "gather": {"type": "list", "elements": "str", "choices": list(READERS), "default": list(READERS)},
            "required": {"type": "bool", "default": True},
            "retry_seconds": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    result, errors = {}, []
    try:
        kube = Kube.from_arguments(module.params, module.params["retry_seconds"], module.check_mode)
        for what in module.params["gather"]:
            result[what] = None
            result[what] = READERS[what](kube)
    except (KubeError, CredentialsError) as error:
        errors.append(error)
    if errors and module.params["required"] and not module.check_mode:
        asked = ", ".join(module.params["gather"])
        module.fail_json(msg=_failure.message(errors[0], f"not all of {asked} can be read"), **result)
    module.exit_json(changed=False, error="; ".join(map(str, errors)), **{**dict.fromkeys(module.params["gather"]), **result})


if __name__ == "__main__":
    main()
