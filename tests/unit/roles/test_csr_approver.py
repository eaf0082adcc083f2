# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the approver against an API server played over plain HTTP on loopback."""

from __future__ import annotations

import base64
import contextlib
import copy
import datetime
import http.client
import http.server
import importlib.util
import json
import pathlib
import socket
import ssl
import sys
import threading
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible_collections.multimaster.kubernetes.plugins import module_utils
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

UTILS = pathlib.Path(module_utils.__path__[0])
PROGRAM = UTILS.parents[1] / "roles/csr_approver/files/csr_approver.py"
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "plugins/module_utils"))

from csr_fixtures import key, pem


@pytest.fixture(scope="module")
def program():
    """Import the program as on a host: its decisions lie beside it."""
    sys.path.insert(0, str(UTILS))
    spec = importlib.util.spec_from_file_location("csr_approver", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(UTILS))


def node(name, *addresses):
    entries = [{"type": "Hostname", "address": name}, *({"type": "InternalIP", "address": a} for a in addresses)]
    return {"metadata": {"name": name}, "status": {"addresses": entries}}


def csr(name, request=None, username="system:node:w1", version="1", **spec):
    return {
        "metadata": {"name": name, "uid": name + "-uid", "resourceVersion": version},
        "spec": {
            "signerName": "kubernetes.io/kubelet-serving",
            "username": username,
            "groups": ["system:nodes", "system:authenticated"],
            "usages": ["digital signature", "server auth"],
            "request": base64.b64encode(request or pem()).decode(),
            **spec,
        },
    }


class Cluster:
    """Hold what the API server knows, and everything that was asked."""

    def __init__(self):
        self.nodes = {"w1": node("w1", "192.0.2.21"), "w2": node("w2", "192.0.2.22")}
        self.csrs, self.lease, self.version = {}, None, 10
        self.events, self.asked, self.bodies, self.fail = [], [], [], {}
        self.hold = None  # an event for which a watch goes on

    def answer(self, method, url, body):
        """Return (status, data or a list of watch events)."""
        path, query = urlsplit(url).path, parse_qs(urlsplit(url).query)
        self.asked.append((method, url))
        if (method, path) in self.fail:
            return self.fail[method, path], {"message": "no"}
        if path.endswith("/certificatesigningrequests"):
            if "watch" in query:
                return 200, list(self.events)
            return 200, {"metadata": {"resourceVersion": "10"}, "items": list(self.csrs.values())}
        if path.endswith("/approval"):
            self.bodies.append(body)
            self.csrs[body["metadata"]["name"]] = body
            return 200, body
        if path == "/api/v1/nodes":
            return 200, {"items": list(self.nodes.values())}
        if path.startswith("/api/v1/nodes/"):
            found = self.nodes.get(path.rsplit("/", 1)[1])
            return (200, found) if found else (404, {"message": "not found"})
        if method == "GET":
            return (200, self.lease) if self.lease else (404, {"message": "not found"})
        had = (self.lease or {"metadata": {}})["metadata"].get("resourceVersion")
        if body["metadata"].get("resourceVersion") != had:
            return 409, {"message": "conflict"}
        self.version += 1
        self.lease = copy.deepcopy(body)
        self.lease["metadata"]["resourceVersion"] = str(self.version)
        return (201 if method == "POST" else 200), self.lease


@pytest.fixture
def cluster(program):
    cluster = Cluster()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do(self):
            size = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(size)) if size else None
            status, data = cluster.answer(self.command, self.path, body)
            lines = data if isinstance(data, list) else [data]
            text = "".join(json.dumps(line) + "\n" for line in lines).encode()
            self.send_response(status)
            if cluster.hold and "watch=1" in self.path:
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                if text:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
                cluster.hold.wait(20)
                with contextlib.suppress(OSError):
                    self.wfile.write(b"0\r\n\r\n")
                return
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_PUT = do_POST = do

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    cluster.connect = lambda timeout: http.client.HTTPConnection(*server.server_address, timeout=timeout)
    cluster.api = program.Api(cluster.connect)
    cluster.told = []
    cluster.now = 100.0
    cluster.approver = program.Approver(
        cluster.api,
        lambda: cluster.now < 1000,
        ["192.0.2.10"],
        lambda: cluster.now,
        lambda text, level="": cluster.told.append(text),
    )
    yield cluster
    cluster.api.close()
    server.shutdown()
    server.server_close()


def test_a_listed_request_is_approved(cluster):
    asked = csr("csr-a")
    cluster.csrs = {"csr-a": asked}
    cluster.approver.round()
    (body,) = cluster.bodies
    (condition,) = body["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("Approved", "True", "NodeAsksForItself")
    assert body["spec"] == asked["spec"] and body["metadata"]["resourceVersion"] == "1"
    assert cluster.told == ["approved csr-a: node w1 asks for its own names and addresses"]
    cluster.approver.round()
    assert len(cluster.bodies) == 1


def test_a_watched_request_is_approved(cluster):
    cluster.events = [
        {"type": "BOOKMARK", "object": {}},
        {"type": "ADDED", "object": csr("csr-b")},
        {"type": "DELETED", "object": csr("csr-c")},
    ]
    cluster.approver.round()
    assert [body["metadata"]["name"] for body in cluster.bodies] == ["csr-b"]
    watch = parse_qs(urlsplit(cluster.asked[1][1]).query)
    assert watch["resourceVersion"] == ["10"] and watch["timeoutSeconds"] == ["60"]
    assert watch["fieldSelector"] == ["spec.signerName=kubernetes.io/kubelet-serving"]


def test_what_is_left_alone_is_told_once_and_judged_again_ever_later(cluster):
    cluster.csrs = {"csr-d": csr("csr-d", pem(addresses=("192.0.2.99",)))}
    pauses = []
    for _ in range(7):
        cluster.approver.round()
        pauses.append(int(parse_qs(urlsplit(cluster.asked[-1][1]).query)["timeoutSeconds"][0]))
    assert pauses == [2, 4, 8, 16, 32, 60, 60]
    assert cluster.told == ["left csr-d alone: the address 192.0.2.99 is not one of node w1"]
    cluster.nodes["w1"] = node("w1", "192.0.2.21", "192.0.2.99")
    cluster.approver.round()
    assert len(cluster.bodies) == 1


def test_a_node_that_is_not_there_yet(cluster):
    cluster.csrs = {"csr-e": csr("csr-e", username="system:node:w9")}
    cluster.approver.round()
    assert "there is no node 'w9'" in cluster.told[0]


def test_reserved_and_foreign_addresses_are_looked_up(cluster):
    cluster.nodes["w1"] = node("w1", "192.0.2.10", "192.0.2.22")
    cluster.csrs = {"csr-f": csr("csr-f", pem(addresses=("192.0.2.10", "192.0.2.22")))}
    cluster.approver.round()
    assert "192.0.2.10 belongs to the cluster" in cluster.told[0]
    assert "192.0.2.22 is claimed by node w2 too" in cluster.told[0]


def test_nobody_who_does_not_lead_approves(cluster):
    cluster.csrs = {"csr-g": csr("csr-g")}
    cluster.now = 1000.0
    cluster.approver.round()
    assert cluster.bodies == []


def test_a_version_too_old_lists_again_and_other_errors_are_raised(cluster, program):
    cluster.events = [{"type": "ERROR", "object": {"code": 410, "message": "too old"}}]
    cluster.approver.round()
    cluster.events = [{"type": "ERROR", "object": {"code": 500, "message": "broken"}}]
    with pytest.raises(program.ApiError, match="broken"):
        cluster.approver.round()


def test_a_conflict_is_left_to_the_next_event(cluster, program):
    cluster.csrs = {"csr-h": csr("csr-h")}
    where = ("PUT", "/apis/certificates.k8s.io/v1/certificatesigningrequests/csr-h/approval")
    cluster.fail = {where: 409}
    cluster.approver.round()
    assert cluster.told == []
    cluster.fail = {where: 403}
    cluster.approver.round()
    assert cluster.told == [f"left csr-h alone: it cannot be judged: ApiError: PUT {where[1]}: 403: no"]


def hostile():
    """Return a request with an attribute whose type is a number of 4,425 digits, as its signature allows."""

    def der(tag, value):
        size = len(value)
        length = bytes([size]) if size < 0x80 else b"\x82" + size.to_bytes(2, "big")
        return bytes([tag]) + length + value

    oid = der(0x06, b"\x81" + b"\xff" * 2100 + b"\x7f")
    attributes = der(0xA0, der(0x30, oid + der(0x31, der(0x30, b""))))
    info = der(0x30, der(2, b"\0") + der(0x30, b"") + der(0x30, b"") + attributes)
    text = base64.encodebytes(der(0x30, info + der(0x30, b"") + der(3, b"\0"))).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{text}-----END CERTIFICATE REQUEST-----\n".encode()


def broken(program, monkeypatch):
    """Have the reader fail over one request, as over something that nobody foresaw."""
    parse = program._pkcs10.parse

    def failing(data):
        if data == b"broken":
            raise RecursionError("too deep")
        return parse(data)

    monkeypatch.setattr(program._pkcs10, "parse", failing)


@pytest.mark.parametrize("watched", [False, True])
def test_no_request_keeps_others_from_their_certificates(cluster, program, monkeypatch, watched):
    broken(program, monkeypatch)
    requests = [csr("csr-1", hostile()), csr("csr-2", b"broken"), csr("csr-3")]
    if watched:
        cluster.events = [{"type": "ADDED", "object": one} for one in requests]
    else:
        cluster.csrs = {one["metadata"]["name"]: one for one in requests}
    for _ in range(3):
        cluster.approver.round()
    assert {body["metadata"]["name"] for body in cluster.bodies} == {"csr-3"}
    left = [text for text in cluster.told if text.startswith("left")]
    assert "left csr-2 alone: it cannot be judged: RecursionError: too deep" in left
    assert any(text.startswith("left csr-1 alone: ") and "a number of more than 128 bits" in text for text in left)
    assert len(left) == 2 or watched, "each is told once"


def test_a_request_that_the_api_server_refuses_keeps_no_other_waiting(cluster):
    """Its approval may be too large for etcd, since whoever asks may give it any number of labels."""
    cluster.csrs = {name: csr(name) for name in ("csr-1", "csr-2")}
    cluster.fail = {("PUT", "/apis/certificates.k8s.io/v1/certificatesigningrequests/csr-1/approval"): 500}
    cluster.approver.round()
    assert [body["metadata"]["name"] for body in cluster.bodies] == ["csr-2"]


def test_who_does_not_answer_is_no_requests_fault(cluster, program):
    cluster.csrs = {"csr-1": csr("csr-1")}
    approver = cluster.approver

    def silent(method, path, body=None):
        raise program.ApiError(f"{method} {path}", 0, "refused")

    cluster.api.ask = silent
    with pytest.raises(program.ApiError, match="no answer"):
        approver.handle(cluster.csrs["csr-1"], {})


def test_what_is_told_of_a_request_is_bounded(cluster, program):
    cluster.csrs = {"csr-1": csr("csr-1", pem(names=[f"n{number}.example" for number in range(300)]))}
    cluster.approver.round()
    (told,) = cluster.told
    assert len(told) == len("left csr-1 alone: ") + program.SAID_MOST


def test_what_is_left_alone_in_a_watch_is_judged_again_as_soon_as_what_was_listed(cluster, program, monkeypatch):
    """The watch goes on for a minute, and the node has its address a moment after its request."""
    monkeypatch.setattr(program, "AGAIN_SECONDS", 0.3)
    cluster.hold = threading.Event()
    asked = csr("csr-1", pem(addresses=("192.0.2.99",)))
    cluster.events = [{"type": "ADDED", "object": asked}, {"type": "ADDED", "object": csr("csr-2")}]
    approver = program.Approver(cluster.api, lambda: True, tell=lambda text, level="": cluster.told.append(text))
    began = time.monotonic()
    approver.round()
    assert 0.3 <= time.monotonic() - began < 10
    assert [body["metadata"]["name"] for body in cluster.bodies] == ["csr-2"], "what comes after it is judged meanwhile"
    cluster.hold.set()
    cluster.nodes["w1"] = node("w1", "192.0.2.21", "192.0.2.99")
    cluster.csrs["csr-1"], cluster.events = asked, []
    approver.round()
    assert [body["metadata"]["name"] for body in cluster.bodies] == ["csr-2", "csr-1"]


def test_a_watch_in_which_nothing_was_left_alone_lasts(cluster, program):
    cluster.hold = threading.Event()
    cluster.events = [{"type": "ADDED", "object": csr("csr-1")}]
    ending = threading.Timer(1.0, cluster.hold.set)
    ending.start()
    approver = program.Approver(cluster.api, lambda: True, tell=lambda text, level="": cluster.told.append(text))
    began = time.monotonic()
    approver.round()
    assert time.monotonic() - began >= 0.9


def test_a_server_that_falls_silent_in_a_watch_is_told(cluster, program, monkeypatch):
    monkeypatch.setattr(program, "WATCH_SECONDS", 0.3 - program.TIMEOUT)
    cluster.hold = threading.Event()
    with pytest.raises(program.ApiError, match="timed out"):
        list(cluster.api.watch(f"{program.CSRS}?watch=1"))
    cluster.hold.set()


@pytest.mark.parametrize("error", [ValueError("nobody foresaw it"), MemoryError()])
def test_the_process_ends_when_nobody_approves_any_more(program, error):
    """Otherwise it would go on renewing the Lease, and keep the other masters from approving."""
    told, stop = [], threading.Event()

    class Stub:
        def round(self):
            raise error

    worker = program.Worker(lambda: program.follow(Stub(), lambda: True, stop), stop, lambda text, level="": told.append(text))
    worker.start()
    worker.join(10)
    assert stop.is_set() and worker.failed
    (text,) = told
    assert text.startswith("ends, since it cannot go on: Traceback") and type(error).__name__ in text


def test_who_is_asked_to_stop_has_not_failed(program):
    stop = threading.Event()
    stop.set()
    worker = program.Worker(lambda: program.follow(None, lambda: True, stop), stop)
    worker.start()
    worker.join(10)
    assert not worker.failed


def test_election_create_renew_wait_take_release(cluster, program):
    first = program.Elector(cluster.api, "m1", lambda: cluster.now)
    second = program.Elector(program.Api(cluster.connect), "m2", lambda: cluster.now)
    first.step()
    assert first.leads() and cluster.lease["spec"]["holderIdentity"] == "m1"
    second.step()
    assert not second.leads()
    cluster.now += 8
    first.step()
    cluster.now += 8
    second.step()
    assert first.leads() and not second.leads()
    cluster.now += 16
    second.step()
    assert second.leads() and not first.leads()
    first.step()
    assert not first.leads()
    second.release()
    assert cluster.lease["spec"]["holderIdentity"] == ""
    first.step()
    assert first.leads() and cluster.lease["spec"]["leaseTransitions"] == 2


def test_a_lost_race_is_lost(cluster, program):
    elector = program.Elector(cluster.api, "m1", lambda: cluster.now)
    cluster.fail = {("POST", program.LEASES): 409}
    elector.step()
    assert not elector.leads()
    cluster.fail = {("POST", program.LEASES): 500}
    with pytest.raises(program.ApiError):
        elector.step()


def test_the_loops_tell_trouble_once_and_end(cluster, program):
    told, stop = [], threading.Event()
    rounds = iter([program.ApiError("x", 0, "refused")] * 2 + [None])

    class Stub:
        def round(self):
            trouble = next(rounds)
            if trouble is None:
                stop.set()
                return
            raise trouble

    waited = []
    stop.wait = waited.append
    program.follow(Stub(), lambda: True, stop, lambda text, level="": told.append(text))
    assert len(told) == 1 and waited == [2.0, 2.0, program.ROUND_PAUSE], (
        "a watch that ends at once is not asked for again at once"
    )

    stop = threading.Event()
    stop.wait = lambda _seconds: stop.set()
    elector = program.Elector(cluster.api, "m1", lambda: cluster.now)
    program.elect(elector, stop, lambda text, level="": told.append(text))
    assert told[1:] == ["leads"] and cluster.lease["spec"]["holderIdentity"] == ""


def test_no_answer_is_an_error_that_names_the_question(program):
    refused = program.Api(lambda timeout: http.client.HTTPConnection("127.0.0.1", 9, timeout=timeout))
    with pytest.raises(program.ApiError, match="GET /api/v1/nodes: no answer"):
        refused.ask("GET", "/api/v1/nodes")
    with pytest.raises(program.ApiError, match="502"):
        program.parse("GET /x", 502, b"<html>")


def test_reserved_names_are_canonical(program):
    assert program.canonical(["2001:DB8:0::1", "Kubernetes"]) == ["2001:db8::1", "kubernetes"]


def test_systemd_is_told(program, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        program.ready(str(tmp_path / "notify"))
        assert listener.recv(100) == b"READY=1"
    program.ready(None)


def test_the_key_comes_as_bytes(program, tmp_path):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "multimaster:csr-approver")])
    now = datetime.datetime(2026, 1, 1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key().public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(3650))
        .sign(key(), hashes.SHA256())
    )
    path = tmp_path / "cert"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = key().private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    connect = program.connector("https://192.0.2.11:6443", str(path), str(path), private)
    assert (connect(1.0).host, connect(1.0).port) == ("192.0.2.11", 6443)
    with pytest.raises(ssl.SSLError):
        program.connector("https://192.0.2.11:6443", str(path), str(path), b"")
