# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what the etcd role promises the quorum gate, and where its constants meet those of the decisions."""

from __future__ import annotations

import yaml
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _membership, _quorum
from ansible_collections.multimaster.kubernetes.plugins.modules import etcd_quorum
from rendering import ROOT, files, flags, render

UNIT = "/etc/systemd/system/etcd.service"
ROLE = ROOT / "roles/etcd"


def tasks(name):
    return yaml.safe_load((ROLE / f"tasks/{name}.yml").read_text())


def test_the_outage_of_a_lone_voter_is_never_allowed_by_default():
    assert render("etcd", "etcd_allow_outage") is False


def test_the_gate_stands_before_what_runs_and_a_member_that_is_down_is_simply_started():
    """`restart_needed` holds units that run with other settings; one that is down is not among them (_unit_plan)."""
    [gate], (first, leadership), [start], [spared, run] = tasks("gate"), tasks("spare"), tasks("start"), tasks("service")
    assert first["ansible.builtin.import_tasks"] == "gate.yml" and "when" not in first
    assert gate["multimaster.kubernetes.etcd_quorum"]["step"] == "restart" and "when" not in gate
    assert leadership["multimaster.kubernetes.etcd_member"]["state"] == "follower" and "when" not in leadership
    assert spared["ansible.builtin.include_tasks"] == "spare.yml"
    assert spared["when"] == "not (etcd_result | multimaster.kubernetes.runs_as_it_should)"
    assert run["ansible.builtin.import_tasks"] == "start.yml" and "when" not in run
    assert set(start) == {"name", "multimaster.kubernetes.unit_set"}


def test_growing_changes_nothing_a_member_was_started_with():
    """A lone voter is not restarted because others join: nothing in its unit tells how many there are."""
    text = files("etcd", "m1")[UNIT]
    for of_others in ("192.0.2.12", "192.0.2.13", "initial-cluster"):
        assert of_others not in text
    read_once = {"etcd_initial_cluster", "etcd_cluster_token", "etcd_members", "etcd_endpoints"}
    source = (ROLE / "vars/main.yml").read_text()
    assert not [name for name in read_once if name in source]
    inputs = render("etcd", "__etcd_units")[0]["inputs"]
    assert inputs == ["/etc/etcd/pki/client-ca.crt", "/etc/etcd/pki/peer-ca.crt"], "a file that is an input would restart it"


def test_etcd_takes_as_many_learners_as_the_decisions_count_on():
    assert int(flags(files("etcd")[UNIT])["max-learners"]) == _quorum.MAX_LEARNERS


def test_the_unit_starts_nothing_where_the_decisions_see_no_data():
    assert f"AssertPathExists=/var/lib/etcd/{_membership.WAL}\n" in files("etcd")[UNIT]


def test_the_gates_documentation_names_every_kind_of_step():
    assert yaml.safe_load(etcd_quorum.DOCUMENTATION)["options"]["step"]["choices"] == list(_quorum.KINDS)


def test_a_member_stops_only_when_etcd_was_well_for_a_while():
    """Another one may have restarted just before, in this run or in one that was cut off."""
    (gate,) = tasks("gate")
    assert gate["multimaster.kubernetes.etcd_quorum"]["stable_for"] == "{{ etcd_stable_for }}"
    assert render("etcd", "etcd_stable_for") == 5


def test_the_gate_is_asked_before_anything_is_taken_out_of_use():
    for turn, stops in (("turn_master.yml", "tasks_from: start"), ("turn_restart.yml", "_tasks: stop_or_reboot.yml")):
        text = (ROOT / "playbooks/phases/tasks" / turn).read_text()
        assert text.index("tasks_from: gate") < text.index("_tasks: aside.yml") < text.index(stops), turn
    aside = (ROOT / "playbooks/phases/tasks/aside.yml").read_text()
    assert "etcd_stable_for: 0" in aside, "it was waited for by then"
    assert aside.index("_tasks: leave.yml") < aside.index("tasks_from: spare")


def test_the_gate_of_the_first_member_that_leaves_is_asked_before_anything_stops():
    text = (ROOT / "playbooks/phases/part.yml").read_text()
    places = [
        text.index(one) for one in ("step: remove", "api_endpoint_state: yielded", "state: drained", "name: kube-apiserver")
    ]
    assert places == sorted(places)
