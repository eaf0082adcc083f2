# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make, sign and read X.509 certificates on the controller, all ECDSA P-256.

Names and usages always come from our own specification: of a signing request only the public key is used, after its
signature proved that the sender holds the private key. Time is an argument, in seconds since the epoch.
"""

from __future__ import annotations

import datetime
import ipaddress

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _pki

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID
except ImportError:  # ansible-core itself requires it; only tools that load plugins to look at them may lack it
    x509 = InvalidSignature = hashes = serialization = ec = NameOID = None

CA_DAYS = 3650
# id-kp-clientAuth and id-kp-serverAuth, RFC 5280 section 4.2.1.12.
USAGE_OIDS = {"client": "1.3.6.1.5.5.7.3.2", "server": "1.3.6.1.5.5.7.3.1"}
USAGE_NAMES = {oid: name for name, oid in USAGE_OIDS.items()}


class CertificateError(Exception):
    """Say which certificate, key or request cannot be used, and why."""


def new_key():
    """Return a new ECDSA P-256 private key."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key):
    """Return a private key as unencrypted PKCS #8 PEM, which Go, OpenSSL and Python all read."""
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()


def public_pem(key):
    """Return the public half of a private key as PEM."""
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()


def pem(certificate):
    """Return a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def load_key(text, place):
    """Return the private key in PEM `text`; `place` names its file in errors, the content never shows."""
    try:
        return serialization.load_pem_private_key(text.encode(), password=None)
    except (ValueError, TypeError) as error:
        raise CertificateError(f"{place} holds no private key that can be read. Next: restore it from the backup") from error


def load_certificates(text, place):
    """Return every certificate in PEM `text`, in order; at least one."""
    try:
        return x509.load_pem_x509_certificates(text.encode())
    except ValueError as error:
        raise CertificateError(f"{place} holds no certificate that can be read. Next: restore it from the backup") from error


def fingerprint(certificate):
    """Return the SHA-256 of a certificate as lower-case hexadecimal digits."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def fingerprints(text):
    """Return the fingerprints of the certificates in PEM `text`, in order; none when it cannot be read."""
    try:
        return [fingerprint(certificate) for certificate in x509.load_pem_x509_certificates(text.encode())]
    except ValueError:
        return []


def new_authority(name, cluster_name, now):
    """Return (key, certificate) of a new authority: 10 years, signs leaves only (path length 0)."""
    key = new_key()
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, cluster_name),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{name}-ca"),
        ]
    )
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        _builder(subject, subject, key.public_key(), now, now + CA_DAYS * _pki.DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs=True), critical=True)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key, certificate


def sign(wanted, public_key, authority, authority_key, now):
    """Return the certificate of `public_key` for the specification `wanted`; it never outlives its authority."""
    ends = min(now + wanted.lifetime, authority.not_valid_after_utc.timestamp())
    if ends <= now:
        raise CertificateError(
            f"the {wanted.ca} authority expired on {authority.not_valid_after_utc:%Y-%m-%d}: it can sign nothing any more. "
            f"Next: {_pki.ending(wanted.ca, expired=True)}"
        )
    subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, name) for name in wanted.organizations]
    subject.append(x509.NameAttribute(NameOID.COMMON_NAME, wanted.common_name))
    usages = [x509.ObjectIdentifier(USAGE_OIDS[usage]) for usage in wanted.usages]
    builder = (
        _builder(x509.Name(subject), authority.subject, public_key, now, ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(_authority_identifier(authority), critical=False)
    )
    names = [x509.DNSName(name) for name in wanted.dns]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in wanted.ip]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(authority_key, hashes.SHA256())


def _builder(subject, issuer, public_key, now, ends):
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_moment(now - _pki.BACKDATE))
        .not_valid_after(_moment(ends))
    )


def _moment(seconds):
    return datetime.datetime.fromtimestamp(int(seconds), datetime.timezone.utc)


def _key_usage(signs):
    """Return what the key may do: an authority signs certificates, a leaf signs handshakes (ECDSA enciphers nothing)."""
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_identifier(authority):
    own = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def request_key(text, place):
    """Return the public key of a signing request whose signature proves possession of the private key."""
    try:
        request = x509.load_pem_x509_csr(text.encode())
        proven = request.is_signature_valid
        key = request.public_key()
    except (ValueError, TypeError, InvalidSignature) as error:
        raise CertificateError(f"the signing request for {place} cannot be read. Next: run again") from error
    if not proven:
        said = f"the signing request for {place} does not prove possession of its key; nothing was signed. Next: run again"
        raise CertificateError(said)
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise CertificateError(f"the key at {place}.key is no ECDSA P-256 key. Next: move it away on that host, and run again")
    return key


def names(certificate):
    """Return the DNS names and IP addresses a certificate is for, None when its extensions cannot be read."""
    try:
        found = _extension(certificate.extensions, x509.SubjectAlternativeName)
    except (ValueError, TypeError):
        return None
    if found is None:
        return frozenset()
    return frozenset(found.get_values_for_type(x509.DNSName)) | {str(one) for one in found.get_values_for_type(x509.IPAddress)}


def read(text, authority, key_state):
    """Return what stands in a certificate file as _pki.Present; `authority` is the one that should have signed it."""
    try:
        certificate = x509.load_pem_x509_certificate(text.encode())
        extensions = certificate.extensions
        public_key = certificate.public_key()
    except (ValueError, TypeError) as error:
        return _pki.Present(problem=f"cannot be read as a certificate ({type(error).__name__})", key=key_state)
    if not isinstance(public_key, ec.EllipticCurvePublicKey) or not isinstance(public_key.curve, ec.SECP256R1):
        return _pki.Present(problem="its key is no ECDSA P-256 key", key=key_state)
    names = _extension(extensions, x509.SubjectAlternativeName)
    usages = _extension(extensions, x509.ExtendedKeyUsage)
    return _pki.Present(
        common_name=", ".join(_subject(certificate, NameOID.COMMON_NAME)),
        organizations=tuple(_subject(certificate, NameOID.ORGANIZATION_NAME)),
        dns=tuple(names.get_values_for_type(x509.DNSName)) if names else (),
        ip=tuple(str(address) for address in names.get_values_for_type(x509.IPAddress)) if names else (),
        usages=tuple(USAGE_NAMES.get(oid.dotted_string, oid.dotted_string) for oid in usages or ()),
        not_before=certificate.not_valid_before_utc.timestamp(),
        not_after=certificate.not_valid_after_utc.timestamp(),
        issued_by_store=authority is not None and issued_by(certificate, authority),
        key=key_state,
    )


def issued_by(certificate, authority):
    """Return whether `authority` signed `certificate`: names and signature."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _extension(extensions, kind):
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _subject(certificate, oid):
    return [str(attribute.value) for attribute in certificate.subject.get_attributes_for_oid(oid)]
