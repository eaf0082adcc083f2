# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine has to have for its part, to the last MiB, and what is only doubtful."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _preflight
from cluster_fixtures import inventory, living, member
from preflight_fixtures import bare, found, judge, three, viewed

NO_APT = "Install one of these, or take the host out of the inventory: packages are installed by apt."


def system(name, version, like=""):
    return {"id": name, "like": like.split(), "version_id": version, "name": f"{name} {version}"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"os": system("fedora", "42")}, ("m1", "os-unsupported")),
        ({"os": system("rocky", "12", "rhel centos fedora")}, ("m1", "os-unsupported")),
        ({"os": system("", "")}, ("m1", "os-unsupported")),
        ({"architecture": "riscv64"}, ("m1", "architecture")),
        ({"kernel": "5.12.19"}, ("m1", "kernel")),
        ({"kernel": "rawhide"}, ("m1", "kernel")),
        ({"kernel": "4.19.0"}, ("m1", "kernel")),
        ({"python": "3.8.10"}, ("m1", "python")),
        ({"python": ""}, ("m1", "python")),
        ({"commands": {"ip": True}}, ("m1", "command-missing")),
        ({"commands": {"ip": False, "systemctl": True}}, ("m1", "command-missing")),
        ({"memory_mib": 1843}, ("m1", "memory")),
        ({"disk_free_mib": {"/var/lib": 4095, "/opt": 41000}}, ("m1", "disk-space")),
        ({"disk_free_mib": {"/var/lib": 41000, "/opt": 1023}}, ("m1", "disk-space")),
    ],
)
def test_an_unfit_machine_is_an_error(changes, expected):
    findings = three(**changes)
    assert found(findings) == [expected]
    assert findings[0].level == "error"


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "arm64"},
        {"kernel": "5.13.0"},
        {"kernel": "6.18.44-fc-v657"},
        {"python": "3.9.2"},
        {"memory_mib": 1844},
        {"disk_free_mib": {"/var/lib": 4096, "/opt": 1024}},
        {"disk_free_percent": {"/var/lib/containerd": 15.0, "/var/lib/kubelet": 10.0}},
        {"disk_free_percent": {"/var/lib/containerd": None}},
        {"disk_free_percent": None},
        {"disk_fdatasync_p99_ms": 10.0},
        {"swap": True},
        {"os": system("debian", "13")},
        {"os": system("ubuntu", "22.04", "debian")},
        {"os": system("ubuntu", "24.04", "debian")},
    ],
)
def test_a_fit_machine_is_none(changes):
    assert three(**changes) == ()


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"os": system("debian", "11")}, "os-unsupported"),
        ({"os": system("ubuntu", "26.04", "debian")}, "os-unsupported"),
        ({"os": system("linuxmint", "22", "ubuntu debian")}, "os-unsupported"),
        ({"os": system("raspbian", "12", "debian")}, "os-unsupported"),
        ({"disk_fdatasync_p99_ms": 10.1}, "disk-slow"),
        ({"disk_free_percent": {"/var/lib/containerd": 14.99, "/var/lib/kubelet": 14.99}}, "disk-pressure"),
        ({"disk_free_percent": {"/var/lib/containerd": 50.0, "/var/lib/kubelet": 9.99}}, "disk-pressure"),
    ],
)
def test_a_doubtful_machine_is_a_warning(changes, check):
    findings = three(**changes)
    assert [(finding.check, finding.level) for finding in findings] == [(check, "warning")]


@pytest.mark.parametrize(
    ("version", "own", "refused"),
    [
        ("1.36.3", {}, ["m1", "w1"]),
        ("1.35.0", {}, ["m1", "w1"]),
        ("1.34.9", {}, []),
        ("1.36.3", {"w1": {"failCgroupV1": False}}, ["m1"]),
        ("1.36.3", {"w1": {"failCgroupV1": True}, "m1": {"failCgroupV1": None}}, ["m1", "w1"]),
    ],
)
def test_a_kubelet_that_would_not_start_is_told_of_before(version, own, refused):
    observed = bare("m1", "m2", "w1", "e1")
    for name in ("m1", "w1", "e1"):
        observed[name]["cgroup"] = 1
    view = viewed(inventory(["m1", "m2"], ["w1"], etcd=["e1"]), observed, kubernetes_version=version)
    findings = [one for one in _preflight.judge(dataclasses.replace(view, own_kubelet=own)) if one.check == "cgroup-v1"]
    assert [(one.host, one.level) for one in findings] == [(name, "error") for name in refused]
    assert all(version in one.found and "failCgroupV1: false" in one.fix for one in findings)


@pytest.mark.parametrize(
    ("seen", "said", "fix"),
    [
        (system("debian", "11"), "debian 11", "It may work; nothing is promised for it."),
        (system("fedora", "42"), "fedora 42", NO_APT),
        ({**system("", ""), "name": ""}, "an unknown operating system", NO_APT),
    ],
)
def test_the_system_is_named_and_a_hope_given_only_where_there_is_one(seen, said, fix):
    assert [(finding.found, finding.fix) for finding in three(os=seen)] == [(said, fix)]


def test_a_path_whose_disk_is_not_known_has_no_room():
    assert [finding.found for finding in three(disk_free_mib={})] == ["0 MiB free under /opt", "0 MiB free under /var/lib"]


def test_a_worker_needs_less_than_a_master():
    observed = bare("m1", "w1")
    observed["w1"].update(memory_mib=922, disk_free_mib={"/var/lib": 2048, "/opt": 1024})
    assert judge(inventory(["m1"], ["w1"]), observed) == ()
    observed["w1"]["memory_mib"] = 921
    assert found(judge(inventory(["m1"], ["w1"]), observed)) == [("w1", "memory")]


@pytest.mark.parametrize(
    ("name", "changes", "check"),
    [
        ("w1", {"disk_free_mib": {"/var/lib": 2047, "/opt": 1024}}, "disk-space"),
        ("w1", {"disk_free_mib": {"/var/lib": 2048, "/opt": 1023}}, "disk-space"),
        ("w1", {"disk_fdatasync_p99_ms": 99.0}, ""),
        ("w1", {"kernel": "5.12.19"}, "kernel"),
        ("e1", {"disk_free_mib": {"/var/lib": 4095, "/opt": 1024}}, "disk-space"),
        ("e1", {"memory_mib": 1843}, "memory"),
        ("e1", {"disk_fdatasync_p99_ms": 99.0}, "disk-slow"),
        ("e1", {"kernel": "5.12.19"}, ""),
        ("e2", {"kernel": "5.12.19"}, "kernel"),
        ("m1", {"disk_free_mib": {"/var/lib": 4095, "/opt": 1024}}, "disk-space"),
        ("m1", {"memory_mib": 1843}, "memory"),
        ("m1", {"disk_fdatasync_p99_ms": 99.0}, ""),
    ],
)
def test_beside_external_etcd_each_part_has_needs_of_its_own(name, changes, check):
    listed = inventory(["m1"], ["w1", "e2"], etcd=["e1", "e2", "e3"])
    observed = bare(*listed.names)
    observed[name].update(changes)
    assert found(judge(listed, observed)) == ([(name, check)] if check else [])


def test_a_disk_that_filled_up_in_use_does_not_stop_the_run():
    members = [member("m1")]
    observed = {"m1": living("m1", members, disk_free_mib={"/var/lib": 1, "/opt": 41000})}
    findings = judge(inventory(["m1"]), observed, store=True)
    assert [(finding.check, finding.level) for finding in findings] == [("disk-space", "warning")]
