# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Hear which VRRP routers speak on a segment.

Solves: a virtual router ID that somebody else uses already (a firewall pair, another cluster) must be found before
keepalived starts. Leaves out IPv6 and authentication; other clusters of ours speak unicast to their own peers, so only
those that use multicast are heard.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import time
from dataclasses import dataclass

#: IANA: IP protocol of VRRP; its multicast group 224.0.0.18 as an Ethernet address (RFC 9568 5.1.1, RFC 1112 6.4).
PROTOCOL = 112
GROUP = b"\x01\x00\x5e\x00\x00\x12"
ETH_P_IP = 0x0800
ADVERTISEMENT = 1
#: linux/if_packet.h
SOL_PACKET, PACKET_ADD_MEMBERSHIP, PACKET_MR_MULTICAST = 263, 1, 0
_MAX_FRAME = 2048


class VrrpError(Exception):
    """Tell why a segment cannot be listened to."""

    next_step = "`ip -br link` on this host says whether that interface is there and up; mend that, then run again"


@dataclass(frozen=True, order=True)
class Speaker:
    """Name one router that speaks for a virtual router."""

    source: str
    vrid: int
    version: int
    priority: int


def parse_frame(frame):
    """Return the Speaker of a VRRP advertisement in an Ethernet frame, or None when it is anything else."""
    if len(frame) < 34 or frame[12:14] != ETH_P_IP.to_bytes(2, "big"):
        return None
    packet = frame[14:]
    size = (packet[0] & 0x0F) * 4
    if packet[0] >> 4 != 4 or size < 20 or packet[9] != PROTOCOL or len(packet) < size + 8:
        return None
    kind, vrid, priority = struct.unpack_from("!BBB", packet, size)
    if kind & 0x0F != ADVERTISEMENT:
        return None
    return Speaker(str(ipaddress.IPv4Address(packet[12:16])), vrid, kind >> 4, priority)


def open_socket(interface):
    """Open a raw socket that receives IPv4 with the VRRP group on one interface; it needs CAP_NET_RAW."""
    sock = None
    try:
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
        sock.bind((interface, ETH_P_IP))
        request = struct.pack("iHH8s", socket.if_nametoindex(interface), PACKET_MR_MULTICAST, len(GROUP), GROUP)
        sock.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, request)
    except OSError as error:
        if sock is not None:
            sock.close()
        raise VrrpError(f"cannot listen for VRRP on interface {interface}: {error}") from error
    return sock


def listen(interface, seconds=1.5, opener=open_socket, clock=time.monotonic):
    """Return who speaks VRRP on the segment within some seconds (adverts come every second unless somebody chose otherwise)."""
    speakers, end = set(), clock() + seconds
    sock = opener(interface)
    try:
        while (left := end - clock()) > 0:
            sock.settimeout(left)
            try:
                speaker = parse_frame(sock.recv(_MAX_FRAME))
            except socket.timeout:
                break
            if speaker is not None:
                speakers.add(speaker)
    except OSError as error:
        raise VrrpError(f"cannot listen for VRRP on interface {interface}: {error}") from error
    finally:
        sock.close()
    return sorted(speakers)


def strangers(speakers, vrid, peers):
    """Return the addresses of those who speak for a virtual router ID and are none of its routers."""
    return sorted({speaker.source for speaker in speakers if speaker.vrid == vrid and speaker.source not in peers})
