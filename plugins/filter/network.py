# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Offer arithmetic with networks and addresses by netaddr, for inventories and overrides."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError

try:
    import netaddr
except ImportError:
    netaddr = None


def nth_address(network, number):
    """Return the address `number` of a network as text; 0 is the network's own, -1 its last."""
    network = _network(network)
    number = _integer(number)
    if not -network.size <= number < network.size:
        raise AnsibleFilterError(f"nth_address: {network} has {network.size} addresses, so there is no number {number}")
    return str(network[number])


def in_network(address, *networks):
    """Return whether an address (or a whole network) lies in one of the networks."""
    inner = _network(address)
    return any(inner in _network(network) for network in _flat(networks))


def networks_overlap(first, second):
    """Return whether two networks share an address."""
    one, other = _network(first), _network(second)
    return one in other or other in one


def network_of(address, prefix=None):
    """Return the network of an address with its prefix length, such as 192.0.2.0/24 of 192.0.2.11/24."""
    text = str(address) if prefix is None else f"{address}/{_integer(prefix)}"
    return str(_network(text).cidr)


def split_network(network, prefix):
    """Return the networks of a prefix length that a network consists of."""
    network, prefix = _network(network), _integer(prefix)
    width = 32 if network.version == 4 else 128
    if not network.prefixlen <= prefix <= width:
        raise AnsibleFilterError(f"split_network: {network} cannot be split into networks of /{prefix}")
    if prefix - network.prefixlen > 12:
        raise AnsibleFilterError(f"split_network: {network} has more than 4096 networks of /{prefix}")
    return [str(part) for part in network.subnet(prefix)]


def _network(value):
    if netaddr is None:
        raise AnsibleFilterError("the network filters need the Python library netaddr on the controller: pip install netaddr")
    try:
        return netaddr.IPNetwork(str(value).strip())
    except (netaddr.AddrFormatError, ValueError) as reason:
        raise AnsibleFilterError(f"{value!r} is no IP address or network such as 192.0.2.0/24: {reason}") from reason


def _integer(value):
    try:
        return int(value)
    except (TypeError, ValueError) as reason:
        raise AnsibleFilterError(f"{value!r} is no whole number") from reason


def _flat(values):
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _flat(value)
        else:
            yield value


class FilterModule:
    """Name the filters."""

    def filters(self):
        """Return the filters of this file."""
        return {
            "in_network": in_network,
            "network_of": network_of,
            "networks_overlap": networks_overlap,
            "nth_address": nth_address,
            "split_network": split_network,
        }
