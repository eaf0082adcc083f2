# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Say what each host is asked, by the part that it has in the cluster: before a run, and when health is read.

Leaves out: reading (`_host`, `_health_reading`) and judging (`_preflight`, `_health`).
"""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _endpoint,
    _pki_plan,
    _topology,
)

# Of host_info: who looks for another owner of the endpoint address on the wire. A host of a cluster that runs knows whose it is.
ALWAYS, WHERE_BARE, NEVER = "always", "bare", "never"


def preflight(groups: Mapping, name: str, thoroughly: bool) -> dict:
    """Return what takes time or is heard by others, and is asked of those only whom it is about.

    ``groups``: those of the inventory; ``thoroughly``: the preflight by itself, which may take its time.

        ============  ==============================================================================================
        probe_arp     masters, which may have the endpoint address: on hosts that are still bare, thoroughly on all
        disk_latency  thoroughly, hosts that hold a member of etcd: those of its group, or the masters without one
        ============  ==============================================================================================
    """
    masters = groups.get(_topology.MASTER_GROUP) or ()
    members = groups.get(_topology.ETCD_GROUP) or masters
    arp = ALWAYS if thoroughly else WHERE_BARE
    return {"probe_arp": arp if name in masters else NEVER, "disk_latency": bool(thoroughly) and name in members}


def health(host: Mapping, cluster: Mapping) -> dict:
    """Return the arguments of the module health_info for one host; an empty one leaves its part out.

    ``host``: an entry of ``hosts`` in the fact `multimaster`, which is ``cluster``. Who must be right:

        ================  ========================================================================================
        etcd_endpoints    masters and members: only they hold credentials for etcd
        api_server        masters: their own
        endpoint          every node: whether the address reaches an API server from there
        endpoint_address  masters: whether they have the address
        interface         where the address may be; nowhere when it is a balancer of somebody else's
        certificates      every host: the files it must have
        ================  ========================================================================================
    """
    endpoint = cluster["endpoint"]
    return {
        "etcd_endpoints": list(cluster["etcd"]["endpoints"]) if host["master"] or host["member"] else [],
        "api_server": host["api_server"] if host["master"] else "",
        "endpoint": "https://{0}:{1}".format(endpoint["address"], endpoint["port"]) if host["node"] else "",
        "endpoint_address": endpoint["address"] if host["master"] else "",
        "interface": "" if endpoint["mode"] == _endpoint.EXTERNAL else host["interface"],
        "certificates": sorted(_pki_plan.watched(host, cluster)),
    }
