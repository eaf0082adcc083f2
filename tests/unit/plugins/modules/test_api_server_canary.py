# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the module from its arguments to its result, on a played API server and played members that keep counters."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _canary_reading, _https, _kube
from ansible_collections.multimaster.kubernetes.plugins.module_utils._https import Answer, TransportError
from ansible_collections.multimaster.kubernetes.plugins.modules import api_server_canary
from fake_etcd import Time
from fake_kube import FakeKube

ASKED = {"etcd_endpoints": ["https://m1:2379", "https://m2:2379"], "seconds": 0, "untouched": ["m2", "m3"]}


class Played:
    """An API server and two members; each reading of metrics sees ``step`` more of everything."""

    def __init__(self):
        self.kube, self.started, self.codes, self.leader_changes = FakeKube(), 100.0, {"200": 30}, {"m1": 5, "m2": 7}
        self.step, self.more_leader_changes, self.restarts, self.down, self.metrics_asked = {"200": 30}, 0, False, set(), 0
        self.silent = False

    def __call__(self, method, url, body=None, headers=None, timeout=5.0):
        if ":2379" in url:
            return self._member(url)
        if url.endswith("/metrics"):
            return self._metrics()
        return self.kube(method, url, body, headers, timeout)

    def _member(self, url):
        name = url.split("//")[1].split(":")[0]
        if name in self.down:
            raise TransportError(url, "connection refused (nothing listens there)")
        text = f"etcd_server_leader_changes_seen_total {self.leader_changes[name]}\n"
        self.leader_changes[name] += self.more_leader_changes
        return Answer(404 if self.silent else 200, b"" if self.silent else text.encode())

    def _metrics(self):
        self.metrics_asked += 1
        if "api" in self.down:
            return Answer(503, b"shutting down")
        lines = [f'apiserver_request_total{{code="{code}",verb="GET"}} {count}' for code, count in self.codes.items()]
        lines.append(f"process_start_time_seconds {self.started}")
        self.started += self.restarts
        for code, more in self.step.items():
            self.codes[code] = self.codes.get(code, 0) + more
        return Answer(200, "\n".join(lines).encode())


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


# The window, on a played clock


def watched(fake, seconds, events=None):
    time = Time()
    time.events.update(events or {})
    kube = _kube.Kube("https://m1:6443", fake, clock=time.clock, sleep=time.sleep)
    return _canary_reading.watch(kube, ASKED["etcd_endpoints"], fake, seconds, time.clock, time.sleep)


def test_it_looks_every_second_and_once_at_the_end(fake):
    before, after, looks, took = watched(fake, 10)
    assert (len(looks), took, fake.metrics_asked) == (11, 10, 2)
    assert after.requests["200"] - before.requests["200"] == 30


def test_a_look_that_finds_it_not_ready_says_which_check_fails_or_that_nobody_answers(fake):
    def falls():
        fake.kube.readyz = (500, "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n")

    def dies():
        fake.kube.down = 1

    _before, _after, looks, _took = watched(fake, 3, {2: falls, 3: dies})
    assert [look.ready for look in looks] == [True, True, False, False]
    assert looks[2].said == "/readyz: etcd"
    assert "connection refused" in looks[3].said


def test_metrics_without_the_time_of_the_start_are_an_error(fake):
    fake._metrics = lambda: Answer(200, b"apiserver_request_total 1\n")
    sample = _canary_reading.sample(_kube.Kube("https://m1:6443", fake), [], fake)
    assert sample.started is None and "does not tell process_start_time_seconds" in sample.error
