# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whole plans, and upgrades that are cut off anywhere and still end well."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _skew, _upgrade
from hypothesis import given, settings
from hypothesis import strategies as st
from upgrade_fixtures import NEW, OLD, Cluster, changed, codes, external, planned, running, stacked, wanted, workers

ALL = "kube-apiserver+kube-controller-manager+kube-scheduler"
NODE = "kubelet+kube-proxy"


def said(plan):
    return [f"{step.kind} {','.join(step.hosts)} {'+'.join(step.restarts)}".strip() for step in plan.steps]


GOLDEN = {
    "one master": (
        {"hosts": stacked(1), "allow_outage": True},
        ["fetch m1", "snapshot m1", f"master m1 etcd+{ALL}", f"node m1 {NODE}"],
    ),
    # the learner's master first; the voter is never restarted in place
    "two masters": (
        {"hosts": stacked(2, learner="m2")},
        [
            *("fetch m1,m2", "snapshot m1", f"master m2 etcd+{ALL}", f"swap m1 {ALL}+etcd", f"master m1 {ALL}"),
            *(f"node m1 {NODE}", f"node m2 {NODE}"),
        ],
    ),
    "two masters, Kubernetes alone": (
        {"hosts": stacked(2, learner="m2"), "target": (NEW[0], OLD[1])},
        ["fetch m1,m2", "snapshot m1", f"master m2 {ALL}", f"master m1 {ALL}", f"node m1 {NODE}", f"node m2 {NODE}"],
    ),
    "three masters, the leader last": (
        {"hosts": stacked(3)},
        [
            *("fetch m1,m2,m3", "snapshot m1", f"master m2 etcd+{ALL}", f"master m3 etcd+{ALL}", f"master m1 etcd+{ALL}"),
            *(f"node m1 {NODE}", f"node m2 {NODE}", f"node m3 {NODE}"),
        ],
    ),
    "three masters, etcd alone": (
        {"hosts": stacked(3), "target": (OLD[0], NEW[1])},
        [
            *("fetch m1,m2,m3", "snapshot m1"),
            *(f"master m{n} etcd+{ALL}" for n in (2, 3, 1)),
        ],
    ),
    "three masters, controllers alone": (
        {
            "hosts": stacked(3),
            "before": NEW,
            "differing": {"controller_manager": {"m2": OLD[0]}},
        },
        ["fetch m2", "master m2 kube-controller-manager"],
    ),
    "dedicated etcd hosts, workers in three zones, half of a zone at once": (
        {"hosts": (*external(2, 3), *workers(6)), "batch": "20%"},
        [
            *("fetch e1,e2,e3,m1,m2,w1,w2,w3,w4,w5,w6", "snapshot e2", "member e1 etcd", "member e3 etcd", "member e2 etcd"),
            *(f"master m2 {ALL}", f"master m1 {ALL}", f"node m1 {NODE}", f"node m2 {NODE}"),
            *(f"node {name} {NODE}" for name in ("w1", "w4", "w2", "w5", "w3", "w6")),
        ],
    ),
    "workers, two at once, never of two zones": (
        {
            "hosts": (*stacked(3), *workers(8)),
            "before": NEW,
            "batch": "2",
            "differing": {"kubelet": {f"w{n}": OLD[0] for n in range(1, 9)}},
        },
        ["fetch w1,w2,w3,w4,w5,w6,w7,w8", *(f"node {pair} kubelet" for pair in ("w1,w4", "w7", "w2,w5", "w8", "w3,w6"))],
    ),
    "only etcd's members on their own": (
        {"hosts": external(1, 2)[1:], "before": OLD, "allow_outage": True},
        ["fetch e1,e2", "snapshot e2", "swap e1 etcd", "swap e2 etcd"],
    ),
    "called off after the first master": (
        {
            "hosts": stacked(3),
            "target": OLD,
            "differing": {
                component: {"m2": NEW[component == "etcd"]}
                for component in ("apiserver", "controller_manager", "scheduler", "etcd")
            },
        },
        ["fetch m2", "snapshot m1", "master m2 kube-controller-manager+kube-scheduler+etcd+kube-apiserver"],
    ),
    "back when all of etcd is new: its formal downgrade": (
        {"hosts": stacked(3), "before": (OLD[0], NEW[1]), "target": OLD},
        ["fetch m1,m2,m3", "snapshot m1", "downgrade m1", *(f"master m{n} etcd+{ALL}" for n in (2, 3, 1))],
    ),
    "nothing to do": ({"hosts": (*stacked(3), *workers(2)), "before": NEW}, []),
    "nobody": ({"hosts": ()}, []),
}


def test_nodes_too_old_for_the_next_minor_come_up_to_the_api_servers_first():
    """As the finding version-kubelet has it."""
    old = {component: {"w1": "1.33.9"} for component in ("kubelet", "kube_proxy")}
    case = {"hosts": (*stacked(3), *workers(2)), "before": OLD, "differing": old}
    assert set(codes(planned(**case, target=NEW))) == {"version-kubelet", "version-kube-proxy"}
    assert said(planned(**case, target=OLD)) == ["fetch w1", f"node w1 {NODE}"]


@pytest.mark.parametrize("name", GOLDEN)
def test_the_plan_in_order(name):
    case, steps = GOLDEN[name]
    plan = planned(**case)
    assert codes(plan) == []
    assert said(plan) == steps
    assert planned(**{**case, "hosts": case["hosts"][::-1]}) == plan


def test_a_plan_is_shown_one_line_a_step_with_the_way_back_where_it_changes():
    assert planned(stacked(2, learner="m2")).lines() == (
        "  1. fetch     m1, m2       every host gets the wanted programs before anything stops",
        "     way back from here: nothing has changed yet: stop here",
        "  2. snapshot  m1           etcd is saved, the copy verified and fetched, before anything changes",
        "  3. master    m2           the canary: the others follow only when it is well   [etcd 3.6.16 -> 3.7.3; "
        "kube-apiserver, kube-controller-manager, kube-scheduler 1.36.3 -> 1.37.2]",
        "     way back from here: run again with Kubernetes 1.36.3 and etcd 3.6.16",
        "  4. swap      m1           m2 becomes a voter and takes over; API servers are pointed there, then this member is "
        "removed and comes back as a learner   [etcd 3.6.16 -> 3.7.3; restarts kube-apiserver, kube-controller-manager, "
        "kube-scheduler too]   [etcd: 1 of 1 healthy, quorum 1 -> 2 of 2 healthy, quorum 2 meanwhile; no zone may be lost]",
        "     way back from here: run again with Kubernetes 1.36.3; etcd 3.6.16 by its formal downgrade "
        "(-e etcd_allow_downgrade=true), since every member is new",
        "  5. master    m1           one master at a time   [kube-apiserver, kube-controller-manager, kube-scheduler "
        "1.36.3 -> 1.37.2]",
        "     way back from here: run again with Kubernetes 1.36.3 (not supported upstream: every API server is new); etcd "
        "3.6.16 by its formal downgrade (-e etcd_allow_downgrade=true), since every member is new",
        "  6. node      m1           a master's node, after the last API server   [kubelet, kube-proxy 1.36.3 -> 1.37.2]",
        "     way back from here: Kubernetes only goes on (m1 runs kubelet 1.37.2); the last resort is to restore the snapshot; "
        "etcd 3.6.16 by its formal downgrade (-e etcd_allow_downgrade=true), since every member is new",
        "  7. node      m2           a master's node, after the last API server   [kubelet, kube-proxy 1.36.3 -> 1.37.2]",
    )


def states(plan):
    """Return of each step that restarts or swaps a member (its host, voters healthy before, at worst and after)."""
    found = [(step.hosts[0], *(f"{s.healthy}/{s.voters}" for s in (step.before, step.during, step.after))) for step in plan.steps]
    return [one for one in found if len(set(one[1:])) > 1]


def test_each_step_says_what_etcd_is_before_at_worst_and_after_it():
    assert states(planned(stacked(3))) == [(name, "3/3", "2/3", "3/3") for name in ("m2", "m3", "m1")]
    assert states(planned(external(2, 3))) == [(name, "3/3", "2/3", "3/3") for name in ("e1", "e3", "e2")]
    # of two the learner has no vote to miss; the swap is at its worst while both vote
    assert states(planned(stacked(2, learner="m2"))) == [("m1", "1/1", "2/2", "1/1")]
    # both vote: one leaves, and comes back as the learner
    assert states(planned(stacked(2), target=(OLD[0], NEW[1]))) == [("m2", "2/2", "2/2", "1/1"), ("m1", "1/1", "2/2", "1/1")]
    stopped = planned(changed(stacked(3), "m3", stopped=("etcd",)), target=(OLD[0], NEW[1]))
    assert states(stopped)[0] == ("m3", "2/3", "2/3", "3/3"), "who is down is started"
    assert {step.before.zones for step in planned(stacked(3)).steps} == {("a", "b", "c")}
    assert {step.during.zones for step in planned(stacked(3)).steps if "etcd" in step.restarts} == {()}
    assert {step.after for step in planned(external(1, 0), allow_outage=True).steps} == {None}, "etcd is not known"


def test_many_hosts_are_counted_and_not_all_named():
    assert "w1, w2, w3, w4 and 2 more " in planned(workers(6)).steps[0].line()


@pytest.mark.parametrize(
    ("before", "target", "ways"),
    [
        (OLD, NEW, ("up", "up")),
        (NEW, NEW, ("stay", "stay")),
        (OLD, (OLD[0], NEW[1]), ("stay", "up")),
        (("1.36.3", "3.7.3"), ("1.36.1", "3.6.16"), ("back", "back")),
    ],
)
def test_the_direction_of_each(before, target, ways):
    plan = planned(stacked(3), before, target)
    assert (plan.kubernetes, plan.etcd) == ways


def test_one_that_is_newer_than_wanted_makes_it_the_way_back():
    plan = planned(stacked(3), OLD, OLD, {"apiserver": {"m2": NEW[0]}, "etcd": {"m3": NEW[1]}})
    assert (plan.kubernetes, plan.etcd) == ("back", "back")


def test_nodes_that_are_down_come_first_with_their_zone():
    """A batch is filled up with the next of its zone; masters' nodes come before all of them."""
    hosts = changed(
        changed(changed((*stacked(3), *workers(9)), "w6", stopped=("kubelet",)), "w5", stopped=("kube_proxy",)),
        "m2",
        stopped=("kubelet",),
    )
    differing = {"kubelet": {host.name: OLD[0] for host in hosts}}
    steps = [",".join(step.hosts) for step in planned(hosts, NEW, differing=differing, batch="2").steps if step.kind == "node"]
    assert steps == ["m2", "m1", "m3", "w5,w2", "w6,w3", "w1,w4", "w7", "w8", "w9"]


# Which master is first --------------------------------------------------------------------------------------------------


def first(hosts, **more):
    return next(step.hosts[0] for step in planned(hosts, **more).steps if step.kind in ("master", "member", "swap"))


def order(hosts, **more):
    return [step.hosts[0] for step in planned(hosts, **more).steps if step.kind == "master"]


def test_the_holder_goes_before_the_leader_and_after_all_others():
    hosts = changed(changed(stacked(3), "m1", holds=False), "m2", holds=True)
    assert order(hosts) == ["m3", "m2", "m1"]


def test_zone_before_name():
    hosts = changed(changed(stacked(5), "m4", zone="z"), "m2", zone="y")
    assert order(hosts) == ["m5", "m3", "m2", "m4", "m1"]


def test_what_is_down_is_started_before_anything_else_stops_be_it_the_leader():
    assert first(changed(stacked(3), "m1", stopped=("scheduler",))) == "m1"


def test_a_voter_that_cannot_be_spared_comes_last_even_when_it_is_half_done_and_nobody_knows_the_leader():
    hosts = changed(stacked(2, learner="m2"), "m1", leads=False)
    assert order(hosts, differing={"apiserver": {"m1": NEW[0]}}) == ["m2", "m1"]


def test_a_master_left_half_done_is_finished_first():
    assert first(stacked(3), differing={"apiserver": {"m1": NEW[0]}}) == "m1"


def test_what_runs_as_wanted_is_left_out():
    done = {component: {"m2": NEW[component == "etcd"]} for component in ("etcd", "apiserver", "controller_manager", "scheduler")}
    plan = planned(stacked(3), differing=done)
    assert [step.hosts[0] for step in plan.steps if step.kind == "master"] == ["m3", "m1"]
    assert ["canary" in step.why for step in plan.steps if step.kind == "master"] == [True, False]


def test_a_stopped_program_is_started_even_when_all_versions_are_right():
    plan = planned(changed(stacked(3), "m2", stopped=("kubelet",)), NEW)
    assert said(plan) == ["fetch m2", "node m2 kubelet"]


def test_the_only_master_is_nobodys_canary():
    assert (
        planned(changed(stacked(1), "m1", stopped=("apiserver",)), target=(NEW[0], OLD[1])).steps[2].why == "one master at a time"
    )


def test_without_another_version_there_is_no_way_back_to_tell():
    plan = planned(changed(stacked(3), "m2", stopped=("kubelet",)), NEW)
    assert plan.steps[1].way_back == ""
    assert [line for line in plan.lines() if "way back" in line] == [plan.lines()[1]]


@pytest.mark.parametrize(("even", "refused"), [(False, []), (True, ["even"])])
def test_of_two_that_both_are_to_vote_neither_gives_way(even, refused):
    hosts = changed(stacked(2), "m2", votes=True)
    plan = planned(hosts, even_voters=even)
    assert [one.code for one in plan.refusals if one.code == "even"] == refused * 2
    assert bool(plan.steps) is not even
    # who changes no etcd is not kept from it
    assert planned(hosts, target=(NEW[0], OLD[1]), even_voters=even).steps


@pytest.mark.parametrize(("voters", "heirs"), [(("m1", "m3"), ["m1 takes", "m2 becomes"]), (("m1",), ["m2 becomes"])])
def test_a_voter_takes_over_before_a_learner_becomes_one(voters, heirs):
    hosts = tuple(dataclasses.replace(host, votes=host.name in voters) for host in stacked(3))
    swaps = [step.why for step in planned(hosts).steps if step.kind == "swap"]
    assert [why[: len(heir)] for why, heir in zip(swaps, heirs, strict=True)] == heirs


def test_a_voter_taken_out_by_a_cut_off_swap_comes_back_first():
    hosts = changed(changed(stacked(2), "m1", votes=None, stopped=("etcd",), leads=False), "m2", leads=True)
    assert said(planned(hosts, differing={"etcd": {"m2": NEW[1]}}))[2] == "swap m1 etcd"


def test_an_enabled_downgrade_is_called_off_on_the_way_up_and_only_then():
    hosts = stacked(3)
    versions = running(hosts, NEW[0], NEW[1])
    up = _upgrade.plan(versions, hosts, wanted(), _upgrade.Etcd("3.6.0", "3.6"))
    assert said(up) == ["cancel m1"]
    back = _upgrade.plan(versions, hosts, wanted((NEW[0], OLD[1])), _upgrade.Etcd("3.6.0", "3.6"))
    assert [step.kind for step in back.steps] == ["fetch", "snapshot", "master", "master", "master"]


def test_a_downgrade_that_is_enabled_is_not_enabled_again():
    hosts = stacked(3)
    plan = _upgrade.plan(running(hosts, NEW[0], NEW[1]), hosts, wanted((NEW[0], OLD[1])), _upgrade.Etcd(downgrade="3.6.0"))
    assert "downgrade" not in [step.kind for step in plan.steps]


def test_with_an_old_member_left_nothing_is_to_be_allowed():
    plan = planned(stacked(3), OLD, OLD, {"etcd": {"m2": NEW[1], "m3": NEW[1]}}, allow_downgrade=False)
    assert [step.kind for step in plan.steps] == ["fetch", "snapshot", "master", "master"]


def test_no_snapshot_is_planned_of_an_etcd_that_does_not_run():
    plan = planned(changed(stacked(1), "m1", stopped=("etcd",)))
    assert said(plan)[:2] == ["fetch m1", f"master m1 etcd+{ALL}"]
    assert any("no snapshot can be taken" in note for note in plan.notes)
    assert not planned(stacked(1), allow_outage=True).notes


# All pairs of versions --------------------------------------------------------------------------------------------------


def verdict(servers, nodes, target):
    """Return the checks that forbid a hop, by the words of the skew policy alone (numbers are minors of Kubernetes)."""
    checks = set()
    if max(servers) - min(servers) > 1:
        checks.add("skew-apiserver")
    if any(node > min(servers) for node in nodes):
        checks.add("skew-kubelet")
    if any(max(servers) - node > 3 for node in nodes):
        checks.add("skew-kubelet")
    if any(target - server > 1 for server in servers):
        checks.add("version-skips")
    if any(server - target > 1 for server in servers):
        checks.add("version-downgrade")
    if any(node > target for node in nodes):
        checks.add("version-kubelet")
    return checks


@pytest.mark.parametrize("target", [35, 36, 37])
def test_every_mixture_of_three_minors(target):
    hosts = (*stacked(3), *workers(2))
    allowed = 0
    for servers in itertools.product((35, 36, 37), repeat=3):
        for nodes in itertools.product((35, 36, 37), repeat=2):
            masters = {f"m{n}": f"1.{minor}.1" for n, minor in enumerate(servers, 1)}
            kubelets = {**dict.fromkeys(masters, f"1.{min(servers)}.1"), **{f"w{n}": f"1.{m}.1" for n, m in enumerate(nodes, 1)}}
            versions = running(
                hosts,
                "",
                OLD[1],
                apiserver=masters,
                controller_manager=masters,
                scheduler=masters,
                kubelet=kubelets,
                kube_proxy=dict.fromkeys(kubelets, "1.35.1"),
            )
            plan = _upgrade.plan(versions, hosts, wanted((f"1.{target}.1", OLD[1])))
            assert set(codes(plan)) == verdict(servers, (*nodes, min(servers)), target), (servers, nodes)
            if plan.refusals:
                continue
            allowed += 1
            back = any(server > target for server in servers)
            assert plan.kubernetes == ("back" if back else "up" if plan.steps else "stay")
            assert {s.hosts[0] for s in plan.steps if s.kind == "master"} == {
                m for m, text in masters.items() if text != f"1.{target}.1"
            }
    assert allowed >= 5


# Cut off anywhere -------------------------------------------------------------------------------------------------------


def right(cluster, target):
    return all(
        cluster.running[component].get(host.name) == target[component == "etcd"]
        for host in cluster.hosts.values()
        for component in host.components
    ) and not any(host.stopped for host in cluster.hosts.values())


def run(cluster, wished, cut=None, outage=False):
    """Do the plan up to the piece `cut`, judging every moment; return how many pieces were done."""
    plan = cluster.plan(wished)
    assert not plan.refusals, plan.refusals
    done = 0
    for step in plan.steps:
        for _piece in cluster.pieces(step):
            assert outage or not cluster.faults(), (step.line(), cluster.faults())
            done += 1
            if cut is not None and done >= cut:
                return done
    return done


CLUSTERS = {
    "two masters": stacked(2, learner="m2"),
    "three masters": (*stacked(3), *workers(3)),
    "four masters": stacked(4, learner="m4"),
    "two masters that both vote": stacked(2),
    "dedicated etcd": (*external(2, 3), *workers(2)),
    "two dedicated members": changed(external(2, 2), "e1", votes=False),
}


@pytest.mark.parametrize("name", CLUSTERS)
@pytest.mark.parametrize(("before", "target"), [(OLD, NEW), ((OLD[0], NEW[1]), OLD), (("1.37.0", "3.7.1"), ("1.37.0", "3.6.16"))])
def test_cut_off_at_any_piece_it_is_finished_by_the_next_run(name, before, target):
    hosts = CLUSTERS[name]
    whole = Cluster(running(hosts, *before), hosts)
    pieces = run(whole, wanted(target))
    assert pieces > 5
    assert right(whole, target)
    assert not whole.plan(wanted(target)).steps
    for cut in range(1, pieces + 1):
        cluster = Cluster(running(hosts, *before), hosts)
        run(cluster, wanted(target), cut)
        run(cluster, wanted(target))
        assert right(cluster, target), cut
        assert not cluster.plan(wanted(target)).steps


@pytest.mark.parametrize("name", CLUSTERS)
def test_called_off_at_any_piece_it_goes_back_unless_a_node_is_new(name):
    hosts = CLUSTERS[name]
    pieces = run(Cluster(running(hosts, *OLD), hosts), wanted())
    stopped_at = set()
    for cut in range(1, pieces + 1):
        cluster = Cluster(running(hosts, *OLD), hosts)
        run(cluster, wanted(), cut)
        new = {*cluster.running["kubelet"].values(), *cluster.running["kube_proxy"].values()} & {NEW[0]}
        stopped_at.add(bool(new))
        if new:
            assert set(codes(cluster.plan(wanted(OLD)))) <= {"version-kubelet", "version-kube-proxy"}
            assert not cluster.plan(wanted(OLD)).steps
        else:
            run(cluster, wanted(OLD))
            assert right(cluster, OLD), cut
    assert stopped_at == {False, True}


def test_one_master_alone_is_finished_too():
    hosts = stacked(1)
    for cut in range(1, 12):
        cluster = Cluster(running(hosts, *OLD), hosts)
        run(cluster, wanted(allow_outage=True), cut, outage=True)
        run(cluster, wanted(allow_outage=True), outage=True)
        assert right(cluster, NEW), cut


@pytest.mark.parametrize("name", CLUSTERS)
def test_the_way_back_that_is_told_is_there(name):
    """Go to every point of the upgrade and ask for the old versions: what the step said must be so."""
    hosts = CLUSTERS[name]
    seen = set()
    steps = Cluster(running(hosts, *OLD), hosts).plan(wanted()).steps
    cluster = Cluster(running(hosts, *OLD), hosts)
    for step in steps:
        for _piece in cluster.pieces(step):
            pass
        back = cluster.plan(wanted(OLD))
        forward = "only goes on" in step.way_back
        formal = "formal downgrade" in step.way_back
        seen.add((forward, formal))
        assert bool(back.refusals) is forward
        if not forward:
            assert any(one.kind == "downgrade" for one in back.steps) is formal
            there = Cluster(cluster.versions(), cluster.hosts.values(), cluster.cluster_version)
            run(there, wanted(OLD))
            assert right(there, OLD)
    assert {(False, False), (True, True)} <= seen


@pytest.mark.parametrize("name", CLUSTERS)
def test_what_remains_after_a_step_is_the_rest_of_the_same_plan(name):
    hosts = CLUSTERS[name]
    cluster = Cluster(running(hosts, *OLD), hosts)
    work = [(step.kind, step.hosts, step.changes) for step in cluster.plan(wanted()).steps[2:]]
    for number, step in enumerate(cluster.plan(wanted()).steps[2:], 1):
        for _piece in cluster.pieces(step):
            pass
        rest = [s for s in cluster.plan(wanted()).steps if s.kind not in ("fetch", "snapshot")]
        assert [(s.kind, s.hosts, s.changes) for s in rest] == work[number:]


@st.composite
def mixed(draw):
    """Return (hosts, Versions) of a legal state that a cut-off run, or several, may have left."""
    shape = draw(st.sampled_from(["stacked", "external"]))
    count = draw(st.integers(2, 5))
    if shape == "stacked":
        hosts = stacked(count, learner=f"m{count}" if count % 2 == 0 else "")
    else:
        hosts = external(count, draw(st.sampled_from([3, 5])))
    hosts += workers(draw(st.integers(0, 4)))
    low = draw(st.sampled_from([35, 36]))
    patch = st.sampled_from([0, 3])
    found = {component: {} for component in _skew.COMPONENTS}
    masters = [host.name for host in hosts if host.master]
    minor = {name: draw(st.integers(low, low + 1)) for name in masters}
    for name in masters:
        found["apiserver"][name] = f"1.{minor[name]}.{draw(patch)}"
        for component in ("controller_manager", "scheduler"):
            found[component][name] = f"1.{minor[name] - draw(st.integers(0, 1))}.{draw(patch)}"
    oldest = min(minor.values())
    for host in hosts:
        for component in ("kubelet", "kube_proxy") if host.master or host.worker else ():
            found[component][host.name] = f"1.{oldest - draw(st.integers(0, 2))}.{draw(patch)}"
        if host.member:
            found["etcd"][host.name] = draw(st.sampled_from(["3.6.16", "3.7.3"]))
    return hosts, _skew.Versions(**found)


TARGETS = st.tuples(st.sampled_from(["1.35.3", "1.36.3", "1.37.3"]), st.sampled_from(["3.6.16", "3.7.3"]))
FORBIDDEN = {"version-skips", "version-downgrade", "version-kubelet", "version-kube-proxy"}


@settings(max_examples=60, deadline=None)
@given(mixed(), TARGETS, st.lists(st.integers(1, 40), max_size=4))
def test_from_any_legal_state_cut_off_several_times_it_ends_well(state, target, cuts):
    hosts, versions = state
    cluster = Cluster(versions, hosts)
    plan = cluster.plan(wanted(target, batch="2"))
    assert set(codes(plan)) <= FORBIDDEN
    if plan.refusals:
        assert not plan.steps
        return
    for cut in cuts:
        run(cluster, wanted(target, batch="2"), cut)
    run(cluster, wanted(target, batch="2"))
    assert right(cluster, target)
    assert cluster.plan(wanted(target, batch="2")).steps == ()


@settings(max_examples=60, deadline=None)
@given(mixed(), TARGETS)
def test_every_change_is_made_once_and_nothing_else(state, target):
    hosts, versions = state
    plan = _upgrade.plan(versions, hosts, wanted(target))
    if plan.refusals:
        return
    made = [(one.host, one.program, one.present, one.wanted) for step in plan.steps for one in step.changes]
    needed = [
        (host.name, _skew.COMPONENTS[component], getattr(versions, component)[host.name], target[component == "etcd"])
        for host in hosts
        for component in host.components
        if getattr(versions, component)[host.name] != target[component == "etcd"]
    ]
    assert sorted(made) == sorted(needed)
    restarting = [step for step in plan.steps if step.restarts]
    assert all(len(step.hosts) == 1 for step in restarting if step.kind != "node" or step.hosts[0].startswith("m"))
    kinds = [step.kind for step in plan.steps]
    assert kinds == sorted(kinds, key=lambda kind: _upgrade.KINDS.index("master" if kind == "swap" else kind))
    zones = {host.name: host.zone for host in hosts}
    assert all(len({zones[name] for name in step.hosts}) == 1 for step in restarting)
