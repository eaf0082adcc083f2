# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that only strict DER is read."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _asn1
from hypothesis import given
from hypothesis import strategies as st


def der(tag, value):
    size = len(value)
    length = (
        bytes([size])
        if size < 0x80
        else bytes([0x80 | (size.bit_length() + 7) // 8]) + size.to_bytes((size.bit_length() + 7) // 8, "big")
    )
    return bytes([tag]) + length + value


@given(st.lists(st.tuples(st.integers(0, 255).filter(lambda tag: tag & 0x1F != 0x1F), st.binary(max_size=400)), max_size=8))
def test_what_is_written_is_read(found):
    data = b"".join(der(tag, value) for tag, value in found)
    assert _asn1.elements(data) == [_asn1.Element(tag, value) for tag, value in found]


@given(st.binary(max_size=300))
def test_garbage_is_read_or_refused(data):
    try:
        found = _asn1.elements(data)
    except _asn1.Asn1Error:
        return
    assert b"".join(der(element.tag, element.value) for element in found) == data


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b"\x30", "before a length", id="no-length"),
        pytest.param(b"\x30\x80\x00\x00", "indefinite", id="indefinite"),
        pytest.param(b"\x30\x85\x01\x01\x01\x01\x01", "absurd", id="length-of-length"),
        pytest.param(b"\x30\x82\x01", "within a length", id="cut-length"),
        pytest.param(b"\x30\x81\x05aaaaa", "shortest", id="long-form"),
        pytest.param(b"\x30\x82\x00\x85" + b"a" * 0x85, "shortest", id="leading-zero"),
        pytest.param(b"\x30\x05aaaa", "longer", id="too-long"),
        pytest.param(b"\x3f\x05aaaaa", "more than one byte", id="high-tag"),
        pytest.param(b"\x04\x00" * 9000, "more than", id="huge"),
    ],
)
def test_refused(data, said):
    with pytest.raises(_asn1.Asn1Error, match=said):
        _asn1.elements(data)


def test_one_and_children():
    assert _asn1.one(der(0x30, b"x"), 0x30, "it") == b"x"
    for data in (b"", der(0x30, b"") * 2, der(0x31, b"")):
        with pytest.raises(_asn1.Asn1Error, match="it is not one"):
            _asn1.one(data, 0x30, "it")
    assert _asn1.children(der(2, b"\0") + der(4, b"a"), (2, 4), "it") == [b"\0", b"a"]
    with pytest.raises(_asn1.Asn1Error, match="it has tags"):
        _asn1.children(der(2, b"\0"), (2, 4), "it")


@pytest.mark.parametrize(
    ("value", "dotted"),
    [(b"\x55\x04\x03", "2.5.4.3"), (b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x0e", "1.2.840.113549.1.9.14"), (b"\x00", "0.0")],
)
def test_oid(value, dotted):
    assert _asn1.oid(value) == dotted


def test_the_numbers_of_an_oid_are_bounded():
    assert _asn1.oid(b"\x69\x83" + b"\xff" * 17 + b"\x7f") == f"2.25.{2**128 - 1}", "the greatest UUID"
    for value in (b"\x69\x84" + b"\x80" * 17 + b"\x00", b"\x81" + b"\xff" * 2100 + b"\x7f"):
        with pytest.raises(_asn1.Asn1Error, match="more than 128 bits"):
            _asn1.oid(value)


@pytest.mark.parametrize("value", [b"", b"\x55\x84", b"\x55\x80\x03"])
def test_oid_refused(value):
    with pytest.raises(_asn1.Asn1Error):
        _asn1.oid(value)


def test_text():
    assert _asn1.text(_asn1.Element(_asn1.UTF8_STRING, "süd".encode())) == "süd"
    assert _asn1.text(_asn1.Element(_asn1.PRINTABLE_STRING, b"system:nodes")) == "system:nodes"
    for tag, value in ((0x13, b"a@b"), (0x16, b"a"), (0x0C, b"\xff"), (0x0C, b"a\0b"), (0x1E, b"\0a")):
        with pytest.raises(_asn1.Asn1Error):
            _asn1.text(_asn1.Element(tag, value))


def test_boolean():
    assert _asn1.boolean(b"\xff") and not _asn1.boolean(b"\0")
    with pytest.raises(_asn1.Asn1Error):
        _asn1.boolean(b"\x01")
