# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The limits are the kubelet's, and what is said names the share, the limit, what follows and what to do."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _node_disks, _preflight, _topology
from cluster_fixtures import fresh, inventory, settings
from health_fixtures import cluster

IMAGES, OWN = "/var/lib/containerd", "/var/lib/kubelet"


@pytest.mark.parametrize(
    ("free", "short"),
    [
        ({IMAGES: 15.0, OWN: 10.0}, []),
        ({IMAGES: 14.99, OWN: 14.99}, [IMAGES]),
        ({IMAGES: 90.0, OWN: 9.99}, [OWN]),
        ({IMAGES: 3.0, OWN: 3.0}, [IMAGES, OWN]),
        ({IMAGES: 0.0}, [IMAGES]),
        ({IMAGES: None, OWN: None}, []),
        ({}, []),
    ],
)
def test_the_limits_are_the_kubelets(free, short):
    found = list(_node_disks.findings("w1", free))
    assert [(one.host, one.check, one.level) for one in found] == [("w1", "disk-pressure", "warning")] * bool(short)
    assert [path for path in (IMAGES, OWN) for one in found if f"under {path}" in one.found] == short


def test_one_full_disk_is_told_once_with_both_limits():
    (one,) = _node_disks.findings("w1", {IMAGES: 3.26, OWN: 3.26})
    assert one.found == (
        "3.3 % free under /var/lib/containerd and 3.3 % free under /var/lib/kubelet: a kubelet deletes unused images then, and "
        "evicts pods"
    )
    assert one.wanted == "15 % under /var/lib/containerd and 10 % under /var/lib/kubelet"
    assert "enlarge" in one.fix


def checks(view):
    return [one.host for one in _preflight.judge(view) if one.check == "disk-pressure"]


def test_only_kubelets_with_the_usual_limits_are_asked_before():
    listed, observed = inventory(["m1"], ["w1"], etcd=["e1"]), {name: fresh(name) for name in ("m1", "w1", "e1")}
    for seen in observed.values():
        seen["disk_free_percent"] = {IMAGES: 1.0, OWN: 1.0}
    made = settings()
    view = _preflight.View(made, listed, observed, _topology.build(made, listed, observed))
    assert checks(view) == ["m1", "w1"]
    assert checks(dataclasses.replace(view, own_kubelet={"w1": {"evictionHard": {}}})) == ["m1"]


def test_health_leaves_limits_of_the_users_own_alone():
    made = cluster()
    made.observed["w1"]["disk_free_percent"] = {IMAGES: 1.0}
    made.own_eviction = ("w1",)
    assert "disk-pressure" not in {one.check for one in made.judge()[0]}
