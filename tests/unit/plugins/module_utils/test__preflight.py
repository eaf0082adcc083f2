# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _preflight,
    _preflight_cluster,
    _preflight_hosts,
    _request,
    _topology,
    _upgrade_scene,
)
from cluster_fixtures import ENDPOINT, address, fresh, inventory, living, member, settings

NAMES = ("m1", "m2", "m3")


def judge(listed, observed, store=False, ignore=(), **more):
    made = settings(**more)
    topology = _topology.build(made, listed, observed, store, nonce="5eed")
    return _preflight.judge(_preflight.View(made, listed, observed, topology, store), ignore)


def bare(*names):
    return {name: fresh(name) for name in names}


def three(**changes):
    """Judge three bare masters and a worker, with changes to m1's observation."""
    observed = bare(*NAMES, "w1")
    observed["m1"].update(changes)
    return judge(inventory(NAMES, ["w1"]), observed)


def system(name, version, like=""):
    return {"id": name, "like": like.split(), "version_id": version, "name": f"{name} {version}"}


def found(findings, level=None):
    return [(finding.host, finding.check) for finding in findings if level in (None, finding.level)]


def test_a_good_inventory_of_bare_hosts_has_no_finding():
    assert three() == ()


def test_a_finished_cluster_has_no_finding():
    members = [member(name) for name in NAMES]
    observed = {name: living(name, members) for name in NAMES}
    observed["m1"]["endpoint_address"] = {"held_on": ["eth0"]}
    observed["w1"] = living("w1", [], master=False)
    for name in ("m2", "m3", "w1"):
        observed[name]["arp"] = observed["m1"]["macs"]
    assert judge(inventory(NAMES, ["w1"]), observed, store=True) == ()


def test_every_finding_says_its_place_wish_and_remedy_and_is_known_by_its_id():
    observed = {"m1": fresh("m1", memory_mib=1, hostname="_", addresses=[], kernel="4.19", python="3.6.8", commands={})}
    findings = judge(inventory(["m1"], ["w1"]), observed, pod_cidr="192.0.2.0/24", zones=["a"])
    assert len(findings) > 7
    for finding in findings:
        assert finding.check in _preflight.CHECKS
        assert finding.found
        assert finding.wanted
        assert finding.fix


def test_all_findings_come_at_once_errors_first():
    observed = bare("m1", "m2")
    observed["m1"].update(memory_mib=512, machine_id=observed["m2"]["machine_id"])
    findings = judge(inventory(["m1", "m2"]), observed)
    assert found(findings) == [("m1", "duplicate-machine-id"), ("m1", "memory"), ("", "members-even")]


def test_checks_are_left_out_by_id():
    observed = {"m1": fresh("m1", memory_mib=512)}
    assert judge(inventory(["m1"]), observed, ignore=["memory"]) == ()


def test_every_check_says_what_it_wants():
    assert all(check.__doc__.startswith(("Want ", "Tell ")) for check in _preflight.CHECKS.values())


# Endpoint


def test_the_endpoint_address_may_not_be_a_node_address():
    findings = judge(inventory(["m1"]), bare("m1"), endpoint_address="192.0.2.11")
    assert ("m1", "endpoint-is-host") in found(findings, "error")


@pytest.mark.parametrize("endpoint", ["198.51.100.1", "192.0.2.0", "192.0.2.255"])
def test_the_endpoint_address_lies_in_every_masters_subnet(endpoint):
    findings = judge(inventory(["m1"], ["w1"]), bare("m1", "w1"), endpoint_address=endpoint)
    assert found(findings, "error") == [("m1", "endpoint-subnet")]


def test_an_external_balancer_may_be_anywhere():
    assert judge(inventory(["m1"]), bare("m1"), endpoint_address="198.51.100.1", endpoint_mode="external") == ()


def test_a_foreign_machine_that_answers_for_the_endpoint_is_found_by_its_mac():
    findings = three(arp=["02:00:00:00:00:99"])
    assert found(findings, "error") == [("m1", "endpoint-taken")]
    assert "02:00:00:00:00:99" in findings[0].found


def test_a_master_of_ours_may_answer_for_the_endpoint():
    assert three(arp=[fresh("m2")["macs"][0].upper()]) == ()


def test_a_worker_may_not_hold_the_endpoint():
    observed = bare("m1", "w1")
    observed["w1"]["endpoint_address"] = {"held_on": ["eth0"]}
    assert ("w1", "endpoint-taken") in found(judge(inventory(["m1"], ["w1"]), observed), "error")


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


# Hosts


def test_who_answers_for_the_endpoint_may_be_a_master_that_was_not_observed():
    observed = bare("m1", "m2")
    observed["m1"]["arp"] = ["02:00:00:00:00:99"]
    findings = judge(inventory(NAMES), observed)
    assert ("m1", "endpoint-taken") in found(findings, "warning")
    assert any("It may be m3" in finding.fix for finding in findings)


def test_why_a_host_was_not_observed_is_told():
    listed, made = inventory(NAMES), settings()
    topology = _topology.build(made, listed, bare("m1", "m2"), nonce="5eed")
    view = _preflight.View(made, listed, bare("m1", "m2"), topology, reasons={"m3": "connection timed out"})
    assert [finding.found for finding in _preflight_hosts.hosts_observed(view)] == ["not observed: connection timed out"]


def test_an_unreachable_host_is_found_once():
    findings = judge(inventory(["m1"], ["w1"]), bare("m1"))
    assert found(findings) == [("w1", "host-unreachable")]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"hostname": "m2"}, ("m1", "duplicate-hostname")),
        ({"hostname": "M2"}, ("m1", "duplicate-hostname")),
        ({"machine_id": fresh("w1")["machine_id"]}, ("m1", "duplicate-machine-id")),
        ({"hostname": "m_1"}, ("m1", "hostname-invalid")),
        ({"hostname": "localhost"}, ("m1", "hostname-invalid")),
        ({"hostname": "localhost.localdomain"}, ("m1", "hostname-invalid")),
        ({"hostname": "-m1"}, ("m1", "hostname-invalid")),
        ({"hostname": "m" * 64}, ("m1", "hostname-invalid")),
        ({"os": system("fedora", "42")}, ("m1", "os-unsupported")),
        ({"os": system("rocky", "12", "rhel centos fedora")}, ("m1", "os-unsupported")),
        ({"os": system("", "")}, ("m1", "os-unsupported")),
        ({"architecture": "riscv64"}, ("m1", "architecture")),
        ({"kernel": "5.12.19"}, ("m1", "kernel")),
        ({"python": "3.8.10"}, ("m1", "python")),
        ({"commands": {"ip": True}}, ("m1", "command-missing")),
        ({"memory_mib": 1843}, ("m1", "memory")),
        ({"disk_free_mib": {"/var/lib": 4095, "/opt": 41000}}, ("m1", "disk-space")),
        ({"disk_free_mib": {"/var/lib": 41000, "/opt": 1023}}, ("m1", "disk-space")),
        ({"cluster": {"name": "other"}}, ("m1", "cluster-other")),
        ({"clock": 1003.5}, ("m1", "clock-skew")),
        ({"clock": 997.5}, ("m1", "clock-skew")),
    ],
)
def test_an_unfit_host_is_an_error(changes, expected):
    findings = three(**changes)
    assert found(findings) == [expected]
    assert findings[0].level == "error"


@pytest.mark.parametrize(
    "changes",
    [
        {"hostname": "M1"},
        {"hostname": "m1.example.org"},
        {"machine_id": ""},
        {"architecture": "arm64"},
        {"kernel": "5.13.0"},
        {"kernel": "6.18.44-fc-v657"},
        {"python": "3.9.2"},
        {"memory_mib": 1844},
        {"disk_free_mib": {"/var/lib": 4096, "/opt": 1024}},
        {"disk_free_percent": {"/var/lib/containerd": 15.0, "/var/lib/kubelet": 10.0}},
        {"disk_free_percent": {"/var/lib/containerd": None}},
        {"swap": True},
        {"clock": 1002.9},
        {"clock": 998.1},
        {"clock": 0, "clock_window": None},
        {"os": system("ubuntu", "24.04", "debian")},
    ],
)
def test_a_fit_host_is_none(changes):
    assert three(**changes) == ()


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"os": system("debian", "11")}, "os-unsupported"),
        ({"os": system("ubuntu", "26.04", "debian")}, "os-unsupported"),
        ({"os": system("linuxmint", "22", "ubuntu debian")}, "os-unsupported"),
        ({"os": system("raspbian", "12", "debian")}, "os-unsupported"),
        ({"disk_fdatasync_p99_ms": 10.1}, "disk-slow"),
        ({"disk_free_percent": {"/var/lib/containerd": 14.99, "/var/lib/kubelet": 14.99}}, "disk-pressure"),
        ({"disk_free_percent": {"/var/lib/containerd": 50.0, "/var/lib/kubelet": 9.99}}, "disk-pressure"),
    ],
)
def test_a_doubtful_host_is_a_warning(changes, check):
    findings = three(**changes)
    assert [(finding.check, finding.level) for finding in findings] == [(check, "warning")]


def test_a_worker_needs_less_than_a_master():
    observed = bare("m1", "w1")
    observed["w1"].update(memory_mib=922, disk_free_mib={"/var/lib": 2048, "/opt": 1024})
    assert judge(inventory(["m1"], ["w1"]), observed) == ()
    observed["w1"]["memory_mib"] = 921
    assert found(judge(inventory(["m1"], ["w1"]), observed)) == [("w1", "memory")]


def test_a_disk_that_filled_up_in_use_does_not_stop_the_run():
    members = [member("m1")]
    observed = {"m1": living("m1", members, disk_free_mib={"/var/lib": 1, "/opt": 41000})}
    findings = judge(inventory(["m1"]), observed, store=True)
    assert [(finding.check, finding.level) for finding in findings] == [("disk-space", "warning")]


def test_a_node_address_that_is_not_the_hosts_is_found():
    listed = inventory(["m1"], m1={"node_address": "192.0.2.99"})
    assert ("m1", "node-address") in found(judge(listed, bare("m1")), "error")


def test_a_host_without_any_address_is_found():
    listed = inventory(["m1"], m1={"ansible_host": "m1.example.org"})
    findings = judge(listed, {"m1": fresh("m1", addresses=[], default_address="")})
    assert found(findings, "error") == [("m1", "node-address")]


def test_two_inventory_names_for_one_host_are_found():
    listed = inventory(["m1", "m2"], m2={"ansible_host": "192.0.2.11"})
    observed = {"m1": fresh("m1"), "m2": fresh("m1")}
    checks = {check for _host, check in found(judge(listed, observed), "error")}
    assert {"duplicate-address", "duplicate-hostname", "duplicate-machine-id"} <= checks


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
    assert found(three(listening=[listener])) == ([("m1", "port-taken")] if taken else [])


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


def test_our_own_balancer_is_no_foreign_process():
    listener = {"port": 6443, "address": ENDPOINT, "process": "haproxy", "executable": "/usr/sbin/haproxy"}
    assert three(listening=[listener], cluster={"name": "prod"}) == ()


def test_a_worker_may_use_a_masters_port():
    observed = bare("m1", "w1")
    observed["w1"]["listening"] = [{"port": 2379, "address": "::", "process": "x", "executable": "/x"}]
    assert judge(inventory(["m1"], ["w1"]), observed) == ()


# Certificates


def test_a_living_cluster_without_its_ca_store_stops_the_run():
    observed = {"m1": living("m1", [member("m1")]), "w1": fresh("w1")}
    findings = judge(inventory(["m1"], ["w1"]), observed, store=False)
    assert found(findings) == [("", "ca-store")]
    assert "/inv/pki" in findings[0].found
    assert judge(inventory(["m1"], ["w1"]), observed, store=True) == ()


def test_a_host_of_another_ca_is_found():
    findings = three(ca_fingerprints={"kubernetes": ["aa"]})
    assert findings == ()
    observed = {name: fresh(name, ca_fingerprints={"kubernetes": ["aa"]}) for name in NAMES}
    observed["m2"]["ca_fingerprints"] = {"kubernetes": ["ff"]}
    assert found(judge(inventory(NAMES), observed)) == [("m2", "ca-differs")]


def test_hosts_in_the_middle_of_a_ca_rotation_agree():
    observed = bare(*NAMES)
    for name, prints in (("m1", ["old"]), ("m2", ["new", "old"]), ("m3", ["new"])):
        observed[name]["ca_fingerprints"] = {"kubernetes": prints}
    assert judge(inventory(NAMES), observed) == ()


# One cluster


MADE = {
    "name": "prod",
    "endpoint": ENDPOINT,
    "service_cidr": "10.96.0.0/16",
    "pod_cidr": "10.244.0.0/16",
    "cluster_domain": "cluster.local",
    "etcd": "stacked",
}


def recorded(record, **more):
    """Judge a living cluster of three masters that carry this record."""
    members = [member(name) for name in NAMES]
    observed = {name: living(name, members, cluster=record) for name in NAMES}
    return judge(inventory(NAMES), observed, store=True, **more)


@pytest.mark.parametrize(
    ("more", "was"),
    [
        ({"endpoint_address": "192.0.2.99"}, ENDPOINT),
        ({"service_cidr": "10.97.0.0/16"}, "10.96.0.0/16"),
        ({"pod_cidr": "10.245.0.0/16"}, "10.244.0.0/16"),
        ({"cluster_domain": "example.org"}, "cluster.local"),
    ],
)
def test_what_a_living_cluster_was_made_with_stays(more, was):
    (name,) = more
    (finding,) = recorded(MADE, **more)
    assert (finding.check, finding.level) == ("cluster-changed", "error")
    assert finding.fix.startswith(f"Set multimaster_{name} back to {was}:")
    assert finding.found.endswith(f"made with {was} (m1, m2, m3)")


@pytest.mark.parametrize(
    ("record", "more"),
    [
        (MADE, {}),
        (MADE, {"even_voters": True, "endpoint_port": 8443}),
        ({"name": "prod"}, {"service_cidr": "10.97.0.0/16", "pod_cidr": "10.245.0.0/16"}),
        ({"name": "prod", "endpoint": ENDPOINT}, {"cluster_domain": "example.org"}),
        (None, {"cluster_domain": "example.org"}),
    ],
)
def test_a_record_without_a_difference_says_nothing_and_neither_does_an_older_one(record, more):
    assert recorded(record, **more) == ()


def test_a_host_that_has_no_certificates_yet_may_still_change():
    assert three(cluster=MADE) == ()
    listed, observed = inventory(NAMES), {name: fresh(name, cluster=MADE) for name in NAMES}
    assert judge(listed, observed, service_cidr="10.97.0.0/16") == ()


def test_a_host_of_another_cluster_is_told_once_with_what_is_to_be_done():
    members = [member("m1")]
    observed = {"m1": living("m1", members), "w1": fresh("w1", certificates=True, cluster=dict(MADE, name="old", endpoint="x"))}
    (finding,) = judge(inventory(["m1"], ["w1"]), observed, store=True)
    assert (finding.host, finding.check) == ("w1", "cluster-other")
    assert "/etc/kubernetes/multimaster.json" in finding.found
    assert all(path in finding.fix for path in ("/etc/kubernetes", "/etc/etcd", "/var/lib/etcd", "/var/lib/kubelet"))


def test_many_hosts_are_counted_instead_of_named():
    assert _preflight_cluster._some(["a"]) == "a"
    assert _preflight_cluster._some(["a", "b", "c"]) == "a, b, c"
    assert _preflight_cluster._some(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"


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


def test_an_unknown_id_to_ignore_is_a_warning_with_the_nearest():
    findings = judge(inventory(["m1"]), bare("m1"), preflight_ignore=["memroy", "setting-unknown"])
    assert found(findings, "warning") == [("", "ignore-unknown")]
    assert "memory" in findings[0].fix


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


# etcd and versions


def test_data_without_a_record_and_without_quorum_is_an_error():
    etcd = {"data": True, "record": None, "unit": "active", "status": None}
    assert ("", "etcd-refused") in found(judge(inventory(["m1"]), {"m1": fresh("m1", etcd=etcd)}), "error")


def raised(observed, host, member_id, alarm="NOSPACE"):
    """Let a host's member tell of an alarm."""
    observed[host]["etcd"]["status"]["alarms"] = [{"member_id": member_id, "alarm": alarm}]
    return observed


@pytest.mark.parametrize(
    ("member_id", "alarm", "said"),
    [
        (member("m2")["id"], "NOSPACE", "etcd has raised NOSPACE on m2: no write is taken"),
        ("4711", "CORRUPT", "etcd has raised CORRUPT on 4711: no write is taken"),
    ],
)
def test_an_alarm_of_etcd_is_an_error_that_names_the_member_whoever_tells_of_it(member_id, alarm, said):
    members = [member(name) for name in NAMES]
    observed = raised({name: living(name, members) for name in NAMES}, "m1", member_id, alarm)
    errors = [finding for finding in judge(inventory(NAMES), observed, store=True) if finding.level == "error"]
    assert [(finding.check, finding.found) for finding in errors] == [("etcd-alarm", said)]
    assert "defragment" in errors[0].fix
    assert "replace" in errors[0].fix


def test_a_host_with_another_address_than_its_member_is_an_error_that_says_what_to_do():
    members = [member("m1"), {**member("m2"), "peer_urls": ["https://192.0.2.99:2380"]}, member("m3")]
    observed = {name: living(name, members) for name in NAMES}
    errors = [finding for finding in judge(inventory(NAMES), observed, store=True) if finding.level == "error"]
    assert [(one.host, one.check) for one in errors] == [("m2", "etcd-address")]
    said = f"the others reach etcd member m2 at https://192.0.2.99:2380, and the host's address is {address('m2')}"
    assert errors[0].found == said
    assert "multimaster_node_address" in errors[0].fix and "docs/runbooks/address-changed.md" in errors[0].fix


def strays(listed, members, **changes):
    """Return (level, found) of the findings on strays in a living cluster; changes go to every host."""
    observed = {name: living(name, members, master=name in listed.masters, **changes) for name in listed.names}
    findings = judge(listed, observed, store=True)
    return [(finding.level, finding.found) for finding in findings if finding.check == "etcd-stray"]


@pytest.mark.parametrize(
    ("left_out", "level"),
    [
        (member("m3"), "error"),
        (member("m3", learner=True), "error"),
        (member("m3", learner=True, started=False), "warning"),
    ],
)
def test_a_master_left_out_of_the_inventory_is_an_error_and_a_member_that_never_ran_a_warning(left_out, level):
    found_ones = strays(inventory(["m1", "m2"]), [member("m1"), member("m2"), left_out])
    assert [one for one, _found in found_ones] == [level]
    assert "m3" in found_ones[0][1] or "unnamed" in found_ones[0][1]


def test_both_kinds_of_strays_are_told_apart():
    members = [member("m1"), member("m2"), member("m3"), member("m4", learner=True, started=False)]
    assert [level for level, _found in strays(inventory(["m1", "m2"]), members)] == ["error", "warning"]


@pytest.mark.parametrize(
    ("etcd", "record", "level"),
    [
        (["e1", "e2"], {"name": "prod"}, "warning"),
        (["e1", "e2"], {"name": "prod", "etcd": "external"}, "warning"),
        (["e1", "e2"], {"name": "prod", "etcd": "stacked"}, "error"),
    ],
)
def test_a_stray_of_external_etcd_is_a_warning_unless_etcd_was_on_the_masters(etcd, record, level):
    members = [member(name) for name in ("e1", "e2", "e3")]
    assert [one for one, _found in strays(inventory(["m1"], etcd=etcd), members, cluster=record)] == [level]


def test_masters_that_are_listed_as_etcd_hosts_too_are_stacked():
    members = [member(name) for name in NAMES]
    listed = inventory(["m1", "m2"], etcd=["m1", "m2"])
    (finding,) = [
        finding
        for finding in judge(listed, {name: living(name, members) for name in listed.names}, store=True)
        if finding.check == "etcd-stray"
    ]
    assert (finding.level, finding.fix[:53]) == ("error", "List the host again under kube_control_plane and etcd")


def test_a_master_with_another_address_is_not_left_out():
    moved = dict(member("m2"), peer_urls=["https://192.0.2.99:2380"])
    assert [level for level, _found in strays(inventory(["m1", "m2"]), [member("m1"), moved])] == ["warning"]


def test_data_of_no_member_is_in_the_way():
    members = [member("m1")]
    lost = {"data": True, "record": None, "unit": "inactive", "status": None}
    observed = {"m1": living("m1", members), "m2": fresh("m2", etcd=lost, certificates=True)}
    findings = judge(inventory(["m1", "m2"]), observed, store=True)
    assert found(findings, "error") == [("m2", "etcd-obstacle")]


@pytest.mark.parametrize(
    ("running", "wanted", "checks"),
    [
        ({"kube-apiserver": "1.36.3", "kubelet": "1.36.3"}, "1.36.3", []),
        ({"kube-apiserver": "1.36.3", "kubelet": "1.36.3"}, "1.36.9", []),
        ({"kube-apiserver": "1.36.3"}, "1.37.0", ["version-hop"]),
        ({"kube-apiserver": "1.36.3"}, "1.38.0", ["version-hop"]),
        ({"kube-apiserver": "1.36.3"}, "2.0.0", ["version-hop"]),
        ({"kubelet": "1.36.3"}, "1.37.2", ["version-hop"]),
        ({"kube-apiserver": "1.37.2", "kubelet": "1.36.3"}, "1.37.2", []),  # a hop that was begun is finished
        ({"kube-apiserver": "1.37.2"}, "1.36.3", ["version-downgrade"]),
        ({"kube-apiserver": "1.36.5"}, "1.36.3", ["version-older-patch"]),
        ({"kube-apiserver": "what"}, "1.37.2", ["skew-version"]),
        ({"etcd": "3.6.16"}, "1.36.3", []),
    ],
)
def test_a_running_cluster_keeps_its_minor(running, wanted, checks):
    observed = {"m1": living("m1", [member("m1")], versions=running)}
    findings = judge(inventory(["m1"]), observed, store=True, kubernetes_version=wanted)
    assert [finding.check for finding in findings] == checks


@pytest.mark.parametrize(
    ("running", "wanted", "checks"),
    [("3.6.16", "3.6.17", []), ("3.6.16", "3.7.3", ["version-hop"]), ("3.6.10", "3.7.3", ["version-hop"])],
)
def test_a_running_etcd_keeps_its_minor(running, wanted, checks):
    observed = {"m1": living("m1", [member("m1")], versions={"etcd": running})}
    findings = judge(inventory(["m1"]), observed, store=True, etcd_version=wanted)
    assert found(findings, "error") == [("", check) for check in checks]


def test_the_newest_that_runs_is_the_version_to_go_back_to():
    members = [member("m1"), member("m2"), member("m3")]
    observed = {name: living(name, members) for name in NAMES}
    observed["m2"]["versions"]["kube-apiserver"] = "1.36.10"
    (finding,) = judge(inventory(NAMES), observed, store=True, kubernetes_version="1.37.2")
    assert finding.fix.endswith("or set multimaster_kubernetes_version back to 1.36.10.") and "upgrade.yml" in finding.fix
    assert finding.wanted == "a release of 1.36"


STEPWISE = "no minor may be skipped: set multimaster_kubernetes_version to a 1.37 release, run upgrade.yml, then go on"


@pytest.mark.parametrize(
    ("wanted", "way"),
    [("1.37.0", "upgrade.yml goes there without an outage"), ("1.38.0", STEPWISE), ("2.0.0", STEPWISE)],
)
def test_upgrade_yml_is_named_as_the_way_to_the_next_minor_only(wanted, way):
    (finding,) = judge(inventory(["m1"]), {"m1": living("m1", [member("m1")])}, store=True, kubernetes_version=wanted)
    assert finding.fix == f"{way}; or set multimaster_kubernetes_version back to 1.36.3."


def test_a_dead_master_is_replaced_in_the_middle_of_an_upgrade():
    members = [member("m1"), member("m2"), member("m3")]
    observed = {name: living(name, members) for name in ("m1", "m3")} | {"m4": fresh("m4")}
    listed, made = inventory([*NAMES, "m4"]), settings(kubernetes_version="1.37.2", etcd_version="3.7.3")
    request = _request.Request("replace", ("m2",), "m4")
    topology = _topology.build(made, listed, observed, True, request=request)
    view = _preflight.View(made, listed.without(("m2",)), observed, topology, True)
    assert not [one for one in _preflight.judge(view) if one.check.startswith(("version-", "skew-"))]
    # what the run leaves has to fit: here the controllers of a master whose API server nobody knows anything of
    observed["m1"]["versions"].update({"kube-controller-manager": "1.37.2", "kube-apiserver": "1.37.2"})
    del observed["m1"]["versions"]["kube-apiserver"]
    unknown = _topology.build(made, listed, observed, True, request=request)
    view = _preflight.View(made, listed.without(("m2",)), observed, unknown, True)
    assert "skew-kube-controller-manager" in {one.check for one in _preflight.judge(view)}
    observed["m1"]["unit_versions"] = {"kube-apiserver": "1.37.2"}
    stopped = _topology.build(made, listed, observed, True, request=request)
    view = _preflight.View(made, listed.without(("m2",)), observed, stopped, True)
    assert "skew-kube-controller-manager" not in {one.check for one in _preflight.judge(view)}
    converging = _topology.build(made, listed, observed, True)
    assert "version-hop" in {one.check for one in _preflight.judge(_preflight.View(made, listed, observed, converging, True))}


def test_a_new_cluster_is_built_in_any_minor():
    assert judge(inventory(["m1"]), bare("m1"), kubernetes_version="1.37.2", etcd_version="3.7.3") == ()


def test_running_versions_are_gathered_by_component():
    observed = {"m1": living("m1", [member("m1")])}
    listed, made = inventory(["m1"]), settings()
    view = _preflight.View(made, listed, observed, _topology.build(made, listed, observed, True), True)
    running = _upgrade_scene.running_versions(view.seen())
    assert (running.apiserver, running.etcd, running.kubelet) == ({"m1": "1.36.3"}, {"m1": "3.6.16"}, {})


def test_a_thousand_nodes_are_judged_in_no_time():
    names = tuple(f"n{number}" for number in range(1000))
    observed = {"m1": fresh("m1")}
    hosts = [_topology.InventoryHost("m1", ansible_host="192.0.2.11")]
    for number, name in enumerate(names):
        own = f"198.18.{number // 250}.{number % 250 + 1}"
        hosts.append(_topology.InventoryHost(name, ansible_host=own))
        addresses = [{"interface": "eth0", "address": own, "prefix": 16}]
        observed[name] = fresh("w1", hostname=name, machine_id=name, addresses=addresses, macs=[name])
    listed = _topology.Inventory(("m1",), names, (), tuple(hosts))
    assert found(judge(listed, observed, pod_cidr="10.128.0.0/11")) == []


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


def test_a_file_of_tasks_that_cannot_be_used_is_an_error_with_its_setting():
    made, listed, observed = settings(), inventory(["m1"]), bare("m1")
    topology = _topology.build(made, listed, observed, False, nonce="5eed")
    wrong = {"multimaster_after_host": "/x/a.yml is no file", "multimaster_before_host": "/x/b.yml is a playbook"}
    findings = _preflight.judge(_preflight.View(made, listed, observed, topology, hooks=wrong))
    assert found(findings, "error") == [("", "hook-unusable")] * 2
    assert [one.found for one in findings] == [f"{setting}: {said}" for setting, said in sorted(wrong.items())]
    assert "multimaster_before_host" in findings[1].fix
