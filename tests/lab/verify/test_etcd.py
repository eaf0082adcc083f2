# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""etcd: the members there should be, each proven by a linearizable read, and nothing readable in its store."""

from __future__ import annotations

import base64


def test_members_are_those_of_the_inventory_and_voters_are_odd(cluster, member_list):
    assert sorted(m.get("name", "") for m in member_list) == cluster.members
    assert sum(not m.get("isLearner") for m in member_list) == cluster.voters


def test_every_voter_serves_a_linearizable_read_and_knows_one_leader(cluster, etcd, member_list):
    learners = {m["name"] for m in member_list if m.get("isLearner")}
    voters = [host for host in cluster.members if host not in learners]
    key = {"key": base64.b64encode(b"/registry/health").decode(), "limit": "1"}
    answers = cluster.each(voters, lambda host: (etcd(host, "kv/range", key), etcd(host, "maintenance/status")))
    assert {host: "header" in read for host, (read, _status) in answers.items()} == dict.fromkeys(voters, True)
    assert len({status["leader"] for _read, status in answers.values()}) == 1
    assert len({status["header"]["cluster_id"] for _read, status in answers.values()}) == 1


def test_no_alarm_is_raised(etcd, voter):
    assert not etcd(voter, "maintenance/alarm", {"action": "GET"}).get("alarms")


def test_no_bootstrap_record_and_no_first_start_drop_in_are_left(cluster):
    command = "ls /etc/etcd/bootstrap.json /run/systemd/system/etcd.service.d/10-first-start.conf 2>/dev/null || true"
    assert cluster.each(cluster.members, lambda host: cluster.ssh(host, command).strip()) == dict.fromkeys(cluster.members, "")


def test_secrets_lie_encrypted_in_etcd_and_config_maps_are_the_control(etcd, voter, work):
    def stored(kind: str) -> bytes:
        key = base64.b64encode(f"/registry/{kind}/{work.namespace}/given".encode()).decode()
        return base64.b64decode(etcd(voter, "kv/range", {"key": key})["kvs"][0]["value"])

    secret, control = stored("secrets"), stored("configmaps")
    assert secret.startswith(b"k8s:enc:secretbox:v1:")
    assert b"the secret's content" not in secret
    assert b"the config map's content" in control
