# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Groups, names, networks, zones and the number of members, as settings and inventory say them together."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _preflight, _request, _topology
from cluster_fixtures import inventory, living, member, settings
from preflight_fixtures import NAMES, bare, found, judge

# Inventory


def test_no_master_is_an_error_and_the_misspelt_group_is_named():
    listed = _topology.Inventory((), ("w1",), (), (), ("kube_controlplane", "kube_node"))
    findings = judge(listed, bare("w1"))
    assert found(findings) == found(findings, "error") == [("", "inventory-group"), ("", "inventory-no-master")]
    assert "kube_control_plane" in findings[0].fix


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("kube-node", True),
        ("kube_nodes", True),
        ("KUBE_NODE", True),
        ("etcd_hosts", True),
        ("etcds", True),
        ("Etcd-servers", True),
        ("k8s_cluster", False),
        ("loadbalancers", False),
        ("kube_control_planes", False),
    ],
)
def test_a_group_like_one_that_is_missing_is_found(group, expected):
    listed = _topology.Inventory(("m1",), (), (), inventory(["m1"]).hosts, ("kube_control_plane", group))
    assert (found(judge(listed, bare("m1"))) == [("", "inventory-group")]) is expected


def test_a_group_like_etcd_beside_a_group_etcd_is_another_thing():
    hosts = inventory(["m1"], ["w1"], etcd=["e1"])
    listed = dataclasses.replace(hosts, groups=("kube_control_plane", "kube_node", "etcd", "etcd_clients"))
    assert judge(listed, bare("m1", "w1", "e1")) == ()


def test_an_inventory_name_that_is_a_pattern_is_found():
    listed = _topology.Inventory(("m1", "m2,x"), (), (), inventory(["m1"]).hosts)
    assert ("m2,x", "inventory-name") in found(judge(listed, bare("m1")), "error")


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        *[(name, True) for name in ("m2:x", "m2;x", "m2&x", "!m2", "m*", "m?", "m[2", "m2]", "~m2", "m 2", "m2\t")],
        *[(name, False) for name in ("m-2", "m_2", "M2.example.org", "192.0.2.12")],
    ],
)
def test_an_inventory_name_stands_for_itself_in_a_pattern(name, bad):
    listed = _topology.Inventory(("m1", name), (), (), inventory(["m1"]).hosts)
    findings = [finding for finding in judge(listed, bare("m1")) if finding.check == "inventory-name"]
    assert found(findings) == found(findings, "error") == ([(name, "inventory-name")] if bad else [])


# Networks


@pytest.mark.parametrize(
    "more",
    [
        {"pod_cidr": "10.96.0.0/12"},
        {"pod_cidr": "192.0.0.0/16"},
        {"service_cidr": "192.0.2.0/26"},
        {"service_cidr": "10.244.128.0/20"},
        {"pod_cidr": "192.0.2.128/25"},
        {"service_cidr": "192.0.2.128/26"},
    ],
)
def test_overlapping_networks_are_found(more):
    findings = judge(inventory(["m1"]), bare("m1"), **more)
    assert ("", "network-overlap") in found(findings, "error")


def test_a_network_over_that_of_all_nodes_is_told_once():
    findings = judge(inventory(NAMES), bare(*NAMES), service_cidr="192.0.2.0/26", endpoint_address="192.0.2.200")
    assert [finding.found for finding in findings] == [
        "multimaster_service_cidr 192.0.2.0/26 overlaps the nodes' network 192.0.2.0/24"
    ]


def test_an_endpoint_address_inside_the_service_network_is_found():
    findings = judge(inventory(["m1"]), bare("m1"), endpoint_address="10.96.0.10", endpoint_mode="external")
    assert found(findings, "error") == [("", "network-overlap")]


def test_a_host_without_a_subnet_is_compared_by_its_address():
    listed = inventory(["m1"], m1={"node_address": "10.244.3.4"})
    assert ("", "network-overlap") in found(judge(listed, {}), "error")


@pytest.mark.parametrize(("prefix", "expected"), [(22, []), (23, [("", "network-size")]), (26, [("", "network-size")])])
def test_the_pod_network_has_room_for_every_node(prefix, expected):
    findings = judge(inventory(NAMES), bare(*NAMES), pod_cidr=f"10.200.0.0/{prefix}")
    assert found(findings) == found(findings, "error") == expected


@pytest.mark.parametrize(
    ("prefix", "workers", "etcd", "said"),
    [
        (24, [], [], []),
        (24, ["m1"], [], []),
        (24, [], ["e1"], []),
        (23, ["w1"], [], []),
        (24, ["w1"], [], ["room for 1 nodes of 2"]),
        (23, ["w1", "w2"], [], ["room for 2 nodes of 3"]),
        (25, [], [], ["room for 0 nodes of 1"]),
    ],
)
def test_each_node_counts_once_and_an_etcd_host_is_none(prefix, workers, etcd, said):
    listed = inventory(["m1"], workers, etcd)
    findings = judge(listed, bare(*listed.names), pod_cidr=f"10.200.0.0/{prefix}")
    assert [finding.found for finding in findings] == [f"multimaster_pod_cidr 10.200.0.0/{prefix} has {one}" for one in said]


@pytest.mark.parametrize(("prefix", "good"), [(11, False), (12, True), (28, True), (29, False)])
def test_the_service_network_is_of_a_size_the_api_server_takes(prefix, good):
    findings = judge(inventory(["m1"]), bare("m1"), service_cidr=f"10.96.0.0/{prefix}", pod_cidr="172.16.0.0/16")
    assert found(findings) == found(findings, "error") == ([] if good else [("", "network-size")])


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


@pytest.mark.parametrize(("zone", "level"), [("c", "error"), ("b", "warning"), ("", "warning")])
def test_voters_could_be_placed_in_a_zone_that_has_only_a_worker(zone, level):
    listed = inventory(NAMES, ["w1"], zones={"m1": "a", "m2": "a", "m3": "b", "w1": zone})
    findings = judge(listed, bare(*NAMES, "w1"))
    assert [(finding.check, finding.level) for finding in findings] == [("zone-quorum", level)]


@pytest.mark.parametrize(
    ("spread", "wanted", "fix"),
    [
        ("aaabc", "at most 2 voters in a zone", "Spread them over a, b, c, or set multimaster_allow_lost_zone: true."),
        ("aab", "at most 1 voters in a zone", "It takes three voters in three zones to survive the loss of any one."),
        ("a", "voters in three zones", "It takes three voters in three zones to survive the loss of any one."),
    ],
)
def test_the_remedy_for_a_lost_zone_is_one_that_there_is(spread, wanted, fix):
    assert [(finding.wanted, finding.fix) for finding in zoned(spread)] == [(wanted, fix)]


def test_the_lost_zone_is_named_with_its_voters():
    (finding,) = zoned("aaabc")
    assert finding.check == "zone-quorum"
    assert "zone a holds 3 of 5 voters (m1, m2, m3)" in finding.found


def test_a_lost_zone_may_be_allowed():
    assert [finding.level for finding in zoned("aab", "abc", allow_lost_zone=True)] == ["warning"]


def removal(spread, leave, silent=(), sick=(), worker="a", **more):
    """Judge the zones of a living cluster, spread as in `zoned`, that some masters leave; dead hosts or members too."""
    names = [f"m{number + 1}" for number in range(len(spread))]
    members = [member(name) for name in names]
    observed = {name: living(name, members, name in names) for name in (*names, "w1") if name not in silent}
    for name in sick:
        observed[name]["etcd"].update(unit="failed", status=None)
    listed = inventory(names, ["w1"], zones=dict(zip(names, spread), w1=worker))
    made, request = settings(**more), _request.Request(_request.REMOVE, leave)
    topology = _topology.build(made, listed, observed, True, request=request)
    view = _preflight.View(made, listed.without(leave), observed, topology, True)
    return [finding for finding in _preflight.judge(view) if finding.check == "zone-quorum"]


@pytest.mark.parametrize(
    ("spread", "leave", "more", "levels"),
    [
        ("aabbc", ("m3", "m4"), {}, ["error"]),  # nobody would be left in b, others could leave
        ("aabbc", ("m3", "m4"), {"worker": "b"}, ["error"]),
        ("aabbc", ("m3", "m4"), {"zones": ["a", "b", "c"]}, ["error"]),
        ("aabbc", ("m3", "m4"), {"allow_lost_zone": True}, ["warning"]),
        ("aabbc", ("m3", "m4"), {"zones": ["a", "b", "c"], "allow_lost_zone": True}, ["warning"]),
        ("aabbc", ("m3", "m4"), {"silent": ["m3", "m4"]}, ["warning"]),  # they are out already
        ("aabbc", ("m3", "m4"), {"sick": ["m3", "m4"]}, ["warning"]),
        ("aabbc", ("m3", "m4"), {"silent": ["m3"]}, ["error"]),
        ("aabbc", ("m5",), {}, ["error"]),
        ("aabbc", ("m1", "m3"), {}, []),
        ("aabbc", ("m1",), {}, []),
        ("abc", ("m3",), {}, ["warning"]),  # one voter, wherever it is
        ("aab", ("m3",), {}, ["warning"]),
        ("aabbb", ("m1", "m2"), {}, ["warning"]),  # two zones never survive
    ],
)
def test_a_removal_that_makes_the_loss_of_a_zone_fatal_is_refused_unless_it_is_allowed(spread, leave, more, levels):
    assert [finding.level for finding in removal(spread, leave, **more)] == levels


@pytest.mark.parametrize(
    ("leave", "fix"),
    [
        (("m3", "m4"), "Let m3 or m4 stay, or set multimaster_allow_lost_zone: true."),
        (("m5",), "Let m5 stay, or set multimaster_allow_lost_zone: true."),
    ],
)
def test_a_removal_that_is_refused_for_a_zone_says_who_is_to_stay(leave, fix):
    (finding,) = removal("aabbc", leave)
    assert (finding.found.split(";")[0], finding.fix) == ("zone a holds 2 of 3 voters (m1, m2)", fix)


def test_a_zone_that_is_not_listed_is_an_error_with_the_nearest():
    findings = zoned(["zone-1", "zone-2", "zone3"], ["zone-1", "zone-2", "zone-3"])
    assert found(findings, "error") == [("m3", "zone-unknown")]
    assert findings[0].fix == "Did you mean zone-3?"


def test_a_host_without_a_zone_is_an_error_when_zones_are_listed():
    findings = judge(inventory(["m1"]), bare("m1"), zones=["a"])
    assert found(findings, "error") == [("m1", "zone-unknown")]


@pytest.mark.parametrize(("zone", "said"), [("", "no zone"), ("d", "zone 'd'")])
def test_the_zone_that_is_not_listed_is_told_with_the_setting_where_none_is_near(zone, said):
    listed = inventory(NAMES, ["w1"], zones={"m1": "a", "m2": "b", "m3": "c", "w1": zone})
    (finding,) = judge(listed, bare(*NAMES, "w1"), zones=["a", "b", "c"])
    assert (finding.host, finding.check, finding.found) == ("w1", "zone-unknown", said)
    assert finding.fix == "Set multimaster_zone of the host, or add the zone to multimaster_zones."


def test_a_master_without_a_zone_among_masters_with_one_is_a_warning():
    findings = judge(inventory(NAMES, zones={"m1": "a", "m2": "b"}), bare(*NAMES))
    assert [(finding.host, finding.check, finding.level) for finding in findings] == [("m3", "zone-missing", "warning")]


@pytest.mark.parametrize(
    ("listed", "zones", "expected"),
    [
        (inventory(NAMES, ["w1"], zones={"m1": "a", "m2": "b", "m3": "c"}), [], []),
        (inventory(NAMES, ["w1"], zones={"w1": "a"}), [], []),
        (inventory(["m1"], etcd=["e1", "e2", "e3"], zones={"e1": "a", "e2": "b", "e3": "c"}), [], [("m1", "zone-missing")]),
        (inventory(["m1"], etcd=["e1", "e2", "e3"], zones={"m1": "a", "e1": "b", "e2": "c"}), [], [("e3", "zone-missing")]),
        (inventory(NAMES, zones={"m1": "a", "m2": "b"}), ["a", "b", "c"], [("m3", "zone-unknown")]),
    ],
)
def test_a_zone_is_missing_on_masters_and_members_only_and_told_once(listed, zones, expected):
    assert found(judge(listed, bare(*listed.names), zones=zones)) == expected


@pytest.mark.parametrize(("count", "expected"), [(1, 0), (2, 1), (3, 0), (4, 1), (5, 0)])
def test_an_even_number_of_members_is_a_warning(count, expected):
    names = [f"m{number + 1}" for number in range(count)]
    findings = judge(inventory(names), bare(*names))
    assert found(findings) == [("", "members-even")] * expected
    assert found(judge(inventory(names), bare(*names), even_voters=True)) == [("", "members-even")] * expected


@pytest.mark.parametrize(
    ("count", "even", "said", "fix"),
    [
        (2, False, "2 etcd members: 1 vote, 1 stands by as a learner", "with a third master the cluster survives any one loss."),
        (4, False, "4 etcd members: 3 vote, 1 stands by as a learner", "nothing is wrong with the standby."),
        (4, True, "4 voters, as multimaster_even_voters asks", "4 voters survive no more failures than 3, and more can fail."),
    ],
)
def test_what_becomes_of_an_even_number_of_members_is_told(count, even, said, fix):
    names = [f"m{number + 1}" for number in range(count)]
    (finding,) = judge(inventory(names), bare(*names), even_voters=even)
    assert (finding.level, finding.found) == ("warning", said)
    assert finding.fix.endswith(fix)


def test_with_etcd_on_hosts_of_its_own_it_is_they_that_are_said_to_be_missing():
    listed = inventory(["m1"], etcd=["e1", "e2"], zones={"e1": "a"})
    told = {one.check: (one.wanted, one.fix) for one in judge(listed, bare(*listed.names))}
    assert told["members-even"][1].endswith("with a third etcd member the cluster survives any one loss.")
    assert told["zone-missing"][0] == "a zone on every master and etcd member"


def test_a_file_of_tasks_that_cannot_be_used_is_an_error_with_its_setting():
    made, listed, observed = settings(), inventory(["m1"]), bare("m1")
    topology = _topology.build(made, listed, observed, False, nonce="5eed")
    wrong = {"multimaster_after_host": "/x/a.yml is no file", "multimaster_before_host": "/x/b.yml is a playbook"}
    findings = _preflight.judge(_preflight.View(made, listed, observed, topology, hooks=wrong))
    assert found(findings, "error") == [("", "hook-unusable")] * 2
    assert [one.found for one in findings] == [f"{setting}: {said}" for setting, said in sorted(wrong.items())]
    assert "multimaster_before_host" in findings[1].fix
