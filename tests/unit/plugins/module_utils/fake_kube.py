# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Play a Kubernetes API that keeps objects: an opener whose answers have the shapes kube-apiserver 1.36.3 gave."""

from __future__ import annotations

import copy
import json
import re
from urllib.parse import parse_qs, urlsplit

from ansible_collections.multimaster.kubernetes.plugins.module_utils._https import Answer, TransportError


def status(code, reason, message):
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "reason": reason, "code": code}
    return Answer(code, json.dumps(body).encode())


LISTED = ("nodes", "configmaps", "v1", "pods", "daemonsets", "poddisruptionbudgets", "volumeattachments")


def merged(old, change):
    """Return a JSON merge patch applied (RFC 7386)."""
    if not isinstance(change, dict):
        return change
    result = dict(old) if isinstance(old, dict) else {}
    for key, value in change.items():
        result[key] = merged(result.get(key), value)
    return {key: value for key, value in result.items() if value is not None}


class FakeKube:
    """``down`` requests are refused before it answers; ``refusals`` are answered first, in order.

    ``evictions`` holds, by a pod's path, the answers to its next evictions; a pod whose eviction is accepted is gone.
    """

    def __init__(self):
        self.objects, self.asked, self.down, self.refusals, self.version = {}, [], 0, [], 100
        self.readyz = (200, "[+]ping ok\n[+]etcd ok\nreadyz check passed\n")
        self.allowed = True
        self.evictions = {}
        self.writes = []

    def picture(self):
        """Return what a check must leave as it is: the objects, and what was asked for that changes any, dry runs apart."""
        return copy.deepcopy((self.objects, self.writes))

    def __call__(self, method, url, body=None, headers=None, timeout=5.0):
        parts = urlsplit(url)
        query = {key: value[0] for key, value in parse_qs(parts.query).items()}
        self.asked.append((method, parts.path, query, headers.get("Content-Type")))
        sent = json.loads(body) if body else None
        reads = method == "GET" or parts.path.endswith("reviews") or "dryRun" in {**query, **(sent or {})}
        if not reads and not (headers.get("Content-Type") or "").startswith("application/apply-patch"):
            self.writes.append((method, parts.path))
        if self.down:
            self.down -= 1
            raise TransportError("https://m1:6443", "connection refused (nothing listens there)")
        if self.refusals:
            return status(*self.refusals.pop(0))
        if parts.path == "/readyz":
            return Answer(self.readyz[0], self.readyz[1].encode())
        if method == "PATCH" and "merge-patch" in headers["Content-Type"]:
            return self._merge(parts.path, sent)
        return self._answer(method, parts.path, query, sent)

    def _answer(self, method, path, query, body):
        found = self.objects.get(path)
        if method == "PUT" or (method == "POST" and path.endswith("/leases")):
            return self._write(method, path, body)
        if method == "POST" and path.endswith("/eviction"):
            return self._evict(path[: -len("/eviction")])
        if method == "POST":
            return Answer(201, json.dumps({**body, "status": {"allowed": self.allowed}}).encode())
        if method == "PATCH":
            return self._apply(path, found, body, "dryRun" in query)
        if method == "GET" and path.rsplit("/", 1)[-1] in LISTED:
            return self._list(path, query)
        if found is None:
            return status(404, "NotFound", f'"{path}" not found')
        wanted = (body or {}).get("preconditions") or {}
        if method == "DELETE" and {**found["metadata"], **wanted} != found["metadata"]:
            return status(409, "Conflict", "the ResourceVersion in the precondition does not match")
        if method == "DELETE" and not (body or {}).get("dryRun"):
            del self.objects[path]
        return Answer(200, json.dumps(found).encode())

    def _write(self, method, path, body):
        """Create by POST on the collection, or replace by PUT the version that the body carries."""
        metadata = body["metadata"]
        if method == "POST":
            path += "/" + metadata["name"]
            if path in self.objects:
                return status(409, "AlreadyExists", f'"{path}" already exists')
        elif self.objects.get(path, {"metadata": {}})["metadata"].get("resourceVersion") != metadata["resourceVersion"]:
            return status(409, "Conflict", "the object has been modified")
        self.version += 1
        kept = {"uid": f"uid-{self.version}", **metadata, "resourceVersion": str(self.version)}
        self.objects[path] = {**body, "metadata": kept}
        return Answer(201 if method == "POST" else 200, json.dumps(self.objects[path]).encode())

    def _apply(self, path, found, body, dry):
        merged = copy.deepcopy(found or {"metadata": {}})
        metadata = {**merged["metadata"], **body["metadata"]}
        merged = {**merged, **body, "metadata": metadata}
        if merged != found:
            if not dry:
                self.writes.append(("PATCH", path))
                self.version += 1
                metadata["resourceVersion"] = str(self.version)
                self.objects[path] = merged
            else:
                metadata["managedFields"] = [{"manager": "multimaster", "time": "now"}]
        return Answer(201 if found is None else 200, json.dumps(merged).encode())

    def _merge(self, path, change):
        if path not in self.objects:
            return status(404, "NotFound", f'"{path}" not found')
        self.objects[path] = merged(self.objects[path], change)
        return Answer(200, json.dumps(self.objects[path]).encode())

    def _evict(self, path):
        answers = self.evictions.get(path)
        if answers:
            return status(*answers.pop(0))
        if self.objects.pop(path, None) is None:
            return status(404, "NotFound", f'"{path}" not found')
        return Answer(201, json.dumps({"kind": "Status", "status": "Success"}).encode())

    def _list(self, path, query):
        if path == "/apis/scheduling.k8s.io/v1":
            resources = [
                {"name": "priorityclasses", "kind": "PriorityClass", "namespaced": False},
                {"name": "priorityclasses/status", "kind": "PriorityClass", "namespaced": False},
            ]
            return Answer(200, json.dumps({"kind": "APIResourceList", "resources": resources}).encode())
        # without a namespace a list is over all of them
        folder, _slash, plural = path.rpartition("/")
        inside = re.compile(f"{re.escape(folder)}(/namespaces/[^/]+)?/{plural}/[^/]+$")
        items = [obj for key, obj in sorted(self.objects.items()) if inside.match(key)]
        if query.get("fieldSelector", "").startswith("spec.nodeName="):
            items = [obj for obj in items if obj["spec"]["nodeName"] == query["fieldSelector"].split("=")[1]]
        start, limit = int(query.get("continue") or 0), int(query.get("limit", 1000))
        more = {"continue": str(start + limit)} if start + limit < len(items) else {}
        return Answer(200, json.dumps({"items": items[start : start + limit] or None, "metadata": more}).encode())


PODS = "/api/v1/namespaces/kube-system/pods/"
TIMED_OUT = status(504, "Timeout", "the server was unable to return a response in the time allotted")


class TwoZones(FakeKube):
    """Two nodes, two pods on one of them, and a scheduler that starts an evicted pod anew on `lands`; its answer may be lost."""

    lands, well, lost = "n2", "True", False

    def __init__(self):
        super().__init__()
        self.node("n1", "a")
        self.node("n2", "b")
        self.pod("p1", "n1")
        self.pod("p2", "n1")

    def node(self, name, zone):
        labels = {"topology.kubernetes.io/zone": zone}
        self.objects["/api/v1/nodes/" + name] = {
            "metadata": {"name": name, "labels": labels},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        }

    def pod(self, name, on, ready="True"):
        self.objects[PODS + name] = {
            "metadata": {"name": name, "namespace": "kube-system", "uid": f"uid-{name}"},
            "spec": {"nodeName": on},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}]},
        }

    def _evict(self, path):
        answer = super()._evict(path)
        if answer.status == 201:
            self.pod(f"new-{len(self.asked)}", self.lands, self.well)
        return TIMED_OUT if self.lost else answer


class Raced(FakeKube):
    """Before each write ``meanwhile`` may do something, once for each entry."""

    def __init__(self):
        super().__init__()
        self.meanwhile = []

    def __call__(self, method, *args):
        if method != "GET" and self.meanwhile:
            self.meanwhile.pop(0)()
        return super().__call__(method, *args)
