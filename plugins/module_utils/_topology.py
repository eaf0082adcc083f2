# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Work out the whole cluster once, from settings, inventory and what was observed on the hosts.

The result becomes the fact `multimaster` (_topology_fact), the only place roles learn about other hosts from. Inventory order
means nothing: every list is sorted or in an order that a rule gives. Leaves out: what becomes of etcd (_etcd_plan), who gives
way and in which order hosts restart (_giving_way, _rolling), judging (_preflight) and doing.
"""

from __future__ import annotations

import dataclasses
import ipaddress

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _bootstrap,
    _cluster_record,
    _endpoint,
    _etcd_plan,
    _etcd_scene,
    _giving_way,
    _host_scene,
    _host_versions,
    _identity,
    _join_order,
    _lock,
    _plan,
    _ports,
    _quorum,
    _request,
    _rolling,
    _timing,
    _upgrade_scene,
)

NOBODY = "all:!all"
ZONE_LABEL = "topology.kubernetes.io/zone"  # as in `_kube_objects`, a form, which no decision imports
CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"

# Requests in which nodes give their pods away before they restart; in others containers go on running meanwhile.
DRAINING = (_request.UPGRADE, _request.ROLL)

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

    `etcd_endpoints`: what its API server is to use; `etcd_now`: what it has to use until the voters have changed, of a master
    that leaves what is left to it; `etcd_used`: what it uses while this is decided. `replaces`: whose place it takes, its own
    as a new machine under its name.
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
    etcd_used: tuple = ()
    etcd_leftover: bool = False
    replaces: str = ""

    @property
    def client_url(self):
        """Return where the host's etcd member serves clients."""
        return f"https://{self.address}:{_ports.ETCD_CLIENT}"

    @property
    def peer_url(self):
        """Return where the other members reach the host's etcd member."""
        return f"https://{self.address}:{_ports.ETCD_PEER}"

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
class Topology:
    """Hold the whole wanted cluster and the orders in which to reach it; `drains`: nodes whose pods move away in their turn."""

    settings: object
    hosts: tuple
    masters: tuple
    workers: tuple
    members: tuple
    stacked: bool
    endpoint_mode: str
    endpoint_able: tuple
    endpoint_first: bool
    vrid: int
    etcd: _etcd_plan.Etcd
    timing: _timing.Timing
    order: tuple
    joining: tuple
    ca_may_be_created: bool
    leaving: tuple = ()
    forgotten: dict = dataclasses.field(default_factory=lambda: {"nodes": (), "members": ()})
    asked: tuple = ()
    turns: tuple = ()
    drains: frozenset = frozenset()
    snapshot: str = ""
    downgrade: tuple = ("", "")
    allow_outage: bool = False
    way_back: dict = dataclasses.field(default_factory=lambda: {"etcd": {}, "control": {}, "node": {}, "end": ""})
    speakers: tuple = ()
    lock_host: str = ""
    lock_places: tuple = ()
    plan: _plan.Plan = _plan.Plan()
    giving: _giving_way.GivingWay = _giving_way.GivingWay()
    keeps_versions: bool = False
    versions: dict = dataclasses.field(default_factory=dict)

    @property
    def api_port(self):
        """Return the port every API server listens on.

        Without a balancer in between an API server answers at the endpoint address itself, so ours listen on the endpoint's
        port; behind somebody else's balancer they keep the usual one, whatever the balancer listens on.
        """
        return _ports.API if self.endpoint_mode == _endpoint.EXTERNAL else self.settings.endpoint_port


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
    placed = _placed(inventory, observed, settings.endpoint_address, request)
    inventory = inventory.without(request.leaving)
    bare, gone = (tuple(host for host in placed if (host.name in request.leaving) is out) for out in (False, True))
    giving = _giving_way.GivingWay()
    if request.kind != _request.MOVE:  # which restarts nobody
        restarting = _giving_way.who_restarts(settings, bare, observed, request, drifted)
        giving = _giving_way.giving_way(settings, bare, observed, restarting, gone)
    etcd = _etcd_plan.plan(settings, bare, observed, nonce, gone, request, giving)
    joining = _joining(bare, observed)
    coming = _coming(bare, observed, joining, settings.endpoint_mode)
    bare = _in_place_of(bare, {host.name for host in coming if host.alive})
    scene = _scene(settings, request, observed, _Cast(placed, bare, gone, coming), etcd, giving, allow_outage)
    masters = scene.masters
    versions, notes = _versions(settings, placed, observed, request)
    plan = _plan.plan(request, scene)
    plan = dataclasses.replace(plan, notes=(*plan.notes, *notes))
    if etcd.action == _bootstrap.RENEW:
        first = f"{etcd.reason}: they are renewed first, then all hosts are looked at again and the rest is planned"
        plan = dataclasses.replace(plan, steps=(), notes=(*plan.notes, first))
    moving = _moving(request, plan, scene.parts)
    speakers = _speakers(masters, observed, _etcd_scene.answering(placed, observed), moving["move"])
    speaker = _speaker(speakers, observed, acts)
    # Of masters that leave too: another run may have stopped the API servers that stay, and hold the Lease there.
    serving = any(_host_scene.serves(observed.get(host.name)) for host in placed if host.master)
    lock_places = _lock.places(len(masters), serving)
    order = {
        **_orders(inventory, observed, etcd, scene.mode, joining, speaker),
        "lease": speaker if _lock.CLUSTER in lock_places else (),
        "given_up": [n for n in speaker if _cluster_record.of(observed.get(n)).get("name") == settings.cluster_name],
        **_parting(scene.going, scene.mode),
        "balancing": _draining(placed, observed, scene.mode),
        "leaving_stranded": scene.stranded,
        "renewed": request.renewed,
        **_stale(inventory, observed, etcd, speaker),
        **_rolling.orders(scene, bare),
        **moving,
    }
    return Topology(
        settings=settings,
        hosts=_complete(bare, masters, etcd, _etcd_scene.cluster(bare, observed)),
        masters=masters,
        speakers=speakers,
        workers=scene.workers,
        members=inventory.members,
        stacked=set(inventory.members) == set(masters),
        endpoint_mode=scene.mode,
        endpoint_able=_endpoint.heirs_of(scene.parts).names,
        endpoint_first=scene.parts_first,
        vrid=_endpoint.vrid(settings.cluster_name or "", settings.endpoint_address or ""),
        etcd=etcd,
        timing=_measured_timing(inventory.members, observed),
        order=tuple(sorted(order.items())),
        joining=joining,
        leaving=_leaving(gone, etcd),
        forgotten=_forgotten(scene.going, request, etcd, joining),
        asked=request.nodes or (settings.cluster_name,),
        turns=_rolling.in_order(bare, observed),
        drains=frozenset(name for name in _nodes(bare) if request.kind in DRAINING and name not in scene.pinned),
        lock_host=next(iter(_speaker(speakers, observed, acts=True)), ""),
        lock_places=lock_places,
        plan=plan,
        giving=giving,
        keeps_versions=request.keeps_versions,
        allow_outage=allow_outage,
        versions=versions,
        ca_may_be_created=not ca_store_exists
        and all(observed.get(host.name) and not observed[host.name].get("certificates") for host in placed),
    )


@dataclasses.dataclass(frozen=True)
class _Cast:
    """Hold the hosts by what becomes of them: all, who stays, who leaves, and who stays and is not part of the cluster yet."""

    placed: tuple
    staying: tuple
    gone: tuple
    coming: tuple


def _scene(settings, request, observed, cast, etcd, giving, allow_outage):
    """Return the _plan.Scene, which the plan is made from and some orders are read off."""
    masters = tuple(host.name for host in cast.staying if host.master)
    without = {host.name for host in cast.coming if not host.balances}
    served = tuple(host.name for host in cast.placed if host.master and host.name not in without)
    rolling = _rolling.rolling(cast.staying, observed, request, giving)
    late = _rolling.late(cast.staying, observed, request, giving)
    order = [name for name, _master, _holds in rolling]
    mode = _endpoint.wanted_state(masters, settings.endpoint_mode)
    mode_before = _mode_before(served, observed, settings.endpoint_mode)
    parts = tuple(_host_scene.part(name, observed.get(name)) for name in masters)
    leaving = [(host.name, observed.get(host.name)) for host in cast.gone if host.master]
    left = [(_host_scene.part(name, seen), _host_scene.serves(seen)) for name, seen in leaving]
    return _plan.Scene(
        going=_going(cast.gone, observed),
        coming=cast.coming,
        renewed=request.renewed,
        lost=etcd.lost,
        dead=tuple(name for name, _target in etcd.dead),
        stranded=_stranded(cast.gone, observed, etcd),
        etcd=etcd.planned,
        founders=etcd.start,
        cluster=etcd.now,
        founded=etcd.founded,
        at_end=etcd.at_end,
        masters=masters,
        workers=tuple(host.name for host in cast.staying if host.worker),
        mode_before=mode_before,
        mode=mode,
        rolling=rolling,
        verdicts=_rolling.verdicts(cast.staying, observed, order, allow_outage, late, etcd.at_end),
        api_servers=_etcd_scene.api_servers(cast.staying, observed),
        late=late,
        giving=(giving.old, giving.heir),
        later=giving.later,
        parts=parts,
        apart=tuple(name for name in masters if _host_scene.lacks_part(observed.get(name))),
        parts_first=_endpoint.before_turns(parts, left, mode_before, mode),
        begun=_begun(request, cast.staying, observed),
        pinned=_rolling.pinned(cast.staying),
        flannel=settings.network == "flannel",
        alone=_alone(cast, observed),
    )


def _mode_before(served, observed, endpoint_mode):
    """Return the endpoint's state as these masters have it, "" before there is one.

    The one of two whose other is installed anew runs VRRP already.
    """
    if not served:
        return ""
    mode = _endpoint.wanted_state(served, endpoint_mode)
    alone = mode == _endpoint.DIRECT and not _host_scene.part(served[0], observed.get(served[0])).vrrp
    return mode if alone or mode == _endpoint.EXTERNAL else _endpoint.BALANCED


def _nodes(hosts):
    return [host.name for host in hosts if host.master or host.worker]


def _versions(settings, hosts, observed, request):
    """Return ({host: the version of each of its programs}, what a plan is to say of them)."""
    chosen = settings.kubernetes_version, settings.etcd_version
    if not request.keeps_versions:
        return {host.name: _host_versions.wanted(*chosen) for host in hosts}, ()
    seen = [(host, observed[host.name]) for host in hosts if observed.get(host.name)]
    running, units = _upgrade_scene.running_versions(seen), _upgrade_scene.unit_versions(seen)
    return _host_versions.kept(hosts, running, units, *chosen), _host_versions.note(running, *chosen)


def node_address(host, observation, endpoint_address=None):
    """Return the host's node address.

    As set; else ansible_host when that is an address of the host (behind address translation it is not); else the
    address of the default route.
    """
    if host.node_address:
        return host.node_address
    if observation is None:
        return host.ansible_host if _is_ipv4(host.ansible_host) else ""
    own = [item["address"] for item in observation.get("addresses", ()) if item["address"] != endpoint_address]
    own_ipv4 = host.ansible_host in own and ":" not in host.ansible_host
    return host.ansible_host if own_ipv4 else observation.get("default_address", "")


def _is_ipv4(text):
    try:
        return bool(ipaddress.IPv4Address(text))
    except ValueError:
        return False


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


def _placed(inventory, observed, endpoint_address, request):
    """Return every host of the inventory with its address and groups, by name; a successor with whose place it takes.

    Who a host is that was not observed, the others may know better than the inventory.
    """
    taken = {request.by: request.nodes[0]} if request.by and request.nodes else {name: name for name in request.renewed}
    said = {host.name: host for host in inventory.hosts}
    masters, workers, members = set(inventory.masters), set(inventory.workers), set(inventory.members)
    hosts, recorded = [], _identity.records(observed)
    for name in inventory.names:
        host, observation = said.get(name, InventoryHost(name)), observed.get(name)
        address, seen = node_address(host, observation, endpoint_address), observation or {}
        # kubelet registers the node in lower case (nodeutil.GetHostname). A node keeps its name when the hostname changes.
        node_name = (seen.get("node_name") or seen.get("hostname") or name).lower()
        if not observation:
            node_name, address = _identity.of_unseen(name, address, bool(host.node_address), recorded)
        interface, prefix = placement(address, observation)
        hosts.append(
            Host(
                name=name,
                node_name=node_name,
                address=address,
                interface=interface,
                prefix=prefix,
                zone=host.zone,
                master=name in masters,
                worker=name in workers,
                member=name in members,
                etcd_used=tuple(((observation or {}).get("api_server") or {}).get("etcd_servers") or ()),
                etcd_leftover=_leftover(observation),
                replaces=taken.get(name) or _cluster_record.of(observation).get("replaces") or "",
            )
        )
    return tuple(hosts)


def _leftover(observation):
    """Tell whether the host's etcd data are those of its own former member, which was taken out to come back as a learner.

    A removed member serves nobody, so data that etcd serves are no leftover, whatever a run that was cut off left recorded.
    """
    serves = (((observation or {}).get("etcd") or {}).get("status") or {}).get("healthy")
    return bool(_cluster_record.of(observation).get("etcd_leftover")) and not serves


def _complete(hosts, masters, etcd, present):
    """Return the hosts with what depends on the others: role in etcd, VRRP, the etcd members their API server uses."""
    priorities = _endpoint.priorities(masters) if masters else {}
    hosts = tuple(dataclasses.replace(host, voter=True) if host.name in etcd.voters else host for host in hosts)
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


def _measured_timing(members, observed):
    rtt = {
        name: {peer: (observed.get(name) or {}).get("rtt_ms", {}).get(peer) for peer in members if peer != name}
        for name in members
    }
    present = None
    for name in members:
        cluster = _cluster_record.of(observed.get(name))
        if cluster.get("heartbeat_ms") and cluster.get("election_ms"):
            present = (int(cluster["heartbeat_ms"]), int(cluster["election_ms"]))
            break
    return _timing.timing(rtt, present=present)


def _joining(hosts, observed):
    """Return the nodes whose kubelet has no credentials yet."""
    nodes = [host.name for host in hosts if host.master or host.worker]
    return tuple(name for name in nodes if not (observed.get(name) or {}).get("kubelet_credentials"))


def _orders(inventory, observed, etcd, mode, joining, speaker):
    """Return every named order, as inventory names; wiring.yml lists the same names.

    all, masters, members, nodes: these hosts by name; bootstrap: first voters to start from one record; grow: learners that
    stand by, then newcomers, so that two in a row become voters together (as `etcd.together` lets them); balancers: masters,
    unless one alone holds the address; holder_first: masters in the order of `_endpoint.holder_first`; any_master: one
    master, with an API server that can answer if there is one; token_issuer: the master to make the token of nodes that join,
    nobody when none does; demote: hosts whose voter becomes the learner that stands by. Of any_master: lease, while an API
    server runs that can hold the lock; given_up, while the host still belongs to the cluster, for its end.
    """
    masters = sorted(set(inventory.masters))
    return {
        "all": inventory.names,
        "masters": masters,
        "members": inventory.members,
        "nodes": sorted({*inventory.masters, *inventory.workers}),
        "bootstrap": etcd.start,
        "demote": etcd.demote,
        "grow": list(etcd.grow),
        "balancers": masters if mode == _endpoint.BALANCED else (),
        "holder_first": _endpoint.holder_first(_host_scene.part(name, observed.get(name)) for name in masters),
        "any_master": speaker,
        "token_issuer": speaker if joining else (),
    }


def _stale(inventory, observed, etcd, speaker):
    """Return the orders of a cluster whose etcd could not be asked since certificates have expired; nobody's of any other.

    stale: the masters and etcd hosts that get theirs before anything else; stale_through: the master that holds the lock
    meanwhile; stale_seen, stale_decided: who is looked at again then, and the controller, which decides anew.
    """
    names = sorted({*inventory.masters, *inventory.members})
    orders = {
        "stale": [name for name in names if (observed.get(name) or {}).get("certificates")],
        "stale_through": speaker,
        "stale_seen": inventory.names,
        "stale_decided": ["localhost"],
    }
    return orders if etcd.action == _bootstrap.RENEW else dict.fromkeys(orders, ())


def _coming(hosts, observed, joining, endpoint_mode):
    """Return the hosts that are not part of the cluster yet, or not all that they are to be.

    Nodes without credentials, masters without an API server, as a worker that becomes one, or without their part in an endpoint
    that one master still has by itself, and etcd hosts without a member's data.
    """
    masters = [host.name for host in hosts if host.master]
    lone = [name for name in masters if _host_scene.lone_holder(observed.get(name))]
    growing = bool(lone) and _endpoint.wanted_state(masters, endpoint_mode) == _endpoint.BALANCED
    found = []
    for host in hosts:
        seen, node = observed.get(host.name), host.master or host.worker
        registered = node and host.name not in joining
        serves = host.master and _host_scene.has_api_server(seen)
        balances = host.master and _host_scene.takes_part(seen)
        lacking = not serves or (growing and not balances) if host.master else not node and _new_member(host, seen)
        if lacking or (node and not registered):
            found.append(
                _plan.Coming(
                    name=host.name,
                    master=host.master,
                    worker=host.worker,
                    member=host.member,
                    zone=host.zone,
                    alive=bool(seen),
                    registered=registered,
                    serves=serves,
                    balances=balances,
                )
            )
    return tuple(found)


def _new_member(host, observation):
    return bool(observation) and not observation["etcd"]["data"] and not host.etcd_leftover


def _alone(cast, observed):
    """Return the masters that leave and alone have an API server that runs, by name; () while one runs that stays."""
    serving = {host.name for host in cast.placed if host.master and _host_scene.serves(observed.get(host.name))}
    leaving = {host.name for host in cast.gone}
    return tuple(sorted(serving)) if serving <= leaving else ()


def _in_place_of(hosts, coming):
    """Return the hosts without the replacements that are over: whoever comes (back) in has no successor any more."""
    return tuple(dataclasses.replace(host, replaces="") if host.replaces in coming - {host.name} else host for host in hosts)


def _begun(request, hosts, observed):
    """Tell whether a run that was cut off began this replacement, so that it goes on although the new one is part of the cluster.

    The new one's own record tells it. Before that is written, a host whose etcd data are gone and whose member is out does.
    """
    if request.kind != _request.REPLACE:
        return False
    again = [host for host in hosts if host.name in request.renewed and host.member]
    if any(_new_member(host, observed.get(host.name)) for host in again):
        return True
    return _cluster_record.of(observed.get(request.by or next(iter(request.nodes), ""))).get("replaces") in request.nodes


def _forgotten(going, request, etcd, joining):
    """Return whose `nodes` and `members` are forgotten before anything joins, in inventory names, each in the plan's order.

    Nodes: of the dead that leave, and of former selves of renewed hosts; one that kept its kubelet's credentials is the same node
    as before. Members: of those only that are dead (`_join_order.dead`), whether their host is or not; never one that the new
    machine has started already.
    """
    nodes = [host.name for host in going if not host.alive and host.node]
    return {
        "nodes": (*nodes, *(name for name in joining if name in request.renewed)),
        "members": tuple(name for name, _target in etcd.dead if name in (*request.leaving, *request.renewed)),
    }


def _stranded(gone, observed, etcd):
    """Return the masters that leave, answer, and whose API server has no etcd left when the dead members are out.

    It is pointed at those that stay, since the kubelet beside it would not hear of its pods' eviction.
    """
    dead = [member for _name, target in etcd.dead for member in etcd.now.called(target)]
    living = {url for member in etcd.now.healthy if member not in dead for url in member.client_urls}
    used = dict(_etcd_scene.api_servers(gone, observed))
    return tuple(
        host.name
        for host in gone
        if host.master and host.name in dict(etcd.dead) and _host_scene.has_api_server(observed.get(host.name))
        if living and not living & set(used.get(host.name, ()))
    )


def _leaving(gone, etcd):
    """Return the hosts that leave, in the order in which their members do, with the etcd members that are left to them."""
    targets = {target for _name, target in etcd.dead}
    left = [member for member in etcd.now.members if not any(member.called(target) for target in targets)]
    hosts = sorted(gone, key=lambda host: etcd.remove.index(host.name) if host.name in etcd.remove else -1)
    return tuple(dataclasses.replace(host, etcd_now=_join_order.etcd_endpoints(host.node_name, left)) for host in hosts)


def _going(gone, observed):
    """Return the hosts that are to leave as _plan sees them: those that cannot be reached first, the holder last."""

    def rank(host):
        return bool(observed.get(host.name)), _host_scene.holds(observed.get(host.name)), host.name

    return tuple(
        _plan.Going(
            name=host.name,
            master=host.master,
            node=host.master or host.worker,
            alive=bool(observed.get(host.name)),
            holds=_host_scene.holds(observed.get(host.name)),
            worker=host.worker,
            member=host.member,
            zone=host.zone,
        )
        for host in sorted(gone, key=rank)
    )


def _parting(going, mode):
    """Return the orders of hosts that leave and can be reached: all, the masters, those with a part in an endpoint of ours."""
    alive = [host for host in going if host.alive]
    masters = [host.name for host in alive if host.master]
    balancers = masters if mode != _endpoint.EXTERNAL else []
    return {"leaving": [host.name for host in alive], "leaving_masters": masters, "leaving_balancers": balancers}


def _draining(hosts, observed, mode):
    """Return the masters, also those that leave, whose balancer of ours keeps an API server out of use."""
    ours = mode != _endpoint.EXTERNAL
    return [host.name for host in hosts if ours and host.master and (observed.get(host.name) or {}).get("drained")]


def _moving(request, plan, parts):
    """Return the orders of a move: who lets the address go, whose keepalived stands still, who can be asked who has it."""
    steps = plan.steps if request.kind == _request.MOVE else ()
    moved = [step.host for step in steps if step.kind == _plan.YIELD]
    stopped = [step.host for step in steps if step.kind == _plan.BALANCE and step.host not in moved]
    return {"move": moved, "stand_by": stopped, "may_hold": [part.name for part in parts if part.reachable] if moved else []}


def _speakers(masters, observed, answering, moving):
    """Return the masters in the order in which to ask them: those whose API server can answer, those where one runs, the others.

    An API server whose etcd is dead still runs. Of equals who is to let the address go is the last, since it may be the one that
    does not answer well; else names decide.
    """

    def rank(name):
        return name not in answering, not _host_scene.serves(observed.get(name)), name in moving, name

    return tuple(sorted(masters, key=rank))


def _speaker(masters, observed, acts):
    """Return the first of `_speakers` to ask the API: one that runs already, else one that will once this run has started it.

    Of the latter one that was reached, if there is one: a cluster that is given up may have lost its first master.
    """
    running = [name for name in masters if _host_scene.serves(observed.get(name))]
    reached = [name for name in masters if observed.get(name)]
    return running[:1] or ((reached or masters)[:1] if acts else [])
