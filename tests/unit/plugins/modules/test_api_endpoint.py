# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test api_endpoint from arguments to result."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.modules import api_endpoint
from fake_master import ADDRESS, BALANCER, DIRECT, OTHER, VRRP, World


@pytest.fixture
def run(call, monkeypatch):
    """Return run(world, state): the module's result in a played world."""

    def run(world, state, check=False, **more):
        monkeypatch.setattr(api_endpoint._endpoint_host, "Master", lambda *_args, **options: world.master(**options))
        return call(api_endpoint, {"state": state, "address": ADDRESS, "interface": "eth0", **more}, check)

    return run


def test_check_then_do_then_nothing(run):
    world = World(held=("eth0",), up=(DIRECT,), enabled=(DIRECT,))
    checked = run(world, "balanced", check=True)
    assert checked["changed"] and not world.log and checked["after"] == checked["before"]
    done = run(world, "balanced")
    assert done["plan"] == checked["plan"]
    assert [step["step"] for step in done["plan"]] == [
        "run_balancer", "wait_backend", "cover", "hand_to_vrrp", "settle", "uncover",
    ]  # fmt: skip
    assert done["after"]["vrrp_state"] == "holder" and done["before"]["direct_up"]
    assert "hand_to_vrrp: VRRP takes the address over" in done["diff"][-1]["after"]
    before = world.now
    again = run(world, "balanced")
    assert not again["changed"] and again["reason"] == "it is as wanted"
    assert world.now == before, "neighbours are not asked when nothing has to be done"


def test_refused(run):
    result = run(World(others=(OTHER,)), "direct")
    assert result["failed"] and "nothing was changed" in result["msg"] and OTHER in result["msg"]


def test_in_check_mode_a_refusal_is_a_warning_since_the_steps_on_other_masters_were_not_taken(run):
    world = World(others=(OTHER,))
    result = run(world, "direct", check=True)
    assert not result.get("failed") and not world.log
    assert OTHER in result["reason"] and result["plan"] == []


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
