# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start and stop one prober: on this machine, in a pod, or on a host of the lab.

Those on a host of the lab ask by a Service's address, where that host's kube-proxy sends them on: one a user's workload, one the
API, as pods of that host see it. They are processes of systemd and no pods, so that draining a node never ends the measurement.
Judging the results is left to probe.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import access

NAMESPACE = "multimaster-prober"
NAMESPACE_OBJECT = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
POD_INTERVALS = ("--read-interval", "50ms", "--write-interval", "200ms")  # each of its reads costs two DNS questions too
WORKLOAD_INTERVAL = ("--read-interval", "50ms")
IN_CLUSTER_INTERVALS = ("--read-interval", "40ms", "--write-interval", "200ms")  # half of what the one on this machine asks
# The lab's clusters are thrown away; deleting each object took half a minute and more on a busy machine.
KEEP = ("--keep",)
LONGEST = "3h"  # a prober nobody stops ends by itself
START_TIMEOUT, STOP_TIMEOUT = 60, 180  # seconds


@dataclass(frozen=True)
class OnHost:
    """A prober that runs on a host of the lab: its unit there, its name on this machine, and what it asks."""

    unit: str
    name: str
    asks: str

    @property
    def folder(self) -> str:
        """Return where it keeps its files: neither /run nor /tmp, where programs may be forbidden."""
        return f"/var/lib/{self.unit}"


WORKLOAD = OnHost("multimaster-prober", "workload", "a workload")
IN_CLUSTER = OnHost("multimaster-prober-in-cluster", "in-cluster", "the API in the cluster")
ON_HOSTS = (WORKLOAD, IN_CLUSTER)


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
        )  # fmt: skip  # an option beside its value
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


def marker(cluster: access.Cluster, which: OnHost) -> Path:
    """Return the file that names the host on which a prober runs."""
    return cluster.state / f"prober-{which.name}.host"


def host_command(which: OnHost, asking: list[str], binary: str) -> str:
    """Return the shell command that fetches the prober into its folder on a host and starts it there."""
    folder = which.folder
    prober = [
        f"{folder}/prober", *asking, "--duration", LONGEST,
        "--progress", f"{folder}/progress.json", "--result", f"{folder}/result.json",
    ]  # fmt: skip  # an option beside its value
    return (
        f"curl -sSf -o {folder}/prober {shlex.quote(binary)} && chmod 0755 {folder}/prober && "
        f"systemd-run --quiet --collect --unit={which.unit} --property=TimeoutStopSec={STOP_TIMEOUT - 20} {shlex.join(prober)}"
    )


def choose_host(cluster: access.Cluster, which: OnHost, host: str) -> None:
    """Note on which host a prober runs, before there is anything that would have to be ended."""
    if marker(cluster, which).exists():
        already = marker(cluster, which).read_text()
        raise SystemExit(f"a prober on {already} already asks {which.asks} of {cluster.name}: stop or abandon it first")
    marker(cluster, which).write_text(host)


def start_workload(cluster: access.Cluster, url: str) -> None:
    """Start the prober of a workload on the chosen host and wait until it measures."""
    start_on_host(cluster, WORKLOAD, ["--workload", url, *WORKLOAD_INTERVAL])


def start_in_cluster(cluster: access.Cluster, host: str) -> None:
    """Start a prober on a host that asks the API by the address of the Service `kubernetes`, and wait until it measures."""
    choose_host(cluster, IN_CLUSTER, host)
    cluster.apply([NAMESPACE_OBJECT])
    service = cluster.get("/api/v1/namespaces/default/services/kubernetes")["spec"]
    copies = {part: Path(cluster.credentials[part]).read_bytes() for part in ("ca", "cert", "key")}
    who = [word for part in copies for word in (f"--{part}", f"{IN_CLUSTER.folder}/{part}")]
    server = f"https://{service['clusterIP']}:{service['ports'][0]['port']}"
    start_on_host(cluster, IN_CLUSTER, ["--server", server, *who, "--namespace", NAMESPACE, *KEEP, *IN_CLUSTER_INTERVALS], copies)


def start_on_host(cluster: access.Cluster, which: OnHost, asking: list[str], copies: dict[str, bytes] | None = None) -> None:
    """Start a prober on the host that was chosen for it, beside copies of files, and wait until it measures."""
    host = marker(cluster, which).read_text()
    cluster.ssh(host, f"mkdir --mode=0700 {which.folder}")
    for name, content in (copies or {}).items():
        cluster.ssh(host, f"umask 077 && cat > {which.folder}/{name}", stdin=content)
    cluster.ssh(host, host_command(which, asking, cluster.artifact_url(program(cluster))))

    def measures() -> bool:
        if cluster.ssh(host, f"systemctl is-active {which.unit}", check=False).strip() != "active":
            raise SystemExit(f"the prober on {host} ended at once: {host_log(cluster, which, host)}")
        told = cluster.ssh(host, f"cat {which.folder}/progress.json", check=False)
        return bool(told) and json.loads(told)["phase"] == "running"

    access.wait(f"the prober on {host} measures", measures, START_TIMEOUT)


def stop_on_host(cluster: access.Cluster, which: OnHost, name: str) -> dict:
    """Stop a host's prober and return its result, kept under the name."""
    host = marker(cluster, which).read_text()
    command = f"systemctl is-active --quiet {which.unit} && systemctl stop {which.unit} && cat {which.folder}/result.json"
    text = cluster.ssh(host, command, check=False, timeout=STOP_TIMEOUT)
    if not text:
        log = host_log(cluster, which, host)
        raise SystemExit(f"the prober on {host} died before it was stopped, so nothing was proven; it said: {log}")
    result = json.loads(text)
    (cluster.results / f"prober-{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    cluster.ssh(host, f"rm -rf {which.folder}")
    marker(cluster, which).unlink()
    return result


def host_log(cluster: access.Cluster, which: OnHost, host: str) -> str:
    """Return what a host's prober said last."""
    return cluster.ssh(host, f"journalctl --unit={which.unit} --lines=5 --no-pager --output=cat", check=False).strip()


def abandon_on_machine(name: str) -> None:
    """Kill the probers a lab left on this machine, by the process ids they were started with."""
    for path in access.lab_tool.state_folder(name).glob("prober-*.pid"):
        number = int(path.read_text())
        with contextlib.suppress(OSError):
            if b"prober" in Path(f"/proc/{number}/cmdline").read_bytes():
                os.kill(number, signal.SIGKILL)
        path.unlink()


def abandon_on_host(cluster: access.Cluster, which: OnHost) -> None:
    """Kill a host's prober and forget it, whether or not its host still answers."""
    host = marker(cluster, which).read_text()
    with contextlib.suppress(access.AccessError, OSError, KeyError, subprocess.TimeoutExpired):
        cluster.ssh(host, f"systemctl kill --signal=SIGKILL {which.unit}; rm -rf {which.folder}", check=False, timeout=20)
    marker(cluster, which).unlink()
