# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person reads at the end of a run."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _summary, _topology, _topology_fact
from cluster_fixtures import address, fresh, inventory, member, settings

NAMES = ("m1", "m2", "m3")


def cluster(**more):
    listed = inventory(NAMES, ["w1"])
    return _topology_fact.as_fact(_topology.build(settings(**more), listed, {name: fresh(name) for name in listed.names}))


def node(name, **changes):
    known = {"name": name, "ready": True, "unschedulable": False, "zone": "", "version": "v1.36.3", "internal_ip": address(name)}
    return {**known, **changes}


def members(*names):
    return [{**member(name), "leader": name == "m1", "healthy": True} for name in names]


def text(fact=None, nodes=(*NAMES, "w1"), etcd=NAMES):
    return _summary.lines(fact or cluster(), [node(name) for name in nodes], members(*etcd), ["m2"], [], "/inv/admin.conf")


def test_a_whole_cluster_is_said_in_a_few_lines():
    said = text()
    assert said[0] == "Cluster    prod: 3 masters, 1 workers"
    assert said[1] == "Endpoint   https://192.0.2.10:6443 (balanced), held by m2"
    assert said[2] == "etcd       stacked, 3 voters (quorum 2), survives the loss of 1"
    assert not [line for line in said if line.startswith("Strays")]
    assert said[-1] == "export KUBECONFIG=/inv/admin.conf"


def test_a_node_and_a_member_that_the_inventory_lacks_are_named():
    said = text(nodes=(*NAMES, "w1", "w2"), etcd=(*NAMES, "e1"))
    assert "Strays     in the cluster, not in the inventory, left alone: node w2, etcd member e1" in said
    assert [line.split()[:2] for line in said if line.startswith("w")] == [["w1", "worker"], ["w2", "-"]]


def test_a_member_that_never_started_is_known_by_its_peer_url():
    unnamed = [{**one, "name": "", "id": "10501334649042878790"} for one in members("m3", "e1")]
    assert _summary.stray_lines(cluster(), [], unnamed)[0].endswith(": etcd member 91bc3c398fb3c146"), "as etcdctl calls it"


def test_a_balancer_of_somebody_elses_is_pointed_at_the_port_the_api_servers_listen_on():
    line = text(cluster(endpoint_mode="external", endpoint_port=443))[1]
    assert line == "Endpoint   https://192.0.2.10:443 (a balancer of yours; point it at port 6443 of: m1, m2, m3)"


def test_a_managed_endpoint_is_named_with_its_port():
    assert text(cluster(endpoint_port=443))[1] == "Endpoint   https://192.0.2.10:443 (balanced), held by m2"


def counted(letters):
    """Return members from `v` (healthy voter), `V` (a voter that is not) and `l` (learner)."""
    return [{"is_learner": one == "l", "healthy": one != "V"} for one in letters]


@pytest.mark.parametrize(
    ("letters", "said"),
    [
        ("vvv", "3 voters (quorum 2), survives the loss of 1"),
        ("vvV", "3 voters (quorum 2), survives the loss of 0"),
        ("vVV", "3 voters (quorum 2), HAS NO QUORUM"),
        ("vl", "1 voters (quorum 1), survives the loss of 0"),
        ("lV", "1 voters (quorum 1), HAS NO QUORUM"),
        ("", "0 voters (quorum 1), HAS NO QUORUM"),
    ],
)
def test_etcds_line_counts_voters_that_serve(letters, said):
    assert _summary.etcd_line(True, counted(letters)) == f"etcd       stacked, {said}"


def test_etcd_on_hosts_of_its_own_is_called_external():
    assert _summary.etcd_line(False, counted("v")).startswith("etcd       external, 1 voters")


def test_after_an_upgrade_the_way_back_is_said():
    fact = cluster()
    assert not [line for line in text(fact) if line.startswith("Way back")]
    fact["way_back"] = {"end": "run again with etcd 3.7.3"}
    assert "Way back   run again with etcd 3.7.3" in text(fact)


def test_who_has_the_address_is_known_of_those_that_were_asked_only():
    held, bare = {"__endpoint": {"held_on": ["eth0"]}}, {"__endpoint": {"held_on": []}}
    hostvars = {"m1": bare, "m2": held, "m3": {}, "m4": {"__endpoint": {"unreachable": True}}, "m5": held}
    assert _summary.endpoint_holders(hostvars, ["m1", "m2", "m3", "m4"]) == ["m2"]
    assert _summary.endpoint_holders(hostvars, ["m5", "m2"]) == ["m5", "m2"]


DONE, FAILED = {"changed": True}, {"failed": True, "msg": "busy"}


@pytest.mark.parametrize(
    ("results", "bare", "other"),
    [
        (dict.fromkeys((*NAMES, "w1"), DONE), "Bare: m1, m2, m3, w1.", ""),
        ({"m1": DONE, "m2": FAILED, "m3": {"unreachable": True}}, "Bare: m1.", "NOT bare, or not known to be: m2, m3, w1;"),
        ({}, "Bare: no host.", "NOT bare, or not known to be: m1, m2, m3, w1;"),
    ],
)
def test_a_host_is_called_bare_only_where_that_was_seen(results, bare, other):
    fact = {**cluster(), "ca_store": "/inv/pki", "kubeconfig": "/inv/admin.conf"}
    hostvars = {name: {"__bare": results[name]} if name in results else {} for name in fact["hosts"]}
    said, not_bare = _summary.left(hostvars, fact).values()
    assert not_bare in said and bool(not_bare) == bool(other)
    assert said.startswith(bare) and (other in said if other else "NOT bare" not in said)
    assert said.endswith("made under this name.") and "/inv/pki and /inv/admin.conf stay" in said
    assert _summary.left(hostvars, fact, checking=True)["said"].startswith(bare.replace("Bare", "Would be bare"))
