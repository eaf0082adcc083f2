# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test whole operations on a played cluster: what they do, what they refuse, and being cut off after every change."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _command, _etcd
from ansible_collections.multimaster.kubernetes.plugins.module_utils._etcd_flows import Flow, WantedMember
from ansible_collections.multimaster.kubernetes.plugins.module_utils._etcd_host import Host, Paths
from ansible_collections.multimaster.kubernetes.plugins.module_utils._membership import StepFailed
from ansible_collections.multimaster.kubernetes.plugins.module_utils._membership_flow import Stepper
from fake_etcd import Cut, FakeEtcd


class Machine:
    """One host: its folder, its unit as systemd 252 answers for it, its clock."""

    def __init__(self, fake, folder, name):
        self.fake, self.name, self.now, self.calls, self.cut_on = fake, name, 0.0, [], None
        self.paths = Paths(str(folder / name), str(folder / f"{name}.json"), str(folder / f"{name}.d" / "first.conf"))
        self.wal = folder / name / "member" / "wal"
        self.breaks, self.restarts = 0, lambda: 0

    def runner(self, argv, timeout):
        verb = argv[1]
        if argv[0] == "journalctl":
            return _command.Result(argv, 0, "etcd: unknown flag: --x\n")
        self.calls.append(verb)
        assert len(self.calls) < 1000, "it goes on for ever"
        if verb == "show":
            if "NRestarts" in argv:
                return _command.Result(argv, 0, f"NRestarts={self.restarts()}\n")
            up = self.name in self.fake.running
            return _command.Result(
                argv, 0, "ActiveState=active\nSubState=running\n" if up else "ActiveState=failed\nSubState=failed\n"
            )
        if verb == "start":
            self._start()
        if verb == "stop":
            self.fake.running.discard(self.name)
        if verb == self.cut_on:
            self.cut_on = None
            raise Cut
        return _command.Result(argv, 1 if verb == "reset-failed" else 0)

    def _start(self):
        if self.breaks:
            self.breaks -= 1
            return
        drop_in = Path(self.paths.drop_in).read_text()
        listed = re.search('ETCD_INITIAL_CLUSTER=([^"]*)', drop_in).group(1).split(",")
        if 'STATE=existing"' in drop_in:
            # as etcd does: the members named must be those the cluster has
            assert sorted(one.split("=", 1)[1] for one in listed) == sorted(
                self.fake.peer_url(m["host"]) for m in self.fake.members.values()
            )
            assert self.wal.exists() or not self.fake.members[self.fake.find(self.name)]["name"], "started empty under an old id"
        self.give_data()
        if self.fake.find(self.name):
            self.fake.publish(self.name)

    def give_data(self):
        self.wal.mkdir(parents=True, exist_ok=True)
        (self.wal / "0.wal").write_text("log")

    def sleep(self, seconds):
        self.now += seconds

    def flow(self, ask=(), wipe=False, timeout=30, ours=None):
        fake = self.fake
        endpoints = tuple(fake.client_url(one) for one in ask)
        wanted = WantedMember(self.name, fake.peer_url(self.name), fake.client_url(self.name), endpoints, ours, wipe)
        return Flow(wanted, Host(self.runner, self.paths), fake, lambda: self.now, self.sleep, timeout)


@pytest.fixture
def machine(tmp_path):
    return lambda fake, name="b": Machine(fake, tmp_path, name)


def test_a_host_joins_as_a_learner_and_the_second_run_does_nothing(machine):
    fake = FakeEtcd("a")
    b = machine(fake)
    foretold = b.flow(["a"]).bring_to("learner", check=True)
    assert (foretold.changed, foretold.actions) == (True, ("add",))
    assert [(one["name"], one["role"]) for one in foretold.after] == [("a", "voter"), ("b", "learner")]
    assert fake.roles() == {"a": "voter"}
    assert set(b.calls) <= {"show"}
    done = b.flow(["a"]).bring_to("learner")
    assert done.actions == ("add", "start", "remove_one_shots")
    assert [(one["name"], one["role"]) for one in done.after] == [("a", "voter"), ("b", "learner")]
    again = b.flow(["a"]).bring_to("learner")
    assert (again.changed, again.actions, again.before) == (False, (), done.after)
    assert not b.flow(["a"]).bring_to("learner", check=True).changed


@pytest.mark.parametrize("cut_after", [1, 2])
@pytest.mark.parametrize("before", ["nothing", "orphan", "lost disk"])
def test_a_join_cut_off_after_any_change_is_finished_by_the_next_run(machine, cut_after, before):
    fake = FakeEtcd("a", "c", "d")
    b = machine(fake)
    if before != "nothing":
        fake.add("b", learner=True)
    if before == "lost disk":
        fake.publish("b")
        fake.running.discard("b")
    fake.cut_after = cut_after
    try:
        b.flow(["a"]).bring_to("learner")
    except Cut:
        pass
    fake.cut_after = None
    b.flow(["a"]).bring_to("learner")
    assert fake.roles() == {"a": "voter", "b": "learner", "c": "voter", "d": "voter"}
    assert not b.flow(["a"]).bring_to("learner").changed
    assert not b.flow().host.one_shots()


@pytest.mark.parametrize("verb", ["daemon-reload", "reset-failed", "start"])
def test_a_join_cut_off_on_the_host_is_finished_by_the_next_run(machine, verb):
    fake = FakeEtcd("a")
    b = machine(fake)
    b.cut_on = verb
    with pytest.raises(Cut):
        b.flow(["a"]).bring_to("learner")
    b.flow(["a"]).bring_to("learner")
    assert fake.roles() == {"a": "voter", "b": "learner"}
    assert not b.flow(["a"]).bring_to("learner").changed


def test_a_start_that_fails_is_repeated_with_the_members_of_that_moment(machine):
    fake = FakeEtcd("a")
    b = machine(fake)
    b.breaks = 2
    assert b.flow(["a"]).bring_to("learner").actions == ("add", "start", "start", "start", "remove_one_shots")


@pytest.mark.parametrize(
    ("timeout", "said", "took"),
    [
        (180, "etcd ends again and again here: it was started 31 times in 30 s", 30),
        (5, "not within 5 s: it is a member and etcd is not running here", 5),
    ],
)
def test_a_start_that_never_lasts_is_given_up_with_what_the_unit_said(machine, timeout, said, took):
    b = machine(FakeEtcd("a"))
    b.breaks = 10**6
    with pytest.raises(StepFailed) as failed:
        b.flow(["a"], timeout=timeout).bring_to("learner")
    journal = "Last journal lines of etcd.service:\netcd: unknown flag: --x"
    assert str(failed.value) == f"{said}.\n{journal}\nNext: journalctl -u etcd -n 50 on this host says why"
    assert b.now == took


def test_a_start_that_takes_long_to_fail_has_its_whole_time(machine):
    """It waits for another, which may come."""
    b = machine(FakeEtcd("a"))
    b.breaks = 8
    sleep = b.sleep
    b.sleep = lambda seconds: sleep(20 * seconds)
    assert b.flow(["a"], timeout=180).bring_to("learner").actions.count("start") == 9


def test_leftovers_without_a_log_are_set_aside_not_deleted(machine, tmp_path):
    fake = FakeEtcd("a")
    b = machine(fake)
    snap = tmp_path / "b" / "member" / "snap"
    snap.mkdir(parents=True)
    (snap / "db").write_text("old")
    b.flow(["a"]).bring_to("learner")
    assert (tmp_path / "b" / "member.aside-1" / "snap" / "db").read_text() == "old"
    assert b.flow().host.has_data()


def test_wiping_takes_only_the_member_folder_and_only_when_asked(machine, tmp_path):
    fake = FakeEtcd("a")
    b = machine(fake)
    b.give_data()
    (tmp_path / "b" / "backup").write_text("mine")
    with pytest.raises(StepFailed, match="do not belong to a member.*member.old"):
        b.flow(["a"]).bring_to("learner")
    assert b.wal.exists()
    assert b.flow(["a"], wipe=True).bring_to("learner").actions == ("wipe", "add", "start", "remove_one_shots")
    assert (tmp_path / "b" / "backup").read_text() == "mine"


def test_etcds_wish_for_patience_is_granted_until_the_time_is_up(machine):
    fake = FakeEtcd("a")
    b = machine(fake)
    unhealthy = (503, 14, "unhealthy cluster")
    fake.refusals = [unhealthy] * 5
    assert b.flow(["a"]).bring_to("learner").actions == ("add", "start", "remove_one_shots")
    c = machine(fake, "c")
    fake.refusals = [unhealthy] * 50
    with pytest.raises(StepFailed, match="not within 10 s: .*unhealthy cluster"):
        c.flow(["a"], timeout=10).bring_to("learner")


def test_a_learner_that_falls_behind_at_the_last_moment_is_asked_again(machine):
    fake = FakeEtcd("a")
    b = machine(fake)
    b.flow(["a"]).bring_to("learner")
    fake.refusals = [(400, 9, "can only promote a learner member which is in sync with leader")] * 3
    assert b.flow(["a"]).bring_to("voter").actions == ("promote",)


def test_a_refusal_that_no_patience_helps_fails_at_once(machine):
    fake = FakeEtcd("a")
    fake.refusals = [(400, 9, "something new")]
    b = machine(fake)
    with pytest.raises(Exception, match="something new"):
        b.flow(["a"]).bring_to("learner")
    assert b.now == 0


def test_a_learner_is_promoted_only_in_sync(machine):
    fake = FakeEtcd("a")
    b = machine(fake)
    b.flow(["a"]).bring_to("learner")
    fake.log, fake.lag = 10000, {"b": 5000}
    with pytest.raises(StepFailed, match="applied entry 5000 of the leader's 10000"):
        b.flow(["a"], timeout=3).bring_to("voter")
    assert not b.flow(["a"]).bring_to("voter", check=True).changed
    fake.lag = {}
    foretold = b.flow(["a"]).bring_to("voter", check=True)
    assert [one["role"] for one in foretold.after] == ["voter", "voter"]
    assert b.flow(["a"]).bring_to("voter").actions == ("promote",)
    assert not b.flow(["a"]).bring_to("voter").changed


def test_a_voter_that_does_not_serve_is_no_success(machine):
    fake = FakeEtcd("a", "b", "c")
    fake.running.discard("b")
    with pytest.raises(StepFailed, match="the voter does not serve yet"):
        machine(fake).flow(["a"], timeout=2).bring_to("voter")


def test_the_gate_refuses_and_says_the_next_step(machine):
    fake = FakeEtcd("a", "b", "c")
    fake.running.discard("c")
    with pytest.raises(StepFailed, match=r"after removing b 1 of 2.*Next: bring back c") as refused:
        machine(fake).flow(["a"], timeout=2).bring_to("absent")
    assert not refused.value.verdict.safe
    assert len(fake.roles()) == 3


def test_a_learner_nobody_knows_forbids_a_join(machine):
    fake = FakeEtcd("a")
    fake.add("stranger", learner=True)
    b = machine(fake)
    with pytest.raises(StepFailed, match="a learner that no host of the inventory accounts for"):
        b.flow(["a"], timeout=1, ours=("a", "b")).bring_to("learner")
    assert "add" in b.flow(["a"], ours=("a", "b", fake.peer_url("stranger"))).bring_to("learner").actions


def test_the_own_orphan_forbids_nothing_though_the_inventory_knows_names_only(machine):
    fake = FakeEtcd("a")
    fake.add("b", learner=True)
    assert machine(fake).flow(["a"], ours=("a", "b")).bring_to("learner").actions[0] == "remove"


def test_the_leader_leaves_after_giving_its_leadership_away(machine):
    fake = FakeEtcd("a", "b", "c")
    foretold = machine(fake, "c").flow(["b"]).bring_to("absent", check=True)
    assert [one["name"] for one in foretold.after] == ["a", "b"]
    assert machine(fake, "a").flow(["b"]).bring_to("absent").actions == ("move_leader", "remove")
    assert ("a", "/v3/maintenance/transfer-leadership") in fake.asked
    assert fake.roles() == {"b": "voter", "c": "voter"}
    assert not machine(fake, "a").flow(["b"]).bring_to("absent").changed


def test_the_leader_becomes_a_follower(machine):
    fake = FakeEtcd("a", "b", "c")
    a = machine(fake, "a")
    assert a.flow(["b"]).bring_to("follower", check=True).changed
    assert a.flow(["b"]).bring_to("follower").actions == ("move_leader",)
    assert not a.flow(["b"]).bring_to("follower").changed


@pytest.mark.parametrize(
    ("running", "said"),
    [
        ("ab", "without a 1 of 3 voters would be healthy and 2 are needed. Next: bring back c first"),
        ("ac", "without a 1 of 3 voters would be healthy and 2 are needed. Next: bring back b first"),
    ],
)
def test_a_leader_that_nobody_can_stand_in_for_is_told_who_is_missing(machine, running, said):
    fake = FakeEtcd("a", "b", "c")
    fake.running = set(running)
    with pytest.raises(StepFailed, match=f"^not within 30 s: {re.escape(said)}$"):
        machine(fake, "a").flow(["b", "c"]).bring_to("follower")
    assert not [one for one in fake.asked if "transfer-leadership" in one[1]]


@pytest.mark.parametrize("check", [True, False])
@pytest.mark.parametrize(
    ("members", "running", "ask", "changed"),
    [
        ("a", "a", "", False),
        ("a", "", "", False),  # it is ill, and its restart was allowed
        ("abc", "abc", "", True),  # the members tell of the others
        ("abc", "abc", "b", True),
    ],
)
def test_a_member_that_alone_votes_keeps_the_leadership(machine, members, running, ask, changed, check):
    fake = FakeEtcd(*members)
    fake.running = set(running)
    a = machine(fake, "a")
    assert a.flow(list(ask)).bring_to("follower", check=check).changed is changed
    assert a.now == 0.0 or changed, "nothing was waited for"


def test_beside_a_learner_a_member_alone_votes(machine):
    fake = FakeEtcd("a")
    fake.add("b", learner=True)
    assert machine(fake, "a").flow(["b"]).bring_to("follower").reason == "nobody else votes, so nobody else can lead"


def test_whether_another_votes_is_not_guessed_without_quorum(machine):
    fake = FakeEtcd("a", "b")
    fake.running = set()
    with pytest.raises(StepFailed, match="no member served a linearizable read"):
        machine(fake, "a").flow(["b"], timeout=2).bring_to("follower")


def test_nothing_is_decided_on_a_list_without_quorum(machine):
    fake = FakeEtcd("a", "c", "d")
    fake.running = {"a"}
    b = machine(fake)
    with pytest.raises(StepFailed, match="no member served a linearizable read.*etcd-lost-quorum"):
        b.flow(["a", "c", "d"], wipe=True, timeout=2).bring_to("learner")
    assert not set(b.calls) - {"show"}


def test_a_check_before_there_is_a_cluster_foretells_a_change(machine):
    b = machine(FakeEtcd())
    for state, changed in (("learner", True), ("voter", True), ("follower", False), ("absent", False)):
        assert b.flow(["a"]).bring_to(state, check=True).changed is changed


RECORD = {"cluster": "lab", "token": "t", "initial_cluster": {"b": "https://b:2380", "a": "https://a:2380"}}


def test_a_bootstrap_writes_the_record_before_it_starts(machine):
    fake = FakeEtcd()
    b = machine(fake)
    foretold = b.flow().found(RECORD, check=True)
    assert (foretold.changed, foretold.before, foretold.after) == (True, (), (RECORD,))
    assert not b.flow().host.one_shots()
    b.cut_on = "daemon-reload"
    with pytest.raises(Cut):
        b.flow().found(RECORD)
    assert json.loads(Path(b.paths.record).read_text()) == RECORD
    assert b.flow().found(RECORD).actions == ("start",)
    drop_in = Path(b.paths.drop_in).read_text()
    assert 'Environment="ETCD_INITIAL_CLUSTER=a=https://a:2380,b=https://b:2380"' in drop_in
    assert 'Environment="ETCD_INITIAL_CLUSTER_STATE=new"' in drop_in
    fake.running.add("b")
    assert not b.flow().found(RECORD).changed


def test_a_bootstrap_sets_leftovers_aside_and_keeps_a_log(machine, tmp_path):
    fake = FakeEtcd()
    b = machine(fake)
    (tmp_path / "b" / "member" / "snap").mkdir(parents=True)
    b.flow().found(RECORD)
    assert (tmp_path / "b" / "member.aside-1").is_dir()
    assert b.flow().found(RECORD).changed
    assert b.wal.exists()
    assert not (tmp_path / "b" / "member.aside-2").exists()


def test_a_bootstrap_ends_when_the_member_serves(machine):
    fake = FakeEtcd("b")
    b = machine(fake)
    b.give_data()
    fake.running.discard("b")
    b.flow().host.write_record(RECORD)
    assert b.flow().finish(check=True).changed
    with pytest.raises(StepFailed, match=r"(?s)not within 3 s: .*connection refused.*journalctl"):
        b.flow(timeout=3).finish()
    assert b.flow().host.one_shots() == [b.paths.record]
    fake.running.add("b")
    assert b.flow().finish().changed
    assert not b.flow().finish().changed
    assert b.flow().host.one_shots() == []


@pytest.mark.parametrize(("every", "took"), [(1, 30), (4, 41), (30, 180)])
def test_a_founding_whose_etcd_ends_again_and_again_is_given_up(machine, every, took):
    b = machine(FakeEtcd("b"))
    b.fake.running.discard("b")
    b.restarts = lambda: 7 + int(b.now // every)
    said = "etcd ends again and again here" if took < 180 else "not within 180 s: .*connection refused"
    with pytest.raises(StepFailed, match=rf"(?s){said}.*\nLast journal lines.*unknown flag.*\nNext: journalctl"):
        b.flow(timeout=180).finish()
    assert b.now == pytest.approx(took, abs=1)


def test_a_failing_systemctl_is_quoted(machine):
    b = machine(FakeEtcd())
    host = Host(lambda argv, timeout: _command.Result(argv, 1, "", "Failed to connect to bus"), b.paths)
    with pytest.raises(StepFailed, match="systemctl daemon-reload.*Failed to connect to bus.*Next: `systemctl status etcd"):
        host.start("")


@pytest.mark.parametrize("check", [False, True])
@pytest.mark.parametrize("data", [False, True])
@pytest.mark.parametrize("text", ["{", "", '["x"]', "null", '"x"', "7"])
def test_a_broken_record_is_named(machine, text, data, check):
    b = machine(FakeEtcd())
    if data:
        b.give_data()
    Path(b.paths.record).write_text(text, encoding="utf-8")
    with pytest.raises(StepFailed, match=rf"{b.paths.record} is no JSON of a record: .*\. Next: look at it; remove it when"):
        b.flow().found(RECORD, check)
    assert not set(b.calls) - {"show"}


def moving(fake, name="b", url="https://b-new:2380", ask=("a",), timeout=0):
    """Return the flow of a member's new peer URL, on a host that is none of the members'."""
    wanted = WantedMember(name, url, "", tuple(fake.client_url(one) for one in ask))
    now = [0.0]
    return Flow(wanted, None, fake, lambda: now[0], lambda seconds: now.__setitem__(0, now[0] + seconds), timeout)


def test_a_member_is_reached_at_another_url_and_the_second_run_does_nothing():
    fake = FakeEtcd("a", "b", "c")
    foretold = moving(fake).bring_to("updated", check=True)
    assert (foretold.changed, foretold.actions) == (True, ("update",))
    assert fake.members[fake.find("b")]["peers"] == ["https://b:2380"]
    done = moving(fake).bring_to("updated")
    assert (done.actions, done.after) == (("update",), foretold.after)
    assert {one["name"]: one["peer_urls"] for one in done.after}["b"] == ["https://b-new:2380"]
    for check in (False, True):
        again = moving(fake).bring_to("updated", check)
        assert (again.changed, again.reason) == (False, "the others reach it at https://b-new:2380")


def test_a_member_that_is_away_already_is_updated_while_the_others_carry_the_cluster():
    fake = FakeEtcd("a", "b", "c")
    fake.running.discard("b")
    assert moving(fake).bring_to("updated").actions == ("update",)


def test_an_update_cut_off_is_finished_by_the_next_run():
    fake = FakeEtcd("a", "b", "c")
    fake.cut_after = 1
    with pytest.raises(Cut):
        moving(fake).bring_to("updated")
    fake.cut_after = None
    assert not moving(fake).bring_to("updated").changed


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"name": "d"}, "no started member is called d. Next: etcd_info"),
        ({"url": "https://c:2380"}, "https://c:2380 is the peer URL of c already. Next: find out"),
    ],
)
@pytest.mark.parametrize("check", [False, True])
def test_what_cannot_be_updated_is_said(more, said, check):
    fake = FakeEtcd("a", "b", "c")
    with pytest.raises(StepFailed, match=re.escape(said)):
        moving(fake, **more).bring_to("updated", check)
    assert not [path for _host, path in fake.asked if path.endswith("update")]


def test_no_member_is_moved_while_the_others_do_not_carry_the_cluster():
    fake = FakeEtcd("a", "b", "c")
    fake.running.discard("c")
    with pytest.raises(StepFailed) as refused:
        moving(fake).bring_to("updated")
    assert "while b is not reached at another address 1 of 3 voters would be healthy and 2 are needed" in str(refused.value)
    assert refused.value.verdict.next_step == "bring back c first"
    assert fake.members[fake.find("b")]["peers"] == ["https://b:2380"]


def test_a_voter_that_dies_between_two_changes_is_missed_before_the_second(machine):
    """An orphan of a cut-off join is removed with three voters alive; the newcomer is not added beside two of three."""
    fake = FakeEtcd("a", "c", "d")
    fake.add("b", learner=True)
    b = machine(fake)

    def dying(method, url, body=None, headers=None, timeout=5.0):
        answer = fake(method, url, body, headers, timeout)
        if url.endswith("/v3/cluster/member/remove"):
            fake.running.discard("d")
        return answer

    flow = b.flow(["a", "c"], timeout=2)
    endpoints = [fake.client_url(name) for name in "acb"]
    flow.stepper = Stepper(lambda: _etcd.observe(endpoints, dying), lambda one: _etcd.Etcd(one, dying), flow.patience)
    with pytest.raises(StepFailed, match=r"2 of 3 voters are healthy and 3 must be.*Next: bring back d") as refused:
        flow.bring_to("learner")
    assert refused.value.verdict.step.kind == "add_learner"
    assert flow.stepper.actions == ["remove"] and set(fake.roles()) == {"a", "c", "d"}


def test_the_member_that_is_named_leaves_and_not_one_whose_name_begins_so(machine):
    fake = FakeEtcd("node10", "node1", "node2")
    assert machine(fake, "node1").flow(["node2"]).bring_to("absent").actions == ("remove",)
    assert set(fake.roles()) == {"node10", "node2"}
    gone = machine(fake, "node1").flow(["node2"]).bring_to("absent")
    assert not gone.changed and set(fake.roles()) == {"node10", "node2"}


def test_of_a_founding_nothing_is_left_that_a_later_start_would_read(machine, tmp_path):
    b = machine(FakeEtcd("b"))
    b.fake.running.discard("b")
    b.flow().found(RECORD)
    written = [path for path in tmp_path.rglob("*") if path.is_file() and "member" not in path.parts]
    assert any('ETCD_INITIAL_CLUSTER_STATE=new"' in path.read_text() for path in written)
    b.flow().finish()
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and "member" not in path.parts]
    assert b.calls[-1] == "daemon-reload", "systemd forgets it too"
