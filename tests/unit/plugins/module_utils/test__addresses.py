# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test where an address is seen, and the cover on lo."""

from __future__ import annotations

import json

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _addresses, _command

ADDRESS = "192.0.2.10"


def link(name, *addresses, family="inet"):
    return {"ifname": name, "addr_info": [{"family": family, "local": a, "prefixlen": 32} for a in addresses]}


class Ip:
    """Play the ip program."""

    def __init__(self, *links, rc=0):
        self.links, self.rc, self.calls = list(links), rc, []

    def __call__(self, argv, timeout):
        self.calls.append(" ".join(argv[1:]))
        return _command.Result(tuple(argv), self.rc, json.dumps(self.links), "RTNETLINK answers: File exists")


def test_holders():
    ip = Ip(link("lo", "127.0.0.1", ADDRESS), link("eth0", "192.0.2.11", ADDRESS), link("eth1", "192.0.2.100"))
    assert _addresses.Addresses(ip).holders(ADDRESS) == ("eth0", "lo")
    assert _addresses.parse_holders("", ADDRESS) == ()
    assert _addresses.parse_holders(json.dumps([{"ifname": "tun0"}, link("x", ADDRESS, family="inet6")]), ADDRESS) == ()
    with pytest.raises(ValueError, match="192.0.2"):
        _addresses.parse_holders("[]", "192.0.2")


def test_cover_ends_by_itself():
    ip = Ip()
    _addresses.Addresses(ip).cover(ADDRESS)
    assert ip.calls == ["address replace 192.0.2.10/32 dev lo valid_lft 15 preferred_lft 15"]


def test_uncover_only_what_is_covered():
    ip = Ip(link("lo"), link("eth0", ADDRESS))
    _addresses.Addresses(ip).uncover(ADDRESS)
    assert len(ip.calls) == 1
    ip = Ip(link("lo", ADDRESS))
    _addresses.Addresses(ip).uncover(ADDRESS)
    assert ip.calls[1] == "address del 192.0.2.10/32 dev lo"


def test_errors_carry_the_command():
    with pytest.raises(_addresses.AddressError, match=r"`ip address replace .*exited with 2: RTNETLINK"):
        _addresses.Addresses(Ip(rc=2)).cover(ADDRESS)
