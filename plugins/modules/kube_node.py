#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the pods off a node before somebody works on it, and give it back after."""

from __future__ import annotations

DOCUMENTATION = r"""
module: kube_node
short_description: Drain a node, let it take pods again, or delete its object
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - A node is drained by the rules of C(kubectl drain --ignore-daemonsets). It is cordoned, its pods are evicted through the
    eviction API, which respects every PodDisruptionBudget, and this waits until they are gone. Pods of DaemonSets and
    static pods stay.
  - Our own cordon carries the annotation C(multimaster.kubernetes/operation), so that a run that was cut off is resumed. A
    node that somebody else cordoned is refused, before anything is changed. Where O(take_over) has it drained nonetheless,
    C(multimaster.kubernetes/found-cordoned) says whose cordon it was.
  - When a drain fails, the node is uncordoned again if this run cordoned it.
  - In check mode the pods that would be evicted are listed. Whether a budget would refuse them is only known by evicting
    them.
extends_documentation_fragment:
  - multimaster.kubernetes.attributes
  - multimaster.kubernetes.attributes.host
  - multimaster.kubernetes.kube_client
options:
  name:
    description: Name of the node.
    type: str
    required: true
  address:
    description:
      - The node address of a host that cannot be asked for its hostname. The node that has it is meant, whatever O(name) says;
        when none has, the one of that name.
      - For O(state=drained) and O(state=absent).
    type: str
    default: ""
  state:
    description:
      - V(drained) - it takes no new pods, and those it had are gone.
      - V(ready) - it takes pods, unless somebody else cordoned it, also before O(take_over). Whose cordon it is depends on
        O(operation).
      - V(absent) - its object is deleted. Drain it first, and stop its kubelet, which registers the node again whenever it
        starts.
    type: str
    required: true
    choices: [drained, ready, absent]
  operation:
    description:
      - Id of the operation the node is drained for, written into the annotation.
      - The playbooks give 16 hexadecimal digits, another id each run. An operation with an id of that form goes on with, and
        takes back, a cordon with an id of that form only, since that run was cut off. A cordon with any other id, or
        V(unnamed), is to it as one that somebody else made, so a node that you drained by this module alone is refused by the
        playbooks, and stays as it is.
      - With any other id, every cordon that carries the annotation is gone on with, and taken back.
    type: str
    default: unnamed
  beside:
    description:
      - Names of nodes that are drained for the same operation, before or after this one. They are cordoned before the first pod
        goes, so that none lands on a node that is drained next. Those that do not exist are skipped.
      - When the drain fails, all of them that a run of ours cordoned take pods again, where O(operation) has an id of its own.
    type: list
    elements: str
    default: []
  take_over:
    description: Drain a node although somebody else cordoned it. V(ready) leaves it cordoned as it was found, and a drain without
      this refuses it.
    type: bool
    default: false
  force:
    description: Evict pods that nothing makes again as well, since they have no controller or their DaemonSet is gone.
    type: bool
    default: false
  delete_emptydir:
    description: Evict pods with an C(emptyDir) volume, whose data is lost with them; RV(evicted) names them. Other than
      with C(kubectl drain), this is the default, since most such volumes are scratch space.
    type: bool
    default: true
  node_dead:
    description:
      - The host is gone, so its pods cannot end by themselves. They are deleted at once instead of evicted, without regard
        to budgets.
      - Refused while the kubelet reports Ready, after waiting O(timeout) for that to end. A pod that is deleted so while it
        runs may run twice.
      - Volumes are not waited for. They are detached by the control plane once the node is O(state=absent).
    type: bool
    default: false
  missing_ok:
    description: A node that does not exist counts as drained, as when a cut-off run has deleted it already.
    type: bool
    default: false
  keep_cordoned:
    description: Leave the node cordoned when the drain fails.
    type: bool
    default: false
  timeout:
    description: Seconds until all pods must be gone. An eviction that a budget refuses is repeated every 5 seconds.
    type: int
    default: 300
  detach_timeout:
    description: Seconds to wait, after the pods are gone, until the node's volumes are detached. Those left are reported in
      RV(attached), which is no failure. Volumes of pods that stay are waited for too.
    type: int
    default: 60
  retry_seconds:
    description: Seconds during which a request is repeated that is refused by an API server that starts or stops.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Nothing runs on w1 any more
  multimaster.kubernetes.kube_node:
    name: w1
    state: drained
    operation: upgrade-1.37.2

- name: W1 takes pods again
  multimaster.kubernetes.kube_node:
    name: w1
    state: ready

- name: The cluster forgets w2, whose host is gone
  multimaster.kubernetes.kube_node:
    name: w2
    state: "{{ item }}"
    node_dead: true
  loop: [drained, absent]
"""

RETURN = r"""
reason:
  description: Why something was, or would be, changed or not.
  returned: success
  type: str
  sample: "it is cordoned; pods evicted: 3, left: 2"
before:
  description: Whether the node was cordoned, and the operation its annotation named; null when there was no node.
  returned: success
  type: dict
  sample: {unschedulable: false, operation: ""}
after:
  description: The same now; null when there is no node.
  returned: success
  type: dict
  sample: {unschedulable: true, operation: upgrade-1.37.2}
evicted:
  description: Pods that were, or would be, evicted or deleted; after a failure, those until then.
  returned: always
  type: list
  elements: dict
  sample: [{pod: shop/web-7d5f, reason: the data of its emptyDir is lost; ReplicaSet web makes it again elsewhere}]
left:
  description: Pods that stay on the node.
  returned: always
  type: list
  elements: dict
  sample: [{pod: kube-system/kube-proxy-x2x4, reason: DaemonSet kube-proxy keeps it on every node}]
attached:
  description: Volumes that were still attached when O(detach_timeout) had passed; empty in check mode.
  returned: success
  type: list
  elements: str
  sample: []
"""

from dataclasses import fields

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _drain, _failure
from ansible_collections.multimaster.kubernetes.plugins.module_utils._https import CredentialsError
from ansible_collections.multimaster.kubernetes.plugins.module_utils._kube import ARGUMENTS, Kube, KubeError
from ansible_collections.multimaster.kubernetes.plugins.module_utils._node_flow import NodeError, NodeFlow


def run(module, kube):
    """Bring the node to its state and return the module's result."""
    asked = {field.name: module.params[field.name] for field in fields(_drain.Wanted)}
    wanted = _drain.Wanted(**{**asked, "beside": tuple(asked["beside"])})
    flow = NodeFlow(kube, wanted, module.check_mode)
    return getattr(flow, module.params["state"])().as_dict(module._diff)


def main():
    """Read, decide, act unless in check mode, report."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "name": {"type": "str", "required": True},
            "address": {"type": "str", "default": ""},
            "state": {"type": "str", "required": True, "choices": ["drained", "ready", "absent"]},
            "operation": {"type": "str", "default": _drain.UNNAMED},
            "beside": {"type": "list", "elements": "str", "default": []},
            "take_over": {"type": "bool", "default": False},
            "force": {"type": "bool", "default": False},
            "delete_emptydir": {"type": "bool", "default": True},
            "node_dead": {"type": "bool", "default": False},
            "missing_ok": {"type": "bool", "default": False},
            "keep_cordoned": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": _drain.SECONDS},
            "detach_timeout": {"type": "int", "default": 60},
            "retry_seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    try:
        kube = Kube.from_arguments(module.params, module.params["retry_seconds"], module.check_mode)
        result = run(module, kube)
    except (KubeError, CredentialsError, NodeError) as error:
        failure = error if isinstance(error, NodeError) else NodeError(str(error))
        module.fail_json(
            msg=_failure.message(error, f"{module.params['name']} is not {module.params['state']}"),
            changed=failure.changed,
            evicted=[one.as_dict() for one in failure.evicted],
            left=[one.as_dict() for one in failure.left],
        )
    module.exit_json(**result)


if __name__ == "__main__":
    main()
