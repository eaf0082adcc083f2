# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the program that holds the endpoint address in the direct state, keepalived's check of HAProxy, and what both wait for."""

from __future__ import annotations

import http.server
import importlib.util
import json
import pathlib
import re
import subprocess
import sys
import threading

import pytest
from ansible.template import Templar
from ansible_collections.multimaster.kubernetes.plugins import module_utils
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _endpoint_host
from rendering import ROOT, render, variables
from tree import load

UTILS = pathlib.Path(module_utils.__path__[0])
FILES = UTILS.parents[1] / "roles/api_endpoint/files"
ADDRESS = "192.0.2.10"


@pytest.fixture
def program(monkeypatch):
    """Import the program as on a host: _arp lies beside it."""
    monkeypatch.syspath_prepend(str(UTILS))
    spec = importlib.util.spec_from_file_location("endpoint_address", FILES / "endpoint_address.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def host(program, monkeypatch):
    """Play ip and the segment; return what was done, and who else holds the address."""

    class Host:
        has, others, calls = False, [], []

    host = Host()
    host.calls = []

    def ip(*arguments):
        if "show" in arguments:
            return json.dumps([{"addr_info": [{"local": ADDRESS}] if host.has else []}]).encode()
        host.calls.append(" ".join(arguments))
        return b""

    monkeypatch.setattr(program, "ip", ip)
    monkeypatch.setattr(program._arp, "probe", lambda interface, address: host.others)
    monkeypatch.setattr(program._arp, "announce", lambda interface, address: host.calls.append("announce"))
    return host


def run(program, monkeypatch, action):
    monkeypatch.setattr(sys, "argv", ["endpoint_address.py", action, "eth0", ADDRESS])
    program.main()


def test_it_is_taken_and_announced(program, host, monkeypatch):
    run(program, monkeypatch, "add")
    assert host.calls == ["address add 192.0.2.10/32 dev eth0", "announce"]
    host.has, host.calls = True, []
    run(program, monkeypatch, "add")
    assert host.calls == ["announce"]


def test_it_is_refused_while_another_holds_it(program, host, monkeypatch):
    host.others = ["02:00:00:00:00:02"]
    with pytest.raises(SystemExit, match="held by 02:00:00:00:00:02 on eth0: not taken here"):
        run(program, monkeypatch, "add")
    assert host.calls == []


def test_it_is_taken_off_once(program, host, monkeypatch):
    host.has = True
    run(program, monkeypatch, "remove")
    host.has = False
    run(program, monkeypatch, "remove")
    assert host.calls == ["address del 192.0.2.10/32 dev eth0"]


def test_what_cannot_be_done_is_said(program, monkeypatch):
    def broken(*_arguments):
        raise subprocess.CalledProcessError(2, ["ip"])

    monkeypatch.setattr(program, "ip", broken)
    with pytest.raises(SystemExit, match="cannot remove 192.0.2.10 on eth0"):
        run(program, monkeypatch, "remove")


class Alive(http.server.BaseHTTPRequestHandler):
    """Answer as HAProxy's monitor-uri does."""

    def do_GET(self):
        self.send_response(200 if self.path == "/alive" and self.server.well else 503)
        self.end_headers()

    def log_message(self, *_):
        pass


def test_the_check_of_haproxy():
    server = http.server.HTTPServer(("127.0.0.1", 0), Alive)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    port = str(server.server_address[1])

    def check():
        return subprocess.run(["/bin/bash", str(FILES / "check_haproxy"), port], timeout=5, check=False).returncode

    try:
        server.well = True
        assert check() == 0
        server.well = False
        assert check() == 1
    finally:
        server.shutdown()
        server.server_close()
    assert check() == 1


def balanced(path):
    return {one["path"]: one["content"] for one in render("api_endpoint", "__api_endpoint_files")["balanced"]}[path]


def test_keepalived_has_to_see_its_balancer_first_and_takes_no_address_back():
    text = balanced("/etc/keepalived/keepalived.conf")
    script, instance = text.split("vrrp_script haproxy {")[1].split("vrrp_instance")
    assert "init_fail" in script.split()
    assert {"nopreempt", "BACKUP"} <= set(instance.split()) and "MASTER" not in instance
    assert re.search(r"track_script \{\s+haproxy\s+\}", instance)


def test_a_dead_api_server_is_out_of_the_balancer_within_seconds_and_only_200_is_health():
    text = balanced("/etc/haproxy/haproxy.cfg")
    assert "uri /readyz " in text and re.search(r"^\s+http-check expect status 200$", text, re.M)
    [checks] = re.findall(r"^\s+default-server (check .*)$", text, re.M)
    words = checks.split()
    said = {word: words[words.index(word) + 1] for word in ("verify", "inter", "fall")}
    assert said["verify"] == "required"
    assert re.fullmatch(r"\d+m?s", said["inter"])
    seconds = float(said["inter"].rstrip("ms")) / (1000 if said["inter"].endswith("ms") else 1)
    assert seconds * int(said["fall"]) <= 3


@pytest.mark.parametrize(("inventory", "reloads"), [("reload.yml", True), ("flag.yml", False)])
def test_of_the_settings_that_a_drill_rolls_out_some_only_reload(inventory, reloads):
    """What a unit reads again is in its inputs; its unit file is not, and neither is the command of a check."""
    loader, known = variables("api_endpoint", "m1")
    given = load(ROOT / "molecule/roll/inventory" / inventory)["all"]["vars"]
    before, after = (
        {
            one["path"]: one["content"]
            for one in Templar(loader=loader, variables=known | more).template(known["__api_endpoint_files"])["balanced"]
        }
        for more in ({}, given)
    )
    again = {path for unit in (_endpoint_host.BALANCER, _endpoint_host.VRRP) for path in unit.inputs if path.startswith("/etc/")}
    changed = {path for path in before if before[path] != after[path]}
    assert changed and (changed <= again) is reloads
