# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In which order one master is judged, gets its files, takes its steps and is proven, in a played world."""

from __future__ import annotations

import os
import types
from dataclasses import replace

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _endpoint_flow,
    _endpoint_host,
    _endpoint_plan,
    _file_plan,
    _vrrp,
)
from fake_master import BALANCER, DIRECT, OTHER, VRRP, World

RUNNING = {"up": (BALANCER, VRRP), "enabled": (BALANCER, VRRP)}
ALONE = {"held": ("eth0",), "up": (DIRECT,), "enabled": (DIRECT,)}


def bring(world, state, check=False, **more):
    """Return what bringing the master of a world into a state returns."""
    wanted = {
        "files": [],
        "secrets": [],
        "directories": [],
        "links": {},
        "absent": [],
        "state": state,
        "allow_loss": False,
        "vrid": None,
        "peers": [],
        "heirs": [],
        **more,
    }
    return _endpoint_flow.bring(world.master(), wanted, check)


def entry(path, content="x"):
    return {"path": str(path), "content": content, "owner": str(os.geteuid()), "group": str(os.getegid())}


@pytest.fixture
def conf(tmp_path):
    return tmp_path / "keepalived.conf"


class Reading(World):
    """A world whose keepalived runs with another file than the one that is written, until it reloads.

    `meanwhile` happens when the file is there.
    """

    def __init__(self, path, meanwhile=None, **more):
        super().__init__(**more)
        self.path, self.meanwhile = path, meanwhile

    def identity(self, unit):
        content = self.path.read_text() if self.path.exists() and unit.name == VRRP else ""
        if content and self.meanwhile:
            self.meanwhile(self)
        return replace(super().identity(unit), all=unit.name + content)

    def running(self, state):
        return replace(super().running(state), all=state.name)


def test_preparing_asks_no_neighbour(tmp_path):
    world = World()
    _before, _after, plan, _written = bring(world, "prepared", files=[entry(tmp_path / "haproxy.cfg")])
    assert plan.changed and world.now == 0.0


def test_where_nothing_has_to_be_done_nobody_is_asked_and_nothing_is_seen_twice(tmp_path):
    world = World(held=("eth0",), **RUNNING)
    (tmp_path / "x").write_text("x")
    (tmp_path / "x").chmod(0o600)
    before, after, plan, written = bring(world, "balanced", files=[entry(tmp_path / "x")], absent=[str(tmp_path / "none")])
    assert (plan.changed, plan.reason, written, world.now, world.log) == (False, "it is as wanted", [], 0.0, [])
    assert after is before


def test_a_refusal_comes_before_any_file_is_written(tmp_path):
    file = entry(tmp_path / "haproxy.cfg")
    with pytest.raises(_endpoint_host.EndpointError, match=f"^nothing was changed: the address is held by {OTHER}, not by this"):
        bring(World(others=(OTHER,)), "direct", files=[file])
    assert not os.listdir(tmp_path)
    _before, _after, _plan, written = bring(World(**ALONE), "balanced", files=[file])
    assert [step.wanted.path for step in written] == [file["path"]] and os.listdir(tmp_path) == ["haproxy.cfg"]


@pytest.mark.parametrize("check", [False, True])
def test_neighbours_are_asked_before_a_file_is_written_even_when_all_runs_as_wanted(conf, check):
    world = World(held=("eth0",), others=(OTHER,), **RUNNING)
    if check:
        assert "two holders" in bring(world, "balanced", check, files=[entry(conf)])[2].reason
    else:
        with pytest.raises(_endpoint_host.EndpointError, match="nothing was changed: the address has two holders"):
            bring(world, "balanced", files=[entry(conf)])
    assert not conf.exists() and not world.log


def test_what_comes_up_while_files_are_written_stops_it_and_is_not_said_to_have_changed_nothing(conf):
    world = Reading(conf, lambda world: world.arp.add(OTHER), held=("eth0",), **RUNNING)
    with pytest.raises(_endpoint_host.EndpointError, match="^its files were written, and nothing else was changed: the add"):
        bring(world, "balanced", files=[entry(conf)], absent=[])
    assert conf.exists() and not world.log


def test_in_check_mode_nothing_is_done_and_a_plan_that_refuses_is_returned(tmp_path):
    left = tmp_path / "left"
    left.write_text("x")
    world = World(others=(OTHER,))
    before, after, plan, written = bring(world, "direct", True, files=[entry(tmp_path / "new")], absent=[str(left)])
    assert plan.refusals and not plan.steps and after is before
    assert [step.wanted.path for step in written] == [str(tmp_path / "new"), str(left)]
    assert os.listdir(tmp_path) == ["left"] and not world.log


def test_what_is_written_decides_who_restarts(conf):
    """A master that runs as it should is told of another master: its services run with the old file until they reload."""

    def turn_needed(after):
        return bool(_endpoint_plan.plan(after, "balanced").steps)

    world = Reading(conf, held=("eth0",), **RUNNING)
    assert not turn_needed(bring(world, "prepared")[1])
    before, after, _plan, _written = bring(world, "prepared", files=[entry(conf, "m3 too")])
    assert not turn_needed(before) and turn_needed(after)


def test_remnants_go_last(conf):
    conf.write_text("x")
    world = World(others=(OTHER,), **RUNNING)
    with pytest.raises(_endpoint_host.EndpointError):
        bring(world, "direct", absent=[str(conf)])
    assert conf.exists()
    _before, _after, _plan, written = bring(World(**ALONE), "direct", absent=[str(conf)])
    assert [step.wanted.path for step in written] == [str(conf)] and not conf.exists()


def test_remnants_stay_when_a_step_fails_or_the_outcome_is_not_proven(conf):
    conf.write_text("x")
    with pytest.raises(_endpoint_host.EndpointError, match="^step yield .another master takes the address when .* stops.: no"):
        bring(World(held=("eth0",), **RUNNING), "absent", absent=[str(conf)])
    assert conf.exists()

    class Lost(World):
        def _start(self, name):
            super()._start(name)
            self.held.discard("eth0")

    with pytest.raises(_endpoint_host.EndpointError, match="^192.0.2.10 on eth0 should have one holder and is held by nobody"):
        bring(Lost(), "direct", absent=[str(conf)])
    assert conf.exists()


def test_an_address_that_may_be_lost_is_let_go(conf):
    conf.write_text("x")
    world = World(held=("eth0",), **RUNNING)
    _before, after, _plan, _written = bring(world, "absent", absent=[str(conf)], allow_loss=True)
    assert not after.held and not conf.exists()


def test_a_prepared_master_is_not_proven_to_hold_anything():
    before, after, plan, _written = bring(World(), "prepared")
    assert plan.changed and not before.balancer_up and after.balancer_up and not after.held


def test_a_virtual_router_id_that_is_in_use():
    world = World()
    world.speakers = [_vrrp.Speaker("192.0.2.12", 51, 3, 100), _vrrp.Speaker("192.0.2.50", 51, 2, 100)]
    with pytest.raises(_endpoint_host.EndpointError, match="in use by 192.0.2.50$") as raised:
        bring(world, "prepared", vrid=51, peers=["192.0.2.12"])
    assert "multimaster_endpoint_address" in raised.value.next_step
    assert not world.log
    assert bring(world, "prepared", vrid=52)[2].changed


@pytest.mark.parametrize(("state", "vrid", "times"), [("prepared", 51, 1), ("prepared", None, 0), ("balanced", 51, 0)])
def test_the_segment_is_listened_to_once_and_only_where_somebody_new_is_prepared(tmp_path, state, vrid, times):
    heard = []

    class Listening(World):
        @property
        def speakers(self):
            heard.append(1)
            return ()

        @speakers.setter
        def speakers(self, _value):
            pass

    bring(Listening(), state, vrid=vrid, files=[entry(tmp_path / "x")])
    assert len(heard) == times


def test_files_that_cannot_be_written_change_nothing(conf):
    conf.write_text("no folder")
    world = World(**ALONE)
    with pytest.raises(_file_plan.PlanError, match="is no directory") as raised:
        bring(world, "balanced", files=[entry(conf / "x")])
    assert isinstance(raised.value, _endpoint_flow.ERRORS) and not world.log


PLAN = _endpoint_plan.Plan(steps=(_endpoint_plan.Step("cover", "it is wanted"),))


@pytest.mark.parametrize("kind", _endpoint_flow.ERRORS, ids=lambda kind: kind.__name__)
def test_whatever_fails_in_a_step_is_told_with_the_step(kind):
    def take(_step, _allow_loss):
        raise kind("the cause")

    with pytest.raises(_endpoint_host.EndpointError, match=r"^step cover \(it is wanted\): the cause$"):
        _endpoint_flow.work(types.SimpleNamespace(take=take), PLAN, "balanced", False)
