# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Series of cuts, and what must not have been made twice after them."""

from __future__ import annotations

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))

import cut_many
import cutoff
import interrupt
import yaml
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _join_order, _plan, _quorum, _upgrade

ROOT = pathlib.Path(__file__).resolve().parents[3]


def test_every_drawn_cut_can_be_read_and_the_founding_comes_first():
    for seed in range(50):
        cuts = cut_many.draw(seed, 10)
        assert len(cuts) == 10
        assert all(cutoff.parse_cut(text).task for text in cuts[: len(cut_many.FOUNDING)])
        assert all(cutoff.parse_cut(text).delay for text in cuts[len(cut_many.FOUNDING) :])


def test_a_seed_repeats_its_series():
    assert cut_many.draw(7, 10) == cut_many.draw(7, 10) != cut_many.draw(8, 10)


def task_names():
    """Return every task by the name a run tells: those of a role after the role's."""
    for path in (ROOT / "roles").glob("*/tasks/*.yml"):
        role = path.parents[1].name
        yield from (f"multimaster.kubernetes.{role} : {task['name']}" for task in yaml.safe_load(path.read_text()))
    for path in (ROOT / "playbooks" / "phases" / "tasks").glob("*.yml"):
        yield from (task["name"] for task in yaml.safe_load(path.read_text()))
    for path in (ROOT / "playbooks" / "phases").glob("*.yml"):
        for play in yaml.safe_load(path.read_text()):
            for task in play.get("tasks", ()):
                yield task["name"]
                yield from (one["name"] for one in task.get("block", ()))


def test_the_moments_of_the_founding_are_tasks_that_exist():
    names = list(task_names())
    for text in cut_many.FOUNDING:
        cut = cutoff.parse_cut(text.format(ms=1))
        assert any(cut.task in name for name in names), f"no role has a task named {cut.task!r} any more"


def cuts_of_scenarios():
    """Return (file, cut) of every cut that a scenario names."""
    for path in sorted((ROOT / "molecule").glob("*/steps/*.yml")):
        variables = yaml.safe_load(path.read_text())[0].get("vars", {})
        for call in variables.get("steps", [variables.get("step", [])]):
            texts = [call[at + 1] for at, word in enumerate(call) if word == "--cut"]
            texts += interrupt.cuts([call[at + 1] for at, word in enumerate(call) if word == "--at"], 1)
            yield from ((path, cutoff.parse_cut(text)) for text in texts)


def test_the_cuts_of_scenarios_name_tasks_that_exist():
    names, found = list(task_names()), list(cuts_of_scenarios())
    assert len(found) > 50
    for path, cut in found:
        assert any(re.search(cut.task, name) for name in names), f"{path.name}: there is no task {cut.task!r} any more"


def test_one_authority_everywhere_is_fine_and_is_remembered():
    known = {}
    assert cut_many.second_authorities(known, {"/ca.crt": {"a"}}) == []
    assert known == {"/ca.crt": "a"}


def test_an_authority_made_twice_or_differing_between_hosts_is_found():
    assert cut_many.second_authorities({"/ca.crt": "a"}, {"/ca.crt": {"b"}}) == ["/ca.crt was made a second time"]
    assert "/ca.crt differs between hosts" in cut_many.second_authorities({}, {"/ca.crt": {"a", "b"}})


def test_every_kind_of_step_that_a_plan_can_have_has_a_task_where_it_is_cut():
    plan = "FORGET PREPARE FOUND SERVE REGISTER DRAIN YIELD STOP CLEAN HOLD BALANCE PROMOTE_ADDRESS GIVE_BACK RESTART"
    names = {getattr(_plan, name) for name in plan.split()}
    names |= {_quorum.ADD_LEARNER, _quorum.PROMOTE, _quorum.REMOVE, _join_order.START, _join_order.REPOINT, *_upgrade.KINDS}
    assert set(interrupt.HAPPENS) == names


def test_where_a_step_happens_is_a_task_that_a_run_tells():
    told = set(task_names())
    assert not [task for tasks in interrupt.HAPPENS.values() for task in tasks if not any(re.search(task, one) for one in told)]


def test_a_step_of_the_plan_that_no_cut_is_at_is_told():
    steps = [{"kind": kind, "host": "m2"} for kind in ("forget", "remove", "promote")]
    told = ["no cut is at a step that the plan has: remove"]
    assert interrupt.left_out(steps, ["Delete its node|Drain", "Become a voter"]) == told
    assert interrupt.left_out([], []) == []
    assert interrupt.left_out([{"kind": "balance"}], ["Give each master its part > Bring this master into its part"]) == []


def test_where_a_host_does_its_own_step_is_a_task_and_a_play_that_a_run_tells():
    plays = [one["name"] for path in (ROOT / "playbooks" / "phases").glob("*.yml") for one in yaml.safe_load(path.read_text())]
    told = set(task_names())
    assert set(interrupt.OWN) < set(interrupt.HAPPENS)
    for play_name, task in interrupt.OWN.values():
        assert any(re.search(task, one) for one in told), task
        assert any(re.search(play_name, one) for one in plays), play_name


JOIN = [
    ("prepare", "m2"),
    ("prepare", "m3"),
    ("promote", "m2"),
    ("promote", "m3"),
    ("balance", "m1"),
    ("repoint", "m1"),
    ("register", "m2"),
]
SERIES = [
    "Take the lock",
    "Fetch",
    "Become a voter",
    "kube_apiserver : Write the unit",
    "Bring this master",
    "kubelet : Write the unit",
]


def test_a_host_is_cut_after_the_series_came_to_its_step_and_never_after_a_later_one():
    found = interrupt.assigned(JOIN, SERIES)
    # m1 is pointed at others when its address is balanced: so says the plan, though an API server's unit is written before too
    assert found == [[], JOIN[:2], JOIN[2:4], [], JOIN[4:6], JOIN[6:]]


def test_of_several_cuts_at_a_kind_all_come_before_a_host_is_waited_for():
    steps = [("repoint", "m3"), ("yield", "m1"), ("stop", "m1"), ("balance", "m3")]
    at = ["Send its API server no new", "Bring this master", "Stop API server", "Take it out", "api_endpoint : Bring this master"]
    assert interrupt.assigned(steps, at) == [[steps[0]], [steps[1]], [steps[2]], [], [steps[3]]]
    at = [
        "Send its API server no new",
        "Stop the controllers",
        "kube_apiserver : Write the unit",
        "Send its API server connections",
    ]
    assert interrupt.assigned([("master", "m2"), ("master", "m1")], at) == [[], [], [("master", "m2"), ("master", "m1")], []]


def test_the_steps_of_a_plan_that_hosts_do_themselves_are_found_once_each():
    steps = [{"kind": "remove", "host": "m1"}, {"kind": "promote", "host": "m2"}, {"kind": "promote", "host": "m2"}]
    assert interrupt.own_steps(steps) == [("promote", "m2")]
    assert interrupt.own_steps([{"kind": "fetch", "hosts": ["m1", "w1"]}]) == [("fetch", "m1"), ("fetch", "w1")]


def started(task, host, play_name="p"):
    return {"event": "start", "task": task, "host": host, "play": play_name}


def test_a_cut_is_inside_what_hosts_had_begun_and_not_ended():
    steps = [("promote", "m2"), ("promote", "m3"), ("serve", "m2"), ("repoint", "m2")]
    events = [started("etcd : Become a voter", "m2"), {"event": "result", "task": "etcd : Become a voter", "host": "m2"}]
    assert interrupt.cut_inside(steps, events) == set()
    assert interrupt.cut_inside(steps, [*events, started("etcd : Become a voter", "m3")]) == {("promote", "m3")}
    unit = "multimaster.kubernetes.kube_apiserver : Write the unit and the configuration"
    assert interrupt.cut_inside(steps, [started(unit, "m2", "Configure the control plane and start it")]) == {("serve", "m2")}
    turn = "Restart what must restart on each master"
    assert interrupt.cut_inside(steps, [started(unit, "m2", turn)]) == {("repoint", "m2")}
    assert interrupt.cut_inside(steps, [started("Stop the controllers", "m2", turn)]) == {("repoint", "m2")}
    assert interrupt.cut_inside(steps, [started("Stop the controllers", "m1", turn)]) == set()


class Lab(interrupt.Series):
    """A series on a lab that is no more than a list of steps; a cut that waits for a host is inside its step, and does it."""

    def __init__(self, left, found=()):
        super().__init__("lab", "site.yml", [], [], 1)
        self.left, self.found, self.made = list(left), set(found), []

    def ask(self):
        return [{"kind": kind, "host": host} for kind, host in self.left]

    def off(self, cut, steps, own=()):
        self.made.append(cut.split(" +")[0])
        self.inside |= self.found | set(own)


def test_a_host_whose_step_no_cut_met_gets_one_of_its_own():
    lab = Lab(JOIN, found={("prepare", "m2"), ("prepare", "m3"), ("promote", "m2")})
    lab.cut(["Fetch", "Become a voter", "Bring this master", "kubelet : Write the unit"], JOIN[:5])
    assert not lab.wrong
    assert [cut for cut in lab.made if "@" in cut] == [
        "inside Become a voter @m3",
        "inside Give each master its part in the endpoint > api_endpoint : Bring this master into its part @m1",
    ]
    assert lab.made[4] == "inside Become a voter @m3"


def test_a_step_that_was_done_before_it_could_be_cut_is_told_and_the_run_is_not_let_through():
    lab = Lab([one for one in JOIN if one != ("promote", "m3")])
    lab.cut(["Become a voter"], JOIN[2:4])
    assert lab.made == ["before Become a voter", "inside Become a voter", "inside Become a voter @m2"]
    assert lab.wrong == ["no cut was inside a step that the plan had: promote m3"]


def test_a_series_without_a_plan_is_what_it_was():
    lab = Lab([])
    lab.cut(["Fetch", "Become a voter"], [])
    assert lab.made == ["before Fetch", "inside Fetch", "before Become a voter", "inside Become a voter"]
    assert not lab.wrong


def test_the_plan_is_asked_for_what_the_command_is():
    extra = ["-e", "node=m2", "-e", "by=m4", "-e", "confirmed=true"]
    assert interrupt.asking("replace_node.yml", extra) == ["-e", "replace=m2", "-e", "by=m4"]
    assert interrupt.asking("remove_node.yml", extra) == ["-e", "remove=m2"]
    assert interrupt.asking("upgrade.yml", extra) == ["-e", "upgrade=true"]
    assert interrupt.asking("site.yml", []) == []
