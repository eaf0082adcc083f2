# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put the endpoint address on this host, unless another host has it; take it off again.

Run by multimaster-endpoint.service while the cluster has one master. `_arp.py` lies beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

# `python3 -I` leaves the folder of this program off the path.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import _arp


def ip(*arguments):
    """Run the ip program and return what it printed; its errors go to the journal."""
    return subprocess.run(["ip", *arguments], check=True, stdout=subprocess.PIPE, timeout=10).stdout


def holds(interface, address):
    """Return whether the interface carries the address."""
    links = json.loads(ip("-j", "-4", "address", "show", "dev", interface) or b"[]")
    return any(entry.get("local") == address for link in links for entry in link.get("addr_info", ()))


def add(interface, address):
    """Ask the segment, then take the address and announce it; return an error text or None."""
    others = _arp.probe(interface, address)
    if others:
        return (
            f"{address} is held by {', '.join(others)} on {interface}: not taken here. Stop keepalived or "
            "multimaster-endpoint on that host, or run the playbook again if the cluster has several masters."
        )
    if not holds(interface, address):
        ip("address", "add", f"{address}/32", "dev", interface)
    _arp.announce(interface, address)
    return None


def remove(interface, address):
    """Take the address off the interface, if it is there."""
    if holds(interface, address):
        ip("address", "del", f"{address}/32", "dev", interface)


def main():
    """Do what the command line says; an exit code of 1 means that another host holds the address."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("action", choices=["add", "remove"])
    parser.add_argument("interface")
    parser.add_argument("address")
    arguments = parser.parse_args()
    try:
        error = (add if arguments.action == "add" else remove)(arguments.interface, arguments.address)
    except (_arp.ArpError, subprocess.SubprocessError, OSError) as problem:
        error = f"cannot {arguments.action} {arguments.address} on {arguments.interface}: {problem}"
    if error:
        sys.exit(error)


if __name__ == "__main__":
    main()
