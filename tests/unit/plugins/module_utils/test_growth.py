# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let new members join from every small cluster in the order and the batches of playbooks/phases/etcd.yml, and refuse none."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _bootstrap,
    _etcd_plan,
    _giving_way,
    _quorum,
    _request,
)
from cluster_fixtures import fresh, host, living, member, settings

NAMES = ("m1", "m2", "m3", "m4")
VOTER, LEARNER, NEW = "voter", "learner", "new"
SETTINGS = {even: settings(even_voters=even) for even in (False, True)}


def shapes(size):
    """Yield {name: (role, zone)} of every cluster of so many hosts that etcd can have; zones are named as they come."""
    names = NAMES[:size]
    for roles in itertools.product((VOTER, LEARNER, NEW), repeat=size):
        if VOTER in roles and NEW in roles and roles.count(LEARNER) <= _quorum.MAX_LEARNERS:
            for zones in itertools.product("abc", repeat=size):
                if all(zone <= chr(ord("a") + len(set(zones[:place]))) for place, zone in enumerate(zones)):
                    yield dict(zip(names, zip(roles, zones)))


def decided(shape, even):
    hosts = tuple(host(name, node_name=name, zone=zone) for name, (_role, zone) in shape.items())
    members = [member(name, learner=role == LEARNER) for name, (role, _zone) in shape.items() if role != NEW]
    leader = next(name for name, (role, _zone) in shape.items() if role == VOTER)
    members.sort(key=lambda one: one["name"] != leader)
    seen = {name: fresh(name) if role == NEW else living(name, members) for name, (role, _zone) in shape.items()}
    return _etcd_plan.plan(SETTINGS[even], hosts, seen, "n", (), _request.CONVERGING, _giving_way.GivingWay())


class Growing:
    """The members, changed step by step as the playbook does, each step behind the gate."""

    def __init__(self, cluster):
        self.cluster = cluster

    def judged(self, kind, name):
        verdict = _quorum.judge(self.cluster, _quorum.Step(kind, name))
        assert verdict.safe, verdict.reason

    def grow(self, made, together):
        for first in range(0, len(made.grow), together):
            batch = made.grow[first : first + together]
            for name in batch:
                if not self.cluster.called(name):
                    self.judged(_quorum.ADD_LEARNER, name)
                    self.put(_quorum.Member(name, name, is_learner=True, healthy=True))
            for name in batch:
                (one,) = self.cluster.called(name)
                if name in made.voters and one.is_learner:
                    self.judged(_quorum.PROMOTE, name)
                    self.put(replace(one, is_learner=False))

    def put(self, new):
        others = tuple(one for one in self.cluster.members if one.name != new.name)
        self.cluster = replace(self.cluster, members=(*others, new), ours=self.cluster.ours | {new.name})


def cases():
    """Yield (shape, even voters): all of up to three hosts, and of four those in which somebody stands by or waits to vote.

    Of those every third, all with SIMULATION set.
    """
    yield from itertools.product((*shapes(2), *shapes(3)), (False, True))
    waiting = (shape for shape in shapes(4) if LEARNER in {role for role, _zone in shape.values()})
    yield from ((shape, False) for shape in itertools.islice(waiting, 0, None, 1 if os.environ.get("SIMULATION") else 3))


def test_whoever_is_to_join_joins_in_the_batches_of_the_playbook():
    alone = 0
    for shape, even in cases():
        made = decided(shape, even)
        assert made.action == _bootstrap.JOIN
        growing = Growing(made.now)
        growing.grow(made, made.together)
        voters = {one.name for one in growing.cluster.voters}
        assert voters - set(made.demote) == set(made.voters) - set(made.demote), shape
        alone += made.together == 1
    assert alone, "beside a learner that stays one"
