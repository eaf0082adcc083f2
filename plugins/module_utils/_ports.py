# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Every TCP port that a component of ours listens on, and on which hosts.

Solves: what is looked at (host_info) and what must be free (preflight) are one table. Leaves out: the port of the
API, where it is a setting: see `needed`. UDP: flannel's VXLAN (8472) is the kernel's.
"""

from __future__ import annotations

import typing

MASTER, BALANCER, NODE, MEMBER = "master", "balancer", "node", "member"
API = 6443
ETCD_CLIENT, ETCD_PEER = 2379, 2380


class Port(typing.NamedTuple):
    """A port, the part of a host that needs it, and what listens there."""

    number: int
    part: str
    user: str


PORTS = (
    Port(API, MASTER, "kube-apiserver, and HAProxy beside it"),
    Port(6440, BALANCER, "HAProxy's answer to keepalived"),
    Port(ETCD_CLIENT, MEMBER, "etcd's clients"),
    Port(ETCD_PEER, MEMBER, "etcd's peers"),
    Port(2381, MEMBER, "etcd's health and metrics"),
    Port(10248, NODE, "the kubelet's health"),
    Port(10249, NODE, "kube-proxy's metrics"),
    Port(10250, NODE, "the kubelet"),
    Port(10256, NODE, "kube-proxy's health"),
    Port(10257, MASTER, "kube-controller-manager"),
    Port(10259, MASTER, "kube-scheduler"),
)
NUMBERS = tuple(port.number for port in PORTS)

# From these Services get their node ports (kube-apiserver --service-node-port-range, default).
NODE_PORTS = range(30000, 32768)


def beside_api(number, parts=None):
    """Return what else of ours listens on a port wherever the API answers or may come to, "" when nothing does.

    `parts`: on a host with these parts alone.
    """
    others = [port for port in PORTS if port.number == number and number != API]
    return next((port.user for port in others if parts is None or port.part in parts), "")


def needed(parts, api_port=API):
    """Return {port: what listens there} of a host with these parts; `api_port` is where its API server listens."""
    return {api_port if port.number == API else port.number: port.user for port in PORTS if port.part in parts}
