# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find the files of the user's tasks that run before and after each host's turn, and look whether they can be read.

Solves: a misspelt path would else stop an upgrade between two masters. Leaves out: running them (playbooks/phases/tasks).
"""

from __future__ import annotations

import os

from ansible.errors import AnsibleError
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _settings

# Settings by the word for when they run.
SETTINGS = {"before": "before_host", "after": "after_host"}


def paths(settings, folder) -> dict:
    """Return {before, after: an absolute path, "" for none}; a relative one lies beside the inventory."""
    given = {when: getattr(settings, name) for when, name in SETTINGS.items()}
    return {when: os.path.abspath(os.path.join(folder, os.path.expanduser(path))) if path else "" for when, path in given.items()}


def wrong(tasks, loader) -> dict:
    """Return {setting: what is wrong with its file}, of those with something wrong; `loader` is Ansible's, which knows vaults."""
    found = {_settings.PREFIX + SETTINGS[when]: _problem(path, loader) for when, path in tasks.items() if path}
    return {setting: problem for setting, problem in found.items() if problem}


def _problem(path, loader):
    """Return what is wrong with one file, "" when it holds a list of tasks."""
    if not os.path.isfile(path):
        return f"{path} is no file"
    try:
        tasks = loader.load_from_file(path)
    except AnsibleError as error:
        return f"{path} cannot be read: {error}"
    if not isinstance(tasks, list) or not all(isinstance(task, dict) for task in tasks):
        return f"{path} holds no list of tasks"
    if any("hosts" in task for task in tasks):
        return f"{path} is a playbook; only the list of tasks is wanted"
    return ""
