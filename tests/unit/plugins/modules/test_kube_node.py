# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the module from its arguments to its result, on a played API."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _kube, _node_flow
from ansible_collections.multimaster.kubernetes.plugins.modules import kube_node
from drain_fixtures import MARK, node, pod
from fake_kube import FakeKube

NODE, WEB = "/api/v1/nodes/w1", "/api/v1/namespaces/shop/pods/web"


@pytest.fixture
def fake(monkeypatch, world):
    made = FakeKube()
    world.watch(made.picture)
    made.objects = {NODE: node(), WEB: pod("web", owners=["ReplicaSet"])}
    monkeypatch.setattr(_kube, "https_opener", lambda *_args: made)
    monkeypatch.setattr(_node_flow, "PAUSE", 0)
    return made


def wanted(state, **more):
    return {"name": "w1", "state": state, **more}


def test_check_run_again(fake, check_run_again):
    checked, done, again = check_run_again(kube_node, wanted("drained", operation="op"))
    same = ("reason", "before", "after", "evicted", "left", "attached", "diff")
    assert [checked[key] for key in same] == [done[key] for key in same]
    assert done["evicted"] == [{"pod": "shop/web", "reason": "ReplicaSet o makes it again elsewhere"}]
    assert done["diff"] == {
        "before": "unschedulable: false\noperation: \npod: shop/web\n",
        "after": "unschedulable: true\noperation: op\n",
    }
    assert again["diff"]["before"] == again["diff"]["after"]


def test_the_way_back(fake, call, check_run_again):
    call(kube_node, wanted("drained"))
    assert fake.objects[NODE]["metadata"]["annotations"] == {MARK: "unnamed"}
    checked, done, _again = check_run_again(kube_node, wanted("ready"))
    assert checked["diff"] == done["diff"] and checked["reason"] == done["reason"]
    assert done["after"] == {"unschedulable": False, "operation": ""}


def test_the_end(fake, check_run_again):
    checked, done, again = check_run_again(kube_node, wanted("absent"))
    assert checked["diff"] == done["diff"] == {"before": "unschedulable: false\noperation: \n", "after": ""}
    assert again["reason"] == "there is no node w1"


def test_a_dead_host_of_another_name_is_forgotten_by_its_address(fake, check_run_again):
    """The inventory calls it rack7; its hostname, which is its node's name, is w1."""
    dead = {"node_dead": True, "missing_ok": True, "name": "rack7", "address": "192.0.2.21"}
    _checked, done, _again = check_run_again(kube_node, {**wanted("drained"), **dead})
    assert [one["pod"] for one in done["evicted"]] == ["shop/web"]
    checked, done, again = check_run_again(kube_node, {**wanted("absent"), **dead})
    assert checked["reason"] == done["reason"] == "the node w1 was known" and NODE not in fake.objects
    assert again["reason"] == "there is no node rack7, and none with the address 192.0.2.21"


@pytest.mark.parametrize(
    ("address", "left"),
    [
        ("", ["w2"]),
        ("192.0.2.99", ["w2"]),  # it is reached behind address translation, say
        ("192.0.2.21", ["w2"]),
        ("192.0.2.22", ["w1"]),  # the inventory calls it by another host's hostname
    ],
)
def test_whoever_has_the_address_is_meant_before_the_name(fake, call, address, left):
    fake.objects[NODE.replace("w1", "w2")] = node("w2", address="192.0.2.22")
    call(kube_node, wanted("absent", address=address))
    assert [path.rsplit("/", 1)[1] for path in fake.objects if "/nodes/" in path] == left


def test_of_two_nodes_with_one_address_neither_is_forgotten(fake, call):
    fake.objects[NODE.replace("w1", "w2")] = node("w2")
    result = call(kube_node, wanted("absent", address="192.0.2.21"))
    assert result["failed"] and not result["changed"]
    assert "192.0.2.21 is that of the nodes w1, w2, so which of them is meant is not known. Next: find" in result["msg"]


def test_a_failure_says_what_was_done_until_then(fake, call):
    fake.objects[WEB.replace("web", "zeb")] = pod("zeb", owners=["ReplicaSet"])
    fake.evictions[WEB.replace("web", "zeb")] = [(403, "Forbidden", "no")]
    result = call(kube_node, wanted("drained"))
    assert result["failed"] and result["changed"]
    assert result["msg"].startswith("w1 is not drained: ")
    assert result["msg"].endswith("Node w1 takes pods again")
    assert [one["pod"] for one in result["evicted"]] == ["shop/web"]


@pytest.mark.parametrize("options", [{}, {"take_over": True}])
def test_options_arrive(fake, call, options):
    fake.objects[NODE] = node(cordoned=True)
    assert bool(call(kube_node, wanted("drained", **options)).get("failed")) is not bool(options)


def test_a_refusal_of_the_api_server_is_the_message(fake, call):
    fake.refusals = [(403, "Forbidden", 'User "x" cannot get')]
    result = call(kube_node, wanted("drained"))
    assert 'HTTP 403 Forbidden: User "x" cannot get. Next: site.yml gives this client its rights' in result["msg"]
    assert (result["changed"], result["evicted"], result["left"]) == (False, [], [])
