# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the module host_info and note the controller's clock around it.

A host's clock read somewhere between two readings of the controller's clock tells the skew up to the time the
execution took; without them nothing can be said about it.
"""

from __future__ import annotations

import time

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """Add `clock_window` to the observation."""

    _requires_connection = True
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        """Execute the module of the same name and return its result with the window."""
        super().run(tmp, task_vars)
        before = time.time()
        result = self._execute_module(task_vars=task_vars)
        observation = result.get("ansible_facts", {}).get("multimaster_host")
        if observation is not None:
            observation["clock_window"] = [before, time.time()]
        return result
