# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the gate from its arguments to its result, on a played cluster and a played clock."""

from __future__ import annotations

import functools

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _etcd, _https
from ansible_collections.multimaster.kubernetes.plugins.modules import etcd_quorum
from fake_etcd import FakeEtcd, Time

STEP = {"endpoints": ["https://a:2379"], "step": "restart", "target": "a", "timeout": 0}


@pytest.fixture
def fake(monkeypatch):
    made = FakeEtcd("a", "b", "c")
    monkeypatch.setattr(_https, "https_opener", lambda *_args: made)
    return made


def test_a_safe_step_passes_and_says_what_is_survived(fake, call):
    result = call(etcd_quorum, {**STEP, "target": "b"})
    assert result["safe"]
    assert not result["changed"]
    assert result["reason"] == "during the step 2 of 3 voters healthy, quorum 2, survives 0 more"
    assert result["verdict"]["before"]["survives"] == 1


def test_the_leader_passes_with_the_heir_named(fake, call):
    assert call(etcd_quorum, STEP)["verdict"]["move_leader_to"] == fake.find("b")


def test_an_unsafe_step_fails_with_the_reason_and_the_next_step(fake, call):
    fake.running.discard("c")
    result = call(etcd_quorum, STEP)
    assert result["failed"]
    said = "unsafe to restart a: without a 1 of 3 voters would be healthy and 2 are needed. Not answering: https://c:2379: "
    assert result["msg"].startswith(said) and result["msg"].endswith(". Next: bring back c first")
    assert not result["verdict"]["safe"]


def test_a_member_that_is_given_by_its_peer_url_is_called_by_its_name(fake, call):
    fake.running.discard("c")
    said = call(etcd_quorum, {**STEP, "step": "remove", "target": "https://a:2380"})["msg"]
    assert said.startswith("unsafe to remove a: after removing a 1 of 2 voters would be healthy and 2 are needed")


def test_a_lost_quorum_is_no_cluster_without_members(fake, call):
    fake.running -= {"b", "c"}
    said = call(etcd_quorum, {**STEP, "step": "remove", "target": "c"})["msg"]
    assert said.startswith(
        "unsafe to remove c: no quorum stood behind the list of members (a, b, c), so it cannot be judged. Not"
    )
    fake.running.clear()
    assert "no voter was seen, so there is no cluster to judge" in call(etcd_quorum, STEP)["msg"]


def test_in_check_mode_an_unsafe_step_is_a_warning(fake, call):
    fake.running.discard("c")
    result = call(etcd_quorum, {**STEP, "timeout": 60}, check=True)
    assert not result["safe"]
    assert "failed" not in result


def test_a_member_that_is_none_is_told(fake, call):
    assert "there is no member nobody" in call(etcd_quorum, {**STEP, "step": "remove", "target": "nobody"})["msg"]


def test_an_alarm_forbids_whatever_step(fake, call):
    fake.alarms = [(fake.find("a"), "NOSPACE")]
    assert "NOSPACE is raised on a" in call(etcd_quorum, STEP)["msg"]
    assert "NOSPACE is raised on a" in call(etcd_quorum, {**STEP, "step": "remove", "target": "a"})["msg"]


def test_the_only_voter_restarts_only_when_the_outage_is_allowed(fake, call):
    for name in "bc":
        del fake.members[fake.find(name)]
    assert "the whole API is away" in call(etcd_quorum, STEP)["msg"]
    assert call(etcd_quorum, {**STEP, "allow_outage": True})["verdict"]["outage"]


def waiting(fake, time, **more):
    params = {
        "ours": None,
        "allow_outage": False,
        "stable_for": 0,
        **STEP,
        **more,
    }
    observe = functools.partial(_etcd.observe, ["https://a:2379"], fake)
    return etcd_quorum.run(params, observe, clock=time.clock, sleep=time.sleep)[1]


def test_it_waits_until_the_step_is_safe(fake):
    time = Time()
    fake.running.discard("c")
    time.events[7] = lambda: fake.running.add("c")
    assert waiting(fake, time, timeout=60)
    assert time.now == 7


def test_it_gives_up_when_the_time_is_up(fake):
    time = Time()
    fake.running.discard("c")
    assert not waiting(fake, time, timeout=10)
    assert time.now == 10


def test_a_relapse_starts_the_quiet_time_anew(fake):
    time = Time()
    time.events[3] = lambda: fake.running.discard("c")
    time.events[6] = lambda: fake.running.add("c")
    assert waiting(fake, time, timeout=60, stable_for=5)
    assert time.now == 11


def test_a_cluster_that_is_safe_but_never_quiet_is_refused(fake):
    time = Time()
    time.events.update(
        {n: (lambda: fake.running.discard("c")) if n % 2 else (lambda: fake.running.add("c")) for n in range(1, 40)}
    )
    assert not waiting(fake, time, timeout=20, stable_for=5)
    assert time.now < 40
