# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run is to make another than it was, or to leave as it was: processes of units, keys of servers, who has the address.

A run that reports changes may have written a file that no process has read, and one that was to change something else may have
restarted what keeps its settings. So it is asked of the processes, before and after.
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
AT = "@"  # before a host: of a unit there, and nowhere else


def parse_what(text: str) -> str:
    """Return what is to be another or the same, as it was written: a kind, or a unit and a host; raise ValueError for others."""
    kind, at, host = text.partition(AT)
    if kind not in KINDS or (at and (not host or kind not in access.UNITS)):
        raise ValueError(f"{text!r} is none of {', '.join(KINDS)}, and no unit of them with {AT} and a host behind it")
    return text


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


def look(cluster: access.Cluster, whats: list[str]) -> dict[tuple[str, str], str]:
    """Return {(kind, who): state} of what is to be another or the same, on all hosts."""
    found = {}
    kinds = [what.partition(AT)[0] for what in whats]
    units = [kind for kind in kinds if kind in access.UNITS]
    if units:
        found |= of_units(cluster.observe(), units)
    if KEYS in kinds:
        found |= shown_keys(cluster)
    if HOLDER in kinds:
        found |= {(HOLDER, host): "of the endpoint address" for host in cluster.holders()}
    return found


def of(states: dict[tuple[str, str], str], what: str) -> dict[str, str]:
    """Return {who: state} of what was asked for."""
    kind, _, host = what.partition(AT)
    return {who: state for (one, who), state in sorted(states.items()) if one == kind and host in ("", who)}


def same(before: dict[tuple[str, str], str], after: dict[tuple[str, str], str], whats: list[str]) -> list[str]:
    """Return what is not another than before; of what nobody has any more nothing is proven."""
    found = []
    for what in whats:
        old, new = of(before, what), of(after, what)
        found += [f"{what.partition(AT)[0]}, {who}: still {state}" for who, state in new.items() if old.get(who) == state]
        found += [] if new else [f"{what}: nobody has any after the run"]
    return found


def replaced(before: dict[tuple[str, str], str], after: dict[tuple[str, str], str], whats: list[str]) -> list[str]:
    """Return what is not the same as before; who comes with the run has nothing to keep, and what nobody had proves nothing.

    What has ended is not the same either: where hosts leave, those that stay are named.
    """
    found = []
    for what in whats:
        old, new = of(before, what), of(after, what)
        kind = what.partition(AT)[0]
        found += [
            f"{kind}, {who}: was {old[who]}, {f'is {new[who]}' if who in new else 'is gone'}"
            for who in old
            if new.get(who) != old[who]
        ]
        found += [] if old else [f"{what}: nobody had any before the run"]
    return found


def not_one(before: dict[tuple[str, str], str], after: dict[tuple[str, str], str], whats: list[str]) -> list[str]:
    """Return what is another than before on any number of hosts but one, as where a run stops at the first of several."""
    found = []
    for what in whats:
        others = replaced(before, after, [what])
        found += [] if len(others) == 1 else [f"{what}: another on {len(others)} hosts, and on one was wanted", *others]
    return found
