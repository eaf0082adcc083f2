# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the module from its arguments to its result, on a played API; the secret stays inside."""

from __future__ import annotations

import base64

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _kube
from ansible_collections.multimaster.kubernetes.plugins.modules import bootstrap_token
from fake_kube import FakeKube

SECRET = "0123456789abcdef"
TOKEN = {"token": f"abcdef.{SECRET}"}


@pytest.fixture
def fake(monkeypatch, world):
    made = FakeKube()
    world.watch(made.picture)
    monkeypatch.setattr(_kube, "https_opener", lambda *_args: made)
    return made


def test_check_run_again_and_back(fake, call, check_run_again):
    results = check_run_again(bootstrap_token, TOKEN)
    assert [results[0][told] for told in ("name", "reason", "seconds_left")] == [
        results[1][told] for told in ("name", "reason", "seconds_left")
    ]
    assert results[1]["name"] == "bootstrap-token-abcdef"
    assert results[1]["seconds_left"] == 3600
    (stored,) = fake.objects.values()
    assert base64.b64decode(stored["data"]["token-secret"]).decode() == SECRET
    gone = check_run_again(bootstrap_token, {**TOKEN, "state": "absent"})
    assert fake.objects == {}
    for result in (*results, *gone):
        for hidden in (SECRET, base64.b64encode(SECRET.encode()).decode()):
            assert hidden not in str(result)


def test_a_token_that_is_too_short_lived_is_renewed(fake, call, check_run_again):
    call(bootstrap_token, {**TOKEN, "ttl": 60})
    checked, done, _again = check_run_again(bootstrap_token, TOKEN)
    assert checked["reason"] == done["reason"] != ""
    assert checked["seconds_left"] == done["seconds_left"] == 3600


def test_a_token_of_no_use_is_refused_without_showing_it(fake, call):
    result = call(bootstrap_token, {"token": "what-is-this-token"})
    assert result["failed"]
    assert result["msg"].startswith("the bootstrap token is not present: this is no bootstrap token")
    assert "what-is-this-token" not in str(result)


def test_a_check_on_bare_hosts(fake, call):
    fake.down = 99
    assert call(bootstrap_token, TOKEN, check=True)["changed"]
    assert call(bootstrap_token, {"token": ""}, check=True)["changed"]
    assert not call(bootstrap_token, {"token": "", "state": "absent"}, check=True)["changed"]


@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_check_before_this_client_has_its_rights(fake, call, warned, state):
    refusal = (403, "Forbidden", 'secrets "x" is forbidden: User "operator" cannot get')
    fake.refusals = [refusal] * 2
    checked = call(bootstrap_token, {**TOKEN, "state": state}, check=True)
    assert not checked.get("failed") and checked["changed"] is (state == "present")
    assert warned and all("does not let this client in (HTTP 403 Forbidden)" in said for said in warned)
    fake.refusals = [refusal]
    assert call(bootstrap_token, {**TOKEN, "state": state})["failed"]
