# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Hold the operation lock in one or two places: a Lease in the cluster, a file on one host.

Solves: which places it takes depends on what serves. Both in order, and what was taken anew is given back when a later one is
refused, so that a run that did not start keeps nobody waiting. Leaves out: each place (``_lock_flow``, ``_lock_file``).
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _lock, _lock_file, _lock_flow
from ansible_collections.multimaster.kubernetes.plugins.module_utils._kube import NOT_LET_IN, KubeRefused, KubeUnreachable
from ansible_collections.multimaster.kubernetes.plugins.module_utils._lock import CLUSTER, HOST, PLACES

# It answers that it cannot: its etcd has no leader, say. Not 429, which a busy server says that is well.
UNABLE = (500, 502, 503, 504)


def _in_order(names):
    """Return the places so named in the order in which they are taken; a lock that is nowhere would be held by every run."""
    chosen = [name for name in PLACES if name in names]
    if not chosen:
        raise ValueError(f"no place is named in which the lock is. Next: give `places`, of {' and '.join(PLACES)}")
    return chosen


@dataclass(frozen=True)
class Places:
    """Where to ask; ``clock()`` in seconds since the epoch.

    ``else_host``: hold the lock on the host while the API server that runs gives no right to the Lease, there are no
    credentials to ask it with (``kube`` is None), or its own certificate is not accepted: before the operators' first binding,
    after somebody deleted it or their certificate, or when that or the API server's has expired. The run is to mend it, and
    every other one asks the same host with the same.

    ``broken``: hold it on the host also when neither this API server nor any of the ``others`` answers, or all say that they
    cannot: for a cluster that is given up, which must not need to be well for that. Every other error still ends the run.
    """

    kube: object
    path: str
    clock: object
    else_host: bool = False
    broken: bool = False
    others: tuple = ()

    def hold(self, names, wish):
        """Take, renew or take over the lock in these places; return (the Outcome, the places in which it is held).

        The Outcome is the last place's, or the one of the place that refused.
        """
        held, taken, outcome = [], [], None
        for name in _in_order(names):
            try:
                name, outcome = self._hold_one(name, wish)
            except Exception:  # whatever it was, the run does not start
                self._give_back(taken, wish)
                raise
            if outcome.verdict.refused:
                self._give_back(taken, wish)
                return outcome, ()
            held.append(name)
            if outcome.verdict.step != _lock.RENEW:
                taken.append(name)
        return outcome, tuple(dict.fromkeys(held))

    def free(self, names, me, check=False):
        """Release the lock in these places; return the Outcome of the last, or of the first that refused."""
        outcomes = [self._free_one(name, me, check) for name in _in_order(names)]
        return next((one for one in outcomes if one.verdict.refused), outcomes[-1])

    def _hold_one(self, name, wish):
        """Return (the place, its Outcome)."""
        if name == CLUSTER:
            outcome = self._in_the_cluster(wish)
            if outcome is not None:
                return name, outcome
        return HOST, _lock_file.hold(self.path, wish, self.clock)

    def _in_the_cluster(self, wish):
        """Return the Outcome at the Lease, None where the host stands in for it."""
        for kube in (self.kube, *self.others) if self.kube is not None else ():
            try:
                return _lock_flow.hold(kube, wish, self.clock)
            except KubeRefused as error:
                if self.else_host and error.status in NOT_LET_IN:
                    return None
                if not self.broken or error.status not in UNABLE:
                    raise
            except KubeUnreachable as error:
                if self.else_host and error.unverified:
                    return None
                if not self.broken:
                    raise
        return None

    def _give_back(self, taken, wish):
        for name in taken:
            self._free_one(name, wish.me, wish.check)

    def _free_one(self, name, me, check):
        return _lock_file.free(self.path, me, check) if name == HOST else _lock_flow.free(self.kube, me, check)
