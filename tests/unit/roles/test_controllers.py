# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that a controller never starts beside an API server that is yet to take its turn, so that it is never the newer one."""

from __future__ import annotations

import pytest
import yaml
from ansible.template import Templar
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _turns
from rendering import ROOT, variables

ORDER = {"ansible.builtin.import_role", "multimaster.kubernetes.endpoint_server"}
ROLES = ("kube_controller_manager", "kube_scheduler")


def state(role, api_server):
    """Return what the role asks of its service beside an API server of which `unit_set` returned this."""
    loader, known = variables(role, "m1")
    (task,) = loader.load_from_file(str(ROOT / f"roles/{role}/tasks/main.yml"), trusted_as_template=True)
    return Templar(loader=loader, variables={**known, "kube_apiserver_result": api_server}).template(
        task["multimaster.kubernetes.unit_set"]["state"]
    )


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("waits", "wanted"), [([], "started"), (["kube-apiserver.service"], "configured")])
def test_a_controller_that_is_down_starts_with_its_api_server(role, waits, wanted):
    assert state(role, {"restart_needed": waits, "units": {}}) == wanted


def test_the_api_server_it_waits_for_has_a_turn_and_comes_first_in_it():
    assert {f"{role}_result" for role in ROLES} == set(_turns.CONTROLLERS)
    for phase in ("control_plane.yml", "tasks/return.yml"):
        text = (ROOT / "playbooks/phases" / phase).read_text()
        places = [text.index(f"multimaster.kubernetes.{role},") for role in ("kube_apiserver", *ROLES)]
        assert places == sorted(places), phase
    back = yaml.safe_load((ROOT / "playbooks/phases/tasks/return.yml").read_text())
    # Between the two every balancer is to see the API server up again.
    assert [next(iter(set(task) & ORDER), None) for task in back] == [
        "ansible.builtin.import_role",
        *2 * ["multimaster.kubernetes.endpoint_server"],
        *2 * ["ansible.builtin.import_role"],
    ]
    send, _of_leaving = (task for task in back if "multimaster.kubernetes.endpoint_server" in task)
    assert send["multimaster.kubernetes.endpoint_server"]["state"] == "ready" and send["loop"] == "{{ multimaster.masters }}"
    assert not [task for task in back if any(name.endswith("_start") for name in task.get("vars", {}))]
