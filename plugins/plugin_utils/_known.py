# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read all that the topology is decided from: settings, inventory, observations, the controller's files, what is asked.

Leaves out: how Ansible holds the parts (``_inventory_view``), deciding and judging.
"""

from __future__ import annotations

import dataclasses
import os
import time

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _request, _role_inputs, _settings, _topology
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _ca_store, _inventory_view, _role_specs

# Arguments of the action that ask something of the cluster.
ASKED = ("remove", "replace", "by", "upgrade", "roll", "move")


@dataclasses.dataclass(frozen=True)
class Known:
    """Hold what was read, before anything is decided.

    `findings` are those of the settings and of the roles' variables, `unknown` those of the request, `left_out` those on hosts
    that this run did not look at.
    """

    settings: _settings.Settings
    inventory: _topology.Inventory
    hostvars: dict
    folder: str
    observed: dict
    request: _request.Request
    store_exists: bool
    findings: tuple = ()
    unknown: tuple = ()
    left_out: tuple = ()

    @classmethod
    def read(cls, task_vars, args):
        """Read it from the variables and arguments of a task; observations of more than `max_age` seconds ago are none."""
        hostvars = _inventory_view.once(task_vars["groups"], task_vars["hostvars"])
        settings, inventory, findings, folder = _inventory_view.read(task_vars["groups"], hostvars)
        request, unknown = _request.read(inventory.names, **{name: args[name] for name in ASKED})
        observed = _inventory_view.observations(inventory.names, hostvars, time.time(), args["max_age"])
        specs = _role_specs.read()
        inputs = _inventory_view.given(inventory.names, hostvars, specs)
        findings += _role_inputs.judge(_role_inputs.options(specs), inputs, _role_specs.wrong)
        settings = _within_forks(settings, inventory.without(request.leaving), int(task_vars.get("ansible_forks") or 0))
        exists = _ca_store.exists(_beside(folder, settings.ca_store))
        left_out = _inventory_view.left_out(inventory.names, hostvars, str(task_vars.get("ansible_limit") or ""))
        return cls(settings, inventory, hostvars, folder, observed, request, exists, findings, unknown, left_out)

    def path(self, setting):
        """Return where a file of the controller lies; a relative path is one beside the inventory."""
        return _beside(self.folder, setting)

    def wished(self, name, hosts):
        """Tell whether the user wants it on one of these hosts."""
        return _inventory_view.wished(name, hosts, self.hostvars)


def _beside(folder, path):
    return os.path.normpath(os.path.join(folder, os.path.expanduser(path)))


def _within_forks(settings, inventory, forks):
    """Return the settings with no more workers in a batch than this run works on at once."""
    workers = len(set(inventory.workers) - set(inventory.masters))
    return dataclasses.replace(settings, upgrade_batch=_settings.batch_within(settings.upgrade_batch, workers, forks))
