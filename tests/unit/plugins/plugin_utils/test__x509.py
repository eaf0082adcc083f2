# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates as made: what they say, what they verify against, and that no authority opens another's door."""

from __future__ import annotations

import datetime
import ipaddress
import itertools

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _pki
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import verification
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

NOW = 1_800_000_000.0
KEY = _x509.new_key()
AUTHORITIES = {name: _x509.new_authority(name, "prod", NOW) for name in _pki.AUTHORITIES}
RIGHT = {
    "path": "/x/y",
    "ca": "kubernetes",
    "common_name": "someone",
    "usages": ["client", "server"],
    "dns": ["m1"],
    "ip": ["192.0.2.1"],
}


def wanted(**changes):
    (certificate,), findings = _pki.certificates([{**RIGHT, **changes}])
    assert findings == ()
    return certificate


def leaf(specification, now=NOW):
    key, authority = AUTHORITIES[specification.ca]
    return _x509.sign(specification, KEY.public_key(), authority, key, now)


def request(key, name="anything", extension=None):
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
    if extension:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, hashes.SHA256())


def pem(thing):
    return thing.public_bytes(serialization.Encoding.PEM).decode()


def builder(trusted):
    moment = datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc)
    return verification.PolicyBuilder().store(verification.Store([trusted])).time(moment)


@pytest.mark.parametrize(("signer", "trusted"), list(itertools.product(_pki.AUTHORITIES, repeat=2)))
def test_a_certificate_verifies_against_its_own_authority_and_no_other(signer, trusted):
    certificate = leaf(wanted(ca=signer))
    authority = AUTHORITIES[trusted][1]
    client = builder(authority).build_client_verifier()
    server = builder(authority).build_server_verifier(x509.DNSName("m1"))
    assert _x509.issued_by(certificate, authority) == (signer == trusted)
    if signer == trusted:
        client.verify(certificate, [])
        server.verify(certificate, [])
        return
    for verifier in (client, server):
        with pytest.raises(verification.VerificationError):
            verifier.verify(certificate, [])


def test_usages_are_kept_apart():
    authority = AUTHORITIES["kubernetes"][1]
    with pytest.raises(verification.VerificationError):
        builder(authority).build_client_verifier().verify(leaf(wanted(usages=["server"])), [])
    with pytest.raises(verification.VerificationError):
        builder(authority).build_server_verifier(x509.DNSName("m1")).verify(leaf(wanted(usages=["client"])), [])


def test_a_leaf_signs_no_further_certificate():
    middle = leaf(wanted())
    forged = _x509.sign(wanted(common_name="forged"), KEY.public_key(), middle, KEY, NOW)
    with pytest.raises(verification.VerificationError):
        builder(AUTHORITIES["kubernetes"][1]).build_client_verifier().verify(forged, [middle])


def test_extensions_of_a_leaf():
    certificate = leaf(wanted())
    found = {type(extension.value): extension for extension in certificate.extensions}
    assert found[x509.BasicConstraints].critical and not found[x509.BasicConstraints].value.ca
    assert found[x509.KeyUsage].critical and not found[x509.KeyUsage].value.key_cert_sign
    own = AUTHORITIES["kubernetes"][1].extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert found[x509.AuthorityKeyIdentifier].value.key_identifier == own.digest
    assert x509.SubjectKeyIdentifier in found
    assert certificate.not_valid_before_utc.timestamp() == NOW - _pki.BACKDATE
    assert certificate.not_valid_after_utc.timestamp() == NOW + 365 * _pki.DAY


def test_an_authority():
    for name, (_key, certificate) in AUTHORITIES.items():
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        assert constraints.critical and constraints.value == x509.BasicConstraints(ca=True, path_length=0)
        assert certificate.not_valid_after_utc.timestamp() == NOW + 3650 * _pki.DAY
        assert certificate.subject.rfc4514_string() == f"CN={name}-ca,O=prod"
        assert isinstance(certificate.public_key().curve, ec.SECP256R1)
    assert len({_x509.fingerprint(certificate) for _key, certificate in AUTHORITIES.values()}) == 4


def test_only_the_key_of_a_request_is_used():
    """A host that asks for system:masters and for other names gets what the specification says."""
    greedy = request(KEY, "system:masters", x509.SubjectAlternativeName([x509.DNSName("kubernetes.default.svc")]))
    key, authority = AUTHORITIES["kubernetes"]
    certificate = _x509.sign(wanted(), _x509.request_key(pem(greedy), "/x/y"), authority, key, NOW)
    found = _x509.read(_x509.pem(certificate), authority, "matches")
    assert (found.common_name, found.organizations, found.dns, found.ip) == ("someone", (), ("m1",), ("192.0.2.1",))


def test_a_request_without_proof_of_possession_is_refused():
    der = bytearray(request(KEY).public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    with pytest.raises(_x509.CertificateError):
        _x509.request_key(pem(x509.load_der_x509_csr(bytes(der))), "/x/y")


@pytest.mark.parametrize(
    "key", [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)], ids=["P-384", "RSA"]
)
def test_keys_of_another_kind_are_refused(key):
    with pytest.raises(_x509.CertificateError, match=r"/x/y\.key is no ECDSA P-256 key"):
        _x509.request_key(pem(request(key)), "/x/y")


def test_a_request_that_cannot_be_read_names_its_place():
    with pytest.raises(_x509.CertificateError, match="/x/y"):
        _x509.request_key("nonsense", "/x/y")


def test_a_leaf_never_outlives_its_authority():
    ends = AUTHORITIES["kubernetes"][1].not_valid_after_utc.timestamp()
    late = leaf(wanted(), ends - 20 * _pki.DAY)
    assert late.not_valid_after_utc.timestamp() == ends
    present = _x509.read(_x509.pem(late), AUTHORITIES["kubernetes"][1], "matches")
    assert _pki.judge(present, wanted(), ends - 20 * _pki.DAY + 60).action == _pki.KEEP
    with pytest.raises(_x509.CertificateError, match=r"the kubernetes authority expired .* Next: no run renews an authority"):
        leaf(wanted(), ends + 1)


@pytest.mark.parametrize("text", ["", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_is_no_certificate_is_a_problem_and_no_error(text):
    assert _x509.read(text, AUTHORITIES["kubernetes"][1], "matches").problem


def test_errors_never_show_a_key():
    text = _x509.key_pem(KEY).replace("M", "?", 1)
    with pytest.raises(_x509.CertificateError) as caught:
        _x509.load_key(text, "/store/sa.key")
    assert "/store/sa.key" in str(caught.value)
    assert text.splitlines()[1] not in str(caught.value)


LABELS = st.from_regex(r"\A[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?\Z")
NAMES = st.lists(st.lists(LABELS, min_size=1, max_size=3).map(".".join), min_size=1, max_size=5)
ADDRESSES = st.lists(st.integers(0, 2**32 - 1).map(lambda n: str(ipaddress.ip_address(n))), max_size=5)
TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=["Cc", "Cs"]), min_size=1, max_size=32)


@settings(max_examples=60)
@given(
    dns=NAMES,
    ip=ADDRESSES,
    common_name=TEXT,
    organizations=st.lists(TEXT, max_size=3),
    minutes=st.integers(1, 60),
    usages=st.sampled_from([["client"], ["server"], ["client", "server"]]),
    ca=st.sampled_from(_pki.AUTHORITIES),
)
def test_what_is_signed_as_wanted_is_kept(**specification):
    certificate = wanted(**specification)
    text = _x509.pem(leaf(certificate))
    for now in (NOW, NOW + certificate.lifetime * 0.6):
        assert _pki.judge(_x509.read(text, AUTHORITIES[certificate.ca][1], "matches"), certificate, now).reasons == ()
    other = AUTHORITIES[next(name for name in _pki.AUTHORITIES if name != certificate.ca)][1]
    assert _pki.judge(_x509.read(text, other, "matches"), certificate, NOW).new_key
