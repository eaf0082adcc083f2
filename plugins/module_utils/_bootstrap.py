# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Decide between founding, finishing and joining an etcd cluster (interface; being filled)."""

from __future__ import annotations

import dataclasses

NONE, BOOTSTRAP, RESUME, JOIN, REFUSE = "none", "bootstrap", "resume", "join", "refuse"


@dataclasses.dataclass(frozen=True)
class Record:
    """A host's bootstrap record: token and initial cluster as sorted ((node name, peer URL), ...)."""

    token: str
    initial_cluster: tuple


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a running member says: healthy = linearizable read; members as _quorum.Member."""

    cluster_id: str
    leader_id: str = ""
    healthy: bool = False
    members: tuple = ()


@dataclasses.dataclass(frozen=True)
class HostState:
    """One listed etcd host: inventory/node name, peer URL, reachable, data (None = unknown), record, answer."""

    name: str
    peer_url: str
    reachable: bool = True
    data: bool | None = None
    record: Record | None = None
    answer: Answer | None = None


@dataclasses.dataclass(frozen=True)
class Decision:
    """action none|bootstrap|resume|join|refuse; start = hosts started from the record; join = hosts that join later."""

    action: str
    start: tuple = ()
    join: tuple = ()
    token: str = ""
    initial_cluster: tuple = ()
    reason: str = ""
    next_step: str = ""
    reasons: tuple = ()


def decide(hosts, first_voters, cluster_name, nonce=""):
    """Return the Decision; first_voters = names wanted as first voters (_join_order.wanted_roles(Cluster(), ...).voters)."""
    raise NotImplementedError
