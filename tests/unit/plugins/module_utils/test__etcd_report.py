# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What etcd_info and health return of an observed etcd."""

from __future__ import annotations

import json

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _etcd, _etcd_report
from fake_etcd import FakeEtcd
from health_fixtures import UNKNOWN


def one(number, name="", learner=False):
    """Return a member; one without a name was added and never started."""
    urls = (f"https://{name}:2379",) if name else ()
    return _etcd.Member(str(number), name, (f"https://h{number}:2380",), urls, learner)


def view(number, healthy=True, error="", cluster="77", leader="1", alarms=(), **more):
    """Return the view of a member's own endpoint."""
    values = {
        "is_learner": False,
        "raft_term": 3,
        "raft_index": 901,
        "raft_applied_index": 900,
        "db_size": 20,
        "db_size_in_use": 10,
        "version": "3.6.16",
        "db_size_quota": 100,
        "storage_version": "3.6.0",
        "downgrade": "",
    }
    status = _etcd.Status(str(number), cluster, leader, alarms=alarms, **{**values, **more})
    return _etcd.View(f"https://h{number}:2379", status, healthy, error=error)


def silent(number, error="connection refused"):
    return _etcd.View(f"https://h{number}:2379", error=error)


def test_a_member_is_told_with_all_that_was_proven_of_it():
    members = (one(1, "a"), one(2, "b"))
    observed = _etcd.Observed(members, (view(1, downgrade="3.6.0"), view(2, healthy=False, error="late")), True)
    assert _etcd_report.member(observed, members[0]) == {
        "id": "1",
        "name": "a",
        "peer_urls": ["https://h1:2380"],
        "client_urls": ["https://a:2379"],
        "is_learner": False,
        "healthy": True,
        "leader": True,
        "version": "3.6.16",
        "downgrade": "3.6.0",
        "raft_index": 900,
        "raft_term": 3,
        "db_size": 20,
        "db_size_in_use": 10,
        "db_size_quota": 100,
    }
    other = _etcd_report.member(observed, members[1])
    assert (other["healthy"], other["leader"], other["version"]) == (False, False, "3.6.16"), "it runs, and proves nothing"


@pytest.mark.parametrize("views", [(), (silent(1),), (view(2),)], ids=["nobody was asked", "no answer", "another's answer"])
def test_of_a_member_that_did_not_answer_nothing_is_known(views):
    member = one(1, "a")
    told = _etcd_report.member(_etcd.Observed((member,), views, False), member)
    known = {key: told[key] for key in ("id", "name", "peer_urls", "client_urls", "is_learner")}
    assert known == _etcd.member_dict(member)
    leads = bool(views) and views[0].status is not None
    assert {key: value for key, value in told.items() if key not in known} == {**UNKNOWN, "leader": leads}


def test_only_voters_count_for_what_is_survived():
    members = (one(1, "a"), one(2, "b"), one(3, "c"), one(4, "d", learner=True), one(5, learner=True))
    observed = _etcd.Observed(members, (view(1), view(2), silent(3), view(4, is_learner=True)), True)
    told = _etcd_report.report(observed)
    assert [each["healthy"] for each in told["members"]] == [True, True, False, True, False]
    assert told["survival"] == {"voters": 3, "healthy": 2, "quorum": 2, "survives": 0}


def test_everything_that_anybody_said_is_told_and_is_plain_data():
    views = (
        view(1, alarms=(("2", "NOSPACE"),)),
        view(2, cluster="88", alarms=(("2", "NOSPACE"), ("1", "CORRUPT"))),
        silent(3),
    )
    told = _etcd_report.report(_etcd.Observed((one(1, "a"), one(2, "b")), views, False))
    assert told["confirmed"] is False
    assert told["cluster_ids"] == ["77", "88"]
    assert told["leader_id"] == "1"
    assert told["alarms"] == [{"member_id": "1", "alarm": "CORRUPT"}, {"member_id": "2", "alarm": "NOSPACE"}]
    assert told["errors"] == ["https://h3:2379: connection refused"]
    assert json.loads(json.dumps(told)) == told


def test_nothing_observed_is_nothing_told():
    assert _etcd_report.report(_etcd.Observed((), (), False)) == {
        "members": [],
        "confirmed": False,
        "cluster_ids": [],
        "leader_id": "",
        "alarms": [],
        "errors": [],
        "survival": {"voters": 0, "healthy": 0, "quorum": 1, "survives": -1},
    }


def test_a_played_cluster_is_told_as_it_is():
    fake = FakeEtcd("a", "b", "c")
    fake.downgrade, fake.lag["b"] = "3.5", 7
    told = _etcd_report.report(_etcd.observe(["https://a:2379"], fake))
    assert {each["name"]: each["raft_index"] for each in told["members"]} == {"a": 100, "b": 93, "c": 100}
    assert {each["downgrade"] for each in told["members"]} == {"3.5.0"}
    assert [each["name"] for each in told["members"] if each["leader"]] == ["a"]
    assert (told["confirmed"], told["errors"]) == (True, [])
