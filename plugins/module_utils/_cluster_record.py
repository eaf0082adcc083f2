# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Say where a host records the cluster it belongs to, and read what it says.

Solves: whoever looks for the file, judges by it or removes it means the same one. Leaves out: writing it, and which keys it has
(role host_preparation, input `host_preparation_cluster`), and what follows from them.
"""

from __future__ import annotations

import json

PATH = "/etc/kubernetes/multimaster.json"


def of(observation):
    """Return what a host's own record says of its cluster; nothing of a bare host, or of one that was not observed."""
    return (observation or {}).get("cluster") or {}


def cluster_name(text: str) -> str:
    """Return the cluster's name out of the file's text; raise ValueError when there is none."""
    name = json.loads(text).get("name") if text.lstrip().startswith("{") else None
    if not isinstance(name, str) or not name:
        raise ValueError("it names no cluster")
    return name
