# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the module from its arguments to its result, on a played cluster."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _https
from ansible_collections.multimaster.kubernetes.plugins.modules import etcd_info
from fake_etcd import FakeEtcd


@pytest.fixture
def fake(monkeypatch):
    made = FakeEtcd("a", "b", "c")
    monkeypatch.setattr(_https, "https_opener", lambda *_args: made)
    return made


def test_a_cluster_with_one_dead_member_and_a_learner(fake, call):
    fake.running.discard("c")
    fake.add("d", learner=True)
    fake.alarms = [(fake.find("a"), "NOSPACE")]
    result = call(etcd_info, {"endpoints": ["https://a:2379"]})
    assert not result["changed"]
    assert {m["name"]: m["healthy"] for m in result["members"]} == {"": False, "a": True, "b": True, "c": False}
    assert [m["name"] for m in result["members"] if m["leader"]] == ["a"]
    assert result["survival"] == {"voters": 3, "healthy": 2, "quorum": 2, "survives": 0}
    assert result["alarms"] == [{"member_id": fake.find("a"), "alarm": "NOSPACE"}]
    assert result["confirmed"]
    assert len(result["errors"]) == 1


def test_nobody_answers(fake, call):
    fake.running.clear()
    result = call(etcd_info, {"endpoints": ["https://a:2379"]})
    assert (result["members"], result["confirmed"], result["leader_id"]) == ([], False, "")
    assert "connection refused" in result["errors"][0]


def test_unreadable_credentials_are_named(call, tmp_path):
    result = call(etcd_info, {"endpoints": ["https://a:2379"], "ca": str(tmp_path / "none.crt")})
    assert result["msg"] == (
        f"etcd cannot be asked: cannot read {tmp_path}/none.crt: No such file or directory. Next: site.yml gives each "
        "listed host its certificates"
    )


def test_a_quorum_is_waited_for_and_what_is_seen_is_told_all_the_same(fake, call, monkeypatch):
    slept = []
    awaited = etcd_info._etcd.awaited
    back = iter(["b", "c"])

    def comes_back(_seconds):
        slept.append(fake.running.add(next(back)))

    monkeypatch.setattr(etcd_info._etcd, "awaited", lambda *given: awaited(*given, sleep=comes_back))
    fake.running -= {"b", "c"}
    assert call(etcd_info, {"endpoints": ["https://a:2379"], "wait": 30}, True)["survival"]["healthy"] == 0 and not slept
    assert call(etcd_info, {"endpoints": ["https://a:2379"]})["survival"]["healthy"] == 0 and not slept
    assert call(etcd_info, {"endpoints": ["https://a:2379"], "wait": 30})["survival"] == {
        "voters": 3,
        "healthy": 2,
        "quorum": 2,
        "survives": 0,
    }
    assert len(slept) == 1
