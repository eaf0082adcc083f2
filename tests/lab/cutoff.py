# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cut a run off where its own events say: SIGKILL to ansible-playbook's processes and their SSH children.

A cut is written as one of

    before TASK            when a task whose name matches the regular expression starts, before any host works on it
    inside TASK            when a host has started on it
    inside TASK @HOST +MS  only that host, MS milliseconds later
    inside TASK @!HOST x2  any other host than that; the second time that this happens
    inside PLAY > TASK     only in a play whose name matches
    before #N, inside #N   the N-th task of the run
    at SECONDS             so long after the first event

Nothing in the product knows about it: the events come from a callback of the lab. What runs on the hosts at that moment
is left alone, as a lost controller leaves it.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from dataclasses import dataclass
from pathlib import Path

EVENT_OF = {"before": "task", "inside": "start"}
SYNTAX = re.compile(
    r"(before|inside)\s+(?:#(?P<number>\d+)|(?P<task>.+?))(?:\s+@(?P<other>!?)(?P<host>[\w.-]+))?(?:\s+x(?P<nth>\d+))?(?:\s+\+(?P<delay>\d+))?"
)


@dataclass(frozen=True)
class Cut:
    """Where a run is cut off; delay in seconds after the event, nth: of those that match, other: any host but that one."""

    event: str
    task: str = ""
    number: int = 0
    host: str = ""
    delay: float = 0.0
    nth: int = 1
    other: bool = False
    play: str = ""

    def matches(self, event: dict) -> bool:
        """Say whether this is such an event; after the n-th of them the run ends."""
        if not self.event:
            return True  # `at`: the first event starts the clock
        if event["event"] != self.event or (self.host and (event.get("host") == self.host) is self.other):
            return False
        if not re.search(self.play, event.get("play", "")):
            return False
        return event["number"] == self.number if self.number else bool(re.search(self.task, event["task"]))


def parse_cut(text: str) -> Cut:
    """Return the cut that a text describes, or raise ValueError."""
    words = text.split()
    if len(words) == 2 and words[0] == "at":
        return Cut("", delay=float(words[1]))
    found = SYNTAX.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is no cut. Examples: 'before Start etcd', 'inside #37', 'inside Join @m2 +200', 'at 12.5'")
    play, _, task = (found["task"] or "").rpartition(" > ")
    return Cut(
        EVENT_OF[found[1]],
        task,
        int(found["number"] or 0),
        found["host"] or "",
        int(found["delay"] or 0) / 1000,
        int(found["nth"] or 1),
        bool(found["other"]),
        play,
    )


def processes_of(marker: str, folder: str, proc: Path = Path("/proc")) -> list[int]:
    """Return the processes whose environment carries the marker, and SSH masters whose socket lies in the folder.

    Ansible's workers and the SSH masters leave the process group (setsid), so the group alone is not enough.
    """
    found = []
    for entry in proc.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if marker.encode() in environment or (folder and command.startswith(b"ssh:") and folder.encode() in command):
            found.append(int(entry.name))
    return found


def kill(marker: str, folder: str = "", timeout: float = 5.0) -> int:
    """Kill a run's processes until none is left and return how many there were; they cannot say goodbye."""
    killed = set()
    deadline = time.monotonic() + timeout
    while alive := [pid for pid in processes_of(marker, folder) if not is_zombie(pid)]:
        if time.monotonic() > deadline:
            break
        for pid in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
        time.sleep(0.01)
    else:
        return len(killed)
    raise TimeoutError(f"processes of {marker} are still there {timeout} s after SIGKILL: {alive}")


def is_zombie(pid: int) -> bool:
    """Say whether a process has ended and only waits for its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except (OSError, IndexError):
        return True
