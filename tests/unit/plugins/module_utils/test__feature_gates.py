# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What gates somebody wrote, and ours beside them."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _feature_gates
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("A=true,B=false", {"A": True, "B": False}),
        (" kube:A = True , B=0,", {"A": True, "B": False}),
        (["A=1,B=t", "C=no"], {"A": True, "B": True, "C": False}),
        ({"A": True, "kube:B": "false", "C": None}, {"A": True, "B": False, "C": False}),
        ("", {}),
        ("A", {"A": False}),
    ],
)
def test_gates_are_read_however_they_are_written(value, read):
    assert _feature_gates.gates(value) == read


CASES = {
    "none of theirs": ("B=true,A=true", "", "B=true,A=true"),
    "others": ("B=true,A=true", "D=false,C=true", "B=true,A=true,D=false,C=true"),
    "one of ours, switched off": ("B=true,A=true", "C=true,A=false", "B=true,C=true,A=false"),
    "all of ours switched off": ("B=true,A=true", "A=false,B=false", "A=false,B=false"),
    "all of ours, as it stood before": ("B=true,A=true", " A=true, C=true,B=true", " A=true, C=true,B=true"),
    # Kubernetes takes all gates with its prefix, or all without.
    "with the prefix": ("A=true", "kube:C=true", "A=true,C=true"),
    "with the prefix, ours too": ("A=true", "kube:A=false,kube:C=true", "kube:A=false,kube:C=true"),
    "with blanks": ("A=true", " C = true , D=false,", "A=true,C=true,D=false"),
}


@pytest.mark.parametrize("name", CASES)
def test_ours_stay_beside_theirs(name):
    ours, theirs, expected = CASES[name]
    assert _feature_gates.merged(ours, theirs) == expected


GATES = st.dictionaries(st.sampled_from("ABCD"), st.sampled_from(["true", "false"]))


@given(GATES, GATES)
def test_every_gate_is_there_once_theirs_count_and_nothing_changes_when_it_is_done_again(ours, theirs):
    ours_text, theirs_text = (",".join(f"{gate}={value}" for gate, value in one.items()) for one in (ours, theirs))
    text = _feature_gates.merged(ours_text, theirs_text)
    assert sorted(filter(None, text.split(","))) == sorted(f"{gate}={value}" for gate, value in {**ours, **theirs}.items())
    assert _feature_gates.merged(ours_text, text) == text
