# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of when a pod has to move, for every way in which two or three pods can lie on hosts of up to three zones."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _spread

CONTROL_PLANE = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
OTHERS = {"key": "gpu", "effect": "NoSchedule"}


def node(name, zone="", ready="True", cordoned=False, taints=()):
    labels = {"topology.kubernetes.io/zone": zone} if zone else {}
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": {"unschedulable": cordoned, "taints": list(taints)},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def pod(name, on, ready="True", ending=False, phase="Running"):
    metadata = {"name": name, "namespace": "kube-system", "uid": f"uid-{name}"}
    return {
        "metadata": {**metadata, **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if ending else {})},
        "spec": {"nodeName": on},
        "status": {"phase": phase, "conditions": [{"type": "Ready", "status": ready}]},
    }


def moves(pods, nodes):
    verdict = _spread.judge(pods, nodes)
    return verdict.pod and verdict.pod["metadata"]["name"]


@pytest.mark.parametrize("zones", ["aaa", "aab", "abc", "   "])
@pytest.mark.parametrize("pods", [2, 3])
def test_one_moves_exactly_when_a_single_loss_would_take_all_and_need_not(zones, pods):
    """Held against a definition of its own: lose each zone in turn, or each host where there is one zone."""
    hosts = {f"n{number}": zone.strip() for number, zone in enumerate(zones)}
    nodes = [node(name, zone) for name, zone in hosts.items()]
    lost_together = [{h for h in hosts if hosts[h] == zone} for zone in set(hosts.values())]
    if len(lost_together) == 1:
        lost_together = [{host} for host in hosts]
    for places in itertools.product(hosts, repeat=pods):
        fatal = any(set(places) <= lost for lost in lost_together)
        made = [pod(f"p{number}", host) for number, host in enumerate(places)]
        assert moves(made, nodes) == (f"p{pods - 1}" if fatal else None), places


@pytest.mark.parametrize(
    "other",
    [
        node("n2", "b", ready="False"), node("n2", "b", ready="Unknown"), node("n2", "b", cordoned=True),
        node("n2", "b", taints=[OTHERS]), node("n2", "b", taints=[CONTROL_PLANE, {**OTHERS, "effect": "NoExecute"}]),
    ],
    ids=["not ready", "silent", "cordoned", "tainted", "one taint of two is tolerated"],
)  # fmt: skip
def test_nothing_moves_to_where_no_pod_can_go(other):
    assert moves([pod("p1", "n1"), pod("p2", "n1")], [node("n1", "a"), other]) is None


@pytest.mark.parametrize("taint", [CONTROL_PLANE, {**OTHERS, "effect": "PreferNoSchedule"}])
def test_what_the_pods_tolerate_keeps_none_off(taint):
    assert moves([pod("p1", "n1"), pod("p2", "n1")], [node("n1", "a"), node("n2", "b", taints=[taint])]) == "p2"


def test_pods_on_hosts_that_take_no_more_still_count():
    cordoned = node("n1", "a", cordoned=True)
    assert moves([pod("p1", "n1"), pod("p2", "n1")], [cordoned, node("n2", "b"), node("n3", "c")]) == "p2"
    assert moves([pod("p1", "n1"), pod("p2", "n2")], [cordoned, node("n2", "b"), node("n3", "c")]) is None


@pytest.mark.parametrize("gone", [{"ending": True}, {"phase": "Failed"}, {"phase": "Succeeded"}])
def test_what_ends_or_is_over_is_no_pod(gone):
    nodes = [node("n1", "a"), node("n2", "b")]
    assert moves([pod("p1", "n1"), pod("p2", "n1"), pod("p3", "n2", **gone)], nodes) == "p2"
    assert moves([pod("p1", "n1"), pod("p3", "n1", **gone)], nodes) is None


def test_who_is_not_ready_is_waited_for_first():
    verdict = _spread.judge([pod("p1", "n1", ready="False"), pod("p2", "n1")], [node("n1", "a"), node("n2", "b")])
    assert verdict.unready == ("p1",) and not verdict.apart
    assert verdict.reason == "all 2 pods are in zone a, and zone b could take one"


def test_a_pod_without_a_place_is_in_another_than_those_that_have_one():
    assert moves([pod("p1", "n1"), pod("p2", "")], [node("n1", "a"), node("n2", "b")]) is None
