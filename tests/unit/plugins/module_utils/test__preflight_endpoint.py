# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose the endpoint address may be, where it may lie, and who may hold it."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _ports, _preflight, _request, _topology
from cluster_fixtures import ENDPOINT, fresh, host, inventory, living, member, settings
from preflight_fixtures import NAMES, bare, found, judge, three, viewed


def test_the_endpoint_address_may_not_be_a_node_address():
    findings = judge(inventory(["m1"]), bare("m1"), endpoint_address="192.0.2.11")
    assert ("m1", "endpoint-is-host") in found(findings, "error")


@pytest.mark.parametrize("port", sorted({*_ports.NUMBERS} - {_ports.API}))
@pytest.mark.parametrize(("mode", "expected"), [("managed", [("", "endpoint-port")]), ("external", [])])
def test_the_api_answers_on_no_port_of_another_component(port, mode, expected):
    """Of one master without a worker too: what its API server shares no port with now it may come to share."""
    findings = judge(inventory(["m1"]), bare("m1"), endpoint_port=port, endpoint_mode=mode)
    assert found(findings) == found(findings, "error") == expected


@pytest.mark.parametrize(
    ("port", "level"),
    [(443, None), (6443, None), (8443, None), (29999, None), (30000, "warning"), (32767, "warning"), (32768, None)],
)
def test_the_api_answers_on_no_port_that_a_service_may_get(port, level):
    findings = judge(inventory(["m1"]), bare("m1"), endpoint_port=port)
    assert [(one.check, one.level) for one in findings] == ([("endpoint-port", level)] if level else [])


def on_port(port, masters=("m1",), etcd=(), built=True, newcomers=(), **changes):
    """Return the findings on the API's port of a cluster that was made with it; `newcomers` are masters that it has not yet."""
    members = [member(name) for name in etcd or masters]
    made = {"name": "prod", "endpoint": ENDPOINT, "endpoint_port": port, "endpoint_mode": "managed"}
    observed = bare(*masters, *etcd, *newcomers, "w1")
    if built:
        observed.update({name: living(name, members, cluster={**made, **changes}) for name in masters})
        observed.update({name: living(name, members, master=False, cluster={**made, **changes}) for name in etcd})
    listed = inventory([*masters, *newcomers], ["w1"], etcd)
    findings = judge(listed, observed, store=built, endpoint_port=port)
    assert not [one for one in findings if one.check == "cluster-changed"]
    return [one for one in findings if one.check == "endpoint-port"]


ETCD_ONLY, TWO = {"etcd": ("e1", "e2", "e3")}, {"masters": ("m1", "m2")}


@pytest.mark.parametrize(
    ("port", "cluster", "level"),
    [
        # nobody listens there on its master beside the API
        (6440, {}, "warning"),
        (2379, ETCD_ONLY, "warning"),
        (2381, ETCD_ONLY, "warning"),
        (6440, {**TWO, **ETCD_ONLY}, "error"),
        (6440, TWO, "error"),
        (6440, {"newcomers": ("m2",)}, "error"),
        (2379, {}, "error"),
        (2379, {"etcd": ("m1",)}, "error"),
        (10250, {}, "error"),
        (10250, ETCD_ONLY, "error"),
        (10257, ETCD_ONLY, "error"),
        # nothing hangs on it yet
        (6440, {"built": False}, "error"),
        (2379, {"built": False, **ETCD_ONLY}, "error"),
        # hosts of another cluster tell nothing of this one
        (6440, {"name": "staging"}, "error"),
    ],
)
def test_a_living_cluster_keeps_a_port_that_its_masters_share_with_nobody(port, cluster, level):
    (finding,) = on_port(port, **cluster)
    assert finding.level == level
    choose = "Choose another multimaster_endpoint_port" in finding.fix
    assert choose is (not cluster.get("built", True) or "name" in cluster), "what cluster-changed refuses is no way out"


def test_a_host_that_leaves_tells_that_the_cluster_is_built():
    view = viewed(inventory(["m1"]), bare("m1"))
    gone = dataclasses.replace(view.topology, leaving=(host("m2"),))
    observed = {**view.observed, "m2": living("m2", [member("m2")])}
    assert not view.built and dataclasses.replace(view, topology=gone, observed=observed).built


@pytest.mark.parametrize(("built", "levels"), [(False, ["warning"]), (True, [])])
def test_of_a_node_port_nothing_is_said_that_cannot_be_done_any_more(built, levels):
    assert [one.level for one in on_port(30443, built=built)] == levels


@pytest.mark.parametrize("endpoint", ["198.51.100.1", "192.0.2.0", "192.0.2.255"])
def test_the_endpoint_address_lies_in_every_masters_subnet(endpoint):
    findings = judge(inventory(["m1"], ["w1"]), bare("m1", "w1"), endpoint_address=endpoint)
    assert found(findings, "error") == [("m1", "endpoint-subnet")]


@pytest.mark.parametrize(
    ("prefix", "endpoint", "expected"),
    [
        (30, "192.0.2.10", []),
        (30, "192.0.2.8", [("m1", "endpoint-subnet")]),
        (31, "192.0.2.10", []),
        (31, "192.0.2.9", [("m1", "endpoint-subnet")]),
    ],
)
def test_a_subnet_of_two_addresses_keeps_none_of_them_for_itself(prefix, endpoint, expected):
    addresses = [{"interface": "eth0", "address": "192.0.2.11", "prefix": prefix}]
    assert found(judge(inventory(["m1"]), {"m1": fresh("m1", addresses=addresses)}, endpoint_address=endpoint)) == expected


def test_an_external_balancer_may_be_anywhere():
    assert judge(inventory(["m1"]), bare("m1"), endpoint_address="198.51.100.1", endpoint_mode="external") == ()


@pytest.mark.parametrize("endpoint", [ENDPOINT, "192.0.2.11"])
def test_who_has_the_address_of_an_external_balancer_does_not_matter(endpoint):
    observed = bare("m1", "w1")
    observed["m1"]["arp"] = ["02:00:00:00:00:99"]
    observed["w1"]["endpoint_address"] = {"held_on": ["eth0"]}
    assert judge(inventory(["m1"], ["w1"]), observed, endpoint_address=endpoint, endpoint_mode="external") == ()


def test_a_foreign_machine_that_answers_for_the_endpoint_is_found_by_its_mac():
    findings = three(arp=["02:00:00:00:00:99"])
    assert found(findings, "error") == [("m1", "endpoint-taken")]
    assert "02:00:00:00:00:99" in findings[0].found


def test_a_foreign_machine_is_told_once_with_all_who_heard_it_however_they_write_it():
    observed = bare(*NAMES)
    for name, mac in (("m1", "02:00:00:00:00:9A"), ("m3", "02:00:00:00:00:9a")):
        observed[name]["arp"] = [mac]
    (finding,) = judge(inventory(NAMES), observed)
    assert (finding.host, finding.level) == ("m1", "error")
    assert finding.found == f"02:00:00:00:00:9a answers for the endpoint address {ENDPOINT} (asked by m1, m3)"
    assert finding.fix == f"Find that machine (ip neigh show {ENDPOINT}) or choose another endpoint address."


def test_a_master_of_ours_may_answer_for_the_endpoint():
    assert three(arp=[fresh("m2")["macs"][0].upper()]) == ()


def test_a_master_of_ours_is_known_however_its_own_mac_is_written():
    observed = bare(*NAMES)
    observed["m2"]["macs"] = ["02:00:C0:00:02:9A"]
    observed["m1"]["arp"] = ["02:00:c0:00:02:9a"]
    assert judge(inventory(NAMES), observed) == ()


def test_who_answers_for_the_endpoint_may_be_a_master_that_was_not_observed():
    observed = bare("m1", "m2")
    observed["m1"]["arp"] = ["02:00:00:00:00:99"]
    findings = judge(inventory(NAMES), observed)
    assert ("m1", "endpoint-taken") in found(findings, "warning")
    assert any("It may be m3" in finding.fix for finding in findings)


def test_a_host_that_could_not_be_asked_tells_no_mac():
    observed = {"m1": fresh("m1", arp=["02:00:00:00:00:99"]), "w1": None}
    findings = judge(inventory(["m1"], ["w1"]), observed)
    assert found(findings) == [("m1", "endpoint-taken"), ("w1", "host-unreachable")]


def test_a_newcomer_may_hear_the_address_answered_by_a_host_that_is_about_to_leave():
    made, listed = settings(), inventory(["m1", "m2"], ["w1"])
    members = [member("m1")]
    observed = {"m1": living("m1", members), "w1": living("w1", members, master=False), "m2": fresh("m2")}
    observed["m2"]["arp"] = observed["m1"]["macs"]
    request = _request.Request(_request.REPLACE, ("m1",), "m2")
    topology = _topology.build(made, listed, observed, True, request=request)
    judged = _preflight.judge(_preflight.View(made, listed.without(("m1",)), observed, topology, True))
    assert "endpoint-taken" not in {finding.check for finding in judged}
    observed["m2"]["arp"] = ["02:ff:ff:ff:ff:ff"]
    judged = _preflight.judge(_preflight.View(made, listed.without(("m1",)), observed, topology, True))
    assert "endpoint-taken" in {finding.check for finding in judged}


def test_a_worker_may_not_hold_the_endpoint():
    observed = bare("m1", "w1")
    observed["w1"]["endpoint_address"] = {"held_on": ["eth0"]}
    assert ("w1", "endpoint-taken") in found(judge(inventory(["m1"], ["w1"]), observed), "error")


def test_a_worker_that_holds_the_endpoint_beside_a_master_is_told_once():
    observed = bare("m1", "w1")
    for name in observed:
        observed[name]["endpoint_address"] = {"held_on": ["eth0"]}
    assert found(judge(inventory(["m1"], ["w1"]), observed)) == [("w1", "endpoint-taken")]


@pytest.mark.parametrize(
    ("interfaces", "mode", "expected"),
    [
        (["eth0"], "managed", [("m1", "endpoint-twice")]),
        (["lo", "eth0"], "managed", [("m1", "endpoint-twice")]),
        (["lo"], "managed", []),
        ([], "managed", []),
        (["eth0"], "external", []),
    ],
)
def test_two_holders_are_an_error_and_the_address_on_lo_is_no_holder(interfaces, mode, expected):
    observed = bare(*NAMES)
    observed["m1"]["endpoint_address"] = {"held_on": ["eth0"]}
    observed["m2"]["endpoint_address"] = {"held_on": interfaces}
    findings = judge(inventory(NAMES), observed, endpoint_mode=mode)
    assert found(findings) == found(findings, "error") == expected


def test_two_holders_are_named_with_the_remedy():
    observed = bare(*NAMES)
    for name in ("m1", "m3"):
        observed[name]["endpoint_address"] = {"held_on": ["eth0"]}
    (finding,) = judge(inventory(NAMES), observed)
    assert finding.found == f"the endpoint address {ENDPOINT} is on m1 (eth0), m3 (eth0)"
    assert f"ip neigh show {ENDPOINT}" in finding.fix
    assert "stop keepalived" in finding.fix
