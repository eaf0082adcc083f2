# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the module from its arguments to its result, on a played API server and played members that keep counters."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _canary_reading, _https, _kube
from ansible_collections.multimaster.kubernetes.plugins.modules import api_server_canary
from fake_canary import Played

ASKED = {"etcd_endpoints": ["https://m1:2379", "https://m2:2379"], "seconds": 0, "untouched": ["m2", "m3"]}


@pytest.fixture
def fake(monkeypatch):
    made = Played()
    monkeypatch.setattr(_kube, "https_opener", lambda *_args: made)
    monkeypatch.setattr(_https, "https_opener", lambda *_args: made)
    monkeypatch.setattr(api_server_canary, "RETRY_SECONDS", 0.0)
    return made


def test_a_canary_that_is_well_passes_with_its_figures(fake, call):
    result = call(api_server_canary, ASKED)
    assert result["well"] and not result["changed"]
    assert result["reason"].startswith("ready in 1 of 1 looks, 0 of 30 requests failed, 0 leader changes in 0")
    assert result["figures"]["requests"] == 30
    assert result["reasons"] == []


def test_one_that_fails_stops_the_run_with_all_that_a_person_needs(fake, call):
    fake.step = {"200": 20, "500": 10}
    result = call(api_server_canary, {**ASKED, "way_back": "run again with Kubernetes 1.36.3"})
    assert result["failed"] and not result["well"]
    for text in ("10 of 30 requests failed", "Untouched: m2, m3", "Next: ", "Way back: run again with Kubernetes"):
        assert text in result["msg"]
    assert result["reason"].startswith("10 of 30")


@pytest.mark.parametrize(
    ("break_it", "rule"),
    [
        (lambda fake: setattr(fake, "restarts", True), "up"),
        (lambda fake: fake.down.add("api"), "up"),
        (lambda fake: setattr(fake, "more_leader_changes", 2), "leader_changes"),
        (lambda fake: fake.down.update(("m1", "m2")), "leader_changes"),
        (lambda fake: setattr(fake, "silent", True), "leader_changes"),
    ],
)
def test_each_rule_reaches_the_result(fake, call, break_it, rule):
    break_it(fake)
    result = call(api_server_canary, ASKED)
    assert result["failed"]
    assert [one["rule"] for one in result["reasons"]] == [rule]


def test_a_member_that_is_down_is_no_finding_while_another_tells(fake, call):
    fake.down.add("m2")
    assert call(api_server_canary, ASKED)["well"]


def test_more_leader_changes_are_let_pass_when_that_was_said(fake, call):
    fake.more_leader_changes = 3
    assert call(api_server_canary, {**ASKED, "leader_changes": 3})["well"]


@pytest.mark.parametrize("broken", [False, True])
def test_check_mode_reads_waits_for_nothing_and_never_fails(fake, call, broken, monkeypatch):
    monkeypatch.setattr(_canary_reading.time, "sleep", lambda _seconds: pytest.fail("waits"))
    if broken:
        fake.down.update(("api", "m1", "m2"))
    result = call(api_server_canary, {**ASKED, "seconds": 60}, check=True)
    assert not result["changed"] and "failed" not in result
    assert result["reason"].startswith("check mode, nothing was upgraded: ")
    assert result["well"] is not broken


def test_credentials_that_are_missing_are_named(call):
    result = call(api_server_canary, {**ASKED, "ca": "/nowhere/ca.crt"})
    assert result["failed"] and "/nowhere/ca.crt" in result["msg"] and result["well"] is False
