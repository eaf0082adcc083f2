# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the command lines of running programs with the flags that an inventory gives them besides ours."""

from __future__ import annotations

import access
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _feature_gates, _rendering

# Every program whose role takes `<role>_extra_flags`, by its unit: the role, and who runs it.
PROGRAMS = {
    "etcd": ("etcd", "members"),
    "kube-apiserver": ("kube_apiserver", "masters"),
    "kube-controller-manager": ("kube_controller_manager", "masters"),
    "kube-scheduler": ("kube_scheduler", "masters"),
}
HEAD = "unit "
# One command a host: each unit's name, then the arguments of its process, one a line; none for a unit that does not run.
ASK = " ".join(
    f"echo '{HEAD}{unit}'; tr '\\0' '\\n' 2>/dev/null < "
    f"/proc/$(systemctl show --property=MainPID --value {unit}.service)/cmdline || true;"
    for unit in PROGRAMS
)


def wanted(cluster: access.Cluster) -> dict[str, dict[str, dict]]:
    """Return {host: {unit: its extra flags}} of what the inventory gives any to."""
    found: dict[str, dict[str, dict]] = {}
    for unit, (role, hosts) in PROGRAMS.items():
        for host in getattr(cluster, hosts):
            given = cluster.variable(f"{role}_extra_flags", host)
            if given:
                found.setdefault(host, {})[unit] = given
    return found


def command_lines(text: str) -> dict[str, dict[str, str]]:
    """Return {unit: {flag: value}} out of a host's answer."""
    found: dict[str, dict[str, str]] = {}
    unit = ""
    for line in text.splitlines():
        if line.startswith(HEAD):
            unit = line[len(HEAD) :]
            found[unit] = {}
        elif line.startswith("--"):
            name, _sign, value = line[2:].partition("=")
            found[unit][name] = value
    return found


def missing(wanted: dict[str, dict[str, dict]], running: dict[str, dict[str, dict[str, str]]]) -> list[str]:
    """Return which extra flags a running program does not have, or has though they are to be left out (null)."""
    found = []
    for host, units in sorted(wanted.items()):
        for unit, given in units.items():
            has = running[host].get(unit, {})
            for name, value in given.items():
                told = None if value is None else _rendering.flag_value(value)
                if not is_as_told(name, told, has.get(name)):
                    found.append(f"{host}: {unit} runs with {name}={has.get(name, '(absent)')}, not {told}")
    return found


def is_as_told(name: str, told: str | None, has: str | None) -> bool:
    """Say whether a flag is what an inventory says; its feature gates stand beside ours."""
    if name == _feature_gates.FLAG and told and has:
        return set(told.split(",")) <= set(has.split(","))
    return told == has
