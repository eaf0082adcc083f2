# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of hosts, services, nodes and certificates: what each says, and where it says nothing."""

from __future__ import annotations

from cluster_fixtures import address
from health_fixtures import APISERVER, KUBELET, cluster, told


def test_a_pressure_is_told_in_the_words_of_its_node():
    made = cluster()
    made.node("w1", pressures=["DiskPressure"], pressure_message="kubelet has disk pressure")
    (found,) = told(made.judge()[0], "node-pressure")
    assert found.found == "node w1 says DiskPressure: kubelet has disk pressure"


def test_a_node_of_an_unreachable_host_is_known_by_its_address():
    made = cluster()
    made.lose("w1")
    made.fact["hosts"]["w1"]["node_name"] = "guessed"
    for api in made.apis():
        api["nodes"][-1].update(name="real", internal_ip=address("w1"))
    findings, _verdict = made.judge()
    assert told(findings, "node-missing") + told(findings, "node-stray") == []


def test_certificates_that_share_a_remedy_are_one_finding_a_host():
    made = cluster()
    for path, days in ((APISERVER, 20.0), ("/etc/etcd/pki/peer.crt", 2.0), (KUBELET, 25.0)):
        made.certificate(path, days_left=days)
    found = told(made.judge()[0], "certificate-ends")
    assert [(one.found, one.level) for one in found] == [
        ("ends in 2 days: /etc/etcd/pki/peer.crt and 1 more", "error"),
        (f"ends in 25 days: {KUBELET}", "warning"),
    ]


def test_why_a_host_could_not_be_asked_is_told():
    made = cluster()
    made.reasons = {"w1": "Connection timed out"}
    made.lose("w1")
    assert told(made.judge()[0], "host-unreachable")[0].found == "Connection timed out"
