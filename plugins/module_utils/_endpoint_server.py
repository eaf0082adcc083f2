# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Take one API server out of a balancer, or bring it back: judge, wait for another one, do it, prove it.

Solves: the API must stay reachable through this balancer, so another server is up before one is drained, also where a run that
was cut off left the others drained. Leaves out which server has its turn, and what HAProxy understands (`_haproxy`).
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _haproxy

#: Seconds between two looks; a health check of the balancer is due each second.
PAUSE = 0.05
BALANCER = "haproxy.service"
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
    """Hold what became, or in a check would become, of the server; ``unsafe`` says why a run would not go on as things are."""

    changed: bool
    reason: str
    before: _haproxy.Server | None = None
    after: _haproxy.Server | None = None
    unsafe: str = ""

    def as_dict(self):
        """Return plain data, for the module's result."""
        servers = {name: server and server.as_dict() for name, server in (("before", self.before), ("after", self.after))}
        return {"changed": self.changed, "reason": self.reason, **servers}


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
    if not systemd.show([BALANCER])[BALANCER].up:
        return Outcome(False, "no balancer runs on this host")
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
    return Outcome(bool(steps or back), reason, before, after, unsafe and _foreseen(name, unsafe, timeout))


def _order(haproxy, steps):
    for method, arguments in steps:
        getattr(haproxy, method)(*arguments)


def _foreseen(name, unsafe, timeout):
    """Return the warning of a check, which cannot know what the steps before this one bring up."""
    return (
        f"{name} would not be drained now: {unsafe}; a run waits {timeout:g} s for one. "
        f"Next: nothing when the same run brings one up before; otherwise {BRING_UP}"
    )
