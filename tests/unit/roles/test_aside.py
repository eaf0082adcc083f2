# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that a turn which fails before its etcd member stops leaves nothing out of use, and says what it failed on."""

from __future__ import annotations

import pytest
import yaml
from ansible.template import Templar
from rendering import ROOT, variables

TASKS = ROOT / "playbooks/phases/tasks"
RETURNED = ("kube_apiserver", "kube_controller_manager", "kube_scheduler")
(ASIDE,) = yaml.safe_load((TASKS / "aside.yml").read_text())
(BACK,) = ASIDE["rescue"]
(ENDPOINT,) = BACK["always"]
RESCUE = [*BACK["block"], *ENDPOINT["block"]]


def who(task):
    """Return the file or the role that a task includes."""
    role = task.get("ansible.builtin.include_role")
    return role["name"].rpartition(".")[2] if role else task["ansible.builtin.include_tasks"]


def test_whatever_is_taken_out_of_use_is_used_again_on_the_same_condition():
    taken = {who(task): task["when"] for task in ASIDE["block"]}
    back = {who(task): task["when"] for task in RESCUE}
    assert taken["leave.yml"] == back["return.yml"] and taken["api_endpoint"] == back["api_endpoint"]
    assert set(taken) - {"leave.yml", "api_endpoint"} == {"keep_lock.yml", "etcd"}, "these take nothing out of use"
    states = [
        task["vars"]["api_endpoint_state"] for task in (*ASIDE["block"], *RESCUE) if "api_endpoint_state" in task.get("vars", {})
    ]
    assert states == ["yielded", "balanced"]


def test_no_member_stops_in_what_is_put_back():
    etcd = [task["ansible.builtin.include_role"]["tasks_from"] for task in ASIDE["block"] if who(task) == "etcd"]
    assert etcd == ["spare"]


def test_nothing_restarts_when_a_turn_has_failed():
    """Where the drain was refused no other API server is up, so this one must not go either."""
    (back,) = (task for task in RESCUE if "return.yml" in str(task))
    assert back["vars"] == {"return_restarts": False}
    text = (TASKS / "return.yml").read_text()
    for role in RETURNED:
        assert f'{role}_restart: "{{{{ return_restarts | default(true) }}}}"' in text
    assert "return_restarts" not in (TASKS / "serve.yml").read_text() + (TASKS / "turn_master.yml").read_text()


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({"failed": True, "msg": "unsafe. Next: wait"}, "unsafe. Next: wait"),
        (
            {
                "failed": True,
                "msg": "One or more items failed",
                "results": [
                    {"failed": False, "reason": "it is as wanted"},
                    {"changed": True},
                    {"failed": True, "msg": "m1 is not drained. Next: run"},
                ],
            },
            "m1 is not drained. Next: run",
        ),
        ({"failed": True}, "Next: look at the task that failed above"),
        (
            None,
            "A host that was asked cannot be reached, as is said above. Next: make it reachable, or take it out of the "
            "cluster (remove_node.yml), then run again",
        ),
    ],
)
def test_a_turn_says_what_it_failed_on(result, said):
    loader, known = variables("etcd", "m1")
    (aside,) = loader.load_from_file(str(TASKS / "aside.yml"), trusted_as_template=True)
    text = aside["rescue"][0]["always"][0]["always"][0]["ansible.builtin.fail"]["msg"]
    failed = {"ansible_failed_result": result} if result else {}
    told = Templar(loader=loader, variables={**known, **failed}).template(text)
    assert told == f"The turn of m1 ended before its etcd member stopped. {said}"


def tasks_in(listed):
    """Yield every task of a list, those of its blocks too."""
    for task in listed:
        yield task
        for part in ("block", "rescue", "always"):
            yield from tasks_in(task.get(part, ()))


def asking():
    """Return {file: its tasks that are delegated to another host} of what is done to one host."""
    found = {}
    for path in sorted(TASKS.glob("*.yml")):
        tasks = [task for task in tasks_in(yaml.safe_load(path.read_text()) or ()) if "delegate_to" in task]
        if tasks:
            found[path.name] = tasks
    return found


ASKING = asking()


@pytest.mark.parametrize("name", ASKING)
def test_a_host_that_is_asked_and_falls_silent_ends_the_turn_and_not_its_rescue(name):
    """Ansible runs neither rescue nor always of a host that counts as unreachable, also when another one was asked for it."""
    for task in ASKING[name]:
        assert task.get("ignore_unreachable") is True, task["name"]


def test_the_search_finds_who_asks():
    assert {"leave.yml", "return.yml", "keep_lock.yml", "cordon.yml", "node_services.yml", "end_run.yml"} <= set(ASKING)


def test_the_turn_ends_though_unreachable_is_ignored():
    included = ("tasks/turn", *(f"tasks/{name}" for name in ASKING if name != "end_run.yml"))  # which ends everything anyway
    for path in (ROOT / "playbooks/phases").glob("*.yml"):
        for play in yaml.safe_load(path.read_text()):
            asks = "hosts" in play and any(name in str(play) for name in included)
            assert not asks or play.get("any_errors_fatal") is True, path.name


def test_an_api_server_leaves_every_balancer_and_comes_back_into_every_one():
    """Of a master that leaves too: it may have the endpoint address while those that stay take their turns."""
    for name in ("leave.yml", "return.yml"):
        tasks = tasks_in(yaml.safe_load((TASKS / name).read_text()))
        asked = [task["loop"] for task in tasks if "multimaster.kubernetes.endpoint_server" in task]
        assert asked == ["{{ multimaster.masters }}", "{{ multimaster.leaving.balancers }}"], name
