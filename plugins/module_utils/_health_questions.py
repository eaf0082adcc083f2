# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Say what each host is asked when the cluster's health is read, by the part that it has in it.

Leaves out: reading (`_health_reading`) and judging (`_health`).
"""

from __future__ import annotations

from collections.abc import Mapping

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _endpoint, _pki_plan


def questions(host: Mapping, cluster: Mapping) -> dict:
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
    endpoint, node = cluster["endpoint"], host["master"] or host["worker"]
    return {
        "etcd_endpoints": list(cluster["etcd"]["endpoints"]) if host["master"] or host["member"] else [],
        "api_server": host["api_server"] if host["master"] else "",
        "endpoint": "https://{0}:{1}".format(endpoint["address"], endpoint["port"]) if node else "",
        "endpoint_address": endpoint["address"] if host["master"] else "",
        "interface": "" if endpoint["mode"] == _endpoint.EXTERNAL else host["interface"],
        "certificates": sorted(_pki_plan.watched(host, cluster)),
    }
