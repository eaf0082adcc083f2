# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Judge what a user gives the roles by their own variables, by what roles/*/meta/argument_specs.yml declares.

Ansible itself judges it when a role begins on a host, which may be when half of a cluster is built already, and costs one more
task per role and host. Here all of it is judged at once, before anything is touched. Leaves out: what the wiring gives roles
(tests/unit/roles/test_argument_specs.py holds it to the same declarations), reading the files, and what fits a type.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

from ansible_collections.multimaster.kubernetes.plugins.module_utils._finding import WARNING, Finding, some
from ansible_collections.multimaster.kubernetes.plugins.module_utils._removed_flags import flag_name

#: What is wanted, by the id of the finding where it is not so.
CHECKS = {
    "role-input-invalid": "Want every variable of a role to be of the type and form that the role declares.",
    "role-input-unknown": "Want no variable whose name is all but that of a role's variable.",
}
# Of a name and a known one, how alike they are at least where the one is taken for a misspelling: kubelet_extra_arg is, and
# etcd_version_pinned, which somebody may use for something else, is not.
ALIKE = 0.9
# How the variables end by which users give a program flags.
FLAGS = "_extra_flags"
# The lowest and the highest value of what has bounds, which a role cannot declare. A blocking stop is waited for so long
# (_systemd.BLOCKING), and to systemd no time at all is time without end.
LIMITS = {"api_endpoint_stop_seconds": (1, 90)}
# What a role registers is no input of it.
REGISTERED = "_result"


def options(specs):
    """Return {variable: what is declared of it} of ``{role: argument_specs}``, of all entry points; names carry their role's."""
    return {name: one for entries in specs.values() for entry in entries.values() for name, one in entry["options"].items()}


def judge(declared, variables, validate):
    """Return the findings on ``{host: {variable: value}}``, one for each thing that is wrong, however many hosts have it.

    ``validate(name, what is declared of it, value)`` returns what is wrong with a value, as Ansible would say it.
    """
    wrong = {}
    for host, given in sorted(variables.items()):
        for name in sorted(set(given) & set(declared)):
            for error in (
                *validate(name, declared[name], given[name]),
                *_other_spellings(name, given[name]),
                *_beyond(name, given[name]),
            ):
                wrong.setdefault((name, error), []).append(host)
    invalid = (
        Finding(
            hosts[0], "role-input-invalid", f"{error} (on {some(hosts)})", "what the role's README says of it", f"Correct {name}."
        )
        for (name, error), hosts in wrong.items()
    )
    return (*invalid, *_misspelt(declared, {name for given in variables.values() for name in given}))


def _other_spellings(variable, flags):
    """Give what is wrong with names of flags that a program may take and that are not those by which ours are known.

    Ours of the same name would stay in the command line, feature gates would not go beside ours.
    """
    for flag in flags if variable.endswith(FLAGS) and isinstance(flags, Mapping) else ():
        if flag_name(flag) != flag:
            yield f"{variable}: a flag is named with dashes between its words and none before, not {flag}: {flag_name(flag)}"


def _beyond(variable, value):
    """Give what is wrong with a number that is out of bounds; what is no number Ansible has told of."""
    if variable not in LIMITS:
        return
    least, most = LIMITS[variable]
    try:
        fits = least <= int(value) <= most
    except (TypeError, ValueError, OverflowError):
        return
    if not fits:
        yield f"{variable}: {value} is not within {least} to {most}"


def _misspelt(declared, names):
    for name in sorted(name for name in names - set(declared) if not name.endswith(REGISTERED)):
        for near in difflib.get_close_matches(name, declared, n=1, cutoff=ALIKE):
            yield Finding(
                "", "role-input-unknown", f"no role has {name}", "a variable of a role", f"Did you mean {near}?", WARNING
            )
