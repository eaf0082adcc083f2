# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _request

KNOWN = ("m1", "m2", "node1", "node10")


def test_nothing_asked_is_to_be_as_the_inventory_says():
    assert _request.read(KNOWN) == (_request.Request(), ())


def test_names_are_sorted_and_counted_once():
    request, findings = _request.read(KNOWN, remove=["m2", " m1", "m2", ""])
    assert (request.kind, request.nodes, request.leaving, request.renewed) == ("remove", ("m1", "m2"), ("m1", "m2"), ())
    assert findings == ()


def test_one_name_is_not_the_beginning_of_another():
    request, _findings = _request.read(KNOWN, remove=["node1"])
    assert request.leaving == ("node1",)


@pytest.mark.parametrize(("by", "leaving", "renewed"), [("m2", ("m1",), ()), ("", (), ("m1",))])
def test_a_replacement_leaves_or_comes_back_under_its_name(by, leaving, renewed):
    request, findings = _request.read(KNOWN, replace=["m1"], by=by)
    assert (request.leaving, request.renewed, findings) == (leaving, renewed, ())


@pytest.mark.parametrize(
    ("asked", "said", "fix"),
    [
        ({"remove": []}, "no host is named", "-e node=NAME, or several"),
        ({"replace": [""]}, "no host is named", "-e node=NAME"),
        ({"remove": ["node11"]}, "node11 is no host", "Did you mean node1"),
        ({"remove": ["else"]}, "else is no host", "List the host"),
        ({"roll": ["m1"], "by": "m2"}, "no replacement is asked for", "Leave `by` out"),
        ({"move": True, "by": "m2"}, "no replacement is asked for", "Leave `by` out"),
        ({"by": "m2"}, "no replacement is asked for", "Leave `by` out"),
        ({"replace": ["m1"], "by": "nod10"}, "nod10 is no host", "Did you mean node10"),
        ({"replace": ["m1", "m2"]}, "m1, m2 are 2 hosts", "one after the other"),
        ({"replace": ["m1"], "by": "m1"}, "replaced by itself", "Leave `by` out"),
    ],
)
def test_what_is_wrong_with_the_names_is_said(asked, said, fix):
    _request_read, findings = _request.read(KNOWN, **asked)
    [finding] = findings
    assert said in finding.found and fix in finding.fix and finding.check == "request-unknown"


def test_to_restart_nobody_in_particular_is_to_restart_all():
    assert _request.read(KNOWN, roll=["all"])[0] == _request.Request("roll", KNOWN)
    for nobody in ([""], [], [" "]):
        assert "no host is named" in _request.read(KNOWN, roll=nobody)[1][0].found
    request, findings = _request.read(KNOWN, roll=["m2"])
    assert (request.nodes, request.leaving, request.renewed, findings) == (("m2",), (), (), ())
    assert "m9 is no host" in _request.read(KNOWN, roll=["m9"])[1][0].found


def test_a_move_names_nobody():
    assert _request.read(KNOWN, move=True) == (_request.Request("move"), ())
    assert _request.read(KNOWN, move=False) == (_request.Request(), ())


@pytest.mark.parametrize(
    ("asked", "kinds"),
    [
        ({"move": True, "roll": ["m1"]}, "move and roll"),
        ({"upgrade": True, "move": True}, "upgrade and move"),
        ({"remove": ["m1"], "replace": ["m2"]}, "remove and replace"),
    ],
)
def test_one_thing_is_asked_at_a_time(asked, kinds):
    request, [finding] = _request.read(KNOWN, **asked)
    assert (request, finding.check) == (_request.Request(), "request-unknown")
    assert finding.found == f"{kinds} are asked for at once"
