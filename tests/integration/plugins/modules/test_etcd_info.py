# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real cluster as the module tells it: whole, without its quorum, and to somebody whom etcd does not know."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.modules import etcd_info


@pytest.fixture
def pair(lab, world):
    lab.bootstrap("a", "b")
    lab.serve("a", "b")
    world.watch(lab.picture)
    return lab


def test_a_whole_cluster_is_told_alike_in_a_check_and_in_every_run(pair, only_reads):
    results = only_reads(etcd_info, pair.params("a"))
    for told in results:
        assert {one["name"]: (one["healthy"], one["is_learner"]) for one in told["members"]} == {
            "a": (True, False),
            "b": (True, False),
        }
        assert sum(one["leader"] for one in told["members"]) == 1 and len(told["cluster_ids"]) == 1
        assert (told["confirmed"], told["alarms"], told["errors"]) == (True, [], [])
        assert told["survival"] == {"voters": 2, "healthy": 2, "quorum": 2, "survives": 0}


def test_who_is_down_is_told_with_where_and_why_and_a_quorum_that_comes_back_is_waited_for(pair, call):
    a, b = pair.member("a"), pair.member("b")
    b.kill()
    told = call(etcd_info, pair.params("a"))
    assert not told["confirmed"] and told["survival"] == {"voters": 2, "healthy": 0, "quorum": 2, "survives": -2}
    assert {one["name"] for one in told["members"]} == {"a", "b"}
    assert told["errors"][0].startswith(f"{a.client_url}: etcd at {a.client_url}, asked for ")
    assert told["errors"][1].startswith(f"{b.client_url}: ") and "connection refused" in told["errors"][1]
    b.start()
    assert call(etcd_info, {**pair.params("a"), "wait": 60})["survival"]["healthy"] == 2


def test_somebody_whom_etcd_does_not_know_is_told_so_and_learns_nothing(pair, call):
    cert, key = pair.peer
    url = pair.member("a").client_url
    told = call(etcd_info, {**pair.params("a"), "client_cert": cert, "client_key": key})
    assert told["members"] == [] and told["errors"][0].startswith(f"{url}: ")
    assert "is our client certificate accepted there?" in told["errors"][0]
    missing = call(etcd_info, {**pair.params("a"), "client_key": key + ".gone"})
    assert missing["failed"] and f"cannot read {key}.gone: " in missing["msg"] and "Next: " in missing["msg"]
