# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is to make another than it was: the processes of units, the keys that servers show, who has the endpoint address.

A run that reports changes may have written a file that no process has read. So it is asked of the processes, before and after.
"""

from __future__ import annotations

import ssl
import urllib.parse

import access
import identity
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _ports
from cryptography import x509
from cryptography.hazmat.primitives import serialization

KEYS, HOLDER = "keys", "holder"
KINDS = (*access.UNITS, KEYS, HOLDER)
SUFFIX = ".service"
STOPPED = "process 0 "


def of_units(observed: dict[str, str], units: list[str]) -> dict[tuple[str, str], str]:
    """Return {(unit, host): its process} of what runs, from what `observe` has found of the hosts."""
    found = {}
    for key, state in observed.items():
        host, what = key.split(" ", 1)
        if what.endswith(SUFFIX) and what[: -len(SUFFIX)] in units and not state.startswith(STOPPED):
            found[(what[: -len(SUFFIX)], host)] = state
    return found


def key_of(certificate: str) -> str:
    """Return the SHA-256 of the public key of a certificate (PEM), which may be a new one of an old key."""
    key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    return identity.digest(key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))


def shown_keys(cluster: access.Cluster) -> dict[tuple[str, str], str]:
    """Return {("keys", server): the key that it shows} of each API server and each member of etcd."""
    servers = {f"the API server of {host}": cluster.server_of(host) for host in cluster.masters}
    servers |= {f"etcd of {host}": f"https://{cluster.addresses[host]}:{_ports.ETCD_CLIENT}" for host in cluster.members}
    places = {name: urllib.parse.urlsplit(url) for name, url in servers.items()}
    return {
        (KEYS, name): key_of(ssl.get_server_certificate((place.hostname, place.port), timeout=identity.PATIENCE))
        for name, place in places.items()
    }


def look(cluster: access.Cluster, kinds: list[str]) -> dict[tuple[str, str], str]:
    """Return {(kind, who): state} of what is to be another."""
    found = {}
    units = [kind for kind in kinds if kind in access.UNITS]
    if units:
        found |= of_units(cluster.observe(), units)
    if KEYS in kinds:
        found |= shown_keys(cluster)
    if HOLDER in kinds:
        found |= {(HOLDER, host): "of the endpoint address" for host in cluster.holders()}
    return found


def same(before: dict[tuple[str, str], str], after: dict[tuple[str, str], str], kinds: list[str]) -> list[str]:
    """Return what is not another than before; of a kind that nobody has any more nothing is proven."""
    found = []
    for kind in kinds:
        states = {who: state for (one, who), state in sorted(after.items()) if one == kind}
        found += [f"{kind}, {who}: still {state}" for who, state in states.items() if before.get((kind, who)) == state]
        found += [] if states else [f"{kind}: nobody has any after the run"]
    return found
