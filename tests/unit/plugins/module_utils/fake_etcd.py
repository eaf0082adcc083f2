# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Play a whole etcd cluster behind its JSON gateway: an opener whose answers have the shapes etcd 3.6.16 gave.

Only what membership and a downgrade need is played: who is a member, who runs which version, who leads, the learner's
refusals, the limit of two learners, the cluster version. ``cut_after`` ends the world with Cut after so many changing
requests were *carried out*, their answers lost.
"""

from __future__ import annotations

import copy
import json

from ansible_collections.multimaster.kubernetes.plugins.module_utils._https import Answer, TransportError

CHANGING = tuple(f"/v3/cluster/member/{change}" for change in ("add", "promote", "remove", "update"))


class Time:
    """Play a clock that only sleeping moves; what is in ``events`` happens at its second."""

    def __init__(self):
        self.now, self.events = 0.0, {}

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        for when in [w for w in self.events if w <= self.now]:
            self.events.pop(when)()


class Cut(BaseException):
    """The run is over, as by SIGKILL."""


class FakeEtcd:
    def __init__(self, *voters):
        self.members, self.running, self.alarms, self.next_id, self.term = {}, set(), [], 1000, 2
        self.versions, self.cluster_version, self.downgrade, self.unfit = {}, "3.6", "", set()
        self.log, self.asked, self.cut_after, self.lag, self.refusals = 100, [], None, {}, []
        for name in voters:
            self.add(name)
            self.publish(name)
        self.leader = self.find(voters[0]) if voters else None

    def picture(self):
        """Return what a check must leave as it is: all but what was asked for, of which only changes count."""
        kept = {name: value for name, value in vars(self).items() if name not in ("asked", "refusals")}
        return copy.deepcopy((kept, [path for _host, path in self.asked if path in CHANGING]))

    @staticmethod
    def client_url(name):
        return f"https://{name}:2379"

    @staticmethod
    def peer_url(name):
        return f"https://{name}:2380"

    def add(self, name, learner=False):
        self.next_id += 1
        peers = [self.peer_url(name)]
        self.members[str(self.next_id)] = {"host": name, "name": "", "learner": learner, "urls": [], "peers": peers}
        return str(self.next_id)

    def find(self, name):
        return next((i for i, m in self.members.items() if m["host"] == name), None)

    def publish(self, name):
        """Let a member run: it tells its name and its client URL."""
        self.running.add(name)
        self.members[self.find(name)].update(name=name, urls=[self.client_url(name)])

    def roles(self):
        return {m["host"]: "learner" if m["learner"] else "voter" for m in self.members.values()}

    def _serving(self):
        voters = [m["host"] for m in self.members.values() if not m["learner"]]
        return len([v for v in voters if v in self.running]) >= len(voters) // 2 + 1

    def _list(self):
        return [
            {
                "ID": i,
                **({"name": m["name"]} if m["name"] else {}),
                "peerURLs": m["peers"],
                **({"clientURLs": m["urls"]} if m["urls"] else {}),
                **({"isLearner": True} if m["learner"] else {}),
            }
            for i, m in self.members.items()
        ]

    def __call__(self, method, url, body=None, headers=None, timeout=5.0):
        host, path = url.split("//")[1].split(":")[0], url.split(":2379")[1]
        if host not in self.running:
            raise TransportError(url, "connection refused (nothing listens there)")
        self.asked.append((host, path))
        if path in CHANGING and self.refusals:
            status, code, message = self.refusals.pop(0)
            return self._error(status, code, message)
        answer = self._answer(host, path, json.loads(body))
        if path in CHANGING and answer.status == 200 and self.cut_after is not None:
            self.cut_after -= 1
            if self.cut_after <= 0:
                raise Cut
        return answer

    @staticmethod
    def _error(status, code, message):
        return Answer(status, json.dumps({"code": code, "message": f"etcdserver: {message}"}).encode())

    def _answer(self, host, path, body):
        me = self.find(host)
        header = {"cluster_id": "77", "member_id": me or "gone", "raft_term": str(self.term)}
        learner = bool(me) and self.members[me]["learner"]
        if path == "/v3/maintenance/status":
            status = {
                "header": header,
                "version": self.versions.get(host, "3.6.16"),
                "storageVersion": ("3.7" if host in self.unfit else self.cluster_version) + ".0",
                "downgradeInfo": {"enabled": True, "targetVersion": f"{self.downgrade}.0"} if self.downgrade else {},
                "dbSize": "24576",
                "raftIndex": str(self.log),
                "raftTerm": str(self.term),
                "raftAppliedIndex": str(self.log - self.lag.get(host, 0)),
                **({"leader": self.leader} if self.leader and self._serving() else {}),
                **({"isLearner": True} if learner else {}),
                **({"errors": [f"memberID:{i} alarm:{a} " for i, a in self.alarms]} if self.alarms else {}),
            }
            return Answer(200, json.dumps(status).encode())
        if learner:
            return self._error(400, 9, "rpc not supported for learner")
        linearizable = path != "/v3/cluster/member/list" or body.get("linearizable")
        if linearizable and not self._serving():
            return self._error(503, 14, "request timed out")
        return self._do(path, body, header)

    def _downgrade(self, action, version):
        """Answer as etcd 3.7.3 does; with it enabled the data fit at once, but those of hosts in `unfit`."""
        if action == "CANCEL":
            self.downgrade = ""
            return Answer(200, b"{}")
        if self.downgrade:
            return self._error(400, 9, "cluster has a downgrade job in progress")
        if [self.cluster_version, version] != ["3.7", "3.6"]:
            return self._error(400, 3, "invalid downgrade target version")
        if action == "ENABLE":
            self.downgrade = self.cluster_version = version
        return Answer(200, b"{}")

    def _do(self, path, body, header):
        result = {"header": header}
        if path == "/v3/cluster/member/add":
            if sum(m["learner"] for m in self.members.values()) >= 2:
                return self._error(400, 9, "too many learner members in cluster")
            host = body["peerURLs"][0].split("//")[1].split(":")[0]
            if self.find(host):
                return self._error(400, 9, "Peer URLs already exists")
            new = self.add(host, learner=body["isLearner"])
            result["member"] = next(m for m in self._list() if m["ID"] == new)
        elif path in CHANGING and body["ID"] not in self.members:
            return self._error(404, 5, "member not found")
        elif path == "/v3/cluster/member/update":
            if any(set(m["peers"]) & set(body["peerURLs"]) for i, m in self.members.items() if i != body["ID"]):
                return self._error(400, 9, "Peer URLs already exists")
            self.members[body["ID"]]["peers"] = body["peerURLs"]
        elif path == "/v3/cluster/member/promote":
            member = self.members[body["ID"]]
            if member["host"] not in self.running or self.lag.get(member["host"]):
                return self._error(400, 9, "can only promote a learner member which is in sync with leader")
            member["learner"] = False
        elif path == "/v3/cluster/member/remove":
            self.running.discard(self.members.pop(body["ID"])["host"])
        elif path == "/v3/maintenance/transfer-leadership":
            if header["member_id"] != self.leader:
                return self._error(400, 9, "not leader")
            self.leader, self.term = body["targetID"], self.term + 1
            return Answer(200, b"{}")
        elif path == "/v3/maintenance/downgrade":
            return self._downgrade(**body)
        if path.startswith("/v3/cluster/"):
            result["members"] = self._list()
        return Answer(200, json.dumps(result).encode())
