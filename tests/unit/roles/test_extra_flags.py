# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user's extra flags make of the units of the roles that take some; what they are without any is in `golden`."""

from __future__ import annotations

import re

import pytest
from ansible.template import Templar
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _role_inputs
from rendering import ROOT, flags, variables

CORRUPTION = "InitialCorruptCheck=true,CompactHashCheck=true"
RELEASE = "ControllerManagerReleaseLeaderElectionLockOnExit"
GATES = {
    "etcd": ("etcd", CORRUPTION),
    "kube_apiserver": ("kube-apiserver", ""),
    "kube_controller_manager": ("kube-controller-manager", f"{RELEASE}=true"),
    "kube_scheduler": ("kube-scheduler", ""),
}


def started(role, extra):
    """Return {flag: value} of the role's unit on a host whose user has these extra flags."""
    loader, known = variables(role, "m1")
    known[f"{role}_extra_flags"] = extra
    written = Templar(loader=loader, variables=known).template(known[f"__{role}_files"])
    return flags(next(one["content"] for one in written if one["path"].endswith(f"/{GATES[role][0]}.service")))


@pytest.mark.parametrize("role", GATES)
def test_a_users_gates_stand_beside_those_the_product_relies_on(role):
    ours = GATES[role][1]
    assert started(role, {}).get("feature-gates", "") == ours
    for value in ("Mine=true", {"Mine": True}, ["Mine=true"]):
        assert started(role, {"feature-gates": value})["feature-gates"] == ",".join(filter(None, [ours, "Mine=true"]))


def test_whoever_takes_flags_of_the_users_has_their_names_judged():
    """Only of variables with that end a preflight refuses names in another spelling than ours."""
    takers = set(re.findall(r"command_line\(.*extra=(\w+)\)", "".join(p.read_text() for p in ROOT.glob("roles/*/vars/main.yml"))))
    assert takers == {f"{role}{_role_inputs.FLAGS}" for role in GATES}


@pytest.mark.parametrize("role", GATES)
def test_any_other_flag_is_replaced_added_or_left_out(role):
    plain = started(role, {})
    gone, other = sorted(set(plain) - {"feature-gates"})[:2]
    kept = {name: value for name, value in plain.items() if name != gone}
    assert started(role, {gone: None, other: "x", "v": 4}) == {**kept, other: "x", "v": "4"}


def test_ours_are_switched_off_by_their_name_only():
    assert started("kube_controller_manager", {"feature-gates": {RELEASE: False}})["feature-gates"] == f"{RELEASE}=false"
    assert started("etcd", {"feature-gates": "CompactHashCheck=false"})["feature-gates"] == (
        "InitialCorruptCheck=true,CompactHashCheck=false"
    )
    assert "feature-gates" not in started("etcd", {"feature-gates": None})
