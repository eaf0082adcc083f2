# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Decide whether a kubelet has room on its disks, or would evict pods and delete images.

Solves: below its limits a kubelet takes pods away as fast as they come, and what waits for them sees only that they are not
ready. Preflight and health ask the same. Leaves out: reading (``_host``), and memory, inodes and process ids, of which the
node itself tells (``_health_nodes.nodes_relaxed``).
"""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils._finding import WARNING, Finding

# Percent. A kubelet's defaults (Kubernetes docs, "Node-pressure Eviction", hard eviction thresholds): imagefs.available<15% where
# images lie, nodefs.available<10% where its own folder does. Images are collected above 85 % used, which is the same limit.
LIMITS = {"/var/lib/containerd": 15.0, "/var/lib/kubelet": 10.0}


def findings(name, free):
    """Yield the warning on a host whose kubelet is, or would be, short of disk; ``free`` is {path: percent, None: not known}."""
    short = [path for path in LIMITS if free.get(path) is not None and free[path] < LIMITS[path]]
    if short:
        found = " and ".join(f"{free[path]:.1f} % free under {path}" for path in short)
        yield Finding(
            name,
            "disk-pressure",
            f"{found}: a kubelet deletes unused images then, and evicts pods",
            " and ".join(f"{LIMITS[path]:.0f} % under {path}" for path in short),
            "Free some space or enlarge the file system; an evictionHard in kubelet_extra_config sets other limits.",
            WARNING,
        )
