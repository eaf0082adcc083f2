# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The small questions to a cluster that is upgraded: what changes, what is spared, what etcd's version is."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _skew, _upgrade, _upgrade_view
from upgrade_fixtures import NEW, OLD, all_but_m1, changed, codes, external, planned, running, stacked, wanted, workers


def view(hosts, before=OLD, target=NEW, told=None, **differing):
    """Return the view of these hosts, everything the same but for `component={host: version}`; None takes one away."""
    versions = running(hosts, *before)
    for component, texts in differing.items():
        for host, text in texts.items():
            getattr(versions, component)[host] = text
            if text is None:
                del getattr(versions, component)[host]
    return _upgrade_view.View(versions, tuple(hosts), wanted(target), told or _upgrade_view.Etcd())


def host_of(seen, name):
    return next(host for host in seen.hosts if host.name == name)


def test_a_percentage_is_of_all_workers_at_least_one_and_masters_do_not_count():
    def batches(hosts, batch):
        plan = planned(hosts, batch=batch)
        return [len(step.hosts) for step in plan.steps if step.kind == "node" and step.hosts[0].startswith("w")]

    same_zone = changed(changed(workers(3), "w2", zone="a"), "w3", zone="a")
    both = tuple(dataclasses.replace(host, worker=True) for host in stacked(3))
    assert batches(same_zone, "70%") == [2, 1]
    assert batches((*both, *same_zone), "70%") == [2, 1]
    assert batches(same_zone, "1%") == [1, 1, 1]
    assert batches(same_zone, "9") == [3]


def test_while_a_member_is_down_the_cluster_version_etcd_tells_counts_more_than_the_members():
    assert [step.kind for step in all_but_m1("3.6.0").steps] == ["fetch", "snapshot", "master", "master", "master"]
    assert codes(all_but_m1("3.7.0")) == ["downgrade-down"]


def test_what_etcd_is_about_to_raise_its_cluster_version_to_counts_when_every_member_runs():
    hosts = stacked(3)
    plan = _upgrade.plan(running(hosts, OLD[0], NEW[1]), hosts, wanted(OLD), _upgrade.Etcd("3.6.0"))
    assert [step.kind for step in plan.steps][:3] == ["fetch", "snapshot", "downgrade"]


# Hosts and versions

CONTROL = ("apiserver", "controller_manager", "scheduler")


@pytest.mark.parametrize(
    ("parts", "components"),
    [
        ({"master": True, "member": True}, ("etcd", *CONTROL, "kubelet", "kube_proxy")),
        ({"master": True}, (*CONTROL, "kubelet", "kube_proxy")),
        ({"worker": True}, ("kubelet", "kube_proxy")),
        ({"member": True}, ("etcd",)),
        ({}, ()),
    ],
    ids=["a master with a member", "a master beside etcd hosts", "a worker", "an etcd host", "nothing"],
)
def test_what_is_to_run_on_a_host(parts, components):
    host = _upgrade_view.Host("h", **parts)
    assert host.components == _upgrade_view.components(host) == components


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("1.36.3", (1, 36, 3)),
        (" v1.37.0-rc.1 ", (1, 37, 0)),
        ("1.36", None),
        ("?", None),
        ("", None),
        (None, None),
    ],
)
def test_what_cannot_be_read_is_no_version(text, version):
    assert _upgrade_view.read(text) == version


@pytest.mark.parametrize(
    ("running", "way"),
    [
        ((), "stay"),
        (("1.36.3",), "stay"),
        (("1.36.2", "1.36.3"), "up"),
        (("1.36.3", "1.36.4"), "back"),
        (("1.35.9", "1.36.4"), "back"),
    ],
)
def test_one_newer_version_makes_the_way_one_back(running, way):
    assert _upgrade_view.direction([_skew.parse(text) for text in running], _skew.parse("1.36.3")) == way


def test_what_changes_on_a_host_is_what_runs_there_and_not_as_wanted():
    everything = ("etcd", *CONTROL, "kubelet", "kube_proxy")
    hosts = changed((*stacked(1), *workers(1)), "w1", stopped=("kube_proxy",))
    seen = view(hosts, NEW, NEW, etcd={"m1": OLD[1]}, scheduler={"m1": None}, kubelet={"m1": "?"})
    assert seen.changing(host_of(seen, "m1"), everything) == ("etcd", "scheduler", "kubelet")
    assert seen.changing(host_of(seen, "m1"), ("apiserver", "scheduler")) == ("scheduler",), "only what was asked for"
    assert seen.changing(host_of(seen, "w1"), everything) == ("kube_proxy",), "a stopped one is started, whatever its version"
    assert seen.now("scheduler", host_of(seen, "m1")) is None
    assert seen.now("kubelet", host_of(seen, "m1")) is None
    assert str(seen.now("etcd", host_of(seen, "m1"))) == OLD[1]
    assert [seen.target(component) for component in ("etcd", "kubelet")] == [NEW[1], NEW[0]]


def test_versions_are_those_that_can_be_read_wherever_they_run():
    seen = view(stacked(3), OLD, kubelet={"m1": "?", "m2": "1.35.4", "w9": "1.34.1"})
    assert sorted(map(str, set(seen.versions("kubelet", "scheduler")))) == ["1.34.1", "1.35.4", "1.36.3"]
    assert seen.versions() == []


# etcd


@pytest.mark.parametrize(
    ("hosts", "name", "spared"),
    [
        (stacked(1), "m1", False),
        (stacked(2), "m1", False),
        (stacked(2, learner="m2"), "m1", False),
        (stacked(2, learner="m2"), "m2", True),
        (stacked(3), "m1", True),
        (changed(stacked(1), "m1", stopped=("etcd",)), "m1", True),
        (changed(stacked(2), "m1", votes=None), "m1", True),
        (changed(stacked(2), "m1", votes=None), "m2", False),
        (external(1, 3), "m1", True),
        (external(2, 1), "e1", False),
    ],
    ids=[
        "the only voter",
        "one of two",
        "the voter beside a learner",
        "the learner",
        "one of three",
        "it is down already",
        "it was taken out",
        "the one that is left",
        "it has no member",
        "the only voter beside masters without one",
    ],
)
def test_whom_etcd_can_do_without(hosts, name, spared):
    seen = view(hosts)
    assert seen.spares(host_of(seen, name)) is spared


def test_a_member_that_was_taken_out_neither_stands_by_nor_is_down():
    hosts = changed(changed(stacked(3), "m1", votes=None, stopped=("etcd",)), "m2", votes=False)
    seen = view(changed(hosts, "m3", stopped=("etcd", "kubelet")))
    assert [host.name for host in seen.learners()] == ["m2"]
    assert seen.members_down() == ["m3"]
    none = view(changed(external(1, 1), "m1", votes=False))
    assert none.members_down() == none.learners() == [], "a host without a member has none"


@pytest.mark.parametrize(("told", "target"), [("3.6", (3, 6, 0)), ("3.6.0", (3, 6, 0)), ("", None), ("soon", None)])
def test_the_target_of_a_downgrade_with_or_without_its_patch(told, target):
    assert view(stacked(1), told=_upgrade_view.Etcd(downgrade=told)).downgrade() == target


@pytest.mark.parametrize(
    ("members", "down", "told", "downgrade", "version"),
    [
        (("3.6.16", "3.7.3"), False, "", "", (3, 6)),
        (("3.7.3", "3.7.1"), False, "3.6.0", "", (3, 7)),
        (("3.6.16", "3.7.3"), False, "3.7.0", "", (3, 7)),
        (("3.7.3",), True, "3.6.0", "", (3, 6)),
        (("3.7.3",), True, "", "", (3, 7)),
        (("3.7.3", "3.7.1"), False, "3.7.0", "3.6", (3, 6)),
        ((), True, "3.6.0", "", (3, 6)),
        ((), True, "", "", None),
    ],
    ids=[
        "the oldest member's",
        "about to be raised",
        "what is told is newer",
        "a member is down",
        "nothing told and one down",
        "a downgrade is enabled",
        "no member runs",
        "nothing is known",
    ],
)
def test_the_cluster_version_at_rest(members, down, told, downgrade, version):
    hosts = changed(stacked(2), "m2", stopped=("etcd",)) if down else stacked(2)
    texts = dict(zip(("m1", "m2"), (*members, None, None)))
    seen = view(hosts, told=_upgrade_view.Etcd(told, downgrade))
    for name, text in texts.items():
        seen.running.etcd[name] = text
    assert seen.cluster_version() == version


@pytest.mark.parametrize(
    ("batch", "size"),
    [("1", 1), ("3", 3), ("50%", 2), ("1%", 1), ("100%", 5), *((text, None) for text in ("0", "", "all", "-1"))],
)
def test_how_many_workers_at_once(batch, size):
    both = tuple(dataclasses.replace(host, worker=True) for host in stacked(3))
    seen = dataclasses.replace(view((*both, *external(0, 3), *workers(5))), wanted=wanted(batch=batch))
    assert seen.batch() == size


def test_the_control_plane_alone_keeps_each_version_of_a_node_once():
    texts = {"m1": OLD[0], "w1": OLD[0], "w2": "1.35.1", "w3": OLD[0], "w4": "1.35.1", "w0": "1.34.1"}
    seen = view((*stacked(1), *workers(4), _upgrade.Host("w0", worker=True)), kubelet=texts, apiserver={"w9": NEW[0]}).control()
    assert [host.name for host in seen.hosts] == ["m1"]
    assert seen.running.kubelet == {"m1": OLD[0], "w0": "1.34.1", "w2": "1.35.1"}
    assert seen.running.kube_proxy == {"m1": OLD[0]}
    assert seen.running.apiserver == {"m1": OLD[0], "w9": NEW[0]}, "of the others nothing is left out"


# What comes after


def test_after_a_step_what_changed_runs_as_wanted_and_nothing_else_is_touched():
    before = view(changed(stacked(2, learner="m2"), "m1", stopped=("etcd", "kubelet")), kubelet={"m1": None})
    after = before.after([("m1", "etcd"), ("m2", "apiserver")], votes={"m2": True}, leads={"m1": False, "m2": True})
    assert after.running.etcd == {"m1": NEW[1], "m2": OLD[1]}
    assert after.running.apiserver == {"m1": OLD[0], "m2": NEW[0]}
    assert [(host.stopped, host.votes, host.leads) for host in after.hosts] == [(("kubelet",), True, False), ((), True, True)]
    assert before.running.etcd == {"m1": OLD[1], "m2": OLD[1]} and before.running.apiserver == {"m1": OLD[0], "m2": OLD[0]}
    assert [(host.stopped, host.votes) for host in before.hosts] == [(("etcd", "kubelet"), True), ((), False)]


def test_a_voter_that_gives_way_votes_no_more():
    after = view(stacked(2)).after([], votes={"m1": False}, leads={"m1": False})
    assert [(host.votes, host.leads) for host in after.hosts] == [(False, False), (True, False)]
