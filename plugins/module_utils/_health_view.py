# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Hold what was read of a living cluster, and answer the questions that several checks ask of it.

Leaves out: judging (`_health` and the checks it lists) and reading (`_health_reading`).
"""

from __future__ import annotations

import dataclasses
import re

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _etcd_scene, _quorum

# Errors of the clients say "... at WHERE, asked for WHAT: WHY".
ASKED = re.compile(r"asked for .*?: (.*)$", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class Certificate:
    """Hold when a certificate ends: `days_left` None when there is none that can be read, `days` its whole life.

    `lacks` are the names and addresses that it must be for and is not.
    """

    host: str
    path: str
    kind: str
    days_left: float | None = None
    days: float = 365.0
    lacks: tuple = ()


@dataclasses.dataclass(frozen=True)
class View:
    """Hold everything a check may look at, by inventory name.

    `cluster` is the fact `multimaster`, `observed` what host_info and `read` what health_info returned; a host that could
    not be asked has no entry, and `reasons` says why. `etcd` and `answers` are worked out by `view`.
    `own_eviction` are the hosts whose kubelet is given limits of the user's own.
    """

    cluster: dict
    observed: dict
    read: dict
    certificates: tuple
    reasons: dict
    etcd: _quorum.Cluster
    answers: tuple
    own_eviction: frozenset = frozenset()

    @property
    def masters(self):
        """Return the masters."""
        return self.cluster["masters"]

    @property
    def mode(self):
        """Return the state of the endpoint: direct, balanced or external."""
        return self.cluster["endpoint"]["mode"]

    @property
    def url(self):
        """Return where the API is."""
        return "https://{address}:{port}".format(**self.cluster["endpoint"])

    @property
    def survival(self):
        """Return how many voters there are and how many are proven healthy."""
        return _quorum.Survival(len(self.etcd.voters), len(self.etcd.healthy))

    def host(self, name):
        """Return a host's place in the wanted cluster."""
        return self.cluster["hosts"][name]

    def part(self, name):
        """Return {host: that part of what it read} of every host that read it."""
        return {host: read[name] for host, read in sorted(self.read.items()) if read.get(name) is not None}

    def host_of(self, member):
        """Return the host a member of etcd belongs to, "" when the inventory knows none."""
        for name, host in self.cluster["hosts"].items():
            if host["member"] and (host["peer_url"] in member.peer_urls or member.name == host["node_name"]):
                return name
        return ""

    def place_of(self, member):
        """Return how to call a member of etcd: by its host, or as etcd does when the inventory knows none."""
        return self.host_of(member) or member.label

    def member_of(self, name):
        """Return the member of etcd that a host carries, or None."""
        return next((member for member in self.etcd.members if self.host_of(member) == name), None)

    def unit(self, name, unit):
        """Return a sentence on a unit that does not run, "" when it runs or nobody knows."""
        state = self.observed.get(name, {}).get("units", {}).get(unit, "active")
        return "" if state == "active" else f"; the unit {unit} is {state}"


def view(cluster, observed, read, certificates=(), reasons=None, own_eviction=()):
    """Return the View of what was read; entries that are None count as absent."""
    observed = {name: seen for name, seen in observed.items() if seen}
    read = {name: seen for name, seen in read.items() if seen}
    answers = tuple((name, read[name]["etcd"]) for name in sorted(read) if (read[name].get("etcd") or {}).get("members"))
    ours = frozenset(host["peer_url"] for host in cluster["hosts"].values() if host["member"])
    reasons, own_eviction = dict(reasons or {}), frozenset(own_eviction)
    return View(cluster, observed, read, tuple(certificates), reasons, merged(answers, ours), answers, own_eviction)


def merged(answers, ours):
    """Return etcd as all readers together prove it: a member is healthy when one of them saw it serve just now."""
    if not answers:
        return _quorum.Cluster(ours=ours)
    best = max((answer for _name, answer in answers), key=_newest)
    seen = [member for _name, answer in answers for member in answer["members"]]
    return _quorum.Cluster(
        members=tuple(
            _quorum.Member(
                id=member["id"],
                name=member["name"],
                is_learner=member["is_learner"],
                healthy=any(other["healthy"] for other in seen if other["id"] == member["id"]),
                peer_urls=tuple(member["peer_urls"]),
                client_urls=tuple(member["client_urls"]),
            )
            for member in best["members"]
        ),
        leader_id=best["leader_id"],
        cluster_ids=tuple(sorted({one for _name, answer in answers for one in answer["cluster_ids"]})),
        alarms=tuple(sorted({(one["member_id"], one["alarm"]) for _name, answer in answers for one in answer["alarms"]})),
        ours=ours,
    )


def _newest(answer):
    def rank(member):
        return _etcd_scene.rank(answer["confirmed"], member["raft_term"], member["raft_index"])

    return max(rank(member) for member in answer["members"]), bool(answer["leader_id"])


def cause(text):
    """Return the end of an error's text, after where and what was asked."""
    match = ASKED.search(text)
    return match.group(1) if match else text
