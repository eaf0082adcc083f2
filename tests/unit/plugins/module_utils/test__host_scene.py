# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _host_scene
from ansible_collections.multimaster.kubernetes.plugins.module_utils._endpoint import MasterState
from cluster_fixtures import fresh, living, member

UNSEEN = [
    pytest.param(None, id="not reached"),
    pytest.param({}, id="nothing seen"),
    pytest.param({"units": None, "endpoint_address": None}, id="parts that could not be read"),
    pytest.param({"units": {}, "endpoint_address": {}}, id="parts without content"),
    pytest.param(fresh("m1"), id="a bare host"),
]


def units(**states):
    return {"units": {name.replace("_", "-"): state for name, state in states.items()}}


@pytest.mark.parametrize("observation", UNSEEN)
def test_what_was_not_seen_counts_as_no(observation):
    assert _host_scene.serves(observation) is False
    assert _host_scene.holds(observation) is False
    assert _host_scene.has_api_server(observation) is False
    assert _host_scene.takes_part(observation) is False
    assert _host_scene.lone_holder(observation) is False
    assert _host_scene.part("m1", observation) == MasterState("m1", reachable=bool(observation))


@pytest.mark.parametrize(
    ("state", "serving"),
    [("active", True), ("activating", False), ("reloading", False), ("inactive", False), ("failed", False), ("", False)],
)
def test_an_api_server_serves_while_its_unit_is_active(state, serving):
    assert _host_scene.serves(units(kube_apiserver=state)) is serving


@pytest.mark.parametrize("other", ["kubelet", "etcd", "haproxy", "keepalived"])
def test_another_unit_that_is_active_makes_no_api_server(other):
    assert _host_scene.serves(units(**{other: "active"}, kube_apiserver="failed")) is False


def test_a_master_whose_api_server_was_stopped_does_not_serve():
    seen = living("m1", [member("m1")])
    assert _host_scene.serves(seen)
    seen["units"]["kube-apiserver"] = "inactive"
    assert not _host_scene.serves(seen)


@pytest.mark.parametrize(("held", "holding"), [([], False), (["eth0"], True), (["lo"], True), (["lo", "eth0"], True)])
def test_the_address_is_held_on_whatever_interface_it_is(held, holding):
    seen = fresh("m1", endpoint_address={"held_on": held})
    assert _host_scene.holds(seen) is holding
    assert _host_scene.part("m1", seen).holds == tuple(held)


@pytest.mark.parametrize(
    ("states", "balancer", "vrrp"),
    [
        ({"haproxy": "active", "keepalived": "active"}, True, True),
        ({"haproxy": "active", "keepalived": "failed"}, True, False),
        ({"haproxy": "inactive", "keepalived": "active"}, False, True),
        ({"haproxy": "activating", "keepalived": "activating"}, False, False),
        ({"keepalived": "active"}, False, True),
        ({"kube_apiserver": "active"}, False, False),
    ],
)
def test_the_part_in_the_endpoint_is_what_runs_of_it(states, balancer, vrrp):
    assert _host_scene.part("m1", units(**states)) == MasterState("m1", balancer=balancer, vrrp=vrrp)


@pytest.mark.parametrize(
    ("states", "held", "taking", "alone"),
    [
        ({"kube_apiserver": "active", "keepalived": "active"}, [], True, False),
        ({"kube_apiserver": "failed", "keepalived": "active"}, ["eth0"], True, False),
        ({"kube_apiserver": "active", "multimaster_endpoint": "active"}, ["eth0"], True, True),
        ({"kube_apiserver": "active", "multimaster_endpoint": "failed"}, ["eth0"], True, False),
        ({"kube_apiserver": "active", "multimaster_endpoint": "active"}, [], False, False),
        ({"kube_apiserver": "active", "keepalived": "failed"}, [], False, False),
        ({"kube_apiserver": "not-found", "keepalived": "active"}, [], False, False),  # as the package starts it
    ],
)
def test_a_master_takes_part_in_the_endpoint_by_vrrp_or_alone(states, held, taking, alone):
    seen = {**units(**states), "endpoint_address": {"held_on": held}}
    assert (_host_scene.takes_part(seen), _host_scene.lone_holder(seen)) == (taking, alone)
