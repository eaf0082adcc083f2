# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the leader election by cases, and by playing several candidates against one Lease."""

from __future__ import annotations

import copy

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _leader_election as election
from hypothesis import given, settings
from hypothesis import strategies as st


def lease(holder="m1", version="1", seconds=15):
    return {"metadata": {"resourceVersion": version}, "spec": {"holderIdentity": holder, "leaseDurationSeconds": seconds}}


def memory(item, me="m2", since=0.0, renewed=-1e9):
    return election.Election(me, election.record(item), since, renewed)


@pytest.mark.parametrize(
    ("item", "now", "wants"),
    [
        pytest.param(None, 0.0, "create", id="no-lease"),
        pytest.param(lease("m2"), 99.0, "renew", id="mine"),
        pytest.param(lease(""), 0.0, "take", id="released"),
        pytest.param(lease("m1"), 14.9, "wait", id="fresh"),
        pytest.param(lease("m1"), 15.0, "take", id="silent"),
        pytest.param(lease("m1", seconds=60), 59.9, "wait", id="holder-asked-for-longer"),
        pytest.param(lease("m1", seconds=1), 14.9, "wait", id="never-shorter-than-ours"),
    ],
)
def test_wants(item, now, wants):
    assert memory(item).wants(now) == wants


def test_an_unchanged_lease_ages_and_a_changed_one_does_not():
    first = election.Election("m2").observe(election.record(lease()), 5.0)
    assert first.observe(election.record(lease()), 9.0).since == 5.0
    assert first.observe(election.record(lease(version="2")), 9.0).since == 9.0


def test_leading_ends_before_others_may_take():
    held = memory(lease("m2"), renewed=100.0)
    assert held.leads(109.9) and not held.leads(110.0)
    assert election.RENEW_SECONDS < election.LEASE_SECONDS
    assert not memory(lease("m1"), renewed=100.0).leads(100.0)


def test_claims():
    fresh = election.claim(None, "x", "kube-system", "m2", "now")
    assert "resourceVersion" not in fresh["metadata"]
    assert fresh["spec"] == {
        "holderIdentity": "m2",
        "leaseDurationSeconds": 15,
        "acquireTime": "now",
        "renewTime": "now",
        "leaseTransitions": 0,
    }
    renewed = election.claim({**fresh, "metadata": {"resourceVersion": "7"}}, "x", "kube-system", "m2", "later")
    assert renewed["metadata"]["resourceVersion"] == "7"
    assert (renewed["spec"]["acquireTime"], renewed["spec"]["renewTime"]) == ("now", "later")
    taken = election.claim(lease("m1"), "x", "kube-system", "m2", "later")
    assert (taken["spec"]["leaseTransitions"], taken["spec"]["acquireTime"]) == (1, "later")
    assert election.release(renewed, "end")["spec"]["holderIdentity"] == ""


class Server:
    """Hold one Lease with optimistic concurrency."""

    def __init__(self):
        self.lease, self.version = None, 0

    def write(self, item):
        if item["metadata"].get("resourceVersion") != (self.lease or {"metadata": {}})["metadata"].get("resourceVersion"):
            return None
        self.version += 1
        self.lease = copy.deepcopy(item)
        self.lease["metadata"]["resourceVersion"] = str(self.version)
        return self.lease


@settings(max_examples=200)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.1, 9.0), st.booleans(), st.floats(0.0, 30.0)), max_size=60))
def test_never_two_leaders(events):
    """Candidates step in any order, lose answers and stall between reading and writing: at most one leads at a time."""
    server, now = Server(), 0.0
    memories = {name: election.Election(name) for name in "abc"}
    for name, wait, answered, stall in events:
        now += wait
        read = copy.deepcopy(server.lease)
        state = memories[name].observe(election.record(read), now)
        asked = now
        if state.wants(now) != "wait":
            now += stall if stall > 25 else 0.0
            written = server.write(election.claim(read, "x", "n", name, str(now)))
            if written is not None and answered:
                state = state.wrote(election.record(written), asked)
        memories[name] = state
        assert sum(state.leads(now) for state in memories.values()) <= 1
