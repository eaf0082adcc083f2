# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the ARP frames and the probe against a scripted segment."""

from __future__ import annotations

import socket

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _arp
from hypothesis import given
from hypothesis import strategies as st

ME = b"\x02\x00\x00\x00\x00\x01"
OTHER = b"\x02\x00\x00\x00\x00\x02"
THIRD = b"\x02\x00\x00\x00\x00\x03"
ADDRESS = "192.0.2.10"
# RFC 826: ares_op$REPLY
REPLY = 2


def reply(mac, address=ADDRESS, operation=REPLY):
    return _arp._FRAME.pack(
        ME, mac, _arp.ETH_P_ARP, 1, _arp.ETH_P_IP, 6, 4, operation, mac, _arp._packed(address), ME, _arp.NO_ADDRESS
    )


class Segment:
    """Play a socket: each recv gives the next scripted frame, then time passes until the timeout."""

    def __init__(self, *frames, hardware=1, fail=None):
        self.frames, self.sent, self.now, self.closed = list(frames), [], 0.0, False
        self.hardware, self.fail, self.timeout = hardware, fail, None

    def __call__(self, interface):
        self.interface = interface
        return self

    def clock(self):
        return self.now

    def getsockname(self):
        return (self.interface, 0x0806, 0, self.hardware, ME)

    def settimeout(self, seconds):
        assert seconds > 0
        self.timeout = seconds

    def send(self, frame):
        if self.fail:
            raise self.fail
        self.sent.append(frame)

    def recv(self, _size):
        if self.frames:
            self.now += 0.001
            return self.frames.pop(0)
        self.now += self.timeout
        raise socket.timeout

    def close(self):
        self.closed = True


def ask(segment, own=(), **kwargs):
    return _arp.probe("eth0", ADDRESS, opener=segment, own=own, clock=segment.clock, **kwargs)


def test_nobody_answers():
    segment = Segment()
    assert ask(segment) == []
    assert segment.closed
    assert segment.now == pytest.approx(0.5)
    assert len(segment.sent) == 2


def test_probe_has_no_sender_address():
    segment = Segment()
    ask(segment, count=1)
    packet = _arp.parse_frame(segment.sent[0])
    assert packet == _arp.ArpPacket(1, "02:00:00:00:00:01", "0.0.0.0", "00:00:00:00:00:00", ADDRESS)
    assert segment.sent[0][:6] == b"\xff" * 6


@pytest.mark.parametrize(
    ("frames", "holders"),
    [
        pytest.param([reply(OTHER)], ["02:00:00:00:00:02"], id="one"),
        pytest.param([reply(THIRD), reply(OTHER), reply(OTHER)], ["02:00:00:00:00:02", "02:00:00:00:00:03"], id="two"),
        pytest.param([reply(OTHER, "192.0.2.11")], [], id="other-address"),
        pytest.param([reply(ME)], [], id="own-socket"),
        pytest.param([reply(OTHER, operation=1)], ["02:00:00:00:00:02"], id="announcement"),
        pytest.param([_arp.probe_frame(OTHER, ADDRESS)], [], id="somebody-else-probes"),
        pytest.param([b"short", reply(OTHER)[:12] + b"\x08\x00" + reply(OTHER)[14:]], [], id="not-arp"),
    ],
)
def test_holders(frames, holders):
    assert ask(Segment(*frames)) == holders


def test_own_interfaces_are_left_out():
    assert ask(Segment(reply(OTHER), reply(THIRD)), own={"02:00:00:00:00:03"}) == ["02:00:00:00:00:02"]


def test_padding_is_accepted():
    assert ask(Segment(reply(OTHER) + b"\0" * 18)) == ["02:00:00:00:00:02"]


@pytest.mark.parametrize("act", [lambda s: ask(s), lambda s: _arp.announce("eth0", ADDRESS, opener=s)])
def test_errors_name_the_interface_and_close(act):
    for segment in (Segment(hardware=772), Segment(fail=OSError("Network is down"))):
        with pytest.raises(_arp.ArpError, match="eth0"):
            act(segment)
        assert segment.closed


def test_bad_address():
    with pytest.raises(ValueError, match="Expected 4 octets"):
        _arp.probe("eth0", "192.0.2", opener=Segment())


def test_open_socket_names_a_missing_interface():
    with pytest.raises(_arp.ArpError, match="nosuchif0"):
        _arp.open_socket("nosuchif0")


def test_announce():
    segment, slept = Segment(), []
    _arp.announce("eth0", ADDRESS, count=3, opener=segment, sleep=slept.append)
    assert len(segment.sent) == 3
    assert slept == [0.05, 0.05]
    packet = _arp.parse_frame(segment.sent[0])
    assert (packet.sender_address, packet.target_address, packet.operation) == (ADDRESS, ADDRESS, 1)


def test_own_macs(tmp_path):
    for name, mac in {"eth0": "02:00:00:00:00:0A\n", "lo": "00:00:00:00:00:00\n", "tun0": "\n"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "address").write_text(mac)
    assert _arp.own_macs(str(tmp_path)) == {"02:00:00:00:00:0a"}


@given(st.binary(max_size=80))
def test_any_frame_is_parsed_or_refused(frame):
    packet = _arp.parse_frame(frame)
    assert packet is None or isinstance(packet, _arp.ArpPacket)


@given(st.binary(min_size=6, max_size=6), st.ip_addresses(v=4))
def test_frames_round_trip(mac, address):
    packet = _arp.parse_frame(_arp.announcement_frame(mac, address))
    assert packet.sender_mac == mac.hex(":")
    assert packet.sender_address == str(address)
