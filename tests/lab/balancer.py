#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Be the owner of a balancer that is not the collection's (`multimaster_endpoint_mode: external`).

    balancer.py mol-external-balancer lb m1 m2  HAProxy on the host lb, which is in no group, sends to these masters from now on
    balancer.py mol-external-balancer lb        it has to run, whoever it sends to: nobody but its owner may stop it

It does what docs/inventory.md asks of such an owner, and no more: TCP to the API servers' port, and a health check of /readyz
that finds out in less than an API server goes on serving. Connections that stand are left alone, also those to a master that is
taken out.
"""

from __future__ import annotations

import sys

import access

PORT = 443
#: Two checks that fail, each due after half a second and at most as long: 2 s of the 5 s there are.
CONFIGURATION = """\
defaults
  mode tcp
  balance roundrobin
  timeout connect 2s
  timeout check 500ms
  timeout client 1h
  timeout server 1h
listen api
  bind {address}:{port}
  option httpchk GET /readyz
  http-check expect status 200
  default-server check check-ssl verify none inter 500ms fall 2 rise 2
"""
INSTALL = "command -v haproxy >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get -q -y install haproxy >/dev/null"


def configuration(address: str, masters: dict[str, str]) -> str:
    """Return HAProxy's configuration for masters given as {name: address}; it has no socket at which others could drain one."""
    servers = [f"  server {name} {where}:{access.API_PORT}\n" for name, where in sorted(masters.items())]
    return CONFIGURATION.format(address=address, port=PORT) + "".join(servers)


def point(cluster: access.Cluster, host: str, masters: list[str]) -> None:
    """Let the balancer on this host send to these masters from now on; it starts, or takes the change up as it runs."""
    cluster.ssh(host, INSTALL, timeout=300)
    text = configuration(cluster.addresses[host], {name: cluster.addresses[name] for name in masters})
    cluster.ssh(host, "cat > /etc/haproxy/haproxy.cfg && haproxy -c -q -f /etc/haproxy/haproxy.cfg", stdin=text.encode())
    cluster.ssh(host, "systemctl enable --now --quiet haproxy && systemctl reload haproxy")


def main(argv: list[str]) -> None:
    """Do what the command line says."""
    name, host, *masters = argv
    cluster = access.Cluster(name)
    if masters:
        point(cluster, host, masters)
    cluster.ssh(host, "systemctl is-active --quiet haproxy")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except access.AccessError as error:
        sys.exit(str(error))
