# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that site.yml finishes docs/runbooks/etcd-lost-quorum.md: whoever was wiped joins the survivor again."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _bootstrap, _join_order, _quorum, _topology
from ansible_collections.multimaster.kubernetes.plugins.module_utils._quorum import ADD_LEARNER, PROMOTE
from cluster_fixtures import fresh, inventory, living, member, settings, status

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
