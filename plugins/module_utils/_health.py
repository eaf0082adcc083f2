# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Judge a living cluster from everything that was read of it: what is wrong, where, what to do, and the one verdict.

DOWN: it does not serve, or nothing proves that it does. DEGRADED: it serves, and something that should carry a failure
is missing. HEALTHY: warnings at most. Unknown counts as bad: a host or member that could not be asked never makes the
verdict better. `CHECKS` maps each id to a function from a View to findings. Leaves out: reading (`_health_reading`),
showing (`_health_report`), and mending anything.
"""

from __future__ import annotations

import dataclasses

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _health_api,
    _health_drift,
    _health_etcd,
    _health_nodes,
)
from ansible_collections.multimaster.kubernetes.plugins.module_utils._finding import ERROR, in_order

HEALTHY, DEGRADED, DOWN = "HEALTHY", "DEGRADED", "DOWN"
# From best to worst.
VERDICTS = (HEALTHY, DEGRADED, DOWN)

CHECKS = {
    "etcd-quorum": _health_etcd.etcd_quorum,
    "etcd-split": _health_etcd.etcd_one,
    "etcd-alarm": _health_etcd.etcd_alarms,
    "host-unreachable": _health_nodes.hosts_reached,
    "host-unread": _health_nodes.hosts_read,
    "etcd-leader": _health_etcd.etcd_led,
    "etcd-member": _health_etcd.etcd_members,
    "etcd-missing": _health_etcd.etcd_complete,
    "etcd-learner": _health_etcd.etcd_learners,
    "etcd-stray": _health_etcd.etcd_known,
    "etcd-address": _health_etcd.etcd_addressed,
    "etcd-even": _health_etcd.etcd_odd,
    "etcd-survival": _health_etcd.etcd_redundant,
    "etcd-size": _health_etcd.etcd_small,
    "etcd-downgrade": _health_etcd.etcd_downgraded,
    "etcd-view": _health_etcd.etcd_seen_by_all,
    "etcd-first-start": _health_drift.first_starts_over,
    "zone-loss": _health_etcd.zones_survivable,
    "api-none": _health_api.api_served,
    "api-etcd": _health_drift.api_servers_pointed,
    "api-down": _health_api.api_servers,
    "api-unread": _health_api.api_readable,
    "endpoint-dead": _health_api.endpoint_served,
    "vrrp-peers": _health_drift.vrrp_peers_known,
    "endpoint-nobody": _health_api.endpoint_held,
    "endpoint-twice": _health_api.endpoint_once,
    "endpoint-unreached": _health_api.endpoint_reached,
    "balancer-down": _health_api.balancers_run,
    "balancer-server": _health_api.balancers_send,
    "balancer-stray": _health_drift.balancers_know,
    "vrrp-down": _health_api.vrrp_settled,
    "lease-stale": _health_api.leases_fresh,
    "unit-down": _health_nodes.units_run,
    "node-missing": _health_nodes.nodes_registered,
    "node-not-ready": _health_nodes.nodes_ready,
    "disk-pressure": _health_nodes.disks_relaxed,
    "node-pressure": _health_nodes.nodes_relaxed,
    "node-cordoned": _health_nodes.nodes_schedulable,
    "node-stray": _health_nodes.nodes_known,
    "certificate-missing": _health_nodes.certificates_there,
    "certificate-names": _health_drift.certificates_named,
    "certificate-expired": _health_nodes.certificates_valid,
    "certificate-ends": _health_nodes.certificates_lasting,
}
# The checks whose errors mean that the cluster does not serve; any other error means DEGRADED. CHECKS lists causes before
# what follows from them, so the first of several errors is the one to mend first.
DOWN_BY = frozenset({"etcd-quorum", "etcd-split", "etcd-alarm", "api-none", "endpoint-dead"})
# The checks that only tell: their findings are warnings.
TELLING = frozenset(
    {
        "etcd-stray",
        "etcd-address",
        "etcd-even",
        "etcd-survival",
        "etcd-downgrade",
        "etcd-view",
        "etcd-first-start",
        "zone-loss",
        "balancer-stray",
        "disk-pressure",
        "node-cordoned",
        "node-stray",
    }
)


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Say in one word how the cluster is, in one sentence why, and what to do first, "" when nothing is wrong."""

    status: str
    reason: str
    next_step: str = ""


def judge(seen):
    """Return all findings on a View, errors first."""
    return in_order(finding for check in CHECKS.values() for finding in check(seen))


def verdict(seen, findings):
    """Return the Verdict that follows from the findings."""
    order = list(CHECKS)
    errors = sorted((one for one in findings if one.level == ERROR), key=lambda one: order.index(one.check))
    fatal = [finding for finding in errors if finding.check in DOWN_BY]
    if fatal:
        return Verdict(DOWN, fatal[0].found + _more(errors), _next_step(fatal[0]))
    if errors:
        return Verdict(DEGRADED, _degraded(seen.survival, errors), _next_step(errors[0]))
    return Verdict(HEALTHY, _healthy(seen))


def _degraded(survival, errors):
    """Return what is at stake, then what to look at first."""
    lost = survival.voters - survival.healthy
    if not lost:
        text = "it serves, but not everything is there"
    elif survival.failures:
        text = f"etcd has lost {lost} of {survival.voters} voters and survives {survival.failures} more"
    else:
        text = f"one more failure loses quorum ({survival.healthy} of {survival.voters} voters healthy)"
    first = f"{errors[0].host}: {errors[0].found}" if errors[0].host else errors[0].found
    return f"{text}: {first}{_more(errors)}"


def _more(errors):
    return f", and {len(errors) - 1} more" if len(errors) > 1 else ""


def _next_step(finding):
    """Return what a finding says to do as it stands behind `Next: `."""
    return finding.fix[0].lower() + finding.fix[1:].rstrip(".")


def _healthy(seen):
    losses = _health_etcd.zone_losses(seen)
    zones = " and of any one zone" if losses and all(loss.survives for loss in losses) else ""
    failures = seen.survival.failures
    if failures < 1:
        return "nothing is wrong, but the loss of an etcd voter is not survived"
    return f"survives the loss of {failures} etcd voter{'s' if failures > 1 else ''}{zones}"
