# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run was to make another than it was, or to leave as it was, and that what did otherwise is found."""

from __future__ import annotations

import datetime
import pathlib
import sys
import types

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))

import another

BEFORE = {("etcd", "m1"): "process 1", ("etcd", "m2"): "process 2", ("holder", "m1"): "of the endpoint address"}


@pytest.mark.parametrize(
    "after,kinds,found",
    [
        ({("etcd", "m1"): "process 3", ("etcd", "m2"): "process 4"}, ["etcd"], []),
        ({("etcd", "m1"): "process 3", ("etcd", "m2"): "process 2"}, ["etcd"], ["etcd, m2: still process 2"]),
        ({("etcd", "m1"): "process 3", ("etcd", "m3"): "process 1"}, ["etcd"], []),  # a host that came, one that left
        ({("etcd", "m1"): "process 1"}, ["etcd"], ["etcd, m1: still process 1"]),
        ({("etcd", "m1"): "process 3", ("etcd", "m2"): "process 2"}, ["etcd@m1"], []),
        ({("etcd", "m1"): "process 1", ("etcd", "m2"): "process 4"}, ["etcd@m1"], ["etcd, m1: still process 1"]),
        ({("etcd", "m2"): "process 4"}, ["etcd@m1"], ["etcd@m1: nobody has any after the run"]),
        ({("etcd", "m1"): "process 1"}, [], []),
        ({}, ["etcd"], ["etcd: nobody has any after the run"]),
        ({("holder", "m2"): "of the endpoint address"}, ["holder"], []),
        ({("holder", "m1"): "of the endpoint address"}, ["holder"], ["holder, m1: still of the endpoint address"]),
        ({}, ["holder"], ["holder: nobody has any after the run"]),
    ],
)
def test_what_stayed_is_found_and_so_is_what_nobody_has(after, kinds, found):
    assert another.same(BEFORE, after, kinds) == found


STAYED = {("etcd", "m1"): "process 1", ("etcd", "m2"): "process 2"}


@pytest.mark.parametrize(
    "after,whats,found",
    [
        (STAYED, ["etcd"], []),
        (STAYED | {("etcd", "m3"): "process 3"}, ["etcd"], []),  # a host that came has nothing to keep
        (STAYED | {("etcd", "m2"): "process 4"}, ["etcd"], ["etcd, m2: was process 2, is process 4"]),
        ({("etcd", "m1"): "process 1"}, ["etcd"], ["etcd, m2: was process 2, is gone"]),
        (
            {("etcd", "m1"): "process 2", ("etcd", "m2"): "process 1"},
            ["etcd"],
            ["etcd, m1: was process 1, is process 2", "etcd, m2: was process 2, is process 1"],
        ),
        (STAYED | {("etcd", "m2"): "process 4"}, ["etcd@m1"], []),
        (STAYED | {("etcd", "m2"): "process 4"}, ["etcd@m1", "etcd@m2"], ["etcd, m2: was process 2, is process 4"]),
        (STAYED | {("etcd", "m2"): "process 4"}, [], []),
        (STAYED | {("kubelet", "m1"): "process 9"}, ["kubelet"], ["kubelet: nobody had any before the run"]),
        (STAYED, ["etcd@m3"], ["etcd@m3: nobody had any before the run"]),
        ({("holder", "m1"): "of the endpoint address"}, ["holder"], []),
        ({("holder", "m2"): "of the endpoint address"}, ["holder"], ["holder, m1: was of the endpoint address, is gone"]),
    ],
)
def test_what_did_not_stay_is_found_and_so_is_what_nobody_had(after, whats, found):
    assert another.replaced(BEFORE, after, whats) == found


@pytest.mark.parametrize("before,after", [(BEFORE, BEFORE), (BEFORE, STAYED | {("etcd", "m2"): "process 4"})])
def test_of_what_was_and_is_there_each_is_either_another_or_the_same(before, after):
    told = [*another.same(before, after, ["etcd"]), *another.replaced(before, after, ["etcd"])]
    assert [line.split(":")[0] for line in sorted(told)] == ["etcd, m1", "etcd, m2"]


@pytest.mark.parametrize(
    ("after", "others"),
    [({"m1": "8", "m2": "7"}, 1), ({"m1": "7"}, 1), ({"m1": "7", "m2": "7"}, 0), ({"m1": "8", "m2": "8"}, 2)],
    ids=["one is another", "one is gone", "none", "both"],
)
def test_of_a_run_that_stops_at_the_first_one_host_has_another(after, others):
    old, new = ({("etcd", host): state for host, state in seen.items()} for seen in ({"m1": "7", "m2": "7"}, after))
    found = another.not_one(old, new, ["etcd"])
    assert (found == []) is (others == 1) and len(found) == (0 if others == 1 else 1 + others)


@pytest.mark.parametrize("text", ["etcd", "kube-apiserver@m1", "keys", "holder"])
def test_what_can_be_asked_of_a_run_is_known(text):
    assert another.parse_what(text) == text


@pytest.mark.parametrize("text", ["etc", "", "@m1", "etcd@", "keys@m1", "holder@m1"])
def test_what_cannot_be_asked_of_a_run_is_refused(text):
    with pytest.raises(ValueError, match="is none of"):
        another.parse_what(text)


def test_of_units_only_those_that_run_and_are_asked_for_count():
    observed = {
        "m1 etcd.service": "process 7 since 1/2",
        "m2 etcd.service": "process 0 since 0/0",
        "m1 kubelet.service": "process 9 since 1/2",
        "m1 /etc/etcd": "0123",
        "node m1": "takes pods",
    }
    assert another.of_units(observed, ["etcd"]) == {("etcd", "m1"): "process 7 since 1/2"}


class Lab:
    """A lab of one master that has everything; m2 has no etcd. It keeps what it was asked for."""

    masters, members, addresses = ["m1", "m2"], ["m1"], {"m1": "192.0.2.11", "m2": "192.0.2.12"}

    def __init__(self):
        self.asked = []

    def observe(self):
        self.asked.append("observe")
        return {"m1 etcd.service": "process 7 since 1/2"}

    def holders(self):
        self.asked.append("holders")
        return ["m2"]

    def server_of(self, host):
        return f"https://{self.addresses[host]}:7443"


def test_only_what_is_asked_for_is_looked_at(monkeypatch):
    lab = Lab()
    assert another.look(lab, []) == {} and lab.asked == []
    assert another.look(lab, ["holder"]) == {("holder", "m2"): "of the endpoint address"}
    assert another.look(lab, ["etcd"]) == {("etcd", "m1"): "process 7 since 1/2"}
    assert another.look(lab, ["etcd@m1", "etcd"]) == {("etcd", "m1"): "process 7 since 1/2"}
    assert lab.asked == ["holders", "observe", "observe"]
    monkeypatch.setattr(another, "ssl", types.SimpleNamespace(get_server_certificate=lambda place, timeout: str(place)))
    monkeypatch.setattr(another, "key_of", lambda text: text)
    assert another.look(lab, ["keys"]) == {
        ("keys", "the API server of m1"): "('192.0.2.11', 7443)",
        ("keys", "the API server of m2"): "('192.0.2.12', 7443)",
        ("keys", "etcd of m1"): "('192.0.2.11', 2379)",
    }


def certificate(key, serial):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    day = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
    builder = x509.CertificateBuilder(name, name, key.public_key(), serial, day, day + datetime.timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def test_a_new_certificate_of_the_same_key_shows_the_same_key():
    first, second = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    assert another.key_of(certificate(first, 1)) == another.key_of(certificate(first, 2))
    assert another.key_of(certificate(first, 1)) != another.key_of(certificate(second, 1))
