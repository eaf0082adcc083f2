# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what is heard of VRRP on a played segment."""

from __future__ import annotations

import ipaddress
import socket
import struct

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _vrrp
from hypothesis import given
from hypothesis import strategies as st


def frame(source="192.0.2.50", vrid=51, priority=100, version=3, protocol=112, kind=1, options=0, ethertype=0x0800):
    header = struct.pack(
        "!BBHHHBBH4s4s", 0x45 + options, 0, 0, 0, 0, 255, protocol, 0,
        ipaddress.IPv4Address(source).packed, ipaddress.IPv4Address("224.0.0.18").packed,
    )  # fmt: skip  # the fields of a packet, in its order
    body = struct.pack("!BBBBHH", version << 4 | kind, vrid, priority, 1, 100, 0)
    return _vrrp.GROUP + b"\x02" * 6 + ethertype.to_bytes(2, "big") + header + b"\0" * 4 * options + body


class Segment:
    """Play a socket: the scripted frames, then silence."""

    def __init__(self, *frames, fail=None):
        self.frames, self.now, self.closed, self.fail = list(frames), 0.0, False, fail

    def __call__(self, interface):
        return self

    def settimeout(self, seconds):
        self.timeout = seconds

    def recv(self, _size):
        if self.fail:
            raise self.fail
        if self.frames:
            self.now += 0.1
            return self.frames.pop(0)
        self.now += self.timeout
        raise socket.timeout

    def close(self):
        self.closed = True


def hear(*frames, **options):
    segment = Segment(*frames, **options)
    found = _vrrp.listen("eth0", opener=segment, clock=lambda: segment.now)
    assert segment.closed
    return found


def test_who_speaks():
    assert hear() == []
    found = hear(frame(), frame(), frame("192.0.2.51", 7, 255, version=2), frame(options=1, vrid=9))
    assert found == [
        _vrrp.Speaker("192.0.2.50", 9, 3, 100),
        _vrrp.Speaker("192.0.2.50", 51, 3, 100),
        _vrrp.Speaker("192.0.2.51", 7, 2, 255),
    ]


@pytest.mark.parametrize(
    "other", [frame(protocol=6), frame(kind=2), frame(ethertype=0x86DD), frame()[:40], b"", frame(options=10)[:60]]
)
def test_what_is_no_advert(other):
    assert hear(other) == []


def test_strangers():
    speakers = hear(frame(), frame("192.0.2.12"), frame("192.0.2.60", 52))
    assert _vrrp.strangers(speakers, 51, {"192.0.2.11", "192.0.2.12"}) == ["192.0.2.50"]
    assert _vrrp.strangers(speakers, 77, set()) == []


def test_errors_name_the_interface():
    with pytest.raises(_vrrp.VrrpError, match="eth0"):
        hear(fail=OSError("Network is down"))
    with pytest.raises(_vrrp.VrrpError, match="nosuchif0"):
        _vrrp.open_socket("nosuchif0")


@given(st.binary(max_size=80))
def test_any_frame_is_read_or_left(data):
    speaker = _vrrp.parse_frame(data)
    assert speaker is None or isinstance(speaker, _vrrp.Speaker)
