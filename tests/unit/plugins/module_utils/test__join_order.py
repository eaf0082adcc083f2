# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans of joins and leaves: named cases, and a simulation that is cut off anywhere and planned again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils._join_order import (
    REPOINT,
    START,
    Host,
    Roles,
    Wanted,
    etcd_endpoints,
    join_order,
    leave_order,
    obstacles,
    phases,
    preview,
    wanted_roles,
)
from ansible_collections.multimaster.kubernetes.plugins.module_utils._quorum import (
    ADD_LEARNER,
    MAX_LEARNERS,
    PROMOTE,
    REMOVE,
    Cluster,
    Member,
    judge,
)
from hypothesis import given, settings
from hypothesis import strategies as st


def steps_to(observed, wanted):
    """Return the steps of the plan, without what is expected of them."""
    return tuple(planned.step for planned in preview(observed, wanted))


def peer(name):
    return f"https://{name}:2380"


def client(name):
    return f"https://{name}:2379"


def member(text):
    """Return a member of ours: `m1`; a learner `m1~`; dead `m1!`; added and never started `m1?`."""
    name = text.rstrip("~!?")
    return Member(
        f"id-{name}",
        "" if "?" in text else name,
        is_learner="~" in text,
        healthy=None if "?" in text else "!" not in text,
        peer_urls=(peer(name),),
        client_urls=() if "?" in text else (client(name),),
    )


def cluster(text, leader="m1"):
    members = tuple(member(one) for one in text.split())
    return Cluster(members, f"id-{leader}", ("c",), ours=frozenset(url for m in members for url in m.peer_urls))


def hosts(text, observed):
    """Return hosts from `m1`, with zones `m1@a`; a member has data, `m1-` has none, `m1=` a leftover, `m1?` unknown.

    Of `m1*` the member could not be asked.
    """
    known = {url for m in observed.members if m.started for url in m.peer_urls}
    found = []
    for one in text.split():
        name, _at, zone = one.partition("@")
        mark, name = name[name.rstrip("-=?+*") != name and -1 :], name.rstrip("-=?+*")
        data = {"-": False, "=": True, "+": True, "?": None}.get(mark, peer(name) in known)
        found.append(Host(name, zone, peer(name), client(name), data, mark == "=", mark == "*"))
    return tuple(found)


def wanted(text, observed, **more):
    return Wanted(hosts(text, observed), **more)


def said(plan):
    """Return a plan as one line."""
    return "; ".join(f"{kind} {' '.join(targets)}" for kind, targets in phases(plan))


PLANS = {
    # name: (members, hosts, more of Wanted, plan)
    "one master at rest": ("m1", "m1", {}, ""),
    "three masters at rest": ("m1 m2 m3", "m1 m2 m3", {}, ""),
    "inventory order means nothing": ("m1 m2 m3", "m3 m1 m2", {}, ""),
    "1 -> 2: the second stands by": ("m1", "m1 m2", {}, "add_learner m2"),
    "2 at rest: a voter and a learner": ("m1 m2~", "m1 m2", {}, ""),
    "2 at rest when m2 is the voter": ("m2 m1~", "m1 m2", {"leader": "m2"}, ""),
    "1 -> 3: both in sync first, then promoted": ("m1", "m1 m2 m3", {}, "add_learner m2 m3; promote m2 m3"),
    "2 -> 3: the standby and the newcomer": ("m1 m2~", "m1 m2 m3", {}, "add_learner m3; promote m2 m3"),
    "3 -> 4: the fourth stands by": ("m1 m2 m3", "m1 m2 m3 m4", {}, "add_learner m4"),
    "2 -> 4": ("m1 m2~", "m1 m2 m3 m4", {}, "add_learner m3; promote m2 m3; add_learner m4"),
    "4 -> 5": ("m1 m2 m3 m4~", "m1 m2 m3 m4 m5", {}, "add_learner m5; promote m4 m5"),
    "1 -> 5: pair after pair": (
        "m1",
        "m1 m2 m3 m4 m5",
        {},
        "add_learner m2 m3; promote m2 m3; add_learner m4 m5; promote m4 m5",
    ),
    "1 -> 6: two pairs and a standby": (
        "m1",
        "m1 m2 m3 m4 m5 m6",
        {},
        "add_learner m2 m3; promote m2 m3; add_learner m4 m5; promote m4 m5; add_learner m6",
    ),
    "cut off between the promotions of a pair": ("m1 m2 m3~", "m1 m2 m3", {}, "promote m3"),
    "cut off after the first learner": ("m1 m2~", "m1 m2 m3", {}, "add_learner m3; promote m2 m3"),
    "cut off after both learners": ("m1 m2~ m3~", "m1 m2 m3", {}, "promote m2 m3"),
    "even voters, for those who insist: 1 -> 2": ("m1", "m1 m2", {"even_voters": True}, "add_learner m2; promote m2"),
    "even voters, for those who insist: 3 -> 4": (
        "m1 m2 m3",
        "m1 m2 m3 m4",
        {"even_voters": True},
        "add_learner m4; promote m4",
    ),
    "even voters at rest are turned into odd ones": ("m1 m2 m3 m4", "m1 m2 m3 m4", {}, "remove m4; add_learner m4"),
    "two voters at rest become one": ("m1 m2", "m1 m2", {}, "remove m2; add_learner m2"),
    "the leader is not the one to stand by": ("m1 m2", "m1 m2", {"leader": "m2"}, "remove m1; add_learner m1"),
    # leaving
    "3 -> 2: one leaves, one turns standby": (
        "m1 m2 m3",
        "m1 m2",
        {"leaving": ("m3",)},
        "remove m3 m2; add_learner m2",
    ),
    "2 -> 1: the standby leaves": ("m1 m2~", "m1", {"leaving": ("m2",)}, "remove m2"),
    "2 -> 1: the voter leaves": ("m1 m2~", "m2", {"leaving": ("m1",)}, "promote m2; remove m1"),
    "5 -> 3": ("m1 m2 m3 m4 m5", "m1 m2 m3", {"leaving": ("m4", "m5")}, "remove m5 m4"),
    "5 -> 4": ("m1 m2 m3 m4 m5", "m1 m2 m3 m4", {"leaving": ("m5",)}, "remove m5 m4; add_learner m4"),
    "the first master leaves like any other": (
        "m1 m2 m3",
        "m2 m3",
        {"leaving": ("m1",)},
        "remove m1 m3; add_learner m3",
    ),
    "the leader leaves last": ("m1 m2 m3 m4 m5", "m1 m2 m3", {"leaving": ("m4", "m5"), "leader": "m5"}, "remove m4 m5"),
    "the dead leaves first": ("m1 m2 m3 m4! m5", "m1 m2 m3", {"leaving": ("m4", "m5")}, "remove m4 m5"),
    "a replacement votes before a healthy member leaves": (
        "m1 m2 m3",
        "m1 m2 m4",
        {"leaving": ("m3",)},
        "add_learner m4; promote m4; remove m3",
    ),
    "a dead member is removed before its replacement joins": (
        "m1 m2 m3!",
        "m1 m2 m4",
        {"leaving": ("m3",)},
        "remove m3; add_learner m4; promote m4",
    ),
    "a dead member's replacement comes before other newcomers": (
        "m1 m2 m3!",
        "m1@a m2@b m4@c m5@a m6@b",
        {"leaving": ("m3",)},
        "remove m3; add_learner m4; promote m4; add_learner m5 m6; promote m5 m6",
    ),
    "a host replaced under its own name": (
        "m1 m2 m3!",
        "m1 m2 m3-",
        {"leaving": ("id-m3",)},
        "remove m3; add_learner m3; promote m3",
    ),
    "leaving wins over being listed": ("m1 m2 m3", "m1 m2 m3", {"leaving": ("m3",)}, "remove m3 m2; add_learner m2"),
    "who left already": ("m1 m2 m3", "m1 m2 m3", {"leaving": ("m9",)}, ""),
    # half-done
    "a learner that nobody started is started": ("m1 m2?~", "m1 m2-", {}, "start m2"),
    "it is started before another joins": ("m1 m2?~", "m1 m2- m3", {}, "start m2; add_learner m3; promote m2 m3"),
    "a voter that nobody started is started": ("m1 m2 m3?", "m1 m2 m3-", {}, "start m3"),
    "one without data is added anew, so the dead goes first": (
        "m1 m2 m3! m4?~",
        "m1 m2 m4-",
        {"leaving": ("m3",)},
        "remove m3; start m4; promote m4",
    ),
    "and so does one that lost its disk": (
        "m1 m2 m3! m4?~",
        "m1 m2 m3- m4-",
        {},
        "remove m3; start m4; promote m4; add_learner m3",
    ),
    "one with data is started at once": (
        "m1 m2 m3! m4?~",
        "m1 m2 m4+",
        {"leaving": ("m3",)},
        "start m4; remove m3; promote m4",
    ),
    "one that died before it published itself": ("m1 m2?~", "m1 m2+", {}, "start m2"),
    "a half-done member that is to leave is removed": ("m1 m2?~", "m1", {"leaving": ("id-m2",)}, "remove id-m2"),
    "by its peer URL too": ("m1 m2?~", "m1", {"leaving": (peer("m2"),)}, "remove id-m2"),
    "a host that lost its disk is a new member": (
        "m1 m2 m3!",
        "m1 m2 m3-",
        {},
        "remove m3; add_learner m3; promote m3",
    ),
    "with a standby at hand that one votes": (
        "m1 m2 m3! m4~",
        "m1 m2 m3- m4",
        {},
        "remove m3; promote m4; add_learner m3",
    ),
    "a standby that lost its disk": ("m1 m2~!", "m1 m2-", {}, "remove m2; add_learner m2"),
    "a removed member's data do not keep it out": ("m1 m2", "m1 m2 m3=", {}, "add_learner m3; promote m3"),
    "one that is to be replaced, although its host stays": (
        "m1 m2?~",
        "m1 m2+",
        {"leaving": ("id-m2",)},
        "remove id-m2; add_learner m2",
    ),
    # left alone
    "a half-done join on a host that cannot be looked at": ("m1 m2?~", "m1 m2?", {}, ""),
    "a healthy member whose data are not where they are looked for": ("m1 m2 m3", "m1 m2 m3-", {}, ""),
    "learners of somebody else leave no place": ("m1 m2 m3 x~ y~", "m1 m2 m3 m4 m5", {}, ""),
    "not even to stand by": ("m1 m2 m3 x~ y~", "m1 m2 m3 m4", {}, ""),
    "nor to change places": ("m1 m2 m3 x~ y~", "m1@a m2@a m3@b m4@c", {}, ""),
    "no cluster, nothing to join": ("", "m1 m2 m3", {}, ""),
    "an inventory that happens to be short": ("m1 m2 m3", "m1 m2", {}, ""),
    "a shorter one": ("m1 m2 m3", "m1", {}, ""),
    "a dead member that is still listed": ("m1 m2 m3!", "m1 m2 m3", {}, ""),
    "a dead member of which nothing is known": ("m1 m2 m3!", "m1 m2 m3?", {}, ""),
    "a host that cannot be looked at": ("m1", "m1 m2?", {}, ""),
    "a voter too many that cannot be looked at": ("m1 m2 m3 m4!", "m1 m2 m3 m4?", {}, ""),
    "nor when another leaves": ("m1 m2 m3 m4! m5", "m1 m2 m3 m4?", {"leaving": ("m5",)}, "remove m5"),
    "half a pair that cannot be looked at": ("m1", "m1 m2 m3?", {}, "add_learner m2"),
    "the standby is not promoted for it": ("m1 m2~", "m1 m2 m3?", {}, ""),
    "a host with somebody's data": ("m1 m2 m3", "m1 m2 m3 m4+", {}, ""),
    "a stray voter counts, so that voters stay odd": ("m1 m2 x", "m1 m2 m3", {}, "add_learner m3"),
    # zones
    "the zone with the fewest voters first": (
        "m1 m2 m3",
        "m1@a m2@a m3@b m4@a m5@c",
        {},
        "add_learner m5 m4; promote m5 m4",
    ),
    "a standby changes places when a zone's loss hangs on it": (
        "m1 m2 m3",
        "m1@a m2@a m3@b m4@c",
        {},
        "add_learner m4; promote m4; remove m2; add_learner m2",
    ),
    "a standby that stays takes a learner's place, so there are no pairs": (
        "m1 m2 m3 m4~",
        "m1@a m2@a m3@b m4@a m5@b m6@c",
        {},
        "add_learner m6; promote m6; add_learner m5; promote m5",
    ),
    "never for a better count alone": ("m1 m2 m3 m4~", "m1@a m2@a m3@a m4@b", {}, ""),
}


@pytest.mark.parametrize("name", PLANS)
def test_plan(name):
    members, names, more, plan = PLANS[name]
    observed = cluster(members, more.get("leader", "m1"))
    more = {key: value for key, value in more.items() if key != "leader"}
    assert said(steps_to(observed, wanted(names, observed, **more))) == plan


@pytest.mark.parametrize("name", PLANS)
def test_every_step_of_a_plan_is_expected_to_be_safe(name):
    members, names, more, _plan = PLANS[name]
    observed = cluster(members, more.get("leader", "m1"))
    more = {key: value for key, value in more.items() if key != "leader"}
    known = frozenset(peer(f"m{n}") for n in range(1, 10))
    planned = preview(replace(observed, ours=known), wanted(names, observed, **more))
    assert [(one.step, one.verdict.reason) for one in planned if one.verdict and not one.verdict.safe] == []


@pytest.mark.parametrize("name", PLANS)
def test_the_order_of_the_inventory_means_nothing(name):
    members, names, more, _plan = PLANS[name]
    observed = cluster(members, more.get("leader", "m1"))
    more = {key: value for key, value in more.items() if key != "leader"}
    one = wanted(names, observed, **more)
    other = replace(one, hosts=one.hosts[::-1], leaving=one.leaving[::-1])
    backwards = replace(observed, members=observed.members[::-1])
    assert steps_to(observed, one) == steps_to(backwards, other)


def api(**used):
    """Return API servers with the etcd members they use, `m1="m2 m3"`."""
    return tuple((host, tuple(client(name) for name in names.split())) for host, names in used.items())


REPOINTS = {
    # name: (members, hosts, leaving, API servers, [what each step is])
    "all use what they should": ("m1 m2~", "m1 m2", (), api(m1="m1", m2="m1"), []),
    "after its own member's promotion": (
        "m1 m2~ m3~",
        "m1 m2 m3",
        (),
        api(m1="m1", m2="m1", m3="m1"),
        ["promote m2", "promote m3", "repoint m2 -> m2", "repoint m3 -> m3"],
    ),
    "before its own member is demoted": (
        "m1 m2",
        "m1 m2",
        (),
        api(m1="m1", m2="m2"),
        ["repoint m2 -> m1", "remove m2", "add_learner m2"],
    ),
    "before its own member is removed, while it still serves": (
        "m1 m2~",
        "m2",
        ("m1",),
        api(m1="m1", m2="m1"),
        ["promote m2", "repoint m1 -> m2", "repoint m2 -> m2", "remove m1"],
    ),
    "those who use all voters follow at the end, once": (
        "m1 m2 m3 m4~",
        "m1 m2 m3 m4 m5",
        (),
        api(m1="m1", m2="m2", m3="m3", m4="m1 m2 m3"),
        ["add_learner m5", "promote m4", "promote m5", "repoint m4 -> m4"],
    ),
    "away from two that leave, once": (
        "m1 m2 m3 m4 m5",
        "m1 m2 m3",
        ("m4", "m5"),
        api(m4="m4", m5="m5"),
        ["repoint m5 -> m1 m2 m3", "remove m5", "repoint m4 -> m1 m2 m3", "remove m4"],
    ),
    "before a member that lost its disk is removed": (
        "m1 m2 m3!",
        "m1 m2 m3-",
        (),
        api(m3="m3"),
        ["repoint m3 -> m1 m2", "remove m3", "add_learner m3", "promote m3", "repoint m3 -> m3"],
    ),
    "before a dead member is removed whose API server still runs": (
        "m1 m2 m3!",
        "m1 m2",
        ("m3",),
        api(m1="m1", m2="m2", m3="m3"),
        ["repoint m3 -> m1", "remove m3", "repoint m2 -> m1", "remove m2", "add_learner m2"],
    ),
    "to a member that serves, although only one that is down stays (the gate has its word before the removals)": (
        "m1 m2 m3!",
        "m3",
        ("m1", "m2"),
        api(m2="m2"),
        ["repoint m2 -> m1 m3", "remove m2", "remove m1", "repoint m2 -> m3"],
    ),
    "when what is left of what it uses is down": (
        "m1 m2 m3!",
        "m1 m3",
        ("m2",),
        api(m9="m2 m3"),
        ["repoint m9 -> m1", "remove m2", "remove m3", "add_learner m3"],
    ),
    "not to its own member while that is down": ("m1 m2 m3!", "m1 m2 m3", (), api(m3="m1 m2"), []),
    "to its own member when nothing that it uses is up either": ("m1 m2 m3!", "m1 m2 m3", (), api(m3="m9"), ["repoint m3 -> m3"]),
    "masters with an external etcd": (
        "e1 e2 e3",
        "e1 e2 e3",
        (),
        api(m1="e1 e2", m2="e1 e2 e3"),
        ["repoint m1 -> e1 e2 e3"],
    ),
    "a demotion that was cut off after the repoint": (
        "m1 m2",
        "m1 m2",
        (),
        api(m1="m1", m2="m1"),
        ["remove m2", "add_learner m2"],
    ),
    "everything leaves: the last one cannot be pointed anywhere": (
        "m1 m2",
        "",
        ("m1", "m2"),
        api(m1="m1", m2="m2"),
        ["repoint m2 -> m1", "remove m2", "remove m1"],
    ),
}


@pytest.mark.parametrize("name", REPOINTS)
def test_repoint(name):
    members, names, leaving, servers, steps = REPOINTS[name]
    observed = cluster(members, leader=members.split()[0])
    plan = steps_to(observed, wanted(names, observed, leaving=leaving, api_servers=servers))
    used = [" -> " + " ".join(url[8:-5] for url in step.urls) if step.urls else "" for step in plan]
    assert [f"{step.kind} {step.target}{urls}" for step, urls in zip(plan, used)] == steps


@pytest.mark.parametrize(
    ("host", "members", "expected"),
    [
        ("m1", "m1 m2 m3", "m1"),
        ("m4", "m1 m2 m3 m4~", "m1 m2 m3"),
        ("w1", "m3 m2 m1", "m1 m2 m3"),
        ("m2", "m1 m2~", "m1"),
        ("m2", "m1 m2?", "m1"),
        ("m2", "m1 m2!", "m2"),
        ("m1", "", ""),
    ],
)
def test_etcd_endpoints(host, members, expected):
    assert etcd_endpoints(host, cluster(members).members) == tuple(client(name) for name in expected.split())


ROLES = {
    # name: (members, hosts, voters, learners)
    "before the founding: one": ("", "m1", "m1", ""),
    "before the founding: two": ("", "m1 m2", "m1", "m2"),
    "before the founding: four": ("", "m1 m2 m3 m4", "m1 m2 m3", "m4"),
    "before the founding, of which nothing is known yet": ("", "m1? m2?", "m1", "m2"),
    "before the founding: four in three zones": ("", "m1@a m2@a m3@b m4@c", "m1 m3 m4", "m2"),
    "the standby of two stays": ("m2 m1~", "m1 m2", "m2", "m1"),
    "a standby is chosen among outsiders": ("m1 m2~", "m1 m2 m3 m4", "m1 m2 m3", "m4"),
    "the dead stands by": ("m1 m2! m3 m4", "m1 m2 m3 m4", "m1 m3 m4", "m2"),
    "one that lost its disk stands by": ("m1 m2 m3! m4~", "m1 m2 m3- m4", "m1 m2 m4", "m3"),
    "one that was never started votes": ("m1 m2 m3? m4~", "m1 m2 m3- m4", "m1 m2 m3", "m4"),
    "the fullest zone's stands by": ("m1 m2 m3 m4", "m1@a m2@a m3@b m4@c", "m1 m3 m4", "m2"),
}


@pytest.mark.parametrize("name", ROLES)
def test_wanted_roles(name):
    members, names, voters, learners = ROLES[name]
    observed = cluster(members)
    assert wanted_roles(observed, wanted(names, observed)) == Roles(tuple(voters.split()), tuple(learners.split()))


@pytest.mark.parametrize("count", range(1, 10))
def test_voters_are_odd_at_rest(count):
    observed = cluster("")
    names = " ".join(f"m{n}" for n in range(1, count + 1))
    roles = wanted_roles(observed, wanted(names, observed))
    assert (len(roles.voters) % 2, len(roles.learners)) == (1, 1 - count % 2)
    assert wanted_roles(observed, wanted(names, observed, even_voters=True)) == Roles(tuple(names.split()))


@pytest.mark.parametrize(
    ("members", "names", "expected"),
    [
        ("m1", "m1 m2 m3", "m2 m3"),
        ("m1", "m1@a m2@a m3@b", "m3 m2"),
        ("m1 m2 m3", "m1@a m2@b m3@b m4@b m5@a m6@c", "m6 m5 m4"),
        ("m1 m2~", "m1 m2", "m2"),
    ],
)
def test_join_order(members, names, expected):
    observed = cluster(members)
    assert join_order(observed, wanted(names, observed)) == tuple(expected.split())


@pytest.mark.parametrize(
    ("members", "names", "leader", "leaving", "expected"),
    [
        ("m1 m2 m3", "m1 m2 m3", "m3", "m1 m2 m3", "m2 m1 m3"),
        ("m1! m2 m3", "m1 m2 m3", "m3", "m1 m2 m3", "m1 m2 m3"),
        ("m1 m2 m3", "m1@a m2@a m3@b", "m1", "m1 m2 m3", "m2 m3 m1"),
        ("m1 m2 m3 m4 m5", "m1@a m2@a m3@a m4@b m5@b", "m5", "m1 m2 m3 m4", "m3 m4 m2 m1"),
        ("m1 m2~", "m1@a m2@b", "m1", "m1 m2", "m2 m1"),
        ("m1 m2", "m1 m2", "m1", "m2 m9", "m9 m2"),
        ("m1! m2! m3", "m1@b m2@a m3@a", "m3", "m1 m2 m3", "m2 m1 m3"),
    ],
)
def test_leave_order(members, names, leader, leaving, expected):
    observed = cluster(members, leader)
    assert leave_order(observed, wanted(names, observed), leaving.split()) == tuple(expected.split())


@pytest.mark.parametrize(
    ("members", "names", "expected"),
    [
        ("m1 m2 m3", "m1 m2 m3", []),
        ("m1 m2 m3", "m1 m2 m3 m4?", [("m4", "not known")]),
        ("m1 m2 m3", "m1 m2 m3 m4+", [("m4", "wipe")]),
        ("m1 m2 m3", "m1 m2 m3 m4=", []),
        ("m1 m2 m3", "m1 m2 m3 m4-", []),
        ("m1 m2?~", "m1 m2+", []),
        ("m1 m2?~", "m1 m2?", [("m2", "not known")]),
        ("m1 m2 m3", "m1 m2", [("m3", "no host of the inventory")]),
        ("m1 m2?~", "m1", [(f"the unnamed member id-m2 ({peer('m2')})", "no host of the inventory")]),
        ("m1 m2 m3!", "m1 m2 m3?", []),
    ],
)
def test_obstacles(members, names, expected):
    observed = cluster(members)
    found = obstacles(observed, wanted(names, observed))
    assert [one.host for one in found] == [host for host, _text in expected]
    assert all(text in one.reason and one.next_step for one, (_host, text) in zip(found, expected))


def test_a_stray_is_removed_by_the_id_that_etcdctl_takes():
    observed = replace(cluster("m1"), members=(member("m1"), Member("10501334649042878790", "x9")))
    (one,) = obstacles(observed, wanted("m1", observed))
    assert "only if the machine is gone for good: on an etcd host, with `e` of docs/runbooks/" in one.next_step
    assert one.next_step.endswith(": `e member remove 91bc3c398fb3c146`")


@pytest.mark.parametrize(
    ("members", "names", "leaving", "plan"),
    [
        ("m1 m2 m3!", "m1 m2 m3 m4", "m3", "remove m3; add_learner m4; promote m4"),
        ("m1 m2 m3!", "m1 m2 m3* m4", "m3", "add_learner m4; promote m4; remove m3"),
        ("m1 m2 m3! m4! m5", "m1 m2 m3* m4 m5 m6", "m3 m4", "remove m4 m3; add_learner m6"),
    ],
)
def test_who_could_not_be_asked_does_not_go_as_dead_and_is_an_obstacle(members, names, leaving, plan):
    observed = cluster(members)
    asked_for = wanted(names, observed, leaving=tuple(peer(name) for name in leaving.split()))
    assert said(steps_to(observed, asked_for)) == plan
    found = obstacles(observed, asked_for)
    assert [one.host for one in found] == ["m3"] * ("m3*" in names)
    assert all("could not be asked" in one.reason and "site.yml" in one.next_step for one in found)


def test_who_stays_and_could_not_be_asked_is_no_obstacle():
    observed = cluster("m1 m2 m3!")
    assert obstacles(observed, wanted("m1 m2 m3*", observed)) == ()


def test_a_healthy_member_ran_even_if_its_urls_are_not_known():
    observed = replace(cluster("m1"), members=(replace(member("m1"), client_urls=()),))
    assert steps_to(observed, wanted("m1", observed)) == ()


@pytest.mark.parametrize("members", ["", "m1", "m1 m2"])
def test_a_host_that_is_listed_twice_breaks_nothing(members):
    """Preflight says so; until then the plan must not fall over it."""
    observed = cluster(members)
    twice = wanted("m1 m1", observed)
    assert wanted_roles(observed, twice) == wanted_roles(observed, wanted("m1", observed))
    assert steps_to(observed, twice) == ()


def test_a_preview_shows_the_quorum_before_and_after_each_step():
    observed = cluster("m1")
    planned = preview(observed, wanted("m1 m2 m3", observed, api_servers=api(m1="m1")))
    survived = [(one.verdict.before.failures, one.verdict.after.failures) for one in planned]
    assert survived == [(0, 0), (0, 0), (0, 0), (0, 1)]
    assert [one.verdict.after.voters for one in planned] == [1, 1, 2, 3]


# --- a world that is cut off anywhere ------------------------------------------------------------------------------


class World:
    """Hosts with etcd on them, changed as etcd would; it knows nothing of plans."""

    def __init__(self, voters, zones, lost=()):
        self.zones = zones
        self.members = {name: {"learner": False, "ran": True, "up": True} for name in voters}
        self.data = dict.fromkeys(voters, "own")
        self.ids = {name: f"id-{name}" for name in voters}
        self.api = {name: (client(name),) for name in voters}
        self.leader = voters[0]
        for name in lost:
            self.data[name], self.members[name]["up"] = None, False
            self.elect()

    def elect(self, favourite=0):
        able = sorted(n for n, m in self.members.items() if not m["learner"] and m["up"])
        if self.leader not in able or favourite:
            self.leader = able[favourite % len(able)]

    def observe(self, names):
        members = tuple(
            Member(
                self.ids[name],
                name if state["ran"] else "",
                state["learner"],
                state["up"] if state["ran"] else None,
                peer_urls=(peer(name),),
                client_urls=(client(name),) if state["ran"] else (),
            )
            for name, state in self.members.items()
        )
        return Cluster(members, self.ids[self.leader], ("c",), ours=frozenset(map(peer, names)))

    def wanted(self, names, leaving):
        found = [
            Host(n, self.zones.get(n, ""), peer(n), client(n), bool(self.data.get(n)), self.data.get(n) == "removed")
            for n in names
        ]
        return Wanted(tuple(found), leaving=leaving, api_servers=tuple(self.api.items()))

    def has_quorum(self):
        voters = [state for state in self.members.values() if not state["learner"]]
        return 2 * len([state for state in voters if state["up"]]) > len(voters)

    def served(self):
        """Return the hosts whose API server reaches a living voter."""
        alive = {client(name) for name, state in self.members.items() if state["up"] and not state["learner"]}
        return {host for host, urls in self.api.items() if set(urls) & alive}

    def take(self, step, half=False):
        """Take a step; `half`: the run is cut off inside it."""
        name = next((n for n, i in self.ids.items() if step.target == i and n in self.members), step.target)
        if step.kind == ADD_LEARNER:
            assert name not in self.members
            assert self.data.get(name) in (None, "removed")
            assert len([one for one in self.members.values() if one["learner"]]) < MAX_LEARNERS
            self.members[name] = {"learner": True, "ran": not half, "up": not half}
            self.ids[name] = f"{self.ids.get(name, 'id-' + name)}'"
            self.data[name] = self.data.get(name) if half else "own"
        elif step.kind == START:
            assert not self.members[name]["ran"]
            if not half:
                self.members[name].update(ran=True, up=True)
                self.data[name] = "own"
        elif step.kind == PROMOTE:
            assert self.members[name]["up"]
            self.members[name]["learner"] = False
        elif step.kind == REMOVE:
            served = self.served()
            del self.members[name]
            self.data[name] = "removed" if self.data.get(name) and half else None
            self.elect()
            assert served <= self.served(), "an API server is left without etcd"
        elif step.kind == REPOINT and not half:
            assert step.urls
            self.api[step.target] = step.urls


NAMES = [f"m{n}" for n in range(1, 8)]


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_a_run_that_is_cut_off_anywhere_is_planned_to_its_end(data):
    voters = NAMES[: data.draw(st.integers(1, 5), "voters")]
    goal = sorted(data.draw(st.sets(st.sampled_from(NAMES), min_size=1), "goal"))
    zones = data.draw(st.fixed_dictionaries({name: st.sampled_from("abc") for name in NAMES}), "zones")
    lost = data.draw(st.lists(st.sampled_from(voters), max_size=(len(voters) - 1) // 2, unique=True), "lost")
    world = World(voters, zones, lost)
    leaving = tuple(name for name in voters if name not in goal)
    known = sorted({*goal, *voters})

    def plan():
        return steps_to(world.observe(known), world.wanted(goal, leaving))

    for _run in range(60):
        steps = plan()
        if not steps:
            break
        cut_after = data.draw(st.integers(0, len(steps)), "cut after")
        half = data.draw(st.booleans(), "inside a step")
        for number, step in enumerate(steps[: cut_after + 1]):
            if step.kind in (ADD_LEARNER, PROMOTE, REMOVE):
                verdict = judge(world.observe(known), step)
                assert verdict.safe, verdict.reason
            world.take(step, half and number == cut_after)
            assert world.has_quorum()
        if cut_after < len(steps) and not half:
            rest = plan()
            assert rest == steps[cut_after + 1 :], "what is left must be the rest of the same plan"
        world.elect(data.draw(st.integers(0, 3), "election"))
    assert plan() == ()
    roles = wanted_roles(world.observe(known), world.wanted(goal, leaving))
    assert {name for name, state in world.members.items() if not state["learner"]} == set(roles.voters)
    assert {name for name, state in world.members.items() if state["learner"]} == set(roles.learners)
    assert sorted(world.members) == goal
    assert len(roles.voters) % 2 == 1
    for host, urls in world.api.items():
        assert set(urls) == set(etcd_endpoints(host, world.observe(known).members))


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_plan_is_minimal(data):
    """Without failures every newcomer is added once, and nobody who keeps voting is touched."""
    voters = NAMES[: data.draw(st.sampled_from([1, 3, 5]), "voters")]
    goal = sorted({*voters, *data.draw(st.sets(st.sampled_from(NAMES)), "newcomers")})
    world = World(voters, {})
    plan = steps_to(world.observe(goal), world.wanted(goal, ()))
    newcomers = [name for name in goal if name not in voters]
    assert sorted(step.target for step in plan if step.kind == ADD_LEARNER) == newcomers
    assert len([step for step in plan if step.kind == PROMOTE]) == len(newcomers) // 2 * 2
    assert {step.kind for step in plan} <= {ADD_LEARNER, PROMOTE}
