# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host runs with when another one comes: the same as before, so that nothing there restarts."""

from __future__ import annotations

import pytest
from ansible.template import Templar
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _topology, _topology_fact
from cluster_fixtures import fresh, inventory, settings
from rendering import known_to, roles_with_files


def runs_with(role, host, masters, workers):
    """Return the files and units of a role on a host of a cluster of these."""
    listed = inventory(masters, workers)
    seen = {name: fresh(name) for name in listed.names}
    fact = _topology_fact.as_fact(_topology.build(settings(), listed, seen, nonce="0"), run="run")
    loader, known = known_to(role, host, seen, fact)
    wanted = [known[name] for name in (f"__{role}_files", f"__{role}_units") if name in known]
    return Templar(loader=loader, variables=known).template(wanted)


@pytest.mark.parametrize("host", ["m1", "w1"])
@pytest.mark.parametrize("role", sorted(roles_with_files()))
def test_one_more_worker_changes_nothing_that_others_run_with(role, host):
    before = runs_with(role, host, ["m1", "m2", "m3"], ["w1"])
    assert before and before[0]
    assert runs_with(role, host, ["m1", "m2", "m3"], ["w1", "w2"]) == before


@pytest.mark.parametrize("role", ["containerd", "kubelet", "kube_proxy", "network"])
def test_one_more_master_changes_nothing_that_a_worker_runs_with(role):
    before = runs_with(role, "w1", ["m1", "m2", "m3"], ["w1"])
    assert runs_with(role, "w1", ["m1", "m2", "m3", "m4"], ["w1"]) == before


def test_what_is_about_the_masters_does_follow_them():
    """Else the two tests above would compare nothing."""
    before = runs_with("api_endpoint", "m1", ["m1", "m2", "m3"], ["w1"])
    assert runs_with("api_endpoint", "m1", ["m1", "m2", "m3", "m4"], ["w1"]) != before
