# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which identities each kind of host gets: the table that RBAC bindings and units rely on."""

from __future__ import annotations

import itertools
import pathlib

import pytest
import yaml
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _pki, _pki_plan

ROOT = pathlib.Path(__file__).resolve().parents[4]
CLUSTER = {
    "endpoint": {"address": "192.0.2.100"},
    "network": {"cluster_domain": "cluster.local", "api_service_address": "10.96.0.1"},
}


def host(**roles):
    return {"node_name": "M1", "address": "192.0.2.1", "master": False, "member": False, "worker": False, **roles}


def paths(plan, kind):
    return sorted(entry["path"] for entry in plan[kind])


def test_a_worker_gets_the_authority_only():
    plan = _pki_plan.for_host(host(worker=True), CLUSTER)
    assert plan == {
        "certificates": [],
        "shared": [],
        "authorities": [{"ca": "kubernetes", "path": "/etc/kubernetes/pki/ca.crt"}],
    }


def test_a_host_without_a_role_gets_nothing():
    assert _pki_plan.for_host(host(), CLUSTER) == {"certificates": [], "authorities": [], "shared": []}


def test_identities_of_a_stacked_master():
    plan = _pki_plan.for_host(host(master=True, member=True), CLUSTER)
    rows = {
        entry["path"]: (entry["ca"], entry["common_name"], ",".join(entry["organizations"]), "+".join(entry["usages"]))
        for entry in plan["certificates"]
    }
    pki, etcd = "/etc/kubernetes/pki/", "/etc/etcd/pki/"
    assert rows == {
        pki + "apiserver": ("kubernetes", "kube-apiserver", "", "server"),
        pki + "apiserver-kubelet-client": (
            "kubernetes",
            "kube-apiserver-kubelet-client",
            "multimaster:kubelet-clients",
            "client",
        ),
        pki + "controller-manager": ("kubernetes", "system:kube-controller-manager", "", "client"),
        pki + "scheduler": ("kubernetes", "system:kube-scheduler", "", "client"),
        pki + "csr-approver": ("kubernetes", "multimaster:csr-approver", "", "client"),
        pki + "operator": ("kubernetes", "multimaster-operator", "multimaster:operators", "client"),
        pki + "front-proxy-client": ("front-proxy", "front-proxy-client", "", "client"),
        pki + "apiserver-etcd-client": ("etcd-client", "kube-apiserver", "", "client"),
        etcd + "operator-client": ("etcd-client", "multimaster-operator", "", "client"),
        etcd + "server": ("etcd-client", "etcd-server", "", "client+server"),
        etcd + "peer": ("etcd-peer", "etcd-peer", "", "client+server"),
    }
    owners = {entry["path"]: entry.get("owner", "root") for entry in plan["certificates"]}
    assert {path for path, owner in owners.items() if owner == "etcd"} == {etcd + "server", etcd + "peer"}


def test_names_of_servers():
    plan = _pki_plan.for_host(host(master=True, member=True), CLUSTER)
    names = {entry["path"].rpartition("/")[2]: (entry.get("dns"), entry.get("ip")) for entry in plan["certificates"]}
    assert names["apiserver"] == (
        ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost", "m1"],
        ["10.96.0.1", "127.0.0.1", "192.0.2.1", "192.0.2.100"],
    )
    assert names["server"] == (["localhost", "m1"], ["127.0.0.1", "192.0.2.1"])
    assert names["peer"] == (["m1"], ["192.0.2.1"])


def test_names_are_those_of_the_files_that_serve():
    names = _pki_plan.names(host(master=True, member=True), CLUSTER)
    assert set(names) == {"/etc/kubernetes/pki/apiserver.crt", "/etc/etcd/pki/server.crt", "/etc/etcd/pki/peer.crt"}
    assert names["/etc/etcd/pki/server.crt"] == ("localhost", "m1", "127.0.0.1", "192.0.2.1")
    assert _pki_plan.names(host(worker=True), CLUSTER) == {}


def test_an_external_member_knows_nothing_of_kubernetes():
    plan = _pki_plan.for_host(host(member=True), CLUSTER)
    assert paths(plan, "certificates") == ["/etc/etcd/pki/operator-client", "/etc/etcd/pki/peer", "/etc/etcd/pki/server"]
    assert paths(plan, "authorities") == ["/etc/etcd/pki/client-ca.crt", "/etc/etcd/pki/peer-ca.crt"]
    assert plan["shared"] == []


def test_a_master_without_a_member_can_still_ask_etcd():
    plan = _pki_plan.for_host(host(master=True), CLUSTER)
    assert "/etc/etcd/pki/operator-client" in paths(plan, "certificates")
    assert "/etc/etcd/pki/client-ca.crt" in paths(plan, "authorities")
    assert not any("peer" in path or path.endswith("server") and "etcd" in path for path in paths(plan, "certificates"))


def test_only_the_kubernetes_authoritys_key_leaves_the_controller_and_only_to_masters():
    for master, member, worker in itertools.product([False, True], repeat=3):
        plan = _pki_plan.for_host(host(master=master, member=member, worker=worker), CLUSTER)
        keys = {entry["key_path"] for entry in plan["authorities"] if entry.get("key_path")}
        assert keys == ({"/etc/kubernetes/pki/ca.key"} if master else set())
        assert bool(plan["shared"]) == master


@pytest.mark.parametrize("roles", list(itertools.product([False, True], repeat=3)))
def test_every_plan_is_a_right_specification(roles):
    plan = _pki_plan.for_host(host(**dict(zip(("master", "member", "worker"), roles))), CLUSTER)
    assert _pki.certificates(plan["certificates"])[1] == ()
    assert _pki.authority_findings(plan["authorities"]) + _pki.shared_findings(plan["shared"]) == ()


def test_nothing_lasting_is_almighty():
    plan = _pki_plan.for_host(host(master=True, member=True), CLUSTER)
    lasting = [*plan["certificates"], _pki_plan.administrator("/x/admin")]
    assert not any("system:masters" in entry["organizations"] for entry in lasting)
    access = yaml.safe_load((ROOT / "roles/cluster_access/vars/main.yml").read_text())
    (bootstrap,), findings = _pki.certificates([access["__cluster_access_bootstrap"]])
    assert findings == ()
    assert bootstrap.organizations == ("system:masters",)
    assert bootstrap.lifetime == 600
    assert bootstrap.path.startswith("/run/")


def test_files_under_the_kubernetes_folder_belong_to_root():
    """CIS 1.1.19 wants everything under /etc/kubernetes/pki to be root's."""
    plan = _pki_plan.for_host(host(master=True, member=True, worker=True), CLUSTER)
    entries = [*plan["certificates"], *plan["authorities"], *plan["shared"]]
    assert all(entry.get("owner", "root") == "root" for entry in entries if entry["path"].startswith("/etc/kubernetes/"))
