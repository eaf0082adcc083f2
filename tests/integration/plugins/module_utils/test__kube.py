# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kubernetes API of a real kube-apiserver: apply twice, dry runs, refusals, tokens, an API server that starts."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _bootstrap_token,
    _https,
    _kube,
    _kube_objects,
    _kube_reading,
)
from ansible_collections.multimaster.kubernetes.plugins.modules import bootstrap_token, kube_object

CONFIG = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "probe", "namespace": "default"},
    "data": {"one": "1"},
}


def module(check=False, **params):
    return SimpleNamespace(params=params, check_mode=check, _diff=True)


def apply(kube, *objects, check=False, state="present", **more):
    return kube_object.run(module(check, objects=list(objects), state=state, **{"wait": False, "wait_timeout": 5, **more}), kube)


def with_data(**data):
    return {**CONFIG, "data": data}


def test_an_object_is_created_once_changed_once_deleted_once(kube_lab):
    kube = kube_lab.client()
    assert apply(kube, CONFIG, check=True)["objects"][0]["result"] == "created"
    assert kube.get("v1", "ConfigMap", "probe", "default") is None
    first = apply(kube, CONFIG)
    assert first["objects"] == [{"object": "ConfigMap default/probe", "result": "created"}]
    assert not apply(kube, CONFIG)["changed"]
    assert not apply(kube, CONFIG, check=True)["changed"]
    foretold = apply(kube, with_data(one="2"), check=True)
    assert foretold["changed"]
    assert foretold["diff"][0]["before"]["data"] == {"one": "1"}
    assert foretold["diff"][0]["after"]["data"] == {"one": "2"}
    assert kube.get("v1", "ConfigMap", "probe", "default")["data"] == {"one": "1"}
    assert apply(kube, with_data(one="2"))["changed"]
    assert not apply(kube, with_data(one="2"))["changed"]
    assert apply(kube, CONFIG, check=True, state="absent")["changed"]
    assert apply(kube, CONFIG, state="absent", wait=True)["objects"][0]["result"] == "deleted"
    assert not apply(kube, CONFIG, state="absent")["changed"]


def test_fields_of_others_are_taken_over_and_what_we_drop_goes_away(kube_lab):
    kube = kube_lab.client()
    other = {**CONFIG, "metadata": {"name": "shared", "namespace": "default"}, "data": {"one": "theirs", "two": "2"}}
    kube.create(other)
    ours = {**other, "data": {"one": "ours"}}
    assert apply(kube, ours, check=True)["changed"]
    assert apply(kube, ours)["changed"]
    assert kube.get("v1", "ConfigMap", "shared", "default")["data"] == {"one": "ours", "two": "2"}
    apply(kube, {**other, "data": {"one": "ours", "three": "3"}})
    apply(kube, ours)
    assert kube.get("v1", "ConfigMap", "shared", "default")["data"] == {"one": "ours", "two": "2"}


def test_a_namespace_and_what_is_in_it_in_one_list(kube_lab):
    kube = kube_lab.client()
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fresh"}}
    inside = {**CONFIG, "metadata": {"name": "probe", "namespace": "fresh"}}
    foretold = apply(kube, namespace, inside, check=True)
    assert [one["result"] for one in foretold["objects"]] == ["created", "created"]
    assert [one["result"] for one in apply(kube, namespace, inside)["objects"]] == ["created", "created"]
    assert not apply(kube, namespace, inside)["changed"]


def test_a_cluster_role_with_colons_and_a_kind_that_is_discovered(kube_lab):
    kube = kube_lab.client()
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "multimaster:probe"},
        "rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}],
    }
    priority = {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": "probe"},
        "value": 10,
    }
    assert apply(kube, role, priority)["changed"]
    assert not apply(kube, role, priority)["changed"]
    with pytest.raises(_kube.KubeError, match="does not know it"):
        kube.get("v1", "Nonsense", "x")


@pytest.mark.parametrize("kind", sorted(_kube_objects.KINDS))
def test_the_table_of_kinds_is_what_the_server_says(kube_lab, kind):
    kube = kube_lab.client()
    kube._discovered = {}
    assert kube._kind(*kind) == _kube_objects.KINDS[kind]


def test_an_invalid_object_says_what_the_server_said(kube_lab):
    wrong = {**CONFIG, "data": {"not allowed!": "1"}}
    with pytest.raises(_kube.KubeRefused, match="HTTP 422 Invalid.*not allowed!"):
        apply(kube_lab.client(), wrong)


def test_a_client_without_rights_is_refused_at_once_and_by_name(kube_lab):
    kube = kube_lab.client(kube_lab.nobody, retry_seconds=30)
    started = time.monotonic()
    with pytest.raises(_kube.KubeRefused, match='HTTP 403 Forbidden.*"nobody" cannot') as refused:
        kube.list("v1", "Node")
    assert time.monotonic() - started < 5
    assert refused.value.reason == "Forbidden"
    assert not kube.may_do_anything()
    assert kube_lab.client().may_do_anything()


def test_reading_nodes_leases_and_readiness(kube_lab):
    kube = kube_lab.client()
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "z"}},
        "spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]},
    }
    apply(kube, node)
    (seen,) = (one for one in _kube_reading.nodes(kube) if one["name"] == "n1")
    assert (seen["name"], seen["zone"], seen["ready"]) == ("n1", "z", False)
    assert {"key": "k", "value": "", "effect": "NoSchedule"} in seen["taints"]
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "kube-scheduler", "namespace": "kube-system"},
        "spec": {"holderIdentity": "m1_x", "leaseDurationSeconds": 15},
    }
    apply(kube, lease)
    leases = _kube_reading.leases(kube)
    assert leases["kube-scheduler"]["holder"] == "m1_x"
    assert leases["kube-controller-manager"] is None
    assert _kube_reading.readyz(kube) == {"ready": True, "failed": []}


def test_a_long_list_comes_page_by_page(kube_lab, monkeypatch):
    kube = kube_lab.client()
    for number in range(5):
        apply(kube, {**CONFIG, "metadata": {"name": f"page-{number}", "namespace": "default", "labels": {"page": "yes"}}})
    monkeypatch.setattr(_kube, "PAGE", 2)
    found = kube.list("v1", "ConfigMap", selector="page=yes")
    assert [one["metadata"]["name"] for one in found] == [f"page-{number}" for number in range(5)]


def token_params(**more):
    return {"token": "abcdef.0123456789abcdef", "ttl": 600, "description": "test", "state": "present", **more}


def test_a_bootstrap_token_authenticates_until_it_is_taken_back(kube_lab):
    kube, now = kube_lab.client(), time.time()

    def run(check=False, at=now, **more):
        return bootstrap_token.run(module(check, **token_params(**more)), kube, at)

    def answer():
        """Ask with the token alone; 401 = unknown, 403 = known and without rights."""
        opener = _https.https_opener(kube_lab.authority.cert)
        headers = {"Authorization": "Bearer abcdef.0123456789abcdef"}
        return opener("GET", kube_lab.server + "/api/v1/nodes", None, headers, 10).status

    assert run(check=True)["changed"]
    assert kube.get("v1", "Secret", "bootstrap-token-abcdef", "kube-system") is None
    first = run()
    assert first["changed"]
    assert "0123456789abcdef" not in str(first)
    assert not run()["changed"]
    assert answer() == 403
    assert run(at=now + 400)["changed"]
    secret = kube.get("v1", "Secret", "bootstrap-token-abcdef", "kube-system")
    assert _bootstrap_token.seconds_left(secret, now) in (999, 1000)
    assert run(state="absent", check=True)["changed"]
    assert run(state="absent")["changed"]
    assert not run(state="absent")["changed"]
    deadline = time.monotonic() + 20
    while answer() != 401 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert answer() == 401


def test_an_api_server_that_starts_is_waited_for_and_one_that_is_away_is_not(kube_lab):
    kube_lab.stop()
    try:
        with pytest.raises(_kube.KubeUnreachable, match="connection refused"):
            kube_lab.client().list("v1", "Node")
    finally:
        kube_lab.start()
    late = apply(kube_lab.client(retry_seconds=60), {**CONFIG, "metadata": {"name": "late", "namespace": "default"}})
    kube_lab.wait()
    assert late["objects"][0]["result"] == "created"
