# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Decide who holds the endpoint address and how it changes hands (interface; being filled)."""

from __future__ import annotations

import dataclasses

DIRECT, BALANCED, EXTERNAL, NOBODY = "direct", "balanced", "external", "nobody"


@dataclasses.dataclass(frozen=True)
class MasterState:
    """What one master does for the endpoint: holds (interfaces with the address, lo included), services running."""

    name: str
    holds: tuple = ()
    direct: bool = False
    balancer: bool = False
    vrrp: bool = False
    reachable: bool = True


@dataclasses.dataclass(frozen=True)
class EndpointStep:
    """kind (see KINDS) on one host, with the reason."""

    kind: str
    host: str
    why: str = ""


@dataclasses.dataclass(frozen=True)
class Transition:
    before: str
    after: str
    steps: tuple = ()
    refusals: tuple = ()


def wanted_state(masters, mode="managed"):
    """Return direct, balanced or external for these masters."""
    raise NotImplementedError


def transition(observed, masters, mode="managed"):
    """Return the Transition from observed (MasterState of every master, leaving ones too) to the wanted masters (names)."""
    raise NotImplementedError


def move(observed, masters, away_from):
    """Return the Transition that moves the address off a host which stays a master."""
    raise NotImplementedError


def vrid(cluster_name, address):
    """Return 1-254, stable."""
    raise NotImplementedError


def priorities(names):
    """Return {name: 1-254}, spread, never adjacent."""
    raise NotImplementedError
