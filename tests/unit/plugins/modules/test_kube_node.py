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
