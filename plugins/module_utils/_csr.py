# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Decide whether a kubelet's request for a serving certificate is approved.

Solves: Kubernetes signs these requests and approves none of them. A request is approved exactly when the node asks for
itself and for nothing but its own names and addresses; everything else is left alone, with the reasons. Leaves out
denying, other signers, and reading PKCS#10 (`_pkcs10`). The file is also shipped to hosts.

The rules are those of the signer kubernetes.io/kubelet-serving (Kubernetes docs, "Certificate Signing Requests") and,
beyond them, that every name and address is the node's and nobody else's.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from dataclasses import dataclass

SIGNER = "kubernetes.io/kubelet-serving"
NODES_GROUP = "system:nodes"
USER_PREFIX = "system:node:"
USAGES = frozenset(("digital signature", "key encipherment", "server auth"))
SERVER_AUTH = "server auth"
#: Condition types that end a request's life (certificates.k8s.io/v1).
DECIDED = ("Approved", "Denied", "Failed")
#: A DNS name as a kubelet may ask for (RFC 1123); a wildcard or an underscore is none.
NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*\Z")


@dataclass(frozen=True)
class Request:
    """Hold a CertificateSigningRequest object; pem is its spec.request, decoded."""

    name: str
    signer: str
    username: str
    groups: tuple
    usages: tuple
    pem: bytes
    conditions: tuple = ()

    @property
    def decided(self) -> bool:
        """Return whether somebody has decided already."""
        return any(condition in DECIDED for condition in self.conditions)

    @property
    def node(self) -> str:
        """Return the name of the node that asks, empty when no node does."""
        return self.username[len(USER_PREFIX) :] if self.username.startswith(USER_PREFIX) else ""


@dataclass(frozen=True)
class Node:
    """Hold a node's own names (lower case) and addresses (canonical)."""

    name: str
    dns_names: frozenset = frozenset()
    addresses: frozenset = frozenset()


@dataclass(frozen=True)
class Verdict:
    """Say whether to approve, and if not, everything that speaks against it."""

    approve: bool
    reasons: tuple


def node_from_object(item):
    """Return the Node of a Kubernetes Node object; a Hostname may be a name or an address."""
    names, addresses = set(), set()
    for entry in item.get("status", {}).get("addresses") or ():
        value = str(entry.get("address", ""))
        try:
            addresses.add(str(ipaddress.ip_address(value)))
        except ValueError:
            if value:
                names.add(value.lower())
    return Node(item.get("metadata", {}).get("name", ""), frozenset(names), frozenset(addresses))


def request_from_object(item):
    """Return the Request of a CertificateSigningRequest object; what is no base64 is an empty request."""
    spec = item.get("spec", {})
    try:
        pem = base64.b64decode(spec.get("request") or "", validate=True)
    except ValueError:
        pem = b""
    return Request(
        name=item.get("metadata", {}).get("name", ""),
        signer=spec.get("signerName", ""),
        username=spec.get("username", ""),
        groups=tuple(spec.get("groups") or ()),
        usages=tuple(spec.get("usages") or ()),
        pem=pem,
        conditions=tuple(c.get("type", "") for c in item.get("status", {}).get("conditions") or ()),
    )


def _requester(request):
    """Yield what is wrong with who asks, and for which use."""
    if request.signer != SIGNER:
        yield f"its signer is {request.signer}, not {SIGNER}"
    if not request.node:
        yield f"{request.username!r} is no node"
    if NODES_GROUP not in request.groups:
        yield f"{request.username!r} is not in the group {NODES_GROUP}"
    foreign = sorted(set(request.usages) - USAGES)
    if foreign:
        yield f"it asks for the usages {', '.join(foreign)}"
    if SERVER_AUTH not in request.usages:
        yield f"it does not ask for {SERVER_AUTH}"


def _names(request, contents, node, others, reserved):
    """Yield what is wrong with the names and addresses it asks for."""
    if contents.common_name != request.username:
        yield f"its common name {contents.common_name!r} is not the requester {request.username!r}"
    if contents.organizations != (NODES_GROUP,):
        yield f"its organizations are {', '.join(contents.organizations) or 'none'}, not {NODES_GROUP} alone"
    if not contents.dns_names and not contents.addresses:
        yield "it names no DNS name and no address"
    for name in contents.dns_names:
        if not NAME.match(name):
            yield f"{name!r} is no plain lower-case DNS name"
        elif name not in node.dns_names:
            yield f"the DNS name {name} is not one of node {node.name}"
    yield from (
        f"the address {address} is not one of node {node.name}" for address in contents.addresses if address not in node.addresses
    )
    # Who signs writes it as the IPv4 address that it stands for, which may be reserved or another node's.
    yield from (f"the address {address} is an IPv4 address in IPv6 form" for address in contents.addresses if _mapped(address))
    for asked in (*contents.dns_names, *contents.addresses):
        if asked in reserved:
            yield f"{asked} belongs to the cluster, not to a node"
        yield from (
            f"{asked} is claimed by node {other.name} too"
            for other in others
            if asked == other.name or asked in other.dns_names or asked in other.addresses
        )


def _mapped(address):
    """Return whether an address is IPv4-mapped (RFC 4291, 2.5.5.2)."""
    return getattr(ipaddress.ip_address(address), "ipv4_mapped", None) is not None


def judge(request, contents, node, others=(), reserved=frozenset()):
    """Return the Verdict on an undecided request.

    `contents` is what `_pkcs10.parse` found in it, or the text of why it cannot be read. `node` is the Node the
    requester names, None when there is none; `others` are all other nodes, whose names and addresses nobody else gets
    (a node writes its own addresses into its status, so they alone prove little); `reserved` are names and addresses of
    the API itself (`_pki_plan.api_names`).
    """
    reasons = list(_requester(request))
    if node is None:
        reasons.append(f"there is no node {request.node!r}")
    elif node.name != request.node:
        reasons.append(f"node {node.name!r} is not the requester")
    if isinstance(contents, str):
        reasons.append(contents)
    elif node is not None:
        reasons.extend(_names(request, contents, node, others, reserved))
    return Verdict(not reasons, tuple(reasons) or (f"node {request.node} asks for its own names and addresses",))
