# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Write a Topology as the fact `multimaster`, from which playbooks, filters and roles learn about other hosts.

Leaves out: every decision, which is in the Topology already (``_topology``).
"""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _downgrade,
    _releases,
    _request,
    _topology,
    _turns,
)

# Of the Service network: cluster DNS has the tenth address by convention, `kubernetes` the first, which the API server takes.
DNS_OFFSET = 10
API_SERVICE_OFFSET = 1


def as_fact(topology, run="", undecided=False):
    """Return the fact `multimaster`: plain data, each key of which a playbook, a filter or an action reads.

    `run` names this run. `undecided`: voters that cannot be spared are looked at, and all is decided again.
    """
    settings = topology.settings
    hosts = {host.name: _host_fact(host, topology) for host in (*topology.hosts, *topology.leaving)}
    peer_urls = {host.name: host.peer_url for host in (*topology.hosts, *topology.leaving)}
    orders = {**dict(topology.order), **_etcd_orders(topology, undecided)}
    rolling_workers = orders.pop("roll_workers")
    return {
        "run": run,
        "cluster": {"name": settings.cluster_name},
        "endpoint": _endpoint_fact(topology),
        "network": _network_fact(settings),
        "etcd": _etcd_fact(topology),
        "artifact_source": settings.artifact_source,
        "kubeconfig": settings.kubeconfig,
        "ca_store": settings.ca_store,
        "ca_may_be_created": topology.ca_may_be_created,
        "masters": list(topology.masters),
        "workers": list(topology.workers),
        "members": list(topology.members),
        "joining": list(topology.joining),
        "downgrade": topology.downgrade[1],
        "way_back": topology.way_back,
        "turns": list(topology.turns),
        "learners": list(topology.etcd.learners),
        "later": list(topology.giving.later),
        "drains": topology.drains,
        "upgrade_batch": settings.upgrade_batch,
        "leaving": [_leaving_fact(host, topology) for host in topology.leaving],
        "asked": list(topology.asked),
        "lock": {"host": topology.lock_host, "places": list(topology.lock_places)},
        "forgotten": [dict(one, peer_url=peer_urls[one["name"]]) for one in topology.forgotten],
        "hosts": hosts,
        "roll_workers": _turns.batches(rolling_workers, hosts, settings.upgrade_batch),
        "order": {name: _topology.host_pattern(names) for name, names in orders.items()},
    }


def _etcd_orders(topology, undecided):
    """Return the orders that are about etcd as a whole: who saves it, who tells it to go back or not to, who sees that it has.

    And whether there is anything to look at before all is decided again, by the controller (``again``).
    """
    speaker, state = topology.downgrade
    return {
        "snapshot": [topology.snapshot] if topology.snapshot else [],
        "downgrade": [speaker] if speaker else [],
        "downgraded": [speaker] if state == _downgrade.ENABLED else [],
        "sole_voters": topology.giving.voters if undecided else [],
        "again": ["localhost"] if undecided else [],
    }


def turns_fact(settings, kind, hooks):
    """Return the part of the fact that says what comes with each host's turn; nothing unless hosts are upgraded or restarted.

    `kind` is that of the request; `hooks` are the files of the user's tasks, by `before` and `after`. `operation` is "" where no
    host takes a turn that was asked for.
    """
    turning = kind in (_request.UPGRADE, _request.ROLL)
    watched = settings.upgrade_canary_seconds if kind == _request.UPGRADE else 0
    return {
        "operation": kind if turning else "",
        "hooks": {name: path if turning else "" for name, path in hooks.items()},
        "canary": {"seconds": watched, "leader_changes": settings.upgrade_canary_leader_changes},
    }


def _endpoint_fact(topology):
    """Return where the API answers, who sees to it, and the port of the API servers behind it."""
    return {
        "address": topology.settings.endpoint_address,
        "port": topology.settings.endpoint_port,
        "api_port": topology.api_port,
        "mode": topology.endpoint_mode,
        "vrid": topology.vrid,
    }


def _network_fact(settings):
    """Return the networks of pods and Services and the two Service addresses that are fixed."""
    first = settings.service_cidr.network_address
    return {
        "plugin": settings.network,
        "pod_cidr": str(settings.pod_cidr),
        "service_cidr": str(settings.service_cidr),
        "cluster_domain": settings.cluster_domain,
        "dns_address": str(first + DNS_OFFSET),
        "api_service_address": str(first + API_SERVICE_OFFSET),
    }


def _etcd_fact(topology):
    """Return what the members are started with and where they serve."""
    return {
        "stacked": topology.stacked,
        "token": topology.etcd.token,
        "initial_cluster": dict(topology.etcd.initial_cluster),
        "endpoints": [host.client_url for host in topology.hosts if host.member],
        "heartbeat_ms": topology.timing.heartbeat_ms,
        "election_ms": topology.timing.election_ms,
    }


def _leaving_fact(host, topology):
    """Return what the others need to know of a host that leaves; its node and member are known by these names."""
    alive = dict(topology.order)["leaving"]
    return {
        "node_name": host.node_name,
        "node": host.master or host.worker,
        "master": host.master,
        "member": host.member,
        "alive": host.name in alive,
        "peer_url": host.peer_url,
        "client_url": host.client_url,
    }


def _host_fact(host, topology):
    """Return one host's place in the cluster; masters use their own API server, workers the endpoint."""
    settings = topology.settings
    local = f"https://{host.address}:{topology.api_port}"
    return {
        "node_name": host.node_name,
        "address": host.address,
        "interface": host.interface,
        "zone": host.zone,
        "master": host.master,
        "worker": host.worker,
        "member": host.member,
        "voter": host.voter,
        "labels": host.labels,
        "taints": host.taints,
        "sets": _releases.sets_for(host.master, host.worker, host.member, settings.network),
        "versions": topology.versions[host.name],
        "vrrp": {"priority": host.vrrp_priority, "peers": list(host.vrrp_peers)},
        "etcd_endpoints": list(host.etcd_endpoints),
        "etcd_now": list(host.etcd_now),
        "etcd_leftover": host.etcd_leftover,
        "peer_url": host.peer_url if host.member else "",
        "client_url": host.client_url if host.member else "",
        "api_server": local if host.master else f"https://{settings.endpoint_address}:{settings.endpoint_port}",
    }
