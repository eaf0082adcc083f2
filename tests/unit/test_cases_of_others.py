# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What other installers get wrong in the field, and the tests that show that ours does not.

`#` numbers are issues of the named project. A case that is not there yet gets its row and a test that fails with that mistake.
"""

from __future__ import annotations

import ast
import functools
import pathlib
import re

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
UNIT = ROOT / "tests" / "unit"
UTILITIES = "plugins/module_utils/test__"
FIELD = UTILITIES + "quorum.py::test_case[{}]"
CASES = {
    # what goes wrong, and where: the tests, below tests/unit
    "a share of the etcd members restarts at once: `throttle: n // 2` takes two of four (kubespray)": (
        FIELD.format("throttle n // 2 restarts two of four together (kubespray)"),
        "test_repository_rules.py::test_order_and_concurrency_give_their_reason",
        "test_cases_of_others.py::test_members_and_masters_take_their_turns_one_at_a_time",
    ),
    "as many healthy as unhealthy members count as a quorum, and so do none at all (kubespray)": (
        FIELD.format("healthy >= unhealthy passes 2 of 4 (kubespray): restart"),
        FIELD.format("healthy >= unhealthy passes 2 of 4 (kubespray): remove"),
        FIELD.format("healthy >= unhealthy passes 2 of 4 (kubespray): add"),
        FIELD.format("healthy >= unhealthy passes 0 of 0 (kubespray)"),
    ),
    "`rm *node1*` takes the certificates of node10 as well (kubespray)": (
        UTILITIES + "files.py::test_exactly_the_named_paths_go",
        UTILITIES + "request.py::test_one_name_is_not_the_beginning_of_another",
        UTILITIES + "etcd_flows.py::test_the_member_that_is_named_leaves_and_not_one_whose_name_begins_so",
    ),
    "the first server, built anew, founds a second cluster (k3s-ansible #269)": (
        UTILITIES + "bootstrap.py::test_case[the first server rebuilt joins (k3s-ansible #269)]",
        UTILITIES + "bootstrap.py::test_one_that_published_itself_and_has_no_data_has_lost_its_disk",
    ),
    "`initial-cluster-state=new` stays on disk and founds a cluster at the next start without data (kubespray #13261)": (
        UTILITIES + "etcd_flows.py::test_a_bootstrap_ends_when_the_member_serves",
        UTILITIES + "etcd_flows.py::test_of_a_founding_nothing_is_left_that_a_later_start_would_read",
        "roles/test_etcd.py::test_growing_changes_nothing_a_member_was_started_with",
        "roles/test_etcd.py::test_the_unit_starts_nothing_where_the_decisions_see_no_data",
    ),
    "the first master can be neither removed nor replaced (kubespray #13516, k3s-ansible #400, ansible-role-k3s #210)": (
        FIELD.format("the first master cannot go (kubespray #13516)"),
        FIELD.format("the dead first master cannot be replaced (k3s-ansible #400)"),
        UTILITIES + "plan.py::test_any_masters_may_leave_a_healthy_cluster_and_every_step_keeps_quorum",
        UTILITIES + "plan.py::test_a_replacement_in_order",
    ),
    "a host is removed without a drain and without a look at the quorum (kubespray)": (
        UTILITIES + "plan.py::test_the_plan_in_order",
        UTILITIES + "plan.py::test_what_is_not_done_is_refused_with_its_reason",
        UTILITIES + "etcd_flows.py::test_the_gate_refuses_and_says_the_next_step",
        "test_cases_of_others.py::test_who_leaves_is_drained_before_anything_of_it_stops",
    ),
    "`--etcd-servers` is to be edited by hand after a member went (kubespray)": (
        UTILITIES + "join_order.py::test_repoint",
        UTILITIES + "join_order.py::test_etcd_endpoints",
    ),
    "an assertion on an odd count forbids the way through an even one (kubespray #12268)": (
        FIELD.format("an even-count assert blocks 3 -> 4 (kubespray #12268)"),
        FIELD.format("an even-count assert blocks 4 -> 3 (kubespray #12268)"),
        FIELD.format("an even-count assert blocks 4 -> 5 (kubespray #12268)"),
    ),
    "keepalived begins as healthy and takes the address back while the API is dead (ansible-role-rke2 #60)": (
        "roles/test_api_endpoint_files.py::test_keepalived_has_to_see_its_balancer_first_and_takes_no_address_back",
        UTILITIES + "endpoint_host.py::test_no_balancer_without_an_api_server",
    ),
    "a dead API server is noticed after 30 s, and any status passes for health (kubeadm's page on high availability)": (
        "roles/test_api_endpoint_files.py::test_a_dead_api_server_is_out_of_the_balancer_within_seconds_and_only_200_is_health",
    ),
    "a join that was cut off leaves a learner that forbids every later join (kubeadm #3269, Cluster API #13221)": (
        UTILITIES + "etcd_flows.py::test_a_join_cut_off_after_any_change_is_finished_by_the_next_run",
        UTILITIES + "etcd_flows.py::test_the_own_orphan_forbids_nothing_though_the_inventory_knows_names_only",
        UTILITIES + "etcd_plan.py::test_a_half_done_join_is_finished",
        UTILITIES + "quorum.py::test_a_stray_learner_may_be_removed_itself_by_id_or_peer_url",
    ),
    "one more worker restarts the kubelets of all hosts (kubespray #4397)": (
        "roles/test_growing.py::test_one_more_worker_changes_nothing_that_others_run_with",
        UTILITIES + "turns.py::test_a_turn_is_for_a_host_whose_service_is_down_or_runs_with_other_settings",
    ),
    "one more worker takes as long as building everything (kubespray #3651, #10449)": (
        UTILITIES + "plan.py::test_one_more_worker_is_no_step_of_anybody_else",
    ),
    "an upgrade that was cut off cannot be continued (kubespray #13410, ansible-role-rke2 #195)": (
        UTILITIES + "upgrade.py::test_cut_off_at_any_piece_it_is_finished_by_the_next_run",
        UTILITIES + "upgrade.py::test_from_any_legal_state_cut_off_several_times_it_ends_well",
    ),
    "a kubelet is upgraded before its API server (kubespray #6831)": (
        UTILITIES + "skew.py::test_side_by_side[a kubelet before the API server (kubespray #6831)]",
        UTILITIES + "upgrade.py::test_every_mixture_of_three_minors",
    ),
    "an upgrade restarts all masters at once (kubeasz)": (
        UTILITIES + "turns.py::test_masters_go_one_by_one_and_workers_in_batches_of_one_zone",
        "test_cases_of_others.py::test_members_and_masters_take_their_turns_one_at_a_time",
    ),
    "`--check` fails (kubespray #6870)": (
        "test_repository_rules.py::test_a_module_that_changes_something_proves_its_check",
        UTILITIES + "etcd_flows.py::test_a_check_before_there_is_a_cluster_foretells_a_change",
        UTILITIES + "kube.py::test_a_check_before_there_is_an_api_server",
        "plugins/modules/test_api_endpoint.py::test_in_check_mode_a_refusal_is_a_warning_since_the_steps_on_other_masters_were_not_taken",
    ),
    "the second run reports changes (kubespray #1601)": (
        "test_repository_rules.py::test_a_command_says_when_it_changed_something",
        "test_repository_rules.py::test_a_module_that_changes_something_proves_its_check",
        UTILITIES + "join_order.py::test_a_plan_is_minimal",
        UTILITIES + "plan.py::test_nobody_comes_or_leaves_nothing_is_planned",
    ),
    "a drain that fails leaves its node out of use (kubespray #6545)": (
        UTILITIES + "node_flow.py::test_after_any_failure_the_node_stands_as_it_was_found",
        UTILITIES + "node_flow.py::test_a_budget_that_never_allows_is_named_and_the_node_takes_pods_again",
    ),
    "`no_log` hides why a task failed (kubespray #9037)": (
        "test_cases_of_others.py::test_no_task_hides_why_it_failed",
        "plugins/modules/test_file_set.py::test_a_validators_no_is_shown_without_the_secret",
    ),
    "the error of a retry hides the first one, which was the reason (kubespray #12216)": (
        "test_cases_of_others.py::test_no_task_hides_why_it_failed",
        UTILITIES + "node_flow.py::test_a_cordon_that_cannot_be_taken_back_is_said_beside_the_first_failure",
    ),
}
ISSUE = re.compile(r"(?:kubespray|k3s-ansible|ansible-role-\w+|kubeadm|Cluster API|kubeasz) #\d+")


@functools.cache
def functions(path):
    return {node.name for node in ast.parse((UNIT / path).read_text()).body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("case", CASES)
def test_a_case_has_tests_and_each_of_them_exists(case):
    assert CASES[case]
    for named in CASES[case]:
        path, function, parameter = re.fullmatch(r"(.+?)::(\w+)(?:\[(.+)\])?", named).groups()
        assert function in functions(path), named
        assert not parameter or f'"{parameter}": (' in (UNIT / path).read_text(), named


def test_every_issue_of_others_that_a_test_names_has_its_case():
    told = set(ISSUE.findall(" ".join(CASES)))
    elsewhere = [path for path in UNIT.rglob("test_*.py") if path.name != pathlib.Path(__file__).name]
    found = {issue for path in elsewhere for issue in ISSUE.findall(path.read_text())}
    assert found and found <= told


def tasks(content):
    """Yield every task of what a YAML file holds, those in blocks and plays too."""
    for item in content if isinstance(content, list) else []:
        if isinstance(item, dict):
            yield item
            for key in ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks"):
                yield from tasks(item.get(key))


def plays(name):
    return yaml.safe_load((ROOT / "playbooks" / "phases" / f"{name}.yml").read_text())


def test_no_task_hides_why_it_failed():
    """A secret is masked where it is handled: by the module's arguments. What waits does so in a module, which says what for."""
    paths = [path for folder in ("playbooks", "roles") for path in (ROOT / folder).rglob("*.yml") if "meta" not in path.parts]
    found = {(path.name, task.get("name")): task for path in paths for task in tasks(yaml.safe_load(path.read_text()))}
    assert len(found) > 100
    assert not [where for where, task in found.items() if {"no_log", "retries", "until"} & set(task)]


def test_members_and_masters_take_their_turns_one_at_a_time():
    """What restarts etcd members, API servers or their hosts, and what takes a voter out."""
    alone = {}
    for name in ("etcd", "turns", "roll", "demote"):
        for play in plays(name):
            said = str([{**task, "name": ""} for task in play.get("tasks", ())])
            if "tasks/turn.yml" in said or "'absent'" in said:
                alone[name, play["name"]] = play.get("serial")
    assert len(alone) >= 5 and set(alone.values()) == {1}, alone


@pytest.mark.parametrize("playbook", ["site", "remove_node", "replace_node"])
def test_a_master_that_is_alone_behind_the_address_shares_it_before_it_has_its_turn(playbook):
    content = yaml.safe_load((ROOT / "playbooks" / f"{playbook}.yml").read_text())
    order = [(pathlib.Path(play["ansible.builtin.import_playbook"]).stem, play.get("when")) for play in content]
    first, every = ("endpoint", "multimaster.endpoint.first"), ("endpoint", None)
    assert order.index(("control_plane", None)) < order.index(first) < order.index(("turns", None)) < order.index(every)


@pytest.mark.parametrize("playbook", ["remove_node", "replace_node"])
def test_who_leaves_is_drained_before_anything_of_it_stops(playbook):
    content = yaml.safe_load((ROOT / "playbooks" / f"{playbook}.yml").read_text())
    order = [pathlib.Path(play["ansible.builtin.import_playbook"]).stem for play in content]
    assert order.index("drain") < order.index("part") < order.index("retire")
    units = [(name, task.get("multimaster.kubernetes.unit_set")) for name in order for task in tasks(plays(name))]
    assert {name for name, said in units if said and said.get("state") == "absent"} == {"part"}
    [member] = yaml.safe_load((ROOT / "playbooks/phases/tasks/remove_member.yml").read_text())[1:]
    assert member["multimaster.kubernetes.etcd_member"]["state"] == "absent", "the module that asks the gate"
