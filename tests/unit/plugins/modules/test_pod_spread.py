# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that one pod moves behind its budget and is waited for, on a played API whose scheduler puts a new one elsewhere."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _kube
from ansible_collections.multimaster.kubernetes.plugins.modules import pod_spread
from fake_kube import FakeKube

PODS = "/api/v1/namespaces/kube-system/pods/"
ASKED = {"labels": {"k8s-app": "kube-dns"}, "timeout": 0}
BUDGET = (429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.")


class Cluster(FakeKube):
    """Two nodes, and a scheduler that starts an evicted pod anew on `lands`, Ready or not."""

    lands, well = "n2", "True"

    def node(self, name, zone):
        labels = {"topology.kubernetes.io/zone": zone}
        self.objects["/api/v1/nodes/" + name] = {
            "metadata": {"name": name, "labels": labels},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        }

    def pod(self, name, on, ready="True"):
        self.objects[PODS + name] = {
            "metadata": {"name": name, "namespace": "kube-system", "uid": f"uid-{name}"},
            "spec": {"nodeName": on},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
        }

    def _evict(self, path):
        answer = super()._evict(path)
        if answer.status == 201:
            self.pod("new", self.lands, self.well)
        return answer


@pytest.fixture
def fake(monkeypatch, world):
    made = Cluster()
    world.watch(made.picture)
    monkeypatch.setattr(_kube, "https_opener", lambda *_args: made)
    made.node("n1", "a")
    made.node("n2", "b")
    made.pod("p1", "n1")
    made.pod("p2", "n1")
    return made


def test_a_check_foresees_the_move_and_the_second_run_finds_nothing_to_do(fake, check_run_again):
    checked, done, again = check_run_again(pod_spread, ASKED)
    assert checked["evicted"] == done["evicted"] == "p2" and checked["diff"] == done["diff"] == {
        "before": "pod p2\n",
        "after": "",
    }
    assert checked["reason"] == "all 2 pods are in zone a, and zone b could take one: pod p2 is evicted"
    assert done["reason"] == "all 2 pods are in zone a, and zone b could take one: pod p2 was evicted; 2 pods in 2 zones"
    assert (again["reason"], again["evicted"]) == ("2 pods in 2 zones", "")


def test_where_the_scheduler_puts_it_is_told(fake, call):
    fake.lands = "n1"
    assert call(pod_spread, ASKED)["reason"].endswith("pod p2 was evicted; all 2 pods are in zone a, and zone b could take one")


def test_a_pod_that_is_not_ready_is_waited_for_before_the_other_goes(fake, call):
    fake.pod("p1", "n1", ready="False")
    result = call(pod_spread, ASKED)
    assert result["failed"] and "not Ready: p1" in result["msg"] and "Next: `kubectl get pods -o wide`" in result["msg"]
    assert PODS + "p2" in fake.objects


def test_a_new_pod_that_does_not_come_up_is_told(fake, call):
    fake.well = "False"
    said = call(pod_spread, ASKED)["msg"]
    assert "asked for a pod in the place of p2: not within 0 s: 1 of 2 pods are Ready" in said


def test_a_budget_is_waited_for(fake, call, monkeypatch):
    monkeypatch.setattr(_kube, "PAUSE", 0.01)
    fake.evictions[PODS + "p2"] = [BUDGET]
    assert call(pod_spread, {**ASKED, "timeout": 5})["evicted"] == "p2"
    fake.pod("p3", "n2")
    fake.lands = "n2"
    del fake.objects[PODS + "p1"]
    fake.evictions[PODS + "p3"] = [BUDGET]
    result = call(pod_spread, ASKED)
    assert result["failed"] and "disruption budget" in result["msg"]


def test_what_no_patience_helps_against_is_told(fake, call):
    fake.evictions[PODS + "p2"] = [(403, "Forbidden", 'User "admin" cannot create resource "pods/eviction"')]
    result = call(pod_spread, {**ASKED, "timeout": 60})
    assert result["failed"] and "cannot create resource" in result["msg"]


def test_a_pod_that_went_by_itself_is_as_good_as_evicted(fake, call):
    fake.evictions[PODS + "p2"] = [(404, "NotFound", "gone")]
    assert call(pod_spread, ASKED)["changed"]


def test_a_check_before_there_is_an_api_goes_on(fake, call):
    fake.down = 99
    result = call(pod_spread, ASKED, check=True)
    assert not result["changed"] and not result.get("failed") and result["reason"] == "nothing could be read"
    assert call(pod_spread, ASKED)["failed"]
