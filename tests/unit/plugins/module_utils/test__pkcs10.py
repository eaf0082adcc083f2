# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that requests are read as the signer reads them, and that what a kubelet does not write is refused."""

from __future__ import annotations

import base64

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _pkcs10
from cryptography import x509
from cryptography.x509.oid import AttributeOID, ExtendedKeyUsageOID, NameOID
from csr_fixtures import pem
from hypothesis import given, settings
from hypothesis import strategies as st


def armoured(der):
    body = base64.encodebytes(der)
    return b"-----BEGIN CERTIFICATE REQUEST-----\n" + body + b"-----END CERTIFICATE REQUEST-----\n"


def test_a_kubelets_request():
    contents = _pkcs10.parse(pem(addresses=("192.0.2.21", "2001:db8::21")))
    assert contents == _pkcs10.Contents("system:node:w1", ("system:nodes",), ("w1",), ("192.0.2.21", "2001:db8::21"))


def test_critical_alternative_names_and_none_at_all():
    assert _pkcs10.parse(pem(critical=True)).dns_names == ("w1",)
    assert _pkcs10.parse(pem(names=(), addresses=())) == _pkcs10.Contents("system:node:w1", ("system:nodes",), (), ())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b"", "PEM block", id="empty"),
        pytest.param(b"hello", "PEM block", id="no-pem"),
        pytest.param(pem() * 2, "PEM block", id="two-blocks"),
        pytest.param(b"x\n" + pem(), "PEM block", id="text-before"),
        pytest.param(pem().replace(b"REQUEST-----\n", b"REQUEST-----\nProc-Type: 4\n\n", 1), "PEM block", id="headers"),
        pytest.param(pem().replace(b" REQUEST", b""), "PEM block", id="a-certificate"),
        pytest.param(armoured(b"\x30\x00"), "the request has tags", id="empty-sequence"),
        pytest.param(armoured(_pkcs10.parse_pem(pem()) + b"\0\0"), "not one element", id="trailing-bytes"),
        pytest.param(b"-----BEGIN CERTIFICATE REQUEST-----\nA\n-----END CERTIFICATE REQUEST-----\n", "base64", id="base64"),
        pytest.param(pem(common_name=None), "0 common names", id="no-cn"),
        pytest.param(pem(subject=[x509.NameAttribute(NameOID.COMMON_NAME, "admin")]), "2 common names", id="two-cn"),
        pytest.param(pem(subject=[x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "x")]), "2.5.4.11 beside", id="ou"),
        pytest.param(
            pem(subject=[x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@b.example", x509.name._ASN1Type.IA5String)]),
            "beside CN and O",
            id="email-in-subject",
        ),
        pytest.param(pem(more=[x509.RFC822Name("root@example.org")]), "kind 0x81", id="email-san"),
        pytest.param(pem(more=[x509.UniformResourceIdentifier("spiffe://x/y")]), "kind 0x86", id="uri-san"),
        pytest.param(
            pem(more=[x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")]))]),
            "kind 0xa4",
            id="directory-name",
        ),
        pytest.param(pem(extensions=[x509.BasicConstraints(ca=True, path_length=None)]), "other extensions", id="ca"),
        pytest.param(
            pem(names=(), addresses=(), extensions=[x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])]),
            "not subjectAltName",
            id="key-usage-only",
        ),
        pytest.param(pem(attributes=[(AttributeOID.CHALLENGE_PASSWORD, b"secret")]), "more than one attribute", id="challenge"),
        pytest.param(
            pem(names=(), addresses=(), attributes=[(AttributeOID.CHALLENGE_PASSWORD, b"secret")]),
            "no extension request",
            id="challenge-only",
        ),
    ],
)
def test_refused(data, said):
    with pytest.raises(_pkcs10.RequestError, match=said):
        _pkcs10.parse(data)


def rewrapped(der, old, new):
    """Replace bytes in DER and mend the lengths of all constructed elements around them."""

    def mend(data):
        out, offset = b"", 0
        while offset < len(data):
            tag, size, start = data[offset], data[offset + 1], offset + 2
            if size & 0x80:
                count = size & 0x7F
                size, start = int.from_bytes(data[start : start + count], "big"), start + count
            value = data[start : start + size]
            if value == old:
                value = new
            elif tag & 0x20 or (tag == 0x04 and value[:1] == b"\x30"):
                value = mend(value)
            count = (len(value).bit_length() + 7) // 8
            length = bytes([len(value)]) if len(value) < 0x80 else bytes([0x80 | count]) + len(value).to_bytes(count, "big")
            out += bytes([tag]) + length + value
            offset = start + size
        return out

    return armoured(mend(der))


DER = _pkcs10.parse_pem(pem())
SAN = b"\x82\x02w1\x87\x04\xc0\x00\x02\x15"
EXTENSION = b"\x06\x03\x55\x1d\x11\x04\x0c\x30\x0a" + SAN


def test_the_surgery_itself_keeps_a_request():
    assert rewrapped(DER, SAN, SAN) == armoured(DER)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        pytest.param(SAN, b"\x82\x02w\xff", "not ASCII", id="dns-name-not-ascii"),
        pytest.param(SAN, b"\x87\x05\xc0\x00\x02\x15\x01", "kind 0x87", id="five-byte-address"),
        pytest.param(EXTENSION, EXTENSION[:5] + b"\x01\x01\x00" + EXTENSION[5:], "spells out", id="default-spelt-out"),
        pytest.param(EXTENSION, EXTENSION[:5] + b"\x01\x01\x01" + EXTENSION[5:], "BOOLEAN", id="ber-boolean"),
        pytest.param(EXTENSION, EXTENSION[:5], "malformed", id="no-value"),
        pytest.param(b"\x30\x13" + EXTENSION, (b"\x30\x13" + EXTENSION) * 2, "other extensions", id="duplicated-extension"),
        pytest.param(b"system:nodes", b"system\x00node", "cannot be printed", id="nul-in-a-name"),
        pytest.param(b"\x00", b"\x01", "version", id="version-2"),
    ],
)
def test_forged_der_is_refused(old, new, said):
    with pytest.raises(_pkcs10.RequestError, match=said):
        _pkcs10.parse(rewrapped(DER, old, new))


@settings(max_examples=300)
@given(st.integers(0, len(DER) - 1), st.integers(0, 255))
def test_one_changed_byte_is_read_or_refused_and_never_crashes(position, byte):
    changed = DER[:position] + bytes([byte]) + DER[position + 1 :]
    try:
        _pkcs10.parse(armoured(changed))
    except _pkcs10.RequestError:
        pass


@given(st.binary(max_size=200))
def test_garbage_is_refused(data):
    with pytest.raises(_pkcs10.RequestError):
        _pkcs10.parse(armoured(data))


NAMES = st.lists(st.from_regex(r"[a-z0-9]{1,10}(\.[a-z]{1,5}){0,2}", fullmatch=True), max_size=4)
ADDRESSES = st.lists(st.ip_addresses().map(str), max_size=4)


@settings(max_examples=50)
@given(st.from_regex(r"[a-z0-9:.-]{1,30}", fullmatch=True), NAMES, ADDRESSES)
def test_what_cryptography_writes_is_read(common_name, names, addresses):
    contents = _pkcs10.parse(pem(common_name=common_name, names=names, addresses=addresses))
    assert contents == _pkcs10.Contents(common_name, ("system:nodes",), tuple(names), tuple(addresses))
