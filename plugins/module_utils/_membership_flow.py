# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Carry out moves of the cluster's membership, one at a time, in bounded time.

Solves: every change is made from a fresh look, judged by ``_quorum`` just before, and looked at again just after, whether it
is a host's own member that changes (``_etcd_flows``) or the whole cluster (``etcd_quorum``, ``etcd_downgrade``). Leaves out:
deciding (``_membership``, ``_downgrade``), and what is done on a host (``_etcd_host``). Clock and sleep are injected.
"""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _etcd, _membership, _quorum, _quorum_gate
from ansible_collections.multimaster.kubernetes.plugins.module_utils._membership import StepFailed

# seconds between two looks at the cluster
PAUSE = 1.0


class NobodyServes(Exception):
    """No member that could carry a step out answers just now; ``run`` waits for one."""


def cluster_of(observed, ours=None):
    """Return an observation as ``_quorum.Cluster``; without ``ours`` every member counts as the inventory's."""

    def proven(member):
        view = observed.view_of(member.id)
        return _quorum.Member(
            id=member.id,
            name=member.name,
            is_learner=member.is_learner,
            healthy=bool(view and view.healthy),
            raft_index=view.status.raft_applied_index if view else 0,
            peer_urls=member.peer_urls,
            client_urls=member.client_urls,
        )

    return _quorum.Cluster(
        members=tuple(proven(member) for member in observed.members) if observed.confirmed else (),
        leader_id=observed.leader_id,
        cluster_ids=observed.cluster_ids,
        alarms=observed.alarms,
        ours=frozenset(ours) if ours is not None else frozenset(member.id for member in observed.members),
    )


class Patience:
    """A bound on waiting, in seconds."""

    def __init__(self, seconds, clock, sleep):
        self._clock, self._sleep, self.seconds = clock, sleep, seconds
        self._end = clock() + seconds

    def over(self):
        """Tell whether the time is up, else wait a little."""
        if self._clock() >= self._end:
            return True
        self._sleep(PAUSE)
        return False


class Stepper:
    """Look, decide, judge, act, and look again until a member is what it shall be.

    ``observe() -> _etcd.Observed`` looks at the cluster; ``client(endpoint) -> _etcd.Etcd`` talks to one member.
    ``journal() -> str`` is what etcd on this host said last, for failures that it explains.
    """

    def __init__(self, observe, client, patience, ours=None, journal=str):
        self._observe, self._client, self._patience, self._ours = observe, client, patience, ours
        self._journal = journal
        self.actions = []

    def look(self):
        return self._observe()

    def judge(self, observed, kind, target):
        return _quorum.judge(cluster_of(observed, self._ours), _quorum.Step(kind, target))

    def serving(self, observed, leader_only=False):
        """Return a client of a healthy voter, the leader's when it is one; NobodyServes when there is none."""
        leader = observed.leader_id
        views = [v for v in observed.views if v.healthy and not v.status.is_learner]
        views.sort(key=lambda v: v.status.member_id != leader)
        if not views or (leader_only and views[0].status.member_id != leader):
            silent = "; ".join(observed.errors)
            raise NobodyServes(
                f"no member serves just now{' as the leader' if leader_only else ''}" + (f" ({silent})" if silent else "")
            )
        return self._client(views[0].endpoint)

    def run(self, decide, act):
        """Repeat look, decide, act until ``decide(observed)`` says done; return the last observation and move.

        ``act(observed, move)`` returns (what it did, None), or (None, the verdict that refused).

        A refusal of the gate, of etcd ("unhealthy cluster", "not in sync") or silence is waited out while there is
        patience, and then fails with a next step; every other refusal fails at once. What is done a second time has not
        brought what it was to bring, however well it ended (a unit that is started and ends, a leader that stays): it is
        waited out as well.
        """
        before = set()
        while True:
            observed = self.look()
            move = decide(observed) if observed.confirmed else no_quorum(observed)
            verdict = None
            if move.kind == _membership.DONE:
                return observed, move
            if move.kind == _membership.REFUSE:
                raise self._failed(move.reason, move.next_step)
            waiting, hint = move.reason, move.next_step
            if move.kind != _membership.WAIT:
                try:
                    done, verdict = act(observed, move)
                    if done:
                        self.actions.append(done)
                        if (done, move.target) not in before:
                            before.add((done, move.target))
                            continue
                    else:
                        waiting, hint = verdict.reason, verdict.next_step
                except _etcd.EtcdRefused as error:
                    if not (error.not_in_sync or error.busy):
                        raise
                    waiting = str(error)
                except (_etcd.EtcdUnreachable, NobodyServes) as error:
                    waiting = str(error)
            if self._patience.over():
                raise self._failed(f"not within {self._patience.seconds:g} s: {waiting}", hint or _quorum_gate.LOOK, verdict)

    def _failed(self, reason, next_step, verdict=None):
        """Return the StepFailed, with what the unit said where its journal has the reason."""
        said = self._journal() if next_step == _membership.JOURNAL else ""
        return StepFailed(reason, next_step, verdict, said)


def no_quorum(observed):
    """Return the Move that waits for a member to prove that etcd has its quorum."""
    said = "; ".join(observed.errors) or "no endpoint was given"
    return _membership.Move(
        _membership.WAIT, f"no member served a linearizable read ({said})", next_step=f"see {_quorum.LOST_QUORUM_RUNBOOK}"
    )
