# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Approve kubelets' requests for serving certificates when the node asks for its own names and addresses only.

One of these processes runs on each master and talks to its own node's API server; a Lease decides which one acts. The
decisions are in `_csr.py` (approve or leave alone) and `_leader_election.py`, the reading of requests in `_pkcs10.py`;
they lie beside this file. Here is what talks. It never denies: what it leaves alone waits for a person, and the
reasons are in the journal.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import http.client
import ipaddress
import json
import os
import signal
import socket
import ssl
import sys
import threading
import time
import traceback
from urllib.parse import quote, urlencode, urlsplit

with contextlib.suppress(NameError):  # `python3 -I` leaves this program's folder off the path
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import _csr
import _leader_election as election
import _pkcs10

CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
NODES = "/api/v1/nodes"
LEASE, NAMESPACE = "multimaster-csr-approver", "kube-system"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
TIMEOUT = 5.0
#: Seconds a watch lasts, and the most its socket may be silent.
WATCH_SECONDS = 60
#: Seconds the list of all nodes may be old; it is only asked for when a request is judged.
NODES_SECONDS = 10.0
#: Seconds until what was left alone is judged again (a node's addresses may come later than its request), doubled each time.
AGAIN_SECONDS, AGAIN_MOST = 2.0, 60.0
#: Seconds between two rounds that end at once: an API server that stops ends every watch.
ROUND_PAUSE = 0.5
#: Characters kept and told of why a request is left alone: it may ask for thousands of names.
SAID_MOST = 2000
GONE = 410
WARNING, NOTICE = "<4>", "<5>"


class ApiError(Exception):
    """Tell what the API server was asked and what came back; status is 0 when nothing came."""

    def __init__(self, what, status, said):
        super().__init__(f"{what}: {status or 'no answer'}: {said}")
        self.status = status


def say(text, level=NOTICE):
    """Write one line to the journal."""
    print(level + text.replace("\n", " "), flush=True)


def ready(where):
    """Tell systemd that the credentials are good and work begins (sd_notify(3))."""
    if where:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"READY=1", "\0" + where[1:] if where.startswith("@") else where)


def connector(server, ca, cert, key):
    """Return a function that opens a connection to the API server; its argument is the timeout in seconds.

    The key is given as bytes and passes through memory of this process only, since OpenSSL wants a file.
    """
    where = urlsplit(server)
    context = ssl.create_default_context(cafile=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    with open(os.memfd_create("key"), "wb") as file:
        file.write(key)
        file.flush()
        context.load_cert_chain(cert, f"/proc/self/fd/{file.fileno()}")

    def connect(timeout):
        return http.client.HTTPSConnection(where.hostname, where.port or 443, timeout=timeout, context=context)

    return connect


class Api:
    """Ask the API server over one kept connection; a thread has its own."""

    def __init__(self, connect):
        self._connect, self._connection = connect, None

    def ask(self, method, path, body=None):
        """Return the answer as data; raise ApiError on any status but 200 and 201."""
        what = f"{method} {path}"
        for attempt in (1, 2):
            fresh = self._connection is None
            self._connection = self._connection or self._connect(TIMEOUT)
            try:
                data = None if body is None else json.dumps(body).encode()
                self._connection.request(method, path, body=data, headers={"Content-Type": "application/json"})
                answer = self._connection.getresponse()
                text = answer.read()
                break
            except (OSError, http.client.HTTPException) as error:
                self.close()
                # A kept connection may have been closed meanwhile; what may have arrived is not sent twice.
                if fresh or attempt == 2 or method != "GET":
                    raise ApiError(what, 0, error) from error
        return parse(what, answer.status, text)

    def watch(self, path, left=lambda: None):
        """Yield the events of a watch until the server ends it, or ``left()`` seconds are over; None is no such bound."""
        connection = self._connect(WATCH_SECONDS + TIMEOUT)
        try:
            connection.request("GET", path)
            sock, answer = connection.sock, connection.getresponse()
            if answer.status != 200:
                parse(f"GET {path}", answer.status, answer.read())
            while True:
                seconds = left()
                if seconds is not None:
                    if seconds <= 0:
                        return
                    sock.settimeout(seconds)
                try:
                    line = answer.readline()
                except socket.timeout:
                    if seconds is None:
                        raise
                    return
                if not line:
                    return
                yield json.loads(line)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ApiError(f"GET {path}", 0, error) from error
        finally:
            connection.close()

    def close(self):
        """Drop the connection."""
        if self._connection:
            self._connection.close()
        self._connection = None


def parse(what, status, text):
    """Return a successful answer as data; raise ApiError with the server's message otherwise."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise ApiError(what, status, text[:200]) from error
    if status not in (200, 201):
        raise ApiError(what, status, data.get("message", ""))
    return data


def stamp():
    """Return the time as a Lease's MicroTime."""
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Elector:
    """Hold the Lease, or wait for it."""

    def __init__(self, api, identity, clock=time.monotonic):
        self._api, self._clock = api, clock
        self._memory, self._lease = election.Election(identity), None

    def leads(self):
        """Return whether this process may act now."""
        return self._memory.leads(self._clock())

    def step(self):
        """Look at the Lease once and do what is due; a Lease that somebody else wrote meanwhile is his."""
        now = self._clock()
        try:
            self._lease = self._api.ask("GET", f"{LEASES}/{LEASE}")
        except ApiError as error:
            if error.status != 404:
                raise
            self._lease = None
        self._memory = self._memory.observe(election.record(self._lease), now)
        if self._memory.wants(now) != "wait":
            self._write(election.claim(self._lease, LEASE, NAMESPACE, self._memory.me, stamp()), now)

    def release(self):
        """Let go of the Lease, so that another takes it at once."""
        if self.leads():
            self._write(election.release(self._lease, stamp()), self._clock())

    def _write(self, lease, now):
        created = "resourceVersion" not in lease["metadata"]
        try:
            self._lease = self._api.ask("POST" if created else "PUT", LEASES if created else f"{LEASES}/{LEASE}", lease)
        except ApiError as error:
            if error.status != 409:
                raise
            return
        self._memory = self._memory.wrote(election.record(self._lease), now)


class Approver:
    """List and watch requests, judge each, approve or leave alone."""

    def __init__(self, api, leads, reserved=(), clock=time.monotonic, tell=say):
        self._api, self._leads, self._reserved = api, leads, frozenset(reserved)
        self._clock, self._tell = clock, tell
        self._nodes, self._nodes_at = (), -NODES_SECONDS
        self._left, self._pause = {}, AGAIN_SECONDS

    def round(self):
        """List all requests, then follow the watch until it ends, leadership is lost or something is to be judged again.

        What is left alone while the watch lasts is judged again as soon as what was listed would be.
        """
        selector = {"fieldSelector": f"spec.signerName={_csr.SIGNER}"}
        listed = self._api.ask("GET", f"{CSRS}?{urlencode(selector)}")
        before, self._left = self._left, {}
        for item in listed.get("items") or ():
            self.handle(item, before)
        self._pause = min(2 * self._pause, AGAIN_MOST) if self._left and self._left == before else AGAIN_SECONDS
        seconds = max(1, int(self._pause)) if self._left else WATCH_SECONDS
        query = {**selector, "watch": 1, "timeoutSeconds": seconds, "allowWatchBookmarks": "true"}
        version = listed["metadata"]["resourceVersion"]
        again = None

        def left():
            return None if again is None else again - self._clock()

        for event in self._api.watch(f"{CSRS}?{urlencode({**query, 'resourceVersion': version})}", left):
            item = event.get("object", {})
            if event.get("type") == "ERROR":
                if item.get("code") == GONE:
                    return  # too old a version: the next round lists again
                raise ApiError("watch", item.get("code", 0), item.get("message", ""))
            if not self._leads():
                return
            if event.get("type") in ("ADDED", "MODIFIED") and self.handle(item, self._left) and again is None:
                again, self._pause = self._clock() + AGAIN_SECONDS, AGAIN_SECONDS

    def handle(self, item, known):
        """Judge one request; say once why it is left alone, and return whether it is.

        Whoever may ask writes what stands in it, so whatever goes wrong with one is told of that one, and the others go on.
        """
        name, uid = item["metadata"]["name"], item["metadata"].get("uid", "")
        try:
            reasons = self._decide(item, name)
        except Exception as error:
            if isinstance(error, ApiError) and not error.status:
                raise  # nobody answers: that is not the request's doing
            reasons = (f"it cannot be judged: {type(error).__name__}: {error}",)
        if not reasons:
            return False
        said = "; ".join(reasons)[:SAID_MOST]
        if known.get(uid) != said:
            self._tell(f"left {name} alone: {said}", WARNING)
        self._left[uid] = said
        return True

    def _decide(self, item, name):
        """Approve one request when it is due; return the reasons for which it is left alone."""
        request = _csr.request_from_object(item)
        if request.decided or not self._leads():
            return ()
        node = self._node(request.node)
        others = [other for other in self._all_nodes() if other.name != request.node] if node else ()
        verdict = _csr.judge(request, _contents(request.pem), node, others, self._reserved)
        if not verdict.approve:
            return verdict.reasons
        self._approve(item, name, verdict.reasons[0])
        return ()

    def _approve(self, item, name, why):
        condition = {
            "type": "Approved",
            "status": "True",
            "reason": "NodeAsksForItself",
            "message": why,
            "lastUpdateTime": stamp()[:19] + "Z",
        }
        status = item.get("status") or {}
        changed = {**item, "status": {**status, "conditions": [*(status.get("conditions") or ()), condition]}}
        changed.setdefault("apiVersion", "certificates.k8s.io/v1")
        changed.setdefault("kind", "CertificateSigningRequest")
        try:
            self._api.ask("PUT", f"{CSRS}/{quote(name, safe='')}/approval", changed)
        except ApiError as error:
            if error.status not in (404, 409):  # gone, or changed meanwhile: its next event or list brings it again
                raise
            return
        self._tell(f"approved {name}: {why}")

    def _node(self, name):
        if not name:
            return None
        try:
            return _csr.node_from_object(self._api.ask("GET", f"{NODES}/{quote(name, safe='')}"))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def _all_nodes(self):
        if self._clock() - self._nodes_at >= NODES_SECONDS:
            items = self._api.ask("GET", NODES).get("items") or ()
            self._nodes, self._nodes_at = tuple(_csr.node_from_object(item) for item in items), self._clock()
        return self._nodes


def _contents(pem):
    """Return what a request asks for, or the text of why it cannot be read."""
    try:
        return _pkcs10.parse(pem)
    except _pkcs10.RequestError as error:
        return str(error)


def canonical(names):
    """Return names in lower case and addresses in canonical form, as requests carry them."""
    result = []
    for name in names:
        try:
            result.append(str(ipaddress.ip_address(name)))
        except ValueError:
            result.append(name.lower())
    return result


def follow(approver, leads, stop, tell=say):
    """Run rounds while this process leads, until stopped; trouble is told once and tried again."""
    last = ""
    while not stop.is_set():
        if not leads():
            stop.wait(0.5)
            continue
        try:
            approver.round()
            last = ""
            stop.wait(ROUND_PAUSE)
        except (ApiError, KeyError, TypeError) as error:
            if str(error) != last:
                tell(f"cannot look at requests, trying on: {error}", WARNING)
            last = str(error)
            stop.wait(2.0)


class Worker(threading.Thread):
    """Do the work beside the Lease, and have the process end when the work does.

    One that approves nothing and renews its Lease keeps all others from it; one that ends is started anew by systemd.
    """

    def __init__(self, work, stop, tell=say):
        super().__init__(daemon=True)
        self._work, self._stop_all, self._tell, self.failed = work, stop, tell, False

    def run(self):
        """Work; tell what it ended with, if it was not asked to."""
        try:
            self._work()
        except BaseException:
            self.failed = True
            self._tell(f"ends, since it cannot go on: {traceback.format_exc()}", WARNING)
        finally:
            self._stop_all.set()


def elect(elector, stop, tell=say):
    """Hold or seek the Lease until stopped, then let go of it."""
    led, last = False, ""
    while not stop.is_set():
        try:
            elector.step()
            last = ""
        except (ApiError, KeyError, TypeError) as error:
            if str(error) != last:
                tell(f"cannot look at the Lease, trying on: {error}", WARNING)
            last = str(error)
        if elector.leads() != led:
            led = not led
            tell("leads" if led else "leads no longer")
        stop.wait(election.RETRY_SECONDS)
    with contextlib.suppress(ApiError):
        elector.release()


def main():
    """Read the key, follow requests in a thread, hold the Lease in this one; return how the process ends."""
    parser = argparse.ArgumentParser(description=__doc__, epilog="The certificate's key comes by standard input.")
    parser.add_argument("--server", required=True, help="URL of this node's API server")
    parser.add_argument("--identity", required=True, help="this node's name in the Lease")
    parser.add_argument("--ca", required=True, help="file of the cluster's CA")
    parser.add_argument("--cert", required=True, help="file of the client certificate")
    parser.add_argument("--reserved", default="", help="names and addresses of the cluster itself, joined by commas")
    asked = parser.parse_args()
    connect = connector(asked.server, asked.ca, asked.cert, sys.stdin.buffer.read())
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    elector = Elector(Api(connect), asked.identity)
    approver = Approver(Api(connect), elector.leads, canonical(filter(None, asked.reserved.split(","))))
    worker = Worker(lambda: follow(approver, elector.leads, stop), stop)
    worker.start()
    ready(os.environ.get("NOTIFY_SOCKET"))
    elect(elector, stop)
    return int(worker.failed)


if __name__ == "__main__":
    sys.exit(main())
