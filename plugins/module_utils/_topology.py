# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Work out the whole cluster once, from settings, inventory and what was observed on the hosts.

The result becomes the fact `multimaster` (_topology_fact), the only place roles learn about other hosts from. Inventory order
means nothing: every list is sorted or in an order that a rule gives. Leaves out: judging (_preflight) and doing.
"""

from __future__ import annotations

import dataclasses
import ipaddress

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _bootstrap,
    _endpoint,
    _join_order,
    _lock,
    _plan,
    _quorum,
    _request,
    _timing,
)

NOBODY = "all:!all"
API_PORT = 6443
ETCD_CLIENT_PORT = 2379
ETCD_PEER_PORT = 2380
ZONE_LABEL = "topology.kubernetes.io/zone"
CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"

MASTER_GROUP = "kube_control_plane"
WORKER_GROUP = "kube_node"
ETCD_GROUP = "etcd"


@dataclasses.dataclass(frozen=True)
class InventoryHost:
    """Hold what the inventory says of one host."""

    name: str
    zone: str = ""
    node_address: str = ""
    ansible_host: str = ""


@dataclasses.dataclass(frozen=True)
class Inventory:
    """Hold the three groups, what is said of their hosts, and all group names; no etcd group means stacked."""

    masters: tuple = ()
    workers: tuple = ()
    etcd: tuple = ()
    hosts: tuple = ()
    groups: tuple = ()

    @property
    def names(self):
        """Return every host of the cluster, sorted."""
        return tuple(sorted(set(self.masters) | set(self.workers) | set(self.etcd)))

    @property
    def members(self):
        """Return the hosts that carry an etcd member, sorted."""
        return tuple(sorted(set(self.etcd or self.masters)))

    def without(self, leaving):
        """Return the inventory as it will be when these hosts are gone; a group etcd stays one, even when it is empty."""
        masters, workers, etcd = (
            tuple(name for name in names if name not in leaving) for names in (self.masters, self.workers, self.etcd)
        )
        hosts = tuple(host for host in self.hosts if host.name not in leaving)
        return dataclasses.replace(self, masters=masters, workers=workers, etcd=etcd, hosts=hosts)


@dataclasses.dataclass(frozen=True)
class Host:
    """Hold one host's place in the cluster; `voter` is its wanted role in etcd.

    `etcd_endpoints`: what its API server is to use; `etcd_now`: what it has to use until the voters have changed.
    """

    name: str
    node_name: str
    address: str
    interface: str
    prefix: int
    zone: str
    master: bool
    worker: bool
    member: bool
    voter: bool = False
    vrrp_priority: int = 0
    vrrp_peers: tuple = ()
    etcd_endpoints: tuple = ()
    etcd_now: tuple = ()
    etcd_leftover: bool = False

    @property
    def client_url(self):
        """Return where the host's etcd member serves clients."""
        return f"https://{self.address}:{ETCD_CLIENT_PORT}"

    @property
    def peer_url(self):
        """Return where the other members reach the host's etcd member."""
        return f"https://{self.address}:{ETCD_PEER_PORT}"

    @property
    def labels(self):
        """Return the labels the kubelet gives its own node; an etcd-only host is no node and has none.

        The role is not among them: a kubelet may not set node-role labels (NodeRestriction), the operator does.
        """
        return {ZONE_LABEL: self.zone} if self.zone and (self.master or self.worker) else {}

    @property
    def taints(self):
        """Return the node's taints: a master that is no worker too takes no pods of others."""
        return [{"key": CONTROL_PLANE_LABEL, "effect": "NoSchedule"}] if self.master and not self.worker else []


@dataclasses.dataclass(frozen=True)
class Etcd:
    """Hold what is to be done about etcd, in inventory names.

    `initial_cluster` is ((node name, peer URL), ...); `strays` names members as etcd knows them, since they have no host;
    `obstacles` is ((host, reason, next step), ...). `remove` names the hosts whose members go, in order; `demote` those of them
    that stay, as learners; `lost` the hosts whose member ran and whose data are gone; `learners` those that are learners now;
    `moved` is ((host, the peer URLs its member is reached at), ...) where that is not the host's address; `planned` is the whole
    plan, each step with its expected verdict, and `at_end` the cluster after it.
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
    learners: tuple = ()
    moved: tuple = ()
    planned: tuple = ()
    at_end: _quorum.Cluster = _quorum.Cluster()


@dataclasses.dataclass(frozen=True)
class GivingWay:
    """Hold who makes room for whom in a group of two etcd members, in inventory names.

    Restarting a voter of such a group in place would be an outage of the API. So the other votes instead, and it comes back as
    the learner that stands by, whatever it has to restart for. `voters`: those that cannot restart in place, () when none could
    be taken over from; `old`: the one that makes room, `heir`: the other, "" for nobody; `later`: voters that have to restart
    too and do so in another run, since of two that vote only one can make room at a time.
    """

    voters: tuple = ()
    old: str = ""
    heir: str = ""
    later: tuple = ()


@dataclasses.dataclass(frozen=True)
class Topology:
    """Hold the whole wanted cluster and the orders in which to reach it."""

    settings: object
    hosts: tuple
    masters: tuple
    workers: tuple
    members: tuple
    stacked: bool
    endpoint_mode: str
    vrid: int
    etcd: Etcd
    timing: _timing.Timing
    order: tuple
    joining: tuple
    ca_may_be_created: bool
    leaving: tuple = ()
    forgotten: tuple = ()
    asked: tuple = ()
    turns: tuple = ()
    drains: bool = False
    snapshot: str = ""
    downgrade: tuple = ("", "")
    way_back: dict = dataclasses.field(default_factory=lambda: {"etcd": {}, "control": {}, "node": {}, "end": ""})
    lock_host: str = ""
    lock_places: tuple = ()
    plan: _plan.Plan = _plan.Plan()
    giving: GivingWay = GivingWay()

    @property
    def api_port(self):
        """Return the port every API server listens on.

        Without a balancer in between an API server answers at the endpoint address itself, so ours listen on the endpoint's
        port; behind somebody else's balancer they keep the usual one, whatever the balancer listens on.
        """
        return API_PORT if self.endpoint_mode == _endpoint.EXTERNAL else self.settings.endpoint_port


def build(
    settings,
    inventory,
    observed,
    ca_store_exists=False,
    nonce="",
    acts=True,
    request=_request.CONVERGING,
    allow_outage=False,
    drifted=(),
):
    """Return the Topology of the wanted cluster: of `inventory` without the hosts that are to leave.

    `observed` maps inventory names to observations (`multimaster_host`); a missing one is an unreachable host, and
    unknown counts as bad. `nonce` goes into the token of a new etcd cluster, so that no two clusters share one. `acts`
    is false in check mode, which starts nothing: then only an API server that runs already can be asked. `allow_outage` allows
    restarting the only voter. `drifted` names the hosts whose etcd runs with other settings than it should.
    """
    placed = _placed(inventory, observed, settings.endpoint_address)
    inventory = inventory.without(request.leaving)
    bare, gone = (tuple(host for host in placed if (host.name in request.leaving) is out) for out in (False, True))
    giving = GivingWay()
    if request.kind != _request.MOVE:  # which restarts nobody
        giving = _giving_way(settings, bare, observed, _restarting(settings, bare, observed, request, drifted))
    etcd = _etcd(settings, bare, observed, nonce, gone, request, giving)
    going = _going(gone, observed)
    masters = tuple(sorted(set(inventory.masters)))
    mode = _endpoint.wanted_state(masters, settings.endpoint_mode)
    joining = _joining(bare, observed)
    coming = _coming(bare, observed, joining)
    served = tuple(host.name for host in placed if host.master and host.name not in {one.name for one in coming})
    rolling, late = _rolling(bare, observed, request, _turns(bare, observed), giving), _late(bare, observed, request, giving)
    scene = _plan.Scene(
        going=going,
        coming=coming,
        renewed=request.renewed,
        lost=tuple(host.node_name for host in bare if host.name in etcd.lost),
        etcd=etcd.planned,
        founders=etcd.start,
        masters=masters,
        mode_before=_endpoint.wanted_state(served, settings.endpoint_mode) if served else "",
        mode=mode,
        rolling=rolling,
        verdicts=_restart_verdicts(bare, observed, [name for name, *_ in rolling], allow_outage, late, etcd.at_end),
        api_servers=_api_servers(bare, observed),
        late=late,
        giving=(giving.old, giving.heir),
        later=giving.later,
        parts=tuple(_part(name, observed.get(name)) for name in masters),
    )
    plan = _plan.plan(request, scene)
    return Topology(
        settings=settings,
        hosts=_complete(bare, masters, etcd, etcd_cluster(bare, observed)),
        masters=masters,
        workers=tuple(sorted(set(inventory.workers))),
        members=inventory.members,
        stacked=set(inventory.members) == set(masters),
        endpoint_mode=mode,
        vrid=_endpoint.vrid(settings.cluster_name or "", settings.endpoint_address or ""),
        etcd=etcd,
        timing=_measured_timing(inventory.members, observed),
        order=tuple(
            sorted(
                {
                    **_orders(inventory, observed, etcd, mode, joining, acts),
                    **_parting(going),
                    **_rolled(scene, bare),
                    **_moving(request, plan, scene.parts),
                    "sole_voters": giving.voters,
                }.items()
            )
        ),
        joining=joining,
        leaving=tuple(sorted(gone, key=lambda host: etcd.remove.index(host.name) if host.name in etcd.remove else -1)),
        forgotten=_forgotten(going, bare, request.renewed, etcd.lost, joining),
        asked=request.nodes or (settings.cluster_name,),
        turns=_turns(bare, observed),
        drains=request.kind == _request.UPGRADE,
        lock_host=next(iter(_speaker(masters, observed, acts=True)), ""),
        lock_places=_lock.places(len(masters), any(_serves(observed.get(name)) for name in masters)),
        plan=plan,
        giving=giving,
        ca_may_be_created=not ca_store_exists
        and all(observed.get(name) and not observed[name].get("certificates") for name in inventory.names),
    )


def node_address(host, observation, endpoint_address=None):
    """Return the host's node address.

    As set; else ansible_host when that is an address of the host (behind address translation it is not); else the
    address of the default route.
    """
    if host.node_address:
        return host.node_address
    own = [item["address"] for item in (observation or {}).get("addresses", ()) if item["address"] != endpoint_address]
    try:
        reached = str(ipaddress.IPv4Address(host.ansible_host))
    except ValueError:
        reached = ""
    if reached and (observation is None or reached in own):
        return reached
    return (observation or {}).get("default_address", "")


def placement(address, observation):
    """Return (interface, prefix) that carry `address` on the observed host, ("", 0) when none does."""
    for item in (observation or {}).get("addresses", ()):
        if address and item["address"] == address:
            return item["interface"], int(item["prefix"])
    return "", 0


def host_pattern(names):
    """Return the Ansible host pattern for exactly these hosts in this order; one that matches nobody for none."""
    return ",".join(names) or NOBODY


def subnet(host):
    """Return the network the host's node address lies in, or None when it is not known."""
    if not host.address or not host.prefix:
        return None
    return ipaddress.ip_interface(f"{host.address}/{host.prefix}").network


def etcd_answers(hosts, observed):
    """Return the status of each member that answered, in the order of the hosts."""
    found = ((observed.get(host.name) or {}).get("etcd", {}).get("status") for host in hosts if host.member)
    return [status for status in found if status and status.get("ok")]


def etcd_cluster(hosts, observed):
    """Return what the observations prove of the etcd cluster, as _quorum.Cluster (empty when no member answered)."""
    answers = etcd_answers(hosts, observed)
    if not answers:
        return _quorum.Cluster(ours=frozenset(host.peer_url for host in hosts if host.member))
    newest = max(answers, key=lambda status: (bool(status["members"]), status["healthy"], status["raft_index"]))
    by_id = {status["member_id"]: status for status in answers}
    return _quorum.Cluster(
        members=tuple(_member(item, by_id.get(item["id"])) for item in newest["members"]),
        leader_id=newest["leader_id"],
        cluster_ids=tuple(sorted({status["cluster_id"] for status in answers})),
        alarms=tuple(sorted({(one["member_id"], one["alarm"]) for status in answers for one in status["alarms"]})),
        ours=frozenset(host.peer_url for host in hosts if host.member),
    )


def _member(item, status):
    return _quorum.Member(
        id=item["id"],
        name=item["name"],
        is_learner=item["is_learner"],
        healthy=bool(status["healthy"]) if status else None,
        raft_index=status["raft_index"] if status else 0,
        peer_urls=tuple(item["peer_urls"]),
        client_urls=tuple(item["client_urls"]),
    )


def _placed(inventory, observed, endpoint_address):
    """Return every host of the inventory with its address and groups, by name."""
    said = {host.name: host for host in inventory.hosts}
    masters, workers, members = set(inventory.masters), set(inventory.workers), set(inventory.members)
    hosts = []
    for name in inventory.names:
        host, observation = said.get(name, InventoryHost(name)), observed.get(name)
        address = node_address(host, observation, endpoint_address)
        interface, prefix = placement(address, observation)
        hosts.append(
            Host(
                name=name,
                # kubelet registers the node in lower case (nodeutil.GetHostname).
                node_name=((observation or {}).get("hostname") or name).lower(),
                address=address,
                interface=interface,
                prefix=prefix,
                zone=host.zone,
                master=name in masters,
                worker=name in workers,
                member=name in members,
                etcd_leftover=_leftover(observation),
            )
        )
    return tuple(hosts)


def _leftover(observation):
    """Tell whether the host's etcd data are those of its own former member, which was taken out to come back as a learner.

    A removed member serves nobody, so data that etcd serves are no leftover, whatever a run that was cut off left recorded.
    """
    serves = (((observation or {}).get("etcd") or {}).get("status") or {}).get("healthy")
    return bool(((observation or {}).get("cluster") or {}).get("etcd_leftover")) and not serves


def _complete(hosts, masters, etcd, present):
    """Return the hosts with what depends on the others: role in etcd, VRRP, the etcd members their API server uses."""
    priorities = _endpoint.priorities(masters) if masters else {}
    hosts = tuple(dataclasses.replace(host, voter=host.name in etcd.voters) for host in hosts)
    members = tuple(
        _quorum.Member(host.node_name, host.node_name, not host.voter, True, 0, (host.peer_url,), (host.client_url,))
        for host in hosts
        if host.member
    )
    return tuple(
        dataclasses.replace(
            host,
            vrrp_priority=priorities.get(host.name, 0),
            vrrp_peers=tuple(other.address for other in hosts if other.master and other.name != host.name),
            etcd_endpoints=tuple(_join_order.etcd_endpoints(host.node_name, members)),
            etcd_now=tuple(_join_order.etcd_endpoints(host.node_name, present.members or members)),
        )
        if host.master
        else host
        for host in hosts
    )


def _etcd(settings, hosts, observed, nonce, gone, request, giving):
    """Decide between founding, finishing and joining, and put the hosts in order; `gone` are hosts that are to leave."""
    staying, hosts = hosts, (*hosts, *gone)
    members = tuple(host for host in hosts if host.member)
    old = {host.name: host.node_name for host in staying}.get(giving.old, "")
    wanted = _wanted(settings, hosts, observed, tuple(host.name for host in gone), old)
    first = _join_order.wanted_roles(_quorum.Cluster(), wanted).voters
    states = tuple(_state(host, observed.get(host.name)) for host in members)
    decision = _bootstrap.decide(states, first, settings.cluster_name or "", nonce, _elsewhere(hosts, observed))
    cluster = etcd_cluster(hosts, observed)
    if decision.action in (_bootstrap.BOOTSTRAP, _bootstrap.RESUME):
        cluster = _founded(decision.initial_cluster, members, cluster.ours)
    if old:
        cluster = _learners_started(cluster, staying, observed)
    planned = () if decision.action == _bootstrap.REFUSE else _join_order.preview(cluster, wanted)
    plan = tuple(one.step for one in planned)
    roles = _join_order.at_rest(cluster, wanted)
    named = _names(hosts, cluster)
    lost = tuple(named[name] for name in _join_order.lost(cluster, wanted) if name in named)

    def targets(*kinds):
        return tuple(dict.fromkeys(named.get(step.target, step.target) for step in plan if step.kind in kinds))

    return Etcd(
        action=decision.action,
        reason=decision.reason,
        next_step=decision.next_step,
        token=decision.token,
        initial_cluster=tuple(decision.initial_cluster),
        voters=tuple(sorted(named[name] for name in roles.voters)),
        start=tuple(sorted(named.get(name, name) for name in decision.start)),
        join=targets(_quorum.ADD_LEARNER, _join_order.START),
        promote=targets(_quorum.PROMOTE),
        strays=tuple(sorted(member.label for member in cluster.strays)),
        obstacles=tuple(
            (named[obstacle.host], obstacle.reason, obstacle.next_step)
            for obstacle in _join_order.obstacles(cluster, wanted)
            if obstacle.host in named and observed.get(named[obstacle.host]) and named[obstacle.host] not in request.renewed
        ),
        remove=targets(_quorum.REMOVE),
        demote=tuple(n for n in targets(_quorum.REMOVE) if n in {host.name for host in staying} and n not in lost),
        lost=lost,
        learners=tuple(sorted(named[member.id] for member in cluster.learners if member.id in named)),
        moved=_moved(staying, cluster, observed, request.renewed),
        planned=planned,
        at_end=_join_order.at_end(cluster, wanted),
    )


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


def _restarting(settings, hosts, observed, request, drifted):
    """Return the names of the hosts whose etcd has to restart, for whatever reason: settings, another version, a roll."""
    names = {host.name for host in hosts if host.member and host.name in drifted}
    if request.kind == _request.UPGRADE:
        running = {host.name: ((observed.get(host.name) or {}).get("versions") or {}).get("etcd") for host in hosts}
        # Who was taken out by a run that was cut off comes back with what is written.
        staying = [host for host in hosts if host.member and not host.etcd_leftover]
        names |= {host.name for host in staying if running[host.name] != settings.etcd_version}
    if request.kind == _request.ROLL:
        names |= {host.name for host in hosts if host.member and host.name in request.nodes}
    return names


def _giving_way(settings, hosts, observed, restarting):
    """Return the GivingWay of a group of two members, of which those in `restarting` have to restart.

    A run that was cut off in the middle finds two voters, of which the one that has not restarted gives way; where neither has,
    as far as can be seen, the leader, which the old voter is until it goes. Or it finds one voter and what the other left.
    """
    members, cluster = [host for host in hosts if host.member], etcd_cluster(hosts, observed)
    present = {url: member for member in cluster.members for url in member.peer_urls}
    known = [member for host in members for member in [present.get(host.peer_url)] if member]
    there = all(observed.get(host.name) and (host.peer_url in present or host.etcd_leftover) for host in members)
    if settings.even_voters or len(members) != 2 or len(cluster.members) != len(known) or not there:
        return GivingWay()

    def rank(host):
        return present[host.peer_url] != cluster.leader, host.name

    voters = sorted((host for host in members if host.peer_url in present and present[host.peer_url].voter), key=rank)
    names = [host.name for host in voters if host.name in restarting]
    if not names:
        return GivingWay(tuple(host.name for host in voters))
    if any(host.name in restarting for host in members if host.peer_url not in present):
        # It comes back as the learner and restarts as that, which ends the run that was cut off.
        return GivingWay(tuple(host.name for host in voters), later=tuple(names))
    heir = next(host.name for host in members if host.name != names[0])
    return GivingWay(tuple(host.name for host in voters), names[0], heir, tuple(names[1:]))


def _learners_started(cluster, hosts, observed):
    """Return the cluster with each learner of a host that has its data running.

    A run that was cut off may have left it stopped; the playbooks start who is down before anybody votes instead of another,
    and the gate judges that step anew.
    """
    seen = {host.peer_url for host in hosts if ((observed.get(host.name) or {}).get("etcd") or {}).get("data")}
    return dataclasses.replace(
        cluster,
        members=tuple(
            dataclasses.replace(member, healthy=True)
            if member.is_learner and member.started and seen & set(member.peer_urls)
            else member
            for member in cluster.members
        ),
    )


def _elsewhere(hosts, observed):
    """Return in words what shows that an etcd cluster exists although no listed member has data.

    So it is when a group etcd is added to a cluster that has etcd on its masters, or is lost from the inventory.
    """
    shown = []
    for host in hosts:
        seen = observed.get(host.name) or {}
        if not host.member and seen.get("etcd", {}).get("data"):
            shown.append(f"{host.name} holds etcd data and is no etcd host in the inventory")
        urls = (seen.get("api_server") or {}).get("etcd_servers")
        if urls:
            shown.append(f"the API server of {host.name} uses the etcd at {', '.join(sorted(urls))}")
    return tuple(shown)


def _founded(initial_cluster, members, ours):
    """Return the cluster as it will be once the first voters serve; the others join that."""
    client_urls = {host.peer_url: (host.client_url,) for host in members}
    founders = tuple(
        _quorum.Member(name, name, False, True, 0, (url,), client_urls.get(url, ())) for name, url in initial_cluster
    )
    return _quorum.Cluster(founders, founders[0].id if founders else "", ours=ours)


def _names(hosts, cluster):
    """Return {node name, peer URL or member id: inventory name}."""
    named = {host.node_name: host.name for host in hosts}
    named.update({host.peer_url: host.name for host in hosts if host.member})
    for member in cluster.members:
        known = [named[url] for url in (*member.peer_urls, member.name) if url in named]
        if known:
            named[member.id] = known[0]
    return named


def _wanted(settings, hosts, observed, leaving, stand_by):
    """Return what _join_order is to reach; the API servers of masters that leave stop before their members do."""
    return _join_order.Wanted(
        hosts=tuple(_wanted_host(host, observed.get(host.name)) for host in hosts if host.member),
        even_voters=settings.even_voters,
        stand_by=stand_by,
        leaving=tuple(host.peer_url for host in hosts if host.member and host.name in leaving),
        api_servers=_api_servers([host for host in hosts if host.name not in leaving], observed),
    )


def _api_servers(hosts, observed):
    """Return (node name, etcd URLs in use) of each API server that runs."""
    return tuple(
        (host.node_name, tuple(observed[host.name]["api_server"]["etcd_servers"]))
        for host in hosts
        if host.master and (observed.get(host.name) or {}).get("api_server")
    )


def _wanted_host(host, observation):
    return _join_order.Host(
        name=host.node_name,
        zone=host.zone,
        peer_url=host.peer_url,
        client_url=host.client_url,
        data=observation["etcd"]["data"] if observation else None,
        leftover=host.etcd_leftover,
    )


def _state(host, observation):
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
            healthy=status["healthy"],
            members=tuple(_member(item, own.get(item["id"])) for item in status["members"]),
        )
    return _bootstrap.HostState(host.node_name, host.peer_url, True, etcd["data"], _record(etcd.get("record")), answer)


def _record(data):
    """Return the bootstrap record read from a host, or None when it is not one."""
    try:
        return _bootstrap.Record(str(data["token"]), tuple(sorted((str(k), str(v)) for k, v in data["initial_cluster"].items())))
    except (TypeError, KeyError, AttributeError):
        return None


def _measured_timing(members, observed):
    rtt = {
        name: {peer: (observed.get(name) or {}).get("rtt_ms", {}).get(peer) for peer in members if peer != name}
        for name in members
    }
    present = None
    for name in members:
        cluster = (observed.get(name) or {}).get("cluster") or {}
        if cluster.get("heartbeat_ms") and cluster.get("election_ms"):
            present = (int(cluster["heartbeat_ms"]), int(cluster["election_ms"]))
            break
    return _timing.timing(rtt, present=present)


def _joining(hosts, observed):
    """Return the nodes whose kubelet has no credentials yet."""
    nodes = [host.name for host in hosts if host.master or host.worker]
    return tuple(name for name in nodes if not (observed.get(name) or {}).get("kubelet_credentials"))


def _orders(inventory, observed, etcd, mode, joining, acts):
    """Return every named order, as inventory names; wiring.yml lists the same names.

    all, masters, members, nodes: these hosts by name; bootstrap: first voters to start from one record; grow: learners that
    stand by, then newcomers, so that two in a row become voters together; balancers: masters, unless one alone holds the
    address; holder_first: masters in the order of `_endpoint.turns`; any_master: one master, with a running API server if there
    is one; token_issuer: the master to make the token of nodes that
    join, nobody when none does; demote: hosts whose voter becomes the learner that stands by.
    """
    masters = sorted(set(inventory.masters))
    speaker = _speaker(masters, observed, acts)
    return {
        "all": inventory.names,
        "masters": masters,
        "members": inventory.members,
        "nodes": sorted({*inventory.masters, *inventory.workers}),
        "bootstrap": etcd.start,
        "demote": etcd.demote,
        "grow": [name for name in (*(n for n in etcd.promote if n not in etcd.join), *etcd.join) if name not in etcd.demote],
        "balancers": masters if mode == _endpoint.BALANCED else (),
        "holder_first": _endpoint.turns(_part(name, observed.get(name)) for name in masters),
        "any_master": speaker,
        "token_issuer": speaker if joining else (),
    }


def _rolling(hosts, observed, request, turns, giving):
    """Return (name, whether it is a master, whether it has the address) of the hosts to restart: masters, members, workers."""
    if request.kind != _request.ROLL:
        return ()
    known = {host.name: host for host in hosts}
    workers = sorted((host for host in hosts if host.name not in turns), key=lambda host: (host.zone, host.name))
    asked = set(request.nodes) - set(giving.later)
    order = [name for name in (*turns, *(host.name for host in workers)) if name in asked]
    return tuple((name, known[name].master, _holds(observed.get(name))) for name in order)


def _late(hosts, observed, request, giving):
    """Return the hosts to restart once etcd's steps are done: who gives way, and who was taken out by a run that was cut off."""
    if request.kind != _request.ROLL:
        return ()
    present = {url for member in etcd_cluster(hosts, observed).members for url in member.peer_urls}
    out = {host.name for host in hosts if host.etcd_leftover and host.peer_url not in present}
    return tuple(sorted(({giving.old} | out) & set(request.nodes) - set(giving.later)))


def _restart_verdicts(hosts, observed, names, allow_outage, late, at_end):
    """Return (name, verdict) on restarting the etcd member of each of these hosts; of those that are late, as it will be then."""
    cluster = etcd_cluster(hosts, observed)
    return tuple(
        (
            host.name,
            _quorum.judge(
                at_end if host.name in late else cluster, _quorum.Step(_quorum.RESTART, host.peer_url), allow_outage
            ),
        )
        for host in hosts
        if host.member and host.name in names
    )


def _coming(hosts, observed, joining):
    """Return the hosts that are not part of the cluster yet: nodes without credentials, etcd hosts without a member's data."""
    return tuple(
        _plan.Coming(
            name=host.name,
            node_name=host.node_name,
            master=host.master,
            worker=host.worker,
            member=host.member,
            zone=host.zone,
            alive=bool(observed.get(host.name)),
        )
        for host in hosts
        if (host.name in joining if host.master or host.worker else _new_member(host, observed.get(host.name)))
    )


def _new_member(host, observation):
    return bool(observation) and not observation["etcd"]["data"] and not host.etcd_leftover


def _forgotten(going, hosts, renewed, lost, joining):
    """Return what is to be forgotten before anything joins: the dead that leave, and former selves of renewed hosts.

    A renewed host that kept its kubelet's credentials is the same node as before; only its etcd member is another.
    """
    dead = [(host, host.node) for host in going if not host.alive]
    again = [(host, host.name in joining) for host in hosts if host.name in renewed and host.name in (*joining, *lost)]
    return tuple(
        {"name": host.name, "node_name": host.node_name, "node": node, "member": host.member} for host, node in dead + again
    )


def _going(gone, observed):
    """Return the hosts that are to leave as _plan sees them: those that cannot be reached first, the holder last."""
    return tuple(
        _plan.Going(
            name=host.name,
            node_name=host.node_name,
            master=host.master,
            node=host.master or host.worker,
            alive=bool(observed.get(host.name)),
            holds=_holds(observed.get(host.name)),
            worker=host.worker,
            member=host.member,
            zone=host.zone,
        )
        for host in sorted(gone, key=lambda host: (bool(observed.get(host.name)), _holds(observed.get(host.name)), host.name))
    )


def _parting(going):
    """Return the orders of hosts that leave and can be reached: all of them, and the masters among them."""
    alive = [host for host in going if host.alive]
    return {"leaving": [host.name for host in alive], "leaving_masters": [host.name for host in alive if host.master]}


def _turns(hosts, observed):
    """Return masters and members in the order of their turns: by zone and name, the holder of the address last but the leader."""

    def rank(host):
        observation = observed.get(host.name)
        status = ((observation or {}).get("etcd") or {}).get("status") or {}
        leads = bool(status.get("ok")) and status.get("leader_id") == status.get("member_id")
        return leads, _holds(observation), host.zone, host.name

    return tuple(host.name for host in sorted((host for host in hosts if host.master or host.member), key=rank))


def _rolled(scene, hosts):
    """Return the orders of hosts that restart: masters and members one by one, who gives way once it has, then workers."""
    single = {host.name for host in hosts if host.master or host.member}
    names = [name for name, _master, _holds_it in scene.rolling]
    return {
        "roll": [n for n in names if n in single and n not in scene.late],
        "roll_late": [n for n in names if n in scene.late],
        "roll_workers": [n for n in names if n not in single],
    }


def _moving(request, plan, parts):
    """Return the orders of a move: the master that lets the address go, and all that can be asked afterwards who has it."""
    moved = [step.host for step in plan.steps if request.kind == _request.MOVE and step.kind == _plan.YIELD]
    return {"move": moved, "may_hold": [part.name for part in parts if part.reachable] if moved else []}


def _speaker(masters, observed, acts):
    """Return one master to ask the API: one that answers already, else one that will once this run has started it.

    Of the latter one that was reached, if there is one: a cluster that is given up may have lost its first master.
    """
    running = [name for name in masters if _serves(observed.get(name))]
    reached = [name for name in masters if observed.get(name)]
    return running[:1] or ((reached or masters)[:1] if acts else [])


def _serves(observation):
    """Tell whether an API server was seen to run on the host."""
    return _unit(observation, "kube-apiserver") == "active"


def _part(name, observation):
    """Return what was seen of a master's part in the endpoint."""
    held = tuple((observation or {}).get("endpoint_address", {}).get("held_on", ()))
    balancer, vrrp = (_unit(observation, unit) == "active" for unit in ("haproxy", "keepalived"))
    return _endpoint.MasterState(name, held, balancer=balancer, vrrp=vrrp, reachable=bool(observation))


def _unit(observation, name):
    """Return the state of a unit, "" when it is not known."""
    return ((observation or {}).get("units") or {}).get(name, "")


def _holds(observation):
    """Tell whether the host was seen to have the endpoint address."""
    return bool((observation or {}).get("endpoint_address", {}).get("held_on"))
