# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's decisions: what a data file means, which network it takes, how its hosts are started and reached."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SPEC = importlib.util.spec_from_file_location("lab_tool", ROOT / "tests" / "lab" / "lab.py")
lab_tool = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = lab_tool
SPEC.loader.exec_module(lab_tool)

STATE = Path("/cache/labs/x")


def make(**over):
    data = {"name": "x", "subnet": "10.1.2.0/24", "hosts": [{"name": "m1", "groups": ["kube_control_plane"], "zone": "a"}]}
    return lab_tool.parse_lab({**data, **over})


def test_the_demo_is_three_masters_in_three_zones_and_two_workers():
    demo = lab_tool.parse_lab(json.loads((ROOT / "tests/lab/demo.json").read_text()))
    assert [(h.name, h.zone) for h in demo.hosts] == [("m1", "a"), ("m2", "b"), ("m3", "c"), ("w1", "a"), ("w2", "b")]
    assert demo == lab_tool.parse_lab(lab_tool.simple_lab("demo", 3, 2, "bookworm"))


def test_addresses_are_given_in_turn_when_the_data_has_none():
    lab = make(hosts=[{"name": "a"}, {"name": "b"}, {"name": "c", "address": 99}])
    assert [lab.ip(h.address) for h in lab.hosts] == ["10.1.2.11", "10.1.2.12", "10.1.2.99"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"name": "Bad Name"}, "name 'Bad Name'"),
        ({"hosts": []}, "no host"),
        ({"hosts": [{"name": "a"}, {"name": "a"}]}, "two hosts have the name 'a'"),
        ({"hosts": [{"name": "a", "address": 5}, {"name": "b", "address": 5}]}, "two hosts have the address 5"),
        ({"hosts": [{"name": "a", "address": 1}]}, "not within 2..254"),
        ({"hosts": [{"name": "a", "colour": "red"}]}, "colour"),
    ],
)
def test_wrong_data_is_refused_with_the_place(data, said):
    with pytest.raises(lab_tool.LabError, match=said):
        make(**data)


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(lab_tool.LabError, match="(?s)name 'X'.*no host"):
        make(name="X", hosts=[])


@pytest.mark.parametrize(
    ("wanted", "taken", "chosen"),
    [
        ("", [], "10.89.67.0/24"),
        ("", ["10.89.67.0/24", "10.89.68.1/24"], "10.89.69.0/24"),
        ("", ["10.89.0.0/17", "192.0.2.0/24"], None),
        ("10.9.9.0/24", ["10.89.67.0/24"], "10.9.9.0/24"),
        ("10.9.9.0/24", ["10.9.9.7/32"], None),
    ],
)
def test_a_network_is_taken_only_when_nothing_uses_it(wanted, taken, chosen):
    if chosen is None:
        with pytest.raises(lab_tool.LabError, match="LAB_SUBNET"):
            lab_tool.choose_subnet(wanted, taken)
    else:
        assert lab_tool.choose_subnet(wanted, taken) == chosen


def test_the_inventory_says_how_to_reach_the_hosts_and_their_groups():
    content = lab_tool.inventory(make(), STATE, "release")["all"]
    assert content["hosts"] == {"m1": {"ansible_host": "10.1.2.11", "multimaster_zone": "a"}}
    assert content["children"] == {"kube_control_plane": {"hosts": {"m1": {}}}}
    assert content["vars"]["ansible_ssh_private_key_file"] == "/cache/labs/x/id_ed25519"
    assert "StrictHostKeyChecking=yes" in content["vars"]["ansible_ssh_common_args"]
    assert content["vars"]["lab_artifact_url"] == "http://10.1.2.1:8067"
    assert content["vars"]["lab_artifact_source"] == "release"


def arguments(release="bookworm", cgroup_v1=True):
    lab = make(hosts=[{"name": "m1", "release": release}])
    return lab_tool.run_arguments(lab, lab.hosts[0], "image", STATE, cgroup_v1)


def test_a_host_owns_only_what_carries_its_name():
    words = arguments()
    assert words[words.index("--name") + 1] == "mm-x-m1"
    assert words[words.index("--network") + 1] == "mm-x"
    assert "mm-x-m1-var:/var/lib" in words
    assert words[words.index("--ip") + 1] == "10.1.2.11"


@pytest.mark.parametrize(
    ("release", "cgroup_v1", "legacy"),
    [("bookworm", True, False), ("trixie", True, True), ("trixie", False, False), ("bookworm", False, False)],
)
def test_only_a_new_systemd_on_cgroup_v1_is_told_to_accept_it(release, cgroup_v1, legacy):
    words = arguments(release, cgroup_v1)
    assert ("systemd.unified_cgroup_hierarchy=0" in words) is legacy
    assert "/sbin/init" in words


def test_a_host_is_found_by_its_exact_name_else_the_names_are_said():
    lab = make(hosts=[{"name": "m1"}, {"name": "m10"}])
    assert lab_tool.find_host(lab, "m10").name == "m10"
    with pytest.raises(lab_tool.LabError, match="'m'; it has m1, m10"):
        lab_tool.find_host(lab, "m")


def test_a_new_machine_takes_the_place_of_the_old_one_in_known_hosts():
    old = ["10.1.2.11 ssh-ed25519 OLD\n", "10.1.2.110 ssh-ed25519 OTHER\n"]
    new = ["10.1.2.11 ssh-ed25519 NEW\n"]
    assert lab_tool.merged_known_hosts(old, new) == ["10.1.2.110 ssh-ed25519 OTHER\n", "10.1.2.11 ssh-ed25519 NEW\n"]


DEB822 = """\
Types: deb
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://other.example/debian
Suites: bookworm
"""
ONE_LINE = """\
# deb http://old.example/debian bookworm main
deb [arch=amd64 signed-by=/x.gpg] http://mirror.example/debian bookworm main contrib
deb-src http://mirror.example/debian bookworm main
deb http://mirror.example/debian-security bookworm-security main
deb http://tools.example/apt stable main
"""


def test_both_styles_of_apt_sources_are_read():
    assert [(e["uri"], e["suite"]) for e in lab_tool.apt_stanzas(DEB822)] == [
        ("http://mirror.example/debian", "bookworm"),
        ("http://mirror.example/debian", "bookworm-updates"),
        ("http://mirror.example/debian-security", "bookworm-security"),
    ]
    assert [(e["uri"], e["suite"]) for e in lab_tool.apt_stanzas(ONE_LINE)] == [
        ("http://mirror.example/debian", "bookworm"),
        ("http://mirror.example/debian-security", "bookworm-security"),
        ("http://tools.example/apt", "stable"),
    ]


@pytest.mark.parametrize("text", [DEB822, ONE_LINE])
@pytest.mark.parametrize("release", ["bookworm", "trixie"])
def test_hosts_use_the_machines_mirrors_with_their_own_release(text, release):
    mirror, sources = lab_tool.node_sources(lab_tool.apt_stanzas(text), "bookworm", release)
    assert mirror == "http://mirror.example/debian"
    assert f"deb http://mirror.example/debian {release} main\n" in sources
    assert f"deb http://mirror.example/debian-security {release}-security main\n" in sources
    assert "tools.example" not in sources


def test_a_machine_that_is_not_debian_falls_back_to_debians_public_mirror():
    mirror, sources = lab_tool.node_sources([], "trixie", "trixie")
    assert mirror == lab_tool.DEBIAN_MIRROR
    assert sources == f"deb {lab_tool.DEBIAN_MIRROR} trixie main\ndeb {lab_tool.SECURITY_MIRROR} trixie-security main\n"


def test_only_settings_that_reach_the_mirror_are_taken_from_apt():
    taken = [
        line
        for line in (
            'Acquire::http::Proxy "http://proxy.example:3128";',
            'Acquire::Check-Date "false";',
            'APT::Default-Release "bookworm";',
            'Acquire::Languages "none";',
        )
        if lab_tool.APT_SETTINGS.match(line)
    ]
    assert taken == ['Acquire::http::Proxy "http://proxy.example:3128";', 'Acquire::Check-Date "false";']
