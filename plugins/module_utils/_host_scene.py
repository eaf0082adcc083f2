# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""See what one host was observed to do for the others: serve the API, have the endpoint address.

An observation may be missing or lack a part; unknown counts as no. Leaves out: how it was read (``_host``), what follows from
it (``_topology``, ``_rolling``, ``_endpoint``) and etcd, which is seen from all hosts at once (``_etcd_scene``).
"""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _endpoint


def serves(observation):
    """Tell whether an API server was seen to run on the host."""
    return _unit(observation, "kube-apiserver") == "active"


def has_api_server(observation):
    """Tell whether the host was seen to have an API server, whether it runs or not."""
    return _unit(observation, "kube-apiserver") not in ("", "not-found")


def holds(observation):
    """Tell whether the host was seen to have the endpoint address."""
    return bool(((observation or {}).get("endpoint_address") or {}).get("held_on"))


def lone_holder(observation):
    """Tell whether the host was seen to have the endpoint address by a unit of its own, as the only master has."""
    return holds(observation) and _unit(observation, "multimaster-endpoint") == "active"


def takes_part(observation):
    """Tell whether the host was seen to have the endpoint address, or to run VRRP for it beside an API server."""
    return has_api_server(observation) and (holds(observation) or _unit(observation, "keepalived") == "active")


def lacks_part(observation):
    """Tell whether HAProxy or keepalived was seen to stand still beside an API server, as where a run was cut off before them."""
    states = {_unit(observation, unit) for unit in ("haproxy", "keepalived")}
    return has_api_server(observation) and bool(states & {"inactive", "failed", "not-found"})


def part(name, observation):
    """Return what was seen of a master's part in the endpoint."""
    held = tuple(((observation or {}).get("endpoint_address") or {}).get("held_on") or ())
    balancer, vrrp = (_unit(observation, unit) == "active" for unit in ("haproxy", "keepalived"))
    return _endpoint.MasterState(name, held, balancer=balancer, vrrp=vrrp, reachable=bool(observation))


def _unit(observation, name):
    """Return the state of a unit, "" when it is not known."""
    return ((observation or {}).get("units") or {}).get(name, "")
