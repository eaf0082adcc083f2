# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kubelet renews its serving certificate with no run of ours: it asks, our approver approves, the cluster signs."""

from __future__ import annotations

import base64
import ssl

import access
from cryptography import x509

KUBELET_PORT = 10250
# Molecule's scenario `single` gives certificates a life of three minutes. The signer dates them five minutes back, and a kubelet
# renews when between 70 and 90 % of that whole time have passed (kubernetes/pkg/controller/certificates/authority/policies.go,
# client-go/util/certificate/certificate_manager.go): 36 to 132 seconds after the issue; what came before counts.
LIFETIME, BACKDATED = 180, 300  # seconds
PATIENCE = LIFETIME
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests?fieldSelector=spec.signerName=kubernetes.io/kubelet-serving"


def serving(cluster, node: str):
    """Return the serving certificate a kubelet shows now."""
    return x509.load_pem_x509_certificate(ssl.get_server_certificate((cluster.addresses[node], KUBELET_PORT)).encode())


def first(cluster, node: str):
    """Return the first serving certificate that a kubelet was given; the cluster keeps the requests of its last hour."""
    asked = [one for one in cluster.get(REQUESTS)["items"] if one["spec"]["username"] == f"system:node:{node}"]
    given = [base64.b64decode(one["status"]["certificate"]) for one in asked if one["status"].get("certificate")]
    return min(map(x509.load_pem_x509_certificate, given), key=lambda certificate: certificate.not_valid_before_utc)


def test_a_kubelet_renews_its_serving_certificate_by_itself(cluster):
    node = cluster.nodes[0]
    before = first(cluster, node)
    assert (before.not_valid_after_utc - before.not_valid_before_utc).total_seconds() <= LIFETIME + BACKDATED + 1
    access.wait(
        "the kubelet shows another certificate", lambda: serving(cluster, node).serial_number != before.serial_number, PATIENCE, 2
    )
    after = serving(cluster, node)
    assert after.not_valid_before_utc > before.not_valid_before_utc
    assert after.subject == before.subject


def test_the_api_server_still_trusts_the_kubelet(cluster):
    assert cluster.kubectl("get", "--raw", f"/api/v1/nodes/{cluster.nodes[0]}/proxy/healthz").strip() == "ok"
