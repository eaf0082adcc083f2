# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a prober's result is good enough."""

from __future__ import annotations

import copy
import pathlib
import sys
import types

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))

import probe  # noqa: E402

STREAM = {"sent": 100, "failed": 0, "shed": 0, "retried": 2, "longest_gap_ms": 40.0, "longest_gap_at": "t", "first_errors": []}
CLEAN = {
    "read": dict(STREAM),
    "write": dict(STREAM),
    "watch": dict(STREAM),
    "read_back": {"done": True, "lost": 0, "first_lost": []},
    "end_errors": [],
}


def result(path, value):
    made = copy.deepcopy(CLEAN)
    part = made
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    return made


def test_retries_alone_are_no_problem():
    assert probe.problems(CLEAN, {}) == []


@pytest.mark.parametrize(
    "path,value",
    [
        (("read", "failed"), 1),
        (("write", "failed"), 1),
        (("read", "shed"), 1),
        (("write", "shed"), 1),
        (("watch", "failed"), 1),
        (("read_back", "lost"), 1),
        (("read_back", "done"), False),
        (("read", "sent"), 0),
        (("write", "sent"), 0),
    ],
)
def test_one_failure_of_any_kind_is_a_problem(path, value):
    assert len(probe.problems(result(path, value), {})) == 1


def test_limits_allow_so_many_and_no_more():
    limits = probe.parse_allowed("percent=1,gap=600")
    for stream in ("read", "write"):
        most = CLEAN[stream]["sent"] // 100
        assert probe.problems(result((stream, "failed"), most), limits) == []
        assert probe.problems(result((stream, "failed"), most + 1), limits) != []
    assert probe.problems(result(("write", "longest_gap_ms"), 601), limits) != []


@pytest.mark.parametrize(
    ("limits", "most"), [("failed=10", 10), ("failed=3,percent=0", 3), ("percent=1,failed=1", CLEAN["read"]["sent"] // 100)]
)
def test_a_number_bounds_what_fails_however_long_it_was_measured(limits, most):
    for failed, bearable in ((most, True), (most + 1, False)):
        assert (probe.problems(result(("read", "failed"), failed), probe.parse_allowed(limits)) == []) is bearable


@pytest.mark.parametrize("stream", probe.API)
def test_what_is_shed_has_a_limit_of_its_own_and_is_no_failure(stream):
    limits = probe.parse_allowed("failed=0,shed=5")
    assert probe.problems(result((stream, "shed"), 5), limits) == []
    assert probe.problems(result((stream, "shed"), 6), limits) == [f"6 of 100 {stream}s were shed (5 allowed)"]
    assert probe.problems(result((stream, "failed"), 1), limits) == [f"1 of 100 {stream}s failed (0 allowed)"]
    assert probe.failed_streams(result((stream, "shed"), 100), {}) == []  # so a control that sees nothing else is blind


WORKLOAD = {"read": dict(STREAM), "clean": True}


def test_a_workloads_result_is_judged_by_its_reads_alone():
    assert probe.problems(WORKLOAD, {}, probe.WORKLOAD) == []
    for key, value in (("failed", 1), ("sent", 0)):
        bad = {"read": dict(STREAM) | {key: value}}
        assert len(probe.problems(bad, {}, probe.WORKLOAD)) == 1
    assert probe.problems({"read": dict(STREAM) | {"failed": 1}}, {"percent": 1.0}, probe.WORKLOAD) == []


def test_a_result_without_writes_is_none_of_the_api():
    with pytest.raises(KeyError):
        probe.problems(WORKLOAD, {})


@pytest.mark.parametrize("failed,percent,blind", [(0, 0, True), (1, 0, False), (1, 1, True), (2, 1, False)])
def test_a_control_that_sees_no_more_than_is_allowed_is_blind(failed, percent, blind):
    seen = {"read": dict(STREAM) | {"failed": failed}}
    assert bool(probe.unseen(seen, {"percent": percent}, probe.WORKLOAD)) is blind


class Masters:
    """What the harm of a control is done to; it keeps what the hosts were told."""

    def __init__(self, masters, members):
        self.masters, self.members, self.told = masters, members, []

    def ssh(self, host, command):
        self.told.append((host, command))

    def each(self, hosts, work):
        return {host: work(host) for host in hosts}


BOTH = "systemctl restart --no-block etcd.service kube-apiserver.service"


@pytest.mark.parametrize(
    "masters,members,told",
    [
        (["m1", "m2"], ["m1", "m2"], [("m1", BOTH), ("m2", BOTH)]),
        (
            ["m1"],
            ["e1", "e2"],
            [(e, "systemctl restart --no-block etcd.service") for e in ("e1", "e2")]
            + [("m1", "systemctl restart --no-block kube-apiserver.service")],
        ),
    ],
)
def test_an_unprotected_roll_restarts_all_and_waits_for_nothing(masters, members, told):
    cluster = Masters(masters, members)
    probe.roll_unprotected(cluster)
    assert cluster.told == told


@pytest.mark.parametrize("control,harm", [(probe.control, "--signal=SIGKILL"), (probe.control_roll, "restart --no-block")])
@pytest.mark.parametrize("failed,lost,found", [(9, 0, 0), (0, 0, 2), (9, 1, 1)])
def test_a_control_is_held_to_what_its_prober_saw(monkeypatch, control, harm, failed, lost, found):
    cluster, names = Masters(["m1", "m2", "m3"], ["m1", "m2", "m3"]), []
    seen = copy.deepcopy(CLEAN) | {"summary": "…"}
    seen["read"]["failed"] = seen["write"]["failed"] = failed
    seen["read_back"]["lost"] = lost
    monkeypatch.setattr(probe.probers, "start_on_machine", lambda _cluster, name: names.append(name))
    monkeypatch.setattr(probe.probers, "stop_on_machine", lambda _cluster, name: names.append(name) or seen)
    monkeypatch.setattr(probe.time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(probe, "is_whole", lambda _cluster: True)
    assert len(control(cluster, types.SimpleNamespace(allow={}))) == found
    assert [harm in command for _host, command in cluster.told] == [True] * 3
    assert len(names) == 2 and len(set(names)) == 1


@pytest.mark.parametrize(
    "leader,node,ready,whole",
    [("7", "True", 200, True), ("", "True", 200, False), ("7", "Unknown", 200, False), ("7", "True", 500, False)],
)
def test_a_cluster_is_whole_when_servers_members_and_nodes_are(leader, node, ready, whole):
    cluster = Masters(["m1"], ["m1"])
    cluster.server_of = lambda host: host
    cluster.request = lambda _method, _path, server: (ready, {})
    cluster.etcd = lambda _host, _path: {"leader": leader} if leader else {"header": {}}
    cluster.get = lambda _path: {"items": [{"status": {"conditions": [{"type": "Ready", "status": node}]}}]}
    assert probe.is_whole(cluster) is whole


def test_lost_writes_can_not_be_allowed():
    with pytest.raises(ValueError):
        probe.parse_allowed("lost=1")


EVENTS = [
    {"event": "play", "at": 100.0, "play": "p"},
    {"event": "task", "at": 100.5, "task": "First"},
    {"event": "task", "at": 105.0, "task": "Second"},
    {"event": "stats", "at": 110.0, "hosts": {}},
]


@pytest.mark.parametrize("at,task", [(99.0, ""), (100.2, "its beginning"), (101.0, "First"), (107.0, "Second"), (111.0, "")])
def test_a_time_is_found_in_the_run_it_belongs_to(at, task):
    assert probe.task_at(EVENTS, at) == task


def test_a_burst_of_failures_names_the_step_that_was_being_done():
    burst = {"from": "1970-01-01T00:01:47.25Z", "to": "1970-01-01T00:01:48Z", "failed": 3}
    lines = probe.explain(result(("read", "bursts"), [burst]), {"join": EVENTS})
    assert lines == ["3 reads from 00:01:47.25Z to 00:01:48Z, during join: Second"]


def test_a_workloads_burst_of_failures_names_the_step_too():
    burst = {"from": "1970-01-01T00:01:41Z", "to": "1970-01-01T00:01:42Z", "failed": 2}
    lines = probe.explain({"read": {"bursts": [burst]}}, {"drain": EVENTS})
    assert lines == ["2 reads from 00:01:41Z to 00:01:42Z, during drain: First"]


@pytest.mark.parametrize("text,seconds", [("1970-01-01T00:01:40Z", 100.0), ("1970-01-01T00:01:40.123456789Z", 100.123456789)])
def test_times_of_the_prober_are_read(text, seconds):
    assert abs(probe.parse_time(text) - seconds) < 1e-6
