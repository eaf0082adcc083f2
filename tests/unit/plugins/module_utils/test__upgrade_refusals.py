# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every reason for no upgrade, what to know beside a plan, and the way back at any point of it."""

from __future__ import annotations

import ast
import dataclasses
import itertools
import pathlib
import re

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _removed_flags,
    _skew,
    _upgrade,
    _upgrade_refusals,
    _upgrade_view,
)
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
    "a kube-proxy that would be too old": ({"differing": {"kube_proxy": {"w1": "1.33.9"}}}, ["version-kube-proxy"]),
    "a kubelet newer than an API server": ({"differing": {"kubelet": {"w1": "1.37.2"}}}, ["skew-kubelet"]),
    "a kube-proxy newer than an API server": ({"differing": {"kube_proxy": {"w1": "1.37.2"}}}, ["skew-kube-proxy"]),
    "a controller-manager newer than its API server": (
        {"differing": {"controller_manager": {"m2": "1.37.2"}}},
        ["skew-kube-controller-manager"],
    ),
    "API servers two minors apart": (
        {"before": ("1.34.9", OLD[1]), "target": ("1.35.4", OLD[1]), "differing": {"apiserver": {"m2": "1.36.3"}}},
        ["skew-apiserver", "skew-apiserver", "skew-kube-controller-manager", "skew-kube-scheduler"],
    ),
    "etcd members two minors apart": (
        {"target": (OLD[0], NEW[1]), "differing": {"etcd": {"m3": "3.8.0"}}},
        ["skew-etcd", "skew-etcd"],
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
    # Each host may have its own; what two have is said once.
    etcd = {"m1": {}, "m2": {"old_flag": "1", "kept": "1"}, "m3": {"old-flag": "2"}}
    gates = {"featureGates": {"OldGate": True, "Kept": True}}
    extra = {"etcd": etcd, "kubelet": {"m1": {"featureGates": None}, "w1": gates}, "kube-proxy": {"w1": gates}}
    plan = planned(THREE, extra=extra)
    assert [(one.code, one.next_step) for one in plan.refusals] == [
        ("argument", "take old-flag out of etcd_extra_flags"),
        ("argument", "take OldGate out of kube_proxy_extra_config"),
        ("argument", "take OldGate out of kubelet_extra_config"),
    ]
    assert [one.reason for one in plan.refusals] == [
        "m2, m3: etcd 3.7.3 does not start with the flag old-flag of etcd_extra_flags: it is gone since 3.7",
        "w1: kube-proxy 1.37.2 does not start with the feature gate OldGate of kube_proxy_extra_config: it is gone since 1.37",
        "w1: kubelet 1.37.2 does not start with the feature gate OldGate of kubelet_extra_config: it is gone since 1.37",
    ]
    assert codes(planned(THREE, target=OLD, extra=extra)) == []


def test_security_and_an_older_patch_are_notes():
    plan = planned(stacked(3), before=("1.36.3", "3.6.13"), target=("1.36.1", "3.6.13"))
    assert not plan.refusals
    assert len([note for note in plan.notes if "security" in note]) == 4
    assert len([note for note in plan.notes if "older patch" in note]) == 3
    assert not [note for note in planned(stacked(3), (OLD[0], NEW[1]), OLD).notes if "older patch" in note]
    assert plan.lines()[-1] == plan.notes[-1]


# Word by word


def view(hosts=None, before=OLD, target=NEW, told=None, differing=None, **more):
    """Return the view of an upgrade of these hosts, three masters and a worker if none are given."""
    hosts = THREE if hosts is None else hosts
    versions = running(hosts, *before, **(differing or {}))
    return _upgrade_view.View(versions, tuple(hosts), wanted(target, **more), told or _upgrade_view.Etcd())


def without(seen, component, host):
    """Return the view in which that component's version is not known of a host."""
    del getattr(seen.running, component)[host]
    return seen


BY_HAND = "to a version its API servers allow, by hand or by remove_node.yml and site.yml; then run again"
WORDS = {
    "a batch in words": (
        view(batch="all"),
        ("batch", "the batch of workers is 'all'", 'give a number from 1 on, or a percentage such as "20%"'),
    ),
    "an etcd host that is away": (
        view(changed(external(1, 3), "e1", reachable=False)),
        (
            "unreachable",
            "the etcd member e1 cannot be reached",
            "make it reachable, or take it out by remove_node.yml or replace_node.yml, then run again",
        ),
    ),
    "a host that is not listed": (
        view(differing={"kubelet": {"w8": OLD[0]}, "kube_proxy": {"w8": OLD[0]}}),
        ("unlisted", "w8 runs parts of the cluster and is not to be upgraded", "list it, or remove it first"),
    ),
    "a host of which nothing can be read": (
        without(without(view(), "kubelet", "w1"), "kube_proxy", "w1"),
        (
            "no-version",
            "no version can be read of kubelet, kube-proxy on w1",
            "build the host by site.yml with the present versions first",
        ),
    ),
    "a voter that hangs": (
        view(changed(stacked(3), "m2", sick=True)),
        (
            "sick",
            "etcd on m2 runs and is not healthy: without another one 1 of 2 needed were left",
            "on m2 `journalctl -u etcd -n 50`; restart it there, or replace the host (replace_node.yml)",
        ),
    ),
    "a learner that hangs and is to take over": (
        view(changed(stacked(2, learner="m2"), "m2", sick=True)),
        (
            "sick",
            "etcd on m2 runs and is not healthy: nobody else can take over",
            "on m2 `journalctl -u etcd -n 50`; restart it there, or replace the host (replace_node.yml)",
        ),
    ),
    "a kubelet that is too new": (
        view(differing={"kubelet": {"w1": "1.37.0"}}),
        (
            "skew-kubelet",
            "w1: kubelet 1.37.0; wanted: not newer than any API server (1.36.3)",
            f"bring kubelet on w1 {BY_HAND}",
        ),
    ),
    "a program that is no version": (
        view(differing={"scheduler": {"m2": "latest"}}),
        (
            "skew-version",
            "m2: kube-scheduler says 'latest'; wanted: a version like 1.36.3",
            "See what kube-scheduler on this host is; reinstall it by site.yml.",
        ),
    ),
    "a wanted version that is none": (
        view(target=("newest", NEW[1])),
        (
            "version-unreadable",
            "multimaster_kubernetes_version: 'newest' is no version like 1.36.3; wanted: a version like 1.36.3",
            "Correct multimaster_kubernetes_version.",
        ),
    ),
    "an argument that is gone": (
        view(extra={"etcd": {"m2": {"experimental-memory-mlock": "true"}}}),
        (
            "argument",
            "m2: etcd 3.7.3 does not start with the flag experimental-memory-mlock of etcd_extra_flags: it is gone since 3.7",
            "take experimental-memory-mlock out of etcd_extra_flags",
        ),
    ),
}


@pytest.mark.parametrize("name", WORDS)
def test_a_refusal_says_what_where_and_what_to_do(name):
    seen, words = WORDS[name]
    assert [dataclasses.astuple(one) for one in _upgrade_refusals.refusals(seen)] == [words]


def test_nothing_forbids_what_runs_as_wanted():
    assert _upgrade_refusals.refusals(view(target=OLD)) == _upgrade_refusals.notes(view(target=OLD)) == ()


def test_of_a_host_that_cannot_be_reached_or_a_program_that_is_down_no_version_is_missed():
    seen = view(changed(changed(THREE, "w1", reachable=False), "m2", stopped=("scheduler",)))
    without(without(seen, "kubelet", "w1"), "scheduler", "m2")
    assert [one.code for one in _upgrade_refusals.refusals(seen)] == ["unreachable"]


@pytest.mark.parametrize("target", [(NEW[0], "3.x"), ("newest", NEW[1])])
def test_who_hangs_is_not_judged_beside_a_wanted_version_that_is_none(target):
    hosts = changed(THREE, "m2", sick=True)
    assert [one.code for one in _upgrade_refusals.refusals(view(hosts, target=target))] == ["version-unreadable"]


@pytest.mark.parametrize(
    ("hosts", "refused"),
    [
        (changed(stacked(4, learner="m4"), "m4", sick=True), []),
        (changed(stacked(5), "m2", sick=True), []),
        (
            changed(changed(stacked(5), "m2", sick=True), "m4", sick=True),
            [f"etcd on m{n} runs and is not healthy: without another one 2 of 3 needed were left" for n in (2, 4)],
        ),
        (
            changed(changed(stacked(4, learner="m4"), "m4", sick=True), "m2", sick=True),
            ["etcd on m2 runs and is not healthy: without another one 1 of 2 needed were left"],
        ),
        (
            changed(stacked(2, learner="m2"), "m1", sick=True),
            ["etcd on m1 runs and is not healthy: without another one 0 of 1 needed were left"],
        ),
        (changed(external(1, 1), "m1", sick=True), []),
    ],
    ids=[
        "a learner beside three",
        "one of five",
        "two of five",
        "a learner beside one of three",
        "the only voter",
        "a host without a member",
    ],
)
def test_who_hangs_matters_only_where_he_is_needed(hosts, refused):
    assert [one.reason for one in _upgrade_refusals.refusals(view(hosts)) if one.code == "sick"] == refused


def test_an_argument_is_refused_once_however_it_is_spelt_and_judged_only_beside_a_version(monkeypatch):
    monkeypatch.setattr(_removed_flags, "FLAGS_GONE", {"etcd": {(3, 7): ("old-flag",)}})
    extra = {"etcd": {"m1": {"old_flag": "1", "old-flag": "1", "--old-flag": None}}}
    assert [one.code for one in _upgrade_refusals.refusals(view(extra=extra))] == ["argument"]
    assert [one.code for one in _upgrade_refusals.refusals(view(target=(NEW[0], "3.x"), extra=extra))] == ["version-unreadable"]


def gone_back(*down, **more):
    """Return the view of the way back where every member runs the newer minor, these being down."""
    hosts = stacked(3)
    for name in down:
        hosts = changed(hosts, name, stopped=("etcd",))
    seen = view(hosts, (OLD[0], NEW[1]), OLD, _upgrade_view.Etcd("3.7.0"), **more)
    for name in down:
        without(seen, "etcd", name)
    return seen


# What the plan refuses of one of its steps.
OF_A_STEP = {
    "the only master": (
        [_upgrade_refusals.outage("m1", ("etcd", "kube-apiserver"))],
        (
            "outage",
            "m1 has no other to stand in for it: while etcd, kube-apiserver restart there, the whole API is away",
            "allow it for this run (-e etcd_allow_outage=true), or add masters first: of three, one can be spared",
        ),
    ),
    "the only member": (
        [_upgrade_refusals.outage("e1", ("etcd",))],
        (
            "outage",
            "e1 has no other to stand in for it: while etcd restarts there, the whole API is away",
            "allow it for this run (-e etcd_allow_outage=true), or add etcd members first: of three, one can be spared",
        ),
    ),
    "a voter of two that always votes": (
        [_upgrade_refusals.even("m2")],
        (
            "even",
            "etcd on m2 cannot be spared, and multimaster_even_voters keeps it from giving way to the other member",
            "run with -e multimaster_even_voters=false, so that one of the two stands by as a learner; "
            "or add a third member first",
        ),
    ),
    "a formal downgrade without permission": (
        tuple(_upgrade_refusals.downgrade(gone_back(allow_downgrade=False))),
        (
            "downgrade",
            "every etcd member runs 3.7, so etcd goes back to 3.6.16 by its formal downgrade, which is to be allowed",
            "read docs/runbooks/upgrade-go-back.md, then allow it for this run (-e etcd_allow_downgrade=true)",
        ),
    ),
    "a formal downgrade of members that are down": (
        tuple(_upgrade_refusals.downgrade(gone_back("m1", "m3", allow_downgrade=True))),
        (
            "downgrade-down",
            "etcd does not run on m1, m3, and 3.6.16 does not start with data of 3.7",
            "start it with 3.7 first: upgrade.yml with that version in multimaster_etcd_version does",
        ),
    ),
}


@pytest.mark.parametrize("found,words", OF_A_STEP.values(), ids=OF_A_STEP)
def test_what_is_refused_of_a_step_says_the_same(found, words):
    assert [dataclasses.astuple(one) for one in found] == [words]


def reasons(module):
    """Yield the codes of the refusals that a module makes by itself."""
    for node in ast.walk(ast.parse(pathlib.Path(module.__file__).read_text(encoding="utf-8"))):
        made = isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "Refusal"
        if made and isinstance(node.args[0], ast.Constant):
            yield node.args[0].value


REASONS = {code for module in (_upgrade_refusals, _upgrade) for code in reasons(module)}
# Findings on versions are refused by their own codes, but for those that only warn.
PASSED_ON = set(_skew.CHECKS) - {"etcd-security", "version-older-patch"}


def test_each_reason_for_no_upgrade_is_in_a_table():
    assert {"sick", "downgrade", "outage"} <= REASONS, "not found, so nothing is proven"
    tried = {words[0] for _seen, words in (*WORDS.values(), *OF_A_STEP.values())}
    tried |= {code for _case, expected in REFUSED.values() for code in expected}
    assert tried == REASONS | PASSED_ON, "add a row to REFUSED, WORDS or OF_A_STEP"


@pytest.mark.parametrize(
    ("starts", "enabled", "target", "refused"),
    [
        (NEW[1], "3.6.0", OLD, True),  # it died before its data were made to fit
        (OLD[1], "3.6.0", OLD, False),  # a run was cut off in its turn
        ("", "3.6.0", OLD, False),
        (NEW[1], "3.6.0", NEW, False),  # the way is up again: the downgrade is called off
        (NEW[1], "", OLD, False),  # not enabled: refused as above, where it has to be
    ],
)
def test_while_a_downgrade_is_enabled_no_member_starts_the_older_program_on_newer_data(starts, enabled, target, refused):
    hosts = changed(stacked(3), "m1", stopped=("etcd",), starts=starts)
    versions = running(hosts, OLD[0], NEW[1])
    del versions.etcd["m1"]
    plan = _upgrade.plan(versions, hosts, wanted(target), _upgrade.Etcd("3.6.0", enabled))
    found = [one for one in plan.refusals if one.code == "downgrade-down"]
    assert [one.reason for one in found] == [
        "etcd stopped on m1 while its downgrade was enabled: 3.6.16 may not start with its data yet"
    ] * refused
    assert all("`systemctl start etcd`" in one.next_step for one in found)


# The way back


@pytest.mark.parametrize(
    ("before", "target", "differing", "old"),
    [
        (OLD, NEW, {}, OLD),
        (OLD, OLD, {}, ("", "")),
        (OLD, (OLD[0], NEW[1]), {}, ("", OLD[1])),
        (NEW, OLD, {}, NEW),
        (OLD, NEW, {"kubelet": {"w1": "1.35.4"}, "etcd": {"m2": NEW[1]}}, OLD),
        (OLD, OLD, {"apiserver": {"m2": "1.37.1", "m3": "1.37.0"}}, ("1.37.1", "")),
    ],
    ids=["up", "nowhere", "etcd alone", "back", "a run that goes on", "back from some"],
)
def test_the_version_to_go_back_to_is_the_nearest_that_is_left_behind(before, target, differing, old):
    found = _upgrade_refusals.old_versions(view(before=before, target=target, differing=differing))
    assert (found.kubernetes, found.etcd) == old


def way(seen, *old):
    return _upgrade_refusals.way_back(seen, _upgrade_refusals.Old(*old))


NODE = ("kubelet", "kube_proxy")
NEW_SERVERS = {"apiserver": dict.fromkeys(("m1", "m2", "m3"), NEW[0])}
FORMAL = "etcd 3.6.16 by its formal downgrade (-e etcd_allow_downgrade=true), since every member is new"
UNSUPPORTED = " (not supported upstream: every API server is new)"


@pytest.mark.parametrize(
    ("seen", "old", "said"),
    [
        (view(), ("", ""), ""),
        (view(), (OLD[0], ""), "run again with Kubernetes 1.36.3"),
        (view(), ("", OLD[1]), "run again with etcd 3.6.16"),
        (view(workers(1)), ("", OLD[1]), "run again with etcd 3.6.16"),
        (view(), OLD, "run again with Kubernetes 1.36.3 and etcd 3.6.16"),
        (view(differing=NEW_SERVERS), OLD, f"run again with Kubernetes 1.36.3{UNSUPPORTED} and etcd 3.6.16"),
        (view(before=(OLD[0], NEW[1])), OLD, f"run again with Kubernetes 1.36.3; {FORMAL}"),
        (view(before=(OLD[0], NEW[1])), ("", OLD[1]), FORMAL),
        (view(before=(OLD[0], NEW[1]), differing={"etcd": {"m2": OLD[1]}}), ("", OLD[1]), "run again with etcd 3.6.16"),
        (
            view(before=NEW),
            OLD,
            f"Kubernetes only goes on (m1 runs kubelet 1.37.2); the last resort is to restore the snapshot; {FORMAL}",
        ),
        (
            view(differing={"kubelet": {"w1": NEW[0]}}),
            OLD,
            "run again with etcd 3.6.16; Kubernetes only goes on (w1 runs kubelet 1.37.2); the last resort is to restore the "
            "snapshot",
        ),
    ],
)
def test_the_way_back_from_what_runs_now(seen, old, said):
    assert way(seen, *old) == said


@pytest.mark.parametrize(
    ("kubelets", "proxies", "order", "first"),
    [
        # the way up: who is new forbids it, and the first of them by name is told
        (["1.36.3"] * 4, ["1.36.3"] * 4, ("w3", "w1", "w2", "w4"), ["w3 kubelet", "w1 kubelet", "w1 kubelet", "w1 kubelet"]),
        # nodes that are too old forbid it until they are new, which forbids it then
        (["1.32.1"] * 2 + ["1.36.3"] * 2, ["1.36.3"] * 4, ("w1", "w2", "w3", "w4"), ["w1 kubelet"] * 4),
        # the kubelets run as wanted already, and forbid it before any kube-proxy does
        (["1.37.2"] * 4, ["1.36.3"] * 4, ("w2", "w1", "w3", "w4"), ["w1 kubelet"] * 4),
        # kubelets are of no minor that forbids anything and do not change
        ([None] * 4, ["1.36.3"] * 4, ("w2", "w1", "w3", "w4"), ["w2 kube-proxy", *["w1 kube-proxy"] * 3]),
    ],
    ids=["up", "too old before", "kubelets are done", "kube-proxies alone"],
)
def test_which_node_forbids_the_way_back_first(kubelets, proxies, order, first):
    """It is what `way_back` says of the whole cluster after each of these steps, with much less to look at."""
    texts = {"kubelet": dict(zip(("w1", "w2", "w3", "w4"), kubelets)), "kube_proxy": dict(zip(("w1", "w2", "w3", "w4"), proxies))}
    seen, old = view((*stacked(3), *workers(4)), differing={**NEW_SERVERS, **texts}), _upgrade_refusals.Old(OLD[0])
    due = [[(name, c) for c in NODE if texts[c][name] is not None and texts[c][name] != NEW[0]] for name in order]
    told = list(_upgrade_refusals.ways_back(seen.control(), {c: getattr(seen.running, c) for c in NODE}, old, due))
    assert [re.search(r"\((\w+) runs ([\w-]+) ", text).expand(r"\1 \2") for text in told] == first
    after = seen
    for batch, text in zip(due, told, strict=True):
        after = after.after(batch)
        assert text == _upgrade_refusals.way_back(after, old)


def test_nodes_that_forbid_it_no_more_leave_the_way_back_open():
    """As on the way back itself, which nodes that are too old for the newer version do not keep from."""
    texts = {component: dict.fromkeys(("w1", "w2"), "1.33.1") for component in NODE}
    seen, old = view(before=NEW, target=OLD, hosts=workers(2), differing=texts), _upgrade_refusals.Old(NEW[0])
    due = [[(name, component) for component in NODE] for name in ("w1", "w2")]
    told = list(_upgrade_refusals.ways_back(seen.control(), texts, old, due))
    assert told == [
        "Kubernetes only goes on (w2 runs kubelet 1.33.1); the last resort is to restore the snapshot",
        "run again with Kubernetes 1.37.2",
    ]


@pytest.mark.parametrize(
    ("differing", "touched"),
    [({}, False), ({"scheduler": {"m2": NEW[0]}}, True), ({"etcd": {"m2": NEW[1]}}, True), ({"etcd": {"m2": "3.7.1"}}, False)],
    ids=["nothing is done", "some of Kubernetes", "some of etcd", "another version than the wanted"],
)
def test_before_anything_is_done_there_is_nothing_to_go_back_from(differing, touched):
    said = _upgrade_refusals.way_back_now(view(differing=differing), _upgrade_refusals.Old(*OLD))
    assert said == ("run again with Kubernetes 1.36.3 and etcd 3.6.16" if touched else _upgrade_refusals.UNTOUCHED)


def test_what_is_new_already_and_stays_so_is_nothing_that_was_done():
    """etcd does not change, so that it runs the wanted version says nothing about a run that was cut off."""
    seen = view(before=(OLD[0], NEW[1]))
    assert _upgrade_refusals.way_back_now(seen, _upgrade_refusals.Old(OLD[0], "")) == _upgrade_refusals.UNTOUCHED


@pytest.mark.parametrize(
    ("servers", "target", "unsupported"),
    [
        ({"m1": "1.37.0", "m2": "1.37.0"}, "1.36.3", True),
        ({"m1": "1.37.0", "m2": "1.36.9"}, "1.36.3", False),
        ({"m1": "1.36.9"}, "1.36.3", False),
        ({"m1": "1.37.0", "m2": "?"}, "1.36.3", False),
        ({}, "1.36.3", False),
        ({"m1": "1.37.0"}, "?", False),
    ],
    ids=["all are newer", "one is left", "a patch", "one cannot be read", "none", "no target"],
)
def test_what_upstream_does_not_support(servers, target, unsupported):
    assert _upgrade_refusals.unsupported(_skew.Versions(apiserver=servers), target) is unsupported


def test_an_etcd_without_a_voter_that_runs_cannot_be_saved_and_one_without_members_is_none():
    (said,) = _upgrade_refusals.notes(view(changed(stacked(2, learner="m2"), "m1", stopped=("etcd",))))
    assert said == "no etcd voter runs, so no snapshot can be taken first: use the one of the run that was cut off"
    assert _upgrade_refusals.notes(view((*changed(stacked(1), "m1", stopped=("etcd",)), *workers(1)))) == (said,)
    assert _upgrade_refusals.notes(view(workers(2))) == ()


def test_a_note_names_what_would_be_lost():
    (said,) = _upgrade_refusals.notes(view(before=(NEW[0], OLD[1]), target=OLD))
    assert said.startswith("every API server is newer than 1.36.3: upstream does not support going back from here; ")
