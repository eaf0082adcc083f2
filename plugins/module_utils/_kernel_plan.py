# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Decide what the kernel of a host still lacks: modules, settings, swap; and render the files that keep it so.

A host may be a container or run a kernel without loadable modules: what is built in counts as there, and what cannot be
set is fine as long as it is right. It leaves out reading and writing (``_kernel.py``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

#: Where a module that is built in without parameters can be seen when no list of built-in modules is there.
TRACES = {
    "br_netfilter": "/proc/sys/net/bridge/bridge-nf-call-iptables",
    "ip_vs": "/proc/net/ip_vs",
    "nf_conntrack": "/proc/sys/net/netfilter/nf_conntrack_max",
    "ip_tables": "/proc/net/ip_tables_names",
    "tun": "/dev/net/tun",
}
#: Options of the kernel's configuration that are not the module's name in capitals.
OPTIONS = {
    "br_netfilter": "BRIDGE_NETFILTER",
    "overlay": "OVERLAY_FS",
    "ip_tables": "IP_NF_IPTABLES",
    "fuse": "FUSE_FS",
    "ip6_tables": "IP6_NF_IPTABLES",
    "sch_prio": "NET_SCH_PRIO",
    "sch_fq": "NET_SCH_FQ",
    "8021q": "VLAN_8021Q",
}
HEAD = "# Written by multimaster.kubernetes.host_kernel\n"


@dataclass(frozen=True)
class Kernel:
    """Hold what was read of the kernel."""

    loaded: frozenset[str] = frozenset()  # /proc/modules
    builtin: frozenset[str] = frozenset()  # modules.builtin, the kernel's configuration, /sys/module, traces
    values: Mapping[str, str | None] = field(default_factory=dict)  # None: the kernel has no such setting (yet)
    swaps: tuple[str, ...] = ()
    fstab: str = ""


@dataclass(frozen=True)
class Verdict:
    """Say what has to be loaded, set and switched off now."""

    load: tuple[str, ...] = ()
    set: Mapping[str, tuple[str | None, str]] = field(default_factory=dict)  # key: (is, shall be)
    swaps: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Return whether the running kernel is to be touched."""
        return bool(self.load or self.set or self.swaps)


def module_name(name: str) -> str:
    """Return a module's name as the kernel writes it."""
    return name.replace("-", "_")


def parse_modules(text: str) -> frozenset[str]:
    """Return the names in /proc/modules."""
    return frozenset(line.split(" ", 1)[0] for line in text.splitlines() if line)


def parse_builtin(text: str) -> frozenset[str]:
    """Return the names in modules.builtin."""
    return frozenset(module_name(line.rpartition("/")[2].split(".ko")[0]) for line in text.splitlines() if line)


def parse_config(text: str, names: Sequence[str]) -> frozenset[str]:
    """Return those of the names that a kernel's configuration has built in (=y)."""
    options = frozenset(re.findall(r"(?m)^CONFIG_(\w+)=y$", text))
    return frozenset(name for name in names if OPTIONS.get(name, name.upper()) in options)


def parse_swaps(text: str) -> tuple[str, ...]:
    """Return the devices and files in /proc/swaps."""
    return tuple(line.split()[0] for line in text.splitlines()[1:] if line.strip())


def sysctl_path(key: str) -> str:
    """Return the file below /proc/sys of a setting; a key whose first separator is a slash is taken as it is (sysctl.d(5))."""
    first = re.search(r"[./]", key)
    if first and first[0] == "/":
        return "/proc/sys/" + key
    return "/proc/sys/" + key.translate(str.maketrans("./", "/."))


def normal(value: object) -> str:
    """Return a value with single blanks; true and false are 1 and 0."""
    if isinstance(value, bool):
        return str(int(value))
    return " ".join(str(value).split())


def merged(ours: Mapping[str, object], theirs: Mapping[str, object]) -> dict[str, object]:
    """Return our settings with a user's beside them: of a setting in both theirs counts, and None leaves it out.

    A name can be written in two ways (``sysctl_path``). With both in one file each run would set one and then the other.
    """
    named = {sysctl_path(key) for key in theirs}
    both = {**{key: value for key, value in ours.items() if sysctl_path(key) not in named}, **theirs}
    return {key: value for key, value in both.items() if value is not None}


def decide(modules: Sequence[str], sysctls: Mapping[str, object], swap_off: bool, kernel: Kernel) -> Verdict:
    """Return what the running kernel lacks."""
    names = [module_name(name) for name in modules]
    return Verdict(
        tuple(name for name in dict.fromkeys(names) if name not in kernel.loaded | kernel.builtin),
        {
            key: (kernel.values.get(key), normal(value))
            for key, value in sysctls.items()
            if kernel.values.get(key) is None or normal(kernel.values[key]) != normal(value)
        },
        kernel.swaps if swap_off else (),
    )


def findings(modules: Sequence[str], sysctls: Mapping[str, object]) -> list[str]:
    """Return names that cannot be names of modules or settings, and settings that are named twice."""
    said = [f"{name!r} is no kernel module's name" for name in modules if not re.fullmatch(r"[A-Za-z0-9_-]+", name)]
    said += [
        f"{key!r} is no kernel setting's name"
        for key in sysctls
        if not re.fullmatch(r"[\w*-]+([./][\w:@*-]+)+", key) or ".." in key
    ]
    paths = [sysctl_path(key) for key in sysctls]
    said += [f"{key!r} is there under another name too" for key, path in zip(sysctls, paths) if paths.count(path) > 1]
    return said + [f"{key}: a value has one line" for key, value in sysctls.items() if "\n" in str(value)]


def diff(verdict: Verdict) -> list[dict[str, str]]:
    """Return Ansible's diff of the running kernel."""
    before = [f"{key} = {old or 'absent'}" for key, (old, _new) in verdict.set.items()]
    before += [f"swap on {name}" for name in verdict.swaps]
    after = [f"{key} = {new}" for key, (_old, new) in verdict.set.items()] + [f"module {name}" for name in verdict.load]
    if not verdict.changed:
        return []
    return [
        {
            "before_header": "running kernel",
            "after_header": "running kernel",
            "before": "".join(f"{line}\n" for line in before),
            "after": "".join(f"{line}\n" for line in after),
        }
    ]


def render_modules(modules: Sequence[str], kernel: Kernel) -> str:
    """Return a modules-load.d file; what is built in is only mentioned, because loading it at boot may fail."""
    lines = [
        f"# {name} is built into this kernel" if name in kernel.builtin and name not in kernel.loaded else name
        for name in dict.fromkeys(module_name(name) for name in modules)
    ]
    return HEAD + "".join(f"{line}\n" for line in lines)


def render_sysctls(sysctls: Mapping[str, object]) -> str:
    """Return a sysctl.d file."""
    return HEAD + "".join(f"{key} = {normal(sysctls[key])}\n" for key in sorted(sysctls))


def without_swap(fstab: str) -> str:
    """Return an fstab whose swap lines are comments."""

    def line(text: str) -> str:
        fields = text.split()
        is_swap = len(fields) >= 3 and not fields[0].startswith("#") and fields[2] == "swap"
        return f"# swap off for the kubelet: {text}" if is_swap else text

    return "".join(line(text) for text in fstab.splitlines(keepends=True))
