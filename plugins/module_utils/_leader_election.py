# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Decide who leads by a Lease, with the rules of client-go's leader election.

Solves: one of several processes acts, another takes over when it dies, and none trusts another host's clock: what
counts is how long *this* process has seen a Lease unchanged. Leaves out talking to the API.
Source: k8s.io/client-go/tools/leaderelection, and its defaults as the control plane's own components use them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

#: client-go: LeaseDuration, RenewDeadline, RetryPeriod in seconds; a leader gives up before others may take over.
LEASE_SECONDS, RENEW_SECONDS, RETRY_SECONDS = 15.0, 10.0, 2.0


@dataclass(frozen=True)
class Record:
    """Hold what a Lease says; version is its resourceVersion, empty when there is no Lease."""

    version: str = ""
    holder: str = ""
    seconds: int = 0
    acquired: str = ""
    transitions: int = 0


@dataclass(frozen=True)
class Election:
    """Hold one candidate's memory: the Lease as last seen, since when unchanged, when it last renewed it (monotonic)."""

    me: str
    seen: Record = Record()
    since: float = 0.0
    renewed: float = -1.0e9

    def observe(self, record, now):
        """Return the memory after the Lease was read."""
        return self if record == self.seen else replace(self, seen=record, since=now)

    def wants(self, now):
        """Return create, renew, take or wait."""
        if not self.seen.version:
            return "create"
        if self.seen.holder == self.me:
            return "renew"
        if not self.seen.holder or now >= self.since + max(self.seen.seconds, LEASE_SECONDS):
            return "take"
        return "wait"

    def wrote(self, record, now):
        """Return the memory after this candidate wrote the Lease."""
        return replace(self, seen=record, since=now, renewed=now)

    def leads(self, now):
        """Return whether this candidate may act: it renewed the Lease within RENEW_SECONDS."""
        return self.seen.holder == self.me and now < self.renewed + RENEW_SECONDS


def record(lease):
    """Return the Record of a Lease object (coordination.k8s.io/v1), of None when there is none."""
    if lease is None:
        return Record()
    spec = lease.get("spec") or {}
    return Record(
        version=lease["metadata"]["resourceVersion"],
        holder=spec.get("holderIdentity") or "",
        seconds=spec.get("leaseDurationSeconds") or 0,
        acquired=spec.get("acquireTime") or "",
        transitions=spec.get("leaseTransitions") or 0,
    )


def claim(lease, name, namespace, me, stamp):
    """Return the Lease object with which a candidate creates, renews or takes over; stamp is RFC 3339 in microseconds."""
    old = record(lease)
    mine = old.holder == me
    metadata = {"name": name, "namespace": namespace}
    if old.version:
        metadata["resourceVersion"] = old.version
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": metadata,
        "spec": {
            "holderIdentity": me,
            "leaseDurationSeconds": int(LEASE_SECONDS),
            "acquireTime": old.acquired if mine and old.acquired else stamp,
            "renewTime": stamp,
            "leaseTransitions": old.transitions + (1 if old.version and not mine else 0),
        },
    }


def release(lease, stamp):
    """Return the Lease object with which a leader lets go at once (client-go: no holder, one second)."""
    spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": stamp}
    return {**lease, "spec": spec}
