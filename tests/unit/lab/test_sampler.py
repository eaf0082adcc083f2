# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples of a cluster: what is wrong with them, and that a sample which is wrong is seen to be."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import sys

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _quorum, _skew

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))

import interrupt
import sampler

MASTERS = ("m1", "m2", "m3")
OLD, NEW = "1.36.3", "1.37.2"
VERSIONS = _skew.Versions(
    apiserver=dict.fromkeys(MASTERS, f"v{NEW}"),
    controller_manager=dict.fromkeys(MASTERS, OLD),
    scheduler=dict.fromkeys(MASTERS, OLD),
    kubelet=dict.fromkeys((*MASTERS, "w1"), f"v{OLD}"),
    kube_proxy=dict.fromkeys((*MASTERS, "w1"), OLD),
    etcd={"m1": "3.7.3", "m2": "3.6.16", "m3": "3.6.16"},
)


def cluster(health, learner=False):
    """Return etcd's members m1, m2, ... of this health; the last may be a learner."""
    last = len(health) - 1
    return _quorum.Cluster(
        tuple(_quorum.Member(f"{n}", f"m{n + 1}", learner and n == last, healthy) for n, healthy in enumerate(health))
    )


def sample(at=0.0, health=(True, True, True), running=None, versions=VERSIONS, **more):
    """Return a sample; those run that are healthy, unless `running` says other names."""
    etcd = cluster(health, **more)
    names = running if running is not None else [member.name for member in etcd.members if member.healthy]
    return sampler.Sample(at, versions, etcd, frozenset(names))


def with_version(component, host, version):
    return dataclasses.replace(VERSIONS, **{component: {**getattr(VERSIONS, component), host: version}})


# --- quorum -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "health",
    [
        (True, True, True),
        (True, False, True),  # one restarts
        (None, True, True),
        (None, None, True),  # what was not read is unknown
        (False,),  # the only one restarts
        (False, True, True, True, False),
    ],
)
def test_as_many_voters_as_a_restart_leaves_are_enough(health):
    assert sampler.judge([sample(0, (True,)), sample(1, health), sample(2, health)]) == []


@pytest.mark.parametrize(
    "health,words",
    [
        ((True, False, False), "1 of 3 voters run and 2 must"),
        ((None, False, False), "1 of 3 voters run and 2 must"),
        ((False, False), "0 of 2 voters run and 2 must"),
        ((True, True, False, False, False), "2 of 5 voters run and 3 must"),
    ],
)
def test_a_sample_below_quorum_is_found_at_once(health, words):
    [found] = sampler.judge([sample(0), sample(1, health), sample(2)])
    assert found == f"{words} (in 1 of 3 samples, first at 00:00:01)"


def test_voters_that_run_may_elect_a_leader_in_one_sample_and_not_in_two():
    electing = {"health": (False, False, False), "running": MASTERS}
    assert sampler.judge([sample(0), sample(1, **electing), sample(2)]) == []
    [found] = sampler.judge([sample(0), sample(1, **electing), sample(2, **electing)])
    assert found.startswith("0 of 3 voters serve for longer than an election takes, and 2 must (in 1 of 3 samples")


def test_of_two_voters_one_may_be_removed_in_one_sample_and_away_in_no_two():
    one_of_two = {"health": (True, False)}
    assert sampler.judge([sample(0), sample(1, **one_of_two), sample(2, (True,))]) == []
    [found] = sampler.judge([sample(0), sample(1, **one_of_two), sample(2, **one_of_two)])
    assert found.startswith("1 of 2 voters serve for longer than an election takes, and 2 must (in 1 of 3 samples")


def test_the_only_voter_may_restart_and_not_run_without_serving():
    down, electing = {"health": (False,)}, {"health": (False,), "running": ("m1",)}
    assert sampler.judge([sample(0, (True,)), sample(1, **down), sample(2, **electing), sample(3, (True,))]) == []
    assert sampler.judge([sample(0, (True,)), sample(1, **electing), sample(2, **down), sample(3, **electing)]) == []
    [found] = sampler.judge([sample(0, (True,)), sample(1, **electing), sample(2, **electing)])
    assert found.startswith("0 of 1 voters serve for longer than an election takes, and 1 must")


def test_a_run_of_samples_without_a_member_is_no_lost_quorum():
    assert not sampler.quorum_findings(sampler.Sample(0.0), sampler.Sample(1.0))


def test_a_learner_has_no_vote():
    assert sampler.judge([sample(0, (True, True), learner=True), sample(1, (True, False), learner=True)]) == []


# --- versions -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "component,host,version,words",
    [
        ("kubelet", "w1", "v1.38.0", "w1: kubelet 1.38.0 (wanted: not newer than any API server (1.37.2))"),
        ("kube_proxy", "w1", "1.38.0", "w1: kube-proxy 1.38.0"),
        ("scheduler", "m2", "1.38.0", "m2: kube-scheduler 1.38.0"),
        ("controller_manager", "m2", "1.38.0", "m2: kube-controller-manager 1.38.0"),
        ("apiserver", "m3", "v1.35.0", "m3: kube-apiserver 1.35.0"),
        ("etcd", "m2", "3.6.10", "m2: etcd 3.6.10"),
    ],
)
def test_versions_that_must_not_run_side_by_side_are_found(component, host, version, words):
    wrong = with_version(component, host, version)
    found = sampler.judge([sample(0), sample(1, versions=wrong), sample(2, versions=wrong)])
    assert any(line.startswith(words) and line.endswith("(in 2 of 3 samples, first at 00:00:01)") for line in found)


def test_a_kubelet_that_is_newer_than_the_api_server_of_another_host_is_found():
    one_old = dataclasses.replace(with_version("apiserver", "m3", f"v{OLD}"), kubelet={"m1": f"v{NEW}"})
    [found] = sampler.judge([sample(versions=one_old)])
    assert found.startswith("m1: kubelet 1.37.2")


def test_an_api_server_that_does_not_answer_is_unknown():
    silent = dataclasses.replace(VERSIONS, apiserver={})
    assert sampler.judge([sample(0), sample(1, versions=silent)]) == []


def test_a_series_that_saw_nothing_proves_nothing():
    nothing = ["no sample tells the versions of API servers and kubelets", "no sample tells of a voter that serves"]
    assert sampler.judge([]) == nothing
    assert sampler.judge([sampler.Sample(0.0)]) == nothing


# --- what hosts answer ----------------------------------------------------------------------------------------------------


def said(index, *, reads=True, runs=True, listed=("m1", "m2", ""), learner="m2"):
    """Return a member's answers; the nameless one was added and never started."""
    members = [{"ID": f"id-{name}", **({"name": name} if name else {"isLearner": True})} for name in listed]
    for one in members:
        one.update({"isLearner": True} if one.get("name") == learner else {})
    return {
        "status": {"header": {}, "leader": "1", "raftAppliedIndex": str(index), "version": "3.6.16"} if runs else {},
        "read": {"header": {}} if reads else {"code": 14},
        "list": {"members": members} if runs else {},
    }


def roles(members):
    return [(member.name, member.is_learner, member.healthy) for member in members]


def test_members_are_put_together_from_what_each_says_of_itself():
    told = {"m1": said(9), "m2": said(9, reads=False, listed=())}
    assert roles(sampler.members_of(told)) == [("m1", False, True), ("m2", True, True), ("", True, None)]


def test_the_list_of_the_member_that_is_further_on_counts():
    told = {"m1": said(8, listed=("m1",)), "m2": said(9, listed=("m1", "m2"), learner="")}
    assert [name for name, _learner, _healthy in roles(sampler.members_of(told))] == ["m1", "m2"]


def test_when_no_member_tells_the_known_ones_are_down():
    known = sampler.members_of({"m1": said(9, listed=("m1", "m2"), learner="")})
    down = said(0, reads=False, runs=False)
    assert roles(sampler.members_of({"m1": down, "m2": down}, known)) == [("m1", False, False), ("m2", False, False)]


def test_the_state_names_learners_and_what_never_started():
    told = sampler.Sample(0.0, etcd=_quorum.Cluster(sampler.members_of({"m1": said(9), "m2": said(9, reads=False)})))
    assert sampler.state_of(told) == (
        "1 of 1 voters healthy, quorum 1, survives 0 more; learners: m2; added and never started: the unnamed member id- (no URL)"
    )


def test_a_series_is_told_by_its_worst_sample():
    lines = sampler.tell([sample(0), sample(1, (True, False, True)), sample(2)])
    assert lines[0] == "3 samples in 2 s: fewest healthy voters 2 of 3, quorum 2, at 00:00:01; somebody was silent in 0"
    assert f"kubelet v{OLD}" in lines[1] and "etcd 3.6.16, 3.7.3" in lines[1]
    assert len(sampler.changes([sample(0), sample(1, (True, False, True)), sample(2), sample(3)])) == 3


class Lab:
    """A lab of two masters and a worker that answers as told; m3 is a member and off."""

    masters, members = ["m1", "m2", "m3"], ["m1", "m2", "m3"]
    nodes = ["m1", "m2", "m3", "w1"]
    addresses = {"m1": "192.0.2.11", "m2": "192.0.2.12", "w1": "192.0.2.21"}

    def __init__(self):
        self.order = []

    def each(self, hosts, work):
        return {host: work(host) for host in hosts}

    def etcd_question(self, host, path, body):
        return f"ask {host} {path}"

    def server_of(self, host):
        return host

    def ssh(self, host, command, timeout):
        self.order.append("host")
        assert ("ask" in command) == (host in self.members)
        if host == "m2":
            raise sampler.access.AccessError("silent")
        answers = {name: json.dumps(one) for name, one in said(9, listed=MASTERS, learner="").items()}
        answers |= {"kube-proxy": f"/opt/multimaster/kubernetes/{OLD}/kube-proxy", "kube-scheduler": ""}
        return "\n".join(f"{name} {text}" for name, text in answers.items())

    def get(self, path, server, timeout):
        self.order.append(path)
        if server == "m1":
            raise OSError("refused")
        node = {"metadata": {"name": "w1"}, "status": {"nodeInfo": {"kubeletVersion": f"v{OLD}"}}}
        return {"gitVersion": f"v{NEW}"} if path == "/version" else {"items": [node]}


def test_a_look_asks_each_host_by_itself_and_the_api_servers_last():
    lab = Lab()
    seen = sampler.look(lab)
    assert seen.versions == _skew.Versions(
        apiserver={"m2": f"v{NEW}"}, kubelet={"w1": f"v{OLD}"}, kube_proxy={"m1": OLD, "w1": OLD}, etcd={"m1": "3.6.16"}
    )
    assert roles(seen.etcd.members) == [("m1", False, True), ("m2", False, None), ("m3", False, False)]
    assert seen.silent == ("host m2", "API server m1", "etcd m3")
    assert lab.order == ["host"] * 3 + ["/api/v1/nodes"] * 2 + ["/version"] * 2


def test_a_watch_samples_until_its_end(monkeypatch):
    monkeypatch.setattr(sampler, "EVERY", 0.001)
    lab = Lab()
    lab.inventory = lab.tls = None
    with sampler.Watch(lab) as watch:
        sampler.access.wait("two samples", lambda: len(watch.samples) > 1, 5, 0.001)
    taken = len(watch.samples)
    assert taken > 1 and not watch.died and not watch._thread.is_alive()


def test_a_watch_that_dies_says_so(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sampler, "EVERY", 0.001)
    monkeypatch.setattr(sampler, "look", lambda *_arguments: 1 / 0)
    lab = Lab()
    lab.inventory = lab.tls = None
    lab.results = tmp_path
    with sampler.Watch(lab) as watch:
        watch._thread.join(5)
    assert watch.report("x")[-1].startswith("sampling ended early: ZeroDivisionError")
    assert json.loads((tmp_path / "x-samples.json").read_text())["samples"] == 0


@pytest.mark.parametrize(
    "taken,broken",
    [
        (sample(), []),
        (sample(health=(True, True, False)), []),
        (sample(health=(True, False, False)), ["etcd has its quorum: not within"]),
        (sample(health=(True, None, None)), ["etcd has its quorum: not within"]),  # who cannot be asked serves nobody
        (sample(health=(True, True)), []),
        (sample(health=(True, False)), ["etcd has its quorum: not within"]),
        (sample(health=(True, False), learner=True), []),
        (sample(health=(True,)), []),
        (sample(health=(False,)), ["etcd has its quorum: not within"]),
        (sampler.Sample(0.0), ["etcd has its quorum: not within"]),
    ],
)
def test_a_cut_that_costs_the_quorum_has_broken_something(monkeypatch, taken, broken):
    assert found_after(monkeypatch, taken) == broken


@pytest.mark.parametrize(
    "managed,holders,broken",
    [
        (True, [["m1"]], []),
        (True, [[]], ["a host has the endpoint address: not within"]),
        (True, [["m1", "m2"]], ["the endpoint address is on m1, m2"]),
        (False, [[]], []),
        (False, [["m1", "m2"]], ["the endpoint address is on m1, m2"]),
    ],
)
def test_a_cut_that_leaves_no_holder_or_two_has_broken_something(monkeypatch, managed, holders, broken):
    assert found_after(monkeypatch, sample(), managed, holders) == broken


def test_a_holder_may_come_a_little_later_and_a_second_one_may_not_be_waited_away(monkeypatch):
    assert found_after(monkeypatch, sample(), holders=[[], ["m1"]], patience=5) == []
    two = ["the endpoint address is on m1, m2"]
    assert found_after(monkeypatch, sample(), holders=[["m1", "m2"], ["m1"]], patience=5) == two


def found_after(monkeypatch, taken, managed=True, holders=(["m1"],), patience=-1):
    """Return how what is found after a cut begins: the sample that is taken, and who has the address at each look."""
    lab, looks = Lab(), list(holders)
    lab.managed = managed
    lab.request, lab.holders = lambda _method, _path: (200, {}), lambda: looks.pop(0)
    monkeypatch.setattr(interrupt, "ANSWERS", patience)
    monkeypatch.setattr(sampler.access.time, "sleep", lambda _seconds: None)
    monkeypatch.setattr(sampler, "look", lambda _cluster: taken)
    return [line.split(" -")[0].split(" 5 s")[0] for line in interrupt.broken(lab)]


# --- the negative control ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [3, 4, 5, 7])
def test_the_control_stops_the_fewest_without_which_there_is_no_quorum(count):
    voters = [f"m{number}" for number in range(count)]
    stopped = interrupt.too_many(voters)
    left = count - len(stopped)
    assert voters[:left] + stopped == voters and left > 0
    assert left < _quorum.quorum(count) <= left + 1


@pytest.mark.parametrize("voters", [[], ["m1"], ["m1", "m2"]])
def test_the_control_takes_three_voters(voters):
    with pytest.raises(sampler.access.AccessError):
        interrupt.too_many(voters)


def test_the_samples_find_the_members_that_the_control_stops():
    """Of one voter, and of two with a learner, they would find nothing."""
    [found] = sampler.judge([sample(0), sample(1, (True, False, False))])
    assert interrupt.unseen("x", ("voters run and",), [found]) == []
    assert sampler.quorum_findings(None, sample(0, (False,))) == sampler.quorum_findings(None, sample(0, (False, None))) == []


@pytest.mark.parametrize(
    ("words", "found", "wrong"),
    [
        (("a",), ["xax"], []),
        (("a", "b"), ["b", "a"], []),
        (("a", "b"), ["a"], ["negative control, harm: no finding 'b', it found a"]),
        (("a",), [], ["negative control, harm: no finding 'a', it found nothing"]),
    ],
)
def test_a_judge_that_does_not_see_the_harm_is_blind(words, found, wrong):
    assert interrupt.unseen("harm", words, found) == wrong


QUORUM_FOUND = ["the API answers: not within 6 s", "etcd has its quorum: not within 6 s"]
TWICE_FOUND = ["the endpoint address is on m1, m2"]


@pytest.mark.parametrize(
    ("told", "lost", "blind"),
    [
        (([], TWICE_FOUND, QUORUM_FOUND), (True, False, False), []),
        ((["x"], TWICE_FOUND, QUORUM_FOUND), (True, False, False), ["before any harm: x"]),
        (([], [], QUORUM_FOUND), (True, False, False), ["the endpoint address is on"]),
        (([], TWICE_FOUND, QUORUM_FOUND[:1]), (True, False, False), ["etcd has its quorum: not"]),
        (([], TWICE_FOUND, QUORUM_FOUND[1:]), (True, False, False), ["the API answers: not"]),
        (([], TWICE_FOUND, QUORUM_FOUND), (True, True, False), ["voters run and"]),
        (([], TWICE_FOUND, []), (True, True, True), ["the API answers: not", "etcd has its quorum: not", "voters run and"]),
    ],
)
def test_the_control_fails_where_a_judge_is_blind_and_where_it_cried_before(monkeypatch, told, lost, blind):
    answers, done, now = list(told), [], [100.0]

    class Watch:
        def __init__(self, _cluster):
            self.samples = [sample(99.0)]

        def __enter__(self):
            return self

        def __exit__(self, *_error):
            done.append("watched")

    @contextlib.contextmanager
    def harm(name):
        done.append(name)
        yield
        done.append(f"{name} taken back")

    def wait(what, holds, _seconds):
        while not holds():
            watch.samples.append(sample(now[0] + 1, lost))
        done.append(what)

    watch = Watch(None)
    monkeypatch.setattr(interrupt.sampler, "Watch", lambda _cluster: watch)
    monkeypatch.setattr(interrupt, "broken", lambda _cluster, _patience: answers.pop(0))
    monkeypatch.setattr(interrupt.refuse, "two_holders", lambda _cluster: harm("two holders"))
    monkeypatch.setattr(interrupt, "quorum_lost", lambda _cluster: harm("no quorum"))
    monkeypatch.setattr(interrupt.refuse, "settle", lambda _cluster: done.append("settled"))
    monkeypatch.setattr(interrupt.access, "wait", wait)
    monkeypatch.setattr(interrupt.time, "time", lambda: now[0])
    wrong = interrupt.control(None)
    assert len(wrong) == len(blind) and all(word in line for word, line in zip(blind, wrong, strict=True)), wrong
    assert done[-4:] == ["a sample without quorum", "no quorum taken back", "watched", "settled"]
    assert "two holders taken back" in done and not answers


def test_what_the_control_stops_is_started_again_whatever_happens(monkeypatch):
    class Stopping:
        done = []

        def each(self, hosts, work):
            return {host: work(host) for host in hosts}

        def ssh(self, host, command):
            self.done.append((host, command.split()[1], command.split()[-1]))

    monkeypatch.setattr(sampler, "look", lambda _cluster: sample())
    monkeypatch.setattr(interrupt.time, "sleep", lambda _seconds: None)
    with pytest.raises(ValueError), interrupt.quorum_lost(Stopping()):
        raise ValueError
    stopped = [(host, "stop", "etcd.service") for host in ("m2", "m3")]
    assert Stopping.done == stopped + [(host, "start", "etcd.service") for host in ("m2", "m3")]
