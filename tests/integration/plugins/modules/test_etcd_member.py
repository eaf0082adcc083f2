# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Membership on a real etcd: each operation checked, run, run again, and cut off in the middle."""

from __future__ import annotations

import json
import shutil
import time

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _etcd, _https
from ansible_collections.multimaster.kubernetes.plugins.module_utils._membership import StepFailed
from ansible_collections.multimaster.kubernetes.plugins.modules import etcd_member
from lab_etcd import Systemctl, free_ports, wait_for

# etcd wants its voters connected for 5 s before a learner is added
SETTLED = 6


class World:
    """A lab and the module, called as a playbook would call it on each host."""

    def __init__(self, lab):
        self.lab = lab
        self.runners = {}

    def opener(self):
        return _https.https_opener(self.lab.client_ca.cert, *self.lab.operator)

    def client(self, name):
        return _etcd.Etcd(self.lab.member(name).client_url, self.opener())

    def members(self, name):
        return {m.name: "learner" if m.is_learner else "voter" for m in self.client(name).member_list()}

    def module(self, name, state, ask=(), check=False, timeout=30, **more):
        member = self.lab.member(name)
        runner = self.runners.setdefault(name, Systemctl(member))
        params = {
            "state": state,
            "name": name,
            "peer_url": member.peer_url,
            "client_url": member.client_url,
            "endpoints": [self.lab.member(one).client_url for one in ask],
            "ca": self.lab.client_ca.cert,
            "client_cert": self.lab.operator[0],
            "client_key": self.lab.operator[1],
            "initial_cluster": {},
            "token": "",
            "cluster": "lab",
            "ours": None,
            "wipe": False,
            "host": "",
            "timeout": timeout,
            "data_dir": str(member.data_dir),
            "record": str(member.record),
            "drop_in": str(member.drop_in),
            "unit": "etcd.service",
            **more,
        }
        return etcd_member.run(params, check, runner)

    def three_times(self, *args, **kwargs):
        """Check, run, run again: the check foretells the change and does nothing, the second run changes nothing."""
        self.lab.member(args[0])
        forming = args[1] == "started_first"
        before = self.snapshot(forming)
        check = self.module(*args, check=True, **kwargs)
        assert self.snapshot(forming) == before
        first = self.module(*args, **kwargs)
        again = self.module(*args, **kwargs)
        assert (check.changed, first.changed, again.changed) == (True, True, False)
        return first

    def snapshot(self, forming=False):
        """Return processes, one-shot files and members; not the members of a cluster that is forming by itself."""
        processes = {name: m.process and m.process.pid for name, m in self.lab.members.items()}
        files = sorted(str(p) for m in self.lab.members.values() for p in (m.record, m.drop_in) if p.exists())
        members = None
        for name in () if forming else self.lab.members:
            try:
                members = self.client(name).member_list()
                break
            except _etcd.EtcdError:
                continue
        return processes, files, members

    def formed(self):
        """Tell whether a cluster that forms by itself has done so: every member has told the others its name."""
        members = self.snapshot()[2] or ()
        return bool(members) and {member.name for member in members} == set(self.lab.members)

    def bootstrap(self, *names):
        self.lab.bootstrap(*names)
        for name in names:
            self.module(name, "bootstrapped")


@pytest.fixture
def world(lab):
    return World(lab)


def test_three_hosts_found_a_cluster_from_one_record(world):
    names = ("a", "b", "c")
    peers = {name: world.lab.member(name).peer_url for name in names}
    for name in names:
        assert world.three_times(name, "started_first", initial_cluster=peers, token="t1").actions == ("start",)
        record = json.loads(world.lab.member(name).record.read_text())
        assert record == {"cluster": "lab", "token": "t1", "initial_cluster": peers}
    wait_for(world.formed, what="the cluster has formed")  # meanwhile a check could not tell its own doing from etcd's
    for name in names:
        world.three_times(name, "bootstrapped")
        assert not world.lab.member(name).record.exists()
        assert not world.lab.member(name).drop_in.exists()
    assert world.members("a") == {"a": "voter", "b": "voter", "c": "voter"}
    with pytest.raises(StepFailed, match="holds etcd data without a bootstrap record"):
        world.lab.member("a").stop()
        world.module("a", "started_first", initial_cluster=peers, token="t2")


def test_a_bootstrap_cut_off_goes_on_from_its_record(world):
    peers = {name: world.lab.member(name).peer_url for name in ("a", "b", "c")}
    world.module("a", "started_first", initial_cluster=peers, token="t1")
    wait_for(lambda: etcd_member.Host(None, etcd_member.Paths(str(world.lab.member("a").data_dir))).has_data())
    world.lab.member("a").kill()
    with pytest.raises(StepFailed, match="began a bootstrap with token t1"):
        world.module("a", "started_first", initial_cluster=peers, token="other")
    for name in peers:
        assert world.module(name, "started_first", initial_cluster=peers, token="t1").changed
    for name in peers:
        world.module(name, "bootstrapped")
    assert set(world.members("c").values()) == {"voter"}


def test_a_cluster_grows_from_one_to_three_through_learners(world):
    world.bootstrap("a")
    first = world.three_times("b", "learner", ask=["a"])
    assert first.actions == ("add", "start", "remove_one_shots")
    assert world.members("a") == {"a": "voter", "b": "learner"}
    world.three_times("c", "learner", ask=["a"])
    assert not world.lab.member("b").drop_in.exists()
    # two learners become voters one right after the other, with no wait for "connected for 5 s" between
    started = time.monotonic()
    for name in ("b", "c"):
        assert world.module(name, "voter", ask=["a"]).actions == ("promote",)
    assert time.monotonic() - started < 4
    for name in ("b", "c"):
        assert not world.module(name, "voter", ask=["a"]).changed
    assert world.members("c") == {"a": "voter", "b": "voter", "c": "voter"}


def test_a_third_learner_waits_and_says_why(world):
    world.bootstrap("a")
    for name in ("b", "c"):
        world.module(name, "learner", ask=["a"])
    with pytest.raises(StepFailed, match="2 learners already"):
        world.module("d", "learner", ask=["a"], timeout=1)


def test_etcds_wish_for_five_quiet_seconds_is_waited_out(world):
    world.bootstrap("a", "b", "c")
    with pytest.raises(_etcd.EtcdRefused) as refused:
        world.client("a").member_add(["https://127.0.0.1:1"])
    assert refused.value.busy and "unhealthy cluster" in refused.value.message
    assert world.module("d", "learner", ask=["a"], timeout=20).actions == ("add", "start", "remove_one_shots")


def test_a_join_cut_off_after_the_add_is_replaced(world):
    world.bootstrap("a")
    orphan, _all = world.client("a").member_add([world.lab.member("b").peer_url])
    first = world.three_times("b", "learner", ask=["a"])
    assert first.actions == ("remove", "add", "start", "remove_one_shots")
    assert orphan.id not in [m.id for m in world.client("a").member_list()]


def test_a_join_cut_off_after_the_start_is_finished(world):
    world.bootstrap("a")
    world.module("b", "learner", ask=["a"])
    world.lab.member("b").kill()
    member = world.client("a").member_list()[1].id
    first = world.three_times("b", "learner", ask=["a"])
    assert first.actions == ("start", "remove_one_shots")
    assert world.client("b").status().member_id == member


def test_a_learner_that_lost_its_disk_comes_back_as_a_new_member(world):
    world.bootstrap("a")
    world.module("b", "learner", ask=["a"])
    member = world.client("b").status().member_id
    world.lab.member("b").kill()
    shutil.rmtree(world.lab.member("b").data_dir)
    assert world.module("b", "learner", ask=["a"]).actions == ("remove", "add", "start", "remove_one_shots")
    assert world.client("b").status().member_id != member


def test_a_voter_that_lost_its_disk_is_never_started(world):
    world.bootstrap("a", "b", "c")
    world.lab.member("c").kill()
    shutil.rmtree(world.lab.member("c").data_dir)
    with pytest.raises(StepFailed, match="the voter c lost its data.*replace_node.yml -e node=c"):
        world.module("c", "learner", ask=["a", "b"])
    with pytest.raises(StepFailed, match="lost its data"):
        world.module("c", "learner", ask=["a", "b"], check=True)
    assert not world.lab.member("c").running()


def test_a_dead_voter_is_replaced_remove_then_add(world):
    world.bootstrap("a", "b", "c")
    world.lab.member("c").kill()
    time.sleep(SETTLED)
    with pytest.raises(StepFailed, match="bring back c"):
        world.module("d", "learner", ask=["a", "b"], timeout=1)
    assert world.three_times("c", "absent", ask=["a", "b"]).actions == ("remove",)
    shutil.rmtree(world.lab.member("c").data_dir)
    assert world.module("c", "learner", ask=["a", "b"]).actions == ("add", "start", "remove_one_shots")
    assert world.module("c", "voter", ask=["a", "b"]).changed
    assert world.members("c") == {"a": "voter", "b": "voter", "c": "voter"}


def test_the_gate_refuses_to_remove_a_healthy_voter_while_another_is_dead(world):
    world.bootstrap("a", "b", "c")
    world.lab.member("c").kill()
    with pytest.raises(StepFailed, match="after removing b 1 of 2 voters would be healthy") as refused:
        world.module("b", "absent", ask=["a", "b", "c"], timeout=1)
    assert refused.value.verdict.as_dict()["after"] == {"voters": 2, "healthy": 1, "quorum": 2, "survives": -1}
    assert set(world.members("a")) == {"a", "b", "c"}


def test_a_leader_is_removed_after_giving_its_leadership_away(world):
    world.bootstrap("a", "b", "c")
    leader = world.client("a").status().leader_id
    name = next(m.name for m in world.client("a").member_list() if m.id == leader)
    others = [one for one in ("a", "b", "c") if one != name]
    assert world.module(name, "absent", ask=others).actions == ("move_leader", "remove")
    assert set(world.members(others[0])) == set(others)


def test_a_leader_becomes_a_follower(world):
    world.bootstrap("a", "b", "c")
    leader = world.client("a").status().leader_id
    name = next(m.name for m in world.client("a").member_list() if m.id == leader)
    assert world.three_times(name, "follower", ask=["a", "b", "c"]).actions == ("move_leader",)
    assert world.client("a").status().leader_id != leader


def test_a_voter_stands_back_as_a_learner_by_leaving_wiping_and_joining(world):
    world.bootstrap("a", "b")
    world.module("b", "absent", ask=["a"])
    with pytest.raises(StepFailed, match="do not belong to a member"):
        world.module("b", "learner", ask=["a"], timeout=3)
    first = world.module("b", "learner", ask=["a"], wipe=True)
    assert first.actions == ("wipe", "add", "start", "remove_one_shots")
    assert world.members("a") == {"a": "voter", "b": "learner"}


def test_data_of_another_cluster_are_kept_unless_wiping_was_asked_for(world):
    world.bootstrap("a")
    world.bootstrap("b")
    kept = sorted(p.name for p in (world.lab.member("b").data_dir / "member").rglob("*"))
    with pytest.raises(StepFailed, match="do not belong to a member"):
        world.module("b", "learner", ask=["a"])
    assert sorted(p.name for p in (world.lab.member("b").data_dir / "member").rglob("*")) == kept
    assert "wipe" in world.module("b", "learner", ask=["a"], wipe=True).actions
    assert world.members("a") == {"a": "voter", "b": "learner"}


def test_an_alarm_forbids_changes_until_it_is_repaired(world):
    world.bootstrap("a")
    client = world.client("a")
    me = client.status().member_id
    alarm = {"memberID": me, "alarm": "NOSPACE"}
    client._call("/v3/maintenance/alarm", {"action": "ACTIVATE", **alarm})
    assert client.status().alarms == ((me, "NOSPACE"),)
    with pytest.raises(StepFailed, match="NOSPACE is raised on a"):
        world.module("b", "learner", ask=["a"], timeout=1)
    client._call("/v3/maintenance/alarm", {"action": "DEACTIVATE", **alarm})
    assert world.module("b", "learner", ask=["a"]).changed


def test_a_member_whose_data_differ_is_put_out_of_use_disarmed_and_replaced(world):
    """As docs/runbooks/quorum-at-risk.md, section 6, does it; the alarm would outlive a member that is only removed."""
    world.bootstrap("a", "b", "c")
    client, ask = world.client("a"), ["a", "b", "c"]
    alarm = {"memberID": world.client("c").status().member_id, "alarm": "CORRUPT"}
    client._call("/v3/maintenance/alarm", {"action": "ACTIVATE", **alarm})
    with pytest.raises(_etcd.EtcdRefused, match="corrupt"):
        client._call("/v3/kv/put", {"key": "a2VwdA==", "value": "eWVz"})
    with pytest.raises(StepFailed, match="CORRUPT is raised on c"):
        world.module("c", "absent", ask=ask, timeout=1)
    world.lab.member("c").stop()
    shutil.rmtree(world.lab.member("c").data_dir / "member")
    client._call("/v3/maintenance/alarm", {"action": "DEACTIVATE", **alarm})
    assert world.module("c", "absent", ask=ask).actions[-1] == "remove"
    assert world.module("c", "learner", ask=ask, timeout=60).changed
    assert world.module("c", "voter", ask=ask).changed
    client._call("/v3/kv/put", {"key": "a2VwdA==", "value": "eWVz"})
    assert (client.status().alarms, set(world.members("a").values())) == ((), {"voter"})


def test_an_alarm_outlives_its_member_and_names_nobody_by_leaving_the_zero_out(world):
    """What the runbook says of etcd; it counts on no more of it than this."""
    world.bootstrap("a", "b", "c")
    client, gone = world.client("a"), world.client("c").status().member_id
    for member_id in (gone, "0"):
        client._call("/v3/maintenance/alarm", {"action": "ACTIVATE", "memberID": member_id, "alarm": "CORRUPT"})
    time.sleep(SETTLED)
    assert {member.name for member in client.member_remove(gone)} == {"a", "b"}
    assert sorted(client.status().alarms) == [("0", "CORRUPT"), (gone, "CORRUPT")]


def test_nothing_is_done_without_a_quorum(world):
    world.bootstrap("a", "b", "c")
    for name in ("b", "c"):
        world.lab.member(name).kill()
    with pytest.raises(StepFailed, match="no member served a linearizable read"):
        world.module("c", "absent", ask=["a", "b"], timeout=1)


def test_a_survivor_forced_to_a_cluster_of_its_own_takes_wiped_hosts_in_again(world):
    """As docs/runbooks/etcd-lost-quorum.md does it: a variable beside the flags for one start, then site.yml's joins."""
    world.bootstrap("a", "b", "c")
    key = {"key": "a2VwdA==", "value": "eWVz"}
    world.client("c")._call("/v3/kv/put", key)
    for name in ("b", "c"):
        world.lab.member(name).kill()
        shutil.rmtree(world.lab.member(name).data_dir)
    a = world.lab.member("a")
    a.stop()
    a.drop_in.parent.mkdir(exist_ok=True)
    a.drop_in.write_text("[Service]\nEnvironment=ETCD_FORCE_NEW_CLUSTER=true\n")
    for last in (False, True):
        assert a.start()
        wait_for(lambda: _etcd.look(a.client_url, world.opener()).healthy)
        assert world.members("a") == {"a": "voter"}
        if not last:
            a.drop_in.unlink()
            a.stop()
    for state in ("learner", "voter"):
        for name in ("b", "c"):
            world.module(name, state, ask=["a"])
    assert world.members("c") == {"a": "voter", "b": "voter", "c": "voter"}
    assert world.client("b")._call("/v3/kv/range", {"key": key["key"]})["kvs"][0]["value"] == key["value"]


def test_a_check_of_an_empty_cluster_foretells_the_join(world):
    assert world.module("b", "learner", ask=["a"], check=True).changed
    assert world.module("b", "voter", ask=["a"], check=True).changed
    world.bootstrap("a")
    foretold = world.module("b", "voter", ask=["a"], check=True)
    assert foretold.changed
    assert "once it has joined" in foretold.reason


def test_a_member_is_told_elsewhere_then_restarted_there(world):
    """Upstream's order: the members are told, then etcd listens there; no member and no data are lost on the way."""
    names = ("a", "b", "c")
    world.bootstrap(*names)
    b = world.lab.member("b")
    before, old = {m.name: m.id for m in world.client("a").member_list()}, b.peer_url
    elsewhere = f"https://127.0.0.1:{free_ports(1)[0]}"
    done = world.three_times("b", "updated", ask=["a", "c"], peer_url=elsewhere)
    assert done.actions == ("update",)
    assert {m.name: m.peer_urls for m in world.client("c").member_list()}["b"] == (elsewhere,)
    b.stop()
    b.peer_url = elsewhere
    b.start()
    wait_for(lambda: _etcd.look(b.client_url, world.opener()).healthy)
    assert {m.name: m.id for m in world.client("b").member_list()} == before
    assert world.members("b") == dict.fromkeys(names, "voter")
    # proof that the others reach it there: the cluster lives on b and one more
    world.lab.member("c").kill()
    wait_for(lambda: _etcd.look(b.client_url, world.opener()).healthy)
    with pytest.raises(StepFailed, match="while b is not reached at another address 1 of 3 voters would be healthy"):
        world.module("b", "updated", ask=["a"], peer_url=old, timeout=1)
    # the dead one may move meanwhile, and a URL is one member's
    assert world.module("c", "updated", ask=["a"], peer_url=old).changed
    with pytest.raises(StepFailed, match="is the peer URL of c already"):
        world.module("b", "updated", ask=["a"], peer_url=old)


def test_the_only_member_is_told_elsewhere_and_back(world):
    world.bootstrap("a")
    home = world.lab.member("a").peer_url
    for url in (f"https://127.0.0.1:{free_ports(1)[0]}", home):
        assert world.module("a", "updated", ask=["a"], peer_url=url).actions == ("update",)
        assert [m.peer_urls for m in world.client("a").member_list()] == [(url,)]
    world.lab.member("a").stop()
    world.lab.member("a").start()
    wait_for(lambda: _etcd.look(world.lab.member("a").client_url, world.opener()).healthy)
