# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that site.yml finishes docs/runbooks/etcd-lost-quorum.md: whoever was wiped joins the survivor again."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _bootstrap,
    _host,
    _join_order,
    _quorum,
    _request,
    _topology,
)
from ansible_collections.multimaster.kubernetes.plugins.module_utils._quorum import ADD_LEARNER, PROMOTE
from cluster_fixtures import NUMBERS, fresh, inventory, living, member, settings, status

NAMES = ("m1", "m2", "m3")
ALONE = [member("m1")]
EMPTY = {"data": False, "record": None, "unit": "failed", "status": None}
STOPPED = {"data": True, "record": None, "unit": "inactive", "status": None}


def built(**hosts):
    return _topology.build(settings(), inventory(NAMES, ["w1"]), {"w1": living("w1", [], master=False), **hosts}, True, "n")


def wiped(name):
    """Return a master whose etcd data are gone; its API server still runs and uses its own member in vain."""
    own = [member(name)]
    return living(name, own, etcd=EMPTY)


@pytest.mark.parametrize("others", [wiped, fresh], ids=["wiped", "installed anew"])
def test_the_survivor_alone_takes_the_others_in_as_a_pair(others):
    seen = built(m1=living("m1", ALONE), m2=others("m2"), m3=others("m3"))
    assert seen.etcd.action == _bootstrap.JOIN
    assert seen.etcd.start == (), "nobody founds a second cluster"
    assert (seen.etcd.join, seen.etcd.promote) == (("m2", "m3"), ("m2", "m3"))
    assert dict(seen.order)["grow"] == ["m2", "m3"]
    assert not dict(seen.order)["bootstrap"]
    assert (seen.etcd.obstacles, seen.etcd.strays) == ((), ())
    assert seen.etcd.voters == NAMES


def test_each_step_of_that_plan_is_safe():
    survivor = _quorum.Member("1", "m1", healthy=True, peer_urls=("p1",), client_urls=("c1",))
    hosts = tuple(_join_order.Host(f"m{n}", "", f"p{n}", f"c{n}", data=n == 1) for n in (1, 2, 3))
    plan = _join_order.preview(_quorum.Cluster((survivor,), "1", ours=frozenset({"p1"})), _join_order.Wanted(hosts))
    assert [one.step.kind for one in plan] == [ADD_LEARNER, ADD_LEARNER, PROMOTE, PROMOTE]
    assert all(one.verdict.safe for one in plan)


def test_a_host_that_kept_the_old_clusters_data_is_left_alone_and_named():
    seen = built(m1=living("m1", ALONE), m2=living("m2", [], etcd=STOPPED), m3=wiped("m3"))
    assert [name for name, _reason, _next_step in seen.etcd.obstacles] == ["m2"]
    assert seen.etcd.join == ("m3",)


def test_before_the_runbook_nothing_is_founded_beside_what_is_left():
    silent = dict(STOPPED, unit="activating", status=dict(status("m1", ALONE, healthy=False), leader_id=""))
    seen = built(m1=living("m1", ALONE, etcd=silent), m2=wiped("m2"), m3=wiped("m3"))
    assert seen.etcd.action == _bootstrap.REFUSE
    assert _quorum.LOST_QUORUM_RUNBOOK in seen.etcd.next_step
    assert (seen.etcd.start, seen.etcd.join) == ((), ())


def with_dead(voters, learners, dead, away):
    """Return the observations of a cluster whose dead members are silent, or on hosts that are away.

    A learner that lives names its leader still, also when that is dead: it never campaigns.
    """
    members = [member(name, learner=name in learners) for name in (*voters, *learners)]
    serves = len(voters) - len(set(dead) & set(voters)) >= _quorum.quorum(len(voters))
    seen = {name: living(name, members) for name in (*voters, *learners)}
    for name, observation in seen.items():
        if name in dead:
            observation["etcd"].update(unit="activating", status=_host.no_status("no answer in time"))
        elif name in voters and not serves:
            observation["etcd"]["status"].update(healthy=False, leader_id="")
    return {name: observation for name, observation in seen.items() if not (name in dead and away)}, serves


def test_whether_a_cluster_serves_is_known_by_its_voters_alone():
    masters, refused = sorted(name for name in NUMBERS if name.startswith("m")), set()
    for voters, learners in itertools.product((1, 2, 3), (0, 1, 2)):
        names = masters[: voters + learners]
        for size, away in itertools.product(range(len(names)), (False, True)):
            for dead in itertools.combinations(names, size):
                seen, serves = with_dead(names[:voters], names[voters:], dead, away)
                decided = _topology.build(settings(), inventory(names), seen, True, "n").etcd
                assert (decided.action == _bootstrap.REFUSE) is not serves, (voters, learners, dead)
                assert serves or (decided.planned, decided.join, decided.start) == ((), (), ())
                refused |= {(voters, learners)} if not serves else set()
    assert (1, 1) in refused and (3, 1) in refused


@pytest.mark.parametrize("away", [False, True], ids=["silent", "away"])
def test_the_lone_voter_that_is_dead_is_not_taken_out_as_if_the_standby_served(away):
    seen, _serves = with_dead(["m1"], ["m2"], ["m1"], away)
    request = _request.Request(_request.REMOVE, ("m1",))
    decided = _topology.build(settings(), inventory(["m1", "m2"]), seen, True, "n", request=request).etcd
    assert decided.action == _bootstrap.REFUSE
    assert "no member serves" in decided.reason and _quorum.LOST_QUORUM_RUNBOOK in decided.next_step
