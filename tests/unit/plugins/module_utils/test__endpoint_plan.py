# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test one master's steps: by named cases, and by playing every plan from every state, cut off after every step."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _endpoint_plan as endpoint

OTHER = "02:00:00:00:00:02"
BARE = endpoint.Seen()
ALONE = endpoint.Seen(held_on=("eth0",), direct_up=True, direct_enabled=True, direct_action="none")
HOLDER = endpoint.Seen(
    held_on=("eth0",),
    balancer_up=True,
    balancer_enabled=True,
    balancer_action="none",
    vrrp_up=True,
    vrrp_enabled=True,
    vrrp_action="none",
    vrrp_state="holder",
)
BACKUP = replace(HOLDER, held_on=(), others=(OTHER,), vrrp_state="backup")


def kinds(seen, state, **options):
    plan = endpoint.plan(seen, state, **options)
    assert not plan.refusals, plan.refusals
    return [step.kind + (":" + step.detail if step.detail else "") for step in plan.steps]


@pytest.mark.parametrize(
    ("seen", "state", "steps"),
    [
        pytest.param(BARE, "direct", ["run_direct:start"], id="first-master"),
        pytest.param(ALONE, "direct", [], id="direct-already"),
        pytest.param(replace(ALONE, held_on=()), "direct", ["run_direct:restart"], id="address-taken-off-by-hand"),
        pytest.param(
            replace(ALONE, direct_action="restart"), "direct", ["cover", "run_direct:restart", "uncover"], id="new-unit-file"
        ),
        pytest.param(replace(ALONE, vrrp_enabled=True), "direct", ["stop_vrrp"], id="vrrp-would-come-back"),
        pytest.param(replace(ALONE, held_on=("eth0", "lo")), "direct", ["uncover"], id="a-cover-left-by-a-run-that-was-cut-off"),
        pytest.param(BARE, "prepared", ["run_balancer:start", "wait_backend"], id="newcomer-is-prepared"),
        pytest.param(
            replace(BARE, vrrp_enabled=True),
            "prepared",
            ["stop_vrrp", "run_balancer:start", "wait_backend"],
            id="keepalived-as-debian-installs-it-waits-for-its-turn",
        ),
        pytest.param(HOLDER, "prepared", ["wait_backend"], id="prepared-already"),
        pytest.param(replace(HOLDER, balancer_action="restart"), "prepared", [], id="a-restart-waits-for-its-turn"),
        pytest.param(replace(BACKUP, balancer_action="reload"), "prepared", [], id="a-reload-waits-for-its-turn"),
        pytest.param(
            replace(HOLDER, balancer_action="reload", drained=("m2",)), "prepared", [], id="so-does-a-drain-that-it-ends"
        ),
        pytest.param(
            replace(ALONE, balancer_up=True, balancer_action="reload"),
            "prepared",
            ["run_balancer:reload", "wait_backend"],
            id="without-vrrp-nobody-uses-it-yet",
        ),
        pytest.param(
            replace(ALONE, balancer_up=True, balancer_enabled=True, balancer_action="none"),
            "balanced",
            ["wait_backend", "cover", "hand_to_vrrp:start", "settle", "uncover"],
            id="promotion",
        ),
        pytest.param(
            replace(BARE, others=(OTHER,)),
            "balanced",
            ["run_balancer:start", "wait_backend", "run_vrrp:start", "settle"],
            id="newcomer-becomes-backup",
        ),
        pytest.param(HOLDER, "balanced", [], id="holder-already"),
        pytest.param(BACKUP, "balanced", [], id="backup-already"),
        pytest.param(replace(BACKUP, vrrp_state="fault"), "balanced", ["settle"], id="fault-is-waited-out"),
        pytest.param(
            replace(HOLDER, vrrp_action="reload", balancer_action="reload"),
            "balanced",
            ["run_balancer:reload", "wait_backend", "run_vrrp:reload", "settle"],
            id="a-peer-more",
        ),
        pytest.param(replace(BACKUP, vrrp_enabled=False), "balanced", ["run_vrrp:none"], id="not-at-boot"),
        pytest.param(replace(HOLDER, held_on=("eth0", "lo")), "balanced", ["uncover"], id="cover-left"),
        pytest.param(HOLDER, "yielded", ["yield"], id="planned-move"),
        pytest.param(replace(HOLDER, held_on=()), "yielded", ["yield"], id="a-holder-whose-address-was-taken-off-by-hand"),
        pytest.param(replace(BACKUP, held_on=("eth0",), others=()), "yielded", ["yield"], id="a-backup-that-has-the-address"),
        pytest.param(BACKUP, "yielded", ["stop_vrrp"], id="backup-steps-aside"),
        pytest.param(replace(BACKUP, vrrp_up=False, vrrp_state="down"), "yielded", ["stop_vrrp"], id="after-a-reboot"),
        pytest.param(replace(BACKUP, vrrp_up=False, vrrp_enabled=False, vrrp_state="down"), "yielded", [], id="yielded-already"),
        pytest.param(HOLDER, "direct", ["cover", "hand_to_host:start", "uncover", "stop_balancer"], id="give-back"),
        pytest.param(BACKUP, "absent", ["stop_vrrp", "stop_balancer"], id="backup-leaves"),
        pytest.param(HOLDER, "absent", ["yield", "stop_vrrp", "stop_balancer"], id="holder-leaves"),
        pytest.param(BARE, "absent", [], id="absent-already"),
        pytest.param(replace(BARE, held_on=("lo",)), "absent", ["uncover"], id="a-cover-nothing-takes-off"),
    ],
)
def test_steps(seen, state, steps):
    assert kinds(seen, state) == steps


@pytest.mark.parametrize(
    ("seen", "steps"),
    [
        pytest.param(
            replace(HOLDER, balancer_action="restart"),
            ["yield", "run_balancer:restart", "wait_backend", "run_vrrp:start", "settle"],
            id="its-balancer-restarts",
        ),
        pytest.param(replace(HOLDER, vrrp_action="restart"), ["yield", "run_vrrp:start", "settle"], id="keepalived-restarts"),
        pytest.param(
            replace(HOLDER, vrrp_action="restart", direct_enabled=True),
            ["yield", "hand_to_vrrp:start", "settle"],
            id="its-own-unit-would-come-back",
        ),
        pytest.param(
            replace(HOLDER, balancer_action="reload", vrrp_action="reload"),
            ["run_balancer:reload", "wait_backend", "run_vrrp:reload", "settle"],
            id="a-reload-is-not-felt",
        ),
        pytest.param(
            replace(BACKUP, balancer_action="restart"), ["run_balancer:restart", "wait_backend"], id="a-backup-has-no-address"
        ),
        pytest.param(
            replace(ALONE, balancer_action="restart", vrrp_action="restart"),
            ["run_balancer:restart", "wait_backend", "cover", "hand_to_vrrp:start", "settle", "uncover"],
            id="not-by-vrrp-yet",
        ),
        pytest.param(HOLDER, [], id="nothing-to-do"),
    ],
)
def test_a_holder_lets_another_have_the_address_before_what_answers_there_restarts(seen, steps):
    assert kinds(seen, "balanced", heirs=("m2", "m3")) == steps


def test_where_nobody_can_take_the_address_it_restarts_in_place():
    restarting = replace(HOLDER, balancer_action="restart", vrrp_action="restart")
    assert kinds(restarting, "balanced") == ["run_balancer:restart", "wait_backend", "run_vrrp:restart", "settle"]


@pytest.mark.parametrize(
    ("seen", "state", "said", "following"),
    [
        pytest.param(replace(HOLDER, others=(OTHER,)), "balanced", "two holders", "stop keepalived", id="two-holders"),
        pytest.param(replace(BARE, others=(OTHER,)), "direct", "not by this host", "yielded first", id="while-another-holds"),
        pytest.param(BACKUP, "direct", "not by this host", "yielded first", id="backup-cannot-become-direct"),
        pytest.param(ALONE, "absent", "nobody would take it", "another master", id="last-holder-leaves"),
        pytest.param(ALONE, "yielded", "nobody would take it", "another master", id="last-holder-yields"),
        pytest.param(
            replace(BARE, strangers=("192.0.2.50",)), "prepared", "in use by 192.0.2.50", "disable --now", id="vrid-in-use"
        ),
        pytest.param(replace(BARE, held_on=("eth0",)), "absent", "nobody would take it", "another master", id="held-by-hand"),
    ],
)
def test_refused(seen, state, said, following):
    plan = endpoint.plan(seen, state)
    assert said in plan.reason and not plan.steps and not plan.changed
    assert following in plan.next_step and "run again" in plan.next_step


def test_a_whole_cluster_is_taken_down():
    assert kinds(ALONE, "absent", allow_loss=True) == ["stop_direct"]
    assert kinds(replace(BARE, held_on=("eth0",)), "absent", allow_loss=True) == ["drop"]


def test_waiting_is_no_change():
    assert not endpoint.plan(HOLDER, "prepared").changed
    assert endpoint.plan(HOLDER, "prepared").reason == "HAProxy must see an API server pass its check"
    assert endpoint.plan(HOLDER, "balanced").reason == "it is as wanted"
    assert endpoint.plan(ALONE, "prepared").changed
    assert not endpoint.plan(replace(HOLDER, balancer_action="reload"), "prepared").changed


def test_holders_in_words():
    assert endpoint.holder(BARE) == "nobody"
    assert endpoint.holder(replace(ALONE, others=(OTHER,))) == f"this host (eth0) and {OTHER}"


def after(seen, step):
    """Return what is seen after a step that had its effect."""
    eth = tuple(i for i in seen.held_on if i != "lo")
    lo = tuple(i for i in seen.held_on if i == "lo")
    vrrp_down = {"vrrp_up": False, "vrrp_state": "down", "vrrp_action": "start"}
    wins = not seen.others
    vrrp_up = {
        "vrrp_up": True,
        "vrrp_enabled": True,
        "vrrp_action": "none",
        "vrrp_state": "holder" if wins else "backup",
        "held_on": (("eth0",) if wins else ()) + lo,
    }
    direct_down = {"direct_up": False, "direct_enabled": False, "direct_action": "start"}
    direct_up = {"direct_up": True, "direct_enabled": True, "direct_action": "none", "held_on": ("eth0", *lo)}
    return {
        "run_balancer": lambda: replace(seen, balancer_up=True, balancer_enabled=True, balancer_action="none"),
        "wait_backend": lambda: seen,
        "settle": lambda: replace(seen, **vrrp_up) if seen.vrrp_up else seen,
        "cover": lambda: replace(seen, held_on=(*eth, "lo")),
        "uncover": lambda: replace(seen, held_on=eth),
        "hand_to_vrrp": lambda: replace(seen, **{**vrrp_up, **direct_down}),
        "run_vrrp": lambda: replace(seen, **vrrp_up),
        "hand_to_host": lambda: replace(seen, **{**direct_up, **vrrp_down, "vrrp_enabled": False}),
        "run_direct": lambda: replace(seen, **direct_up),
        "yield": lambda: replace(seen, held_on=lo, others=(OTHER,), **vrrp_down, vrrp_enabled=False),
        "stop_vrrp": lambda: replace(
            seen,
            held_on=() if seen.vrrp_up else seen.held_on,
            **vrrp_down,
            vrrp_enabled=False,
        ),
        "stop_direct": lambda: replace(seen, held_on=lo, **direct_down),
        "drop": lambda: replace(seen, held_on=()),
        "stop_balancer": lambda: replace(seen, balancer_up=False, balancer_enabled=False, balancer_action="start"),
    }[step.kind]()


def worlds():
    """Return every state of a master that systemd and keepalived allow, with and without another holder."""
    services = (("start", False), ("none", True), ("reload", True), ("restart", True))
    for (direct, direct_up), (balancer, balancer_up), (vrrp, vrrp_up) in itertools.product(services, repeat=3):
        if direct == "reload" or (direct_up and vrrp_up):  # a oneshot cannot reload; systemd runs one of the two
            continue
        for direct_on, vrrp_on, held, lo, others in itertools.product((False, True), repeat=5):
            for state in ("holder", "backup", "fault", "init") if vrrp_up else ("down",):
                if vrrp_up and held != (state == "holder"):
                    continue
                yield endpoint.Seen(
                    held_on=(("eth0",) if held else ()) + (("lo",) if lo else ()),
                    others=(OTHER,) if others else (),
                    direct_up=direct_up,
                    direct_enabled=direct_on,
                    direct_action=direct,
                    balancer_up=balancer_up,
                    balancer_enabled=balancer_up,
                    balancer_action=balancer,
                    vrrp_up=vrrp_up,
                    vrrp_enabled=vrrp_on,
                    vrrp_action=vrrp,
                    vrrp_state=state,
                )


HEIRS = pytest.mark.parametrize("heirs", [(), ("m2",)], ids=["nobody-else", "an-heir"])


@HEIRS
@pytest.mark.parametrize("state", endpoint.STATES)
def test_every_plan_arrives_from_everywhere_and_from_every_cut(state, heirs):
    for seen in worlds():
        plan = endpoint.plan(seen, state, heirs=heirs)
        if plan.refusals:
            continue
        assert all(step.kind in endpoint.KINDS and step.why for step in plan.steps)
        now = seen
        for cut in range(len(plan.steps) + 1):
            again = endpoint.plan(now, state, heirs=heirs)
            assert not again.refusals, (seen, cut, again.refusals)
            end = now
            for step in again.steps:
                end = after(end, step)
            assert not endpoint.plan(end, state, heirs=heirs).changed, (seen, cut, end)
            if cut < len(plan.steps):
                now = after(now, plan.steps[cut])


@HEIRS
@pytest.mark.parametrize("state", endpoint.STATES)
def test_nobody_lets_go_before_another_has_it(state, heirs):
    """The address is here, covered or elsewhere after every step of every plan that began with it here."""
    for seen in worlds():
        if not seen.held:
            continue
        now = seen
        for step in endpoint.plan(seen, state, heirs=heirs).steps:
            if step.kind in ("hand_to_host", "run_direct") or (step.kind in ("hand_to_vrrp", "run_vrrp") and not now.vrrp_up):
                assert "lo" in now.held_on or now.others, (seen, step)
            now = after(now, step)
            if step.kind != "drop":
                assert now.held_on or now.others, (seen, state, step)
