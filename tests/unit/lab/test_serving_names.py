# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which names the certificates of a lab's hosts are to have, and which they have."""

from __future__ import annotations

import datetime
import ipaddress
import pathlib
import sys

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))

import serving_names

KEY = ec.generate_private_key(ec.SECP256R1())
SERVER, PEER, API = "/etc/etcd/pki/server.crt", "/etc/etcd/pki/peer.crt", "/etc/kubernetes/pki/apiserver.crt"


class Lab:
    """A master, and a member of etcd on a host of its own; the inventory names another domain of the services."""

    masters, members, endpoint = ["m1"], ["e1"], "192.0.2.10"
    addresses = {"m1": "192.0.2.11", "e1": "192.0.2.31", "w1": "192.0.2.21"}

    def variable(self, name, host="", default=None):
        return {"multimaster_cluster_domain": "example.org"}.get(name, default)


def test_each_host_is_to_be_named_with_its_own_names_only():
    found = serving_names.wanted(Lab())
    assert found["e1"] == {SERVER: ["127.0.0.1", "192.0.2.31", "e1", "localhost"], PEER: ["192.0.2.31", "e1"]}
    assert list(found["m1"]) == [API]
    assert {"m1", "192.0.2.11", "192.0.2.10", "10.96.0.1", "kubernetes.default.svc.example.org"} < set(found["m1"][API])
    assert not {"e1", "192.0.2.31", "w1"} & set(found["m1"][API])


def certificate(dns, addresses):
    name, day = x509.Name([]), datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    names = [*map(x509.DNSName, dns), *(x509.IPAddress(ipaddress.ip_address(one)) for one in addresses)]
    builder = x509.CertificateBuilder(name, name, KEY.public_key(), 1, day, day + datetime.timedelta(days=1))
    signed = builder.add_extension(x509.SubjectAlternativeName(names), critical=False).sign(KEY, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def test_the_names_of_each_file_are_read_in_their_order():
    text = certificate(["m1", "localhost"], ["192.0.2.11"]) + certificate(["e1"], ["::1"])
    assert serving_names.named(text, [SERVER, PEER]) == {SERVER: ["192.0.2.11", "localhost", "m1"], PEER: ["::1", "e1"]}
    with pytest.raises(ValueError):
        serving_names.named(text, [SERVER])
