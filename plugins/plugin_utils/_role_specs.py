# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what this collection's roles declare of their variables (roles/*/meta/argument_specs.yml), hold values to it.

As ansible.builtin.validate_argument_spec does when a role begins. Leaves out: what becomes of it (``_role_inputs``).
"""

from __future__ import annotations

import functools
import pathlib

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.module_utils.common.yaml import yaml_load

ROLES = pathlib.Path(__file__).parents[2] / "roles"


@functools.cache
def read():
    """Return {role: {entry point: its specification}}."""
    paths = sorted(ROLES.glob("*/meta/argument_specs.yml"))
    return {path.parts[-3]: yaml_load(path.read_text(encoding="utf-8"))["argument_specs"] for path in paths}


def wrong(name, option, value):
    """Return what is wrong with the value of a variable, of which this is declared."""
    try:
        return ArgumentSpecValidator({name: option}).validate({name: value}).error_messages
    except OverflowError as error:  # `.inf` for a whole number, which ansible-core does not catch
        return [f"argument '{name}' is of type {type(value).__name__} and we were unable to convert to {option['type']}: {error}"]
