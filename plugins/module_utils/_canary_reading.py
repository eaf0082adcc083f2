# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Watch one API server and the etcd members for a while: their counters before and after, its readiness in between.

The clients and the clock are injected. What cannot be read is said in the sample, never an exception. Leaves out: judging
(``_canary``).
"""

from __future__ import annotations

import time

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _canary, _https, _kube, _kube_reading, _metrics

# seconds between two looks at /readyz
PAUSE = 1.0
# seconds for one member's metrics; it makes them in milliseconds, and another member may tell instead
MEMBER_SECONDS = 3.0


def sample(kube, endpoints, opener) -> _canary.Sample:
    """Return the counters as of now."""
    changes, errors = {}, []
    for url in endpoints:
        try:
            changes[url] = leader_changes(url, opener)
        except (_https.TransportError, ValueError, OverflowError) as error:
            errors.append(str(error))
    try:
        metrics = _metrics.read(kube.request("GET", "/metrics"), _canary.REQUESTS, _canary.STARTED)
        counted = _canary.counted(metrics)
    except (_kube.KubeError, ValueError, OverflowError) as error:
        return _canary.Sample(None, {}, changes, "; ".join([str(error), *errors]))
    started = next((value for name, _labels, value in metrics if name == _canary.STARTED), None)
    if started is None:
        errors.insert(0, f"{kube.server}/metrics does not tell {_canary.STARTED}")
    return _canary.Sample(started, counted, changes, "; ".join(errors))


def leader_changes(url, opener) -> int:
    """Return how many leader changes a member has seen since it started; ValueError when it does not say."""
    answer = opener("GET", f"{url}/metrics", None, {}, MEMBER_SECONDS)
    found = _metrics.read(answer.body.decode("utf-8", "replace"), _canary.LEADER_CHANGES)
    if answer.status != 200 or not found:
        raise ValueError(f"{url}/metrics: HTTP {answer.status}, no {_canary.LEADER_CHANGES}")
    return int(found[0][2])


def look(kube) -> _canary.Look:
    """Return whether it is ready now, and what is missing."""
    try:
        found = _kube_reading.readyz(kube)
    except _kube.KubeError as error:
        return _canary.Look(False, str(error))
    return _canary.Look(found["ready"], "" if found["ready"] else f"/readyz: {', '.join(found['failed']) or 'not ready'}")


def watch(kube, endpoints, opener, seconds, clock=time.monotonic, sleep=time.sleep):
    """Return (Sample before, Sample after, looks in between, seconds it took)."""
    begin = clock()
    before = sample(kube, endpoints, opener)
    end = clock() + seconds
    looks = [look(kube)]
    while clock() < end:
        sleep(max(0.0, min(PAUSE, end - clock())))  # the clock may pass the end in between
        looks.append(look(kube))
    return before, sample(kube, endpoints, opener), tuple(looks), clock() - begin
