# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the decision what a kernel still lacks."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _kernel_plan as plan
from ansible_collections.multimaster.kubernetes.plugins.module_utils._kernel_plan import Kernel


@pytest.mark.parametrize(
    ("kernel", "load"),
    [
        (Kernel(), ("br_netfilter",)),
        (Kernel(loaded=frozenset({"br_netfilter"})), ()),
        (Kernel(builtin=frozenset({"br_netfilter"})), ()),
        (Kernel(loaded=frozenset({"br_netfilter2"})), ("br_netfilter",)),
    ],
)
def test_a_module_is_loaded_when_it_is_neither_loaded_nor_built_in(kernel, load):
    assert plan.decide(["br-netfilter", "br_netfilter"], {}, False, kernel).load == load


@pytest.mark.parametrize(
    ("have", "want", "sets"),
    [
        ("1", 1, False),
        ("1", "1", False),
        ("1", True, False),
        ("0", False, False),
        ("0", 1, True),
        (None, 1, True),
        ("32768\t60999", "32768 60999", False),
        ("32768\t60999", "32768 61000", True),
        ("10", 1, True),
    ],
)
def test_a_setting_is_compared_by_value(have, want, sets):
    assert bool(plan.decide([], {"a.b": want}, False, Kernel(values={"a.b": have})).set) is sets


def test_swap_is_switched_off_on_demand_only():
    kernel = Kernel(swaps=("/dev/sda2",))
    assert plan.decide([], {}, True, kernel).swaps == ("/dev/sda2",)
    assert not plan.decide([], {}, False, kernel).changed
    assert not plan.decide([], {}, True, Kernel()).changed


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("net.ipv4.ip_forward", "/proc/sys/net/ipv4/ip_forward"),
        ("net/ipv4/conf/eth0.100/forwarding", "/proc/sys/net/ipv4/conf/eth0.100/forwarding"),
        ("net.ipv4.conf.eth0/100.forwarding", "/proc/sys/net/ipv4/conf/eth0.100/forwarding"),
    ],
)
def test_a_setting_has_its_file_as_sysctl_d_says(key, path):
    assert plan.sysctl_path(key) == path


@pytest.mark.parametrize(
    ("modules", "sysctls", "wrong"),
    [
        (["a b"], {}, 1),
        (["../x"], {}, 1),
        ([], {"a": 1}, 1),
        ([], {"a.b; c": 1}, 1),
        ([], {"a/../b.c": 1}, 1),
        ([], {"a.b": "1\n2"}, 1),
        (["8021q", "br_netfilter"], {"net.ipv4.ip_forward": 1, "net/ipv4/conf/eth0.100/x": 1}, 0),
    ],
)
def test_names_that_are_none_are_refused(modules, sysctls, wrong):
    assert len(plan.findings(modules, sysctls)) == wrong


OURS = {"net.ipv4.ip_forward": 1, "net.ipv4.ip_nonlocal_bind": 1}


@pytest.mark.parametrize(
    ("theirs", "together"),
    [
        ({}, OURS),
        ({"vm.max_map_count": 262144}, {**OURS, "vm.max_map_count": 262144}),
        ({"net.ipv4.ip_forward": 0}, {**OURS, "net.ipv4.ip_forward": 0}),
        ({"net.ipv4.ip_forward": None}, {"net.ipv4.ip_nonlocal_bind": 1}),
        ({"vm.swappiness": None}, OURS),
        ({"net/ipv4/ip_forward": 0}, {"net.ipv4.ip_nonlocal_bind": 1, "net/ipv4/ip_forward": 0}),
        ({"net/ipv4/ip_forward": None}, {"net.ipv4.ip_nonlocal_bind": 1}),
    ],
)
def test_a_users_settings_stand_beside_ours(theirs, together):
    assert plan.merged(OURS, theirs) == together
    assert plan.findings([], together) == []


def test_a_setting_in_two_spellings_is_refused():
    said = plan.findings([], plan.merged(OURS, {"vm.swappiness": 1, "vm/swappiness": 2}))
    assert said == [f"'vm{separator}swappiness' is there under another name too" for separator in "./"]


def test_the_kernels_own_lists_are_read():
    assert plan.parse_modules("br_netfilter 32768 0 - Live 0x0\nbridge 299008 1 br_netfilter, Live 0x0\n") == {
        "br_netfilter",
        "bridge",
    }
    assert plan.parse_builtin("kernel/fs/overlayfs/overlay.ko\nkernel/net/sched/sch-prio.ko.xz\n") == {"overlay", "sch_prio"}
    config = "CONFIG_OVERLAY_FS=y\nCONFIG_BRIDGE_NETFILTER=m\n# CONFIG_VXLAN is not set\nCONFIG_NF_TABLES=y\n"
    assert plan.parse_config(config, ["overlay", "br_netfilter", "vxlan", "nf_tables"]) == {"overlay", "nf_tables"}
    assert plan.parse_swaps("Filename\tType\tSize\tUsed\tPriority\n/dev/sda2 partition 100 0 -2\n") == ("/dev/sda2",)
    assert plan.parse_swaps("Filename\tType\tSize\tUsed\tPriority\n") == plan.parse_swaps("") == ()


def test_at_boot_only_what_can_be_loaded_is_loaded():
    kernel = Kernel(loaded=frozenset({"br_netfilter"}), builtin=frozenset({"overlay"}))
    assert plan.render_modules(["overlay", "br-netfilter", "vxlan"], kernel).splitlines()[1:] == [
        "# overlay is built into this kernel",
        "br_netfilter",
        "vxlan",
    ]


def test_settings_are_written_in_order():
    assert plan.render_sysctls({"b.c": True, "a.b": "1  2"}).splitlines()[1:] == ["a.b = 1 2", "b.c = 1"]


def test_only_swap_lines_of_fstab_become_comments_and_only_once():
    fstab = "# swap is on sda2\n/dev/sda1 / ext4 defaults 0 1\n/dev/sda2 none swap sw 0 0\n/swap\tswap\tswap\tdefaults 0 0"
    off = plan.without_swap(fstab)
    assert off.splitlines() == [
        "# swap is on sda2",
        "/dev/sda1 / ext4 defaults 0 1",
        "# swap off for the kubelet: /dev/sda2 none swap sw 0 0",
        "# swap off for the kubelet: /swap\tswap\tswap\tdefaults 0 0",
    ]
    assert plan.without_swap(off) == off


def test_the_diff_shows_the_running_kernel():
    verdict = plan.decide(["vxlan"], {"a.b": 1, "c.d": 2}, True, Kernel(values={"a.b": "0"}, swaps=("/s",)))
    (entry,) = plan.diff(verdict)
    assert entry["before"] == "a.b = 0\nc.d = absent\nswap on /s\n"
    assert entry["after"] == "a.b = 1\nc.d = 2\nmodule vxlan\n"
    assert plan.diff(plan.Verdict()) == []


@pytest.mark.parametrize(
    "verdict", [plan.Verdict(load=("vxlan",)), plan.Verdict(set={"a.b": ("0", "1")}), plan.Verdict(swaps=("/s",))]
)
def test_each_kind_of_lack_is_a_change(verdict):
    assert verdict.changed


def test_the_shortest_fstab_line_is_understood():
    assert plan.without_swap("/swap none swap\n/x swap ext4\n").splitlines() == [
        "# swap off for the kubelet: /swap none swap",
        "/x swap ext4",
    ]
