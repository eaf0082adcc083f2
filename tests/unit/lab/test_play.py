# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run did, from its events, and whether that is what was expected."""

from __future__ import annotations

import pathlib
import shutil
import sys
import types

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))

import cutoff
import play


def event(kind, at, **fields):
    return {"event": kind, "at": at, **fields}


EVENTS = [
    event("play", 10.0, play="p"),
    event("task", 10.0, task="look", number=1),
    event("result", 11.0, task="look", host="m1", status="ok"),
    event("result", 11.0, task="look", host="m2", status="skipped"),
    event("task", 11.0, task="write", number=2),
    event("result", 14.0, task="write", host="m1", status="changed"),
    event("result", 15.0, task="write", host="m2", status="failed", message="disk full"),
    event("task", 15.0, task="validate", number=3, action="ansible.builtin.validate_argument_spec"),
    event("result", 15.0, task="validate", host="m1", status="ok"),
    event("stats", 15.0, hosts={"m1": {"ok": 2}, "m2": {"failures": 1}}),
]


def outcome(**fields):
    return play.Outcome("n", ["c"], **fields)


def test_events_become_executions_changes_failures_and_the_slowest_tasks():
    made = play.summarize(outcome(), EVENTS)
    assert made.executions == {"m1": 2, "m2": 1}
    assert made.changed == ["m1: write"]
    assert made.failures == [{"host": "m2", "task": "write", "status": "failed", "message": "disk full"}]
    assert made.slowest[0] == {"task": "write", "seconds": 4.0}
    assert made.seconds == 5.0


def test_a_line_that_is_still_being_written_is_not_read():
    assert play.read_events('{"event": "task", "at": 1}\n{"event": "sta') == [{"event": "task", "at": 1}]


HOSTS = {"m1": {"ok": 1}}


@pytest.mark.parametrize(
    "expect,made,good",
    [
        ("done", outcome(hosts=HOSTS), True),
        ("done", outcome(hosts=HOSTS, changed=["m1: x"]), True),
        ("done", outcome(hosts=HOSTS, code=2), False),
        ("done", outcome(), False),
        ("unchanged", outcome(hosts=HOSTS), True),
        ("unchanged", outcome(hosts=HOSTS, changed=["m1: x"]), False),
        ("unchanged", outcome(hosts=HOSTS, restarted=["m1 etcd.service was 1, is 2"]), False),
        ("foreseen", outcome(hosts=HOSTS, changed=["m1: x"]), True),
        ("foreseen", outcome(hosts=HOSTS), False),
        ("foreseen", outcome(hosts=HOSTS, changed=["m1: x"], restarted=["m1 /etc/etcd was absent, is present"]), False),
        ("changed", outcome(hosts=HOSTS, changed=["m1: x"]), True),
        ("changed", outcome(hosts=HOSTS), False),
        ("changed", outcome(hosts=HOSTS, changed=["m1: x"], compared=["etcd, m1: still process 7"]), False),
        ("changed", outcome(hosts=HOSTS, changed=["m1: x"], code=2), False),
        ("changed", outcome(hosts=HOSTS, changed=["m1: x"], compared=["etcd, m1: was process 7, is process 8"]), False),
        ("done", outcome(hosts=HOSTS, compared=["etcd, m1: was process 7, is process 8"]), False),
        ("stopped", outcome(code=2, hosts=HOSTS, compared=["etcd, m1: was process 7, is process 8"]), False),
        ("cut", outcome(code=-9, cut="start 7 x"), True),
        ("cut", outcome(hosts=HOSTS), False),
    ],
)
def test_an_outcome_is_held_to_its_expectation(expect, made, good):
    assert (play.findings(made, expect) == []) is good


@pytest.mark.parametrize(
    ("code", "words", "wrong"), [(2, "disk full", 0), (2, "budget", 1), (0, "disk full", 1), (4, "disk full", 1)]
)
def test_a_run_that_is_to_stop_does_so_on_a_failed_task_that_says_why(code, words, wrong):
    made = play.summarize(outcome(code=code), EVENTS)
    assert len(play.findings(made, "stopped", [words])) == wrong


def test_a_failed_run_tells_host_task_and_message():
    made = play.summarize(outcome(code=2), EVENTS)
    assert "m2: write: disk full" in play.findings(made, "done")


def test_units_that_appear_vanish_or_restart_are_differences():
    before, after = {"m1 a": "1", "m1 b": "1", "m1 c": "1"}, {"m1 a": "1", "m1 b": "2", "m1 d": "1"}
    assert play.differences(before, after) == ["m1 b was 1, is 2", "m1 c was 1, is absent", "m1 d was absent, is 1"]


@pytest.mark.parametrize(
    "arguments",
    [("--another", "etcd"), ("--expect", "unchanged", "--another", "etcd"), ("--expect", "changed", "--another", "etc")],
)
def test_what_is_to_be_another_is_known_and_goes_with_a_change(arguments):
    assert play.parse(["lab", "site.yml", "--expect", "changed", "--another", "etcd"]).another == ["etcd"]
    with pytest.raises(SystemExit):
        play.parse(["lab", "site.yml", *arguments])


@pytest.mark.parametrize(
    "arguments",
    [
        ("--expect", "unchanged", "--same", "etcd"),
        ("--cut", "at 3", "--same", "etcd"),
        ("--same", "etc"),
        ("--same", "keys@m1"),
        ("--one", "etcd"),
    ],
)
def test_what_is_to_be_the_same_is_known_and_goes_with_a_run_that_is_not_cut_off(arguments):
    assert play.parse(["lab", "site.yml", "--expect", "stopped", "--one", "etcd"]).one == ["etcd"]
    for expect in ("done", "changed", "stopped"):
        assert play.parse(["lab", "site.yml", "--expect", expect, "--same", "etcd@m1"]).same == ["etcd@m1"]
    with pytest.raises(SystemExit):
        play.parse(["lab", "site.yml", *arguments])


class Restarting:
    """A lab of one host, whose etcd is another process whenever it is looked at."""

    def __init__(self, folder):
        self.results, self.looks = folder, 0

    def observe(self):
        self.looks += 1
        return {"m1 etcd.service": f"process {self.looks}", "m1 kubelet.service": "process 9"}

    def remember(self, finished):
        self.finished = finished


@pytest.mark.parametrize(
    ("foretold", "code", "said"),
    [(["m1: x"], 0, ""), (["m1: x", "m2: x"], 1, "check foresaw it, and it was not done: m2: x")],
)
def test_what_a_check_foretold_is_done(monkeypatch, tmp_path, capsys, foretold, code, said):
    monkeypatch.setattr(play.access, "Cluster", lambda *_arguments, **_options: Restarting(tmp_path))
    (tmp_path / "log").write_text("")
    (tmp_path / "check.json").write_text(play.json.dumps({"changed": foretold}))
    made = outcome(hosts=HOSTS, changed=["m1: x", "m1: y"])
    monkeypatch.setattr(play, "perform", lambda *_arguments: (made, tmp_path / "log"))
    assert play.main(["lab", "site.yml", "--name", "x", "--foreseen", "check"]) == code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "options,code,said",
    [
        (["--expect", "stopped", "--one", "etcd", "--same", "kubelet"], 0, ""),
        (["--expect", "stopped", "--one", "kubelet"], 1, "kubelet: another on 0 hosts, and on one was wanted"),
        (["--expect", "stopped", "--same", "etcd"], 1, "etcd, m1: was process 1, is process 2"),
        (["--same", "etcd"], 1, "etcd, m1: was process 1, is process 2"),
        (["--expect", "changed", "--another", "etcd", "--same", "kubelet"], 0, ""),
        (["--expect", "changed", "--another", "kubelet", "--same", "etcd"], 1, "kubelet, m1: still process 9"),
    ],
)
def test_a_run_is_asked_before_and_after_for_both(monkeypatch, tmp_path, capsys, options, code, said):
    lab = Restarting(tmp_path)
    monkeypatch.setattr(play.access, "Cluster", lambda *_arguments, **_options: lab)
    (tmp_path / "log").write_text("")
    stopped = "stopped" in options
    made = outcome(hosts=HOSTS, changed=["m1: x"], code=play.FAILED_TASK if stopped else 0)
    monkeypatch.setattr(play, "perform", lambda *_arguments: (made, tmp_path / "log"))
    assert play.main(["lab", "site.yml", "--name", "x", *options]) == code
    assert said in capsys.readouterr().err
    assert (lab.looks, lab.finished) == (2, not stopped)


def test_ansible_runs_without_what_molecule_or_a_test_runner_set(monkeypatch, tmp_path):
    monkeypatch.setenv("ANSIBLE_CONFIG", "/somewhere")
    monkeypatch.setenv("MOLECULE_FILE", "x")
    environment = play.clean_environment("LAB_RUN=1", tmp_path / "e")
    assert "ANSIBLE_CONFIG" not in environment
    assert "MOLECULE_FILE" not in environment
    assert environment["LAB_RUN"] == "1"


PLAYBOOK = """
- name: A run to cut
  hosts: localhost
  gather_facts: false
  tasks:
    - name: First
      ansible.builtin.command: "true"
      changed_when: true
    - name: Sleeps
      ansible.builtin.command: sleep 30
      changed_when: false
    - name: Never reached
      ansible.builtin.command: touch {{ playbook_dir }}/reached
"""


@pytest.mark.skipif(
    not shutil.which("ansible-playbook", path=str(pathlib.Path(sys.executable).parent)), reason="no ansible-playbook"
)
def test_a_real_run_is_cut_inside_its_step_and_leaves_no_process(tmp_path):
    playbook = tmp_path / "p.yml"
    playbook.write_text(PLAYBOOK)
    events = tmp_path / "events"
    command = [str(pathlib.Path(sys.executable).parent / "ansible-playbook"), str(playbook)]
    code, place = play.execute(command, tmp_path / "log", events, cutoff.parse_cut("inside Sleeps +200"), "")
    made = play.summarize(outcome(code=code, cut=place), play.read_events(events.read_text()))
    assert code == -9
    assert "Sleeps" in place
    assert made.changed == ["localhost: First"]
    assert not (tmp_path / "reached").exists()


WRITES = """
import json, os, sys, time
with open(os.environ["LAB_EVENTS"], "a", buffering=1) as events:
    for number, host in enumerate(["m3", "m1", "m3", "m2", "m1"], 1):
        events.write(json.dumps({"event": "start", "at": 1.0, "task": "Stop", "number": number, "host": host}) + "\\n")
        time.sleep(0.2)
time.sleep(3)
sys.exit(2)
"""


def accompanied(tmp_path, monkeypatch, where):
    monkeypatch.setattr(
        play.subprocess, "run", lambda *_a, **_k: types.SimpleNamespace(stdout="m3 is off", stderr="", returncode=0)
    )
    then = play.parse_then(where, "hosts.py kill m3")
    return play.accompany([sys.executable, "-c", WRITES], tmp_path / "up.log", tmp_path / "events", then, "mol-x")


def test_something_is_done_at_an_event_and_the_run_goes_on(tmp_path, monkeypatch):
    code, done = accompanied(tmp_path, monkeypatch, "inside Stop @!m3 x2")
    assert (code, done) == (2, "start 4 Stop m2 +0.00 s: m3 is off")
    assert "hosts.py mol-x kill m3\nm3 is off" in (tmp_path / "up.then").read_text()
    assert len(play.read_events((tmp_path / "events").read_text())) == 5, "the run has ended by itself"


def test_an_event_that_never_comes_does_nothing(tmp_path, monkeypatch):
    assert accompanied(tmp_path, monkeypatch, "inside Stop x6") == (2, "")
    assert not (tmp_path / "up.then").exists()


def test_what_fails_beside_a_run_is_told(tmp_path):
    then = play.parse_then("at 0", "hosts.py kill m3")
    with pytest.raises(SystemExit, match="hosts.py ended with 1 while the run was going on: .*mol-none"):
        then.run("mol-none", tmp_path / "up.log")


@pytest.mark.parametrize("arguments", [("inside Stop", "nobody.py kill m3"), ("whenever", "hosts.py kill m3")])
def test_what_cannot_be_done_at_an_event_is_refused(arguments):
    with pytest.raises(ValueError):
        play.parse_then(*arguments)
    with pytest.raises(SystemExit):
        play.parse(["lab", "site.yml", "--then", *arguments])


def test_a_run_may_stop_on_a_host_that_died_under_it_only():
    made = play.summarize(outcome(code=play.UNREACHABLE), EVENTS)
    assert play.findings(made, "stopped", ["disk full"])
    made.then = "start 4 Stop m2"
    assert not play.findings(made, "stopped", ["disk full"])


def test_an_event_that_never_comes_is_not_a_cut(tmp_path):
    code, place = play.execute(["true"], tmp_path / "log", tmp_path / "events", cutoff.parse_cut("inside Nothing"), "")
    assert (code, place) == (0, "")
    assert play.findings(outcome(cut=place, hosts=HOSTS), "cut")
