# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that what is judged by is what the roles declare, and that what their users see as an example passes."""

from __future__ import annotations

import pathlib

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _role_inputs
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _role_specs

COLLECTION = pathlib.Path(__file__).parents[4]


def test_every_role_declares_its_entry_points():
    specs = _role_specs.read()
    assert sorted(specs) == sorted(path.name for path in (COLLECTION / "roles").iterdir() if path.is_dir())
    assert all("main" in entries for entries in specs.values())


def test_each_variable_carries_the_name_of_the_role_that_has_it():
    specs = _role_specs.read()
    for role, entries in specs.items():
        assert all(name.startswith(f"{role}_") for name in _role_inputs.options({role: entries}))


def test_no_default_of_ours_is_refused_and_no_variable_of_ours_is_taken_for_a_misspelt_one():
    declared = _role_inputs.options(_role_specs.read())
    defaults = {name: option["default"] for name, option in declared.items() if "default" in option}
    assert len(defaults) > 80
    assert _role_inputs.judge(declared, {"m1": defaults}, _role_specs.wrong) == ()
    registered = {f"{role}_result": {} for role in _role_specs.read()}
    assert _role_inputs.judge(declared, {"m1": registered}, _role_specs.wrong) == ()


def test_a_value_is_judged_as_ansible_would():
    option = {"type": "list", "elements": "int"}
    assert _role_specs.wrong("etcd_sizes", option, [1, "2"]) == []
    [said] = _role_specs.wrong("etcd_sizes", option, ["soon"])
    assert "'etcd_sizes'" in said and "soon" in said
