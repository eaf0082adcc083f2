# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects the tests make in the cluster, and what their pods answer."""

from __future__ import annotations

import json
import shlex
import time

import access

EVERYWHERE = [{"operator": "Exists"}]
PORT = 8080
READY = {"httpGet": {"path": "/hostname", "port": PORT}, "periodSeconds": 1}
REPLICAS = 2  # of the web server that a PodDisruptionBudget guards: one may go while the other serves
# A pod that is to end serves on for so long: kube-proxy has heard of it on every node before its server stops.
LEAVE_SECONDS, GRACE_SECONDS = 5, 10
AWAY_SECONDS = 2.0  # of the negative control: a pod that is made anew at once serves within half a second
GONE_TIMEOUT = 60  # seconds until pods with that grace are gone, on a machine that is busy with other things
CONTENT = {"from-secret": "the secret's content", "from-config-map": "the config map's content"}


class Objects:
    """Objects of one namespace, among them pods of the test server behind the Service `web`."""

    def __init__(self, cluster, namespace: str, image: str):
        """Name the objects; nothing is made yet."""
        self.cluster, self.namespace, self.image = cluster, namespace, image

    def path(self, group: str, rest: str) -> str:
        """Return the API path of a namespaced kind or object."""
        return f"/{group}/namespaces/{self.namespace}/{rest}"

    def _meta(self, name: str) -> dict:
        return {"name": name, "namespace": self.namespace}

    def _container(self, **more) -> dict:
        return {
            "name": "agnhost",
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "args": ["netexec", f"--http-port={PORT}", "--udp-port=-1"],
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
        } | more

    def _set(self, kind: str, name: str, pod: dict, **more) -> dict:
        labels = {"app": name}
        pod = {"terminationGracePeriodSeconds": 0, "tolerations": EVERYWHERE} | pod
        return {
            "apiVersion": "apps/v1",
            "kind": kind,
            "metadata": self._meta(name),
            "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": pod}} | more,
        }

    def _service(self) -> dict:
        spec = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": PORT}]}
        return {"apiVersion": "v1", "kind": "Service", "metadata": self._meta("web"), "spec": spec}

    def pods(self, app: str) -> list[dict]:
        """Return the pods of one app."""
        return self.cluster.get(self.path("api/v1", f"pods?labelSelector=app%3D{app}"))["items"]

    def service_address(self) -> str:
        """Return the Service's address."""
        return self.cluster.get(self.path("api/v1", "services/web"))["spec"]["clusterIP"]


class Workloads(Objects):
    """A DaemonSet behind a Service, a container whose probe fails, a secret that only one node may read."""

    def __init__(self, cluster, namespace: str, image: str):
        """Choose the node of the secret that only one may read."""
        super().__init__(cluster, namespace, image)
        self.lonely_node = (cluster.workers or cluster.masters)[0]

    def objects(self) -> list[dict]:
        """Return everything, in an order the API accepts."""
        projected = [
            {"secret": {"name": "given", "items": [{"key": "a", "path": "from-secret"}]}},
            {"configMap": {"name": "given", "items": [{"key": "a", "path": "from-config-map"}]}},
        ]
        web = {
            "containers": [self._container(readinessProbe=READY, volumeMounts=[{"name": "given", "mountPath": "/given"}])],
            "volumes": [{"name": "given", "projected": {"sources": projected}}],
        }
        # netexec's /healthz answers 412 for ever when it serves no UDP
        dying = {"httpGet": {"path": "/healthz", "port": PORT}, "periodSeconds": 1, "failureThreshold": 1}
        lonely = {
            "nodeSelector": {"kubernetes.io/hostname": self.lonely_node},
            "containers": [self._container(livenessProbe=dying, volumeMounts=[{"name": "own", "mountPath": "/own"}])],
            "volumes": [{"name": "own", "secret": {"secretName": "lonely"}}],
        }
        return [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}},
            {"apiVersion": "v1", "kind": "Secret", "metadata": self._meta("given"), "stringData": {"a": CONTENT["from-secret"]}},
            {"apiVersion": "v1", "kind": "Secret", "metadata": self._meta("lonely"), "stringData": {"a": "of one node"}},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": self._meta("given"), "data": {"a": CONTENT["from-config-map"]}},
            self._service(),
            self._set("DaemonSet", "web", web),
            self._set("Deployment", "lonely", lonely, replicas=1),
        ]

    def settled(self) -> bool:
        """Say whether a pod is ready on every node and the failing container has been restarted; raise with what is missing."""
        ready = {p["spec"]["nodeName"] for p in self.pods("web") if is_ready(p)}
        missing = sorted(set(self.cluster.nodes) - ready)
        restarts = self.restarts()
        if missing or not restarts:
            raise access.AccessError(f"no ready pod on {missing or 'no node'}, {restarts} restarts of the failing container")
        return True

    def restarts(self) -> int:
        """Return how often the container with the failing probe was restarted."""
        return sum(s["restartCount"] for p in self.pods("lonely") for s in p["status"].get("containerStatuses", []))

    def on(self, node: str) -> dict:
        """Return the web pod of a node."""
        return next(p for p in self.pods("web") if p["spec"].get("nodeName") == node)

    def reach(self, node: str) -> dict[str, str]:
        """Ask the Service from a node and, by its names, from the pod on that node; return {how: answer or error}."""
        pod = f"http://{self.on(node)['status']['podIP']}:{PORT}"
        dial = "dial?protocol=http&port=80&tries=1&request=hostname&host="
        urls = {
            "the node, by address": f"http://{self.service_address()}/hostname",
            "a pod, by short name": f"{pod}/{dial}web",
            "a pod, by full name": f"{pod}/{dial}web.{self.namespace}.svc.cluster.local",
        }
        # one connection for all; each answer ends in a line feed that no answer contains
        script = "; ".join(f"curl -sS --max-time 5 {shlex.quote(url)} 2>&1 | tr -d '\\n'; echo" for url in urls.values())
        lines = self.cluster.ssh(node, script, check=False).split("\n")
        return {how: answer(line) for how, line in zip(urls, lines)}


class GuardedWeb(Objects):
    """What a user runs who must not lose a request: a web server on two workers, a Service, a PodDisruptionBudget."""

    def objects(self) -> list[dict]:
        """Return everything, in an order the API accepts."""
        labels = {"matchLabels": {"app": "web"}}
        apart = {"weight": 100, "podAffinityTerm": {"labelSelector": labels, "topologyKey": "kubernetes.io/hostname"}}
        leave = {"preStop": {"sleep": {"seconds": LEAVE_SECONDS}}}
        web = {
            "tolerations": [],  # none that masters would need: it runs on workers
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [apart]}},
            "containers": [self._container(readinessProbe=READY, lifecycle=leave)],
        }
        return [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}},
            {
                "apiVersion": "policy/v1",
                "kind": "PodDisruptionBudget",
                "metadata": self._meta("web"),
                "spec": {"minAvailable": REPLICAS - 1, "selector": labels},
            },
            self._service(),
            self._set("Deployment", "web", web, replicas=REPLICAS),
        ]

    def settled(self, workers: int = REPLICAS) -> bool:
        """Say whether so many workers serve and the budget counts every pod; raise with what is missing.

        A pod that was drained away does not come back by itself: its place is only preferred, so that one worker can do.
        """
        serving = {pod["spec"]["nodeName"] for pod in self.pods("web") if serves(pod)}
        budget = self.cluster.get(self.path("apis/policy/v1", "poddisruptionbudgets/web")).get("status", {})
        if len(serving & set(self.cluster.workers)) < workers or budget.get("currentHealthy", 0) < REPLICAS:
            raise access.AccessError(
                f"the web server serves on {sorted(serving) or 'no node'} and has to on {workers} of the workers "
                f"{self.cluster.workers}; its PodDisruptionBudget counts {budget.get('currentHealthy', 0)} healthy pods"
            )
        return True

    def kill(self) -> None:
        """Take every pod away at once, without grace and past the PodDisruptionBudget, and give none back for a moment."""
        self._scale(0)
        self.cluster.delete(self.path("api/v1", "pods?labelSelector=app%3Dweb"))
        time.sleep(AWAY_SECONDS)
        self._scale(REPLICAS)

    def _scale(self, replicas: int) -> None:
        self.cluster.kubectl("scale", "--namespace", self.namespace, "deployment/web", f"--replicas={replicas}")

    def delete(self) -> None:
        """Delete everything but the namespace; the pods end when they have served out their grace."""
        for group, kind in (("apis/apps/v1", "deployments"), ("apis/policy/v1", "poddisruptionbudgets"), ("api/v1", "services")):
            self.cluster.delete(self.path(group, f"{kind}/web"))

    def remove(self) -> None:
        """Delete everything but the namespace and wait until no pod is left that a later Service would still find."""
        self.delete()
        access.wait("the web server's pods are gone", lambda: not self.pods("web"), GONE_TIMEOUT)


def answer(line: str) -> str:
    """Return the host name in an answer of netexec, whether plain or as `dial` wraps it, or what came instead."""
    try:
        return (json.loads(line).get("responses") or [line])[0]
    except (ValueError, AttributeError):
        return line


def is_ready(pod: dict) -> bool:
    """Say whether a pod's Ready condition is true."""
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))


def serves(pod: dict) -> bool:
    """Say whether a pod is ready and not about to end."""
    return is_ready(pod) and "deletionTimestamp" not in pod["metadata"]
