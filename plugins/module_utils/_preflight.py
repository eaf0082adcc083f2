# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Judge settings, inventory and hosts before anything is touched, and report everything at once.

`CHECKS` maps each id (what `multimaster_preflight_ignore` takes) to a function from a View to findings. An error stops
the run, a warning is shown. Leaves out: the form of single settings (_settings) and mending anything.
"""

from __future__ import annotations

import difflib

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _preflight_cluster,
    _preflight_endpoint,
    _preflight_hosts,
    _preflight_inventory,
    _preflight_machine,
    _preflight_view,
    _request,
    _role_inputs,
    _settings,
    _skew,
)
from ansible_collections.multimaster.kubernetes.plugins.module_utils._finding import WARNING, Finding, in_order, without

ADDRESS = "node-address"
# A move writes the files of the endpoint on its old holder: its address and port, the virtual router, the masters behind it. With
# others than the cluster was made with the address would go and its old holder stay broken.
WRITTEN_BY_MOVES = ("etcd-stray", "master-stray", "cluster-other", "cluster-changed", ADDRESS)
# What a caller needs to ask for a judgement.
View = _preflight_view.View
GROUPS = _preflight_inventory.GROUPS
#: What is wanted, by the ids of findings that are not named like the check that makes them.
FURTHER = {
    **_settings.CHECKS,
    **_role_inputs.CHECKS,
    **_skew.CHECKS,
    "version-hop": "Want site.yml to bring no newer minor: that is upgrade.yml's.",
}


def left_out(kind):
    """Return the checks that a request of this kind does without.

    What the plan of an upgrade says of versions is said for this very purpose. The address is moved off a master that is not
    well, too: a move asks who holds it and who can take it, and whether what it writes for the endpoint fits (WRITTEN_BY_MOVES).
    """
    if kind == _request.MOVE:
        return tuple(check for check in CHECKS if check not in WRITTEN_BY_MOVES)
    return ("version-skew",) if kind == _request.UPGRADE else ()


def judge_request(view, kind, ignore=()):
    """Return the findings that a request of this kind asks for; to a move a node address means something on masters only."""
    found, masters = judge(view, (*ignore, *left_out(kind))), {host.name for host in view.masters}
    return tuple(one for one in found if kind != _request.MOVE or one.check != ADDRESS or one.host in masters)


def judge(view, ignore=()):
    """Return all findings, errors first, without those whose check is in `ignore`."""
    found = (finding for check, judge_one in CHECKS.items() if check not in ignore for finding in judge_one(view))
    return in_order(without(found, ignore))


def ignored_known(view):
    """Want every id in multimaster_preflight_ignore to be a check."""
    for check in view.settings.preflight_ignore:
        known = [*CHECKS, *FURTHER]
        if check not in known:
            near = difflib.get_close_matches(check, known, n=1)
            yield Finding(
                "",
                "ignore-unknown",
                f"multimaster_preflight_ignore names {check}",
                "ids of checks",
                f"Did you mean {near[0]}?" if near else "Remove it.",
                WARNING,
            )


CHECKS = {
    "host-unreachable": _preflight_hosts.hosts_observed,
    "inventory-no-master": _preflight_inventory.masters_listed,
    "inventory-group": _preflight_inventory.groups_spelt,
    "inventory-name": _preflight_inventory.names_usable,
    "hostname-invalid": _preflight_hosts.hostnames_valid,
    "hostname-changed": _preflight_hosts.hostnames_kept,
    "duplicate-hostname": _preflight_hosts.hostnames_once,
    "duplicate-address": _preflight_hosts.addresses_once,
    "duplicate-machine-id": _preflight_hosts.machine_ids_once,
    ADDRESS: _preflight_hosts.addresses_known,
    "endpoint-is-host": _preflight_endpoint.endpoint_own,
    "endpoint-port": _preflight_endpoint.endpoint_port_own,
    "endpoint-subnet": _preflight_endpoint.endpoint_in_subnet,
    "endpoint-taken": _preflight_endpoint.endpoint_free,
    "endpoint-twice": _preflight_endpoint.endpoint_once,
    "network-overlap": _preflight_inventory.networks_apart,
    "network-size": _preflight_inventory.networks_large_enough,
    "zone-unknown": _preflight_inventory.zones_known,
    "zone-missing": _preflight_inventory.zones_complete,
    "zone-quorum": _preflight_inventory.zones_survivable,
    "members-even": _preflight_inventory.members_odd,
    "ca-store": _preflight_cluster.ca_store_there,
    "ca-differs": _preflight_cluster.ca_same,
    "cluster-other": _preflight_cluster.same_cluster,
    "cluster-changed": _preflight_cluster.settings_kept,
    "clock-skew": _preflight_hosts.clocks_agree,
    "port-taken": _preflight_hosts.ports_free,
    "os-unsupported": _preflight_machine.systems_supported,
    "architecture": _preflight_machine.architectures_supported,
    "kernel": _preflight_machine.kernels_new_enough,
    "cgroup-v1": _preflight_machine.cgroups_unified,
    "python": _preflight_machine.pythons_new_enough,
    "command-missing": _preflight_machine.commands_there,
    "memory": _preflight_machine.memory_enough,
    "disk-space": _preflight_machine.disks_large_enough,
    "disk-pressure": _preflight_machine.disks_relaxed,
    "resolver-loopback": _preflight_machine.pods_resolve,
    "disk-slow": _preflight_machine.disks_fast_enough,
    "etcd-refused": _preflight_cluster.etcd_startable,
    "etcd-obstacle": _preflight_cluster.etcd_joinable,
    "etcd-address": _preflight_cluster.etcd_addressed,
    "etcd-alarm": _preflight_cluster.alarms_none,
    "etcd-stray": _preflight_cluster.etcd_known,
    "master-stray": _preflight_cluster.masters_known,
    "etcd-latency": _preflight_cluster.timings_good,
    "version-skew": _preflight_cluster.versions_fit,
    "hook-unusable": _preflight_inventory.hooks_usable,
    "ignore-unknown": ignored_known,
}
