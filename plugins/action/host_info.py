# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the module host_info, and note the controller's clock around it.

A host's clock read somewhere between two readings of the controller's clock tells the skew up to the time the
execution took; without them nothing can be said about it. What the inventory knows is filled in: the endpoint's address
and port, and for etcd members the other members as peers.
"""

from __future__ import annotations

import time

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _ports, _topology

SSH_PORT = 22


class ActionModule(ActionBase):
    """Fill in arguments and add `clock_window` to the observation."""

    _requires_connection = True
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        """Execute the module of the same name and return its result with the window."""
        super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        for name, value in defaults(task_vars).items():
            arguments.setdefault(name, value)
        before = time.time()
        result = self._execute_module(module_args=arguments, task_vars=task_vars)
        observation = result.get("ansible_facts", {}).get("multimaster_host")
        if observation is not None:
            # Looks at a silent member take seconds, in which nothing is learnt of the clock that was read before them.
            observation["clock_window"] = [before, time.time() - observation["after_clock"]]
        return result


def defaults(task_vars):
    """Return the arguments that follow from the inventory."""
    hostvars, own = task_vars["hostvars"], task_vars["inventory_hostname"]
    groups = task_vars["groups"]
    members = groups.get(_topology.ETCD_GROUP) or groups.get(_topology.MASTER_GROUP) or ()
    peers = {name: reached(hostvars[name], name) for name in members if name != own} if own in members else {}
    found = {"peers": peers, "endpoint_address": value(hostvars[own], "multimaster_endpoint_address")}
    ports = {int(value(hostvars[name], "ansible_port") or SSH_PORT) for name in peers}
    if len(ports) == 1:
        found["peer_port"] = ports.pop()
    endpoint_port = str(value(hostvars[own], "multimaster_endpoint_port") or "")
    if endpoint_port.isdigit() and int(endpoint_port) not in _ports.NUMBERS:
        found["ports"] = [*_ports.NUMBERS, int(endpoint_port)]
    return {name: given for name, given in found.items() if given}


def reached(host, name):
    """Return the address another host is reached by from its fellows."""
    return str(value(host, "multimaster_node_address") or value(host, "ansible_host") or name)


def value(host, name):
    """Return a host's variable, None when it is missing or cannot be worked out (the action topology reports that)."""
    try:
        return host.get(name)
    except AnsibleError:
        return None
