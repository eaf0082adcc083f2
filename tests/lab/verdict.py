# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a prober's result is a fault: decisions alone, and the limits, which come from docs/measurements.md.

Requests may fail where something was harmed on purpose: for some seconds after that moment, and no more than so many. Whatever
failed at another time is judged as if nothing had been harmed. A failure is timed by its end: by up to the five seconds for which
a prober waits after the request was sent. What it kept no time of was at no time that allows it.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field

API, WORKLOAD = ("read", "write"), ("read",)  # the streams a prober of each kind has
KINDS = ("percent", "failed", "gap")


@dataclass(frozen=True)
class Window:
    """A time after some harm in which requests may fail (seconds since the epoch): what a stream may then, as in limits."""

    since: float
    until: float
    allowed: dict[str, float]
    harm: str

    def holds(self, begin: float, end: float) -> bool:
        """Say whether something was all in it."""
        return self.since <= begin and end <= self.until

    def meets(self, begin: float, end: float) -> bool:
        """Say whether something was partly in it."""
        return begin <= self.until and self.since <= end


@dataclass(frozen=True)
class Limits:
    """What is no fault of a prober: in its whole session; and within so many seconds after a host lost its power, instead."""

    always: dict[str, float]
    within: float = 0.0
    death: dict[str, float] = field(default_factory=dict)

    def windows(self, deaths: list[tuple[float, str]]) -> list[Window]:
        """Return when more is allowed, of (moment, host) of those that died."""
        return [Window(at, at + self.within, self.death, f"{host} lost its power") for at, host in deaths if self.within]


# Without a death one of each kind may fail (seen: a read of 114,734 in all of `life`). Writes on the kept connection may wait
# with it for a while and are repeated: the longest gap seen is 3.3 s.
#
# A host without power: the holder of the address, which may lead etcd too, or a member of an etcd on hosts of its own, for whose
# answers the API servers wait. Seen from outside: with a master up to 113 reads and 18 writes; with a member 59 reads and 32
# writes of the first 5.5 s, each of which ran into its 5 s, so that the last was counted after 10.5 s.
#
# In the cluster no balancer is in between. An API server that stops serves on for three seconds, in which each kube-proxy
# hears of it. On two starved cores one heard after four: 1 read of 26,661 was refused (else 0 of 24,238), so five of one
# moment may be. A dead API server stays among the endpoints of the Service `kubernetes` for up to 25 s (its lease, and the
# next look of another one), a kept connection to it is given up after 45 s (HTTP/2's ping, as in client-go), and conntrack
# keeps what got no answer for 120 s, in which single reads meet it: 25, 120 and the prober's 5 are 150 s. Seen: 250 reads
# within 35 s, 66 more until 129 s, 7 writes. Where the kept connection is to the dead one, 225 writes fail and 50 s pass
# between two good ones.
#
# A pod asks for the name first. An answer that is on its way when kube-proxy forgets a CoreDNS pod that leaves is lost with its
# connection, and the pod asks again after five seconds (docs/adr/0015): seen 10 of 4,888 and, since, 8 of 15,383 within 5.2 s.
#
# No machine dies that carries a workload's pods or its prober: a workload's requests never fail.
LIMITS = {
    "machine": Limits({"failed": 1, "gap": 4000}, within=12.0, death={"failed": 150, "gap": 8000}),
    "pod": Limits({"failed": 20, "gap": 6000}),
    "in-cluster": Limits({"failed": 5, "gap": 4000}, within=150.0, death={"failed": 500, "gap": 60000}),
    "workload": Limits({"failed": 0}),
}


def parse_time(text: str) -> float:
    """Return a time of the prober (RFC 3339, UTC, up to nanoseconds) in seconds since the epoch."""
    return datetime.datetime.fromisoformat(text[:19] + "+00:00").timestamp() + float("0" + text[19:].rstrip("Z") or 0)


def parse_allowed(text: str) -> dict[str, float]:
    """Return the limits written as `percent=1,gap=600` or `failed=10,gap=600`."""
    found = {key: float(value) for key, value in (part.split("=") for part in text.split(",") if part)}
    if set(found) - set(KINDS):
        raise ValueError(f"unknown limits in {text!r}; known are {', '.join(KINDS)}")
    return found


def bearable(allowed: dict[str, float], sent: int) -> float:
    """Return how many of the requests sent may fail by limits: a number, a percentage, or the larger of both."""
    return max(allowed.get("failed", 0), sent * allowed.get("percent", 0) / 100)


def failed_streams(result: dict, allowed: dict[str, float], streams: tuple[str, ...] = API) -> list[str]:
    """Return the streams of which more failed than the number or the percentage that is allowed."""
    return [stream for stream in streams if result[stream]["failed"] > bearable(allowed, result[stream]["sent"])]


def problems(
    result: dict, allowed: dict[str, float], streams: tuple[str, ...] = API, windows: list[Window] | tuple[()] = ()
) -> list[str]:
    """Return why a prober's result is not good enough.

    allowed: failed requests of each stream, as a number or a percentage, and a gap in ms; not named, 0 and any gap.
    windows: when other limits hold instead.
    """
    found = []
    for stream in streams:
        found += too_many(stream, result[stream], allowed, windows) + too_long(stream, result[stream], allowed, windows)
    return found + unproven(result, streams)


def unproven(result: dict, streams: tuple[str, ...] = API) -> list[str]:
    """Return which streams were not measured, and what became of acknowledged writes; whatever failed."""
    found = [f"no {stream} was measured" for stream in streams if not result[stream]["sent"]]
    return found + (lost(result) if "write" in streams else [])


def too_many(stream: str, part: dict, allowed: dict[str, float], windows: list[Window] | tuple[()]) -> list[str]:
    """Return after which harm too many of a stream failed, and whether too many did at other times."""
    found, outside = [], []
    inside = [0] * len(windows)
    for burst in part["bursts"]:
        begin, end = parse_time(burst["from"]), parse_time(burst["to"])
        number = next((number for number, window in enumerate(windows) if window.holds(begin, end)), None)
        if number is None:
            outside.append(f"{burst['failed']} from {burst['from'][11:23]} to {burst['to'][11:23]}{after(windows, begin, end)}")
        else:
            inside[number] += burst["failed"]
    for failed, window in zip(inside, windows, strict=True):
        if failed > window.allowed["failed"]:
            limit = f"{window.allowed['failed']:g} allowed within {window.until - window.since:.1f} s"
            found.append(f"{failed} of {part['sent']} {stream}s failed after {window.harm} ({limit})")
    rest = part["failed"] - sum(inside)
    if rest > bearable(allowed, part["sent"]):
        limit = f"{allowed['percent']:g} %" if "percent" in allowed else f"{allowed.get('failed', 0):g}"
        when, told = (" at other times", ": " * bool(outside) + "; ".join(outside)) if windows else ("", "")
        found.append(f"{rest} of {part['sent']} {stream}s failed{when} ({limit} allowed){told}")
    untimed = part["failed"] - sum(burst["failed"] for burst in part["bursts"])
    if windows and untimed:
        found.append(
            f"when {untimed} {stream}s failed is not known: there were more bursts than the {len(part['bursts'])} that are told"
        )
    return found


def after(windows: list[Window] | tuple[()], begin: float, end: float) -> str:
    """Say how long after the last harm before it something was, or nothing when there was none."""
    before = [window for window in windows if window.since <= end]
    if not before:
        return ""
    last = max(before, key=lambda window: window.since)
    return f" ({begin - last.since:.1f} to {end - last.since:.1f} s after {last.harm})"


def too_long(stream: str, part: dict, allowed: dict[str, float], windows: list[Window] | tuple[()]) -> list[str]:
    """Return the gaps of a stream that are longer than is allowed when they were."""
    gaps = {gap["from"]: gap["ms"] for gap in part["gaps"]}
    if part["longest_gap_at"]:
        gaps[part["longest_gap_at"]] = part["longest_gap_ms"]
    found = []
    for at, ms in sorted(gaps.items()):
        begin = parse_time(at)
        met = [window.allowed.get("gap", 0) for window in windows if window.meets(begin, begin + ms / 1000)]
        if "gap" in allowed and ms > max([allowed["gap"], *met]):
            found.append(f"{ms} ms without a good {stream} from {at} ({max([allowed['gap'], *met]):g} allowed)")
    return found


def lost(result: dict) -> list[str]:
    """Return what became of acknowledged writes that should not have; there is no limit that allows any of it."""
    found = []
    back = result["read_back"]
    if not back["done"]:
        found.append(f"whether writes were lost is not known: {'; '.join(result['end_errors'])}")
    if back["lost"]:
        found.append(f"{back['lost']} acknowledged writes were lost: {back['first_lost']}")
    if result["watch"]["failed"]:
        found.append(f"the watch missed {result['watch']['failed']} events")
    return found


def unseen(result: dict, allowed: dict[str, float], streams: tuple[str, ...]) -> list[str]:
    """Return the streams of a negative control that saw no more failures than would be allowed."""
    seen = failed_streams(result, allowed, streams)
    return [f"negative control: no more {stream}s failed than are allowed" for stream in streams if stream not in seen]


def without_death(result: dict, deaths: list[tuple[float, str]]) -> list[str]:
    """Return that no host lost its power in a prober's session, or nothing when one did."""
    began, ended = parse_time(result["started"]), parse_time(result["ended"])
    if any(began <= at <= ended for at, _host in deaths):
        return []
    return ["no host lost its power while it was measured: judge it by the limits without a death"]
