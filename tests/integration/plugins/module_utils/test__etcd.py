# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON gateway of a real etcd: every call of the client, and what is seen of members in trouble."""

from __future__ import annotations

import time

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _etcd, _etcd_report, _https
from ansible_collections.multimaster.kubernetes.plugins.modules import etcd_quorum
from lab_etcd import wait_for


def opener_of(lab):
    return _https.https_opener(lab.client_ca.cert, *lab.operator)


@pytest.fixture
def three(lab):
    """Three members that serve, with a client each."""
    members, opener = lab.bootstrap("a", "b", "c"), opener_of(lab)
    clients = {m.name: _etcd.Etcd(m.client_url, opener) for m in members}
    wait_for(lambda: all(_etcd.look(m.client_url, opener).healthy for m in members))
    return clients


def see(lab, *names):
    return _etcd.observe([lab.member(name).client_url for name in names], opener_of(lab))


def gate(lab, step, target, names="abc", timeout=0, **more):
    params = {
        "step": step,
        "target": target,
        "ours": None,
        "allow_outage": False,
        "stable_for": 0,
        "timeout": timeout,
        **more,
    }
    return etcd_quorum.run(params, lambda: see(lab, *names))[0]


def test_every_call_on_a_healthy_cluster(lab, three):
    a = three["a"]
    status = a.status()
    assert status.version.startswith("3.")
    assert status.leader_id in {m.id for m in a.member_list()}
    assert not status.is_learner
    assert status.raft_index >= status.raft_applied_index > 0
    assert status.db_size >= status.db_size_in_use > 0
    a.read()
    assert a.member_list() == three["b"].member_list(linearizable=False)
    leader = next(c for c in three.values() if c.status().member_id == status.leader_id)
    heir = next(m.id for m in a.member_list() if m.id != status.leader_id)
    leader.move_leader(heir)
    assert a.status().leader_id == heir
    with pytest.raises(_etcd.EtcdRefused, match="not leader"):
        leader.move_leader(heir)


def test_one_endpoint_is_enough_to_see_all(lab, three):
    seen = see(lab, "a")
    assert seen.confirmed
    assert [m.name for m in seen.members] == ["a", "b", "c"]
    assert all(seen.healthy(m.id) for m in seen.members)
    assert seen.errors == ()
    report = _etcd_report.report(seen)
    assert report["survival"] == {"voters": 3, "healthy": 3, "quorum": 2, "survives": 1}
    assert [m["leader"] for m in report["members"]].count(True) == 1


def test_a_dead_member_is_unhealthy_and_the_others_are_not(lab, three):
    lab.member("c").kill()
    wait_for(lambda: see(lab, "a").leader_id in {m.id for m in see(lab, "a").members if m.name != "c"})
    seen = see(lab, "a", "b", "c")
    assert {m.name: seen.healthy(m.id) for m in seen.members} == {"a": True, "b": True, "c": False}
    assert "connection refused" in seen.errors[0]
    assert gate(lab, "restart", "c").safe
    assert gate(lab, "remove", "c").safe
    verdict = gate(lab, "restart", "a")
    assert not verdict.safe
    assert "without a 1 of 3 voters would be healthy and 2 are needed" in verdict.reason
    assert "bring back c" in verdict.next_step


def test_a_frozen_member_is_unknown_within_the_bound(lab, three):
    lab.member("c").pause()
    opener, urls = opener_of(lab), [lab.member(name).client_url for name in "abc"]
    wait_for(lambda: _etcd.observe(urls, opener, timeout=1).leader_id)
    started = time.monotonic()
    seen = _etcd.observe(urls, opener, timeout=1)
    assert time.monotonic() - started < 5
    assert {m.name: seen.healthy(m.id) for m in seen.members} == {"a": True, "b": True, "c": False}
    assert any("no answer in time" in line for line in seen.errors)


def test_without_quorum_nobody_is_healthy_and_the_list_is_not_confirmed(lab, three):
    for name in "bc":
        lab.member(name).kill()
    seen = _etcd.observe([lab.member("a").client_url], opener_of(lab), timeout=1)
    assert not seen.confirmed
    assert [m.name for m in seen.members] == ["a", "b", "c"]
    assert not any(seen.healthy(m.id) for m in seen.members)
    assert not gate(lab, "restart", "a", names="a").safe


def test_the_gate_waits_until_the_step_is_safe(lab, three):
    lab.member("c").kill()
    assert not gate(lab, "restart", "a").safe
    lab.member("c").start()
    started = time.monotonic()
    verdict = gate(lab, "restart", "a", timeout=20, stable_for=2)
    assert verdict.safe
    assert time.monotonic() - started >= 2
    assert verdict.during.healthy == 2


def test_two_clusters_under_one_inventory_are_seen(lab, three):
    lab.bootstrap("other", token="second")
    wait_for(lambda: _etcd.look(lab.member("other").client_url, opener_of(lab)).healthy)
    assert len(see(lab, "a", "other").cluster_ids) == 2
    assert "answer for 2 different clusters" in gate(lab, "restart", "a", names=("a", "b", "c", "other")).reason


def test_what_a_learner_refuses_is_no_illness(lab):
    (a,) = lab.bootstrap("a")
    opener = opener_of(lab)
    wait_for(lambda: _etcd.look(a.client_url, opener).healthy)
    client, b = _etcd.Etcd(a.client_url, opener), lab.member("b")
    learner, members = client.member_add([b.peer_url])
    assert not learner.started
    with pytest.raises(_etcd.EtcdRefused) as refused:
        client.member_promote(learner.id)
    assert refused.value.not_in_sync
    with pytest.raises(_etcd.EtcdRefused, match="member ID already exist|Peer URLs already exists"):
        client.member_add([b.peer_url])
    b.drop_in.parent.mkdir()
    cluster = f"a={a.peer_url},b={b.peer_url}"
    b.drop_in.write_text(
        f'[Unit]\nAssertPathExists=\n[Service]\nEnvironment="ETCD_INITIAL_CLUSTER={cluster}"\n'
        'Environment="ETCD_INITIAL_CLUSTER_STATE=existing"\n'
    )
    b.start()
    view = wait_for(lambda: next((v for v in [_etcd.look(b.client_url, opener)] if v.healthy), None))
    assert view.status.is_learner
    assert view.error == ""
    with pytest.raises(_etcd.EtcdRefused, match="rpc not supported for learner"):
        _etcd.Etcd(b.client_url, opener).read()
    assert _etcd.status_for_host_info(b.client_url, opener)["is_learner"]


@pytest.mark.parametrize(
    ("who", "said"),
    [
        ("nobody", "TLS failed"),
        ("stranger", "TLS failed"),
        ("trusts another CA", "its certificate was not accepted"),
    ],
)
def test_tls_faults_say_which_side_is_not_trusted(lab, who, said):
    (a,) = lab.bootstrap("a")
    wait_for(lambda: _etcd.look(a.client_url, opener_of(lab)).healthy)
    opener = {
        "nobody": lambda: _https.https_opener(lab.client_ca.cert),
        "stranger": lambda: _https.https_opener(lab.client_ca.cert, *lab.peer),
        "trusts another CA": lambda: _https.https_opener(lab.peer_ca.cert, *lab.operator),
    }[who]()
    status = _etcd.status_for_host_info(a.client_url, opener)
    assert not status["ok"]
    assert said in status["error"]
