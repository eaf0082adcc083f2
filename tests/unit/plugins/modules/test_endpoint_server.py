# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test endpoint_server: drained and back, as HAProxy itself says."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _haproxy
from ansible_collections.multimaster.kubernetes.plugins.modules import endpoint_server
from fake_master import BALANCER, World


@pytest.fixture
def run(call, monkeypatch, world):
    """Return run(played, state): the module's result in a played world."""

    def run(played, state, check=False, name="m2", **more):
        world.watch(played.picture)
        original = _haproxy.Haproxy.__init__
        monkeypatch.setattr(endpoint_server._systemd, "Systemd", lambda: played)
        monkeypatch.setattr(_haproxy.Haproxy, "__init__", lambda self: original(self, connector=played.haproxy))
        named = {"name": name} if name else {}
        result = call(endpoint_server, {**named, "state": state, "timeout": 0.1, **more}, check)
        monkeypatch.setattr(_haproxy.Haproxy, "__init__", original)
        return result

    return run


def test_each_state_is_foreseen_reached_and_kept(run, world):
    played = World(up=(BALANCER,))
    world.watch(played.picture)
    checked, done, _again = world.prove(lambda check: run(played, "drained", check))
    assert checked["diff"] == done["diff"] == {"before": "up, checked: True\n", "after": "drain, checked: False\n"}
    assert checked["reason"] == done["reason"] and checked["after"] == checked["before"] == done["before"]
    checked, done, _again = world.prove(lambda check: run(played, "ready", check))
    assert checked["diff"] == done["diff"] == {"before": "drain, checked: False\n", "after": "up, checked: True\n"}


def test_drained_and_back(run):
    world = World(up=(BALANCER,))
    checked = run(world, "drained", check=True)
    assert checked["changed"] and not [c for c in world.haproxy.commands if not c.startswith("show")]
    done = run(world, "drained")
    assert done["changed"] and done["after"]["status"] == "drain" and not done["after"]["checked"]
    assert done["diff"] == {"before": "up, checked: True\n", "after": "drain, checked: False\n"}
    assert [c for c in world.haproxy.commands if not c.startswith("show")] == [
        "disable health kube-apiserver/m2",
        "set server kube-apiserver/m2 state drain",
    ]
    assert not run(world, "drained")["changed"]
    back = run(world, "ready")
    assert back["changed"] and back["after"]["up"] and back["reason"] == "m2 was drain, check off"
    assert not run(world, "ready")["changed"]


def test_an_api_server_that_does_not_come_back(run):
    world = World(up=(BALANCER,))
    world.haproxy.servers["m2"].update(status="DOWN", check="L4CON")
    result = run(world, "ready")
    assert result["failed"] and "m2 is down (L4CON" in result["msg"]


def test_no_balancer_one_that_is_not_ours_and_no_such_server(run):
    result = run(World(), "drained")
    assert not result["changed"] and result["reason"] == "no balancer runs on this host"
    foreign = World(up=(BALANCER,))
    foreign.drop_in = lambda _name: ""
    for state in ("drained", "ready", "taken_back"):
        result = run(foreign, state, in_use=["m1"])
        assert not result["changed"] and "is not ours" in result["reason"]
    assert not foreign.haproxy.commands, "nobody asks a stranger's HAProxy"
    result = run(World(up=(BALANCER,)), "drained", name="m9")
    assert not result["changed"] and "knows no server m9, only m1, m2" in result["reason"]


def test_the_last_one_that_is_up_is_not_drained_unless_an_outage_is_allowed(run):
    world = World(up=(BALANCER,))
    world.haproxy.servers["m1"].update(status="DOWN", check="L4CON")
    refused = run(world, "drained")
    assert refused["failed"] and "no other API server is up behind this balancer (m1 is down)" in refused["msg"]
    assert refused["msg"].count("Next: ") == 1 and "-e etcd_allow_outage=true" in refused["msg"]
    assert not [c for c in world.haproxy.commands if not c.startswith("show")]
    assert run(world, "drained", allow_outage=True)["changed"]


def test_a_check_looks_once_and_warns_where_a_run_would_wait_for_another_one(run, warned):
    world = World(up=(BALANCER,))
    world.haproxy.servers["m1"].update(status="DRAIN", check="", checked=False)
    checked = run(world, "drained", check=True, timeout=30)
    assert not checked.get("failed") and checked["changed"]
    assert checked["diff"] == {"before": "up, checked: True\n", "after": "drain, checked: False\n"}
    (said,) = warned
    assert said.startswith("m2 would not be drained now: no other API server is up behind this balancer (m1 is drain)")
    assert "a run waits 30 s for one. Next: nothing when the same run brings one up before" in said
    assert run(world, "drained", check=True, allow_outage=True)["changed"]
    assert not run(world, "drained", check=True, name="m1")["changed"], "who is drained already stays so"
    assert warned == [said]


def test_a_second_one_is_not_drained_beside_a_first(run):
    world = World(up=(BALANCER,))
    assert run(world, "drained", name="m1")["changed"]
    assert "m1 is drain" in run(world, "drained", name="m2")["msg"]
    assert not run(world, "drained", name="m1")["changed"], "who is drained already stays so"


def test_what_was_left_drained_is_taken_back(run, world, monkeypatch):
    monkeypatch.setattr(endpoint_server._endpoint_server, "CHECKED", 0)
    played = World(up=(BALANCER,))
    for server in played.haproxy.servers.values():
        server.update(status="DRAIN", check="", checked=False)
    world.watch(played.picture)
    checked, done, _again = world.prove(lambda check: run(played, "taken_back", check, name="", in_use=["m1", "m2"]))
    assert checked["diff"] == done["diff"] == {"before": "m1 was left drained\nm2 was left drained\n", "after": ""}
    assert checked["back"] == done["back"] == ["m1", "m2"] and done["before"] is done["after"] is None
    played.haproxy.servers["m1"].update(status="DRAIN", check="", checked=False)
    played.haproxy.refuse = "Permission denied"
    failed = run(played, "taken_back", name="", in_use=["m1", "m2"])
    assert failed["failed"] and failed["msg"].startswith("m1, m2 is not taken_back") and "Next: " in failed["msg"]


def test_who_is_drained_has_a_name(run):
    assert "name" in run(World(up=(BALANCER,)), "drained", name="")["msg"]
