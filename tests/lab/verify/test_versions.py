# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every program runs in the version that the inventory of the last run names, as each of them tells it."""

from __future__ import annotations

import access
import pytest
import sampler
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _settings, _skew

ANSWERS = 30  # seconds until everybody has answered


def wanted(cluster, setting: str, host: str) -> _skew.Version:
    default = next(one.default for one in _settings.SETTINGS if one.name == setting)
    return _skew.parse(cluster.variable(f"multimaster_{setting}", host, default))


def test_every_program_runs_in_the_version_of_the_inventory(cluster):
    if not cluster.finished:
        pytest.skip("the last run stopped, so some programs run what they ran before")
    seen = access.wait("all hosts answer", lambda: [one for one in [sampler.look(cluster)] if not one.silent], ANSWERS)[0]
    places = {
        "apiserver": cluster.masters,
        "controller_manager": cluster.masters,
        "scheduler": cluster.masters,
        "kubelet": cluster.nodes,
        "kube_proxy": cluster.nodes,
        "etcd": cluster.members,
    }
    for component, hosts in places.items():
        setting = "etcd_version" if component == "etcd" else "kubernetes_version"
        running = {host: _skew.parse(version) for host, version in getattr(seen.versions, component).items()}
        assert running == {host: wanted(cluster, setting, host) for host in hosts}, component
