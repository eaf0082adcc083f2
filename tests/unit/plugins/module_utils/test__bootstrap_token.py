# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test bootstrap tokens as Secrets."""

from __future__ import annotations

import base64

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _bootstrap_token as tokens

TOKEN = "abcdef.0123456789abcdef"
NOW = 1767225600.0  # 2026-01-01T00:00:00Z


def test_the_secret_has_what_the_api_server_looks_for():
    secret = tokens.secret(TOKEN, 3600, NOW, "join")
    assert secret["metadata"] == {"name": "bootstrap-token-abcdef", "namespace": "kube-system"}
    assert secret["type"] == "bootstrap.kubernetes.io/token"
    assert {key: base64.b64decode(value).decode() for key, value in secret["data"].items()} == {
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        "expiration": "2026-01-01T01:00:00Z",
        "usage-bootstrap-authentication": "true",
        "auth-extra-groups": "system:bootstrappers:multimaster",
        "description": "join",
    }


@pytest.mark.parametrize("token", ["", "abc", "ABCDEF.0123456789abcdef", "abcdef.0123", "abcdef.0123456789abcdef\n"])
def test_a_wrong_token_is_refused_without_being_shown(token):
    with pytest.raises(ValueError, match="no bootstrap token") as refused:
        tokens.secret(token, 3600, NOW, "")
    assert not token or token not in str(refused.value)


@pytest.mark.parametrize("ttl", [0, -1, 24 * 3600 + 1])
def test_a_token_lives_at_most_a_day(ttl):
    with pytest.raises(ValueError, match="wanted 1 to 86400"):
        tokens.secret(TOKEN, ttl, NOW, "")


@pytest.mark.parametrize(("passed", "serves"), [(0, True), (1800, True), (1801, False), (4000, False)])
def test_a_token_serves_while_half_of_its_life_is_left(passed, serves):
    found = tokens.secret(TOKEN, 3600, NOW, "join")
    wanted = tokens.secret(TOKEN, 3600, NOW + passed, "join")
    assert tokens.serves(found, wanted, 3600, NOW + passed) is serves


@pytest.mark.parametrize("key", ["token-secret", "auth-extra-groups", "usage-bootstrap-authentication"])
def test_a_token_that_was_tampered_with_does_not_serve(key):
    found = tokens.secret(TOKEN, 3600, NOW, "join")
    found["data"][key] = base64.b64encode(b"else").decode()
    assert not tokens.serves(found, tokens.secret(TOKEN, 3600, NOW, "join"), 3600, NOW)


def test_a_secret_without_an_end_has_no_time_left():
    assert tokens.seconds_left({"data": {}}, NOW) == 0
    assert tokens.seconds_left({"data": {"expiration": base64.b64encode(b"soon").decode()}}, NOW) == 0
