# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the etcd client against answers recorded from etcd 3.6.16, and observation against clusters in trouble."""

from __future__ import annotations

import json
import time

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _etcd
from ansible_collections.multimaster.kubernetes.plugins.module_utils._https import Answer, TransportError
from fake_etcd import FakeEtcd

HEADER = '"header":{"cluster_id":"3967021068472107935","member_id":"17493832677201099627","revision":"3","raft_term":"2"}'
STATUS = (
    "{" + HEADER + ',"version":"3.6.16","dbSize":"24576","leader":"419899458489143568","raftIndex":"19","raftTerm":"2",'
    '"raftAppliedIndex":"18","errors":["memberID:8423025238266430764 alarm:NOSPACE "],"dbSizeInUse":"16384",'
    '"storageVersion":"3.6.0","dbSizeQuota":"2147483648","downgradeInfo":{}}'
)
LEADERLESS = (
    "{" + HEADER + ',"version":"3.6.16","dbSize":"20480","raftIndex":"25","raftTerm":"4","raftAppliedIndex":"25",'
    '"errors":["etcdserver: no leader"],"dbSizeInUse":"16384"}'
)
ADDED = (
    "{" + HEADER + ',"member":{"ID":"8423025238266430764","peerURLs":["https://127.0.0.1:57763"],"isLearner":true},'
    '"members":[{"ID":"17493832677201099627","name":"a","peerURLs":["https://127.0.0.1:56019"],'
    '"clientURLs":["https://127.0.0.1:38493"]},'
    '{"ID":"8423025238266430764","peerURLs":["https://127.0.0.1:57763"],"isLearner":true}]}'
)


class Recorded:
    """Give one recorded answer and keep what was asked."""

    def __init__(self, text, status=200):
        self.answer, self.asked = Answer(status, text.encode()), None

    def __call__(self, method, url, body, headers, timeout):
        self.asked = (method, url, json.loads(body))
        return self.answer


def client(text, status=200):
    opener = Recorded(text, status)
    return _etcd.Etcd("https://a:2379/", opener), opener


def test_a_status_keeps_ids_as_text_and_finds_alarms():
    status = client(STATUS)[0].status()
    assert status == _etcd.Status(
        member_id="17493832677201099627",
        cluster_id="3967021068472107935",
        leader_id="419899458489143568",
        is_learner=False,
        raft_term=2,
        raft_index=19,
        raft_applied_index=18,
        db_size=24576,
        db_size_in_use=16384,
        version="3.6.16",
        alarms=(("8423025238266430764", "NOSPACE"),),
        errors=("memberID:8423025238266430764 alarm:NOSPACE ",),
        db_size_quota=2147483648,
        storage_version="3.6.0",
    )


def test_a_downgrade_counts_while_it_is_enabled():
    told = STATUS.replace('"downgradeInfo":{}', '"downgradeInfo":%s')
    assert client(told % '{"enabled":true,"targetVersion":"3.6.0"}')[0].status().downgrade == "3.6.0"
    assert client(told % '{"targetVersion":"3.6.0"}')[0].status().downgrade == ""


def test_a_downgrade_is_asked_for_by_its_action():
    made, opener = client("{" + HEADER + ',"version":"3.7"}')
    made.downgrade("ENABLE", "3.6")
    assert opener.asked == ("POST", "https://a:2379/v3/maintenance/downgrade", {"action": "ENABLE", "version": "3.6"})


@pytest.mark.parametrize(
    ("code", "message", "later"),
    [
        (3, "etcdserver: invalid downgrade target version", True),
        (9, "etcdserver: cluster has a downgrade job in progress", True),
        (9, "etcdserver: no inflight downgrade job", True),
        (3, "etcdserver: wrong downgrade target version format", False),
        (9, "etcdserver: rpc not supported for learner", False),
    ],
)
def test_a_downgrade_that_is_refused_for_now_is_told_from_one_that_never_is_taken(code, message, later):
    made, _opener = client(json.dumps({"code": code, "message": message}), 400)
    with pytest.raises(_etcd.EtcdRefused) as refused:
        made.downgrade("VALIDATE", "3.6")
    assert refused.value.no_downgrade_now is later


@pytest.mark.parametrize(
    ("errors", "alarms"),
    [
        (["memberID:8 alarm:NOSPACE "], (("8", "NOSPACE"),)),  # 3.6.16
        (["memberID:8  alarm:NOSPACE", "memberID:9  alarm:CORRUPT"], (("8", "NOSPACE"), ("9", "CORRUPT"))),  # 3.7.3
        (["etcdserver: no leader", "memberID:8 alarm:CORRUPT "], (("8", "CORRUPT"),)),
        (["alarm:CORRUPT "], (("0", "CORRUPT"),)),  # etcd cannot tell whose data are wrong: not those of whoever says it
        (["etcdserver: something new"], (("1", "etcdserver: something new"),)),
        (["etcdserver: no leader"], ()),
    ],
)
def test_alarms_are_found_in_every_form_and_unknown_errors_count_as_one(errors, alarms):
    text = json.dumps({"header": {"member_id": "1", "cluster_id": "7"}, "errors": errors})
    assert client(text)[0].status().alarms == alarms


def test_a_status_without_a_leader():
    status = client(LEADERLESS)[0].status()
    assert status.leader_id == ""
    assert status.alarms == ()


def test_adding_a_learner_gives_the_new_member_and_all():
    asked, opener = client(ADDED)
    new, members = asked.member_add(["https://127.0.0.1:57763"])
    assert opener.asked == (
        "POST",
        "https://a:2379/v3/cluster/member/add",
        {"peerURLs": ["https://127.0.0.1:57763"], "isLearner": True},
    )
    assert (new.id, new.started, new.is_learner) == ("8423025238266430764", False, True)
    assert [m.name for m in members] == ["", "a"]


def test_a_read_is_linearizable_and_needs_no_key():
    asked, opener = client("{" + HEADER + "}")
    asked.read()
    assert opener.asked[1:] == ("https://a:2379/v3/kv/range", {"key": "bXVsdGltYXN0ZXIvaGVhbHRo"})


@pytest.mark.parametrize(
    ("status", "code", "message", "flag"),
    [
        (400, 9, "etcdserver: can only promote a learner member which is in sync with leader", "not_in_sync"),
        (503, 14, "etcdserver: unhealthy cluster", "busy"),
        (503, 14, "etcdserver: request timed out", "busy"),
        (400, 9, "etcdserver: not leader", "busy"),
        (400, 9, "etcdserver: too many learner members in cluster", "busy"),
        (404, 5, "etcdserver: member not found", "busy"),
        (400, 9, "etcdserver: can only promote a learner member", None),
        (400, 9, "etcdserver: Peer URLs already exists", None),
        (429, 8, "etcdserver: mvcc: database space exceeded", None),
    ],
)
def test_refusals_that_ask_for_patience_are_told_apart(status, code, message, flag):
    with pytest.raises(_etcd.EtcdRefused) as refused:
        client(json.dumps({"code": code, "message": message}), status)[0].member_promote("8")
    error = refused.value
    assert str(error) == f"etcd at https://a:2379, asked for /v3/cluster/member/promote: HTTP {status}, code {code}: {message}"
    assert error.not_in_sync is (flag == "not_in_sync")
    assert error.busy is (flag == "busy")


def test_what_is_not_json_is_shown_in_part():
    with pytest.raises(_etcd.EtcdError, match="HTTP 502, not JSON: '<html>"):
        client("<html>" + "x" * 500, 502)[0].status()


def test_silence_tells_whether_the_request_left():
    def opener(*_args):
        raise TransportError("https://a:2379", "no answer in time", sent=True)

    with pytest.raises(_etcd.EtcdUnreachable, match="asked for /v3/cluster/member/remove: no answer in time") as silent:
        _etcd.Etcd("https://a:2379", opener).member_remove("8")
    assert silent.value.sent


def observe(fake, *names):
    return _etcd.observe([fake.client_url(name) for name in names], fake)


def test_members_not_named_are_asked_by_their_own_url():
    fake = FakeEtcd("a", "b", "c")
    seen = observe(fake, "a")
    assert seen.confirmed
    assert [m.name for m in seen.members if seen.healthy(m.id)] == ["a", "b", "c"]
    assert {host for host, _path in fake.asked} == {"a", "b", "c"}


def test_each_member_is_asked_once():
    fake = FakeEtcd("a", "b")
    observe(fake, "a", "b", "a")
    assert fake.asked.count(("a", "/v3/maintenance/status")) == 1


def test_a_silent_member_is_unhealthy():
    fake = FakeEtcd("a", "b", "c")
    fake.running.discard("c")
    seen = observe(fake, "a", "b", "c")
    assert [m.name for m in seen.members if not seen.healthy(m.id)] == ["c"]
    assert seen.errors == (
        "https://c:2379: etcd at https://c:2379, asked for /v3/maintenance/status: connection refused (nothing listens there)",
    )


def test_without_quorum_the_list_is_known_and_not_confirmed():
    fake = FakeEtcd("a", "b", "c")
    fake.running = {"a"}
    seen = observe(fake, "a", "b", "c")
    assert not seen.confirmed
    assert len(seen.members) == 3
    assert not any(seen.healthy(m.id) for m in seen.members)
    assert seen.leader_id == ""


def test_nobody_answers():
    seen = observe(FakeEtcd(), "a")
    assert (seen.members, seen.confirmed, seen.leader_id, seen.cluster_ids, seen.alarms) == ((), False, "", (), ())


def test_a_learner_is_healthy_when_it_follows_a_leader():
    fake = FakeEtcd("a")
    fake.add("b", learner=True)
    fake.publish("b")
    seen = observe(fake, "a")
    assert seen.healthy(fake.find("b"))
    fake.running.discard("a")
    status = _etcd.status_for_host_info(fake.client_url("b"), fake)
    assert (status["ok"], status["healthy"], status["error"]) == (True, False, "a learner that follows no leader")


def test_the_newest_term_names_the_leader():
    def view(member, term, leader):
        status = _etcd.Status(member, "1", leader, False, term, 1, 1, 1, 1, "3.6.16")
        return _etcd.View("https://" + member, status, True)

    assert _etcd.Observed((), (view("1", 2, "1"), view("2", 3, "2"), view("3", 3, "")), True).leader_id == "2"


def test_a_member_that_hangs_does_not_hold_the_others_up(monkeypatch):
    fake = FakeEtcd("a", "b", "c")

    def opener(method, url, *args):
        if "//c:" in url:
            time.sleep(2)
        return fake(method, url, *args)

    started = time.monotonic()
    seen = _etcd.observe([fake.client_url("a"), fake.client_url("c")], opener, timeout=0.1)
    assert time.monotonic() - started < 1.5
    assert [m.name for m in seen.members if seen.healthy(m.id)] == ["a", "b"]
    assert "no answer within 0.4 s" in " ".join(seen.errors)


def test_the_status_for_host_info_has_every_key_of_the_contract():
    keys = {"ok", "asked", "error", "member_id", "cluster_id", "leader_id", "is_learner", "raft_term", "raft_index", "db_size",
            "version", "storage_version", "downgrade", "healthy", "alarms", "members"}  # fmt: skip  # names
    fake = FakeEtcd("a")
    fake.alarms = [("1001", "NOSPACE")]
    good, silent = (_etcd.status_for_host_info(fake.client_url(name), fake) for name in ("a", "b"))
    assert set(good) == set(silent) == keys
    assert good["members"] == [
        {"id": "1001", "name": "a", "peer_urls": ["https://a:2380"], "client_urls": ["https://a:2379"], "is_learner": False}
    ]
    assert good["alarms"] == [{"member_id": "1001", "alarm": "NOSPACE"}]
    assert json.dumps(good)
    assert not silent["ok"] and silent["asked"]


@pytest.mark.parametrize("tls", [False, True])
def test_where_tls_fails_the_member_was_not_asked(tls):
    def opener(*_arguments):
        raise TransportError("https://a:2379", "no", tls=tls)

    status = _etcd.status_for_host_info("https://a:2379", opener)
    assert (status["ok"], status["asked"]) == (False, not tls)
