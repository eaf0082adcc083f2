# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of host_kernel against a played kernel: check, run, run again; containers and refusals."""

from __future__ import annotations

import functools
import getpass
import gzip
import os

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _command, _files, _kernel
from ansible_collections.multimaster.kubernetes.plugins.modules import host_kernel


class Machine:
    """A folder with /proc, /sys and /etc, and what modprobe and swapoff do to it."""

    def __init__(self, root):
        self.root, self.calls, self.refuses = root, [], ()
        for folder in ("proc/sys/net/ipv4", "sys/module", "etc", "lib/modules/6.1.0"):
            (root / folder).mkdir(parents=True)
        (root / "proc/modules").write_text("")
        (root / "proc/swaps").write_text("Filename Type Size Used Priority\n")
        (root / "proc/sys/net/ipv4/ip_forward").write_text("0\n")

    def __call__(self, argv, timeout):
        self.calls.append(argv)
        if argv[0] in self.refuses:
            return _command.Result(tuple(argv), 1, "", f"{argv[0]}: Operation not permitted")
        if argv[0] == "modprobe":
            with open(self.root / "proc/modules", "a") as handle:
                handle.write(argv[2] + " 1 0 - Live 0x0\n")
        if argv[0] == "swapoff":
            (self.root / "proc/swaps").write_text("Filename Type Size Used Priority\n")
        return _command.Result(tuple(argv), 0)


@pytest.fixture
def machine(tmp_path, monkeypatch, world):
    played = Machine(tmp_path)
    world.watch(lambda: list(played.calls))
    monkeypatch.setattr(_kernel, "Host", functools.partial(_kernel.Host, played, str(tmp_path), "6.1.0"))
    original = _files.wanted
    monkeypatch.setattr(_files, "wanted", lambda item, kind: original(
        {**item, "path": item["path"].replace("/etc/fstab", str(tmp_path / "etc/fstab")), "owner": getpass.getuser(),
         "group": str(os.getegid())}, kind))
    return played


def arguments(machine, **more):
    return {
        "modules_file": str(machine.root / "etc/modules-load.d/m.conf"), "sysctl_file": str(machine.root / "etc/sysctl.d/m.conf"),
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


def test_check_mode_touches_nothing(machine, call):
    call(host_kernel, arguments(machine), check=True)
    assert machine.calls == [] and (machine.root / "proc/sys/net/ipv4/ip_forward").read_text() == "0\n"


@pytest.mark.parametrize("how", ["sys", "builtin", "trace", "config", "boot config"])
def test_what_is_built_in_needs_no_modprobe(machine, call, how):
    machine.refuses = ("modprobe",)
    (machine.root / "proc/modules").unlink()
    {
        "sys": lambda: (machine.root / "sys/module/br_netfilter").mkdir(),
        "builtin": lambda: (machine.root / "lib/modules/6.1.0/modules.builtin").write_text("kernel/net/br_netfilter.ko\n"),
        "trace": lambda: [(machine.root / "proc/sys/net/bridge").mkdir(),
                          (machine.root / "proc/sys/net/bridge/bridge-nf-call-iptables").write_text("1\n")],
        "config": lambda: (machine.root / "proc/config.gz").write_bytes(gzip.compress(b"CONFIG_BRIDGE_NETFILTER=y\n")),
        "boot config": lambda: [(machine.root / "boot").mkdir(), (machine.root / "boot/config-6.1.0").write_text(
            "CONFIG_BRIDGE_NETFILTER=y\n")],
    }[how]()
    result = call(host_kernel, arguments(machine, modules=["br_netfilter"]))
    assert "msg" not in result and result["loaded"] == [] and machine.calls == []
    assert "# br_netfilter is built into" in (machine.root / "etc/modules-load.d/m.conf").read_text()


def test_everything_that_is_refused_is_said_at_once(machine, call):
    machine.refuses = ("modprobe", "swapoff")
    (machine.root / "proc/swaps").write_text("Filename Type Size Used Priority\n/dev/sda2 partition 1 0 -2\n")
    result = call(host_kernel, arguments(
        machine, modules=["vxlan", "overlay"], sysctls={"net.bridge.x": 1, "net.ipv4.ip_forward": 1}, swap_off=True))
    said = result["msg"]
    assert "kernel module vxlan is neither built in nor loaded" in said and "kernel module overlay" in said
    assert "net.bridge.x is absent, wanted 1: this kernel has no such setting" in said
    assert "swap stays on (/dev/sda2)" in said and "ip_forward" not in said


def test_a_read_only_setting_is_fine_while_its_value_is_right(machine, call, monkeypatch):
    path = machine.root / "proc/sys/net/ipv4/ip_forward"
    real = open

    def read_only(name, mode="r", **more):
        if str(name) == str(path) and "w" in mode:
            raise OSError(30, "Read-only file system")
        return real(name, mode, **more)

    monkeypatch.setattr("builtins.open", read_only)
    wrong = call(host_kernel, arguments(machine, sysctls={"net.ipv4.ip_forward": 1}))
    assert "net.ipv4.ip_forward is 0, wanted 1: it is read-only here" in wrong["msg"]
    path.chmod(0o444)
    assert "msg" not in call(host_kernel, arguments(machine, sysctls={"net.ipv4.ip_forward": 0}))


def test_a_value_the_kernel_changes_is_an_error(machine, call, monkeypatch):
    monkeypatch.setattr(_kernel.Host.func, "_value", lambda self, key: "7")
    assert "was set to 9, but the kernel says 7" in call(
        host_kernel, arguments(machine, sysctls={"net.ipv4.ip_forward": 9}))["msg"]


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
