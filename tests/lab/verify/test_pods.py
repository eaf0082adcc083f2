# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes and pods as their users see them."""

from __future__ import annotations

import re
import subprocess
import urllib.request

import pytest
import workloads


@pytest.fixture(scope="module")
def node_list(cluster):
    return {n["metadata"]["name"]: n for n in cluster.get("/api/v1/nodes")["items"]}


def test_every_host_is_a_ready_node_and_nothing_else_is(cluster, node_list):
    ready = {name for name, node in node_list.items() if workloads.is_ready(node)}
    assert set(node_list) == set(cluster.nodes)
    assert ready == set(cluster.nodes)


def test_every_node_takes_pods(node_list):
    assert [name for name, node in node_list.items() if node["spec"].get("unschedulable")] == []


def test_nodes_carry_their_zone_and_masters_their_taint(cluster, node_list):
    for name, node in node_list.items():
        zone = cluster.variable("multimaster_zone", name)
        assert node["metadata"]["labels"].get("topology.kubernetes.io/zone") == (zone or None), name
        tainted = any(t["key"] == "node-role.kubernetes.io/control-plane" for t in node["spec"].get("taints", []))
        assert tainted == (name in cluster.masters and name not in cluster.workers), name


def test_a_pod_runs_on_every_node(cluster, work):
    assert {p["spec"]["nodeName"] for p in work.pods("web") if workloads.is_ready(p)} == set(cluster.nodes)


def test_a_service_answers_on_every_node_by_its_address(reached):
    assert {node: a["the node, by address"][:4] for node, a in reached.items()} == dict.fromkeys(reached, "web-")


@pytest.mark.parametrize("how", ["a pod, by short name", "a pod, by full name"])
def test_cluster_dns_finds_a_service_from_a_pod_on_every_node(reached, how):
    assert {node: a[how][:4] for node, a in reached.items()} == dict.fromkeys(reached, "web-")


def test_no_zone_alone_has_the_cluster_dns_and_without_zones_no_host(cluster, node_list):
    if not cluster.finished:
        pytest.skip("a run that stopped has not come to that")
    labels = {name: node["metadata"]["labels"].get("topology.kubernetes.io/zone", "") for name, node in node_list.items()}
    place = labels if len(set(labels.values())) > 1 else {name: name for name in labels}
    pods = cluster.get("/api/v1/namespaces/kube-system/pods?labelSelector=k8s-app%3Dkube-dns")["items"]
    places = [place[p["spec"]["nodeName"]] for p in pods if workloads.is_ready(p) and not p["metadata"].get("deletionTimestamp")]
    assert len(places) > 1 and len(set(places)) >= min(2, len(set(place.values()))), places


def test_logs_come_from_every_node(cluster, work):
    for node in cluster.nodes:
        text = cluster.kubectl("logs", "-n", work.namespace, work.on(node)["metadata"]["name"])
        assert "Started HTTP server on port" in text, node


@pytest.mark.parametrize("name", sorted(workloads.CONTENT))
def test_exec_reads_a_volume_made_of_a_secret_and_a_config_map(cluster, work, name):
    node = cluster.nodes[0 if name == "from-secret" else -1]
    pod = work.on(node)["metadata"]["name"]
    text = cluster.kubectl("exec", "-n", work.namespace, pod, "--", "/agnhost", "mounttest", f"--file_content=/given/{name}")
    assert workloads.CONTENT[name] in text


def test_port_forward_reaches_a_pod(cluster, work):
    pod = work.on(cluster.nodes[-1])["metadata"]["name"]
    argv = [
        cluster.kubectl_path,
        "--kubeconfig",
        str(cluster.kubeconfig),
        "port-forward",
        "-n",
        work.namespace,
        pod,
        f":{workloads.PORT}",
    ]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            port = re.search(r"127\.0\.0\.1:(\d+)", process.stdout.readline())[1]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/hostname", timeout=10) as response:
                assert response.read().decode() == pod
        finally:
            process.terminate()


def test_pods_have_the_mtu_that_the_inventory_names(cluster, work):
    mtu = "--file_content=/sys/class/net/eth0/mtu"
    for node in cluster.nodes:
        pod = work.on(node)["metadata"]["name"]
        text = cluster.kubectl("exec", "-n", work.namespace, pod, "--", "/agnhost", "mounttest", mtu)
        assert str(cluster.variable("containerd_mtu", node) or 1450) in text, node


def test_a_container_whose_probe_fails_is_restarted(work):
    assert work.restarts() > 0
