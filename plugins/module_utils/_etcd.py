# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Talk to etcd through its JSON gateway and look at a whole cluster from outside.

Solves: membership is read and changed without etcdctl, and a member counts as healthy only after a fresh linearizable
read through its own URL. Leaves out: every decision (``_quorum``, ``_membership``). 64-bit ids stay strings, as the
gateway sends them. Answer shapes are those of etcd 3.6.16 and 3.7.3, recorded in the tests.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from dataclasses import asdict, dataclass

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _etcd_scene
from ansible_collections.multimaster.kubernetes.plugins.module_utils._https import TransportError

# seconds: etcd itself gives up on a linearizable read without quorum after 7 s (5 s + 2 election timeouts); a healthy
# member answers in milliseconds, so waiting longer than this tells nothing new.
READ_TIMEOUT = 5.0
# seconds: a change of membership that meets an election may take this long; afterwards the list is read again anyway.
CHANGE_TIMEOUT = 10.0
# a key that need not exist: reading it proves quorum without touching data. The gateway wants bytes as base64.
PROBE_KEY = base64.b64encode(b"multimaster/health").decode()

# gRPC status codes (https://grpc.io/docs/guides/status-codes/) as the gateway returns them in `code`.
INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION, UNAVAILABLE = 3, 5, 9, 14

# shared by the modules; the file names are those the collection gives a host with the operator's credentials
ARGUMENTS = {
    "endpoints": {"type": "list", "elements": "str", "required": True},
    "ca": {"type": "path", "default": "/etc/etcd/pki/client-ca.crt"},
    "client_cert": {"type": "path", "default": "/etc/etcd/pki/operator-client.crt"},
    "client_key": {"type": "path", "default": "/etc/etcd/pki/operator-client.key", "no_log": False},
}

#: Seconds between two looks at a cluster that is waited for.
PAUSE = 1.0
# An alarm in a status' errors is protobuf's text form, whose spaces differ between etcd 3.6 and 3.7 and by design may
# differ between builds (google.golang.org/protobuf/internal/detrand). A zero is left out: CORRUPT of no member in particular.
_ALARM = re.compile(r"(?:memberID:\s*(\d+)\s+)?alarm:\s*(\w+)")
# the one error that is no alarm; whoever reads the leader sees it anyway
_NO_LEADER = "etcdserver: no leader"


class EtcdError(Exception):
    """What was asked, where, and what came back; ``next_step``: what to do about it."""

    next_step = "`journalctl -u etcd -n 50` on that member's host says more, health.yml how the others are; then run again"

    def __init__(self, asked, where, came_back):
        self.asked, self.where, self.came_back = asked, where, came_back
        super().__init__(f"etcd at {where}, asked for {asked}: {came_back}")


class EtcdUnreachable(EtcdError):
    """No answer. When ``sent`` is true the request may have been carried out: read before asking again.

    ``tls``: TLS failed, so somebody listens and says nothing to us.
    """

    def __init__(self, asked, where, came_back, sent=False, tls=False):
        super().__init__(asked, where, came_back)
        self.sent, self.tls = sent, tls


class EtcdRefused(EtcdError):
    """etcd answered with an error."""

    def __init__(self, asked, where, status, code, message):
        super().__init__(asked, where, f"HTTP {status}, code {code}: {message}")
        self.status, self.code, self.message = status, code, message

    @property
    def not_in_sync(self):
        """True when a learner is asked to become a voter before it caught up (retry)."""
        return self.code == FAILED_PRECONDITION and "in sync with leader" in self.message

    @property
    def busy(self):
        """True when looking again and asking again is right: an election, or a change that is under way.

        "Member not found" belongs here: etcd makes a member's id from its peer URLs, the cluster's token and the
        second, so one that is added within the second of its removal gets the id that was just buried.
        """
        said_later = any(part in self.message for part in ("not leader", "too many learner"))
        return self.code in (UNAVAILABLE, NOT_FOUND) or said_later

    @property
    def no_downgrade_now(self):
        """True when a downgrade cannot be enabled, or called off, at this moment (look again).

        The cluster version is not the one before it yet: etcd raises that seconds after the last member got its program. Or
        one is enabled already, or none any more: etcd itself ends it.
        """
        job = any(part in self.message for part in ("downgrade job in progress", "no inflight downgrade"))
        return (job and self.code == FAILED_PRECONDITION) or (
            self.code == INVALID_ARGUMENT and "invalid downgrade target" in self.message
        )


@dataclass(frozen=True)
class Member:
    """One line of the member list; a member that was added and never started has no name and no client URL."""

    id: str
    name: str
    peer_urls: tuple
    client_urls: tuple
    is_learner: bool

    @property
    def started(self):
        return bool(self.name)


@dataclass(frozen=True)
class Status:
    """A member's view of itself; ``leader_id`` is "" without a leader, ``alarms`` are (member id, alarm) pairs.

    ``storage_version``: which minor its data fit, as "3.6.0"; it follows the cluster version. ``downgrade``: the target of the
    downgrade that is enabled, as "3.6.0". etcd before 3.6 tells neither ("") nor ``db_size_quota`` (0).
    """

    member_id: str
    cluster_id: str
    leader_id: str
    is_learner: bool
    raft_term: int
    raft_index: int
    raft_applied_index: int
    db_size: int
    db_size_in_use: int
    version: str
    alarms: tuple = ()
    errors: tuple = ()
    db_size_quota: int = 0
    storage_version: str = ""
    downgrade: str = ""


def _alarms(errors, member_id):
    """Return (member id, alarm) of a status' errors; an error nobody understands counts as an alarm of the one who says it."""
    found = []
    for text in errors:
        if text != _NO_LEADER:
            found += [(raised or "0", alarm) for raised, alarm in _ALARM.findall(text)] or [(member_id, text.strip())]
    return tuple(found)


def _member(data):
    return Member(
        id=data["ID"],
        name=data.get("name", ""),
        peer_urls=tuple(data.get("peerURLs", ())),
        client_urls=tuple(data.get("clientURLs", ())),
        is_learner=bool(data.get("isLearner", False)),
    )


def _members(answer):
    return tuple(sorted((_member(one) for one in answer.get("members", ())), key=lambda m: (m.name, m.id)))


class Etcd:
    """One member, asked through its own client URL. ``opener`` is what ``_https.https_opener`` returns."""

    def __init__(self, endpoint, opener, timeout=READ_TIMEOUT):
        self.endpoint, self._opener, self._timeout = endpoint.rstrip("/"), opener, timeout

    def _call(self, path, body=None, timeout=None):
        data = json.dumps(body or {}).encode()
        headers = {"Content-Type": "application/json"}
        try:
            answer = self._opener("POST", self.endpoint + path, data, headers, timeout or self._timeout)
        except TransportError as error:
            raise EtcdUnreachable(path, self.endpoint, error.cause, error.sent, error.tls) from error
        try:
            parsed = json.loads(answer.body.decode() or "{}")
        except ValueError as error:
            start = answer.body[:80].decode("ascii", "replace")
            raise EtcdError(path, self.endpoint, f"HTTP {answer.status}, not JSON: {start!r}") from error
        if answer.status != 200:
            raise EtcdRefused(path, self.endpoint, answer.status, parsed.get("code"), parsed.get("message", ""))
        return parsed

    def status(self):
        """Return what the member says of itself; needs no quorum."""
        data = self._call("/v3/maintenance/status")
        errors = tuple(data.get("errors", ()))
        leader = data.get("leader", "0")
        downgrade = data.get("downgradeInfo") or {}
        return Status(
            member_id=data["header"]["member_id"],
            cluster_id=data["header"]["cluster_id"],
            leader_id="" if leader == "0" else leader,
            is_learner=bool(data.get("isLearner", False)),
            raft_term=int(data.get("raftTerm", 0)),
            raft_index=int(data.get("raftIndex", 0)),
            raft_applied_index=int(data.get("raftAppliedIndex", 0)),
            db_size=int(data.get("dbSize", 0)),
            db_size_in_use=int(data.get("dbSizeInUse", 0)),
            version=data.get("version", ""),
            alarms=_alarms(errors, data["header"]["member_id"]),
            errors=errors,
            db_size_quota=int(data.get("dbSizeQuota", 0)),
            storage_version=data.get("storageVersion", ""),
            downgrade=downgrade.get("targetVersion", "") if downgrade.get("enabled") else "",
        )

    def member_list(self, linearizable=True):
        """Return the members by name; linearizable means confirmed by a quorum just now (learners refuse that)."""
        return _members(self._call("/v3/cluster/member/list", {"linearizable": linearizable}))

    def member_add(self, peer_urls, learner=True):
        """Add a member (a learner unless told) and return (the new member, all members)."""
        body = {"peerURLs": list(peer_urls), "isLearner": learner}
        data = self._call("/v3/cluster/member/add", body, CHANGE_TIMEOUT)
        return _member(data["member"]), _members(data)

    def member_promote(self, member_id):
        """Make a learner a voter and return all members; EtcdRefused.not_in_sync asks for patience."""
        return _members(self._call("/v3/cluster/member/promote", {"ID": member_id}, CHANGE_TIMEOUT))

    def member_remove(self, member_id):
        """Remove a member for good and return those left."""
        return _members(self._call("/v3/cluster/member/remove", {"ID": member_id}, CHANGE_TIMEOUT))

    def member_update(self, member_id, peer_urls):
        """Give a member, started or not, these peer URLs instead of its own and return all members.

        The others reach it there from now on; the member itself listens where it is told to at its next start.
        """
        body = {"ID": member_id, "peerURLs": list(peer_urls)}
        return _members(self._call("/v3/cluster/member/update", body, CHANGE_TIMEOUT))

    def move_leader(self, target_id):
        """Give the leadership away; only the leader itself carries this out ("not leader" else)."""
        self._call("/v3/maintenance/transfer-leadership", {"targetID": target_id}, CHANGE_TIMEOUT)

    def downgrade(self, action, version=""):
        """Take one step of a downgrade: "VALIDATE" or "ENABLE" one to a minor such as "3.6", or "CANCEL" the one enabled.

        A member of 3.7.3 takes CANCEL without anything enabled; EtcdRefused.no_downgrade_now asks for patience.
        """
        self._call("/v3/maintenance/downgrade", {"action": action, "version": version}, CHANGE_TIMEOUT)

    def read(self):
        """Prove by a linearizable read that this member serves and a quorum stands behind it; raise otherwise."""
        self._call("/v3/kv/range", {"key": PROBE_KEY})


@dataclass(frozen=True)
class View:
    """What one endpoint said: ``healthy`` = served a linearizable read (a learner: follows a leader).

    ``asked``: whether the question reached it; not where TLS failed, and then its silence says nothing.
    """

    endpoint: str
    status: Status | None = None
    healthy: bool = False
    members: tuple | None = None
    members_confirmed: bool = False
    error: str = ""
    asked: bool = True


@dataclass(frozen=True)
class Observed:
    """The cluster as seen just now. ``confirmed``: the member list was read with a quorum behind it."""

    members: tuple
    views: tuple
    confirmed: bool

    def view_of(self, member_id):
        """Return the view of a member's own endpoint, or None when it did not answer."""
        return next((v for v in self.views if v.status and v.status.member_id == member_id), None)

    def healthy(self, member_id):
        """Tell whether the member's own endpoint proved itself just now; unknown is unhealthy."""
        view = self.view_of(member_id)
        return bool(view and view.healthy)

    @property
    def leader_id(self):
        """The leader by the newest term anybody knows, "" when there is none."""
        known = [v.status for v in self.views if v.status]
        newest = max((s.raft_term for s in known), default=0)
        return next((s.leader_id for s in known if s.raft_term == newest and s.leader_id), "")

    @property
    def cluster_ids(self):
        return tuple(sorted({v.status.cluster_id for v in self.views if v.status}))

    @property
    def alarms(self):
        return tuple(sorted({pair for v in self.views if v.status for pair in v.status.alarms}))

    @property
    def errors(self):
        """One line for each endpoint that did not prove itself."""
        return tuple(f"{v.endpoint}: {v.error}" for v in self.views if v.error)


def look(endpoint, opener, timeout=READ_TIMEOUT):
    """Ask one endpoint everything an observation needs and return its View; never raises EtcdError."""
    client = Etcd(endpoint, opener, timeout)
    status = members = None
    healthy = confirmed = False
    try:
        status = client.status()
        if status.is_learner:
            healthy = bool(status.leader_id)
            return View(endpoint, status, healthy, error="" if healthy else "a learner that follows no leader")
        members = client.member_list(linearizable=False)
        client.read()
        members, confirmed, healthy = client.member_list(), True, True
        return View(endpoint, status, healthy, members, confirmed)
    except EtcdError as error:
        asked = not (isinstance(error, EtcdUnreachable) and error.tls)
        return View(endpoint, status, healthy, members, confirmed, str(error), asked)


def _look_at_all(endpoints, opener, timeout, bound):
    """Look at many endpoints at once; one that is not done within ``bound`` seconds is unknown."""
    views = {one: View(one, error=f"no answer within {bound:g} s") for one in endpoints}

    def work(endpoint):
        views[endpoint] = look(endpoint, opener, timeout)

    threads = [threading.Thread(target=work, args=(one,), daemon=True) for one in endpoints]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + bound
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return tuple(dict(views).values())


def awaited(look, good, seconds, sleep=time.sleep, clock=time.monotonic):
    """Return the first ``look()`` that is ``good``, or after so many seconds the last one; 0 looks once."""
    end = clock() + seconds
    while True:
        seen = look()
        if good(seen) or clock() >= end:
            return seen
        sleep(PAUSE)


def observe(endpoints, opener, timeout=READ_TIMEOUT):
    """Look at a whole cluster: the given endpoints, then the own URLs of members these did not cover.

    Takes at most about ``8 * timeout`` seconds, milliseconds when all is well. Never raises EtcdError: what did not
    answer is unknown, and unknown is unhealthy.
    """
    asked = list(dict.fromkeys(one.rstrip("/") for one in endpoints))
    views = _look_at_all(asked, opener, timeout, 4 * timeout)
    listed = [v for v in views if v.members is not None]
    if not listed:
        return Observed((), views, False)
    best = max(listed, key=lambda v: _etcd_scene.rank(v.members_confirmed, v.status.raft_term, v.status.raft_applied_index))
    seen = {v.status.member_id for v in views if v.status}
    more = [u.rstrip("/") for m in best.members if m.id not in seen for u in m.client_urls if u.rstrip("/") not in asked]
    views += _look_at_all(list(dict.fromkeys(more)), opener, timeout, 4 * timeout)
    return Observed(best.members, views, best.members_confirmed)


def status_for_host_info(endpoint, opener, timeout=READ_TIMEOUT):
    """Return the ``etcd.status`` dict of a host's observation; ``healthy`` and ``asked`` as in View."""
    view = look(endpoint, opener, timeout)
    known = view.status
    return {
        "ok": known is not None,
        "asked": view.asked,
        "error": view.error,
        "member_id": known.member_id if known else "",
        "cluster_id": known.cluster_id if known else "",
        "leader_id": known.leader_id if known else "",
        "is_learner": known.is_learner if known else False,
        "raft_term": known.raft_term if known else 0,
        "raft_index": known.raft_index if known else 0,
        "db_size": known.db_size if known else 0,
        "version": known.version if known else "",
        "storage_version": known.storage_version if known else "",
        "downgrade": known.downgrade if known else "",
        "healthy": view.healthy,
        "alarms": [{"member_id": member, "alarm": alarm} for member, alarm in known.alarms] if known else [],
        "members": [member_dict(one) for one in view.members or ()],
    }


def member_dict(member):
    """Return a member as plain data with lists."""
    return {**asdict(member), "peer_urls": list(member.peer_urls), "client_urls": list(member.client_urls)}
