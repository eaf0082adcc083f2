# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A member that lost its disk must stay down: with an empty log it would vote without what it once acknowledged."""

from __future__ import annotations

import access
import pytest

DATA, AWAY = "/var/lib/etcd/member", "/var/lib/etcd.member-kept-by-the-drill"
SETTLED = 60  # seconds until the member is back in sync


@pytest.fixture
def wiped(cluster, etcd):
    """A follower without its data, put back afterwards as it was."""
    if cluster.voters < 3:
        pytest.skip("with fewer than three voters this would stop the cluster")
    status = {host: etcd(host, "maintenance/status") for host in cluster.members}
    host = next(h for h, s in status.items() if s["leader"] != s["header"]["member_id"] and not s.get("isLearner"))
    cluster.ssh(host, f"systemctl stop etcd && mv {DATA} {AWAY}")
    try:
        yield host
    finally:
        cluster.ssh(
            host, f"systemctl stop etcd; rm -rf {DATA} && mv {AWAY} {DATA} && systemctl reset-failed etcd; systemctl start etcd"
        )
        access.wait("the member serves again", lambda: etcd(host, "kv/range", {"key": "AA=="}).get("header"), SETTLED)


def test_a_wiped_member_is_refused_by_its_unit_and_the_cluster_lives_on(cluster, etcd, wiped):
    said = cluster.ssh(
        wiped, "systemctl start etcd 2>&1; systemctl show etcd --property=ActiveState,AssertResult,MainPID; ls /var/lib/etcd"
    )
    assert "AssertResult=no" in said
    assert "MainPID=0" in said
    assert "member" not in said.splitlines()
    other = next(host for host in cluster.members if host != wiped)
    assert etcd(other, "kv/range", {"key": "AA=="})["header"]
    assert cluster.get("/api/v1/namespaces/default")["metadata"]["name"] == "default"
