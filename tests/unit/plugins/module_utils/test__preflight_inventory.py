# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups, names, networks, zones and the number of members, as settings and inventory say them together."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _preflight, _topology
from cluster_fixtures import inventory, settings
from preflight_fixtures import NAMES, bare, found, judge

# Inventory


def test_no_master_is_an_error_and_the_misspelt_group_is_named():
    listed = _topology.Inventory((), ("w1",), (), (), ("kube_controlplane", "kube_node"))
    findings = judge(listed, bare("w1"))
    assert found(findings, "error") == [("", "inventory-group"), ("", "inventory-no-master")]
    assert "kube_control_plane" in findings[0].fix


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("kube-node", True),
        ("kube_nodes", True),
        ("etcd_hosts", True),
        ("etcds", True),
        ("k8s_cluster", False),
        ("loadbalancers", False),
        ("kube_control_planes", False),
    ],
)
def test_a_group_like_one_that_is_missing_is_found(group, expected):
    listed = _topology.Inventory(("m1",), (), (), inventory(["m1"]).hosts, ("kube_control_plane", group))
    assert (found(judge(listed, bare("m1"))) == [("", "inventory-group")]) is expected


def test_an_inventory_name_that_is_a_pattern_is_found():
    listed = _topology.Inventory(("m1", "m2,x"), (), (), inventory(["m1"]).hosts)
    assert ("m2,x", "inventory-name") in found(judge(listed, bare("m1")), "error")


# Networks


@pytest.mark.parametrize(
    "more",
    [
        {"pod_cidr": "10.96.0.0/12"},
        {"pod_cidr": "192.0.0.0/16"},
        {"service_cidr": "192.0.2.0/26"},
        {"service_cidr": "10.244.128.0/20"},
    ],
)
def test_overlapping_networks_are_found(more):
    findings = judge(inventory(["m1"]), bare("m1"), **more)
    assert ("", "network-overlap") in found(findings, "error")


def test_an_endpoint_address_inside_the_service_network_is_found():
    findings = judge(inventory(["m1"]), bare("m1"), endpoint_address="10.96.0.10", endpoint_mode="external")
    assert found(findings, "error") == [("", "network-overlap")]


def test_a_host_without_a_subnet_is_compared_by_its_address():
    listed = inventory(["m1"], m1={"node_address": "10.244.3.4"})
    assert ("", "network-overlap") in found(judge(listed, {}), "error")


@pytest.mark.parametrize(("prefix", "expected"), [(22, []), (23, [("", "network-size")]), (26, [("", "network-size")])])
def test_the_pod_network_has_room_for_every_node(prefix, expected):
    assert found(judge(inventory(NAMES), bare(*NAMES), pod_cidr=f"10.200.0.0/{prefix}")) == expected


@pytest.mark.parametrize(("prefix", "good"), [(11, False), (12, True), (28, True), (29, False)])
def test_the_service_network_is_of_a_size_the_api_server_takes(prefix, good):
    findings = judge(inventory(["m1"]), bare("m1"), service_cidr=f"10.96.0.0/{prefix}", pod_cidr="172.16.0.0/16")
    assert (found(findings) == []) is good


# Zones


def zoned(spread, zones=(), **more):
    """Judge masters spread over zones; m1 is in the first letter's zone and so on."""
    names = [f"m{number + 1}" for number in range(len(spread))]
    listed = inventory(names, ["w1"], zones=dict(zip(names, spread), w1=spread[0]))
    return judge(listed, bare(*names, "w1"), zones=list(zones), **more)


@pytest.mark.parametrize(
    ("spread", "zones", "levels"),
    [
        ("abc", "", []),
        ("aabbc", "", []),
        ("aabc", "", ["warning"]),  # four masters: the standby is the one that costs nothing
        ("a", "", ["warning"]),
        ("aaa", "", ["warning"]),
        ("aab", "", ["warning"]),  # two zones never survive
        ("aab", "abc", ["error"]),  # a third zone is there
        ("aaabc", "", ["error"]),
        ("aabbb", "", ["warning"]),
    ],
)
def test_the_loss_of_a_zone_is_an_error_only_where_another_placement_survives(spread, zones, levels):
    findings = [finding for finding in zoned(spread, zones) if finding.check in ("zone-quorum", "members-even")]
    assert [finding.level for finding in findings] == levels


def test_the_lost_zone_is_named_with_its_voters():
    (finding,) = zoned("aaabc")
    assert finding.check == "zone-quorum"
    assert "zone a holds 3 of 5 voters (m1, m2, m3)" in finding.found


def test_a_lost_zone_may_be_allowed():
    assert [finding.level for finding in zoned("aab", "abc", allow_lost_zone=True)] == ["warning"]


def test_a_zone_that_is_not_listed_is_an_error_with_the_nearest():
    findings = zoned(["zone-1", "zone-2", "zone3"], ["zone-1", "zone-2", "zone-3"])
    assert found(findings, "error") == [("m3", "zone-unknown")]
    assert findings[0].fix == "Did you mean zone-3?"


def test_a_host_without_a_zone_is_an_error_when_zones_are_listed():
    findings = judge(inventory(["m1"]), bare("m1"), zones=["a"])
    assert found(findings, "error") == [("m1", "zone-unknown")]


def test_a_master_without_a_zone_among_masters_with_one_is_a_warning():
    findings = judge(inventory(NAMES, zones={"m1": "a", "m2": "b"}), bare(*NAMES))
    assert [(finding.host, finding.check, finding.level) for finding in findings] == [("m3", "zone-missing", "warning")]


@pytest.mark.parametrize(("count", "expected"), [(1, 0), (2, 1), (3, 0), (4, 1), (5, 0)])
def test_an_even_number_of_members_is_a_warning(count, expected):
    names = [f"m{number + 1}" for number in range(count)]
    findings = judge(inventory(names), bare(*names))
    assert found(findings) == [("", "members-even")] * expected
    assert found(judge(inventory(names), bare(*names), even_voters=True)) == [("", "members-even")] * expected


def test_a_file_of_tasks_that_cannot_be_used_is_an_error_with_its_setting():
    made, listed, observed = settings(), inventory(["m1"]), bare("m1")
    topology = _topology.build(made, listed, observed, False, nonce="5eed")
    wrong = {"multimaster_after_host": "/x/a.yml is no file", "multimaster_before_host": "/x/b.yml is a playbook"}
    findings = _preflight.judge(_preflight.View(made, listed, observed, topology, hooks=wrong))
    assert found(findings, "error") == [("", "hook-unusable")] * 2
    assert [one.found for one in findings] == [f"{setting}: {said}" for setting, said in sorted(wrong.items())]
    assert "multimaster_before_host" in findings[1].fix
