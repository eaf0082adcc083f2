# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show a result to a person or to a program, and keep it as a file on the controller.

Solves: every report is read in both ways, and a program that reads the file never sees half of it. Leaves out: what is said.
"""

from __future__ import annotations

import json
import os

from ansible.errors import AnsibleActionFail
from ansible.utils.display import Display
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _failure
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _controller_file


def publish(document, lines, form="text", output=""):
    """Show `lines`, or one line of JSON when `form` is json; write the JSON to the file `output` as well unless that is empty."""
    Display().display(json.dumps(document, sort_keys=True) if form == "json" else "\n" + "\n".join(lines) + "\n")
    if output:
        write(os.path.expanduser(output), json.dumps(document, indent=2, sort_keys=True) + "\n")


def write(path, text):
    """Replace a file on the controller at once, readable by all; AnsibleActionFail says why it cannot be."""
    try:
        _controller_file.replace(path, text, 0o644)
    except OSError as error:
        following = _failure.remedy(error, path)
        raise AnsibleActionFail(f"the document cannot be written to {path}: {error}. Next: {following}") from error
