# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Take one API server out of a balancer, or bring it back: judge, wait for another one, do it, prove it.

Solves: the API must stay reachable through this balancer, so another server is up before one is drained, also where a run that
was cut off left the others drained; and whatever it left so is used again before the next run can fail on another host. Leaves
out which server has its turn, and what HAProxy understands (`_haproxy`).
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _haproxy

#: Seconds between two looks; a health check of the balancer is due each second.
PAUSE = 0.05
#: Seconds in which a server that is checked again, and does not answer, is found down (role api_endpoint: inter 1s, fastinter
#: 200ms, fall 2, timeout check 2s): 1 s until the first check, 2 s for it where the server hangs, 0.2 s until the next, 2 s.
CHECKED = 5.5
BALANCER = "haproxy.service"
NO_BALANCER = "no balancer runs on this host"
NOT_OURS = "the HAProxy on this host is not ours, so it balances something else"
BRING_UP = (
    "bring one up (`systemctl status kube-apiserver` on its master says why it is not), or allow the outage for this run "
    "(-e etcd_allow_outage=true)"
)
COME_BACK = (
    "`journalctl -u kube-apiserver -n 50` on {name} says whether it serves; if so, whether this host reaches it (health.yml); "
    "then run again"
)


@dataclass(frozen=True)
class Outcome:
    """Hold what became, or in a check would become, of the server; ``unsafe`` says why a run would not go on as things are.

    ``back``: names of the servers whose drain that was left is taken back.
    """

    changed: bool
    reason: str
    before: _haproxy.Server | None = None
    after: _haproxy.Server | None = None
    unsafe: str = ""
    back: tuple = ()

    def as_dict(self):
        """Return plain data, for the module's result."""
        servers = {name: server and server.as_dict() for name, server in (("before", self.before), ("after", self.after))}
        return {"changed": self.changed, "reason": self.reason, "back": list(self.back), **servers}


def not_spared(servers, name):
    """Return how the others are when none of them can take the connections of this one, "" when one can."""
    if _haproxy.spares(servers, name):
        return ""
    others = [f"{other} is {server.stands}" for other, server in servers.items() if other != name]
    return f"no other API server is up behind this balancer ({', '.join(others) or 'there is none'}), so the API would be away"


def left_drained(servers, name, in_use):
    """Return {server: the steps that take its drain back} of those that are to be in use while this one is not."""
    found = {other: _haproxy.drain_steps(servers[other], False) for other in in_use if other in servers and other != name}
    return {other: steps for other, steps in found.items() if steps}


def not_there(server, drained, timeout):
    """Return in which way a server is not as wanted after so many seconds, "" when it is."""
    if server.status == "drain" and not server.checked if drained else server.up and server.checked:
        return ""
    return (
        f"{server.name} is {server.stands} ({server.check or 'no check'}) after {timeout:g} s, not "
        f"{'drained' if drained else 'up'}"
    )


def wait(haproxy, missing, timeout, sleep=time.sleep, clock=time.monotonic):
    """Return (HAProxy's servers, "") once ``missing`` says nothing of them, else what it says at the end; 0 looks once."""
    end = clock() + timeout
    while True:
        servers = haproxy.servers()
        said = missing(servers)
        if not said or clock() >= end:
            return servers, said
        sleep(PAUSE)


def bring(haproxy, systemd, wanted, check, sleep=time.sleep, clock=time.monotonic):
    """Return the Outcome; raise HaproxyError when the server may not be drained, or does not become as wanted in time.

    `wanted` are the arguments of module `endpoint_server`. What was left drained of its `in_use` is taken back first: most often
    one of them has its turn later, so nobody else would, and of two masters each would wait for the other. A check looks once:
    steps that come before this one and bring another server up were not taken either.
    """
    name, drained, timeout = wanted["name"], wanted["state"] == "drained", wanted["timeout"]
    none = _no_balancer(systemd)
    if none:
        return Outcome(False, none)
    servers = haproxy.servers()
    if name not in servers:
        return Outcome(False, f"HAProxy here knows no server {name}, only {', '.join(servers) or 'none'}")
    before = after = servers[name]
    steps, unsafe = _haproxy.drain_steps(before, drained), ""
    back = left_drained(servers, name, wanted["in_use"]) if drained else {}
    if not check:
        _order(haproxy, itertools.chain.from_iterable(back.values()))
    if drained and not wanted["allow_outage"]:
        _servers, unsafe = wait(haproxy, lambda now: not_spared(now, name), 0 if check else timeout, sleep, clock)
    if unsafe and not check:
        raise _haproxy.HaproxyError(f"{unsafe}. Next: {BRING_UP}")
    if not check:
        _order(haproxy, steps)
        servers, said = wait(haproxy, lambda now: not_there(now[name], drained, timeout), timeout, sleep, clock)
        if said:
            raise _haproxy.HaproxyError(said if drained else f"{said}. Next: {COME_BACK.format(name=name)}")
        after = servers[name]
    reason = f"{name} was {before.stands}, check {'on' if before.checked else 'off'}" if steps else "it is as wanted"
    reason += "".join(f"; {other} was left drained and is taken back" for other in back)
    return Outcome(bool(steps or back), reason, before, after, unsafe and _foreseen(name, unsafe, timeout), tuple(back))


def take_back(haproxy, systemd, names, check, sleep=time.sleep):
    """Return the Outcome of using all of these servers again that are drained; raise HaproxyError where HAProxy refuses it.

    Whether one answers is HAProxy's to find out: it is checked while still in drain, so that one that is down gets no
    connections. One that is brought up later is used then. A HAProxy that says nothing ends no run: the run may be to mend it.
    """
    none = _no_balancer(systemd)
    if none:
        return Outcome(False, none)
    try:
        back = left_drained(haproxy.servers(), "", names)
    except _haproxy.HaproxyError as error:
        return Outcome(False, f"nobody says what is drained: {error}")
    steps = [step for of_one in back.values() for step in of_one]
    if steps and not check:
        _order(haproxy, [step for step in steps if step[0] == "checks"])
        sleep(CHECKED)
        _order(haproxy, [step for step in steps if step[0] != "checks"])
    reason = f"{', '.join(back)} was left drained and is taken back" if back else "none was left drained"
    return Outcome(bool(back), reason, back=tuple(back))


def _no_balancer(systemd):
    """Return why there is nothing to tell here, "" where a balancer of ours runs.

    Where the endpoint is external a master may run an HAProxy of its owner's, for services. One of ours has our drop-in.
    """
    if not systemd.show([BALANCER])[BALANCER].up:
        return NO_BALANCER
    return "" if systemd.drop_in(BALANCER) else NOT_OURS


def _order(haproxy, steps):
    for method, arguments in steps:
        getattr(haproxy, method)(*arguments)


def _foreseen(name, unsafe, timeout):
    """Return the warning of a check, which cannot know what the steps before this one bring up."""
    return (
        f"{name} would not be drained now: {unsafe}; a run waits {timeout:g} s for one. "
        f"Next: nothing when the same run brings one up before; otherwise {BRING_UP}"
    )
