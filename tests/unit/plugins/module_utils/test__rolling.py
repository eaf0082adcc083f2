# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _etcd_scene, _plan, _quorum, _request, _rolling
from ansible_collections.multimaster.kubernetes.plugins.module_utils._giving_way import GivingWay
from cluster_fixtures import fresh, host, living, member

NOBODY = GivingWay()
# whether it is a master and whether it has the address
YES, NO = (True, True), (False, False)
THREE, APART = "m1 m2 m3", "m1 m2 e1 e2 e3"


def hosts(names, zones=None, **changes):
    """Return these hosts; `zones` maps some to zones, further arguments some to fields of Host."""
    apart = "e1" in names
    return tuple(
        host(name, **{"zone": (zones or {}).get(name, ""), "member": name[0] == ("e" if apart else "m"), **changes.get(name, {})})
        for name in names.split()
    )


def observed(placed, leader="", holder="", unseen="", learner="", outside=""):
    """Return what is observed of these hosts; `unseen` ones are not reached, an `outside` one is no member any more."""
    members = [member(one.name, one.name == learner) for one in placed if one.member and one.name != outside]
    seen = {one.name: living(one.name, members, master=one.master) for one in placed if one.name not in unseen.split()}
    for name, observation in seen.items():
        if observation["etcd"]["status"]:
            observation["etcd"]["status"]["leader_id"] = member(leader)["id"] if leader else "0"
        observation["endpoint_address"] = {"held_on": ["eth0"] if name == holder else []}
    return seen


def roll(names):
    return _request.Request(_request.ROLL, tuple(names.split()))


@pytest.mark.parametrize(
    ("names", "working", "wanted"),
    [
        ("m1", "m1", "m1"),
        ("m1", "", "m1"),
        ("m1 m2", "", ""),
        ("m1 m2 m3", "m1", "m1"),  # a master's pods go where a worker's may not
        ("m1 m2 m3", "m1 m2", ""),
        ("m1 w1", "", "w1"),
        ("m1 w1", "m1", ""),
        ("m1 m2 w1 w2", "", ""),
        ("m1 e1 e2 e3", "m1", "m1"),  # a host of etcd's own takes none
        ("e1", "", ""),
    ],
)
def test_a_drain_is_pointless_where_no_other_node_takes_the_pods(names, working, wanted):
    placed = hosts(names, **{name: {"worker": True} for name in working.split()})
    assert _rolling.pinned(placed) == set(wanted.split())


@pytest.mark.parametrize(
    ("names", "zones", "seen", "wanted"),
    [
        (THREE, {}, {}, "m1 m2 m3"),
        (THREE, {}, {"leader": "m1", "holder": "m2"}, "m3 m2 m1"),
        (THREE, {}, {"leader": "m2", "holder": "m1"}, "m3 m1 m2"),
        (THREE, {}, {"leader": "m1", "holder": "m1"}, "m2 m3 m1"),
        # a zone after the other, which counts for less than to be needed
        (THREE, {"m1": "b", "m2": "a", "m3": "b"}, {}, "m2 m1 m3"),
        (THREE, {"m1": "a", "m2": "b", "m3": "c"}, {"holder": "m1", "leader": "m2"}, "m3 m1 m2"),
        # who was not reached is needed by nobody, as far as anybody knows
        (THREE, {}, {"leader": "m1", "holder": "m1", "unseen": "m1"}, "m1 m2 m3"),
        ("m1 m2", {}, {"leader": "m1", "learner": "m2"}, "m2 m1"),
        # members on hosts of their own; workers have no turn here
        (APART + " w1", {}, {"leader": "e1", "holder": "m1"}, "e2 e3 m2 m1 e1"),
        ("w1 w2", {}, {}, ""),
    ],
)
def test_whom_the_others_need_goes_last(names, zones, seen, wanted):
    placed = hosts(names, zones)
    for listed in (placed, placed[::-1]):
        assert _rolling.in_order(listed, observed(placed, **seen)) == tuple(wanted.split())


@pytest.mark.parametrize("etcd", [None, {"status": None}, {"status": {"ok": False, "leader_id": "", "member_id": ""}}])
def test_who_does_not_answer_for_etcd_does_not_lead(etcd):
    seen = {**observed(hosts(THREE)), "m1": fresh("m1", etcd=etcd)}
    assert _rolling.in_order(hosts(THREE), seen) == ("m1", "m2", "m3")


@pytest.mark.parametrize(
    ("names", "asked", "later", "seen", "wanted"),
    [
        ("m1 m2 w1", "w1 m2 m1", (), {"leader": "m1", "holder": "m2"}, [("m2", *YES), ("m1", True, False), ("w1", *NO)]),
        ("m1 e1 w1", "m1 e1 w1", (), {"holder": "m1"}, [("e1", *NO), ("m1", *YES), ("w1", *NO)]),
        ("m1 m2 m3", "m2", (), {"unseen": "m2"}, [("m2", True, False)]),
        ("m1 m2", "m1 m2", ("m1",), {}, [("m2", True, False)]),
        ("m1", "m1 m5", (), {}, [("m1", True, False)]),
    ],
)
def test_who_is_asked_for_restarts_workers_after_all_others(names, asked, later, seen, wanted):
    placed = hosts(names)
    assert _rolling.rolling(placed, observed(placed, **seen), roll(asked), GivingWay(later=later)) == tuple(wanted)


def test_workers_restart_by_zone_and_name_and_a_master_that_is_one_too_before_them():
    placed = hosts("w2 w1 m1", {"w1": "b", "w2": "a", "m1": "c"}, m1={"worker": True})
    found = _rolling.rolling(placed, observed(placed), roll("w1 w2 m1"), NOBODY)
    assert [name for name, *_what in found] == ["m1", "w2", "w1"]


@pytest.mark.parametrize(
    ("asked", "giving", "seen", "wanted"),
    [
        ("m1 m2", NOBODY, {}, ()),
        ("m1 m2", GivingWay(("m1",), "m1", "m2"), {}, ("m1",)),
        # it gives way for its settings; restarting is asked of the other alone
        ("m2", GivingWay(("m1",), "m1", "m2"), {}, ()),
        ("m1 m2", GivingWay(("m1", "m2"), "m1", "m2", ("m2",)), {}, ("m1",)),
        # taken out by a run that was cut off
        ("m1 m2", GivingWay(("m1",)), {"outside": "m2"}, ("m2",)),
        ("m1 m2", GivingWay(("m1",), later=("m1",)), {"outside": "m2"}, ("m2",)),
        ("m1", GivingWay(("m1",)), {"outside": "m2"}, ()),
        ("m1 m2", NOBODY, {"outside": "m2", "unseen": "m2"}, ("m2",)),
        ("m1 m2", GivingWay(later=("m2",)), {"outside": "m2"}, ()),
    ],
)
def test_who_gives_way_or_was_taken_out_restarts_after_etcds_steps(asked, giving, seen, wanted):
    placed = hosts("m1 m2", m2={"etcd_leftover": True})
    assert _rolling.late(placed, observed(placed, leader="m1", **seen), roll(asked), giving) == wanted


def test_only_a_roll_restarts_hosts():
    placed, giving = hosts("m1 m2", m2={"etcd_leftover": True}), GivingWay(("m1",), "m1", "m2")
    for kind in (_request.CONVERGE, _request.UPGRADE, _request.REMOVE, _request.REPLACE, _request.MOVE):
        asked = (placed, observed(placed, outside="m2"), _request.Request(kind, ("m1", "m2")), giving)
        assert (_rolling.rolling(*asked), _rolling.late(*asked)) == ((), ())


def judged(placed, seen, names, allowed=False, afterwards=(), at_end=None):
    found = _rolling.verdicts(placed, seen, names.split(), allowed, afterwards, at_end or _quorum.Cluster())
    return {name: verdict.safe for name, verdict in found}


@pytest.mark.parametrize(
    ("names", "seen", "asked", "safe"),
    [
        (THREE, {"leader": "m1"}, "m3 m1", {"m1": True, "m3": True}),
        # who was not reached counts as down: it alone may restart
        (THREE, {"leader": "m1", "unseen": "m2"}, "m1 m2", {"m1": False, "m2": True}),
        ("m1 m2", {"leader": "m1", "learner": "m2"}, "m1 m2", {"m1": False, "m2": True}),
        # masters and workers without a member are nothing to etcd
        (APART + " w1", {"leader": "e1"}, "m1 e2 w1", {"e2": True}),
    ],
)
def test_the_restart_of_each_member_is_judged_as_things_are(names, seen, asked, safe):
    assert judged(hosts(names), observed(hosts(names), **seen), asked) == safe


def test_who_restarts_after_etcds_steps_is_judged_as_it_will_be_then():
    placed = hosts("m1 m2")
    then = _etcd_scene.cluster(placed, observed(placed, leader="m2", learner="m1"))
    seen = observed(placed, leader="m1", learner="m2")
    assert judged(placed, seen, "m1 m2", afterwards=("m1",), at_end=then) == {"m1": True, "m2": True}
    assert judged(placed, seen, "m1 m2", afterwards=("m2",), at_end=then) == {"m1": False, "m2": False}


@pytest.mark.parametrize("allowed", [False, True])
def test_an_outage_has_to_be_allowed(allowed):
    assert judged(hosts("m1"), observed(hosts("m1"), leader="m1"), "m1", allowed) == {"m1": allowed}


@pytest.mark.parametrize(
    ("rolling", "late", "roll", "roll_late", "roll_workers"),
    [
        ("m2 m1 w2 w1", "", "m2 m1", "", "w2 w1"),
        ("m2 m1 w1", "m1", "m2", "m1", "w1"),
        ("m2 m1", "m1 m2", "", "m2 m1", ""),
        ("e1 m1", "", "e1 m1", "", ""),
        ("w1", "", "", "", "w1"),
    ],
)
def test_each_host_that_restarts_has_one_order(rolling, late, roll, roll_late, roll_workers):
    scene = _plan.Scene(rolling=tuple((name, name[0] == "m", False) for name in rolling.split()), late=tuple(late.split()))
    found = {order: " ".join(names) for order, names in _rolling.orders(scene, hosts("m1 m2 e1 w1 w2")).items()}
    assert found == {"roll": roll, "roll_late": roll_late, "roll_workers": roll_workers}
