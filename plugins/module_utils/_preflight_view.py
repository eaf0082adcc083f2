# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Hold everything a check of preflight may look at.

Leaves out: judging (`_preflight` and the checks it lists) and reading (the module host_info, the action topology).
"""

from __future__ import annotations

import dataclasses

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _cluster_record,
    _endpoint,
    _ports,
    _topology,
)


@dataclasses.dataclass(frozen=True)
class View:
    """Hold everything a check may look at.

    `observed` has no entry, or None, for a host that could not be asked; `reasons` says for some of those why. Hosts that
    leave may be in it, and are not judged. `own_kubelet` says by host what the user's own kubelet configuration has;
    `hooks` says by setting what is wrong with a file of the user's tasks that this run is to run.
    """

    settings: object
    inventory: _topology.Inventory
    observed: dict
    topology: _topology.Topology
    ca_store_exists: bool = False
    reasons: dict = dataclasses.field(default_factory=dict)
    own_kubelet: dict = dataclasses.field(default_factory=dict)
    hooks: dict = dataclasses.field(default_factory=dict)

    def seen(self):
        """Return (host, observation) of every host that was observed."""
        return [(host, self.observed[host.name]) for host in self.topology.hosts if self.observed.get(host.name)]

    def seen_leaving(self):
        """Return the same of the hosts that leave, which only what is about the whole cluster looks at."""
        return [(host, self.observed[host.name]) for host in self.topology.leaving if self.observed.get(host.name)]

    def nodes(self):
        """Return (host, observation, the user's own kubelet configuration) of every host that was observed and is a node."""
        return [(host, seen, self.own_kubelet.get(host.name, {})) for host, seen in self.seen() if host.master or host.worker]

    def recorded(self, observation):
        """Tell whether a host is recorded as one of this cluster."""
        name = _cluster_record.of(observation).get("name")
        return name is not None and name == self.settings.cluster_name

    @property
    def built(self):
        """Tell whether anything of this cluster hangs on what it was made with: a host of it carries certificates."""
        seen = [observation for _host, observation in (*self.seen(), *self.seen_leaving())]
        return any(observation["certificates"] and self.recorded(observation) for observation in seen)

    def parts(self, host):
        """Return the parts of a host by which it needs ports (_ports)."""
        parts = {
            _ports.MASTER: host.master,
            _ports.BALANCER: host.master and self.topology.endpoint_mode == _endpoint.BALANCED,
            _ports.NODE: host.master or host.worker,
            _ports.MEMBER: host.member,
        }
        return [part for part, played in parts.items() if played]

    @property
    def masters(self):
        """Return the masters."""
        return [host for host in self.topology.hosts if host.master]

    @property
    def managed(self):
        """Tell whether the endpoint address is ours to move."""
        return self.settings.endpoint_mode == "managed"
