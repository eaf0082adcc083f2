# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _settings
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _hooks


def given(**paths):
    variables = {f"multimaster_{name}": path for name, path in paths.items()}
    return _settings.parse(variables, "/inv")[0]


def test_a_relative_path_lies_beside_the_inventory_and_none_is_none():
    assert _hooks.paths(given(before_host="tasks/b.yml", after_host="/srv/a.yml"), "/inv") == {
        "before": "/inv/tasks/b.yml",
        "after": "/srv/a.yml",
    }
    assert _hooks.paths(given(), "/inv") == {"before": "", "after": ""}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- name: x\n  ansible.builtin.debug:\n", ""),
        ("---\n[]\n", ""),
        (None, "is no file"),
        ("- hosts: all\n  tasks: []\n", "is a playbook; only the list of tasks is wanted"),
        ("a: 1\n", "holds no list of tasks"),
        ("- a\n", "holds no list of tasks"),
        ("- name: [\n", "cannot be read: "),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_path(tmp_path, text, said):
    path = tmp_path / "b.yml"
    if text is not None:
        path.write_text(text)
    found = _hooks.wrong({"before": str(path), "after": ""}, DataLoader())
    assert list(found) == (["multimaster_before_host"] if said else [])
    assert said in found.get("multimaster_before_host", "")
    assert not said or found["multimaster_before_host"].startswith(str(path))
