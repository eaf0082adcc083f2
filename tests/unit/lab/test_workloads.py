# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the guarded workload promises its users, and when it counts as settled."""

from __future__ import annotations

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))

import access
import workloads


class Cluster:
    """A cluster that answers what it was given, and remembers what was deleted."""

    workers = ["w1", "w2", "w3"]

    def __init__(self, pods=(), healthy=2):
        self.items, self.healthy, self.deleted, self.scaled = list(pods), healthy, [], []

    def get(self, path):
        if "/poddisruptionbudgets/" in path:
            return {"status": {"currentHealthy": self.healthy}}
        return {"items": self.items}

    def delete(self, path):
        self.deleted.append(path)

    def kubectl(self, *arguments):
        self.scaled.append(arguments[-2:])


def web(cluster=None):
    return workloads.GuardedWeb(cluster or Cluster(), "probe", "image:1")


def objects():
    return {item["kind"]: item for item in web().objects()}


def pod(node, ready=True, leaving=False):
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    metadata = {"name": f"web-{node}"} | ({"deletionTimestamp": "t"} if leaving else {})
    return {"metadata": metadata, "spec": {"nodeName": node}, "status": {"conditions": conditions}}


def test_the_budget_and_the_service_mean_the_pods_that_are_made():
    made = objects()
    labels = made["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert labels == made["Deployment"]["spec"]["selector"]["matchLabels"]
    assert labels == made["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]
    assert labels == made["Service"]["spec"]["selector"]


def test_one_pod_may_go_and_one_must_stay():
    made = objects()
    assert made["Deployment"]["spec"]["replicas"] == 2
    assert made["PodDisruptionBudget"]["spec"]["minAvailable"] == 1


def test_the_server_outlives_its_endpoint_and_the_grace_outlives_both():
    spec = objects()["Deployment"]["spec"]["template"]["spec"]
    leaving = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert 2 <= leaving < spec["terminationGracePeriodSeconds"]


def test_no_master_is_tolerated():
    assert objects()["Deployment"]["spec"]["template"]["spec"]["tolerations"] == []


def test_two_workers_that_serve_are_settled():
    assert web(Cluster([pod("w1"), pod("w3")])).settled()


@pytest.mark.parametrize(
    "pods,healthy",
    [
        pytest.param([], 0, id="none"),
        pytest.param([pod("w1")], 1, id="one"),
        pytest.param([pod("w1"), pod("w1")], 2, id="two on one worker"),
        pytest.param([pod("w1"), pod("w2", ready=False)], 2, id="one not ready"),
        pytest.param([pod("w1"), pod("w2", leaving=True)], 2, id="one about to end"),
        pytest.param([pod("w1"), pod("m1")], 2, id="one on a master"),
        pytest.param([pod("w1"), pod("w2")], 1, id="the budget knows of one only"),
    ],
)
def test_less_is_not_settled(pods, healthy):
    with pytest.raises(access.AccessError):
        web(Cluster(pods, healthy)).settled()


def test_after_a_drain_one_worker_will_do():
    assert web(Cluster([pod("w1"), pod("w1")])).settled(workers=1)


def test_a_pod_that_was_not_placed_yet_is_not_settled():
    waiting = {"metadata": {"name": "web-1"}, "spec": {}, "status": {}}
    with pytest.raises(access.AccessError):
        web(Cluster([pod("w1"), waiting], 1)).settled()


def test_everything_that_is_made_is_deleted_but_the_namespace():
    cluster = Cluster()
    web(cluster).remove()
    assert {path.rsplit("/", 2)[1] for path in cluster.deleted} == {"deployments", "poddisruptionbudgets", "services"}
    assert len(cluster.deleted) == len(web().objects()) - 1


def test_the_control_takes_the_workloads_pods_away_for_a_moment_and_nothing_else(monkeypatch):
    cluster, waited = Cluster(), []
    monkeypatch.setattr(workloads.time, "sleep", lambda seconds: waited.append((seconds, list(cluster.scaled))))
    web(cluster).kill()
    none, again = ("deployment/web", "--replicas=0"), ("deployment/web", "--replicas=2")
    assert (waited, cluster.scaled) == ([(workloads.AWAY_SECONDS, [none])], [none, again])
    assert cluster.deleted == ["/api/v1/namespaces/probe/pods?labelSelector=app%3Dweb"]
