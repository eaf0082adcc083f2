# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Play the endpoint on several masters of one segment: systemd's units, keepalived's election, ARP.

VRRP as RFC 9568 has it, with what role api_endpoint configures: unicast to the peers that a configuration names, adverts
of others ignored (`check_unicast_src`), no preemption, no part in it while HAProxy is down (`init_fail`). A unit that is
enabled comes back at boot. Debian enables keepalived when it is installed, and it does not start without a configuration.
"""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _endpoint_plan
from etcd_model import Refused

BACKUP, HOLDER, FAULT, DOWN = "backup", "holder", "fault", "down"


@dataclass(frozen=True)
class Conf:
    """What is written in a configuration: the API servers HAProxy knows, VRRP's peers and priority."""

    servers: tuple = ()
    peers: tuple = ()
    priority: int = 0


@dataclass
class Part:
    """What one master does for the endpoint; `*_on`: comes back at boot, `ran`: what a running service was started with."""

    up: bool = True
    address: bool = False
    cover: bool = False
    direct: bool = False
    direct_on: bool = False
    balancer: bool = False
    balancer_on: bool = False
    vrrp: bool = False
    vrrp_on: bool = False
    installed: bool = False
    written: Conf | None = None
    balancer_ran: Conf | None = None
    vrrp_ran: Conf | None = None


class Segment:
    """The masters of one segment; `ready(name)` tells whether the API server of a master answers /readyz."""

    def __init__(self, ready):
        self.parts, self.ready = {}, ready

    # what is so

    def answering(self, besides=""):
        """Return who answers ARP for the address, for good or by a cover."""
        return sorted(n for n, part in self.parts.items() if n != besides and part.up and (part.address or part.cover))

    def holders(self):
        """Return who holds the address for longer than a cover lasts."""
        return sorted(name for name, part in self.parts.items() if part.up and part.address)

    def takes_part(self, name):
        return self.parts[name].direct or self.parts[name].vrrp

    def sees_a_server(self, name):
        part = self.parts[name]
        return part.balancer and any(self.ready(server) for server in part.balancer_ran.servers)

    def serves(self):
        """Return whether the API answers at the address, by whoever has it: through HAProxy, else straight."""
        return any(self.sees_a_server(name) or self.ready(name) for name in self.answering())

    # what happens by itself

    def settle(self):
        """Let the direct units that wait take a free address, then VRRP find its holder."""
        for name, part in self.parts.items():
            if part.up and part.direct_on and not part.direct and not part.vrrp and not self.answering(besides=name):
                part.direct = part.address = True
        able = [n for n, part in self.parts.items() if part.up and part.vrrp and part.balancer]
        for name, part in self.parts.items():
            if part.vrrp and name not in able:
                part.address = False
        for _round in able:
            for name in sorted(able, key=lambda n: (-self.parts[n].vrrp_ran.priority, n)):
                self._elect(name, [self.parts[other].vrrp_ran.priority for other in able if self._hears(name, other)])

    def _elect(self, name, heard):
        """Let a master take the address when it hears no holder, and leave it to one with a higher priority."""
        part = self.parts[name]
        part.address = max(heard, default=-1) < part.vrrp_ran.priority if part.address else not heard

    def _hears(self, name, other):
        """Return whether adverts of a holder reach a master: each must know the other."""
        one, two = self.parts[name], self.parts[other]
        return name != other and two.address and other in one.vrrp_ran.peers and name in two.vrrp_ran.peers

    def power_off(self, name):
        """Stop a machine: addresses and processes go, what is enabled and written stays."""
        part = self.parts[name]
        kept = {key: getattr(part, key) for key in ("direct_on", "balancer_on", "vrrp_on", "installed", "written")}
        self.parts[name] = Part(up=False, **kept)
        self.settle()

    def boot(self, name):
        """Start a machine: what is enabled and has a configuration starts, with what is written."""
        part = self.parts[name]
        part.up = True
        if part.written and part.balancer_on:
            part.balancer, part.balancer_ran = True, part.written
        if part.written and part.vrrp_on:
            part.vrrp, part.vrrp_ran = True, part.written
        self.settle()

    # what is done on a master

    def seen(self, name, peers=()):
        """Return what `_endpoint_host.Master` would observe on a master."""
        part = self.parts[name]
        return _endpoint_plan.Seen(
            held_on=(("eth0",) if part.address else ()) + (("lo",) if part.cover else ()),
            others=tuple(self.answering(besides=name)),
            direct_up=part.direct,
            direct_enabled=part.direct_on,
            direct_action="none" if part.direct else "start",
            balancer_up=part.balancer,
            balancer_enabled=part.balancer_on,
            balancer_action=_action(part.balancer, part.balancer_ran, part.written),
            vrrp_up=part.vrrp,
            vrrp_enabled=part.vrrp_on,
            vrrp_action=_action(part.vrrp, part.vrrp_ran, part.written),
            vrrp_state=self._state(name),
            strangers=tuple(n for n in self._speakers_to(name) if n not in peers and not part.vrrp),
        )

    def _state(self, name):
        part = self.parts[name]
        return DOWN if not part.vrrp else FAULT if not part.balancer else HOLDER if part.address else BACKUP

    def _speakers_to(self, name):
        return [n for n, p in self.parts.items() if p.up and p.vrrp and p.address and name in p.vrrp_ran.peers]

    def take(self, name, step):
        """Give a step of `_endpoint_plan` its effect."""
        getattr(self, "_" + step.kind)(self.parts[name], name, step.detail)
        self.settle()

    def prove(self, name, state):
        """Want exactly one holder, and the API to answer there, as `_endpoint_host.Master.prove` does."""
        answering = self.answering()
        if len(answering) != 1 or (state == _endpoint_plan.DIRECT and answering != [name]):
            raise Refused(f"the address should have one holder and is held by {answering}")
        if not self.serves():
            raise Refused("the API does not answer at the address")

    def _run_balancer(self, part, _name, _detail):
        part.balancer, part.balancer_on, part.balancer_ran = True, True, part.written

    def _wait_backend(self, _part, name, _detail):
        if not self.sees_a_server(name):
            raise Refused("HAProxy sees no API server pass its check")

    def _cover(self, part, _name, _detail):
        part.cover = True

    def _uncover(self, part, _name, _detail):
        part.cover = False

    def _hand_to_vrrp(self, part, name, detail):
        part.direct_on = False
        self._run_vrrp(part, name, detail)
        self.settle()

    def _run_vrrp(self, part, _name, detail):
        if detail in ("start", "restart"):
            # starting one of the two units stops the other; keepalived takes an address it finds off when it starts
            part.direct = part.address = False
        if detail != "none":
            part.vrrp, part.vrrp_ran = True, part.written
        part.vrrp_on = True

    def _settle(self, _part, name, _detail):
        if self._state(name) not in (HOLDER, BACKUP):
            raise Refused("keepalived did not become holder or backup")

    def _hand_to_host(self, part, name, detail):
        part.vrrp_on = False
        self._run_direct(part, name, detail)

    def _run_direct(self, part, name, _detail):
        part.direct_on, part.direct = True, False
        self._vrrp_down(part)
        if not self.answering(besides=name):
            part.direct = part.address = True
        else:
            raise Refused("another host answers for the address")

    def _vrrp_down(self, part):
        part.address = part.address and not part.vrrp
        part.vrrp = False
        self.settle()

    def _yield(self, part, name, _detail):
        self._vrrp_down(part)
        part.vrrp_on = False
        if not self.answering(besides=name):
            part.vrrp = part.vrrp_on = True
            self.settle()
            raise Refused("no other master took the address")

    def _stop_vrrp(self, part, _name, _detail):
        self._vrrp_down(part)
        part.vrrp_on = False

    def _stop_direct(self, part, _name, _detail):
        part.direct = part.direct_on = part.address = False

    def _drop(self, part, _name, _detail):
        part.address = part.cover = False

    def _stop_balancer(self, part, _name, _detail):
        part.balancer = part.balancer_on = False

    def write(self, name, conf):
        """Write what HAProxy and keepalived are to run with, or take keepalived's configuration away."""
        self.parts[name].written = conf

    def install(self, name):
        """Install HAProxy and keepalived: they do not start (policy-rc.d), and Debian enables them."""
        part = self.parts[name]
        if not part.installed:
            part.installed = part.balancer_on = part.vrrp_on = True

    def forget(self, name):
        """Start a machine with a new disk."""
        self.parts[name] = Part()


def _action(up, ran, written):
    """Return what brings a service to run with what is written."""
    return "start" if not up else "reload" if ran != written else "none"
