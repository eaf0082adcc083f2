# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Decide who is to hold the endpoint address, and in which order masters get their parts in it.

Solves: one address for one master and for many, that never has two holders and never none. Leaves out: what one master
does to get its part (``_endpoint_plan``), and doing it.

    =========  ==================================================  ===========================
    masters    state                                               who holds the address
    =========  ==================================================  ===========================
    1          direct: no HAProxy, no keepalived                   the master, by its own unit
    2 or more  balanced: HAProxy and keepalived on every master    one of them, by VRRP
    any        external: a balancer that is not ours               that
    =========  ==================================================  ===========================

Two rules keep the address single: VRRP starts nowhere while another host holds the address by its own unit, and nobody takes
it by its own unit while VRRP runs on another host. One rule keeps it held: who has it lets go only to somebody who is ready.
``holder_first`` is the order that keeps them; each master sees to its own share, and refuses where they would not hold.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ansible_collections.multimaster.kubernetes.plugins.module_utils._endpoint_plan import BALANCED, DIRECT

# States of the endpoint beside direct and balanced.
EXTERNAL, NOBODY = "external", "nobody"
#: Seconds an API server that stops goes on serving behind balancers of ours, which drain it before: for who missed that.
SERVES_ON = 3

# VRRP: virtual router ids 1-255 (RFC 5798, 5.2.3); priorities 1-254 for backups, 255 is the address owner's (5.2.4).
VRID_MAX = 254
PRIORITY_MAX = 254


@dataclass(frozen=True)
class MasterState:
    """What one master does for the endpoint.

    ``holds``: the interfaces that carry the address, lo included. ``balancer``, ``vrrp``: whether HAProxy, keepalived runs.
    """

    name: str
    holds: tuple = ()
    balancer: bool = False
    vrrp: bool = False
    reachable: bool = True


@dataclass(frozen=True)
class Move:
    """Who lets the address go, and who may take it, in the order of VRRP's priority; or the reasons to leave it where it is.

    ``unfit``: (another master, why it does not take it); ``stopped``: those of them that lack keepalived alone, as the old holder
    does when a move is cut off; ``refusals``: (reason, next step).
    """

    holder: str = ""
    heirs: tuple = ()
    unfit: tuple = ()
    stopped: tuple = ()
    refusals: tuple = ()


@dataclass(frozen=True)
class Heirs:
    """Who takes the address when its holder lets go: those who may, in the order of VRRP's priority, and who does not, and why.

    ``first``: the one that takes it, None where that is not known.
    """

    names: tuple = ()
    unfit: tuple = ()
    first: str | None = None


def wanted_state(masters, mode="managed") -> str:
    """Return direct, balanced or external for these masters; nobody when there is none."""
    if mode == EXTERNAL:
        return EXTERNAL
    return NOBODY if not masters else DIRECT if len(set(masters)) == 1 else BALANCED


def holders(observed) -> tuple:
    """Return the masters that carry the address on any interface."""
    return tuple(sorted(state.name for state in observed if state.holds))


def holder(observed, mode=BALANCED):
    """Return the one master that has the address, "" when none of them has it, None when that is not known.

    Not known: several seem to have it, or it may be on one that cannot be looked at, or on a balancer that is not ours.
    """
    held = holders(observed)
    if mode == EXTERNAL or len(held) > 1 or (not held and not all(state.reachable for state in observed)):
        return None
    return held[0] if held else ""


def holder_first(observed) -> tuple:
    """Return the masters' names in the order in which each gets its part: the holder, who runs VRRP, then newcomers.

    Masters hear only the peers they know. Were a newcomer to start VRRP before all who run it know it, it could not hear
    one of those as the holder, and would hold the address beside it.
    """
    return tuple(state.name for state in sorted(observed, key=lambda s: (not s.holds, not s.vrrp, s.name)))


def before_turns(staying, leaving, mode_before, mode) -> bool:
    """Return whether masters get their parts in the endpoint before any has its turn: till then one is alone behind the address.

    So it is with a lone master that others join, and with the last one of those that were there: nobody could take its
    connections in its turn. While a master that leaves takes part, its connections go there, and keepalived there must be heard:
    then the parts come after the turns, as everywhere. The same while it serves where only one stays, which then has no balancer.
    ``staying``, ``leaving``: the masters as MasterState, and of those that leave whether the API server runs.
    """
    behind = [state for state in staying if state.holds or state.vrrp]
    begun = behind or any(state.balancer for state in staying)
    others = any(state.holds or state.vrrp or (serves and mode == DIRECT) for state, serves in leaving)
    return bool(BALANCED in (mode_before, mode) and mode != EXTERNAL and begun and len(behind) < 2 and not others)


def vrid(cluster_name, address) -> int:
    """Return the virtual router id, 1-254: the same for ever, most likely another for another cluster."""
    digest = hashlib.sha256(f"{cluster_name}\n{address}".encode()).digest()
    return 1 + int.from_bytes(digest[:8], "big") % VRID_MAX


def priorities(names) -> dict:
    """Return {name: VRRP priority}, spread over 1-254 as far apart as can be.

    The rank is that of the name's hash, so neither inventory order nor the names make a first master. Spreading evenly
    keeps any mixture of the values before and after one master joins apart too, while a change is rolled out. A step of
    one is 0.4 ms at 0.1 s adverts: ValueError for more masters than fit without neighbours.
    """
    ranked = sorted(set(names), key=lambda name: (hashlib.sha256(name.encode()).digest(), name))
    if 2 * len(ranked) - 1 > PRIORITY_MAX:
        raise ValueError(f"{len(ranked)} masters do not fit into {PRIORITY_MAX} priorities without being neighbours")
    gap = (PRIORITY_MAX - 1) / max(1, len(ranked) - 1)
    return {name: PRIORITY_MAX - round(gap * rank) for rank, name in enumerate(ranked)}


def move(observed, masters, mode=BALANCED) -> Move:
    """Return the Move of the address off the master that has it; ``mode`` is that of ``wanted_state``."""
    if mode == EXTERNAL:
        why = "the endpoint is a balancer that is not ours (multimaster_endpoint_mode: external)"
        return Move(refusals=((why, "move it there; no master has the address"),))
    if mode == DIRECT:
        why = f"{masters[0]} is the only master: nobody else could have the endpoint address"
        return Move(refusals=((why, "list another master and run site.yml, which makes it the balancer's; then it can move"),))
    held = holders(observed)
    if len(held) != 1:
        return Move(refusals=(_not_one(held, observed),))
    found = heirs_of(state for state in observed if state.name != held[0])
    heirs, unfit, refusals = found.names, found.unfit, []
    if not next(state for state in observed if state.holds).vrrp:
        why = f"keepalived does not run on {held[0]}, which has the endpoint address: it cannot hand it on"
        refusals.append((why, "run site.yml, which starts it there"))
    if not heirs:
        why = "; ".join(f"{name} {why}" for name, why in unfit)
        refusals.append((f"nobody could take the endpoint address from {held[0]}: {why}", "mend that (site.yml), then run again"))
    stopped = tuple(sorted(state.name for state in observed if state.reachable and state.balancer and not state.vrrp))
    return Move(held[0], heirs, unfit, stopped, tuple(refusals))


def heirs_of(others) -> Heirs:
    """Return the Heirs among these masters.

    The first is the one that takes it: when the holder announces that it goes, each backup waits for a time that is the
    shorter the higher its priority (RFC 5798, 6.1: skew). One that cannot be looked at may be quicker.
    """
    states = {state.name: state for state in others}
    rank = priorities(states)
    ordered = [states[name] for name in sorted(states, key=lambda name: -rank[name])]
    first = next((state for state in ordered if not state.reachable or not _unfit(state)), None)
    return Heirs(
        tuple(state.name for state in ordered if not _unfit(state)),
        tuple((state.name, _unfit(state)) for state in ordered if _unfit(state)),
        first.name if first and first.reachable else None,
    )


def _not_one(held, observed):
    """Return (reason, next step) where nobody has the address, or more than one."""
    if held:
        why = f"the endpoint address is on {' and '.join(held)} at once"
        return why, "it may just have moved: run again; if it stays so: docs/runbooks/address-on-wrong-host.md"
    unseen = ", ".join(sorted(state.name for state in observed if not state.reachable))
    if unseen:
        why = f"no master was seen to have the endpoint address, and {unseen}, which cannot be reached, may have it"
        return why, f"make {unseen} reachable and run again, or switch it off: then another takes the address by itself"
    return (
        "no master was seen to have the endpoint address, so there is nothing to move",
        "run site.yml, which sets every master's part right, or docs/runbooks/address-on-wrong-host.md",
    )


def _unfit(state):
    """Return why a master does not take the address when its holder lets go, "" when it may."""
    if not state.reachable:
        return "cannot be reached"
    missing = [program for program, runs in (("HAProxy", state.balancer), ("keepalived", state.vrrp)) if not runs]
    return f"does not run {' and '.join(missing)}" if missing else ""
