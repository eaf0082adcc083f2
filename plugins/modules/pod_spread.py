#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep the pods of a service in more than one place."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pod_spread
short_description: Move a pod where all pods of a service would be lost together
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - The scheduler spreads pods over zones and hosts when they start, and never again. When all pods of a service are in one zone
    (or, where the nodes have one zone only, on one host), and another could take one, this evicts one of them and waits until
    all are Ready again.
  - One pod moves in a run at most, behind its PodDisruptionBudget. Where the scheduler puts the new one is its own decision;
    RV(reason) says how they are spread afterwards. When it puts it back, that is noted on the pod (annotation
    C(multimaster.kubernetes/spread-tried)), and it is left there until other nodes could take it.
  - In check mode it looks once and fails at nothing; where nothing can be read it warns.
extends_documentation_fragment:
  - multimaster.kubernetes.attributes
  - multimaster.kubernetes.attributes.host
  - multimaster.kubernetes.kube_client
options:
  namespace:
    description: Namespace of the pods.
    type: str
    default: kube-system
  labels:
    description: Labels that all of the pods have, and no other pod of O(namespace).
    type: dict
    required: true
  tolerated:
    description: Keys of the taints that the pods tolerate; a node with another one takes none of them.
    type: list
    elements: str
    default: []
  timeout:
    description: Seconds to wait at most, before the eviction until all pods are Ready, and after it again.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: No zone's loss takes the cluster's DNS
  multimaster.kubernetes.pod_spread:
    labels: {k8s-app: kube-dns}
    tolerated: [node-role.kubernetes.io/control-plane]
"""

RETURN = r"""
reason:
  description: How the pods are spread, and what was, or would be, moved.
  returned: success
  type: str
  sample: "all 2 pods are in zone a, and m2, w2 could take one: pod coredns-6d8 was evicted; 2 pods in 2 zones"
evicted:
  description: The pod that was, or would be, evicted; empty when none.
  returned: success
  type: str
  sample: coredns-6d8
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _failure
from ansible_collections.multimaster.kubernetes.plugins.module_utils._https import CredentialsError
from ansible_collections.multimaster.kubernetes.plugins.module_utils._kube import ARGUMENTS, Kube, KubeError
from ansible_collections.multimaster.kubernetes.plugins.module_utils._spread_flow import SpreadFlow


def main():
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "namespace": {"type": "str", "default": "kube-system"},
            "labels": {"type": "dict", "required": True},
            "tolerated": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    check, name, reason = module.check_mode, "", "nothing could be read"
    try:
        kube = Kube.from_arguments(module.params, check=check, warn=module.warn)
        flow = SpreadFlow(kube, *(module.params[name] for name in ("namespace", "labels", "tolerated", "timeout")))
        name, reason = flow.foreseen() if check else flow.spread()
    except (KubeError, CredentialsError) as error:
        if not check:
            module.fail_json(msg=_failure.message(error))
        if not kube.foreseen(error):
            module.warn(_failure.message(error, "how the pods are spread was not looked at"))
    diff = {"diff": {"before": f"pod {name}\n" if name else "", "after": ""}} if module._diff else {}
    module.exit_json(changed=bool(name), evicted=name, reason=reason, **diff)


if __name__ == "__main__":
    main()
