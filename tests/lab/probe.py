#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start and stop the probers of a lab: one on this machine through the endpoint, one in a pod through the Service.

    probe.py life start            both probers run until they are stopped
    probe.py life stop             stop them, keep their results, fail unless both are clean
    probe.py life control          the negative control: every API server at once, without a drain, must be counted
    probe.py life abandon          end what a failed scenario left running on this machine; no result

A measurement that sees nothing when something dies proves nothing, so `control` fails when the prober stays clean. The
definition of a failed request is the prober's (components/prober/main.go).
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import access
import play

NAMESPACE = "multimaster-prober"
POD_INTERVALS = ("--read-interval", "50ms", "--write-interval", "200ms")  # each of its reads costs two DNS questions too
LONGEST = "3h"  # a prober nobody stops ends by itself
START_TIMEOUT, STOP_TIMEOUT = 60, 180  # seconds
CONTROL_BEFORE, CONTROL_AFTER = 3.0, 6.0  # seconds around the kill
LIMITS = ("percent", "gap")


def failed_streams(result: dict, allowed: dict[str, float]) -> list[str]:
    """Return the streams (read, write) of which more failed than the percentage that is allowed."""
    return [s for s in ("read", "write") if result[s]["failed"] * 100 > result[s]["sent"] * allowed.get("percent", 0)]


def problems(result: dict, allowed: dict[str, float]) -> list[str]:
    """Return why a prober's result is not good enough; allowed has a percentage of failed requests and a gap in ms."""
    found = []
    for stream in ("read", "write"):
        part = result[stream]
        if stream in failed_streams(result, allowed):
            first = "; ".join(f"{e['at']} {e['error']}" for e in part["first_errors"][:3])
            found.append(f"{part['failed']} of {part['sent']} {stream}s failed ({allowed.get('percent', 0)} % allowed): {first}")
        if "gap" in allowed and part["longest_gap_ms"] > allowed["gap"]:
            found.append(
                f"{part['longest_gap_ms']} ms without a good {stream} from {part['longest_gap_at']} ({allowed['gap']} allowed)"
            )
    back = result["read_back"]
    if not back["done"]:
        found.append(f"whether writes were lost is not known: {'; '.join(result['end_errors'])}")
    if back["lost"]:
        found.append(f"{back['lost']} acknowledged writes were lost: {back['first_lost']}")
    if result["watch"]["failed"]:
        found.append(f"the watch missed {result['watch']['failed']} events")
    if not result["read"]["sent"] or not result["write"]["sent"]:
        found.append("nothing was measured")
    return found


def explain(result: dict, runs: dict[str, list[dict]]) -> list[str]:
    """Return a line for each burst of failures with the step that was being done, from the events of all runs."""
    lines = []
    for stream in ("read", "write"):
        for burst in result[stream].get("bursts", []):
            at = parse_time(burst["from"])
            step = next((f"{name}: {task}" for name, events in runs.items() if (task := task_at(events, at))), "no run")
            lines.append(f"{burst['failed']} {stream}s from {burst['from'][11:23]} to {burst['to'][11:23]}, during {step}")
    return lines


def task_at(events: list[dict], at: float) -> str:
    """Return the task a run was at, or "" when it was not running then (seconds since the epoch)."""
    if not events or not events[0]["at"] <= at <= events[-1]["at"]:
        return ""
    return next((e["task"] for e in reversed(events) if e["event"] == "task" and e["at"] <= at), "its beginning")


def parse_time(text: str) -> float:
    """Return a time of the prober (RFC 3339, UTC, up to nanoseconds) in seconds since the epoch."""
    return datetime.datetime.fromisoformat(text[:19] + "+00:00").timestamp() + float("0" + text[19:].rstrip("Z") or 0)


def program(cluster: access.Cluster) -> str:
    """Return the prober's binary of the artifact cache."""
    return str(cluster.artifact("multimaster.test/prober/*/prober"))


def files(cluster: access.Cluster, name: str) -> tuple[Path, Path, Path]:
    """Return where a host prober keeps its process id, its progress and its result."""
    return (
        cluster.state / f"prober-{name}.pid",
        cluster.state / f"prober-{name}.progress",
        cluster.results / f"prober-{name}.json",
    )


def start_on_machine(cluster: access.Cluster, name: str) -> None:
    """Start a prober on this machine through the endpoint and wait until it measures."""
    pid, progress, result = files(cluster, name)
    for path in (progress, result):
        path.unlink(missing_ok=True)
    who = cluster.credentials
    with (cluster.results / f"prober-{name}.log").open("w") as log:
        process = subprocess.Popen(
            [program(cluster), "--server", who["server"], "--ca", who["ca"], "--cert", who["cert"], "--key", who["key"],
             "--namespace", NAMESPACE, "--duration", LONGEST, "--progress", str(progress), "--result", str(result)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    pid.write_text(str(process.pid))

    def measures() -> bool:
        if process.poll() is not None:
            raise SystemExit(f"the prober ended at once: {Path(log.name).read_text()}")
        return progress.exists() and json.loads(progress.read_text())["phase"] == "running"

    access.wait("the prober measures", measures, START_TIMEOUT)


def stop_on_machine(cluster: access.Cluster, name: str) -> dict:
    """Stop a prober of this machine and return its result."""
    pid, _progress, result = files(cluster, name)
    number = int(pid.read_text())
    if b"prober" not in Path(f"/proc/{number}/cmdline").read_bytes():
        raise SystemExit(f"process {number} is no prober: it died before it was stopped, so nothing was proven")
    os.kill(number, signal.SIGTERM)
    access.wait("the prober's result", result.exists, STOP_TIMEOUT)
    pid.unlink()
    return json.loads(result.read_text())


def pod_objects(image: str) -> list[dict]:
    """Return the prober's namespace, rights and pod."""

    def meta(name: str) -> dict:
        return {"name": name, "namespace": NAMESPACE}

    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "get", "list", "watch", "deletecollection"]}]
    container = {
        "name": "prober",
        "image": image,
        "imagePullPolicy": "Never",
        "args": ["--in-pod", *POD_INTERVALS],
    }
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta("prober")},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": meta("prober"), "rules": rules},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": meta("prober"),
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "prober"},
            "subjects": [{"kind": "ServiceAccount", **meta("prober")}],
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": meta("prober"),
            "spec": {"serviceAccountName": "prober", "restartPolicy": "Never", "containers": [container]},
        },
    ]


def pod_phase(cluster: access.Cluster) -> str:
    """Return the phase of the prober's pod."""
    return cluster.get(f"/api/v1/namespaces/{NAMESPACE}/pods/prober")["status"].get("phase", "")


def start_in_pod(cluster: access.Cluster) -> None:
    """Start the prober in a pod of a worker (or of the only node)."""
    archive = cluster.artifact("images/prober-*.tar")
    cluster.load_image(archive, access.image_reference(archive), cluster.nodes)
    cluster.delete(f"/api/v1/namespaces/{NAMESPACE}/pods/prober")
    cluster.apply(pod_objects(access.image_reference(archive)))
    access.wait("the prober's pod runs", lambda: pod_phase(cluster) == "Running", START_TIMEOUT)


def stop_in_pod(cluster: access.Cluster) -> dict:
    """Stop the prober of the pod and return its result, which is what its container printed last."""
    cluster.kubectl("exec", "-n", NAMESPACE, "prober", "--", "/prober", "stop")
    access.wait("the prober's pod has ended", lambda: pod_phase(cluster) in ("Succeeded", "Failed"), STOP_TIMEOUT)
    text = cluster.kubectl("logs", "-n", NAMESPACE, "prober")
    result = json.loads(text[text.index("{") : text.rindex("}") + 1])
    (cluster.results / "prober-pod.json").write_text(json.dumps(result, indent=1) + "\n")
    return result


def start(cluster: access.Cluster, options: argparse.Namespace) -> list[str]:
    """Start both probers."""
    cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}])
    start_on_machine(cluster, "machine")
    start_in_pod(cluster)
    return []


def stop(cluster: access.Cluster, options: argparse.Namespace) -> list[str]:
    """Stop both probers and judge their results."""
    found = []
    runs = {path.stem: play.read_events(path.read_text()) for path in sorted(cluster.results.glob("*.events"))}
    for name, result in (("machine", stop_on_machine(cluster, "machine")), ("pod", stop_in_pod(cluster))):
        print(f"prober on the {name}: {result['summary']}")
        found += [f"prober on the {name}: {line}" for line in problems(result, options.allow)]
        found += [f"prober on the {name}: {line}" for line in explain(result, runs)] if found else []
    return found


def control(cluster: access.Cluster, options: argparse.Namespace) -> list[str]:
    """Kill every API server at once instead of one after the other, drained: a prober that stays clean is blind."""
    cluster.apply([{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}])
    start_on_machine(cluster, "control")
    time.sleep(CONTROL_BEFORE)
    cluster.each(cluster.masters, lambda host: cluster.ssh(host, "systemctl kill --signal=SIGKILL kube-apiserver.service"))
    port = cluster.credentials["server"].rsplit(":", 1)[1]
    urls = [f"https://{cluster.addresses[host]}:{port}" for host in cluster.masters]
    time.sleep(CONTROL_AFTER)
    access.wait("all API servers are back", lambda: all(is_up(cluster, url) for url in urls), STOP_TIMEOUT)
    result = stop_on_machine(cluster, "control")
    print(f"negative control, {len(urls)} API servers killed at once: {result['summary']}")
    seen = failed_streams(result, options.allow)
    found = [f"negative control: no more {stream}s failed than are allowed" for stream in ("read", "write") if stream not in seen]
    found += ["negative control: acknowledged writes were lost"] if result["read_back"]["lost"] else []
    return found


def is_up(cluster: access.Cluster, url: str) -> bool:
    """Say whether an API server is ready by itself."""
    return cluster.request("GET", "/readyz", server=url)[0] == 200


def abandon(name: str) -> None:
    """Kill the probers a lab left on this machine, by the process ids they were started with."""
    for path in access.lab_tool.state_folder(name).glob("prober-*.pid"):
        number = int(path.read_text())
        with contextlib.suppress(OSError):
            if b"prober" in Path(f"/proc/{number}/cmdline").read_bytes():
                os.kill(number, signal.SIGKILL)
        path.unlink()


def parse_allowed(text: str) -> dict[str, float]:
    """Return the limits written as `percent=1,gap=600`."""
    found = {key: float(value) for key, value in (part.split("=") for part in text.split(",") if part)}
    if set(found) - set(LIMITS):
        raise ValueError(f"unknown limits in {text!r}; known are {', '.join(LIMITS)}")
    return found


def main(argv: list[str]) -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("lab")
    parser.add_argument("verb", choices=["start", "stop", "control", "abandon"])
    parser.add_argument("--allow", type=parse_allowed, default={}, metavar="percent=N,gap=MS", help="what is no fault")
    options = parser.parse_args(argv)
    if options.verb == "abandon":
        abandon(options.lab)
        return 0
    found = {"start": start, "stop": stop, "control": control}[options.verb](access.Cluster(options.lab), options)
    for line in found:
        print(f"NOT AS EXPECTED: {line}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
