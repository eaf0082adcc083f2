# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.multimaster.kubernetes.plugins.filter import watched_certificates as watched
from health_fixtures import cluster

SERVING = "/var/lib/kubelet/pki/kubelet-server-current.pem"


def files(name, **made):
    fact = cluster(**made).fact
    return watched.FilterModule().filters()["watched_certificates"](fact["hosts"][name], fact)


def test_a_master_has_its_own_the_authorities_and_the_kubelets():
    found = files("m1")
    assert found == sorted(found)
    for path in ("/etc/kubernetes/pki/apiserver.crt", "/etc/kubernetes/pki/ca.crt", "/etc/etcd/pki/peer.crt", SERVING):
        assert path in found
    assert not [path for path in found if path.endswith(".key")]


def test_a_worker_has_the_authority_and_the_kubelets():
    assert files("w1") == [
        "/etc/kubernetes/pki/ca.crt", "/var/lib/kubelet/pki/kubelet-client-current.pem", SERVING,
    ]  # fmt: skip


def test_a_member_beside_the_masters_has_no_kubelet():
    assert SERVING not in files("e1", masters=("m1",), etcd=("e1", "e2", "e3"))


def test_what_is_no_host_is_refused():
    with pytest.raises(AnsibleFilterError, match="the topology lacks"):
        watched.watched_certificates({"master": True}, {})
