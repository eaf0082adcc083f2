# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say which process of which controller this run is, and when a process started: what tells a run that lives from a dead one."""

from __future__ import annotations

import multiprocessing
import os
import socket

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _lock

# proc(5): fields 3 and 22 of /proc/PID/stat, counted from the end of the program's name, which may hold anything
STATE, START = 0, 19
DEAD = ("Z", "X")


def process():
    """Return controller, boot, pid and started of the ansible process this task belongs to; "" and 0 for what is unknown."""
    # tasks run in children of the process that lives as long as the run does
    parent = multiprocessing.parent_process()
    pid = parent.pid if parent else os.getpid()
    return {"controller": socket.gethostname(), "boot": boot(), "pid": pid, "started": max(started(pid) or 0, 0)}


def boot():
    """Return what a process number is unique within: the kernel's boot and the process namespace; "" when unknown."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def started(pid):
    """Return when a process started, in clock ticks after the boot; None when there is none, UNKNOWN when it is hidden."""
    try:
        os.kill(pid, 0)  # asks only; tells of a process even where /proc shows nobody else's
    except ProcessLookupError:
        return None
    except (OSError, OverflowError):
        pass
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return _lock.UNKNOWN
    return None if fields[STATE] in DEAD else int(fields[START])
