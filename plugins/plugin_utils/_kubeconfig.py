# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge and compose the operator's kubeconfig; text in, text out.

Leaves out files: the action plugin reads and writes. The composed file is YAML as kubectl writes it.
"""

from __future__ import annotations

import base64
import ipaddress

import yaml
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _pki
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _x509

USER = "kubernetes-admin"


class KubeconfigError(Exception):
    """Say why a file that is already there is not overwritten."""


def server_url(address, port):
    """Return the API server's URL; an IPv6 address gets its brackets."""
    try:
        bare = ipaddress.ip_address(address).version == 4
    except ValueError:
        bare = True
    return f"https://{address if bare else '[' + str(address) + ']'}:{port}"


def compose(cluster_name, server, authority, certificate, key):
    """Return the text of a kubeconfig with everything embedded (all arguments are text)."""
    user = f"{USER}@{cluster_name}"
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": str(cluster_name), "cluster": {"server": str(server), "certificate-authority-data": _encode(authority)}}
            ],
            "users": [{"name": user, "user": {"client-certificate-data": _encode(certificate), "client-key-data": _encode(key)}}],
            "contexts": [{"name": user, "context": {"cluster": str(cluster_name), "user": user}}],
            "current-context": user,
        },
        sort_keys=False,
    )


def judge(content, path, cluster_name, server, authority, signer, wanted, now):
    """Return (reasons to write it anew, present certificate or None); raise KubeconfigError when it is not ours.

    `content` (text or bytes) is None when there is no file; `signer` is the authority's first certificate.
    """
    if content is None:
        return ("missing",), None
    cluster, user = _own(content, path, cluster_name)
    reasons = []
    if cluster.get("server") != server:
        reasons.append(f"points at {cluster.get('server')}, wanted {server}")
    if _decode(cluster.get("certificate-authority-data")) != authority:
        reasons.append("trusts another authority than the CA store's")
    certificate = _decode(user.get("client-certificate-data"))
    present = None
    if certificate is not None:
        present = _x509.read(certificate, signer, _key_state(certificate, _decode(user.get("client-key-data"))))
    return tuple(reasons) + _pki.judge(present, wanted, now).reasons, present


def _own(content, path, cluster_name):
    """Return the cluster and user of a kubeconfig that holds this cluster and nothing else."""
    remedy = "nothing was written. Next: set multimaster_kubeconfig to another path, or move that file away"
    try:
        config = yaml.safe_load(content)
        clusters, users = config["clusters"], config["users"]
        names = [entry["name"] for entry in clusters], [entry["name"] for entry in users]
        if names != ([cluster_name], [f"{USER}@{cluster_name}"]) or len(config["contexts"]) != 1:
            raise KubeconfigError(f"{path} holds other clusters or users than {cluster_name}'s: {remedy}")
        return clusters[0]["cluster"], users[0]["user"]
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise KubeconfigError(f"{path} is no kubeconfig that can be read: {remedy}") from error


def _key_state(certificate, key):
    if key is None:
        return "missing"
    try:
        private = _x509.load_key(key, "")
        public = _x509.load_certificates(certificate, "")[0].public_key()
    except (ValueError, TypeError, _x509.CertificateError):
        return "unreadable"
    return "matches" if private.public_key() == public else "differs"


def _encode(text):
    return base64.b64encode(text.encode()).decode()


def _decode(text):
    try:
        return base64.b64decode(text, validate=True).decode("ascii")
    except (ValueError, TypeError):
        return None
