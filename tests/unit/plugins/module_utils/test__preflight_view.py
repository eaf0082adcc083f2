# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a check may look at: hosts that were observed and stay, and nothing taken for granted."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _preflight_view, _request, _topology
from cluster_fixtures import fresh, inventory, settings
from preflight_fixtures import NAMES, bare, viewed


def test_a_host_that_could_not_be_asked_is_not_seen():
    view = viewed(inventory(NAMES, ["w1"]), {"m1": fresh("m1"), "m2": None, "w1": fresh("w1")})
    assert [(host.name, seen["hostname"]) for host, seen in view.seen()] == [("m1", "m1"), ("w1", "w1")]


def test_a_host_that_leaves_is_not_seen_although_it_was_observed():
    made, listed, observed = settings(), inventory(["m1"], ["w1", "w2"]), bare("m1", "w1", "w2")
    topology = _topology.build(made, listed, observed, request=_request.Request(_request.REMOVE, ("w1",)))
    view = _preflight_view.View(made, listed.without(("w1",)), observed, topology)
    assert [host.name for host, _seen in view.seen()] == ["m1", "w2"]


def test_masters_are_told_from_the_others_whether_they_were_observed_or_not():
    view = viewed(inventory(["m1", "m2"], ["m1", "w1"], etcd=["e1"]), bare("m1", "w1", "e1"))
    assert [host.name for host in view.masters] == ["m1", "m2"]


@pytest.mark.parametrize(("mode", "ours"), [("managed", True), ("external", False)])
def test_the_endpoint_address_is_ours_to_move_unless_a_balancer_of_the_user_has_it(mode, ours):
    assert viewed(inventory(["m1"]), bare("m1"), endpoint_mode=mode).managed is ours


def test_a_ca_store_that_nobody_tells_of_is_not_there():
    made, listed = settings(), inventory(["m1"])
    assert not _preflight_view.View(made, listed, {}, _topology.build(made, listed, {})).ca_store_exists
