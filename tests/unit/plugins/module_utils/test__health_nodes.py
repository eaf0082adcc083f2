# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of hosts, services, nodes and certificates: what each says, and where it says nothing."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _health_nodes, _health_view, _pki
from cluster_fixtures import address
from health_fixtures import APISERVER, CA, KUBELET, cluster, told


def test_a_pressure_is_told_in_the_words_of_its_node():
    made = cluster()
    made.node("w1", pressures=["DiskPressure"], pressure_message="kubelet has disk pressure")
    (found,) = told(made.judge()[0], "node-pressure")
    assert found.found == "node w1 says DiskPressure: kubelet has disk pressure"


def test_a_node_of_an_unreachable_host_is_known_by_its_address():
    made = cluster()
    made.lose("w1")
    made.fact["hosts"]["w1"]["node_name"] = "guessed"
    for api in made.apis():
        api["nodes"][-1].update(name="real", internal_ip=address("w1"))
    findings, _verdict = made.judge()
    assert told(findings, "node-missing") + told(findings, "node-stray") == []


def test_certificates_that_share_a_remedy_are_one_finding_a_host():
    made = cluster()
    for path, days in ((APISERVER, 20.0), ("/etc/etcd/pki/peer.crt", 2.0), (KUBELET, 25.0)):
        made.certificate(path, days_left=days)
    found = told(made.judge()[0], "certificate-ends")
    assert [(one.found, one.level) for one in found] == [
        ("ends in 2 days: /etc/etcd/pki/peer.crt and 1 more", "error"),
        (f"ends in 25 days: {KUBELET}", "warning"),
    ]


def test_why_a_host_could_not_be_asked_is_told():
    made = cluster()
    made.reasons = {"w1": "Connection timed out"}
    made.lose("w1")
    assert told(made.judge()[0], "host-unreachable")[0].found == "Connection timed out"


# Hosts


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        ({"w1": "No route to host"}, "No route to host"),
        ({"w1": ""}, "the host was not observed"),
        ({}, "the host was not observed"),
    ],
)
def test_a_host_that_was_not_reached_is_named_with_what_takes_it_out(reasons, said):
    made = cluster()
    made.lose("w1")
    made.reasons = reasons
    (one,) = _health_nodes.hosts_reached(made.view())
    assert (one.host, one.found) == ("w1", said)
    assert "replace_node.yml -e node=w1" in one.fix and "remove_node.yml -e node=w1" in one.fix
    assert made.found(_health_nodes.hosts_read) == [], "what was not reached is not asked what it knows"


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        ({"w1": "MODULE FAILURE"}, "MODULE FAILURE"),
        ({}, "the host was reached, but what it knows was not read"),
    ],
)
def test_a_host_that_was_reached_and_told_nothing(reasons, said):
    made = cluster()
    made.read.pop("w1")
    made.reasons = reasons
    assert made.found(_health_nodes.hosts_read) == [("w1", "error", said)]


UNREAD = "it was not read"


@pytest.mark.parametrize(
    ("made", "name", "expected"),
    [
        ({}, "m1", {"etcd", "api", "endpoint", "balancer"}),
        ({}, "w1", {"endpoint"}),
        ({"masters": ("m1", "m2"), "etcd": ("e1", "e2", "e3")}, "e1", {"etcd"}),
        ({"masters": ("m1", "m2"), "etcd": ("e1", "e2", "e3")}, "m1", {"etcd", "api", "endpoint", "balancer"}),
        ({"endpoint_mode": "external"}, "m1", {"etcd", "api", "endpoint"}),
    ],
    ids=["a master", "a worker", "an etcd host", "a master beside etcd hosts", "a master behind another's balancer"],
)
def test_what_a_host_should_have_told(made, name, expected):
    made = cluster(**made)
    assert _health_nodes.unread(made.view(), name) == {}
    made.read[name].update(dict.fromkeys(("etcd", "api", "endpoint", "balancer")), certificates={"kept": "so that it is read"})
    assert _health_nodes.unread(made.view(), name) == dict.fromkeys(expected, UNREAD)


def test_what_a_host_could_not_tell_is_told_each_with_its_reason():
    made = cluster()
    made.read["m2"]["etcd"]["error"] = "cannot read x.crt"
    made.read["m2"]["balancer"]["errors"] = {
        "units": "no systemd",
        "held_on": "no ip",
        "others": "no socket",
        "servers": "said by another check",
        "vrrp": "said by another check",
    }
    assert made.found(_health_nodes.hosts_read) == [
        ("m2", "error", said) for said in ("etcd: cannot read x.crt", "held_on: no ip", "others: no socket", "units: no systemd")
    ]


# Services

NODE = {"containerd", "kubelet", "kube-proxy"}
CONTROL = {"kube-controller-manager", "kube-scheduler", "csr-approver"}


@pytest.mark.parametrize(
    ("made", "name", "units"),
    [
        ({}, "w1", NODE | {"flanneld"}),
        ({"network": "none"}, "w1", NODE),
        ({}, "m1", NODE | CONTROL | {"flanneld"}),
        ({"masters": ("m1",)}, "m1", NODE | CONTROL | {"flanneld", "multimaster-endpoint"}),
        ({"endpoint_mode": "external", "network": "none"}, "m1", NODE | CONTROL),
        ({"masters": ("m1", "m2"), "etcd": ("e1", "e2", "e3")}, "e1", set()),
    ],
    ids=["a worker", "a worker without our network", "a master", "the only master", "an external endpoint", "an etcd host"],
)
def test_the_services_that_run_on_a_host(made, name, units):
    made = cluster(**made)
    assert set(_health_nodes.expected_units(made.view(), name)) == units
    made.observed[name]["units"] = {}
    assert {one[2] for one in made.found(_health_nodes.units_run) if one[0] == name} == {
        f"the unit {unit} is unknown" for unit in units
    }


@pytest.mark.parametrize(
    ("state", "fix"),
    [
        ("active", None),
        ("not-found", "Run site.yml: it sets it up."),
        ("activating", "On w1: journalctl -u kubelet -n 50; systemctl start kubelet."),
        ("failed", "On w1: journalctl -u kubelet -n 50; systemctl start kubelet."),
    ],
)
def test_a_service_that_does_not_run(state, fix):
    made = cluster()
    made.observed["w1"]["units"]["kubelet"] = state
    assert [(one.found, one.fix) for one in _health_nodes.units_run(made.view())] == (
        [(f"the unit kubelet is {state}", fix)] if fix else []
    )


# Nodes


def test_where_no_api_server_lists_nodes_none_is_missing():
    made = cluster()
    for api in made.apis():
        api["nodes"] = None
    seen = made.view()
    assert _health_nodes.nodes(seen) is None
    for check in (_health_nodes.nodes_registered, _health_nodes.nodes_ready, _health_nodes.nodes_known):
        assert list(check(seen)) == []


def test_an_api_server_that_lists_nothing_is_no_reason_not_to_ask_the_next():
    made = cluster()
    made.read["m1"]["api"]["nodes"] = None
    assert [node["name"] for node in _health_nodes.nodes(made.view())] == ["m1", "m2", "m3", "w1"]
    made.read["m1"]["api"]["nodes"] = []
    assert [one[0] for one in made.found(_health_nodes.nodes_registered)] == ["m1", "m2", "m3", "w1"], "none is an answer"


def test_an_etcd_host_is_no_node():
    made = cluster(masters=("m1", "m2"), etcd=("e1", "e2", "e3"))
    assert _health_nodes.wanted_nodes(made.view()) == ["m1", "m2", "w1"]
    assert made.found(_health_nodes.nodes_registered) == []


def test_a_nodes_own_name_counts_more_than_its_address():
    made = cluster()
    made.node("m1", internal_ip=address("w1"))
    seen = made.view()
    assert [_health_nodes.node_of(seen, name)["name"] for name in ("m1", "w1")] == ["m1", "w1"]


def test_a_host_without_a_known_address_is_no_node_that_tells_none():
    made = cluster()
    made.fact["hosts"]["w1"].update(node_name="guessed", address="")
    made.node("w1", internal_ip="")
    assert _health_nodes.node_of(made.view(), "w1") is None
    assert made.found(_health_nodes.nodes_known) == [("", "warning", "node w1 is not in the inventory")]


@pytest.mark.parametrize(
    ("check", "changes", "said", "fix"),
    [
        (
            _health_nodes.nodes_ready,
            {"ready": False, "ready_message": "no status"},
            ("error", "node old is not Ready: no status"),
            "On old: journalctl -u kubelet -n 50; systemctl start kubelet.",
        ),
        (
            _health_nodes.nodes_relaxed,
            {"pressures": ["PIDPressure", "DiskPressure"], "pressure_message": "much"},
            ("error", "node old says PIDPressure, DiskPressure: much"),
            "Free memory, disk or process ids there, or move pods away; kubectl describe node old says more.",
        ),
        (
            _health_nodes.nodes_schedulable,
            {"unschedulable": True},
            ("warning", "node old is cordoned"),
            "kubectl uncordon old, when nobody works there.",
        ),
    ],
    ids=["not ready", "under pressure", "cordoned"],
)
def test_a_node_that_the_inventory_does_not_know_is_judged_as_well_and_of_no_host(check, changes, said, fix):
    made = cluster()
    for api in made.apis():
        api["nodes"].append(dict(api["nodes"][0], name="old", internal_ip="192.0.2.99", **changes))
    assert [(one.host, (one.level, one.found), one.fix) for one in check(made.view())] == [("", said, fix)]


def test_a_disk_is_told_of_nodes_only_unless_their_kubelets_have_limits_of_their_own():
    made = cluster(masters=("m1", "m2"), etcd=("e1", "e2", "e3"), workers=("w1", "w2"))
    for name in ("e1", "w1", "w2"):
        made.observed[name]["disk_free_percent"] = {"/var/lib/kubelet": 9.9}
    made.observed["m2"]["disk_free_percent"] = None
    made.own_eviction = ("w2",)
    assert [one[0] for one in made.found(_health_nodes.disks_relaxed)] == ["w1"]
    made.lose("w1")
    assert made.found(_health_nodes.disks_relaxed) == []


# Certificates

NEVER = ("", "", "")


@pytest.mark.parametrize(
    ("path", "left", "days", "check", "level", "found"),
    [
        (APISERVER, 30.1, 365.0, *NEVER),
        (APISERVER, 30.0, 365.0, "ends", "warning", "ends in 30 days"),
        (APISERVER, 7.1, 365.0, "ends", "warning", "ends in 7 days"),
        (APISERVER, 7.0, 365.0, "ends", "error", "ends in 7 days"),
        (APISERVER, 2.1, 24.0, *NEVER),
        (APISERVER, 2.0, 24.0, "ends", "warning", "ends in 2 days"),
        (APISERVER, 0.48, 24.0, "ends", "error", "ends in 12 hours"),
        (APISERVER, 0.05, 365.0, "ends", "error", "ends in 72 minutes"),
        (APISERVER, 0.0, 365.0, "expired", "error", "expired 0 minutes ago"),
        (APISERVER, -0.5, 365.0, "expired", "error", "expired 12 hours ago"),
        (APISERVER, None, 365.0, "missing", "error", "missing or no certificate"),
        (KUBELET, 30.0, 365.0, "ends", "warning", "ends in 30 days"),
        (KUBELET, None, 365.0, "missing", "error", "missing or no certificate"),
        (CA, 365.1, 3650.0, *NEVER),
        (CA, 365.0, 3650.0, "ends", "warning", "ends in 365 days"),
        (CA, 90.0, 3650.0, "ends", "error", "ends in 90 days"),
        (CA, 100.0, 1000.0, "ends", "warning", "ends in 100 days"),
        (CA, 25.0, 1000.0, "ends", "error", "ends in 25 days"),
    ],
)
def test_a_certificate_at_the_limits_of_its_life(path, left, days, check, level, found):
    made = cluster()
    made.certificate(path, days_left=left, days=days)
    checks = {
        "missing": _health_nodes.certificates_there,
        "expired": _health_nodes.certificates_valid,
        "ends": _health_nodes.certificates_lasting,
    }
    told_of = [(name, *one[1:]) for name, one_check in checks.items() for one in made.found(one_check)]
    assert told_of == ([(check, level, f"{found}: {path}")] if check else [])


@pytest.mark.parametrize(
    ("path", "ends", "missing"),
    [
        (APISERVER, "Run site.yml: it renews", "Run site.yml: it issues what is missing."),
        (KUBELET, "The kubelet should have renewed it", "The kubelet asks for it and csr_approver grants it: kubectl get csr;"),
        (CA, "No run renews an authority that has expired", "Run site.yml: it issues what is missing."),
    ],
)
def test_who_renews_a_certificate(path, ends, missing):
    made = cluster()
    made.certificate(path, days_left=-1.0)
    assert [one.fix.startswith(ends) for one in _health_nodes.certificates_valid(made.view())] == [True]
    made.certificate(path, days_left=None)
    assert [one.fix.startswith(missing) for one in _health_nodes.certificates_there(made.view())] == [True]


def test_an_authority_that_ends_is_told_with_what_can_be_done_about_it_while_it_is_valid():
    made = cluster(masters=("m1",))
    paths = {
        CA: "It cannot be rotated yet",
        "/etc/kubernetes/pki/front-proxy-ca.crt": "Rotate it while it is valid",
        "/etc/etcd/pki/peer-ca.crt": "Rotate it while it is valid",
    }
    for path in paths:
        made.certificate(path, days_left=60.0, days=3650.0)
    told = {one.found: one.fix for one in _health_nodes.certificates_lasting(made.view())}
    assert [fix.startswith(paths[CA]) for found, fix in told.items() if found.endswith(CA)] == [True]
    assert [fix.startswith("Rotate it") for found, fix in told.items() if not found.endswith(CA)] == [True]
    assert all(_pki.ROTATION in fix for fix in told.values())


def test_of_several_certificates_the_first_to_end_is_named_and_the_worst_decides():
    made = cluster()
    made.certificates = [
        _health_view.Certificate("m1", "/b.crt", "leaf", -1.0),
        _health_view.Certificate("m1", "/a.crt", "leaf", -3.0),
        _health_view.Certificate("m1", "/d.crt", "leaf", 9.0, 100.0),
        _health_view.Certificate("m1", "/c.crt", "leaf", 6.0, 365.0),
        _health_view.Certificate("m1", "/f.crt", "leaf"),
        _health_view.Certificate("m1", "/e.crt", "leaf"),
        _health_view.Certificate("m2", "/a.crt", "leaf", -1.0),
    ]
    assert made.found(_health_nodes.certificates_valid) == [
        ("m1", "error", "expired 3 days ago: /a.crt and 1 more"),
        ("m2", "error", "expired 24 hours ago: /a.crt"),
    ]
    assert made.found(_health_nodes.certificates_there) == [("m1", "error", "missing or no certificate: /e.crt and 1 more")]
    (one,) = _health_nodes.certificates_lasting(made.view())
    assert (one.level, one.found, one.wanted) == ("error", "ends in 6 days: /c.crt", "more than 30 days")
