#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cut a zone off from the others under a prober, and hold what fails to the time the balancers need to see it.

    drop_zone.py mol-life --seconds 20 --in-cluster

The zone is one whose master neither leads etcd nor has the endpoint address, both of which the master that ranks highest for
the address is given before. It takes the address on its own side, as it hears nobody; this machine reaches both sides and stays
on that of the majority. DETECTED seconds after the cut, and after its end, no request fails, and until then only what was on
its way. The zone comes back without an election, the address has one holder again, and no acknowledged write is lost.

With --in-cluster a worker outside asks as well, where no balancer is in between: an API server that is cut off stays among the
endpoints of the Service `kubernetes` until its lease ends. What fails there meanwhile is told; no acknowledged write is lost.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time

import access
import hosts as lab_hosts
import lab as lab_tool
import lead
import probe
import probers
import verdict
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _endpoint

# Seconds, of the cut as of its end: HAProxy ends a dead server's connections after 3.2 (docs/adr/0013), the prober waits five,
# and 0.3 in which both do it.
DETECTED = 8.5
ON_THE_WAY = 3  # requests of a stream that fail until then; seen: none of 6,658 reads and 1,403 writes, in four cuts
BACK = 120.0  # seconds until the zone's API server and etcd member serve again
MOVED = 30.0  # seconds until the address is where it is to be
SETTLED = 5.0  # seconds that are measured after that


def choose(zones: dict[str, str], leader: str, holder: str) -> str:
    """Return the zone, of {master: zone}, that has neither the leader nor the holder, the last master's of several.

    Raise LabError where there is none.
    """
    busy = {zones.get(leader), zones.get(holder), ""}
    free = [zones[master] for master in sorted(zones) if zones[master] not in busy]
    if not free:
        raise lab_tool.LabError(f"No zone is without etcd's leader {leader} and without the endpoint's holder {holder}.")
    return free[-1]


def outside(workers: dict[str, str], zone: str) -> str:
    """Return the last worker, of {worker: zone}, that is not in the zone that goes, or raise LabError."""
    left = sorted(worker for worker, own in workers.items() if own != zone)
    if not left:
        raise lab_tool.LabError(f"No worker is outside zone {zone}, of {', '.join(sorted(workers)) or 'none'}.")
    return left[-1]


def windows(cut: lab_hosts.Cut) -> list[verdict.Window]:
    """Return when requests may fail: while the balancers do not know of the cut yet, and the same of its end."""
    allowed = {"failed": ON_THE_WAY}
    return [
        verdict.Window(cut.since, cut.made + DETECTED, allowed, "the cut"),
        verdict.Window(cut.until, cut.mended + DETECTED, allowed, "its end"),
    ]


def held_by(holders: list[str], kept_by: str) -> list[str]:
    """Return what is wrong with who has the endpoint's address after the cut; ``kept_by``: who was to keep it."""
    right = holders == [kept_by]
    return (
        []
        if right
        else [f"the endpoint's address is on {', '.join(holders) or 'no host'} after the cut, and {kept_by} was to keep it"]
    )


@contextlib.contextmanager
def on_the_side_of(cluster: access.Cluster, holder: str):
    """Have this machine send to a holder of the endpoint's address, whoever else says that it has it."""
    route = json.loads(lab_tool.run("ip", "-j", "route", "get", cluster.endpoint))[0]["dev"]
    mac = cluster.ssh(holder, f"cat /sys/class/net/{lab_hosts.INTERFACE}/address").strip()
    entry = (cluster.endpoint, "dev", route)
    lab_tool.run("ip", "neigh", "replace", *entry, "lladdr", mac, "nud", "permanent")
    try:
        yield
    finally:
        lab_tool.run("ip", "neigh", "del", *entry)  # asked anew at the next packet


def serves(cluster: access.Cluster, inside: list[str], leader: tuple[str, str]) -> bool:
    """Say whether the API servers inside are ready again and every member follows the leader there was."""
    said = lead.status(cluster)
    ready = all(probe.is_up(cluster, cluster.server_of(host)) for host in inside)
    return ready and lead.leader_of(said) == leader and {one["raftTerm"] for one in said.values()} == {leader[1]}


def settle(cluster: access.Cluster, masters: list[str]) -> None:
    """Have the master that ranks highest for the address hold it and lead etcd, so that a zone that is back takes neither.

    A master that is cut off takes the address on its own side, and of two that have it the one that ranks higher keeps it: seen,
    where that was the one that came back, 19 of 1,852 reads failed, since its balancer knew of no API server yet.
    """
    rank = _endpoint.priorities(masters)
    top = max(masters, key=rank.get)
    holders = cluster.holders()
    if holders != [top]:
        for host in holders:
            cluster.ssh(host, "systemctl restart keepalived")  # who stops announces it, and of the others the highest takes it
        access.wait(f"{top} has the endpoint's address", lambda: cluster.holders() == [top], MOVED)
    print(lead.lead(cluster, top))


def drop(cluster: access.Cluster, seconds: float, in_cluster: bool) -> list[str]:
    """Cut, wait, judge; return what was not as it should be."""
    lab = lab_tool.read_state(cluster.name)
    zones = {host.name: host.zone for host in lab.hosts if host.name in cluster.masters}
    settle(cluster, list(zones))
    before = lead.leader_of(lead.status(cluster))
    [holder] = cluster.holders()
    zone = choose(zones, before[0], holder)
    worker = outside({host.name: host.zone for host in lab.hosts if host.name in cluster.workers}, zone) if in_cluster else ""
    probers.start_on_machine(cluster, "zone")
    if worker:
        probers.start_in_cluster(cluster, worker)
    with on_the_side_of(cluster, holder):
        cut = lab_hosts.isolate(lab, zone, seconds)
    print(cut.said, flush=True)
    inside = [host for host, one in zones.items() if one == zone]
    try:
        access.wait("the zone serves again, without an election", lambda: serves(cluster, inside, before), BACK)
        time.sleep(SETTLED)
    finally:
        result = probers.stop_on_machine(cluster, "zone")
        from_worker = probers.stop_on_host(cluster, probers.IN_CLUSTER, "zone-in-cluster") if worker else None
    print(f"{before[0]} led and leads in term {before[1]}; prober on the machine: {result['summary']}")
    (cluster.results / "drop-zone.json").write_text(
        json.dumps({"zone": zone, "since": cut.since, "result": result}, indent=1) + "\n"
    )
    blind = [] if cut.dropped else ["nothing was cut off, so nothing was proven"]
    if from_worker:
        print(f"prober in the cluster, on {worker}: {from_worker['summary']}")
        blind += [f"in the cluster: {line}" for line in verdict.unproven(from_worker)]
    return blind + held_by(cluster.holders(), holder) + verdict.problems(result, {}, windows=windows(cut))


def main(argv: list[str]) -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("lab")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument(
        "--in-cluster", action="store_true", help="ask the API from a worker outside by its Service's address too"
    )
    options = parser.parse_args(argv)
    found = drop(access.Cluster(options.lab), options.seconds, options.in_cluster)
    for line in found:
        print(f"NOT AS EXPECTED: {line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
