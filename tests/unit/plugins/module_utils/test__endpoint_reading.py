# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that everything of the endpoint that can be read is returned, and what cannot says why."""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _endpoint_reading, _haproxy
from fake_master import ADDRESS, BALANCER, DIRECT, OTHER, VRRP, World


def look(world, **more):
    return _endpoint_reading.read(
        ADDRESS,
        "eth0",
        systemd=world,
        addresses=world,
        haproxy=_haproxy.Haproxy(connector=world.haproxy),
        keepalived=world,
        probe=world.probe,
        **more,
    )


def test_a_holder():
    result = look(World(held=("eth0",), up=(BALANCER, VRRP), enabled=(BALANCER, VRRP)))
    assert result["held_on"] == ["eth0"] and result["others"] == [] and result["errors"] == {}
    assert result["vrrp"]["state"] == "holder" and result["servers"]["m1"]["up"]
    assert result["peers"] == ["192.0.2.12"]
    assert result["haproxy"]["max_connections"] == 2026
    assert result["units"]["multimaster-endpoint"] == {"up": False, "enabled": False}


def test_one_master_without_a_balancer():
    result = look(World(held=("eth0",), up=(DIRECT,), enabled=(DIRECT,)), ask_neighbours=False)
    assert result["servers"] is None and result["haproxy"] is None and result["others"] is None
    assert result["peers"] is None
    assert result["vrrp"]["state"] == "down" and result["errors"] == {}


def test_what_cannot_be_read():
    world = World(others=(OTHER,), up=(BALANCER,))
    world.haproxy.down = True
    result = look(world)
    assert result["servers"] is None and "does not answer" in result["errors"]["servers"]
    assert result["others"] == [OTHER]
