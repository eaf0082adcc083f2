# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test api_endpoint from arguments to result."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from ansible_collections.multimaster.kubernetes.plugins.modules import api_endpoint
from fake_master import ADDRESS, BALANCER, DIRECT, OTHER, VRRP, World


@pytest.fixture
def run(call, monkeypatch, world):
    """Return run(played, state): the module's result in a played world."""

    def run(played, state, check=False, **more):
        world.watch(played.picture)
        monkeypatch.setattr(api_endpoint._endpoint_host, "Master", lambda *_args, **options: played.master(**options))
        return call(api_endpoint, {"state": state, "address": ADDRESS, "interface": "eth0", **more}, check)

    return run


ALL_UP = {"up": (BALANCER, VRRP), "enabled": (BALANCER, VRRP)}
OWN = {"held": ("eth0",), "up": (DIRECT,), "enabled": (DIRECT,)}
WAYS = {
    "balanced from its own unit": (OWN, "balanced"),
    "balanced from nothing": ({}, "balanced"),
    "direct from nothing": ({}, "direct"),
    "direct from VRRP": ({"held": ("eth0",), **ALL_UP}, "direct"),
    "prepared from nothing": ({}, "prepared"),
    "prepared while it holds the address": (OWN, "prepared"),
    "prepared with keepalived enabled by its package": ({"enabled": (VRRP,)}, "prepared"),
    "yielded by the holder": ({"held": ("eth0",), "elsewhere": True, **ALL_UP}, "yielded"),
    "yielded by another": ({"others": (OTHER,), **ALL_UP}, "yielded"),
    "absent from the holder": ({"held": ("eth0",), "elsewhere": True, **ALL_UP}, "absent"),
    "absent from another": ({"others": (OTHER,), **ALL_UP}, "absent"),
    "absent from the only master": (OWN, "absent"),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_state_is_foreseen_reached_and_kept(run, world, way):
    kind, state = WAYS[way]
    played = World(**kind)
    world.watch(played.picture)
    checked, done, again = world.prove(lambda check: run(played, state, check, allow_loss="only" in way))
    for told in ("plan", "before", "diff"):
        assert checked[told] == done[told], told
    assert done["plan"] and checked["after"] == checked["before"]
    assert not again["diff"][-1]["after"], "a step that only waits is no change"


@pytest.mark.parametrize("state", ["direct", "prepared", "balanced"])
def test_files_are_foreseen_written_and_kept(run, world, state, tmp_path):
    played = World(**OWN)
    world.watch(played.picture)
    (tmp_path / "old").write_text("x")
    account = {"owner": str(os.geteuid()), "group": str(os.getegid())}
    files = [{"path": str(tmp_path / "etc/haproxy.cfg"), "content": "x", **account}]
    wanted = {"files": files, "absent": [str(tmp_path / "old")]}
    checked, done, _again = world.prove(lambda check: run(played, state, check, **wanted))
    paths = [str(tmp_path / name) for name in ("etc", "etc/haproxy.cfg", "old")]
    assert checked["changed_paths"] == done["changed_paths"] == paths
    assert checked["diff"] == done["diff"]


def test_check_then_do_then_nothing(run):
    world = World(held=("eth0",), up=(DIRECT,), enabled=(DIRECT,))
    checked = run(world, "balanced", check=True)
    assert checked["changed"] and not world.log and checked["after"] == checked["before"]
    done = run(world, "balanced")
    assert done["plan"] == checked["plan"]
    assert [step["step"] for step in done["plan"]] == [
        "run_balancer",
        "wait_backend",
        "cover",
        "hand_to_vrrp",
        "settle",
        "uncover",
    ]
    assert done["after"]["vrrp_state"] == "holder" and done["before"]["direct_up"]
    assert "hand_to_vrrp: VRRP takes the address over" in done["diff"][-1]["after"]
    before = world.now
    again = run(world, "balanced")
    assert not again["changed"] and again["reason"] == "it is as wanted"
    assert world.now == before, "neighbours are not asked when nothing has to be done"


def test_refused(run):
    result = run(World(others=(OTHER,)), "direct")
    assert result["failed"] and "nothing was changed" in result["msg"] and OTHER in result["msg"]


def test_in_check_mode_a_refusal_is_a_warning_since_the_steps_on_other_masters_were_not_taken(run, warned):
    world = World(others=(OTHER,))
    result = run(world, "direct", check=True)
    assert not result.get("failed") and not world.log
    assert OTHER in result["reason"] and result["plan"] == []
    (said,) = warned
    assert said.count("Next: ") == 1 and "Next: nothing when the same run does that before; otherwise bring that host" in said


def test_a_prepared_master_says_whether_it_needs_its_turn(run):
    world = World(held=("eth0",), up=(DIRECT,), enabled=(DIRECT,))
    assert run(world, "prepared")["turn_needed"]
    assert not run(world, "balanced")["turn_needed"]
    again = run(world, "prepared")
    assert not again["turn_needed"] and not again["changed"]


def test_a_step_that_fails_is_named(run):
    result = run(World(held=("eth0",), up=(BALANCER, VRRP), enabled=(BALANCER, VRRP)), "yielded")
    assert result["failed"]
    assert result["msg"].startswith(
        "192.0.2.10 is not brought to yielded: step yield (another master takes the address when keepalived stops): no other"
    )


def test_a_check_foresees_the_turn_that_files_it_would_write_will_need(run, tmp_path):
    """A master that runs as it should is told of another master: its services run with the old file until they reload."""
    path = tmp_path / "keepalived.conf"

    class Reading(World):
        def identity(self, unit):
            content = path.read_text() if path.exists() and unit.name == VRRP else ""
            return replace(super().identity(unit), all=unit.name + content)

        def sources(self, unit):
            return [str(path)] if unit.name == VRRP else []

        def running(self, state):
            return replace(super().running(state), all=state.name)

    world = Reading(held=("eth0",), up=(BALANCER, VRRP), enabled=(BALANCER, VRRP))
    assert not run(world, "prepared")["turn_needed"]
    entry = {"path": str(path), "content": "m3 too", "owner": str(os.geteuid()), "group": str(os.getegid())}
    assert run(world, "prepared", check=True, files=[entry])["turn_needed"]
    assert run(world, "prepared", files=[entry])["turn_needed"]
