# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Judge whether the master that an upgrade changed first, its canary, is well enough for the others to follow.

Solves: an API server that starts and is ready may still fail what it is asked. So it is watched for a while: what it answers,
whether it stays ready and up, whether etcd keeps its leader. Unknown counts as bad. Leaves out: reading (``_canary_reading``);
comparing with a control: an upgrade waits seconds, in which a master that is not upgraded may see other requests or none.

    ==============  =========================================================================================
    rule            red when
    ==============  =========================================================================================
    ready           NOT_READY_RUN looks at /readyz in a row were not answered "ready"
    up              the process is another one at the end of the window (``process_start_time_seconds``)
    errors          more than MAX_FAILED of at least MIN_REQUESTS requests (``apiserver_request_total``) ended with 5xx
    leader_changes  etcd changed its leader oftener than allowed (``etcd_server_leader_changes_seen_total``)
    ==============  =========================================================================================

What is a request here: GET, LIST, POST, PUT, PATCH, DELETE, as in the availability rules of kubernetes-mixin. Not a WATCH, which
is counted when it ends, with 504 when its time is up or etcd went away, and which its client then begins anew; not what streams
(exec, logs, proxies), whose code is that of what lies behind; not /readyz and its like, which the balancers ask all the time.
429 is no failure: it says "later" with Retry-After, client-go heeds it, and a server that has just restarted says it while all
come back at once. 504 of any other request is one: the server had its 60 s.

Sources: Site Reliability Workbook, "Canarying Releases" (few metrics, those that a user feels; enough requests to judge by) and
"Alerting on SLOs" (low traffic: one failed request is no rate); kubernetes-mixin, ``kube_apiserver-availability``; Kubernetes
Metrics Reference (``apiserver_request_total`` is STABLE); etcd docs, "Metrics" (a leader change is counted by each member).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

# As many as it takes HAProxy to send a server nothing more (`fall 2`): one late answer of a starved machine is no finding.
NOT_READY_RUN = 2
# With fewer, one failed request would be more than MAX_FAILED.
MIN_REQUESTS = 20
# Five times the error budget that kubernetes-mixin gives the API server (availability of 99 %).
MAX_FAILED = 0.05
# Leader changes nobody planned that are let pass: etcd's own alarm (etcdHighNumberOfLeaderChanges) bears three in 15 minutes, and
# a leader that the canary's restart left behind may lose its place late. The planned move is over before the window begins.
LEADER_CHANGES_LET_PASS = 1

VERBS = frozenset({"GET", "LIST", "POST", "PUT", "PATCH", "DELETE"})
STREAMS = frozenset({"attach", "exec", "log", "portforward", "proxy"})
REQUESTS, STARTED = "apiserver_request_total", "process_start_time_seconds"
LEADER_CHANGES = "etcd_server_leader_changes_seen_total"


@dataclass(frozen=True)
class Sample:
    """The counters at one time.

    ``started``: when the API server's process began, in seconds since the epoch, None when its metrics could not be read.
    ``requests``: how many by HTTP code, of those that count. ``leader_changes``: how many by member, of those that answered.
    ``error``: what could not be read, and why.
    """

    started: float | None = None
    requests: Mapping = field(default_factory=dict)
    leader_changes: Mapping = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True)
class Look:
    """One look at /readyz: whether it is ready, and what it said when it is not."""

    ready: bool
    said: str = ""


@dataclass(frozen=True)
class Reason:
    """One thing that is wrong, with its figures, and what to do about it."""

    rule: str
    said: str
    next_step: str


@dataclass(frozen=True)
class Verdict:
    """Every reason not to go on, none when all is well, and the figures."""

    reasons: tuple = ()
    figures: Mapping = field(default_factory=dict)
    seen: str = ""

    @property
    def well(self):
        """Tell whether the others may follow."""
        return not self.reasons

    @property
    def reason(self):
        """Return what is wrong, or what was seen, in one line."""
        return "; ".join(one.said for one in self.reasons) or self.seen

    @property
    def next_step(self):
        """Return what to do about it, each advice once."""
        return "; ".join(dict.fromkeys(one.next_step for one in self.reasons))

    def as_dict(self):
        """Return plain data."""
        return {"well": self.well, "reasons": [asdict(one) for one in self.reasons], "figures": dict(self.figures)}


def earlier(masters: Sequence[str], due: Sequence[str]) -> list[str]:
    """Return the masters that an earlier run changed, when these are due: what made that run stop may still be so."""
    return [name for name in masters if name not in due] if due else []


def first(due: Sequence[str], fact: Mapping) -> list[str]:
    """Return who must be well before the others follow: the first of several that are due, in that order, where it is watched.

    ``fact``: the fact `multimaster`, whose ``canary`` says for how many seconds.
    """
    return list(due[:1]) if len(due) > 1 and fact["canary"]["seconds"] > 0 else []


def counted(metrics) -> dict:
    """Return {code: how many} of the requests that count, from the (name, labels, value) of the API server's metrics."""
    found = {}
    for name, labels, value in metrics:
        part = labels.get("subresource", "")
        if name == REQUESTS and labels.get("verb") in VERBS and part not in STREAMS and not part.startswith("/"):
            code = labels.get("code", "")
            found[code] = found.get(code, 0) + int(value)
    return found


def judge(
    before: Sample,
    after: Sample,
    looks: Sequence[Look],
    seconds: float,
    leader_changes: int = LEADER_CHANGES_LET_PASS,
    server: str = "",
) -> Verdict:
    """Return the Verdict on a window of so many seconds, in which so many unplanned changes of etcd's leader are let pass.

    ``server``: the API server's URL, for the advice.
    """
    increase = _increase(before.requests, after.requests)
    shared = set(before.leader_changes) & set(after.leader_changes)
    changes = max((_grown(before.leader_changes[one], after.leader_changes[one]) for one in shared), default=None)
    figures = {
        "seconds": round(seconds, 1),
        "looks": len(looks),
        "not_ready": sum(not look.ready for look in looks),
        "requests": sum(increase.values()),
        "failed": sum(count for code, count in increase.items() if code.startswith("5")),
        "throttled": increase.get("429", 0),
        "leader_changes": changes,
    }
    found = (
        _readiness(looks, figures, server),
        _process(before, after, figures),
        _errors(increase, figures, server),
        _leader(before, after, figures, leader_changes),
    )
    return Verdict(tuple(reason for reason in found if reason), figures, _seen(figures))


def failure(verdict: Verdict, untouched: Sequence[str], way_back: str) -> str:
    """Return what the run stops with: what is wrong, who goes on serving, what next, and the way back."""
    others = f"Untouched: {', '.join(untouched)}. " if untouched else ""
    back = f"Way back: {way_back}. " if way_back else ""
    return (
        f"The canary is not well, so no other master follows: {verdict.reason}. {others}Next: {verdict.next_step}. It goes on "
        f"taking its share of requests. {back}The same command again looks at it first, and goes on when it is well."
    )


def _grown(old, new):
    """Return by how much a counter grew; one that fell began anew with its process."""
    return new - old if new >= old else new


def _increase(old, new):
    """Return {code: how many more}, without codes that did not come up."""
    grown = {code: _grown(old.get(code, 0), count) for code, count in new.items()}
    return {code: count for code, count in grown.items() if count}


def _longest(looks):
    """Return the longest run of looks that were not ready."""
    longest = run = 0
    for look in looks:
        run = 0 if look.ready else run + 1
        longest = max(longest, run)
    return longest


def _readiness(looks, figures, server):
    run = _longest(looks)
    if looks and run < NOT_READY_RUN:
        return None
    last = next((look.said for look in reversed(looks) if not look.ready), "nobody looked")
    said = f"not ready in {figures['not_ready']} of {figures['looks']} looks, {run} in a row ({last})"
    ask = f"`kubectl --server {server} get --raw '/readyz?verbose'` says which check fails"
    return Reason("ready", said, f"{ask}, `journalctl -u kube-apiserver -n 50` on it why")


def _process(before, after, figures):
    journal = "`journalctl -u kube-apiserver -n 50` on it"
    if before.started is None or after.started is None:
        return Reason("up", f"its metrics could not be read ({after.error or before.error})", journal)
    if before.started != after.started:
        return Reason("up", f"its API server restarted within {figures['seconds']:g} s", journal)
    return None


def _errors(increase, figures, server):
    total, failed = figures["requests"], figures["failed"]
    if total < MIN_REQUESTS or failed <= MAX_FAILED * total:
        return None
    codes = ", ".join(f"{count} with {code}" for code, count in sorted(increase.items()) if code.startswith("5"))
    said = f"{failed} of {total} requests failed, {failed / total:.1%} and at most {MAX_FAILED:.0%} may ({codes})"
    ask = f"`kubectl --server {server} get --raw /metrics | grep {REQUESTS}` says which"
    return Reason("errors", said, f"{ask}, `journalctl -u kube-apiserver -n 50` on it why")


def _leader(before, after, figures, allowed):
    journal = "`journalctl -u etcd -n 50` on the members: a slow disk or too little CPU, or a member that does not keep up"
    if figures["leader_changes"] is None:
        return Reason("leader_changes", f"no etcd member could tell its leader changes ({after.error or before.error})", journal)
    if figures["leader_changes"] <= allowed:
        return None
    said = f"etcd changed its leader {figures['leader_changes']} times in {figures['seconds']:g} s and at most {allowed} may be"
    return Reason("leader_changes", said, f"{journal}; multimaster_upgrade_canary_leader_changes allows more")


def _seen(figures):
    """Return what was seen, where all is well; too few requests are said to be."""
    few = "" if figures["requests"] >= MIN_REQUESTS else f", too few to judge (of {MIN_REQUESTS} wanted)"
    waits = f", {figures['throttled']} told to come later" if figures["throttled"] else ""
    return (
        f"ready in {figures['looks'] - figures['not_ready']} of {figures['looks']} looks, {figures['failed']} of "
        f"{figures['requests']} requests failed{few}{waits}, {figures['leader_changes']} leader changes in "
        f"{figures['seconds']:g} s"
    )
