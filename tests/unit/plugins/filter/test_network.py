# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pathlib

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.multimaster.kubernetes.plugins.filter import network


@pytest.mark.parametrize(
    ("cidr", "number", "expected"),
    [
        ("10.96.0.0/16", 10, "10.96.0.10"),
        ("10.96.0.0/16", "1", "10.96.0.1"),
        ("192.0.2.0/24", 0, "192.0.2.0"),
        ("192.0.2.0/24", -1, "192.0.2.255"),
        ("2001:db8::/64", 10, "2001:db8::a"),
        ("192.0.2.7", 0, "192.0.2.7"),
    ],
)
def test_an_address_is_found_by_its_number(cidr, number, expected):
    assert network.nth_address(cidr, number) == expected


@pytest.mark.parametrize(
    ("address", "networks", "expected"),
    [
        ("192.0.2.10", ("192.0.2.0/24",), True),
        ("192.0.3.10", ("192.0.2.0/24",), False),
        ("192.0.3.10", ("192.0.2.0/24", "192.0.3.0/24"), True),
        ("192.0.3.10", (["192.0.2.0/24", "192.0.3.0/24"],), True),
        ("192.0.2.0/25", ("192.0.2.0/24",), True),
        ("192.0.2.0/23", ("192.0.2.0/24",), False),
        ("2001:db8::1", ("192.0.2.0/24",), False),
        ("192.0.2.10", ([],), False),
    ],
)
def test_an_address_is_in_a_network_or_not(address, networks, expected):
    assert network.in_network(address, *networks) is expected


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("10.96.0.0/12", "10.100.0.0/16", True),
        ("10.100.0.0/16", "10.96.0.0/12", True),
        ("10.244.0.0/16", "10.96.0.0/16", False),
    ],
)
def test_networks_overlap_or_not(first, second, expected):
    assert network.networks_overlap(first, second) is expected


def test_the_network_of_an_address():
    assert network.network_of("192.0.2.11/24") == "192.0.2.0/24"
    assert network.network_of("192.0.2.11", 25) == "192.0.2.0/25"


def test_a_network_is_split():
    assert network.split_network("192.0.2.0/24", 25) == ["192.0.2.0/25", "192.0.2.128/25"]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: network.nth_address("10.96.0.0/16", 65536), "no number 65536"),
        (lambda: network.nth_address("10.96.0.0", "x"), "no whole number"),
        (lambda: network.nth_address("10.96.0.300/16", 1), "no IP address"),
        (lambda: network.in_network("here", "10.0.0.0/8"), "'here' is no IP address"),
        (lambda: network.split_network("192.0.2.0/24", 23), "cannot be split"),
        (lambda: network.split_network("2001:db8::/32", 64), "more than 4096"),
    ],
)
def test_bad_input_is_named(call, says):
    with pytest.raises(AnsibleFilterError, match=says):
        call()


def test_a_missing_library_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(network, "netaddr", None)
    with pytest.raises(AnsibleFilterError, match="pip install netaddr"):
        network.nth_address("10.96.0.0/16", 1)


def test_every_filter_is_documented():
    folder = pathlib.Path(network.__file__).parent
    for name in network.FilterModule().filters():
        documented = yaml.safe_load((folder / f"{name}.yml").read_text())
        assert documented["DOCUMENTATION"]["name"] == name
