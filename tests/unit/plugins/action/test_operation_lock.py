# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what the controller adds: who this run is, and which of its own dead runs it takes over from."""

from __future__ import annotations

import os
import subprocess
import sys
from unittest import mock

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.multimaster.kubernetes.plugins.action import operation_lock
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _lock_memory, _this_run

GIVEN = {"purpose": "remove m1", "seconds": 60}


class Played:
    """The action with a played module: what it was given, and its answers in order."""

    def __init__(self, monkeypatch, args, *answers, check=False, through=None):
        task = mock.MagicMock(args=args, async_val=0, check_mode=check, delegate_to=through)
        self.plugin = operation_lock.ActionModule(task, *[mock.MagicMock() for _each in range(4)], None)
        self.given, self.answers = [], list(answers)
        monkeypatch.setattr(self.plugin, "_execute_module", self.execute)

    def execute(self, module_args, task_vars):
        self.given.append(module_args)
        return self.answers.pop(0)

    def run(self):
        return self.plugin.run(task_vars={"inventory_hostname": "m1"})


def refused(**lock):
    here = {**_this_run.process(), "holder": "x/y", "purpose": "upgrade", "run": "y", "since": "", "until": "", **lock}
    return {"failed": True, "refused": True, "lock": here, "msg": "another operation holds the lock"}


@pytest.fixture(autouse=True)
def controller(monkeypatch, tmp_path):
    """Give the run a temporary folder of its own, and a clock."""
    made = mock.Mock(now=1000.0, memory=tmp_path / _lock_memory.MEMORY)
    monkeypatch.setattr(operation_lock.constants, "DEFAULT_LOCAL_TMP", str(tmp_path))
    monkeypatch.setattr(operation_lock.time, "clock_gettime", lambda _clock: made.now)
    return made


@pytest.fixture
def ended():
    """Return the number of a process that is no more."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_a_run_is_named_by_its_controller_and_process(monkeypatch):
    played = Played(monkeypatch, GIVEN, {"step": "take", "refused": False, "lock": {}})
    assert played.run()["step"] == "take"
    (given,) = played.given
    me = _this_run.process()
    assert {**GIVEN, **me} == {name: given[name] for name in (*GIVEN, *me)}
    assert (me["pid"], me["started"]) == (os.getpid(), _this_run.started(os.getpid()))
    assert given["run"] == f"{me['boot'][:8]}-{me['pid']}-{me['started']}"
    assert given["holder"] == f"{me['controller']}/{given['run']}"


def test_what_is_given_stands_and_what_is_empty_is_filled_in():
    given = operation_lock.completed({"run": "nightly-7", "controller": "ctl9", "holder": "", "boot": None})
    assert (given["holder"], given["controller"], given["run"]) == ("ctl9/nightly-7", "ctl9", "nightly-7")
    assert given["boot"] == _this_run.boot() != ""
    assert operation_lock.completed({"holder": "me", "run": "r"})["holder"] == "me"


def test_a_controller_that_cannot_tell_its_processes_apart_wants_a_name(monkeypatch):
    monkeypatch.setattr(_this_run, "boot", lambda: "")
    with pytest.raises(AnsibleActionFail, match="give `run`, unique to this run"):
        operation_lock.completed(GIVEN)
    assert operation_lock.completed({**GIVEN, "run": "r"})["run"] == "r"


def test_a_dead_run_of_this_controller_is_taken_over_at_once(monkeypatch, ended):
    played = Played(monkeypatch, GIVEN, refused(pid=ended, started=1), {"step": "take_over", "refused": False})
    assert played.run() == {"step": "take_over", "refused": False}
    assert "gone" not in played.given[0]
    assert played.given[1] == {**played.given[0], "gone": "x/y"}


@pytest.mark.parametrize(
    ("args", "lock"),
    [
        pytest.param({}, {"controller": "elsewhere"}, id="another-controller"),
        pytest.param({}, {"boot": "before the reboot"}, id="another-boot"),
        pytest.param({}, {"pid": 0}, id="says-no-process"),
        pytest.param({}, {"started": 0}, id="says-no-start"),
        pytest.param({"state": "free"}, {}, id="release"),
    ],
)
def test_others_are_waited_for(monkeypatch, ended, args, lock):
    played = Played(monkeypatch, {**GIVEN, **args}, refused(**{"pid": ended, "started": 1, **lock}))
    assert played.run()["failed"]
    assert len(played.given) == 1


def test_a_living_run_is_waited_for(monkeypatch):
    played = Played(monkeypatch, GIVEN, refused())  # this very process under another name
    assert played.run()["failed"]
    assert len(played.given) == 1


def test_other_failures_are_passed_on(monkeypatch):
    for answer in ({"failed": True, "msg": "no python"}, {"unreachable": True}):
        assert Played(monkeypatch, GIVEN, answer).run() == answer


def held(*places):
    return {"step": "take", "refused": False, "lock": {}, "places": list(places)}


KEPT = {"state": "kept"}


def test_a_renewal_that_is_not_due_asks_nobody(monkeypatch, controller):
    Played(monkeypatch, {**GIVEN, "nodes": ["m1"]}, held("cluster")).run()
    controller.now += 29
    for through in (None, "m2"):
        played = Played(monkeypatch, {**KEPT, "seconds": 60}, through=through)
        kept = played.run()
        assert (played.given, kept["step"], kept["changed"], kept["refused"]) == ([], "nothing", False, False)
        assert kept["reason"] == "this run renewed its lock 29 s ago"


def test_one_that_is_due_asks_for_what_was_taken_and_counts_from_there(monkeypatch, controller):
    Played(monkeypatch, {**GIVEN, "nodes": ["m1"]}, held("cluster")).run()
    controller.now += 30
    played = Played(monkeypatch, {**KEPT, "seconds": 60}, held("cluster"), through="m2")
    assert played.run()["step"] == "take"
    assert (played.given[0]["places"], played.given[0]["nodes"], played.given[0]["state"]) == (["cluster"], ["m1"], "kept")
    controller.now += 29
    assert Played(monkeypatch, {**KEPT, "seconds": 60}).run()["step"] == "nothing"


def test_nodes_that_no_earlier_task_named_are_asked_about_at_once_and_from_then_on(monkeypatch, controller):
    Played(monkeypatch, {**GIVEN, "nodes": ["m1"]}, held("cluster")).run()
    first = Played(monkeypatch, {**KEPT, "nodes": ["m1", "m2"]}, held("cluster"))
    assert first.run()["step"] == "take"
    assert first.given[0]["nodes"] == ["m1", "m2"]
    assert Played(monkeypatch, {**KEPT, "nodes": ["m2", "m1"]}).run()["step"] == "nothing"
    controller.now += 30
    later = Played(monkeypatch, KEPT, held("cluster"))
    assert later.run() and later.given[0]["nodes"] == ["m1", "m2"]


def test_nodes_that_are_drained_later_are_asked_about_once(monkeypatch, controller):
    first = Played(monkeypatch, {**GIVEN, "nodes": ["m1"], "nodes_now": ["w1"]}, held("cluster"))
    first.run()
    controller.now += 3600
    later = Played(monkeypatch, KEPT, held("cluster"))
    later.run()
    assert first.given[0]["nodes_now"] == ["w1"]
    assert later.given[0]["nodes"] == ["m1"] and not later.given[0].get("nodes_now")


def test_a_refusal_for_a_cordon_is_found_again(monkeypatch):
    Played(monkeypatch, GIVEN, held("cluster")).run()
    for _each in range(2):
        refusal = {"failed": True, "refused": True, "lock": {}, "msg": "m2 is cordoned"}
        stopped = Played(monkeypatch, {**KEPT, "nodes": ["m2"]}, refusal)
        assert stopped.run()["failed"]
        assert len(stopped.given) == 1


def test_a_longer_step_is_due_at_once_and_a_shorter_one_is_not(monkeypatch):
    Played(monkeypatch, GIVEN, held("cluster")).run()
    assert Played(monkeypatch, {**KEPT, "seconds": 60}).run()["step"] == "nothing"
    assert Played(monkeypatch, {**KEPT, "seconds": 1800}, held("cluster")).run()["step"] == "take"
    assert Played(monkeypatch, {**KEPT, "seconds": 600}).run()["step"] == "nothing"
    assert Played(monkeypatch, KEPT).run()["step"] == "nothing"


def test_a_file_is_kept_from_its_own_host_only(monkeypatch, controller):
    Played(monkeypatch, {**GIVEN, "places": ["host"]}, held("host")).run()
    controller.now += 40
    elsewhere = Played(monkeypatch, KEPT, through="m2")
    assert elsewhere.run()["reason"] == "this run's lock is not held through m2"
    Played(monkeypatch, {**GIVEN, "places": ["cluster"]}, held("cluster")).run()
    controller.now += 40
    here, elsewhere = Played(monkeypatch, KEPT, held("host", "cluster")), Played(monkeypatch, KEPT, held("cluster"), through="m2")
    assert here.run() and here.given[0]["places"] == ["host", "cluster"]
    controller.now += 40
    assert elsewhere.run() and elsewhere.given[0]["places"] == ["cluster"]


def test_what_was_taken_is_released_and_forgotten(monkeypatch):
    Played(monkeypatch, {**GIVEN, "places": ["host", "cluster"]}, held("host", "cluster")).run()
    freed = Played(monkeypatch, {"state": "free"}, {"step": "release", "refused": False, "places": ["host", "cluster"]})
    assert freed.run()["step"] == "release"
    assert freed.given[0]["places"] == ["host", "cluster"]
    again = Played(monkeypatch, {"state": "free"}, {"step": "nothing", "refused": False, "places": ["cluster"]})
    assert again.run() and "places" not in again.given[0]


def test_a_run_that_knows_nothing_of_its_lock_asks(monkeypatch):
    lost = Played(monkeypatch, KEPT, {"failed": True, "refused": True, "lock": {}, "msg": "nobody does"})
    assert lost.run()["failed"]
    assert len(lost.given) == 1


def test_a_lock_that_was_lost_is_taken_over_from_nobody(monkeypatch, controller, ended):
    Played(monkeypatch, GIVEN, held("cluster")).run()
    controller.now += 40
    lost = Played(monkeypatch, KEPT, refused(pid=ended, started=1))
    assert lost.run()["failed"]
    assert len(lost.given) == 1


def test_a_check_keeps_nothing_and_notes_nothing_down(monkeypatch, controller):
    Played(monkeypatch, GIVEN, held("cluster"), check=True).run()
    kept = Played(monkeypatch, KEPT, check=True)
    assert (kept.run()["reason"], kept.given) == ("a check holds no lock", [])
    assert not controller.memory.exists()


def test_a_dead_run_of_this_controller_is_taken_over_in_both_places(monkeypatch, ended):
    answers = refused(pid=ended, started=1), refused(pid=ended, started=1, holder="x/z"), held("host", "cluster")
    played = Played(monkeypatch, {**GIVEN, "places": ["host", "cluster"]}, *answers)
    assert played.run()["step"] == "take"
    assert [one.get("gone") for one in played.given] == [None, "x/y", "x/z"]
