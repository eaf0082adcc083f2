# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the project's YAML files and walk through their tasks, for the tests that judge them."""

from __future__ import annotations

import yaml

BLOCKS = ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks", "handlers")


class Loader(yaml.SafeLoader):
    """Reads Ansible's own tags as plain values."""


Loader.add_multi_constructor("!", lambda loader, suffix, node: getattr(loader, f"construct_{node.id}")(node))


def load(path):
    return yaml.load(path.read_text(encoding="utf-8"), Loader=Loader)


def tasks_of(content):
    """Yield every task of a tasks file or playbook, those inside blocks too."""
    for item in content if isinstance(content, list) else []:
        if not isinstance(item, dict):
            continue
        if "hosts" not in item and "import_playbook" not in item and "ansible.builtin.import_playbook" not in item:
            yield item
        for key in BLOCKS:
            yield from tasks_of(item.get(key))
