# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what Ansible does as JSON lines, for the lab's runner: it counts executions and knows where to cut a run off.

Left out: output for people (the stdout callback's), and anything a task does not show (no_log is respected, because
Ansible hands callbacks results that are already cleaned).
"""

from __future__ import annotations

import json
import os
import time

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: lab_events
type: aggregate
short_description: JSON lines of a run, for the lab
description: Appends one JSON object per event to the file named by the environment variable LAB_EVENTS.
author: The multimaster.kubernetes maintainers (@multimaster)
requirements: [enable in configuration]
"""

MESSAGE_LENGTH = 4000


class CallbackModule(CallbackBase):
    """Append one line per event to the file $LAB_EVENTS."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "lab_events"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self):
        """Open the file; without LAB_EVENTS nothing is written."""
        super().__init__()
        path = os.environ.get("LAB_EVENTS")
        self._file = open(path, "a", encoding="utf-8", buffering=1) if path else None  # noqa: SIM115 - open for the whole run
        self._number = 0
        self._play = ""

    def _write(self, event, **fields):
        if self._file:
            self._file.write(json.dumps({"event": event, "at": time.time(), **fields}) + "\n")

    def _result(self, status, result):
        fields = {"task": result.task.get_name().strip(), "host": result.host.get_name(), "status": status}
        if status in ("failed", "unreachable"):
            fields["message"] = str(result.result.get("msg", result.result))[:MESSAGE_LENGTH]
        self._write("result", **fields)

    def v2_playbook_on_play_start(self, play):
        """Tell that a play starts."""
        self._play = play.get_name().strip()
        self._write("play", play=self._play)

    def v2_playbook_on_task_start(self, task, is_conditional):
        """Tell that a task starts, before any host works on it."""
        self._number += 1
        self._write("task", task=task.get_name().strip(), number=self._number, action=task.action, play=self._play)

    def v2_playbook_on_handler_task_start(self, task):
        """Tell that a handler starts."""
        self.v2_playbook_on_task_start(task, False)

    def v2_runner_on_start(self, host, task):
        """Tell that a host starts on a task."""
        self._write("start", task=task.get_name().strip(), number=self._number, host=host.get_name(), play=self._play)

    def v2_runner_on_ok(self, result):
        """Tell that a host ended a task well."""
        self._result("changed" if result.is_changed() else "ok", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        """Tell that a task failed on a host."""
        self._result("ignored" if ignore_errors else "failed", result)

    def v2_runner_on_unreachable(self, result):
        """Tell that a host could not be reached."""
        self._result("unreachable", result)

    def v2_runner_on_skipped(self, result):
        """Tell that a host skipped a task."""
        self._result("skipped", result)

    def v2_playbook_on_stats(self, stats):
        """Tell the recap."""
        self._write("stats", hosts={host: stats.summarize(host) for host in sorted(stats.processed)})
