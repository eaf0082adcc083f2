# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test paths, readiness and summaries of Kubernetes objects."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _kube_objects as objects


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (("v1", "nodes", False, "n1", None), "/api/v1/nodes/n1"),
        (("v1", "nodes", False, "n1", "ignored"), "/api/v1/nodes/n1"),
        (("v1", "pods", True, None, None), "/api/v1/pods"),
        (("v1", "pods", True, None, "x"), "/api/v1/namespaces/x/pods"),
        (("apps/v1", "deployments", True, "d", "x"), "/apis/apps/v1/namespaces/x/deployments/d"),
        (
            ("rbac.authorization.k8s.io/v1", "clusterroles", False, "system:node", None),
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node",
        ),
        (("v1", "nodes", False, "../secrets", None), "/api/v1/nodes/..%2Fsecrets"),
    ],
)
def test_paths(arguments, path):
    assert objects.resource_path(*arguments) == path


@pytest.mark.parametrize("missing", ["apiVersion", "kind", "metadata"])
def test_an_object_without_identity_is_refused(missing):
    whole = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}
    assert objects.identity(whole) == ("v1", "Node", None, "n")
    with pytest.raises(ValueError, match=f"object without {missing}"):
        objects.identity({key: value for key, value in whole.items() if key != missing})


def test_the_essence_leaves_bookkeeping_out_and_the_original_alone():
    obj = {"metadata": {"name": "n", "resourceVersion": "1", "managedFields": [{}], "uid": "u"}, "status": {}, "data": {}}
    assert objects.essence(obj) == {"metadata": {"name": "n"}, "data": {}}
    assert "uid" in obj["metadata"]
    assert objects.essence(None) is None


def test_a_secrets_values_are_never_shown():
    secret = {"kind": "Secret", "metadata": {"name": "s"}, "data": {"token": "czNjcjN0"}, "stringData": {"a": "s3cr3t"}}
    assert objects.shown(secret)["data"] == {"token": "(hidden)"}
    assert "s3cr3t" not in str(objects.shown(secret))
    assert objects.shown(None) == {}


def workload(kind, spec=None, generation=2, **status):
    return {"kind": kind, "metadata": {"generation": generation}, "spec": spec or {}, "status": status}


@pytest.mark.parametrize(
    ("obj", "ready"),
    [
        ({"kind": "ConfigMap", "metadata": {}}, True),
        (workload("Deployment", {"replicas": 2}, observedGeneration=2, updatedReplicas=2, availableReplicas=2), True),
        (workload("Deployment", {"replicas": 2}, observedGeneration=1, updatedReplicas=2, availableReplicas=2), False),
        (workload("Deployment", {"replicas": 2}, observedGeneration=2, updatedReplicas=1, availableReplicas=2), False),
        (workload("Deployment", {"replicas": 2}, observedGeneration=2, updatedReplicas=2, availableReplicas=1), False),
        (workload("Deployment", observedGeneration=2), False),
        (workload("Deployment", {"replicas": 0}, observedGeneration=2), True),
        (
            workload("DaemonSet", observedGeneration=2, desiredNumberScheduled=3, updatedNumberScheduled=3, numberAvailable=3),
            True,
        ),
        (
            workload("DaemonSet", observedGeneration=2, desiredNumberScheduled=3, updatedNumberScheduled=3, numberAvailable=2),
            False,
        ),
        (workload("DaemonSet"), False),
    ],
)
def test_readiness(obj, ready):
    told, missing = objects.readiness(obj)
    assert told is ready
    assert bool(missing) is not ready


NODE = {
    "metadata": {
        "name": "m1",
        "labels": {"topology.kubernetes.io/zone": "z1"},
        "annotations": {"multimaster.io/operation": "7", "other": "x"},
    },
    "spec": {"podCIDR": "10.244.1.0/24", "taints": [{"key": "k", "effect": "NoSchedule"}], "unschedulable": True},
    "status": {
        "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "True", "message": "fine"}],
        "nodeInfo": {"kubeletVersion": "v1.36.3"},
        "addresses": [
            {"type": "InternalIP", "address": "192.0.2.1"},
            {"type": "InternalIP", "address": "2001:db8::1"},
            {"type": "Hostname", "address": "m1"},
        ],
    },
}


def test_a_node_in_short():
    assert objects.node_summary(NODE) == {
        "name": "m1",
        "ready": True,
        "ready_message": "fine",
        "version": "v1.36.3",
        "zone": "z1",
        "internal_ip": "192.0.2.1",
        "taints": [{"key": "k", "value": "", "effect": "NoSchedule"}],
        "unschedulable": True,
        "pressures": [],
        "pressure_message": "",
        "pod_cidr": "10.244.1.0/24",
        "labels": {"topology.kubernetes.io/zone": "z1"},
        "annotations": {"multimaster.io/operation": "7"},
    }


def test_what_presses_a_node_is_told():
    conditions = [{"type": kind, "status": "True"} for kind in ("DiskPressure", "PIDPressure", "Ready", "SomethingElse")]
    conditions[0]["message"] = "kubelet has disk pressure"
    found = objects.node_summary({"metadata": {"name": "n"}, "status": {"conditions": conditions}})
    assert sorted(found["pressures"]) == ["DiskPressure", "PIDPressure"]
    assert sorted(found["pressure_message"].split("; ")) == ["PIDPressure", "kubelet has disk pressure"]


@pytest.mark.parametrize("conditions", [[], [{"type": "Ready", "status": "Unknown"}], [{"type": "Ready", "status": "False"}]])
def test_a_node_that_does_not_say_true_is_not_ready(conditions):
    node = {"metadata": {"name": "n"}, "status": {"conditions": conditions}}
    assert objects.node_summary(node)["ready"] is False
    assert objects.node_summary({"metadata": {"name": "n"}})["zone"] == ""


def test_a_released_lease_has_no_holder():
    assert objects.lease_summary({"spec": {"holderIdentity": "", "leaseTransitions": 3}})["holder"] == ""
    assert objects.lease_summary({})["transitions"] == 0


STARTED = 1767268800.0  # 2026-01-01T12:00:00Z


@pytest.mark.parametrize(
    ("ready", "told", "renewed", "said"),
    [
        ("True", "v1.37.2", "2026-01-01T12:00:00.500000Z", []),
        ("True", "v1.37.2+vendor.1", "2026-01-01T12:00:00.500000Z", []),
        ("True", "v1.37.2", "2026-01-01T12:00:00.000000Z", ["is Ready by the word of the kubelet before"]),
        ("True", "v1.37.2", "2026-01-01T11:59:55.000000Z", ["is Ready by the word of the kubelet before"]),
        ("True", "v1.37.2", None, ["is Ready by the word of the kubelet before"]),
        ("True", "v1.36.3", "2026-01-01T12:00:00.500000Z", ["still tells of kubelet 1.36.3, not 1.37.2"]),
        ("True", "", "2026-01-01T11:59:55.000000Z", ["no version, not 1.37.2", "by the word of the kubelet before"]),
        ("False", "v1.36.3", None, ["is not Ready: no CNI"]),
    ],
)
def test_a_node_is_ready_when_the_kubelet_that_runs_now_has_said_so(ready, told, renewed, said):
    condition = {"type": "Ready", "status": ready, "message": "no CNI"}
    found = {"metadata": {"name": "w1"}, "status": {"conditions": [condition], "nodeInfo": {"kubeletVersion": told}}}
    lease = {"spec": {"renewTime": renewed}} if renewed else None
    nodes = [objects.node_summary(found)]
    missing = objects.missing_from(nodes, ["w1"], {}, {"w1": ("1.37.2", STARTED, lease)})
    assert len(missing) == len(said)
    assert all(words in one and one.startswith("node w1 ") for words, one in zip(said, missing))
    assert objects.missing_from(nodes, ["w1"], {}) == (missing if ready == "False" else [])


def test_a_kubelet_of_any_version_only_has_to_speak():
    assert list(objects.unheard({"version": "v1.36.3"}, "", STARTED, {"spec": {"renewTime": "2026-01-01T12:00:01Z"}})) == []
