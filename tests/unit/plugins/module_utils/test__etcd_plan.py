# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _host, _request, _topology
from cluster_fixtures import address, fresh, inventory, living, member, settings

OLD = "https://192.0.2.99:2380"


def bare(*names):
    return {name: fresh(name) for name in names}


def etcd(listed, observed, request=_request.CONVERGING):
    return _topology.build(settings(), listed, observed, nonce="5eed", request=request).etcd


def test_bare_hosts_are_founded():
    decided = etcd(inventory(["m1"], ["w1"]), bare("m1", "w1"))
    assert (decided.action, decided.start, decided.join) == ("bootstrap", ("m1",), ())


@pytest.mark.parametrize(("data", "renewed", "moved"), [(True, (), (("m2", (OLD,)),)), (False, (), ()), (True, ("m2",), ())])
def test_a_member_that_is_reached_elsewhere_than_its_host_is_told(data, renewed, moved):
    listed, members = inventory(["m1", "m2", "m3"]), [member("m1"), {**member("m2"), "peer_urls": [OLD]}, member("m3")]
    observed = {name: living(name, members) for name in ("m1", "m2", "m3")}
    observed["m2"]["etcd"]["data"] = data
    request = _request.Request(_request.REPLACE, renewed) if renewed else _request.CONVERGING
    assert etcd(listed, observed, request).moved == moved


def test_a_third_master_makes_the_standby_and_itself_voters():
    members = [member("m1"), member("m2", learner=True)]
    observed = {"m1": living("m1", members), "m2": living("m2", members), "m3": fresh("m3")}
    decided = etcd(inventory(["m1", "m2", "m3"]), observed)
    assert (decided.join, sorted(decided.promote)) == (("m3",), ["m2", "m3"])


def test_two_new_masters_become_voters_in_a_pair():
    observed = {"m1": living("m1", [member("m1")]), "m2": fresh("m2"), "m3": fresh("m3")}
    decided = etcd(inventory(["m1", "m2", "m3"]), observed)
    assert decided.join == decided.promote == ("m2", "m3")


def test_a_group_etcd_added_to_a_living_cluster_founds_no_second_one():
    members = [member("m1"), member("m2"), member("m3")]
    observed = {**{name: living(name, members) for name in ("m1", "m2", "m3")}, **bare("e1", "e2", "e3")}
    decided = etcd(inventory(["m1", "m2", "m3"], etcd=["e1", "e2", "e3"]), observed)
    assert (decided.action, decided.start) == ("refuse", ())
    assert "m1 holds etcd data and is no etcd host in the inventory" in decided.reason


def test_a_group_etcd_lost_from_the_inventory_founds_no_second_cluster():
    observed = {name: living(name, [member("e1")]) for name in ("m1", "m2")}
    decided = etcd(inventory(["m1", "m2"]), observed)
    assert (decided.action, decided.start) == ("refuse", ())
    assert "the API server of m1 uses the etcd at https://192.0.2.31:2379" in decided.reason


WITHOUT_DATA = {"data": False, "record": None, "first_start": False, "unit": "failed", "status": None}


def emptied(name, unit="failed", **changes):
    """Return a master of a living cluster whose etcd disk is empty or not mounted; no process of its API server is seen."""
    seen = living(name, [], etcd=dict(WITHOUT_DATA), api_server=None, **changes)
    seen["units"].update({"kube-apiserver": unit, "etcd": "failed"})
    return seen


@pytest.mark.parametrize("unit", ["active", "activating", "inactive", "failed"])
@pytest.mark.parametrize("masters", [("m1",), ("m1", "m2"), ("m1", "m2", "m3")])
def test_masters_whose_disks_are_all_empty_found_no_second_cluster(masters, unit):
    """The runbook of a lost quorum stops every API server and puts data away; one in a crash loop has no process either."""
    decided = etcd(inventory(masters), {name: emptied(name, unit) for name in masters})
    assert (decided.action, decided.start) == ("refuse", ())
    assert "m1 has an API server" in decided.reason
    assert all(word in decided.next_step for word in ("mount", "snapshot", "reset.yml"))


@pytest.mark.parametrize("shown", [{"unit": "failed"}, {"unit": "not-found", "kubelet_credentials": True}])
def test_one_master_that_was_one_is_enough_to_found_no_second_cluster(shown):
    kept = emptied("m2", **{"kubelet_credentials": False, **shown})
    decided = etcd(inventory(["m1", "m2", "m3"]), {**bare("m1", "m3"), "m2": kept})
    assert decided.action == "refuse" and "m2" in decided.reason and "m3 has" not in decided.reason


def test_etcd_on_hosts_of_its_own_is_not_founded_again_below_masters():
    decided = etcd(inventory(["m1"], etcd=["e1"]), {"m1": emptied("m1"), **bare("e1")})
    assert decided.action == "refuse" and "m1 has an API server" in decided.reason


def test_a_worker_that_was_one_before_keeps_nobody_from_building_anew():
    seen = {**bare("m1"), "w1": living("w1", [], master=False)}
    assert etcd(inventory(["m1"], ["w1"]), seen).action == "bootstrap"


# What a build that was cut off before etcd served can leave on a master: the record comes before data, and both after the unit.
RECORD = {"token": "prod-1", "initial_cluster": {name: f"https://{address(name)}:2380" for name in ("m1", "m2", "m3")}}
BEFORE_ETCD_SERVES = (
    {"data": False, "record": None, "unit": "not-found"},
    {"data": False, "record": None, "unit": "inactive"},
    {"data": False, "record": RECORD, "unit": "inactive"},
    {"data": True, "record": RECORD, "unit": "activating"},
)


def test_a_build_that_was_cut_off_before_etcd_served_goes_on():
    actions = set()
    for states in itertools.product(BEFORE_ETCD_SERVES, repeat=3):
        names = ("m1", "m2", "m3")
        observed = {
            name: fresh(name, certificates=True, etcd={"first_start": False, "status": None, **state})
            for name, state in zip(names, states)
        }
        decided = etcd(inventory(names), observed)
        assert set(decided.start) == {*names}
        actions.add(decided.action)
    assert actions == {"bootstrap", "resume"}


def test_data_without_a_record_and_without_quorum_is_refused():
    seen = {"data": True, "record": None, "unit": "active", "status": None}
    decided = etcd(inventory(["m1"]), {"m1": fresh("m1", etcd=seen)})
    assert decided.action == "refuse"
    assert decided.reason
    assert decided.next_step


def expired(*names):
    """Return what is observed where all certificates have expired: etcd runs, and nobody can ask it."""
    seen = {name: living(name, [member(one) for one in names]) for name in names}
    for one in seen.values():
        one["etcd"].update(status=_host.no_status("not accepted", asked=False), stale=["/etc/etcd/pki/server.crt"])
    return seen


@pytest.mark.parametrize(
    ("request_", "action"),
    [
        (_request.CONVERGING, "renew"),
        (_request.Request(_request.REMOVE, ("m3",)), "refuse"),
        (_request.Request(_request.REPLACE, ("m3",)), "refuse"),
        (_request.Request(_request.UPGRADE), "refuse"),
        (_request.Request(_request.ROLL, ("m1",)), "refuse"),
    ],
)
def test_where_certificates_have_expired_they_are_renewed_before_anything_is_decided(request_, action):
    decided = etcd(inventory(["m1", "m2", "m3"]), expired("m1", "m2", "m3"), request_)
    assert (decided.action, decided.planned, decided.obstacles) == (action, (), ())
    assert decided.next_step.startswith("site.yml renews them")


def test_nobody_is_told_to_remove_data_while_no_member_serves():
    members = [member("m1"), member("m2")]
    observed = {name: living(name, members) for name in ("m1", "m2")}
    for seen in observed.values():
        seen["etcd"]["status"]["healthy"] = False
    observed["m3"] = living("m3", [])
    observed["m3"]["etcd"].update(data=True, status=None)
    assert etcd(inventory(["m1", "m2", "m3"]), observed).obstacles == ()
    for seen in (observed["m1"], observed["m2"]):
        seen["etcd"]["status"]["healthy"] = True
    [(host, _reason, next_step)] = etcd(inventory(["m1", "m2", "m3"]), observed).obstacles
    assert (host, "mv /var/lib/etcd/member" in next_step) == ("m3", True)


def test_members_without_a_host_are_strays_and_are_never_planned_for():
    members = [member(name) for name in ("m1", "m2", "m3")]
    decided = etcd(inventory(["m1", "m2"]), {name: living(name, members) for name in ("m1", "m2")})
    assert (decided.strays, decided.action) == (("m3",), "none")
    assert decided.join == decided.promote == ()


@pytest.mark.parametrize(
    ("asked", "unit", "dead", "obstacles"),
    [
        (True, "active", (("m3", "m3"),), []),
        (True, "failed", (("m3", "m3"),), []),
        (False, "failed", (("m3", "m3"),), []),
        (False, "active", (), ["m3"]),
        (False, "activating", (), ["m3"]),
    ],
)
def test_a_silent_member_that_leaves_goes_as_dead_unless_it_may_serve(asked, unit, dead, obstacles):
    members = [member(name) for name in ("m1", "m2", "m3")]
    observed = {**{name: living(name, members) for name in ("m1", "m2", "m3")}, **bare("m4")}
    observed["m3"]["etcd"].update(unit=unit, status=_host.no_status("it is silent", asked))
    decided = etcd(inventory(["m1", "m2", "m3", "m4"]), observed, _request.Request(_request.REPLACE, ("m3",), by="m4"))
    assert (decided.dead, [name for name, _reason, _next in decided.obstacles]) == (dead, obstacles)


STOPPED = {"data": True, "record": None, "first_start": False, "unit": "failed", "status": None}


@pytest.mark.parametrize(
    ("voters", "learners"), [(("m1",), ("m2", "m3")), (("m1", "m2"), ("m3",))], ids=["of a pair", "the last one"]
)
def test_a_learner_that_a_cut_left_stopped_is_started_and_votes(voters, learners):
    members = [*map(member, voters), *(member(name, learner=True) for name in learners)]
    observed = {name: living(name, members) for name in (*voters, *learners)}
    observed["m3"]["etcd"] = dict(STOPPED)
    made = _topology.build(settings(), inventory(["m1", "m2", "m3"]), observed)
    assert (made.plan.refusals, made.etcd.promote, dict(made.order)["grow"]) == ((), learners, list(learners))


def test_a_learner_on_a_host_that_is_away_is_not_counted_on():
    members = [member("m1"), member("m2"), member("m3", learner=True)]
    observed = {name: living(name, members) for name in ("m1", "m2")}
    made = _topology.build(settings(), inventory(["m1", "m2", "m3"]), observed)
    assert ["not proven to be running" in reason for reason, _fix in made.plan.refusals] == [True]


def test_a_half_done_join_is_finished():
    members = [member("m1"), member("m2", learner=True, started=False)]
    decided = etcd(inventory(["m1", "m2"]), {"m1": living("m1", members), "m2": fresh("m2")})
    assert decided.join == ("m2",)
