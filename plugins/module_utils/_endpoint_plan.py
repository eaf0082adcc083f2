# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Decide, step by step, what ONE master does to reach its wanted part in the endpoint.

Solves: the address must answer at every moment between two steps, and a run cut off after any of them must leave at
most one holder and an address that comes back by itself. Which master does what, and in which order among masters, is
`_endpoint`'s; doing the steps is `_endpoint_host`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

#: What a master can be asked to be.
DIRECT, PREPARED, BALANCED, YIELDED, ABSENT = "direct", "prepared", "balanced", "yielded", "absent"
STATES = (DIRECT, PREPARED, BALANCED, YIELDED, ABSENT)
#: Steps that look and wait only; every other kind changes the host.
WAITS = ("wait_backend", "settle")
KINDS = (
    "run_balancer", "take_back", "wait_backend", "cover", "hand_to_vrrp", "run_vrrp", "settle", "hand_to_host", "run_direct",
    "uncover", "yield", "stop_vrrp", "stop_direct", "drop", "stop_balancer",
)  # fmt: skip  # names
LOOPBACK = "lo"


@dataclass(frozen=True)
class Seen:
    """Hold what is seen on a master.

    held_on are the interfaces that carry the address; others are the MACs of other hosts that answer for it; strangers
    are the addresses of hosts that speak VRRP with our virtual router ID and are none of our masters. drained are the API servers
    that HAProxy here was told to send nothing to, or not to check. Each
    `*_action` is what brings a running service to run with what is written (none, start, restart, reload), as
    `_unit_plan.decide_started` gives it; `*_up` and `*_enabled` are systemd's.
    """

    held_on: tuple = ()
    others: tuple = ()
    direct_up: bool = False
    direct_enabled: bool = False
    direct_action: str = "start"
    balancer_up: bool = False
    balancer_enabled: bool = False
    balancer_action: str = "start"
    vrrp_up: bool = False
    vrrp_enabled: bool = False
    vrrp_action: str = "start"
    vrrp_state: str = "down"
    strangers: tuple = ()
    drained: tuple = ()

    @property
    def held(self) -> bool:
        """Return whether the address is here for longer than a cover lasts."""
        return any(interface != LOOPBACK for interface in self.held_on)


@dataclass(frozen=True)
class Step:
    """Name one step and say why it is taken; detail is the service action where there is a choice."""

    kind: str
    why: str
    detail: str = ""

    @property
    def changes(self) -> bool:
        """Return whether the step changes the host."""
        return self.kind not in WAITS


@dataclass(frozen=True)
class Plan:
    """Hold the steps in order, or the reasons to take none, each with what to do next: (reason, next step)."""

    steps: tuple = ()
    refusals: tuple = ()

    @property
    def changed(self) -> bool:
        """Return whether any step changes the host."""
        return not self.refusals and any(step.changes for step in self.steps)

    @property
    def reason(self) -> str:
        """Return the plan in one sentence."""
        if self.refusals:
            return "; ".join(reason for reason, _next_step in self.refusals)
        return "; ".join(step.why for step in self.steps) or "it is as wanted"

    @property
    def next_step(self) -> str:
        """Return what to do about the refusals."""
        return "; ".join(next_step for _reason, next_step in self.refusals)


def holder(seen):
    """Say in words who holds the address, as one master sees it."""
    here = f"this host ({', '.join(seen.held_on)})" if seen.held_on else ""
    return " and ".join(part for part in (here, *seen.others) if part) or "nobody"


def plan(seen, state, allow_loss=False, heirs=()):
    """Return the Plan that brings a master from what is seen into a state.

    ``allow_loss`` lets the last holder go; ``heirs`` are the other masters that could take the address.
    """
    refusals = tuple(_refusals(seen, state, allow_loss))
    if refusals:
        return Plan(refusals=refusals)
    steps = {
        DIRECT: _direct,
        PREPARED: _prepared,
        YIELDED: _yielded,
        ABSENT: _absent,
        BALANCED: lambda seen: _balanced(seen, heirs),
    }[state](seen)
    return Plan(steps=tuple(steps))


def _refusals(seen, state, allow_loss):
    if seen.held and seen.others:
        yield (
            f"the address has two holders, {holder(seen)}",
            "find the other host by this MAC (`ip -br link` on each) and take the address off it (or `systemctl stop keepalived` "
            "there), then run again",
        )
    elif state == PREPARED and seen.strangers:
        yield (
            f"the virtual router ID is in use by {', '.join(seen.strangers)}",
            "`systemctl disable --now keepalived` there when that is a former master; otherwise take another endpoint address "
            "(multimaster_endpoint_address), of which the ID is made; then run again",
        )
    elif state == DIRECT and seen.others:
        yield (
            f"the address is held by {holder(seen)}, not by this host",
            "bring that host into the state yielded first, so that this one takes the address over, then run again",
        )
    elif state in (YIELDED, ABSENT) and seen.held and not seen.vrrp_up and not allow_loss:
        yield (
            "this host alone holds the address, without VRRP: nobody would take it over",
            "have another master hold it first (site.yml balances it between all of them), then run again",
        )


def _prepared(seen):
    """Return the steps that make HAProxy serve; whoever holds the address keeps it, even when this host reboots."""
    if seen.vrrp_enabled and not seen.vrrp_up:
        # Debian enables it when it is installed: after a reboot it would take an address that another holds by its own unit,
        # or whose holder does not know this host yet.
        yield Step("stop_vrrp", "keepalived must not come up at a reboot before its turn")
    if seen.balancer_action in ("restart", "reload") and seen.vrrp_up:
        return  # in its turn; until then it may see no API server any more, and still list a master that left drained
    if seen.balancer_action != "none":
        yield Step("run_balancer", f"HAProxy needs a {seen.balancer_action}", seen.balancer_action)
    elif seen.drained:
        # One that reloads or starts begins without the drains of the one before, since it keeps no server state.
        yield Step("take_back", f"{', '.join(seen.drained)} was left drained by a run that was cut off")
    yield Step("wait_backend", "HAProxy must see an API server pass its check")


def _balanced(seen, heirs):
    """Return the steps to HAProxy and VRRP; an address that is here already stays reachable by its cover on lo.

    A restart of either is felt at the address, so where another master can take it, it goes there first.
    """
    aside = seen.vrrp_up and seen.held and heirs and "restart" in (seen.balancer_action, seen.vrrp_action)
    if aside:
        yield Step("yield", f"what answers at the address restarts, and {' or '.join(heirs)} takes it meanwhile")
    if seen.balancer_action != "none":
        yield Step("run_balancer", f"HAProxy needs a {seen.balancer_action}", seen.balancer_action)
    if not seen.vrrp_up or seen.balancer_action != "none":
        yield Step("wait_backend", "HAProxy must see an API server pass its check")
    takes_over = seen.held and not seen.vrrp_up
    if takes_over:
        yield Step("cover", "keepalived takes the address off and on when it starts")
    if seen.direct_up or seen.direct_enabled:
        verb = seen.vrrp_action if seen.vrrp_up and not aside else "start"
        yield Step("hand_to_vrrp", "VRRP takes the address over from this host's own unit", verb)
    elif aside:
        yield Step("run_vrrp", "it comes back as a backup", "start")
    elif seen.vrrp_action != "none":
        yield Step("run_vrrp", f"keepalived needs a {seen.vrrp_action}", seen.vrrp_action)
    elif not seen.vrrp_enabled:
        yield Step("run_vrrp", "keepalived does not come back at boot", "none")
    if aside or seen.vrrp_action != "none" or seen.direct_up or seen.vrrp_state not in ("holder", "backup"):
        yield Step("settle", "keepalived must be holder or backup")
    if takes_over or LOOPBACK in seen.held_on:
        yield Step("uncover", "keepalived holds the address or leaves it to another")


def _direct(seen):
    """Return the steps to an address of this host's own; systemd stops keepalived in the same transaction."""
    right = seen.direct_action == "none" and seen.held and seen.direct_enabled and not seen.vrrp_up
    verb = "restart" if seen.direct_up else "start"
    if not right and seen.held:
        yield Step("cover", "the address leaves the interface for a moment")
    if not right and (seen.vrrp_up or seen.vrrp_enabled):
        yield Step("hand_to_host", "one master needs no VRRP: its own unit takes the address over", verb)
    elif not right:
        yield Step("run_direct", "this host holds the address by a unit of its own", verb)
    elif seen.vrrp_enabled:
        yield Step("stop_vrrp", "keepalived must not come back at boot")
    if not right and seen.held or LOOPBACK in seen.held_on:
        yield Step("uncover", "the address is on its interface")
    if seen.balancer_up or seen.balancer_enabled:
        yield Step("stop_balancer", "one master needs no balancer; open connections may finish")


def _yielded(seen):
    """Return the steps that let another master take the address.

    This host may be on its way out, and those who stay forget it: after a reboot it would hear none of them and take the
    address beside the holder. So keepalived comes back by being balanced again, not by itself.
    """
    if seen.vrrp_up and (seen.vrrp_state == "holder" or seen.held):
        yield Step("yield", "another master takes the address when keepalived stops")
    elif seen.vrrp_up or seen.vrrp_enabled:
        yield Step("stop_vrrp", "this host must not take the address, nor after a reboot")


def _absent(seen):
    """Return the steps that end this host's part; what others need is proven before anything else stops."""
    if seen.vrrp_up and seen.held:
        yield Step("yield", "another master takes the address when keepalived stops")
    if seen.vrrp_up or seen.vrrp_enabled:
        yield Step("stop_vrrp", "this host leaves the election")
    if seen.direct_up or seen.direct_enabled:
        yield Step("stop_direct", "this host gives the address up")
    if seen.held and not seen.direct_up and not seen.vrrp_up:
        yield Step("drop", "nothing on this host keeps the address")
    elif LOOPBACK in seen.held_on:
        yield Step("uncover", "this host gives the address up")
    if seen.balancer_up or seen.balancer_enabled:
        yield Step("stop_balancer", "this host leaves; open connections may finish")
