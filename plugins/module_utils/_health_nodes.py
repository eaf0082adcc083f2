# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Check hosts, their services, the nodes they are, and their certificates.

Each check is a function from a `_health_view.View` to findings; `_health` lists them.
"""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _node_disks, _pki, _pki_plan
from ansible_collections.multimaster.kubernetes.plugins.module_utils._endpoint import DIRECT, EXTERNAL
from ansible_collections.multimaster.kubernetes.plugins.module_utils._finding import ERROR, WARNING, Finding

# Days left at which a certificate is mentioned, and at which it is an error; and the shares of its life that do the same
# for short-lived ones. A year's certificate is renewed by any run of site.yml in its last 30 days, a kubelet's by itself.
ENDS_WARNING = {"leaf": (30.0, 1 / 12), "kubelet": (30.0, 1 / 12), "authority": (365.0, 1 / 10)}
ENDS_ERROR = {"leaf": (7.0, 1 / 50), "kubelet": (7.0, 1 / 50), "authority": (90.0, 1 / 40)}
RENEWAL = {
    "leaf": "Run site.yml: it renews what is about to end.",
    "kubelet": "The kubelet should have renewed it: journalctl -u kubelet -n 50; kubectl get csr.",
}
ISSUE = {
    "leaf": "Run site.yml: it issues what is missing.",
    "kubelet": "The kubelet asks for it and csr_approver grants it: kubectl get csr; journalctl -u kubelet.",
    "authority": "Run site.yml: it issues what is missing.",
}
# Services with a check of their own say more than that they are down.
NODE_UNITS = ("containerd", "kubelet", "kube-proxy")
MASTER_UNITS = ("kube-controller-manager", "kube-scheduler", "csr-approver")


def hosts_reached(seen):
    """Want every host of the inventory to be reachable."""
    for name in sorted(seen.cluster["hosts"]):
        if name not in seen.observed:
            yield Finding(
                name,
                "host-unreachable",
                seen.reasons.get(name) or "the host was not observed",
                "a host that answers by SSH",
                f"ansible {name} -m ping; a host that is gone for good is replaced by replace_node.yml -e node={name}, or taken "
                f"out by remove_node.yml -e node={name}.",
            )


def hosts_read(seen):
    """Want every reachable host to tell everything that it can know of the cluster."""
    for name in sorted(seen.observed):
        if name not in seen.read:
            said = [seen.reasons.get(name) or "the host was reached, but what it knows was not read"]
        else:
            said = [f"{what}: {why}" for what, why in sorted(unread(seen, name).items())]
        for one in said:
            yield Finding(
                name,
                "host-unread",
                one,
                "an answer of the module health_info",
                "Missing files are made by site.yml. Else run this again with -vvv; the host needs Python 3.9 or newer.",
            )


def unread(seen, name):
    """Return {part: why} of what a host should have told and did not."""
    host, read = seen.host(name), seen.read[name]
    expected = {
        "etcd": host["master"] or host["member"],
        "api": host["master"],
        "endpoint": host["master"] or host["worker"],
        "balancer": host["master"] and seen.mode != EXTERNAL,
    }
    missing = {part: "it was not read" for part, wanted in expected.items() if wanted and read.get(part) is None}
    if (read.get("etcd") or {}).get("error"):
        missing["etcd"] = read["etcd"]["error"]
    # The other parts of the balancer have checks of their own.
    errors = (read.get("balancer") or {}).get("errors", {})
    missing.update({part: errors[part] for part in ("held_on", "others", "units") if part in errors})
    return missing


def units_run(seen):
    """Want the services of a node and of a master to run; etcd, API server and balancer have checks of their own."""
    for name in sorted(seen.observed):
        for unit in expected_units(seen, name):
            state = seen.observed[name]["units"].get(unit, "unknown")
            if state != "active":
                yield Finding(
                    name,
                    "unit-down",
                    f"the unit {unit} is {state}",
                    "active",
                    "Run site.yml: it sets it up."
                    if state == "not-found"
                    else f"On {name}: journalctl -u {unit} -n 50; systemctl start {unit}.",
                )


def expected_units(seen, name):
    """Return the units that must run on a host, without those that have a check of their own."""
    host = seen.host(name)
    units = list(NODE_UNITS) if host["master"] or host["worker"] else []
    if units and seen.cluster["network"]["flannel"]:
        units.append("flanneld")
    if host["master"]:
        units += MASTER_UNITS
        if seen.mode == DIRECT:
            units.append("multimaster-endpoint")
    return units


def nodes_registered(seen):
    """Want every host to be a node."""
    known = nodes(seen)
    for name in wanted_nodes(seen) if known is not None else ():
        if node_of(seen, name) is None:
            yield Finding(name, "node-missing", "the host is no node", "a registered node", "Run site.yml: it joins what is new.")


def nodes_ready(seen):
    """Want every node to be Ready."""
    for place, node in placed_nodes(seen):
        if not node["ready"]:
            yield Finding(
                place,
                "node-not-ready",
                f"node {node['name']} is not Ready: {node['ready_message']}",
                "Ready",
                f"On {place or node['name']}: journalctl -u kubelet -n 50; systemctl start kubelet.",
            )


def disks_relaxed(seen):
    """Tell of a node with less disk space free than its kubelet evicts pods at, unless it has its own limits."""
    for name in wanted_nodes(seen):
        if name in seen.observed and name not in seen.own_eviction:
            yield from _node_disks.findings(name, seen.observed[name].get("disk_free_percent") or {})


def nodes_relaxed(seen):
    """Want no node under pressure: its kubelet throws pods out."""
    for place, node in placed_nodes(seen):
        if node["pressures"]:
            yield Finding(
                place,
                "node-pressure",
                f"node {node['name']} says {', '.join(node['pressures'])}: {node['pressure_message']}",
                "no pressure",
                f"Free memory, disk or process ids there, or move pods away; kubectl describe node {node['name']} says more.",
            )


def nodes_schedulable(seen):
    """Tell of nodes that are cordoned: somebody works there, or forgot."""
    for place, node in placed_nodes(seen):
        if node["unschedulable"]:
            yield Finding(
                place,
                "node-cordoned",
                f"node {node['name']} is cordoned",
                "a node that takes pods",
                f"kubectl uncordon {node['name']}, when nobody works there.",
                WARNING,
            )


def nodes_known(seen):
    """Tell of nodes that no host of the inventory accounts for."""
    for place, node in placed_nodes(seen):
        if not place:
            yield Finding(
                "",
                "node-stray",
                f"node {node['name']} is not in the inventory",
                "only nodes of the inventory",
                f"kubectl delete node {node['name']}, if its machine is gone; else add it to the inventory.",
                WARNING,
            )


def nodes(seen):
    """Return the nodes as the first API server tells them, None when none could be asked."""
    return next((api["nodes"] for api in seen.part("api").values() if api["nodes"] is not None), None)


def wanted_nodes(seen):
    """Return the hosts that are to be nodes."""
    return [name for name, host in sorted(seen.cluster["hosts"].items()) if host["master"] or host["worker"]]


def node_of(seen, name):
    """Return a host's node, or None: by its name, and for a host whose own name is not known by its address."""
    host = seen.host(name)
    by_name = [node for node in nodes(seen) or () if node["name"] == host["node_name"]]
    by_address = [node for node in nodes(seen) or () if host["address"] and node["internal_ip"] == host["address"]]
    return next(iter(by_name + by_address), None)


def placed_nodes(seen):
    """Return (host, node) of every node, "" for a host that the inventory does not know."""
    placed = {node["name"]: name for name in wanted_nodes(seen) for node in [node_of(seen, name)] if node}
    return [(placed.get(node["name"], ""), node) for node in nodes(seen) or ()]


def certificates_there(seen):
    """Want every certificate of every host that was read to be there and readable."""
    for host, fix, rows in _by_host(seen, lambda one: one.days_left is None, lambda one: ISSUE[one.kind]):
        yield Finding(host, "certificate-missing", f"missing or no certificate: {_first(rows)}", "a certificate", fix)


def certificates_valid(seen):
    """Want no certificate to have expired."""
    for host, fix, rows in _by_host(seen, lambda one: one.days_left is not None and one.days_left <= 0, _renewal):
        found = f"expired {_days(abs(rows[0].days_left))} ago: {_first(rows)}"
        yield Finding(host, "certificate-expired", found, "a valid one", fix)


def certificates_lasting(seen):
    """Want certificates to last: a warning within a twelfth of their life (30 days at most), an error within a fiftieth (7)."""
    for host, fix, rows in _by_host(
        seen, lambda one: one.days_left is not None and 0 < one.days_left <= _limit(ENDS_WARNING, one), _renewal
    ):
        yield Finding(
            host,
            "certificate-ends",
            f"ends in {_days(rows[0].days_left)}: {_first(rows)}",
            f"more than {_days(_limit(ENDS_WARNING, rows[0]))}",
            fix,
            ERROR if any(one.days_left <= _limit(ENDS_ERROR, one) for one in rows) else WARNING,
        )


def _renewal(one):
    """Return what to do about a certificate that ends or has ended; what an authority signs cannot outlive it."""
    if one.kind != "authority":
        return RENEWAL[one.kind]
    said = _pki.ending(_pki.SIGNERS if one.path == _pki_plan.SIGNERS else "", expired=one.days_left <= 0)
    return f"{said[0].upper()}{said[1:]}."


def _by_host(seen, wanted, remedy):
    """Return (host, remedy, certificates) of those that are wanted and share it, the first to end first."""
    groups = {}
    for one in seen.certificates:
        if wanted(one):
            groups.setdefault((one.host, one.kind, remedy(one)), []).append(one)
    return [
        (host, fix, sorted(rows, key=lambda one: (one.days_left or 0, one.path)))
        for (host, _kind, fix), rows in sorted(groups.items())
    ]


def _first(rows):
    return rows[0].path + (f" and {len(rows) - 1} more" if len(rows) > 1 else "")


def _limit(limits, one):
    days, share = limits[one.kind]
    return min(days, share * one.days)


def _days(days):
    return f"{days:.0f} days" if days >= 2 else f"{days * 24:.0f} hours" if days * 24 >= 2 else f"{days * 1440:.0f} minutes"
