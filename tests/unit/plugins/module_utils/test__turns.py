# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _turns

NOBODY = "all:!all"
UP, DOWN = {"units": {"u": {"active": "active"}}}, {"units": {"u": {"active": "failed"}}}
OTHER = {"units": {"u": {"active": "active"}}, "restart_needed": ["u"]}
RESULTS = {"etcd": "etcd_result", "api": "kube_apiserver_result", "kcm": "kube_controller_manager_result",
           "sched": "kube_scheduler_result", "endpoint": "api_endpoint_result", "kubelet": "kubelet_result",
           "network": "network_result"}  # fmt: skip


def fact(masters="m1 m2 m3", etcd="", workers="", mode="balanced", batch="1", turns=None, learners="", later="", **order):
    masters, etcd, workers = masters.split(), etcd.split(), workers.split()
    hosts = {name: {"master": name in masters, "worker": name in workers, "zone": ""} for name in (*masters, *etcd, *workers)}
    nobody = dict.fromkeys(("bootstrap", "grow", "demote"), NOBODY)
    return {
        "masters": masters, "workers": workers, "hosts": hosts, "turns": (turns or " ".join([*etcd, *masters])).split(),
        "learners": learners.split(), "later": later.split(), "endpoint": {"mode": mode}, "upgrade_batch": batch,
        "order": {**nobody, "holder_first": ",".join(masters), **order},
    }  # fmt: skip


def told(names, **results):
    """Return hostvars in which these hosts' services are as they should be, but for (service, host)=result."""
    hostvars = {name: {RESULTS[service]: UP for service in ("etcd", "api", "kcm")} for name in names}
    for place, result in results.items():
        service, name = place.split("_")
        hostvars[name][RESULTS[service]] = result
    return hostvars


def taken(the_fact, **results):
    """Return who takes a turn, without the lists that are empty."""
    found = _turns.control_turns(told(the_fact["hosts"], **results), the_fact)
    return {what: " ".join(names) for what, names in found.items() if names and what != "drifted"}


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
        (fact("m1", etcd="e1 e2 e3"), {"etcd_e3": DOWN, "api_m1": OTHER}, {"early": "e3", "masters": "m1", "drained": "m1"}),
        # the endpoint: who has to do something, its holder first; a single master always says so
        (fact(holder_first="m2,m1,m3"), {"endpoint_m1": {"turn_needed": True}, "endpoint_m2": {"turn_needed": True}},
         {"endpoint": "m2 m1"}),
        (fact(), {"endpoint_m1": {"turn_needed": False}}, {}),
        (fact("m1", mode="direct"), {}, {"endpoint": "m1"}),
    ],
)  # fmt: skip
def test_case(the_fact, results, wanted):
    assert taken(the_fact, **results) == wanted


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


def test_nodes_whose_services_run_with_other_settings_restart_in_batches():
    the_fact = fact("m1", workers="m1 w1 w2 w3", batch="2")
    hostvars = told(the_fact["hosts"], kubelet_w2=OTHER, network_w1=OTHER, kubelet_m1=OTHER, kubelet_w3=DOWN, api_m1=OTHER)
    assert _turns.node_turns(hostvars, the_fact) == {"hosts": "m1,w1,w2", "serial": [1, 2]}
    assert _turns.node_turns(told(the_fact["hosts"]), the_fact) == {"hosts": NOBODY, "serial": [1]}


def host(zone, master=False, worker=True):
    return {"zone": zone, "master": master, "worker": worker}


HOSTS = {
    "m1": host("b", True, False), "m2": host("a", True), "w1": host("b"), "w2": host("a"), "w3": host("a"), "w4": host("a"),
    "e1": host("a", False, False),
}  # fmt: skip


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
