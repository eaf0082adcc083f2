# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what a cluster is waited for, and what is said of one that does not become whole, on a played API."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _kube
from ansible_collections.multimaster.kubernetes.plugins.modules import cluster_ready
from fake_kube import FakeKube

DNS = "/apis/apps/v1/namespaces/kube-system/deployments/coredns"


@pytest.fixture
def fake(monkeypatch):
    made = FakeKube()
    monkeypatch.setattr(_kube, "https_opener", lambda *_args: made)
    for name in ("w1", "m1"):
        made.objects["/api/v1/nodes/" + name] = node(name)
    made.objects[DNS] = {
        "metadata": {"name": "coredns", "generation": 1},
        "spec": {"replicas": 1},
        "kind": "Deployment",
        "status": {"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 1, "replicas": 1},
    }
    return made


def node(name, ready="True"):
    return {"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": ready, "message": "no CNI"}]}}


WHOLE = {"nodes": ["m1", "w1"], "deployments": ["coredns"], "timeout": 0}


def test_a_whole_cluster_is_told_and_changes_nothing(fake, call):
    for check in (True, False):
        result = call(cluster_ready, WHOLE, check=check)
        assert not result["changed"] and result["missing"] == []
        assert [one["name"] for one in result["nodes"]] == ["m1", "w1"]
    assert {method for method, *_rest in fake.asked} == {"GET"}


@pytest.mark.parametrize(
    ("path", "found", "said"),
    [
        ("/api/v1/nodes/w1", node("w1", "False"), "node w1 is not Ready: no CNI"),
        ("/api/v1/nodes/w1", None, "node w1 has not registered"),
        (DNS, None, "Deployment coredns: it does not exist"),
    ],
)
def test_what_is_missing_is_named_with_where_to_look_and_a_check_only_tells(fake, call, path, found, said):
    fake.objects[path] = found
    if found is None:
        del fake.objects[path]
    failed = call(cluster_ready, WHOLE)
    assert failed["failed"] and said in failed["msg"] and "Next: " in failed["msg"]
    assert "asked for the cluster to be whole: not within 0 s: " in failed["msg"] and "`journalctl -u kubelet" in failed["msg"]
    checked = call(cluster_ready, WHOLE, check=True)
    assert not checked.get("failed") and checked["missing"] == [said]


def test_a_kubelet_that_restarted_has_to_reach_the_api_first(fake, call):
    asked = {**WHOLE, "kubelets": [{"node": "w1", "began": 1767268800.0}]}
    failed = call(cluster_ready, asked)
    assert failed["failed"] and "node w1 is Ready by the word of the kubelet before" in failed["msg"]
    lease = {"metadata": {"name": "w1"}, "spec": {"renewTime": "2026-01-01T12:00:02.000000Z"}}
    fake.objects["/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/w1"] = lease
    assert call(cluster_ready, asked)["missing"] == []


def test_an_api_that_does_not_answer_is_no_whole_cluster(fake, call):
    fake.down = 99
    failed = call(cluster_ready, WHOLE)
    assert failed["failed"] and "connection refused" in failed["msg"] and failed["missing"]


LOCKED_OUT = [(401, "Unauthorized", "Unauthorized"), (403, "Forbidden", 'nodes is forbidden: User "operator" cannot list')]


@pytest.mark.parametrize("refusal", LOCKED_OUT, ids=["401", "403"])
def test_a_check_warns_where_the_run_gives_this_client_its_rights_first(fake, call, warned, refusal):
    fake.refusals = [refusal]
    checked = call(cluster_ready, {**WHOLE, "timeout": 180}, check=True)
    assert not checked.get("failed") and checked["missing"] == ["nothing could be read"]
    (said,) = warned
    assert f"does not let this client in (HTTP {refusal[0]} {refusal[1]})" in said and "Next: " in said
    fake.refusals = [refusal]
    assert call(cluster_ready, WHOLE)["failed"]


def test_a_check_never_fails(fake, call, warned):
    fake.refusals = [(422, "Invalid", "what is that")]
    assert not call(cluster_ready, WHOLE, check=True).get("failed")
    (said,) = warned
    assert said.startswith("the cluster was not looked at: ") and said.count("Next: ") == 1


def test_a_check_before_there_are_certificates_or_an_api(fake, call, warned, tmp_path, monkeypatch):
    fake.down = 99
    assert "connection refused" not in str(call(cluster_ready, {**WHOLE, "timeout": 180}, check=True).get("msg"))
    monkeypatch.undo()
    checked = call(cluster_ready, {**WHOLE, "timeout": 180, "ca": str(tmp_path / "none.crt")}, check=True)
    assert not checked.get("failed") and checked["missing"] == ["nothing could be read"] and not warned
