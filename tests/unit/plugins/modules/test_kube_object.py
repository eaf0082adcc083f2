# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the module from its arguments to its result, on a played API."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _kube
from ansible_collections.multimaster.kubernetes.plugins.modules import kube_object
from fake_kube import FakeKube

ROLE = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "x:y"}, "rules": []}
CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "n"}, "data": {"k": "v"}}


@pytest.fixture
def fake(monkeypatch, world):
    made = FakeKube()
    world.watch(made.picture)
    monkeypatch.setattr(_kube, "https_opener", lambda *_args: made)
    return made


def test_check_run_again(fake, check_run_again):
    checked, done, _again = check_run_again(kube_object, {"objects": [ROLE, CONFIG]})
    assert checked["objects"] == done["objects"] and checked["diff"] == done["diff"]
    assert done["reason"] == "2 changed of 2 objects (ClusterRole x:y created, ConfigMap n/c created)"
    assert [one["after"]["metadata"]["name"] for one in done["diff"]] == ["x:y", "c"]


@pytest.mark.parametrize(
    ("refusal", "forbidden", "reported"),
    [
        ((403, "Forbidden", "no"), "report", True),
        ((403, "Forbidden", "no"), "fail", False),
        ((422, "Invalid", "no"), "report", False),
    ],
)
def test_missing_rights_fail_or_are_reported(fake, call, refusal, forbidden, reported):
    fake.refusals = [refusal]
    result = call(kube_object, {"objects": [ROLE], "forbidden": forbidden})
    assert result.get("authorized") is (False if reported else None)
    assert bool(result.get("failed")) is not reported
    assert call(kube_object, {"objects": [ROLE], "forbidden": forbidden})["authorized"] is True


def test_absent_goes_the_other_way_round(fake, call, check_run_again):
    call(kube_object, {"objects": [ROLE, CONFIG]})
    checked, done, _again = check_run_again(kube_object, {"objects": [ROLE, CONFIG], "state": "absent", "wait": True})
    assert checked["objects"] == done["objects"] and checked["diff"] == done["diff"]
    assert [one["object"] for one in done["objects"]] == ["ConfigMap n/c", "ClusterRole x:y"]
    assert fake.objects == {}


def test_an_object_that_differs_is_foreseen_and_a_check_asks_for_dry_runs_only(fake, call, check_run_again):
    call(kube_object, {"objects": [ROLE, CONFIG]})
    objects, before = [ROLE, {**CONFIG, "data": {"k": "other"}}], len(fake.asked)
    for state in ("present", "absent"):
        assert call(kube_object, {"objects": objects, "state": state}, check=True)["changed"]
    asked = [(method, bool(query)) for method, _path, query, _type in fake.asked[before:]]
    assert asked == [("GET", False), ("PATCH", True)] * 2 + [("GET", False), ("DELETE", False)] * 2
    checked, done, _again = check_run_again(kube_object, {"objects": objects})
    assert checked["reason"] == done["reason"] == "1 changed of 2 objects (ConfigMap n/c changed)"
    assert checked["diff"] == done["diff"]


def test_a_secret_never_shows_in_diff(fake, call):
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "n"}, "data": {"k": "czNjcmV0"}}
    result = call(kube_object, {"objects": [secret]})
    assert result["diff"][0]["after"]["data"] == {"k": "(hidden)"}


def test_a_check_without_any_api_server_does_not_wait(fake, call):
    fake.down = 99
    result = call(kube_object, {"objects": [CONFIG]}, check=True)
    assert result["changed"]
    assert len(fake.asked) == 1


LOCKED_OUT = [(401, "Unauthorized", "Unauthorized"), (403, "Forbidden", 'x is forbidden: User "operator" cannot get')]


@pytest.mark.parametrize("refusal", LOCKED_OUT, ids=["401", "403"])
@pytest.mark.parametrize(("state", "result"), [("present", "created"), ("absent", "absent")])
def test_a_check_goes_on_where_the_run_gives_this_client_its_rights_first(fake, call, warned, refusal, state, result):
    fake.refusals = [refusal]
    checked = call(kube_object, {"objects": [CONFIG], "state": state}, check=True)
    assert checked["authorized"] and checked["objects"] == [{"object": "ConfigMap n/c", "result": result}]
    (said,) = warned
    assert f"does not let this client in (HTTP {refusal[0]} {refusal[1]})" in said
    fake.refusals = [refusal]
    assert call(kube_object, {"objects": [CONFIG], "state": state})["failed"]


def test_a_check_reports_missing_rights_too_and_foresees_a_certificate_that_is_renewed(fake, call, warned):
    fake.refusals = [LOCKED_OUT[1]]
    assert not call(kube_object, {"objects": [ROLE], "forbidden": "report"}, check=True)["authorized"]
    assert not warned
    fake.refusals = [LOCKED_OUT[0]]
    assert call(kube_object, {"objects": [ROLE], "forbidden": "report"}, check=True)["authorized"]
    assert len(warned) == 1


def test_a_check_fails_where_admission_refuses(fake, call, warned):
    fake.refusals = [(403, "Forbidden", "exceeded quota")]
    assert call(kube_object, {"objects": [CONFIG]}, check=True)["failed"] and not warned


def test_a_refusal_is_the_message(fake, call):
    fake.refusals = [(403, "Forbidden", 'User "x" cannot get')]
    result = call(kube_object, {"objects": [CONFIG]})
    assert result["failed"]
    assert 'HTTP 403 Forbidden: User "x" cannot get. Next: site.yml gives this client its rights' in result["msg"]


def test_a_failure_says_once_what_to_do(call, tmp_path):
    assert call(kube_object, {"objects": [CONFIG], "ca": str(tmp_path / "none.crt")})["msg"].count("Next: ") == 1


def test_an_object_without_a_name_is_refused(fake, call):
    result = call(kube_object, {"objects": [{"kind": "ConfigMap", "apiVersion": "v1"}]})
    assert "object without metadata.name" in result["msg"]
