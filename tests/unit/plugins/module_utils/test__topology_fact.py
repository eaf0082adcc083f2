# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a topology the playbooks read as an order of hosts though it is about etcd as a whole."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _downgrade,
    _request,
    _topology,
    _topology_fact,
    _upgrade,
)
from cluster_fixtures import fresh, inventory, living, member, settings

NOBODY = "all:!all"


def topology(**more):
    listed = inventory(["m1", "m2"])
    seen = {"m1": living("m1", [member("m1"), member("m2", learner=True)]), "m2": living("m2", [member("m1")])}
    return dataclasses.replace(_topology.build(settings(), listed, seen, True), **more)


@pytest.mark.parametrize(
    ("downgrade", "told", "awaited"),
    [
        (("", ""), NOBODY, NOBODY),
        (("m1", _downgrade.ENABLED), "m1", "m1"),
        # what was called off is not waited for
        (("m1", _downgrade.CANCELLED), "m1", NOBODY),
    ],
)
def test_who_tells_etcd_to_go_back_and_who_sees_that_it_has(downgrade, told, awaited):
    fact = _topology_fact.as_fact(topology(downgrade=downgrade))
    assert (fact["order"]["downgrade"], fact["order"]["downgraded"], fact["downgrade"]) == (told, awaited, downgrade[1])


@pytest.mark.parametrize(("saved", "wanted"), [("", NOBODY), ("m2", "m2")])
def test_who_saves_etcd(saved, wanted):
    assert _topology_fact.as_fact(topology(snapshot=saved))["order"]["snapshot"] == wanted


def test_a_voter_that_cannot_be_spared_is_looked_at_only_while_that_is_undecided():
    made = topology()
    assert made.giving.voters == ("m1",)
    for undecided, wanted in ((True, ("m1", "localhost")), (False, (NOBODY, NOBODY))):
        order = _topology_fact.as_fact(made, undecided=undecided)["order"]
        assert (order["sole_voters"], order["again"]) == wanted


def test_workers_that_restart_are_batches_and_no_order():
    listed = inventory(["m1"], ["w1"])
    fact = _topology_fact.as_fact(_topology.build(settings(), listed, {name: fresh(name) for name in listed.names}))
    assert fact["roll_workers"] == {"hosts": NOBODY, "serial": [1]} and "roll_workers" not in fact["order"]


@pytest.mark.parametrize(
    ("request_", "address", "told"),
    [
        (_request.Request("remove", ("w2",)), "192.0.2.22", [{"node_name": "w2", "address": "192.0.2.22"}]),
        (_request.Request("replace", ("w2",), "w1"), "192.0.2.22", [{"node_name": "w2", "address": "192.0.2.22"}]),
        # the successor has its address, so that says nothing of the node
        (_request.Request("replace", ("w2",), "w1"), "192.0.2.21", [{"node_name": "w2", "address": ""}]),
        # a new machine is not in yet: its former self has its address, whatever it is called, or else its name
        (_request.Request("replace", ("w1",)), "192.0.2.22", [{"node_name": "w1", "address": "192.0.2.21"}]),
    ],
)
def test_the_node_of_a_host_that_cannot_be_asked_is_found_by_its_address(request_, address, told):
    listed = inventory(["m1"], ["w1", "w2"], w2={"ansible_host": address})
    seen = {"m1": living("m1", [member("m1")]), "w1": fresh("w1")}
    made = _topology.build(settings(), listed, seen, True, request=request_)
    assert _topology_fact.as_fact(made)["forgotten"]["nodes"] == told


@pytest.mark.parametrize(
    ("drains", "kind", "order", "wanted"),
    [
        (("m1", "w1", "w2"), _upgrade.NODES, {}, ["w1", "w2"]),
        (("w2",), _upgrade.NODES, {}, ["w2"]),  # the pods of the other could go nowhere
        (("m1", "w1", "w2"), _upgrade.MASTER, {}, []),  # its pods stay
        ((), _upgrade.NODES, {}, []),  # site.yml drains nobody
        # a host of etcd's own is no node
        (("m1", "m2", "w2"), "", {"roll": ["e1", "m1"], "roll_late": ["m2"], "roll_workers": ["w2"]}, ["m1", "m2", "w2"]),
        (("m1", "m2"), "", {"roll": ["m1"], "roll_workers": ["w2"]}, ["m1"]),
    ],
)
def test_nodes_that_are_to_be_drained_are_known_beforehand(drains, kind, order, wanted):
    listed = inventory(["m1", "m2"], ["w1", "w2"], ["e1"])
    made = _topology.build(settings(), listed, {one: fresh(one) for one in listed.names})
    steps = (_upgrade.Step(kind, ("w1",), ""), _upgrade.Step(kind, ("w2",), "")) if kind else ()
    made = dataclasses.replace(
        made, drains=drains, plan=dataclasses.replace(made.plan, steps=steps), order=tuple({**dict(made.order), **order}.items())
    )
    assert _topology_fact.as_fact(made)["to_drain"] == wanted


@pytest.mark.parametrize(
    ("listed", "kind", "drained"),
    [
        (inventory(["m1"], ["m1"]), _request.ROLL, []),
        (inventory(["m1"], ["m1"]), _request.UPGRADE, []),
        (inventory(["m1"], ["w1"]), _request.ROLL, ["m1"]),
        (inventory(["m1"], ["w1", "w2"], ["e1"]), _request.UPGRADE, ["m1", "w1", "w2"]),
        (inventory(["m1"], ["w1", "w2"]), _request.CONVERGE, []),
    ],
)
def test_a_node_is_drained_in_its_turn_where_its_pods_have_somewhere_to_go(listed, kind, drained):
    seen = {name: living(name, [member("m1")]) if name == "m1" else fresh(name) for name in listed.names}
    nodes = ("m1",) if kind == _request.ROLL else ()
    made = _topology.build(settings(), listed, seen, True, request=_request.Request(kind, nodes), allow_outage=True)
    fact = _topology_fact.as_fact(made)
    assert [name for name, host in fact["hosts"].items() if host["drains"]] == drained
    assert fact["to_drain"] == [name for name in drained if name in nodes]


@pytest.mark.parametrize(
    ("request_", "seen", "wanted"),
    [
        (_request.Request(_request.REPLACE, ("m1",)), fresh("m1"), ["m2", "m3"]),  # installed anew
        # only its etcd data are gone: the node stays, and somebody may be at work there
        (_request.Request(_request.REPLACE, ("m1",)), {"etcd": None}, ["m1", "m2", "m3"]),
        (_request.Request(_request.REMOVE, ("m1",)), None, ["m2", "m3"]),
        (_request.Request(_request.REMOVE, ("w1",)), {}, ["m1", "m2", "m3"]),
    ],
)
def test_a_master_that_is_forgotten_may_be_cordoned_and_no_other(request_, seen, wanted):
    names = ["m1", "m2", "m3"]
    members = [member(name) for name in names]
    observed = {name: living(name, members) for name in names} | {"w1": living("w1", [], master=False)}
    if seen == {"etcd": None}:
        observed["m1"]["etcd"].update(data=False, status=None)
    elif seen != {}:
        observed["m1"] = seen
    made = _topology.build(settings(), inventory(names, ["w1"]), observed, True, request=request_)
    assert not made.plan.refusals and _topology_fact.as_fact(made)["uncordoned"] == wanted


def test_a_node_that_leaves_may_be_cordoned_already():
    listed = inventory(["m1"], ["w1", "w2"])
    seen = {"m1": living("m1", [member("m1")]), "w1": fresh("w1"), "w2": fresh("w2")}
    made = _topology.build(settings(), listed, seen, True, request=_request.Request(_request.REMOVE, ("w2",)))
    assert _topology_fact.as_fact(made)["to_drain"] == []


@pytest.mark.parametrize(
    ("masters", "name", "wanted"),
    [
        (["m1", "m2", "m3"], "m1", ("m2", True, True)),
        (["m1", "m2", "m3"], "m2", ("m1", True, True)),
        (["m1", "m2", "m3"], "w1", ("m1", True, False)),
        (["m1"], "m1", ("m1", True, False)),
        (["m1"], "e1", ("m1", False, False)),
    ],
)
def test_a_host_knows_whom_to_ask_while_its_own_api_server_is_away(masters, name, wanted):
    listed = inventory(masters, ["w1"], ["e1"])
    fact = _topology_fact.as_fact(_topology.build(settings(), listed, {one: fresh(one) for one in listed.names}))
    host = fact["hosts"][name]
    assert (host["neighbour"], host["node"], host["balances"]) == wanted
