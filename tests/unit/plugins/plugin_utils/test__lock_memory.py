# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what a run notes down of its lock, and when that lets it leave everybody alone."""

from __future__ import annotations

import os

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _lock
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils._lock_memory import MEMORY, Memory

NOON = 1000.0


@pytest.fixture
def remember(tmp_path):
    """Return remember(): what a later task of this run finds noted down."""
    return lambda: Memory.read(str(tmp_path))


def took(memory, *places, host="m1", now=NOON, state="held", **arguments):
    memory.write(state, arguments, {"places": places}, host, now)


def test_a_run_that_took_nothing_holds_nothing(remember, tmp_path):
    memory = remember()
    assert (memory.places, memory.nodes, memory.here("m1"), memory.arguments({}, "m1")) == ({}, [], [], {})
    assert memory.unneeded({}, "m1", NOON) == "", "so the module is asked"
    assert os.listdir(tmp_path) == [], "to look leaves nothing"


def test_the_next_task_knows_what_was_taken_through_whom_and_for_how_long(remember, tmp_path):
    took(remember(), "host", "cluster", seconds=60, nodes=["m1"])
    found = remember()
    assert found.places == {place: {"host": "m1", "moment": NOON, "seconds": 60} for place in ("host", "cluster")}
    assert found.nodes == ["m1"]
    assert os.listdir(tmp_path) == [MEMORY]


def test_who_gives_no_bound_has_that_of_a_usual_step(remember):
    took(remember(), "cluster")
    assert remember().places["cluster"]["seconds"] == _lock.STEP_SECONDS


def test_a_renewal_counts_for_the_places_it_reached_and_for_no_other(remember):
    took(remember(), "host", "cluster", seconds=60)
    took(remember(), "cluster", host="m2", now=NOON + 50, state="kept", seconds=90)
    assert remember().places == {
        "host": {"host": "m1", "moment": NOON, "seconds": 60},
        "cluster": {"host": "m2", "moment": NOON + 50, "seconds": 90},
    }


@pytest.mark.parametrize(("host", "here"), [("m1", ["host", "cluster"]), ("m2", ["cluster"])], ids=["the-host-itself", "another"])
def test_a_file_is_reached_from_its_own_host_and_the_lease_from_any(remember, host, here):
    took(remember(), "host", "cluster", nodes=["m1"])
    assert remember().here(host) == here
    assert remember().arguments({"nodes": ["m1", "w1"]}, host) == {"places": here, "nodes": ["m1", "w1"]}


def test_from_where_nothing_is_held_the_modules_own_arguments_stand(remember):
    took(remember(), "host")
    assert remember().arguments({"nodes": ["m1"]}, "m2") == {}
    assert remember().unneeded({}, "m2", NOON + 3600) == "this run's lock is not held through m2"


def test_what_was_released_is_forgotten(remember):
    took(remember(), "host", "cluster")
    took(remember(), state="free")
    assert remember().places == {}


def test_nodes_are_collected_while_the_lock_is_kept_and_begin_anew_when_it_is_taken(remember):
    took(remember(), "cluster", nodes=["m1"])
    took(remember(), "cluster", state="kept", nodes=["m2", "m1"])
    took(remember(), "cluster", state="kept")
    assert remember().nodes == ["m1", "m2"]
    assert remember().unseen({"nodes": ["w1", "m2"]}) == ["w1"]
    took(remember(), "cluster", nodes=["w1"])
    assert remember().nodes == ["w1"]


@pytest.mark.parametrize(
    ("later", "arguments", "asks"),
    [
        (1, {}, False),
        (1, {"seconds": 600}, False),
        (1, {"seconds": 601}, True),
        (_lock.RENEW_SECONDS - 0.1, {}, False),
        (_lock.RENEW_SECONDS, {}, True),
        (-1, {}, True),  # a clock that was set back
        (1, {"nodes": ["m1"]}, False),
        (1, {"nodes": ["m2"]}, True),
    ],
)
def test_nobody_is_asked_unless_it_is_due_the_step_is_longer_or_a_node_is_new(remember, later, arguments, asks):
    took(remember(), "cluster", seconds=600, nodes=["m1"])
    assert (remember().unneeded(arguments, "m2", NOON + later) == "") is asks


def test_the_place_that_was_renewed_longest_ago_decides(remember):
    took(remember(), "host", "cluster")
    took(remember(), "cluster", state="kept", now=NOON + 25)
    assert remember().unneeded({}, "m1", NOON + 28) == "this run renewed its lock 28 s ago"
    assert remember().unneeded({}, "m1", NOON + 31) == ""
    assert remember().unneeded({}, "m2", NOON + 31) == "this run renewed its lock 6 s ago"


def test_a_new_node_is_asked_about_only_where_the_lease_is_held(remember):
    took(remember(), "host")
    assert remember().unneeded({"nodes": ["m2"]}, "m1", NOON + 1), "the file on a host knows of no nodes"
