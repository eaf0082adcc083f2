# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what is taken from groups and variables as Ansible holds them: some templated, some missing, some from a cache."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _topology
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _inventory_view as view
from cluster_fixtures import VARIABLES, host
from hostvars_fixtures import Templated

NOW = 1_000_000.0
ANSWERED = {"changed": False}


class Merging(dict):
    """Variables of all hosts that count how often those of one are merged."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.merged = []

    def __getitem__(self, name):
        self.merged.append(name)
        return super().__getitem__(name)


def ours(**more):
    return {**VARIABLES, **{f"multimaster_{name}": value for name, value in more.items()}}


def test_each_host_of_our_groups_is_looked_up_once_and_nobody_else():
    hostvars = Merging({"m1": {"a": 1}, "w1": {}, "db": {}})
    groups = {"all": ["m1", "w1", "db"], "kube_control_plane": ["m1"], "kube_node": ["w1", "m1"], "databases": ["db"]}
    assert view.once(groups, hostvars) == {"m1": {"a": 1}, "w1": {}}
    assert sorted(hostvars.merged) == ["m1", "w1"]


def test_groups_and_places_are_read_as_the_inventory_has_them():
    groups = {
        "all": ["w1", "m2", "m1"],
        "ungrouped": ["x"],
        "kube_control_plane": ["m2", "m1"],
        "kube_node": ["w1"],
        "empty": [],
        "rack": ["w1"],
    }
    hostvars = {
        "m1": {**ours(zone="a", node_address="192.0.2.1"), "inventory_dir": "/inv"},
        "m2": {**ours(), "ansible_host": "m2.example.com"},
        "w1": ours(zone="b"),
    }
    settings, inventory, findings, folder = view.read(groups, hostvars)
    assert (settings.cluster_name, findings, folder) == ("prod", (), "/inv")
    assert (inventory.masters, inventory.workers, inventory.etcd) == (("m2", "m1"), ("w1",), ())
    assert inventory.groups == ("kube_control_plane", "kube_node", "rack")
    assert inventory.hosts == (
        _topology.InventoryHost("m1", "a", "192.0.2.1", "m1"),
        _topology.InventoryHost("m2", "", "", "m2.example.com"),
        _topology.InventoryHost("w1", "b", "", "w1"),
    )


def test_an_inventory_without_our_groups_is_an_empty_one():
    settings, inventory, findings, folder = view.read({"all": ["db"], "ungrouped": ["db"]}, {"db": {}})
    assert (settings.cluster_name, inventory.names, folder) == (None, (), ".")
    assert {finding.check for finding in findings} == {"setting-missing"}


def test_all_that_is_wrong_with_settings_is_found_at_once():
    hostvars = {
        "m1": {**ours(network="calico"), "multimaster_xyzzy": 1},
        "m2": Templated(("multimaster_etcd_version",), **ours(network="calico", cluster_name="other")),
    }
    findings = view.read({"kube_control_plane": ["m1", "m2"]}, hostvars)[2]
    found = {(finding.host, finding.check) for finding in findings}
    assert ("m2", "setting-invalid") in found, "a template that cannot be worked out"
    assert {check for _host, check in found} == {"setting-invalid", "setting-unknown", "setting-differs"}


def test_a_template_that_cannot_be_worked_out_is_named_and_the_others_are_read():
    values, [finding] = view.ours(Templated(("multimaster_network",), multimaster_cluster_name="prod", other=1), "m1")
    assert values == {"multimaster_cluster_name": "prod"}
    assert finding.host == "m1" and "multimaster_network: 'nothere' is undefined" in finding.found


def test_what_we_observed_is_no_setting_of_the_users():
    assert view.ours({"multimaster_host": {}, "multimaster_zone": "a"}, "m1") == ({"multimaster_zone": "a"}, ())


@pytest.mark.parametrize(
    ("values", "wished"),
    [
        (["no"], False),
        (["yes"], True),
        (["true", False], True),
        ([False, True], True),
        ([1], True),
        ([], False),
        (["perhaps"], False),
        ([None], False),
        ([[]], False),
    ],
)
def test_a_wish_on_any_host_is_one_and_what_is_no_boolean_is_none(values, wished):
    hostvars = {str(number): {"multimaster_allow_outage": value} for number, value in enumerate(values)}
    hostvars["without"] = {}
    hostvars["broken"] = Templated(("multimaster_allow_outage",))
    assert view.wished("multimaster_allow_outage", list(hostvars), hostvars) is wished


@pytest.mark.parametrize(
    ("window", "counts"),
    [
        ((NOW - 31, NOW - 30), True),
        ((NOW - 1, NOW), True),
        ((NOW, NOW + 1), True),
        ((NOW - 32, NOW - 30.1), False),
        ((NOW + 3600, NOW + 3601), False),  # of last week, before the clock was set back
        (None, False),
    ],
)
def test_an_observation_counts_when_it_ended_in_time(window, counts):
    seen = {"hostname": "m1"} if window is None else {"hostname": "m1", "clock_window": window}
    hostvars = {"m1": {"ansible_facts": {"multimaster_host": seen}, "preflight_result": ANSWERED}}
    assert view.observations(["m1"], hostvars, NOW, 30) == ({"m1": seen} if counts else {})


@pytest.mark.parametrize("told", [{}, None, {"unreachable": True}, {"failed": True}])
def test_what_a_fact_cache_holds_of_a_host_that_did_not_answer_in_this_run_is_no_observation(told):
    hostvars = {"m1": {"ansible_facts": {"multimaster_host": {"clock_window": (NOW - 2, NOW - 1)}}}}
    if told is not None:
        hostvars["m1"]["preflight_result"] = told
    assert view.observations(["m1"], hostvars, NOW, 30) == {}


def test_a_host_that_this_run_did_not_look_at_is_left_out_and_one_that_is_dead_is_not():
    hostvars = {"m1": {"preflight_result": ANSWERED}, "m2": {"preflight_result": {"unreachable": True}}, "m3": {}}
    [finding] = view.left_out(["m1", "m2", "m3"], hostvars, "m1,m2")
    assert (finding.host, finding.check) == ("m3", "host-left-out")
    assert finding.found == "this run did not look at it (--limit m1,m2)" and finding.fix.startswith("Run again without --limit")
    assert view.left_out(["m3"], hostvars)[0].found == "this run did not look at it"


def test_a_host_without_facts_was_not_observed():
    hostvars = {"m1": {}, "m2": {"ansible_facts": {"other": 1}}, "m3": Templated(("ansible_facts",))}
    assert view.observations(list(hostvars), hostvars, NOW, 30) == {}


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({"unreachable": True, "msg": "Failed to connect to the host via ssh: no route"}, "no route"),
        ({"failed": True, "msg": "no python"}, "no python"),
        ({"failed": True}, "no reason was given"),
        ({"failed": False, "msg": "fine"}, None),
        ({}, None),
    ],
)
def test_why_a_host_was_not_observed_is_what_its_task_said(result, reason):
    hostvars = {"m1": {"preflight_result": result}, "m2": {}}
    assert view.reasons(["m1", "m2"], hostvars) == ({} if reason is None else {"m1": reason})


def test_arguments_are_those_of_the_programs_that_are_to_run_on_each_host():
    flags = {"kube_apiserver_extra_flags": {"v": "4"}, "etcd_extra_flags": {"debug": True}}
    found = view.arguments([host("m1"), host("w1")], {"m1": flags, "w1": flags})
    assert found["kube-apiserver"] == {"m1": {"v": "4"}}
    assert found["etcd"] == {"m1": {"debug": True}}
    assert found["kubelet"] == {"m1": {"featureGates": None}, "w1": {"featureGates": None}}


def test_of_a_configuration_file_the_gates_alone_are_arguments():
    given = {"kubelet_extra_config": {"featureGates": {"A": True}, "maxPods": 50}}
    assert view.arguments([host("w1")], {"w1": given})["kubelet"] == {"w1": {"featureGates": {"A": True}}}


@pytest.mark.parametrize("given", ["--v=4", ["v"], None])
def test_what_is_no_mapping_gives_a_program_nothing(given):
    found = view.arguments([host("m1")], {"m1": {"kube_scheduler_extra_flags": given}})
    assert found["kube-scheduler"] == {"m1": {}}


def test_limits_of_eviction_are_the_users_own_where_he_gives_any():
    hostvars = {
        "w1": {"kubelet_extra_config": {"evictionHard": {"memory.available": "5%"}}},
        "w2": {"kubelet_extra_config": {"maxPods": 9}},
        "w3": {},
        "w4": {"kubelet_extra_config": None},
    }
    assert view.own_eviction(list(hostvars), hostvars) == {"w1"}


@pytest.mark.parametrize("given", ["resolvConf", ["resolvConf"], None])
def test_a_kubelet_is_given_fields_or_nothing(given):
    hostvars = {"w1": {"kubelet_extra_config": {"resolvConf": "/etc/pods.conf"}}, "w2": {"kubelet_extra_config": given}}
    assert view.own_kubelet(list(hostvars), hostvars) == {"w1": {"resolvConf": "/etc/pods.conf"}, "w2": {}}


def test_what_a_user_gives_roles_is_told_from_everything_else_and_what_needs_a_topology_is_left_out():
    hostvars = {
        "m1": Templated(("kubelet_node_labels",), kubelet_extra_args={"v": 2}, kubelets=1, etcd_wipe=True, ansible_host="a"),
        "w1": {},
    }
    assert view.given(["m1", "w1"], hostvars, ("kubelet", "etcd")) == {
        "m1": {"kubelet_extra_args": {"v": 2}, "etcd_wipe": True},
        "w1": {},
    }
