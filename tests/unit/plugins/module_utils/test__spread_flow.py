# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of moving one pod, and of what comes in between, on a played API whose scheduler starts an evicted pod anew."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _kube
from ansible_collections.multimaster.kubernetes.plugins.module_utils._kube import KubeError
from ansible_collections.multimaster.kubernetes.plugins.module_utils._spread_flow import SpreadFlow
from fake_kube import PODS, TwoZones

BUDGET = (429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.")
FORBIDDEN = (403, "Forbidden", 'User "admin" cannot create resource "pods/eviction"')


@pytest.fixture
def fake(monkeypatch):
    monkeypatch.setattr(_kube, "PAUSE", 0.01)
    return TwoZones()


def spread(fake, timeout=0):
    return SpreadFlow(_kube.Kube("https://m1:6443", fake), "kube-system", {"k8s-app": "kube-dns"}, (), timeout).spread()


BACK = "all 2 pods are in zone a, and n2 could take one"


def test_one_moves_and_then_there_is_nothing_to_do(fake):
    assert spread(fake) == ("p2", f"{BACK}: pod p2 was evicted; 2 pods in 2 zones")
    assert spread(fake) == ("", "2 pods in 2 zones")


def test_a_pod_that_the_scheduler_puts_back_is_moved_once(fake):
    fake.lands = "n1"
    assert spread(fake) == ("p2", f"{BACK}: pod p2 was evicted; {BACK}")
    moved, said = spread(fake)
    assert not moved and "but the scheduler has put it back, so it is left there" in said
    fake.node("n3", "c")
    fake.lands = "n3"
    moved, said = spread(fake)
    assert moved and said.endswith("was evicted; 2 pods in 2 zones")


def test_an_eviction_whose_answer_is_lost_is_one(fake):
    fake.lost = True
    assert spread(fake, timeout=5) == ("p2", f"{BACK}: pod p2 was evicted; 2 pods in 2 zones")


def test_a_pod_that_went_by_itself_is_as_good_as_evicted(fake):
    fake.evictions[PODS + "p2"] = [(404, "NotFound", "gone")]
    assert spread(fake)[0] == "p2"


def test_a_budget_is_waited_for(fake):
    fake.evictions[PODS + "p2"] = [BUDGET]
    assert spread(fake, timeout=5)[0] == "p2"


@pytest.mark.parametrize(
    "happens, said",
    [
        (lambda fake: fake.pod("p1", "n1", ready="False"), "not Ready: p1"),
        (lambda fake: fake.evictions.update({PODS + "p2": [BUDGET]}), "disruption budget"),
        (lambda fake: fake.evictions.update({PODS + "p2": [FORBIDDEN]}), "cannot create resource"),
    ],
    ids=["another is not Ready", "a budget allows none", "it is forbidden"],
)
def test_what_keeps_it_from_moving_is_told_and_none_is_gone(fake, happens, said):
    happens(fake)
    with pytest.raises(KubeError, match=said):
        spread(fake)
    assert {PODS + "p1", PODS + "p2"} <= set(fake.objects)


def test_a_new_pod_that_does_not_come_up_is_told(fake):
    fake.well = "False"
    with pytest.raises(KubeError, match="asked for a pod in the place of p2: not within 0 s: 1 of 2 pods are Ready"):
        spread(fake)
