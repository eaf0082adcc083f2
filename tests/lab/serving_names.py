# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare the names in the serving certificates of a cluster's hosts with those that its inventory gives them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

import access
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _pki_plan, _settings, _topology_fact
from cryptography import x509


def setting(cluster: access.Cluster, name: str) -> str:
    """Return a setting of the inventory, or its default."""
    default = next(one.default for one in _settings.SETTINGS if one.name == name)
    return cluster.variable(f"multimaster_{name}", default=default)


def wanted(cluster: access.Cluster) -> dict[str, dict[str, list[str]]]:
    """Return {host: {file: the names that its certificate must be for}} of masters and etcd members."""
    services = ipaddress.ip_network(setting(cluster, "service_cidr"))
    topology = {
        "network": {
            "cluster_domain": setting(cluster, "cluster_domain"),
            "api_service_address": str(services[_topology_fact.API_SERVICE_OFFSET]),
        },
        "endpoint": {"address": cluster.endpoint},
    }
    found = {}
    for host in sorted({*cluster.masters, *cluster.members}):
        place = {"node_name": host, "address": cluster.addresses[host]}
        place |= {"master": host in cluster.masters, "member": host in cluster.members}
        found[host] = {file: sorted(names) for file, names in _pki_plan.names(place, topology).items()}
    return found


def question(files: Iterable[str]) -> str:
    """Return the one command that prints the certificates of a host."""
    return f"cat {' '.join(files)}"


def named(text: str, files: Iterable[str]) -> dict[str, list[str]]:
    """Return {file: the names that its certificate is for} out of the answer."""
    found = [names_of(one) for one in x509.load_pem_x509_certificates(text.encode())]
    return dict(zip(files, found, strict=True))


def names_of(certificate: x509.Certificate) -> list[str]:
    """Return the DNS names and IP addresses that a certificate is for."""
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return sorted([*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))])
