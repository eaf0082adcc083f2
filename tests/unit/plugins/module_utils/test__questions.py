# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _host, _questions
from cluster_fixtures import ENDPOINT, address
from health_fixtures import cluster

SERVING = "/var/lib/kubelet/pki/kubelet-server-current.pem"
EXTERNAL = {"masters": ("m1",), "etcd": ("e1", "e2", "e3")}


def asked(name, mode=None, **made):
    fact = cluster(**made).fact
    fact["endpoint"]["mode"] = mode or fact["endpoint"]["mode"]
    return _questions.health(fact["hosts"][name], fact)


@pytest.mark.parametrize(
    ("name", "made", "parts"),
    [
        ("m1", {}, "api_server certificates endpoint endpoint_address etcd_endpoints interface"),
        ("w1", {}, "certificates endpoint interface"),
        ("m1", EXTERNAL, "api_server certificates endpoint endpoint_address etcd_endpoints interface"),
        ("e1", EXTERNAL, "certificates etcd_endpoints interface"),
        # a balancer of somebody else's: no host may have its address
        ("m1", {"mode": "external"}, "api_server certificates endpoint endpoint_address etcd_endpoints"),
        ("w1", {"mode": "external"}, "certificates endpoint"),
        ("m1", {"mode": "direct"}, "api_server certificates endpoint endpoint_address etcd_endpoints interface"),
    ],
)
def test_a_host_is_asked_for_its_part(name, made, parts):
    assert " ".join(sorted(part for part, value in asked(name, **made).items() if value)) == parts


def test_what_is_asked_stands_in_the_topology():
    found = asked("m1")
    assert found["etcd_endpoints"] == [f"https://{address(name)}:2379" for name in ("m1", "m2", "m3")]
    assert found["api_server"] == cluster().fact["hosts"]["m1"]["api_server"]
    assert (found["endpoint"], found["endpoint_address"]) == (f"https://{ENDPOINT}:6443", ENDPOINT)
    assert found["interface"] == "eth0"


def test_a_master_has_its_own_certificates_the_authorities_and_the_kubelets():
    found = asked("m1")["certificates"]
    assert found == sorted(found)
    for path in ("/etc/kubernetes/pki/apiserver.crt", "/etc/kubernetes/pki/ca.crt", "/etc/etcd/pki/peer.crt", SERVING):
        assert path in found
    assert not [path for path in found if path.endswith(".key")]


def test_a_worker_has_the_authority_and_the_kubelets():
    assert asked("w1")["certificates"] == [
        "/etc/kubernetes/pki/ca.crt",
        "/var/lib/kubelet/pki/kubelet-client-current.pem",
        SERVING,
    ]


def test_a_member_beside_the_masters_has_no_kubelet():
    assert SERVING not in asked("e1", **EXTERNAL)["certificates"]


STACKED = {"kube_control_plane": ["m1"], "kube_node": ["w1"]}
OWN = {**STACKED, "etcd": ["e1"]}


@pytest.mark.parametrize(
    ("groups", "name", "briefly", "thoroughly"),
    [
        (STACKED, "m1", ("bare", False), ("always", True)),
        (STACKED, "w1", ("never", False), ("never", False)),
        (OWN, "m1", ("bare", False), ("always", False)),
        (OWN, "e1", ("never", False), ("never", True)),
        # a group that is listed and empty is none
        ({**STACKED, "etcd": []}, "m1", ("bare", False), ("always", True)),
        ({}, "x", ("never", False), ("never", False)),
    ],
)
def test_only_whom_it_is_about_is_asked_what_takes_time_or_is_heard_by_others(groups, name, briefly, thoroughly):
    for how, wanted in ((False, briefly), (True, thoroughly)):
        assert tuple(_questions.preflight(groups, name, how).values()) == wanted
    assert list(_questions.preflight(groups, name, False)) == ["probe_arp", "disk_latency"]
    assert {_questions.ALWAYS, _questions.WHERE_BARE, _questions.NEVER} == set(_host.PROBES)
