# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the probers of a lab are told, what harm their controls do, and how each is judged."""

from __future__ import annotations

import copy
import pathlib
import sys
import types

import pytest
from prober_fixtures import CLEAN, result

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))

import probe


class Masters:
    """What the harm of a control is done to; it keeps what the hosts were told, and what was looked at."""

    workers = ["w1", "w2"]

    def __init__(self, masters, members, balanced=False):
        self.masters, self.members, self.balanced, self.told = masters, members, balanced, []
        self.nodes = [*masters, *self.workers]

    def ssh(self, host, command, timeout=60):
        self.told.append((host, command))

    def each(self, hosts, work):
        return {host: work(host) for host in hosts}

    def server_of(self, host):
        return host

    def request(self, _method, _path, server):
        self.told.append((server, "is ready"))
        return 200, {}

    def etcd(self, host, _path):
        self.told.append((host, "has a leader"))
        return {"leader": "7"}


def killed(*units):
    names = " ".join(units)
    return f"systemctl stop --no-block {names}; systemctl kill --signal=SIGKILL {names}; systemctl stop {names}"


def started(*units):
    return f"systemctl start --no-block {' '.join(units)}"


ETCD, SERVER = "etcd.service", "kube-apiserver.service"
ALL = ("haproxy.service", ETCD, SERVER)


@pytest.fixture
def slept(monkeypatch):
    moments = []
    monkeypatch.setattr(probe.time, "sleep", moments.append)
    return moments


def turn(host, *units):
    looks = [word for unit, word in ((ETCD, "has a leader"), (SERVER, "is ready")) if unit in units]
    return [(host, said) for said in (killed(*units), started(*units), *looks)]


@pytest.mark.parametrize(
    "cluster,told",
    [
        (Masters(["m1", "m2"], ["m1", "m2"], balanced=True), [*turn("m1", *ALL), *turn("m2", *ALL)]),
        (Masters(["m1"], ["m1"]), turn("m1", ETCD, SERVER)),
        (Masters(["m1"], ["e1", "e2"]), [*turn("e1", ETCD), *turn("e2", ETCD), *turn("m1", SERVER)]),
    ],
    ids=["balanced", "one master", "etcd on hosts of its own"],
)
def test_an_unprotected_roll_kills_each_host_for_longer_than_a_request_waits_and_waits_for_it(slept, cluster, told):
    probe.roll_unprotected(cluster)
    assert cluster.told == told
    assert slept == [probe.AWAY] * len([one for one in told if "kill" in one[1]]) and min(slept) > 5


@pytest.mark.parametrize(
    "cluster,order",
    [
        (Masters(["m1", "m2"], ["m1", "m2"], balanced=True), {"m1": (ETCD, SERVER), "m2": (ETCD, SERVER)}),
        (Masters(["m1"], ["e1"]), {"e1": (ETCD,), "m1": (SERVER,)}),
    ],
    ids=["balanced", "etcd on hosts of its own"],
)
def test_a_plain_roll_restarts_each_host_and_waits_for_it_and_kills_nobody(slept, cluster, order):
    probe.roll_plainly(cluster)
    assert cluster.told == [
        one for host, units in order.items() for one in [(host, f"systemctl restart {' '.join(units)}"), *turn(host, *units)[2:]]
    ]
    assert not slept


@pytest.mark.parametrize(
    "failed,must_fail,found",
    [
        ({}, False, 0),
        ({}, True, 1),
        ({"read": 3}, True, 0),
        ({"write": 2}, True, 0),
        ({"write": 1}, True, 1),
        ({"read": 3}, False, 0),
    ],
)
def test_what_a_plain_roll_costs_is_told_and_held_to_only_when_asked(monkeypatch, slept, capsys, failed, must_fail, found):
    seen = copy.deepcopy(CLEAN) | {"summary": "so many failed"}
    for stream, count in failed.items():
        seen[stream]["failed"] = count
    monkeypatch.setattr(probe.probers, "start_on_machine", lambda _cluster, _name: None)
    monkeypatch.setattr(probe.probers, "stop_on_machine", lambda _cluster, _name: seen)
    monkeypatch.setattr(probe, "is_whole", lambda _cluster: True)
    options = types.SimpleNamespace(allow={}, in_cluster=False, must_fail=must_fail)
    assert len(probe.control_plain(Masters(["m1"], ["m1"]), options)) == found
    assert "m1 restarted, one after the other" in capsys.readouterr().out
    seen["read_back"]["lost"] = 1
    assert len(probe.control_plain(Masters(["m1"], ["m1"]), options)) == found + 1


def test_the_address_of_the_lone_master_is_away_for_longer_than_a_request_waits_and_nothing_stops(slept):
    cluster = Masters(["m1"], ["m1"])
    probe.uncover(cluster)
    assert cluster.told == [("m1", f"systemctl {act} multimaster-endpoint.service") for act in ("stop", "start")]
    assert slept == [probe.AWAY, 0] and probe.AWAY > 5
    with pytest.raises(SystemExit, match="VRRP would cover it"):
        probe.uncover(Masters(["m1", "m2"], ["m1", "m2"], balanced=True))


def test_of_three_members_two_are_away_for_longer_than_a_request_waits(slept):
    cluster = Masters(["m1"], ["e1", "e2", "e3"])
    probe.overlap_members(cluster)
    away, most, done = set(), [], iter(slept)
    for host, command in cluster.told:
        (away.add if "kill" in command else away.discard)(host)
        most.append(len(away))
    assert not away and most == [1, 2, 1, 2, 1, 0]
    assert sum(done) < 20  # seconds, so that `make test` has the time


@pytest.mark.parametrize("control", [probe.control, probe.control_roll, probe.control_members])
@pytest.mark.parametrize(
    "failed,within,lost,found",
    [(2, 6, 0, 0), (0, 6, 0, 2), (1, 6, 0, 2), (2, 0, 0, 1), (2, 5, 0, 1), (2, 6, 1, 2)],
    ids=["good", "blind", "no more than a clean one", "blind within", "no more than a clean one within", "lost"],
)
def test_a_control_is_held_to_what_its_probers_saw(monkeypatch, slept, control, failed, within, lost, found):
    cluster, names = Masters(["m1", "m2", "m3"], ["m1", "m2", "m3"]), []
    seen = copy.deepcopy(CLEAN) | {"summary": "…"}
    seen["read"]["failed"] = seen["write"]["failed"] = failed
    seen["read_back"]["lost"] = lost
    inside = copy.deepcopy(seen)
    inside["read"]["failed"], inside["write"]["failed"] = within, 0
    monkeypatch.setattr(probe.probers, "start_on_machine", lambda _cluster, name: names.append(name))
    monkeypatch.setattr(probe.probers, "stop_on_machine", lambda _cluster, name: names.append(name) or seen)
    monkeypatch.setattr(probe.probers, "start_in_cluster", lambda _cluster, host: names.append(host))
    monkeypatch.setattr(probe.probers, "stop_on_host", lambda _cluster, _which, name: names.append(name) or inside)
    monkeypatch.setattr(probe, "is_whole", lambda _cluster: True)
    assert len(control(cluster, types.SimpleNamespace(allow={}, in_cluster=True))) == found
    assert sum("--signal=SIGKILL" in command for _host, command in cluster.told) == 3
    assert names == [names[0], "w2", names[0], f"{names[0]}-in-cluster"]


def test_the_prober_in_the_cluster_runs_where_no_api_server_does():
    cluster = Masters(["m1", "w2"], ["m1"])
    assert probe.last_worker(cluster) == "w1"
    cluster.workers = ["w2"]
    with pytest.raises(SystemExit, match="only that"):
        probe.last_worker(cluster)


@pytest.fixture
def stopping(monkeypatch, tmp_path):
    """Return a lab with all four probers that each saw six reads fail at once, 105 s after its beginning."""
    cluster = types.SimpleNamespace(name="x", state=tmp_path, results=tmp_path)
    for which in probe.probers.ON_HOSTS:
        probe.probers.marker(cluster, which).write_text("w1")
    probe.probers.pod_marker(cluster).touch()
    seen = result(("read", "bursts"), [{"from": "1970-01-01T00:01:45Z", "to": "1970-01-01T00:01:45Z", "failed": 6}])
    seen["read"]["failed"] = 6
    seen |= {"summary": "…", "started": "1970-01-01T00:00:00Z", "ended": "1970-01-01T00:10:00Z"}
    for name in ("stop_on_machine", "stop_in_pod", "stop_on_host"):
        monkeypatch.setattr(probe.probers, name, lambda *_: seen)
    monkeypatch.setattr(probe.workloads, "GuardedWeb", lambda *_: types.SimpleNamespace(remove=lambda: None))
    monkeypatch.setattr(probe.lab_hosts.lab_tool, "state_folder", lambda _name: tmp_path)
    return cluster


MACHINE, POD, INSIDE, WEB = (
    "prober on the machine",
    "prober in a pod",
    "prober in the cluster, on w1",
    "prober of the workload, on w1",
)


@pytest.mark.parametrize(
    ("died", "after_death", "found"),
    [
        ([], False, [MACHINE, INSIDE, WEB]),
        ([100.0], False, [MACHINE, INSIDE, WEB]),
        ([100.0], True, [WEB]),
        ([50.0], True, [MACHINE, WEB]),
        ([-500.0], True, [MACHINE, MACHINE, POD, INSIDE, INSIDE, WEB, WEB]),
        ([], True, [MACHINE, MACHINE, POD, INSIDE, INSIDE, WEB, WEB]),
    ],
    ids=["nobody died", "not asked for", "just before", "a while before", "before the session", "nobody, though it is said"],
)
def test_each_prober_is_judged_by_its_limits_and_by_when_a_host_died(stopping, capsys, died, after_death, found):
    (stopping.state / probe.lab_hosts.DEATHS).write_text("".join(f'{{"at": {at}, "host": "m1"}}\n' for at in died))
    said = probe.stop(stopping, types.SimpleNamespace(after_death=after_death))
    assert [line.split(":")[0] for line in said] == found
    assert "prober in the cluster, on w1: …" in capsys.readouterr().out


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
