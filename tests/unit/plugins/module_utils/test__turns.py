# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _turns


@pytest.mark.parametrize(
    ("result", "needs"),
    [
        (None, False),
        ({"skipped": True}, False),
        ({"units": {"etcd": {"active": "active"}}, "restart_needed": []}, False),
        ({"units": {"etcd": {"active": "activating"}}, "restart_needed": []}, False),
        ({"units": {"etcd": {"active": "reloading"}}, "restart_needed": []}, False),
        ({"units": {"etcd": {"active": "failed"}}, "restart_needed": []}, True),
        ({"units": {"a": {"active": "active"}, "b": {"active": "inactive"}}, "restart_needed": []}, True),
        ({"units": {"etcd": {"active": "active"}}, "restart_needed": ["etcd"]}, True),
        ({"turn_needed": False}, False),
        ({"turn_needed": True}, True),
    ],
)
def test_a_turn_is_for_a_host_whose_service_is_down_or_runs_with_other_settings(result, needs):
    hostvars = {"m1": {} if result is None else {"etcd_result": result}, "m2": {"etcd_result": {"restart_needed": ["etcd"]}}}
    assert _turns.needing_a_turn(hostvars, ["m2", "m1"], "etcd_result") == (["m2", "m1"] if needs else ["m2"])


UP, DOWN = {"units": {"u": {"active": "active"}}}, {"units": {"u": {"active": "failed"}}}
OTHER = {"units": {"u": {"active": "active"}}, "restart_needed": ["u"]}


@pytest.mark.parametrize(("why", "wanted"), [("down", ["m2"]), ("restart", ["m3"]), ("any", ["m2", "m3"])])
def test_who_is_down_and_who_must_restart_are_told_apart(why, wanted):
    hostvars = {"m1": {"api": UP}, "m2": {"api": DOWN}, "m3": {"api": OTHER}}
    assert _turns.needing_a_turn(hostvars, ["m1", "m2", "m3"], "api", why) == wanted


def test_several_results_of_a_host_make_one_turn():
    hostvars = {"m1": {"api": UP, "etcd": OTHER}, "m2": {"api": OTHER, "etcd": OTHER}, "m3": {"api": UP}}
    assert _turns.needing_a_turn(hostvars, ["m1", "m2", "m3"], ["api", "etcd"]) == ["m1", "m2"]


@pytest.mark.parametrize(
    ("batch", "count", "size"), [("1", 10, 1), ("3", 10, 3), ("20%", 10, 2), ("20%", 4, 1), ("20%", 0, 1), ("100%", 7, 7)]
)
def test_a_batch_is_a_number_or_a_share_and_never_nobody(batch, count, size):
    assert _turns.batch_size(batch, count) == size


@pytest.mark.parametrize("batch", ["0", "0%", "", "-1", "a", "1.5", "20 %"])
def test_a_batch_that_is_no_number_is_refused(batch):
    with pytest.raises(ValueError, match="neither a number"):
        _turns.batch_size(batch, 10)


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
    assert _turns.node_turns(names, HOSTS, batch) == wanted
