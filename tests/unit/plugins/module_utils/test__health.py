# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One case for every finding, the verdict against brute force, and that unknown is never healthier than known."""

from __future__ import annotations

import contextlib
import copy
import itertools

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _health
from cluster_fixtures import NUMBERS, address, member
from health_fixtures import APISERVER, CA, KUBELET, MIB, UNKNOWN, cluster, told
from hypothesis import given
from hypothesis import settings as quickly
from hypothesis import strategies as st

HEALTHY, DEGRADED, DOWN = _health.VERDICTS
THREE_ZONES = {"m1": "a", "m2": "b", "m3": "c"}


def ids(findings):
    return sorted({finding.check for finding in findings})


# What is well


@pytest.mark.parametrize(
    "made",
    [
        cluster(),
        cluster(zones=THREE_ZONES),
        cluster(masters=("m1",)),
        cluster(masters=("m1", "m2"), learners=("m2",)),
        cluster(masters=("m1", "m2"), etcd=("e1", "e2", "e3")),
        cluster(masters=("m1", "m2", "m3", "m4", "m5"), workers=()),
        cluster(endpoint_mode="external"),
        cluster(network="none"),
    ],
    ids=["three", "zones", "one", "two", "external-etcd", "five", "external-balancer", "no-network"],
)
def test_a_whole_cluster_is_healthy(made):
    findings, verdict = made.judge()
    assert verdict.status == HEALTHY
    assert [finding for finding in findings if finding.level == "error"] == []


def test_three_voters_in_three_zones_say_what_they_survive():
    assert cluster(zones=THREE_ZONES).judge()[1].reason == "survives the loss of 1 etcd voter and of any one zone"
    assert cluster(masters=("m1", "m2", "m3", "m4", "m5")).judge()[1].reason == "survives the loss of 2 etcd voters"


@pytest.mark.parametrize("masters,learners", [(("m1",), ()), (("m1", "m2"), ("m2",))])
def test_a_cluster_that_survives_no_loss_is_healthy_and_says_so(masters, learners):
    findings, verdict = cluster(masters=masters, learners=learners).judge()
    assert ids(findings) == ["etcd-survival"]
    assert verdict.reason == "nothing is wrong, but the loss of an etcd voter is not survived"


# One case a finding: (id, what happened, the cluster, what to change, where, level, the verdict)


def etcd_away(made):
    for name in ("m2", "m3"):
        made.stop_etcd(name)
        made.read[name]["api"].update(ready=False, failed=["etcd"], nodes=None, leases=None)


def two_clusters(made):
    made.read["m3"]["etcd"]["cluster_ids"] = ["88"]


def alarm(made):
    made.read["m1"]["etcd"]["alarms"] = [{"member_id": str(NUMBERS["m2"]), "alarm": "NOSPACE"}]


def no_leader(made):
    for read in made.read.values():
        if read["etcd"]:
            read["etcd"]["leader_id"] = ""


def a_newcomer_that_never_started(made):
    for reader, read in made.read.items():
        if read["etcd"]:
            read["etcd"]["members"].append({**member("m4", learner=True, started=False), **UNKNOWN})
        assert reader


def a_member_nobody_knows(made):
    made.member("m3", name="x9", peer_urls=["https://192.0.2.99:2380"])


def members(called, /, **changes):
    return lambda made: made.member(called, **changes)


def forget_member(made):
    for read in made.read.values():
        if read["etcd"]:
            read["etcd"]["members"] = [one for one in read["etcd"]["members"] if one["name"] != "m3"]


def no_api(made):
    for part in (*made.apis(), *made.endpoints()):
        part.update(ready=False, error="Kubernetes API at https://x:6443, asked for GET /readyz?verbose: connection refused")


def rights_gone(made):
    for api in made.apis():
        api.update(nodes=None, leases=None, error="Kubernetes API at x, asked for GET /api/v1/nodes: HTTP 403 Forbidden: no")


def no_endpoint(made):
    for part in made.endpoints():
        part.update(ready=False, error="timed out")


def nobody_holds(made):
    for balancer in made.balancers():
        balancer.update(held_on=["lo"], others=[])


def for_all(parts, **changes):
    def change(made):
        for part in getattr(made, parts)():
            part.update(copy.deepcopy(changes))

    return change


def on(name, part, **changes):
    return lambda made: made.read[name][part].update(changes)


def server(name, reader, **changes):
    return lambda made: made.read[reader]["balancer"]["servers"][name].update(changes)


def uses(name, *members):
    """Return a change of whose etcd members the API server of a host uses."""
    urls = [f"https://{address(one)}:2379" for one in members]
    return lambda made: made.observed[name].update(api_server={"etcd_servers": urls})


def balancer_lists(reader, called, at):
    def change(made):
        servers = made.read[reader]["balancer"]["servers"]
        servers[called] = dict(servers["m1"], name=called, address=at)

    return change


def lease(**changes):
    def change(made):
        for api in made.apis():
            api["leases"]["kube-scheduler"].update(changes)

    return change


def no_lease(made):
    for api in made.apis():
        api["leases"]["kube-scheduler"] = None


def forget_node(made):
    for api in made.apis():
        api["nodes"] = [node for node in api["nodes"] if node["name"] != "w1"]


def strange_node(made):
    for api in made.apis():
        api["nodes"].append(dict(api["nodes"][0], name="old", internal_ip="192.0.2.99"))


TWO = {"masters": ("m1", "m2"), "even_voters": True}
FOUR = {"masters": ("m1", "m2", "m3", "m4")}

CASES = [
    ("etcd-quorum", "two of three members stop", {}, etcd_away, "", "error", DOWN),
    ("etcd-split", "a member answers for another cluster", {}, two_clusters, "", "error", DOWN),
    ("etcd-alarm", "a member is out of space", {}, alarm, "m2", "error", DOWN),
    ("api-none", "no API server is ready", {}, no_api, "", "error", DOWN),
    ("endpoint-dead", "the endpoint answers nobody", {}, no_endpoint, "", "error", DOWN),
    ("host-unreachable", "a worker is gone", {}, lambda made: made.lose("w1"), "w1", "error", DEGRADED),
    ("host-unread", "a worker told nothing", {}, lambda made: made.read.pop("w1"), "w1", "error", DEGRADED),
    ("host-unread", "a master has no credentials for etcd", {}, on("m2", "etcd", members=[], error="cannot read x.crt"), "m2",
     "error", DEGRADED),
    ("host-unread", "a master cannot ask its neighbours", {}, on("m2", "balancer", others=None, errors={"others": "no socket"}),
     "m2", "error", DEGRADED),
    ("unit-down", "a kube-proxy stopped", {}, lambda made: made.observed["w1"]["units"].update({"kube-proxy": "failed"}),
     "w1", "error", DEGRADED),
    ("etcd-leader", "nobody leads", {}, no_leader, "", "error", DEGRADED),
    ("etcd-member", "one of three members stops", {}, lambda made: made.stop_etcd("m2"), "m2", "error", DEGRADED),
    ("etcd-missing", "a master never joined etcd", {}, forget_member, "m3", "error", DEGRADED),
    ("etcd-learner", "a member was never promoted", {}, members("m3", is_learner=True), "m3", "error", DEGRADED),
    ("etcd-learner", "a newcomer never started", FOUR, a_newcomer_that_never_started, "m4", "error", DEGRADED),
    ("etcd-stray", "a member nobody knows votes", {}, a_member_nobody_knows, "", "warning", DEGRADED),
    ("etcd-address", "a host's address changed", {}, members("m2", peer_urls=["https://192.0.2.99:2380"]), "m2", "warning",
     HEALTHY),
    ("etcd-even", "an even number of voters", TWO, lambda made: None, "", "warning", HEALTHY),
    ("etcd-survival", "one master alone", {"masters": ("m1",)}, lambda made: None, "", "warning", HEALTHY),
    ("etcd-size", "a database at 80 % of its quota", {}, members("m2", db_size=8 * MIB, db_size_quota=10 * MIB), "m2",
     "warning", HEALTHY),
    ("etcd-size", "a database at 95 % of its quota", {}, members("m2", db_size=95 * MIB, db_size_quota=100 * MIB), "m2",
     "error", DEGRADED),
    ("etcd-downgrade", "a downgrade was left enabled", {}, members("m2", version="3.7.3", downgrade="3.6.0"), "", "warning",
     HEALTHY),
    ("etcd-view", "a master does not reach a member", {}, lambda made: made.stop_etcd("m2", "m3"), "m2", "warning", HEALTHY),
    ("etcd-first-start", "a founding was cut off just before its end", {},
     lambda made: made.observed["m2"]["etcd"].update(record={"token": "prod-1"}), "m2", "warning", HEALTHY),
    ("api-etcd", "an API server uses another member than its own", {}, uses("m2", "m1"), "m2", "error", DEGRADED),
    ("api-etcd", "an API server uses more than its own member", {}, uses("m2", "m1", "m2"), "m2", "warning", HEALTHY),
    ("vrrp-peers", "a keepalived does not know a master", {}, on("m2", "balancer", peers=[address("m1")]), "m2", "error",
     DEGRADED),
    ("vrrp-peers", "a keepalived knows a former master", {},
     on("m2", "balancer", peers=[address("m1"), address("m3"), "192.0.2.99"]), "m2", "warning", HEALTHY),
    ("balancer-stray", "a balancer lists a former master", {}, balancer_lists("m2", "m9", "192.0.2.99:6443"), "", "warning",
     HEALTHY),
    ("certificate-names", "a certificate is not for the endpoint", {},
     lambda made: made.certificate(APISERVER, lacks=("192.0.2.10",)), "m1", "error", DEGRADED),
    ("zone-loss", "two of three voters in one zone", {"zones": {"m1": "a", "m2": "a", "m3": "c"}}, lambda made: None, "",
     "warning", HEALTHY),
    ("api-down", "one API server is not ready", {}, on("m2", "api", ready=False, failed=["poststarthook/x"]), "m2", "error",
     DEGRADED),
    ("api-unread", "the operator lost its rights", {}, rights_gone, "", "error", DEGRADED),
    ("endpoint-unreached", "a worker does not reach the endpoint", {}, on("w1", "endpoint", ready=False), "w1", "error",
     DEGRADED),
    ("endpoint-nobody", "the address is on lo only", {}, nobody_holds, "", "error", DEGRADED),
    ("endpoint-twice", "two masters hold the address", {}, on("m2", "balancer", held_on=["eth0"]), "", "error", DEGRADED),
    ("endpoint-twice", "a stranger answers for the address", {}, on("m2", "balancer", others=["02:99"]), "", "error", DEGRADED),
    ("balancer-down", "a HAProxy stopped", {}, on("m2", "balancer", servers=None), "m2", "error", DEGRADED),
    ("balancer-server", "a server was left drained", {}, server("m2", "m1", status="drain", up=False), "m2", "error", DEGRADED),
    ("balancer-server", "a balancer was never told of a master", {},
     lambda made: made.read["m1"]["balancer"]["servers"].pop("m3"), "m3", "error", DEGRADED),
    ("balancer-server", "one health check failed", {}, server("m2", "m1", proven=False, up=False, check="L7TOUT"), "m2",
     "warning", HEALTHY),
    ("vrrp-down", "a keepalived is in fault", {}, on("m2", "balancer", vrrp={"state": "fault"}), "m2", "error", DEGRADED),
    ("vrrp-down", "a keepalived says nothing", {}, on("m2", "balancer", vrrp=None), "m2", "error", DEGRADED),
    ("lease-stale", "the leader stopped renewing", {}, lease(age_seconds=60.0), "", "error", DEGRADED),
    ("lease-stale", "the leader stepped down and nobody followed", {}, lease(holder="", duration_seconds=1), "", "error",
     DEGRADED),
    ("lease-stale", "the lease was never renewed", {}, lease(age_seconds=None), "", "error", DEGRADED),
    ("lease-stale", "nobody ever led", {}, no_lease, "", "error", DEGRADED),
    ("node-missing", "a worker never registered", {}, forget_node, "w1", "error", DEGRADED),
    ("node-not-ready", "a kubelet stopped posting", {}, lambda made: made.node("w1", ready=False), "w1", "error", DEGRADED),
    ("disk-pressure", "a disk is about to be full", {},
     lambda made: made.observed["w1"].update(disk_free_percent={"/var/lib/containerd": 14.0}), "w1", "warning", HEALTHY),
    ("node-pressure", "a disk is full", {}, lambda made: made.node("w1", pressures=["DiskPressure"]), "w1", "error", DEGRADED),
    ("node-cordoned", "somebody works on a node", {}, lambda made: made.node("w1", unschedulable=True), "w1", "warning",
     HEALTHY),
    ("node-stray", "a node outlived its host", {}, strange_node, "", "warning", HEALTHY),
    ("certificate-missing", "a certificate is gone", {}, lambda made: made.certificate(APISERVER, days_left=None), "m1",
     "error", DEGRADED),
    ("certificate-expired", "a certificate expired", {}, lambda made: made.certificate(APISERVER, days_left=-1.0), "m1",
     "error", DEGRADED),
    ("certificate-ends", "three weeks are left", {}, lambda made: made.certificate(APISERVER, days_left=21.0), "m1", "warning",
     HEALTHY),
    ("certificate-ends", "three days are left", {}, lambda made: made.certificate(APISERVER, days_left=3.0), "m1", "error",
     DEGRADED),
    ("certificate-ends", "a kubelet did not renew", {},
     lambda made: made.certificate(KUBELET, days_left=0.0001, days=0.007), "m1", "error", DEGRADED),
    ("certificate-ends", "an authority has half a year left", {}, lambda made: made.certificate(CA, days_left=180.0), "m1",
     "warning", HEALTHY),
]  # fmt: skip  # a case a row


@pytest.mark.parametrize("check,happened,made,change,host,level,verdict", CASES, ids=[case[1] for case in CASES])
def test_what_happened_is_found(check, happened, made, change, host, level, verdict):
    broken = cluster(**made)
    change(broken)
    findings, judged = broken.judge()
    found = told(findings, check)
    assert found, ids(findings)
    assert (found[0].host, found[0].level) == (host, level), happened
    assert judged.status == verdict
    for finding in findings:
        assert finding.check in _health.CHECKS
        assert finding.found
        assert finding.wanted
        assert finding.fix.endswith(".")
    named = [one.fix for one in findings if one.level == "error" and one.found in judged.reason]
    assert judged.next_step == (named[0][0].lower() + named[0][1:-1] if named else ""), "what to do about what the reason names"


def test_every_check_has_its_case():
    assert {case[0] for case in CASES} == set(_health.CHECKS)
    assert {case[0] for case in CASES if case[6] == DOWN} == _health.DOWN_BY
    assert {case[0] for case in CASES} - {case[0] for case in CASES if case[5] == "error"} == _health.TELLING


def test_a_check_finds_what_it_is_called():
    for _check, _happened, made, change, _host, _level, _verdict in CASES:
        broken = cluster(**made)
        change(broken)
        seen = broken.view()
        for name, check in _health.CHECKS.items():
            assert {finding.check for finding in check(seen)} <= {name}


# The words that matter


def test_the_cause_is_named_before_what_follows_from_it():
    made = cluster()
    etcd_away(made)
    made.read["m1"]["api"].update(ready=False, failed=["etcd"])
    for _reader, one in made.members():
        one["healthy"] = False
    no_endpoint(made)
    findings, verdict = made.judge()
    assert verdict.reason.startswith("etcd: 0 of 3 voters healthy, quorum 2, has no quorum, and ")
    assert [finding.found for finding in told(findings, "etcd-member")][0] == "etcd member m1 runs and waits for a quorum"
    assert told(findings, "etcd-quorum")[0].fix.startswith("Start etcd on m2, m3 (")
    assert told(findings, "zone-loss") == []


def test_one_member_less_says_that_one_more_failure_loses_quorum():
    made = cluster()
    made.stop_etcd("m2")
    findings, verdict = made.judge()
    assert verdict.reason == (
        "one more failure loses quorum (2 of 3 voters healthy): m2: etcd member m2 is not healthy: connection refused; "
        "the unit etcd is inactive"
    )


def test_what_is_to_be_done_first_is_about_what_is_named_first():
    made = cluster()
    made.stop_etcd("m2")
    forget_node(made)
    findings, verdict = made.judge()
    assert ids(findings) == ["etcd-member", "node-missing"]
    assert verdict.reason.endswith("the unit etcd is inactive, and 1 more")
    assert verdict.next_step == "on m2: journalctl -u etcd -n 50; systemctl start etcd. A lost disk: replace_node.yml -e node=m2"


def test_nothing_read_at_all_is_down():
    made = cluster()
    for name in list(made.observed):
        made.lose(name)
    findings, verdict = made.judge()
    assert verdict.status == DOWN
    assert verdict.reason.startswith("etcd: no member could be asked")
    assert {"etcd-quorum", "api-none", "endpoint-dead", "host-unreachable"} <= set(ids(findings))


# Where a line is drawn


YEAR, HOUR = {"days": 365.0}, {"days": 1 / 24}


@pytest.mark.parametrize(
    ("path", "left", "found"),
    [
        (APISERVER, {**YEAR, "days_left": 30.01}, []),
        (APISERVER, {**YEAR, "days_left": 30.0}, [("certificate-ends", "warning")]),
        (APISERVER, {**YEAR, "days_left": 7.01}, [("certificate-ends", "warning")]),
        (APISERVER, {**YEAR, "days_left": 7.0}, [("certificate-ends", "error")]),
        (APISERVER, {**YEAR, "days_left": 0.0}, [("certificate-expired", "error")]),
        (CA, {"days": 3650.0, "days_left": 365.01}, []),
        (CA, {"days": 3650.0, "days_left": 365.0}, [("certificate-ends", "warning")]),
        (CA, {"days": 3650.0, "days_left": 90.0}, [("certificate-ends", "error")]),
        # one that lives shorter than a year is judged by the share that is left
        (APISERVER, {"days": 120.0, "days_left": 11.0}, []),
        (APISERVER, {"days": 120.0, "days_left": 9.0}, [("certificate-ends", "warning")]),
        (KUBELET, {**HOUR, "days_left": 6 / 1440}, []),
        (KUBELET, {**HOUR, "days_left": 4 / 1440}, [("certificate-ends", "warning")]),
        (KUBELET, {**HOUR, "days_left": 1 / 1440}, [("certificate-ends", "error")]),
    ],
)
def test_a_certificate_is_mentioned_before_it_ends_and_not_too_early(path, left, found):
    made = cluster()
    made.certificate(path, **left)
    assert [(one.check, one.level) for one in made.judge()[0]] == found


@pytest.mark.parametrize(("age", "stale"), [(15.0, False), (17.0, False), (17.1, True), (30.0, True)])
def test_a_lease_may_be_as_old_as_it_lasts_and_clocks_may_differ(age, stale):
    made = cluster()
    lease(age_seconds=age, duration_seconds=15)(made)
    assert bool(told(made.judge()[0], "lease-stale")) is stale


@pytest.mark.parametrize("fresh", ["m1", "m2", "m3"])
def test_a_lease_is_as_fresh_as_the_api_server_that_saw_it_last(fresh):
    made = cluster()
    lease(age_seconds=60.0)(made)
    made.read[fresh]["api"]["leases"]["kube-scheduler"].update(age_seconds=1.0)
    assert told(made.judge()[0], "lease-stale") == []


@pytest.mark.parametrize("state", ["failed", "inactive", "activating", "not-found", None])
def test_a_unit_of_which_it_is_not_known_that_it_runs_is_down(state):
    made = cluster()
    made.observed["w1"]["units"]["kubelet"] = state
    if state is None:
        del made.observed["w1"]["units"]["kubelet"]
    findings, verdict = made.judge()
    assert [(one.host, one.check, one.found) for one in findings] == [
        ("w1", "unit-down", f"the unit kubelet is {state or 'unknown'}")
    ]
    assert verdict.status == DEGRADED


# Several readers


@pytest.mark.parametrize("reader", ["m1", "m2", "m3"])
def test_an_alarm_counts_whichever_member_alone_was_told_of_it(reader):
    made = cluster()
    made.read[reader]["etcd"]["alarms"] = [{"member_id": str(NUMBERS["m2"]), "alarm": "NOSPACE"}]
    findings, verdict = made.judge()
    assert [one.host for one in told(findings, "etcd-alarm")] == ["m2"]
    assert verdict.status == DOWN


def test_who_the_members_are_is_what_a_quorum_confirms_then_what_was_written_last():
    def without_m3(reader, **behind):
        made = cluster()
        etcd = made.read[reader]["etcd"]
        etcd["members"] = [one for one in etcd["members"] if one["name"] != "m3"]
        for one in etcd["members"]:
            one.update({key: value for key, value in behind.items() if key != "confirmed"})
        etcd.update({key: value for key, value in behind.items() if key == "confirmed"})
        return [one.host for one in told(made.judge()[0], "etcd-missing")]

    for reader in ("m1", "m2", "m3"):
        assert without_m3(reader, confirmed=False, raft_index=999) == []
        assert without_m3(reader, raft_index=899) == []
        assert without_m3(reader, raft_index=901) == ["m3"]
        assert without_m3(reader, raft_term=4, raft_index=1) == ["m3"]


@pytest.mark.parametrize("part", ["etcd", "api", "endpoint", "balancer"])
def test_what_one_master_alone_did_not_tell_is_missed(part):
    made = cluster()
    made.read["m2"][part] = None
    findings, verdict = made.judge()
    assert [(one.host, one.found) for one in told(findings, "host-unread")] == [("m2", f"{part}: it was not read")]
    assert verdict.status == DEGRADED


def test_an_api_that_answers_at_its_address_serves_though_no_server_answers_directly():
    made = cluster()
    for api in made.apis():
        api.update(ready=False, nodes=None, leases=None, error="timed out")
    findings, verdict = made.judge()
    assert ids(findings) == ["api-down"]
    assert verdict.status == DEGRADED


def test_of_zones_nothing_is_said_while_that_of_a_voter_is_not_known():
    for zones in ({"m1": "a", "m2": "a"}, {"m1": "a", "m2": "b"}):
        findings, verdict = cluster(zones=zones).judge()
        assert told(findings, "zone-loss") == []
        assert verdict.reason == "survives the loss of 1 etcd voter"
    five = cluster(masters=("m1", "m2", "m3", "m4", "m5"), zones=THREE_ZONES)
    assert five.judge()[1].reason == "survives the loss of 2 etcd voters"


# Who is asked for what, and what is not told beside its cause


NODE = {"containerd", "kubelet", "kube-proxy"}
CONTROLLERS = {"kube-controller-manager", "kube-scheduler", "csr-approver"}
OWN_ETCD = {"masters": ("m1", "m2"), "etcd": ("e1", "e2", "e3")}


@pytest.mark.parametrize(
    ("made", "name", "units"),
    [
        ({}, "w1", {*NODE, "flanneld"}),
        ({}, "m2", {*NODE, *CONTROLLERS, "flanneld"}),
        ({"network": "none"}, "m2", {*NODE, *CONTROLLERS}),
        ({"endpoint_mode": "external"}, "m2", {*NODE, *CONTROLLERS, "flanneld"}),
        ({"masters": ("m1",)}, "m1", {*NODE, *CONTROLLERS, "flanneld", "multimaster-endpoint"}),
        (OWN_ETCD, "e1", set()),
    ],
)
def test_of_every_unit_that_a_host_needs_it_is_told_that_it_is_down(made, name, units):
    broken = cluster(**made)
    broken.observed[name]["units"] = dict.fromkeys(broken.observed[name]["units"], "failed")
    found = told(broken.judge()[0], "unit-down")
    assert {one.found for one in found} == {f"the unit {unit} is failed" for unit in units}
    assert {one.host for one in found} <= {name}


@pytest.mark.parametrize("part", ["held_on", "others", "units"])
def test_what_a_master_could_not_find_out_about_the_address_is_told(part):
    made = cluster()
    made.read["m2"]["balancer"]["errors"] = {part: "no socket"}
    assert [(one.host, one.found) for one in told(made.judge()[0], "host-unread")] == [("m2", f"{part}: no socket")]


@pytest.mark.parametrize("missing", ["nodes", "leases"])
def test_nodes_and_leases_are_to_be_read_both_and_of_one_api_server(missing):
    made = cluster()
    made.read["m1"]["api"].update({missing: None})
    made.node("w1", ready=False)
    assert ids(made.judge()[0]) == ["node-not-ready"]
    for api in made.apis():
        api.update({missing: None})
    assert "api-unread" in ids(made.judge()[0])


def test_an_address_that_answers_nobody_is_told_once():
    made = cluster()
    no_endpoint(made)
    assert ids(made.judge()[0]) == ["endpoint-dead"]


def test_what_the_balancers_say_of_a_master_that_cannot_be_asked_is_told():
    made = cluster()
    made.lose("m3")
    assert told(made.judge()[0], "balancer-server") == []
    for reader in ("m1", "m2"):
        made.read[reader]["balancer"]["servers"]["m3"].update(status="down", up=False)
    assert [(one.host, one.level) for one in told(made.judge()[0], "balancer-server")] == [("m3", "error")]


def test_a_member_that_is_down_is_told_as_that_alone():
    made = cluster(zones=THREE_ZONES)
    made.stop_etcd("m2")
    assert ids(made.judge()[0]) == ["etcd-member", "zone-loss"]
    made.stop_etcd("m3")
    assert ids(made.judge()[0]) == ["etcd-member", "etcd-quorum"]


def test_a_member_that_hangs_beside_a_quorum_does_not_wait_for_one():
    made = cluster()
    members("m2", healthy=False)(made)
    assert told(made.judge()[0], "etcd-member")[0].found == "etcd member m2 is not healthy: nobody could ask it"


@pytest.mark.parametrize("reader", ["m1", "m2", "m3"])
def test_a_database_is_as_large_as_the_reader_says_that_saw_it_largest(reader):
    made = cluster()
    for seen_by, one in made.members():
        if one["name"] == "m2":
            one.update(db_size=(96 if seen_by == reader else 1) * MIB, db_size_quota=100 * MIB)
    assert [(one.host, one.level) for one in told(made.judge()[0], "etcd-size")] == [("m2", "error")]


def test_a_member_of_a_host_that_is_to_have_none_is_a_stray():
    made = cluster(**OWN_ETCD)
    for read in made.read.values():
        read["etcd"] and read["etcd"]["members"].append({**read["etcd"]["members"][0], **member("m1")})
    assert len(told(made.judge()[0], "etcd-stray")) == 1


def test_a_host_without_an_address_is_no_node_without_one():
    made = cluster()
    made.fact["hosts"]["w1"].update(node_name="guessed", address="")
    made.node("w1", internal_ip="")
    assert {"node-missing", "node-stray"} <= set(ids(made.judge()[0]))


def test_the_verdict_names_the_first_cause_and_what_is_left():
    made = cluster(masters=("m1", "m2", "m3", "m4", "m5"))
    made.stop_etcd("m2")
    assert made.judge()[1].reason.startswith("etcd has lost 1 of 5 voters and survives 1 more: m2: etcd member m2")
    made = cluster()
    made.lose("w1")
    made.node("w1", ready=False)
    assert made.judge()[1].reason == "it serves, but not everything is there: w1: the host was not observed, and 1 more"


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (on("m2", "balancer", held_on=["eth0"]), "the endpoint address is held by m1, m2"),
        (nobody_holds, "nobody was seen to hold the endpoint address"),
    ],
)
def test_whom_an_address_does_not_reach_is_named_after_who_has_it(cause, said):
    """Seen with two holders: one of the masters met the other one's balancer in the moment in which its MAC changed."""
    made = cluster()
    on("m3", "endpoint", ready=False)(made)
    cause(made)
    assert made.judge()[1].reason.startswith(f"it serves, but not everything is there: {said}")


# The verdict against brute force


def majority(voters, serving):
    """Return whether the serving voters win every vote against the rest, by the definition of a majority."""
    return len(serving) > len(voters) - len(serving)


def enumerated():
    for count in range(1, 6):
        names = tuple(f"m{number}" for number in range(1, count + 1))
        for size in range(count + 1):
            for serving in itertools.combinations(names, size):
                yield names, serving


@pytest.mark.parametrize("names,serving", list(enumerated()), ids=lambda names: "".join(n[1] for n in names) or "none")
def test_the_verdict_on_etcd_is_that_of_brute_force(names, serving):
    made = cluster(masters=names, workers=("w1",), even_voters=True)
    for name in set(names) - set(serving):
        made.stop_etcd(name)
    _findings, verdict = made.judge()
    if not majority(names, serving):
        assert verdict.status == DOWN
        return
    assert verdict.status == (HEALTHY if set(serving) == set(names) else DEGRADED)
    edge = any(not majority(names, set(serving) - {lost}) for lost in serving)
    if verdict.status == DEGRADED:
        assert verdict.reason.startswith("one more failure loses quorum") is edge


# Unknown is never healthier than known


BREAKS = [case for case in CASES if case[2] == {}]


@given(
    broken=st.lists(st.sampled_from(range(len(BREAKS))), max_size=2, unique=True),
    lost=st.sets(st.sampled_from(["m1", "m2", "m3", "w1"]), max_size=4),
    blinded=st.sets(st.tuples(st.sampled_from(["m1", "m2", "m3"]), st.sampled_from(["etcd", "api", "endpoint", "balancer"]))),
)
@quickly(max_examples=60, deadline=None)
def test_a_cluster_of_which_anything_is_not_known_is_not_healthy(broken, lost, blinded):
    made = cluster()
    for number in broken:
        # The first fault may have taken away what the second one changes.
        with contextlib.suppress(TypeError, KeyError, AttributeError):
            BREAKS[number][3](made)
    before = made.judge()[1].status
    for name in lost & set(made.read):
        made.lose(name)
    hidden = bool(lost)
    for name, part in blinded:
        if name in made.read:
            made.read[name][part] = None
            hidden = True
    after = made.judge()[1].status
    assert (after == before) if not hidden else (after != HEALTHY)


@given(
    stopped=st.sets(st.sampled_from(["m1", "m2", "m3", "m4", "m5"])),
    hidden=st.sets(st.sampled_from(["m1", "m2", "m3", "m4", "m5"])),
)
@quickly(max_examples=60, deadline=None)
def test_hiding_members_never_makes_the_verdict_better(stopped, hidden):
    made = cluster(masters=("m1", "m2", "m3", "m4", "m5"))
    for name in stopped:
        made.stop_etcd(name)
    before = made.judge()[1].status
    for name in hidden:
        made.stop_etcd(name)
        made.lose(name)
    assert _health.VERDICTS.index(made.judge()[1].status) >= _health.VERDICTS.index(before)


@pytest.mark.parametrize("part", ["etcd", "api", "endpoint", "balancer"])
def test_a_part_that_nobody_could_read_is_not_healthy(part):
    made = cluster()
    for name in ("m1", "m2", "m3", "w1"):
        made.read[name][part] = None
    assert made.judge()[1].status != HEALTHY
