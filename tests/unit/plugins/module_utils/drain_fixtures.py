# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes, pods and budgets in the shapes kube-apiserver 1.36.3 gave, for the tests of a drain."""

from __future__ import annotations

MARK = "multimaster.kubernetes/operation"
FOUND = "multimaster.kubernetes/found-cordoned"


def node(name="w1", cordoned=False, mark=None, setters=(), ready="Unknown", address="192.0.2.21", found=None):
    """Return a node; ``setters`` are (manager, time, fields) with fields out of "cordon" and "mark"."""
    annotations = {key: value for key, value in ((MARK, mark), (FOUND, found)) if value is not None}
    held = {"cordon": {"f:spec": {"f:unschedulable": {}}}, "mark": {"f:metadata": {"f:annotations": {f"f:{MARK}": {}}}}}
    managed = [
        {"manager": manager, "time": time, "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": fields}
        for manager, time, which in setters
        for fields in [{key: value for one in which for key, value in held[one].items()}]
    ]
    return {
        "metadata": {"name": name, "annotations": annotations, "managedFields": managed},
        "spec": {"unschedulable": True} if cordoned else {},
        "status": {
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
            "conditions": [{"type": "Ready", "status": ready}],
        },
    }


def owner(kind, name="o", controller=True):
    return {"kind": kind, "name": name, "controller": controller}


def pod(name="p", owners=(), phase="Running", where="w1", volumes=(), **metadata):
    """Return a pod of namespace ``shop``; ``owners`` are kinds, or whole ownerReferences."""
    references = [owner(one) if isinstance(one, str) else one for one in owners]
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": f"uid-{name}", "ownerReferences": references, **metadata},
        "spec": {"nodeName": where, "volumes": [{"name": "v", one: {}} for one in volumes]},
        "status": {"phase": phase},
    }


def budget(name="b", selector=None, allowed=0, namespace="shop"):
    return {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"minAvailable": 1, "selector": selector},
        "status": {"disruptionsAllowed": allowed, "currentHealthy": 1, "desiredHealthy": 1},
    }
