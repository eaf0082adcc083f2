# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Bring one host's etcd member to a wanted state: what the module ``etcd_member`` does, without Ansible.

Solves: bootstrap, join, promotion, removal and giving the leadership away share one way of looking, asking the gate,
acting and reporting. Leaves out: the decisions (``_membership``, ``_quorum``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _etcd, _membership, _quorum, _unit_plan
from ansible_collections.multimaster.kubernetes.plugins.module_utils._membership import StepFailed
from ansible_collections.multimaster.kubernetes.plugins.module_utils._membership_flow import Patience, Stepper

# kinds of moves that are changes of something
ACTING = (
    _membership.START,
    _membership.ADD,
    _membership.REMOVE,
    _membership.WIPE,
    _membership.PROMOTE,
    _membership.MOVE_LEADER,
    _membership.UPDATE,
)


@dataclass(frozen=True)
class Outcome:
    """What was done, or would be: ``before`` and ``after`` are the members as plain data."""

    changed: bool
    reason: str
    actions: tuple = ()
    before: tuple = ()
    after: tuple = ()
    verdict: dict | None = None

    def as_dict(self, diff=False):
        """Return the module's result."""
        result = {
            "changed": self.changed,
            "reason": self.reason,
            "actions": list(self.actions),
            "before": list(self.before),
            "after": list(self.after),
        }
        if self.verdict:
            result["verdict"] = self.verdict
        if diff:
            result["diff"] = {
                "before": json.dumps(self.before, indent=2) + "\n",
                "after": json.dumps(self.after, indent=2) + "\n",
            }
        return result


def _shown(members):
    return tuple(
        {
            "name": m.name,
            "id": m.id,
            "role": "learner" if m.is_learner else "voter",
            "peer_urls": list(m.peer_urls),
        }
        for m in members
    )


def projected(members, move, own):
    """Return the members as they would be after a move, for check mode."""
    if move.kind == _membership.ADD:
        return (*members, _etcd.Member("(new)", own.name, (own.peer_url,), (), True))
    if move.kind == _membership.REMOVE:
        return tuple(m for m in members if m.id != move.target)
    if move.kind == _membership.UPDATE:
        return tuple(replace(m, peer_urls=(own.peer_url,)) if m.id == move.target else m for m in members)
    if move.kind == _membership.PROMOTE:
        return tuple(replace(m, is_learner=False) if m.id == move.target else m for m in members)
    return tuple(members)


class Flow:
    """One member, seen from its own host (``host`` is None where only the cluster is asked)."""

    def __init__(self, wanted, host, opener, clock, sleep, timeout):
        self.wanted, self.host, self._opener = wanted, host, opener
        endpoints = list(wanted.endpoints) + ([wanted.client_url] if wanted.client_url else [])
        self.patience, self._clock = Patience(timeout, clock, sleep), clock
        self.stepper = Stepper(
            lambda: _etcd.observe(endpoints, opener),
            lambda endpoint: _etcd.Etcd(endpoint, opener),
            self.patience,
            None if wanted.ours is None else (*wanted.ours, wanted.name, wanted.peer_url),
            host.journal if host else str,
        )
        self._added = ""
        self._starts, self._first_start = 0, 0.0

    def own(self, observed=None):
        """Return this host's side as it is now."""
        wanted, host = self.wanted, self.host
        mine = wanted.client_url.rstrip("/") if wanted.client_url else None
        view = next((v for v in observed.views if v.endpoint == mine), None) if observed else None
        return _membership.Own(
            name=wanted.name,
            peer_url=wanted.peer_url,
            data=host.has_data() if host else False,
            unit=host.unit_state() if host else "down",
            status=view.status if view else None,
            added=self._added,
            host=wanted.host,
            starts=self._starts,
            seconds=self._clock() - self._first_start if self._starts else 0.0,
        )

    def found(self, record, check=False):
        """Write the bootstrap record and start from it, without waiting for anybody."""
        own, carried = self.own(), self.host.record()
        move = _membership.first_start(carried, record, own)
        if move.kind == _membership.REFUSE:
            raise StepFailed(move.reason, move.next_step)
        changed = move.kind == _membership.START
        if changed and not check:
            if not own.data:
                self.host.set_leftovers_aside()
            self.host.write_record(record)
            cluster = ",".join(f"{name}={url}" for name, url in sorted(record["initial_cluster"].items()))
            self.host.start(_membership.first_start_drop_in(cluster, "new", record["token"]))
        before, after = ((carried,) if carried else ()), ((record,) if changed or carried else ())
        return Outcome(changed, move.reason, (move.kind,) if changed else (), before, after)

    def finish(self, check=False):
        """Wait until this member serves a linearizable read, then take the one-shot files away."""
        there = self.host.one_shots()
        reason = "a linearizable read through its own URL succeeded"
        if check:
            return Outcome(bool(there), f"{reason} (not asked in check mode)", (), tuple(there), ())
        tries, began = self.host.restarts(), self._clock()
        while True:
            view = _etcd.look(self.wanted.client_url, self._opener)
            if view.healthy and not view.status.is_learner:
                break
            restarts, seconds = self.host.restarts() - tries, self._clock() - began
            if _unit_plan.loops(restarts, seconds):
                raise StepFailed(_membership.looping(restarts, seconds), _membership.JOURNAL, said=self.host.journal())
            if self.patience.over():
                reason = f"not within {self.patience.seconds:g} s: {view.error or 'it is a learner'}"
                raise StepFailed(reason, _membership.JOURNAL, said=self.host.journal())
        removed = self.host.remove_one_shots()
        return Outcome(bool(removed), reason, ("remove_one_shots",) if removed else (), tuple(there), ())

    def _act(self, observed, move):
        """Carry out one move behind the gate; return (what was done, None) or (None, the verdict that refused)."""
        kind, target = move.kind, move.target
        step = {
            _membership.ADD: (_quorum.ADD_LEARNER, self.wanted.name),
            _membership.REMOVE: (_quorum.REMOVE, target),
            _membership.PROMOTE: (_quorum.PROMOTE, target),
            _membership.MOVE_LEADER: (_quorum.RESTART, target),
            _membership.UPDATE: (_quorum.UPDATE, target),
        }.get(kind)
        verdict = self.stepper.judge(observed, *step) if step else None
        if verdict and not verdict.safe:
            return None, verdict
        # Of a leader that is safe to stop there is one, always: where nobody else could lead, the verdict was a refusal.
        heir = verdict.move_leader_to if verdict else None
        if heir:
            self.stepper.serving(observed, leader_only=True).move_leader(heir.id)
            # removal follows from a fresh look, when the new leader is known
            return _membership.MOVE_LEADER, None
        if kind == _membership.ADD:
            self._added = self.stepper.serving(observed).member_add([self.wanted.peer_url])[0].id
        elif kind == _membership.REMOVE:
            self.stepper.serving(observed).member_remove(target)
        elif kind == _membership.PROMOTE:
            self.stepper.serving(observed).member_promote(target)
        elif kind == _membership.UPDATE:
            self.stepper.serving(observed).member_update(target, [self.wanted.peer_url])
        elif kind == _membership.WIPE:
            self.host.wipe()
        elif kind == _membership.START:
            if not self.host.has_data():
                self.host.set_leftovers_aside()
            own = self.own(observed)
            cluster = _membership.initial_cluster(observed.members, own)
            self._first_start = self._first_start if self._starts else self._clock()
            self._starts += 1
            self.host.start(_membership.first_start_drop_in(cluster, "existing"))
        return kind, None

    def _decide(self, state, observed):
        own = self.own(observed)
        leader = observed.view_of(observed.leader_id)
        leader_index = leader.status.raft_index if leader else 0
        if state == "learner":
            return _membership.toward_learner(observed.members, own, leader_index, self.wanted.wipe)
        if state == "voter":
            move = _membership.toward_voter(observed.members, own, leader_index)
            if move.kind == _membership.DONE and not observed.healthy(move.target):
                return _membership.Move(_membership.WAIT, "the voter does not serve yet", move.target, _membership.JOURNAL)
            return move
        if state == "follower":
            return _membership.toward_follower(observed.members, own, observed.leader_id)
        if state == "updated":
            return _membership.toward_updated(observed.members, own)
        return _membership.toward_absent(observed.members, own)

    def bring_to(self, state, check=False):
        """Bring the member to learner, voter, follower, updated or absent."""
        first = self.stepper.look()
        if state == "follower" and self._alone(first):
            members = _shown(first.members)
            return Outcome(False, "nobody else votes, so nobody else can lead", (), members, members)
        if check:
            return self._foretell(state, first)
        last, move = self.stepper.run(lambda observed: self._decide(state, observed), self._act)
        actions = list(self.stepper.actions)
        if state == "learner" and self.host.remove_one_shots():
            actions.append("remove_one_shots")
        return Outcome(bool(actions), move.reason, tuple(actions), _shown(first.members), _shown(last.members))

    def _alone(self, observed):
        """Return whether nobody else votes, as etcd says, or where it says nothing, as nobody else was to be asked.

        A lone member that is ill proves nothing, and whoever allowed its restart is not to wait for that.
        """
        own = self.wanted
        others = {url.rstrip("/") for url in own.endpoints} - {own.client_url.rstrip("/")}
        voters = [one for one in observed.members if not one.is_learner and own.peer_url not in one.peer_urls]
        return not voters and (observed.confirmed or not others)

    def _foretell(self, state, observed):
        """Return what a run would do from here; a cluster that is not there yet is one that would be built first."""
        before = _shown(observed.members)
        if not observed.members:
            return Outcome(state in ("learner", "voter"), "no member answers yet; this comes after the first ones", ())
        move = self._decide(state, observed)
        if move.kind == _membership.REFUSE and state == "voter":
            return Outcome(True, f"{move.reason} yet; it would be promoted once it has joined", (), before, before)
        if move.kind == _membership.REFUSE:
            raise StepFailed(move.reason, move.next_step)
        after = _shown(projected(observed.members, move, self.own(observed)))
        leftovers = self.host.one_shots() if state == "learner" and move.kind == _membership.DONE else []
        acting = move.kind in ACTING
        return Outcome(acting or bool(leftovers), move.reason, (move.kind,) if acting else (), before, after)


@dataclass(frozen=True)
class WantedMember:
    """Which member, and where to ask about it; ``ours``: names or peer URLs the inventory accounts for, None = all.

    ``host``: the name of its host in the inventory, "" when that is the member's.
    """

    name: str
    peer_url: str = ""
    client_url: str = ""
    endpoints: tuple = ()
    ours: tuple | None = None
    wipe: bool = False
    host: str = ""
