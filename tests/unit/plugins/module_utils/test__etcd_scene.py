# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _bootstrap, _etcd_scene, _quorum
from cluster_fixtures import NUMBERS, address, fresh, host, living, member, status

NAMES = ("m1", "m2", "m3")
HOSTS = tuple(host(name) for name in NAMES)
URLS = {name: f"https://{address(name)}:2380" for name in NUMBERS}
SILENT = {"ok": False, "error": "no answer in time"}
UNASKED = {**SILENT, "asked": False}


def observed(members, **statuses):
    """Return what is observed of these members; `statuses` change what one answers, None is no answer."""
    seen = {f"m{one['id'][1]}": living(f"m{one['id'][1]}", members) for one in members}
    for name, said in statuses.items():
        seen[name]["etcd"]["status"] = said and {**seen[name]["etcd"]["status"], **said}
    return seen


def three(**statuses):
    return observed([member(name) for name in NAMES], **statuses)


def told(cluster):
    """Return {name: (healthy, raft index)} of the members."""
    return {one.name: (one.healthy, one.raft_index) for one in cluster.members}


@pytest.mark.parametrize(
    ("seen", "names"),
    [
        (three(), "m1 m2 m3"),
        (three(m1=SILENT), "m2 m3"),
        (three(m2=None), "m1 m3"),
        ({"m2": three()["m2"], "m3": None}, "m2"),
        ({"m1": fresh("m1"), "m2": {}}, ""),
        # not healthy, and yet it tells
        (three(m1={"healthy": False}), "m1 m2 m3"),
    ],
)
def test_who_answered_is_heard_in_the_order_of_the_hosts(seen, names):
    for hosts, order in ((HOSTS, names.split()), (HOSTS[::-1], names.split()[::-1])):
        assert [one["member_id"] for one in _etcd_scene.answers(hosts, seen)] == [str(NUMBERS[name]) for name in order]


@pytest.mark.parametrize(
    ("status", "unit", "unasked"),
    [
        (UNASKED, "active", True),
        (UNASKED, "activating", True),
        (UNASKED, "unknown", True),
        (UNASKED, "failed", False),
        (UNASKED, "inactive", False),
        (UNASKED, "not-found", False),
        (SILENT, "active", False),
        ({"ok": False, "healthy": False}, "active", False),  # of a fact cache, from before it was told
        ({}, "active", False),
        (None, "active", False),
    ],
)
def test_a_member_may_serve_where_it_could_not_be_asked_and_its_unit_may_run(status, unit, unasked):
    seen = three(m1=status)["m1"]
    seen["etcd"]["unit"] = unit
    assert _etcd_scene.unasked(seen) is unasked


@pytest.mark.parametrize(
    ("status", "unit", "paths", "stale"),
    [
        (UNASKED, "active", ["/etc/etcd/pki/server.crt"], True),
        (UNASKED, "active", [], False),  # certificates are well, so it is something else
        (UNASKED, "failed", ["/etc/etcd/pki/server.crt"], False),
        (SILENT, "active", ["/etc/etcd/pki/server.crt"], False),
        (UNASKED, "active", None, False),  # of a fact cache, from before it was told
    ],
)
def test_a_member_is_heard_of_later_where_its_certificates_have_expired(status, unit, paths, stale):
    seen = three(m1=status)["m1"]
    seen["etcd"].update({"unit": unit, **({} if paths is None else {"stale": paths})})
    assert _etcd_scene.state(HOSTS[0], seen).stale is stale


@pytest.mark.parametrize("seen", [None, {}, fresh("m1")])
def test_a_host_that_was_not_reached_or_is_bare_has_no_member_that_may_serve(seen):
    assert not _etcd_scene.unasked(seen)


def test_who_is_to_have_no_member_is_not_heard():
    assert len(_etcd_scene.answers((host("m1", member=False), *HOSTS[1:]), three())) == 2


def test_without_any_answer_nothing_is_known_but_who_is_ours():
    ours = frozenset(URLS[name] for name in NAMES)
    for seen in ({}, {"m1": None}, {"m1": fresh("m1")}, three(m1=SILENT, m2=None, m3=SILENT)):
        assert _etcd_scene.cluster((*HOSTS, host("w1")), seen) == _quorum.Cluster(ours=ours)


@pytest.mark.parametrize(
    ("change", "of_m2"),
    [({"raft_index": 890}, (True, 890)), ({"healthy": False}, (False, 900)), (SILENT, (None, 0)), (None, (None, 0))],
)
def test_each_member_is_as_healthy_as_it_says_itself_and_unknown_when_it_does_not(change, of_m2):
    cluster = _etcd_scene.cluster(HOSTS, three(m2=change))
    assert told(cluster) == {"m1": (True, 900), "m2": of_m2, "m3": (True, 900)}
    assert (cluster.leader.name, cluster.cluster_ids, cluster.alarms, cluster.strays) == ("m1", ("77",), (), ())


@pytest.mark.parametrize("cut_off", NAMES)
@pytest.mark.parametrize("index", [100, 900, 950])
def test_a_member_that_was_cut_off_is_not_believed_however_far_its_own_log_goes(cut_off, index):
    old = {"healthy": False, "raft_index": index, "leader_id": "", "members": [member(cut_off), member("m4")]}
    cluster = _etcd_scene.cluster(HOSTS, three(**{cut_off: old}))
    assert told(cluster) == {name: (False, index) if name == cut_off else (True, 900) for name in NAMES}
    assert cluster.leader.name == "m1"


def test_of_members_without_quorum_the_one_with_the_longest_log_is_believed():
    short = {"healthy": False, "members": [member("m2")]}
    seen = three(m1={**short, "raft_index": 700}, m2={**short, "raft_index": 750}, m3={"healthy": False, "raft_index": 800})
    assert list(told(_etcd_scene.cluster(HOSTS, seen))) == list(NAMES)


@pytest.mark.parametrize(
    ("of_m1", "of_m2"),
    [
        ({"raft_index": 800}, {"raft_index": 900}),
        ({"raft_term": 3, "raft_index": 950}, {"raft_term": 4, "raft_index": 900}),
        ({"healthy": False, "raft_term": 9, "raft_index": 950}, {"raft_term": 3, "raft_index": 900}),
        ({"healthy": False, "raft_term": 3, "raft_index": 950}, {"healthy": False, "raft_term": 4, "raft_index": 900}),
        ({"members": [], "raft_term": 9}, {"healthy": False, "raft_term": 3}),
    ],
    ids=["further", "a newer term, not as far", "it serves", "neither serves", "who lists the members"],
)
def test_which_member_is_ahead(of_m1, of_m2):
    behind, ahead = ({**status(name, [member("m1"), member("m2")]), **of} for name, of in (("m1", of_m1), ("m2", of_m2)))
    assert _etcd_scene.newest([behind, ahead]) is _etcd_scene.newest([ahead, behind]) is ahead
    assert _etcd_scene.newest([]) is None


def test_a_learner_tells_no_members_so_a_voter_is_believed_though_it_is_behind():
    pair = [member("m1"), member("m2", learner=True)]
    cluster = _etcd_scene.cluster(HOSTS[:2], observed(pair, m1={"healthy": False, "raft_index": 850}))
    assert told(cluster) == {"m1": (False, 850), "m2": (True, 900)}
    assert [one.name for one in cluster.learners] == ["m2"]
    alone = _etcd_scene.cluster(HOSTS[:2], observed(pair, m1=None))
    assert (alone.members, alone.cluster_ids) == ((), ("77",))


def test_members_that_never_started_or_have_no_host_are_told_with_their_urls():
    members = [member("m1"), member("m2", learner=True, started=False), member("m4")]
    cluster = _etcd_scene.cluster(HOSTS, {"m1": living("m1", members)})
    assert [(one.name, one.healthy, one.peer_urls, one.client_urls) for one in cluster.members] == [
        ("m1", True, (URLS["m1"],), (URLS["m1"].replace("2380", "2379"),)),
        ("", None, (URLS["m2"],), ()),
        ("m4", None, (URLS["m4"],), (URLS["m4"].replace("2380", "2379"),)),
    ]
    assert [one.name for one in cluster.strays] == ["m4"]


def test_an_alarm_that_one_member_tells_and_a_second_cluster_are_seen_once_each():
    alarm = {"member_id": "12", "alarm": "NOSPACE"}
    seen = three(m2={"alarms": [alarm]}, m3={"alarms": [{**alarm, "member_id": "11"}, alarm], "cluster_id": "66"})
    cluster = _etcd_scene.cluster(HOSTS, seen)
    assert cluster.alarms == (("11", "NOSPACE"), ("12", "NOSPACE"))
    assert cluster.cluster_ids == ("66", "77")


def test_api_servers_that_run_are_told_by_their_host_with_the_etcd_they_use():
    seen = {**three(), "m4": living("m4", [member("m1")]), "e1": living("e1", [member("e1")]), "m5": None}
    seen["m2"]["api_server"] = None
    hosts = (*HOSTS, host("m4"), host("m5"), host("e1"), host("w1"))
    own = {name: (f"https://{address(name)}:2379",) for name in NAMES}
    assert _etcd_scene.api_servers(hosts, seen) == (("m1", own["m1"]), ("m3", own["m3"]), ("m4", own["m1"]))


@pytest.mark.parametrize(
    ("observation", "reachable", "data", "answers"),
    [
        (None, False, None, False),
        (fresh("m1"), True, False, False),
        (three(m1=None)["m1"], True, True, False),
        (three(m1=SILENT)["m1"], True, True, False),
        (three()["m1"], True, True, True),
    ],
)
def test_a_host_that_was_not_reached_may_have_data(observation, reachable, data, answers):
    found = _etcd_scene.state(HOSTS[0], observation)
    assert (found.name, found.peer_url, found.record) == ("node-m1", URLS["m1"], None)
    assert (found.reachable, found.data, found.answer is not None) == (reachable, data, answers)


@pytest.mark.parametrize("healthy", [True, False])
def test_a_member_that_answers_proves_the_health_of_nobody_else(healthy):
    answer = _etcd_scene.state(HOSTS[1], three(m2={"healthy": healthy})["m2"]).answer
    assert (answer.cluster_id, answer.leader_id, answer.healthy) == ("77", "11", healthy)
    assert [one.healthy for one in answer.members] == [None, healthy, None]


PLACES = {"m2": URLS["m2"], "m1": URLS["m1"]}
WRITTEN = _bootstrap.Record("7", (("m1", URLS["m1"]), ("m2", URLS["m2"])))


@pytest.mark.parametrize(
    ("data", "record"),
    [
        ({"token": 7, "initial_cluster": PLACES, "cluster": "prod"}, WRITTEN),
        *((data, None) for data in (None, "text", [], {}, {"token": "7"}, {"initial_cluster": PLACES})),
        *(({"token": "7", "initial_cluster": places}, None) for places in (None, "m1", ["m1"])),
    ],
)
def test_a_record_is_one_in_any_order_of_its_hosts_and_else_there_is_none(data, record):
    etcd = {"data": True, "record": data, "unit": "failed", "status": None}
    assert _etcd_scene.state(HOSTS[0], fresh("m1", etcd=etcd)).record == record
