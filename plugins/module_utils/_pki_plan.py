# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Derive from the topology which certificates, authorities and shared keys a host holds, and where.

The identities that last are the contract between the certificates and the RBAC bindings, so they stand here and nowhere else.
Leaves out the certificate of ten minutes that makes the first bindings: role cluster_access asks for it where it uses it.
Workers get the kubernetes authority only: their kubelets obtain certificates by TLS bootstrap.
"""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _pki

KUBERNETES = "/etc/kubernetes/pki/"
ETCD = "/etc/etcd/pki/"
# The authority's that the controller-manager signs with.
SIGNERS = KUBERNETES + "ca.crt"
ENCRYPTION_CONFIG = "/etc/kubernetes/encryption-config.yaml"

# RBAC subjects. None of them is system:masters: each is bound by an object that can be read and removed.
ADMIN_GROUP = "kubeadm:cluster-admins"
OPERATOR_GROUP = "multimaster:operators"
KUBELET_CLIENT_GROUP = "multimaster:kubelet-clients"
CSR_APPROVER_USER = "multimaster:csr-approver"

# The kubelet gets and renews these by itself; the second one comes by a signing request that csr_approver grants.
KUBELET_CERTIFICATES = (
    "/var/lib/kubelet/pki/kubelet-client-current.pem",
    "/var/lib/kubelet/pki/kubelet-server-current.pem",
)

BOTH = ["client", "server"]


def for_host(host, cluster):
    """Return {certificates, authorities, shared} for one entry of the `multimaster` fact's hosts."""
    master, member = bool(host.get("master")), bool(host.get("member"))
    certificates, authorities, shared = [], [], []
    if master or host.get("worker"):
        authorities.append(dict({"ca": _pki.SIGNERS, "path": SIGNERS}, **({"key_path": KUBERNETES + "ca.key"} if master else {})))
    if master:
        certificates.extend(_control_plane(host, cluster))
        authorities.append({"ca": "front-proxy", "path": KUBERNETES + "front-proxy-ca.crt"})
        authorities.append({"ca": "etcd-client", "path": KUBERNETES + "etcd-client-ca.crt"})
        shared.extend(
            [
                {"item": "sa.key", "path": KUBERNETES + "sa.key"},
                {"item": "sa.pub", "path": KUBERNETES + "sa.pub"},
                {"item": "encryption-config", "path": ENCRYPTION_CONFIG},
            ]
        )
    if master or member:
        certificates.append(_client(ETCD + "operator-client", "multimaster-operator", ca="etcd-client"))
        authorities.append({"ca": "etcd-client", "path": ETCD + "client-ca.crt"})
    if member:
        certificates.extend(_member(host))
        authorities.append({"ca": "etcd-peer", "path": ETCD + "peer-ca.crt"})
    return {"certificates": certificates, "authorities": authorities, "shared": shared}


def watched(host, cluster):
    """Return {file: kind} of every certificate a host must have: "leaf" (ours), "kubelet" (renews itself), "authority"."""
    plan = for_host(host, cluster)
    files = {item["path"] + ".crt": "leaf" for item in plan["certificates"]}
    files.update({item["path"]: "authority" for item in plan["authorities"]})
    if host.get("master") or host.get("worker"):
        files.update(dict.fromkeys(KUBELET_CERTIFICATES, "kubelet"))
    return files


def names(host, cluster):
    """Return {file: the DNS names and IP addresses that its certificate must be for}, of those that are for any."""
    certificates = for_host(host, cluster)["certificates"]
    return {item["path"] + ".crt": (*item["dns"], *item["ip"]) for item in certificates if "server" in item["usages"]}


def administrator(path, days=_pki.DEFAULT_DAYS):
    """Return the operator's client certificate; it has no rights until its group is bound to cluster-admin."""
    return dict(_client(path, "kubernetes-admin", ADMIN_GROUP), days=days)


def api_dns_names(cluster_domain):
    """Return the DNS names of the API that no host may be called by."""
    service = "kubernetes.default.svc"
    return ("kubernetes", "kubernetes.default", service, f"{service}.{cluster_domain}", "localhost")


def api_names(cluster):
    """Return the names and addresses of the API that every master's certificate is for, and so none of a node may be."""
    network = cluster["network"]
    addresses = ("127.0.0.1", cluster["endpoint"]["address"], network["api_service_address"])
    return (*api_dns_names(network["cluster_domain"]), *(address for address in addresses if address))


def _control_plane(host, cluster):
    names = [host["node_name"], host["address"], *api_names(cluster)]
    return [
        _server(KUBERNETES + "apiserver", "kube-apiserver", names, ca="kubernetes", usages=["server"]),
        _client(KUBERNETES + "apiserver-kubelet-client", "kube-apiserver-kubelet-client", KUBELET_CLIENT_GROUP),
        _client(KUBERNETES + "controller-manager", "system:kube-controller-manager"),
        _client(KUBERNETES + "scheduler", "system:kube-scheduler"),
        _client(KUBERNETES + "csr-approver", CSR_APPROVER_USER),
        _client(KUBERNETES + "operator", "multimaster-operator", OPERATOR_GROUP),
        _client(KUBERNETES + "front-proxy-client", "front-proxy-client", ca="front-proxy"),
        _client(KUBERNETES + "apiserver-etcd-client", "kube-apiserver", ca="etcd-client"),
    ]


def _member(host):
    """Return etcd's own certificates; the server's is a client certificate too, its JSON gateway dials itself."""
    owner = {"owner": "etcd", "group": "etcd"}
    local = [host["node_name"], "localhost", "127.0.0.1", host["address"]]
    return [
        dict(_server(ETCD + "server", "etcd-server", local, ca="etcd-client", usages=BOTH), **owner),
        dict(_server(ETCD + "peer", "etcd-peer", [host["node_name"], host["address"]], ca="etcd-peer", usages=BOTH), **owner),
    ]


def _client(path, common_name, organization=None, ca="kubernetes"):
    return {
        "path": path,
        "ca": ca,
        "common_name": common_name,
        "usages": ["client"],
        "organizations": [organization] if organization else [],
    }


def _server(path, common_name, names, ca, usages):
    names = [str(name) for name in names if name]
    return {
        "path": path,
        "ca": ca,
        "common_name": common_name,
        "usages": list(usages),
        "organizations": [],
        "dns": sorted({name.lower() for name in names if not _pki.is_address(name)}),
        "ip": sorted({name for name in names if _pki.is_address(name)}),
    }
