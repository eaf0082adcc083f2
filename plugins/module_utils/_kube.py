# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Talk to the Kubernetes API with a client certificate, by the standard library.

Solves: objects are applied server-side from hosts that have no client library, and errors name the request and the
server's own reason. Leaves out: watches (``wait_until`` polls), subresources beyond those used, any decision.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from urllib.parse import urlencode

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _kube_objects as objects
from ansible_collections.multimaster.kubernetes.plugins.module_utils._https import TransportError, https_opener

FIELD_MANAGER = "multimaster"
# seconds: longer than the API server's own work on any request used here, shorter than its 60 s request limit.
TIMEOUT = 15.0
# objects per page of a list
PAGE = 500
# seconds between two attempts while an API server starts
PAUSE = 0.5
# how a 404 begins that names a namespace an API server makes by itself after its first start
SYSTEM_NAMESPACES = ('namespaces "kube-', 'namespaces "default"')
# an API server that starts, stops, or is overloaded; anything else is an answer
TRANSIENT = (429, 500, 502, 503, 504)
# HTTP: this client is not known (its certificate has expired, say), or it has no right. A check may find either on a half-built
# cluster, where the run that is checked issues the certificate and binds the operators before it asks.
NOT_LET_IN = (401, 403)

# shared by the modules; the file names are those the collection gives a master
ARGUMENTS = {
    "server": {"type": "str", "default": "https://127.0.0.1:6443"},
    "ca": {"type": "path", "default": "/etc/kubernetes/pki/ca.crt"},
    "client_cert": {"type": "path", "default": "/etc/kubernetes/pki/operator.crt"},
    "client_key": {"type": "path", "default": "/etc/kubernetes/pki/operator.key", "no_log": False},
}


class KubeError(Exception):
    """What was asked, where, and what came back; ``next_step``: what to do about it.

    ``status`` and ``message``: of the server's answer, None and "" where there was none.
    """

    status, message = None, ""
    next_step = "health.yml says whether the API is well; then run the same again"

    def __init__(self, asked, where, came_back):
        self.asked, self.where, self.came_back = asked, where, came_back
        super().__init__(f"Kubernetes API at {where}, asked for {asked}: {came_back}")


class KubeUnreachable(KubeError):
    """No answer: nothing listens, no answer in time, or TLS failed; ``unverified``: we did not accept its certificate."""

    next_step = (
        "`journalctl -u kube-apiserver -n 50` on the master that is asked says why, health.yml whether others serve; then run "
        "the same again"
    )

    def __init__(self, asked, where, came_back, unverified=False):
        super().__init__(asked, where, came_back)
        self.unverified = unverified


class KubeRefused(KubeError):
    """The server answered with an error; ``reason`` is its machine-readable word, such as Forbidden."""

    def __init__(self, asked, where, status, reason, message):
        super().__init__(asked, where, f"HTTP {status} {reason}: {message}")
        self.status, self.reason, self.message = status, reason, message
        if status == 401:
            self.next_step = "site.yml gives this client a certificate that the API server takes; then run the same again"
        elif status == 403 and self.by_authorizer:
            self.next_step = "site.yml gives this client its rights (role cluster_access); then run the same again"
        elif status not in TRANSIENT:
            self.next_step = "mend what the API server names, then run the same again"

    @property
    def by_authorizer(self):
        """Tell whether these are the authorizer's own words; admission refuses with 403 as well."""
        return 'User "' in self.message


class KubeNotYet(KubeError):
    """Something did not come true in time."""

    def __init__(self, asked, where, came_back, next_step=""):
        super().__init__(asked, where, came_back)
        self.next_step = next_step or self.next_step


def transient(error):
    """Tell whether the same request may succeed when asked again: the server starts, or its namespace is being made."""
    if isinstance(error, KubeRefused):
        # the API server makes these namespaces itself, a moment after it becomes ready
        being_made = error.status == 404 and error.message.startswith(SYSTEM_NAMESPACES)
        return error.status in TRANSIENT or error.status == 409 or being_made
    return isinstance(error, KubeUnreachable)


def conflict(error):
    """Tell whether somebody else was faster: the object exists already, or is no longer the one that was read."""
    return isinstance(error, KubeRefused) and error.status == 409


class Kube:
    """One API server; ``opener`` comes from ``_https.https_opener``, ``retry_seconds`` bounds the patience per call."""

    def __init__(self, server, opener, retry_seconds=0.0, timeout=TIMEOUT, clock=time.monotonic, sleep=time.sleep):
        self.server, self._opener, self._timeout = server.rstrip("/"), opener, timeout
        self._retry_seconds, self._clock, self._sleep = retry_seconds, clock, sleep
        self._discovered = dict(objects.KINDS)
        self._warn, self._not_let_in = None, ()

    @classmethod
    def from_arguments(cls, params, retry_seconds=0.0, check=False, warn=None, not_let_in=NOT_LET_IN):
        """Build a client from the parameters of ARGUMENTS; one for check mode waits for nobody.

        With ``warn(text)`` a check also goes on where it is ``not_let_in``, by HTTP status, and tells that.
        """
        opener = https_opener(params["ca"], params["client_cert"], params["client_key"], check)
        made = cls(params["server"], opener, 0.0 if check else retry_seconds)
        made._warn, made._not_let_in = warn, not_let_in if check and warn else ()
        return made

    def foreseen(self, error):
        """Tell whether a check goes on after this error, since the run that is checked mends it before it asks.

        Nobody answers yet, or this client is not let in yet; of the latter it warns, as there it may be another cause too.
        """
        if isinstance(error, KubeRefused) and error.status in self._not_let_in and (error.status == 401 or error.by_authorizer):
            self._warn(
                f"Kubernetes API at {self.server} does not let this client in (HTTP {error.status} {error.reason}), so this "
                "check says nothing of what is there. Next: nothing when this is site.yml, which gives this client its "
                "certificate and its rights before it asks; otherwise run site.yml first"
            )
            return True
        return isinstance(error, KubeUnreachable)

    def at(self, server):
        """Return a client like this one for another API server."""
        return Kube(server, self._opener, self._retry_seconds, self._timeout, self._clock, self._sleep)

    def _once(self, method, path, body, content_type):
        headers = {"Accept": "application/json"}
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), content_type
        asked = f"{method} {path}"
        try:
            answer = self._opener(method, self.server + path, data, headers, self._timeout)
        except TransportError as error:
            raise KubeUnreachable(asked, self.server, error.cause, error.unverified) from error
        text = answer.body.decode("utf-8", "replace")
        if answer.status >= 400:
            raise KubeRefused(asked, self.server, answer.status, *_reason(text))
        return text

    def request(self, method, path, body=None, content_type="application/json", optimistic=False):
        """Return the answer's text; asked again for ``retry_seconds`` while the failure is transient.

        With ``optimistic`` a conflict is an answer: whoever asks reads again and judges again.
        """
        deadline = self._clock() + self._retry_seconds
        while True:
            try:
                return self._once(method, path, body, content_type)
            except KubeError as error:
                if not transient(error) or (optimistic and conflict(error)) or self._clock() >= deadline:
                    raise
            self._sleep(PAUSE)

    def _json(self, *args, **kwargs):
        text = self.request(*args, **kwargs)
        try:
            return json.loads(text)
        except ValueError as error:
            raise KubeError(" ".join(args[:2]), self.server, f"not JSON: {text[:80]!r}") from error

    def _kind(self, api_version, kind):
        """Return (plural, namespaced), asking the server once for a kind that is not in the table."""
        if (api_version, kind) not in self._discovered:
            path = objects.group_path(api_version)
            for one in self._json("GET", path).get("resources", ()):
                if "/" not in one["name"]:
                    self._discovered.setdefault((api_version, one["kind"]), (one["name"], one["namespaced"]))
            if (api_version, kind) not in self._discovered:
                raise KubeError(f"kind {kind} of {api_version}", self.server, "this API server does not know it")
        return self._discovered[(api_version, kind)]

    def _path(self, api_version, kind, name=None, namespace=None):
        plural, namespaced = self._kind(api_version, kind)
        if namespaced and name is not None:
            namespace = namespace or "default"
        return objects.resource_path(api_version, plural, namespaced, name, namespace)

    def get(self, api_version, kind, name, namespace=None):
        """Return one object, or None when there is none."""
        try:
            return self._json("GET", self._path(api_version, kind, name, namespace))
        except KubeRefused as error:
            if error.status == 404:
                return None
            raise

    def list(self, api_version, kind, namespace=None, selector=None, fields=None):
        """Return all objects of a kind (of all namespaces when none is given), page by page."""
        path, found, token = self._path(api_version, kind, None, namespace), [], ""
        while True:
            query = {"limit": PAGE, "continue": token, "labelSelector": selector or "", "fieldSelector": fields or ""}
            answer = self._json("GET", path + "?" + urlencode({k: v for k, v in query.items() if v}))
            found += answer.get("items") or []
            token = answer.get("metadata", {}).get("continue", "")
            if not token:
                return found

    def apply(self, obj, dry_run=False):
        """Apply one object server-side, taking over fields others own, and return the result."""
        api_version, kind, namespace, name = objects.identity(obj)
        query = {"fieldManager": FIELD_MANAGER, "force": "true", **({"dryRun": "All"} if dry_run else {})}
        path = self._path(api_version, kind, name, namespace) + "?" + urlencode(query)
        # JSON is YAML: the server wants this content type for server-side apply.
        return self._json("PATCH", path, obj, "application/apply-patch+yaml")

    def create(self, obj, path=None, optimistic=False):
        """Post one object (or a subresource by its path) and return the answer."""
        if path is None:
            plural, namespaced = self._kind(obj["apiVersion"], obj["kind"])
            namespace = (obj.get("metadata") or {}).get("namespace") or "default"
            path = objects.resource_path(obj["apiVersion"], plural, namespaced, None, namespace)
        return self._json("POST", path, obj, optimistic=optimistic)

    def replace(self, obj):
        """Put one object in the place of the version that was read, which it carries, and return it; a conflict is raised."""
        api_version, kind, namespace, name = objects.identity(obj)
        path = self._path(api_version, kind, name, namespace) + "?" + urlencode({"fieldManager": FIELD_MANAGER})
        return self._json("PUT", path, obj, optimistic=True)

    def merge(self, api_version, kind, name, change, namespace=None):
        """Change some fields of one object (JSON merge patch) and return it."""
        path = self._path(api_version, kind, name, namespace) + "?" + urlencode({"fieldManager": FIELD_MANAGER})
        return self._json("PATCH", path, change, "application/merge-patch+json")

    def delete(self, api_version, kind, name, namespace=None, dry_run=False, only=None):
        """Delete one object and return whether it was there; with ``only``, an object as read, a newer one is a conflict."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if dry_run:
            options["dryRun"] = ["All"]
        if only:
            options["preconditions"] = {key: only["metadata"][key] for key in ("uid", "resourceVersion")}
        try:
            self.request("DELETE", self._path(api_version, kind, name, namespace), options, optimistic=bool(only))
        except KubeRefused as error:
            if error.status == 404:
                return False
            raise
        return True

    def evict(self, name, namespace, uid):
        """Ask once for one pod's eviction: a 429 is the answer of a disruption budget, so the caller asks again, not this.

        The uid keeps a pod of the same name safe that was made meanwhile (HTTP 409).
        """
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": namespace}}
        body["deleteOptions"] = {"preconditions": {"uid": uid}}
        self._once("POST", self._path("v1", "Pod", name, namespace) + "/eviction", body, "application/json")

    def delete_at_once(self, name, namespace, uid):
        """Ask once to delete one pod without waiting for its kubelet: only for a host that is gone."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
        self._once("DELETE", self._path("v1", "Pod", name, namespace), options, "application/json")

    def readyz(self):
        """Return (ready, {check: passed}) of this API server's own /readyz."""
        try:
            return True, objects.readyz_checks(self._once("GET", "/readyz?verbose", None, None))
        except KubeRefused as error:
            if not error.message.startswith("["):
                raise
            return False, objects.readyz_checks(error.message)

    def may_do_anything(self):
        """Tell whether this client may do every verb on every resource (SelfSubjectAccessReview)."""
        kind = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
        spec = {"resourceAttributes": {"verb": "*", "group": "*", "resource": "*"}}
        return bool(self.create({**kind, "spec": spec}).get("status", {}).get("allowed", False))

    def wait_until(self, what, question, seconds, next_step=""):
        """Poll ``question() -> (true, what is missing)`` for at most ``seconds``; raise KubeNotYet with what to do then."""
        deadline = self._clock() + seconds
        while True:
            try:
                come_true, missing = question()
                helps = next_step
            except KubeError as error:
                if not transient(error):
                    raise
                come_true, missing, helps = False, str(error), error.next_step
            if come_true:
                return
            if self._clock() >= deadline:
                raise KubeNotYet(what, self.server, f"not within {seconds:g} s: {missing}", helps)
            self._sleep(PAUSE)


def _reason(text):
    """Return (reason, message) of an error answer, which is a Status object or plain text."""
    try:
        status = json.loads(text)
        return status.get("reason", ""), status.get("message", text)
    except (ValueError, AttributeError):
        return "", text.strip()


@dataclass(frozen=True)
class Done:
    """What became of one object: ``result`` is created, changed, deleted, unchanged or absent."""

    title: str
    result: str
    before: dict | None = None
    after: dict | None = None

    @property
    def changed(self):
        return self.result in ("created", "changed", "deleted")

    def diff(self):
        """Return Ansible's diff of it, without Secret values."""
        return {
            "before_header": self.title,
            "after_header": self.title,
            "before": objects.shown(self.before),
            "after": objects.shown(self.after),
        }


def look(kube, check, *which):
    """Return an object or None; in check mode None also where nobody answers, or lets this client in, yet."""
    try:
        return kube.get(*which)
    except KubeError as error:
        if not (check and kube.foreseen(error)):
            raise
        return None


def ensure_present(kube, obj, check=False):
    """Apply one object, or ask for a dry run of it in check mode.

    A dry run may lack a namespace, a whole API server, or the right to ask it, that is only going to be made: then the object
    counts as created.
    """
    api_version, kind, namespace, name = objects.identity(obj)
    before = None
    try:
        before = kube.get(api_version, kind, name, namespace)
        after = kube.apply(obj, dry_run=check)
    except KubeError as error:
        if not (check and (getattr(error, "status", None) == 404 or kube.foreseen(error))):
            raise
        after = obj
    if before is None:
        result = "created"
    else:
        result = "unchanged" if objects.essence(before) == objects.essence(after) else "changed"
    return Done(objects.title(obj), result, before, after)


def ensure_absent(kube, obj, check=False):
    """Delete one object, or only look whether it is there in check mode."""
    api_version, kind, namespace, name = objects.identity(obj)
    before = look(kube, check, api_version, kind, name, namespace)
    if before is None:
        return Done(objects.title(obj), "absent")
    kube.delete(api_version, kind, name, namespace, dry_run=check)
    return Done(objects.title(obj), "deleted", before)


def wait_ready(kube, obj, seconds):
    """Wait until an applied object is ready; raise KubeNotYet."""

    def question():
        api_version, kind, namespace, name = objects.identity(obj)
        found = kube.get(api_version, kind, name, namespace)
        return objects.readiness(found) if found else (False, "it is gone")

    kube.wait_until(f"{objects.title(obj)} to be ready", question, seconds, objects.look_at(obj))


def wait_absent(kube, obj, seconds):
    """Wait until a deleted object is gone; raise KubeNotYet."""

    def question():
        api_version, kind, namespace, name = objects.identity(obj)
        found = kube.get(api_version, kind, name, namespace)
        return found is None, "it is still there, finalizers {}".format((found or {}).get("metadata", {}).get("finalizers", []))

    kube.wait_until(f"{objects.title(obj)} to be gone", question, seconds, objects.look_at(obj))
