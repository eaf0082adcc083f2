# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what: each CA opens its own doors only, and a node reads its own secrets only."""

from __future__ import annotations

import itertools

import pytest

PKI, ETCD, KUBELET = "/etc/kubernetes/pki", "/etc/etcd/pki", "/var/lib/kubelet/pki/kubelet-client-current.pem"
CERTIFICATES = {
    "kubernetes": (f"{PKI}/operator", f"{PKI}/apiserver-kubelet-client", f"{PKI}/controller-manager"),
    "etcd-client": (f"{PKI}/apiserver-etcd-client", f"{ETCD}/operator-client", f"{ETCD}/server"),
    "etcd-peer": (f"{ETCD}/peer",),
    "front-proxy": (f"{PKI}/front-proxy-client",),
}
DOORS = {"API server": "kubernetes", "kubelet": "kubernetes", "etcd client port": "etcd-client", "etcd peer port": "etcd-peer"}
ALLOWED = {"200", "403"}  # 403: known, though not entitled
REFUSED = {"401", "000"}  # 000: the TLS handshake was refused


@pytest.fixture(scope="module")
def crossings(cluster):
    """{(CA, door): {certificate: status}} of every certificate tried on every door, from the host that has it."""
    master, member = cluster.masters[0], cluster.members[0]
    urls = {
        "API server": f"{cluster.server_of(master)}/api/v1/namespaces/default",
        "kubelet": f"https://{cluster.addresses[master]}:10250/healthz",
        "etcd client port": f"https://{cluster.addresses[member]}:2379/version",
        "etcd peer port": f"https://{cluster.addresses[member]}:2380/version",
    }
    cases = [(ca, path, door) for ca, paths in CERTIFICATES.items() for path in paths for door in urls]
    script = "".join(
        f"[ -e {path}.key ] && echo {number} $(curl -sk --http1.1 --max-time 5 -o /dev/null -w '%{{http_code}}' "
        f"--cert {path}.crt --key {path}.key {urls[door]})\n"
        for number, (_ca, path, door) in enumerate(cases)
    )
    found: dict = {}
    for host in {master, member}:
        for line in cluster.ssh(host, script + "true").splitlines():
            number, code = line.split()
            ca, path, door = cases[int(number)]
            found.setdefault((ca, door), {})[f"{path} on {host}"] = code
    return found


@pytest.mark.parametrize("ca,door", sorted(itertools.product(CERTIFICATES, DOORS)))
def test_a_certificate_opens_the_doors_of_its_own_ca_only(crossings, ca, door):
    tried = crossings.get((ca, door))
    assert tried, f"no certificate of the CA {ca} was found on the hosts"
    wanted = ALLOWED if DOORS[door] == ca else REFUSED
    assert not {path: code for path, code in tried.items() if code not in wanted}


def kubelet_asks(cluster, node: str, path: str, *headers: str) -> str:
    more = " ".join(f"-H '{header}'" for header in headers)
    command = (
        f"curl -s --max-time 10 -o /dev/null -w '%{{http_code}}' --cacert {PKI}/ca.crt --cert {KUBELET} {more} "
        f"{cluster.credentials['server']}{path}"
    )
    return cluster.ssh(node, command)


def test_a_kubelet_reads_the_secret_of_its_pod_and_no_other_nodes_kubelet_does(cluster, work):
    path = work.path("api/v1", "secrets/lonely")
    codes = cluster.each(cluster.nodes, lambda node: kubelet_asks(cluster, node, path))
    assert codes == {node: "200" if node == work.lonely_node else "403" for node in cluster.nodes}


def test_identity_headers_are_believed_from_the_front_proxy_only(cluster):
    headers = ("X-Remote-User: somebody", "X-Remote-Group: system:masters")
    assert kubelet_asks(cluster, cluster.nodes[0], "/api/v1/secrets", *headers) == "403"


@pytest.mark.parametrize(
    "path,wanted", [("/readyz", "200"), ("/livez", "200"), ("/version", "401"), ("/api", "401"), ("/metrics", "401")]
)
def test_strangers_reach_the_health_paths_only(cluster, path, wanted):
    url = f"{cluster.credentials['server']}{path}"
    code = cluster.ssh(cluster.nodes[0], f"curl -s --max-time 10 -o /dev/null -w '%{{http_code}}' --cacert {PKI}/ca.crt {url}")
    assert code == wanted


def test_the_kubelets_read_only_port_is_closed(cluster):
    command = "curl -s --max-time 2 http://127.0.0.1:10255/pods >/dev/null && echo open || echo closed"
    assert cluster.each(cluster.nodes, lambda node: cluster.ssh(node, command).strip()) == dict.fromkeys(cluster.nodes, "closed")


def test_the_fetched_kubeconfig_is_only_its_owners(cluster):
    assert cluster.kubeconfig.stat().st_mode & 0o777 == 0o600
