# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the steps of one master in a played world, from plan to proof."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _arp, _endpoint_host, _endpoint_plan
from fake_haproxy import FakeHaproxy
from fake_master import BALANCER, DIRECT, OTHER, VRRP, World

BALANCED = {"up": (BALANCER, VRRP), "enabled": (BALANCER, VRRP)}


def bring(world, state, allow_loss=False, **options):
    master = world.master(**options)
    plan = _endpoint_plan.plan(master.observe(), state, allow_loss)
    assert not plan.refusals, plan.refusals
    for step in plan.steps:
        master.take(step, allow_loss)
    if plan.changed:
        master.prove(state)
    assert not _endpoint_plan.plan(master.observe(), state, allow_loss).changed
    return world


def test_every_kind_of_step_is_taken_by_the_method_of_its_name():
    found = {kind: method.__name__ for kind, method in _endpoint_host.STEPS.items()}
    assert found == {kind: f"_{kind}" for kind in _endpoint_plan.KINDS}


def test_the_first_master():
    world = bring(World(), "direct")
    assert world.log == ["start multimaster-endpoint"] and world.held == {"eth0"}


def test_promotion():
    world = World(held=("eth0",), up=(DIRECT,), enabled=(DIRECT,))
    bring(world, "balanced")
    assert world.log == ["start haproxy", "cover", "start keepalived", "uncover"]
    assert world.held == {"eth0"} and not world.states[DIRECT].up
    assert [world.states[name].file_state for name in (BALANCER, VRRP, DIRECT)] == ["enabled", "enabled", "disabled"]


@pytest.mark.parametrize("election", [0.3, 1.02, 3.6])
def test_the_cover_stays_until_keepalived_is_no_longer_the_backup_that_it_begins_as(election):
    world = bring(World(held=("eth0",), up=(DIRECT,), enabled=(DIRECT,), election=election), "balanced")
    assert world.log == ["start haproxy", "cover", "start keepalived", "uncover"] and world.held == {"eth0"}


def test_a_master_that_had_the_address_and_has_a_better_one_beside_it_settles_as_a_backup():
    world = World(held=("eth0",), up=(DIRECT,), enabled=(DIRECT,), election=99.0)
    master = world.master()
    plan = _endpoint_plan.plan(master.observe(), "balanced")
    world.arp.add(OTHER)
    for step in plan.steps:
        master.take(step)
    assert world.log[-1] == "uncover" and not world.held


def test_a_backup_comes_in():
    world = bring(World(others=(OTHER,)), "balanced")
    assert world.log == ["start haproxy", "start keepalived"] and not world.held


def test_give_back():
    world = bring(World(held=("eth0",), **BALANCED), "direct")
    assert world.log == ["cover", "start multimaster-endpoint", "uncover", "stop haproxy"]
    assert world.held == {"eth0"} and not world.states[VRRP].up


def test_the_holder_leaves():
    world = bring(World(held=("eth0",), elsewhere=True, **BALANCED), "absent")
    assert world.log == ["stop keepalived", "stop haproxy"] and not world.held
    assert {state.file_state for state in world.states.values()} == {"disabled"}


def test_the_holder_steps_aside_and_comes_back():
    world = bring(World(held=("eth0",), elsewhere=True, **BALANCED), "yielded")
    assert world.states[VRRP].file_state == "disabled", "after a reboot it might not hear the holder"
    ended = [command for command in world.haproxy.commands if command.startswith("shutdown")]
    assert ended == [
        f"shutdown sessions server {backend}/{name}"
        for backend in ("kube-apiserver", "kube-apiserver-unchecked")
        for name in ("m1", "m2")
    ]
    bring(world, "balanced")
    assert world.log == ["stop keepalived", "start keepalived"] and not world.held
    assert world.states[VRRP].file_state == "enabled"


def test_who_leaves_without_the_address_ends_connections_that_nobody_hears_and_who_keeps_it_lets_them_finish():
    def ended(world):
        return [command for command in world.haproxy.commands if command.startswith("shutdown")]

    assert ended(bring(World(others=(OTHER,), **BALANCED), "absent"))
    assert not ended(bring(World(held=("eth0",), **BALANCED), "direct"))


def test_processes_that_a_reload_has_replaced_are_told_by_the_main_one(monkeypatch):
    world, told = World(held=("eth0",), elsewhere=True, **BALANCED), []
    world.states[BALANCER] = replace(world.states[BALANCER], pid=50)
    monkeypatch.setattr(_endpoint_host._haproxy.Haproxy, "end_sessions", lambda _self, main: told.append(main))
    bring(world, "yielded")
    assert told == [50]


def test_nobody_takes_the_address():
    world = World(held=("eth0",), **BALANCED)
    with pytest.raises(_endpoint_host.EndpointError, match="no other master took 192.0.2.10"):
        bring(world, "yielded")
    assert not [command for command in world.haproxy.commands if command.startswith("shutdown")], "its connections still work"
    assert world.log == ["stop keepalived", "start keepalived"] and world.held == {"eth0"}
    assert world.states[VRRP].file_state == "enabled"
    bring(World(held=("eth0",), **BALANCED), "absent", allow_loss=True)


def test_who_cannot_see_whether_the_address_was_taken_starts_again():
    world = World(held=("eth0",), elsewhere=True, **BALANCED)
    master = world.master()
    master.observe()
    master._probe = blind
    with pytest.raises(_arp.ArpError, match="no packet socket"):
        master.take(_endpoint_plan.Step("yield", ""))
    assert world.log == ["stop keepalived", "start keepalived"]
    assert world.states[VRRP].file_state == "enabled"


def blind(_interface, _address):
    raise _arp.ArpError("no packet socket")


def test_a_promotion_that_fails_is_taken_back():
    world = World(held=("eth0",), up=(DIRECT,), enabled=(DIRECT,), stuck="fault")
    with pytest.raises(_endpoint_host.EndpointError, match="it is fault"):
        bring(world, "balanced")
    assert world.log[-2:] == ["start keepalived", "start multimaster-endpoint"]
    assert "eth0" in world.held and world.states[DIRECT].up and not world.states[VRRP].up
    assert world.states[DIRECT].file_state == "enabled" and world.states[VRRP].file_state == "disabled"


def test_no_balancer_without_an_api_server():
    world = World(held=("eth0",), up=(DIRECT,), enabled=(DIRECT,))
    for server in world.haproxy.servers.values():
        server.update(status="DOWN", check="L4CON")
    with pytest.raises(_endpoint_host.EndpointError, match="sees no API server .* m1 down .L4CON Layer7"):
        bring(world, "balanced")
    assert world.log == ["start haproxy"] and world.states[DIRECT].up
    world.haproxy.servers.clear()
    with pytest.raises(_endpoint_host.EndpointError, match="no server is configured"):
        bring(world, "prepared", backend_timeout=1)
    world.haproxy.down = True
    with pytest.raises(_endpoint_host.EndpointError, match="does not answer"):
        bring(world, "prepared", backend_timeout=1)


def test_a_balancer_that_has_to_restart_is_stopped_at_once():
    world = World(held=("eth0",), up=(BALANCER,), enabled=(BALANCER,), fresh=(BALANCER,))
    master = world.master()
    master.observe()
    master.take(_endpoint_plan.Step("run_balancer", "", "restart"))
    assert world.log == ["systemctl kill --signal=SIGTERM", "restart haproxy"]


def test_other_settings_are_reloaded():
    world = bring(World(held=("eth0",), fresh=(VRRP, BALANCER), **BALANCED), "balanced")
    assert world.log == ["reload haproxy", "reload keepalived"]


def test_what_is_left_is_cleaned():
    world = World(held=("lo",))
    bring(world, "absent", allow_loss=True)
    assert not world.held
    world = World(held=("eth0",))
    bring(world, "absent", allow_loss=True)
    assert not world.held
    world = bring(World(held=("eth0",), up=(DIRECT,), enabled=(DIRECT, VRRP)), "direct")
    assert world.states[VRRP].file_state == "disabled" and world.log == []


def test_two_holders_are_no_proof():
    world = World(held=("eth0",), others=(OTHER,))
    with pytest.raises(_endpoint_host.EndpointError, match="held by this host and 02:00:00:00:00:02"):
        world.master().prove("balanced")
    with pytest.raises(_endpoint_host.EndpointError, match="held by nobody"):
        World().master().prove("balanced")
    with pytest.raises(_endpoint_host.EndpointError, match="held by 02:00"):
        World(others=(OTHER,)).master().prove("direct")


READY = "https://192.0.2.10:6443/readyz"


def test_the_api_has_to_answer_at_the_address_after_a_change():
    world = World(held=("eth0",))
    world.refusals = ["ConnectionRefusedError: refused"] * 3
    world.master().prove("direct")
    assert world.asked == [READY] * 4
    world.refusals = ["HTTP 503: etcd failed"] * 1000
    with pytest.raises(_endpoint_host.EndpointError, match=f"one holder.*GET {READY}: HTTP 503: etcd failed") as told:
        world.master().prove("direct")
    assert "health.yml" in told.value.next_step


def test_nobody_is_asked_where_the_address_has_no_holder_or_is_given_up_for_good():
    world = World(others=(OTHER,))
    with pytest.raises(_endpoint_host.EndpointError):
        world.master().prove("direct")
    world = World(held=("eth0",))
    bring(world, "absent", allow_loss=True)
    assert world.asked == []
    assert bring(World(**BALANCED, others=(OTHER,)), "yielded").asked == [READY]


def test_a_drain_that_a_cut_off_run_left_is_taken_back_when_the_balancer_is_prepared():
    world = World(up=(BALANCER, VRRP), enabled=(BALANCER, VRRP))
    world.haproxy = FakeHaproxy(m1={}, m2={"status": "DRAIN", "checked": False, "check": ""})
    master = world.master()
    seen = master.observe()
    assert seen.drained == ("m2",)
    [step, *_rest] = _endpoint_plan.plan(seen, "prepared").steps
    assert step.kind == "take_back" and "m2 was left drained" in step.why
    master.take(step)
    assert master.observe().drained == ()


def test_a_drain_stays_while_the_balancer_still_lists_hosts_that_leave():
    seen = _endpoint_plan.Seen(balancer_up=True, balancer_action="restart", vrrp_up=True, drained=("m1",))
    assert "take_back" not in [step.kind for step in _endpoint_plan.plan(seen, "prepared").steps]


def test_the_holder_steps_aside_while_its_balancer_restarts_and_comes_back_at_every_boot():
    world = World(held=("eth0",), elsewhere=True, fresh=(BALANCER,), **BALANCED)
    master = world.master()
    steps = _endpoint_plan.plan(replace(master.observe(), balancer_action="restart"), "balanced", heirs=("m2",)).steps
    for step in steps:
        master.take(step)
    assert world.log == [
        "stop keepalived",
        "systemctl kill --signal=SIGTERM",
        "restart haproxy",
        "start keepalived",
    ]
    assert not world.held
    assert world.states[VRRP].file_state == "enabled"


@pytest.mark.parametrize("state", ["prepared", "balanced"])
@pytest.mark.parametrize("action", ["start", "reload", "restart"])
def test_nothing_is_taken_back_beside_a_reload_which_forgets_drains_and_may_have_taken_the_api_server_out(action, state):
    seen = _endpoint_plan.Seen(balancer_up=True, balancer_action=action, drained=("m1",))
    steps = [step.kind for step in _endpoint_plan.plan(seen, state).steps]
    assert "run_balancer" in steps and "take_back" not in steps
