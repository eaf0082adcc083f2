# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the next move of a member against tables of what a host may find."""

from __future__ import annotations

import dataclasses
import itertools
from types import SimpleNamespace

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _etcd
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _membership as m
from ansible_collections.multimaster.kubernetes.plugins.module_utils._quorum import LOST_QUORUM_RUNBOOK

URL = "https://b:2380"


def member(name="b", id="2", peer=URL, client=("https://b:2379",), learner=False):
    return _etcd.Member(id, name, (peer,), tuple(client), learner)


A = member("a", "1", "https://a:2380", ("https://a:2379",))
UNSTARTED = member("", client=(), learner=True)
LEARNER = member(learner=True)
VOTER = member()


def answers(id="2", applied=100):
    return SimpleNamespace(member_id=id, raft_applied_index=applied)


def own(**more):
    return m.Own("b", URL, **more)


LEARNER_MOVES = {
    "nobody and nothing": ((A,), own(), False, m.ADD),
    "added by this run, not started": ((A, UNSTARTED), own(added="2"), False, m.START),
    "added by this run, coming up": ((A, UNSTARTED), own(added="2", unit="running"), False, m.WAIT),
    "added by an earlier run": ((A, UNSTARTED), own(), False, m.REMOVE),
    "added by an earlier run, then by this one": ((A, UNSTARTED), own(added="9"), False, m.REMOVE),
    "started and cut off before it told its name": ((A, UNSTARTED), own(data=True), False, m.START),
    "comes up from its data": ((A, UNSTARTED), own(data=True, unit="running"), False, m.WAIT),
    "learner in sync": ((A, LEARNER), own(data=True, unit="running", status=answers()), False, m.DONE),
    "learner behind": ((A, LEARNER), own(data=True, unit="running", status=answers(applied=1)), False, m.WAIT),
    "learner stopped": ((A, LEARNER), own(data=True), False, m.START),
    "started often, and soon": ((A, LEARNER), own(data=True, starts=11, seconds=29.9), False, m.START),
    "started seldom, for long": ((A, LEARNER), own(data=True, starts=9, seconds=170.0), False, m.START),
    "started again and again": ((A, LEARNER), own(data=True, starts=10, seconds=30.0), False, m.REFUSE),
    "started again and again, coming up": ((A, LEARNER), own(data=True, starts=10, seconds=30.0, unit="running"), False, m.WAIT),
    "learner lost its disk": ((A, LEARNER), own(), False, m.REMOVE),
    "learner lost its disk, unit tries in vain": ((A, LEARNER), own(unit="running"), False, m.REMOVE),
    "voter": ((A, VOTER), own(data=True, unit="running", status=answers(applied=1)), False, m.DONE),
    "voter stopped": ((A, VOTER), own(data=True), False, m.START),
    "voter lost its disk": ((A, VOTER), own(), False, m.REFUSE),
    "voter lost its disk, wiping asked for": ((A, VOTER), own(), True, m.REFUSE),
    "voter of a bootstrap that never ran here": ((A, member(client=())), own(), False, m.REMOVE),
    "data of a removed member": ((A,), own(data=True), False, m.REFUSE),
    "data of a removed member, wiping asked for": ((A,), own(data=True), True, m.WIPE),
    "runs in another cluster": ((A,), own(data=True, status=answers("9")), False, m.REFUSE),
    "runs under another id": ((A, UNSTARTED), own(data=True, status=answers("9")), False, m.REFUSE),
    "runs under another id, wiping asked for": ((A, UNSTARTED), own(data=True, status=answers("9")), True, m.WIPE),
    "a learner's place taken by other data": ((A, LEARNER), own(data=True, status=answers("9")), True, m.WIPE),
    "a voter's place taken by other data": ((A, VOTER), own(data=True, status=answers("9")), True, m.REFUSE),
    "namesake elsewhere": ((A, member(id="7", peer="https://old:2380")), own(), False, m.REFUSE),
    "namesake elsewhere, wiping asked for": ((A, member(id="7", peer="https://old:2380")), own(), True, m.REFUSE),
}


@pytest.mark.parametrize(("members", "here", "wipe", "kind"), LEARNER_MOVES.values(), ids=LEARNER_MOVES)
def test_the_way_to_a_learner(members, here, wipe, kind):
    move = m.toward_learner(members, here, leader_index=600, wipe=wipe)
    assert move.kind == kind
    assert move.reason
    assert move.next_step or kind != m.REFUSE


@pytest.mark.parametrize("case", ["voter lost its disk", "namesake elsewhere"])
def test_a_member_is_replaced_behind_the_gate_and_nobody_is_sent_to_remove_it_by_hand(case):
    members, here, wipe, _kind = LEARNER_MOVES[case]
    for listed, called in {"": "b", "master-2": "master-2"}.items():
        said = m.toward_learner(members, dataclasses.replace(here, host=listed), leader_index=600, wipe=wipe).next_step
        assert f"`replace_node.yml -e node={called}`" in said and "etcdctl" not in said
    assert (m.MOVED_RUNBOOK in said) is (case == "namesake elsewhere")


def test_wiping_is_never_a_default():
    assert m.toward_learner((A,), own(data=True), 100).kind == m.REFUSE


def test_who_holds_data_of_nobody_is_told_what_a_person_can_do():
    move = m.toward_learner((A,), own(data=True), 100)
    assert "mv /var/lib/etcd/member /var/lib/etcd/member.old" in move.next_step
    assert "wipe" not in move.next_step, "no role has such an input"


@pytest.mark.parametrize(
    ("names", "there"),
    [
        (["0000000000000000-0000000000000000.wal", "0.tmp"], True),
        (["0.tmp"], False),
        (["0000000000000000-0000000000000000.wal.broken"], False),
        ([], False),
    ],
)
def test_data_are_a_write_ahead_log_and_nothing_else(names, there):
    assert m.has_data(names) is there


def test_a_member_without_a_log_is_started_only_when_this_run_added_it():
    """Enumerate every combination: START without data implies that this run added exactly this id."""
    seen = 0
    listed = (UNSTARTED, LEARNER, VOTER, member(client=()), member("", client=()))
    for mine, added, unit, wipe, status in itertools.product(
        (None, *listed), ("", "2", "9"), ("down", "running"), (False, True), (None, answers(), answers("9"))
    ):
        move = m.toward_learner((A, mine) if mine else (A,), own(added=added, unit=unit, status=status), 100, wipe)
        if move.kind == m.START:
            seen += 1
            assert mine is not None and added == mine.id
    assert seen


def test_data_go_only_when_asked_and_only_when_they_are_no_members():
    listed = (UNSTARTED, LEARNER, VOTER, member(client=()))
    for mine, data, wipe, status in itertools.product(
        (None, *listed), (False, True), (False, True), (None, answers(), answers("9"))
    ):
        move = m.toward_learner((A, mine) if mine else (A,), own(data=data, status=status), 100, wipe)
        if move.kind == m.WIPE:
            assert wipe
            assert mine is None or (status and status.member_id != mine.id)
            assert mine is None or mine.is_learner


@pytest.mark.parametrize(
    ("members", "here", "kind"),
    [
        ((A,), own(), m.REFUSE),
        ((A, VOTER), own(), m.DONE),
        ((A, LEARNER), own(), m.WAIT),
        ((A, LEARNER), own(status=answers("9")), m.WAIT),
        ((A, LEARNER), own(status=answers(applied=99)), m.WAIT),
        ((A, LEARNER), own(status=answers(applied=100)), m.PROMOTE),
    ],
)
def test_the_way_to_a_voter(members, here, kind):
    assert m.toward_voter(members, here, leader_index=100 + m.LAG).kind == kind


@pytest.mark.parametrize(
    ("learner", "leader", "synced"),
    [(100, 600, True), (99, 600, False), (700, 600, True), (0, 0, False), (0, 300, False), (5, 0, False)],
)
def test_in_sync(learner, leader, synced):
    assert m.in_sync(learner, leader) is synced


def test_the_way_out_finds_by_peer_url_before_name():
    assert m.toward_absent((A, VOTER), own()).target == "2"
    assert m.toward_absent((A, VOTER), m.Own("b", "")).target == "2"
    assert m.toward_absent((A, member("other", "3")), own()).target == "3"
    assert m.toward_absent((A,), own()).kind == m.DONE
    assert m.toward_absent((A, UNSTARTED), m.Own("", "")).kind == m.DONE


def test_only_the_leader_gives_the_leadership_away():
    assert m.toward_follower((A, VOTER), own(), "2").kind == m.MOVE_LEADER
    assert m.toward_follower((A, VOTER), own(), "1").kind == m.DONE
    assert m.toward_follower((A,), own(), "1").kind == m.DONE


RECORD = {"cluster": "lab", "token": "t", "initial_cluster": {"b": URL}}
OTHER = {**RECORD, "token": "u"}


@pytest.mark.parametrize(
    ("carried", "here", "kind"),
    [
        (None, own(), m.START),
        (OTHER, own(), m.START),
        (RECORD, own(), m.START),
        (RECORD, own(unit="running"), m.DONE),
        (OTHER, own(unit="running"), m.START),
        (RECORD, own(data=True), m.START),
        (RECORD, own(data=True, unit="running"), m.DONE),
        (OTHER, own(data=True), m.REFUSE),
        (OTHER, own(data=True, unit="running"), m.REFUSE),
        (None, own(data=True), m.REFUSE),
        (None, own(data=True, unit="running"), m.DONE),
    ],
)
def test_a_bootstrap_starts_from_its_own_record_only(carried, here, kind):
    assert m.first_start(carried, RECORD, here).kind == kind


def test_data_without_a_record_lead_to_the_runbook():
    assert LOST_QUORUM_RUNBOOK in m.first_start(None, RECORD, own(data=True)).next_step


def test_the_initial_cluster_has_every_member_by_url():
    text = m.initial_cluster((A, UNSTARTED, member("", "3", "https://c:2380", ())), own())
    assert text == "a=https://a:2380,b=https://b:2380,unnamed-3=https://c:2380"


def test_the_drop_in_takes_the_assertion_back_for_one_start():
    text = m.first_start_drop_in("a=https://a:2380", "new", "t")
    assert text.splitlines()[1:] == [
        "[Unit]",
        "AssertPathExists=",
        "[Service]",
        'Environment="ETCD_INITIAL_CLUSTER=a=https://a:2380"',
        'Environment="ETCD_INITIAL_CLUSTER_STATE=new"',
        'Environment="ETCD_INITIAL_CLUSTER_TOKEN=t"',
    ]
    assert "TOKEN" not in m.first_start_drop_in("a=https://a:2380", "existing")
