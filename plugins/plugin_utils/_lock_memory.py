# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Note down what a run holds of the operation lock, in a file of its own temporary folder.

Tasks run in children of the process that is the run, so no variable lives from one to the next; the file goes when the run ends.
"""

from __future__ import annotations

import json
import os

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _lock
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _controller_file

MEMORY = "multimaster-lock.json"


class Memory:
    """What this run holds: {place: {host, moment, seconds}}, and what it said of itself when it took the lock."""

    def __init__(self, path, said=None):
        self.path = path
        self.places = (said or {}).get("places", {})
        self.nodes = (said or {}).get("nodes", [])

    @classmethod
    def read(cls, folder):
        """Return what this run noted down, or that it holds nothing."""
        path = os.path.join(folder, MEMORY)
        try:
            with open(path, encoding="utf-8") as file:
                return cls(path, json.load(file))
        except FileNotFoundError:
            return cls(path)

    def write(self, state, arguments, result, host, now):
        """Note down what the run holds after an answer."""
        if state == "free":
            self.places = {}
        else:
            seconds = int(arguments.get("seconds") or _lock.STEP_SECONDS)
            self.places.update({place: {"host": host, "moment": now, "seconds": seconds} for place in result.get("places", ())})
        if state == "held":
            self.nodes = []
        self.nodes += self.unseen(arguments)
        _controller_file.replace(self.path, json.dumps({"places": self.places, "nodes": self.nodes}), 0o600)

    def here(self, host):
        """Return the places that can be reached from a host: the Lease from any, a file only from its own."""
        return [name for name, one in self.places.items() if name == _lock.CLUSTER or one["host"] == host]

    def unseen(self, arguments):
        """Return the nodes that nobody else may have cordoned, as a task names them, that no earlier one has named."""
        return [name for name in arguments.get("nodes") or () if name not in self.nodes]

    def arguments(self, arguments, host):
        """Return the arguments with which to keep or to release what was taken; the module's own when nothing is known."""
        here = self.here(host)
        return {"places": here, "nodes": self.nodes + self.unseen(arguments)} if here else {}

    def unneeded(self, arguments, host, now):
        """Return why nothing needs to be renewed from a host, "" when something does."""
        if not self.places:
            return ""
        held = [self.places[name] for name in self.here(host)]
        if not held:
            return f"this run's lock is not held through {host}"
        seconds = int(arguments.get("seconds") or _lock.STEP_SECONDS)
        if self.unseen(arguments) and _lock.CLUSTER in self.here(host):
            return ""
        if any(_lock.due(now - one["moment"], one["seconds"], seconds) for one in held):
            return ""
        return f"this run renewed its lock {now - min(one['moment'] for one in held):.0f} s ago"
