# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Read the running kernel and change it: modprobe, /proc/sys, swapoff; every failure is reported, not only the first."""

from __future__ import annotations

import contextlib
import errno
import gzip
import os
import platform
from collections.abc import Mapping, Sequence

from . import _command
from . import _kernel_plan as plan


class KernelError(Exception):
    """Say what the kernel refused and why; ``next_step``: what to do about it."""

    def __init__(self, refused: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(said for said, _next_step in refused))
        self.next_step = "; ".join(dict.fromkeys(next_step for _said, next_step in refused)) + ", then run again"


class Host:
    """Give access to one host's kernel; ``root`` stands before every path in tests."""

    def __init__(self, runner: _command.Runner = _command.run, root: str = "", release: str | None = None) -> None:
        self._runner, self._root, self._release = runner, root, release or platform.release()

    def read(self, modules: Sequence[str], sysctls: Mapping[str, object]) -> plan.Kernel:
        """Return what is relevant for the wanted modules and settings."""
        names = [plan.module_name(name) for name in modules]
        loaded = plan.parse_modules(self._text("/proc/modules"))
        builtin = plan.parse_builtin(self._text(f"/lib/modules/{self._release}/modules.builtin")) & frozenset(names)
        builtin |= {name for name in names if name not in loaded and os.path.isdir(f"{self._root}/sys/module/{name}")}
        builtin |= {
            name
            for name in names
            if name not in loaded and os.path.exists(self._root + plan.TRACES.get(name, f"/sys/module/{name}"))
        }
        if set(names) - loaded - builtin:
            builtin |= plan.parse_config(self._config(), names) - loaded
        return plan.Kernel(
            loaded,
            frozenset(builtin),
            {key: self._value(key) for key in sysctls},
            plan.parse_swaps(self._text("/proc/swaps")),
            self._text("/etc/fstab"),
        )

    def apply(self, verdict: plan.Verdict) -> None:
        """Load, set and switch off; raise KernelError with everything that was refused."""
        refused = []
        for name in verdict.load:
            result = self._runner(["modprobe", "--", name], 30.0)
            if result.rc != 0:
                why = f"kernel module {name} is neither built in nor loaded, and {result}"
                remedy = (
                    f"`modprobe {name}` on the machine that owns the kernel (in a container: its host), or take it off the list"
                )
                refused.append((why, remedy))
        for key, (_before, value) in verdict.set.items():
            refused += self._set(key, value)
        if verdict.swaps:
            result = self._runner(["swapoff", "-a"], 120.0)
            left = plan.parse_swaps(self._text("/proc/swaps"))
            if result.rc != 0 or left:
                refused.append(
                    (
                        f"swap stays on ({', '.join(left) or 'it cannot be switched off'}): {result}",
                        "`swapoff -a` on the machine that owns the kernel (in a container: its host)",
                    )
                )
        if refused:
            raise KernelError(refused)

    def _set(self, key: str, value: str) -> list[tuple[str, str]]:
        """Write one setting and read it back; return what was refused, with what to do next."""
        try:
            with open(self._root + plan.sysctl_path(key), "w", encoding="utf-8") as handle:
                handle.write(value + "\n")
        except OSError as error:
            there = f"`sysctl -w {key}='{value}'` on the machine that owns the kernel (in a container: its host)"
            why, following = {
                errno.ENOENT: ("this kernel has no such setting", f"put the module that {key} belongs to on the list"),
                errno.EROFS: ("it is read-only here", there),
                errno.EACCES: ("it may not be changed here", there),
                errno.EPERM: ("it may not be changed here", there),
                errno.EINVAL: ("the kernel does not take this value", f"give {key} another one"),
            }.get(error.errno or 0, (error.strerror, f"`sysctl -w {key}='{value}'` on this host says more; mend that"))
            return [(f"{key} is {self._value(key) or 'absent'}, wanted {value}: {why}", following)]
        now = self._value(key)
        return [] if now == value else [(f"{key} was set to {value}, but the kernel says {now}", f"give {key} a value it keeps")]

    def _value(self, key: str) -> str | None:
        with contextlib.suppress(OSError), open(self._root + plan.sysctl_path(key), encoding="utf-8") as handle:
            return plan.normal(handle.read())
        return None

    def _config(self) -> str:
        """Return the running kernel's configuration, empty when it is nowhere."""
        with contextlib.suppress(OSError), gzip.open(f"{self._root}/proc/config.gz", "rt", encoding="utf-8") as handle:
            return handle.read()
        return self._text(f"/boot/config-{self._release}")

    def _text(self, path: str) -> str:
        with contextlib.suppress(OSError), open(self._root + path, encoding="utf-8", errors="replace") as handle:
            return handle.read()
        return ""
