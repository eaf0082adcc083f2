# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draining on a real kube-apiserver; the test plays the kubelet and the controller that counts what a budget allows."""

from __future__ import annotations

import itertools
import time

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _drain, _kube
from ansible_collections.multimaster.kubernetes.plugins.module_utils._node_flow import NodeError, NodeFlow

MERGE = "application/merge-patch+json"
NUMBERS = itertools.count(1)


class World:
    """A node and a namespace of their own, with pods that end only when `kubelet` is called."""

    def __init__(self, kube):
        self.kube, number = kube, next(NUMBERS)
        self.node, self.namespace = f"w{number}", f"shop{number}"
        # as a kubelet makes it: of an object created without any field to own, later owners are not recorded either
        self.create("v1", "Node", self.node, metadata={"labels": {"kubernetes.io/hostname": self.node}})
        self.create("v1", "Namespace", self.namespace)
        # nobody else makes it here, and no pod is admitted without
        self.create("v1", "ServiceAccount", "default", namespace=self.namespace)

    def create(self, api_version, kind, name, namespace=None, **body):
        metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **body.pop("metadata", {})}
        return self.kube.create({"apiVersion": api_version, "kind": kind, "metadata": metadata, **body})

    def patch(self, path, change, manager="test"):
        self.kube.request("PATCH", f"{path}?fieldManager={manager}", change, MERGE)

    def pod(self, name, owner="ReplicaSet", **more):
        """Make a pod that runs and is Ready: of one that waits, no budget is asked."""
        references = [{"apiVersion": "apps/v1", "kind": owner, "name": "o", "uid": "u", "controller": True}] if owner else []
        made = self.create(
            "v1",
            "Pod",
            name,
            self.namespace,
            metadata={"labels": {"app": name}, "ownerReferences": references, **more},
            spec={"nodeName": self.node, "automountServiceAccountToken": False, "containers": [{"name": "c", "image": "i"}]},
        )
        running = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        self.patch(f"/api/v1/namespaces/{self.namespace}/pods/{name}/status", {"status": running})
        return made

    def budget(self, name, app):
        selector = {"matchLabels": {"app": app}}
        self.create("policy/v1", "PodDisruptionBudget", name, self.namespace, spec={"minAvailable": 1, "selector": selector})

    def allow(self, name, disruptions):
        status = {"observedGeneration": 1, "disruptionsAllowed": disruptions, "currentHealthy": 1 + disruptions}
        path = f"/apis/policy/v1/namespaces/{self.namespace}/poddisruptionbudgets/{name}/status"
        self.patch(path, {"status": {**status, "desiredHealthy": 1, "expectedPods": 2}})

    def kubelet(self, _seconds=0.0):
        """End the pods that are being deleted."""
        for one in self.pods():
            if one["metadata"].get("deletionTimestamp"):
                self.kube.delete_at_once(one["metadata"]["name"], self.namespace, one["metadata"]["uid"])
        time.sleep(0.05)

    def pods(self):
        return self.kube.list("v1", "Pod", self.namespace)

    def names(self):
        return sorted(one["metadata"]["name"] for one in self.pods())

    def flow(self, check=False, sleep=None, **wanted):
        asked = {"operation": "op", "detach_timeout": 0, "timeout": 30, **wanted}
        return NodeFlow(self.kube, _drain.Wanted(self.node, **asked), check, sleep=sleep or self.kubelet)

    def stands(self, name=None):
        return _drain.cordon_of(self.kube.get("v1", "Node", name or self.node))


@pytest.fixture
def world(kube_lab):
    return World(kube_lab.client())


FREE, OURS = {"unschedulable": False, "operation": ""}, {"unschedulable": True, "operation": "op"}


def titles(verdicts):
    return sorted(one.name for one in verdicts)


def test_checked_run_again_and_given_back(world):
    world.create(
        "apps/v1",
        "DaemonSet",
        "o",
        world.namespace,
        spec={
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
        },
    )
    world.pod("web")
    world.pod("agent", owner="DaemonSet")
    foretold = world.flow(check=True).drained()
    assert (world.names(), world.stands()) == (["agent", "web"], FREE)
    done = world.flow().drained()
    assert done == foretold
    assert (titles(done.evicted), titles(done.left)) == (["web"], ["agent"])
    assert (world.names(), world.stands()) == (["agent"], OURS)
    assert not world.flow().drained().changed
    assert world.flow(check=True).ready().changed
    assert world.flow().ready().changed
    assert (world.flow().ready().changed, world.stands()) == (False, FREE)
    assert world.flow(check=True).absent().changed
    assert world.flow().absent().changed
    assert not world.flow().absent().changed


def test_a_budget_is_respected_named_and_then_allows(world):
    world.pod("web")
    world.budget("one", "web")
    for counted in (False, True):
        if counted:
            world.allow("one", 0)
        with pytest.raises(NodeError, match=rf"HTTP 429 .*disruption budget.*allow no disruption: {world.namespace}/one \("):
            world.flow(timeout=0).drained()
        assert (world.names(), world.stands()) == (["web"], FREE)
    with pytest.raises(NodeError, match="stays cordoned"):
        world.flow(timeout=0, keep_cordoned=True).drained()
    assert world.stands() == OURS
    world.allow("one", 1)
    assert titles(world.flow().drained().evicted) == ["web"]
    assert world.names() == []


def test_several_nodes_are_cordoned_together_and_given_back_together(world):
    other = f"{world.node}-next"
    world.create("v1", "Node", other, metadata={"labels": {"kubernetes.io/hostname": other}})
    world.pod("web")
    world.budget("one", "web")
    with pytest.raises(NodeError, match=f"Node {other} takes pods again"):
        world.flow(timeout=0, beside=(other, "w-that-does-not-exist")).drained()
    assert (world.stands(), world.stands(other)) == (FREE, FREE)
    world.allow("one", 1)
    assert world.flow(beside=(other,)).drained().reason.endswith(f"cordoned as well: {other}")
    assert (world.stands(), world.stands(other)) == (OURS, OURS)


def test_two_budgets_over_one_pod_fail_at_once(world):
    world.pod("web")
    world.budget("one", "web")
    world.budget("two", "web")
    started = time.monotonic()
    with pytest.raises(NodeError, match=r"more than one PodDisruptionBudget.*only one budget.*takes pods again"):
        world.flow().drained()
    assert time.monotonic() - started < 5


def test_a_pod_that_does_not_end_is_named_and_ends_when_the_host_is_dead(world):
    world.pod("web")
    with pytest.raises(NodeError, match="web .it is still ending.*takes pods again"):
        world.flow(timeout=0, sleep=time.sleep).drained()
    assert world.names() == ["web"]
    done = world.flow(node_dead=True, sleep=time.sleep).drained()
    assert (titles(done.evicted), world.names()) == (["web"], [])


def test_a_host_that_reports_is_not_dead(world):
    world.pod("web")
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    world.patch(f"/api/v1/nodes/{world.node}/status", ready)
    with pytest.raises(_kube.KubeNotYet, match="its kubelet still reports"):
        world.flow(node_dead=True, timeout=0).drained()
    assert (world.names(), world.stands()) == (["web"], FREE)


def test_another_pod_of_the_same_name_is_safe(world):
    world.pod("web")
    for ask in (world.kube.evict, world.kube.delete_at_once):
        with pytest.raises(_kube.KubeRefused) as refused:
            ask("web", world.namespace, "11111111-1111-1111-1111-111111111111")
        assert refused.value.status == 409
        assert _drain.judge_answer(409, refused.value.message) == _drain.AGAIN
    assert "deletionTimestamp" not in world.pods()[0]["metadata"]


def test_a_pod_of_a_namespace_that_ends_is_waited_for(world):
    uid = world.pod("web")["metadata"]["uid"]
    world.kube.delete("v1", "Namespace", world.namespace)
    with pytest.raises(_kube.KubeRefused) as refused:
        world.kube.evict("web", world.namespace, uid)
    assert _drain.judge_answer(refused.value.status, refused.value.message) == _drain.AGAIN


def test_bare_pods_are_refused_and_nothing_is_touched(world):
    world.pod("bare", owner=None)
    with pytest.raises(NodeError, match="bare .it has no controller"):
        world.flow().drained()
    assert world.stands() == FREE
    assert titles(world.flow(force=True).drained().evicted) == ["bare"]


def as_kubectl(world, cordon):
    world.patch(f"/api/v1/nodes/{world.node}", {"spec": {"unschedulable": cordon or None}}, "kubectl-cordon")


def test_somebody_elses_cordon_is_respected_also_under_a_mark_of_ours(world):
    as_kubectl(world, True)
    with pytest.raises(NodeError, match=r"somebody else \(kubectl-cordon at 20.*Z\)"):
        world.flow().drained()
    assert not world.flow().ready().changed
    # taken over, it is there to resume for who takes over, and stays as it was found when that is given up
    assert world.flow(take_over=True).drained().changed
    assert not world.flow(take_over=True).drained().changed
    with pytest.raises(NodeError, match="somebody else"):
        world.flow().drained()
    assert world.flow().ready().changed
    assert world.stands() == {"unschedulable": True, "operation": ""}
    as_kubectl(world, False)
    assert world.stands() == FREE
    # they uncordon a node of ours, which leaves our mark, and cordon it later for themselves
    world.flow().drained()
    as_kubectl(world, False)
    time.sleep(1.1)  # managedFields count in seconds
    as_kubectl(world, True)
    with pytest.raises(NodeError, match="somebody else"):
        world.flow().drained()
    assert not world.flow().ready().changed


def test_volumes_that_stay_attached_are_told(world):
    world.create(
        "storage.k8s.io/v1",
        "VolumeAttachment",
        f"va-{world.node}",
        spec={
            "attacher": "csi.example",
            "nodeName": world.node,
            "source": {"persistentVolumeName": "pv"},
        },
    )
    assert world.flow().drained().attached == ("pv",)
    world.kube.delete("storage.k8s.io/v1", "VolumeAttachment", f"va-{world.node}")
    assert world.flow().drained().attached == ()
