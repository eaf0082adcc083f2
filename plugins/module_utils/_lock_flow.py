# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Take, renew and release the operation lock: read the Lease, let ``_lock`` judge, write what was judged and nothing newer.

Each write carries the version that was read, or is a create, so that of two runs one wins and the other reads again.
Source of the Lease's fields: Kubernetes API reference, coordination.k8s.io/v1.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, fields

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _drain, _lock
from ansible_collections.multimaster.kubernetes.plugins.module_utils._kube import (
    KubeError,
    KubeRefused,
    conflict,
    look,
)
from ansible_collections.multimaster.kubernetes.plugins.module_utils._kube_objects import moment

API, KIND = "coordination.k8s.io/v1", "Lease"
PREFIX = "multimaster.kubernetes/"
# A conflict means that another run was faster, and the next reading most often ends in a refusal.
ATTEMPTS = 5
# What a Lease has a field for is not repeated as an annotation.
ANNOTATED = tuple(field.name for field in fields(_lock.Run) if field.name != "holder")
NUMBERS = ("pid", "started")
# A run asks for the lock before each step, so that it may have done others before: as ``_lock.judge_kept`` says it.
NOT_BEGUN = "the next step was not begun"


@dataclass(frozen=True)
class Outcome:
    """The verdict, and the lock as it stands afterwards: None when nobody holds it."""

    verdict: _lock.Verdict
    lease: _lock.Lease | None

    def as_dict(self):
        """Return a module's result; the lock is bookkeeping of the run, so nothing counts as changed."""
        return {
            "changed": False,
            "step": self.verdict.step,
            "refused": self.verdict.refused,
            "reason": self.verdict.reason,
            "lock": self.lease.as_dict() if self.lease else {},
        }


@dataclass(frozen=True)
class Wish:
    """What the run ``me`` asks of a lock for a step of at most ``seconds``.

    ``kept``: it has the lock, so anything else than finding it so is a loss. ``gone``: a holder proven to be dead. ``nodes``:
    those that nobody else may have cordoned. ``check``: look only. Raises ValueError on a wild bound.
    """

    me: _lock.Run
    seconds: int
    gone: str = ""
    kept: bool = False
    check: bool = False
    nodes: tuple = ()

    def __post_init__(self):
        _lock.duration(self.seconds)

    def judge(self, lease, now, remedy=_lock.DELETE):
        """Return the _lock.Verdict on this lock, at this moment."""
        if self.kept:
            return _lock.judge_kept(lease, self.me, now, remedy)
        return _lock.judge(lease, self.me, now, self.gone, remedy)


def stamp(seconds):
    """Return seconds since the epoch as a MicroTime."""
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def number(text):
    """Return the number that a text is, 0 when it is none."""
    return int(text) if text.isdecimal() else 0


def timed(run, since, renewed, lasts):
    """Return the _lock.Lease of a run that renewed it at a MicroTime for so many seconds; one that says neither has no end."""
    begun = moment(renewed)
    if begun is None or not lasts:
        return _lock.Lease(run, since)
    try:
        return _lock.Lease(run, since, stamp(begun + lasts), begun + lasts)
    except (ValueError, OverflowError, OSError):  # beyond the last year that a date can have
        return _lock.Lease(run, since)


def lease_of(found):
    """Return the _lock.Lease of a Lease object, of None when there is none."""
    if found is None:
        return None
    spec, noted = found.get("spec") or {}, found["metadata"].get("annotations") or {}
    said = {name: noted.get(PREFIX + name, "") for name in ANNOTATED}
    said.update({name: number(said[name]) for name in NUMBERS})
    run = _lock.Run(holder=spec.get("holderIdentity") or "", **said)
    return timed(run, spec.get("acquireTime") or "", spec.get("renewTime"), spec.get("leaseDurationSeconds"))


def claim(found, me, step, seconds, now):
    """Return the Lease object that makes this run the holder; ``found`` is what was read, with its version, or None."""
    old = (found or {}).get("spec") or {}
    metadata = dict((found or {}).get("metadata") or {"name": _lock.NAME, "namespace": _lock.NAMESPACE})
    # who renews need not say again what for
    noted = {PREFIX + name: str(getattr(me, name)) for name in ANNOTATED if name != "purpose" or me.purpose}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), **noted}
    kept = old.get("acquireTime") if step == _lock.RENEW else None
    spec = {
        "holderIdentity": me.holder,
        "leaseDurationSeconds": _lock.duration(seconds),
        "acquireTime": kept or stamp(now),
        "renewTime": stamp(now),
        "leaseTransitions": (old.get("leaseTransitions") or 0) + (step == _lock.TAKE_OVER),
    }
    return {"apiVersion": API, "kind": KIND, "metadata": metadata, "spec": spec}


def _read(kube, check):
    return look(kube, check, API, KIND, _lock.NAME, _lock.NAMESPACE)


def _until_nobody_is_faster(kube, attempt):
    """Return what ``attempt()`` returns, begun anew for a few times when somebody else wrote in between."""
    for _number_of in range(ATTEMPTS):
        try:
            return attempt()
        except KubeRefused as error:
            if not conflict(error):
                raise
    asked = f"the Lease {_lock.NAMESPACE}/{_lock.NAME}"
    raise KubeError(asked, kube.server, f"{ATTEMPTS} times it was changed between reading and writing. Next: run again")


def cordoned(kube, nodes, check=False):
    """Return a refusal for each of these nodes that somebody else has cordoned: the earliest sign that somebody is at work."""
    found = []
    for name in nodes:
        node = look(kube, check, "v1", "Node", name)
        if node is not None:
            found.append(_drain.judge_cordon(node, None, take_over=False, spared=NOT_BEGUN).refusal)
    return [said for said in found if said]


def hold(kube, wish, clock):
    """Take, renew or take over the lock as the Wish says; ``clock()`` in seconds since the epoch.

    Refused as well while somebody else has cordoned one of the wish's nodes.
    """
    foreign = cordoned(kube, wish.nodes, wish.check)
    if foreign:
        return Outcome(_lock.Verdict(_lock.REFUSE, "; ".join(foreign)), lease_of(_read(kube, wish.check)))

    def attempt():
        found = _read(kube, wish.check)
        now, lease = clock(), lease_of(found)
        verdict = wish.judge(lease, now)
        if verdict.refused or wish.check:
            return Outcome(verdict, lease)
        wanted = claim(found, wish.me, verdict.step, wish.seconds, now)
        written = kube.replace(wanted) if found else kube.create(wanted, optimistic=True)
        return Outcome(verdict, lease_of(written))

    return _until_nobody_is_faster(kube, attempt)


def free(kube, me, check=False):
    """Release the lock by deleting the Lease this run holds."""

    def attempt():
        found = _read(kube, check)
        lease = lease_of(found)
        verdict = _lock.judge_release(lease, me)
        if verdict.step != _lock.RELEASE or check:
            return Outcome(verdict, lease)
        kube.delete(API, KIND, _lock.NAME, _lock.NAMESPACE, only=found)
        return Outcome(verdict, None)

    return _until_nobody_is_faster(kube, attempt)
