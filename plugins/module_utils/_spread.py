# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Decide which pod of a service has to move, so that the loss of one zone, or of one host, does not take all of them.

Solves: the scheduler spreads pods when they start and never again (Kubernetes docs, "Pod Topology Spread Constraints", known
limitations). What began on the first node of a cluster stays there when others come. Pure: ``pod_spread`` asks and evicts.
Leaves out: an even spread. Pods in two places survive the loss of one, and moving more of them would buy little.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _kube_objects

#: Taints that pods of the cluster's own services tolerate; whatever else keeps pods off a node keeps these off too.
TOLERATED = ("node-role.kubernetes.io/control-plane", "CriticalAddonsOnly")
KEEPING_OFF = ("NoSchedule", "NoExecute")


@dataclass(frozen=True)
class Verdict:
    """Say how the pods are spread: ``pod`` is the object to move (None: none), ``unready`` names those to wait for before."""

    reason: str
    pod: dict | None = None
    unready: tuple = ()

    @property
    def apart(self):
        """Tell whether nothing is to be moved."""
        return self.pod is None


def here(pods):
    """Return the pods that count: neither ending nor over."""
    going = ("Succeeded", "Failed")
    return [p for p in pods if not p["metadata"].get("deletionTimestamp") and p.get("status", {}).get("phase") not in going]


def judge(pods, nodes):
    """Return the Verdict on pods (objects of v1 Pod) on nodes (objects of v1 Node).

    One pod moves when all are in one zone, or without a second zone on one host, and another could take it.
    """
    pods = here(pods)
    known = {node["name"]: node for node in map(_kube_objects.node_summary, nodes)}
    takers = [node for node in known.values() if takes_pods(node)]
    zones = {node["zone"] for node in takers}
    part, places = ("zone", zones) if len(zones) > 1 else ("host", {node["name"] for node in takers})

    def place(pod):
        name = pod.get("spec", {}).get("nodeName", "")
        return known.get(name, {}).get("zone", "") if part == "zone" else name

    if len(pods) < 2 or len(places) < 2:
        what = "pods" if len(pods) < 2 else "places"
        return Verdict(f"there are no two {what} to spread: {len(pods)} pods, and {len(places)} {part}s that take some")
    counts = Counter(map(place, pods))
    if len(counts) > 1:
        return Verdict(f"{len(pods)} pods in {len(counts)} {part}s")
    last = max(pods, key=lambda pod: pod["metadata"]["name"])
    others = ", ".join(sorted(places - {place(last)}))
    unready = tuple(sorted(pod["metadata"]["name"] for pod in pods if not ready(pod)))
    return Verdict(f"all {len(pods)} pods are in {part} {place(last)}, and {part} {others} could take one", last, unready)


def takes_pods(node):
    """Tell whether a node (as of ``node_summary``) takes new pods of the cluster's own services."""
    off = [taint for taint in node["taints"] if taint["effect"] in KEEPING_OFF and taint["key"] not in TOLERATED]
    return node["ready"] and not node["unschedulable"] and not off


def ready(pod):
    """Tell whether a pod is Ready."""
    conditions = pod.get("status", {}).get("conditions", ())
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
