# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host knows of its etcd, its API server and its certificates, read from real ones, without keepalived and HAProxy."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _kube
from ansible_collections.multimaster.kubernetes.plugins.modules import health_info


@pytest.fixture
def asked(kube_lab, credentials_at_home):
    server, (cert, _key) = kube_lab.server, kube_lab.serving
    etcd = [kube_lab.member.client_url]
    return {"etcd_endpoints": etcd, "api_server": server, "endpoint": server, "certificates": [cert, cert + ".gone"]}


def test_everything_is_told_alike_in_a_check_and_in_every_run(asked, watched_kube, only_reads):
    for told in only_reads(health_info, asked):
        assert (told["etcd"]["error"], told["etcd"]["errors"], told["etcd"]["confirmed"]) == ("", [], True)
        assert (told["api"]["ready"], told["api"]["error"]) == (True, "") and told["api"]["nodes"] is not None
        assert told["endpoint"] == {"ready": True, "failed": [], "error": ""}
        assert told["balancer"] is None
        first, gone = asked["certificates"]
        assert told["certificates"] == {first: Path(first).read_text().strip(), gone: None}


def test_what_is_away_is_told_part_by_part_with_where_and_why(asked, kube_without_etcd, call, monkeypatch):
    told = call(health_info, asked)
    url = kube_without_etcd.member.client_url
    assert told["etcd"]["errors"] == [
        f"{url}: etcd at {url}, asked for /v3/maintenance/status: connection refused (nothing listens there)"
    ]
    for part in ("api", "endpoint"):
        assert not told[part]["ready"] and any(check.startswith("etcd") for check in told[part]["failed"])
    assert told["api"]["nodes"] is None
    monkeypatch.setitem(_kube.ARGUMENTS["ca"], "default", kube_without_etcd.etcd.peer_ca.cert)
    told = call(health_info, asked)
    for part in ("api", "endpoint"):
        assert told[part]["error"].startswith(f"Kubernetes API at {kube_without_etcd.server}, asked for GET /readyz")
        assert "its certificate was not accepted: " in told[part]["error"]
