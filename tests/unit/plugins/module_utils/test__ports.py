# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pathlib
import re

import pytest
import yaml
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _ports
from ansible_collections.multimaster.kubernetes.plugins.modules import host_info

ROOT = pathlib.Path(__file__).resolve().parents[4]
MASTER, BALANCER, NODE, MEMBER = _ports.MASTER, _ports.BALANCER, _ports.NODE, _ports.MEMBER


@pytest.mark.parametrize(
    ("parts", "api_port", "expected"),
    [
        ([], 6443, []),
        ([NODE], 6443, [10248, 10249, 10250, 10256]),
        ([MEMBER], 6443, [2379, 2380, 2381]),
        ([MASTER], 6443, [6443, 10257, 10259]),
        ([MASTER], 8443, [8443, 10257, 10259]),
        ([MASTER, BALANCER], 8443, [6440, 8443, 10257, 10259]),
        ([NODE], 8443, [10248, 10249, 10250, 10256]),
    ],
)
def test_a_host_needs_the_ports_of_its_parts(parts, api_port, expected):
    assert sorted(_ports.needed(parts, api_port)) == expected


def test_each_port_stands_once():
    assert len(set(_ports.NUMBERS)) == len(_ports.PORTS)


def test_the_documented_default_is_the_table():
    assert yaml.safe_load(host_info.DOCUMENTATION)["options"]["ports"]["default"] == list(_ports.NUMBERS)


def test_every_port_that_a_role_names_on_its_own_host_is_in_the_table():
    named = {}
    for path in sorted(ROOT.glob("roles/*/vars/main.yml")):
        for number in re.findall(r"(?:127\.0\.0\.1|0\.0\.0\.0):(\d+)|_port: (\d+)", path.read_text()):
            named.setdefault(int("".join(number)), path.parents[1].name)
    assert len(named) > 5
    assert {number: role for number, role in named.items() if number not in _ports.NUMBERS} == {}
