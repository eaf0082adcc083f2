# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of etcd: what each says, and where it says nothing."""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _health
from health_fixtures import cluster, told


def test_a_downgrade_that_is_left_says_to_what_and_from_what():
    made = cluster()
    for _reader, one in made.members():
        one.update(version="3.6.16" if one["name"] == "m1" else "3.7.3", downgrade="3.6.0" if one["name"] != "m1" else "")
    (found,) = told(made.judge()[0], "etcd-downgrade")
    assert "etcd to 3.6.0 is enabled, and its members run 3.6.16 and 3.7.3" in found.found
    assert "upgrade.yml" in found.fix and "downgrade cancel" in found.fix


def test_a_standby_learner_is_no_finding_and_a_dead_one_is():
    made = cluster(masters=("m1", "m2"), learners=("m2",))
    assert told(made.judge()[0], "etcd-learner") == []
    made.stop_etcd("m2")
    assert made.judge()[1].status == _health.DEGRADED
