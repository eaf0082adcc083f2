# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Ask a network segment who holds an IPv4 address, and tell it that we do.

Solves: an address must be proven free before it is taken and proven to have exactly one holder afterwards, from outside
the holder. Leaves out IPv6 (neighbour discovery) and the defence of an address, which the kernel and keepalived do.
The file is also shipped to hosts beside the program that configures the endpoint address at boot, so it imports the
standard library only.
"""

from __future__ import annotations

import glob
import ipaddress
import os
import socket
import struct
import time
from dataclasses import dataclass

ETH_P_ARP = 0x0806
ETH_P_IP = 0x0800
ARPHRD_ETHER = 1
OP_REQUEST = 1
BROADCAST = b"\xff" * 6
NO_MAC = b"\x00" * 6
NO_ADDRESS = b"\x00" * 4
# RFC 826: Ethernet header (destination, source, type), then the ARP packet for Ethernet and IPv4.
_FRAME = struct.Struct("!6s6sHHHBBH6s4s6s4s")
_MAX_FRAME = 256


class ArpError(Exception):
    """Tell why an interface cannot be asked."""

    next_step = (
        "`ip -br link` on this host says whether that interface is there and up; mend that, or take another one for the "
        "endpoint, then run again"
    )


@dataclass(frozen=True)
class ArpPacket:
    """Hold the fields of one ARP packet over Ethernet and IPv4."""

    operation: int
    sender_mac: str
    sender_address: str
    target_mac: str
    target_address: str


def format_mac(raw):
    """Return six bytes as lower-case hexadecimal pairs."""
    return ":".join(f"{byte:02x}" for byte in raw)


def _packed(address):
    return ipaddress.IPv4Address(str(address)).packed


def _frame(source_mac, operation, sender_address, target_address):
    return _FRAME.pack(
        BROADCAST, source_mac, ETH_P_ARP, ARPHRD_ETHER, ETH_P_IP, 6, 4,
        operation, source_mac, sender_address, NO_MAC, target_address,
    )  # fmt: skip  # the fields of a packet, in its order


def probe_frame(source_mac, address):
    """Build an ARP probe: a request whose sender address is 0.0.0.0, so that no cache is touched (RFC 5227 1.1)."""
    return _frame(source_mac, OP_REQUEST, NO_ADDRESS, _packed(address))


def announcement_frame(source_mac, address):
    """Build an ARP announcement: a request whose sender and target are the address itself (RFC 5227 3)."""
    return _frame(source_mac, OP_REQUEST, _packed(address), _packed(address))


def parse_frame(frame):
    """Return the ARP packet in an Ethernet frame, or None when the frame is anything else."""
    if len(frame) < _FRAME.size:
        return None
    fields = _FRAME.unpack_from(frame)
    if fields[2:7] != (ETH_P_ARP, ARPHRD_ETHER, ETH_P_IP, 6, 4):
        return None
    operation, sender_mac, sender_address, target_mac, target_address = fields[7:]
    return ArpPacket(
        operation=operation,
        sender_mac=format_mac(sender_mac),
        sender_address=str(ipaddress.IPv4Address(sender_address)),
        target_mac=format_mac(target_mac),
        target_address=str(ipaddress.IPv4Address(target_address)),
    )


def holder_of(frame, address, own):
    """Return the MAC that claims the address in a frame, or None.

    Any packet whose sender address is the probed one is a claim, reply or request (RFC 5227 2.1.1). Another host's
    probe for the same address has the sender address 0.0.0.0 and is no claim.
    """
    packet = parse_frame(frame)
    if packet is None or packet.sender_address != str(address) or packet.sender_mac in own:
        return None
    return packet.sender_mac


def own_macs(root="/sys/class/net"):
    """Return the MAC addresses of all interfaces of this host."""
    macs = set()
    for path in glob.glob(os.path.join(root, "*", "address")):
        try:
            with open(path, encoding="ascii") as handle:
                mac = handle.read().strip().lower()
        except OSError:
            continue
        if mac and mac != format_mac(NO_MAC):
            macs.add(mac)
    return frozenset(macs)


def open_socket(interface):
    """Open a raw socket that sends and receives ARP on one interface; it needs CAP_NET_RAW."""
    sock = None
    try:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ARP))
        sock.bind((interface, ETH_P_ARP))
    except OSError as error:
        if sock is not None:
            sock.close()
        raise ArpError(f"cannot open a raw ARP socket on interface {interface}: {error}") from error
    return sock


def _source_mac(sock, interface):
    _name, _protocol, _type, hardware, mac = sock.getsockname()[:5]
    if hardware != ARPHRD_ETHER or len(mac) != 6:
        raise ArpError(f"interface {interface} speaks no ARP over Ethernet (hardware type {hardware})")
    return mac


def _collect(sock, address, own, deadline, clock):
    holders = set()
    while (left := deadline - clock()) > 0:
        sock.settimeout(left)
        try:
            frame = sock.recv(_MAX_FRAME)
        except socket.timeout:
            break
        holder = holder_of(frame, address, own)
        if holder is not None:
            holders.add(holder)
    return holders


def probe(interface, address, timeout=0.5, count=2, opener=open_socket, own=None, clock=time.monotonic):
    """Return the sorted MACs of other hosts that hold an IPv4 address on the segment of an interface.

    The probes are spread evenly over `timeout` seconds and all answers of that time are taken, so two holders are both
    seen. An empty list says that nobody answered. Raises ArpError when the interface cannot be asked.
    """
    address = str(ipaddress.IPv4Address(str(address)))
    own = own_macs() if own is None else frozenset(own)
    holders = set()
    sock = opener(interface)
    try:
        mac = _source_mac(sock, interface)
        own = own | {format_mac(mac)}
        start = clock()
        for number in range(1, count + 1):
            sock.send(probe_frame(mac, address))
            holders |= _collect(sock, address, own, start + timeout * number / count, clock)
    except OSError as error:
        raise ArpError(f"cannot ask for {address} on interface {interface}: {error}") from error
    finally:
        sock.close()
    return sorted(holders)


def announce(interface, address, count=2, interval=0.05, opener=open_socket, sleep=time.sleep):
    """Tell the segment of an interface that this host now holds an IPv4 address (gratuitous ARP).

    The announcements are `interval` seconds apart. Raises ArpError when the interface cannot be used.
    """
    sock = opener(interface)
    try:
        mac = _source_mac(sock, interface)
        for number in range(count):
            if number:
                sleep(interval)
            sock.send(announcement_frame(mac, address))
    except OSError as error:
        raise ArpError(f"cannot announce {address} on interface {interface}: {error}") from error
    finally:
        sock.close()
