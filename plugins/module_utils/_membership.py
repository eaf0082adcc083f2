# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Decide the next single move that makes this host's etcd member what it shall be.

Solves: a join can be cut off between any two of its steps, so each move is decided anew from what is seen, never from
what was done before. Leaves out: whether a move is safe for the cluster (``_quorum``), and doing it (``_membership_flow``,
``_etcd_host``).

The rule everything follows from: a voter that acknowledged entries and lost them must never run again under the same
member id (Raft keeps its promises on disk). So a member without its write-ahead log is removed and added anew; it is
only ever started without one right after being added by this very run, or by the bootstrap record.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _unit_plan
from ansible_collections.multimaster.kubernetes.plugins.module_utils._quorum import LOST_QUORUM_RUNBOOK, hex_id

# Where etcd keeps its write-ahead log below its data folder (server/storage/datadir of etcd 3.6).
WAL = "member/wal"
# Of which founding a member is, until etcd has a leader; and what lets it start without data, for its first start alone.
RECORD = "/etc/etcd/bootstrap.json"
FIRST_START = "/run/systemd/system/etcd.service.d/10-first-start.conf"

# What systemd calls a unit that is known not to run; not-found: there is none.
NOT_RUNNING = ("inactive", "failed", "not-found")

# Log entries a learner may lag behind the leader to count as in sync: about what a busy cluster writes in a second.
# etcd's own bound (90 % of the leader's index, readyPercentThreshold in server/etcdserver/server.go) is asked again by
# `member promote`.
LAG = 500

MOVED_RUNBOOK = "docs/runbooks/address-changed.md"

DONE, WAIT, REFUSE = "done", "wait", "refuse"
START, ADD, REMOVE, WIPE, PROMOTE, MOVE_LEADER = "start", "add", "remove", "wipe", "promote", "move_leader"
UPDATE = "update"

# What to do about data that are no member's of this cluster: they are kept, and etcd does not write to them meanwhile.
ASIDE = (
    "if nobody needs them, put them aside on this host and run again (systemctl stop etcd; mv /var/lib/etcd/member "
    "/var/lib/etcd/member.old)"
)
JOURNAL = "journalctl -u etcd -n 50 on this host says why"


class StepFailed(Exception):
    """A step cannot be taken, or did not come true in time; ``verdict`` is the gate's when it refused.

    ``said`` is what the unit said, which comes between what failed and what to do next.
    """

    def __init__(self, message, next_step="", verdict=None, said=""):
        self.verdict = verdict
        between = f".\n{said}\n" if said else ". "
        super().__init__(f"{message}{between}Next: {next_step}" if next_step else message)


@dataclass(frozen=True)
class Own:
    """Hold this host's side: ``data`` = a write-ahead log exists, ``status`` = what its member answers (None = silent).

    ``unit`` is the unit's state (``running`` also while it comes up, ``down`` when it is stopped or fails).
    ``added`` is the id under which this run added it, "" when this run did not. ``host`` is this host's name in the inventory.
    ``starts``: how often this run has started it, in so many ``seconds``.
    """

    name: str
    peer_url: str
    data: bool = False
    unit: str = "down"
    status: object = None
    added: str = ""
    host: str = ""
    starts: int = 0
    seconds: float = 0.0

    @property
    def place(self):
        """Return what a person calls this host."""
        return self.host or self.name


@dataclass(frozen=True)
class Move:
    """What to do next and why; ``target`` is a member id."""

    kind: str
    reason: str
    target: str = ""
    next_step: str = ""


def has_data(names):
    """Tell from the names in the folder ``WAL`` whether a member lives here, as etcd does (wal.Exist): by its log's files.

    A member folder without a log is none: etcd would start it empty, so a join sets it aside. (The unit asserts the folder
    alone, which is as good: etcd makes it by renaming one that has its files, wal.Create.)
    """
    return any(name.endswith(".wal") for name in names)


def in_sync(learner_index, leader_index, lag=LAG):
    """Tell whether a learner's applied index is close enough to the leader's log for a promotion."""
    return learner_index > 0 and leader_index > 0 and leader_index - learner_index <= lag


def _mine(members, own):
    return next((member for member in members if own.peer_url in member.peer_urls), None)


def toward_learner(members, own, leader_index, wipe=False):
    """Return the next move on the way to a started member in sync; a voter is more than that and stays.

    ``members`` must be confirmed by a quorum; ``leader_index`` is 0 when nobody leads.
    """
    mine = _mine(members, own)
    belongs = own.status is not None and mine is not None and own.status.member_id == mine.id
    in_the_way = _namesake(members, own, mine) or _foreign(own, mine, belongs, wipe)
    if in_the_way:
        return in_the_way
    if mine is None:
        return Move(ADD, "it is not a member yet")
    if belongs and not mine.is_learner:
        return Move(DONE, "it is a voter", mine.id)
    if belongs:
        return _behind(own, mine, leader_index) or Move(DONE, "it is a learner in sync", mine.id)
    if own.data or mine.id == own.added:
        if own.unit == "running":
            return Move(WAIT, "etcd runs here and does not answer yet", mine.id, JOURNAL)
        # systemd's count of restarts begins anew with each start of ours
        if _unit_plan.loops(own.starts, own.seconds):
            return Move(REFUSE, looping(own.starts, own.seconds), mine.id, JOURNAL)
        return Move(START, "it is a member and etcd is not running here", mine.id, JOURNAL)
    return _emptied(mine, own)


def looping(starts, seconds):
    """Return the sentence for an etcd that does not stay up, however often it is started."""
    return f"etcd ends again and again here: it was started {starts} times in {seconds:.0f} s"


def _namesake(members, own, mine):
    """Refuse while another member has this host's name; None when there is none."""
    namesake = next((m for m in members if m.name == own.name and m is not mine), None)
    return namesake and Move(
        REFUSE,
        f"the cluster has a member {own.name} with another peer URL: {', '.join(namesake.peer_urls)}",
        namesake.id,
        f"has this host's address changed, {MOVED_RUNBOOK}; is that member its former self, {_replacement(own)}",
    )


def _foreign(own, mine, belongs, wipe):
    """Wipe, when asked to, or refuse data of another member or cluster; None when there are none."""
    if belongs or (own.status is None and (mine is not None or not own.data)):
        return None
    if wipe and (mine is None or mine.is_learner or not mine.started):
        return Move(WIPE, "the data on this host do not belong to a member of this cluster, and wiping was asked for")
    return Move(
        REFUSE,
        f"{own.place} holds etcd data that do not belong to a member of this cluster",
        next_step=f"{ASIDE}; else take this host out of the inventory",
    )


def _emptied(mine, own):
    """Say what becomes of a member whose host has no data: a voter that ran is refused, everything else added anew."""
    if not mine.is_learner and mine.client_urls:
        return Move(
            REFUSE,
            f"the voter {mine.name or hex_id(mine.id)} lost its data: started empty it could vote against what it acknowledged",
            mine.id,
            _replacement(own),
        )
    return Move(REMOVE, "it was added once and has no data here: a join was cut off, or the learner's disk was lost", mine.id)


def _replacement(own):
    """Return what takes this host's member out and it in again; `etcdctl member remove` would not ask the gate of the quorum."""
    command = f"replace_node.yml -e node={own.place}"
    return f"`{command}`: it removes that member behind the quorum gate, and this host joins as a new one"


def _behind(own, mine, leader_index):
    """Wait for a learner that is not in sync; None when it is."""
    if in_sync(own.status.raft_applied_index, leader_index):
        return None
    return Move(WAIT, f"it has applied entry {own.status.raft_applied_index} of the leader's {leader_index}", mine.id)


def toward_voter(members, own, leader_index):
    """Return the next move on the way to a voter that serves."""
    mine = _mine(members, own)
    if mine is None:
        return Move(REFUSE, f"{own.place} has no etcd member", next_step="let it join as a learner first")
    if not mine.is_learner:
        return Move(DONE, "it is a voter", mine.id)
    if own.status is None or own.status.member_id != mine.id:
        return Move(WAIT, "the learner on this host does not answer", mine.id, JOURNAL)
    return _behind(own, mine, leader_index) or Move(PROMOTE, "it is a learner in sync", mine.id)


def toward_absent(members, own):
    """Return the next move on the way to a cluster without this member."""
    mine = _mine(members, own) or next((m for m in members if own.name and m.name == own.name), None)
    if mine is None:
        return Move(DONE, "it is not a member")
    return Move(REMOVE, f"it is a {'learner' if mine.is_learner else 'voter'}", mine.id)


def toward_updated(members, own):
    """Return the next move on the way to a started member that the others reach at this peer URL, and at no other.

    It is known by its name, since its URL is what changes. One that never started has none; it is added anew at its URL.
    """
    mine = [member for member in members if own.name and member.name == own.name]
    taken = next((member for member in members if own.peer_url in member.peer_urls and member not in mine), None)
    if taken is not None:
        return Move(
            REFUSE,
            f"{own.peer_url} is the peer URL of {taken.name or hex_id(taken.id)} already",
            taken.id,
            "find out which host has that address; of two members with one URL neither could be told from the other",
        )
    if len(mine) != 1:
        said = f"{len(mine)} members are called {own.name}" if mine else f"no started member is called {own.name}"
        return Move(REFUSE, said, next_step="etcd_info names the members; a host that is none joins by site.yml")
    if mine[0].peer_urls == (own.peer_url,):
        return Move(DONE, f"the others reach it at {own.peer_url}", mine[0].id)
    return Move(UPDATE, f"the others reach it at {', '.join(mine[0].peer_urls)}", mine[0].id)


def moved_words(name, peer_urls, wanted, address):
    """Return what was found, what is wanted and what to do about a member that is reached at another address than its host's."""
    known = ", ".join(peer_urls)
    return (
        f"the others reach etcd member {name} at {known}, and the host's address is {address}",
        f"a member that is reached at {wanted}",
        f"If {address} is not meant, set multimaster_node_address to the one it has there. If the host moved: tell etcd first "
        f"(etcd_member, state updated), as {MOVED_RUNBOOK} says.",
    )


def toward_follower(members, own, leader_id):
    """Return the next move on the way to a cluster that somebody else leads."""
    mine = _mine(members, own)
    if mine is None or mine.id != leader_id:
        return Move(DONE, "it does not lead", mine.id if mine else "")
    return Move(MOVE_LEADER, "it leads", mine.id)


def first_start(record, wanted, own):
    """Return the next move of a bootstrap: start from the record, or refuse to found a second cluster.

    ``record`` is what this host carries (None = none), ``wanted`` what this run would write.
    """
    if own.data and record is None:
        if own.unit == "running":
            return Move(DONE, "it carries data and runs already")
        return Move(
            REFUSE,
            f"{own.place} holds etcd data without a bootstrap record, so it is no part of a cluster that is being founded",
            next_step=f"if its cluster lost quorum, follow {LOST_QUORUM_RUNBOOK}; found no second cluster",
        )
    if own.data and record != wanted:
        return Move(
            REFUSE,
            f"{own.place} began a bootstrap with token {record.get('token')}, which is not this one",
            next_step="let all hosts of that bootstrap finish with the record they carry",
        )
    if own.unit == "running" and record == wanted:
        return Move(DONE, "it was started from this record")
    return Move(START, "it has no data yet" if not own.data else "its bootstrap was cut off")


def initial_cluster(members, own):
    """Return ETCD_INITIAL_CLUSTER for a member that joins: all members, compared by etcd by their peer URLs.

    Members that never started have no name; etcd matches by URL (ValidateClusterAndAssignIDs), so any name does.
    """
    entries = []
    for member in members:
        name = own.name if own.peer_url in member.peer_urls else member.name or f"unnamed-{member.id}"
        entries += [f"{name}={url}" for url in member.peer_urls]
    return ",".join(sorted(entries))


def first_start_drop_in(cluster, state, token=""):
    """Return the one-shot drop-in that lets etcd start without a write-ahead log."""
    settings = {"ETCD_INITIAL_CLUSTER": cluster, "ETCD_INITIAL_CLUSTER_STATE": state}
    if token:
        settings["ETCD_INITIAL_CLUSTER_TOKEN"] = token
    lines = ["# Written for the first start of this member and removed after it.", "[Unit]", "AssertPathExists="]
    lines += ["[Service]"] + [f'Environment="{key}={value}"' for key, value in settings.items()]
    return "\n".join(lines) + "\n"
