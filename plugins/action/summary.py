# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the summary of a run."""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _summary

ARGUMENTS = {
    "cluster": {"type": "dict", "required": True},
    "nodes": {"type": "list", "elements": "dict", "required": True},
    "members": {"type": "list", "elements": "dict", "required": True},
    "holders": {"type": "list", "elements": "str", "default": []},
    "certificates": {"type": "list", "elements": "dict", "default": []},
    "kubeconfig": {"type": "str", "default": ""},
}


class ActionModule(ActionBase):
    """Render and print; change nothing."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        """Return the lines that were printed."""
        super().run(tmp, task_vars)
        _unused, args = self.validate_argument_spec(argument_spec=ARGUMENTS)
        lines = _summary.lines(**args)
        Display().display("\n" + "\n".join(lines) + "\n")
        return {"changed": False, "lines": lines}
