# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who a host is that cannot be asked, by what the others have on record of it."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _identity
from cluster_fixtures import address, fresh, host, living, member

A, B, C = ("192.0.2.11", "192.0.2.12", "192.0.2.13")


@pytest.mark.parametrize(
    ("name", "known", "settled", "recorded", "wanted"),
    [
        pytest.param("m3", C, False, {("m3", C)}, ("m3", C), id="all agree"),
        pytest.param("M3", C, False, set(), ("m3", C), id="on nobody's record"),
        pytest.param("rack7", C, False, {("m3", C)}, ("m3", C), id="the inventory name is not the hostname"),
        pytest.param("m3", "", False, {("m3", C)}, ("m3", C), id="reached by a DNS name"),
        pytest.param("m3", "203.0.113.5", False, {("m3", C)}, ("m3", C), id="reached behind address translation"),
        pytest.param("m3", "203.0.113.5", True, {("m3", C)}, ("m3", "203.0.113.5"), id="an address that is set stays"),
        pytest.param("m3", B, False, {("m3", C), ("m2", B)}, ("m2", B), id="of two the one with the address"),
        pytest.param("rack7", "", False, {("m3", C)}, ("rack7", ""), id="neither is known"),
        pytest.param("m3", "", False, {("m3", C), ("m3", B)}, ("m3", ""), id="the others do not agree on the address"),
        pytest.param("rack7", C, False, {("m3", C), ("m2", C)}, ("rack7", C), id="the others do not agree on the name"),
    ],
)
def test_a_host_that_cannot_be_asked_is_whom_the_others_know(name, known, settled, recorded, wanted):
    assert _identity.of_unseen(name, known, settled, frozenset(recorded)) == wanted


def test_etcd_and_the_balancers_tell_of_hosts_that_were_not_observed():
    members = [member("m1"), member("e2"), {**member("m3"), "name": "node-3"}, member("m4", learner=True, started=False)]
    files = {"source": A, "peers": [], "servers": {"m1": A, "m2": B}}
    observed = {"m1": living("m1", members, endpoint_files=files), "w1": fresh("w1"), "m3": None}
    assert _identity.records(observed) == {("node-3", C), ("e2", address("e2")), ("m2", B)}


def test_whom_somebody_else_is_by_name_or_by_address_is_not_on_record():
    """An inventory may call a dead host by the hostname of a living one."""
    files = {"source": A, "peers": [], "servers": {"m2": C, "m3": A}}
    assert _identity.records({"m3": living("m2", [], endpoint_files=files), "m1": fresh("m1")}) == frozenset()


def test_the_member_that_is_ahead_is_believed():
    behind, ahead = living("m1", [member("m1"), member("m3")]), living("m2", [member("m1"), member("m2"), member("e2")])
    behind["etcd"]["status"].update(healthy=False, raft_index=7)
    assert _identity.records({"m1": behind, "m2": ahead}) == {("e2", address("e2"))}


def test_a_host_is_known_by_the_address_it_has_and_had_and_by_its_name_in_balancers():
    one = host("m2", node_name="m2", address=B)
    files = {"m1": {"source": A, "peers": [C], "servers": {"m2": "192.0.2.98", "m1": A}}, "m2": {"source": "192.0.2.99"}}
    observed = {name: fresh(name, endpoint_files=found) for name, found in files.items()}
    assert _identity.addresses_of(one, observed) == {B, "192.0.2.98", "192.0.2.99"}
    assert _identity.addresses_of(one, {}) == {B}
    assert _identity.vrrp_peers(observed) == {C: ["m1"]}
    assert (_identity.server_at("192.0.2.98", observed), _identity.server_at(C, observed)) == ("m2", "")
