# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small questions to a cluster that is upgraded: what changes, what is spared, what etcd's version is."""

from __future__ import annotations

import dataclasses

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _upgrade
from upgrade_fixtures import NEW, OLD, all_but_m1, changed, codes, planned, running, stacked, wanted, workers


def test_a_percentage_is_of_all_workers_at_least_one_and_masters_do_not_count():
    def batches(hosts, batch):
        plan = planned(hosts, batch=batch)
        return [len(step.hosts) for step in plan.steps if step.kind == "node" and step.hosts[0].startswith("w")]

    same_zone = changed(changed(workers(3), "w2", zone="a"), "w3", zone="a")
    both = tuple(dataclasses.replace(host, worker=True) for host in stacked(3))
    assert batches(same_zone, "70%") == [2, 1]
    assert batches((*both, *same_zone), "70%") == [2, 1]
    assert batches(same_zone, "1%") == [1, 1, 1]
    assert batches(same_zone, "9") == [3]


def test_while_a_member_is_down_the_cluster_version_etcd_tells_counts_more_than_the_members():
    assert [step.kind for step in all_but_m1("3.6.0").steps] == ["fetch", "snapshot", "master", "master", "master"]
    assert codes(all_but_m1("3.7.0")) == ["downgrade-down"]


def test_what_etcd_is_about_to_raise_its_cluster_version_to_counts_when_every_member_runs():
    hosts = stacked(3)
    plan = _upgrade.plan(running(hosts, OLD[0], NEW[1]), hosts, wanted(OLD), _upgrade.Etcd("3.6.0"))
    assert [step.kind for step in plan.steps][:3] == ["fetch", "snapshot", "downgrade"]
