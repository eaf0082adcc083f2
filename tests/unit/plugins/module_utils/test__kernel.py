# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of a kernel, what is done to it, and everything that it refuses."""

from __future__ import annotations

import builtins
import errno
import gzip
import os

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _command, _kernel, _kernel_plan
from fake_kernel import Machine

FORWARD = "net.ipv4.ip_forward"
SWAPS = "Filename Type Size Used Priority\n"


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


@pytest.fixture
def host(machine):
    return _kernel.Host(machine, str(machine.root), "6.1.0")


@pytest.fixture
def refusing(machine, monkeypatch):
    """Return refusing(number): from now on each write of a setting fails with this errno."""
    real, below = builtins.open, str(machine.root / "proc/sys")

    def refuse(number):
        def opened(name, mode="r", **more):
            if str(name).startswith(below) and "w" in mode:
                raise OSError(number, os.strerror(number))
            return real(name, mode, **more)

        monkeypatch.setattr("builtins.open", opened)

    return refuse


def swapping(machine, *devices):
    (machine.root / "proc/swaps").write_text(SWAPS + "".join(f"{device} partition 1 0 -2\n" for device in devices))


@pytest.mark.parametrize("how", ["sys", "builtin", "trace", "config", "boot config"])
def test_what_is_built_in_needs_no_modprobe(machine, host, how):
    (machine.root / "proc/modules").unlink()
    {
        "sys": lambda: (machine.root / "sys/module/br_netfilter").mkdir(),
        "builtin": lambda: (machine.root / "lib/modules/6.1.0/modules.builtin").write_text("kernel/net/br_netfilter.ko\n"),
        "trace": lambda: [
            (machine.root / "proc/sys/net/bridge").mkdir(),
            (machine.root / "proc/sys/net/bridge/bridge-nf-call-iptables").write_text("1\n"),
        ],
        "config": lambda: (machine.root / "proc/config.gz").write_bytes(gzip.compress(b"CONFIG_BRIDGE_NETFILTER=y\n")),
        "boot config": lambda: [
            (machine.root / "boot").mkdir(),
            (machine.root / "boot/config-6.1.0").write_text("CONFIG_BRIDGE_NETFILTER=y\n"),
        ],
    }[how]()
    kernel = host.read(["br-netfilter"], {})
    assert (kernel.builtin, kernel.loaded) == ({"br_netfilter"}, frozenset())
    assert not _kernel_plan.decide(["br-netfilter"], {}, False, kernel).changed


@pytest.mark.parametrize("how", ["another release", "a module", "not set", "another's trace"])
def test_what_only_looks_built_in_is_loaded(machine, host, how):
    (machine.root / "boot").mkdir()
    {
        "another release": lambda: (machine.root / "boot/config-6.2.0").write_text("CONFIG_BRIDGE_NETFILTER=y\n"),
        "a module": lambda: (machine.root / "boot/config-6.1.0").write_text("CONFIG_BRIDGE_NETFILTER=m\n"),
        "not set": lambda: (machine.root / "boot/config-6.1.0").write_text("# CONFIG_BRIDGE_NETFILTER is not set\n"),
        "another's trace": lambda: (machine.root / "sys/module/bridge").mkdir(),
    }[how]()
    kernel = host.read(["br_netfilter"], {})
    assert kernel.builtin == frozenset()
    host.apply(_kernel_plan.decide(["br_netfilter"], {}, False, kernel))
    assert machine.calls == [["modprobe", "--", "br_netfilter"]]
    assert host.read(["br_netfilter"], {}).loaded == {"br_netfilter"}


def test_what_is_loaded_is_not_built_in_although_it_leaves_the_same_traces(machine, host):
    (machine.root / "proc/modules").write_text("overlay 1 0 - Live 0x0\n")
    (machine.root / "sys/module/overlay").mkdir()
    (machine.root / "boot").mkdir()
    (machine.root / "boot/config-6.1.0").write_text("CONFIG_OVERLAY_FS=y\n")
    kernel = host.read(["overlay", "vxlan"], {})
    assert (kernel.loaded, kernel.builtin) == ({"overlay"}, frozenset())


def test_a_machine_of_which_nothing_can_be_read_has_nothing(tmp_path):
    host = _kernel.Host(root=str(tmp_path / "none"), release="6.1.0")
    assert host.read(["vxlan"], {FORWARD: 1}) == _kernel_plan.Kernel(values={FORWARD: None})


def test_settings_swaps_and_the_table_of_file_systems_are_read_as_they_are(machine, host):
    swapping(machine, "/dev/sda2", "/swap.img")
    (machine.root / "etc/fstab").write_bytes(b"/dev/sda2 none swap sw 0 0\n# \xff\n")
    (machine.root / "proc/sys/net/ipv4/tcp_rmem").write_text("4096\t131072   6291456\n")
    kernel = host.read([], {FORWARD: 1, "net.ipv4.tcp_rmem": "x", "net/ipv4/none": 1})
    assert kernel.values == {FORWARD: "0", "net.ipv4.tcp_rmem": "4096 131072 6291456", "net/ipv4/none": None}
    assert kernel.swaps == ("/dev/sda2", "/swap.img")
    assert kernel.fstab.startswith("/dev/sda2 none swap sw 0 0\n# ")


def test_everything_that_is_refused_is_said_at_once(machine, host):
    machine.refuses = ("modprobe", "swapoff")
    swapping(machine, "/dev/sda2")
    wanted = {"net.bridge.x": 1, FORWARD: 1}
    with pytest.raises(_kernel.KernelError) as raised:
        host.apply(_kernel_plan.decide(["vxlan", "overlay"], wanted, True, host.read(["vxlan", "overlay"], wanted)))
    said = str(raised.value)
    assert "kernel module vxlan is neither built in nor loaded" in said and "kernel module overlay" in said
    assert "net.bridge.x is absent, wanted 1: this kernel has no such setting" in said
    assert "swap stays on (/dev/sda2)" in said and "ip_forward" not in said
    assert host.read([], wanted).values[FORWARD] == "1", "what can be done is done"


def test_modules_come_before_the_settings_they_bring(machine, host):
    def modprobe(argv, timeout):
        (machine.root / "proc/sys/net/bridge").mkdir()
        (machine.root / "proc/sys/net/bridge/x").write_text("0\n")
        return machine(argv, timeout)

    _kernel.Host(modprobe, str(machine.root), "6.1.0").apply(_kernel_plan.Verdict(("vxlan",), {"net.bridge.x": (None, "1")}))
    assert host.read([], {"net.bridge.x": 1}).values == {"net.bridge.x": "1"}


def test_nothing_to_do_runs_nothing(machine, host):
    host.apply(_kernel_plan.Verdict())
    assert machine.calls == []


ELSEWHERE = f"`sysctl -w {FORWARD}='1'` on the machine that owns the kernel (in a container: its host), then run again"


@pytest.mark.parametrize(
    ("number", "why", "following"),
    [
        (errno.EROFS, "it is read-only here", ELSEWHERE),
        (errno.EACCES, "it may not be changed here", ELSEWHERE),
        (errno.EPERM, "it may not be changed here", ELSEWHERE),
        (errno.EINVAL, "the kernel does not take this value", f"give {FORWARD} another one, then run again"),
        (errno.EBUSY, "Device or resource busy", f"`sysctl -w {FORWARD}='1'` on this host says more; mend that, then run again"),
    ],
    ids=lambda value: errno.errorcode.get(value, "") if isinstance(value, int) else "",
)
def test_why_a_setting_is_refused(host, refusing, number, why, following):
    refusing(number)
    with pytest.raises(_kernel.KernelError) as raised:
        host.apply(_kernel_plan.Verdict(set={FORWARD: ("0", "1")}))
    assert (str(raised.value), raised.value.next_step) == (f"{FORWARD} is 0, wanted 1: {why}", following)


def test_a_read_only_setting_is_fine_while_its_value_is_right(host, refusing):
    refusing(errno.EROFS)
    verdict = _kernel_plan.decide([], {FORWARD: False}, False, host.read([], {FORWARD: False}))
    host.apply(verdict)
    assert not verdict.set and host.read([], {FORWARD: False}).values == {FORWARD: "0"}


def test_a_value_the_kernel_changes_is_an_error(host, monkeypatch):
    monkeypatch.setattr(_kernel.Host, "_value", lambda self, key: "7")
    with pytest.raises(_kernel.KernelError, match=f"{FORWARD} was set to 9, but the kernel says 7"):
        host.apply(_kernel_plan.Verdict(set={FORWARD: ("0", "9")}))


@pytest.mark.parametrize(
    ("refuses", "left", "said"),
    [
        ((), (), None),
        (("swapoff",), ("/dev/sda2",), r"swap stays on \(/dev/sda2\): `swapoff -a` exited with 1: swapoff: Op"),
        (("swapoff",), (), r"swap stays on \(it cannot be switched off\): `swapoff -a` exited with 1"),
    ],
    ids=["it goes", "it stays", "the program fails for another reason"],
)
def test_swap_is_off_only_when_the_kernel_says_so(machine, host, refuses, left, said):
    swapping(machine, *left)
    machine.refuses = refuses
    verdict = _kernel_plan.Verdict(swaps=("/dev/sda2",))
    if said:
        with pytest.raises(_kernel.KernelError, match=said):
            host.apply(verdict)
    else:
        host.apply(verdict)
    assert machine.calls == [["swapoff", "-a"]]


def test_a_swapoff_that_does_nothing_is_not_believed(machine):
    swapping(machine, "/swap.img")
    deaf = _kernel.Host(lambda argv, _timeout: _command.Result(tuple(argv), 0), str(machine.root), "6.1.0")
    with pytest.raises(_kernel.KernelError, match=r"swap stays on \(/swap.img\)"):
        deaf.apply(_kernel_plan.Verdict(swaps=("/swap.img",)))
