# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what is read from keepalived's JSON, and how it is asked for."""

from __future__ import annotations

import json
import pathlib

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _command, _keepalived


def text(state=2, name="endpoint"):
    data = {"iname": name, "state": state, "vrid": 77, "effective_priority": 200, "last_transition": 1767225600.5}
    return json.dumps([{"data": {"iname": "other", "state": 3}}, {"data": data, "stats": {}}])


@pytest.mark.parametrize(
    ("number", "state", "settled"),
    [(0, "init", False), (1, "backup", True), (2, "holder", True), (3, "fault", False), (97, "init", False)],
)
def test_states(number, state, settled):
    vrrp = _keepalived.parse(text(number), "endpoint")
    assert vrrp == _keepalived.Vrrp(state, 77, 200, 1767225600.5)
    assert vrrp.settled is settled
    assert vrrp.as_dict()["state"] == state


def test_another_instance():
    with pytest.raises(ValueError, match="no VRRP instance mine"):
        _keepalived.parse(text(), "mine")


class Host:
    """Play systemctl, keepalived --signum and the signal; `answers` are written one after another on each look."""

    def __init__(self, path, pid=812, signum="36", answers=()):
        self.path, self.pid, self.signum, self.answers = path, pid, signum, list(answers)
        self.now, self.killed, self.gone = 0.0, [], False

    def run(self, argv, timeout):
        out = f"{self.pid}\n" if argv[0] == "systemctl" else self.signum + "\n"
        return _command.Result(tuple(argv), 0 if self.signum else 1, out)

    def kill(self, pid, number):
        if self.gone:
            raise ProcessLookupError
        assert not self.path.exists()
        self.killed.append((pid, number))

    def sleep(self, seconds):
        self.now += seconds
        if self.answers:
            answer = self.answers.pop(0)
            if answer is not None:
                self.path.write_text(answer)

    def tool(self):
        return _keepalived.Keepalived(self.run, str(self.path), self.kill, self.sleep, lambda: self.now)


def test_the_running_process_is_asked(tmp_path):
    path = tmp_path / "keepalived.json"
    path.write_text(text(1))
    host = Host(path, answers=[None, text()[:40], text(2)])
    assert host.tool().state().state == "holder"
    assert host.killed == [(812, 36)]


def test_down(tmp_path):
    host = Host(tmp_path / "x", pid=0)
    assert host.tool().state() == _keepalived.DOWN
    host = Host(tmp_path / "x")
    host.gone = True
    assert host.tool().state() == _keepalived.DOWN


def test_silence_is_an_error(tmp_path):
    with pytest.raises(_keepalived.KeepalivedError, match="wrote nothing"):
        Host(tmp_path / "x").tool().state()
    with pytest.raises(_keepalived.KeepalivedError, match="no VRRP instance"):
        Host(tmp_path / "x", answers=["[]"]).tool().state()
    with pytest.raises(_keepalived.KeepalivedError, match="cannot tell its state as JSON"):
        Host(tmp_path / "x", signum="no").tool().state()


# Whom the configuration names

GOLDEN = pathlib.Path(__file__).parents[3] / "golden" / "api_endpoint" / "etc__keepalived__keepalived.conf"
OTHERS = "vrrp_instance other {\n    unicast_peer {\n        192.0.2.98\n    }\n}\n"


@pytest.mark.parametrize(
    ("text", "peers"),
    [
        (GOLDEN.read_text(), ["192.0.2.12", "192.0.2.13"]),
        (OTHERS + GOLDEN.read_text(), ["192.0.2.12", "192.0.2.13"]),
        (GOLDEN.read_text().replace("        192.0.2.13\n", "        # 192.0.2.13\n"), ["192.0.2.12"]),
        (GOLDEN.read_text().replace("192.0.2.13", "192.0.2.13 min_ttl 64 ! near"), ["192.0.2.12", "192.0.2.13"]),
        ("vrrp_instance endpoint {\n    unicast_peer {\n    }\n}\n", []),
        ("vrrp_instance endpoint {\n    priority 1\n}\n" + OTHERS, None),
        (OTHERS, None),
        ("vrrp_instance endpoint {", None),
        ("", None),
    ],
    ids=["ours", "beside another's", "a comment", "options", "nobody", "multicast", "another's", "cut off", "empty"],
)
def test_peers(text, peers, tmp_path):
    path = tmp_path / "keepalived.conf"
    path.write_text(text)
    assert _keepalived.Keepalived(configuration=str(path)).peers() == peers


@pytest.mark.parametrize(("text", "source"), [(GOLDEN.read_text(), "192.0.2.11"), (OTHERS, ""), ("", "")])
def test_the_address_its_peers_know_it_by(text, source):
    assert _keepalived.parse_source(text, _keepalived.INSTANCE) == source


def test_without_a_configuration_peers_are_not_known(tmp_path):
    assert _keepalived.Keepalived(configuration=str(tmp_path / "none")).peers() is None
