# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the module's arguments and messages; its operations are tested in test__etcd_flows and on a real etcd."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _https
from ansible_collections.multimaster.kubernetes.plugins.modules import etcd_member
from fake_etcd import FakeEtcd

OWN = {"name": "b", "peer_url": "https://b:2380", "client_url": "https://b:2379"}


@pytest.fixture
def fake(monkeypatch, world):
    made = FakeEtcd("a", "b", "c")
    world.watch(made.picture)
    monkeypatch.setattr(_https, "https_opener", lambda *_args: made)
    return made


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


@pytest.mark.parametrize("state", ["started_first", "bootstrapped", "learner", "voter", "follower", "updated", "absent"])
def test_what_a_state_needs_is_asked_for(call, state):
    result = call(etcd_member, {"state": state, "name": "b"})
    assert "are missing" in result["msg"]


def test_unreadable_credentials_fail_a_run_and_not_a_check(call, tmp_path):
    arguments = {
        "state": "bootstrapped", **OWN, "ca": str(tmp_path / "none.crt"), "record": str(tmp_path / "record"),
        "drop_in": str(tmp_path / "drop-in"), "timeout": 0,
    }  # fmt: skip
    assert "none.crt: No such file" in call(etcd_member, arguments)["msg"]
    assert not call(etcd_member, arguments, check=True)["changed"]
    (tmp_path / "record").write_text("{}")
    assert call(etcd_member, arguments, check=True)["changed"]
