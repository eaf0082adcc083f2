# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Found, finish, join or refuse: named cases, and every combination of what three hosts can show."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils._bootstrap import (
    BOOTSTRAP,
    JOIN,
    NONE,
    REFUSE,
    RENEW,
    RESUME,
    Answer,
    HostState,
    Record,
    decide,
    token,
)
from ansible_collections.multimaster.kubernetes.plugins.module_utils._quorum import LOST_QUORUM_RUNBOOK, Member


def peer(name):
    return f"https://{name}:2380"


def record(names="m1 m2 m3", text="prod-abc"):
    return Record(text, tuple((name, peer(name)) for name in names.split()))


def members(names):
    """Return members; `m2?` is one of the founding that never published itself."""
    return tuple(
        Member(
            f"id-{name.rstrip('?')}",
            name.rstrip("?"),
            healthy=not name.endswith("?"),
            peer_urls=(peer(name.rstrip("?")),),
            client_urls=() if name.endswith("?") else (f"https://{name}:2379",),
        )
        for name in names.split()
    )


def serving(names, cluster="c1"):
    return Answer(cluster, "id-m1", True, members(names))


def state(name, what, of="m1 m2 m3"):
    """Return a host that shows one of these things."""
    return {
        "empty": HostState(name, peer(name), data=False),
        "away": HostState(name, peer(name), reachable=False),
        "unknown": HostState(name, peer(name)),
        "data": HostState(name, peer(name), data=True),
        "recorded": HostState(name, peer(name), data=False, record=record(of)),
        "begun": HostState(name, peer(name), data=True, record=record(of)),
        "other record": HostState(name, peer(name), data=True, record=record(of, "prod-xyz")),
        "waiting": HostState(name, peer(name), data=True, record=record(of), answer=Answer("c1", members=members(of))),
        "leaderless": HostState(name, peer(name), data=True, answer=Answer("c1", members=members(of))),
        "stale": HostState(name, peer(name), data=True, stale=True),
        "serving": HostState(name, peer(name), data=True, answer=serving(of)),
        "serving, recorded": HostState(name, peer(name), data=True, record=record(of), answer=serving(of)),
    }[what]


CASES = {
    # name: (what m1, m2, ... show, action, start, join)
    "a first cluster of one": (["empty"], BOOTSTRAP, "m1", ""),
    "a first cluster of three": (["empty"] * 3, BOOTSTRAP, "m1 m2 m3", ""),
    "a host that cannot be looked at may hold data": (["empty", "empty", "away"], REFUSE, "", ""),
    "a host whose data folder was not read": (["empty", "empty", "unknown"], REFUSE, "", ""),
    "everything at rest": (["serving"] * 3, NONE, "", ""),
    "at rest, one host away": (["serving", "serving", "away"], NONE, "", ""),
    "at rest, one member stopped": (["serving", "serving", "data"], NONE, "", ""),
    "the first server rebuilt joins (k3s-ansible #269)": (["empty", "serving", "serving"], NONE, "", ""),
    "a lost quorum": (["data", "away", "away"], REFUSE, "", ""),
    "a stopped cluster": (["data"] * 3, REFUSE, "", ""),
    "a member that answers without a leader": (["leaderless", "data", "empty"], REFUSE, "", ""),
    "one old member among empty hosts": (["data", "empty", "empty"], REFUSE, "", ""),
    "cut off before anybody started": (["recorded"] * 3, RESUME, "m1 m2 m3", ""),
    "cut off while the records were written": (["recorded", "empty", "empty"], RESUME, "m1 m2 m3", ""),
    "cut off after one started": (["waiting", "recorded", "recorded"], RESUME, "m1 m2 m3", ""),
    "cut off after one started and stopped": (["begun", "recorded", "recorded"], RESUME, "m1 m2 m3", ""),
    "cut off after two served": (["serving, recorded"] * 2 + ["recorded"], RESUME, "m1 m2", ""),
    "cut off before the records went away": (["serving, recorded"] * 3, RESUME, "m1 m2 m3", ""),
    "cut off while the records went away": (["serving", "serving, recorded", "serving"], RESUME, "m2", ""),
    "cut off, one is away": (["begun", "begun", "away"], RESUME, "m1 m2", ""),
    "cut off, two are away": (["begun", "away", "away"], REFUSE, "", ""),
    "certificates that expired everywhere": (["stale"] * 3, RENEW, "", ""),
    "certificates that expired on old members beside a new one": (["stale", "stale", "leaderless"], RENEW, "", ""),
    "expired certificates beside a host that is away": (["stale", "data", "away"], RENEW, "", ""),
    "expired certificates beside an empty host": (["stale", "empty", "empty"], RENEW, "", ""),
    "expired certificates on one of a cluster that serves": (["stale", "serving", "serving"], NONE, "", ""),
    "two foundings": (["begun", "other record", "recorded"], REFUSE, "", ""),
    "a founding beside a former member": (["begun", "data", "recorded"], REFUSE, "", ""),
}


def decided(shown, of="m1 m2 m3", nonce="n1", first=None):
    hosts = [state(f"m{n}", what, of) for n, what in enumerate(shown, 1)]
    return decide(hosts, first or tuple(host.name for host in hosts), "prod", nonce)


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    shown, action, start, join = CASES[name]
    decision = decided(shown, of=" ".join(f"m{n}" for n in range(1, len(shown) + 1)))
    assert (decision.action, decision.start, decision.join) == (action, tuple(start.split()), tuple(join.split()))
    assert decision.reason
    assert bool(decision.next_step) is (action in (REFUSE, RENEW))


@pytest.mark.parametrize("name", CASES)
def test_the_order_of_the_inventory_means_nothing(name):
    shown = CASES[name][0]
    hosts = [state(f"m{n}", what) for n, what in enumerate(shown, 1)]
    first = tuple(host.name for host in hosts)
    assert decide(hosts, first, "prod", "n") == decide(hosts[::-1], first[::-1], "prod", "n")


def test_hosts_outside_a_serving_cluster_join():
    decision = decided(["serving", "serving", "serving", "empty", "away", "data", "recorded"])
    assert (decision.action, decision.join) == (JOIN, ("m4", "m7"))
    assert "m4, m7 may join" in decision.reason


def test_a_member_is_known_by_its_peer_url_or_its_name():
    answer = serving("m1 m2 m3")
    renamed = HostState("new-m2", peer("m2"), data=False)
    moved = HostState("m3", peer("new-m3"), data=False)
    first = HostState("m1", peer("m1"), data=True, answer=answer)
    assert decide([first, renamed, moved], ("m1",), "prod").action == NONE


def test_a_founding_is_finished_before_others_join():
    decision = decided(["serving, recorded", "serving, recorded", "serving, recorded", "empty"])
    assert (decision.action, decision.start, decision.join) == (RESUME, ("m1", "m2", "m3"), ("m4",))
    assert decision.reason.endswith("; then m4 may join")
    assert decided(["serving, recorded"]).reason.endswith("cut off on m1")


def test_one_of_the_founding_that_never_started_is_started_from_the_record():
    of = "m1 m2 m3?"
    hosts = [HostState(n, peer(n), data=True, record=record(), answer=serving(of)) for n in ("m1", "m2")]
    decision = decide([*hosts, state("m3", "recorded")], ("m1", "m2", "m3"), "prod")
    assert (decision.action, decision.start) == (RESUME, ("m1", "m2", "m3"))


def test_one_that_published_itself_and_has_no_data_has_lost_its_disk():
    decision = decided(["serving, recorded", "serving, recorded", "recorded"])
    assert decision.start == ("m1", "m2")


def test_a_resumed_founding_uses_its_records_token_and_hosts():
    decision = decided(["begun", "recorded", "empty", "empty", "empty"], nonce="another")
    assert (decision.action, decision.start) == (RESUME, ("m1", "m2", "m3"))
    assert (decision.token, decision.initial_cluster) == (record().token, record().initial_cluster)


def test_a_founding_with_a_host_that_is_listed_no_more_is_refused():
    decision = decided(["begun", "recorded"])
    assert decision.action == REFUSE
    assert "m3" in decision.reason
    assert decided(["recorded", "recorded"]).action == REFUSE, "m3 may have started"


def test_addresses_corrected_before_anybody_started_make_a_new_founding():
    hosts = [HostState(n, f"https://new-{n}:2380", data=False, record=record("m1 m2")) for n in ("m1", "m2")]
    decision = decide(hosts, ("m1",), "prod")
    assert (decision.action, decision.initial_cluster) == (BOOTSTRAP, (("m1", "https://new-m1:2380"),))
    away = HostState("m2", hosts[1].peer_url, reachable=False)
    assert decide([hosts[0], away], ("m1",), "prod").action == REFUSE
    begun = [HostState("m1", hosts[0].peer_url, data=True, record=record("m1 m2")), hosts[1]]
    assert decide(begun, ("m1",), "prod").action == REFUSE


def test_a_lost_quorum_names_the_hosts_and_the_runbook():
    decision = decided(["data", "empty", "data"])
    assert "m1, m3" in decision.reason
    assert LOST_QUORUM_RUNBOOK in decision.next_step
    assert decision.reasons == (decision.reason,)


def test_two_clusters_are_refused():
    hosts = [HostState("m1", peer("m1"), data=True, answer=serving("m1")), state("m2", "empty")]
    hosts.append(HostState("m3", peer("m3"), data=True, answer=serving("m3", "c2")))
    decision = decide(hosts, ("m1",), "prod")
    assert decision.action == REFUSE
    assert "m1: c1, m3: c2" in decision.reason


@pytest.mark.parametrize(("hosts", "first"), [([], ("m1",)), ([state("m1", "empty")], ()), ([], ())])
def test_nobody_listed(hosts, first):
    assert decide(hosts, first, "prod").action == REFUSE


def test_only_the_first_voters_found_the_cluster():
    decision = decided(["empty"] * 4, first=("m3", "m1", "m2"))
    assert decision.start == ("m1", "m2", "m3")
    assert [name for name, _url in decision.initial_cluster] == ["m1", "m2", "m3"]


def test_a_token_is_the_same_for_the_same_founding_only():
    one = token("prod", (("m1", "u1"), ("m2", "u2")), "n")
    assert one == token("prod", (("m2", "u2"), ("m1", "u1")), "n")
    assert one.startswith("prod-")
    others = {
        token("test", (("m1", "u1"),), "n"),
        token("prod", (("m1", "u1"),), "n"),
        token("prod", (("m1", "u1"),), "x"),
    }
    assert len({one, *others}) == 4


SHOWN = (
    "empty",
    "away",
    "unknown",
    "data",
    "recorded",
    "begun",
    "waiting",
    "leaderless",
    "serving",
    "other record",
    "serving, recorded",
)


@pytest.mark.parametrize("first", SHOWN)
def test_every_combination_of_three_hosts_keeps_the_promises(first):
    """No second cluster; a founding that was cut off is finished from its own record."""
    for shown in ((first, *rest) for rest in itertools.product(SHOWN, repeat=2)):
        decision = decided(shown)
        served = any(what.startswith("serving") for what in shown)
        untouched = {"empty", "recorded"}
        if decision.action == BOOTSTRAP:
            assert set(shown) == {"empty"}
        if decision.action == RESUME:
            assert decision.token == record().token or (decision.token == "prod-xyz" and "other record" in shown)
            assert decision.initial_cluster == record().initial_cluster
            if not served:
                assert set(shown) <= {"empty", "recorded", "begun", "waiting", "away", "other record"}
                assert not {"other record", "begun"} <= set(shown)
        for name in decision.start:
            what = shown[int(name[1:]) - 1]
            assert what in {*untouched, "begun", "waiting", "other record", "serving, recorded"}, "must never be started"
        for name in decision.join:
            assert served
            assert shown[int(name[1:]) - 1] in untouched, "its data would be lost"
        if decision.action in (NONE, JOIN):
            assert served
        if decision.action == REFUSE:
            assert decision.reasons
            assert decision.next_step
            assert (decision.start, decision.join, decision.token) == ((), (), "")


@pytest.mark.parametrize("shown", ["empty", "data", "recorded", "begun", "away"])
def test_a_cluster_elsewhere_changes_nothing_but_the_founding_of_a_second_one(shown):
    hosts = [state(name, shown) for name in ("m1", "m2", "m3")]
    alone = decide(hosts, ("m1", "m2", "m3"), "prod")
    beside = decide(hosts, ("m1", "m2", "m3"), "prod", elsewhere=("the API server of m4 uses the etcd at https://e1:2379",))
    if alone.action == BOOTSTRAP:
        assert (beside.action, beside.start) == (REFUSE, ())
        assert "the API server of m4" in beside.reason
        assert LOST_QUORUM_RUNBOOK in beside.next_step
    else:
        assert beside == alone
