# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Run programs on a host in one uniform way, so that everything above can be given a fake runner in tests.

Left out on purpose: shells, pipelines and interactive programs.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass

#: Exit codes a shell gives for "not found" and for a program killed by ``timeout``; used where no process has an own code.
NOT_FOUND, TIMED_OUT = 127, 124


@dataclass(frozen=True)
class Result:
    """Hold what was asked of a program and what came back."""

    argv: tuple[str, ...]
    rc: int
    out: str = ""
    err: str = ""

    @property
    def said(self) -> str:
        """Return the program's last words, standard error first."""
        return (self.err.strip() or self.out.strip())[-2000:]

    def __str__(self) -> str:
        return f"`{' '.join(self.argv)}` exited with {self.rc}: {self.said or 'no output'}"


#: ``runner(argv, timeout_seconds) -> Result``; it never raises.
Runner = Callable[[Sequence[str], float], Result]


def run(argv: Sequence[str], timeout: float = 60.0) -> Result:
    """Run ``argv`` without a shell, in the C locale, for at most ``timeout`` seconds; never raise."""
    environment = {**os.environ, "LC_ALL": "C", "LANGUAGE": "C", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            env=environment,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        out = (error.stdout or b"").decode("utf-8", "replace")
        return Result(tuple(argv), TIMED_OUT, out, f"no end within {timeout:g} s")
    except OSError as error:
        return Result(tuple(argv), NOT_FOUND, "", f"cannot run {argv[0]}: {error.strerror}")
    return Result(tuple(argv), done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace"))
