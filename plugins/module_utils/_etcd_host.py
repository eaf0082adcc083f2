# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Carry out moves of ``_membership`` on one host and its cluster, one at a time, in bounded time.

Solves: every change is made from a fresh look, judged by ``_quorum`` just before, and looked at again just after.
Leaves out: deciding. Runner, clock and sleep are injected; commands are systemctl's only.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _etcd,
    _files,
    _membership,
    _quorum,
    _quorum_gate,
    _systemd,
)

# seconds between two looks at the cluster
PAUSE = 1.0
# seconds; systemctl itself only queues the job
SYSTEMCTL_TIMEOUT = 90.0


class StepFailed(Exception):
    """A step cannot be taken, or did not come true in time; ``verdict`` is the gate's when it refused.

    ``said`` is what the unit said, which comes between what failed and what to do next.
    """

    def __init__(self, message, next_step="", verdict=None, said=""):
        self.verdict = verdict
        between = f".\n{said}\n" if said else ". "
        super().__init__(f"{message}{between}Next: {next_step}" if next_step else message)


class NobodyServes(Exception):
    """No member that could carry a step out answers just now; ``run`` waits for one."""


@dataclass(frozen=True)
class Paths:
    """Where a host keeps what is etcd's; the defaults are the collection's layout."""

    data_dir: str = "/var/lib/etcd"
    record: str = _membership.RECORD
    drop_in: str = _membership.FIRST_START


class Host:
    """The files and the unit of etcd on this host. ``runner(argv, timeout) -> _command.Result``."""

    def __init__(self, runner, paths=None, unit="etcd.service"):
        self._run, self.paths, self.unit = runner, paths or Paths(), unit

    def _systemctl(self, *argv):
        result = self._run(("systemctl", *argv), SYSTEMCTL_TIMEOUT)
        if result.rc != 0:
            raise StepFailed(str(result), f"`systemctl status {self.unit}` and `journalctl -u {self.unit} -n 50` here")
        return result.out

    def has_data(self):
        """Tell whether a write-ahead log exists; without one there is no member here, whatever else lies about."""
        try:
            return _membership.has_data(os.listdir(os.path.join(self.paths.data_dir, _membership.WAL)))
        except FileNotFoundError:
            return False

    def unit_state(self):
        """Return ``running`` (also while it comes up) or ``down`` (stopped, failed, or waiting to be restarted)."""
        state = self._show("ActiveState", "SubState")
        waits = state.get("SubState", "").startswith("auto-restart")
        return "running" if state.get("ActiveState") in ("active", "activating", "reloading") and not waits else "down"

    def restarts(self):
        """Return how often systemd has started the unit anew since it was started last."""
        return int(self._show("NRestarts").get("NRestarts") or 0)

    def _show(self, *properties):
        text = self._systemctl("show", self.unit, "-p", ",".join(properties))
        return dict(line.split("=", 1) for line in text.split() if "=" in line)

    def journal(self):
        """Return what the unit said last."""
        return _systemd.journal(self._run, self.unit)

    def record(self):
        """Return the bootstrap record, or None."""
        try:
            with open(self.paths.record, encoding="utf-8") as file:
                record = json.load(file)
            if not isinstance(record, dict):
                raise ValueError(f"it is a {type(record).__name__}, not an object")
            return record
        except FileNotFoundError:
            return None
        except ValueError as error:
            following = "look at it; remove it when this host has no etcd data"
            raise StepFailed(f"{self.paths.record} is no JSON of a record: {error}", following) from error

    def write_record(self, record):
        """Write the bootstrap record, safe against a power cut, before anything starts from it."""
        _files.write(self.paths.record, json.dumps(record, indent=2, sort_keys=True) + "\n", 0o600)

    def start(self, drop_in):
        """Start the unit with this one-shot drop-in and return at once."""
        os.makedirs(os.path.dirname(self.paths.drop_in), exist_ok=True)
        _files.write(self.paths.drop_in, drop_in, 0o644)
        self._systemctl("daemon-reload")
        # a unit that is not loaded has nothing to reset, which systemctl calls a failure
        self._run(("systemctl", "reset-failed", self.unit), SYSTEMCTL_TIMEOUT)
        self._systemctl("start", "--no-block", self.unit)

    def one_shots(self):
        """Return the one-shot files that are there."""
        return [path for path in (self.paths.drop_in, self.paths.record) if os.path.lexists(path)]

    def remove_one_shots(self):
        """Remove drop-in and record, so that the unit's own assertion holds again; return what was removed."""
        there = self.one_shots()
        for path in there:
            os.unlink(path)
        if self.paths.drop_in in there:
            self._systemctl("daemon-reload")
        return there

    def wipe(self):
        """Stop etcd and remove this host's own member data, nothing else."""
        self._systemctl("stop", self.unit)
        folder = os.path.join(self.paths.data_dir, "member")
        if os.path.isdir(folder):
            shutil.rmtree(folder)

    def set_leftovers_aside(self):
        """Move a member folder without a write-ahead log out of the way: useless to etcd, perhaps not to a person."""
        folder = os.path.join(self.paths.data_dir, "member")
        if os.path.isdir(folder) and not self.has_data():
            number = 1
            while os.path.lexists(f"{folder}.aside-{number}"):
                number += 1
            os.rename(folder, f"{folder}.aside-{number}")


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
