# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A living cluster as data, for the tests of health: everything is well, and a test takes away what it is about."""

from __future__ import annotations

import copy
import dataclasses
import functools

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _health,
    _health_view,
    _pki_plan,
    _topology,
    _topology_fact,
)
from cluster_fixtures import ENDPOINT, NUMBERS, address, fresh, inventory, living, member, settings

UNITS = (
    *("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "csr-approver", "haproxy", "keepalived"),
    *("kubelet", "kube-proxy", "containerd", "flanneld", "multimaster-endpoint"),
)
MIB = 1 << 20
APISERVER = "/etc/kubernetes/pki/apiserver.crt"
KUBELET = "/var/lib/kubelet/pki/kubelet-client-current.pem"
CA = "/etc/kubernetes/pki/ca.crt"
# What is told of a member that did not answer.
UNKNOWN = {
    "healthy": False,
    "leader": False,
    "version": "",
    "downgrade": "",
    "raft_index": 0,
    "raft_term": 0,
    "db_size": 0,
    "db_size_in_use": 0,
    "db_size_quota": 0,
}


@dataclasses.dataclass
class Cluster:
    """Everything that was read, to be changed by a test."""

    fact: dict
    observed: dict
    read: dict
    certificates: list
    reasons: dict = dataclasses.field(default_factory=dict)
    own_eviction: tuple = ()

    def view(self):
        certificates = [one for one in self.certificates if self.read.get(one.host)]
        return _health_view.view(self.fact, self.observed, self.read, certificates, self.reasons, self.own_eviction)

    def judge(self):
        seen = self.view()
        findings = _health.judge(seen)
        return findings, _health.verdict(seen, findings)

    def members(self):
        """Return every reader's copy of every member, as (reader, member)."""
        return [(reader, one) for reader, read in self.read.items() if read["etcd"] for one in read["etcd"]["members"]]

    def member(self, called, /, **changes):
        """Let every reader see this of a member."""
        for _reader, one in self.members():
            if one["name"] == called:
                one.update(changes)

    def found(self, check):
        """Return what one check finds, as (host, level, found)."""
        return [(one.host, one.level, one.found) for one in check(self.view())]

    def stop_etcd(self, name, reader=None):
        """Let a member serve nobody, or only not the one reader."""
        for seen_by, one in self.members():
            if one["name"] == name and reader in (None, seen_by):
                one.update(healthy=False, version="")
                url = one["client_urls"][0]
                self.read[seen_by]["etcd"]["errors"].append(f"{url}: etcd at {url}, asked for /status: connection refused")
        if reader is None and name in self.observed:
            self.observed[name]["units"]["etcd"] = "inactive"

    def lose(self, name):
        """Take away a host that cannot be reached, with nothing said about what runs on it."""
        self.observed.pop(name)
        self.read.pop(name)

    def balancers(self):
        return [read["balancer"] for read in self.read.values() if read["balancer"]]

    def apis(self):
        return [read["api"] for read in self.read.values() if read["api"]]

    def endpoints(self):
        return [read["endpoint"] for read in self.read.values() if read["endpoint"]]

    def node(self, name, **changes):
        for api in self.apis():
            for node in api["nodes"] or ():
                if node["name"] == name:
                    node.update(changes)

    def certificate(self, path, **changes):
        for number, one in enumerate(self.certificates):
            if one.path == path:
                self.certificates[number] = dataclasses.replace(one, **changes)
                return
        raise AssertionError(path)


def etcd_part(names, learners=(), **changes):
    members = [
        {
            **member(name, learner=name in learners),
            "healthy": True,
            "leader": name == names[0],
            "version": "3.6.16",
            "downgrade": "",
            "raft_index": 900,
            "raft_term": 3,
            "db_size": 5 * MIB,
            "db_size_in_use": 4 * MIB,
            "db_size_quota": 8192 * MIB,
        }
        for name in names
    ]
    return {
        "error": "",
        "members": members,
        "confirmed": True,
        "cluster_ids": ["77"],
        "leader_id": str(NUMBERS[names[0]]),
        "alarms": [],
        "errors": [],
        **changes,
    }


def api_part(nodes):
    leases = {
        name: {"holder": "m1_6d1f", "age_seconds": 1.5, "duration_seconds": 15}
        for name in ("kube-controller-manager", "kube-scheduler")
    }
    return {"ready": True, "failed": [], "nodes": nodes, "leases": leases, "error": ""}


def balancer_part(name, masters, holder, mode):
    others = [address(one) for one in masters if one != name]
    server = {"proven": True, "status": "up", "up": True, "checked": True, "sessions": 1, "check": "L7OK", "seconds": 9}
    mac = f"02:00:c0:00:02:{NUMBERS[holder]:02x}"
    return {
        "held_on": ["eth0"] if name == holder else [],
        "others": [] if name == holder else [mac.upper()],
        "units": {},
        "haproxy": {},
        "errors": {},
        "vrrp": {"state": "down" if mode != "balanced" else "holder" if name == holder else "backup"},
        "peers": others if mode == "balanced" else None,
        "servers": {one: dict(server, name=one, address=f"{address(one)}:6443") for one in masters}
        if mode == "balanced"
        else None,
    }


def bare_parts(name, host, mode):
    """Return what a host reads that has not joined: it has no credentials, and nothing runs on it."""
    master = host["master"]
    balancer = dict(balancer_part(name, [name], "m1", mode), vrrp={"state": "down"}, peers=None, servers=None)
    return {
        "etcd": {"members": [], "error": "cannot read operator-client.crt"} if master or host["member"] else None,
        "api": dict(api_part(None), ready=False, leases=None, error="cannot read ca.crt") if master else None,
        "endpoint": {"ready": False, "failed": [], "error": "cannot read ca.crt"} if master or host["worker"] else None,
        "balancer": balancer if master and mode != "external" else None,
        "certificates": {},
    }


def cluster(masters=("m1", "m2", "m3"), workers=("w1",), etcd=(), zones=None, learners=(), bare=(), **more):
    """Return a whole cluster; `zones` maps hosts to zones, `bare` are listed and have not joined, `more` are settings."""
    zones = tuple(sorted((zones or {}).items()))
    return copy.deepcopy(_made(masters, workers, etcd, zones, learners, bare, tuple(more.items())))


@functools.cache
def _made(masters, workers, etcd, zones, learners, bare, more):
    """Build it once: working out the topology takes longer than copying."""
    names = tuple(name for name in etcd or masters if name not in bare)
    members = [member(name, learner=name in learners) for name in names]
    hosts = sorted({*masters, *workers, *etcd})
    observed = {name: fresh(name) if name in bare else living(name, members, master=name in masters) for name in hosts}
    topology = _topology.build(settings(**dict(more)), inventory(masters, workers, etcd, dict(zones)), observed, True)
    fact = _topology_fact.as_fact(topology)
    mode, joined = fact["endpoint"]["mode"], [name for name in masters if name not in bare]
    mode = "direct" if mode == "balanced" and len(joined) == 1 else mode
    nodes = [
        {
            "name": name,
            "ready": True,
            "ready_message": "fine",
            "version": "v1.36.3",
            "zone": "",
            "internal_ip": address(name),
            "unschedulable": False,
            "pressures": [],
            "pressure_message": "",
        }
        for name in sorted({*masters, *workers} - {*bare})
    ]
    read, certificates = {}, []
    for name in hosts:
        if name in bare:
            read[name] = bare_parts(name, fact["hosts"][name], mode)
            continue
        observed[name]["units"] = dict.fromkeys(UNITS, "active")
        host = fact["hosts"][name]
        read[name] = copy.deepcopy(
            {
                "etcd": etcd_part(names, learners) if host["master"] or host["member"] else None,
                "api": api_part(nodes) if host["master"] else None,
                "endpoint": {"ready": True, "failed": [], "error": ""} if host["master"] or host["worker"] else None,
                "balancer": balancer_part(name, joined, joined[0], mode) if host["master"] and mode != "external" else None,
                "certificates": {},
            }
        )
        files = _pki_plan.watched(host, fact)
        lives = {"leaf": 365.0, "kubelet": 365.0, "authority": 3650.0}
        certificates += [_health_view.Certificate(name, path, kind, lives[kind] - 1, lives[kind]) for path, kind in files.items()]
    assert fact["endpoint"]["address"] == ENDPOINT
    return Cluster(fact, observed, read, certificates)


def told(findings, check):
    return [finding for finding in findings if finding.check == check]
