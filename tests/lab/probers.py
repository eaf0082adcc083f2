# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start and stop one prober: on this machine, in a pod, or on a host of the lab.

The one on a host asks a user's workload by its Service's address, as another machine of the cluster does. It is a process
of systemd and no pod, so that draining a node never ends the measurement. Judging the results is left to probe.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
from pathlib import Path

import access

NAMESPACE = "multimaster-prober"
NAMESPACE_OBJECT = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
POD_INTERVALS = ("--read-interval", "50ms", "--write-interval", "200ms")  # each of its reads costs two DNS questions too
WORKLOAD_INTERVAL = ("--read-interval", "50ms")
# The lab's clusters are thrown away; deleting each object took half a minute and more on a busy machine.
KEEP = ("--keep",)
LONGEST = "3h"  # a prober nobody stops ends by itself
START_TIMEOUT, STOP_TIMEOUT = 60, 180  # seconds
HOST_UNIT = "multimaster-prober"
HOST_FOLDER = f"/var/lib/{HOST_UNIT}"  # neither /run nor /tmp: programs may be forbidden there


def program(cluster: access.Cluster) -> Path:
    """Return the prober's binary of the artifact cache."""
    return cluster.artifact("multimaster.test/prober/*/prober")


def files(cluster: access.Cluster, name: str) -> tuple[Path, Path, Path]:
    """Return where a host prober keeps its process id, its progress and its result."""
    return (
        cluster.state / f"prober-{name}.pid",
        cluster.state / f"prober-{name}.progress",
        cluster.results / f"prober-{name}.json",
    )


def start_on_machine(cluster: access.Cluster, name: str) -> None:
    """Start a prober on this machine through the endpoint and wait until it measures."""
    cluster.apply([NAMESPACE_OBJECT])
    pid, progress, result = files(cluster, name)
    for path in (progress, result):
        path.unlink(missing_ok=True)
    who = cluster.credentials
    with (cluster.results / f"prober-{name}.log").open("w") as log:
        process = subprocess.Popen(
            [str(program(cluster)), "--server", who["server"], "--ca", who["ca"], "--cert", who["cert"], "--key", who["key"],
             "--namespace", NAMESPACE, "--duration", LONGEST, *KEEP, "--progress", str(progress), "--result", str(result)],
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

    rules = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "get", "list", "watch", "delete"]}]
    container = {
        "name": "prober",
        "image": image,
        "imagePullPolicy": "Never",
        "args": ["--in-pod", *KEEP, *POD_INTERVALS],
    }
    return [
        NAMESPACE_OBJECT,
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
    pod_marker(cluster).touch()


def pod_marker(cluster: access.Cluster) -> Path:
    """Return the file that says that a prober runs in a pod."""
    return cluster.state / "prober-pod.started"


def result_in(text: str) -> dict:
    """Return the result in what a prober printed; its last words to people may stand between the result's lines."""
    lines = [line for line in text.splitlines() if not line.startswith("prober: ")]
    whole = "\n".join(lines)
    return json.loads(whole[whole.index("{") : whole.rindex("}") + 1])


def stop_in_pod(cluster: access.Cluster) -> dict:
    """Stop the prober of the pod and return its result, which is what its container printed last."""
    cluster.kubectl("exec", "-n", NAMESPACE, "prober", "--", "/prober", "stop")
    access.wait("the prober's pod has ended", lambda: pod_phase(cluster) in ("Succeeded", "Failed"), STOP_TIMEOUT)
    result = result_in(cluster.kubectl("logs", "-n", NAMESPACE, "prober"))
    pod_marker(cluster).unlink(missing_ok=True)
    (cluster.results / "prober-pod.json").write_text(json.dumps(result, indent=1) + "\n")
    return result


def marker(cluster: access.Cluster) -> Path:
    """Return the file that names the host on which a prober asks a workload."""
    return cluster.state / "prober-workload.host"


def host_command(url: str, binary: str) -> str:
    """Return the shell command that fetches the prober on a host and starts it there; url is what it asks."""
    prober = [
        f"{HOST_FOLDER}/prober", "--workload", url, *WORKLOAD_INTERVAL, "--duration", LONGEST,
        "--progress", f"{HOST_FOLDER}/progress.json", "--result", f"{HOST_FOLDER}/result.json",
    ]  # fmt: skip
    return (
        f"mkdir {HOST_FOLDER} && curl -sSf -o {HOST_FOLDER}/prober {shlex.quote(binary)} && chmod 0755 {HOST_FOLDER}/prober && "
        f"systemd-run --quiet --collect --unit={HOST_UNIT} {shlex.join(prober)}"
    )


def choose_host(cluster: access.Cluster, host: str) -> None:
    """Note on which host the prober of a workload runs, before there is anything that would have to be ended."""
    if marker(cluster).exists():
        already = marker(cluster).read_text()
        raise SystemExit(f"a prober on {already} already asks a workload of {cluster.name}: stop or abandon it first")
    marker(cluster).write_text(host)


def start_on_host(cluster: access.Cluster, url: str) -> None:
    """Start a prober of a workload on the chosen host of the lab and wait until it measures."""
    host = marker(cluster).read_text()
    cluster.ssh(host, host_command(url, cluster.artifact_url(program(cluster))))

    def measures() -> bool:
        if cluster.ssh(host, f"systemctl is-active {HOST_UNIT}", check=False).strip() != "active":
            raise SystemExit(f"the prober on {host} ended at once: {host_log(cluster, host)}")
        told = cluster.ssh(host, f"cat {HOST_FOLDER}/progress.json", check=False)
        return bool(told) and json.loads(told)["phase"] == "running"

    access.wait(f"the prober on {host} measures", measures, START_TIMEOUT)


def stop_on_host(cluster: access.Cluster, name: str) -> dict:
    """Stop the prober of a workload and return its result, kept under the name."""
    host = marker(cluster).read_text()
    command = f"systemctl is-active --quiet {HOST_UNIT} && systemctl stop {HOST_UNIT} && cat {HOST_FOLDER}/result.json"
    text = cluster.ssh(host, command, check=False, timeout=STOP_TIMEOUT)
    if not text:
        log = host_log(cluster, host)
        raise SystemExit(f"the prober on {host} died before it was stopped, so nothing was proven; it said: {log}")
    result = json.loads(text)
    (cluster.results / f"prober-{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    cluster.ssh(host, f"rm -rf {HOST_FOLDER}")
    marker(cluster).unlink()
    return result


def host_log(cluster: access.Cluster, host: str) -> str:
    """Return what a host's prober said last."""
    return cluster.ssh(host, f"journalctl --unit={HOST_UNIT} --lines=5 --no-pager --output=cat", check=False).strip()


def abandon_on_machine(name: str) -> None:
    """Kill the probers a lab left on this machine, by the process ids they were started with."""
    for path in access.lab_tool.state_folder(name).glob("prober-*.pid"):
        number = int(path.read_text())
        with contextlib.suppress(OSError):
            if b"prober" in Path(f"/proc/{number}/cmdline").read_bytes():
                os.kill(number, signal.SIGKILL)
        path.unlink()


def abandon_on_host(cluster: access.Cluster) -> None:
    """Kill the prober of a workload and forget it, whether or not its host still answers."""
    host = marker(cluster).read_text()
    with contextlib.suppress(access.AccessError, OSError, KeyError, subprocess.TimeoutExpired):
        cluster.ssh(host, f"systemctl kill --signal=SIGKILL {HOST_UNIT}; rm -rf {HOST_FOLDER}", check=False, timeout=20)
    marker(cluster).unlink()
