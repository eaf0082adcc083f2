# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judging as a whole: everything at once, errors first, each finding complete, each check known by its id."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _preflight, _topology
from cluster_fixtures import ENDPOINT, fresh, inventory, living, member
from preflight_fixtures import NAMES, bare, found, judge, three, viewed


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


ENDPOINT_FILES = {"etcd-stray", "master-stray", "cluster-other", "cluster-changed", "node-address"}


@pytest.mark.parametrize(
    ("kind", "judged"),
    [(kind, set(_preflight.CHECKS)) for kind in ("converge", "remove", "replace", "roll")]
    + [("move", ENDPOINT_FILES), ("upgrade", set(_preflight.CHECKS) - {"version-skew"})],
)
def test_a_move_asks_only_whether_what_it_writes_fits(kind, judged):
    assert set(_preflight.CHECKS) - set(_preflight.left_out(kind)) == judged


@pytest.mark.parametrize(("kind", "hosts"), [("move", ["m2"]), ("roll", ["m2", "w1"])])
def test_to_a_move_only_the_address_of_a_master_means_something(kind, hosts):
    members = [member(name) for name in NAMES]
    observed = {name: living(name, members) for name in NAMES} | {"w1": living("w1", [], master=False)}
    for name in ("m2", "w1"):
        observed[name]["addresses"] = []
    found = _preflight.judge_request(viewed(inventory(NAMES, ["w1"]), observed, store=True), kind)
    assert [one.host for one in found if one.check == "node-address"] == hosts
    ignored = _preflight.judge_request(viewed(inventory(NAMES, ["w1"]), observed, store=True), kind, ["node-address"])
    assert [one.host for one in ignored if one.check == "node-address"] == []


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


def test_one_finding_on_versions_is_left_out_by_its_own_id():
    observed = {"m1": living("m1", [member("m1")], versions={"kube-apiserver": "1.36.3", "etcd": "3.6.17"})}
    findings = judge(inventory(["m1"]), observed, store=True, ignore=["version-hop"], kubernetes_version="1.37.0")
    assert found(findings) == [("m1", "version-older-patch")]


def test_an_endpoint_address_that_is_not_set_is_left_to_the_settings():
    members = [member(name) for name in NAMES]
    changes = {"cluster": {"name": "prod", "endpoint": ENDPOINT}, "arp": ["02:00:00:00:00:99"]}
    view = viewed(inventory(NAMES), {name: living(name, members, **changes) for name in NAMES}, store=True)
    unset = dataclasses.replace(view, settings=dataclasses.replace(view.settings, endpoint_address=None))
    assert found(_preflight.judge(view)) == [("m1", "endpoint-taken")]
    assert _preflight.judge(unset) == ()


def test_an_unknown_id_to_ignore_is_a_warning_with_the_nearest():
    findings = judge(inventory(["m1"]), bare("m1"), preflight_ignore=["memroy", "setting-unknown"])
    assert found(findings, "warning") == [("", "ignore-unknown")]
    assert "memory" in findings[0].fix


@pytest.mark.parametrize(
    ("check", "fix"),
    [
        ("memroy", ["Did you mean memory?"]),
        ("nothing-like-it", ["Remove it."]),
        ("memory", []),
        ("setting-missing", []),
        ("skew-kubelet", []),
        ("version-hop", []),
        ("etcd-security", []),
    ],
)
def test_an_id_to_ignore_is_one_of_a_check_of_a_setting_or_of_a_finding_on_versions(check, fix):
    findings = judge(inventory(["m1"]), bare("m1"), preflight_ignore=[check])
    assert [(finding.check, finding.fix) for finding in findings] == [("ignore-unknown", said) for said in fix]


def test_every_check_says_what_it_wants():
    assert all(check.__doc__.startswith(("Want ", "Tell ")) for check in _preflight.CHECKS.values())


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
