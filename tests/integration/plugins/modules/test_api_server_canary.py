# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real API server and its etcd under the canary's eye: well, down, and closed to who has no rights."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.modules import api_server_canary
from lab_etcd import free_ports


@pytest.fixture
def asked(kube_lab, credentials_at_home):
    endpoints = [kube_lab.member.client_url]
    return {**kube_lab.params(), "etcd_endpoints": endpoints, "seconds": 1, "untouched": ["m2"], "way_back": "run again"}


def test_one_that_is_well_passes_in_a_check_and_in_every_run(asked, watched_kube, only_reads):
    checked, *runs = only_reads(api_server_canary, asked)
    assert checked["reason"].startswith("check mode, nothing was upgraded: ready in 1 of 1 looks, 0 of ")
    for told in (checked, *runs):
        assert told["well"] and told["reasons"] == []
        assert (told["figures"]["failed"], told["figures"]["leader_changes"]) == (0, 0)


def test_one_that_is_down_stops_the_run_and_a_check_only_tells(asked, call, monkeypatch):
    monkeypatch.setattr(api_server_canary, "RETRY_SECONDS", 0.0)
    api, etcd = (f"https://127.0.0.1:{port}" for port in free_ports(2))
    asked = {**asked, "server": api, "etcd_endpoints": [etcd]}
    failed = call(api_server_canary, asked)
    assert failed["failed"] and [one["rule"] for one in failed["reasons"]] == ["ready", "up", "leader_changes"]
    for said in (
        f"Kubernetes API at {api}, asked for GET /metrics: connection refused",
        f"{etcd}: connection refused",
        "Untouched: m2. Next: ",
        "Way back: run again",
        f"`kubectl --server {api} get --raw '/readyz?verbose'` says which",
    ):
        assert said in failed["msg"]
    checked = call(api_server_canary, asked, check=True)
    assert not checked["well"] and "failed" not in checked


def test_who_may_not_read_the_metrics_is_told_so(asked, watched_kube, call):
    failed = call(api_server_canary, {**asked, **watched_kube.params(watched_kube.nobody)})
    assert failed["failed"] and [one["rule"] for one in failed["reasons"]] == ["up"]
    assert f"{watched_kube.server}, asked for GET /metrics: HTTP 403 Forbidden" in failed["msg"] and "Next: " in failed["msg"]
