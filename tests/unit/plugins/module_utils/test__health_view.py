# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several readers together prove, and the questions that several checks ask."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _endpoint,
    _etcd,
    _health,
    _health_view,
    _https,
    _kube,
    _quorum,
)
from cluster_fixtures import NUMBERS
from health_fixtures import cluster, told


def test_one_reader_that_sees_a_member_serve_is_enough():
    made = cluster()
    for reader in ("m1", "m3"):
        made.stop_etcd("m2", reader)
    findings, verdict = made.judge()
    assert verdict.status == _health.HEALTHY
    assert told(findings, "etcd-view")[0].found == "etcd member m2 serves, but m1, m3 did not see it"


def readers(made, **changes):
    """Let each reader's answer about etcd differ by these: {host: changes}."""
    for name, values in changes.items():
        made.read[name]["etcd"].update(values)


# What all readers together prove of etcd


def test_without_an_answer_only_who_is_to_be_a_member_is_known():
    made = cluster()
    for name in ("m1", "m2", "m3"):
        made.read[name]["etcd"].update(members=[], error="cannot read x.crt")
    seen = made.view()
    assert seen.answers == ()
    assert seen.etcd == _quorum.Cluster(ours=frozenset(f"https://192.0.2.1{number}:2380" for number in (1, 2, 3)))
    assert seen.survival == _quorum.Survival(0, 0)


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ({"confirmed": True}, {"confirmed": False, "raft_term": 9}),
        ({"raft_term": 4, "raft_index": 1}, {"raft_term": 3, "raft_index": 900}),
        ({"raft_term": 3, "raft_index": 901}, {"raft_term": 3, "raft_index": 900}),
        ({"leader_id": "12"}, {"leader_id": ""}),
    ],
    ids=["what a quorum confirms", "the later term", "the later index", "who knows a leader"],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_whose_list_of_members_counts(newer, older, swapped):
    made = cluster(masters=("m1", "m2"), even_voters=True)
    for name, values in zip(("m2", "m1") if swapped else ("m1", "m2"), (newer, older)):
        answer = made.read[name]["etcd"]
        for one in answer["members"]:
            one.update({key: value for key, value in values.items() if key.startswith("raft")})
        answer.update({key: value for key, value in values.items() if not key.startswith("raft")})
        answer["members"] = answer["members"] if values is newer else answer["members"][:1]
    assert [member.name for member in made.view().etcd.members] == ["m1", "m2"]
    if "leader_id" in newer:
        assert made.view().etcd.leader_id == newer["leader_id"]


def test_of_clusters_and_alarms_all_count_that_anybody_saw_each_once():
    made = cluster()
    alarm, other = ({"member_id": "12", "alarm": kind} for kind in ("NOSPACE", "CORRUPT"))
    readers(made, m1={"alarms": [alarm], "cluster_ids": ["9", "77"]}, m2={"alarms": [alarm, other]}, m3={"cluster_ids": []})
    etcd = made.view().etcd
    assert etcd.alarms == (("12", "CORRUPT"), ("12", "NOSPACE"))
    assert etcd.cluster_ids == ("77", "9")


def test_a_member_that_nobody_saw_serve_is_not_healthy_and_one_that_the_best_list_lacks_is_none():
    made = cluster()
    made.member("m2", healthy=False)
    readers(made, m3={"confirmed": False})
    for name in ("m1", "m2"):
        made.read[name]["etcd"]["members"].pop()
    etcd = made.view().etcd
    assert [(member.name, member.healthy) for member in etcd.members] == [("m1", True), ("m2", False)]
    assert made.view().survival == _quorum.Survival(2, 1)


# The questions


def test_what_was_not_read_counts_as_absent():
    made = cluster()
    made.observed["w1"] = None
    made.read["m3"] = None
    made.read["m2"]["balancer"] = None
    seen = made.view()
    assert "w1" not in seen.observed and "m3" not in seen.read
    assert list(seen.part("balancer")) == ["m1"]
    assert list(seen.part("api")) == ["m1", "m2"]
    assert [name for name, _answer in seen.answers] == ["m1", "m2"]
    assert seen.part("nothing of the kind") == {}


def test_a_view_needs_no_certificates_and_no_reasons():
    made = cluster()
    seen = _health_view.view(made.fact, made.observed, made.read)
    assert (seen.certificates, seen.reasons, seen.own_eviction) == ((), {}, frozenset())
    seen = _health_view.view(made.fact, made.observed, made.read, [1], {"w1": "why"}, ["w1"])
    assert (seen.certificates, seen.reasons, seen.own_eviction) == ((1,), {"w1": "why"}, frozenset({"w1"}))


@pytest.mark.parametrize(
    ("member", "host", "place"),
    [
        ({"name": "m2"}, "m2", "m2"),
        ({"peer_urls": ("https://192.0.2.13:2380", "https://192.0.2.99:2380")}, "m3", "m3"),
        ({"name": "w1"}, "", "w1"),
        ({"name": "x9", "peer_urls": ("https://192.0.2.99:2380",)}, "", "x9"),
        ({"peer_urls": ("https://192.0.2.99:2380",)}, "", "the unnamed member 7 (https://192.0.2.99:2380)"),
    ],
    ids=["by its name", "by one of its URLs", "a host that is no etcd host", "nobody's", "nobody's and never started"],
)
def test_whose_a_member_is(member, host, place):
    seen, member = cluster().view(), _quorum.Member("7", **member)
    assert (seen.host_of(member), seen.place_of(member)) == (host, place)


def test_the_member_of_a_host():
    seen = cluster().view()
    assert seen.member_of("m2").id == str(NUMBERS["m2"])
    assert seen.member_of("w1") is None


@pytest.mark.parametrize(
    ("units", "said"),
    [
        ({"etcd": "failed"}, "; the unit etcd is failed"),
        ({"etcd": "active"}, ""),
        ({}, ""),
        (None, ""),
    ],
)
def test_a_unit_is_told_of_only_where_it_is_known_not_to_run(units, said):
    made = cluster()
    if units is None:
        made.lose("m1")
    else:
        made.observed["m1"]["units"] = units
    assert made.view().unit("m1", "etcd") == said


@pytest.mark.parametrize(
    ("made", "mode"),
    [
        ({}, _endpoint.BALANCED),
        ({"masters": ("m1",)}, _endpoint.DIRECT),
        ({"endpoint_mode": "external"}, _endpoint.EXTERNAL),
    ],
)
def test_the_endpoint_of_a_view(made, mode):
    seen = cluster(**made).view()
    assert (seen.mode, seen.url) == (mode, "https://192.0.2.10:6443")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (str(_etcd.EtcdUnreachable("/v3/kv/range", "https://m1:2379", "connection refused")), "connection refused"),
        (str(_kube.KubeError("GET /readyz?verbose", "https://m1:6443", "two\nlines: all of it")), "two\nlines: all of it"),
        (str(_https.TransportError("https://m1:6443", "timed out")), "https://m1:6443: timed out"),
        ("no client's words: kept", "no client's words: kept"),
        ("", ""),
    ],
)
def test_the_cause_is_what_stands_behind_where_and_what_was_asked(text, why):
    assert _health_view.cause(text) == why
