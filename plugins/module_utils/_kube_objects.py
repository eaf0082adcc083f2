# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Kubernetes objects as plain data: their paths, whether they are ready, what to show of them.

Pure: no requests, no clock. Leaves out: validation, which is the API server's business.
"""

from __future__ import annotations

import copy
import datetime
from urllib.parse import quote

# (apiVersion, kind) -> (plural in the path, lives in a namespace): the kinds used here; others are discovered.
KINDS = {
    ("v1", "ConfigMap"): ("configmaps", True),
    ("v1", "Namespace"): ("namespaces", False),
    ("v1", "Node"): ("nodes", False),
    ("v1", "Pod"): ("pods", True),
    ("v1", "Secret"): ("secrets", True),
    ("v1", "Service"): ("services", True),
    ("v1", "ServiceAccount"): ("serviceaccounts", True),
    ("apps/v1", "DaemonSet"): ("daemonsets", True),
    ("apps/v1", "Deployment"): ("deployments", True),
    ("authorization.k8s.io/v1", "SelfSubjectAccessReview"): ("selfsubjectaccessreviews", False),
    ("certificates.k8s.io/v1", "CertificateSigningRequest"): ("certificatesigningrequests", False),
    ("coordination.k8s.io/v1", "Lease"): ("leases", True),
    ("policy/v1", "PodDisruptionBudget"): ("poddisruptionbudgets", True),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): ("clusterroles", False),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): ("clusterrolebindings", False),
    ("rbac.authorization.k8s.io/v1", "Role"): ("roles", True),
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): ("rolebindings", True),
    ("storage.k8s.io/v1", "VolumeAttachment"): ("volumeattachments", False),
}

# Conditions of a node that are bad when true.
PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
ZONE_LABEL = "topology.kubernetes.io/zone"
HIDDEN = "(hidden)"


def group_path(api_version):
    """Return the path under which an apiVersion's resources live."""
    return ("/apis/" if "/" in api_version else "/api/") + api_version


def resource_path(api_version, plural, namespaced, name=None, namespace=None):
    """Return the path of one object, or of a collection when ``name`` is None."""
    parts = [group_path(api_version)]
    if namespaced and namespace:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(plural)
    if name is not None:
        # RBAC names may hold colons; slashes and percent signs are no path segment (API conventions)
        parts.append(quote(name, safe=":"))
    return "/".join(parts)


def identity(obj):
    """Return (apiVersion, kind, namespace or None, name); ValueError tells what is missing."""
    metadata = obj.get("metadata") or {}
    for place, value in (
        ("apiVersion", obj.get("apiVersion")),
        ("kind", obj.get("kind")),
        ("metadata.name", metadata.get("name")),
    ):
        if not value:
            raise ValueError(f"object without {place}, with {sorted(obj)} only. Next: mend `objects`, then run again")
    return obj["apiVersion"], obj["kind"], metadata.get("namespace"), metadata["name"]


def title(obj):
    """Return an object's name for messages: Kind namespace/name."""
    _version, kind, namespace, name = identity(obj)
    return "{} {}".format(kind, "/".join(part for part in (namespace, name) if part))


def look_at(obj):
    """Return how a person sees why an object does not become what it shall be."""
    _version, kind, namespace, name = identity(obj)
    return f"`kubectl{f' -n {namespace}' if namespace else ''} describe {kind.lower()} {name}` says why; then run the same again"


def essence(obj):
    """Return an object without what the server and its controllers keep by themselves, so that two can be compared.

    The resourceVersion alone tells too much: it moves with a status, and an object of which nothing is owned (a bare
    Namespace) gets its first managedFields on the second apply (tried on 1.36.3). It tells too little of a dry run,
    which keeps it.
    """
    if obj is None:
        return None
    result = copy.deepcopy(obj)
    metadata = result.get("metadata", {})
    for key in ("resourceVersion", "generation", "uid", "creationTimestamp", "managedFields"):
        metadata.pop(key, None)
    result.pop("status", None)
    return result


def shown(obj):
    """Return what may stand in a diff: no bookkeeping, no status, no Secret values."""
    if obj is None:
        return {}
    result = essence(obj)
    if result.get("kind") == "Secret":
        for part in ("data", "stringData"):
            if part in result:
                result[part] = dict.fromkeys(result[part], HIDDEN)
    return result


def readiness(obj):
    """Return (ready, what is missing) of an object that was applied; kinds without a notion of it are ready."""
    kind, status = obj.get("kind"), obj.get("status") or {}
    generation = obj.get("metadata", {}).get("generation", 0)
    if kind not in ("Deployment", "DaemonSet"):
        return True, ""
    if status.get("observedGeneration", 0) < generation:
        return False, "its controller has not seen it yet"
    if kind == "Deployment":
        wanted, fresh, available = (
            obj.get("spec", {}).get("replicas", 1),
            status.get("updatedReplicas", 0),
            status.get("availableReplicas", 0),
        )
    else:
        wanted, fresh, available = (
            status.get("desiredNumberScheduled", 0),
            status.get("updatedNumberScheduled", 0),
            status.get("numberAvailable", 0),
        )
    if min(fresh, available) < wanted:
        return False, f"{fresh} of {wanted} pods updated, {available} available"
    return True, ""


def _condition(obj, kind):
    return next((c for c in obj.get("status", {}).get("conditions", ()) if c.get("type") == kind), {})


def node_summary(node):
    """Return what planning needs of a Node."""
    metadata, spec, status = node["metadata"], node.get("spec", {}), node.get("status", {})
    labels = metadata.get("labels", {})
    ready = _condition(node, "Ready")
    pressures = [kind for kind in PRESSURES if _condition(node, kind).get("status") == "True"]
    addresses = {a["type"]: a["address"] for a in reversed(status.get("addresses", ()))}
    return {
        "name": metadata["name"],
        "ready": ready.get("status") == "True",
        "ready_message": ready.get("message", "the kubelet has not reported yet"),
        "version": status.get("nodeInfo", {}).get("kubeletVersion", ""),
        "zone": labels.get(ZONE_LABEL, ""),
        "internal_ip": addresses.get("InternalIP", ""),
        "taints": [{k: t.get(k, "") for k in ("key", "value", "effect")} for t in spec.get("taints", ())],
        "unschedulable": bool(spec.get("unschedulable", False)),
        "pressures": pressures,
        "pressure_message": "; ".join(_condition(node, kind).get("message") or kind for kind in pressures),
        "pod_cidr": spec.get("podCIDR", ""),
        "labels": labels,
        "annotations": {k: v for k, v in metadata.get("annotations", {}).items() if k.startswith("multimaster")},
    }


def pod_summary(pod):
    """Return what spreading needs of a Pod; ``over``: it is ending, or has ended."""
    metadata, phase = pod["metadata"], pod.get("status", {}).get("phase")
    return {
        "name": metadata["name"],
        "uid": metadata["uid"],
        "node": pod.get("spec", {}).get("nodeName", ""),
        "ready": _condition(pod, "Ready").get("status") == "True",
        "over": "deletionTimestamp" in metadata or phase in ("Succeeded", "Failed"),
        "annotations": metadata.get("annotations", {}),
    }


def moment(text):
    """Return a MicroTime (with or without its fraction) in seconds since the epoch; None when it is none."""
    for shape in ("%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%SZ"):
        try:
            return datetime.datetime.strptime(text or "", shape).replace(tzinfo=datetime.timezone.utc).timestamp()
        except ValueError:
            continue
    return None


def lease_summary(lease):
    """Return who holds a Lease and since when; "" when released."""
    spec = lease.get("spec", {})
    return {
        "holder": spec.get("holderIdentity", ""),
        "renewed": spec.get("renewTime", ""),
        "duration_seconds": spec.get("leaseDurationSeconds", 0),
        "transitions": spec.get("leaseTransitions", 0),
    }


def readyz_checks(text):
    """Return {check: passed} from the text of ``/readyz?verbose`` (lines ``[+]name ok``, ``[-]name failed: …``)."""
    return {line[3:].split(" ", 1)[0]: line.startswith("[+]") for line in text.splitlines() if line.startswith(("[+]", "[-]"))}


def unheard(node, version, began, lease):
    """Yield why what a node says may be the word of the kubelet before: its Ready stays for 50 s after that one has ended.

    Only the kubelet that runs now tells its own version ("" = any) and renews its node's Lease (``kube-node-lease``) after its
    start. It writes that time by its host's clock, and by the same clock ``began`` is told (``unit_set``), so clocks of two hosts
    are never compared. A kubelet renews at its start and every 10 s (k8s.io/component-helpers, apimachinery/lease).
    """
    told = node["version"].lstrip("v").split("+")[0].split("-")[0]
    if version and told != version:
        yield f"still tells of kubelet {told or 'no version'}, not {version}"
    renewed = moment(lease_summary(lease)["renewed"]) if lease else None
    if renewed is None or renewed <= began:
        yield "is Ready by the word of the kubelet before: the one that runs now has not reached the API"


def missing_from(nodes, wanted_nodes, deployments, kubelets=None):
    """Return what keeps a cluster from being whole, one sentence each.

    ``nodes``: summaries of node_summary; ``wanted_nodes``: names; ``deployments``: {name: object or None}; ``kubelets``: {node:
    (version, seconds since the epoch when it started, its node's Lease or None)} of those that must have spoken since.
    """
    by_name = {node["name"]: node for node in nodes}
    missing = []
    for name in wanted_nodes:
        if name not in by_name:
            missing.append(f"node {name} has not registered")
        elif not by_name[name]["ready"]:
            missing.append(f"node {name} is not Ready: {by_name[name]['ready_message']}")
        elif name in (kubelets or {}):
            missing += [f"node {name} {said}" for said in unheard(by_name[name], *kubelets[name])]
    for name, found in deployments.items():
        ready, reason = readiness(found) if found else (False, "it does not exist")
        if not ready:
            missing.append(f"Deployment {name}: {reason}")
    return missing
