# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that one pod moves behind its budget and is waited for, on a played API whose scheduler puts a new one elsewhere."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _kube
from ansible_collections.multimaster.kubernetes.plugins.modules import pod_spread
from fake_kube import TwoZones

ASKED = {"labels": {"k8s-app": "kube-dns"}, "timeout": 0}


@pytest.fixture
def fake(monkeypatch, world):
    made = TwoZones()
    world.watch(made.picture)
    monkeypatch.setattr(_kube, "https_opener", lambda *_args: made)
    return made


def test_a_check_foresees_the_move_and_the_second_run_finds_nothing_to_do(fake, check_run_again):
    checked, done, again = check_run_again(pod_spread, ASKED)
    assert checked["evicted"] == done["evicted"] == "p2" and checked["diff"] == done["diff"] == {
        "before": "pod p2\n",
        "after": "",
    }
    assert checked["reason"] == "all 2 pods are in zone a, and n2 could take one: pod p2 is evicted"
    assert done["reason"] == "all 2 pods are in zone a, and n2 could take one: pod p2 was evicted; 2 pods in 2 zones"
    assert (again["reason"], again["evicted"]) == ("2 pods in 2 zones", "")


def test_a_node_with_a_taint_that_is_not_tolerated_takes_none(fake, call):
    fake.objects["/api/v1/nodes/n2"]["spec"] = {"taints": [{"key": "gpu", "effect": "NoSchedule"}]}
    assert call(pod_spread, ASKED)["reason"] == "all 2 pods are on n1, and no node elsewhere takes one"
    assert call(pod_spread, {**ASKED, "tolerated": ["gpu"]})["evicted"] == "p2"


def test_a_check_before_there_is_an_api_goes_on(fake, call):
    fake.down = 99
    result = call(pod_spread, ASKED, check=True)
    assert not result["changed"] and not result.get("failed") and result["reason"] == "nothing could be read"
    assert call(pod_spread, ASKED)["failed"]
