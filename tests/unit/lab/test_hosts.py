# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Failing hosts: who is cut off from whom, by which rules, and what is read back."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))

import hosts
import lab


def made(**zones):
    data = {"name": "x", "subnet": "10.1.2.0/24", "hosts": [{"name": name, "zone": zone} for name, zone in zones.items()]}
    return lab.parse_lab(data)


def names(side):
    return [host.name for host in side]


def test_a_zone_is_cut_off_from_all_that_is_not_in_it_whatever_its_role():
    inside, outside = hosts.sides(made(m1="a", m2="b", m3="c", w1="a", w2=""), "a")
    assert (names(inside), names(outside)) == (["m1", "w1"], ["m2", "m3", "w2"])


@pytest.mark.parametrize(("zones", "zone"), [({"m1": "a", "m2": "b"}, "c"), ({"m1": "a", "m2": "a"}, "a")])
def test_a_zone_that_is_nobody_or_everybody_is_refused_with_the_zones_there_are(zones, zone):
    with pytest.raises(hosts.LabError, match=f"'{zone}'.* x, whose zones are a"):
        hosts.sides(made(**zones), zone)


def test_an_isolation_drops_what_the_others_send_and_ends_by_itself():
    script = hosts.isolation(["02:00:00:00:00:01", "02:00:00:00:00:02"], 1.5)
    assert "02:00:00:00:00:01 timeout 1500ms, 02:00:00:00:00:02 timeout 1500ms" in script
    assert "flags timeout" in script
    assert 'hook ingress device "eth0"' in script
    assert "ether saddr @others counter drop" in script
    assert script.count("drop") == 1, "nothing is dropped but what the others send"


def test_an_isolation_replaces_an_earlier_one_in_one_transaction():
    lines = hosts.isolation(["02:00:00:00:00:01"], 1).splitlines()
    assert lines[:3] == [
        "table netdev multimaster_isolation {}",
        "delete table netdev multimaster_isolation",
        "table netdev multimaster_isolation {",
    ]


LISTING = {
    "nftables": [
        {"metainfo": {"version": "1.0.6"}},
        {"table": {"family": "netdev", "name": "multimaster_isolation"}},
        {"rule": {"chain": "arriving", "expr": [{"match": {}}, {"counter": {"packets": 17, "bytes": 900}}, {"drop": None}]}},
    ]
}


@pytest.mark.parametrize(("listing", "count"), [(json.dumps(LISTING), 17), ("", 0), ('{"nftables": []}', 0)])
def test_dropped_frames_are_read_from_the_rules_counter(listing, count):
    assert hosts.dropped_frames(listing) == count


SS = """\
ESTAB 0 0 10.1.2.1:39522 10.1.2.12:22 users:(("ssh",pid=27132,fd=3))
ESTAB 0 0 10.1.2.1:39508 10.1.2.12:22 users:(("ssh",pid=811,fd=3),("ssh",pid=27132,fd=5))
TIME-WAIT 0 0 10.1.2.1:39500 10.1.2.12:22
"""


def test_the_processes_that_hold_a_connection_are_found():
    assert hosts.connected_processes(SS) == [811, 27132]
    assert hosts.connected_processes("") == []


def test_resolv_conf_is_written_where_it_is_and_once(tmp_path):
    usual, behind = tmp_path / "resolv.conf", tmp_path / "resolve/resolv.conf"
    usual.write_text("nameserver 192.0.2.1\n")
    inode = usual.stat().st_ino
    script = hosts.RESOLVED.replace("/etc", str(tmp_path)).replace("/run/systemd", str(tmp_path))
    for _again in range(2):
        subprocess.run(["sh", "-c", script], check=True)
        assert behind.read_text() == "nameserver 192.0.2.1\n"
        assert usual.read_text() == "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch .\n"
    assert usual.stat().st_ino == inode, "podman mounts the file: one that is replaced is not the host's"


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        ("1 kube-apiserver --a=b --etcd-servers=https://10.89.67.12:2379 --c", True),
        ("1 kube-apiserver --etcd-servers=https://10.89.67.13:2379,https://10.89.67.12:2379", True),
        ("1 kube-apiserver --etcd-servers=https://10.89.67.13:2379", False),
        ("1 kube-apiserver --etcd-servers=https://10.89.67.112:2379", False),
        ("1 kube-apiserver", True),
    ],
)
def test_a_member_that_its_api_server_uses_is_not_stopped(command, needed):
    assert hosts.needs_its_member(command, 12) is needed


@pytest.mark.parametrize(
    ("argv", "verb", "said"),
    [
        (["x", "kill", "m1", "m2"], "kill", {"hosts": ["m1", "m2"]}),
        (["x", "rebuild", "m1"], "rebuild", {"hosts": ["m1"]}),
        (["x", "resolved", "m1"], "resolved", {"hosts": ["m1"]}),
        (["x", "stop-member", "m3"], "stop-member", {"hosts": ["m3"]}),
        (["x", "isolate", "a", "2.5"], "isolate", {"zone": "a", "seconds": 2.5}),
    ],
)
def test_the_labs_name_comes_first_then_what_happens_to_whom(argv, verb, said):
    options = vars(hosts.parse(argv))
    assert (options.pop("lab"), options.pop("verb"), options) == ("x", verb, said)


def test_when_a_host_lost_its_power_is_kept_before_it_does(monkeypatch, tmp_path):
    done = []
    monkeypatch.setattr(lab, "state_folder", lambda _name: tmp_path)
    monkeypatch.setattr(lab, "containers", lambda _lab: {"m1": "running", "m2": "running"})
    monkeypatch.setattr(lab, "run", lambda *command, **_options: done.append((command[1], hosts.deaths("x"))) or "")
    made_of = made(m1="a", m2="b")
    assert hosts.deaths("x") == []
    before = hosts.time.time()
    hosts.each(list(made_of.hosts), lambda host: hosts.kill(made_of, host))
    assert sorted(host for _at, host in hosts.deaths("x")) == ["m1", "m2"]
    assert all(before <= at <= hosts.time.time() for at, _host in hosts.deaths("x"))
    assert done[0][0] == "exec" and done[0][1], "the network went away before the moment was kept"
