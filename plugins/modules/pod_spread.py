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
    RV(reason) says how they are spread afterwards.
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
  timeout:
    description: Seconds to wait at most, before the eviction until all pods are Ready, and after it again.
    type: int
    default: 120
"""

EXAMPLES = r"""
- name: No zone's loss takes the cluster's DNS
  multimaster.kubernetes.pod_spread:
    labels: {k8s-app: kube-dns}
"""

RETURN = r"""
reason:
  description: How the pods are spread, and what was, or would be, moved.
  returned: success
  type: str
  sample: "all 2 pods are in zone a, and zone b, c could take one: pod coredns-6d8 was evicted; 2 pods in 2 zones"
evicted:
  description: The pod that was, or would be, evicted; empty when none.
  returned: success
  type: str
  sample: coredns-6d8
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _drain, _failure, _spread
from ansible_collections.multimaster.kubernetes.plugins.module_utils._https import CredentialsError
from ansible_collections.multimaster.kubernetes.plugins.module_utils._kube import ARGUMENTS, Kube, KubeError, KubeRefused

LOOK = "`kubectl get pods -o wide` in that namespace shows which pod does not start and where, then run again"


def look(kube, params):
    """Return (pods, verdict) as of now."""
    selector = ",".join(f"{key}={value}" for key, value in sorted(params["labels"].items()))
    pods = kube.list("v1", "Pod", params["namespace"], selector)
    return _spread.here(pods), _spread.judge(pods, kube.list("v1", "Node"))


def evicted(kube, pod):
    """Ask for one pod's eviction; return (whether it goes, what was answered instead). Raise KubeError when no patience helps."""
    metadata = pod["metadata"]
    try:
        kube.evict(metadata["name"], metadata["namespace"], metadata["uid"])
    except KubeError as error:
        refused = isinstance(error, KubeRefused)
        meaning = _drain.judge_answer(error.status if refused else None, error.message if refused else "")
        if meaning == _drain.FAIL:
            raise
        return meaning == _drain.ACCEPTED, error.came_back
    return True, ""


def spread(kube, params):
    """Move one pod if that is needed; return (its name or "", the reason). Raise KubeError."""
    seen = {}

    def apart_or_gone():
        pods, verdict = look(kube, params)
        seen["reason"], seen["pods"], seen["name"] = verdict.reason, len(pods), ""
        if verdict.apart:
            return True, ""
        if verdict.unready:
            return False, f"not Ready: {', '.join(verdict.unready)}"
        gone, answer = evicted(kube, verdict.pod)
        if gone:
            seen["name"] = verdict.pod["metadata"]["name"]
        return gone, answer

    def whole():
        pods, seen["after"] = look(kube, params)
        ready = sum(map(_spread.ready, pods))
        return ready >= seen["pods"], f"{ready} of {seen['pods']} pods are Ready"

    kube.wait_until("a pod to leave the place that it shares with all others", apart_or_gone, params["timeout"], LOOK)
    if not seen["name"]:
        return "", seen["reason"]
    kube.wait_until(f"a pod in the place of {seen['name']}", whole, params["timeout"], LOOK)
    return seen["name"], f"{seen['reason']}: pod {seen['name']} was evicted; {seen['after'].reason}"


def foreseen(kube, params):
    """Return what `spread` would: (a pod's name or "", the reason)."""
    _pods, verdict = look(kube, params)
    name = "" if verdict.apart else verdict.pod["metadata"]["name"]
    return name, verdict.reason + (f": pod {name} is evicted" if name else "")


def main():
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "namespace": {"type": "str", "default": "kube-system"},
            "labels": {"type": "dict", "required": True},
            "timeout": {"type": "int", "default": 120},
        },
        supports_check_mode=True,
    )
    check, name, reason = module.check_mode, "", "nothing could be read"
    try:
        kube = Kube.from_arguments(module.params, check=check, warn=module.warn)
        name, reason = (foreseen if check else spread)(kube, module.params)
    except (KubeError, CredentialsError) as error:
        if not check:
            module.fail_json(msg=_failure.message(error))
        if not kube.foreseen(error):
            module.warn(_failure.message(error, "how the pods are spread was not looked at"))
    diff = {"diff": {"before": f"pod {name}\n" if name else "", "after": ""}} if module._diff else {}
    module.exit_json(changed=bool(name), evicted=name, reason=reason, **diff)


if __name__ == "__main__":
    main()
