# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import dataclasses
import itertools

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _turns, _upgrade
from upgrade_fixtures import NEW, OLD, running, stacked, wanted

NOBODY = "all:!all"
UP, DOWN = {"units": {"u": {"active": "active"}}}, {"units": {"u": {"active": "failed"}}}
OTHER = {"units": {"u": {"active": "active"}}, "restart_needed": ["u"]}
SICK = {**OTHER, "unready": ["u"]}
RESULTS = {
    "etcd": "etcd_result",
    "api": "kube_apiserver_result",
    "kcm": "kube_controller_manager_result",
    "sched": "kube_scheduler_result",
    "endpoint": "api_endpoint_result",
    "kubelet": "kubelet_result",
    "network": "network_result",
}


def neighbour(name, masters):
    """Return the first other master, the host itself where there is none."""
    return next((other for other in masters if other != name), name)


def fact(masters="m1 m2 m3", etcd="", workers="", mode="balanced", batch="1", turns=None, learners="", later="", **more):
    """Return what the turns read of the fact; `more`: `watched` for seconds, and orders by name.

    `used` and `at_rest` are the members that API servers have and are to have, by host; the others have their own.
    """
    masters, etcd, workers = masters.split(), etcd.split(), workers.split()
    watched = {"seconds": more.pop("watched", 0)}
    used, at_rest = more.pop("used", {}), more.pop("at_rest", {})
    hosts = {
        name: {
            "master": name in masters,
            "worker": name in workers,
            "zone": "",
            "neighbour": neighbour(name, masters),
            "client_url": name,
            "etcd_used": used.get(name, name).split(),
            "etcd_endpoints": at_rest.get(name, name).split(),
        }
        for name in (*masters, *etcd, *workers)
    }
    nobody = dict.fromkeys(("bootstrap", "grow", "demote"), NOBODY)
    return {
        "masters": masters,
        "workers": workers,
        "hosts": hosts,
        "turns": (turns or " ".join([*etcd, *masters])).split(),
        "learners": learners.split(),
        "later": later.split(),
        "endpoint": {"mode": mode},
        "upgrade_batch": batch,
        "canary": watched,
        "order": {**nobody, "holder_first": ",".join(masters), **more},
    }


def told(names, **results):
    """Return hostvars in which these hosts' services are as they should be, but for (service, host)=result."""
    hostvars = {name: {RESULTS[service]: UP for service in ("etcd", "api", "kcm", "sched")} for name in names}
    for place, result in results.items():
        service, name = place.split("_")
        hostvars[name][RESULTS[service]] = result
    return hostvars


def everything(name):
    """Return the results of a master on which everything is to restart."""
    return {f"{service}_{name}": OTHER for service in ("etcd", "api", "kcm", "sched")}


def taken(the_fact, **results):
    """Return who takes a turn, without the lists that are empty."""
    found = _turns.control_turns(told(the_fact["hosts"], **results), the_fact)
    return {
        what: " ".join(names) for what, names in found.items() if names and what not in ("drifted", "renewing", "running_ready")
    }


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (None, ""),
        ({"skipped": True}, ""),
        ({"units": {"etcd": {"active": "active"}}, "restart_needed": []}, ""),
        ({"units": {"etcd": {"active": "activating"}}, "restart_needed": []}, ""),
        ({"units": {"etcd": {"active": "reloading"}}, "restart_needed": []}, ""),
        ({"units": {"etcd": {"active": "failed"}}, "restart_needed": []}, "early"),
        ({"units": {"a": {"active": "active"}, "b": {"active": "inactive"}}, "restart_needed": []}, "early"),
        ({"units": {"etcd": {"active": "active"}}, "restart_needed": ["etcd"]}, "masters"),
    ],
)
def test_a_turn_is_for_a_host_whose_service_is_down_or_runs_with_other_settings(result, why):
    hostvars = {"m1": {"etcd_result": result} if result else {}}
    found = _turns.control_turns(hostvars, fact("m1", mode="direct", holder_first=NOBODY))
    assert [what for what in ("early", "masters") if found[what]] == ([why] if why else [])


@pytest.mark.parametrize(
    ("the_fact", "results", "wanted"),
    [
        (fact(), {}, {}),
        (fact(turns="m3 m1 m2"), {"etcd_m1": OTHER, "etcd_m3": OTHER}, {"masters": "m3 m1", "etcd": "m3 m1", "drained": "m3 m1"}),
        (fact(), {"api_m2": OTHER}, {"masters": "m2", "drained": "m2"}),
        # controllers need no drain
        (fact(), {"kcm_m2": OTHER, "sched_m3": OTHER}, {"masters": "m2 m3"}),
        # controllers that are down start by themselves, or with the API server that they wait for
        (fact(), {"kcm_m2": DOWN}, {}),
        (fact(), {"kcm_m2": DOWN, "api_m2": OTHER}, {"masters": "m2", "drained": "m2"}),
        # who runs and is not ready comes before others, and takes no turn for that alone
        (fact(), {"api_m1": OTHER, "api_m2": OTHER, "api_m3": SICK}, {"masters": "m3 m1 m2", "drained": "m3 m1 m2"}),
        (fact(), {"etcd_m1": OTHER, "etcd_m3": OTHER, "api_m3": {**UP, "unready": ["u"]}},
         {"masters": "m3 m1", "etcd": "m1 m3", "drained": "m3 m1"}),
        (fact(), {"api_m3": {**UP, "unready": ["u"]}}, {}),
        # several reasons make one turn
        (fact(), {"etcd_m1": OTHER, "api_m1": OTHER, "kcm_m1": OTHER}, {"masters": "m1", "etcd": "m1", "drained": "m1"}),
        # who is down starts before anybody restarts, and an API server that is down starts without a turn
        (fact(), {"etcd_m2": DOWN, "api_m2": DOWN}, {"early": "m2"}),
        (fact(), {"etcd_m2": DOWN, "etcd_m1": OTHER}, {"early": "m2", "masters": "m1", "etcd": "m1", "drained": "m1"}),
        # a newcomer starts by joining
        (fact(grow="m2,m3"), {"etcd_m2": DOWN, "etcd_m3": DOWN}, {}),
        (fact(bootstrap="m1,m2,m3"), {"etcd_m1": DOWN, "etcd_m2": DOWN, "etcd_m3": DOWN}, {}),
        # two masters: the learner first; who gives way or waits has no turn of its own at etcd
        (fact("m1 m2", learners="m2"), {"etcd_m2": OTHER}, {"early": "m2"}),
        (fact("m1 m2", learners="m2", demote="m1"), {"etcd_m1": OTHER, "etcd_m2": OTHER}, {"early": "m2"}),
        (fact("m1 m2", later="m1"), {"etcd_m1": OTHER, "api_m1": OTHER}, {"masters": "m1", "drained": "m1"}),
        # members on hosts of their own
        (fact("m1", etcd="e1 e2 e3"), {"etcd_e3": OTHER, "etcd_e1": OTHER}, {"members": "e1 e3", "etcd": "e1 e3"}),
        # one that an API server has alone waits for its turn, and is known after it; who moves to a lone one waits for that
        (fact("m1 m2", etcd="e1 e2", used={"m1": "e1", "m2": "e1"}, at_rest={"m1": "e1 e2", "m2": "e1 e2"}),
         {"etcd_e1": OTHER, "etcd_e2": OTHER, "api_m1": OTHER, "api_m2": OTHER},
         {"members": "e2", "masters": "m1 m2", "last": "e1", "etcd": "e1 e2", "drained": "m1 m2"}),
        (fact("m1", etcd="e1 e2", used={"m1": "e1"}, at_rest={"m1": "e1 e2"}), {"etcd_e1": OTHER}, {"last": "e1", "etcd": "e1"}),
        (fact("m1", etcd="e1 e2", used={"m1": "e1 e2"}, at_rest={"m1": "e1"}), {"etcd_e1": OTHER, "api_m1": OTHER},
         {"members": "e1", "masters": "m1", "etcd": "e1", "drained": "m1"}),
        (fact("m1", etcd="e1", used={"m1": "e1"}, at_rest={"m1": "e1"}), {"etcd_e1": OTHER}, {"members": "e1", "etcd": "e1"}),
        (fact("m1", etcd="e1 e2 e3"), {"etcd_e3": DOWN, "api_m1": OTHER}, {"early": "e3", "masters": "m1", "drained": "m1"}),
        # the endpoint: who has to do something, its holder first; a single master always says so
        (fact(holder_first="m2,m1,m3"), {"endpoint_m1": {"turn_needed": True}, "endpoint_m2": {"turn_needed": True}},
         {"endpoint": "m2 m1"}),
        (fact(), {"endpoint_m1": {"turn_needed": False}}, {}),
        (fact("m1", mode="direct"), {}, {"endpoint": "m1"}),
        # somebody else's balancer: one of them says what to point it at
        (fact("m1 m2 m3", mode="external"), {}, {"endpoint": "m1"}),
    ],
)  # fmt: skip  # a case a row
def test_case(the_fact, results, wanted):
    assert taken(the_fact, **results) == wanted


@pytest.mark.parametrize(
    ("the_fact", "results", "wanted"),
    [
        (fact(), {}, True),
        (fact(), {"api_m1": OTHER, "kcm_m2": DOWN, "etcd_m3": DOWN}, True),
        (fact(), {"etcd_m3": OTHER}, False),
        (fact("m1", etcd="e1"), {"etcd_e1": OTHER}, False),
        # these restart in no turn: a learner before all, the other of two in the next run
        (fact("m1 m2", learners="m2"), {"etcd_m2": OTHER}, True),
        (fact("m1 m2", later="m1"), {"etcd_m1": OTHER}, True),
    ],
)
def test_an_api_server_that_runs_need_not_be_ready_while_a_member_is_yet_to_restart(the_fact, results, wanted):
    assert _turns.control_turns(told(the_fact["hosts"], **results), the_fact)["running_ready"] is wanted


STATES = (UP, DOWN, OTHER)


@pytest.mark.parametrize("states", list(itertools.product(STATES, repeat=3)))
def test_each_member_that_asks_gets_one_turn_unless_it_starts_in_another_way(states):
    results = {f"etcd_{name}": state for name, state in zip(("m1", "m2", "m3"), states, strict=True)}
    for learner, grows, demoted, later in itertools.product(("", "m1"), ("", "m2"), ("", "m3"), ("", "m3")):
        the_fact = fact(learners=learner, later=later, grow=grows or NOBODY, demote=demoted or NOBODY)
        found = _turns.control_turns(told(the_fact["hosts"], **results), the_fact)
        for name, state in zip(("m1", "m2", "m3"), states, strict=True):
            times = found["early"].count(name) + found["etcd"].count(name)
            otherwise = name == grows or (state is OTHER and name in (demoted, later))
            assert times == (state is not UP and not otherwise), (name, learner, grows, demoted, later)
            assert name not in found["etcd"] or state is OTHER
            assert (name in found["drifted"]) == (state is OTHER)
        assert set(found["etcd"]) <= set(found["drained"]) <= set(found["masters"])


@pytest.mark.parametrize(("needed", "wanted"), [([], True), (["etcd.service"], False)])
def test_what_has_to_restart_does_not_run_as_it_should(needed, wanted):
    assert _turns.runs_as_it_should({"restart_needed": needed}) is wanted


def test_nodes_whose_services_run_with_other_settings_restart_in_batches():
    the_fact = fact("m1", workers="m1 w1 w2 w3", batch="2")
    hostvars = told(the_fact["hosts"], kubelet_w2=OTHER, network_w1=OTHER, kubelet_m1=OTHER, kubelet_w3=DOWN, api_m1=OTHER)
    assert _turns.node_turns(hostvars, the_fact) == {"hosts": "m1,w1,w2", "serial": [1, 2]}
    assert _turns.node_turns(told(the_fact["hosts"]), the_fact) == {"hosts": NOBODY, "serial": [1]}


@pytest.mark.parametrize(
    ("the_fact", "results", "wanted"),
    [
        # while something is down nothing else may stop: first who waits for its API server, though it leads
        (fact(), {"api_m1": OTHER, "api_m2": OTHER, "api_m3": OTHER, "kcm_m3": DOWN}, "m3 m1 m2"),
        # then what was left half done
        (fact(), {**everything("m1"), **everything("m2"), "kcm_m3": OTHER}, "m3 m1 m2"),
        (fact(), {**everything("m1"), "etcd_m2": OTHER, "kcm_m3": OTHER, "sched_m3": DOWN, "api_m3": OTHER}, "m3 m2 m1"),
        (fact(turns="m3 m1 m2"), {**everything("m1"), **everything("m2"), **everything("m3")}, "m3 m1 m2"),
        # of a master that has no member only its own programs count
        (fact("m1 m2", etcd="e1"), {**everything("m1"), "etcd_m1": {}, "etcd_m2": {}, "kcm_m2": OTHER}, "m2 m1"),
    ],
)
def test_what_is_down_or_half_done_goes_first(the_fact, results, wanted):
    assert taken(the_fact, **results)["masters"] == wanted


@pytest.mark.parametrize(
    ("the_fact", "due", "wanted"),
    [
        # 3 -> 2 masters while etcd gets a flag: m3, which is about to lose its member, moves to m2's when that has restarted
        (fact(at_rest={"m1": "m2"}), {"etcd_m2": OTHER, "api_m1": OTHER}, "m2 m1"),
        (fact(at_rest={"m3": "m2"}), {"etcd_m2": OTHER, "api_m3": OTHER}, "m2 m3"),
        (fact(turns="m3 m1 m2", at_rest={"m3": "m2"}), {**everything("m1"), **everything("m2"), "api_m3": OTHER}, "m1 m2 m3"),
        # 2 -> 3 masters: m2's is the learner that now votes, so it leaves m1's member before that restarts
        (fact(used={"m2": "m1"}), {"etcd_m1": OTHER, "api_m2": OTHER}, "m2 m1"),
        (
            fact(turns="m1 m3 m2", used={"m2": "m1", "m3": "m1"}),
            {**everything("m1"), "api_m2": OTHER, "api_m3": OTHER},
            "m3 m2 m1",
        ),
        # from one that restarts to another
        (fact(used={"m2": "m1"}, at_rest={"m2": "m3"}), {"etcd_m1": OTHER, "etcd_m3": OTHER, "api_m2": OTHER}, "m3 m2 m1"),
        # who stays with its only member gains by no order, who has several finds another, who does not move has no turn
        (fact(used={"m2": "m1"}, at_rest={"m2": "m1"}), {"etcd_m1": OTHER, "api_m2": OTHER}, "m1 m2"),
        (fact(at_rest={"m1": "m2 m3"}), {"etcd_m2": OTHER, "api_m1": OTHER}, "m1 m2"),
        (fact(at_rest={"m1": "m2"}), {"etcd_m2": OTHER, "kcm_m1": OTHER}, "m1 m2"),
        (fact(at_rest={"m1": "m2"}), {"api_m2": OTHER, "api_m1": OTHER}, "m1 m2"),
        (fact("m1 m2", etcd="e1", at_rest={"m1": "e1", "m2": "e1"}), {"etcd_e1": OTHER, "api_m2": OTHER}, "m2"),
        # what is not ready goes first whatever it uses
        (fact(at_rest={"m3": "m2"}), {"etcd_m2": OTHER, "api_m3": SICK}, "m3 m2"),
        (fact(at_rest={"m1": "m2"}), {"etcd_m2": OTHER, "api_m1": OTHER, "api_m3": SICK}, "m3 m2 m1"),
    ],
)
def test_no_member_restarts_while_another_masters_api_server_has_it_alone(the_fact, due, wanted):
    assert taken(the_fact, **due)["masters"] == wanted


@pytest.mark.parametrize("restarts", [names for size in range(4) for names in itertools.combinations(("m1", "m2", "m3"), size)])
@pytest.mark.parametrize("turns", list(itertools.permutations(("m1", "m2", "m3"))))
def test_wherever_an_order_can_spare_an_api_server_its_only_member_it_does(turns, restarts):
    places = ("m1", "m2", "m3", "m1 m2")
    for used, at_rest in itertools.product(itertools.product(places, repeat=3), itertools.product(places, repeat=3)):
        # as in a cluster: own members come first where they vote, so nobody uses another's that uses somebody else's itself
        used, at_rest = (dict(zip(("m1", "m2", "m3"), one)) for one in (used, at_rest))
        if any(one[target] != target for one in (used, at_rest) for target in one.values() if target in one):
            continue
        moved = [name for name in turns if used[name] != at_rest[name]]
        the_fact = fact(turns=" ".join(turns), used=used, at_rest=at_rest)
        due = {**{f"etcd_{name}": OTHER for name in restarts}, **{f"api_{name}": OTHER for name in moved}}
        in_turn = taken(the_fact, **due).get("masters", "").split()
        assert sorted(in_turn) == sorted({*restarts, *moved})
        hurt = [order for order in itertools.permutations(in_turn) if not hurts(order, restarts, used, at_rest)]
        assert not hurt or not hurts(in_turn, restarts, used, at_rest)


def hurts(order, restarts, used, at_rest):
    """Return the (member, API server) of which the member restarts while the other, on another host, has it alone."""
    have = dict(used)
    found = []
    for name in order:
        others = {other for other in have if other != name}
        found += [(name, other) for other in others if name in restarts and have[other] == name]
        have[name] = at_rest[name]
    return found


@pytest.mark.parametrize(
    ("seconds", "results", "wanted"),
    [
        (30, {"api_m2": OTHER, "kcm_m3": OTHER}, ["m1"]),  # an earlier run changed m1
        (30, {}, []),  # nobody follows
        (30, {"api_m1": OTHER, "api_m2": OTHER, "api_m3": OTHER}, []),
        (0, {"api_m2": OTHER}, []),  # nothing is watched
    ],
)
def test_who_was_upgraded_before_is_looked_at_before_anybody_follows(seconds, results, wanted):
    the_fact = fact(watched=seconds)
    assert _turns.control_turns(told(the_fact["hosts"], **results), the_fact)["watched"] == wanted


@pytest.mark.parametrize(
    ("the_fact", "wanted"),
    [
        (fact(), ["m1", "m2"]),
        (fact("m1"), []),  # its API server is the only one, and away
        (fact("m1", etcd="e1 m2"), []),  # who has no API server of its own keeps the lock at the turn's beginning
    ],
)
def test_before_etcd_restarts_the_lock_is_kept_through_another_master(the_fact, wanted):
    results = {f"etcd_{name}": OTHER for name in the_fact["hosts"] if name in ("m1", "m2")}
    assert _turns.control_turns(told(the_fact["hosts"], **results), the_fact)["renewing"] == wanted


STATES_OF_A_MASTER = {
    "old": {},
    "etcd done": {"etcd": NEW[1]},
    "controllers down": {"controller_manager": None, "scheduler": None},
    "API server and controllers down": {"apiserver": None, "controller_manager": None, "scheduler": None},
    "done": {"etcd": NEW[1], "apiserver": NEW[0], "controller_manager": NEW[0], "scheduler": NEW[0]},
}


@pytest.mark.parametrize("states", list(itertools.product(STATES_OF_A_MASTER, repeat=3)))
@pytest.mark.parametrize(("leader", "holder"), [("m1", "m1"), ("m2", "m3")])
def test_the_turns_of_an_upgrade_are_those_of_its_plan(states, leader, holder):
    """A run starts an API server that is down with what is written, and its controllers after it, before anybody has a turn."""
    names, differing, results = ("m1", "m2", "m3"), {}, {}
    hosts = [dataclasses.replace(one, leads=one.name == leader, holds=one.name == holder) for one in stacked(3)]
    for index, (name, state) in enumerate(zip(names, states, strict=True)):
        now = STATES_OF_A_MASTER[state]
        if now.get("apiserver", "") is None:
            now = {**now, **dict.fromkeys(("apiserver", "controller_manager", "scheduler"), NEW[0])}
        down = [component for component, version in now.items() if version is None]
        hosts[index] = dataclasses.replace(hosts[index], stopped=tuple(down))
        for component, service in (("etcd", "etcd"), ("apiserver", "api"), ("controller_manager", "kcm"), ("scheduler", "sched")):
            version = now.get(component, OLD[component == "etcd"])
            results[f"{service}_{name}"] = DOWN if version is None else UP if version in NEW else OTHER
            differing.setdefault(component, {})[name] = version or OLD[0]
    versions = running(hosts, *OLD, **differing)
    for index, name in enumerate(names):
        for component in hosts[index].stopped:
            getattr(versions, component).pop(name)
    plan = _upgrade.plan(versions, tuple(hosts), wanted())
    in_turn = sorted(names, key=lambda name: (name == leader, name == holder, name))
    found = taken(fact(turns=" ".join(in_turn)), **results).get("masters", "").split()
    assert not plan.refusals
    assert found == [step.hosts[0] for step in plan.steps if step.kind == "master"]


def host(zone, master=False, worker=True):
    return {"zone": zone, "master": master, "worker": worker}


HOSTS = {
    "m1": host("b", True, False),
    "m2": host("a", True),
    "w1": host("b"),
    "w2": host("a"),
    "w3": host("a"),
    "w4": host("a"),
    "e1": host("a", False, False),
}


@pytest.mark.parametrize(
    ("names", "batch", "wanted"),
    [
        (["w1", "w2", "w3", "w4", "m1", "m2"], "2", {"hosts": "m2,m1,w2,w3,w4,w1", "serial": [1, 1, 2, 1, 1]}),
        (["w1", "w2", "w3", "w4"], "50%", {"hosts": "w2,w3,w4,w1", "serial": [2, 1, 1]}),
        (["w4"], "20%", {"hosts": "w4", "serial": [1]}),
        ([], "20%", {"hosts": "all:!all", "serial": [1]}),
    ],
)
def test_masters_go_one_by_one_and_workers_in_batches_of_one_zone(names, batch, wanted):
    assert _turns.batches(names, HOSTS, batch) == wanted
