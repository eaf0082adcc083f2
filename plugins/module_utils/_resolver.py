# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Decide which resolv.conf a kubelet hands to pods that resolve names as their node does (`dnsPolicy: Default`).

Solves: 127.0.0.53 is systemd-resolved on the host, but in a pod it is the pod. CoreDNS, which is such a pod, would ask itself,
notices (its plugin `loop`) and ends. Leaves out: reading the files (``_host``) and judging what is left (``_preflight_machine``).
"""

from __future__ import annotations

import ipaddress

# The kubelet's default, and where systemd-resolved writes the servers that it asks itself (systemd-resolved.service(8)); kubeadm
# takes the same.
USUAL = "/etc/resolv.conf"
RESOLVED = "/run/systemd/resolve/resolv.conf"


def chosen(usual, resolved):
    """Return {path, nameservers} of the file for pods; both texts as resolv.conf(5), None of a file that is not there.

    The usual one, unless a server of it is the host itself and systemd-resolved, which then is asked there, knows others. It
    counts as knowing them also while it has none, such as before the network is up: a kubelet restarts where this changes.
    """
    found, behind = nameservers(usual or ""), nameservers(resolved or "")
    if on_host(found) and resolved is not None and not on_host(behind):
        return {"path": RESOLVED, "nameservers": behind}
    return {"path": USUAL, "nameservers": found}


def nameservers(text):
    """Return the name servers of a resolv.conf, in its order."""
    words = [line.split() for line in text.splitlines()]
    return [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"]


def on_host(servers):
    """Return the servers that are the host itself: their addresses mean the pod when a pod asks them."""
    return [server for server in servers if _loopback(server)]


def _loopback(server):
    try:
        return ipaddress.ip_address(server).is_loopback
    except ValueError:
        return False
