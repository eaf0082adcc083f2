# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Count what a plan costs, in calls and not in seconds: twice the nodes are about twice the work, whatever is planned."""

from __future__ import annotations

import sys

import cluster_fixtures as made
import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _request, _topology, _upgrade_scene

MASTERS, WORKERS = 3, 100


class Name(str):
    """A host's name whose comparisons are calls, so that a list that is searched for each host is counted."""

    def __eq__(self, other):
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def calls(function):
    """Return by how many calls, of Python's and of C's, this is done."""
    count = 0

    def counted(_frame, event, _argument):
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        function()
    finally:
        sys.setprofile(before)
    return count


def work(kind, batch, workers):
    """Return how many calls the plan takes that a request of this kind, for all hosts, ends with."""
    masters, nodes, observed = made.many(MASTERS, workers)
    names = {name: Name(name) for name in (*masters, *nodes)}
    masters, nodes = [names[name] for name in masters], [names[name] for name in nodes]
    observed = {names[name]: seen for name, seen in observed.items()}
    new = {"kubernetes_version": "1.37.2", "etcd_version": "3.7.3"} if kind == _request.UPGRADE else {}
    settings, inventory = made.settings(upgrade_batch=batch, **new), made.inventory(masters, nodes)
    asked = {_request.ROLL: (*masters, *nodes), _request.REMOVE: (masters[0],)}
    request = _request.Request(kind, asked.get(kind, ()))

    def plan():
        topology = _topology.build(settings, inventory, observed, ca_store_exists=True, nonce="n", request=request)
        if kind == _request.UPGRADE:
            topology = _upgrade_scene.upgraded(topology, observed, {}, False, False)
        assert topology.plan.refusals == ()
        return topology.plan.steps

    assert bool(plan()) is (kind != _request.CONVERGE)  # and the caches are as they are in a long run
    return calls(plan)


@pytest.mark.parametrize(
    ("kind", "batch"),
    [
        pytest.param(_request.CONVERGE, "1", id="nothing to do"),
        pytest.param(_request.REMOVE, "1", id="a removal"),
        pytest.param(_request.ROLL, "1", id="a restart of all"),
        pytest.param(_request.UPGRADE, "20%", id="an upgrade"),
        pytest.param(_request.UPGRADE, "1", id="an upgrade, one worker after the other"),
    ],
)
def test_twice_the_nodes_are_about_twice_the_work(monkeypatch, kind, batch):
    monkeypatch.setattr(made, "NUMBERS", dict(made.NUMBERS))
    once = work(kind, batch, WORKERS)
    assert work(kind, batch, 2 * WORKERS) <= 2.2 * once
