# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of host_kernel against a played kernel: check, run, run again; containers and refusals."""

from __future__ import annotations

import functools
import getpass
import os

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _files, _kernel
from ansible_collections.multimaster.kubernetes.plugins.modules import host_kernel
from fake_kernel import Machine


@pytest.fixture
def machine(tmp_path, monkeypatch, world):
    played = Machine(tmp_path)
    world.watch(lambda: list(played.calls))
    monkeypatch.setattr(_kernel, "Host", functools.partial(_kernel.Host, played, str(tmp_path), "6.1.0"))
    original = _files.wanted
    monkeypatch.setattr(
        _files,
        "wanted",
        lambda item, kind: original(
            {
                **item,
                "path": item["path"].replace("/etc/fstab", str(tmp_path / "etc/fstab")),
                "owner": getpass.getuser(),
                "group": str(os.getegid()),
            },
            kind,
        ),
    )
    return played


def arguments(machine, **more):
    return {
        "modules_file": str(machine.root / "etc/modules-load.d/m.conf"),
        "sysctl_file": str(machine.root / "etc/sysctl.d/m.conf"),
        **(more or {"modules": ["br_netfilter"], "sysctls": {"net.ipv4.ip_forward": 1}, "swap_off": True}),
    }


def test_modules_settings_and_swap_are_arranged_once(machine, check_run_again):
    (machine.root / "proc/swaps").write_text("Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n")
    (machine.root / "etc/fstab").write_text("/dev/sda2 none swap sw 0 0\n")
    checked, done, again = check_run_again(host_kernel, arguments(machine))
    assert checked["loaded"] == done["loaded"] == ["br_netfilter"] and again["loaded"] == []
    assert checked["set"] == done["set"] == {"net.ipv4.ip_forward": ["0", "1"]}
    assert done["swaps"] == ["/dev/sda2"] and checked["diff"] == done["diff"]
    assert (machine.root / "etc/fstab").read_text().startswith("# swap off")
    assert (machine.root / "etc/modules-load.d/m.conf").read_text().splitlines()[1:] == ["br_netfilter"]
    assert machine.calls == [["modprobe", "--", "br_netfilter"], ["swapoff", "-a"]]


def test_a_setting_of_the_users_drops_none_of_ours_from_the_file_of_the_next_boot(machine, call):
    ours = {"net.ipv4.ip_forward": 1, "net.ipv4.ip_nonlocal_bind": 1}
    for name, value in {"net/ipv4/ip_nonlocal_bind": "0", "vm/max_map_count": "65530"}.items():
        (machine.root / "proc/sys" / name).parent.mkdir(exist_ok=True)
        (machine.root / "proc/sys" / name).write_text(f"{value}\n")
    done = call(host_kernel, arguments(machine, sysctls=ours, extra_sysctls={"vm.max_map_count": 262144}))
    assert done["set"]["vm.max_map_count"] == ["65530", "262144"] and set(ours) <= set(done["set"])
    kept = machine.root / "etc/sysctl.d/m.conf"
    assert kept.read_text().splitlines()[1:] == [*(f"{name} = 1" for name in ours), "vm.max_map_count = 262144"]
    call(host_kernel, arguments(machine, sysctls=ours, extra_sysctls=dict.fromkeys(ours)))
    assert kept.read_text().splitlines()[1:] == []


def test_check_mode_touches_nothing(machine, call):
    call(host_kernel, arguments(machine), check=True)
    assert machine.calls == [] and (machine.root / "proc/sys/net/ipv4/ip_forward").read_text() == "0\n"


def test_names_that_are_none_are_refused_before_anything_is_done(machine, call):
    assert "is no kernel module's name" in call(host_kernel, arguments(machine, modules=["a b"]))["msg"]
    assert machine.calls == []


def test_nothing_wanted_writes_no_file(machine, call):
    assert not call(host_kernel, arguments(machine, swap_off=True))["changed"]
    assert not (machine.root / "etc/sysctl.d").exists()


def test_files_are_written_in_the_same_execution(machine, check_run_again):
    path = str(machine.root / "etc/multimaster.json")
    _checked, done, _again = check_run_again(host_kernel, arguments(machine, files=[{"path": path, "content": "{}"}]))
    assert done["changed_paths"] == [path]
    with open(path) as handle:
        assert handle.read() == "{}"


def test_what_is_built_in_is_not_loaded_and_said_so_in_the_list(machine, call):
    (machine.root / "sys/module/br_netfilter").mkdir()
    result = call(host_kernel, arguments(machine, modules=["br_netfilter"]))
    assert result["loaded"] == [] and machine.calls == []
    assert "# br_netfilter is built into" in (machine.root / "etc/modules-load.d/m.conf").read_text()


def test_what_the_kernel_refuses_is_the_message(machine, call):
    machine.refuses = ("modprobe",)
    assert "kernel module vxlan is neither built in nor loaded" in call(host_kernel, arguments(machine, modules=["vxlan"]))["msg"]
