# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""See on which interfaces an IPv4 address lies, and hide its short absence from one of them.

Solves: keepalived takes an address off its interface when it starts and when it stops. The same address on `lo` keeps
the host answering meanwhile. Leaves out permanent configuration: the endpoint's unit and keepalived do that.
"""

from __future__ import annotations

import ipaddress
import json

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _command

#: Seconds after which the kernel itself takes the cover off `lo`, so that a run cut off there leaves no second holder.
COVER_SECONDS = 15
LOOPBACK = "lo"


class AddressError(Exception):
    """Tell which command about addresses failed and what it said."""

    next_step = "`ip -br address` on this host shows its interfaces and addresses; mend what `ip` says, then run again"


def parse_holders(text, address):
    """Return the interfaces that carry an address, sorted, from the output of `ip -j address show`."""
    wanted = str(ipaddress.IPv4Address(str(address)))
    return tuple(
        sorted(
            {
                link["ifname"]
                for link in json.loads(text or "[]")
                for entry in link.get("addr_info", ())
                if entry.get("family") == "inet" and entry.get("local") == wanted
            }
        )
    )


class Addresses:
    """Read and change this host's addresses by the `ip` program."""

    def __init__(self, runner=_command.run):
        self._run = runner

    def _ip(self, *arguments):
        result = self._run(["ip", *arguments], 10.0)
        if result.rc != 0:
            raise AddressError(str(result))
        return result.out

    def holders(self, address):
        """Return the interfaces that carry the address, `lo` included."""
        return parse_holders(self._ip("-j", "-4", "address", "show"), address)

    def cover(self, address, seconds=COVER_SECONDS):
        """Put the address on `lo` for a bounded time."""
        self._ip("address", "replace", f"{address}/32", "dev", LOOPBACK, "valid_lft", str(seconds), "preferred_lft", str(seconds))

    def uncover(self, address):
        """Take the address off `lo`; do nothing when the kernel already has."""
        if LOOPBACK in self.holders(address):
            self.drop(address, LOOPBACK)

    def drop(self, address, interface):
        """Take the address off an interface; raise AddressError when it is not there."""
        self._ip("address", "del", f"{address}/32", "dev", interface)
