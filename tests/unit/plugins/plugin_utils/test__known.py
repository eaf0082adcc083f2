# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what is read before the topology is decided, from the variables and arguments of a task."""

from __future__ import annotations

import time

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _request
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _ca_store
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils._known import Known
from cluster_fixtures import VARIABLES, fresh

NOBODY = {"remove": None, "replace": None, "by": "", "upgrade": False, "roll": None, "move": False, "max_age": 900}


def known(folder, age=0.0, variables=None, **args):
    """Return what is read of two masters that were observed so many seconds ago."""
    then = time.time() - age
    hostvars = {}
    for name in ("m1", "m2"):
        facts = {"multimaster_host": {**fresh(name), "clock_window": (then - 0.1, then)}}
        hostvars[name] = {
            **VARIABLES,
            "inventory_dir": str(folder),
            "ansible_facts": facts,
            "preflight_result": {"changed": False},
        }
        hostvars[name].update(variables or {})
    return Known.read({"groups": {"kube_control_plane": ["m1", "m2"]}, "hostvars": hostvars}, {**NOBODY, **args})


def test_nothing_is_asked_and_nothing_wrong_where_hosts_and_settings_are_read(tmp_path):
    found = known(tmp_path)
    assert (found.settings.cluster_name, found.inventory.masters, sorted(found.observed)) == ("prod", ("m1", "m2"), ["m1", "m2"])
    assert (found.request, found.findings, found.unknown) == (_request.CONVERGING, (), ())


@pytest.mark.parametrize(("age", "max_age", "seen"), [(0, 900, 2), (890, 900, 2), (910, 900, 0), (890, 60, 0)])
def test_an_observation_that_is_too_old_is_none(tmp_path, age, max_age, seen):
    assert len(known(tmp_path, age, max_age=max_age).observed) == seen


@pytest.mark.parametrize(
    ("args", "kind", "nodes"),
    [
        ({"remove": ["m2"]}, _request.REMOVE, ("m2",)),
        ({"upgrade": True}, _request.UPGRADE, ()),
        ({"move": True}, _request.MOVE, ()),
    ],
)
def test_what_is_asked_is_read_with_the_rest(tmp_path, args, kind, nodes):
    found = known(tmp_path, **args)
    assert (found.request.kind, found.request.nodes) == (kind, nodes)


def test_what_is_wrong_with_settings_and_with_the_request_is_kept_apart(tmp_path):
    found = known(tmp_path, variables={"multimaster_network": "calico"}, remove=["m9"])
    assert {one.check for one in found.findings} == {"setting-invalid"}
    assert len(found.unknown) == 1 and "m9" in str(found.unknown)


def test_files_of_the_controller_lie_beside_the_inventory_unless_their_path_is_whole(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/op")
    found = known(tmp_path)
    assert found.path("pki") == str(tmp_path / "pki")
    assert found.path("../pki") == str(tmp_path.parent / "pki")
    assert (found.path("/srv/pki/"), found.path("~/pki")) == ("/srv/pki", "/home/op/pki")


def test_the_store_is_there_when_it_is_where_the_setting_says(tmp_path):
    assert not known(tmp_path).store_exists
    _ca_store.open_store(str(tmp_path / "keys"), "prod", time.time(), may_create=True)
    assert known(tmp_path, variables={"multimaster_ca_store": "keys"}).store_exists
    assert not known(tmp_path, variables={"multimaster_ca_store": "other"}).store_exists


def test_a_wish_of_any_of_the_hosts_counts(tmp_path):
    found = known(tmp_path, variables={"etcd_allow_outage": "yes"})
    assert found.wished("etcd_allow_outage", ["m1"])
    assert not found.wished("etcd_allow_outage", [])
    assert not found.wished("reboot", ["m1", "m2"])


def test_what_roles_are_given_is_judged_with_the_settings(tmp_path):
    found = known(tmp_path, variables={"etcd_quota_backend_bytes": "soon", "etcd_extra_flag": {}, "kubelet_taints": []})
    assert {(one.host, one.check) for one in found.findings} == {("m1", "role-input-invalid"), ("", "role-input-unknown")}
