# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Decide what is to be done about etcd: found it, finish founding it, or change its members, told in inventory names.

Solves: ``_bootstrap`` and ``_join_order`` decide for members, which have node names, URLs and ids; roles and plays know hosts.
Leaves out: how the cluster is seen (``_etcd_scene``), and the steps around etcd's (``_plan``).
"""

from __future__ import annotations

import dataclasses

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _bootstrap,
    _etcd_scene,
    _giving_way,
    _host_scene,
    _join_order,
    _quorum,
    _request,
)


@dataclasses.dataclass(frozen=True)
class Etcd:
    """Hold what is to be done about etcd, in inventory names.

    `initial_cluster` is ((node name, peer URL), ...); `strays` names members as etcd knows them, since they have no host;
    `obstacles` is ((host, reason, next step), ...). `remove` names the hosts whose members go, in order; `demote` those of them
    that stay, as learners; `lost` the hosts whose member ran and whose data are gone; `dead` is ((host, its member as
    `_join_order` names it), ...) of the members that go before any is added; `learners` the hosts whose members are learners now;
    `moved` is ((host, the peer URLs its member is reached at), ...) where that is not the host's address; `planned` is the whole
    plan, each step with its expected verdict, which calls the member as etcd does; `now` is the cluster as it was seen, `founded`
    as it is before these steps and `at_end` after them; `together`: how many hosts join before the first of them votes.
    """

    action: str
    reason: str
    next_step: str
    token: str
    initial_cluster: tuple
    voters: tuple
    start: tuple
    join: tuple
    promote: tuple
    strays: tuple
    obstacles: tuple
    remove: tuple = ()
    demote: tuple = ()
    lost: tuple = ()
    dead: tuple = ()
    learners: tuple = ()
    moved: tuple = ()
    planned: tuple = ()
    now: _quorum.Cluster = _quorum.Cluster()
    founded: _quorum.Cluster = _quorum.Cluster()
    at_end: _quorum.Cluster = _quorum.Cluster()
    together: int = 1

    @property
    def grow(self):
        """Return the hosts that join or become voters, in order: learners that stand by, then newcomers."""
        waiting = tuple(name for name in self.promote if name not in self.join)
        return tuple(name for name in (*waiting, *self.join) if name not in self.demote)


def plan(settings, hosts, observed, nonce, gone, request, giving):
    """Decide between founding, finishing and joining, and put the hosts in order; `gone` are hosts that are to leave."""
    staying, hosts = hosts, (*hosts, *gone)
    members = tuple(host for host in hosts if host.member)
    old = {host.name: host.node_name for host in staying}.get(giving.old, "")
    wanted = _wanted(settings, hosts, observed, tuple(host.name for host in gone), old)
    first = _join_order.wanted_roles(_quorum.Cluster(), wanted).voters
    states = tuple(_etcd_scene.state(host, observed.get(host.name)) for host in members)
    decision = _bootstrap.decide(states, first, settings.cluster_name or "", nonce, _elsewhere(hosts, observed))
    if decision.action == _bootstrap.RENEW and request.kind != _request.CONVERGE:
        # Only site.yml looks again when it has renewed them; any other change is decided on what is known.
        decision = dataclasses.replace(decision, action=_bootstrap.REFUSE)
    cluster = now = _etcd_scene.cluster(hosts, observed)
    if decision.action in (_bootstrap.BOOTSTRAP, _bootstrap.RESUME):
        cluster = _founded(decision.initial_cluster, members, cluster.ours)
    cluster = _giving_way.learners_started(cluster, staying, observed)
    roles = _join_order.at_rest(cluster, wanted)
    named = _names(hosts, cluster)
    planned = () if decision.action in (_bootstrap.REFUSE, _bootstrap.RENEW) else _join_order.preview(cluster, wanted)
    planned = tuple(_of_host(one, named) for one in planned)
    lost = tuple(named[name] for name in _join_order.lost(cluster, wanted) if name in named)

    def targets(*kinds):
        return tuple(dict.fromkeys(one.step.target for one in planned if one.step.kind in kinds))

    promote = targets(_quorum.PROMOTE)
    standing = [member for member in cluster.learners if named.get(member.id, member.id) not in promote]
    return Etcd(
        action=decision.action,
        reason=decision.reason,
        next_step=decision.next_step,
        token=decision.token,
        initial_cluster=tuple(decision.initial_cluster),
        voters=tuple(sorted(named[name] for name in roles.voters)),
        start=tuple(sorted(named.get(name, name) for name in decision.start)),
        join=targets(_quorum.ADD_LEARNER, _join_order.START),
        promote=promote,
        strays=tuple(sorted(member.label for member in cluster.strays)),
        obstacles=tuple(
            (named[obstacle.host], obstacle.reason, obstacle.next_step.format(host=named[obstacle.host]))
            for obstacle in _join_order.obstacles(cluster, wanted)
            if obstacle.host in named and observed.get(named[obstacle.host]) and named[obstacle.host] not in request.renewed
        ),
        remove=targets(_quorum.REMOVE),
        demote=tuple(n for n in targets(_quorum.REMOVE) if n in {host.name for host in staying} and n not in lost),
        lost=lost,
        dead=tuple((named.get(target, target), target) for target in _join_order.dead(cluster, wanted) if planned),
        learners=tuple(sorted(named[member.id] for member in cluster.learners if member.id in named)),
        moved=_moved(staying, cluster, observed, request.renewed),
        planned=planned,
        now=now,
        founded=cluster,
        at_end=_join_order.at_end(cluster, wanted),
        together=_join_order.together(len(standing)),
    )


def _of_host(planned, named):
    """Return a planned step with its host's inventory name as the target; a member without a host keeps its own."""
    target = planned.step.target
    return dataclasses.replace(planned, step=dataclasses.replace(planned.step, target=named.get(target, target)))


def _moved(hosts, cluster, observed, renewed):
    """Return (host, peer URLs) of the members that others reach at another address than their host's.

    A host whose data are gone, or that is renewed, is another machine, and gets another member.
    """
    return tuple(
        (host.name, member.peer_urls)
        for host in hosts
        for member in cluster.members
        if host.member and member.name == host.node_name and host.peer_url not in member.peer_urls
        if host.address and host.name not in renewed and ((observed.get(host.name) or {}).get("etcd") or {}).get("data")
    )


def _elsewhere(hosts, observed):
    """Return in words what shows that an etcd cluster exists although no listed member has data.

    So it is when a group etcd is added to a cluster that has etcd on its masters, or is lost from the inventory, and when the
    disks of all members are empty or not mounted. A master gets its API server's unit, and its kubelet its credentials, once etcd
    has served, and both go before etcd's data where a host is left bare: a founding that was cut off, or a reset, shows neither.
    """
    shown = []
    for host in hosts:
        seen = observed.get(host.name) or {}
        if not host.member and seen.get("etcd", {}).get("data"):
            shown.append(f"{host.name} holds etcd data and is no etcd host in the inventory")
        urls = (seen.get("api_server") or {}).get("etcd_servers")
        if urls:
            shown.append(f"the API server of {host.name} uses the etcd at {', '.join(sorted(urls))}")
        elif _host_scene.has_api_server(seen):
            shown.append(f"{host.name} has an API server, which comes after etcd has served")
        elif host.master and seen.get("kubelet_credentials"):
            shown.append(f"the kubelet of the master {host.name} has credentials, which come after etcd has served")
    return tuple(shown)


def _founded(initial_cluster, members, ours):
    """Return the cluster as it will be once the first voters serve; the others join that."""
    of = {host.peer_url: ((host.client_url,), host.zone) for host in members}
    founders = tuple(_quorum.Member(name, name, False, True, 0, (url,), *of.get(url, ((), ""))) for name, url in initial_cluster)
    return _quorum.Cluster(founders, founders[0].id if founders else "", ours=ours)


def _names(hosts, cluster):
    """Return {node name, peer URL, member name or id: inventory name}.

    A member has the name that its host had when it joined: a new machine under the inventory name may have another.
    """
    named = {host.node_name: host.name for host in hosts}
    named.update({host.peer_url: host.name for host in hosts if host.member})
    for member in cluster.members:
        known = [named[url] for url in (*member.peer_urls, member.name) if url in named]
        if known:
            named[member.id] = known[0]
            named.setdefault(member.name, known[0])
    return named


def _wanted(settings, hosts, observed, leaving, stand_by):
    """Return what _join_order is to reach; the API servers of masters that leave stop before their members do.

    Who leaves is known by its peer URL alone: a host that stays may have got its name.
    """
    servers = [host for host in hosts if host.name not in leaving]
    node_names = {host.name: host.node_name for host in servers}
    return _join_order.Wanted(
        hosts=tuple(_wanted_host(host, observed.get(host.name)) for host in hosts if host.member),
        even_voters=settings.even_voters,
        stand_by=stand_by,
        leaving=tuple(host.peer_url for host in hosts if host.member and host.name in leaving),
        api_servers=tuple((node_names[name], urls) for name, urls in _etcd_scene.api_servers(servers, observed)),
    )


def _wanted_host(host, observation):
    return _join_order.Host(
        name=host.node_name,
        zone=host.zone,
        peer_url=host.peer_url,
        client_url=host.client_url,
        data=observation["etcd"]["data"] if observation else None,
        unasked=_etcd_scene.unasked(observation),
        leftover=host.etcd_leftover,
    )
