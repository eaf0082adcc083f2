# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill's balancer of somebody else's does for the API servers: no more, and no less, than docs/inventory.md asks for."""

from __future__ import annotations

import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "lab"))

import balancer

SECONDS = {"ms": 0.001, "s": 1.0}


def seconds(text):
    number, unit = re.fullmatch(r"(\d+)(ms|s)", text).groups()
    return int(number) * SECONDS[unit]


def test_it_sends_to_the_api_servers_ports_of_the_masters_it_is_told_of():
    lines = balancer.configuration("192.0.2.10", {"m2": "192.0.2.12", "m1": "192.0.2.11"}).splitlines()
    assert lines[-2:] == ["  server m1 192.0.2.11:6443", "  server m2 192.0.2.12:6443"]
    assert "  bind 192.0.2.10:443" in lines


def test_nobody_can_drain_a_server_in_it():
    assert "socket" not in balancer.configuration("192.0.2.10", {"m1": "192.0.2.11"})


def test_its_check_finds_out_while_an_api_server_that_is_to_stop_still_serves():
    text = balancer.CONFIGURATION
    inter, fall = re.search(r"inter (\w+) fall (\d+)", text).groups()
    patience = seconds(re.search(r"timeout check (\w+)", text)[1])
    found_out = int(fall) * (seconds(inter) + patience)
    inventories = [yaml.safe_load(path.read_text()) for path in (ROOT / "molecule/external_balancer/inventory").glob("*.yml")]
    for made in inventories:
        assert found_out < made["all"]["vars"]["multimaster_endpoint_check_seconds"]
