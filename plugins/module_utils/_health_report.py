# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Show a judged cluster: one document for programs, and from it the lines a person reads.

Pure: everything comes in as plain data. Leaves out judging, which is `_health`.
"""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _finding,
    _health_api,
    _health_etcd,
    _health_nodes,
    _summary,
)
from ansible_collections.multimaster.kubernetes.plugins.module_utils._endpoint import BALANCED, EXTERNAL

NONE = "-"
UNKNOWN = "?"


def document(seen, findings, verdict, judged_at=""):
    """Return the whole result as plain data; docs/health.md describes its keys. `judged_at` is an RFC 3339 time."""
    certificates = [one for one in seen.certificates if one.days_left is not None]
    first = min(certificates, key=lambda one: (one.days_left, one.host, one.path), default=None)
    sizes = [_health_etcd.db_size(seen, member.id) for member in seen.etcd.members]
    nodes = {name: _health_nodes.node_of(seen, name) for name in _health_nodes.wanted_nodes(seen)}
    return {
        "cluster": seen.cluster["cluster"]["name"],
        "judged_at": judged_at,
        "verdict": verdict.status,
        "reason": verdict.reason,
        "endpoint": {
            "url": seen.url,
            "mode": seen.mode,
            "holders": _health_api.holders(seen),
            "answers_to": _health_api.endpoint_answers(seen),
        },
        "etcd": {
            **seen.survival.as_dict(),
            "leader": seen.place_of(seen.etcd.leader) if seen.etcd.leader else "",
            "database_bytes": max((size for size, _quota in sizes), default=0),
            "quota_bytes": max((quota for _size, quota in sizes), default=0),
            "survives_loss_of_zone": {loss.zone: loss.survives for loss in _health_etcd.zone_losses(seen)},
        },
        "api_ready": _health_api.api_ready(seen),
        "leases": _health_api.leases(seen),
        "nodes": {"wanted": len(nodes), "ready": sum(bool(node and node["ready"]) for node in nodes.values())},
        "certificates": {
            "read": len(certificates),
            "first": {"host": first.host, "path": first.path, "days_left": round(first.days_left, 2)} if first else None,
        },
        "hosts": {name: host_row(seen, name, nodes.get(name)) for name in sorted(seen.cluster["hosts"])},
        "findings": [finding.as_dict() for finding in findings],
    }


def host_row(seen, name, node):
    """Return what is known of one host, a word or two each; "-" is none of its business, "?" is unknown."""
    host, read = seen.host(name), seen.read.get(name)
    balancer, api = (read or {}).get("balancer"), (read or {}).get("api")
    return {
        "reached": name in seen.observed,
        "zone": host["zone"] or NONE,
        "etcd": _etcd(seen, name),
        "api": NONE if not host["master"] else UNKNOWN if not api else "ready" if api["ready"] else "DOWN",
        "balancer": NONE if not host["master"] or seen.mode != BALANCED else _balancer(seen, balancer),
        "endpoint": NONE if not host["master"] or seen.mode == EXTERNAL else _endpoint(seen, name, balancer),
        "node": NONE if not (host["master"] or host["worker"]) else _node(node, _health_nodes.nodes(seen)),
    }


def lines(shown):
    """Return the document as lines of text."""
    endpoint, etcd, certificates = shown["endpoint"], shown["etcd"], shown["certificates"]
    rows = [
        [name, *(host[key] for key in ("zone", "etcd", "api", "balancer", "endpoint", "node"))]
        for name, host in shown["hosts"].items()
    ]
    findings = [_finding.Finding(**finding) for finding in shown["findings"]]
    return [
        "{0}  {1}: {2}".format(shown["verdict"], shown["cluster"], shown["reason"]),
        "",
        "Endpoint      {0} ({1}{2}), answers to {3} of {4} hosts".format(
            endpoint["url"], endpoint["mode"], _held(endpoint), len(endpoint["answers_to"]), shown["nodes"]["wanted"]
        ),
        "etcd          {0} of {1} voters healthy, quorum {2}, leader {3}{4}".format(
            etcd["healthy"], etcd["voters"], etcd["quorum"], etcd["leader"] or "NONE", _database(etcd)
        ),
        *_zones(etcd["survives_loss_of_zone"]),
        "Leaders       {0}".format(", ".join(_lease(name, lease) for name, lease in shown["leases"].items()) or "not known"),
        "Nodes         {0} of {1} Ready".format(shown["nodes"]["ready"], shown["nodes"]["wanted"]),
        "Certificates  {0}".format(_certificates(certificates)),
        "",
        *_summary.table(("HOST", "ZONE", "ETCD", "API", "BALANCER", "ENDPOINT", "NODE"), rows),
        *(["", *_finding.table(findings).splitlines()] if findings else []),
    ]


def _held(endpoint):
    if endpoint["mode"] == EXTERNAL:
        return ""
    return ", held by {0}".format(" and ".join(endpoint["holders"]) or "NOBODY")


def _zones(survives):
    """Return one line on the loss of each zone, none when zones are not known."""
    if not survives:
        return []
    words = ["{0} {1}".format(zone, "survived" if kept else "NOT survived") for zone, kept in survives.items()]
    return ["Loss of zone  {0}".format(", ".join(words))]


def _database(etcd):
    if not etcd["quota_bytes"]:
        return ""
    return ", database {0} of {1} MiB".format(etcd["database_bytes"] >> 20, etcd["quota_bytes"] >> 20)


def _lease(name, lease):
    if not lease or not lease["holder"]:
        return "{0} NOBODY".format(name)
    age = "never renewed" if lease["age_seconds"] is None else "{0:.0f} s ago".format(max(0, lease["age_seconds"]))
    return "{0} {1} ({2})".format(name, lease["holder"].split("_")[0], age)


def _certificates(certificates):
    first = certificates["first"]
    if not first:
        return "none read"
    return "{0} read, the first to end in {1:.0f} days ({2}:{3})".format(
        certificates["read"], first["days_left"], first["host"], first["path"]
    )


def _etcd(seen, name):
    if not seen.host(name)["member"]:
        return NONE
    if not seen.etcd.members:
        return UNKNOWN
    member = seen.member_of(name)
    if member is None:
        return "MISSING"
    role = "learner" if member.is_learner else "leader" if member == seen.etcd.leader else "voter"
    return role if member.healthy else "{0} DOWN".format(role if role != "leader" else "voter")


def _balancer(seen, balancer):
    """Return how many of the API servers a balancer sends to."""
    if not balancer:
        return UNKNOWN
    if balancer["servers"] is None:
        return "DOWN"
    return "{0}/{1} up".format(sum(server["up"] for server in balancer["servers"].values()), len(seen.masters))


def _endpoint(seen, name, balancer):
    if not balancer:
        return "holder?" if name in _health_api.holders(seen) else UNKNOWN
    if seen.mode == BALANCED:
        return (balancer["vrrp"] or {}).get("state", UNKNOWN)
    return "holder" if name in _health_api.holders(seen) else "not held"


def _node(node, nodes):
    if node is None:
        return UNKNOWN if nodes is None else "MISSING"
    return ("Ready" if node["ready"] else "NOT READY") + (", cordoned" if node["unschedulable"] else "")
