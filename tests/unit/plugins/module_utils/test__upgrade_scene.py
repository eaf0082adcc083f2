# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What etcd tells of a downgrade, what follows from it before any member changes, and the way back told in each turn."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _request, _topology, _upgrade, _upgrade_scene
from cluster_fixtures import inventory, living, member, settings
from upgrade_fixtures import NEW, OLD, Cluster, running, stacked, wanted, workers

NAMES = ("m1", "m2", "m3")


def seen(etcd="3.7.3", **told):
    """Return three masters that run 3.7 of etcd, or other versions by host, and what each tells of its data and a downgrade."""
    listed = [member(name) for name in NAMES]
    found = {name: living(name, listed) for name in NAMES}
    for name, observation in found.items():
        version = etcd if isinstance(etcd, str) else etcd[name]
        programs = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
        observation["versions"] = {**dict.fromkeys(programs, "1.36.3"), "etcd": version}
        observation["units"].update(dict.fromkeys((*programs, "etcd"), "active"))
        observation["etcd"]["status"].update(told)
    return found


def made(observed, etcd="3.6.16", **permissions):
    """Return (topology, plan) of an upgrade to this etcd."""
    request, _unknown = _request.read(NAMES, upgrade=True)
    listed = inventory(NAMES)
    topology = _topology.build(settings(kubernetes_version="1.36.3", etcd_version=etcd), listed, observed, True, request=request)
    return topology, _upgrade_scene.plan(topology, observed, **permissions)


def test_what_runs_and_what_units_start_are_told_apart():
    observed = seen("3.6.16")
    observed["m3"]["unit_versions"] = {"kube-apiserver": "1.37.2", "kubelet": "1.35.1", "containerd": "2.3.7"}
    del observed["m3"]["versions"]["kube-apiserver"]
    topology, _plan = made(observed)
    there = [(host, observed[host.name]) for host in topology.hosts]
    assert _upgrade_scene.unit_versions(there).apiserver == {"m3": "1.37.2"}
    assert _upgrade_scene.unit_versions(there).kubelet == {"m3": "1.35.1"}
    assert _upgrade_scene.running_versions(there).kubelet["m3"] == "1.36.3"
    assert "m3" not in _upgrade_scene.running_versions(there).apiserver


CASES = {
    "back, not allowed": ("3.7.3", {"storage_version": "3.7.0"}, {}, [], ("", "")),
    "back, allowed": (
        "3.7.3",
        {"storage_version": "3.7.0"},
        {"allow_downgrade": True},
        ["fetch", "snapshot", "downgrade", "master", "master", "master"],
        ("m1", "enabled"),
    ),
    "back, enabled by a run that was cut off": (
        "3.7.3",
        {"storage_version": "3.7.0", "downgrade": "3.6.0"},
        {},
        ["fetch", "snapshot", "master", "master", "master"],
        ("m1", "enabled"),
    ),
    "back, cut off after the first member": (
        {"m1": "3.7.3", "m2": "3.6.16", "m3": "3.7.3"},
        {"storage_version": "3.6.0", "downgrade": "3.6.0"},
        {},
        ["fetch", "snapshot", "master", "master"],
        ("m1", "enabled"),
    ),
    "back while an old member is left": (
        {"m1": "3.6.16", "m2": "3.7.3", "m3": "3.7.3"},
        {"storage_version": "3.6.0"},
        {},
        ["fetch", "snapshot", "master", "master"],
        ("", ""),
    ),
    "back, all old, before etcd has ended it": (
        "3.6.16",
        {"storage_version": "3.6.0", "downgrade": "3.6.0"},
        {},
        [],
        ("m1", "enabled"),
    ),
    "back further than the downgrade that is enabled, not allowed": (
        "3.7.3",
        {"storage_version": "3.7.0", "downgrade": "3.6.0"},
        {},
        [],
        ("", ""),
        "3.5.20",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_etcd_is_to_be_told(name):
    etcd, told, permissions, kinds, wished, *wanted_etcd = CASES[name]
    observed = seen(etcd, **told)
    topology, plan = made(observed, *wanted_etcd, **permissions)
    assert [step.kind for step in plan.steps] == kinds
    assert _upgrade_scene.downgrade(topology, observed, plan) == wished
    refused = "not allowed" in name
    assert any("-e etcd_allow_downgrade=true" in fix for _reason, fix in plan.refusals) is refused


@pytest.mark.parametrize("etcd", ["3.7.3", {"m1": "3.7.3", "m2": "3.6.16", "m3": "3.7.3"}])
def test_an_upgrade_calls_a_downgrade_off_that_was_left(etcd):
    observed = seen(etcd, storage_version="3.6.0", downgrade="3.6.0")
    topology, plan = made(observed, "3.7.3")
    assert "cancel" in [step.kind for step in plan.steps]
    assert _upgrade_scene.downgrade(topology, observed, plan) == ("m1", "cancelled")


def test_the_member_that_is_ahead_is_believed():
    observed = seen(storage_version="3.7.0")
    observed["m2"]["etcd"]["status"].update(raft_index=950, storage_version="3.6.0", downgrade="3.6.0")
    topology, _plan = made(observed)
    assert _upgrade_scene.told(topology, observed) == _upgrade.Etcd("3.6.0", "3.6.0")
    observed["m2"]["etcd"]["status"]["healthy"] = False
    assert _upgrade_scene.told(topology, observed) == _upgrade.Etcd("3.7.0", "")
    for one in observed.values():
        one["etcd"]["status"]["ok"] = False
    assert _upgrade_scene.told(topology, observed) == _upgrade.Etcd()


def test_each_turn_tells_the_way_back_before_and_after_it():
    hosts = (*stacked(3), *workers(1))
    ways = _upgrade_scene.ways_back(Cluster(running(hosts, *OLD), hosts).plan(wanted()))
    old, formal = "run again with Kubernetes 1.36.3", "etcd 3.6.16 by its formal downgrade (-e etcd_allow_downgrade=true)"
    assert ways["etcd"] == {}
    assert ways["control"]["m2"] == f"{old} and etcd 3.6.16", "not that nothing has changed: it stops in the middle of a turn"
    assert ways["control"]["m1"].startswith(f"{old} and etcd 3.6.16; once m1 is done: {old} (not supported upstream")
    assert ways["node"]["w1"] == ways["end"]
    assert "Kubernetes only goes on (m1 runs kubelet 1.37.2)" in ways["end"]
    assert formal in ways["end"]


def test_on_the_way_back_each_turn_tells_how_to_go_on_with_the_newer():
    hosts = stacked(3)
    ways = _upgrade_scene.ways_back(Cluster(running(hosts, OLD[0], NEW[1]), hosts).plan(wanted(OLD)))
    assert ways["etcd"] == {"m1": "run again with etcd 3.7.3: the downgrade is called off"}
    assert set(ways["control"]) == {"m1", "m2", "m3"}
    assert ways["control"]["m3"] == ways["end"] == "run again with etcd 3.7.3"


def test_what_the_unit_of_etcd_starts_is_seen():
    observed = seen(storage_version="3.6.0", downgrade="3.6.0")
    observed["m2"]["units"]["etcd"] = "failed"
    del observed["m2"]["versions"]["etcd"]
    observed["m2"]["etcd"]["status"]["ok"] = False
    for starts, refused in (("3.7.3", True), ("3.6.16", False)):
        observed["m2"]["unit_versions"] = {"etcd": starts}
        said = [reason for reason, _next_step in made(observed)[1].refusals]
        assert [text.startswith("etcd stopped on m2 while its downgrade was enabled") for text in said] == [True] * refused


def test_without_a_step_there_is_none():
    assert _upgrade_scene.ways_back(_upgrade.Plan()) == {"etcd": {}, "control": {}, "node": {}, "end": ""}


@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize("learners", [("m3",), ("m2", "m3")])
def test_learners_of_a_join_that_was_cut_off_vote_before_a_voter_stops(learners, even):
    listed = [member(name, learner=name in learners) for name in NAMES]
    observed = {name: {**one, "etcd": living(name, listed)["etcd"]} for name, one in seen("3.6.16").items()}
    request, _unknown = _request.read(NAMES, upgrade=True)
    wished = settings(kubernetes_version="1.36.3", etcd_version="3.7.3", even_voters=even)
    topology = _topology.build(wished, inventory(NAMES), observed, True, request=request)
    assert (topology.etcd.promote, topology.etcd.demote, topology.giving.old) == (learners, (), ""), "what the playbooks do"
    plan = _upgrade_scene.plan(topology, observed)
    assert [step.kind for step in plan.steps] == ["fetch", "snapshot", "master", "master", "master"]
    assert [note for note in plan.notes if "join was cut off" in note] == [
        f"etcd of {name} becomes a voter before any voter stops: its join was cut off" for name in learners
    ]
    sick = {**observed, "m3": {**observed["m3"], "etcd": {**observed["m3"]["etcd"]}}}
    sick["m3"]["etcd"]["status"] = {**sick["m3"]["etcd"]["status"], "healthy": False}
    (refusal,) = _upgrade_scene.plan(topology, sick).refusals
    assert "etcd on m3 runs and is not healthy" in refusal[0]


@pytest.mark.parametrize(
    ("unit", "healthy", "sick"),
    [("active", True, False), ("active", False, True), ("activating", False, False), ("failed", False, False)],
)
def test_a_member_is_sick_when_it_runs_and_is_not_healthy(unit, healthy, sick):
    observed = seen("3.6.16")
    observed["m3"]["units"]["etcd"] = unit
    observed["m3"]["etcd"]["status"]["healthy"] = healthy
    _topology_of_it, plan = made(observed, "3.6.17")
    assert ["etcd on m3 runs and is not healthy" in reason for reason, _next_step in plan.refusals] == [True] * sick


@pytest.mark.parametrize(
    ("state", "process", "refused", "first"),
    [
        ("activating", False, False, True),
        ("activating", True, False, False),
        ("failed", False, False, True),
        ("active", False, True, False),
        ("not-found", False, True, False),
    ],
)
@pytest.mark.parametrize("unit", ["kube-apiserver", "kube-scheduler", "etcd", "kubelet"])
def test_a_program_that_systemd_starts_again_and_again_has_its_turn_first(unit, state, process, refused, first):
    observed = seen("3.6.16")
    m3 = observed["m3"]
    m3["units"][unit] = state
    if not process:
        del m3["versions"][unit]
    m3["etcd"]["status"]["healthy"] = unit != "etcd" or process
    request, _unknown = _request.read(NAMES, upgrade=True)
    wished = settings(kubernetes_version="1.37.2", etcd_version="3.6.17")
    plan = _upgrade_scene.plan(_topology.build(wished, inventory(NAMES), observed, True, request=request), observed)
    assert [unit in reason for reason, _next_step in plan.refusals if "no version can be read" in reason] == [True] * refused
    kinds = ("node",) if unit == "kubelet" else ("master",)
    assert [step.hosts[0] == "m3" for step in plan.steps if step.kind in kinds][:1] == ([] if refused else [first])


@pytest.mark.parametrize(
    ("workers", "said"),
    [
        (["m1"], {"m1": "a master's node, after the last API server; its pods stay: no other node could take them"}),
        (["w1"], {"m1": "a master's node, after the last API server", "w1": "its pods stay: no other node could take them"}),
        (
            ["w1", "w2"],
            {
                "m1": "a master's node, after the last API server",
                **dict.fromkeys(("w1", "w2"), "drained within PodDisruptionBudgets, uncordoned on failure"),
            },
        ),
    ],
)
def test_a_node_whose_pods_could_go_nowhere_is_not_drained_and_the_plan_says_so(workers, said):
    listed, wished = inventory(["m1"], workers), settings(kubernetes_version="1.37.2", etcd_version="3.6.16")
    m1 = seen("3.6.16")["m1"]
    m1["etcd"]["status"] = living("m1", [member("m1")])["etcd"]["status"]
    observed = {"m1": m1, **{name: living(name, [], master=False) for name in workers if name != "m1"}}
    for name in set(workers) - {"m1"}:
        observed[name]["versions"] = {"kubelet": "1.36.3", "kube-proxy": "1.36.3"}
    request = _request.Request(_request.UPGRADE)
    topology = _topology.build(wished, listed, observed, True, request=request, allow_outage=True)
    steps = _upgrade_scene.plan(topology, observed, allow_outage=True).steps
    assert {name: step.why for step in steps if step.kind == "node" for name in step.hosts} == said
