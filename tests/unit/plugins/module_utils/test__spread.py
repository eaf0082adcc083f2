# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of when a pod has to move, for every way in which two or three pods can lie on three hosts of up to three zones."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _kube_objects, _spread

CONTROL_PLANE = {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}
GPU = {"key": "gpu", "effect": "NoSchedule"}


def nodes(zones, closed=()):
    """Return n0, n1… of these zones, of which the closed take no pods."""
    return [_spread.Node(f"n{number}", zone.strip(), number not in closed) for number, zone in enumerate(zones)]


def pods(*places, **more):
    return [_spread.Pod(f"p{number}", f"n{place}", True, **more) for number, place in enumerate(places)]


@pytest.mark.parametrize("zones", ["aaa", "aab", "abc", "   "])
@pytest.mark.parametrize("count", [2, 3])
def test_one_moves_exactly_when_a_single_loss_would_take_all_and_need_not(zones, count):
    """Held against a definition of its own, with every set of nodes closed: lose each zone in turn, or each host of one zone."""
    for places in itertools.product(range(3), repeat=count):
        for closed in itertools.chain.from_iterable(itertools.combinations(range(3), size) for size in range(4)):
            concerned = {n for n in range(3) if n not in closed or n in places}
            kinds = {zones[n] for n in concerned}
            lost = [{n for n in concerned if zones[n] == zone} for zone in kinds] if len(kinds) > 1 else [{n} for n in concerned]
            fatal = [one for one in lost if set(places) <= one]
            able = fatal and {n for n in concerned if n not in closed} - fatal[0]
            verdict = _spread.judge(pods(*places), nodes(zones, closed))
            assert verdict.move == (f"p{count - 1}" if able else ""), (places, closed)
            assert verdict.takers == ", ".join(f"n{n}" for n in sorted(able or ())), (places, closed)


@pytest.mark.parametrize(
    "made, on, said",
    [
        (nodes("ab"), (0,), "1 of its pods run, and there is nothing to spread"),
        (nodes("ab"), (0, 1), "2 pods in 2 zones"),
        (nodes("aa"), (0, 1), "2 pods in 2 hosts"),
        (nodes("ab"), (0, 0), "all 2 pods are in zone a, and n1 could take one"),
        (nodes("aa"), (1, 1), "all 2 pods are on n1, and n0 could take one"),
        (nodes("a"), (0, 0), "all 2 pods are on n0, and no node elsewhere takes one"),
        (nodes("ab", closed={1}), (0, 0), "all 2 pods are on n0, and no node elsewhere takes one"),
        (nodes("aab", closed={0, 1}), (0, 1), "all 2 pods are in zone a, and n2 could take one"),
    ],
)
def test_how_they_lie_is_told(made, on, said):
    assert _spread.judge(pods(*on), made).reason == said


def test_what_was_moved_in_vain_is_left_until_other_nodes_could_take_it():
    verdict = _spread.judge(pods(0, 0, tried="n1"), nodes("ab"))
    assert (verdict.move, verdict.takers) == ("", "")
    assert verdict.reason == "all 2 pods are in zone a: n1 could take one, but the scheduler has put it back, so it is left there"
    assert _spread.judge(pods(0, 0, tried="n1"), nodes("abc")).move == "p1"


def test_who_is_not_ready_is_waited_for_first():
    waiting = [_spread.Pod("p0", "n0", False), _spread.Pod("p1", "n0", True)]
    assert _spread.judge(waiting, nodes("ab")).unready == ("p0",)


def test_a_pod_without_a_node_is_in_another_place_than_those_that_have_one():
    assert _spread.judge([_spread.Pod("p0", "n0", True), _spread.Pod("p1", "", False)], nodes("ab")).move == ""


@pytest.mark.parametrize(
    "spec, ready, takes",
    [
        ({}, "True", True),
        ({}, "False", False),
        ({}, "Unknown", False),
        ({"unschedulable": True}, "True", False),
        ({"taints": [CONTROL_PLANE]}, "True", True),
        ({"taints": [GPU]}, "True", False),
        ({"taints": [CONTROL_PLANE, {**GPU, "effect": "NoExecute"}]}, "True", False),
        ({"taints": [{**GPU, "effect": "PreferNoSchedule"}]}, "True", False),
        ({"taints": [{**GPU, "effect": ""}]}, "True", True),
    ],
)
def test_which_nodes_take_pods(spec, ready, takes):
    status = {"conditions": [{"type": "Ready", "status": ready}]}
    summary = _kube_objects.node_summary({"metadata": {"name": "n"}, "spec": spec, "status": status})
    assert _spread.takes_pods(summary, (CONTROL_PLANE["key"],)) is takes


@pytest.mark.parametrize(
    "metadata, phase, over",
    [
        ({}, "Running", False),
        ({}, "Pending", False),
        ({"deletionTimestamp": "2026-01-01T00:00:00Z"}, "Running", True),
        ({}, "Failed", True),
        ({}, "Succeeded", True),
    ],
)
def test_what_ends_or_has_ended_is_no_pod(metadata, phase, over):
    made = {"metadata": {"name": "p", "uid": "u", **metadata}, "status": {"phase": phase}}
    assert _kube_objects.pod_summary(made)["over"] is over
