# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What taking hosts out will do, on whole clusters as they are observed."""

from __future__ import annotations

import itertools
import json

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _plan,
    _plan_state,
    _quorum,
    _request,
    _topology,
    _topology_fact,
)
from cluster_fixtures import fresh, inventory, living, member, settings, status

ZONES = {"m1": "a", "m2": "b", "m3": "c", "m4": "a", "m5": "b"}
THREE, FIVE = ("m1", "m2", "m3"), ("m1", "m2", "m3", "m4", "m5")


def removal(leaving, masters, learners=(), dead=(), holder="m1", **more):
    """Return the topology of a living stacked cluster with one worker from which hosts are to leave; m1 leads etcd."""
    return asked(_request.Request(_request.REMOVE, tuple(leaving)), masters, learners, dead, holder, **more)


def asked(
    request, masters, learners=(), dead=(), holder="m1", bare=(), zones=None, wiped=(), workers=("w1",), alarms=(), records=None,
    ill=(), etcd=(), nodes="", yielded=(), without_api=(), mode="managed",
):  # fmt: skip  # what each scene may have
    """Return the topology of such a cluster for any request.

    `bare` masters are listed and new, `wiped` ones lost their disk, the etcd of `ill` ones fails while their hosts live;
    `yielded` ones have given up their part in the endpoint, in a turn that was cut off; no API server runs on those
    `without_api`. `nodes`
    begins the hostname of each, and so the name of its node and its member, which else is its name in the inventory.
    """
    carriers, leader = (etcd, etcd[-1]) if etcd else (masters, "m1")
    members = [{**member(name, learner=name in learners), "name": f"{nodes}{name}"} for name in carriers]
    seen = {}
    for name in (*masters, *workers, *etcd):
        if name in dead:
            continue
        seen[name] = living(name, members, master=name in masters)
        if name in masters and len(masters) > 1 and name not in yielded:
            seen[name]["units"].update(haproxy="active", keepalived="active")
        if name in carriers:
            seen[name]["etcd"]["status"] = {**status(name, members, leader=leader), "alarms": list(alarms)}
        if name == holder:
            seen[name]["endpoint_address"] = {"held_on": ["eth0"]}
    for name, record in (records or {}).items():
        seen[name]["cluster"] = {**(seen[name]["cluster"] or {}), **record}
    for name in bare:
        seen[name] = fresh(name)
    for name in wiped:
        seen[name]["etcd"].update(data=False, status=None)
    for name in ill:
        seen[name]["etcd"].update(unit="failed", status=None)
    for name in without_api:
        seen[name]["units"]["kube-apiserver"], seen[name]["api_server"] = "inactive", None
    for name in seen:
        seen[name]["hostname"] = f"{nodes}{name}"
    new, members = [name for name in bare if name not in (*masters, *workers)], [name for name in bare if name[0] == "e"]
    listed = inventory((*masters, *(name for name in new if name not in members)), workers, (*etcd, *members), zones or ZONES)
    return _topology.build(settings(endpoint_mode=mode), listed, seen, True, request=request)


def steps(topology):
    return [f"{step.kind} {step.host}" for step in topology.plan.steps]


def test_nobody_comes_or_leaves_nothing_is_planned():
    made = asked(_request.Request(), THREE)
    assert made.plan == _plan.Plan()


@pytest.mark.parametrize(
    ("leaving", "masters", "seen", "wanted"),
    [
        (["w1"], THREE, {}, ["drain w1", "clean w1"]),
        # the first master of the inventory, holder and leader: its follower m3 becomes the learner that stands by
        (["m1"], THREE, {},
         ["repoint m3", "drain m1", "yield m1", "stop m1", "remove m1", "remove m3", "add_learner m3", "clean m1"]),
        (["m3"], THREE, {}, ["repoint m2", "drain m3", "stop m3", "remove m3", "remove m2", "add_learner m2", "clean m3"]),
        # two masters: the learner votes before the voter goes
        (["m1"], ("m1", "m2"), {"learners": ("m2",)},
         ["promote m2", "repoint m2", "drain m1", "yield m1", "stop m1", "remove m1", "give_back m2", "clean m1"]),
        (["m2"], ("m1", "m2"), {"learners": ("m2",)}, ["drain m2", "stop m2", "remove m2", "give_back m1", "clean m2"]),
        # a dead one is only forgotten
        (["m2"], THREE, {"dead": ("m2",)}, ["forget m2", "remove m2", "repoint m3", "remove m3", "add_learner m3"]),
        # several: the holder is the last to stop, the leader the last to leave etcd
        (["m1", "m2"], FIVE, {},
         ["drain m2", "drain m1", "yield m1", "stop m2", "stop m1", "remove m2", "remove m1", "clean m2", "clean m1"]),
    ],
)  # fmt: skip  # a case a row
def test_the_plan_in_order(leaving, masters, seen, wanted):
    assert steps(removal(leaving, masters, **seen)) == wanted


TWO = ("m1", "m2")


@pytest.mark.parametrize(
    ("request_", "masters", "seen", "refused"),
    [
        # a roll was cut off in m1's turn: it does not run VRRP, and m2 has the address
        (_request.Request("remove", ("m2",)), TWO, {"yielded": ("m1",)}, True),
        (_request.Request("roll", ("m2",)), TWO, {"yielded": ("m1",)}, True),
        (_request.Request("replace", ("m2",), "m4"), TWO, {"yielded": ("m1",), "bare": ("m4",)}, True),
        (_request.Request("roll", ("m1", "m2")), TWO, {"yielded": ("m1",)}, False),  # m1 has its turn first, and its part back
        (_request.Request("roll", ("m1",)), TWO, {"yielded": ("m1",)}, False),
        (_request.Request("remove", ("w1",)), TWO, {"yielded": ("m1",)}, False),
        (_request.Request("remove", ("m2",)), THREE, {"yielded": ("m1",)}, False),
        (_request.Request("remove", ("m2",)), THREE, {"yielded": ("m1", "m3")}, True),
        (_request.Request("remove", ("m2",)), TWO, {}, False),
    ],
)
def test_the_address_is_not_taken_off_a_master_whom_nobody_could_relieve(request_, masters, seen, refused):
    made = asked(request_, masters, learners=("m1",) * (masters == TWO), holder="m2", **seen)
    why = [(reason, next_step) for reason, next_step in made.plan.refusals if "nobody could take" in reason]
    unfit = "; ".join(f"{name} does not run HAProxy and keepalived" for name in sorted(seen.get("yielded", ()), reverse=True))
    assert why == (
        [(f"nobody could take the endpoint address from m2: {unfit}", "run site.yml, which mends that, then this again")]
        if refused
        else []
    )


@pytest.mark.parametrize(
    ("request_", "masters", "seen", "mode", "next_step"),
    [
        # another run has stopped m2's API server in m2's turn, and holds the Lease
        (_request.Request("remove", ("m1",)), TWO, {"without_api": ("m2",)}, "managed", "run site.yml"),
        (_request.Request("replace", ("m1",), "m4"), TWO, {"without_api": ("m2",), "bare": ("m4",)}, "managed", "run site.yml"),
        (_request.Request("remove", ("m1", "m2")), THREE, {"without_api": ("m3",)}, "external", "run site.yml"),
        (_request.Request("replace", ("m1",), "m4"), ("m1",), {"bare": ("m4",)}, "external", "grow first"),
        (_request.Request("remove", ("m2",)), TWO, {"without_api": ("m2",)}, "managed", ""),
        (_request.Request("remove", ("m1",)), THREE, {"without_api": ("m2",)}, "managed", ""),
        (_request.Request("remove", ("m1",)), TWO, {"without_api": TWO}, "managed", ""),  # nobody holds a Lease there
        (_request.Request("remove", ("m1",)), TWO, {}, "managed", ""),
        (_request.Request("roll", ("m1",)), TWO, {"without_api": ("m2",)}, "managed", ""),
    ],
)
def test_no_run_begins_where_only_masters_that_leave_could_tell_of_anothers_lock(request_, masters, seen, mode, next_step):
    made = asked(request_, masters, learners=("m2",) * (masters == TWO), mode=mode, **seen)
    said = [fix for reason, fix in made.plan.refusals if "has an API server that runs" in reason]
    assert [fix.startswith(next_step) for fix in said] == [True] * bool(next_step)
    serve = any(name not in seen.get("without_api", ()) for name in masters)
    assert ("cluster" in made.lock_places) is serve, "the lock is not held out of sight of a run that has the Lease"


@pytest.mark.parametrize(
    ("leaving", "masters", "seen", "why"),
    [
        (["m1"], ("m1",), {}, "no master"),
        (["m1", "m2", "m3"], THREE, {}, "no master"),
        (["m1"], THREE, {"dead": ("m2",)}, "1 of 2 voters would be healthy and 2 are needed"),
        (["m1"], THREE, {"alarms": [{"member_id": member("m2")["id"], "alarm": "NOSPACE"}]}, "NOSPACE is raised on m2"),
        # nor is the member whose data differ: without writes the run could not hold the lock
        (["m2"], THREE, {"alarms": [{"member_id": member("m2")["id"], "alarm": "CORRUPT"}]}, "CORRUPT is raised on m2"),
    ],
)
def test_what_is_not_done_is_refused_with_its_reason(leaving, masters, seen, why):
    made = removal(leaving, masters, **seen)
    assert not made.plan.steps
    [(reason, next_step)] = made.plan.refusals
    assert why in reason and next_step


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_any_masters_may_leave_a_healthy_cluster_and_every_step_keeps_quorum(count):
    masters = FIVE[:count]
    learners = masters[-1:] if count % 2 == 0 else ()
    for size in range(1, count):
        for leaving in itertools.combinations(masters, size):
            made = removal(leaving, masters, learners=learners)
            assert not made.plan.refusals, (masters, leaving)
            voters = set(masters) - set(learners)
            for one in made.etcd.planned:
                if one.verdict is not None:
                    assert one.verdict.safe and one.verdict.after.failures >= 0
                if one.step.kind == _quorum.PROMOTE:
                    voters.add(one.step.target)
                elif one.step.kind == _quorum.REMOVE:
                    voters.discard(one.step.target)
            assert len(voters) % 2 == 1 and voters == set(made.etcd.voters)
            assert set(made.masters) == set(masters) - set(leaving)
            orders = dict(made.order)
            assert not set(leaving) & {*orders["grow"], *orders["demote"], *orders["masters"], *orders["any_master"]}
            assert set(orders["leaving_masters"]) == set(leaving)


def test_a_host_that_can_not_be_reached_is_warned_about_and_not_worked_on():
    made = removal(["m2"], THREE, dead=("m2",))
    assert any("m2 cannot be reached" in line for line in made.plan.lines())
    assert dict(made.order)["leaving"] == []


def test_one_master_left_holds_the_address_itself():
    made = removal(["m1"], ("m1", "m2"), learners=("m2",))
    assert made.endpoint_mode == "direct" and "one master is left" in made.plan.lines()[-1]


@pytest.mark.parametrize(
    ("leaving", "masters", "seen", "order"),
    [
        (["m1", "m3"], THREE, {"dead": ("m3",)}, ["m3", "m1"]),  # never a healthy one while a dead one counts
        (["m1", "m2"], FIVE, {}, ["m2", "m1"]),  # the leader last
        (["m1", "w1"], THREE, {}, ["w1", "m1"]),
    ],
)
def test_members_leave_in_the_order_of_the_plan_that_was_shown(leaving, masters, seen, order):
    made = removal(leaving, masters, **seen)
    assert not made.plan.refusals
    leaving = _topology_fact.as_fact(made)["leaving"]
    assert [one.node_name for one in made.leaving] == order
    assert [one["node_name"] for one in leaving["nodes"]] == [name for name in order if name not in seen.get("dead", ())]


def test_the_fact_keeps_the_hosts_that_leave_apart_from_those_that_stay():
    fact = _topology_fact.as_fact(removal(["m1", "w1"], THREE))
    assert fact["masters"] == ["m2", "m3"] and fact["workers"] == []
    parts = {part: sorted(one["node_name"] for one in fact["leaving"][part]) for part in ("nodes", "masters", "members")}
    assert parts == {"nodes": ["m1", "w1"], "masters": ["m1"], "members": ["m1"]}
    assert fact["leaving"]["balancers"] == ["m1"]
    assert set(fact["hosts"]) == {"m1", "m2", "m3", "w1"}
    assert fact["etcd"]["endpoints"] == ["https://192.0.2.12:2379", "https://192.0.2.13:2379"]
    assert fact["hosts"]["m2"]["vrrp"]["peers"] == ["192.0.2.13"]


def replaced(node, by="", **scene):
    scene.setdefault("masters", THREE)
    return asked(_request.Request(_request.REPLACE, (node,), by), **scene)


SAME_ZONE = {**ZONES, "m4": "b"}


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        # dead: forgotten before anything is added
        (lambda: replaced("m2", "m4", dead=("m2",), bare=("m4",), zones=SAME_ZONE),
         ["forget m2", "remove m2", "prepare m4", "add_learner m4", "promote m4", "serve m4", "register m4", "balance m4"]),
        # the only other master: its successor gets its part before the one that is left restarts anything
        (lambda: replaced("m2", "m4", masters=TWO, learners=("m2",), dead=("m2",), bare=("m4",), zones=SAME_ZONE),
         ["forget m2", "remove m2", "prepare m4", "add_learner m4", "serve m4", "balance m4", "register m4"]),
        # healthy: it leaves only when its successor votes
        (lambda: replaced("m2", "m4", bare=("m4",), zones=SAME_ZONE),
         ["prepare m4", "add_learner m4", "promote m4", "serve m4", "register m4", "drain m2", "stop m2", "remove m2",
          "balance m4", "clean m2"]),
        # its host lives and its member is dead: that goes first, or nothing could be added; its API server uses those that stay
        (lambda: replaced("m2", "m4", ill=("m2",), bare=("m4",), zones=SAME_ZONE),
         ["repoint m2", "remove m2", "prepare m4", "add_learner m4", "promote m4", "serve m4", "register m4", "drain m2",
          "stop m2", "balance m4", "clean m2"]),
        (lambda: replaced("e1", "e4", masters=("m1", "m2"), etcd=("e1", "e2", "e3"), ill=("e1",), bare=("e4",)),
         ["remove e1", "prepare e4", "add_learner e4", "promote e4", "repoint m1", "repoint m2", "clean e1"]),
        # a new machine under the old name
        (lambda: replaced("m2", masters=("m1", "m2", "m3"), dead=("m2",), bare=("m2",)),
         ["forget m2", "remove m2", "prepare m2", "add_learner m2", "promote m2", "serve m2", "register m2", "balance m2"]),
        # the same machine with an empty etcd disk: the node stays, its member is another
        (lambda: replaced("m2", wiped=("m2",)), ["remove m2", "add_learner m2", "promote m2"]),
        (lambda: replaced("w1", "w2", dead=("w1",), bare=("w2",), workers=("w1", "w2")),
         ["forget w1", "prepare w2", "register w2"]),
    ],
)  # fmt: skip  # a case a row
def test_a_replacement_in_order(made, wanted):
    assert steps(made()) == wanted


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (lambda: replaced("m2"), "has its data and its credentials"),
        (lambda: replaced("m2", dead=("m2",)), "cannot be reached, so there is no new machine yet"),
        (lambda: replaced("m2", "m3", dead=("m2",)), "m3 is part of the cluster already"),
        (lambda: replaced("m2", "m4", dead=("m2",), bare=("m4",)), "m4 is in zone a and m2 in b"),
        (lambda: replaced("w1", "m4", bare=("m4",)), "m4 is a master and an etcd member in the inventory and w1 is a worker"),
        (lambda: replaced("m2", "m4", bare=("m4", "m5"), zones=SAME_ZONE), "m5 is listed and not part of the cluster yet"),
        (lambda: replaced("m1", "m4", masters=("m1",), bare=("m4",)), "m1 is the only master"),
        (lambda: replaced("m2", "m4", dead=("m2", "m3"), bare=("m4",), zones=SAME_ZONE), "1 of 3 voters are healthy"),
    ],
)
def test_a_replacement_that_makes_no_sense_is_refused(made, why):
    plan = made().plan
    assert not plan.steps and why in " / ".join(reason for reason, _next_step in plan.refusals)
    assert all(next_step for _reason, next_step in plan.refusals)


@pytest.mark.parametrize(
    ("dead", "wanted"),
    [
        # all of it is done but the end: the dead is forgotten once more
        (("m2",), ["forget m2", "remove m2"]),
        # the healthy one has yet to go
        ((), ["drain m2", "stop m2", "remove m2", "clean m2"]),
    ],
)
def test_a_replacement_that_was_cut_off_late_is_known_by_the_successors_record(dead, wanted):
    masters = ("m1", "m2", "m3", "m4")
    request = _request.Request(_request.REPLACE, ("m2",), "m4")
    refused = asked(request, masters, dead=dead, zones=SAME_ZONE)
    assert "m4 is part of the cluster already" in refused.plan.refusals[0][0]
    for recorded, goes_on in (("m2", True), ("m3", False), ("", False)):
        made = asked(request, masters, dead=dead, zones=SAME_ZONE, records={"m4": {"replaces": recorded}})
        assert (steps(made) == wanted, not made.plan.refusals) == (goes_on, goes_on)
        assert _topology_fact.as_fact(made)["hosts"]["m4"]["replaces"] == "m2"
    kept = asked(_request.Request(), ("m1", "m3", "m4"), zones=SAME_ZONE, records={"m4": {"replaces": "m2"}})
    assert _topology_fact.as_fact(kept)["hosts"]["m4"]["replaces"] == "m2", "a later run writes the same record"
    assert _topology_fact.as_fact(kept)["hosts"]["m1"]["replaces"] == ""


def half_way(members, prepared=True, data=True, serves=True, joined=True):
    """Return what is observed of three masters of which m2 came back as a new machine, as far as the run got with it."""
    seen = {name: living(name, members) for name in THREE}
    for name in THREE:
        answers = any(one["name"] == name for one in members)
        seen[name]["etcd"].update(data=answers, status=status(name, members, leader="m1") if answers else None)
    if not prepared:
        seen["m2"] = fresh("m2")
    else:
        seen["m2"]["cluster"] = {"name": "prod", "replaces": "m2"}
    if not data:
        seen["m2"]["etcd"].update(data=False, status=None)
    if not serves:
        seen["m2"].update(api_server=None)
        seen["m2"]["units"]["kube-apiserver"] = "not-found"
    seen["m2"]["kubelet_credentials"] = joined
    return seen


BOTH, OLD = ("m1", "m3"), [member(name) for name in THREE]
AS_ADDED, AS_LEARNER = ([member("m1"), member("m2", True, started), member("m3")] for started in (False, True))


@pytest.mark.parametrize(
    ("seen", "nodes", "members", "wanted"),
    [
        # nothing is done yet
        (half_way(OLD, False, False, False, False), ["m2"], ["m2"],
         ["forget m2", "remove m2", "prepare m2", "add_learner m2", "promote m2", "serve m2", "register m2", "balance m2"]),
        # its member is out
        (half_way([member(name) for name in BOTH], False, False, False, False), ["m2"], [],
         ["forget m2", "prepare m2", "add_learner m2", "promote m2", "serve m2", "register m2", "balance m2"]),
        # added, not started: whoever starts it adds it anew
        (half_way(AS_ADDED, True, False, False, False), ["m2"], [],
         ["forget m2", "prepare m2", "start m2", "promote m2", "serve m2", "register m2", "balance m2"]),
        (half_way(AS_LEARNER, True, True, False, False), ["m2"], [],
         ["forget m2", "prepare m2", "promote m2", "serve m2", "register m2", "balance m2"]),
        # it votes
        (half_way(OLD, True, True, False, False), ["m2"], [],
         ["forget m2", "prepare m2", "serve m2", "register m2", "balance m2"]),
        (half_way(OLD, True, True, True, False), ["m2"], [], ["forget m2", "register m2", "balance m2"]),
        # its kubelet has its certificate: the rest is what site.yml does
        (half_way(OLD), [], [], []),
        # the same machine with an empty etcd disk: its member is out, nothing of that is recorded yet; then what is recorded
        (dict(half_way([member(name) for name in BOTH], True, False), m2=dict(
            half_way([member(name) for name in BOTH], True, False)["m2"], cluster={"name": "prod"})), [], [],
         ["add_learner m2", "promote m2", "repoint m2"]),
        (half_way(AS_LEARNER), [], [], ["promote m2", "repoint m2"]),
    ],
)  # fmt: skip  # a case a row
def test_a_new_machine_under_the_old_name_comes_in_wherever_the_run_was_cut_off(seen, nodes, members, wanted):
    request = _request.Request(_request.REPLACE, ("m2",))
    made = _topology.build(settings(), inventory(THREE, ["w1"]), {**seen, "w1": living("w1", OLD, False)}, True, request=request)
    assert not made.plan.refusals and steps(made) == wanted
    fact = _topology_fact.as_fact(made)
    assert {part: [one["node_name"] for one in told] for part, told in fact["forgotten"].items()} == {
        "nodes": nodes,
        "members": members,
    }
    assert fact["hosts"]["m2"]["replaces"] == "m2", "what was begun is recorded before it joins"
    assert any("m2 was replaced before: what that run left undone is done" in line for line in made.plan.lines()) == (nodes == [])


@pytest.mark.parametrize(
    "made",
    [
        lambda: removal(["m1", "m3"], THREE, dead=("m3",)),
        lambda: removal(["m1", "m2"], FIVE, ill=("m2",)),
        lambda: removal(["m2"], THREE, dead=("m2",)),
        lambda: removal(["m1"], FIVE, ill=("m1",)),
        lambda: replaced("m2", "m4", dead=("m2",), bare=("m4",), zones=SAME_ZONE),
        lambda: replaced("m2", "m4", ill=("m2",), bare=("m4",), zones=SAME_ZONE),
        lambda: replaced("m2", wiped=("m2",)),
        lambda: replaced("m2", dead=("m2",), bare=("m2",)),
    ],
)
def test_what_is_forgotten_is_what_the_plan_says_first(made):
    fact, planned = _topology_fact.as_fact(made()), steps(made())
    stranded = fact["order"]["leaving_stranded"]
    first = [f"repoint {name}" for name in stranded.split(",") if stranded != _topology.NOBODY]
    first += [
        f"{kind} {one['node_name']}"
        for kind, part in (("forget", "nodes"), ("remove", "members"))
        for one in fact["forgotten"][part]
    ]
    assert fact["forgotten"]["members"] and planned[: len(first)] == first


def test_a_master_that_leaves_and_whose_member_is_dead_serves_until_then_by_the_members_that_stay():
    fact = _topology_fact.as_fact(replaced("m2", "m4", ill=("m2",), bare=("m4",), zones=SAME_ZONE))
    assert fact["order"]["leaving_stranded"] == "m2"
    assert fact["hosts"]["m2"]["etcd_now"] == ["https://192.0.2.11:2379", "https://192.0.2.13:2379"]
    stands_by = removal(["m4"], ("m1", "m2", "m3", "m4"), learners=("m4",), ill=("m4",))
    assert steps(stands_by) == ["remove m4", "drain m4", "stop m4", "clean m4"], "its API server uses the voters already"


def test_a_host_whose_address_is_not_known_leaves_by_its_name():
    members = [member(name) for name in THREE]
    seen = {name: living(name, members) for name in ("m1", "m3")}
    for name in seen:
        seen[name]["etcd"]["status"] = status(name, members, leader="m1")
    listed = inventory(THREE, m2={"ansible_host": "m2.example.org"})
    made = _topology.build(settings(), listed, seen, True, request=_request.Request(_request.REMOVE, ("m2",)))
    assert steps(made)[:2] == ["forget m2", "remove m2"] and made.forgotten["members"] == ("m2",)


def test_a_replacement_is_over_when_the_one_replaced_comes_back_in():
    records = {"m4": {"replaces": "m2"}}
    back = asked(_request.Request(), ("m1", "m3", "m4"), bare=("m2",), zones=SAME_ZONE, records=records)
    assert _topology_fact.as_fact(back)["hosts"]["m4"]["replaces"] == ""
    other = asked(_request.Request(), ("m1", "m3", "m4"), bare=("m5",), zones=SAME_ZONE, records=records)
    assert _topology_fact.as_fact(other)["hosts"]["m4"]["replaces"] == "m2"


def test_a_removal_waits_until_the_inventory_is_built():
    [(reason, next_step)] = asked(_request.Request(_request.REMOVE, ("w1",)), THREE, bare=("m4",)).plan.refusals
    assert "m4 is listed and not part" in reason and "site.yml" in next_step


def test_bare_hosts_are_founded_and_served():
    made = asked(_request.Request(), (), bare=THREE, workers=())
    assert steps(made) == [f"{kind} {name}" for kind in ("prepare", "found", "serve", "balance", "register") for name in THREE]


def test_a_lone_master_takes_the_address_before_its_kubelet_needs_it():
    made = asked(_request.Request(), (), bare=("m1",), workers=())
    assert steps(made) == ["prepare m1", "found m1", "serve m1", "hold m1", "register m1"]


@pytest.mark.parametrize(
    ("made", "first"),
    [
        (lambda: asked(_request.Request(), ("m1",), bare=("m2", "m3")), True),
        (lambda: removal(["m2"], TWO, ("m2",), dead=("m2",)), True),
        (lambda: removal(["m2"], TWO, ("m2",), yielded=("m2",), without_api=("m2",)), True),
        (lambda: removal(["m2"], TWO, ("m2",)), False),
        (lambda: removal(["m2"], TWO, ("m2",), yielded=("m2",)), False),
        (lambda: asked(_request.Request(), THREE), False),
        (lambda: asked(_request.Request(), (), bare=THREE), False),
    ],
)
def test_the_fact_says_whether_masters_get_their_parts_before_the_turns(made, first):
    assert _topology_fact.as_fact(made())["endpoint"]["first"] is first


def test_the_second_master_promotes_the_address_of_the_first():
    made = asked(_request.Request(), ("m1",), bare=("m2",))
    assert steps(made) == ["prepare m2", "add_learner m2", "serve m2", "promote_ip m1", "balance m2", "register m2"]


def widened(request=_request.CONVERGING, etcd=(), serves=False, workers=("w1",), promoted="w1", unit="active"):
    """Return the topology of one master that has the address by itself, and of a worker that is listed as a master as well."""
    members = [member(name) for name in etcd or ["m1"]]
    seen = {name: living(name, members, name == "m1" or (serves and name == promoted)) for name in ("m1", *workers, *etcd)}
    for name in etcd:
        seen[name]["kubelet_credentials"] = False
    seen["m1"]["units"]["multimaster-endpoint"] = unit
    seen["m1"]["endpoint_address"] = {"held_on": ["eth0"]}
    return _topology.build(settings(), inventory(["m1", promoted], workers, etcd), seen, True, request=request)


@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        (lambda: widened(etcd=["e1"]), ["prepare w1", "serve w1", "promote_ip m1", "balance w1"]),
        (lambda: widened(), ["prepare w1", "add_learner w1", "serve w1", "promote_ip m1", "balance w1"]),
        (lambda: widened(etcd=["e1"], unit="failed"), ["prepare w1", "serve w1", "promote_ip m1", "balance w1"]),
        # the run was cut off when its API server had started
        (lambda: widened(etcd=["e1"], serves=True), ["promote_ip m1", "balance w1"]),
        (
            lambda: widened(etcd=["e1"], workers=("w1", "w2"), promoted="w2"),
            ["prepare w2", "serve w2", "promote_ip m1", "balance w2"],
        ),
    ],
)
def test_a_worker_that_becomes_a_master_is_planned_and_registers_no_more(made, wanted):
    planned = made().plan
    assert [f"{step.kind} {step.host}" for step in planned.steps] == wanted
    assert [step.why for step in planned.steps if step.kind == "prepare"] in ([], [_plan.MASTER_TO_BE])


@pytest.mark.parametrize(
    ("request_", "serves", "why"),
    [
        (_request.Request(_request.REMOVE, ("w2",)), False, "w1 is listed as a master and is not all of one yet"),
        (_request.Request(_request.ROLL, ("w2",)), True, "w1 is listed as a master and is not all of one yet"),
        (_request.Request(_request.MOVE), False, "w1 is listed as a master and is not all of one yet"),
        (_request.Request(_request.REPLACE, ("w1",)), False, "w1 has its data and its credentials: it is no new machine"),
        (_request.Request(_request.REPLACE, ("w2",), "w1"), False, "w1 is part of the cluster already, so it replaces nobody"),
    ],
)
def test_nothing_else_is_done_while_a_worker_is_to_become_a_master(request_, serves, why):
    plan = widened(request_, etcd=["e1"], serves=serves, workers=("w1", "w2")).plan
    assert not plan.steps and why in plan.refusals[0][0] and all(next_step for _reason, next_step in plan.refusals)


def expired(request=_request.CONVERGING, masters=THREE):
    """Return the topology of a cluster whose m2 serves, and whose kubelet there has a certificate that ran out."""
    members = [member(name, learner=name == "m2" and len(masters) == 2) for name in masters]
    seen = {name: living(name, members) for name in masters}
    for name in masters:
        seen[name]["units"].update(haproxy="active", keepalived="active")
        seen[name]["endpoint_address"] = {"held_on": ["eth0"] * (name == "m1")}
        seen[name]["etcd"]["status"] = status(name, members, leader="m1")
    seen["m2"]["kubelet_credentials"] = False
    return _topology.build(settings(), inventory(masters), seen, True, request=request)


def test_a_master_whose_removal_was_cut_off_is_no_master_beside_which_others_leave():
    members = [member(name) for name in ("m1", "m3")]
    seen = {name: living(name, members) for name in THREE}
    seen["m2"]["units"]["kube-apiserver"], seen["m2"]["api_server"] = "not-found", None
    asked = [_request.Request(_request.REMOVE, names) for names in (("m3",), ("m2", "m3"))]
    alone, both = (_topology.build(settings(), inventory(THREE), seen, True, request=one).plan for one in asked)
    assert "m2 is listed as a master and is not all of one yet, or not any more" in alone.refusals[0][0]
    assert "remove_node.yml -e node=m2,..." in alone.refusals[0][1] and not alone.steps
    assert both.steps and not both.refusals


@pytest.mark.parametrize("masters", [TWO, THREE])
def test_a_master_that_serves_only_registers(masters):
    assert steps(expired(masters=masters)) == ["register m2"]


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (_request.Request(_request.ROLL, ("m1",)), "the kubelet of m2 has no valid certificate"),
        (_request.Request(_request.REPLACE, ("m2",)), "m2 has its API server: it is no new machine"),
    ],
)
def test_a_master_that_serves_and_has_to_register_is_not_taken_for_new(request_, why):
    [(reason, next_step)] = expired(request_).plan.refusals
    assert why in reason and "site.yml" in next_step


def test_the_address_moves_whatever_a_kubelet_lacks():
    assert steps(expired(_request.Request(_request.MOVE))) == ["yield m1", "balance m1"]


def test_the_address_of_two_is_the_balancers_already_when_one_of_them_is_installed_anew():
    made = replaced("m2", masters=TWO, learners=("m2",), dead=("m2",), bare=("m2",))
    assert steps(made) == ["forget m2", "remove m2", "prepare m2", "add_learner m2", "serve m2", "balance m2", "register m2"]


def test_a_former_self_is_forgotten_only_as_far_as_it_is_gone():
    forgotten = _topology_fact.as_fact(replaced("m2", wiped=("m2",)))["forgotten"]
    assert forgotten == {"nodes": [], "members": [{"node_name": "m2", "peer_url": "https://192.0.2.12:2380"}]}
    new = _topology_fact.as_fact(replaced("m2", dead=("m2",), bare=("m2",)))
    assert [one["node_name"] for one in new["forgotten"]["nodes"]] == ["m2"]
    assert new["order"]["grow"] == "m2" and new["order"]["any_master"] == "m1"


@pytest.mark.parametrize("nodes", ["", "node-"])
def test_a_voter_without_its_data_is_an_obstacle_until_it_is_replaced(nodes):
    [(host, reason, next_step)] = asked(_request.Request(), THREE, wiped=("m2",), nodes=nodes).etcd.obstacles
    assert host == "m2" and f"member {nodes}m2 " in reason and "lost the data" in reason
    assert next_step == "replace_node.yml -e node=m2"
    assert replaced("m2", wiped=("m2",), nodes=nodes).etcd.obstacles == ()


def test_the_plan_is_plain_data_and_the_same_each_time():
    one, other = (replaced("m2", "m4", bare=("m4",), zones=SAME_ZONE).plan for _ in range(2))
    assert one == other and json.loads(json.dumps(one.as_dict())) == one.as_dict()


@pytest.mark.parametrize(
    "made",
    [
        lambda **more: removal(["m1"], THREE, **more),
        lambda **more: removal(["m2"], THREE, dead=("m2",), **more),
        lambda **more: removal(["m1"], ("m1", "m2"), learners=("m2",), **more),
        lambda **more: removal(["m1"], THREE, dead=("m2",), **more),
        lambda **more: replaced("m2", "m4", bare=("m4",), zones=SAME_ZONE, **more),
        lambda **more: replaced("m2", "m4", dead=("m2",), bare=("m4",), zones=SAME_ZONE, **more),
        lambda **more: replaced("m2", "m4", ill=("m2",), bare=("m4",), zones=SAME_ZONE, **more),
        lambda **more: replaced("m2", wiped=("m2",), **more),
        lambda **more: replaced("m2", dead=("m2",), bare=("m2",), **more),
        lambda **more: replaced("m2", masters=("m1", "m2"), learners=("m1",), ill=("m2",), **more),
        lambda **more: asked(_request.Request(), ("m1",), bare=("m2", "m3"), **more),
        lambda **more: asked(_request.Request(), (), bare=THREE, workers=(), **more),
        lambda **more: asked(_request.Request(_request.ROLL, ("m1", "m2")), ("m1", "m2"), learners=("m2",), **more),
    ],
)
def test_hosts_are_called_as_the_inventory_does_whatever_their_hostnames(made):
    same, other = made().plan, made(nodes="node-").plan
    assert (same.steps or same.refusals) and steps(made(nodes="node-")) == steps(made())
    plain = [{**step, "why": step["why"].replace("node-", "")} for step in other.as_dict()["steps"]]
    assert plain == same.as_dict()["steps"] and other.notes == same.notes
    assert [said.split(":")[0] for said, _next in other.refusals] == [said.split(":")[0] for said, _next in same.refusals]


@pytest.mark.parametrize(
    "made",
    [
        lambda: removal(["m1"], THREE),
        lambda: removal(["m1", "m2"], FIVE),
        lambda: removal(["m2"], THREE, dead=("m2",)),
        lambda: removal(["m1"], ("m1", "m2"), learners=("m2",)),
        lambda: replaced("m2", "m4", bare=("m4",), zones=SAME_ZONE),
        lambda: replaced("m2", wiped=("m2",)),
        lambda: asked(_request.Request(), ("m1",), bare=("m2", "m3")),
        lambda: asked(_request.Request(), (), bare=THREE, workers=()),
        lambda: asked(_request.Request(_request.ROLL, THREE), THREE),
        lambda: asked(_request.Request(_request.ROLL, ("m1", "m2")), ("m1", "m2"), learners=("m2",)),
        lambda: move(),
    ],
)
def test_each_step_finds_what_the_one_before_it_left(made):
    topology = made()
    steps = topology.plan.steps
    for before, after in itertools.pairwise(steps):
        assert before.holder_after == after.holder_before, after
        assert before.after == after.before or before.kind == after.kind == "found", after
    assert steps[-1].after == _plan_state.etcd(topology.etcd.at_end)
    for one in topology.etcd.planned:
        if one.verdict is not None:  # what is shown is what was judged
            for cluster, survival in ((one.before, one.verdict.before), (one.after, one.verdict.after)):
                assert _quorum.Survival(len(cluster.voters), len(cluster.healthy)) == survival


def around(topology, kind, *fields):
    """Return these fields of each step of a kind."""
    return [(step.host, *(getattr(step, field) for field in fields)) for step in topology.plan.steps if step.kind == kind]


def test_a_removal_says_which_zones_may_be_lost_before_and_after_it():
    found = around(removal(["m1"], THREE), "remove", "before", "after")
    zones = [(host, before.zones, after.zones) for host, before, after in found]
    assert zones == [("m1", ("a", "b", "c"), ()), ("m3", (), ())]
    said = [line for line in removal(["m1"], THREE).plan.lines() if " remove " in line]
    assert said[0].endswith("   [etcd: 3 of 3 healthy, quorum 2 -> 2 of 2 healthy, quorum 2; no zone may be lost]")
    unknown = removal(["m1"], THREE, zones={"m1": "a", "m2": "b"})
    assert [before.zones for _host, before in around(unknown, "remove", "before")] == [None, None], "m3's zone is not known"


REMOVE_M1, ROLL_ALL = _request.Request(_request.REMOVE, ("m1",)), _request.Request(_request.ROLL, THREE)


def balanced(request, masters=THREE, holder="m1", without=(), dead=(), **more):
    """Return the topology of a cluster whose masters, but for those `without`, run HAProxy and keepalived."""
    members = [member(name) for name in masters]
    seen = {name: living(name, members) for name in masters if name not in dead}
    for name in seen:
        seen[name]["units"].update(dict.fromkeys(("haproxy", "keepalived"), "failed" if name in without else "active"))
        seen[name]["endpoint_address"] = {"held_on": ["eth0"] * (name == holder)}
        seen[name]["etcd"]["status"] = status(name, members, leader="m1")
    return _topology.build(settings(**more), inventory(masters), seen, True, request=request)


@pytest.mark.parametrize(
    ("without", "request_of", "planned"),
    [
        (("m2",), _request.CONVERGING, ["balance m2"]),
        ((), _request.CONVERGING, []),
        (("m2",), REMOVE_M1, ["balance m2", "clean m1"]),
        (("m2",), ROLL_ALL, []),
    ],
    ids=["converge", "whole", "remove another", "roll"],
)
def test_a_master_whose_part_in_the_endpoint_stands_still_gets_it_by_a_step(without, request_of, planned):
    """Seen: a replacement was cut off behind the kubelet, and the plan for what was left of it was empty."""
    made = balanced(request_of, without=without)
    assert [step for step in steps(made) if step.startswith(("balance", "clean"))] == planned


def test_a_restart_says_what_etcd_is_meanwhile():
    made = asked(_request.Request(_request.ROLL, THREE), THREE)
    moments = around(made, "restart", "before", "during", "after")
    assert {tuple(moment.healthy for moment in each) for _host, *each in moments} == {(3, 2, 3)}
    assert "[etcd: 3 of 3 healthy, quorum 2 -> 2 of 3 healthy, quorum 2 meanwhile; no zone may be lost]" in made.plan.lines()[0]


@pytest.mark.parametrize(
    ("made", "kind", "moves"),
    [
        # by VRRP's priority m3 comes before m2, and m2 before m1
        (lambda: balanced(REMOVE_M1), "yield", [("m1", "m1", "m3")]),
        (lambda: balanced(REMOVE_M1), "remove", [("m1", "m3", "m3"), ("m3", "m3", "m3")]),
        (lambda: balanced(REMOVE_M1, without=("m3",)), "yield", [("m1", "m1", "m2")]),
        (lambda: balanced(_request.Request(_request.MOVE)), "yield", [("m1", "m1", "m3")]),
        (lambda: balanced(_request.Request(_request.MOVE), dead=("m3",)), "yield", [("m1", "m1", None)]),  # it may be quicker
        (lambda: balanced(_request.Request(_request.MOVE), dead=("m2",)), "yield", [("m1", "m1", "m3")]),
        # the leader, last, has the address by then, and gives it away again
        (lambda: balanced(ROLL_ALL, holder="m3"), "restart", [("m2", "m3", "m3"), ("m3", "m2", "m2"), ("m1", "m2", "m2")]),
        (lambda: balanced(REMOVE_M1, endpoint_mode="external"), "stop", [("m1", None, None)]),
        (lambda: balanced(REMOVE_M1, holder=""), "stop", [("m1", "", "")]),
        (lambda: removal(["m1"], ("m1", "m2"), learners=("m2",)), "give_back", [("m2", "m2", "m2")]),
        (lambda: asked(_request.Request(), ("m1",), bare=("m2",)), "balance", [("m2", "m1", "m1")]),
        (
            lambda: asked(_request.Request(), (), bare=THREE, workers=()),
            "balance",
            [("m1", "", "m1"), ("m2", "m1", "m1"), ("m3", "m1", "m1")],
        ),
        (lambda: asked(_request.Request(), (), bare=("m1",), workers=()), "hold", [("m1", "", "m1")]),
    ],
)
def test_who_has_the_address_before_and_after_a_step(made, kind, moves):
    assert around(made(), kind, "holder_before", "holder_after") == moves


def test_a_restart_after_which_another_has_the_address_says_so():
    request = _request.Request(_request.ROLL, ("m1", "m2"))
    members = [member("m1"), member("m2", learner=True)]
    seen = {name: living(name, members) for name in ("m1", "m2")}
    for name in seen:
        seen[name]["units"].update(haproxy="active", keepalived="active")
    seen["m2"]["endpoint_address"] = {"held_on": ["eth0"]}
    made = _topology.build(settings(), inventory(("m1", "m2")), seen, True, request=request)
    assert around(made, "restart", "holder_before", "holder_after") == [("m2", "m1", "m1"), ("m1", "m1", "m2")]
    assert made.plan.lines()[-2].endswith("the etcd leadership moved first   [address: m1 -> m2]")


@pytest.mark.parametrize(
    ("masters", "workers", "said"),
    [
        (["m1"], ["m1"], {"m1": f"{_plan_state.PINNED}; the API is away meanwhile"}),
        (["m1"], ["w1"], {"m1": "drained first; the API is away meanwhile", "w1": _plan_state.PINNED}),
        (["m1"], ["w1", "w2"], {"m1": "drained first; the API is away meanwhile", "w1": "drained first", "w2": "drained first"}),
    ],
)
def test_a_node_whose_pods_could_go_nowhere_is_not_drained_and_the_plan_says_so(masters, workers, said):
    listed = inventory(masters, workers)
    seen = {name: living(name, [member("m1")], master=name == "m1") for name in listed.names}
    made = _topology.build(
        settings(), listed, seen, True, request=_request.Request(_request.ROLL, listed.names), allow_outage=True
    )
    assert {step.host: step.why for step in made.plan.steps if step.kind == "restart"} == said


def test_what_restarts_is_said_of_the_host_on_which_it_does():
    control = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    node = ("containerd", "kubelet", "kube-proxy", "flanneld")
    made = removal(["m1"], THREE)
    restarts = {f"{step.kind} {step.host}": step.restarts for step in made.plan.steps if step.restarts}
    assert restarts == {"repoint m3": control, "add_learner m3": ("etcd",)}
    new = replaced("m2", "m4", bare=("m4",), zones=SAME_ZONE)
    assert not any(step.restarts for step in new.plan.steps), "who is new starts"
    assert not any(step.restarts for step in replaced("m2", wiped=("m2",)).plan.steps), "etcd cannot run without its data"
    rolled = asked(_request.Request(_request.ROLL, ("m1", "w1")), THREE)
    assert around(rolled, "restart", "restarts") == [("m1", ("etcd", "keepalived", *control, *node)), ("w1", node)]
    lone = _request.Request(_request.ROLL, ("m1",))
    seen = {"m1": living("m1", [member("m1")])}
    alone = _topology.build(settings(), inventory(["m1"]), seen, True, request=lone, allow_outage=True)
    assert around(alone, "restart", "restarts") == [("m1", ("etcd", *control, *node))]
    assert around(move(), "balance", "restarts") == [("m1", ("keepalived",))]


@pytest.mark.parametrize(
    ("name", "more", "why"),
    [
        ("m1", {}, "drained, its API server drained in every balancer, the etcd leadership moved first"),
        ("w1", {}, _plan_state.PINNED),  # the only worker
        ("e1", {"etcd": ("e1", "e2", "e3")}, "the etcd leadership moved first"),
        ("m1", {"etcd": ("e1", "e2", "e3")}, "drained, its API server drained in every balancer first"),
        ("m1", {"endpoint_mode": "external"}, f"drained, the etcd leadership moved first; {_plan.SERVES_ON}"),
        ("m1", {"masters": ("m1",), "etcd": ("e1",)}, "drained first; the API is away meanwhile"),
        ("m1", {"masters": ("m1",)}, "drained first; the API is away meanwhile"),
    ],
)
def test_a_restart_says_what_moves_off_the_host_and_what_is_away(name, more, why):
    more = dict(more)
    masters, etcd = more.pop("masters", THREE), more.pop("etcd", ())
    members = [member(one) for one in etcd or masters]
    seen = {one: living(one, members, master=one in masters) for one in (*masters, *etcd, "w1")}
    request = _request.Request(_request.ROLL, (name,))
    listed = inventory(masters, ["w1"], etcd)
    made = _topology.build(settings(**more), listed, seen, True, request=request, allow_outage=True)
    assert [step.why for step in made.plan.steps if step.kind == "restart"] == [why]


@pytest.mark.parametrize(
    ("nodes", "used", "refused"),
    [
        # a removal of m1 was cut off after m3 was pointed at m2
        (("m2",), {"m3": "m2"}, "restart m2: the API server of m3 would answer nothing"),
        (THREE, {"m3": "m2"}, "restart m2: the API server of m3 would answer nothing"),
        (("m2",), {"m1": "m2", "m3": "m2"}, "restart m2: the API servers of m1, m3 would answer nothing"),
        (("m1", "m3"), {"m3": "m2"}, ""),
        (("m2",), {"m2": "m1"}, ""),  # it is away itself
        (("m2",), {"m3": "m2 m1"}, ""),
    ],
)
def test_no_roll_takes_the_only_member_from_an_api_server_that_is_to_have_others(nodes, used, refused):
    seen = {name: living(name, [member(one) for one in THREE]) for name in THREE}
    for name in THREE:
        seen[name]["units"].update(haproxy="active", keepalived="active")
    for name, members in used.items():
        seen[name]["api_server"] = {"etcd_servers": [url for one in members.split() for url in member(one)["client_urls"]]}
    made = _topology.build(settings(), inventory(THREE), seen, True, request=_request.Request(_request.ROLL, nodes))
    assert [why.startswith(refused) and "site.yml" in step for why, step in made.plan.refusals] == [True] * bool(refused)


@pytest.mark.parametrize(
    ("members", "nodes"),
    [(("e1",), ("e1",)), (("e1", "e2", "e3"), ("e1", "e2", "e3")), (("m1", "m2"), ("m1",)), (("m1", "m2"), ("m1", "m2"))],
)
def test_a_member_that_is_to_be_the_only_one_of_an_api_server_may_be_rolled_as_ever(members, nodes):
    listed = [{**member(name), "is_learner": len(members) == 2 and name == members[1]} for name in members]
    seen = {name: living(name, listed, master=name[0] == "m") for name in {"m1", "m2", *members}}
    own = inventory(TWO, etcd=members if members[0] == "e1" else ())
    request = _request.Request(_request.ROLL, nodes)
    assert _topology.build(settings(), own, seen, True, request=request, allow_outage=True).plan.refusals == ()


def test_only_where_flannel_is_the_network_it_restarts():
    seen = {"m1": living("m1", [member("m1")]), "w1": living("w1", [], master=False)}
    request = _request.Request(_request.ROLL, ("w1",))
    made = [
        _topology.build(settings(network=network), inventory(["m1"], ["w1"]), seen, True, request=request)
        for network in ("flannel", "none")
    ]
    node = ("containerd", "kubelet", "kube-proxy")
    assert [around(one, "restart", "restarts") for one in made] == [[("w1", (*node, "flanneld"))], [("w1", node)]]


def test_somebody_elses_balancer_is_not_said_to_be_told():
    stop = [step for step in balanced(REMOVE_M1, endpoint_mode="external").plan.steps if step.kind == "stop"]
    assert [step.why for step in stop] == [_plan.SERVES_ON]


def test_a_host_of_etcds_own_has_no_node_object_to_delete():
    made = replaced("e1", "e4", masters=("m1", "m2"), etcd=("e1", "e2", "e3"), bare=("e4",))
    assert [step.why for step in made.plan.steps if step.kind == "clean"] == [_plan.BARE]
    made = removal(["w1"], THREE)
    assert [step.why for step in made.plan.steps if step.kind == "clean"] == [f"its node object is deleted; {_plan.BARE}"]


def test_members_that_leave_can_be_asked_while_they_are_there():
    fact = _topology_fact.as_fact(removal(["m1", "m2"], FIVE, dead=("m2",)))
    url = "https://192.0.2.1{0}:{1}".format
    assert fact["leaving"]["members"] == [{"node_name": "m1", "peer_url": url(1, 2380), "client_url": url(1, 2379)}]
    assert fact["etcd"]["asked"] == [*fact["etcd"]["endpoints"], url(1, 2379)]
    # the dead is one of ours as well, or its member could not be told from a stranger's
    assert sorted(fact["etcd"]["ours"]) == sorted(["m3", "m4", "m5", *(url(n, 2380) for n in (1, 2, 3, 4, 5))])


def move(masters=THREE, held_by=("m1",), stopped=(), dead=(), bare=(), **more):
    """Return the topology of a living cluster whose endpoint address is to move; ``stopped``: masters without keepalived."""
    members = [member(name) for name in masters]
    seen = {name: living(name, members) for name in masters if name not in dead} | {name: fresh(name) for name in bare}
    for name in set(masters) - set(dead):
        seen[name]["units"].update(haproxy="active", keepalived="failed" if name in stopped else "active")
        seen[name]["endpoint_address"] = {"held_on": ["eth0"] if name in held_by else []}
    listed = inventory((*masters, *bare), ("w1",))
    return _topology.build(settings(**more), listed, seen, True, request=_request.Request(_request.MOVE))


@pytest.mark.parametrize(
    ("made", "lines"),
    [
        (lambda: move(), ["yield        m1           {}m3, by VRRP priority before m2", "balance      m1           {back}"]),
        (lambda: move(("m1", "m2"), held_by=("m2",)), ["yield        m2           {}m1", "balance      m2           {back}"]),
        (
            lambda: move(stopped=("m3",)),
            [
                "yield        m1           {}m2",
                "balance      m1           {back}",
                "balance      m3           {still}",
                "m3 does not run keepalived{doubt}",
            ],
        ),
        (
            lambda: move(dead=("m3",)),
            ["yield        m1           {}m2", "balance      m1           {back}", "m3 cannot be reached{doubt}"],
        ),
    ],
)
def test_a_move_in_order(made, lines):
    back = "it comes back as a backup   [restarts keepalived]"
    said = {"back": back, "still": f"its keepalived stands still: {back}", "doubt": ": do not count on it to take the address"}
    wanted = [line.format("the endpoint address goes to ", **said) for line in lines]
    steps = sum(line.startswith(("yield", "balance")) for line in lines)
    assert list(made().plan.lines()) == [*(f"  {n}. {line}" for n, line in enumerate(wanted[:steps], 1)), *wanted[steps:]]


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (lambda: move(("m1",)), "m1 is the only master"),
        (lambda: move(endpoint_mode="external"), "a balancer that is not ours"),
        (lambda: move(held_by=()), "no master was seen to have the endpoint address"),
        (lambda: move(held_by=("m1", "m2")), "on m1 and m2 at once"),
        (lambda: move(stopped=("m1",)), "keepalived does not run on m1"),
        (lambda: move(stopped=("m2",), dead=("m3",)), "m3 cannot be reached; m2 does not run keepalived"),
        (lambda: move(bare=("m4",)), "m4 is listed and not part of the cluster yet"),
    ],
)
def test_a_move_that_is_refused_says_why_and_moves_nobody(made, why):
    topology = made()
    [(reason, next_step)] = topology.plan.refusals
    assert why in reason and next_step and not topology.plan.steps
    assert moving(topology) == [[], [], []]


def moving(topology):
    return [dict(topology.order)[name] for name in ("move", "stand_by", "may_hold")]


def test_a_move_is_of_the_holder_and_asks_whom_it_can_reach():
    assert moving(move(dead=("m3",))) == [["m1"], [], ["m1", "m2"]]
    assert moving(move(stopped=("m3",))) == [["m1"], ["m3"], ["m1", "m2", "m3"]]
    assert moving(removal(["m1"], THREE)) == [[], [], []]


def test_a_move_restarts_nobody_so_nobody_changes_places():
    assert move(("m1", "m2")).giving.voters == ()


def test_one_more_worker_is_no_step_of_anybody_else():
    made = asked(_request.Request(), THREE, bare=("w2",), workers=("w1", "w2"))
    assert steps(made) == ["prepare w2", "register w2"] and made.etcd.planned == ()
    orders = dict(made.order)
    for order in ("bootstrap", "grow", "demote", "leaving"):
        assert not orders[order]


def test_what_a_plan_does_not_compare_is_said():
    made = _plan.Plan(notes=("so",))
    assert _plan.told(made, _request.CONVERGING).notes == ("so", _plan.NOT_COMPARED)
    for kind in (_request.REMOVE, _request.REPLACE):
        assert _plan.told(made, _request.Request(kind)).notes == ("so", _plan.AS_SITE_YML)
    assert all(_plan.told(made, _request.Request(kind)) == made for kind in (_request.ROLL, _request.MOVE, _request.UPGRADE))
