# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of one readiness probe, against real sockets on loopback."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _https, _ready
from file_server import FileServer


@pytest.fixture
def server():
    with FileServer() as serving:
        serving.files["/readyz"] = b"ok"
        yield serving


def test_any_2xx_is_ready(server):
    assert _ready.probe({"url": server.url + "/readyz"}) == (True, "HTTP 200 OK: ok")


@pytest.mark.parametrize("status", [500, 503, 404, 301, 401])
def test_any_other_answer_is_not(server, status):
    server.failures["/readyz"] = [status]
    ready, said = _ready.probe({"url": server.url + "/readyz"})
    assert not ready and said.startswith(f"HTTP {status}")


def test_a_closed_port_is_not_ready_and_says_so():
    for question in ({"url": "http://127.0.0.1:9/"}, {"tcp": "127.0.0.1:9"}):
        ready, said = _ready.probe(question)
        assert not ready and "refused" in said


def test_an_open_port_is_ready(server):
    assert _ready.probe({"tcp": server.url.replace("http://", "")})[0]


def test_nothing_to_ask_is_ready():
    assert _ready.probe({})[0] and _ready.target({}) == ""


def test_proxies_are_not_asked(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert _ready.probe({"url": server.url + "/readyz"})[0]


def test_a_server_without_tls_is_not_ready_over_https(server):
    ready, said = _ready.probe({"url": server.url.replace("http", "https") + "/readyz", "insecure": True})
    assert not ready and "SSL" in said


def test_unusable_files_are_an_error():
    with pytest.raises(_https.CredentialsError, match=r"/nowhere/ca\.crt"):
        _ready.probe({"url": "https://127.0.0.1:9/", "ca": "/nowhere/ca.crt"})


def test_the_question_is_said_in_words():
    assert _ready.target({"url": "https://x/readyz"}) == "GET https://x/readyz"
    assert _ready.target({"tcp": "x:1"}) == "TCP connect to x:1"
