# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A balancer that crashes on the holder of the address takes nobody's API away: its API server listens there as well."""

from __future__ import annotations

import contextlib
import http.client
import time
from concurrent.futures import ThreadPoolExecutor

import access
import pytest

WATCHED = 4.0  # seconds, of which one before the balancer is killed
# Seconds without a good answer. keepalived gives the address away after three looks at its HAProxy, a second apart, that fail:
# what answers sooner is the holder itself. A request costs a twentieth of a second, several of these on two starved cores.
GAP = 2.0
# What is on its way when the balancer dies is cut off, and what the kernel had accepted for it already: one asks at a time.
FAILED = 2
BACK = 10.0  # seconds until its unit runs again
KILL = "sleep 1; systemctl kill --signal=SIGKILL haproxy.service"
PROCESS = "systemctl show haproxy.service --property=MainPID --value"


def answers(cluster) -> bool:
    """Say whether the API answers at the endpoint, on a new connection."""
    with contextlib.suppress(OSError, http.client.HTTPException):
        return cluster.request("GET", "/readyz", timeout=GAP)[0] == 200
    return False


def test_the_endpoint_answers_on_though_the_balancer_of_its_holder_is_killed(cluster):
    if not cluster.balanced:
        pytest.skip("one master has no balancer")
    (holder,) = cluster.holders()
    before = cluster.ssh(holder, PROCESS).strip()
    good, failed, gap = time.monotonic(), 0, 0.0
    with ThreadPoolExecutor(1) as pool:
        killed, end = pool.submit(cluster.ssh, holder, KILL), time.monotonic() + WATCHED
        while time.monotonic() < end or not killed.done():
            if answers(cluster):
                gap, good = max(gap, time.monotonic() - good), time.monotonic()
            else:
                failed += 1
        killed.result()
    gap = max(gap, time.monotonic() - good)
    after = access.wait(
        "the balancer runs again", lambda: cluster.ssh(holder, f"systemctl is-active -q haproxy && {PROCESS}"), BACK
    )
    assert after.strip() not in ("0", before), "it was never killed, so this proves nothing"
    assert failed <= FAILED
    assert gap < GAP
    assert cluster.holders() == [holder]
