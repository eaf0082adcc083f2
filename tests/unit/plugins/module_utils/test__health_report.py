# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _health, _health_report
from health_fixtures import cluster


def shown(made):
    seen = made.view()
    findings = _health.judge(seen)
    return _health_report.document(seen, findings, _health.verdict(seen, findings), "2026-01-01T00:00:00Z")


def line(text, opening):
    return next(one for one in text if one.startswith(opening))


def test_a_whole_cluster_is_a_verdict_seven_facts_and_a_table():
    made = cluster(zones={"m1": "a", "m2": "b", "m3": "c", "w1": "a"})
    assert _health_report.lines(shown(made)) == [
        "HEALTHY  prod: survives the loss of 1 etcd voter and of any one zone",
        "",
        "Endpoint      https://192.0.2.10:6443 (balanced, held by m1), answers to 4 of 4 hosts",
        "etcd          3 of 3 voters healthy, quorum 2, leader m1, database 5 of 8192 MiB",
        "Loss of zone  a survived, b survived, c survived",
        "Leaders       kube-controller-manager m1 (2 s ago), kube-scheduler m1 (2 s ago)",
        "Nodes         4 of 4 Ready",
        "Certificates  57 read, the first to end in 364 days (m1:/etc/etcd/pki/operator-client.crt)",
        "",
        "HOST  ZONE  ETCD    API    BALANCER  ENDPOINT  NODE",
        "m1    a     leader  ready  3/3 up    holder    Ready",
        "m2    b     voter   ready  3/3 up    backup    Ready",
        "m3    c     voter   ready  3/3 up    backup    Ready",
        "w1    a     -       -      -         -         Ready",
    ]


def test_the_document_is_json_and_says_the_same():
    made = cluster()
    made.stop_etcd("m2")
    document = shown(made)
    assert json.loads(json.dumps(document)) == document
    assert (document["verdict"], document["judged_at"]) == ("DEGRADED", "2026-01-01T00:00:00Z")
    assert document["etcd"]["survives"] == 0
    assert document["hosts"]["m2"]["etcd"] == "voter DOWN"
    assert [finding["check"] for finding in document["findings"]] == ["etcd-member"]
    assert "etcd-member" in "\n".join(_health_report.lines(document))


def test_a_host_that_could_not_be_asked_is_a_question_mark():
    made = cluster()
    made.lose("m2")
    row = shown(made)["hosts"]["m2"]
    assert (row["reached"], row["api"], row["balancer"], row["endpoint"]) == (False, "?", "?", "?")
    assert (row["etcd"], row["node"]) == ("voter", "Ready"), "others can tell these"


def test_an_unreachable_master_that_answers_by_arp_may_be_the_holder():
    made = cluster()
    made.lose("m1")
    assert shown(made)["hosts"]["m1"]["endpoint"] == "holder?"


def test_nothing_read_is_said_in_every_line():
    made = cluster()
    for name in list(made.observed):
        made.lose(name)
    text = _health_report.lines(shown(made))
    assert line(text, "Endpoint").endswith("(balanced, held by NOBODY), answers to 0 of 4 hosts")
    assert line(text, "etcd").endswith("0 of 0 voters healthy, quorum 1, leader NONE")
    assert line(text, "Leaders").split() == ["Leaders", "not", "known"]
    assert line(text, "Nodes").split() == ["Nodes", "0", "of", "4", "Ready"]
    assert line(text, "Certificates").split() == ["Certificates", "none", "read"]
    assert line(text, "m1").split() == ["m1", "-", "?", "?", "?", "?", "?"]


def test_what_is_down_is_said_in_its_column():
    made = cluster()
    made.read["m2"]["api"]["ready"] = False
    made.read["m2"]["balancer"]["servers"] = None
    made.node("m2", ready=False, unschedulable=True)
    for api in made.apis():
        api["leases"]["kube-scheduler"]["holder"] = ""
    text = _health_report.lines(shown(made))
    assert line(text, "m2").split() == ["m2", "-", "voter", "DOWN", "DOWN", "backup", "NOT", "READY,", "cordoned"]
    assert line(text, "Leaders").endswith("kube-scheduler NOBODY")


def test_one_master_and_an_external_balancer_have_no_balancer_of_ours():
    assert shown(cluster(masters=("m1",)))["hosts"]["m1"]["balancer"] == "-"
    external = shown(cluster(endpoint_mode="external"))
    assert external["hosts"]["m1"]["endpoint"] == "-"
    assert "held by" not in line(_health_report.lines(external), "Endpoint")
    assert shown(cluster(masters=("m1",)))["hosts"]["m1"]["endpoint"] == "holder"


def test_members_beside_the_masters_and_members_that_are_missing():
    made = cluster(masters=("m1", "m2"), etcd=("e1", "e2", "e3"))
    assert shown(made)["hosts"]["m1"]["etcd"] == "-"
    assert shown(made)["hosts"]["e1"]["node"] == "-"
    for read in made.read.values():
        if read["etcd"]:
            read["etcd"]["members"] = [one for one in read["etcd"]["members"] if one["name"] != "e3"]
    assert shown(made)["hosts"]["e3"]["etcd"] == "MISSING"
