# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show a cluster that is played as hosts are observed, to the planner that users get.

The names of machines stand for their node addresses, so the planner's URLs are those of the models.
"""

from __future__ import annotations

import functools

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _request, _topology
from cluster_fixtures import fresh, settings

FRESH = fresh("m1")


def topology(cluster, request=_request.CONVERGING):
    """Return the Topology of what is asked of this cluster, where those that leave are still listed."""
    names = sorted(cluster.goal | cluster.leaving)
    machines = [cluster.machines[name] for name in names]
    masters, members = (tuple(m.name for m in machines if getattr(m, role)) for role in ("master", "member"))
    hosts = tuple(_topology.InventoryHost(m.name, m.zone, node_address=m.name) for m in machines)
    # without a group etcd the members are on the masters
    etcd = () if set(members) <= set(masters) else members
    inventory = _topology.Inventory(masters, (), etcd, hosts, ("kube_control_plane", "kube_node"))
    seen = {m.name: host(cluster, m) for m in machines if m.up}
    return _topology.build(_settings(cluster.even_voters), inventory, seen, True, nonce="x", request=request)


@functools.cache
def _settings(even_voters):
    return settings(even_voters=even_voters)


def host(cluster, machine):
    """Return what is observed of a machine that answers."""
    name, part = machine.name, cluster.segment.parts[machine.name]
    running, data = name in cluster.etcd.running, name in cluster.etcd.logs
    units = {
        "etcd": "active" if running else "failed" if data else "not-found",
        "kube-apiserver": "not-found" if machine.api is None else "active",
        "kubelet": "active" if machine.joined else "not-found",
        "haproxy": "active" if part.balancer else "inactive",
        "keepalived": "active" if part.vrrp else "inactive",
        "multimaster-endpoint": "active" if part.direct else "inactive",
    }
    record = {"name": "prod", "etcd_leftover": machine.leftover, "replaces": machine.replaces}
    return {
        **FRESH,
        "hostname": name,
        "addresses": [],
        "units": units,
        "certificates": data or machine.api is not None,
        "cluster": record if data or machine.api is not None or machine.replaces else None,
        "kubelet_credentials": machine.joined,
        "api_server": None if machine.api is None else {"etcd_servers": list(machine.api)},
        "endpoint_address": {"held_on": ["eth0"] * part.address + ["lo"] * part.cover},
        "etcd": {"data": data, "record": None, "first_start": False, "unit": units["etcd"], "status": _status(cluster, name)},
    }


def _status(cluster, name):
    """Return what the etcd of a host says, None where none runs."""
    etcd, own = cluster.etcd, cluster.etcd.of(name)
    if name not in etcd.running:
        return None
    answers = own is not None and etcd.up(own)
    return {
        "ok": answers,
        "asked": True,
        "member_id": etcd.logs[name].member,
        "cluster_id": "c",
        "leader_id": etcd.leader,
        "is_learner": answers and own.learner,
        "raft_term": 1,
        "raft_index": etcd.logs[name].index,
        "healthy": answers and etcd.serves(),
        "alarms": [],
        "members": [] if not answers or own.learner else [_listed(member) for member in etcd.listed()],
    }


def _listed(member):
    return {
        "id": member.id,
        "name": member.name,
        "peer_urls": [member.peer_url],
        "client_urls": [member.client_url] if member.name else [],
        "is_learner": member.learner,
    }
