# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real API server as the module tells it: to who may read, to who may not, and while its etcd is away."""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.modules import kube_info
from lab_etcd import free_ports


def test_nodes_and_readiness_are_told_alike_in_a_check_and_in_every_run(watched_kube, only_reads):
    watched_kube.client().apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "told"}})
    for told in only_reads(kube_info, watched_kube.params()):
        assert "told" in {node["name"] for node in told["nodes"]}
        assert told["readyz"] == {"ready": True, "failed": []}
        assert set(told["leases"]) == {"kube-controller-manager", "kube-scheduler"}
        assert told["authorized"] and told["error"] == ""


def test_who_may_read_nothing_is_told_what_where_and_what_next(watched_kube, call):
    refused = call(kube_info, watched_kube.params(watched_kube.nobody))
    asked = f"Kubernetes API at {watched_kube.server}, asked for GET /api/v1/nodes?limit=500: HTTP 403 Forbidden: "
    assert refused["failed"] and refused["msg"].startswith(f"not all of nodes, leases, readyz, authorized can be read: {asked}")
    assert ". Next: site.yml gives this client its rights" in refused["msg"]
    for more, check in (({}, True), ({"required": False}, False)):
        told = call(kube_info, {**watched_kube.params(watched_kube.nobody), **more}, check=check)
        assert told["nodes"] is None and told["error"].startswith(asked)


def test_an_api_server_that_is_down_is_told_with_where_to_look(kube_lab, call):
    (port,) = free_ports(1)
    server = f"https://127.0.0.1:{port}"
    failed = call(kube_info, {**kube_lab.params(), "server": server})
    assert (
        failed["failed"]
        and f"Kubernetes API at {server}, asked for GET /api/v1/nodes?limit=500: connection refused" in failed["msg"]
    )
    assert ". Next: `journalctl -u kube-apiserver -n 50` on the master that is asked" in failed["msg"]
