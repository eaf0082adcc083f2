# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of one API server, on a played one."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _kube, _kube_objects, _kube_reading
from fake_kube import FakeKube

NODES, LEASES = "/api/v1/nodes/", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/"


@pytest.fixture
def fake():
    return FakeKube()


@pytest.fixture
def kube(fake):
    return _kube.Kube("https://m1:6443", fake)


def test_a_cluster_without_nodes_has_none(kube):
    assert _kube_reading.nodes(kube) == []


def test_nodes_come_by_name_however_many_pages_they_take(fake, kube):
    names = [f"n{number:04}" for number in range(1201)]
    objects = {name: {"metadata": {"name": name}, "spec": {"unschedulable": True}} for name in names}
    for name in reversed(names):
        fake.objects[NODES + name] = objects[name]
    # the path sorts before, the name behind
    fake.objects[NODES + "a"] = {"metadata": {"name": "z"}}
    found = _kube_reading.nodes(kube)
    assert [node["name"] for node in found] == [*names, "z"]
    assert found[0] == _kube_objects.node_summary(objects["n0000"])
    assert len(fake.asked) > 1


@pytest.mark.parametrize(
    ("lease", "summary"),
    [
        (
            {"holderIdentity": "m1_x", "renewTime": "t", "leaseDurationSeconds": 15, "leaseTransitions": 2},
            {"holder": "m1_x", "renewed": "t", "duration_seconds": 15, "transitions": 2},
        ),
        ({}, {"holder": "", "renewed": "", "duration_seconds": 0, "transitions": 0}),
        (None, None),
    ],
    ids=["led", "never led", "never made"],
)
@pytest.mark.parametrize("name", _kube_reading.LEADERS)
def test_each_lease_is_read_by_its_own_name(fake, kube, name, lease, summary):
    fake.objects[LEASES + "multimaster-operation"] = {"spec": {"holderIdentity": "not of interest"}}
    if lease is not None:
        fake.objects[LEASES + name] = {"spec": lease}
    assert _kube_reading.leases(kube) == {**dict.fromkeys(_kube_reading.LEADERS), name: summary}


@pytest.mark.parametrize(
    ("status", "text", "told"),
    [
        (200, "[+]ping ok\n[+]etcd ok\nreadyz check passed\n", {"ready": True, "failed": []}),
        (
            500,
            "[+]ping ok\n[-]etcd failed: reason withheld\n[-]a/b failed: reason withheld\nreadyz check failed\n",
            {"ready": False, "failed": ["a/b", "etcd"]},
        ),
        (200, "ok", {"ready": True, "failed": []}),
    ],
    ids=["ready", "two of its checks failed", "no check is told"],
)
def test_an_api_servers_own_checks(fake, kube, status, text, told):
    fake.readyz = (status, text)
    assert _kube_reading.readyz(kube) == told


@pytest.mark.parametrize("read", [_kube_reading.nodes, _kube_reading.leases, _kube_reading.readyz])
def test_what_cannot_be_asked_is_no_empty_answer(fake, kube, read):
    fake.down = 9
    with pytest.raises(_kube.KubeUnreachable, match="connection refused"):
        read(kube)


def test_a_right_that_is_missing_is_no_empty_answer(fake, kube):
    for read in (_kube_reading.nodes, _kube_reading.leases):
        fake.refusals = [(403, "Forbidden", "cannot list")]
        with pytest.raises(_kube.KubeRefused, match="HTTP 403"):
            read(kube)
