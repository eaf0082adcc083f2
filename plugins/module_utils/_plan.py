# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Say what a request will do to a cluster, step by step, or why it is not done.

Solves: whoever types a command sees, before anything is touched, who joins and leaves, what moves, what restarts, and what
etcd survives at every step. The etcd steps are those of ``_join_order``, each with its verdict by ``_quorum``; this file
puts what belongs to nodes, API servers and the endpoint around them, in the order of the playbooks. Leaves out: how a step's
surroundings are put in words (``_plan_state``), doing, and judging each step again from a fresh reading at its time (the
modules do).

    ==========  ======================================================================================
    kind        what is done
    ==========  ======================================================================================
    forget      what a host left behind that cannot come back: its pods, its node object
    prepare     packages, kernel settings, programs and certificates of a host that is new
    found       the first voters of a new etcd cluster start together, from one record
    serve       a new master's API server, controller-manager and scheduler start
    repoint     an API server restarts with other etcd URLs, drained first, one at a time
    register    a new node's kubelet asks for its certificate and takes pods
    drain       no new pods on the node; its pods are evicted
    yield       the endpoint address moves to a master that stays
    stop        the host's API server, controller-manager and scheduler stop, drained first
    hold        a lone master takes the endpoint address, which nobody has had yet
    balance     HAProxy and keepalived of a master begin to take part in the endpoint
    promote_ip  the endpoint address, until now one master's own, becomes the balancer's virtual IP
    give_back   the endpoint address becomes the last master's own again, the balancer goes
    clean       the node object is deleted; a host that can be reached is made bare
    restart     everything on the host stops in order and starts again, or the host reboots
    (others)    steps of etcd's membership, named as in ``_quorum`` and ``_join_order``
    ==========  ======================================================================================
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _endpoint,
    _etcd_scene,
    _join_order,
    _plan_state,
    _quorum,
    _request,
    _skew,
)

FORGET, PREPARE, FOUND, SERVE, REGISTER = "forget", "prepare", "found", "serve", "register"
DRAIN, YIELD, STOP, CLEAN = "drain", "yield", "stop", "clean"
HOLD, BALANCE, PROMOTE_ADDRESS, GIVE_BACK = "hold", "balance", "promote_ip", "give_back"
RESTART = "restart"

NEW = "it is new: packages, kernel settings, programs, certificates"
MASTER_TO_BE = "it becomes a master: packages, programs, certificates"
SERVING = "its API server, controller-manager and scheduler start"
BARE = "services stop, files of the cluster go"
NOT_COMPARED = (
    "Settings, patch versions, files and certificates are not compared here: site.yml --check --diff shows what would change."
)
AS_SITE_YML = (
    "Hosts that stay get what else the inventory says, but for versions, and restart for it one at a time where they must; it is "
    "not compared here."
)
SERVES_ON = "its API server serves until your balancer has found out that it stops"
STRANDED = "the only etcd it uses is dead: it uses the members that stay, so that its kubelet is heard until it leaves"

# What stops and starts again together on a host.
FLANNEL = "flanneld"
NODE = ("containerd", *(_skew.COMPONENTS[component] for component in ("kubelet", "kube_proxy")), FLANNEL)
ETCD, VRRP = _skew.COMPONENTS["etcd"], "keepalived"


@dataclass(frozen=True)
class Going:
    """One host that is to leave: what it is, and what was seen of it."""

    name: str
    master: bool = False
    node: bool = True
    alive: bool = True
    holds: bool = False
    worker: bool = False
    member: bool = False
    zone: str = ""


@dataclass(frozen=True)
class Coming:
    """One host that is new or half-way in: what it is to be, whether it can be reached, and what it is already.

    ``registered``: its kubelet has its certificate; ``serves``: it has an API server; ``balances``: its part in the endpoint.
    """

    name: str
    master: bool = False
    worker: bool = False
    member: bool = False
    zone: str = ""
    alive: bool = True
    registered: bool = False
    serves: bool = False
    balances: bool = False

    @property
    def new(self):
        """Return whether it is no part of the cluster in any way."""
        return not (self.registered or self.serves)


@dataclass(frozen=True)
class Scene:
    """The cluster as it was seen and as it is to be, in inventory names.

    ``going``: hosts that leave, those that cannot be reached first, the holder last. ``coming``: hosts that are not part of the
    cluster yet, or not all that they are to be. ``renewed``: hosts that come back as new machines under their old names.
    ``lost``: hosts whose member ran and whose data are provably gone; ``dead``: hosts whose members go before any is added;
    ``stranded``: masters that leave whose API server has no etcd left then. ``etcd``: ``_join_order.Planned`` steps of the whole
    change, with the host as the target;
    ``founders``: hosts that found etcd; ``cluster``, ``founded``, ``at_end``: etcd as it was seen, before those
    steps and after them. ``masters``, ``workers``: those of the end. ``mode_before`` and ``mode``: the endpoint's state as
    ``_endpoint.wanted_state`` names it, "" before there is one. ``rolling``: (name, what it is, whether it holds the address) of
    the hosts to restart, in order; ``verdicts``: what ``_quorum`` says of restarting the etcd member of each, by name;
    ``api_servers``: (name, etcd URLs in use) of each API server that runs. ``giving``: (who, to whom) a voter of two gives
    way that cannot restart in place, ("", "") for nobody; ``late``: those of the rolling that restart after etcd's steps;
    ``later``: voters that the run leaves to the next one. ``parts``: what was seen of each master's part in the endpoint, as
    ``_endpoint.MasterState``; ``apart``: masters that serve and lack theirs; ``parts_first``: they get it before any of them has
    its turn. ``begun``: a run that was cut off has begun this replacement, so it goes on although the new one is part of the
    cluster. ``pinned``: nodes whose pods no other node could take, which are not drained before they restart. ``flannel``: it is
    the pod network. ``alone``: masters that leave, while no other one has an API server that runs.
    """

    going: tuple = ()
    coming: tuple = ()
    renewed: tuple = ()
    lost: tuple = ()
    dead: tuple = ()
    stranded: tuple = ()
    etcd: tuple = ()
    founders: tuple = ()
    cluster: _quorum.Cluster = _quorum.Cluster()
    founded: _quorum.Cluster = _quorum.Cluster()
    at_end: _quorum.Cluster = _quorum.Cluster()
    masters: tuple = ()
    workers: tuple = ()
    mode_before: str = ""
    mode: str = ""
    rolling: tuple = ()
    verdicts: tuple = ()
    api_servers: tuple = ()
    giving: tuple = ("", "")
    late: tuple = ()
    later: tuple = ()
    parts: tuple = ()
    apart: tuple = ()
    parts_first: bool = False
    begun: bool = False
    pinned: frozenset = frozenset()
    flannel: bool = True
    alone: tuple = ()


@dataclass(frozen=True)
class Step:
    """One step: its kind, whom it is about, why, and what it finds and leaves, as ``_plan_state`` describes it.

    ``host`` is the inventory name; of a member that no host accounts for it is the member's own name, or its id without one.
    """

    kind: str
    host: str
    why: str
    before: _plan_state.Etcd | None = None
    during: _plan_state.Etcd | None = None
    after: _plan_state.Etcd | None = None
    holder_before: str | None = None
    holder_after: str | None = None
    restarts: tuple = ()

    @property
    def said(self):
        """Return all but the host: why, and what changes that neither this nor the kind says."""
        moves = "" if self.kind in (YIELD, HOLD, GIVE_BACK) else _plan_state.holder_text(self)
        restarts = f"restarts {', '.join(self.restarts)}" if self.restarts and self.kind != RESTART else ""
        return f"{self.why}{_plan_state.bracket(_plan_state.etcd_text(self), moves, restarts)}"


@dataclass(frozen=True)
class Plan:
    """The steps in order, what to know beside them, or the reasons to take none, each (reason, next step)."""

    steps: tuple = ()
    notes: tuple = ()
    refusals: tuple = ()

    def lines(self):
        """Return the plan as text; neighbours that say the same of several hosts are one line."""
        same = itertools.groupby(self.steps, key=lambda step: (step.kind, step.said))
        merged = [(kind, ", ".join(step.host for step in group), said) for (kind, said), group in same]
        return (*(f"{number:3}. {kind:12} {host:12} {said}" for number, (kind, host, said) in enumerate(merged, 1)), *self.notes)

    def as_dict(self):
        """Return plain data."""
        return _plan_state.as_dict(self)


def plan(request: _request.Request, scene: Scene) -> Plan:
    """Return the Plan of a request on a scene."""
    refusals = tuple(_refusals(request, scene))
    if refusals:
        return Plan(refusals=refusals)
    if request.kind == _request.MOVE:
        return _move(scene, _endpoint.move(scene.parts, scene.masters, scene.mode))
    dead, grow, repoint, shrink = _phases(scene)
    if request.kind == _request.ROLL:
        between = _etcd(scene, *dead, *grow, *repoint, *shrink) if scene.late else ()
        steps = (*_restarts(scene, early=True), *between, *_restarts(scene, early=False))
        return Plan(tuple(_followed(steps, scene)), tuple(_notes(_rolled(scene, request.nodes))))
    leaving = [host for host in scene.going if host.alive]
    joining = [host for host in scene.coming if (host.master or host.worker) and not host.registered]
    register = [Step(REGISTER, host.name, "its kubelet asks for its certificate") for host in joining]
    # A kubelet finds the API at the endpoint address; nobody leaves for a newcomer before it takes pods.
    behind = request.kind == _request.CONVERGE
    again = {*request.renewed} - {*scene.lost, *(host.name for host in scene.coming)} if scene.begun else ()
    steps = [
        *(Step(_join_order.REPOINT, name, STRANDED, restarts=_plan_state.CONTROL_PLANE) for name in scene.stranded),
        *(_forgotten(host) for host in scene.going if not host.alive and host.node),
        *(_forgotten(host) for host in joining if host.name in scene.renewed),
        *_etcd(scene, *dead),
        *(Step(PREPARE, host.name, NEW if host.new else MASTER_TO_BE) for host in scene.coming if not host.serves),
        *_founding(scene),
        *_etcd(scene, *grow),
        *(Step(SERVE, host.name, SERVING) for host in scene.coming if host.master and not host.serves),
        *(_endpoint_steps(scene) if scene.parts_first else ()),
        *_etcd(scene, *repoint),
        *(() if behind else register),
        *(Step(DRAIN, h.name, "no new pods; its pods are evicted, within their PodDisruptionBudgets") for h in leaving if h.node),
        *_parting(leaving, scene),
        *_etcd(scene, *shrink),
        *(() if scene.parts_first else _endpoint_steps(scene)),
        *(register if behind else ()),
        *(Step(CLEAN, h.name, f"{'its node object is deleted; ' * h.node}{BARE}") for h in leaving),
    ]
    return Plan(tuple(_followed(steps, scene)), (*_notes(scene), *map(_ends, sorted(again))))


def told(made, request):
    """Return a Plan as it is shown: it says which of a run's work is no step of it, or nothing would look done.

    Of hosts that stay, a removal and a replacement bring the settings too. An upgrade shows a turn for all it may restart; a roll
    and a move leave settings alone.
    """
    note = {_request.CONVERGE: NOT_COMPARED, _request.REMOVE: AS_SITE_YML, _request.REPLACE: AS_SITE_YML}.get(request.kind)
    return replace(made, notes=(*made.notes, note)) if note else made


def _followed(steps, scene):
    """Yield the steps, each with etcd and the holder of the address as it finds and leaves them."""
    leaving = tuple(_endpoint.MasterState(h.name, ("",) * h.holds, reachable=h.alive) for h in scene.going if h.master)
    etcd, holder = _plan_state.etcd(scene.cluster), _endpoint.holder((*scene.parts, *leaving), scene.mode)
    for step in steps:
        unchanged = {} if step.after else {"before": etcd, "during": etcd, "after": etcd}
        after = _holder_after(step, holder, scene)
        step = replace(step, holder_before=holder, holder_after=after, **unchanged)
        yield step
        etcd, holder = step.after, after


def _holder_after(step, holder, scene):
    """Return who has the address after a step, as `_endpoint.holder` tells it. Nobody takes it off a holder that is well."""
    if step.kind in (HOLD, GIVE_BACK):
        return step.host
    if step.kind == YIELD:
        return scene.masters[0] if scene.mode == _endpoint.DIRECT else _heirs(scene, step.host).first
    if step.kind == BALANCE and not scene.mode_before:
        return holder or step.host
    if step.kind == RESTART and scene.mode == _endpoint.BALANCED and step.host == holder:
        return _heirs(scene, step.host).first
    return holder


def _heirs(scene, holder):
    """Return the _endpoint.Heirs of a master."""
    others = _others(scene, holder)
    return _endpoint.heirs_of(part for part in scene.parts if part.name in others)


def _others(scene, holder):
    """Return the masters that stay, besides this one; who was seen to be new does not run VRRP yet."""
    return sorted(set(scene.masters) - {holder, *(host.name for host in scene.coming if host.alive and not host.balances)})


def _goes_to(names, first):
    """Return where the address goes, in words: to one of these, of which the first takes it where that is known."""
    heir = " or ".join(names)
    if len(names) > 1:
        heir = f"{first}, by VRRP priority before {', '.join(names[1:])}" if first else f"{heir}, as VRRP decides"
    return f"the endpoint address goes to {heir}"


def _move(scene, move):
    """Return the Plan of a move of the endpoint address; nothing restarts but keepalived where it lets go or stands still.

    Who stands still comes last: what keeps it from starting keeps no address on a master that is to lose it.
    """
    back = "it comes back as a backup"
    steps = (
        Step(YIELD, move.holder, _goes_to(move.heirs, move.heirs[0])),
        Step(BALANCE, move.holder, back, restarts=(VRRP,)),
        *(Step(BALANCE, name, f"its keepalived stands still: {back}", restarts=(VRRP,)) for name in move.stopped),
    )
    doubts = tuple(f"{name} {why}: do not count on it to take the address" for name, why in move.unfit)
    return Plan(tuple(_followed(steps, scene)), doubts)


def _restarts(scene, early):
    """Return a step for each host to restart before or after etcd's steps; of a master the address moves first, when it has it.

    Workers are the last.
    """
    verdicts, nodes = dict(scene.verdicts), frozenset(scene.workers)
    workers = [one for one in scene.rolling if not one[1] and one[0] not in verdicts]
    first = [one for one in scene.rolling if one[0] not in scene.late and (one[1] or one[0] in verdicts)]
    last = [*(one for one in scene.rolling if one[0] in scene.late), *workers]
    for name, master, holds in first if early else last:
        balanced = scene.mode == _endpoint.BALANCED
        if holds and balanced:
            yield Step(YIELD, name, f"first {_given(scene, name)}")
        node = master or name in nodes
        why, before, during = _aside(scene, name, master, node), None, None
        services = tuple(program for program in NODE if program != FLANNEL or scene.flannel) * node
        restarts = (VRRP,) * (master and balanced) + _plan_state.CONTROL_PLANE * master + services
        if name in verdicts:
            cluster = scene.at_end if name in scene.late else scene.cluster
            before = _plan_state.etcd(cluster)
            during = _plan_state.etcd(_plan_state.without(cluster, verdicts[name].step.target))
            restarts = (ETCD, *restarts)
        yield Step(RESTART, name, why, before, during, before, restarts=restarts)


def _aside(scene, name, master, node):
    """Return in words what moves off a host before it restarts, what stays, and what is away meanwhile."""
    pinned = name in scene.pinned
    moved = ["drained"] if node and not pinned else []
    if master and scene.mode == _endpoint.BALANCED:
        moved.append("its API server drained in every balancer")
    if name in dict(scene.verdicts) and len(scene.cluster.members) > 1:
        moved.append("the etcd leadership moved")
    meanwhile = {_endpoint.EXTERNAL: SERVES_ON, _endpoint.DIRECT: "the API is away meanwhile"}
    also = [meanwhile[scene.mode]] if master and scene.mode in meanwhile else []
    return "; ".join([f"{', '.join(moved)} first"] * bool(moved) + [_plan_state.PINNED] * pinned + also)


def _given(scene, holder):
    """Return in words to which of the masters that stay the address goes."""
    heirs = _heirs(scene, holder)
    return _goes_to(heirs.names if heirs.first else _others(scene, holder), heirs.first)


def _phases(scene):
    """Return the etcd steps as (removal of the dead, growing, repointing, shrinking): the order of the playbooks.

    It is ``_join_order``'s: the dead first, newcomers vote before members leave, who stands by joins last.
    """
    dead, grow, repoint, shrink = [], [], [], []
    for one in scene.etcd:
        kind = one.step.kind
        if kind == _join_order.REPOINT:
            # On its way a plan may point one away and back; what is done is to point it where it belongs in the end, once.
            repoint = [other for other in repoint if other.step.target != one.step.target]
            if set(one.step.urls) != set(dict(scene.api_servers).get(one.step.target, ())):
                repoint.append(one)
        elif kind == _quorum.REMOVE and one.step.target in set(scene.dead) - {other.step.target for other in dead}:
            dead.append(one)
        elif kind == _quorum.REMOVE or shrink:
            shrink.append(one)
        else:
            grow.append(one)
    return dead, grow, repoint, shrink


def _refusals(request, scene):
    """Give each reason not to begin, with what to do."""
    if any(host.master for host in scene.going) and not scene.masters:
        yield (
            f"{_names(scene.going)} would leave no master: a cluster without an API is no cluster",
            "add another master first (site.yml), or give the whole cluster up (reset.yml)",
        )
        return
    wanted = {*request.renewed, *filter(None, [request.by])}
    if request.kind != _request.CONVERGE:
        others = [host for host in scene.coming if host.alive and host.name not in wanted]
        # The address is moved between masters that have their part in it, whatever their kubelets lack.
        yield from _unfinished([host for host in others if request.kind != _request.MOVE or not host.balances])
    if request.kind == _request.MOVE:
        yield from _endpoint.move(scene.parts, scene.masters, scene.mode).refusals
        return
    yield from _nobody_takes(request, scene)
    yield from _nobody_serves(scene)
    if request.kind == _request.ROLL:
        for name, verdict in scene.verdicts:
            if not verdict.safe:
                yield f"restart {name}: {verdict.reason}", verdict.next_step
        yield from _has_it_alone(scene)
        if not scene.late:
            return
    if request.kind == _request.REPLACE:
        yield from _replacement_refusals(request, scene)
    for one in scene.etcd:
        if one.verdict is not None and not one.verdict.safe:
            yield f"{one.step.kind} {one.step.target}: {one.verdict.reason}", one.verdict.next_step
            return


def _has_it_alone(scene):
    """Give the reasons not to restart a member that another host's API server has alone and is not to.

    So it is when a removal was cut off after the API servers were pointed at who stays. It would answer nothing meanwhile.
    """
    misled = {one.step.target for one in _phases(scene)[2]}
    for name, verdict in scene.verdicts:
        urls = [url for member in scene.cluster.called(verdict.step.target) for url in member.client_urls]
        hang = sorted(_etcd_scene.alone_on(urls, scene.api_servers) & misled - {name})
        if hang and name not in scene.late:
            servers = f"the API server{'s' * (len(hang) > 1)} of {', '.join(hang)}"
            yield (
                f"restart {name}: {servers} would answer nothing, with its etcd member alone to ask",
                "run site.yml first, which gives each API server the members that it is to use, then this again",
            )


def _unfinished(hosts):
    """Give the reasons not to change anything else while these hosts are not all that they are to be."""
    new, halves = [host for host in hosts if host.new], [host for host in hosts if not host.new]
    if new:
        yield (
            f"{_names(new)} is listed and not part of the cluster yet",
            "run site.yml first: one change at a time. Where that cannot go on, since another new host died, take it out as well "
            "(remove_node.yml names both) and bring it in again; a bare one need only leave the inventory",
        )
    for host in halves:
        if host.registered:
            yield (
                f"{host.name} is listed as a master and is not all of one yet, or not any more",
                "run site.yml first: one change at a time. A worker that is no master yet may be listed as a worker again; "
                f"one whose removal was cut off is named in that again (remove_node.yml -e node={host.name},...)",
            )
        else:
            yield f"the kubelet of {host.name} has no valid certificate", "run site.yml first, by which it gets one"


def _nobody_takes(request, scene):
    """Give the reason not to take the address off a master that leaves, or restarts, while no other one could have it.

    So it is when a run was cut off in the turn of the only other master, which gives up its part until the turn's end. One that
    has its turn before the holder has it back by then.
    """
    if request.kind == _request.ROLL:
        order = sorted((name for name, _master, _holds in scene.rolling), key=lambda name: name in scene.late)
        holder = next((name for name, master, holds in scene.rolling if master and holds), "")
        balanced, before = scene.mode == _endpoint.BALANCED, order[: order.index(holder)] if holder else ()
    else:
        holder = next((host.name for host in scene.going if host.master and host.holds and host.alive), "")
        balanced, before = scene.mode_before == _endpoint.BALANCED, ()
    heirs = _heirs(scene, holder)
    if holder and balanced and not heirs.names and not set(before) & set(_others(scene, holder)):
        why = "; ".join(f"{name} {why}" for name, why in heirs.unfit) or "there is no other"
        yield f"nobody could take the endpoint address from {holder}: {why}", "run site.yml, which mends that, then this again"


def _nobody_serves(scene):
    """Give the reason not to begin while only masters that leave have an API server: nobody could ask for another run's lock.

    That run may have stopped the API server that stays, in its turn, and holds the lock in the cluster. Where all masters that
    stay are new and the endpoint is ours, other refusals say what to do.
    """
    if not scene.alone:
        return
    staying, leaving = ", ".join(scene.masters), ", ".join(scene.alone)
    said = f"none of the masters that stay ({staying}) has an API server that runs, and {leaving} has"
    if set(scene.masters) - {host.name for host in scene.coming}:
        yield (
            f"{said}: another run may have stopped it, and its lock could not be asked for",
            "run site.yml, which asks for the lock where it can be seen and starts the API servers, then this again",
        )
    elif scene.mode == _endpoint.EXTERNAL:
        yield (
            f"{said}: the lock of another run could not be asked for",
            f"grow first: site.yml with {staying} listed, then remove_node.yml -e node={','.join(scene.alone)}",
        )


def _replacement_refusals(request, scene):
    coming = {host.name: host for host in scene.coming if not host.registered}
    for name in request.renewed:
        if name in coming and coming[name].serves and not scene.begun:
            yield (
                f"{name} has its API server: it is no new machine, nothing has to be replaced",
                "run site.yml: it brings in what is missing, such as a valid certificate of its kubelet",
            )
        elif name not in coming and name not in scene.lost and not scene.begun:
            yield (
                f"{name} has its data and its credentials: it is no new machine, nothing has to be replaced",
                f"if it is to be another machine, name that one (-e by=NAME), or take {name} out and bring it in again "
                "(remove_node.yml, then site.yml)",
            )
        elif name in coming and not coming[name].alive:
            yield (
                f"{name} cannot be reached, so there is no new machine yet",
                f"install one under this name and address and run again, name another host (-e by=NAME), or take {name} out "
                "(remove_node.yml)",
            )
    if not request.by:
        return
    new, old = coming.get(request.by), scene.going[0] if scene.going else None
    if new is None and scene.begun:
        return  # the first run has judged it
    if new is None:
        yield f"{request.by} is part of the cluster already, so it replaces nobody", "name a host that is new (-e by=NAME)"
    elif old and (new.master, new.worker, new.member) != (old.master, old.worker, old.member):
        yield (
            f"{new.name} is {_role(new)} in the inventory and {old.name} is {_role(old)}",
            f"put {new.name} into the groups of {old.name}",
        )
    elif old and new.zone != old.zone:
        yield (
            f"{new.name} is in zone {new.zone or '(none)'} and {old.name} in {old.zone or '(none)'}: the cluster would be spread "
            "otherwise than before",
            f"take a host in zone {old.zone or '(none)'}; if the move is meant, add {new.name} by site.yml, then remove "
            f"{old.name} by remove_node.yml",
        )
    elif old and old.master and scene.masters == (new.name,) and scene.mode == _endpoint.DIRECT:
        yield (
            f"{old.name} is the only master and has the endpoint address by itself",
            f"grow first, so that the address can move: site.yml with {new.name} listed, then remove_node.yml -e node={old.name}",
        )


def _role(host):
    parts = [
        word for word, true in (("a master", host.master), ("a worker", host.worker), ("an etcd member", host.member)) if true
    ]
    return " and ".join(parts) or "nothing"


def _ends(name):
    return (
        f"{name} was replaced before: what that run left undone is done, and nothing else. For another new machine under this "
        "name, install it first"
    )


def _forgotten(host):
    return Step(FORGET, host.name, "its pods are taken as gone and start elsewhere; its node object is deleted")


def _founding(scene):
    """Yield the step of each founder; etcd is there when the last of them has started."""
    before, after = _plan_state.etcd(scene.cluster), _plan_state.etcd(scene.founded)
    for name in scene.founders:
        yield Step(FOUND, name, "the first voters start together, from one record", before, after, after)


def _etcd(scene, *planned):
    """Yield steps of etcd; who was taken out and comes back restarts, unless it is another machine or has lost its data."""
    out = {one.step.target for one in scene.etcd if one.step.kind == _quorum.REMOVE}
    out -= {*scene.lost, *(host.name for host in scene.coming if host.new)}
    for one in planned:
        step = Step(one.step.kind, one.step.target, one.step.why)
        if step.kind == _join_order.REPOINT:  # which is taken at another time than `_join_order` asks for it
            yield replace(step, restarts=_plan_state.CONTROL_PLANE)
            continue
        before, after = _plan_state.etcd(one.before), _plan_state.etcd(one.after)
        restarts = (ETCD,) if step.kind == _quorum.ADD_LEARNER and step.host in out else ()
        yield replace(step, before=before, during=after, after=after, restarts=restarts)


def _parting(leaving, scene):
    """Return the steps that take the masters' services out of use, the address before any of them stops."""
    masters, external = [host for host in leaving if host.master], scene.mode == _endpoint.EXTERNAL
    for host in (host for host in masters if host.holds and not external):
        lone = "the endpoint address goes to the only master left"
        where = lone if scene.mode == _endpoint.DIRECT else _given(scene, host.name)
        yield Step(YIELD, host.name, f"before anything stops {where}")
    for host in masters:
        yield Step(STOP, host.name, SERVES_ON if external else "every balancer stops using its API server first")


def _endpoint_steps(scene):
    """Return what becomes of the endpoint: balancers of newcomers, and the two changes of its state."""
    if scene.mode == _endpoint.EXTERNAL:
        return
    new = [host for host in scene.coming if host.master and not host.balances]
    if scene.mode_before == _endpoint.DIRECT and scene.mode == _endpoint.BALANCED:
        stayed = " and ".join(sorted(set(scene.masters) - {host.name for host in new}))
        yield Step(PROMOTE_ADDRESS, stayed, "the address it has becomes the balancer's; it does not move")
    if scene.mode == _endpoint.BALANCED:
        apart = scene.apart if scene.mode_before == _endpoint.BALANCED else ()
        for name in dict.fromkeys((*(host.name for host in new), *apart)):
            yield Step(BALANCE, name, "its HAProxy sees an API server first, then VRRP may give it the address")
    elif not scene.mode_before and new:
        yield Step(HOLD, new[0].name, "it holds the endpoint address by itself")
    elif scene.mode_before == _endpoint.BALANCED and scene.mode == _endpoint.DIRECT:
        yield Step(GIVE_BACK, scene.masters[0], "it holds the endpoint address by itself again; HAProxy and keepalived stop")


def _rolled(scene, asked):
    """Return the scene of a roll without those who have to restart for their settings: it restarts whom it was asked to only."""
    giving = scene.giving if scene.giving[0] in scene.late else ("", "")
    return replace(scene, giving=giving, later=tuple(name for name in scene.later if name in asked))


def _notes(scene):
    for host in (host for host in scene.going if not host.alive):
        yield f"{host.name} cannot be reached: see to it that it is off and stays off, or it still answers to its old peers"
    if scene.mode == _endpoint.DIRECT and any(host.master for host in scene.going):
        yield "one master is left: it holds the endpoint address itself, and every restart of it is an outage of the API"
    if scene.later and scene.going:
        living = [host for host in scene.going if host.alive]
        members = [host for host in living if host.member] or living
        until = f"while {_names(members)} is {'a member' if members[0].member else 'a master'}" if members else "in this run"
        yield f"etcd of {', '.join(scene.later)} has to restart and cannot be spared {until}: afterwards site.yml sees to it"
        return
    yield from given_way(scene.giving[0], scene.giving[1], scene.later)


def given_way(old, heir, later):
    """Yield what to know of voters that cannot restart in place: who votes instead, and who is left to the next run."""
    if old:
        yield (
            f"etcd of {old} has to restart and cannot be spared: {heir} votes instead of it, and {old} comes back as the learner "
            "that stands by"
        )
    for name in later:
        too = " too" * bool(old)
        yield f"etcd of {name} has to restart{too} and cannot be spared in this run: run the same again, for {name}"


def _names(hosts):
    return ", ".join(host.name for host in hosts)
