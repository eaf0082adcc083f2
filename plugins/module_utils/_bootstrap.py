# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Decide whether to found an etcd cluster, to finish founding it, to join it, or to keep the hands off.

Solves: a second cluster founded beside the first, and a founding that was cut off and never comes up. Leaves out: who
joins in which order (``_join_order``) and doing it (``etcd_member``).

    ====================================================  ===================================================
    what the listed hosts show                            decision
    ====================================================  ===================================================
    two cluster ids                                       refuse
    a member serves, hosts still carry the record         resume: finish these; the rest joins
    a member serves                                       join, or nothing to do
    nobody serves, one could not be asked since           renew: certificates first, then all is looked at again
    certificates are expired or gone
    nobody serves, data without a record                  refuse: the cluster exists and lost its quorum
    nobody serves, records that differ                    refuse
    nobody serves, one record, all with data carry it     resume from it: never join, never wipe
    no data, no record, a host that cannot be looked at   refuse: it may hold data
    no data, no record, but a cluster shows elsewhere     refuse: a second one would be founded beside it
    no data, no record, no answer anywhere                bootstrap
    ====================================================  ===================================================

"Serves" is a fresh linearizable read, so a quorum stands behind it. The record (token and initial cluster) is written
on every first voter before any is started, and removed after the first linearizable read: while it is there, nobody
has acknowledged anything to a client, so starting once more from it is safe.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from ansible_collections.multimaster.kubernetes.plugins.module_utils._quorum import LOST_QUORUM_RUNBOOK, quorum

# What to do where no listed host has etcd's data, and a cluster was there.
ELSEWHERE_NEXT = (
    "mount /var/lib/etcd where its disk is missing, or list the hosts of that etcd; if the data are lost, restore a snapshot "
    f"({LOST_QUORUM_RUNBOOK}, section 5); if the cluster is given up, run reset.yml before it is built anew"
)

# What to do where hosts carry records of several foundings; put aside, so that a wrong choice can be taken back.
SEVERAL_NEXT = (
    "choose one and list its hosts alone, or put the others aside, on each of their hosts: systemctl stop etcd; "
    "mv /etc/etcd/bootstrap.json /etc/etcd/bootstrap.json.old; mv /var/lib/etcd/member /var/lib/etcd/member.old; then run again"
)

NONE, BOOTSTRAP, RESUME, JOIN, RENEW, REFUSE = "none", "bootstrap", "resume", "join", "renew", "refuse"


@dataclass(frozen=True)
class Record:
    """A host's bootstrap record: token and initial cluster as sorted ((node name, peer URL), ...)."""

    token: str
    initial_cluster: tuple


@dataclass(frozen=True)
class Answer:
    """What a running member says; ``healthy``: it served a linearizable read. ``members`` as _quorum.Member."""

    cluster_id: str
    leader_id: str = ""
    healthy: bool = False
    members: tuple = ()


@dataclass(frozen=True)
class HostState:
    """One listed etcd host; ``data`` None is unknown and counts as data that may be there.

    ``stale``: its member may serve and could not be asked, and certificates it takes for that are expired or gone.
    """

    name: str
    peer_url: str
    reachable: bool = True
    data: bool | None = None
    record: Record | None = None
    answer: Answer | None = None
    stale: bool = False


@dataclass(frozen=True)
class Decision:
    """The action (none, bootstrap, resume, join, renew, refuse) with its reason.

    ``start``: hosts to start from the record of ``token`` and ``initial_cluster``, all at once. ``join``: hosts outside
    that may join a serving cluster. ``reasons``: each reason of a refusal on its own.
    """

    action: str
    start: tuple = ()
    join: tuple = ()
    token: str = ""
    initial_cluster: tuple = ()
    reason: str = ""
    next_step: str = ""
    reasons: tuple = ()


def decide(hosts, first_voters, cluster_name, nonce="", elsewhere=()) -> Decision:
    """Return the Decision for the listed etcd hosts.

    ``first_voters``: names of those that found the cluster (``_join_order.wanted_roles`` of an empty cluster).
    ``nonce``: anything that differs each time a cluster is founded, see ``token``.
    ``elsewhere``: in words, what shows that a cluster exists beyond the listed hosts; nothing is founded then.
    """
    decision = _decide(hosts, first_voters, cluster_name, nonce)
    if decision.action == BOOTSTRAP and elsewhere:
        problem = f"{_names(hosts)} hold no etcd data, but a cluster exists: {'; '.join(elsewhere)}"
        return _refuse([(problem, ELSEWHERE_NEXT)])
    return decision


def _decide(hosts, first_voters, cluster_name, nonce):
    """Decide from the listed hosts alone."""
    hosts = sorted(hosts, key=lambda host: host.name)
    ids = sorted({host.answer.cluster_id for host in hosts if host.answer})
    if not hosts or not first_voters:
        return _refuse([("no host is listed for etcd", "put the masters into kube_control_plane")])
    if len(ids) > 1:
        said = ", ".join(f"{host.name}: {host.answer.cluster_id}" for host in hosts if host.answer)
        return _refuse([(f"the hosts belong to {len(ids)} different etcd clusters ({said})", "list one cluster's hosts only")])
    serving = [host.answer for host in hosts if host.answer and host.answer.healthy]
    if serving:
        return _with_a_cluster(hosts, max(serving, key=lambda answer: len(answer.members)).members)
    return _without_a_cluster(hosts, first_voters, cluster_name, nonce)


def token(cluster_name, initial_cluster, nonce) -> str:
    """Return the token of a new cluster.

    etcd derives the ids of cluster and members from the token and the peer URLs alone. Were the token derived from
    these too, a cluster built anew on the same hosts would have the ids of the former one, and a forgotten member of
    that would speak to it as one of its own; so a nonce goes in. A founding that is resumed uses its record's token.
    """
    text = json.dumps([cluster_name, sorted(initial_cluster), nonce])
    return f"{cluster_name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _refuse(problems):
    """Return the refusal for (reason, next step) pairs."""
    reasons = tuple(reason for reason, _next_step in problems)
    steps = "; ".join(dict.fromkeys(next_step for _reason, next_step in problems))
    return Decision(REFUSE, reason="; ".join(reasons), next_step=steps, reasons=reasons)


def _names(hosts):
    return ", ".join(sorted(host.name for host in hosts))


def _with_a_cluster(hosts, members):
    """Decide when a member serves."""
    unfinished, outside = [], []
    for host in hosts:
        member = next((m for m in members if m.called(host.peer_url) or m.called(host.name)), None)
        if member is None:
            outside.append(host)
        elif host.record and not (host.data is False and member.client_urls):
            # one that published itself and has no data has lost its disk: it must not start from the record
            unfinished.append(host)
    join = tuple(host.name for host in outside if host.data is False)
    later = f"; then {', '.join(join)} may join" if join else ""
    if unfinished:
        record = unfinished[0].record
        return Decision(
            RESUME,
            tuple(host.name for host in unfinished),
            join,
            record.token,
            record.initial_cluster,
            f"the cluster serves and its founding was cut off on {_names(unfinished)}{later}",
        )
    if join:
        return Decision(JOIN, join=join, reason=f"the cluster serves, {', '.join(join)} may join")
    return Decision(NONE, reason="the cluster serves and no host waits to join")


def _without_a_cluster(hosts, first_voters, cluster_name, nonce):
    """Decide when no member was seen to serve."""
    stale = [host for host in hosts if host.stale]
    if stale:
        reason = (
            f"whether etcd serves is not known: {_names(stale)} could not be asked, since certificates there have expired or are "
            "gone"
        )
        remedy = "site.yml renews them, then looks again; after that run the same again"
        return Decision(RENEW, reason=reason, next_step=remedy, reasons=(reason,))
    may_have_data = [host for host in hosts if host.reachable and host.data is not False]
    forgotten = [host for host in may_have_data + [h for h in hosts if h.answer] if host.record is None]
    if forgotten:
        problem = (
            f"{_names(set(forgotten))} may hold the data of a cluster that was founded before, and no member serves: "
            "its quorum is lost or etcd is stopped"
        )
        remedy = f"start etcd on every host that has data; if no leader comes within a minute, follow {LOST_QUORUM_RUNBOOK}"
        return _refuse([(problem, remedy)])
    records = {host.record for host in hosts if host.record}
    if len(records) > 1:
        said = ", ".join(f"{host.name}: {host.record.token}" for host in hosts if host.record)
        problem = f"the hosts carry records of {len(records)} different foundings ({said})"
        return _refuse([(problem, SEVERAL_NEXT)])
    if records:
        return _resume(hosts, records.pop(), may_have_data, first_voters, cluster_name, nonce)
    return _found(hosts, first_voters, cluster_name, nonce)


def _resume(hosts, record, may_have_data, first_voters, cluster_name, nonce):
    """Finish a founding that was cut off, from its own record."""
    listed = {(host.name, host.peer_url) for host in hosts}
    missing = sorted(name for name, url in record.initial_cluster if (name, url) not in listed)
    known = {host.name for host in hosts}
    if missing and not may_have_data and known.issuperset(missing):
        # the addresses were corrected before anybody started
        return _found(hosts, first_voters, cluster_name, nonce)
    names = {name for name, _url in record.initial_cluster}
    start = tuple(host.name for host in hosts if host.name in names and host.reachable)
    problems = []
    if missing:
        problems.append(
            (
                f"the founding that was cut off includes {', '.join(missing)}, which the inventory does not list so",
                "list the same hosts with the same addresses until the cluster is founded, then change it",
            )
        )
    if len(start) < quorum(len(names)):
        problems.append(
            (
                f"the founding that was cut off needs {quorum(len(names))} of its {len(names)} hosts and "
                f"{len(start)} can be reached",
                "make them reachable and run again",
            )
        )
    if problems:
        return _refuse(problems)
    reason = f"a founding was cut off (token {record.token}); it is finished from its own record"
    return Decision(RESUME, start, (), record.token, record.initial_cluster, reason)


def _found(hosts, first_voters, cluster_name, nonce):
    """Found a new cluster when it is certain that none exists."""
    unseen = [host for host in hosts if not host.reachable]
    if unseen:
        problem = f"no etcd was found, but {_names(unseen)} cannot be looked at and may hold the cluster's data"
        return _refuse([(problem, "make it reachable, or take it out of the inventory if it never was a member")])
    urls = {host.name: host.peer_url for host in hosts}
    initial = tuple(sorted((name, urls[name]) for name in first_voters))
    return Decision(
        BOOTSTRAP,
        tuple(sorted(first_voters)),
        (),
        token(cluster_name, initial, nonce),
        initial,
        f"no host holds etcd data and nobody answers: a cluster is founded on {', '.join(sorted(first_voters))}",
    )
