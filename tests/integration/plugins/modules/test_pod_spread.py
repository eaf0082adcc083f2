# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods that lie together behind a real kube-apiserver; the test plays the controller and the scheduler that make another."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.modules import pod_spread

MERGE = "application/merge-patch+json"
SPACE, LABELS = "together", {"app": "dns"}
WELL = {"conditions": [{"type": "Ready", "status": "True"}]}


@pytest.fixture
def kube(watched_kube):
    """Return a client of a cluster with a node in each of two zones, both of which take pods, and two pods on the first."""
    kube = watched_kube.client()
    for kind, name in (("Namespace", SPACE), ("ServiceAccount", "default")):
        metadata = {"name": name, **({} if kind == "Namespace" else {"namespace": SPACE})}
        kube.apply({"apiVersion": "v1", "kind": kind, "metadata": metadata})
    for name, zone in (("in-a", "a"), ("in-b", "b")):
        kube.apply(
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"topology.kubernetes.io/zone": zone}}}
        )
        kube.request("PATCH", f"/api/v1/nodes/{name}/status?fieldManager=test", {"status": WELL}, MERGE)
        # an API server taints a new node until a controller, of which there is none here, has seen that it is Ready
        kube.merge("v1", "Node", name, {"spec": {"taints": None}})
    for name in ("dns-1", "dns-2"):
        pod(kube, name, "in-a")
    yield kube
    for one in kube.list("v1", "Pod", SPACE):
        kube.delete("v1", "Pod", one["metadata"]["name"], SPACE)
    for name in ("in-a", "in-b"):
        kube.delete("v1", "Node", name)


def pod(kube, name, node):
    """Make a pod that runs and is Ready, and that no kubelet has to end."""
    spec = {"nodeName": node, "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 0}
    metadata = {"name": name, "namespace": SPACE, "labels": LABELS}
    made = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {**spec, "containers": [{"name": "c", "image": "i"}]},
    }
    kube.create(made)
    path = f"/api/v1/namespaces/{SPACE}/pods/{name}/status?fieldManager=test"
    kube.request("PATCH", path, {"status": {"phase": "Running", **WELL}}, MERGE)


def names(kube):
    return sorted(one["metadata"]["name"] for one in kube.list("v1", "Pod", SPACE))


def test_one_of_two_that_lie_together_is_evicted_and_the_next_is_waited_for(kube, watched_kube, call, only_reads):
    asked = {**watched_kube.params(), "namespace": SPACE, "labels": LABELS, "timeout": 0}
    foreseen = call(pod_spread, asked, check=True)
    assert foreseen["changed"] and foreseen["evicted"] == "dns-2" and names(kube) == ["dns-1", "dns-2"]
    failed = call(pod_spread, asked)
    assert failed["failed"] and "a pod in the place of dns-2: not within 0 s: 1 of 2 pods are Ready" in failed["msg"]
    assert names(kube) == ["dns-1"]
    pod(kube, "dns-3", "in-b")
    for told in only_reads(pod_spread, asked):
        assert not told["changed"] and told["reason"] == "2 pods in 2 zones"


def test_a_budget_that_allows_nothing_is_named(kube, watched_kube, call):
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "dns", "namespace": SPACE}}
    kube.apply({**budget, "spec": {"maxUnavailable": 0, "selector": {"matchLabels": LABELS}}})
    failed = call(pod_spread, {**watched_kube.params(), "namespace": SPACE, "labels": LABELS, "timeout": 0})
    kube.delete("policy/v1", "PodDisruptionBudget", "dns", SPACE)
    assert failed["failed"] and "disruption budget" in failed["msg"] and names(kube) == ["dns-1", "dns-2"]
