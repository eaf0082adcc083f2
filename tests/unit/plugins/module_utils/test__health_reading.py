# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What one host reads, on played members and API servers."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _health_reading, _https
from fake_etcd import FakeEtcd
from fake_kube import FakeKube

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
KEY = "-----BEGIN EC PRIVATE KEY-----\nsecret\n-----END EC PRIVATE KEY-----\n"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-scheduler"


@pytest.fixture
def kube():
    made = FakeKube()
    made.objects["/api/v1/nodes/m1"] = {"metadata": {"name": "m1", "labels": {"a": "b"}}}
    made.objects[LEASE] = {
        "spec": {"holderIdentity": "m1_x", "renewTime": "1970-01-01T00:01:30.500000Z", "leaseDurationSeconds": 15}
    }
    return made


def test_a_ready_api_server_tells_nodes_and_the_age_of_leases(kube):
    found = _health_reading.read_api("https://m1:6443", clock=lambda: 100.0, connect=lambda *_files: kube)
    assert (found["ready"], found["error"]) == (True, "")
    assert [node["name"] for node in found["nodes"]] == ["m1"]
    assert sorted(found["nodes"][0]) == sorted(_health_reading.NODE_FIELDS)
    assert found["leases"] == {
        "kube-controller-manager": None,
        "kube-scheduler": {"holder": "m1_x", "age_seconds": 9.5, "duration_seconds": 15},
    }


def test_an_api_server_that_does_not_answer_is_asked_once(kube):
    kube.down = 99
    found = _health_reading.read_api("https://m1:6443", connect=lambda *_files: kube)
    assert (found["ready"], found["nodes"]) == (False, None)
    assert "connection refused" in found["error"]
    assert len(kube.asked) == 1


def test_the_endpoint_is_asked_without_a_client_certificate(kube):
    files = []

    def connect(*given):
        files.append(given)
        return kube

    assert _health_reading.read_endpoint("https://192.0.2.10:6443", connect)["ready"] is True
    assert files == [("/etc/kubernetes/pki/ca.crt",)]


@pytest.mark.parametrize("reader", [_health_reading.read_endpoint, _health_reading.read_api, _health_reading.read_etcd])
def test_missing_credentials_are_a_reason_and_no_failure(reader):
    def connect(*_files):
        raise _https.CredentialsError("cannot read /etc/x.crt")

    assert reader(["https://a"] if reader is _health_reading.read_etcd else "https://a", connect=connect)["error"] == (
        "cannot read /etc/x.crt"
    )


def test_etcd_is_read_through_every_member():
    fake = FakeEtcd("a", "b", "c")
    fake.running.discard("c")
    found = _health_reading.read_etcd(["https://a:2379"], connect=lambda *_files: fake)
    assert found["error"] == ""
    assert {one["name"]: one["healthy"] for one in found["members"]} == {"a": True, "b": True, "c": False}


def test_a_certificate_is_returned_without_the_key_in_its_file(tmp_path):
    both, none = tmp_path / "both.pem", tmp_path / "none.pem"
    both.write_text(KEY + PEM + "\n" + PEM)
    none.write_text(KEY)
    assert _health_reading.read_certificates([str(both), str(none), str(tmp_path / "absent")]) == {
        str(both): PEM,
        str(none): None,
        str(tmp_path / "absent"): None,
    }


@pytest.mark.parametrize(
    "stamp,age",
    [("1970-01-01T00:00:40Z", 60.0), ("1970-01-01T00:00:40.250000Z", 59.8), ("", None), (None, None), ("yesterday", None)],
)
def test_the_age_of_a_kubernetes_time(stamp, age):
    assert _health_reading.age_seconds(stamp, 100.0) == age


def test_only_what_was_asked_for_is_read(monkeypatch):
    monkeypatch.setattr(_health_reading, "read_endpoint", lambda server: {"asked": server})
    found = _health_reading.read(endpoint="https://192.0.2.10:6443", endpoint_address="192.0.2.10")
    assert found == {
        "etcd": None,
        "api": None,
        "endpoint": {"asked": "https://192.0.2.10:6443"},
        "balancer": None,
        "certificates": None,
    }
