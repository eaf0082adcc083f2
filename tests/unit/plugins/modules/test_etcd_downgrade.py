# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test etcd's formal downgrade from the module's arguments to its result, on a played cluster and a played clock."""

from __future__ import annotations

import functools

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _etcd, _https
from ansible_collections.multimaster.kubernetes.plugins.module_utils._membership import StepFailed
from ansible_collections.multimaster.kubernetes.plugins.modules import etcd_downgrade
from fake_etcd import FakeEtcd, Time

ENDPOINTS = {"endpoints": ["https://a:2379"], "timeout": 0}
BACK = {**ENDPOINTS, "state": "enabled", "version": "3.6.16"}
STAY = {**ENDPOINTS, "state": "cancelled"}
OVER = {**ENDPOINTS, "state": "completed", "version": "3.6.16"}


@pytest.fixture
def fake(monkeypatch, world):
    made = FakeEtcd("a", "b", "c")
    world.watch(made.picture)
    made.versions, made.cluster_version = dict.fromkeys("abc", "3.7.3"), "3.7"
    monkeypatch.setattr(_https, "https_opener", lambda *_args: made)
    return made


def test_it_is_enabled_once_and_check_mode_says_so(fake, check_run_again):
    checked, done, again = check_run_again(etcd_downgrade, BACK)
    assert checked["actions"] == done["actions"] == ["enable"]
    assert checked["before"] == checked["after"] == done["before"]
    assert done["reason"] == again["reason"] == "a downgrade to 3.6 is enabled, and the data fit it"
    assert done["after"][0] == {"name": "a", "version": "3.7.3", "storage": "3.6.0", "downgrade": "3.6.0"}
    assert '"downgrade": "3.6.0"' in done["diff"]["after"]
    assert checked["diff"] == done["diff"]
    asked = [path for _host, path in fake.asked if path.endswith("/downgrade")]
    assert len(asked) == 2, "validate, enable"


def test_it_is_called_off_once(fake, check_run_again):
    fake.downgrade = fake.cluster_version = "3.6"
    checked, done, again = check_run_again(etcd_downgrade, STAY)
    assert checked["actions"] == done["actions"] == ["cancel"]
    assert checked["diff"] == done["diff"] != again["diff"]
    assert checked["reason"] == "a downgrade to 3.6.0 is enabled"
    assert again["reason"] == "no downgrade is enabled"


def test_while_an_old_member_is_left_nothing_is_enabled(fake, call):
    fake.versions["b"], fake.cluster_version = "3.6.16", "3.6"
    result = call(etcd_downgrade, BACK)
    assert not result["changed"]
    assert result["reason"] == "b runs 3.6.16, so the data fit 3.6"


def test_a_member_that_is_down_is_named_with_what_to_do(fake, call):
    fake.running.discard("c")
    said = call(etcd_downgrade, BACK)["msg"]
    assert "downgrade of etcd 3.6.16, enabled: not within 0 s: c does not say which version it runs. Next: start them" in said
    assert not fake.downgrade


def test_check_mode_waits_for_nothing_and_fails_for_what_never_goes(fake, call):
    fake.running.discard("c")
    assert call(etcd_downgrade, {**BACK, "timeout": 60}, check=True)["reason"].startswith("c does not say")
    fake.running.add("c")
    fake.versions["a"] = "3.8.0"
    assert "one minor at a time" in call(etcd_downgrade, BACK, check=True)["msg"]


def test_two_minors_are_refused_at_once(fake, call):
    assert (
        "one minor at a time is gone back. Next: go back one minor first"
        in call(etcd_downgrade, {**BACK, "version": "3.5.21"})["msg"]
    )


def test_what_is_no_version_is_said(fake, call):
    assert "'new' is no version like 3.6.16" in call(etcd_downgrade, {**BACK, "version": "new"})["msg"]


def test_a_learner_counts_and_is_not_spoken_to(fake, call):
    fake.add("d", learner=True)
    fake.publish("d")
    fake.versions["d"] = "3.7.3"
    assert [one["name"] for one in call(etcd_downgrade, BACK)["after"]] == ["a", "b", "c", "d"]
    assert not [host for host, path in fake.asked if path.endswith("/downgrade") and host == "d"]


def test_a_member_that_was_added_and_never_started_has_no_data(fake, call):
    fake.add("d", learner=True)
    assert call(etcd_downgrade, BACK)["actions"] == ["enable"]


def test_the_end_is_awaited_and_changes_nothing(fake, call):
    fake.versions, fake.cluster_version = {}, "3.6"
    assert not call(etcd_downgrade, OVER)["changed"]
    fake.downgrade = "3.6"
    assert "etcd has not ended the downgrade yet" in call(etcd_downgrade, OVER)["msg"]
    assert fake.downgrade


@pytest.mark.parametrize(
    ("downgrade", "reason"),
    [
        ("", "every member runs 3.6, and no downgrade is enabled any more"),
        ("3.6", "every member runs 3.6, and etcd has not ended the downgrade yet"),
    ],
)
def test_a_check_of_the_end_tells_and_waits_for_nothing(fake, call, downgrade, reason):
    fake.versions, fake.cluster_version, fake.downgrade = {}, "3.6", downgrade
    result = call(etcd_downgrade, {**OVER, "timeout": 60}, check=True)
    assert (result["changed"], result["reason"]) == (False, reason)
    assert result["diff"]["before"] == result["diff"]["after"]


def waited(fake, time, params, timeout=60):
    params = {**params, "timeout": timeout}
    observe = functools.partial(_etcd.observe, ["https://a:2379"], fake)
    return etcd_downgrade.run(params, observe, lambda url: _etcd.Etcd(url, fake), clock=time.clock, sleep=time.sleep)


def test_it_waits_until_the_data_of_every_member_fit(fake):
    time = Time()
    fake.unfit.add("b")
    time.events[4] = fake.unfit.clear
    assert waited(fake, time, BACK)["actions"] == ["enable"]
    assert time.now == 4


def test_it_gives_up_when_the_data_never_fit(fake):
    time = Time()
    fake.unfit.add("b")
    with pytest.raises(StepFailed, match="not within 60 s: the data of b do not fit 3.6 yet. Next: journalctl"):
        waited(fake, time, BACK)
    assert fake.downgrade == "3.6"


def test_it_waits_until_etcd_has_raised_its_cluster_version(fake):
    time, fake.cluster_version = Time(), "3.6"
    time.events[3] = lambda: setattr(fake, "cluster_version", "3.7")
    assert waited(fake, time, BACK)["actions"] == ["enable"]
    assert time.now == 3
    fake.cluster_version, fake.downgrade = "3.6", ""
    with pytest.raises(StepFailed, match="invalid downgrade target version. Next: journalctl"):
        waited(fake, Time(), BACK, timeout=5)


def test_another_refusal_of_etcd_fails_at_once(fake):
    time = Time()
    fake._downgrade = lambda **_body: fake._error(400, 9, "something else")
    with pytest.raises(_etcd.EtcdRefused, match="something else"):
        waited(fake, time, BACK)
    assert time.now == 0
