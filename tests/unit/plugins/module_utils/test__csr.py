# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test which requests of kubelets are approved."""

from __future__ import annotations

import base64
import ipaddress

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _csr, _pkcs10, _pki_plan
from csr_fixtures import pem
from hypothesis import given
from hypothesis import strategies as st

W1 = _csr.Node("w1", frozenset({"w1", "w1.example.org"}), frozenset({"192.0.2.21", "2001:db8::21"}))
W2 = _csr.Node("w2", frozenset({"w2"}), frozenset({"192.0.2.22"}))
CLUSTER = {
    "endpoint": {"address": "192.0.2.10"},
    "network": {"cluster_domain": "cluster.local", "api_service_address": "10.96.0.1"},
}
RESERVED = frozenset(_pki_plan.api_names(CLUSTER))
USAGES = ("digital signature", "server auth")


def request(**changes):
    asked = {
        "name": "csr-x",
        "signer": _csr.SIGNER,
        "username": "system:node:w1",
        "groups": ("system:nodes", "system:authenticated"),
        "usages": USAGES,
        "pem": b"",
    }
    return _csr.Request(**{**asked, **changes})


def contents(**changes):
    asked = {
        "common_name": "system:node:w1",
        "organizations": ("system:nodes",),
        "dns_names": ("w1",),
        "addresses": ("192.0.2.21",),
    }
    return _pkcs10.Contents(**{**asked, **changes})


def judge(asked=None, found=None, node=W1, others=(W2,), reserved=RESERVED):
    return _csr.judge(asked or request(), found or contents(), node, others, reserved)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        pytest.param(request(), contents(), id="plain"),
        pytest.param(request(usages=("server auth",)), contents(), id="ecdsa-usages"),
        pytest.param(request(usages=(*USAGES, "key encipherment")), contents(), id="rsa-usages"),
        pytest.param(request(), contents(dns_names=()), id="address-only"),
        pytest.param(request(), contents(addresses=(), dns_names=("w1.example.org",)), id="name-only"),
        pytest.param(request(), contents(addresses=("192.0.2.21", "2001:db8::21")), id="both-families"),
    ],
)
def test_approved(asked, found):
    verdict = judge(asked, found)
    assert verdict.approve, verdict.reasons
    assert verdict.reasons == ("node w1 asks for its own names and addresses",)


@pytest.mark.parametrize(
    ("asked", "found", "said"),
    [
        pytest.param(request(signer="kubernetes.io/kube-apiserver-client"), None, "its signer is", id="other-signer"),
        pytest.param(request(username="system:serviceaccount:a:b"), None, "is no node", id="not-a-node"),
        pytest.param(request(username="system:node:"), None, "is no node", id="empty-node"),
        pytest.param(request(groups=("system:authenticated",)), None, "not in the group", id="not-in-group"),
        pytest.param(request(usages=(*USAGES, "client auth")), None, "usages client auth", id="client-auth"),
        pytest.param(request(usages=(*USAGES, "any")), None, "usages any", id="any-usage"),
        pytest.param(request(usages=("digital signature",)), None, "does not ask for server auth", id="no-server-auth"),
        pytest.param(request(usages=()), None, "does not ask for server auth", id="no-usage"),
        pytest.param(None, contents(common_name="system:node:w2"), "common name", id="other-cn"),
        pytest.param(None, contents(common_name="system:node:W1"), "common name", id="cn-in-other-case"),
        pytest.param(None, contents(organizations=()), "organizations are none", id="no-o"),
        pytest.param(None, contents(organizations=("system:nodes", "system:masters")), "system:masters", id="extra-o"),
        pytest.param(None, contents(organizations=("system:masters",)), "system:masters", id="other-o"),
        pytest.param(None, contents(dns_names=(), addresses=()), "no DNS name and no address", id="no-san"),
        pytest.param(None, contents(dns_names=("w1", "evil.example.org")), "evil.example.org is not", id="extra-name"),
        pytest.param(None, contents(dns_names=("*.example.org",)), "no plain lower-case", id="wildcard"),
        pytest.param(None, contents(dns_names=("w1\n",)), "no plain lower-case", id="newline"),
        pytest.param(None, contents(dns_names=("",)), "no plain lower-case", id="empty-name"),
        pytest.param(None, contents(dns_names=("W1",)), "no plain lower-case", id="upper-case"),
        pytest.param(None, contents(addresses=("192.0.2.22",)), "192.0.2.22 is not one", id="foreign-address"),
        pytest.param(None, contents(addresses=("::ffff:192.0.2.21",)), "is not one of node w1", id="mapped-address"),
        pytest.param(None, "it is no request", "it is no request", id="unreadable"),
    ],
)
def test_left_alone(asked, found, said):
    verdict = judge(asked, found)
    assert not verdict.approve
    assert said in "; ".join(verdict.reasons)


def test_the_node_must_exist_and_be_the_requester():
    assert "there is no node 'w1'" in judge(node=None).reasons
    assert "node 'w2' is not the requester" in judge(node=W2).reasons


def test_a_node_that_claims_what_is_anothers_or_the_clusters():
    liar = _csr.Node("w1", W1.dns_names | {"w2", "kubernetes.default.svc"}, W1.addresses | {"192.0.2.22", "192.0.2.10"})
    for found, said in (
        (contents(addresses=("192.0.2.22",)), "192.0.2.22 is claimed by node w2 too"),
        (contents(dns_names=("w2",)), "w2 is claimed by node w2 too"),
        (contents(addresses=("192.0.2.10",)), "192.0.2.10 belongs to the cluster"),
        (contents(dns_names=("kubernetes.default.svc",)), "belongs to the cluster"),
    ):
        verdict = judge(found=found, node=liar)
        assert not verdict.approve
        assert said in "; ".join(verdict.reasons)


def test_a_node_gets_nothing_that_the_certificate_of_the_api_is_for():
    """Whoever has such a certificate is the API for every client that trusts the cluster's CA."""
    master = {"node_name": "m1", "address": "192.0.2.11", "master": True}
    shared = {*_pki_plan.names(master, CLUSTER)["/etc/kubernetes/pki/apiserver.crt"]} - {"m1", "192.0.2.11"}
    assert len(shared) == 8
    for asked in shared:
        liar = _csr.node_from_object({"metadata": {"name": "w1"}, "status": {"addresses": [{"address": asked}]}})
        asks = {"dns_names": (), "addresses": (), "addresses" if liar.addresses else "dns_names": (asked,)}
        assert judge(found=contents(**asks), node=liar).reasons == (f"{asked} belongs to the cluster, not to a node",)


@pytest.mark.parametrize(
    "spelling",
    ["Kubernetes.Default.svc", "kubernetes.default.svc.", "*.default.svc", "kubernetes.default.svc\0.example.org", "192.0.2.10"],
)
def test_another_spelling_of_a_reserved_name_is_as_good_as_none(spelling):
    liar = _csr.Node("w1", frozenset({spelling, spelling.lower()}))
    assert not judge(found=contents(dns_names=(spelling,), addresses=()), node=liar).approve


@pytest.mark.parametrize("spelling", ["::ffff:192.0.2.10", "::ffff:c000:20a", "::FFFF:192.0.2.22"])
def test_an_ipv4_address_in_ipv6_form_is_refused(spelling):
    address = str(ipaddress.ip_address(spelling))
    liar = _csr.node_from_object({"metadata": {"name": "w1"}, "status": {"addresses": [{"address": spelling}]}})
    assert address in liar.addresses
    verdict = judge(found=contents(dns_names=(), addresses=(address,)), node=liar)
    assert verdict.reasons == (f"the address {address} is an IPv4 address in IPv6 form",)


def test_the_name_of_a_node_that_has_no_address_yet_is_its_own():
    liar = _csr.Node("w1", W1.dns_names | {"w3"})
    verdict = judge(found=contents(dns_names=("w3",), addresses=()), node=liar, others=(_csr.Node("w3"),))
    assert verdict.reasons == ("w3 is claimed by node w3 too",)


def test_all_reasons_are_given():
    verdict = judge(request(usages=("client auth",), groups=()), contents(organizations=(), addresses=("192.0.2.99",)))
    assert len(verdict.reasons) == 5


SUBSETS = st.frozensets(st.sampled_from(["w1", "w1.example.org", "w2", "kubernetes.default.svc", "x"]))
ADDRESSES = st.frozensets(st.sampled_from(["192.0.2.21", "2001:db8::21", "192.0.2.22", "192.0.2.10", "192.0.2.99"]))


@given(SUBSETS, ADDRESSES, st.frozensets(st.sampled_from([*_csr.USAGES, "client auth", "code signing"])))
def test_approved_exactly_when_everything_is_the_nodes_own(names, addresses, usages):
    verdict = judge(
        request(usages=tuple(sorted(usages))),
        contents(dns_names=tuple(sorted(names)), addresses=tuple(sorted(addresses))),
    )
    own = names <= W1.dns_names and addresses <= W1.addresses and bool(names | addresses)
    assert verdict.approve == (own and usages <= _csr.USAGES and "server auth" in usages)


def test_objects_are_read():
    item = {
        "metadata": {"name": "csr-x"},
        "spec": {
            "signerName": _csr.SIGNER,
            "username": "system:node:w1",
            "groups": ["system:nodes"],
            "usages": ["server auth"],
            "request": base64.b64encode(pem()).decode(),
        },
        "status": {"conditions": [{"type": "Denied"}]},
    }
    asked = _csr.request_from_object(item)
    assert asked.decided and asked.node == "w1" and _pkcs10.parse(asked.pem).dns_names == ("w1",)
    assert not _csr.request_from_object({"spec": {"request": "?"}}).decided
    assert _csr.request_from_object({"spec": {"request": "?"}}).pem == b""


def test_nodes_are_read():
    item = {
        "metadata": {"name": "w1"},
        "status": {
            "addresses": [
                {"type": "InternalIP", "address": "2001:DB8:0::21"},
                {"type": "Hostname", "address": "W1"},
                {"type": "InternalIP", "address": "192.0.2.21"},
                {"type": "InternalDNS", "address": ""},
            ]
        },
    }
    assert _csr.node_from_object(item) == _csr.Node("w1", frozenset({"w1"}), frozenset({"2001:db8::21", "192.0.2.21"}))
    assert _csr.node_from_object({}) == _csr.Node("")
