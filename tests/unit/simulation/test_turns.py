# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cut a run off anywhere, change a setting, ask for the same or for something else, and look at each turn that it takes.

`cluster_model` plays steps of etcd and of the endpoint; here it is the whole way from observations over the topology and its fact
to the turns, since what is wrong between two of them shows nowhere else.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
from dataclasses import dataclass, field

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _quorum, _request, _topology, _topology_fact, _turns
from cluster_fixtures import address, fresh, inventory, living, member, settings, status

UP = {"units": {"u": {"active": "active"}}}
OTHER = {**UP, "restart_needed": ["u"]}


class NotAllowed(Exception):
    """A run ends before the only member of a cluster restarts: that is for a person to allow."""


def client(name):
    return f"https://{address(name)}:2379"


def peer(name):
    return f"https://{address(name)}:2380"


@dataclass
class Cluster:
    """What is so between two acts.

    `votes`: {member: whether it votes}; `api`: {master whose API server runs: its etcd URLs}; `behind`: the masters that clients
    reach at the address, by the balancers of those that have one (`balancers`) or by the lone one's own unit; `out`: hosts whose
    member was taken out to come back; `records`: whose place a host takes.
    """

    masters: tuple
    etcd: tuple
    votes: dict
    dead: tuple = ()
    api: dict = field(default_factory=dict)
    behind: set = field(default_factory=set)
    balancers: set = field(default_factory=set)
    stopped: set = field(default_factory=set)
    data: set = field(default_factory=set)
    out: set = field(default_factory=set)
    nodes: set = field(default_factory=set)
    records: dict = field(default_factory=dict)

    @classmethod
    def at_rest(cls, masters, etcd=(), dead=()):
        members = etcd or masters
        votes = {name: len(members) % 2 == 1 or name != members[-1] for name in members}
        voters = {client(name) for name, votes in votes.items() if votes}
        api = {name: {client(name)} & voters or voters for name in masters if name not in dead}
        balancers = set(masters) if len(masters) > 1 else set()
        return cls(masters, etcd, votes, dead, api, set(masters), balancers, data=set(members), nodes=set(masters))

    def serving(self, without=""):
        return {client(name) for name, votes in self.votes.items() if votes and name not in (*self.dead, without)}

    def observed(self):
        """Return what would be observed of the hosts that answer."""
        members = [member(name, learner=not votes) for name, votes in sorted(self.votes.items())]
        leader = min((name for name, votes in self.votes.items() if votes and name not in self.dead), default=None)
        seen = {}
        for name in {*self.masters, *self.etcd} - {*self.dead}:
            if not {name} & {*self.data, *self.nodes, *self.api}:
                seen[name] = fresh(name)
                continue
            seen[name] = host = living(name, members, master=name in self.masters)
            if name in self.votes:
                host["etcd"]["status"] = status(name, members, leader=leader)
            elif name in self.data:
                host["etcd"] = {"data": True, "record": None, "first_start": False, "unit": "failed", "status": None}
            host["cluster"].update(etcd_leftover=name in self.out, replaces=self.records.get(name, ""))
            host["kubelet_credentials"] = name in self.nodes
            if name in self.masters:
                host["api_server"] = {"etcd_servers": sorted(self.api[name])} if name in self.api else None
                if name not in self.api:
                    host["units"]["kube-apiserver"] = "inactive" if name in self.stopped else "not-found"
                    host["versions"].pop("kube-apiserver")
            if name in self.balancers:
                host["units"].update(haproxy="active", keepalived="active")
            elif name in self.behind and not self.balancers:
                host["units"]["multimaster-endpoint"] = "active"
        holders = sorted((self.balancers or self.behind) & {*seen})
        for name in holders[:1]:
            seen[name]["endpoint_address"] = {"held_on": ["eth0"]}
        return seen


class Run:
    """One run; `etcd`, `api`: whose etcd and whose API server run with another setting than they should.

    `known`: what was decided on the same cluster, where several runs begin with it.
    """

    def __init__(self, cluster, request, etcd=(), api=(), known=None):
        self.now, self.request, self.etcd, self.api = cluster, request, set(etcd) & cluster.data, set(api) & {*cluster.api}
        self.known = {} if known is None else known

    def decided(self):
        """Return the topology, None where nothing is begun; who drifts is seen of voters that cannot be spared alone."""

        def built(drifted=()):
            if (self.request, drifted) not in self.known:
                listed, seen = inventory(self.now.masters, (), self.now.etcd), self.now.observed()
                made = _topology.build(settings(), listed, seen, True, nonce="x", request=self.request, drifted=drifted)
                self.known[self.request, drifted] = made
            return self.known[self.request, drifted]

        made = built(tuple(name for name in built().giving.voters if name in self.etcd))
        refused = made.plan.refusals or made.etcd.obstacles or made.etcd.action == "refuse"
        return None if refused or {*made.masters, *made.members} & {*self.now.dead} else made

    def acts(self):
        """Do what the playbooks do, with the turns that are asked for; yield after each act that a cut may follow."""
        now, made = self.now, self.decided()
        if made is None:
            return
        fact = self.fact = {**_topology_fact.as_fact(made), "canary": {"seconds": 0}}
        order = {name: pattern.split(",") if pattern != "all:!all" else [] for name, pattern in fact["order"].items()}
        if self.request.kind == _request.ROLL:
            for name in order["roll"]:
                if now.votes.get(name):
                    self.restarts(name)
            return
        for one in fact["forgotten"]["members"]:
            yield from self.leaves(one["peer_url"])
        self.etcd -= {*self.turns()["early"]}
        together = fact["etcd"]["together"]
        for first in range(0, len(order["grow"]), together):
            for name in order["grow"][first : first + together]:
                yield from self.joins(name)
            for name in order["grow"][first : first + together]:
                now.votes[name] = now.votes[name] or fact["hosts"][name]["voter"]
                yield
        for name in fact["masters"]:
            now.api.setdefault(name, {*fact["hosts"][name]["etcd_endpoints"]})
        yield
        if fact["endpoint"]["first"]:
            self.gets_its_parts()
            yield
        turns = self.turns()
        for name in turns["members"]:
            self.restarts(name)
        for name in turns["masters"]:
            self.takes_its_turn(name, turns)
            yield
        for name in self.turns()["last"]:
            self.restarts(name)
        if self.request.kind == _request.REPLACE:
            now.nodes |= {*fact["masters"]}
        going = {one["node_name"] for one in fact["leaving"]["masters"]}
        now.balancers -= going
        yield
        now.stopped |= going & {*now.api}
        now.api = {name: urls for name, urls in now.api.items() if name not in going}
        yield
        for one in fact["leaving"]["members"]:
            yield from self.leaves(one["peer_url"])
        for name in order["demote"]:
            yield from self.leaves(peer(name))
            now.out.add(name)
            yield from self.joins(name)
        self.gets_its_parts()
        yield
        now.nodes |= {*fact["masters"]}

    def turns(self):
        """Return who takes a turn, as roles see it: by settings, and API servers by the members that they are to use."""
        hosts = self.fact["hosts"]
        told = {name: {"etcd_result": UP, "kube_apiserver_result": UP} for name in hosts}
        for name in self.etcd & {*self.fact["members"]}:
            told[name]["etcd_result"] = OTHER
        for name in {*self.fact["masters"]} & {*self.now.api}:
            if name in self.api or self.now.api[name] != {*hosts[name]["etcd_endpoints"]}:
                told[name]["kube_apiserver_result"] = OTHER
        return _turns.control_turns(told, self.fact)

    def judge(self, kind, target):
        """Want the gate to let a step pass: one that ends there would end there again."""
        members = tuple(
            _quorum.Member(name, name, not votes, name not in self.now.dead, 900, (peer(name),), (client(name),))
            for name, votes in sorted(self.now.votes.items())
        )
        leader = next((one.id for one in members if one.voter and one.healthy), "")
        ours = frozenset((*self.now.masters, *self.now.etcd))
        verdict = _quorum.judge(_quorum.Cluster(members, leader, ("77",), (), ours), _quorum.Step(kind, target))
        alone = [one.code for one in verdict.refusals] == ["outage"] and len(self.fact["members"]) == 1
        if alone:
            raise NotAllowed
        assert verdict.safe, (kind, target, verdict.reason)

    def joins(self, name):
        if name not in self.now.votes:
            self.judge(_quorum.ADD_LEARNER, name)
            self.now.votes[name] = False
            self.now.data.add(name)
            self.etcd.discard(name)
            if self.request.by == name:
                self.now.records[name] = self.request.nodes[0]
        self.now.out.discard(name)
        yield

    def leaves(self, url):
        for name in [name for name in self.now.votes if peer(name) == url]:
            self.judge(_quorum.REMOVE, url)
            del self.now.votes[name]
            self.all_answer("")
            yield

    def restarts(self, name, away=""):
        if self.now.votes[name]:
            self.judge(_quorum.RESTART, peer(name))
            self.all_answer(name, away)
        self.etcd.discard(name)

    def all_answer(self, without, away=""):
        """Want each API server that is in use to reach a voter beside this one; `away` is drained, and no more in use."""
        serving = self.now.serving(without)
        silent = [name for name, urls in self.now.api.items() if name not in (away, without) and not urls & serving]
        assert not silent, f"etcd of {without} is the only one of the API servers of {silent}"

    def takes_its_turn(self, name, turns):
        now = self.now
        if name in turns["drained"] and name in now.behind and len(self.fact["masters"]) > 1:
            ready = [one for one, urls in now.api.items() if one in now.behind - {name} and urls & now.serving()]
            assert now.balancers and ready, f"{name} is alone behind the address"
        if name in turns["etcd"]:
            self.restarts(name, name)
        now.api[name] = {*self.fact["hosts"][name]["etcd_endpoints"]}
        self.api.discard(name)

    def gets_its_parts(self):
        masters = {*self.fact["masters"]}
        self.now.behind, self.now.balancers = masters, masters if len(masters) > 1 else set()


def play(run):
    """Yield a copy of the cluster after each act, until the run ends, or stops at what only a person allows."""
    with contextlib.suppress(NotAllowed):
        for _act in run.acts():
            yield copy.deepcopy(run.now)


SITE = _request.CONVERGING


def remove(*names):
    return _request.Request(_request.REMOVE, names)


def replace(name, by):
    return _request.Request(_request.REPLACE, (name,), by)


def roll(*names):
    return _request.Request(_request.ROLL, names)


M, E = ("m1", "m2", "m3", "m4"), ("e1", "e2", "e3")
# Cluster at rest, the hosts that are listed besides, what is asked of it first.
FIRST = {
    "1 grows to 2": (M[:1], (), (), M[:2], (), SITE),
    "1 grows to 3": (M[:1], (), (), M[:3], (), SITE),
    "2 grow to 3": (M[:2], (), (), M[:3], (), SITE),
    "3 grow to 4": (M[:3], (), (), M[:4], (), SITE),
    "the voter of 2 leaves": (M[:2], (), (), M[:2], (), remove("m1")),
    "the standby of 2 leaves": (M[:2], (), (), M[:2], (), remove("m2")),
    "the dead standby of 2 leaves": (M[:2], (), ("m2",), M[:2], (), remove("m2")),
    "the dead standby of 2 is replaced": (M[:2], (), ("m2",), M[:3], (), replace("m2", "m3")),
    "the voter of 2 is replaced": (M[:2], (), (), M[:3], (), replace("m1", "m3")),
    "the first of 3 leaves": (M[:3], (), (), M[:3], (), remove("m1")),
    "the last of 3 leaves": (M[:3], (), (), M[:3], (), remove("m3")),
    "a dead one of 3 leaves": (M[:3], (), ("m1",), M[:3], (), remove("m1")),
    "two of 3 leave": (M[:3], (), (), M[:3], (), remove("m1", "m2")),
    "one of 3 is replaced": (M[:3], (), (), M[:4], (), replace("m1", "m4")),
    "two of 4 leave": (M[:4], (), (), M[:4], (), remove("m1", "m2")),
    "etcd of its own grows from 1 to 2": (M[:2], E[:1], (), M[:2], E[:2], SITE),
    "etcd of its own grows from 1 to 3": (M[:2], E[:1], (), M[:2], E, SITE),
    "etcd of its own grows from 2 to 3": (M[:2], E[:2], (), M[:2], E, SITE),
    "one of 3 hosts of etcd leaves": (M[:2], E, (), M[:2], E, remove("e3")),
    "a dead one of 3 hosts of etcd leaves": (M[:2], E, ("e1",), M[:2], E, remove("e1")),
}


def seconds(first, masters, members):
    """Return what is asked after the cut: the same, all to be as listed, that somebody leaves, that members restart."""
    yield from dict.fromkeys((first, SITE, *(remove(name) for name in dict.fromkeys((*masters, *members))), roll(*members)))


@pytest.mark.parametrize("case", FIRST)
def test_no_member_restarts_in_a_turn_while_an_api_server_in_use_has_it_alone(case):
    masters, etcd, dead, all_masters, all_etcd, first = FIRST[case]
    members, turns = all_etcd or all_masters, 0
    begin = Cluster.at_rest(masters, etcd, dead)
    begin.masters, begin.etcd = all_masters, all_etcd
    cuts = [begin, *play(Run(copy.deepcopy(begin), first))]
    assert len(cuts) > 1
    seen = {repr(cluster): (cluster, {}) for cluster in cuts}
    for (cluster, known), second in itertools.product(seen.values(), seconds(first, all_masters, members)):
        for drifted in (members, *((name,) for name in members if name in cluster.data)):
            # of several API servers one that drifts is like the others; with etcd of all of them each has its turn
            run = Run(copy.deepcopy(cluster), second, drifted, all_masters if drifted == members else (), known)
            turns += sum(1 for _cluster in play(run))
    assert turns
