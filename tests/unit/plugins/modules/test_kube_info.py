# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the module from its arguments to its result, on a played API."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _kube
from ansible_collections.multimaster.kubernetes.plugins.modules import kube_info
from fake_kube import FakeKube


@pytest.fixture
def fake(monkeypatch):
    made = FakeKube()
    monkeypatch.setattr(_kube, "https_opener", lambda *_args: made)
    return made


def test_all_of_it(fake, call):
    for name in ("n2", "n1"):
        fake.objects["/api/v1/nodes/" + name] = {"metadata": {"name": name}}
    lease = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-scheduler"
    fake.objects[lease] = {"spec": {"holderIdentity": "m1_x"}}
    result = call(kube_info, {})
    assert not result["changed"]
    assert [node["name"] for node in result["nodes"]] == ["n1", "n2"]
    assert result["leases"]["kube-scheduler"]["holder"] == "m1_x"
    assert result["leases"]["kube-controller-manager"] is None
    assert result["readyz"] == {"ready": True, "failed": []}
    assert result["authorized"] is True
    assert result["error"] == ""


def test_only_what_was_asked_for(fake, call):
    result = call(kube_info, {"gather": ["readyz"]})
    assert [path for _m, path, _q, _t in fake.asked] == ["/readyz"]
    assert "nodes" not in result


def test_what_cannot_be_read_fails_or_is_null(fake, call):
    fake.down = 99
    failed = call(kube_info, {"gather": ["nodes", "readyz"]})
    assert failed["failed"]
    assert failed["msg"].startswith("not all of nodes, readyz can be read: ") and "connection refused" in failed["msg"]
    assert ". Next: `journalctl -u kube-apiserver -n 50` on the master that is asked" in failed["msg"]
    for arguments, check in (({"required": False}, False), ({}, True)):
        result = call(kube_info, {"gather": ["nodes", "readyz"], **arguments}, check=check)
        assert result["nodes"] is None
        assert result["readyz"] is None
        assert "connection refused" in result["error"]
