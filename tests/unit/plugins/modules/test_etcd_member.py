# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the module's arguments and messages; its operations are tested in test__etcd_flows and on a real etcd."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _command, _https
from ansible_collections.multimaster.kubernetes.plugins.modules import etcd_member
from fake_etcd import FakeEtcd, Time

OWN = {"name": "b", "peer_url": "https://b:2380", "client_url": "https://b:2379"}


@pytest.fixture
def fake(monkeypatch, world):
    made = FakeEtcd("a", "b", "c")
    world.watch(made.picture)
    monkeypatch.setattr(_https, "https_opener", lambda *_args: made)
    return made


class Unit:
    """etcd's unit on the host of b, and its files: a start makes data, and lets the member run that the cluster has."""

    def __init__(self, fake, folder):
        self.fake, self.up, self.acts, self.wal = fake, False, [], folder / "data/member/wal"
        self.arguments = {
            "data_dir": str(folder / "data"),
            "record": str(folder / "record.json"),
            "drop_in": str(folder / "d/first.conf"),
        }

    def started(self):
        self.up = True
        self.wal.mkdir(parents=True, exist_ok=True)
        (self.wal / "0.wal").write_text("log")
        self.fake.publish("b")
        return self

    def picture(self):
        return self.up, list(self.acts)

    def __call__(self, argv, timeout):
        if argv[1] == "show":
            state = "ActiveState=active\nSubState=running\n" if self.up else "ActiveState=inactive\nSubState=dead\n"
            return _command.Result(argv, 0, state)
        self.acts.append(argv[1])
        if argv[1] == "start":
            self.started()
        return _command.Result(argv, 0)


@pytest.fixture
def unit(fake, world, tmp_path, monkeypatch):
    played, time = Unit(fake, tmp_path), Time()
    world.watch(played.picture)
    monkeypatch.setattr(etcd_member.run, "__defaults__", (played, time.clock, time.sleep))
    return played


def without(fake, name):
    del fake.members[fake.find(name)]
    fake.running.discard(name)


def local(unit, state, **more):
    return {"state": state, "endpoints": ["https://a:2379"], **OWN, **unit.arguments, **more}


def test_a_host_joins_as_a_learner_and_becomes_a_voter(fake, unit, check_run_again):
    without(fake, "b")
    # Which number etcd gives the member is not known before, and what there is to start follows from the adding.
    checked, done, again = check_run_again(etcd_member, local(unit, "learner"), besides=("actions", "diff"))
    assert (checked["actions"], done["actions"]) == (["add"], ["add", "start", "remove_one_shots"])
    roles = [{one["name"]: one["role"] for one in result["after"]} for result in (checked, done, again)]
    assert roles == [{"a": "voter", "b": "learner", "c": "voter"}] * 3
    checked, done, _again = check_run_again(etcd_member, local(unit, "voter"))
    assert checked["actions"] == done["actions"] == ["promote"]
    assert checked["after"] == done["after"] and checked["diff"] == done["diff"]
    assert fake.roles() == {"a": "voter", "b": "voter", "c": "voter"}


def test_a_leader_gives_its_place_away(fake, unit, check_run_again):
    unit.started()
    fake.leader = fake.find("b")
    checked, done, _again = check_run_again(etcd_member, local(unit, "follower"))
    assert checked["actions"] == done["actions"] == ["move_leader"] and fake.leader != fake.find("b")


def test_the_first_members_start_and_the_one_shot_files_go(fake, unit, check_run_again, tmp_path):
    fake.running.clear()
    urls = {name: fake.peer_url(name) for name in "abc"}
    first = local(unit, "started_first", token="t", initial_cluster=urls, cluster="prod")
    checked, done, _again = check_run_again(etcd_member, first)
    assert checked["actions"] == done["actions"] == ["start"] and checked["diff"] == done["diff"]
    fake.running.update("ac")
    # A check is about the world as it is, in which the members have no leader yet: it cannot know what is left then.
    checked, done, _again = check_run_again(etcd_member, local(unit, "bootstrapped"), besides=("actions",))
    assert done["actions"] == ["remove_one_shots"] and checked["diff"] == done["diff"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d", "data"]


def test_a_member_is_removed_from_anywhere_by_its_name(fake, check_run_again):
    arguments = {"state": "absent", "name": "c", "endpoints": ["https://a:2379"]}
    checked, done, _again = check_run_again(etcd_member, arguments)
    assert checked["after"] == done["after"]
    assert done["actions"] == ["remove"]
    assert '"c"' in done["diff"]["before"]
    assert '"c"' not in done["diff"]["after"]


def test_a_member_is_moved_from_anywhere(fake, check_run_again):
    arguments = {"state": "updated", "name": "c", "peer_url": "https://c-new:2380", "endpoints": ["https://a:2379"]}
    checked, done, _again = check_run_again(etcd_member, arguments)
    assert checked["after"] == done["after"]
    assert (done["actions"], done["reason"]) == (["update"], "the others reach it at https://c-new:2380")
    assert "c-new" in done["diff"]["after"]


def test_the_gates_verdict_is_in_the_failure(fake, call):
    fake.running.discard("c")
    result = call(etcd_member, {"state": "absent", "name": "b", "endpoints": ["https://a:2379"], "timeout": 0})
    assert result["msg"].startswith("etcd member b is not brought to absent: not within 0 s: after removing b 1 of 2 voters")
    assert result["verdict"]["safe"] is False


def test_the_command_to_run_names_the_host_as_the_inventory_does(fake, unit, call):
    fake.running.discard("b")
    assert "replace_node.yml -e node=master-2`" in call(etcd_member, local(unit, "learner", host="master-2"))["msg"]


@pytest.mark.parametrize("state", ["started_first", "bootstrapped", "learner", "voter", "follower", "updated", "absent"])
def test_what_a_state_needs_is_asked_for(call, state):
    result = call(etcd_member, {"state": state, "name": "b"})
    assert "are missing" in result["msg"]


def test_unreadable_credentials_fail_a_run_and_not_a_check(call, tmp_path):
    arguments = {
        "state": "bootstrapped",
        **OWN,
        "ca": str(tmp_path / "none.crt"),
        "record": str(tmp_path / "record"),
        "drop_in": str(tmp_path / "drop-in"),
        "timeout": 0,
    }
    assert "none.crt: No such file" in call(etcd_member, arguments)["msg"]
    assert not call(etcd_member, arguments, check=True)["changed"]
    (tmp_path / "record").write_text("{}")
    assert call(etcd_member, arguments, check=True)["changed"]
