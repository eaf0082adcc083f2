# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose name servers pods get that resolve names as their node does: never the host's own loopback, where there are others."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _preflight, _resolver
from cluster_fixtures import fresh, inventory
from preflight_fixtures import viewed

STUB = "# stub\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch example.com\n"
BEHIND = "nameserver 192.0.2.1\nnameserver 2001:db8::1\n"


@pytest.mark.parametrize(
    ("usual", "resolved", "path", "servers"),
    [
        ("nameserver 192.0.2.1\n", None, _resolver.USUAL, ["192.0.2.1"]),
        ("nameserver 192.0.2.1\n", BEHIND, _resolver.USUAL, ["192.0.2.1"]),
        (STUB, BEHIND, _resolver.RESOLVED, ["192.0.2.1", "2001:db8::1"]),
        ("nameserver ::1\nnameserver 192.0.2.1\n", BEHIND, _resolver.RESOLVED, ["192.0.2.1", "2001:db8::1"]),
        (STUB, "# no server yet\n", _resolver.RESOLVED, []),
        (STUB, None, _resolver.USUAL, ["127.0.0.53"]),
        (STUB, "nameserver 127.0.0.1\n", _resolver.USUAL, ["127.0.0.53"]),
        (None, BEHIND, _resolver.USUAL, []),
        (
            "nameserver\n#nameserver 127.0.0.1\n nameserver\tfe80::1%eth0\nnameserver dns.example\n",
            None,
            _resolver.USUAL,
            ["fe80::1%eth0", "dns.example"],
        ),
    ],
)
def test_every_pair_of_files(usual, resolved, path, servers):
    assert _resolver.chosen(usual, resolved) == {"path": path, "nameservers": servers}


@pytest.mark.parametrize(
    ("servers", "own"),
    [(["127.0.0.53"], ["127.0.0.53"]), (["127.8.0.1", "::1", "192.0.2.1"], ["127.8.0.1", "::1"]), (["192.0.2.1", "name"], [])],
)
def test_every_loopback_address_is_the_host_itself(servers, own):
    assert _resolver.on_host(servers) == own


def loops(view):
    return [(one.host, one.level) for one in _preflight.judge(view) if one.check == "resolver-loopback"]


def test_a_node_that_only_asks_itself_is_an_error_until_it_is_in_use_or_its_kubelet_is_told_better():
    observed = {name: fresh(name) for name in ("m1", "w1", "e1")}
    for seen in observed.values():
        seen["resolver"] = {"path": "/etc/resolv.conf", "nameservers": ["127.0.0.1"]}
    view = viewed(inventory(["m1"], ["w1"], etcd=["e1"]), observed)
    assert loops(view) == [("m1", "error"), ("w1", "error")]
    assert loops(dataclasses.replace(view, own_kubelet={"w1": {"resolvConf": "/etc/pods.conf"}, "m1": {}})) == [("m1", "error")]
    observed["w1"]["certificates"] = True
    assert ("w1", "warning") in loops(view)
    (one,) = (one for one in _preflight.judge(view) if one.check == "resolver-loopback" and one.host == "m1")
    assert one.found == (
        "nameserver 127.0.0.1 in /etc/resolv.conf: in a pod that is the pod itself, so cluster DNS would ask itself, notices and "
        "ends, and no pod resolves a name"
    )
    assert one.fix.endswith("kubelet_extra_config: {resolvConf: PATH}.")


def test_a_node_whose_name_servers_are_not_known_is_none():
    assert loops(viewed(inventory(["m1"]), {"m1": {key: seen for key, seen in fresh("m1").items() if key != "resolver"}})) == []
