# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Check that a machine can carry its part: system, architecture, kernel, Python, programs, memory, disk.

Each check is a function from a `_preflight_view.View` to findings; `_preflight` lists them. Leaves out: installing what
is missing (role host_preparation).
"""

from __future__ import annotations

import re

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _node_disks, _resolver
from ansible_collections.multimaster.kubernetes.plugins.module_utils._finding import ERROR, WARNING, Finding

# What the roles are written for. Others of these families have apt and systemd too; they may work and are a warning.
SUPPORTED_OS = {"debian": ("12", "13"), "ubuntu": ("22.04", "24.04")}
SUPPORTED_ARCHITECTURES = ("amd64", "arm64")
# kube-proxy's nftables mode asks for Linux 5.13 (Kubernetes docs, "Virtual IPs and Service Proxies").
KERNEL_MINIMUM = (5, 13)
# From this minor on a kubelet does not start on cgroup v1 unless failCgroupV1 is false (Kubernetes docs, "About cgroup v2").
CGROUP_V1_FAILS = (1, 35)
PYTHON_MINIMUM = (3, 9)
REQUIRED_COMMANDS = ("systemctl", "ip")
# MiB. Kubernetes' own floor is 2 GiB for a control-plane node ("Creating a cluster with kubeadm", before you begin).
MASTER_MEMORY_MIB = 2048
WORKER_MEMORY_MIB = 1024
# Share of the nominal memory that firmware and kernel keep for themselves: a "2 GiB" machine shows about 1950 MiB.
MEMORY_KEPT = 0.1
MASTER_DISK_MIB = {"/var/lib": 4096, "/opt": 1024}
WORKER_DISK_MIB = {"/var/lib": 2048, "/opt": 1024}
# ms. etcd's FAQ: 99 % of WAL syncs should take less.
DISK_P99_MS = 10.0


def systems_supported(view):
    """Want Debian or Ubuntu, in a release that the roles are written for; a system unlike these is an error."""
    for host, observation in view.seen():
        system = observation["os"]
        if system["version_id"] in SUPPORTED_OS.get(system["id"], ()):
            continue
        alike = not {system["id"], *system["like"]}.isdisjoint(SUPPORTED_OS)
        yield Finding(
            host.name,
            "os-unsupported",
            system["name"] or "an unknown operating system",
            "Debian 12 or 13, Ubuntu 22.04 or 24.04",
            "It may work; nothing is promised for it."
            if alike
            else "Install one of these, or take the host out of the inventory: packages are installed by apt.",
            WARNING if alike else ERROR,
        )


def architectures_supported(view):
    """Want an architecture that the upstream projects publish binaries for."""
    for host, observation in view.seen():
        if observation["architecture"] not in SUPPORTED_ARCHITECTURES:
            yield Finding(
                host.name,
                "architecture",
                observation["architecture"],
                "amd64 or arm64",
                "Take the host out of the inventory.",
            )


def kernels_new_enough(view):
    """Want a kernel with what kube-proxy's nftables mode needs."""
    for host, observation in view.seen():
        if host.member and not (host.master or host.worker):
            continue
        if _numbers(observation["kernel"]) < KERNEL_MINIMUM:
            yield Finding(
                host.name,
                "kernel",
                f"Linux {observation['kernel']}",
                "5.13 or newer",
                "Upgrade the kernel, or the operating system.",
            )


def cgroups_unified(view):
    """Want cgroup v2 on nodes whose kubelet does not start on v1, unless it is told to."""
    for host, observation, own in view.nodes():
        version = view.topology.versions[host.name]["kubelet"]
        if observation["cgroup"] == 1 and _numbers(version) >= CGROUP_V1_FAILS and own.get("failCgroupV1") is not False:
            yield Finding(
                host.name,
                "cgroup-v1",
                f"the host uses cgroup v1, on which kubelet {version} does not start",
                "cgroup v2",
                "Take systemd.unified_cgroup_hierarchy=0 off the kernel's command line, or put 1 there, and reboot. While "
                "Kubernetes still can: kubelet_extra_config: {failCgroupV1: false}.",
            )


def pythons_new_enough(view):
    """Want a Python the modules run on."""
    for host, observation in view.seen():
        if _numbers(observation["python"]) < PYTHON_MINIMUM:
            yield Finding(
                host.name,
                "python",
                f"Python {observation['python']}",
                "3.9 or newer",
                "Install a newer one and set ansible_python_interpreter.",
            )


def commands_there(view):
    """Want the programs nothing can do without; others are installed by us."""
    for host, observation in view.seen():
        missing = [name for name in REQUIRED_COMMANDS if not observation["commands"].get(name)]
        if missing:
            yield Finding(
                host.name,
                "command-missing",
                f"{', '.join(missing)} not found",
                "a host that runs systemd and has iproute2",
                "Install the packages systemd and iproute2; containers without an init system are no hosts.",
            )


def memory_enough(view):
    """Want 2 GiB of memory on masters and 1 GiB on workers, less what firmware and kernel keep."""
    for host, observation in view.seen():
        wanted = MASTER_MEMORY_MIB if host.master or host.member else WORKER_MEMORY_MIB
        if observation["memory_mib"] < wanted * (1 - MEMORY_KEPT):
            yield Finding(
                host.name,
                "memory",
                f"{observation['memory_mib']} MiB of memory",
                f"{wanted} MiB",
                "Give the machine more memory.",
            )


def disks_large_enough(view):
    """Want free disk space where images, etcd's data and the binaries go; on a host in use it is a warning."""
    for host, observation in view.seen():
        for path, wanted in sorted((MASTER_DISK_MIB if host.master or host.member else WORKER_DISK_MIB).items()):
            free = observation["disk_free_mib"].get(path, 0)
            if free < wanted:
                yield Finding(
                    host.name,
                    "disk-space",
                    f"{free} MiB free under {path}",
                    f"{wanted} MiB",
                    "Free some space or enlarge the file system.",
                    WARNING if observation["certificates"] else ERROR,
                )


def disks_relaxed(view):
    """Want more disk space free than that below which a kubelet deletes images and evicts pods, unless it has its own limits."""
    for host, observation, own in view.nodes():
        if "evictionHard" not in own:
            yield from _node_disks.findings(host.name, observation.get("disk_free_percent") or {})


def pods_resolve(view):
    """Want no name server on loopback for pods that resolve names as their node does; on a host in use it is a warning."""
    for host, observation, own in view.nodes():
        resolver = observation.get("resolver") or {"path": "", "nameservers": ()}
        servers = _resolver.on_host(resolver["nameservers"])
        if servers and "resolvConf" not in own:
            yield Finding(
                host.name,
                "resolver-loopback",
                f"nameserver {', '.join(servers)} in {resolver['path']}: in a pod that is the pod itself, so cluster DNS would "
                "ask itself, notices and ends, and no pod resolves a name",
                "name servers that pods reach",
                "Write a file of that form on the host with the servers that it asks itself, and name it: kubelet_extra_config: "
                "{resolvConf: PATH}.",
                WARNING if observation["certificates"] else ERROR,
            )


def disks_fast_enough(view):
    """Want etcd's disk to sync within 10 ms, when that was measured."""
    for host, observation in view.seen():
        taken = observation.get("disk_fdatasync_p99_ms")
        if host.member and taken is not None and taken > DISK_P99_MS:
            yield Finding(
                host.name,
                "disk-slow",
                f"99 % of 2300-byte writes are synced within {taken:.1f} ms",
                f"{DISK_P99_MS:.0f} ms",
                "Give etcd a faster disk of its own (SSD) at /var/lib/etcd; slow syncs cost leader elections.",
                WARNING,
            )


def _numbers(text):
    """Return the leading numbers of a version, such as (6, 1) of 6.1.0-30-amd64."""
    found = re.match(r"^(\d+)\.(\d+)", text)
    return (int(found.group(1)), int(found.group(2))) if found else (0, 0)
