# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that can be asked and told apart: names, addresses, identities, clocks and ports."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _preflight, _preflight_hosts, _request, _topology
from cluster_fixtures import ENDPOINT, fresh, inventory, living, member, settings
from preflight_fixtures import NAMES, bare, found, judge, three


def test_an_unreachable_host_is_found_once():
    findings = judge(inventory(["m1"], ["w1"]), bare("m1"))
    assert found(findings) == found(findings, "error") == [("w1", "host-unreachable")]


@pytest.mark.parametrize(
    ("leaving", "silent", "said"),
    [
        ((), ["w1"], "A host that is gone for good is taken out by remove_node.yml -e node=w1."),
        ((), ["m3", "w1"], "Those that are gone for good are, by one run, taken out by remove_node.yml -e node=m3,w1."),
        (("m3",), ["w1"], "Those that are gone for good are, by one run, taken out by remove_node.yml -e node=m3,w1."),
    ],
    ids=["one", "two", "one beside a dead one that is to leave"],
)
def test_hosts_that_are_silent_together_are_taken_out_together(leaving, silent, said):
    """Or each of two requests would stop at the host that the other one is about."""
    listed, made, members = inventory(NAMES, ["w1"]), settings(), [member(name) for name in NAMES]
    seen = {name: living(name, members) for name in NAMES if name not in (*leaving, *silent)}
    request = _request.Request(_request.REMOVE, leaving) if leaving else _request.CONVERGING
    topology = _topology.build(made, listed, seen, True, request=request)
    staying = inventory([name for name in NAMES if name not in leaving], ["w1"])
    findings = list(_preflight_hosts.hosts_observed(_preflight.View(made, staying, seen, topology)))
    assert [finding.host for finding in findings] == silent
    assert all(finding.fix == f"Try: ansible {finding.host} -m ping. {said}" for finding in findings)


def test_why_a_host_was_not_observed_is_told():
    listed, made = inventory(NAMES), settings()
    topology = _topology.build(made, listed, bare("m1", "m2"), nonce="5eed")
    view = _preflight.View(made, listed, bare("m1", "m2"), topology, reasons={"m3": "connection timed out"})
    assert [finding.found for finding in _preflight_hosts.hosts_observed(view)] == ["not observed: connection timed out"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"hostname": "m2"}, ("m1", "duplicate-hostname")),
        ({"hostname": "M2"}, ("m1", "duplicate-hostname")),
        ({"machine_id": fresh("w1")["machine_id"]}, ("m1", "duplicate-machine-id")),
        ({"hostname": "m_1"}, ("m1", "hostname-invalid")),
        ({"hostname": "localhost"}, ("m1", "hostname-invalid")),
        ({"hostname": "Localhost"}, ("m1", "hostname-invalid")),
        ({"hostname": "localhost.localdomain"}, ("m1", "hostname-invalid")),
        ({"hostname": "-m1"}, ("m1", "hostname-invalid")),
        ({"hostname": "Kubernetes"}, ("m1", "hostname-invalid")),
        ({"hostname": "kubernetes.default.svc.cluster.local"}, ("m1", "hostname-invalid")),
        ({"hostname": "m" * 64}, ("m1", "hostname-invalid")),
        ({"clock": 1003.5}, ("m1", "clock-skew")),
        ({"clock": 997.5}, ("m1", "clock-skew")),
    ],
)
def test_a_bad_name_identity_or_clock_is_an_error(changes, expected):
    findings = three(**changes)
    assert found(findings) == [expected]
    assert findings[0].level == "error"


OTHERS = {"name": "staging"}
API_NAMES = ["kubernetes", "Kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"]


@pytest.mark.parametrize("hostname", API_NAMES)
@pytest.mark.parametrize(
    ("name", "cluster", "level"),
    [
        ("m1", None, "error"),
        ("w1", None, "error"),
        ("w1", OTHERS, "error"),
        # it is a node by that name, and a node is not renamed
        ("m1", {"name": "prod"}, "warning"),
        ("w1", {"name": "prod"}, "warning"),
        # no node, so nothing of it is called so to the API
        ("e1", None, None),
        ("e1", {"name": "prod"}, None),
    ],
)
def test_no_node_is_called_as_the_api_is_and_one_that_is_goes_on(hostname, name, cluster, level):
    observed = bare("m1", "w1", "e1")
    observed[name].update(hostname=hostname, cluster=cluster, node_name=hostname.lower() if cluster else "")
    findings = [one for one in judge(inventory(["m1"], ["w1"], ["e1"]), observed) if one.check == "hostname-invalid"]
    assert [(one.host, one.level) for one in findings] == ([(name, level)] if level else [])
    if level == "warning":
        assert f"remove_node.yml -e node={name}" in findings[0].fix and "serving certificate is not renewed" in findings[0].found
    if level == "error":
        assert findings[0].fix == "Set another: hostnamectl set-hostname NAME."


def test_without_a_name_of_the_cluster_no_host_is_recorded_as_one_of_it():
    made = settings()
    nameless = dataclasses.replace(made, cluster_name=None)
    view = _preflight.View(
        nameless, inventory(["m1"]), bare("m1"), _topology.build(made, inventory(["m1"]), bare("m1"), nonce="5eed")
    )
    assert not view.recorded(view.observed["m1"])


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("m2", {"hostname": "ip-192-0-2-12"}, [("m2", "hostname-changed")]),
        ("w1", {"hostname": "ip-192-0-2-21"}, [("w1", "hostname-changed")]),
        ("w1", {"hostname": "m2"}, [("w1", "hostname-changed")]),
        ("w1", {"hostname": "W1"}, []),
        ("w1", {"hostname": "ip-192-0-2-21", "node_name": ""}, []),  # a machine that has no name in the cluster yet
        ("w1", {"hostname": "ip-192-0-2-21", "node_name": "IP-192-0-2-21"}, []),
    ],
)
def test_a_host_keeps_the_name_that_it_has_in_the_cluster(name, changes, expected):
    members = [member(one) for one in NAMES]
    observed = {**{one: living(one, members) for one in NAMES}, "w1": living("w1", [], master=False)}
    for one, seen in observed.items():
        seen["node_name"] = one
    observed[name].update(changes)
    findings = judge(inventory(NAMES, ["w1"]), observed, store=True)
    assert found(findings, "error") == expected
    assert all(f"hostnamectl set-hostname {name} on this host" in one.fix for one in findings if one.check == "hostname-changed")


@pytest.mark.parametrize(
    "changes",
    [
        {"hostname": "M1"},
        {"hostname": "m1.example.org"},
        {"machine_id": ""},
        {"clock": 1002.9},
        {"clock": 998.1},
        {"clock": 1003.0},
        {"clock": 998.0},
        {"clock": 1001.5, "clock_window": [1000.0, 1005.0]},
        {"clock": 1003.5, "clock_window": [1000.0, 1005.0]},
        {"clock": 0, "clock_window": None},
    ],
)
def test_a_good_name_identity_or_clock_is_none(changes):
    assert three(**changes) == ()


@pytest.mark.parametrize(
    ("name", "suggested"), [("m1", "m1"), ("M_1.example", "m-1-example"), ("_m1_", "m1"), ("m1__2", "m1-2"), ("__", "NAME")]
)
def test_a_hostname_is_suggested_that_would_be_a_good_one(name, suggested):
    listed = _topology.Inventory((name,), (), (), (_topology.InventoryHost(name, ansible_host="192.0.2.11"),))
    (finding,) = judge(listed, {name: fresh("m1", hostname="_")})
    assert (finding.check, finding.found) == ("hostname-invalid", "the hostname is '_'")
    assert finding.fix == f"Set it: hostnamectl set-hostname {suggested}"


@pytest.mark.parametrize(("clock", "said"), [(1004.0, "3 s ahead of"), (996.0, "4 s behind")])
def test_a_clock_that_is_wrong_is_told_with_its_direction(clock, said):
    assert [finding.found for finding in three(clock=clock)] == [f"the clock is {said} the controller's"]


@pytest.mark.parametrize(
    ("ahead", "said"),
    [
        # seconds that a clock is ahead of the controller's, read within a window of 1 s: 0.5 is in its middle
        ({"m1": 2.4, "m3": -1.4}, [("m1", "the clock is 3 s ahead of m3's")]),
        ({"m1": 2.4, "m2": 2.3, "m3": -1.4, "w1": -1.3}, [("m1", "the clock is 3 s ahead of m3's")]),
        ({"m1": 1.6, "m3": -1.5}, [("m1", "the clock is 2 s ahead of m3's")]),
        ({"m1": 1.5, "m3": -1.5}, []),
        ({"m1": 2.4, "m3": 0.5}, []),
        # who is wrong by the controller's is told of once
        ({"m1": 9.0, "m3": -1.4}, [("m1", "the clock is 8 s ahead of the controller's")]),
        (
            {"m1": 9.0, "m2": 2.4, "m3": -1.4},
            [
                ("m1", "the clock is 8 s ahead of the controller's"),
                ("m2", "the clock is 3 s ahead of m3's"),
            ],
        ),
    ],
)
def test_clocks_are_apart_from_each_other_too(ahead, said):
    observed = bare(*NAMES, "w1")
    for number, (name, seen) in enumerate(observed.items()):
        start = 1000.0 + 7 * number  # they are not all read at once
        seen.update(clock_window=[start, start + 1.0], clock=start + ahead.get(name, 0.5))
    findings = judge(inventory(NAMES, ["w1"]), observed, store=True)
    assert [(one.host, one.found) for one in findings if one.check == "clock-skew"] == said
    assert not [one for one in findings if one.check != "clock-skew"]


def test_a_node_address_that_is_not_the_hosts_is_found():
    listed = inventory(["m1"], m1={"node_address": "192.0.2.99"})
    assert ("m1", "node-address") in found(judge(listed, bare("m1")), "error")


def test_a_host_without_any_address_is_found():
    listed = inventory(["m1"], m1={"ansible_host": "m1.example.org"})
    findings = judge(listed, {"m1": fresh("m1", addresses=[], default_address="")})
    assert found(findings, "error") == [("m1", "node-address")]


@pytest.mark.parametrize(
    ("said_of_it", "seen", "said"),
    [
        ({"ansible_host": "m1.example.org"}, {"addresses": [], "default_address": ""}, "no node address is known"),
        ({"node_address": "192.0.2.99"}, {"addresses": []}, "192.0.2.99 is on no interface of the host (it has none)"),
        (
            {"node_address": "192.0.2.99"},
            {"addresses": [{"interface": "eth0", "address": one, "prefix": 24} for one in ("192.0.2.12", "192.0.2.11")]},
            "192.0.2.99 is on no interface of the host (it has 192.0.2.11, 192.0.2.12)",
        ),
    ],
)
def test_what_is_wrong_with_a_node_address_is_told(said_of_it, seen, said):
    findings = judge(inventory(["m1"], m1=said_of_it), {"m1": fresh("m1", **seen)})
    assert [(finding.check, finding.found) for finding in findings] == [("node-address", said)]


@pytest.mark.parametrize(
    ("dead", "said", "found_"),
    [
        ("w1", {"ansible_host": "w1.example.org"}, [("w1", "node-address")]),
        ("w1", {"ansible_host": "w1.example.org", "node_address": "192.0.2.21"}, []),
        ("w1", {}, []),
        # the others know its etcd member by its name
        ("m3", {"ansible_host": "m3.example.org"}, []),
        # which is not the inventory's here
        ("m5", {"ansible_host": "m3.example.org"}, [("m5", "node-address")]),
    ],
)
def test_a_dead_host_that_leaves_is_refused_while_nobody_knows_its_address(dead, said, found_):
    masters = ["m1", "m2", dead if dead[0] == "m" else "m3"]
    listed = inventory(masters, ["w1"], **{dead: said})
    members = [member(name) for name in NAMES]
    observed = {name: living(name, members, master=name[0] == "m") for name in listed.names if name != dead}
    request, made = _request.Request("remove", (dead,)), settings()
    topology = _topology.build(made, listed, observed, True, request=request)
    findings = _preflight.judge(_preflight.View(made, listed.without((dead,)), observed, topology, True))
    assert [(host, check) for host, check in found(findings, "error") if check == "node-address"] == found_
    for one in findings:
        if one.check == "node-address":
            assert one.fix.startswith("Set multimaster_node_address for the host")


def test_two_inventory_names_for_one_host_are_found():
    listed = inventory(["m1", "m2"], m2={"ansible_host": "192.0.2.11"})
    observed = {"m1": fresh("m1"), "m2": fresh("m1")}
    checks = {check for _host, check in found(judge(listed, observed), "error")}
    assert {"duplicate-address", "duplicate-hostname", "duplicate-machine-id"} <= checks


@pytest.mark.parametrize(
    ("kind", "node", "by", "address", "said"),
    [
        ("replace", "m1", "m4", "192.0.2.11", "node address 192.0.2.11 on m1, m4"),
        ("replace", "m1", "m4", "192.0.2.14", None),
        ("replace", "w1", "w2", "192.0.2.21", "node address 192.0.2.21 on w1, w2"),
        ("replace", "w1", "w2", "192.0.2.22", None),
        ("remove", "m1", "", "192.0.2.11", "node address 192.0.2.11 on m1, m4"),
    ],
)
@pytest.mark.parametrize("dead", [True, False])
def test_a_successor_may_not_have_the_address_of_the_host_that_leaves(kind, node, by, address, said, dead):
    new = by or "m4"
    masters, workers = ([name for name in (*NAMES, "w1", new) if name[0] == letter] for letter in "mw")
    listed = inventory(masters, workers, **{new: {"ansible_host": address}})
    members = [member(name) for name in NAMES]
    observed = {name: living(name, members, master=name[0] == "m") for name in (*NAMES, "w1")}
    observed[new] = fresh(new, addresses=[{"interface": "eth0", "address": address, "prefix": 24}], default_address=address)
    if dead:
        del observed[node]
    topology = _topology.build(settings(), listed, observed, True, request=_request.Request(kind, (node,), by))
    findings = _preflight.judge(_preflight.View(settings(), listed.without((node,)), observed, topology, True))
    twice = [(one.found, one.fix) for one in findings if one.check == "duplicate-address"]
    fix = _preflight_hosts.SUCCESSOR_ADDRESS if by else _preflight_hosts.STAYING_ADDRESS
    assert twice == ([(said, fix)] if said else [])


def test_two_that_leave_may_have_been_reached_at_one_address():
    listed = inventory(NAMES, ["w1", "w2"], w2={"ansible_host": "192.0.2.21"})
    members = [member(name) for name in NAMES]
    observed = {name: living(name, members) for name in NAMES}
    topology = _topology.build(settings(), listed, observed, True, request=_request.Request("remove", ("w1", "w2")))
    view = _preflight.View(settings(), listed.without(("w1", "w2")), observed, topology, True)
    assert not [one for one in _preflight.judge(view) if one.check == "duplicate-address"]


def test_what_is_not_known_of_two_hosts_is_not_the_same_on_both():
    nothing = {"addresses": [], "default_address": "", "machine_id": ""}
    listed = inventory(["m1"], ["w1", "w2"], w1={"ansible_host": "w1.example.org"}, w2={"ansible_host": "w2.example.org"})
    findings = judge(listed, {"m1": fresh("m1"), "w1": fresh("w1", **nothing), "w2": fresh("w2", **nothing)})
    assert found(findings) == [("w1", "node-address"), ("w2", "node-address")]


@pytest.mark.parametrize(
    ("port", "process", "executable", "taken"),
    [
        (6443, "k3s-server", "/usr/local/bin/k3s", True),
        (2379, "etcd", "/usr/bin/etcd", True),
        (10250, "", "", True),
        (2379, "etcd", "/opt/multimaster/etcd/3.6.16/etcd", False),
        (6443, "haproxy", "/usr/sbin/haproxy", True),
        (6440, "x", "/usr/bin/x", True),
        (2381, "etcd", "/usr/bin/etcd", True),
        (10248, "kubelet", "/usr/bin/kubelet", True),
        (2381, "etcd", "/opt/multimaster/etcd/3.6.16/etcd", False),
        (9100, "node_exporter", "/usr/bin/node_exporter", False),
    ],
)
def test_a_port_taken_by_a_foreign_process_is_found(port, process, executable, taken):
    listener = {"port": port, "address": "::", "process": process, "executable": executable}
    findings = three(listening=[listener])
    assert found(findings) == found(findings, "error") == ([("m1", "port-taken")] if taken else [])


def listener(port):
    return {"port": port, "address": "::", "process": "x", "executable": "/x"}


@pytest.mark.parametrize(
    ("port", "more", "taken"),
    [
        (8443, {"endpoint_port": 8443}, True),
        (6443, {"endpoint_port": 8443}, False),
        (8443, {"endpoint_port": 8443, "endpoint_mode": "external"}, False),
        (6443, {"endpoint_port": 8443, "endpoint_mode": "external"}, True),
        (6440, {"endpoint_mode": "external"}, False),
    ],
)
def test_the_port_of_the_api_is_the_endpoints_unless_a_balancer_of_the_user_has_it(port, more, taken):
    observed = bare(*NAMES)
    observed["m1"]["listening"] = [listener(port)]
    assert found(judge(inventory(NAMES), observed, **more)) == ([("m1", "port-taken")] if taken else [])


def test_one_master_runs_no_balancer_and_an_etcd_host_no_node():
    observed = bare("m1", "e1")
    observed["m1"]["listening"] = [listener(port) for port in (6440, 2379, 2380, 2381)]
    observed["e1"]["listening"] = [listener(port) for port in (6443, 6440, 10248, 10250, 10257)]
    assert judge(inventory(["m1"], etcd=["e1"]), observed) == ()


def test_what_needs_the_port_is_named():
    assert [finding.wanted for finding in three(listening=[listener(2381)])] == ["a free port: etcd's health and metrics"]


@pytest.mark.parametrize(("process", "said"), [("nginx", "nginx"), ("", "an unknown process")])
def test_who_has_the_port_is_named_and_a_host_of_the_cluster_excuses_nobody(process, said):
    listener = {"port": 6443, "address": "::", "process": process, "executable": "/usr/sbin/nginx"}
    findings = three(listening=[listener], cluster={"name": "prod"})
    assert [(finding.check, finding.found) for finding in findings] == [("port-taken", f"port 6443 is taken by {said}")]


def test_our_own_balancer_is_no_foreign_process():
    listener = {"port": 6443, "address": ENDPOINT, "process": "haproxy", "executable": "/usr/sbin/haproxy"}
    assert three(listening=[listener], cluster={"name": "prod"}) == ()


def test_a_worker_may_use_a_masters_port():
    observed = bare("m1", "w1")
    observed["w1"]["listening"] = [{"port": 2379, "address": "::", "process": "x", "executable": "/x"}]
    assert judge(inventory(["m1"], ["w1"]), observed) == ()


@pytest.mark.parametrize(
    ("port", "taken"),
    [(10248, True), (10249, True), (10250, True), (10256, True), (10257, False), (6440, False), (6443, False), (2379, False)],
)
def test_a_worker_beside_three_masters_needs_the_ports_of_its_node_and_no_more(port, taken):
    observed = bare(*NAMES, "w1")
    observed["w1"]["listening"] = [listener(port)]
    assert found(judge(inventory(NAMES, ["w1"]), observed)) == ([("w1", "port-taken")] if taken else [])
