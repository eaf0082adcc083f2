# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Read what planning and health need of one API server: nodes, leases, its own checks.

The client is injected. Leaves out judging, and everything that changes something.
"""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils._kube_objects import lease_summary, node_summary

LEADERS = ("kube-controller-manager", "kube-scheduler")


def nodes(kube):
    """Return the nodes by name, as `_kube_objects.node_summary` shows them."""
    return sorted((node_summary(one) for one in kube.list("v1", "Node")), key=lambda node: node["name"])


def leases(kube):
    """Return who leads among controller-managers and schedulers; None for a lease nobody has made."""
    found = {name: kube.get("coordination.k8s.io/v1", "Lease", name, "kube-system") for name in LEADERS}
    return {name: lease_summary(lease) if lease else None for name, lease in found.items()}


def readyz(kube):
    """Return {ready, failed} from this API server's own checks."""
    ready, checks = kube.readyz()
    return {"ready": ready, "failed": sorted(name for name, passed in checks.items() if not passed)}
