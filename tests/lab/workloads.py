# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The objects the tests make in the cluster, and what their pods answer."""

from __future__ import annotations

import json
import shlex

import access

EVERYWHERE = [{"operator": "Exists"}]
PORT = 8080
CONTENT = {"from-secret": "the secret's content", "from-config-map": "the config map's content"}


class Workloads:
    """A DaemonSet behind a Service, a container whose probe fails, a secret that only one node may read."""

    def __init__(self, cluster, namespace: str, image: str):
        """Name the objects; nothing is made yet."""
        self.cluster, self.namespace, self.image = cluster, namespace, image
        self.lonely_node = (cluster.workers or cluster.masters)[0]

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

    def objects(self) -> list[dict]:
        """Return everything, in an order the API accepts."""
        projected = [
            {"secret": {"name": "given", "items": [{"key": "a", "path": "from-secret"}]}},
            {"configMap": {"name": "given", "items": [{"key": "a", "path": "from-config-map"}]}},
        ]
        probe = {"httpGet": {"path": "/hostname", "port": PORT}, "periodSeconds": 1}
        web = {
            "containers": [self._container(readinessProbe=probe, volumeMounts=[{"name": "given", "mountPath": "/given"}])],
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
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": self._meta("web"),
                "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": PORT}]},
            },
            self._set("DaemonSet", "web", web),
            self._set("Deployment", "lonely", lonely, replicas=1),
        ]

    def pods(self, app: str) -> list[dict]:
        """Return the pods of one app."""
        return self.cluster.get(self.path("api/v1", f"pods?labelSelector=app%3D{app}"))["items"]

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

    def service_address(self) -> str:
        """Return the Service's address."""
        return self.cluster.get(self.path("api/v1", "services/web"))["spec"]["clusterIP"]

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


def answer(line: str) -> str:
    """Return the host name in an answer of netexec, whether plain or as `dial` wraps it, or what came instead."""
    try:
        return (json.loads(line).get("responses") or [line])[0]
    except (ValueError, AttributeError):
        return line


def is_ready(pod: dict) -> bool:
    """Say whether a pod's Ready condition is true."""
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", []))
