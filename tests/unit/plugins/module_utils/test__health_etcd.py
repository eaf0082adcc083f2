# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of etcd: what each says, and where it says nothing."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _health, _health_etcd
from cluster_fixtures import NUMBERS
from health_fixtures import MIB, cluster, told

TWO = {"masters": ("m1", "m2"), "even_voters": True}
FOUR = {"masters": ("m1", "m2", "m3", "m4"), "even_voters": True}


def test_a_downgrade_that_is_left_says_to_what_and_from_what():
    made = cluster()
    for _reader, one in made.members():
        one.update(version="3.6.16" if one["name"] == "m1" else "3.7.3", downgrade="3.6.0" if one["name"] != "m1" else "")
    (found,) = told(made.judge()[0], "etcd-downgrade")
    assert "etcd to 3.6.0 is enabled, and its members run 3.6.16 and 3.7.3" in found.found
    assert "upgrade.yml" in found.fix and "downgrade cancel" in found.fix


def test_a_standby_learner_is_no_finding_and_a_dead_one_is():
    made = cluster(masters=("m1", "m2"), learners=("m2",))
    assert told(made.judge()[0], "etcd-learner") == []
    made.stop_etcd("m2")
    assert made.judge()[1].status == _health.DEGRADED


# Quorum, one cluster, a leader


def test_without_a_member_to_ask_there_is_no_quorum_and_no_number_to_wish_for():
    made = cluster()
    for name in ("m1", "m2", "m3"):
        made.lose(name)
    (one,) = _health_etcd.etcd_quorum(made.view())
    assert (one.found, one.wanted) == ("etcd: no member could be asked", "a quorum of healthy voters")
    assert one.fix.startswith("Start etcd on its hosts (journalctl -u etcd says why it stopped); if their disks are lost: docs/")
    assert list(_health_etcd.etcd_led(made.view())) == [], "what is missing is said once"
    for check in (_health_etcd.etcd_complete, _health_etcd.etcd_odd, _health_etcd.etcd_redundant):
        assert made.found(check) == []


def test_a_quorum_less_names_only_those_to_start_that_do_not_run():
    made = cluster()
    made.stop_etcd("m2")
    made.member("m3", healthy=False)
    (one,) = _health_etcd.etcd_quorum(made.view())
    assert (one.found, one.wanted) == ("etcd: 1 of 3 voters healthy, quorum 2, has no quorum", "2 healthy voters")
    assert one.fix.startswith("Start etcd on m2 (")
    made.member("m2", version="3.6.16")
    assert next(_health_etcd.etcd_quorum(made.view())).fix.startswith("Start etcd on its hosts ("), "all run and wait"


def test_two_clusters_are_counted_and_named():
    made = cluster()
    made.read["m3"]["etcd"]["cluster_ids"] = ["88", "77"]
    assert made.found(_health_etcd.etcd_one) == [("", "error", "etcd's members answer for 2 clusters (77, 88)")]


@pytest.mark.parametrize("leader", ["", "99", str(NUMBERS["m2"])], ids=["nobody", "a stranger", "a learner"])
def test_only_a_voter_leads(leader):
    made = cluster(masters=("m1", "m2"), learners=("m2",))
    for name in ("m1", "m2"):
        made.read[name]["etcd"]["leader_id"] = leader
    assert made.found(_health_etcd.etcd_led) == [("", "error", "etcd has no leader, or one that is no voter")]


def test_nobody_misses_a_leader_where_no_quorum_is():
    made = cluster()
    for name in ("m2", "m3"):
        made.stop_etcd(name)
    for name in ("m1", "m2", "m3"):
        made.read[name]["etcd"]["leader_id"] = ""
    assert made.found(_health_etcd.etcd_led) == []


@pytest.mark.parametrize(
    ("member", "where", "named"),
    [
        (str(NUMBERS["m2"]), "m2", "m2"),
        ("4711", "", "1267"),
    ],
    ids=["of a host", "of nobody known"],
)
def test_an_alarm_is_said_of_whoever_raised_it(member, where, named):
    made = cluster()
    made.read["m1"]["etcd"]["alarms"] = [{"member_id": member, "alarm": "CORRUPT"}]
    assert made.found(_health_etcd.etcd_alarms) == [(where, "error", f"etcd has raised CORRUPT on {named}: no write is taken")]


def test_the_alarm_of_a_member_that_the_inventory_does_not_know_is_said_by_etcds_name_and_of_no_host():
    made = cluster()
    made.member("m3", name="x9", peer_urls=["https://192.0.2.99:2380"])
    made.read["m1"]["etcd"]["alarms"] = [{"member_id": str(NUMBERS["m3"]), "alarm": "NOSPACE"}]
    assert made.found(_health_etcd.etcd_alarms) == [("", "error", "etcd has raised NOSPACE on x9: no write is taken")]


# Members


def test_a_member_that_nobody_could_ask_is_said_so():
    made = cluster()
    for read in made.read.values():
        if read["etcd"]:
            read["etcd"]["errors"] = ["https://elsewhere:2379: etcd at x, asked for /status: not this one"]
    made.member("m2", healthy=False)
    assert made.found(_health_etcd.etcd_members) == [("m2", "error", "etcd member m2 is not healthy: nobody could ask it")]
    made.member("m2", client_urls=[])
    assert made.found(_health_etcd.etcd_members)[0][2].endswith("nobody could ask it"), "not the first error of whoever"


def test_a_learner_that_never_started_is_no_member_to_serve_and_a_voter_that_never_did_is():
    made = cluster()
    made.member("m3", healthy=False, name="", client_urls=[], is_learner=True)
    assert made.found(_health_etcd.etcd_members) == []
    for _reader, one in made.members():
        one["is_learner"] = False
    (one,) = _health_etcd.etcd_members(made.view())
    label = f"the unnamed member {NUMBERS['m3']:x} (https://192.0.2.13:2380)"
    assert (one.host, one.found) == ("m3", f"etcd member {label} is not healthy: nobody could ask it")
    assert one.fix == "On m3: journalctl -u etcd -n 50; systemctl start etcd. A lost disk: replace_node.yml -e node=m3."


def test_who_waits_for_a_quorum_is_not_told_to_be_started():
    made = cluster()
    for name in ("m2", "m3"):
        made.stop_etcd(name)
    made.member("m1", healthy=False)
    waiting, *stopped = _health_etcd.etcd_members(made.view())
    assert (waiting.found, waiting.fix) == (
        "etcd member m1 runs and waits for a quorum",
        "It serves again once a quorum of members runs.",
    )
    assert [one.found for one in stopped] == [
        f"etcd member {name} is not healthy: connection refused; the unit etcd is inactive" for name in ("m2", "m3")
    ]


def test_a_host_that_carries_no_member_is_told_unless_none_is_to_be_there():
    made = cluster(masters=("m1", "m2"), etcd=("e1", "e2", "e3"))
    assert made.found(_health_etcd.etcd_complete) == []
    made.member("e3", name="x9", peer_urls=["https://192.0.2.99:2380"])
    assert made.found(_health_etcd.etcd_complete) == [("e3", "error", "the host is no member of etcd")]


@pytest.mark.parametrize(
    ("values", "said"), [({}, 0), ({"name": "", "client_urls": []}, 1)], ids=["it stands by", "it never started"]
)
def test_a_learner_that_is_not_to_vote_is_told_only_when_it_never_started(values, said):
    made = cluster(masters=("m1", "m2"), learners=("m2",))
    made.member("m2", **values)
    assert len(made.found(_health_etcd.etcd_learners)) == said


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"is_learner": True}, ["m3 is still a learner"]),
        (
            {"is_learner": True, "name": "", "client_urls": []},
            [f"the unnamed member {NUMBERS['m3']:x} (https://192.0.2.13:2380) was added and never started"],
        ),
        ({"is_learner": True, "name": "x", "peer_urls": ["https://192.0.2.99:2380"]}, []),
    ],
    ids=["to vote", "never started", "of nobody known"],
)
def test_a_join_that_was_cut_off_is_told(values, said):
    made = cluster()
    made.member("m3", **values)
    assert [one.found for one in _health_etcd.etcd_learners(made.view())] == said


@pytest.mark.parametrize(("learner", "kind"), [(False, "voter"), (True, "learner")])
def test_a_member_that_the_inventory_does_not_know_is_removed_by_its_number_as_etcdctl_takes_it(learner, kind):
    made = cluster()
    made.member("m3", name="x9", peer_urls=["https://192.0.2.99:2380"], is_learner=learner)
    (one,) = _health_etcd.etcd_known(made.view())
    assert (one.host, one.level) == ("", "warning")
    assert one.found == f"etcd has x9 as a {kind}, and the inventory does not know it"
    assert one.fix.endswith(": `e member remove d`."), "13 in hexadecimal"


def test_a_member_at_another_address_than_its_hosts_is_told():
    made = cluster()
    made.member("m2", peer_urls=["https://192.0.2.99:2380"])
    (one,) = _health_etcd.etcd_addressed(made.view())
    assert (one.host, one.level, one.wanted) == ("m2", "warning", "a member that is reached at https://192.0.2.12:2380")
    assert one.found == "the others reach etcd member m2 at https://192.0.2.99:2380, and the host's address is 192.0.2.12"
    made.fact["hosts"]["m2"]["peer_url"] = ""
    assert made.found(_health_etcd.etcd_addressed) == [], "where the host is to be is not known"


@pytest.mark.parametrize(
    "values",
    [
        {"name": "x9", "peer_urls": ["https://192.0.2.99:2380"]},
        {"name": "", "peer_urls": ["https://192.0.2.99:2380"], "client_urls": []},
        {"peer_urls": ["https://192.0.2.12:2380", "https://192.0.2.99:2380"]},
    ],
    ids=["is of nobody known", "never started", "is reached there as well"],
)
def test_no_address_is_wrong_of_a_member_that(values):
    made = cluster()
    made.member("m2", **values)
    assert made.found(_health_etcd.etcd_addressed) == []


# Numbers


@pytest.mark.parametrize(
    ("made", "even", "alone"),
    [
        ({"masters": ("m1",)}, None, "etcd has 1 voter: the loss of one stops the API"),
        (TWO, "etcd has 2 voters, which survive no more than 1 would", "etcd has 2 voters: the loss of one stops the API"),
        ({}, None, None),
        (FOUR, "etcd has 4 voters, which survive no more than 3 would", None),
    ],
    ids=["one", "two", "three", "four"],
)
def test_how_many_voters_are_too_few_or_one_too_many(made, even, alone):
    seen = cluster(**made).view()
    assert [one.found for one in _health_etcd.etcd_odd(seen)] == [even] * bool(even)
    assert [one.found for one in _health_etcd.etcd_redundant(seen)] == [alone] * bool(alone)


def test_that_nothing_more_is_survived_is_told_only_of_an_etcd_that_is_whole():
    made = cluster(**TWO)
    made.stop_etcd("m2")
    assert made.found(_health_etcd.etcd_redundant) == []


@pytest.mark.parametrize(
    ("size", "quota", "level"),
    [(799, 1000, ""), (800, 1000, "warning"), (949, 1000, "warning"), (950, 1000, "error"), (1000, 1000, "error"), (9, 0, "")],
)
def test_the_size_of_the_database_at_its_limits(size, quota, level):
    made = cluster()
    made.member("m2", db_size=size * MIB, db_size_quota=quota * MIB)
    said = f"etcd's database takes {size} of {quota} MiB on m2"
    assert made.found(_health_etcd.etcd_small) == ([("m2", level, said)] if level else [])


def test_the_size_is_the_largest_that_a_reader_was_told_and_nothing_of_a_member_that_nobody_saw():
    made = cluster()
    for reader, one in made.members():
        one["db_size"] = 7 * MIB if reader == "m2" else 0
    seen = made.view()
    assert _health_etcd.db_size(seen, str(NUMBERS["m1"])) == (7 * MIB, 8192 * MIB)
    assert _health_etcd.db_size(seen, "99") == (0, 0)


def test_a_downgrade_of_members_that_tell_no_version_is_told_too():
    made = cluster()
    for _reader, one in made.members():
        one.update(version="", downgrade="3.6.0")
    (one,) = _health_etcd.etcd_downgraded(made.view())
    assert "its members run what they do not tell: until" in one.found


# Who sees whom


def test_a_member_that_some_do_not_see_is_told_with_where_to_look():
    made = cluster()
    made.stop_etcd("m2", "m3")
    (one,) = _health_etcd.etcd_seen_by_all(made.view())
    assert (one.host, one.level, one.found) == ("m2", "warning", "etcd member m2 serves, but m3 did not see it")
    assert one.fix == "Look for a filter or a broken network between m3 and https://192.0.2.12:2379."


def test_a_member_that_serves_nobody_is_not_told_to_be_out_of_sight():
    made = cluster()
    made.stop_etcd("m2")
    assert made.found(_health_etcd.etcd_seen_by_all) == []


def test_a_member_that_another_reader_does_not_list_at_all_was_not_seen_by_it():
    made = cluster()
    made.read["m3"]["etcd"]["members"] = made.read["m3"]["etcd"]["members"][:1]
    made.read["m3"]["etcd"]["confirmed"] = False
    assert [one[2] for one in made.found(_health_etcd.etcd_seen_by_all)] == [
        f"etcd member {name} serves, but m3 did not see it" for name in ("m2", "m3")
    ]


def test_one_sign_of_life_to_anybody_is_enough_to_run():
    made = cluster()
    for reader, one in made.members():
        one["version"] = "3.6.16" if (reader, one["name"]) == ("m3", "m2") else ""
    seen = made.view()
    assert {member.name: _health_etcd.runs(seen, member) for member in seen.etcd.members} == {
        "m1": False,
        "m2": True,
        "m3": False,
    }


# Zones


@pytest.mark.parametrize(
    ("zones", "stopped", "said", "fix"),
    [
        ({"m1": "a", "m2": "b", "m3": "c"}, (), None, None),
        ({"m1": "a", "m2": "a", "m3": "c", "w1": "d"}, (), "a", "Spread the masters over the zones."),
        ({"m1": "a", "m2": "a", "m3": "c"}, (), "a", "It takes three voters in three zones."),
        ({"m1": "a", "m2": "a", "m3": "a"}, (), "a", "It takes three voters in three zones."),
        ({"m1": "a", "m2": "b", "m3": "c"}, ("m3",), "a or b", "Bring back the members that are not healthy first."),
        ({"m1": "a", "m2": "b", "m3": "c"}, ("m2", "m3"), None, None),
        ({"m1": "a", "m2": "a"}, (), None, None),
        ({}, (), None, None),
    ],
    ids=["spread", "could be spread", "two zones", "one zone", "one is down", "no quorum", "a zone not known", "no zones"],
)
def test_zones_whose_loss_is_not_survived(zones, stopped, said, fix):
    made = cluster(zones=zones)
    for name in stopped:
        made.stop_etcd(name)
    findings = list(_health_etcd.zones_survivable(made.view()))
    assert [(one.found, one.fix) for one in findings] == ([(f"the loss of zone {said} takes etcd's quorum", fix)] if said else [])


def test_with_etcd_on_hosts_of_its_own_these_are_to_be_more_and_to_be_spread():
    zones = {"m1": "b", "e1": "a", "e2": "a", "e3": "c"}
    made = cluster(masters=("m1",), etcd=("e1", "e2", "e3"), zones=zones)
    assert [one.fix for one in _health_etcd.zones_survivable(made.view())] == ["Spread the etcd members over the zones."]
    for etcd, said in (((), "masters"), (("e1",), "etcd members")):
        made = cluster(masters=("m1",), etcd=etcd)
        (one,) = _health_etcd.etcd_redundant(made.view())
        assert one.fix == f"With three {said} the cluster survives the loss of any one."


def test_no_loss_of_a_zone_is_judged_while_a_voter_is_of_no_known_host():
    made = cluster(zones={"m1": "a", "m2": "a", "m3": "c"})
    assert _health_etcd.zone_losses(made.view())
    made.member("m3", name="x9", peer_urls=["https://192.0.2.99:2380"])
    assert _health_etcd.zone_losses(made.view()) == ()
