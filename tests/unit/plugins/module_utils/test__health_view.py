# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several readers together prove, and the questions that several checks ask."""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _health
from health_fixtures import cluster, told


def test_one_reader_that_sees_a_member_serve_is_enough():
    made = cluster()
    for reader in ("m1", "m3"):
        made.stop_etcd("m2", reader)
    findings, verdict = made.judge()
    assert verdict.status == _health.HEALTHY
    assert told(findings, "etcd-view")[0].found == "etcd member m2 serves, but m1, m3 did not see it"
