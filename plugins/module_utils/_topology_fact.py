# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Write a Topology as the fact `multimaster`, from which playbooks, filters and roles learn about other hosts.

Leaves out: every decision, which is in the Topology already (``_topology``).
"""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _downgrade,
    _endpoint,
    _pki_plan,
    _releases,
    _topology,
    _turns,
    _upgrade,
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
    orders = {**dict(topology.order), **_etcd_orders(topology, undecided)}
    rolling_workers, leaving = orders.pop("roll_workers"), _leaving_fact(topology)
    api = {"endpoint": _endpoint_fact(topology), "network": _network_fact(settings)}
    return {
        "run": run,
        "cluster": {"name": settings.cluster_name},
        **api,
        "api_names": list(_pki_plan.api_names(api)),
        "etcd": _etcd_fact(topology, leaving["members"]),
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
        "to_drain": _to_drain(topology, [*orders["roll"], *orders["roll_late"], *rolling_workers]),
        "uncordoned": _uncordoned(topology),
        "allow_outage": topology.allow_outage,
        "upgrade_batch": settings.upgrade_batch,
        "leaving": leaving,
        "asked": list(topology.asked),
        "lock": {"host": topology.lock_host, "places": list(topology.lock_places)},
        "forgotten": _forgotten_fact(topology),
        "hosts": hosts,
        "roll_workers": _turns.batches(rolling_workers, hosts, settings.upgrade_batch),
        "order": {name: _topology.host_pattern(names) for name, names in orders.items()},
    }


def _uncordoned(topology):
    """Return the masters' nodes that nobody else may have cordoned: who did so is at work there.

    Of a former self that is forgotten nobody is: whoever cordoned it did so before its host died.
    """
    forgotten = topology.forgotten["nodes"]
    return [host.node_name for host in topology.hosts if host.master and host.name not in forgotten]


def _to_drain(topology, restarting):
    """Return the nodes whose pods move away in a turn, as far as that is known beforehand.

    What restarts for the sake of a setting is known only when its unit is written. Who leaves is none of them: somebody who has
    cordoned it wants no more than that either.
    """
    turning = {name for step in topology.plan.steps if step.kind == _upgrade.NODES for name in step.hosts}.union(restarting)
    return [host.node_name for host in topology.hosts if host.name in turning and host.name in topology.drains]


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


def _endpoint_fact(topology):
    """Return where the API answers, who sees to it, who could take the address, and the port of the API servers behind it.

    ``serves_on``: the seconds an API server that stops goes on serving, until whoever sends it connections has found out;
    ``first``: whether masters get their parts in this before any of them has its turn.
    """
    theirs = topology.endpoint_mode == _endpoint.EXTERNAL
    return {
        "address": topology.settings.endpoint_address,
        "port": topology.settings.endpoint_port,
        "api_port": topology.api_port,
        "serves_on": topology.settings.endpoint_check_seconds if theirs else _endpoint.SERVES_ON,
        "mode": topology.endpoint_mode,
        "able": list(topology.endpoint_able),
        "first": topology.endpoint_first,
        "vrid": topology.vrid,
    }


def _network_fact(settings):
    """Return the networks of pods and Services and the two Service addresses that are fixed.

    ``pods``: whether pods get addresses from us; ``deployments``: what is available only then, so is waited for only then.
    """
    first = settings.service_cidr.network_address
    return {
        "flannel": settings.network == "flannel",
        "pods": settings.network != "none",
        "deployments": ["coredns"] if settings.network != "none" else [],
        "pod_cidr": str(settings.pod_cidr),
        "service_cidr": str(settings.service_cidr),
        "cluster_domain": settings.cluster_domain,
        "dns_address": str(first + DNS_OFFSET),
        "api_service_address": str(first + API_SERVICE_OFFSET),
    }


def _etcd_fact(topology, leaving):
    """Return what the members are started with and where they serve.

    ``asked``: members that leave (``leaving``) are asked too while they are there, since of two the one that stays may be the
    learner, which cannot tell of the cluster. ``ours``: by these names and peer URLs a member is known as one of ours, not a
    stranger's. ``together``: how many join before the first of them votes.
    """
    members = [host for host in topology.hosts if host.member]
    return {
        "stacked": topology.stacked,
        "token": topology.etcd.token,
        "together": topology.etcd.together,
        "initial_cluster": dict(topology.etcd.initial_cluster),
        "endpoints": [host.client_url for host in members],
        "asked": [host.client_url for host in members] + [one["client_url"] for one in leaving],
        "ours": [host.node_name for host in members] + [host.peer_url for host in (*members, *topology.leaving)],
        "heartbeat_ms": topology.timing.heartbeat_ms,
        "election_ms": topology.timing.election_ms,
    }


def _leaving_fact(topology):
    """Return who leaves and can be reached, in the order in which they do: ``nodes``, ``masters`` and ``members``.

    ``next_member``: in a list, the first whose member is in etcd still: a run that was cut off may have taken out others.
    ``balancers``: in inventory names, the masters among them that may run a balancer of ours.
    """
    orders = dict(topology.order)
    alive = orders["leaving"]

    def told(parts):
        leaving = [host for host in topology.leaving if host.name in alive and any(getattr(host, part) for part in parts)]
        return [{"node_name": one.node_name, "peer_url": one.peer_url, "client_url": one.client_url} for one in leaving]

    hosts = {"nodes": told(("master", "worker")), "masters": told(("master",)), "members": told(("member",))}
    here = {host.node_name for host in topology.leaving if host.name in topology.etcd.remove}
    following = [one for one in hosts["members"] if one["node_name"] in here]
    return {**hosts, "next_member": following[:1], "balancers": list(orders["leaving_balancers"])}


def _forgotten_fact(topology):
    """Return what is forgotten before anything joins: ``nodes`` and ``members``.

    ``address``: by which the node of a host that leaves is found, since one that cannot be asked may have another hostname than
    the inventory's name; "" where a host that stays has it. Of a renewed host it is its own: its new kubelet has no node yet, so
    whoever has that address is its former self, whatever that was called.
    """
    hosts = {host.name: host for host in (*topology.hosts, *topology.leaving)}
    taken = {host.address for host in topology.hosts if host.name not in topology.forgotten["nodes"]}
    addresses = {name: host.address for name, host in hosts.items() if host.address not in taken}
    nodes, members = ([hosts[name] for name in topology.forgotten[part]] for part in ("nodes", "members"))
    return {
        "nodes": [{"node_name": host.node_name, "address": addresses.get(host.name, "")} for host in nodes],
        "members": [{"node_name": host.node_name, "peer_url": host.peer_url} for host in members],
    }


def _host_fact(host, topology):
    """Return one host's place in the cluster; masters use their own API server, workers the endpoint.

    ``neighbour``: the master to ask while its own API server is away, one that can answer if there is one; itself where there is
    no other. ``balances``: whether it takes part in an endpoint that can move. ``drains``: whether its pods move away in a turn.
    """
    settings = topology.settings
    others = [name for name in topology.speakers if name != host.name]
    local = f"https://{host.address}:{topology.api_port}"
    return {
        "node_name": host.node_name,
        "address": host.address,
        "interface": host.interface,
        "zone": host.zone,
        "master": host.master,
        "worker": host.worker,
        "member": host.member,
        "node": host.master or host.worker,
        "drains": host.name in topology.drains,
        "balances": host.master and topology.endpoint_mode == _endpoint.BALANCED,
        "neighbour": (others or [host.name])[0],
        "voter": host.voter,
        "labels": host.labels,
        "taints": host.taints,
        "sets": _releases.sets_for(host.master, host.worker, host.member, settings.network),
        "versions": topology.versions[host.name],
        "vrrp": {"priority": host.vrrp_priority, "peers": list(host.vrrp_peers)},
        "etcd_endpoints": list(host.etcd_endpoints),
        "etcd_now": list(host.etcd_now),
        "etcd_used": list(host.etcd_used),
        "etcd_leftover": host.etcd_leftover,
        "replaces": host.replaces,
        "peer_url": host.peer_url if host.member else "",
        "client_url": host.client_url if host.member else "",
        "api_server": local if host.master else f"https://{settings.endpoint_address}:{settings.endpoint_port}",
    }
