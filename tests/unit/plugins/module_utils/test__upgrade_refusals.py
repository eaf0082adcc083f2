# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every reason for no upgrade, what to know beside a plan, and the way back at any point of it."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _removed_flags, _skew, _upgrade
from upgrade_fixtures import NEW, OLD, all_but_m1, changed, codes, external, planned, running, stacked, wanted, workers

NODES_OLD = {component: dict.fromkeys(("m1", "m2", "m3"), OLD[0]) for component in ("kubelet", "kube_proxy")}
CONTROLLERS = ("controller_manager", "scheduler")


def test_the_way_back_names_the_newest_of_the_old_versions():
    versions = {"kubelet": {"m1": "1.36.1"}, "etcd": {"m1": "3.6.14"}}
    assert planned(stacked(3), differing=versions).steps[2].way_back == "run again with Kubernetes 1.36.3 and etcd 3.6.16"


@pytest.mark.parametrize(("name", "what"), [("w1", "worker"), ("m2", "master")])
def test_whoever_cannot_be_reached_is_refused(name, what):
    plan = planned(changed((*stacked(3), *workers(2)), name, reachable=False))
    assert [one.code for one in plan.refusals] == ["unreachable"] and not plan.steps
    assert plan.refusals[0].reason == f"the {what} {name} cannot be reached"


def test_the_formal_downgrade_must_be_allowed_unless_it_is_enabled_already():
    hosts, etcd = stacked(3), running(stacked(3), OLD[0], NEW[1])
    refused = _upgrade.plan(etcd, hosts, wanted(OLD, allow_downgrade=False))
    assert codes(refused) == ["downgrade"]
    assert "every etcd member runs 3.7, so etcd goes back to 3.6.16" in refused.refusals[0].reason
    assert "-e etcd_allow_downgrade=true" in refused.refusals[0].next_step
    going_on = _upgrade.plan(etcd, hosts, wanted(OLD, allow_downgrade=False), _upgrade.Etcd("3.7.0", "3.6.0"))
    assert [step.kind for step in going_on.steps] == ["fetch", "snapshot", "master", "master", "master"]
    assert codes(all_but_m1("3.7.0", allow_downgrade=False)) == ["downgrade", "downgrade-down"]


@pytest.mark.parametrize(
    ("servers", "said"), [({}, True), ({"m1": "1.36.1"}, False), ({"m1": "1.36.1", "m2": "1.36.1", "m3": "1.36.1"}, False)]
)
def test_that_upstream_supports_no_way_back_is_told_when_no_old_api_server_is_left(servers, said):
    plan = planned(stacked(3), (NEW[0], OLD[1]), OLD, {"apiserver": servers, **NODES_OLD, **dict.fromkeys(CONTROLLERS, servers)})
    assert not plan.refusals
    assert any("upstream does not support going back" in note for note in plan.notes) is said


def test_a_run_that_goes_on_does_not_say_that_nothing_has_changed():
    plan = planned(stacked(3), differing={"etcd": {"m2": NEW[1]}})
    assert plan.steps[0].way_back == "run again with Kubernetes 1.36.3 and etcd 3.6.16"
    assert planned(stacked(3)).steps[0].way_back == "nothing has changed yet: stop here"


@pytest.mark.parametrize("count", [1, 3, 4, 5])
def test_nobody_is_stopped_beside_members_that_hang_unless_enough_are_left(count):
    names = [f"m{number}" for number in range(1, count + 1)]
    for down in itertools.chain.from_iterable(itertools.combinations(names, number) for number in range(count + 1)):
        hosts = tuple(dataclasses.replace(host, sick=host.name in down) for host in stacked(count))
        # written independently: of the others some one has a turn, and a majority of all has to be left while it is away
        fatal = any(2 * len(set(names) - set(down) - {one}) <= count for name in down for one in names if one != name)
        found = codes(_upgrade.plan(running(hosts, *OLD), hosts, wanted(allow_outage=True)))
        assert found == (["sick"] * len(down) if fatal else []), down


def test_a_member_that_hangs_is_no_reason_when_nobody_else_has_a_turn():
    hosts = changed(THREE, "m2", sick=True)
    versions = running(hosts, *NEW, etcd={"m2": OLD[1]})
    assert codes(_upgrade.plan(versions, hosts, wanted())) == []


THREE = (*stacked(3), *workers(1))
REFUSED = {
    "a skipped minor": ({"before": ("1.35.4", "3.6.16")}, ["version-skips"] * 9),
    "a skipped minor of etcd": ({"before": ("1.36.3", "3.5.21")}, ["version-skips"] * 3),
    "a controller left behind by the hop before": ({"differing": {"scheduler": {"m2": "1.35.4"}}}, ["version-skips"]),
    "two minors back": (
        {"before": ("1.37.2", "3.6.16"), "target": ("1.35.4", "3.6.16"), "nodes": "1.35.4"},
        ["version-downgrade"] * 3,
    ),
    "etcd two minors back": ({"before": ("1.36.3", "3.7.3"), "target": ("1.36.3", "3.5.21")}, ["version-downgrade"] * 3),
    "back behind a kubelet": (
        {"before": ("1.37.2", "3.6.16"), "target": OLD, "nodes": "1.36.3", "differing": {"kubelet": {"w1": "1.37.2"}}},
        ["version-kubelet"],
    ),
    "a kubelet that would be too old": ({"differing": {"kubelet": {"w1": "1.33.9"}}}, ["version-kubelet"]),
    "a kubelet newer than an API server": ({"differing": {"kubelet": {"w1": "1.37.2"}}}, ["skew-kubelet"]),
    "a kube-proxy newer than an API server": ({"differing": {"kube_proxy": {"w1": "1.37.2"}}}, ["skew-kube-proxy"]),
    "a controller-manager newer than its API server": (
        {"differing": {"controller_manager": {"m2": "1.37.2"}}},
        ["skew-kube-controller-manager"],
    ),
    "etcd below the floor": ({"differing": {"etcd": {"m2": "3.6.10"}}}, ["version-etcd-floor"]),
    "back to an etcd that does not go with the newer members": (
        {"differing": {"etcd": {"m2": "3.7.3"}}, "target": ("1.36.3", "3.6.10")},
        ["version-etcd-floor"],
    ),
    "a master that cannot be reached": ({"change": ("m2", {"reachable": False})}, ["unreachable"]),
    "an etcd host that cannot be reached": (
        {"hosts": external(2, 3), "change": ("e1", {"reachable": False})},
        ["unreachable"],
    ),
    "an etcd member that hangs": ({"change": ("m2", {"sick": True})}, ["sick"]),
    "an etcd member on a host of its own that hangs": ({"hosts": external(2, 3), "change": ("e3", {"sick": True})}, ["sick"]),
    "a learner that hangs where it is to take over": (
        {"hosts": stacked(2, "m2"), "change": ("m2", {"sick": True})},
        ["sick"],
    ),
    "no version": ({"differing": {"kubelet": {"w1": None}}}, ["no-version"]),
    "what is no version": ({"differing": {"kubelet": {"w1": "?"}}}, ["skew-version"]),
    "a wanted version that is none": ({"target": ("1.37", "3.7.3")}, ["version-unreadable"]),
    "a host that is not listed": ({"differing": {"kubelet": {"w9": "1.36.3"}}}, ["unlisted"]),
    "a batch of none": ({"batch": "0"}, ["batch"]),
    "a batch in words": ({"batch": "all"}, ["batch"]),
    "everything at once": (
        {
            "batch": "",
            "change": ("m1", {"reachable": False}),
            "differing": {"kubelet": {"w1": "1.33.0"}, "etcd": {"m3": "3.6.10"}},
        },
        ["batch", "unreachable", "version-kubelet", "version-etcd-floor"],
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_done_is_refused_with_its_reason(name):
    case, expected = REFUSED[name]
    case = dict(case)
    differing = {component: dict(versions) for component, versions in case.pop("differing", {}).items()}
    nodes, change = case.pop("nodes", None), case.pop("change", None)
    hosts = case.pop("hosts", THREE)
    hosts = changed(hosts, change[0], **change[1]) if change else hosts
    for component in ("kubelet", "kube_proxy") if nodes else ():
        differing[component] = {**{host.name: nodes for host in hosts}, **differing.get(component, {})}
    versions = running(hosts, *case.pop("before", OLD), **differing)
    for component in _skew.COMPONENTS:
        found = getattr(versions, component)
        gone = change[0] if change and "reachable" in change[1] else ""
        for host in [host for host, text in found.items() if text is None or host == gone]:
            del found[host]
    plan = _upgrade.plan(versions, hosts, wanted(case.pop("target", NEW), **case))
    assert codes(plan) == expected
    assert not plan.steps
    assert all(one.reason and one.next_step for one in plan.refusals)


@pytest.mark.parametrize(
    ("hosts", "where"),
    [(stacked(1), ["m1"]), ((*external(2, 1),), ["e1"]), ((*external(1, 3),), ["m1"])],
    ids=["the only master", "the only voter", "the only master beside dedicated etcd"],
)
def test_an_outage_must_be_allowed(hosts, where):
    refused = planned(hosts)
    assert codes(refused) == ["outage"]
    assert where[0] in refused.refusals[0].reason
    allowed = planned(hosts, allow_outage=True)
    assert [step.hosts[0] for step in allowed.steps if step.outage] == where


def test_a_master_that_cannot_be_reached_makes_no_outage_of_the_others():
    hosts = changed(stacked(2, learner="m2"), "m2", reachable=False)
    assert codes(planned(hosts)) == ["unreachable"]


@pytest.mark.parametrize("component", ["apiserver", "etcd"])
def test_what_is_down_already_needs_no_permission_to_be_started(component):
    hosts = changed(stacked(1), "m1", stopped=(component,))
    assert codes(planned(hosts, NEW)) == []


def test_arguments_the_wanted_version_does_not_take_are_refused(monkeypatch):
    monkeypatch.setattr(_removed_flags, "FLAGS_GONE", {"etcd": {(3, 7): ("old-flag",)}})
    monkeypatch.setattr(_removed_flags, "GATES_GONE", {"kubernetes": {(1, 37): ("OldGate",)}})
    extra = {"etcd": {"old_flag": "1", "kept": "1"}, "kubelet": {"featureGates": {"OldGate": True, "Kept": True}}}
    plan = planned(THREE, extra=extra)
    assert [(one.code, one.next_step) for one in plan.refusals] == [
        ("argument", "take old-flag out of the extra arguments of etcd"),
        ("argument", "take OldGate out of the extra arguments of kubelet"),
    ]
    assert "etcd 3.7.3 does not start with the flag old-flag" in plan.refusals[0].reason
    assert codes(planned(THREE, target=OLD, extra=extra)) == []


def test_security_and_an_older_patch_are_notes():
    plan = planned(stacked(3), before=("1.36.3", "3.6.13"), target=("1.36.1", "3.6.13"))
    assert not plan.refusals
    assert len([note for note in plan.notes if "security" in note]) == 4
    assert len([note for note in plan.notes if "older patch" in note]) == 3
    assert not [note for note in planned(stacked(3), (OLD[0], NEW[1]), OLD).notes if "older patch" in note]
    assert plan.lines()[-1] == plan.notes[-1]
