# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Say what taking hosts out of a living cluster will do, step by step, or why it is not done.

Solves: the person who types a host's name sees, before anything is touched, what moves, what restarts, and what etcd
survives at every step. The etcd steps are those of ``_join_order``, each with its verdict by ``_quorum``; this file puts
what belongs to nodes, API servers and the endpoint around them. Leaves out: doing, and judging each step again from a
fresh reading at its time (the modules do).

    ==========  =====================================================================================
    kind        what is done
    ==========  =====================================================================================
    drain       no new pods on the node; its pods are evicted, or forgotten when the host is gone
    repoint     an API server restarts with other etcd URLs, drained first, one at a time
    yield       the endpoint address moves to a master that stays
    stop        the host's API server, controller-manager and scheduler stop, drained first
    clean       the node object is deleted; a host that can be reached is made bare
    (others)    steps of etcd's membership, named as in ``_quorum``
    ==========  =====================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _endpoint, _join_order, _quorum

DRAIN, YIELD, STOP, CLEAN = "drain", "yield", "stop", "clean"


@dataclass(frozen=True)
class Going:
    """One host that is to leave: inventory and node name, what it is, and what was seen of it."""

    name: str
    node_name: str = ""
    master: bool = False
    node: bool = True
    alive: bool = True
    holds: bool = False


@dataclass(frozen=True)
class Step:
    """One step: its kind, the host (or etcd member), why, and what etcd survives before and after it ("" = untouched)."""

    kind: str
    host: str
    why: str
    before: str = ""
    after: str = ""

    def line(self):
        """Return the step as one line of the plan."""
        etcd = f"   [etcd: {self.before} -> {self.after}]" if self.before else ""
        return f"{self.kind:12} {self.host:12} {self.why}{etcd}"


@dataclass(frozen=True)
class Plan:
    """The steps in order, what to know beside them, or the reasons to take none, each (reason, next step)."""

    steps: tuple = ()
    notes: tuple = ()
    refusals: tuple = ()

    def lines(self):
        """Return the plan as text."""
        return tuple(f"{number:3}. {step.line()}" for number, step in enumerate(self.steps, 1)) + self.notes


def plan(going, etcd, masters, mode) -> Plan:
    """Return the Plan for these hosts.

    ``going``: Going of each host, those that cannot be reached first, the holder last; ``etcd``: ``_join_order.Planned`` steps
    of the whole change; ``masters``: names of those that stay; ``mode``: the endpoint's state afterwards, as
    ``_endpoint.wanted_state`` names it.
    """
    refusals = tuple(_refusals(going, etcd, masters))
    if refusals:
        return Plan(refusals=refusals)
    steps = [
        *(_drain(host) for host in going if host.node),
        *(_etcd(one) for one in etcd if one.step.kind in _BEFORE),
        *(_etcd(one) for one in etcd if one.step.kind == _join_order.REPOINT),
        *_leaving(going, masters, mode),
        *(_etcd(one) for one in etcd if one.step.kind in _AFTER),
        *(_end(host) for host in going),
    ]
    return Plan(tuple(steps), tuple(_notes(going, mode)))


# Promotions come before anything stops; members are added to stand by only when nothing is left to remove. The same order
# as in ``_join_order``: grow, repoint, shrink, stand by.
_BEFORE = (_join_order.START, _quorum.PROMOTE)
_AFTER = (_quorum.REMOVE, _quorum.ADD_LEARNER)


def _refusals(going, etcd, masters):
    if any(host.master for host in going) and not masters:
        yield (
            f"{_names(going)} would leave no master: a cluster without an API is no cluster",
            "add another master first (site.yml), or give the whole cluster up",
        )
        return
    for one in etcd:
        if one.verdict is not None and not one.verdict.safe:
            yield f"{one.step.kind} {one.step.target}: {one.verdict.reason}", one.verdict.next_step
            return
    newcomers = tuple(_newcomers(one.step for one in etcd))
    if newcomers:
        names = ", ".join(newcomers)
        yield (
            f"{names} would have to join etcd first, and this takes hosts out only",
            f"let site.yml take {names} in first; if a dead host is in its way, name {names} here too (or take it out of the "
            "inventory when it has no member), and list it again afterwards",
        )


def _newcomers(steps):
    """Return who would have to join: it is neither one that was removed to come back as a learner, nor started at once.

    Joins come before removals, and etcd takes nobody in while a member is dead.
    """
    removed = []
    for step in steps:
        if step.kind == _quorum.REMOVE:
            removed.append(step.target)
        elif step.target not in removed and (step.kind == _quorum.ADD_LEARNER or (step.kind == _join_order.START and removed)):
            yield step.target


def _drain(host):
    if host.alive:
        return Step(DRAIN, host.name, "no new pods; its pods are evicted, within their PodDisruptionBudgets")
    return Step(DRAIN, host.name, "it cannot be reached: its pods are taken as gone and start elsewhere")


def _etcd(one):
    before = after = ""
    verdict = one.verdict
    if verdict is not None:
        before, after = (f"quorum {s.quorum} of {s.voters}, survives {s.failures}" for s in (verdict.before, verdict.after))
    return Step(one.step.kind, one.step.target, one.step.why, before, after)


def _leaving(going, masters, mode):
    """Return the steps that take the masters' services out of use, those with the address last."""
    heir = "the only master left" if mode == _endpoint.DIRECT else " or ".join(sorted(masters))
    for host in (host for host in going if host.master and host.alive):
        if host.holds and mode != _endpoint.EXTERNAL:
            yield Step(YIELD, host.name, f"the endpoint address goes to {heir} before anything stops")
        yield Step(STOP, host.name, "every balancer stops using its API server first")


def _end(host):
    if not host.alive:
        return Step(CLEAN, host.name, "its node object is deleted; nothing is cleaned on a host that cannot be reached")
    return Step(CLEAN, host.name, "its node object is deleted; services stop, files of the cluster are removed from it")


def _notes(going, mode):
    for host in (host for host in going if not host.alive):
        yield f"{host.name} cannot be reached: see to it that it is off and stays off, or it still answers to its old peers"
    if mode == _endpoint.DIRECT and any(host.master for host in going):
        yield "one master is left: it holds the endpoint address itself, and every restart of it is an outage of the API"


def _names(going):
    return ", ".join(host.name for host in going)
