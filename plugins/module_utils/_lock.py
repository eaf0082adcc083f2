# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Decide who may operate on a cluster: one run at a time, by a lock with holder, purpose and end.

Solves: two runs at once would each judge a cluster the other is changing. Ansible renews nothing in the background, so
before each step the lock is renewed for the step's own bound and a margin, and a run that died holds it no longer than
that. The run of a controller that is asked itself, and whose process is gone, need not be waited for.

The lock is a Lease in the cluster, and a file on one master while there is no API server that could hold a Lease; the
rules are the same. Unlike a leader election (``_leader_election``), which watches a Lease for its whole duration, a run
decides by one reading. So the end is compared with the clock of the master that asks, and clocks count as
``CLOCK_SECONDS`` apart. Leaves out: reading and writing (``_lock_flow``, ``_lock_file``), and what only the controller
knows: processes, and when it renewed last (the action operation_lock).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

TAKE = "take"
RENEW = "renew"
TAKE_OVER = "take_over"
REFUSE = "refuse"
RELEASE = "release"
NOTHING = "nothing"

NAMESPACE, NAME = "kube-system", "multimaster-operation"
# Seconds. What a step between two renewals takes at most when it goes well: draining a node (kube_node, _drain.SECONDS and 60 for
# its volumes) and waiting until it is Ready (cluster_ready, 180), or a master's turn (a unit to stop or start 60, etcd's gate 60,
# its leadership to go 180). A step that may take longer gives its own bound: fetching programs, a reboot, a drain
# that is given more time.
STEP_SECONDS = 600
# Seconds a lock outlives the bound of its step: what reaching the host and starting the module may take, and RENEW_SECONDS.
MARGIN_SECONDS = 60
# Seconds after which a renewal is due. Less would ask more often (a renewal costs half a second), more would come out of the
# margin: what is not due leaves the coming step its bound and half of the margin.
RENEW_SECONDS = 30
# No step of ours takes longer; a mistyped bound shall not lock a cluster for a year.
LONGEST_SECONDS = 24 * 3600
# How far the clocks of two hosts may be apart, which preflight holds them to. Certificates are valid from the moment they are
# signed and etcd warns from 1 s; leases bear more.
CLOCK_SECONDS = 2.0
HOST, CLUSTER = "host", "cluster"
# Where the lock may be, in the order in which it is taken: on the host two runs meet that do not see the same API server.
PLACES = (HOST, CLUSTER)
# The start of a process that is there, or may be there, and cannot be looked at.
UNKNOWN = -1

# How the Lease of a dead run is taken away.
DELETE = f"`kubectl -n {NAMESPACE} delete lease {NAME}`"


@dataclass(frozen=True)
class Run:
    """What a run says of itself.

    ``holder`` is its identity, unique to this run. ``pid`` and ``started`` (clock ticks after boot, proc(5)) are those of
    its process on the controller, 0 when unknown; ``boot`` says where these numbers mean something.
    """

    holder: str = ""
    purpose: str = ""
    controller: str = ""
    boot: str = ""
    pid: int = 0
    started: int = 0
    run: str = ""

    def __str__(self):
        where = f" from {self.controller}" if self.controller else ""
        return f"{self.purpose or 'an operation that says no purpose'}{where} (holder {self.holder})"


@dataclass(frozen=True)
class Lease:
    """The lock as it was read: who holds it, since and until when in RFC 3339, and the end in seconds since the epoch.

    ``ends`` is None when the Lease does not say it in a way that can be read.
    """

    run: Run
    since: str = ""
    until: str = ""
    ends: float | None = None

    def as_dict(self):
        """Return plain data for a module's result."""
        return {**asdict(self.run), "since": self.since, "until": self.until}


@dataclass(frozen=True)
class Verdict:
    """What to do with the Lease, and why; a refusal's reason ends with what to do next."""

    step: str
    reason: str

    @property
    def refused(self):
        """Return whether the run must stop."""
        return self.step == REFUSE


def duration(seconds: int) -> int:
    """Return for how many seconds a lease is written whose step takes at most ``seconds``; ValueError on a wild bound."""
    if not 0 < seconds <= LONGEST_SECONDS:
        raise ValueError(f"a step bounded by {seconds} s: wanted 1 to {LONGEST_SECONDS}. Next: give `seconds` within that")
    return seconds + MARGIN_SECONDS


def due(passed: float | None, had: int, seconds: int) -> bool:
    """Return whether the lock is to be renewed before a step of at most ``seconds``.

    It was renewed ``passed`` seconds ago (None: not by this run, or nobody knows) for a step of ``had`` seconds.
    """
    return passed is None or not 0 <= passed < RENEW_SECONDS or seconds > had


def places(masters: int, serving: bool) -> tuple:
    """Return the places of a run's lock, from the number of masters and whether an API server runs.

    The only API server is away while its master takes its turn: a second run that looks then finds the file.
    """
    if not serving:
        return (HOST,)
    return (CLUSTER,) if masters > 1 else PLACES


def judge(lease: Lease | None, me: Run, now: float, gone: str = "", remedy: str = DELETE) -> Verdict:
    """Return whether this run takes, renews or takes over the lock, or is refused it.

    ``now`` in seconds since the epoch; ``gone``: identity of a holder that is proven to be dead (``abandoned``);
    ``remedy``: how the lock of a dead run is taken away by hand.
    """
    if not me.holder:
        return _nameless()
    if lease is None or not lease.run.holder:
        return Verdict(TAKE, "nobody held the lock")
    expired = lease.ends is not None and now > lease.ends + CLOCK_SECONDS
    if lease.run.holder == me.holder:
        lapsed = f"; it had ended at {lease.until}, and nobody took it meanwhile" if expired else ""
        return Verdict(RENEW, f"this run has held the lock since {lease.since}{lapsed}")
    if lease.run.holder == gone:
        return Verdict(TAKE_OVER, f"the lock was held for {lease.run}, whose process is gone")
    if expired:
        return Verdict(TAKE_OVER, f"the lock was held for {lease.run} until {lease.until} and was not renewed")
    held, dead = f"another operation holds the lock of this cluster: {lease.run}", _dead(remedy)
    if lease.ends is None:
        return Verdict(REFUSE, f"{held}; it says no end that can be read. Next: let it end; {dead}")
    return Verdict(REFUSE, f"{held}, since {lease.since} until {lease.until}. Next: run again after that; {dead}")


def judge_kept(lease: Lease | None, me: Run, now: float, remedy: str = DELETE) -> Verdict:
    """Return whether this run, which had the lock, renews it or has lost it and must stop before its next step."""
    if lease is not None and lease.run.holder and lease.run.holder != me.holder:
        return Verdict(
            REFUSE,
            f"this run has lost the lock of this cluster to another operation: {lease.run}, since {lease.since} until "
            f"{lease.until}. The next step was not begun. Next: let it end, see what it did, then run this again, which goes on "
            f"where it stopped; {_dead(remedy)}",
        )
    if me.holder and (lease is None or not lease.run.holder):
        return Verdict(
            REFUSE,
            "this run no longer holds the lock of this cluster, nobody does: somebody removed it, and may have operated since. "
            "The next step was not begun. Next: see who did, then run this again, which goes on where it stopped",
        )
    return judge(lease, me, now)


def judge_release(lease: Lease | None, me: Run) -> Verdict:
    """Return whether this run releases the lock, has nothing to release, or is refused."""
    if not me.holder:
        return _nameless()
    if lease is None or not lease.run.holder:
        return Verdict(NOTHING, "nobody holds the lock")
    if lease.run.holder == me.holder:
        return Verdict(RELEASE, f"this run has held the lock since {lease.since}")
    return Verdict(
        REFUSE,
        f"the lock of this cluster is not this run's to release: {lease.run} holds it, since {lease.since} until "
        f"{lease.until}. Next: leave it; if this run had it before, it was longer than its bound and both were at work: "
        "see what each did",
    )


def abandoned(run: Run, me: Run, started: int | None) -> bool:
    """Return whether a run's process is proven gone, as its own controller sees it.

    ``started`` is the start of the process that has the run's number now: None when there is none, UNKNOWN when it cannot be
    told. A number means something only within one boot and one process namespace. After a reboot of the controller the
    lease is waited for, since a machine's identity may have been cloned and its boot has not.
    """
    if not (run.controller and run.boot and run.pid > 0 and run.started > 0):
        return False
    if (run.controller, run.boot) != (me.controller, me.boot):
        return False
    return started is None or started not in (UNKNOWN, run.started)


def _dead(remedy):
    return f"when that run is known to be dead, {remedy} and run again"


def _nameless():
    return Verdict(REFUSE, "this run gave no name to hold the lock by. Next: give `holder`, unique to this run")
