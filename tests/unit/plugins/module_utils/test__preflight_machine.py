# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine has to have for its part, to the last MiB, and what is only doubtful."""

from __future__ import annotations

import pytest
from cluster_fixtures import inventory, living, member
from preflight_fixtures import bare, found, judge, three


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
        ({"python": "3.8.10"}, ("m1", "python")),
        ({"commands": {"ip": True}}, ("m1", "command-missing")),
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
        {"swap": True},
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


def test_a_worker_needs_less_than_a_master():
    observed = bare("m1", "w1")
    observed["w1"].update(memory_mib=922, disk_free_mib={"/var/lib": 2048, "/opt": 1024})
    assert judge(inventory(["m1"], ["w1"]), observed) == ()
    observed["w1"]["memory_mib"] = 921
    assert found(judge(inventory(["m1"], ["w1"]), observed)) == [("w1", "memory")]


def test_a_disk_that_filled_up_in_use_does_not_stop_the_run():
    members = [member("m1")]
    observed = {"m1": living("m1", members, disk_free_mib={"/var/lib": 1, "/opt": 41000})}
    findings = judge(inventory(["m1"]), observed, store=True)
    assert [(finding.check, finding.level) for finding in findings] == [("disk-space", "warning")]
