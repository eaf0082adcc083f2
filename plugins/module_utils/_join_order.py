# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Order the steps that turn an observed etcd cluster into the wanted one (interface; being filled)."""

from __future__ import annotations

import dataclasses

START = "start"
REPOINT = "repoint"


@dataclasses.dataclass(frozen=True)
class Host:
    """One wanted etcd host: node name, zone, peer URL; data: None unknown; leftover: its data belong to a removed member."""

    name: str
    zone: str = ""
    peer_url: str = ""
    data: bool | None = None
    leftover: bool = False


@dataclasses.dataclass(frozen=True)
class Wanted:
    """The wanted etcd hosts; ``leaving`` = exact ids, names or peer URLs to remove, nothing else is ever removed."""

    hosts: tuple = ()
    even_voters: bool = False
    leaving: tuple = ()


@dataclasses.dataclass(frozen=True)
class Roles:
    """The wanted roles at rest, names sorted."""

    voters: tuple = ()
    learners: tuple = ()


def wanted_roles(observed, wanted):
    """Return Roles: odd voters at rest, one standby learner for an even number."""
    raise NotImplementedError


def plan_joins(observed, wanted):
    """Return tuple[Step]; kinds of _quorum plus START (finish a half-done join) and REPOINT (API server's etcd URLs)."""
    raise NotImplementedError


def phases(plan):
    """Return ((kind, (targets...)), ...): consecutive steps of one kind together."""
    raise NotImplementedError


def obstacles(observed, wanted):
    """Return tuple of (host, reason, next_step) that the plan leaves alone."""
    raise NotImplementedError


def etcd_endpoints(host, members):
    """Return the client URLs the API server on `host` (node name) should use: own member if a voter, else all voters'."""
    raise NotImplementedError
