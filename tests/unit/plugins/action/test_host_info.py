# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from unittest import mock

import pytest
from ansible_collections.multimaster.kubernetes.plugins.action import host_info
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _ports


def task_vars(own, groups, **hosts):
    hostvars = {name: dict({"multimaster_endpoint_address": "192.0.2.10"}, **more) for name, more in hosts.items()}
    return {"inventory_hostname": own, "groups": groups, "hostvars": hostvars}


HOSTS = {"m1": {"ansible_host": "192.0.2.11"}, "m2": {"multimaster_node_address": "10.0.0.2"}, "w1": {}}


def test_a_member_measures_the_way_to_the_other_members():
    found = host_info.defaults(task_vars("m1", {"kube_control_plane": ["m1", "m2"]}, **HOSTS))
    assert found == {"peers": {"m2": "10.0.0.2"}, "endpoint_address": "192.0.2.10", "peer_port": 22}


def test_a_worker_measures_nothing():
    found = host_info.defaults(task_vars("w1", {"kube_control_plane": ["m1", "m2"]}, **HOSTS))
    assert found == {"endpoint_address": "192.0.2.10"}


def test_members_of_an_etcd_cluster_of_its_own_measure_each_other_and_masters_do_not():
    groups = {"kube_control_plane": ["w1"], "etcd": ["m1", "m2"]}
    assert host_info.defaults(task_vars("m2", groups, **HOSTS))["peers"] == {"m1": "192.0.2.11"}
    assert "peers" not in host_info.defaults(task_vars("w1", groups, **HOSTS))


def test_another_ssh_port_is_used_and_different_ones_are_left_to_the_module():
    groups = {"kube_control_plane": ["m1", "m2", "w1"]}
    hosts = {name: dict(more, ansible_port=2222) for name, more in HOSTS.items()}
    assert host_info.defaults(task_vars("m1", groups, **hosts))["peer_port"] == 2222
    hosts["w1"]["ansible_port"] = 2223
    assert "peer_port" not in host_info.defaults(task_vars("m1", groups, **hosts))


@pytest.mark.parametrize("given", [8443, "8443"])
def test_the_endpoints_own_port_is_looked_at_beside_all_others(given):
    found = host_info.defaults(task_vars("w1", {}, w1={"multimaster_endpoint_port": given}))
    assert found["ports"] == [*_ports.NUMBERS, 8443]


@pytest.mark.parametrize("given", [None, "", 6443, "no port", "-1"])
def test_a_port_that_is_known_or_none_leaves_the_ports_to_the_module(given):
    assert "ports" not in host_info.defaults(task_vars("w1", {}, w1={"multimaster_endpoint_port": given}))


def test_the_controllers_clock_is_noted_around_the_execution(monkeypatch):
    task = mock.MagicMock(args={"probe_arp": "always"}, async_val=0, check_mode=False)
    plugin = host_info.ActionModule(task, mock.MagicMock(), mock.MagicMock(), mock.MagicMock(), mock.MagicMock(), None)
    given = {}

    def execute(module_args=None, task_vars=None):
        given.update(module_args)
        return {"ansible_facts": {"multimaster_host": {"clock": 5.0, "after_clock": 3.5}}}

    monkeypatch.setattr(plugin, "_execute_module", execute)
    clock = iter([1.0, 9.0])
    monkeypatch.setattr(host_info.time, "time", lambda: next(clock))
    result = plugin.run(task_vars=task_vars("w1", {}, **HOSTS))
    assert result["ansible_facts"]["multimaster_host"]["clock_window"] == [1.0, 5.5]
    assert given == {"probe_arp": "always", "endpoint_address": "192.0.2.10"}


def test_a_failed_execution_is_passed_on(monkeypatch):
    task = mock.MagicMock(args={}, async_val=0, check_mode=False)
    plugin = host_info.ActionModule(task, mock.MagicMock(), mock.MagicMock(), mock.MagicMock(), mock.MagicMock(), None)
    monkeypatch.setattr(plugin, "_execute_module", lambda **_arguments: {"failed": True, "msg": "no python"})
    assert plugin.run(task_vars=task_vars("w1", {}, **HOSTS)) == {"failed": True, "msg": "no python"}
