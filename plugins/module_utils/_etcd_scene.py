# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""See the etcd cluster in what was observed on its hosts, as the decisions about it ask for it.

Solves: each member tells of the cluster as it knows it, and one that was cut off tells of an old one; who was not reached tells
nothing. Leaves out: what is to be done about it (``_etcd_plan``, ``_giving_way``) and how it was read (``_host``).
"""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _bootstrap, _membership, _quorum


def answers(hosts, observed):
    """Return the status of each member that answered, in the order of the hosts."""
    found = (((observed.get(host.name) or {}).get("etcd") or {}).get("status") for host in hosts if host.member)
    return [status for status in found if status and status.get("ok")]


def unasked(observation):
    """Return whether a host's member may run and serve although it told nothing: nobody could ask it.

    Not so while its unit is known not to run, nor where it was looked at repeatedly (`_host`), or its host was not reached.
    """
    etcd = (observation or {}).get("etcd") or {}
    # A fact cache may hold a look of the version before, which did not say so.
    return not (etcd.get("status") or {}).get("asked", True) and etcd["unit"] not in _membership.NOT_RUNNING


def rank(serves, term, index):
    """Return by what one who tells of etcd is ahead of another: one that was cut off tells of an old cluster.

    Who serves comes first. A term is newer than another whatever its index: a leader that was cut off goes on writing what
    nobody keeps.
    """
    return bool(serves), term, index


def newest(told):
    """Return the status whose member is ahead of the others, None of none; a learner, which cannot list the members, last."""

    def order(status):
        return bool(status["members"]), rank(status["healthy"], status["raft_term"], status["raft_index"])

    return max(told, key=order, default=None)


def cluster(hosts, observed):
    """Return what the observations prove of the etcd cluster, as _quorum.Cluster (empty when no member answered)."""
    told = answers(hosts, observed)
    if not told:
        return _quorum.Cluster(ours=frozenset(host.peer_url for host in hosts if host.member))
    ahead = newest(told)
    by_id = {status["member_id"]: status for status in told}
    zones = {target: host.zone for host in hosts if host.member for target in (host.node_name, host.peer_url)}
    return _quorum.Cluster(
        members=tuple(_member(item, by_id.get(item["id"]), zones) for item in ahead["members"]),
        leader_id=ahead["leader_id"],
        cluster_ids=tuple(sorted({status["cluster_id"] for status in told})),
        alarms=tuple(sorted({(one["member_id"], one["alarm"]) for status in told for one in status["alarms"]})),
        ours=frozenset(host.peer_url for host in hosts if host.member),
    )


def _member(item, status, zones=None):
    """Return a listed member; `zones` is {node name or peer URL: zone}."""
    known = [zones[target] for target in (*item["peer_urls"], item["name"]) if target in (zones or {})]
    return _quorum.Member(
        id=item["id"],
        name=item["name"],
        is_learner=item["is_learner"],
        healthy=bool(status["healthy"]) if status else None,
        raft_index=status["raft_index"] if status else 0,
        peer_urls=tuple(item["peer_urls"]),
        client_urls=tuple(item["client_urls"]),
        zone=known[0] if known else "",
    )


def api_servers(hosts, observed):
    """Return (host, etcd URLs in use) of each API server that runs, by inventory name."""
    return tuple(
        (host.name, tuple(observed[host.name]["api_server"]["etcd_servers"]))
        for host in hosts
        if host.master and (observed.get(host.name) or {}).get("api_server")
    )


def alone_on(urls, servers):
    """Return the names of the API servers that have one etcd member alone, with these client URLs.

    Such an API server answers nothing while that member restarts. ``servers``: (name, etcd URLs in use) of each.
    """
    return {name for name, used in servers if used and set(used) <= set(urls)}


def answering(hosts, observed):
    """Return the masters, by inventory name, whose running API server uses a voter that was seen to serve.

    Systemd calls an API server active as long as it tries; without etcd it answers nothing that it is asked.
    """
    serving = {url for member in cluster(hosts, observed).healthy for url in member.client_urls}
    return frozenset(name for name, urls in api_servers(hosts, observed) if serving.intersection(urls))


def state(host, observation):
    """Return what is known of a host that is to have a member, as _bootstrap asks for it."""
    if not observation:
        return _bootstrap.HostState(host.node_name, host.peer_url, reachable=False)
    etcd = observation["etcd"]
    status = etcd.get("status") or {}
    answer = None
    if status.get("ok"):
        own = {status["member_id"]: status}
        answer = _bootstrap.Answer(
            cluster_id=status["cluster_id"],
            leader_id=status["leader_id"],
            # A learner serves no reads, and never campaigns: it names the leader that it had long after that has died.
            healthy=status["healthy"] and not status["is_learner"],
            members=tuple(_member(item, own.get(item["id"])) for item in status["members"]),
        )
    stale = unasked(observation) and bool(etcd.get("stale"))
    return _bootstrap.HostState(host.node_name, host.peer_url, True, etcd["data"], _record(etcd.get("record")), answer, stale)


def _record(data):
    """Return the bootstrap record read from a host, or None when it is not one."""
    try:
        return _bootstrap.Record(str(data["token"]), tuple(sorted((str(k), str(v)) for k, v in data["initial_cluster"].items())))
    except (TypeError, KeyError, AttributeError):
        return None
