# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the Kubernetes client: what is sent, what is retried, and what is said when it fails."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _kube
from ansible_collections.multimaster.kubernetes.plugins.module_utils._https import Answer
from fake_kube import FakeKube

CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}, "data": {"k": "v"}}
PATH = "/api/v1/namespaces/n/configmaps/c"


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def client(fake, retry_seconds=0.0):
    clock = Clock()
    kube = _kube.Kube("https://m1:6443/", fake, retry_seconds, clock=clock, sleep=clock.sleep)
    return kube, clock


def test_apply_is_server_side_forced_and_under_our_name():
    fake = FakeKube()
    client(fake)[0].apply(CONFIG, dry_run=True)
    assert fake.asked == [
        ("PATCH", PATH, {"fieldManager": "multimaster", "force": "true", "dryRun": "All"}, "application/apply-patch+yaml")
    ]


def test_created_changed_unchanged_and_deleted():
    fake = FakeKube()
    kube, _clock = client(fake)
    assert _kube.ensure_present(kube, CONFIG, check=True).result == "created"
    assert fake.objects == {}
    assert _kube.ensure_present(kube, CONFIG).result == "created"
    assert _kube.ensure_present(kube, CONFIG).result == "unchanged"
    assert _kube.ensure_present(kube, CONFIG, check=True).result == "unchanged"
    other = {**CONFIG, "data": {"k": "w"}}
    assert _kube.ensure_present(kube, other, check=True).result == "changed"
    assert fake.objects[PATH]["data"] == {"k": "v"}
    assert _kube.ensure_present(kube, other).result == "changed"
    assert _kube.ensure_absent(kube, other, check=True).result == "deleted"
    assert _kube.ensure_absent(kube, other).result == "deleted"
    assert _kube.ensure_absent(kube, other).result == "absent"


@pytest.mark.parametrize("refusal", [(404, "NotFound", 'namespaces "n" not found')])
def test_a_check_inside_a_namespace_that_is_only_going_to_be_made(refusal):
    fake = FakeKube()
    kube, _clock = client(fake)
    fake.refusals = [(404, "NotFound", "c not found"), refusal]
    assert _kube.ensure_present(kube, CONFIG, check=True).result == "created"
    fake.refusals = [(404, "NotFound", "c not found"), refusal]
    with pytest.raises(_kube.KubeRefused, match='namespaces "n" not found'):
        _kube.ensure_present(kube, CONFIG)


def test_a_check_before_there_is_an_api_server():
    fake = FakeKube()
    kube, _clock = client(fake)
    fake.down = 99
    assert _kube.ensure_present(kube, CONFIG, check=True).result == "created"
    assert _kube.ensure_absent(kube, CONFIG, check=True).result == "absent"
    with pytest.raises(_kube.KubeUnreachable):
        _kube.ensure_present(kube, CONFIG)
    with pytest.raises(_kube.KubeUnreachable):
        _kube.ensure_absent(kube, CONFIG)


FORBIDDEN = (403, "Forbidden", 'configmaps "c" is forbidden: User "operator" cannot get')


@pytest.mark.parametrize(
    ("refusal", "options", "foreseen"),
    [
        (FORBIDDEN, {}, True),
        ((401, "Unauthorized", "Unauthorized"), {}, True),
        ((403, "Forbidden", "exceeded quota"), {}, False),
        ((422, "Invalid", 'User "x"'), {}, False),
        (FORBIDDEN, {"not_let_in": (401,)}, False),
        ((401, "Unauthorized", "Unauthorized"), {"not_let_in": (401,)}, True),
        (FORBIDDEN, {"warn": None}, False),
        (FORBIDDEN, {"check": False}, False),
    ],
)
def test_only_a_check_that_warns_goes_on_where_it_is_not_let_in(monkeypatch, refusal, options, foreseen):
    said = []
    monkeypatch.setattr(_kube, "https_opener", lambda *_args: FakeKube())
    params = {name: option["default"] for name, option in _kube.ARGUMENTS.items()}
    kube = _kube.Kube.from_arguments(params, **{"check": True, "warn": said.append, **options})
    assert kube.foreseen(_kube.KubeRefused("GET /x", kube.server, *refusal)) is foreseen
    assert len(said) == foreseen and all(f"(HTTP {refusal[0]} {refusal[1]})" in text for text in said)
    assert kube.foreseen(_kube.KubeUnreachable("GET /x", kube.server, "refused")) and len(said) == foreseen


@pytest.mark.parametrize(
    "refusal",
    [
        (429, "TooManyRequests", "slow down"),
        (500, "InternalError", "etcdserver: leader changed"),
        (503, "ServiceUnavailable", "starting"),
        (504, "Timeout", "timed out"),
        (409, "Conflict", "the object has been modified"),
        (404, "NotFound", 'namespaces "kube-system" not found'),
    ],
)
def test_what_passes_by_itself_is_waited_out(refusal):
    fake = FakeKube()
    kube, clock = client(fake, retry_seconds=10)
    fake.refusals = [refusal] * 3
    kube.apply(CONFIG)
    assert clock.now == 3 * _kube.PAUSE
    fake.refusals = [refusal] * 99
    with pytest.raises(_kube.KubeRefused):
        kube.apply(CONFIG)
    assert clock.now <= 12


@pytest.mark.parametrize(
    "refusal",
    [
        (403, "Forbidden", 'User "nobody" cannot list'),
        (422, "Invalid", "data is wrong"),
        (404, "NotFound", 'namespaces "mine" not found'),
        (401, "Unauthorized", "Unauthorized"),
    ],
)
def test_what_does_not_pass_is_said_at_once(refusal):
    fake = FakeKube()
    kube, clock = client(fake, retry_seconds=10)
    fake.refusals = [refusal]
    with pytest.raises(_kube.KubeRefused) as refused:
        kube.apply(CONFIG)
    assert clock.now == 0
    assert str(refused.value) == (
        f"Kubernetes API at https://m1:6443, asked for PATCH {PATH}?fieldManager=multimaster&force=true: "
        f"HTTP {refusal[0]} {refusal[1]}: {refusal[2]}"
    )


def test_who_read_before_is_told_of_a_conflict_at_once_and_waits_out_the_rest():
    fake = FakeKube()
    kube, clock = client(fake, retry_seconds=10)
    wanted = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l", "namespace": "n"}}
    first = kube.create(wanted, optimistic=True)
    second = kube.replace({**first, "spec": {"leaseTransitions": 1}})
    name = ("coordination.k8s.io/v1", "Lease", "l", "n")
    for stale in (
        lambda: kube.create(wanted, optimistic=True),
        lambda: kube.replace(first),
        lambda: kube.delete(*name, only=first),
    ):
        with pytest.raises(_kube.KubeRefused) as refused:
            stale()
        assert _kube.conflict(refused.value)
    assert clock.now == 0
    assert kube.get(*name) == second
    fake.refusals = [(503, "ServiceUnavailable", "starting")]
    third = kube.replace(second)
    assert clock.now == _kube.PAUSE
    assert kube.delete(*name, only=third)
    assert not kube.delete(*name, only=third)


def test_an_api_server_that_starts_is_waited_for():
    fake = FakeKube()
    kube, clock = client(fake, retry_seconds=10)
    fake.down = 4
    kube.apply(CONFIG)
    assert clock.now == 4 * _kube.PAUSE


def test_an_answer_that_is_no_json():
    kube = _kube.Kube("https://m1:6443", lambda *a: Answer(200, b"<html>"))
    with pytest.raises(_kube.KubeError, match="GET /api/v1/nodes/x: not JSON: '<html>'"):
        kube.get("v1", "Node", "x")


def test_namespaced_objects_without_a_namespace_go_to_default():
    fake = FakeKube()
    kube, _clock = client(fake)
    kube.apply({**CONFIG, "metadata": {"name": "c"}})
    kube.create({**CONFIG, "metadata": {"name": "c"}})
    kube.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "x"}})
    kube.list("v1", "ConfigMap", selector="a=b")
    assert [(path, query.get("labelSelector")) for _m, path, query, _t in fake.asked] == [
        ("/api/v1/namespaces/default/configmaps/c", None),
        ("/api/v1/namespaces/default/configmaps", None),
        ("/api/v1/nodes", None),
        ("/api/v1/configmaps", "a=b"),
    ]


def test_deleting_what_is_gone_already_is_no_error_and_a_refusal_is():
    fake = FakeKube()
    kube, _clock = client(fake)
    assert not kube.delete("v1", "ConfigMap", "c", "n")
    kube.apply(CONFIG)
    assert kube.delete("v1", "ConfigMap", "c", "n", dry_run=True)
    assert kube.delete("v1", "ConfigMap", "c", "n")
    fake.refusals = [(403, "Forbidden", "no")]
    with pytest.raises(_kube.KubeRefused):
        kube.delete("v1", "ConfigMap", "c", "n")


def test_a_list_of_several_pages(monkeypatch):
    fake = FakeKube()
    kube, _clock = client(fake)
    monkeypatch.setattr(_kube, "PAGE", 2)
    for number in range(5):
        kube.apply({**CONFIG, "metadata": {"name": f"c{number}", "namespace": "n"}})
    assert [one["metadata"]["name"] for one in kube.list("v1", "ConfigMap", "n")] == [f"c{n}" for n in range(5)]
    assert kube.list("v1", "Node") == []


def test_unknown_kinds_are_discovered_once_without_their_subresources():
    fake = FakeKube()
    kube, _clock = client(fake)
    for _again in range(2):
        assert kube.get("scheduling.k8s.io/v1", "PriorityClass", "p") is None
    assert [path for _m, path, _q, _t in fake.asked] == [
        "/apis/scheduling.k8s.io/v1",
        *["/apis/scheduling.k8s.io/v1/priorityclasses/p"] * 2,
    ]
    with pytest.raises(_kube.KubeError, match="kind Nonsense of scheduling.k8s.io/v1.*does not know it"):
        kube.get("scheduling.k8s.io/v1", "Nonsense", "p")


def test_readyz_with_a_failed_check():
    fake = FakeKube()
    kube, _clock = client(fake)
    assert kube.readyz() == (True, {"ping": True, "etcd": True})
    fake.readyz = (500, "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n")
    assert kube.readyz() == (False, {"ping": True, "etcd": False})
    fake.readyz = (403, "no")
    with pytest.raises(_kube.KubeRefused):
        kube.readyz()


def test_waiting_for_a_deployment_ends_with_what_is_missing():
    fake = FakeKube()
    kube, clock = client(fake)
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "n", "generation": 1},
        "spec": {"replicas": 2},
        "status": {"observedGeneration": 1, "updatedReplicas": 2, "availableReplicas": 1},
    }
    with pytest.raises(_kube.KubeNotYet, match="it is gone"):
        _kube.wait_ready(kube, deployment, 5)
    kube.apply(deployment)
    with pytest.raises(_kube.KubeNotYet, match="Deployment n/d to be ready: not within 5 s: 2 of 2 pods updated, 1 available"):
        _kube.wait_ready(kube, deployment, 5)
    with pytest.raises(_kube.KubeNotYet, match="to be gone.*still there, finalizers"):
        _kube.wait_absent(kube, deployment, 5)
    deployment["status"]["availableReplicas"] = 2
    kube.apply(deployment)
    _kube.wait_ready(kube, deployment, 0)
    kube.delete("apps/v1", "Deployment", "d", "n")
    _kube.wait_absent(kube, deployment, 0)


def test_waiting_goes_on_while_the_api_server_is_away_but_not_when_it_refuses():
    fake = FakeKube()
    kube, clock = client(fake)
    kube.apply(CONFIG)
    fake.down = 3
    _kube.wait_ready(kube, CONFIG, 10)
    assert clock.now == 3 * _kube.PAUSE
    fake.refusals = [(403, "Forbidden", "no")]
    with pytest.raises(_kube.KubeRefused):
        _kube.wait_ready(kube, CONFIG, 10)


def test_the_access_review_asks_for_everything():
    fake = FakeKube()
    kube, _clock = client(fake)
    assert kube.may_do_anything()
    fake.allowed = False
    assert not kube.may_do_anything()
    assert fake.asked[0][1] == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
