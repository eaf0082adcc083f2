# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what is read from HAProxy's stats socket and what is asked of it."""

from __future__ import annotations

import pathlib
import signal
import socket

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _haproxy
from fake_haproxy import FakeHaproxy

GOLDEN = pathlib.Path(__file__).parents[3] / "golden" / "api_endpoint" / "etc__haproxy__haproxy.cfg"


def haproxy(**servers):
    fake = FakeHaproxy(**servers)
    return fake, _haproxy.Haproxy(connector=fake)


@pytest.mark.parametrize(
    ("entry", "status", "up", "stands"),
    [
        pytest.param({}, "up", True, "up", id="up"),
        pytest.param({"check": "* L7OK"}, "up", True, "up", id="a-check-is-under-way"),
        pytest.param({"status": "UP 1/3"}, "up", True, "up", id="going-down"),
        pytest.param({"check": ""}, "up", False, "not checked yet", id="just-started"),
        pytest.param({"check": "INI"}, "up", False, "not checked yet", id="initializing"),
        pytest.param({"status": "DOWN", "check": "L4CON"}, "down", False, "down", id="down"),
        pytest.param({"status": "DOWN 1/3", "check": "L7OK"}, "down", False, "down", id="coming-up"),
        pytest.param({"status": "DRAIN", "check": "", "checked": False}, "drain", False, "drain", id="drain"),
        pytest.param({"status": "MAINT"}, "maint", False, "maint", id="maint"),
        pytest.param({"status": "no check", "checked": False, "check": ""}, "unchecked", False, "unchecked", id="no-check"),
        pytest.param({"status": "NOLB"}, "unknown", False, "unknown", id="something-else"),
    ],
)
def test_a_server(entry, status, up, stands):
    _fake, tool = haproxy(m1=entry)
    server = tool.servers()["m1"]
    assert (server.status, server.up, server.stands) == (status, up, stands)
    assert server.checked == entry.get("checked", True)
    assert (server.address, server.sessions, server.seconds) == ("192.0.2.11:6443", 3, 17)
    assert server.as_dict()["up"] is up


def test_servers_are_sorted_and_other_backends_left_out():
    fake, tool = haproxy(m2={}, m1={})
    assert list(tool.servers()) == ["m1", "m2"]
    assert _haproxy.Haproxy(connector=fake, backend="other").servers() == {}


@pytest.mark.parametrize(
    ("stat", "states"),
    [("", "1\n# a b\n"), ("Unknown command.", "1\n# a b\n"), ("# pxname,svname\n", "2\n# a\n"), ("# pxname,svname\n", "")],
)
def test_unknown_formats_are_refused(stat, states):
    with pytest.raises(ValueError, match="show"):
        _haproxy.parse_servers(stat, states)


def test_errors_say_what_was_asked_and_where(tmp_path):
    fake, tool = haproxy(m1={})
    with pytest.raises(_haproxy.HaproxyError, match=r"refused `set server kube-apiserver/m9 state drain` on .*No such server"):
        tool.state("m9", "drain")
    fake.down = True
    with pytest.raises(_haproxy.HaproxyError, match="does not answer `show info` on /run/haproxy/admin.sock"):
        tool.info()
    with pytest.raises(_haproxy.HaproxyError, match="does not answer"):
        _haproxy.Haproxy(str(tmp_path / "none")).info()
    fake.down = False
    fake.answer = lambda command: "Permission denied\n"
    with pytest.raises(_haproxy.HaproxyError, match="cannot be read"):
        tool.servers()
    with pytest.raises(ValueError, match="none of"):
        tool.state("m1", "off")


def test_info():
    assert haproxy()[1].info() == {
        "version": "2.6.12",
        "pid": 71,
        "uptime": 1285,
        "max_connections": 2026,
        "connections": 4,
    }


def test_a_real_socket(tmp_path):
    path = str(tmp_path / "admin.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        with _haproxy.connect(path) as sock:
            assert sock.gettimeout() == _haproxy.TIMEOUT


@pytest.mark.parametrize(
    ("entry", "drained", "commands"),
    [
        ({}, True, ["disable health", "set server"]),
        ({"status": "DRAIN", "checked": False}, True, []),
        ({"status": "DRAIN"}, True, ["disable health"]),
        ({"status": "no check", "checked": False}, True, ["set server"]),
        ({"status": "DRAIN", "checked": False}, False, ["enable health", "set server"]),
        ({}, False, []),
        ({"status": "DOWN"}, False, []),
        ({"status": "no check", "checked": False}, False, ["enable health"]),
        ({"status": "MAINT"}, False, ["set server"]),
    ],
)
def test_drain_steps(entry, drained, commands):
    fake, tool = haproxy(m1=entry)
    steps = _haproxy.drain_steps(tool.servers()["m1"], drained)
    fake.commands.clear()
    for method, arguments in steps:
        getattr(tool, method)(*arguments)
    assert [" ".join(command.split()[:2]) for command in fake.commands] == commands
    if drained:
        assert fake.servers["m1"]["status"] == "DRAIN" and not fake.servers["m1"]["checked"]


@pytest.mark.parametrize(
    ("others", "spared"),
    [
        ({}, False),
        ({"m2": {}}, True),
        ({"m2": {"status": "DOWN", "check": "L4CON"}}, False),
        ({"m2": {"status": "DRAIN", "check": "", "checked": False}}, False),
        ({"m2": {"check": "INI"}}, False),
        ({"m2": {"status": "DOWN", "check": "L4CON"}, "m3": {}}, True),
    ],
)
def test_another_server_takes_connections_only_when_it_is_up_and_in_use(others, spared):
    _fake, tool = haproxy(m1={}, **others)
    assert _haproxy.spares(tool.servers(), "m1") is spared


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        (GOLDEN.read_text(), {"m1": "192.0.2.11", "m2": "192.0.2.12", "m3": "192.0.2.13"}),
        (
            "backend kube-apiserver\n    server a 192.0.2.1:6443 check # near\n    # server b 192.0.2.2:6443\n    server c\n",
            {"a": "192.0.2.1"},
        ),
        ("backend web\n  server a 192.0.2.1:80\n\nbackend kube-apiserver-unchecked\n  server b 192.0.2.2:6443\n", {}),
        ("server a 192.0.2.1:80\n", {}),
        ("", {}),
    ],
    ids=["ours", "options and comments", "other backends", "no section", "empty"],
)
def test_the_servers_of_a_configuration(text, servers):
    assert _haproxy.parse_configured(text) == servers


@pytest.mark.parametrize(
    ("children", "ended"),
    [
        ("71 ", []),
        ("60 71 ", [60]),
        ("60 66 71 ", [60, 66]),
        ("60 66 ", []),  # who answers is none of them: nobody knows which is which
        (None, []),
    ],
)
def test_processes_that_a_reload_has_replaced_end_with_the_sessions_they_have(tmp_path, children, ended):
    fake, killed = FakeHaproxy(m1={}, m2={}), []
    if children is not None:
        (tmp_path / "50/task/50").mkdir(parents=True)
        (tmp_path / "50/task/50/children").write_text(children)
    _haproxy.Haproxy(connector=fake, processes=str(tmp_path), kill=lambda *call: killed.append(call)).end_sessions(50)
    assert killed == [(pid, signal.SIGTERM) for pid in ended]
    assert [command for command in fake.commands if command.startswith("shutdown")] == [
        f"shutdown sessions server {backend}/{name}"
        for backend in ("kube-apiserver", "kube-apiserver-unchecked")
        for name in ("m1", "m2")
    ]


def test_sessions_end_in_every_backend_that_is_written():
    """The fallback's servers are the same ones; its clients hear of a move no more than others do."""
    text = GOLDEN.read_text()
    written = {line.split()[1] for line in text.splitlines() if line.startswith("backend ")}
    assert written == {_haproxy.BACKEND, _haproxy.FALLBACK}
    assert _haproxy.parse_configured(text, _haproxy.FALLBACK) == _haproxy.parse_configured(text)


def test_a_balancer_without_a_fallback_ends_what_it_has():
    fake = FakeHaproxy(m1={})
    whole = fake.answer
    fake.answer = lambda command: "\n".join(line for line in whole(command).split("\n") if "unchecked" not in line)
    _haproxy.Haproxy(connector=fake).end_sessions()
    ended = [command for command in fake.commands if command.startswith("shutdown")]
    assert ended == ["shutdown sessions server kube-apiserver/m1"]


def test_a_process_that_has_ended_by_itself_is_no_error(tmp_path):
    def gone(_pid, _signal):
        raise ProcessLookupError

    (tmp_path / "50/task/50").mkdir(parents=True)
    (tmp_path / "50/task/50/children").write_text("60 71 ")
    _haproxy.Haproxy(connector=FakeHaproxy(m1={}), processes=str(tmp_path), kill=gone).end_sessions(50)
