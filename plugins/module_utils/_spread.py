# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Decide which pod of a service has to move, so that the loss of one zone, or of one host, does not take all of them.

Solves: the scheduler spreads pods when they start and never again (Kubernetes docs, "Pod Topology Spread Constraints", known
limitations). What began on the first node of a cluster stays there when others come. Leaves out: an even spread, since pods in
two places survive the loss of one and moving more would buy little; asking, evicting and waiting (``_spread_flow``).
"""

from __future__ import annotations

from dataclasses import dataclass

#: Effects of taints that a pod without a toleration is kept off by, or sent elsewhere while there is another node: the scheduler
#: weighs a taint it should avoid above a spread it should keep (k8s.io/kubernetes, plugin weights 3 and 2).
KEEPING_OFF = ("NoSchedule", "NoExecute", "PreferNoSchedule")


@dataclass(frozen=True)
class Pod:
    """One pod that is neither ending nor over; ``node`` is "" until it has one.

    ``tried``: the nodes (as ``Verdict.takers``) that could have taken it when the scheduler put it where the others are.
    """

    name: str
    node: str
    ready: bool
    tried: str = ""


@dataclass(frozen=True)
class Node:
    """One node; ``takes``: whether it takes new pods of this service (see ``takes_pods``)."""

    name: str
    zone: str
    takes: bool


@dataclass(frozen=True)
class Verdict:
    """Say how the pods lie: ``move`` names the one to move ("": none), ``takers`` the nodes elsewhere that could take it.

    ``unready`` names the pods that are waited for before.
    """

    reason: str
    move: str = ""
    takers: str = ""
    unready: tuple[str, ...] = ()


def takes_pods(summary: dict, tolerated: tuple[str, ...]) -> bool:
    """Return whether a node (as of ``_kube_objects.node_summary``) takes new pods that tolerate taints of these keys."""
    off = [taint for taint in summary["taints"] if taint["effect"] in KEEPING_OFF and taint["key"] not in tolerated]
    return summary["ready"] and not summary["unschedulable"] and not off


def judge(pods: list[Pod], nodes: list[Node]) -> Verdict:
    """Return the Verdict: one moves when all are in one zone, or without a second zone on one host, and another takes it."""
    known = {node.name: node for node in nodes}
    used = {pod.node for pod in pods if pod.node in known}
    zones = {node.zone for node in nodes if node.takes or node.name in used}
    part = "zone" if len(zones) > 1 else "host"

    def place(name: str) -> str:
        return known[name].zone if part == "zone" and name in known else name

    if len(pods) < 2:
        return Verdict(f"{len(pods)} of its pods run, and there is nothing to spread")
    places = {place(pod.node) for pod in pods}
    if len(places) > 1:
        return Verdict(f"{len(pods)} pods in {len(places)} {part}s")
    here = places.pop()
    able = sorted(node.name for node in nodes if node.takes and place(node.name) != here)
    together = f"all {len(pods)} pods are in {part} {here}" if part == "zone" else f"all {len(pods)} pods are on {here}"
    if not able:
        return Verdict(f"{together}, and no node elsewhere takes one")
    takers = ", ".join(able)
    if takers in {pod.tried for pod in pods}:
        return Verdict(f"{together}: {takers} could take one, but the scheduler has put it back, so it is left there")
    unready = tuple(sorted(pod.name for pod in pods if not pod.ready))
    return Verdict(f"{together}, and {takers} could take one", max(pod.name for pod in pods), takers, unready)
