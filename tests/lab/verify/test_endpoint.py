# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The endpoint: one address, one holder, all API servers behind it."""

from __future__ import annotations

import json
import secrets
import subprocess

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _arp

CONNECTIONS = 12  # per API server; the balancer's turn comes round


@pytest.fixture(scope="module")
def addresses_on_hosts(cluster):
    return cluster.local_addresses()


def test_exactly_one_holder_answers_by_arp_from_outside(cluster, addresses_on_hosts):
    route = json.loads(subprocess.run(["ip", "-j", "route", "get", cluster.endpoint], capture_output=True, check=True).stdout)
    answering = _arp.probe(route[0]["dev"], cluster.endpoint)
    may_hold = cluster.masters if cluster.managed else addresses_on_hosts
    holder = next(host for host in may_hold if cluster.endpoint in addresses_on_hosts[host])
    links = json.loads(cluster.ssh(holder, "ip -j link"))
    assert len(answering) == 1
    assert answering[0] in {link.get("address") for link in links}


def test_exactly_one_host_has_the_address_on_any_interface(cluster, addresses_on_hosts):
    assert len([host for host, found in addresses_on_hosts.items() if cluster.endpoint in found]) == 1


def test_new_connections_are_spread_over_all_api_servers(cluster):
    agent = f"multimaster-tests-{secrets.token_hex(6)}"
    for _turn in range(CONNECTIONS * len(cluster.masters)):
        cluster.get("/api/v1/namespaces/default/configmaps/kube-root-ca.crt", agent=agent)
    # The audit logs say who answered, not the balancer.
    command = f"tail -c 8000000 /var/log/kubernetes/audit.log | grep -c {agent} || true"
    counts = cluster.each(cluster.masters, lambda host: int(cluster.ssh(host, command)))
    assert sum(counts.values()) == CONNECTIONS * len(cluster.masters)
    assert min(counts.values()) > 0, counts


def test_every_api_server_is_ready_by_itself(cluster):
    ready = {host: cluster.request("GET", "/readyz", server=cluster.server_of(host))[0] for host in cluster.masters}
    assert ready == dict.fromkeys(cluster.masters, 200)


def test_balancer_and_vrrp_run_exactly_where_there_is_something_to_balance(cluster, hosts):
    for host in cluster.masters:
        for unit in ("haproxy", "keepalived"):
            assert (hosts[host].run(f"systemctl is-active --quiet {unit}").rc == 0) == cluster.balanced, (host, unit)
