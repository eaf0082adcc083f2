# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Say what hosts have on record of each other: which node has which address, and who are the masters of the endpoint.

Solves: a host that cannot be asked is the one that the others know, whatever the inventory calls it; and who is a master in the
files of the others goes on as one when the inventory forgets it. Leaves out: reading (``_host``) and what follows (``_topology``,
``_preflight_cluster``). Workers are on nobody's record but the API's (``_node_flow`` finds their nodes by address).
"""

from __future__ import annotations

import urllib.parse

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _etcd_scene


def records(observed):
    """Return (node name, address) of each host that etcd or a balancer knows and that was not observed itself.

    ``observed`` maps inventory names to observations, as everywhere; an observation may lack a part.
    """
    seen = [observation for observation in observed.values() if observation]
    names = {observation.get(one, "").lower() for observation in seen for one in ("hostname", "node_name")}
    addresses = {item["address"] for observation in seen for item in observation.get("addresses", ())}
    return frozenset(one for one in (*_members(seen), *_servers(seen)) if one[0] not in names and one[1] not in addresses)


def of_unseen(name, address, settled, recorded):
    """Return (node name, address) of a host that was not observed.

    ``name``: its inventory name; ``address``: its node address as the inventory has it, "" when that is not known; ``settled``:
    it is set as such, not only how the host is reached from here; ``recorded``: ``records``. Whoever has the address on record
    is it; else the one of that name, with its address; else what the inventory says.
    """
    guess = name.lower()
    called = {node_name for node_name, one in recorded if address and one == address}
    placed = {one for node_name, one in recorded if node_name == guess}
    if len(called) == 1:
        return called.pop(), address
    if len(placed) == 1 and not settled:
        return guess, placed.pop()
    return guess, address


def vrrp_peers(observed):
    """Return {address: [hosts whose keepalived sends its adverts there]}."""
    found = {}
    for host, observation in sorted(observed.items()):
        for address in _files(observation).get("peers") or ():
            found.setdefault(address, []).append(host)
    return found


def addresses_of(host, observed):
    """Return the addresses by which the others may have this host on record: as it is, as it was, and as balancers name it.

    ``host`` is a ``_topology.Host``. A host whose address has changed stays the same host.
    """
    own = _files(observed.get(host.name)).get("source")
    named = {address for name, address in _servers(observed.values()) if name == host.node_name}
    return {host.address, own, *named} - {None, ""}


def server_at(address, observed):
    """Return the node name by which a balancer has this address, "" when none has."""
    return next((name for name, one in _servers(observed.values()) if one == address), "")


def _members(seen):
    """Yield (name, address) of etcd's members as the one tells that is ahead: one that was cut off tells of an old cluster."""
    statuses = [(observation.get("etcd") or {}).get("status") for observation in seen]
    newest = _etcd_scene.newest([status for status in statuses if status and status.get("ok")])
    for member in newest["members"] if newest else ():
        for url in member["peer_urls"] if member["name"] else ():
            yield member["name"], urllib.parse.urlsplit(url).hostname or ""


def _servers(observations):
    """Yield (node name, address) of each API server in the balancers' files."""
    for observation in observations:
        yield from (_files(observation).get("servers") or {}).items()


def _files(observation):
    return (observation or {}).get("endpoint_files") or {}
