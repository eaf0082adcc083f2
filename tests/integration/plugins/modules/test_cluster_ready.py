# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole cluster as a real API server tells it; the test says what a kubelet and a controller would say there."""

from __future__ import annotations

import datetime
import time

import pytest
from ansible_collections.multimaster.kubernetes.plugins.modules import cluster_ready

MERGE = "application/merge-patch+json"
NODE, DNS = "whole", "whole-dns"
DEPLOYMENTS = "/apis/apps/v1/namespaces/kube-system/deployments/"


def says(kube, path, **status):
    kube.request("PATCH", f"{path}/status?fieldManager=test", {"status": status}, MERGE)


@pytest.fixture
def asked(watched_kube):
    """Return the arguments for one node and one Deployment, neither of which is there yet."""
    yield {**watched_kube.params(), "nodes": [NODE], "deployments": [DNS], "timeout": 0}
    kube = watched_kube.client()
    kube.delete("v1", "Node", NODE)
    kube.delete("apps/v1", "Deployment", DNS, "kube-system")


def registered(kube, ready):
    kube.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
    condition = {"type": "Ready", "status": ready, "reason": "Test", "message": "no CNI"}
    says(kube, f"/api/v1/nodes/{NODE}", conditions=[condition])


def deployed(kube):
    pods = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": pods}
    metadata = {"name": DNS, "namespace": "kube-system"}
    made = kube.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})
    generation = made["metadata"]["generation"]
    says(
        kube,
        DEPLOYMENTS + DNS,
        observedGeneration=generation,
        replicas=1,
        updatedReplicas=1,
        readyReplicas=1,
        availableReplicas=1,
    )


def test_what_is_missing_is_named_until_all_is_there_and_then_every_look_says_so(asked, watched_kube, call, only_reads):
    kube = watched_kube.client()
    for step, missing in (
        (lambda: None, [f"node {NODE} has not registered", f"Deployment {DNS}: it does not exist"]),
        (lambda: registered(kube, "False"), [f"node {NODE} is not Ready: no CNI", f"Deployment {DNS}: it does not exist"]),
        (lambda: (registered(kube, "True"), deployed(kube)), []),
    ):
        step()
        assert call(cluster_ready, asked, check=True)["missing"] == missing
        if missing:
            failed = call(cluster_ready, asked)
            where = f"Kubernetes API at {watched_kube.server}, asked for the cluster to be whole: not within 0 s: "
            assert failed["failed"] and failed["msg"].startswith(where + "; ".join(missing) + ". Next: on a host that is named")
    for told in only_reads(cluster_ready, asked):
        assert told["missing"] == [] and NODE in {node["name"] for node in told["nodes"]}


def test_a_kubelet_is_believed_from_its_own_lease_on(asked, watched_kube, call):
    kube = watched_kube.client()
    registered(kube, "True")
    asked = {**asked, "deployments": [], "kubelets": [{"node": NODE, "began": time.time()}]}
    assert f"node {NODE} is Ready by the word of the kubelet before" in call(cluster_ready, asked)["msg"]
    later = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=5)
    spec = {"holderIdentity": NODE, "leaseDurationSeconds": 40, "renewTime": later.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}
    metadata = {"name": NODE, "namespace": "kube-node-lease"}
    kube.apply({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec})
    assert call(cluster_ready, asked)["missing"] == []
    kube.delete("coordination.k8s.io/v1", "Lease", NODE, "kube-node-lease")


def test_who_may_not_look_fails_at_once_and_a_check_only_warns(asked, watched_kube, call, warned):
    arguments = {**asked, **watched_kube.params(watched_kube.nobody), "timeout": 180}
    refused = call(cluster_ready, arguments)
    assert refused["failed"] and "HTTP 403 Forbidden: nodes is forbidden" in refused["msg"]
    assert ". Next: site.yml gives this client its rights" in refused["msg"]
    assert call(cluster_ready, arguments, check=True)["missing"] == ["nothing could be read"] and len(warned) == 1
