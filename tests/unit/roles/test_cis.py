# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of the CIS Kubernetes Benchmark (kube-bench `cis-1.12`) over what the roles really render; named by row."""

from __future__ import annotations

import json

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _pki_plan
from rendering import cluster, files, flags, render, roles_with_files

SUITES = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
}


@pytest.fixture(scope="module")
def apiserver():
    return flags(files("kube_apiserver")["/etc/systemd/system/kube-apiserver.service"])


@pytest.fixture(scope="module")
def manager():
    return flags(files("kube_controller_manager")["/etc/systemd/system/kube-controller-manager.service"])


@pytest.fixture(scope="module")
def scheduler():
    return flags(files("kube_scheduler")["/etc/systemd/system/kube-scheduler.service"])


@pytest.fixture(scope="module")
def etcd():
    return flags(files("etcd")["/etc/systemd/system/etcd.service"])


@pytest.fixture(scope="module")
def kubelet():
    return json.loads(files("kubelet")["/var/lib/kubelet/config.yaml"])


# Rows of the API server: (row, flag, predicate). None means the flag is absent.
APISERVER = [
    ("1.2.2 no token file", "token-auth-file", lambda v: v is None),
    ("1.2.3 external IPs are denied", "enable-admission-plugins", lambda v: "DenyServiceExternalIPs" in v.split(",")),
    ("1.2.4 kubelet client certificate", "kubelet-client-certificate", bool),
    ("1.2.4 kubelet client key", "kubelet-client-key", bool),
    ("1.2.5 kubelets are verified", "kubelet-certificate-authority", bool),
    ("1.2.6 not everything is allowed", "authorization-mode", lambda v: "AlwaysAllow" not in v),
    ("1.2.7 Node authorizer", "authorization-mode", lambda v: "Node" in v.split(",")),
    ("1.2.8 RBAC", "authorization-mode", lambda v: "RBAC" in v.split(",")),
    ("1.2.9 event rate limit", "enable-admission-plugins", lambda v: "EventRateLimit" in v.split(",")),
    ("1.2.10 no AlwaysAdmit", "enable-admission-plugins", lambda v: "AlwaysAdmit" not in v.split(",")),
    ("1.2.12 and 1.2.13 nothing is disabled", "disable-admission-plugins", lambda v: v is None),
    ("1.2.14 NodeRestriction", "enable-admission-plugins", lambda v: "NodeRestriction" in v.split(",")),
    ("1.2.15 no profiling", "profiling", lambda v: v == "false"),
    ("1.2.16 audit log", "audit-log-path", bool),
    ("1.2.17 audit log age", "audit-log-maxage", lambda v: int(v) >= 30),
    ("1.2.18 audit log backups", "audit-log-maxbackup", lambda v: int(v) >= 10),
    ("1.2.19 audit log size", "audit-log-maxsize", lambda v: int(v) >= 100),
    ("1.2.21 service accounts are looked up", "service-account-lookup", lambda v: v in (None, "true")),
    ("1.2.22 service account key", "service-account-key-file", bool),
    ("1.2.23 etcd certificate", "etcd-certfile", bool),
    ("1.2.23 etcd key", "etcd-keyfile", bool),
    ("1.2.24 serving certificate", "tls-cert-file", bool),
    ("1.2.24 serving key", "tls-private-key-file", bool),
    ("1.2.25 client CA", "client-ca-file", bool),
    ("1.2.26 etcd CA", "etcd-cafile", bool),
    ("1.2.27 encryption at rest", "encryption-provider-config", bool),
    ("1.2.29 cipher suites", "tls-cipher-suites", lambda v: set(v.split(",")) <= SUITES),
    ("1.2.29 TLS version", "tls-min-version", lambda v: v in ("VersionTLS12", "VersionTLS13")),
    ("1.2.30 tokens are not extended", "service-account-extend-token-expiration", lambda v: v == "false"),
    ("3.2.1 audit policy", "audit-policy-file", bool),
]


@pytest.mark.parametrize(("row", "flag", "right"), APISERVER, ids=[row for row, _flag, _right in APISERVER])
def test_api_server(apiserver, row, flag, right):
    assert right(apiserver.get(flag)), f"{row}: --{flag} is {apiserver.get(flag)}"


MANAGER = [
    ("1.3.1 pod garbage collection", "terminated-pod-gc-threshold", bool),
    ("1.3.2 no profiling", "profiling", lambda v: v == "false"),
    ("1.3.3 own credentials", "use-service-account-credentials", lambda v: v == "true"),
    ("1.3.4 service account key", "service-account-private-key-file", bool),
    ("1.3.5 root CA", "root-ca-file", bool),
    ("1.3.6 serving certificates rotate", "feature-gates", lambda v: "RotateKubeletServerCertificate=false" not in (v or "")),
    ("1.3.7 loopback only", "bind-address", lambda v: v == "127.0.0.1"),
]


@pytest.mark.parametrize(("row", "flag", "right"), MANAGER, ids=[row for row, _flag, _right in MANAGER])
def test_controller_manager(manager, row, flag, right):
    assert right(manager.get(flag)), f"{row}: --{flag} is {manager.get(flag)}"


def test_1_4_1_scheduler_has_no_profiling(scheduler):
    assert scheduler["profiling"] == "false"


def test_1_4_2_scheduler_listens_on_loopback(scheduler):
    assert scheduler["bind-address"] == "127.0.0.1"


ETCD = [
    ("2.1 certificate", "cert-file", bool),
    ("2.1 key", "key-file", bool),
    ("2.2 clients need a certificate", "client-cert-auth", lambda v: v == "true"),
    ("2.3 no self-signed certificates", "auto-tls", lambda v: v in (None, "false")),
    ("2.4 peer certificate", "peer-cert-file", bool),
    ("2.4 peer key", "peer-key-file", bool),
    ("2.5 peers need a certificate", "peer-client-cert-auth", lambda v: v == "true"),
    ("2.6 no self-signed peer certificates", "peer-auto-tls", lambda v: v in (None, "false")),
]


@pytest.mark.parametrize(("row", "flag", "right"), ETCD, ids=[row for row, _flag, _right in ETCD])
def test_etcd(etcd, row, flag, right):
    assert right(etcd.get(flag)), f"{row}: --{flag} is {etcd.get(flag)}"


def test_2_7_etcd_has_authorities_of_its_own(etcd, apiserver):
    assert len({etcd["trusted-ca-file"], etcd["peer-trusted-ca-file"], apiserver["client-ca-file"]}) == 3


KUBELET = [
    ("4.2.1 no anonymous requests", lambda c: c["authentication"]["anonymous"]["enabled"] is False),
    ("4.2.2 authorization asks the API", lambda c: c["authorization"]["mode"] == "Webhook"),
    ("4.2.3 client CA", lambda c: c["authentication"]["x509"]["clientCAFile"]),
    ("4.2.4 no read-only port", lambda c: c["readOnlyPort"] == 0),
    ("4.2.5 idle streams end", lambda c: c["streamingConnectionIdleTimeout"] not in ("0", "0s")),
    ("4.2.6 iptables chains are made", lambda c: c.get("makeIPTablesUtilChains", True) is True),
    ("4.2.8 event rate", lambda c: c["eventRecordQPS"] >= 0),
    ("4.2.10 client certificates rotate", lambda c: c["rotateCertificates"] is True),
    ("4.2.11 serving certificates rotate", lambda c: c["serverTLSBootstrap"] is True),
    ("4.2.12 cipher suites", lambda c: set(c["tlsCipherSuites"]) <= SUITES),
    ("4.2.13 pods have a PID limit", lambda c: c["podPidsLimit"] > 0),
    ("4.2.14 seccomp by default", lambda c: c["seccompDefault"] is True),
]


@pytest.mark.parametrize(("row", "right"), KUBELET, ids=[row for row, _right in KUBELET])
def test_kubelet(kubelet, row, right):
    assert right(kubelet), row


def test_4_2_7_the_node_is_named_by_its_host():
    assert "hostname-override" not in flags(files("kubelet")["/etc/systemd/system/kubelet.service"])


def test_4_3_1_kube_proxy_metrics_on_loopback():
    assert json.loads(files("kube_proxy")["/etc/kubernetes/kube-proxy.json"])["metricsBindAddress"].startswith("127.0.0.1:")


@pytest.mark.parametrize("role", [role for role in roles_with_files() if role not in ("api_endpoint", "host_preparation")])
def test_1_1_and_4_1_files_are_roots_and_closed(role):
    """Rows 1.1.1-1.1.18 and 4.1.1-4.1.10: file_set writes 0600 root:root unless told otherwise, and nothing tells it."""
    for one in render(role, f"__{role}_files"):
        assert one.get("mode", "0600") == "0600", one["path"]
        assert one.get("owner", "root") == "root" and one.get("group", "root") == "root", one["path"]


def test_1_1_11_and_1_1_12_etcd_data_is_etcds_alone(etcd):
    row = next(one for one in render("etcd", "__etcd_directories") if one["path"] == etcd["data-dir"])
    assert (row["mode"], row["owner"], row["group"]) == ("0700", "etcd", "etcd")


def test_1_1_19_everything_under_the_kubernetes_pki_is_roots():
    _listed, _seen, fact = cluster()
    plan = _pki_plan.for_host(fact["hosts"]["m1"], fact)
    for one in plan["certificates"] + plan["authorities"] + plan["shared"]:
        if one["path"].startswith("/etc/kubernetes/pki"):
            assert one.get("owner", "root") == "root" and one.get("group", "root") == "root", one["path"]


def test_1_2_1_anonymous_requests_reach_health_paths_only():
    text = files("kube_apiserver")["/etc/kubernetes/authentication.json"]
    paths = {condition["path"] for condition in json.loads(text)["anonymous"]["conditions"]}
    assert paths == {"/livez", "/readyz", "/healthz"}


def test_3_2_2_secrets_are_audited_without_their_content():
    rules = json.loads(files("kube_apiserver")["/etc/kubernetes/audit-policy.json"])["rules"]
    hit = next(
        rule
        for rule in rules
        for group in rule.get("resources", [])
        if "secrets" in group.get("resources", []) and group["group"] == ""
    )
    assert hit["level"] == "Metadata"
    assert rules[-1] == {"level": "Metadata"}, "whatever no rule names is recorded at least"
