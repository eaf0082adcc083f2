# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Read strict DER (X.690), as much of it as a certificate request needs.

Solves: hosts have no library that reads certificate requests, and a lenient reader would see another request than the
signer does. So every encoding that is not the one DER allows is refused. Leaves out writing, indefinite and BER forms,
tags above 30, and every type that no certificate request of ours contains.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, OID, UTF8_STRING = 0x01, 0x02, 0x03, 0x04, 0x06, 0x0C
PRINTABLE_STRING, SEQUENCE, SET = 0x13, 0x30, 0x31
#: More bytes than any request of a kubelet (about 500 with P-256, 1,000 with RSA 2048) can need.
MAX_BYTES = 16384
#: The longest number an object identifier is given anywhere is a UUID (X.667). A request can hold one of tens of thousands of
#: bits, which Python does not even write out (over 4,300 digits are a ValueError of their own).
ARC_BITS = 128
PRINTABLE = re.compile(rb"[A-Za-z0-9 '()+,\-./:=?]*")


class Asn1Error(ValueError):
    """Tell what in the bytes is not the DER that is expected."""


@dataclass(frozen=True)
class Element:
    """Hold one element: its identifier byte and its contents."""

    tag: int
    value: bytes


def _length(data, offset):
    """Return the length at an offset and the offset after it; only the shortest form is DER (X.690 10.1)."""
    if offset >= len(data):
        raise Asn1Error("the data ends before a length")
    first = data[offset]
    if first < 0x80:
        return first, offset + 1
    count = first & 0x7F
    if count == 0 or count > 4:
        raise Asn1Error("a length is indefinite or absurd")
    digits = data[offset + 1 : offset + 1 + count]
    if len(digits) != count:
        raise Asn1Error("the data ends within a length")
    length = int.from_bytes(digits, "big")
    if digits[0] == 0 or length < 0x80:
        raise Asn1Error("a length is not in its shortest form")
    return length, offset + 1 + count


def elements(data):
    """Return all elements that fill the data, exactly."""
    if len(data) > MAX_BYTES:
        raise Asn1Error(f"{len(data)} bytes are more than a request needs ({MAX_BYTES})")
    result, offset = [], 0
    while offset < len(data):
        tag = data[offset]
        if tag & 0x1F == 0x1F:
            raise Asn1Error("a tag has more than one byte")
        length, start = _length(data, offset + 1)
        if start + length > len(data):
            raise Asn1Error("an element is longer than what it lies in")
        result.append(Element(tag, data[start : start + length]))
        offset = start + length
    return result


def one(data, tag, what):
    """Return the contents of the only element in the data, which must have this tag."""
    found = elements(data)
    if len(found) != 1 or found[0].tag != tag:
        raise Asn1Error(f"{what} is not one element with tag 0x{tag:02x}")
    return found[0].value


def children(value, tags, what):
    """Return the contents of the elements in a value, which must have exactly these tags in this order."""
    found = elements(value)
    if tuple(element.tag for element in found) != tuple(tags):
        raise Asn1Error(f"{what} has tags {[hex(element.tag) for element in found]}, not {[hex(tag) for tag in tags]}")
    return [element.value for element in found]


def oid(value):
    """Return an object identifier in dotted form (X.690 8.19)."""
    if not value or value[-1] & 0x80:
        raise Asn1Error("an object identifier ends early")
    arcs, arc, fresh = [], 0, True
    for byte in value:
        if fresh and byte == 0x80:
            raise Asn1Error("an object identifier is not in its shortest form")
        arc = arc << 7 | byte & 0x7F
        if arc >> ARC_BITS:
            raise Asn1Error(f"an object identifier has a number of more than {ARC_BITS} bits")
        fresh = not byte & 0x80
        if fresh:
            arcs.append(arc)
            arc = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(str(number) for number in (first, arcs[0] - 40 * first, *arcs[1:]))


def text(element):
    """Return the text of a UTF8String or PrintableString; control characters are refused."""
    if element.tag == PRINTABLE_STRING and not PRINTABLE.fullmatch(element.value):
        raise Asn1Error("a PrintableString has other characters")
    if element.tag not in (UTF8_STRING, PRINTABLE_STRING):
        raise Asn1Error(f"a name has a value with tag 0x{element.tag:02x}, neither UTF8String nor PrintableString")
    try:
        result = element.value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Asn1Error("a UTF8String is not UTF-8") from error
    if not result.isprintable():
        raise Asn1Error("a name has characters that cannot be printed")
    return result


def boolean(value):
    """Return a BOOLEAN; DER knows 0x00 and 0xff only (X.690 11.1)."""
    if value not in (b"\x00", b"\xff"):
        raise Asn1Error("a BOOLEAN is neither 0x00 nor 0xff")
    return value == b"\xff"
