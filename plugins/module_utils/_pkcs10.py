# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Read a PKCS#10 certificate request (RFC 2986) as a kubelet writes it, and refuse every other.

Solves: what is approved must be what the signer will see. So only what a kubelet puts in is understood: a subject of CN
and O, one extension request, in it one subjectAltName of DNS names and IP addresses. Leaves out the public key and the
request's own signature: the requester is authenticated by the API server. The file is also shipped to hosts, beside
`_asn1`.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from dataclasses import dataclass

try:
    from ansible_collections.multimaster.kubernetes.plugins.module_utils import _asn1
except ImportError:  # on a host the two files lie side by side, outside any package
    import _asn1

COMMON_NAME, ORGANIZATION = "2.5.4.3", "2.5.4.10"
EXTENSION_REQUEST, SUBJECT_ALT_NAME = "1.2.840.113549.1.9.14", "2.5.29.17"
#: Context tags of GeneralName (RFC 5280 4.2.1.6) and of a request's attributes (RFC 2986 4.1).
DNS_NAME, IP_ADDRESS = 0x82, 0x87
ATTRIBUTES = 0xA0
PEM = re.compile(rb"\s*-----BEGIN CERTIFICATE REQUEST-----\r?\n([A-Za-z0-9+/=\r\n]+)-----END CERTIFICATE REQUEST-----\s*")


class RequestError(ValueError):
    """Tell what in a certificate request is not as a kubelet makes it."""


@dataclass(frozen=True)
class Contents:
    """Hold what a PKCS#10 request asks for."""

    common_name: str
    organizations: tuple
    dns_names: tuple
    addresses: tuple


def parse_pem(data):
    """Return the DER in the only PEM block of the data; nothing may stand before or after it."""
    match = PEM.fullmatch(data)
    if match is None:
        raise RequestError("it is not one PEM block CERTIFICATE REQUEST")
    try:
        return base64.b64decode(b"".join(match.group(1).split()), validate=True)
    except binascii.Error as error:
        raise RequestError("its PEM block is not base64") from error


def _subject(value):
    """Return (common names, organizations) of a Name; other attributes are refused."""
    found = {COMMON_NAME: [], ORGANIZATION: []}
    for part in _asn1.elements(value):
        if part.tag != _asn1.SET:
            raise RequestError("its subject is no list of sets")
        attribute = _asn1.elements(_asn1.one(part.value, _asn1.SEQUENCE, "a part of the subject"))
        if len(attribute) != 2 or attribute[0].tag != _asn1.OID:
            raise RequestError("a part of its subject is no type with a value")
        kind = _asn1.oid(attribute[0].value)
        if kind not in found:
            raise RequestError(f"its subject has an attribute {kind} beside CN and O")
        found[kind].append(_asn1.text(attribute[1]))
    return found[COMMON_NAME], found[ORGANIZATION]


def _alternative_names(value):
    """Return (DNS names, addresses) of a SubjectAltName; every other kind of name is refused."""
    names, addresses = [], []
    for entry in _asn1.elements(_asn1.one(value, _asn1.SEQUENCE, "subjectAltName")):
        if entry.tag == DNS_NAME:
            names.append(_ascii(entry.value))
        elif entry.tag == IP_ADDRESS and len(entry.value) in (4, 16):
            addresses.append(str(ipaddress.ip_address(entry.value)))
        else:
            raise RequestError(f"it asks for a name of kind 0x{entry.tag:02x}, neither DNS name nor IP address")
    return names, addresses


def _ascii(value):
    try:
        return value.decode("ascii")
    except UnicodeDecodeError as error:
        raise RequestError("a DNS name is not ASCII") from error


def _extensions(attributes):
    """Return (DNS names, addresses) from the attributes of a request, which are one extension request or none."""
    found = _asn1.elements(attributes)
    if not found:
        return [], []
    if len(found) != 1 or found[0].tag != _asn1.SEQUENCE:
        raise RequestError("it has more than one attribute")
    kind, values = _asn1.children(found[0].value, (_asn1.OID, _asn1.SET), "an attribute")
    if _asn1.oid(kind) != EXTENSION_REQUEST:
        raise RequestError(f"it has an attribute {_asn1.oid(kind)} that is no extension request")
    extensions = _asn1.elements(_asn1.one(values, _asn1.SEQUENCE, "an extension request"))
    if len(extensions) != 1 or extensions[0].tag != _asn1.SEQUENCE:
        raise RequestError("it asks for other extensions than one subjectAltName")
    fields = _asn1.elements(extensions[0].value)
    if len(fields) == 3 and fields[1].tag == _asn1.BOOLEAN:
        critical = fields.pop(1)
        if not _asn1.boolean(critical.value):
            raise RequestError("an extension spells out a default, which is not DER")
    if [field.tag for field in fields] != [_asn1.OID, _asn1.OCTET_STRING]:
        raise RequestError("an extension is malformed")
    if _asn1.oid(fields[0].value) != SUBJECT_ALT_NAME:
        raise RequestError(f"it asks for an extension {_asn1.oid(fields[0].value)}, not subjectAltName")
    return _alternative_names(fields[1].value)


def parse(pem):
    """Return the Contents of a PKCS#10 request (RFC 2986); raise RequestError on anything a kubelet does not write."""
    try:
        request = _asn1.one(parse_pem(pem), _asn1.SEQUENCE, "the request")
        info, _algorithm, _signature = _asn1.children(request, (_asn1.SEQUENCE, _asn1.SEQUENCE, _asn1.BIT_STRING), "the request")
        version, subject, _key, attributes = _asn1.children(
            info, (_asn1.INTEGER, _asn1.SEQUENCE, _asn1.SEQUENCE, ATTRIBUTES), "the request's information"
        )
        if version != b"\x00":
            raise RequestError("its version is not 1")
        common_names, organizations = _subject(subject)
        names, addresses = _extensions(attributes)
    except _asn1.Asn1Error as error:
        raise RequestError(f"it is not the DER of a request: {error}") from error
    if len(common_names) != 1:
        raise RequestError(f"it has {len(common_names)} common names")
    return Contents(common_names[0], tuple(organizations), tuple(names), tuple(addresses))
