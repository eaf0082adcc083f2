#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start, stop and judge the probers of a lab.

    probe.py life start                one on this machine through the endpoint, one in a pod through the Service
    probe.py life start --workload     besides, one on the last master that asks a user's workload with a PodDisruptionBudget
    probe.py life start --without-pod  none in a pod, where nodes will be drained or die
    probe.py life start --in-cluster   besides, one on the last worker, no pod, that asks the Service `kubernetes` as pods do
    probe.py life stop                 stop them, keep their results, hold them to the limits of verdict.py
    probe.py life stop --after-death   the same, where hosts lost their power meanwhile: some seconds after that more may fail
    probe.py life control              the negative control: every API server at once, without a drain, must be counted
    probe.py life control-roll         that of rolls: one host after the other, each waited for, but killed and not drained before
    probe.py life control-plain        a roll of plain restarts, without drain and move, nothing killed: told, not yet held to
    probe.py life control-handover     that of promotion and give-back: the address is on nobody for some seconds, all else runs
    probe.py life control-members      that of an etcd on hosts of its own: each goes before the one before it is back
    probe.py life control-workload     the same for a workload: all its pods at once, without grace, must be counted
    probe.py life abandon              end what a failed scenario left running; no result

A measurement that sees nothing when something dies proves nothing, so the controls fail when the prober stays clean. Who is
asked to stop tells the balancers and its clients by itself, and a plain restart may fail nothing: so the controls kill, and what
they take in turns stays away for longer than the prober waits. The one of rolls leaves nothing else out: each host is waited for.
What the drain and the move are worth is told by the plain one, which leaves out nothing but those. It is held to failures with
--must-fail only: whether it has any is to be seen first.
The definition of a failed request is the prober's (components/prober/main.go), that of a fault is verdict.py's.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import sys
import time
from collections.abc import Callable

import access
import hosts as lab_hosts
import play
import probers
import verdict
import workloads

CONTROL_BEFORE, CONTROL_AFTER = 3.0, 6.0  # seconds around the kill
AWAY = 6.0  # seconds for which what a control kills stays away: the prober waits five
BACK_TIMEOUT = 180  # seconds until what was killed serves again
READY_TIMEOUT = 120  # seconds until the workload serves, on a machine that is busy with other things


def first_failures(result: dict, streams: tuple[str, ...]) -> list[str]:
    """Return the first failed requests of each stream: one that is allowed has a cause as well."""
    return [f"{one['at'][11:23]} {stream}: {one['error']}" for stream in streams for one in result[stream]["first_errors"][:3]]


def explain(result: dict, runs: dict[str, list[dict]]) -> list[str]:
    """Return a line for each burst of failures with the step that was being done, from the events of all runs."""
    lines = []
    for stream in verdict.API:
        for burst in result.get(stream, {}).get("bursts", []):
            at = verdict.parse_time(burst["from"])
            step = next((f"{name}: {task}" for name, events in runs.items() if (task := task_at(events, at))), "no run")
            lines.append(f"{burst['failed']} {stream}s from {burst['from'][11:23]} to {burst['to'][11:23]}, during {step}")
    return lines


def task_at(events: list[dict], at: float) -> str:
    """Return the task a run was at, or "" when it was not running then (seconds since the epoch)."""
    if not events or not events[0]["at"] <= at <= events[-1]["at"]:
        return ""
    return next((e["task"] for e in reversed(events) if e["event"] == "task" and e["at"] <= at), "its beginning")


def start(cluster: access.Cluster, options: argparse.Namespace) -> list[str]:
    """Start the probers of the API, and that of a workload where it is wanted."""
    if options.workload:
        start_workload(cluster, options.workload_from)
    probers.start_on_machine(cluster, "machine")
    if options.in_cluster:
        probers.start_in_cluster(cluster, last_worker(cluster))
    if not options.without_pod:
        probers.start_in_pod(cluster)
    return []


def last_worker(cluster: access.Cluster) -> str:
    """Return the host from which the API is asked in the cluster: one that carries no API server itself."""
    others = [host for host in cluster.workers if host not in cluster.masters]
    if not others:
        raise SystemExit(f"the prober in the cluster runs on a worker, and none of {cluster.nodes} is only that")
    return others[-1]


def start_workload(cluster: access.Cluster, host: str) -> workloads.GuardedWeb:
    """Make the workload anew, wait until two workers serve it, and start its prober on a host (default: the last master)."""
    host = host or cluster.masters[-1]
    if host not in cluster.nodes or len(cluster.workers) < workloads.REPLICAS:
        raise SystemExit(
            f"a workload's prober runs on a node and its pods on {workloads.REPLICAS} workers: "
            f"{host} is to ask, the nodes are {cluster.nodes}, the workers {cluster.workers}"
        )
    probers.choose_host(cluster, probers.WORKLOAD, host)
    web = workloads.GuardedWeb(cluster, probers.NAMESPACE, cluster.test_image())
    web.remove()  # the scheduler would avoid the workers where pods of an earlier one are still ending
    cluster.apply(web.objects())
    access.wait("two workers serve the workload", web.settled, READY_TIMEOUT)
    probers.start_workload(cluster, f"http://{web.service_address()}/hostname")
    return web


def stop(cluster: access.Cluster, options: argparse.Namespace) -> list[str]:
    """Stop the probers that were started and judge their results."""
    runs = {path.stem: play.read_events(path.read_text()) for path in sorted(cluster.results.glob("*.events"))}
    deaths = lab_hosts.deaths(cluster.name) if options.after_death else []
    results = [("prober on the machine", "machine", probers.stop_on_machine(cluster, "machine"), verdict.API)]
    if probers.pod_marker(cluster).exists():
        results.append(("prober in a pod", "pod", probers.stop_in_pod(cluster), verdict.API))
    for which, said, streams in (
        (probers.IN_CLUSTER, "prober in the cluster", verdict.API),
        (probers.WORKLOAD, "prober of the workload", verdict.WORKLOAD),
    ):
        if probers.marker(cluster, which).exists():
            where = f"{said}, on {probers.marker(cluster, which).read_text()}"
            results.append((where, which.name, probers.stop_on_host(cluster, which, which.name), streams))
            if which is probers.WORKLOAD:
                workloads.GuardedWeb(cluster, probers.NAMESPACE, "").remove()
    found = []
    for where, kind, result, streams in results:
        print(f"{where}: {result['summary']}")
        for line in first_failures(result, streams) + explain(result, runs):
            print(f"  {line}")
        limits = verdict.LIMITS[kind]
        wrong = verdict.problems(result, limits.always, streams, limits.windows(deaths))
        wrong += verdict.without_death(result, deaths) if options.after_death else []
        found += [f"{where}: {line}" for line in wrong]
    return found


def control(cluster: access.Cluster, options: argparse.Namespace) -> list[str]:
    """Kill every API server at once instead of one after the other, drained: a prober that stays clean is blind."""
    return suffer(cluster, options, "control", f"{len(cluster.masters)} API servers killed at once", kill_api_servers)


def control_roll(cluster: access.Cluster, options: argparse.Namespace) -> list[str]:
    """Take one host after the other as a roll does, but killed, nothing moved away before: a prober that stays clean is blind."""
    said = f"{', '.join(restarts(cluster))} killed and started, one after the other, each waited for, without drain and move"
    return suffer(cluster, options, "control-roll", said, roll_unprotected)


def control_plain(cluster: access.Cluster, options: argparse.Namespace) -> list[str]:
    """Restart one host's units after the other's as somebody without a playbook does, and tell what that costs.

    The API server that stops still answers for its delay, so that balancers see it go; but its member stops meanwhile, nobody
    moved the leadership, and what is kept open is cut. With --must-fail a roll that costs nothing shows no worth of a drain.
    """
    said = (
        f"{', '.join(restarts(cluster, balancers=False))} restarted, one after the other, each waited for, without drain and move"
    )
    return suffer(cluster, options, "control-plain", said, roll_plainly, free if options.must_fail else lambda *_anything: [])


def control_handover(cluster: access.Cluster, options: argparse.Namespace) -> list[str]:
    """Take the address off the lone master before anybody else has it: a prober that stays clean says nothing of a promotion.

    A promotion and a give-back differ from that by their order alone: the next one has the address before the last lets go.
    """
    said = f"the address on nobody for {AWAY:g} s, as between a holder that let go and one that has not taken it; nothing stopped"
    return suffer(cluster, options, "control-handover", said, uncover)


def control_members(cluster: access.Cluster, options: argparse.Namespace) -> list[str]:
    """Kill one etcd member after the other before the last one is back: a prober that does not see the lost quorum is blind."""
    said = f"{', '.join(cluster.members)}: etcd killed, one after the other, each before the one before it was back"
    return suffer(cluster, options, "control-members", said, overlap_members)


def kill_api_servers(cluster: access.Cluster) -> None:
    """Kill every API server at once."""
    cluster.each(cluster.masters, lambda host: cluster.ssh(host, "systemctl kill --signal=SIGKILL kube-apiserver.service"))


def roll_unprotected(cluster: access.Cluster) -> None:
    """Kill what a roll restarts on one host, start it after a while, wait until it serves, and go on with the next host.

    The balancer goes with it, as in a reboot: whoever has the endpoint's address refuses connections until another one has it.
    """
    for host, units in restarts(cluster).items():
        take(cluster, host, units)
        time.sleep(AWAY)
        give(cluster, host, units)
        access.wait(f"{host} serves again", lambda host=host: serves(cluster, host), BACK_TIMEOUT)


def roll_plainly(cluster: access.Cluster) -> None:
    """Restart what a roll restarts on one host but the balancer, wait until it serves, and go on with the next host."""
    for host, units in restarts(cluster, balancers=False).items():
        cluster.ssh(host, f"systemctl restart {' '.join(units)}", timeout=BACK_TIMEOUT)
        access.wait(f"{host} serves again", lambda host=host: serves(cluster, host), BACK_TIMEOUT)


def uncover(cluster: access.Cluster) -> None:
    """Let the lone master's address go, by the unit that holds it, and have it taken again after a while."""
    if cluster.balanced:
        raise SystemExit(f"the address is uncovered where one master has it, and VRRP would cover it: {cluster.masters}")
    for act, pause in (("stop", AWAY), ("start", 0)):
        cluster.ssh(cluster.masters[0], f"systemctl {act} multimaster-endpoint.service")
        time.sleep(pause)


def overlap_members(cluster: access.Cluster) -> None:
    """Kill one member after the other, the next one half-way through the absence of the one before it: of three, two are away."""
    back: list[str] = []
    for host in [*cluster.members, ""]:
        if host:
            take(cluster, host, ["etcd.service"])
        time.sleep(AWAY / 2)
        for other in back:
            give(cluster, other, ["etcd.service"])
        back = [host] if host else []


def take(cluster: access.Cluster, host: str, units: list[str]) -> None:
    """Kill a host's units and let systemd start none of them."""
    names = " ".join(units)
    # The order to stop comes first, since systemd would start again at once what is only killed.
    cluster.ssh(host, f"systemctl stop --no-block {names}; systemctl kill --signal=SIGKILL {names}; systemctl stop {names}")


def give(cluster: access.Cluster, host: str, units: list[str]) -> None:
    """Start a host's units again."""
    cluster.ssh(host, f"systemctl start --no-block {' '.join(units)}")


def serves(cluster: access.Cluster, host: str) -> bool:
    """Say whether what a host carries serves by itself: its API server is ready, its etcd member follows a leader."""
    follows = host not in cluster.members or bool(cluster.etcd(host, "maintenance/status").get("leader"))
    return follows and (host not in cluster.masters or is_up(cluster, cluster.server_of(host)))


def restarts(cluster: access.Cluster, balancers: bool = True) -> dict[str, list[str]]:
    """Return {host: the units that a roll with everything restarts there}, dedicated etcd members first."""
    order = [host for host in cluster.members if host not in cluster.masters] + cluster.masters
    carried = {
        "haproxy.service": cluster.masters if cluster.balanced and balancers else [],
        "etcd.service": cluster.members,
        "kube-apiserver.service": cluster.masters,
    }
    return {host: [unit for unit, hosts in carried.items() if host in hosts] for host in order}


def suffer(
    cluster: access.Cluster,
    options: argparse.Namespace,
    name: str,
    said: str,
    act: Callable[[access.Cluster], None],
    blind: Callable[[dict, dict, tuple], list[str]] | None = None,
) -> list[str]:
    """Do harm under probers of its own, wait until the cluster is whole, and return what they did not see of it.

    ``blind`` says of a result, what is allowed and the streams what they did not see (default: each stream must see it). Allowed
    is what a session without harm may have, and what --allow says besides: what could pass for a clean one proves nothing.
    The one in the cluster need not see a write fail: its one connection is often to a host whose turn it is not.
    """
    probers.start_on_machine(cluster, name)
    if options.in_cluster:
        probers.start_in_cluster(cluster, last_worker(cluster))
    time.sleep(CONTROL_BEFORE)
    act(cluster)
    time.sleep(CONTROL_AFTER)
    access.wait("the cluster is whole again", lambda: is_whole(cluster), BACK_TIMEOUT)
    results = [("on the machine", "machine", probers.stop_on_machine(cluster, name), verdict.API)]
    if options.in_cluster:
        inside = probers.stop_on_host(cluster, probers.IN_CLUSTER, f"{name}-in-cluster")
        results.append(("in the cluster", probers.IN_CLUSTER.name, inside, ("read",)))
    found = []
    for where, kind, result, streams in results:
        print(f"negative control, {said}; prober {where}: {result['summary']}")
        allowed = verdict.LIMITS[kind].always | options.allow
        found += [f"{where}: {line}" for line in (blind or verdict.unseen)(result, allowed, streams)]
        found += [f"{where}: negative control: acknowledged writes were lost"] if result["read_back"]["lost"] else []
    return found


def control_workload(cluster: access.Cluster, options: argparse.Namespace) -> list[str]:
    """Delete the workload's pods at once instead of one after the other, with grace: a prober that stays clean is blind."""
    web = start_workload(cluster, options.workload_from)
    time.sleep(CONTROL_BEFORE)
    web.kill()
    time.sleep(CONTROL_AFTER)
    access.wait("the workload serves again", lambda: web.settled(workers=1), BACK_TIMEOUT)
    result = probers.stop_on_host(cluster, probers.WORKLOAD, "control-workload")
    web.remove()
    print(f"negative control, the workload's {workloads.REPLICAS} pods deleted at once: {result['summary']}")
    return verdict.unseen(result, options.allow, verdict.WORKLOAD)


def free(result: dict, allowed: dict[str, float], streams: tuple[str, ...]) -> list[str]:
    """Return that a negative control cost nothing: in none of the streams more failed than would be allowed."""
    costs = verdict.failed_streams(result, allowed, streams)
    return [] if costs else ["negative control: it cost no more requests than are allowed"]


def is_up(cluster: access.Cluster, url: str) -> bool:
    """Say whether an API server is ready by itself."""
    return cluster.request("GET", "/readyz", server=url)[0] == 200


def is_whole(cluster: access.Cluster) -> bool:
    """Say whether every API server is ready, every etcd member follows a leader and every node is Ready."""
    if not all(cluster.each(cluster.masters, lambda host: is_up(cluster, cluster.server_of(host))).values()):
        return False
    if not all(cluster.each(cluster.members, lambda host: cluster.etcd(host, "maintenance/status").get("leader")).values()):
        return False
    return all(workloads.is_ready(node) for node in cluster.get("/api/v1/nodes")["items"])


def abandon(name: str) -> None:
    """End what is left of a lab's probers; what does not answer any more goes with its lab."""
    probers.abandon_on_machine(name)
    with contextlib.suppress(access.AccessError, OSError, http.client.HTTPException):
        cluster = access.Cluster(name)
        left = [which for which in probers.ON_HOSTS if probers.marker(cluster, which).exists()]
        for which in left:
            probers.abandon_on_host(cluster, which)
        if probers.WORKLOAD in left:
            workloads.GuardedWeb(cluster, probers.NAMESPACE, "").delete()


VERBS = {
    "start": start,
    "stop": stop,
    "control": control,
    "control-roll": control_roll,
    "control-plain": control_plain,
    "control-handover": control_handover,
    "control-members": control_members,
    "control-workload": control_workload,
}


def main(argv: list[str]) -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("lab")
    parser.add_argument("verb", choices=[*VERBS, "abandon"])
    parser.add_argument(
        "--allow", type=verdict.parse_allowed, default={}, metavar="failed=N,percent=N", help="controls: what would be no fault"
    )
    parser.add_argument("--after-death", action="store_true", help="stop: hosts lost their power meanwhile")
    parser.add_argument("--workload", action="store_true", help="start: measure a workload too")
    parser.add_argument("--without-pod", action="store_true", help="start: none in a pod, since nodes will be drained")
    parser.add_argument("--in-cluster", action="store_true", help="start, controls: ask the API by its Service's address too")
    parser.add_argument("--must-fail", action="store_true", help="control-plain: it is wrong when that costs nothing")
    parser.add_argument("--workload-from", default="", metavar="HOST", help="where its prober runs (default: the last master)")
    options = parser.parse_args(argv)
    if options.verb == "abandon":
        abandon(options.lab)
        return 0
    found = VERBS[options.verb](access.Cluster(options.lab), options)
    for line in found:
        print(f"NOT AS EXPECTED: {line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
