# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a cluster stays the same whatever becomes of its masters: its address, its authority, the certificates they show.

The first who looks at a cluster keeps what is seen in the lab's results, everybody after him compares. A cluster is known by the
id of its namespace kube-system, which one that is built anew has another of; a master by the id of its node, which is another one
when the host left and came back, or another machine took its place. A serving certificate names its own host, the endpoint and
the Service, never the other masters, so it stays until it is renewed: a scenario that asks for new keys looks only after that, or
takes the file away.
"""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import urllib.parse
from pathlib import Path

import access
import yaml

FILE = "identity.json"
PATIENCE = 10.0  # seconds for a TLS handshake
LASTING = {
    "server": "the endpoint's URL",
    "authority": "the authority (SHA-256)",
    "kubeconfig": "what the kubeconfig says of the cluster (SHA-256)",
}


def digest(content: bytes) -> str:
    """Return a SHA-256."""
    return hashlib.sha256(content).hexdigest()


def of_kubeconfig(text: str) -> dict[str, str]:
    """Return what a kubeconfig says of its cluster; the operator's own certificate may be renewed."""
    clusters = yaml.safe_load(text)["clusters"]
    said = clusters[0]["cluster"]
    return {
        "server": said["server"],
        "authority": digest(base64.b64decode(said["certificate-authority-data"])),
        "kubeconfig": digest(json.dumps(clusters, sort_keys=True).encode()),
    }


def read(cluster: access.Cluster) -> dict:
    """Return the cluster's identity; `certificates` are those its masters show, by the id of each one's node."""
    nodes = {node["metadata"]["name"]: node["metadata"]["uid"] for node in cluster.get("/api/v1/nodes")["items"]}
    return {
        "cluster": cluster.get("/api/v1/namespaces/kube-system")["metadata"]["uid"],
        **of_kubeconfig(cluster.kubeconfig.read_text()),
        "certificates": {f"{host} {nodes[host]}": shown(cluster.server_of(host)) for host in cluster.masters},
    }


def shown(server: str) -> str:
    """Return the SHA-256 of the certificate that an API server shows."""
    place = urllib.parse.urlsplit(server)
    text = ssl.get_server_certificate((place.hostname, place.port), timeout=PATIENCE)
    return digest(ssl.PEM_cert_to_DER_cert(text))


def keep(path: Path, now: dict) -> dict:
    """Return the identity this cluster had at first, and add the masters that are new; another cluster's is forgotten."""
    before = json.loads(path.read_text()) if path.exists() else {}
    if before.get("cluster") != now["cluster"]:
        before = now
    kept = {**before, "certificates": {**now["certificates"], **before["certificates"]}}
    path.write_text(json.dumps(kept, indent=1) + "\n")
    return kept


def differences(kept: dict, now: dict) -> list[str]:
    """Return what of an identity is another than it was."""
    pairs = [(said, kept[key], now[key]) for key, said in LASTING.items()]
    pairs += [(f"the certificate of {who} (SHA-256)", kept["certificates"][who], one) for who, one in now["certificates"].items()]
    return [f"{said} was {before}, is {after}" for said, before, after in pairs if before != after]
