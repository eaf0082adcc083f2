# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""See and do one master's part in the endpoint: its address, its HAProxy, its keepalived.

Solves: every step of `_endpoint_plan` is one method here (`STEPS`) that returns only when its effect is seen, or raises with what
was seen instead. Programs, sockets, clock and systemd are injected. Leaves out deciding, and writing configuration.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _addresses,
    _arp,
    _command,
    _haproxy,
    _keepalived,
    _ready,
    _systemd,
    _vrrp,
)
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _endpoint_plan as plan
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _unit_plan as units

CA = "/etc/kubernetes/pki/ca.crt"
BALANCER = _systemd.Unit("haproxy.service", inputs=("/etc/haproxy/haproxy.cfg", CA), reload=True)
VRRP = _systemd.Unit(
    "keepalived.service",
    inputs=("/etc/keepalived/keepalived.conf", "/usr/local/lib/multimaster/check_haproxy"),
    reload=True,
)
DIRECT = _systemd.Unit("multimaster-endpoint.service", ready={"timeout": 20})
ALL = (BALANCER, VRRP, DIRECT)
#: Seconds between two looks while something settles.
PAUSE = 0.05
#: Seconds a master that stops VRRP gives the others: three adverts of one second, the slowest advert there is, and skew.
TAKE_OVER = 4.0
#: Seconds until exactly one holder is seen from outside: neighbours answer within milliseconds, a cover may still lie.
PROOF = 5.0
#: Seconds until the API answers at the address: who holds it saw an API server pass its check before, so one try would do.
ANSWERED = 15.0
COMMAND_SECONDS = 30.0
RUNBOOK = "docs/runbooks/address-on-wrong-host.md"


class EndpointError(Exception):
    """Tell which step did not have its effect, what was seen instead, and what to do."""

    def __init__(self, message, next_step=""):
        super().__init__(message)
        self.next_step = next_step


@dataclass(frozen=True)
class Facts:
    """Hold what an observation found, with what acting needs beside it."""

    seen: plan.Seen
    states: dict
    verdicts: dict
    wanted: dict


class Master:
    """Observe one master and take single steps on it."""

    def __init__(
        self,
        address,
        interface,
        port=6443,
        systemd=None,
        addresses=None,
        haproxy=None,
        keepalived=None,
        probe=_arp.probe,
        listen=_vrrp.listen,
        ask=_ready.probe,
        runner=_command.run,
        sleep=time.sleep,
        clock=time.monotonic,
        backend_timeout=30.0,
        settle_timeout=15.0,
    ):
        self.address, self.interface, self.port = address, interface, port
        self.systemd = systemd or _systemd.Systemd()
        self.addresses = addresses or _addresses.Addresses()
        self.haproxy = haproxy or _haproxy.Haproxy()
        self.keepalived = keepalived or _keepalived.Keepalived()
        self._probe, self._listen, self._ask, self._run, self._sleep, self._clock = probe, listen, ask, runner, sleep, clock
        self._backend_timeout, self._settle_timeout = backend_timeout, settle_timeout
        self._facts = None
        self._loss = False

    # Seeing

    def others(self):
        """Return the MACs of other hosts that answer for the address."""
        return tuple(self._probe(self.interface, self.address))

    def strangers(self, vrid, peers):
        """Return who else speaks VRRP for a virtual router ID; listening takes a second and a half."""
        return tuple(_vrrp.strangers(self._listen(self.interface), vrid, peers))

    def observe(self, ask_neighbours=True, listen_for=None, peers=()):
        """Look at addresses, units and VRRP; neighbours are asked by ARP, which takes half a second.

        With a virtual router ID in `listen_for`, and VRRP down, the segment is listened to as well.
        """
        states = self.systemd.show([unit.name for unit in ALL])
        verdicts, wanted = {}, {}
        for unit in ALL:
            wanted[unit.name] = self.systemd.identity(unit)
            verdicts[unit.name] = units.decide_started(
                states[unit.name],
                wanted[unit.name],
                self.systemd.running(states[unit.name]),
                self.systemd.drop_in(unit.name),
                unit.reload,
            )
        balancer, vrrp, direct = (states[unit.name] for unit in ALL)
        seen = plan.Seen(
            held_on=self.addresses.holders(self.address),
            others=self.others() if ask_neighbours else (),
            direct_up=direct.up,
            direct_enabled=_enabled(direct),
            direct_action=_action(verdicts[DIRECT.name]),
            balancer_up=balancer.up,
            balancer_enabled=_enabled(balancer),
            balancer_action=_action(verdicts[BALANCER.name]),
            vrrp_up=vrrp.up,
            vrrp_enabled=_enabled(vrrp),
            vrrp_action=_action(verdicts[VRRP.name]),
            vrrp_state=self.keepalived.state().state if vrrp.up else "down",
            strangers=self.strangers(listen_for, peers) if listen_for and not vrrp.up else (),
            drained=self.drained() if balancer.up else (),
        )
        self._facts = Facts(seen, states, verdicts, wanted)
        return seen

    def sources(self):
        """Return the files that VRRP is started with, as far as they are there; what else changes is taken up before."""
        return set(self.systemd.sources(VRRP))

    def drained(self):
        """Return the API servers that HAProxy here was told to leave alone; none while it does not answer."""
        try:
            return tuple(name for name, server in self.haproxy.servers().items() if _haproxy.drain_steps(server, False))
        except _haproxy.HaproxyError:
            return ()

    # Acting

    def take(self, step, allow_loss=False):
        """Take one step of a plan; raise EndpointError (or the error of the tool at fault) when it has no effect."""
        self._loss = allow_loss
        STEPS[step.kind](self, step)

    def prove(self, state):
        """Wait until the address has exactly one holder, seen from here, and the API answers at it."""
        if self._one_holder(state):
            self._answered()

    def _one_holder(self, state):
        """Wait until the address has exactly one holder; return whether it has, False where it may be lost and is."""

        def look():
            held, others = self._held(), self.others()
            alone = len(others) + held == 1 and (held or state != plan.DIRECT)
            lost = self._loss and not held and not others
            return alone or lost, [*(["this host"] if held else []), *others]

        settled, holders = self._wait(PROOF, look)
        if not settled:
            raise EndpointError(
                f"{self.address} on {self.interface} should have one holder and is held by {' and '.join(holders) or 'nobody'}",
                f"`ip address` and `journalctl -u keepalived -u multimaster-endpoint` on every master; see {RUNBOOK}",
            )
        return bool(holders)

    def _answered(self):
        """Wait until the API says at the address that it is ready, as a client there finds it."""
        wish = {"url": f"https://{self.address}:{self.port}/readyz", "ca": CA}
        ready, said = self._wait(ANSWERED, lambda: self._ask(wish))
        if not ready:
            raise EndpointError(
                f"the address has one holder, and the API does not answer there within {ANSWERED:g} s: "
                f"{_ready.target(wish)}: {said}",
                f"health.yml says which API servers are ready and which balancers see them; see {RUNBOOK}",
            )

    def _run_balancer(self, step):
        if step.detail == "restart":
            # A stop lets connections finish first, which takes longer than keepalived looks on; the restart must be short.
            self._run(["systemctl", "kill", "--signal=SIGTERM", BALANCER.name], COMMAND_SECONDS)
        self._act([self._verdict(BALANCER, step.detail)])

    def _take_back(self, _step):
        for server in self.haproxy.servers().values():
            for method, arguments in _haproxy.drain_steps(server, False):
                getattr(self.haproxy, method)(*arguments)

    def _wait_backend(self, _step):
        def look():
            try:
                servers = self.haproxy.servers()
            except _haproxy.HaproxyError as error:
                return False, str(error)
            said = ", ".join(f"{name} {server.stands} ({server.check})" for name, server in servers.items())
            return any(server.up for server in servers.values()), said or "no server is configured"

        passed, said = self._wait(self._backend_timeout, look)
        if not passed:
            raise EndpointError(
                f"HAProxy sees no API server pass its check within {self._backend_timeout:g} s: {said}",
                "`journalctl -u haproxy -n 50` here, and whether the API servers answer /readyz (health.yml); then run again",
            )

    def _cover(self, _step):
        self.addresses.cover(self.address)

    def _uncover(self, _step):
        self.addresses.uncover(self.address)

    def _hand_to_vrrp(self, step):
        before = self._facts.states[DIRECT.name]
        disable = units.Verdict(DIRECT.name, "none", step.why, disable=True)
        try:
            self._act([disable, self._verdict(VRRP, step.detail, enable=step.detail == "start")])
            self._settle(step)
        except Exception:
            if before.up:
                failed = units.Verdict(VRRP.name, "none", "it did not settle", disable=True)
                self._act([failed, self._verdict(DIRECT, "start", enable=True)])
            raise

    def _run_vrrp(self, step):
        # A step before may have stopped it for good.
        self._act([self._verdict(VRRP, step.detail, enable=step.detail == "start")])

    def _settle(self, _step):
        def look():
            state, held = self.keepalived.state(), self._held()
            said = f"it is {state.state}, the address is {'' if held else 'not '}on this host"
            settled = state.settled and held == (state.state == "holder")
            if settled and not held and self._facts.seen.held and not self.others():
                # Every keepalived begins as a backup. Were the cover taken off then, nobody had the address for three adverts.
                return False, f"{said} and on no other"
            return settled, said

        settled, said = self._wait(self._settle_timeout, look)
        if not settled:
            raise EndpointError(
                f"keepalived did not become holder or backup within {self._settle_timeout:g} s: {said}",
                f"`journalctl -u keepalived -n 50` on this host says why; see {RUNBOOK}",
            )

    def _hand_to_host(self, step):
        disable = units.Verdict(VRRP.name, "none", step.why, disable=True)
        self._act([disable, self._verdict(DIRECT, step.detail)])

    def _run_direct(self, step):
        self._act([self._verdict(DIRECT, step.detail)])

    def _yield(self, step):
        self._act([units.Verdict(VRRP.name, "stop", step.why, disable=True)])
        try:
            taken = self._taken_over()
            if not (taken or self._loss):
                raise EndpointError(
                    f"no other master took {self.address} within {TAKE_OVER:g} s, so keepalived was started again here",
                    "`journalctl -u keepalived -n 50` on the other masters says why they do not, and site.yml starts it where it "
                    "is down; then run again",
                )
        except Exception:
            # Nobody else may have it.
            self._act([self._verdict(VRRP, "start", enable=True)])
            raise
        if taken:
            self._tell_clients()

    def _taken_over(self):
        """Return whether another host answers for the address within the time that VRRP takes."""
        # asking takes half a second by itself
        return self._wait(TAKE_OVER, lambda: (bool(self.others()), ""), pause=0)[0]

    def _tell_clients(self):
        """End the connections that came in at the address while it was here, also those of processes that a reload has replaced.

        A client that only listens would else notice when it sends next, up to 30 s later: kube-proxy then goes on using API
        servers that are gone. HAProxy may still send from the address, since its socket is bound `transparent`.
        """
        if self._facts.seen.balancer_up:
            with contextlib.suppress(_haproxy.HaproxyError):
                self.haproxy.end_sessions(self.systemd.show([BALANCER.name])[BALANCER.name].pid)

    def _stop_vrrp(self, step):
        up = self.systemd.show([VRRP.name])[VRRP.name].up
        self._act([units.Verdict(VRRP.name, "stop" if up else "none", step.why, disable=True)])

    def _stop_direct(self, step):
        self._act([units.Verdict(DIRECT.name, "stop", step.why, disable=True)])

    def _drop(self, _step):
        for interface in self.addresses.holders(self.address):
            self.addresses.drop(self.address, interface)

    def _stop_balancer(self, step):
        if not self._held():
            # Whoever is connected still hears nothing any more, so there is nothing that could finish.
            self._tell_clients()
        up = self._facts.states[BALANCER.name].up
        self._act([units.Verdict(BALANCER.name, "stop" if up else "none", step.why, disable=True)])

    def _held(self):
        """Return whether the address lies on an interface of this host; its cover on the loopback does not count."""
        return any(interface != _addresses.LOOPBACK for interface in self.addresses.holders(self.address))

    def _wait(self, seconds, look, pause=PAUSE):
        """Repeat ``look() -> (whether it is so, what was seen)`` until it is so or time is up; return the last answer."""
        end = self._clock() + seconds
        while True:
            so, seen = look()
            if so or self._clock() >= end:
                return so, seen
            self._sleep(pause)

    def _verdict(self, unit, action, enable=False):
        """Return the observed verdict on a unit with another action; it also enables and writes the drop-in."""
        known = self._facts.verdicts[unit.name]
        return units.Verdict(unit.name, action, known.reason, enable or known.enable, reset=known.reset, drop_in=known.drop_in)

    def _act(self, verdicts):
        """Let systemd do what was decided on some units, and wait until it is done."""
        chosen = [unit for unit in ALL if any(verdict.name == unit.name for verdict in verdicts)]
        before = self.systemd.show([unit.name for unit in chosen])
        self.systemd.act(chosen, verdicts, before)
        running = [verdict for verdict in verdicts if verdict.action in ("start", "restart", "reload")]
        up = [unit for unit in chosen if any(verdict.name == unit.name for verdict in running)]
        if up:
            self.systemd.settle(up, running, before, self._facts.wanted)


#: What takes a step of each kind that `_endpoint_plan` knows.
STEPS = {
    "run_balancer": Master._run_balancer,
    "take_back": Master._take_back,
    "wait_backend": Master._wait_backend,
    "cover": Master._cover,
    "hand_to_vrrp": Master._hand_to_vrrp,
    "run_vrrp": Master._run_vrrp,
    "settle": Master._settle,
    "hand_to_host": Master._hand_to_host,
    "run_direct": Master._run_direct,
    "uncover": Master._uncover,
    "yield": Master._yield,
    "stop_vrrp": Master._stop_vrrp,
    "stop_direct": Master._stop_direct,
    "drop": Master._drop,
    "stop_balancer": Master._stop_balancer,
}


def _action(verdict):
    """Return what brings a service to run as written; waiting for one that starts is a start already made."""
    return "none" if verdict.action in ("none", "wait") else verdict.action


def _enabled(state):
    return state.file_state in ("enabled", "enabled-runtime")
