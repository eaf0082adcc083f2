# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Order the steps that lead from the versions that run to the wanted ones, or say why none is taken.

Solves: an upgrade in the wrong order breaks days later, and one that was cut off must go on from wherever it stopped. The
plan is made by asking "what is the one next step?", taking it on a model, and asking again, so a run that was cut off finds
the rest of the same plan; what runs as wanted costs nothing. Leaves out: doing, waiting, and judging each step again from a
fresh reading at its time (``_quorum``, ``_drain``, the modules).

    =========  ==============================================================================================
    kind       what is done
    =========  ==============================================================================================
    fetch      every host gets the wanted programs; nothing stops
    snapshot   etcd is saved before it or an API server changes
    cancel     a downgrade of etcd that is enabled is called off
    downgrade  etcd is told to go back one minor: needed once its cluster version is the newer one; to be allowed
    member     one dedicated etcd member restarts behind the quorum gate
    swap       an etcd voter that cannot be spared changes places with a learner and comes back as one
    master     etcd, API server, controller-manager and scheduler of one master change in one drain
    node       kubelet and kube-proxy of one master, or of a batch of workers in one zone
    =========  ==============================================================================================

Order, each after all of the one before: dedicated etcd members; masters; the masters' nodes; workers, zone by zone. Of
several, first the one on which something is down (nothing else may stop meanwhile), then those a cut-off run left half
done, then by zone and name; the holder of the endpoint address last, the etcd leader after it, a voter that cannot be
spared at the very end.

Only masters and members are asked about again after each step. The turn of a node changes nothing for anybody else, so the nodes'
steps are read off in one pass: a thousand workers one by one are a thousand steps.

Sources: Kubernetes "Version Skew Policy"; etcd "Upgrade etcd from v3.6 to v3.7" and "Downgrade etcd from v3.7 to v3.6".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _plan_state, _skew, _upgrade_refusals
from ansible_collections.multimaster.kubernetes.plugins.module_utils._upgrade_view import (
    APISERVER,
    CONTROLLERS,
    ETCD,
    KUBERNETES,
    NODE,
    STAY,
    Etcd,
    Host,
    View,
    Wanted,
    direction,
    read,
)

__all__ = ["Change", "Etcd", "Host", "Plan", "Step", "Wanted", "plan"]

FETCH, SNAPSHOT, CANCEL, DOWNGRADE = "fetch", "snapshot", "cancel", "downgrade"
MEMBER, SWAP, MASTER, NODES = "member", "swap", "master", "node"
KINDS = (FETCH, SNAPSHOT, CANCEL, DOWNGRADE, MEMBER, SWAP, MASTER, NODES)
# So many hosts are named in a line of the plan.
NAMED = 4
UNKNOWN = Etcd()


@dataclass(frozen=True)
class Change:
    """One program on one host: its present version ("" when it does not run) and the wanted one."""

    host: str
    program: str
    present: str
    wanted: str


@dataclass(frozen=True)
class Step:
    """One step: its kind, its hosts, why, what changes, the way back once it is done, and what it finds and leaves.

    ``restarts``: the programs that restart on these hosts, in this order; some restart without a change. It and what follows
    ``outage`` are as ``_plan_state`` describes them.
    """

    kind: str
    hosts: tuple
    why: str
    changes: tuple = ()
    restarts: tuple = ()
    way_back: str = ""
    outage: bool = False
    before: _plan_state.Etcd | None = None
    during: _plan_state.Etcd | None = None
    after: _plan_state.Etcd | None = None
    holder_before: str | None = None
    holder_after: str | None = None

    def line(self):
        """Return the step as one line of the plan."""
        hops = {}
        for one in self.changes:
            hops.setdefault(f"{one.present or 'down'} -> {one.wanted}", {})[one.program] = None
        changed = {one.program for one in self.changes}
        also = ", ".join(program for program in self.restarts if program not in changed)
        versions = _plan_state.bracket(
            *(f"{', '.join(programs)} {hop}" for hop, programs in hops.items()), f"restarts {also} too" if also else ""
        )
        hosts = ", ".join(self.hosts[:NAMED]) + (f" and {len(self.hosts) - NAMED} more" if len(self.hosts) > NAMED else "")
        return f"{self.kind:9} {hosts:12} {self.why}{versions}{_plan_state.bracket(_plan_state.etcd_text(self))}"


@dataclass(frozen=True)
class Plan:
    """The steps in order, or every reason to take none; and what to know beside them.

    ``kubernetes``, ``etcd``: the direction of each, up, back or stay.
    """

    steps: tuple = ()
    refusals: tuple = ()
    notes: tuple = ()
    kubernetes: str = STAY
    etcd: str = STAY

    def lines(self):
        """Return the plan as text, the way back wherever it changes."""
        lines, told = [], ""
        for number, step in enumerate(self.steps, 1):
            lines.append(f"{number:3}. {step.line()}")
            if step.way_back and step.way_back != told:
                told = step.way_back
                lines.append(f"     way back from here: {told}")
        return (*lines, *self.notes)

    def as_dict(self):
        """Return plain data."""
        return _plan_state.as_dict(self)


def plan(running: _skew.Versions, hosts: tuple, wanted: Wanted, etcd: Etcd = UNKNOWN, holder: str | None = None) -> Plan:
    """Return the Plan from the running versions (by host name) to the wanted ones; ``holder`` is that of a View."""
    ordered = tuple(sorted(hosts, key=lambda host: host.name))
    view = View(running, ordered, wanted, etcd, holder)
    refusals = _upgrade_refusals.refusals(view)
    notes = _upgrade_refusals.notes(view)
    targets = read(wanted.kubernetes), read(wanted.etcd)
    if not all(targets):
        return Plan(refusals=refusals, notes=notes)
    # Who cannot be reached is refused, and the plan made as if it could be.
    steps = tuple(_whole(view))
    if not wanted.allow_outage:
        refusals += tuple(_upgrade_refusals.outage(step.hosts[0], step.restarts) for step in steps if step.outage)
    if wanted.even_voters:
        refusals += tuple(_upgrade_refusals.even(step.hosts[0]) for step in steps if step.kind == SWAP)
    if any(step.kind == DOWNGRADE for step in steps):
        refusals += tuple(_upgrade_refusals.downgrade(view))
    refusals += tuple(_upgrade_refusals.unfit(view))
    ways = (direction(view.versions(*KUBERNETES), targets[0]), direction(view.versions(ETCD), targets[1]))
    return Plan(() if refusals else steps, refusals, notes, *ways)


def _whole(view):
    """Yield the steps of the whole plan, each with its way back."""
    old = _upgrade_refusals.old_versions(view)
    steps = list(_work(view, old))
    touched = {host for step in steps for host in step.hosts}
    begin = _upgrade_refusals.way_back_now(view, old)
    if touched:
        why = "every host gets the wanted programs before anything stops"
        yield _between(view, Step(FETCH, tuple(sorted(touched)), why, way_back=begin), view)
    speaker = _leader(view)
    if speaker and any(change.program in ("etcd", "kube-apiserver") for step in steps for change in step.changes):
        why = "etcd is saved, the copy verified and fetched, before anything changes"
        yield _between(view, Step(SNAPSHOT, speaker, why, way_back=begin), view)
    yield from (_between(view, step, view) for step in _etcd_first(view, old))
    canary = next(iter([step for step in steps if step.kind == MASTER][:-1]), None)
    for step in steps:
        first = step is canary and not step.outage
        yield replace(step, why="the canary: the others follow only when it is well") if first else step


def _between(view, step, after):
    """Return a step with etcd before, during and after it, and who has the address.

    A swap is at its worst while heir and old voter both vote.
    """
    worst = view
    if step.kind == SWAP:
        pairs = zip(view.hosts, after.hosts)
        worst = replace(view, hosts=tuple(replace(host, votes=host.votes or then.votes) for host, then in pairs))
    clusters = [view.cluster(), worst.cluster(), after.cluster()]
    if step.kind != SWAP and "etcd" in step.restarts:
        clusters[1] = _plan_state.without(clusters[1], step.hosts[0])
    before, during, end = map(_plan_state.etcd, clusters)
    return replace(step, before=before, during=during, after=end, holder_before=view.holder, holder_after=view.holder)


def _etcd_first(view, old):
    """Yield what etcd as a whole must be told before a member changes."""
    target, cluster, enabled = _skew.parse(view.wanted.etcd).line, view.cluster_version(), view.downgrade()
    if enabled and enabled.line < target:
        why = f"a downgrade to {view.etcd.downgrade} is enabled; it would hold the cluster version back"
        yield Step(CANCEL, _leader(view), why, way_back=_upgrade_refusals.way_back(view, old))
    elif cluster and cluster > target:
        why = f"etcd is told to make its data fit {'.'.join(map(str, target))} again, since every member is newer"
        way_back = f"run again with etcd {old.etcd}: the downgrade is called off" if old.etcd else ""
        yield Step(DOWNGRADE, _leader(view), why, way_back=way_back)


def _leader(view):
    """Return the name of the member to speak to, the leader, else the first voter; none when no voter runs."""
    voters = [host for host in view.hosts if host.member and host.votes and ETCD not in host.stopped]
    return tuple(host.name for host in sorted(voters, key=lambda host: (not host.leads, host.name))[:1])


def _work(view, old):
    """Yield all that restarts something, each with its way back, until everything runs as wanted."""
    control = view.control()
    # Every step but a swap makes at least one host right, and there are at most two swaps a host.
    for _step in range(4 * len(control.hosts) + 1):
        found = _next(control)
        if found is None:
            break
        step, after = found
        yield replace(_between(control, step, after), way_back=_upgrade_refusals.way_back(after, old))
        control = after
    else:
        raise AssertionError("the plan does not end")
    yield from _nodes(view, control, old)


def _next(view):
    """Return the one next step of the masters and members, and the View after it, None at the end."""
    members = [host for host in view.hosts if not host.master and view.changing(host, (ETCD,))]
    masters = [host for host in view.hosts if host.master and view.changing(host, (ETCD, APISERVER, *CONTROLLERS))]
    if not members and not masters:
        return None
    host = min(members or masters, key=lambda host: _turn(view, host))
    if ETCD in view.changing(host, (ETCD,)) and _to_swap(view, host):
        return _swap(view, host)
    return _one(view, host)


def _turn(view, host):
    """Return what orders the etcd members and the masters; the docstring of the module says it in words."""
    here = tuple(component for component in host.components if component not in NODE)
    changing = view.changing(host, here)
    return (
        not set(host.stopped) & set(here),
        ETCD in changing and not view.spares(host),
        len(changing) == len(here),
        host.leads,
        host.holds,
        host.zone,
        host.name,
    )


def _to_swap(view, host):
    """Return whether its etcd member changes by leaving and coming back: in the middle of that, or as one not to be spared."""
    voters = [other for other in view.hosts if other.member and other.votes]
    return host.votes is None or (not view.spares(host) and (len(voters) > 1 or bool(view.learners())))


def _swap(view, host):
    """Return the step in which a voter gives way to another and comes back as a learner."""
    others = [other for other in view.hosts if other.member and other.votes and other != host]
    votes, leads = {host.name: False}, {host.name: False}
    restarts = ("etcd",)
    if host.votes is None:
        why = "its member was taken out; it comes back as a learner"
    else:
        heir = min(others or view.learners(), key=lambda other: other.name).name
        votes[heir], leads[heir] = True, True
        takes = "takes over" if others else "becomes a voter and takes over"
        why = f"{heir} {takes}; API servers are pointed there, then this member is removed and comes back as a learner"
        restarts = (*_plan_state.CONTROL_PLANE, "etcd") if host.master else restarts
    step = Step(SWAP, (host.name,), why, _changes(view, host, (ETCD,)), restarts)
    return step, view.after([(host.name, ETCD)], votes, leads)


def _one(view, host):
    """Return the step that changes one dedicated etcd member, or one master's control plane."""
    changing = view.changing(host, (ETCD, APISERVER, *CONTROLLERS))
    etcd = ETCD in changing
    outage = etcd and not view.spares(host)
    why = "one at a time, behind the quorum gate"
    if host.master:
        alone = sum(other.master for other in view.hosts) == 1
        outage = outage or (alone and (etcd or APISERVER in changing) and not {ETCD, APISERVER} & set(host.stopped))
        why = "one master at a time" if etcd or APISERVER in changing else "controllers only; no drain"
    if outage:
        why = "an outage of the API: nothing stands in for it"
    kind = MASTER if host.master else MEMBER
    step = Step(kind, (host.name,), why, _changes(view, host, changing), _restarts(view, host), outage=outage)
    leads = {host.name: False} if etcd else {}
    return step, view.after([(host.name, component) for component in changing], {}, leads)


def _restarts(view, host):
    """Return the programs that restart on a master or member, in order.

    An API server does not run while its own etcd restarts, nor its controllers while it restarts. Controllers may not be newer
    than their API server, so they come after it on the way up and before it on the way back.
    """
    changing = set(view.changing(host, (ETCD, APISERVER, *CONTROLLERS)))
    store = [component for component in (ETCD, APISERVER) if component in changing or (host.master and ETCD in changing)]
    drained = host.master and bool(store)
    controllers = [component for component in CONTROLLERS if component in changing or drained]
    target = _skew.parse(view.wanted.kubernetes)
    newer = [version for version in (view.now(c, host) for c in (APISERVER, *CONTROLLERS)) if version and version > target]
    order = controllers + store if newer else store + controllers
    return tuple(_skew.COMPONENTS[component] for component in order)


def _nodes(view, control, old):
    """Yield the steps of the nodes, each with its way back; ``control``: masters and members when all of theirs is done."""
    due = {host.name: view.changing(host, NODE) for host in view.hosts}
    batches = list(_batches([host for host in view.hosts if due[host.name]], view.batch()))
    made = [[(host.name, component) for host in chosen for component in due[host.name]] for chosen in batches]
    running = {component: getattr(view.running, component) for component in NODE}
    etcd, ways = _plan_state.etcd(control.cluster()), _upgrade_refusals.ways_back(control, running, old, made)
    for chosen, pairs, way_back in zip(batches, made, ways):
        first, changing = chosen[0], {component for _name, component in pairs}
        pinned, zone = first.pinned, f", zone {first.zone}" if first.zone else ""
        if first.master:
            why = "a master's node, after the last API server" + (f"; {_plan_state.PINNED}" if pinned else "")
        else:
            why = (_plan_state.PINNED if pinned else "drained within PodDisruptionBudgets, uncordoned on failure") + zone
        yield Step(
            NODES,
            tuple(host.name for host in chosen),
            why,
            tuple(change for host in chosen for change in _changes(view, host, due[host.name])),
            tuple(_skew.COMPONENTS[component] for component in NODE if component in changing),
            way_back,
            before=etcd,
            during=etcd,
            after=etcd,
            holder_before=view.holder,
            holder_after=view.holder,
        )


def _batches(nodes, size):
    """Return the nodes that change at once, in order: masters one by one, then workers of one zone, so many of them.

    Where something is down in a zone, its first batches come before those of other zones.
    """

    def rank(host):
        return not set(host.stopped) & set(NODE), host.zone, host.name

    zones = {}
    for host in sorted((host for host in nodes if not host.master), key=rank):
        zones.setdefault(host.zone, []).append(host)
    size = size or len(nodes)
    batches = [same[start : start + size] for same in zones.values() for start in range(0, len(same), size)]
    masters = [[host] for host in sorted((host for host in nodes if host.master), key=rank)]
    return (*masters, *sorted(batches, key=lambda chosen: rank(chosen[0])))


def _changes(view, host, components):
    return tuple(
        Change(host.name, _skew.COMPONENTS[component], view.present(component, host), view.target(component))
        for component in components
    )
