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
        "metadata": {"name": "coredns", "generation": 1}, "spec": {"replicas": 1}, "kind": "Deployment",
        "status": {"observedGeneration": 1, "updatedReplicas": 1, "availableReplicas": 1, "replicas": 1},
    }  # fmt: skip
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


def test_an_api_that_does_not_answer_is_no_whole_cluster(fake, call):
    fake.down = 99
    failed = call(cluster_ready, WHOLE)
    assert failed["failed"] and "connection refused" in failed["msg"] and failed["missing"]
