# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever has to know the masters or the members of etcd knows those there are, and no other."""

from __future__ import annotations

import re

import pytest
import serving_names
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _haproxy

ASK_HAPROXY = f"""
import socket
s = socket.socket(socket.AF_UNIX)
s.settimeout(5)
s.connect({_haproxy.SOCKET!r})
s.sendall(b"show servers state\\n")
print(b"".join(iter(lambda: s.recv(65536), b"")).decode())
"""


@pytest.fixture
def balanced(cluster):
    if not cluster.balanced:
        pytest.skip("there is nothing to balance")


def test_each_api_server_uses_its_own_member_when_that_votes_and_all_voters_else(cluster, member_list):
    voters = {m["name"] for m in member_list if not m.get("isLearner")}
    process = "$(systemctl show --property=MainPID --value kube-apiserver.service)"
    command = f"tr '\\0' '\\n' < /proc/{process}/cmdline | sed -n 's/^--etcd-servers=//p'"
    used = cluster.each(cluster.masters, lambda host: sorted(cluster.ssh(host, command).strip().split(",")))
    wanted = {host: [host] if host in voters else voters for host in cluster.masters}
    assert used == {
        host: sorted(f"https://{cluster.addresses[member]}:2379" for member in members) for host, members in wanted.items()
    }


@pytest.mark.usefixtures("balanced")
def test_each_balancer_sends_to_the_masters_and_to_nobody_else(cluster):
    masters = {host: cluster.addresses[host] for host in cluster.masters}
    for host in cluster.masters:
        rows = _haproxy.parse_states(cluster.ssh(host, "python3 -", stdin=ASK_HAPROXY.encode()))
        for backend in (_haproxy.BACKEND, _haproxy.FALLBACK):
            servers = {server: row["srv_addr"] for (name, server), row in rows.items() if name == backend}
            assert servers == masters, (host, backend)


@pytest.mark.usefixtures("balanced")
def test_each_master_exchanges_vrrp_with_the_other_masters_and_with_nobody_else(cluster):
    for host in cluster.masters:
        text = cluster.ssh(host, "cat /etc/keepalived/keepalived.conf")
        peers = re.search(r"unicast_peer \{([^}]*)\}", text)[1].split()
        assert sorted(peers) == sorted(cluster.addresses[other] for other in cluster.masters if other != host), host
        assert re.findall(r"unicast_src_ip (\S+)", text) == [cluster.addresses[host]], host


def test_each_serving_certificate_names_its_own_host_the_endpoint_and_the_service_and_nobody_else(cluster):
    wanted = serving_names.wanted(cluster)

    def look(host: str) -> dict[str, list[str]]:
        return serving_names.named(cluster.ssh(host, serving_names.question(wanted[host])), wanted[host])

    assert cluster.each(sorted(wanted), look) == wanted
