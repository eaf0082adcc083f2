# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make certificate requests as kubelets and as others would make them."""

from __future__ import annotations

import functools
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@functools.cache
def key():
    """Return the one key all requests are made with."""
    return ec.generate_private_key(ec.SECP256R1())


def general_names(names=(), addresses=(), more=()):
    """Return GeneralNames from plain texts."""
    return [
        *(x509.DNSName(name) for name in names),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in addresses),
        *more,
    ]


def pem(
    common_name="system:node:w1",
    organizations=("system:nodes",),
    names=("w1",),
    addresses=("192.0.2.21",),
    more=(),
    subject=(),
    extensions=(),
    critical=False,
    attributes=(),
):
    """Return a request in PEM; the defaults are what the kubelet of node w1 asks for."""
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, value) for value in organizations]
    parts += [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name is not None else []
    builder = x509.CertificateSigningRequestBuilder(x509.Name([*parts, *subject]))
    asked = general_names(names, addresses, more)
    if asked:
        builder = builder.add_extension(x509.SubjectAlternativeName(asked), critical)
    for extension in extensions:
        builder = builder.add_extension(extension, False)
    for kind, value in attributes:
        builder = builder.add_attribute(kind, value)
    return builder.sign(key(), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
