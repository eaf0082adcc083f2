# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a played API server and played members that keep counters, on a played clock."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _canary_reading, _kube
from ansible_collections.multimaster.kubernetes.plugins.module_utils._canary import Look, Sample
from ansible_collections.multimaster.kubernetes.plugins.module_utils._https import Answer
from fake_canary import Played
from fake_etcd import Time

M1, M2 = MEMBERS = ("https://m1:2379", "https://m2:2379")
SERVER = "https://m1:6443"
LEADER_CHANGES = "etcd_server_leader_changes_seen_total"


@pytest.fixture
def fake():
    return Played()


def kube(opener, time=None):
    time = time or Time()
    return _kube.Kube(SERVER, opener, clock=time.clock, sleep=time.sleep)


def watched(fake, seconds, events=None, time=None):
    time = time or Time()
    time.events.update(events or {})
    return _canary_reading.watch(kube(fake, time), MEMBERS, fake, seconds, time.clock, time.sleep)


def answering(status, text):
    return lambda *_request: Answer(status, text if isinstance(text, bytes) else text.encode())


def test_a_sample_has_the_start_the_requests_by_code_and_the_leader_changes_by_member(fake):
    fake.codes = {"200": 30, "500": 2}
    assert _canary_reading.sample(kube(fake), MEMBERS, fake) == Sample(100.0, {"200": 30, "500": 2}, {M1: 5, M2: 7})


@pytest.mark.parametrize(
    ("down", "told", "said"),
    [
        ("m1", {M2: 7}, ["https://m1:2379/metrics: connection refused"]),
        ("m1 m2", {}, ["https://m1:2379/metrics: connection refused", "https://m2:2379/metrics: connection refused"]),
        ("silent", {}, [f"https://m1:2379/metrics: HTTP 404, no {LEADER_CHANGES}", "https://m2:2379/metrics: HTTP 404"]),
        ("api", {M1: 5, M2: 7}, ["HTTP 503"]),
        # the API server first: it is the canary
        ("m2 api", {M1: 5}, ["HTTP 503", "https://m2:2379/metrics: connection refused"]),
    ],
)
def test_what_cannot_be_read_is_said_and_the_rest_is_told(fake, down, told, said):
    fake.down, fake.silent = set(down.split()), down == "silent"
    found, up = _canary_reading.sample(kube(fake), MEMBERS, fake), "api" not in fake.down
    assert (found.started, found.requests) == ((100.0, {"200": 30}) if up else (None, {}))
    assert found.leader_changes == told
    parts = found.error.split("; ")
    assert len(parts) == len(said) and all(words in part for words, part in zip(said, parts, strict=True)), found.error


def test_metrics_without_the_time_of_the_start_are_an_error_and_the_requests_are_told(fake):
    fake._metrics = answering(200, 'apiserver_request_total{code="200",verb="GET"} 1\n')
    fake.down = {"m2"}
    found = _canary_reading.sample(kube(fake), MEMBERS, fake)
    assert (found.started, found.requests, found.leader_changes) == (None, {"200": 1}, {M1: 5})
    assert found.error.startswith(f"{SERVER}/metrics does not tell process_start_time_seconds; https://m2:2379")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (f"{LEADER_CHANGES} 0\n", 0),
        (f"# TYPE {LEADER_CHANGES} counter\n{LEADER_CHANGES} 1.2e+01\n", 12),
        (b'go_info{version="\xff"} 1\n' + f"{LEADER_CHANGES} 3\n".encode(), 3),
    ],
)
def test_a_member_tells_its_leader_changes_among_other_metrics(text, count):
    assert _canary_reading.leader_changes(M1, answering(200, text)) == count


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (200, ""),
        (200, f"{LEADER_CHANGES}_more 3\n"),
        (200, f"{LEADER_CHANGES} many\n"),
        (404, "404 page not found\n"),
        # who refuses tells nothing, whatever it says besides
        (503, f"{LEADER_CHANGES} 3\n"),
    ],
)
def test_a_member_that_does_not_tell_its_leader_changes_is_named_with_its_answer(status, text):
    with pytest.raises(ValueError, match=f"{M1}/metrics: HTTP {status}, no {LEADER_CHANGES}"):
        _canary_reading.leader_changes(M1, answering(status, text))


def test_a_member_has_little_time_to_answer():
    asked = []
    _canary_reading.leader_changes(M1, lambda *request: asked.append(request) or answering(200, f"{LEADER_CHANGES} 3\n")())
    [(method, url, _body, _headers, timeout)] = asked
    assert (method, url, timeout) == ("GET", "https://m1:2379/metrics", _canary_reading.MEMBER_SECONDS)


@pytest.mark.parametrize(
    ("status", "text", "look"),
    [
        (200, "[+]ping ok\nreadyz check passed\n", Look(True)),
        (500, "[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n", Look(False, "/readyz: etcd")),
        (500, "[-]ping failed: x\n[-]etcd failed: x\nreadyz check failed\n", Look(False, "/readyz: etcd, ping")),
        (500, "[+]ping ok\nreadyz check failed\n", Look(False, "/readyz: not ready")),
    ],
)
def test_a_look_says_what_is_missing(fake, status, text, look):
    fake.kube.readyz = (status, text)
    assert _canary_reading.look(kube(fake)) == look


def test_a_look_that_is_not_answered_is_not_ready_and_says_why(fake):
    _before, _after, looks, _took = watched(fake, 3, {2: lambda: setattr(fake.kube, "down", 1)})
    assert [look.ready for look in looks] == [True, True, False, True]
    assert "connection refused" in looks[2].said


@pytest.mark.parametrize(("seconds", "at"), [(0, [0]), (0.5, [0, 0.5]), (3, [0, 1, 2, 3]), (2.25, [0, 1, 2, 2.25])])
def test_it_looks_every_second_and_once_at_the_end(fake, seconds, at):
    time, times = Time(), []

    def asked(method, url, *rest):
        if "readyz" in url:
            times.append(time.now)
        return fake(method, url, *rest)

    before, after, looks, took = watched(asked, seconds, time=time)
    assert (times, len(looks), took) == (at, len(at), seconds)
    # its counters once before and once after
    assert (before.requests, after.requests, fake.metrics_asked) == ({"200": 30}, {"200": 60}, 2)


def test_counters_that_take_long_to_read_leave_the_whole_window_to_the_looks(fake):
    time = Time()

    def slow(method, url, *rest):
        time.now += 0 if "readyz" in url else 2
        return fake(method, url, *rest)

    _before, _after, looks, took = watched(slow, 3, time=time)
    assert (len(looks), took) == (4, 6 + 3 + 6)


def test_a_clock_that_passes_the_end_in_between_makes_nobody_wait_for_less_than_nothing(fake):
    readings, waits = iter((0, 0, 0.9, 1.1, 1.2, 1.3)), []
    _before, _after, looks, took = _canary_reading.watch(kube(fake), (), fake, 1, lambda: next(readings), waits.append)
    assert (len(looks), waits, took) == (2, [0], 1.3)
