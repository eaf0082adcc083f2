# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Play one master of an endpoint for tests: units, addresses, keepalived, HAProxy and the neighbours, in one world."""

from __future__ import annotations

import copy
from dataclasses import replace

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _command,
    _endpoint_host,
    _haproxy,
    _keepalived,
    _unit_plan,
)
from fake_haproxy import FakeHaproxy

Master = _endpoint_host.Master
ADDRESS = "192.0.2.10"
OTHER = "02:00:00:00:00:02"
BALANCER, VRRP, DIRECT = (unit.name for unit in _endpoint_host.ALL)


class World:
    """Hold what is so; it plays systemd's adapter, the addresses and keepalived at once.

    `elsewhere`: another master is ready to take the address when keepalived stops here; `stuck`: what keepalived stays in.
    `refusals`: what the API says at the address before it says that it is ready. `election`: seconds that keepalived is a backup
    when it starts and nobody else has the address.
    """

    def __init__(self, held=(), others=(), up=(), enabled=(), elsewhere=False, stuck="", fresh=(), election=0.0):
        self.election, self.elected = election, None
        self.held, self.arp, self.elsewhere, self.stuck = set(held), set(others), elsewhere, stuck
        self.states = {name: _unit_plan.State(name, "loaded", file_state="disabled") for name in (BALANCER, VRRP, DIRECT)}
        for name in up:
            self.states[name] = replace(self.states[name], active="active", sub="running", invocation="1")
        for name in enabled:
            self.states[name] = replace(self.states[name], file_state="enabled")
        self.changed, self.log, self.commands, self.now = set(fresh), [], [], 0.0
        self.speakers, self.asked, self.refusals = (), [], []
        self.haproxy = FakeHaproxy(m1={}, m2={})

    def picture(self):
        """Return what a check must leave as it is; to ask neighbours takes time, so the clock is no part of it."""
        names = ("held", "arp", "states", "changed", "log")
        return copy.deepcopy({**{name: getattr(self, name) for name in names}, "haproxy": self.haproxy.picture()})

    # systemd

    def show(self, names):
        return {name: self.states[name] for name in names}

    def identity(self, unit):
        return _unit_plan.Identity(unit.name + "-wanted", unit.name + "-fixed")

    def sources(self, unit):
        return [*unit.inputs]

    def running(self, state):
        wanted = self.identity(state)
        return replace(wanted, all="old") if state.name in self.changed else wanted

    def drop_in(self, name):
        return _unit_plan.render_drop_in(_unit_plan.Identity(name + "-wanted", name + "-fixed"))

    def act(self, units, verdicts, states):
        assert {unit.name for unit in units} == {verdict.name for verdict in verdicts}
        for verdict in verdicts:
            name = verdict.name
            if verdict.enable or verdict.disable:
                self.states[name] = replace(self.states[name], file_state="enabled" if verdict.enable else "disabled")
            if verdict.action not in ("none", "hold"):
                self.log.append(f"{verdict.action} {name.split('.')[0]}")
                getattr(self, "_" + verdict.action)(name)

    def settle(self, units, verdicts, before, wanted):
        assert all(self.states[unit.name].up for unit in units)

    def _start(self, name):
        if name == DIRECT:
            self._stop(VRRP)
            self.held.add("eth0")
        if name == VRRP:
            self._stop(DIRECT)
            self.held.discard("eth0")
            self.elected = None if self.arp or self.stuck else self.now + self.election
            self._elect()
        self.states[name] = replace(self.states[name], active="active", invocation=self.states[name].invocation + "1")
        self.changed.discard(name)

    def _elect(self):
        if self.elected is not None and self.now >= self.elected:
            self.elected = None
            self.held.add("eth0")

    def _restart(self, name):
        self._stop(name)
        self._start(name)

    def _reload(self, name):
        self.changed.discard(name)

    def _stop(self, name):
        if self.states[name].up and name in (VRRP, DIRECT) and "eth0" in self.held:
            self.held.discard("eth0")
            if name == VRRP and self.elsewhere:
                self.arp.add(OTHER)
        self.states[name] = replace(self.states[name], active="inactive")

    # addresses

    def holders(self, address):
        assert address == ADDRESS
        return tuple(sorted(self.held))

    def cover(self, address):
        self.log.append("cover")
        self.held.add("lo")

    def uncover(self, address):
        self.log.append("uncover" if "eth0" in self.held or self.arp else "uncover what nobody else has")
        self.held.discard("lo")

    def drop(self, address, interface):
        self.held.discard(interface)

    # keepalived, neighbours, clock

    def state(self, instance="endpoint"):
        if not self.states[VRRP].up:
            return _keepalived.DOWN
        self._elect()
        return _keepalived.Vrrp(self.stuck or ("holder" if "eth0" in self.held else "backup"))

    def peers(self, instance="endpoint"):
        return ["192.0.2.12"] if self.states[VRRP].up else None

    def probe(self, interface, address):
        assert (interface, address) == ("eth0", ADDRESS)
        self.now += 0.5
        return sorted(self.arp)

    def ask(self, wish):
        self.asked.append(wish["url"])
        return (False, self.refusals.pop(0)) if self.refusals else (True, "HTTP 200 OK")

    def sleep(self, seconds):
        self.now += seconds

    def run(self, argv, timeout):
        self.log.append(" ".join(argv[:3]))
        return _command.Result(tuple(argv), 0)

    def master(self, **options):
        """Return the master under test in this world."""
        return Master(
            ADDRESS,
            "eth0",
            systemd=self,
            addresses=self,
            haproxy=_haproxy.Haproxy(connector=self.haproxy),
            keepalived=self,
            probe=self.probe,
            listen=lambda _interface: self.speakers,
            ask=self.ask,
            runner=self.run,
            sleep=self.sleep,
            clock=lambda: self.now,
            **options,
        )
