#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until nodes and cluster services are there."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cluster_ready
short_description: Wait until nodes are Ready and Deployments available
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Waits a bounded time until every named node is Ready and every named Deployment has its pods, and says what is missing
    when the time is over.
  - Changes nothing. In check mode it looks once and never fails; where nothing can be read it warns.
extends_documentation_fragment:
  - multimaster.kubernetes.attributes.info
  - multimaster.kubernetes.attributes.host
  - multimaster.kubernetes.kube_client
options:
  nodes:
    description: Names of the nodes that must be Ready.
    type: list
    elements: str
    default: []
  deployments:
    description: Deployments of C(kube-system) that must be available.
    type: list
    elements: str
    default: []
  kubelets:
    description: Kubelets that must have reached the API since they started, of nodes among O(nodes). A node stays Ready for
      most of a minute after its kubelet has ended, so Ready alone may be the word of the one before.
    type: list
    elements: dict
    default: []
    suboptions:
      node:
        description: Name of the node.
        type: str
        required: true
      began:
        description: When it started, in seconds since the epoch by the clock of its host, as
          M(multimaster.kubernetes.unit_set) returns it in RV(multimaster.kubernetes.unit_set#module:units). Compared with the
          node's Lease, which the kubelet renews by the same clock.
        type: float
        required: true
      version:
        description: Version that it must tell, such as V(1.36.3); any when empty.
        type: str
        default: ""
  timeout:
    description: Seconds to wait at most.
    type: int
    default: 180
"""

EXAMPLES = r"""
- name: The cluster is whole
  multimaster.kubernetes.cluster_ready:
    nodes: [m1, m2, m3, w1, w2]
    deployments: [coredns]

- name: The kubelet of w1 that runs now has spoken
  multimaster.kubernetes.cluster_ready:
    nodes: [w1]
    kubelets:
      - {node: w1, began: "{{ kubelet_result.units['kubelet.service'].began }}", version: 1.37.2}
"""

RETURN = r"""
missing:
  description: What is not there; empty on success.
  returned: always
  type: list
  elements: str
  sample: ["node w2: container runtime network not ready"]
nodes:
  description: The nodes by name, as P(multimaster.kubernetes.kube_info#module) shows them.
  returned: success
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _failure
from ansible_collections.multimaster.kubernetes.plugins.module_utils._https import CredentialsError
from ansible_collections.multimaster.kubernetes.plugins.module_utils._kube import ARGUMENTS, Kube, KubeError, KubeNotYet
from ansible_collections.multimaster.kubernetes.plugins.module_utils._kube_objects import missing_from, node_summary

KUBELET = {
    "node": {"type": "str", "required": True},
    "began": {"type": "float", "required": True},
    "version": {"type": "str", "default": ""},
}
LOOK = "on a host that is named here, `journalctl -u kubelet -n 50`, then run again"


def look(kube, wanted_nodes, wanted_deployments, kubelets=()):
    """Return (nodes, what is missing) as of now."""
    nodes = sorted((node_summary(one) for one in kube.list("v1", "Node")), key=lambda node: node["name"])
    found = {name: kube.get("apps/v1", "Deployment", name, "kube-system") for name in wanted_deployments}
    heard = {
        one["node"]: (one["version"], one["began"], kube.get("coordination.k8s.io/v1", "Lease", one["node"], "kube-node-lease"))
        for one in kubelets
    }
    return nodes, missing_from(nodes, wanted_nodes, found, heard)


def main():
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "nodes": {"type": "list", "elements": "str", "default": []},
            "deployments": {"type": "list", "elements": "str", "default": []},
            "kubelets": {"type": "list", "elements": "dict", "default": [], "options": KUBELET},
            "timeout": {"type": "int", "default": 180},
        },
        supports_check_mode=True,
    )
    seen = {"nodes": [], "missing": ["nothing could be read"]}

    def question():
        asked = (module.params[name] for name in ("nodes", "deployments", "kubelets"))
        seen["nodes"], seen["missing"] = look(kube, *asked)
        return not seen["missing"], "; ".join(seen["missing"])

    try:
        kube = Kube.from_arguments(module.params, check=module.check_mode, warn=module.warn)
        kube.wait_until("the cluster to be whole", question, 0 if module.check_mode else module.params["timeout"], LOOK)
    except (KubeError, CredentialsError) as error:
        if not module.check_mode:
            module.fail_json(msg=_failure.message(error), **seen)
        if not (isinstance(error, KubeNotYet) or kube.foreseen(error)):
            module.warn(_failure.message(error, "the cluster was not looked at"))
    module.exit_json(changed=False, **seen)


if __name__ == "__main__":
    main()
