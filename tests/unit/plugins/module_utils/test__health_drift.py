# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What names members names the right ones: what is told of each place, and every state in which nothing is."""

from __future__ import annotations

import pathlib
import re

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _health, _health_drift
from cluster_fixtures import address, member
from health_fixtures import APISERVER, cluster, etcd_part, told

DRIFT = [name for name, check in _health.CHECKS.items() if check.__module__ == _health_drift.__name__]
GOLDEN = pathlib.Path(__file__).parents[3] / "golden"


def drift(made):
    """Return the findings of drift, as (host, check, level)."""
    return [(one.host, one.check, one.level) for one in made.judge()[0] if one.check in DRIFT]


def urls(*names):
    return [f"https://{address(name)}:2379" for name in names]


def use(made, name, *members):
    made.observed[name]["api_server"] = {"etcd_servers": urls(*members)}


def vote(made, names, learners=()):
    """Let every reader see these members of etcd."""
    for read in made.read.values():
        if read["etcd"] and not read["etcd"]["error"]:
            read["etcd"]["members"] = etcd_part(names, learners)["members"]


def peers(made, **known):
    """Let the keepalived of a master know these masters."""
    for name, others in known.items():
        made.read[name]["balancer"]["peers"] = [address(other) for other in others.split()]


def lists(made, names, *readers):
    """Let balancers list these masters."""
    for reader in readers:
        servers = made.read[reader]["balancer"]["servers"]
        one = next(iter(servers.values()))
        made.read[reader]["balancer"]["servers"] = {
            name: servers.get(name) or dict(one, name=name, address=f"{address(name)}:6443") for name in names.split()
        }


# What the product leaves on purpose


WHOLE = {
    "one master": {"masters": ("m1",)},
    "two masters, the second stands by": {"masters": ("m1", "m2"), "learners": ("m2",)},
    "two masters, the first stands by": {"masters": ("m1", "m2"), "learners": ("m1",)},
    "two voters, as someone insists": {"masters": ("m1", "m2"), "even_voters": True},
    "three masters": {},
    "four masters, one stands by": {"masters": ("m1", "m2", "m3", "m4"), "learners": ("m4",)},
    "five masters": {"masters": ("m1", "m2", "m3", "m4", "m5")},
    "etcd on hosts of its own": {"masters": ("m1", "m2"), "etcd": ("e1", "e2", "e3")},
    "an even etcd on hosts of its own": {"masters": ("m1", "m2"), "etcd": ("e1", "e2"), "learners": ("e2",)},
    "a master that is an etcd host too": {"masters": ("m1", "m2"), "etcd": ("m1", "e1", "e2")},
    "one master, etcd elsewhere": {"masters": ("m1",), "etcd": ("e1", "e2", "e3")},
    "somebody else's balancer": {"endpoint_mode": "external"},
    "a second master is listed and bare": {"masters": ("m1", "m2"), "bare": ("m2",)},
    "a third master is listed and bare": {"learners": ("m2",), "bare": ("m3",)},
    "two masters are listed and bare": {"bare": ("m2", "m3")},
    "a fourth master is listed and bare": {"masters": ("m1", "m2", "m3", "m4"), "bare": ("m4",)},
    "an etcd host is listed and bare": {"masters": ("m1",), "etcd": ("e1", "e2", "e3"), "learners": ("e2",), "bare": ("e3",)},
    "a worker is listed and bare": {"workers": ("w1", "w2"), "bare": ("w2",)},
}


@pytest.mark.parametrize("made", WHOLE.values(), ids=WHOLE)
def test_of_a_cluster_of_ours_nothing_is_told(made):
    assert drift(cluster(**made)) == []


def a_newcomer_learns(made):
    """A join was cut off before the newcomer votes: neither its API server nor its part in the endpoint is there."""
    vote(made, ("m1", "m2", "m3"), learners=("m2", "m3"))
    made.observed["m3"]["api_server"] = None


def its_api_server_runs_before_it_votes(made):
    vote(made, ("m1", "m2", "m3"), learners=("m3",))


def a_newcomer_has_all_but_vrrp(made):
    """The others already know it: its balancer and configuration are ready before it takes part."""
    made.read["m3"]["balancer"].update(vrrp={"state": "down"})


def a_successor_joined_before_the_endpoint(made):
    """In a replacement the address comes last: the others know the one that goes."""
    made.read["m3"]["balancer"].update(vrrp={"state": "down"}, servers=None, peers=None)
    peers(made, m1="m2", m2="m1")
    lists(made, "m1 m2", "m1", "m2")


def a_master_was_removed_and_is_still_listed(made):
    vote(made, ("m1", "m2"), learners=("m2",))
    use(made, "m2", "m1")
    made.observed["m3"]["api_server"] = None
    made.read["m3"]["balancer"].update(vrrp={"state": "down"}, servers=None, peers=None)
    peers(made, m1="m2", m2="m1")
    lists(made, "m1 m2", "m1", "m2")


def a_removal_was_cut_off_before_the_others_forgot(made):
    """Its keepalived is stopped first, with its configuration as it was; the others list it, drained."""
    made.observed["m3"]["api_server"] = None
    made.read["m3"]["balancer"].update(vrrp={"state": "down"})
    peers(made, m3="m1")
    for reader in ("m1", "m2"):
        made.read[reader]["balancer"]["servers"]["m3"].update(status="drain", up=False)


def a_master_is_dead(made):
    made.lose("m3")
    made.stop_etcd("m3")


def a_master_behind_address_translation_is_dead(made):
    """Its own name and node address are known from itself only."""
    made.lose("m3")
    made.fact["hosts"]["m3"].update(node_name="m3.guessed", address="198.51.100.3")


def its_own_voter_is_down_and_it_uses_one_that_serves(made):
    made.stop_etcd("m2")
    use(made, "m2", "m1", "m3")


def etcd_has_no_quorum(made):
    use(made, "m2", "m3")
    for name in ("m1", "m3"):
        made.stop_etcd(name)


def etcd_was_not_read(made):
    use(made, "m2", "m3")
    for read in made.read.values():
        read["etcd"] = None


def a_stray_votes(made):
    """The inventory is short: the API server of a master without a vote uses the stray as well."""
    vote(made, ("m1", "m2", "m4"))
    made.observed["m3"]["api_server"] = {"etcd_servers": urls("m1", "m2", "m4")}


def nothing_is_known_of_the_endpoint(made):
    for balancer in made.balancers():
        balancer.update(servers=None, vrrp=None, peers=None)


def the_state_of_vrrp_is_not_known(made):
    """Whether it takes part is not known, so nobody has to know it, and what it knows may not be in use."""
    made.read["m3"]["balancer"].update(vrrp=None, peers=[])
    peers(made, m1="m2", m2="m1")


def no_peers_were_read(made):
    for balancer in made.balancers():
        balancer["peers"] = None


def an_older_answer_has_no_peers(made):
    for balancer in made.balancers():
        del balancer["peers"]
    for seen in made.observed.values():
        seen["etcd"].pop("first_start")


def only_what_it_reads_is_fresh(made):
    made.observed.pop("m2")
    made.fact["hosts"]["m2"].update(node_name="m2.guessed", address="198.51.100.2")
    made.certificate(APISERVER, host="m2", lacks=("m2.guessed",))


def a_member_is_being_founded(made):
    made.observed["m3"]["etcd"].update(record={"token": "prod-1"}, first_start=True)
    made.member("m3", healthy=False)


LEFT = [
    a_newcomer_learns, its_api_server_runs_before_it_votes, a_newcomer_has_all_but_vrrp, a_successor_joined_before_the_endpoint,
    a_master_was_removed_and_is_still_listed, a_removal_was_cut_off_before_the_others_forgot, a_master_is_dead,
    a_master_behind_address_translation_is_dead, its_own_voter_is_down_and_it_uses_one_that_serves, etcd_has_no_quorum,
    etcd_was_not_read, a_stray_votes, nothing_is_known_of_the_endpoint, the_state_of_vrrp_is_not_known, no_peers_were_read,
    an_older_answer_has_no_peers, only_what_it_reads_is_fresh, a_member_is_being_founded,
]  # fmt: skip  # names


@pytest.mark.parametrize("change", LEFT, ids=lambda change: change.__name__)
def test_nothing_is_told_while(change):
    made = cluster(**({"learners": ("m2",), "bare": ("m3",)} if change is a_newcomer_learns else {}))
    change(made)
    assert drift(made) == []


@pytest.mark.parametrize("seen", [None, {"etcd_servers": []}, {}], ids=["it does not run", "no argument", "nothing"])
def test_what_an_api_server_uses_and_was_not_read_is_no_drift(seen):
    made = cluster()
    made.observed["m2"]["api_server"] = seen
    assert drift(made) == []


def test_the_order_of_urls_means_nothing():
    made = cluster(masters=("m1", "m2", "m3", "m4"), learners=("m4",))
    use(made, "m4", "m3", "m1", "m2")
    assert drift(made) == []


# API servers


STANDBY = {"masters": ("m1", "m2"), "learners": ("m2",)}
ELSEWHERE = {"masters": ("m1",), "etcd": ("e1", "e2", "e3")}


@pytest.mark.parametrize(
    ("made", "name", "used", "wanted", "level"),
    [
        ({}, "m2", ("m1",), ("m2",), "error"),
        ({}, "m2", ("m1", "m3"), ("m2",), "error"),
        ({}, "m2", ("m1", "m2"), ("m2",), "warning"),
        (STANDBY, "m2", ("m2",), ("m1",), "error"),
        (STANDBY, "m2", ("m1", "m2"), ("m1",), "warning"),
        (STANDBY, "m1", ("m2",), ("m1",), "error"),
        (ELSEWHERE, "m1", ("e1", "e2"), ("e1", "e2", "e3"), "error"),
        (ELSEWHERE, "m1", ("e1", "e2", "e3", "e4"), ("e1", "e2", "e3"), "warning"),
        (ELSEWHERE, "m1", ("e4",), ("e1", "e2", "e3"), "error"),
    ],
)
def test_an_api_server_that_uses_other_members_than_it_should(made, name, used, wanted, level):
    made = cluster(**made)
    use(made, name, *used)
    (found,) = told(made.judge()[0], "api-etcd")
    assert (found.host, found.level) == (name, level)
    assert found.found == f"the API server uses etcd at {', '.join(urls(*used))}"
    assert found.wanted == ", ".join(urls(*wanted))


def test_a_cut_between_the_votes_of_a_pair_and_their_api_servers_is_told():
    made = cluster()
    use(made, "m2", "m1")  # m2 stood by until m3 came
    assert drift(made) == [("m2", "api-etcd", "error")]


def test_an_api_server_may_leave_a_member_that_is_down_for_its_own_that_serves():
    made = cluster()
    made.stop_etcd("m3")
    use(made, "m2", "m3")
    assert ("m2", "api-etcd", "error") in drift(made)


# Balancers


def test_a_backend_that_is_no_masters_is_told_once_with_whose_balancers_list_it():
    made = cluster()
    lists(made, "m1 m2 m3 m4", "m1", "m3")
    (found,) = told(made.judge()[0], "balancer-stray")
    assert found.found == f"the balancer of m1, m3 lists m4 ({address('m4')}:6443), and no master of the inventory is that"


@pytest.mark.parametrize(
    ("called", "at", "stray"),
    [
        ("m3", "192.0.2.13:6443", False),
        ("m3", "192.0.2.99:6443", False),  # an address that moved is a server that is down, or another's
        ("former-name", "192.0.2.13:6443", False),
        ("m4", "192.0.2.14:6443", True),
        ("w1", "192.0.2.21:6443", True),
        ("m4", "192.0.2.130:6443", True),
    ],
)
def test_a_backend_is_a_masters_by_its_name_or_its_address(called, at, stray):
    made = cluster()
    servers = made.read["m1"]["balancer"]["servers"]
    servers[called] = dict(servers["m1"], name=called, address=at)
    assert bool(told(made.judge()[0], "balancer-stray")) is stray


@pytest.mark.parametrize("made", [{"masters": ("m1",)}, {"endpoint_mode": "external"}])
def test_a_balancer_that_is_not_ours_may_list_anybody(made):
    made = cluster(**made)
    for read in made.read.values():
        if read["api"]:
            read["balancer"] = cluster().read["m1"]["balancer"]
    lists(made, "m5", "m1")
    peers(made, m1="m5")
    assert drift(made) == []


# VRRP


@pytest.mark.parametrize(
    ("known", "found", "level"),
    [
        ("m1", "lacks m3", "error"),
        ("", "lacks m1, m3", "error"),
        ("m1 m3 m4", "names 192.0.2.14, which is no other master", "warning"),
        ("m1 m2 m3", "names 192.0.2.12, which is no other master", "warning"),
        ("m1 m4", "lacks m3 and names 192.0.2.14, which is no other master", "error"),
    ],
)
def test_a_keepalived_that_does_not_know_exactly_the_others(known, found, level):
    made = cluster()
    peers(made, m2=known)
    (one,) = told(made.judge()[0], "vrrp-peers")
    assert (one.host, one.found, one.level) == ("m2", f"keepalived's configuration {found}", level)
    assert one.wanted == "the other masters (192.0.2.11, 192.0.2.13)"


@pytest.mark.parametrize("state", ["holder", "backup", "fault", "init"])
def test_who_takes_part_is_known_by_all_whatever_its_state(state):
    made = cluster()
    made.read["m3"]["balancer"]["vrrp"]["state"] = state
    peers(made, m1="m2")
    assert ("m1", "vrrp-peers", "error") in drift(made)


def test_beside_a_master_that_cannot_be_asked_one_that_takes_part_is_missed_still():
    made = cluster()
    made.lose("m3")
    peers(made, m1="m3")
    assert drift(made) == [("m1", "vrrp-peers", "error")]


# What the roles write is what is wanted


def test_what_the_roles_write_is_what_is_wanted():
    made = cluster()
    for name in ("m1", "m2", "m3"):
        assert made.read[name]["balancer"]["peers"] == made.fact["hosts"][name]["vrrp"]["peers"]
    text = (GOLDEN / "api_endpoint" / "etc__haproxy__haproxy.cfg").read_text()
    listed = dict(re.findall(r"^    server (\S+) (\S+)$", text, re.MULTILINE))
    assert listed == {server["name"]: server["address"] for server in made.read["m1"]["balancer"]["servers"].values()}


# Certificates


def test_a_certificate_that_is_not_for_a_name_of_its_host():
    made = cluster()
    made.certificate(APISERVER, lacks=("192.0.2.10", "kubernetes"))
    (found,) = told(made.judge()[0], "certificate-names")
    assert (found.host, found.found) == ("m1", f"{APISERVER} is not for 192.0.2.10, kubernetes")


# First starts


@pytest.mark.parametrize(
    ("left", "fix"),
    [
        ({"record": {"token": "prod-1"}}, "Run site.yml: it finishes"),
        ({"record": {}}, "Run site.yml: it finishes"),
        ({"record": {"token": "prod-1"}, "first_start": True}, "Run site.yml: it finishes"),
        ({"first_start": True}, "On m2: rm /run/systemd/system/etcd.service.d/10-first-start.conf; systemctl daemon-reload."),
    ],
)
def test_a_member_that_serves_and_could_start_again_as_it_first_did(left, fix):
    made = cluster()
    made.observed["m2"]["etcd"].update(left)
    (found,) = told(made.judge()[0], "etcd-first-start")
    assert (found.host, found.level) == ("m2", "warning")
    assert found.fix.startswith(fix)


def test_a_member_that_was_added_and_never_started_is_no_first_start_that_is_over():
    made = cluster()
    made.observed["m3"]["etcd"].update(first_start=True)
    for _reader, one in made.members():
        if one["name"] == "m3":
            one.update(member("m3", learner=True, started=False))
    assert told(made.judge()[0], "etcd-first-start") == []
