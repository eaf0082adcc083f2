# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables of hosts as Ansible hands them to a plugin."""

from __future__ import annotations

import collections.abc

from ansible.errors import AnsibleError


class Templated(collections.abc.Mapping):
    """A host's variables as Ansible hands them over: worked out when they are looked up, and some cannot be."""

    def __init__(self, broken=(), **variables):
        self.variables, self.broken = {**variables, **dict.fromkeys(broken)}, broken

    def __getitem__(self, name):
        if name in self.broken:
            raise AnsibleError("'nothere' is undefined")
        return self.variables[name]

    def __iter__(self):
        return iter(self.variables)

    def __len__(self):
        return len(self.variables)
