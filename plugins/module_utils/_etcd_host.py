# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Look at and change what is etcd's on one host: its unit, its data, and what lets it start for the first time.

Leaves out: deciding (``_membership``), and the order with the cluster's side (``_membership_flow``, ``_etcd_flows``). The runner
is injected; commands are systemctl's only.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _files, _membership, _systemd
from ansible_collections.multimaster.kubernetes.plugins.module_utils._membership import StepFailed


@dataclass(frozen=True)
class Paths:
    """Where a host keeps what is etcd's; the defaults are the collection's layout."""

    data_dir: str = "/var/lib/etcd"
    record: str = _membership.RECORD
    drop_in: str = _membership.FIRST_START


class Host:
    """The files and the unit of etcd on this host. ``runner(argv, timeout) -> _command.Result``."""

    def __init__(self, runner, paths=None, unit="etcd.service"):
        self._run, self.paths, self.unit = runner, paths or Paths(), unit

    def _systemctl(self, *argv):
        result = self._run(("systemctl", *argv), _systemd.BLOCKING)
        if result.rc != 0:
            raise StepFailed(str(result), f"`systemctl status {self.unit}` and `journalctl -u {self.unit} -n 50` here")
        return result.out

    def has_data(self):
        """Tell whether a write-ahead log exists; without one there is no member here, whatever else lies about."""
        try:
            return _membership.has_data(os.listdir(os.path.join(self.paths.data_dir, _membership.WAL)))
        except FileNotFoundError:
            return False

    def unit_state(self):
        """Return ``running`` (also while it comes up) or ``down`` (stopped, failed, or waiting to be restarted)."""
        state = self._show("ActiveState", "SubState")
        waits = state.get("SubState", "").startswith("auto-restart")
        return "running" if state.get("ActiveState") in ("active", "activating", "reloading") and not waits else "down"

    def restarts(self):
        """Return how often systemd has started the unit anew since it was started last."""
        return int(self._show("NRestarts").get("NRestarts") or 0)

    def _show(self, *properties):
        text = self._systemctl("show", self.unit, "-p", ",".join(properties))
        return dict(line.split("=", 1) for line in text.split() if "=" in line)

    def journal(self):
        """Return what the unit said last."""
        return _systemd.journal(self._run, self.unit)

    def record(self):
        """Return the bootstrap record, or None."""
        try:
            with open(self.paths.record, encoding="utf-8") as file:
                record = json.load(file)
            if not isinstance(record, dict):
                raise ValueError(f"it is a {type(record).__name__}, not an object")
            return record
        except FileNotFoundError:
            return None
        except ValueError as error:
            following = "look at it; remove it when this host has no etcd data"
            raise StepFailed(f"{self.paths.record} is no JSON of a record: {error}", following) from error

    def write_record(self, record):
        """Write the bootstrap record, safe against a power cut, before anything starts from it."""
        _files.write(self.paths.record, json.dumps(record, indent=2, sort_keys=True) + "\n", 0o600)

    def start(self, drop_in):
        """Start the unit with this one-shot drop-in and return at once."""
        os.makedirs(os.path.dirname(self.paths.drop_in), exist_ok=True)
        _files.write(self.paths.drop_in, drop_in, 0o644)
        self._systemctl("daemon-reload")
        # a unit that is not loaded has nothing to reset, which systemctl calls a failure
        self._run(("systemctl", "reset-failed", self.unit), _systemd.BLOCKING)
        self._systemctl("start", "--no-block", self.unit)

    def one_shots(self):
        """Return the one-shot files that are there."""
        return [path for path in (self.paths.drop_in, self.paths.record) if os.path.lexists(path)]

    def remove_one_shots(self):
        """Remove drop-in and record, so that the unit's own assertion holds again; return what was removed."""
        there = self.one_shots()
        for path in there:
            os.unlink(path)
        if self.paths.drop_in in there:
            self._systemctl("daemon-reload")
        return there

    def wipe(self):
        """Stop etcd and remove this host's own member data, nothing else."""
        self._systemctl("stop", self.unit)
        folder = os.path.join(self.paths.data_dir, "member")
        if os.path.isdir(folder):
            shutil.rmtree(folder)

    def set_leftovers_aside(self):
        """Move a member folder without a write-ahead log out of the way: useless to etcd, perhaps not to a person."""
        folder = os.path.join(self.paths.data_dir, "member")
        if os.path.isdir(folder) and not self.has_data():
            number = 1
            while os.path.lexists(f"{folder}.aside-{number}"):
                number += 1
            os.rename(folder, f"{folder}.aside-{number}")
