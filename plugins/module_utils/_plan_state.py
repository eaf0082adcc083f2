# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Describe what a step of a plan finds and leaves: etcd, who has the endpoint address, what restarts.

Solves: every plan says it in the same words, and says it to a program the same way. For a person only what changes is said: a
line that repeats what everybody knows is not read at night. Leaves out: which steps there are (``_plan``, ``_upgrade``), and
whether one is safe (``_quorum``).

A step that is described has these attributes: ``before``, ``during`` (the worst moment), ``after``, each an Etcd, or None where
there is no etcd or nothing is known of it; ``holder_before``, ``holder_after``, each as ``_endpoint.holder`` tells it;
``restarts``, the programs that stop and start again on its hosts.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _quorum

#: What stops and starts again together where connections move away from an API server.
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")


@dataclass(frozen=True)
class Etcd:
    """What etcd is at one moment of a plan.

    ``zones``: those of which any one may be lost, None where they are not known; one without a healthy voter is lost already.
    """

    voters: int
    healthy: int
    quorum: int
    survives: int
    zones: tuple | None = None

    def __str__(self):
        return f"{self.healthy} of {self.voters} healthy, quorum {self.quorum}"


#: Of a node that is not drained where others are.
PINNED = "its pods stay: no other node could take them"


def etcd(cluster: _quorum.Cluster) -> Etcd | None:
    """Return what etcd is in this cluster, None where nobody votes."""
    if not cluster.voters:
        return None
    losses = _quorum.voter_losses(cluster.voters)
    healthy = len(cluster.healthy)
    zones = tuple(loss.zone for loss in losses if loss.survives and loss.left < healthy) if losses else None
    return Etcd(**_quorum.Survival(len(cluster.voters), healthy).as_dict(), zones=zones)


def without(cluster: _quorum.Cluster, target: str) -> _quorum.Cluster:
    """Return the cluster while the member of this id, name or peer URL does not serve."""
    members = tuple(replace(member, healthy=False) if member.called(target) else member for member in cluster.members)
    return replace(cluster, members=members)


def etcd_text(step) -> str:
    """Return what becomes of etcd by a step, "" where nothing does: its end, or its worst moment where that is all there is."""
    passing = step.before == step.after
    then = step.during if passing else step.after
    if then in (None, step.before):
        return ""
    zones = None if then.zones == getattr(step.before, "zones", None) and then.zones else then.zones
    return f"etcd: {step.before or 'none'} -> {then}{' meanwhile' if passing else ''}{_zones_text(zones)}"


def _zones_text(zones):
    if zones is None:
        return ""
    if len(zones) < 2:
        return f"; {'zone ' + zones[0] if zones else 'no zone'} may be lost"
    return f"; any one of the zones {', '.join(zones)} may be lost"


def holder_text(step) -> str:
    """Return who has the address after a step, "" where nothing changes."""
    if step.holder_before == step.holder_after:
        return ""
    words = {None: "not known", "": "nobody"}
    before, after = (words.get(one, one) for one in (step.holder_before, step.holder_after))
    return f"address: {before} -> {after}"


def bracket(*texts: str) -> str:
    """Return as the end of a step's line what of these there is to say."""
    said = "; ".join(filter(None, texts))
    return f"   [{said}]" if said else ""


def as_dict(made) -> dict:
    """Return a plan, its steps and notes, as plain data."""
    return {"steps": [asdict(step, dict_factory=_plain) for step in made.steps], "notes": list(made.notes)}


def _plain(pairs):
    return {key: list(value) if isinstance(value, tuple) else value for key, value in pairs}
