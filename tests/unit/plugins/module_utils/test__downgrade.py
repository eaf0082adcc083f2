# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The next move of etcd's formal downgrade, from every stage of it that etcd 3.6.16 and 3.7.3 were seen in."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _downgrade, _etcd, _membership
from ansible_collections.multimaster.kubernetes.plugins.module_utils._downgrade import Stand

NEW = ("3.7.3", "3.7.0", "")
TOLD = ("3.7.3", "3.7.0", "3.6.0")
FIT = ("3.7.3", "3.6.0", "3.6.0")
OLD = ("3.6.16", "3.6.0", "3.6.0")
# Before the last old member is new, and after the downgrade was called off in the middle of it.
BESIDE_OLD = ("3.7.3", "3.6.0", "")
DONE = ("3.6.16", "3.6.0", "")
SILENT = ("", "", "")
OLDER = ("3.5.21", "", "")


def stands(*kinds):
    return tuple(Stand(f"m{number}", *kind) for number, kind in enumerate(kinds, 1))


CASES = [
    # state, members, the move, and a part of its reason
    ("enabled", (NEW, NEW, NEW), "enable", "every member runs 3.7.3"),
    ("enabled", (NEW,), "enable", "every member runs 3.7.3"),
    ("enabled", (NEW, SILENT, NEW), "wait", "m2 does not say which version it runs"),
    ("enabled", (), "wait", "no member says which version it runs"),
    ("enabled", (TOLD, TOLD, FIT), "wait", "the data of m1, m2 do not fit 3.6 yet"),
    ("enabled", (TOLD, NEW, NEW), "wait", "the data of m1, m2, m3 do not fit 3.6 yet"),
    ("enabled", (FIT, FIT, FIT), "done", "a downgrade to 3.6 is enabled, and the data fit it"),
    # a run that was cut off in a turn: the member that is down starts later in the same run
    ("enabled", (FIT, SILENT, FIT), "done", "is enabled"),
    ("enabled", (OLD, FIT, SILENT), "done", "is enabled"),
    ("enabled", (OLD, OLD, OLD), "done", "is enabled"),
    ("enabled", (DONE, BESIDE_OLD, BESIDE_OLD), "done", "m1 runs 3.6.16, so the data fit 3.6"),
    ("enabled", (DONE, BESIDE_OLD, SILENT), "done", "m1 runs 3.6.16"),
    ("enabled", (DONE, NEW, NEW), "wait", "the data of m2, m3 do not fit 3.6 yet"),
    ("enabled", (DONE, DONE, DONE), "done", "m1 runs 3.6.16"),
    # etcd has not raised its cluster version yet: asking tells
    ("enabled", (BESIDE_OLD, BESIDE_OLD, BESIDE_OLD), "enable", "every member runs 3.7.3"),
    ("enabled", (("3.8.1", "3.8.0", ""), NEW), "refuse", "m1 runs 3.8.1"),
    ("enabled", (("3.7.3", "3.5.0", "3.5.0"), NEW), "wait", "a downgrade to 3.5.0 is enabled"),
    ("cancelled", (NEW, NEW), "done", "no downgrade is enabled"),
    ("cancelled", (FIT, OLD), "cancel", "a downgrade to 3.6.0 is enabled"),
    ("cancelled", (NEW, TOLD), "cancel", "a downgrade to 3.6.0 is enabled"),
    ("cancelled", (SILENT, DONE), "done", "no downgrade is enabled"),
    ("completed", (DONE, DONE), "done", "every member runs 3.6"),
    ("completed", (OLD, DONE), "wait", "etcd has not ended the downgrade yet"),
    ("completed", (OLD, FIT), "wait", "m2 runs 3.7.3, not 3.6"),
    ("completed", (DONE, SILENT), "wait", "m2 does not say"),
    ("completed", (("3.6.16", "3.7.0", ""),), "wait", "the data of m1 are not of 3.6"),
]


@pytest.mark.parametrize(("state", "kinds", "kind", "said"), CASES)
def test_the_next_move(state, kinds, kind, said):
    move = _downgrade.toward(state, "3.6", stands(*kinds))
    assert move.kind == kind
    assert said in move.reason


@pytest.mark.parametrize(("begun", "kind"), [(False, "done"), (True, "wait")])
def test_who_went_silent_after_this_run_enabled_it_is_waited_for(begun, kind):
    move = _downgrade.toward("enabled", "3.6", stands(FIT, SILENT, FIT), begun)
    assert move.kind == kind
    assert ("m2 went silent" in move.reason and "`systemctl start etcd`" in move.next_step) is begun
    assert _downgrade.toward("enabled", "3.6", stands(FIT, FIT, FIT), begun).kind == "done"


@pytest.mark.parametrize(("state", "kinds", "kind", "said"), [case for case in CASES if case[2] == "refuse"])
def test_a_refusal_has_a_next_step(state, kinds, kind, said):
    assert _downgrade.toward(state, "3.6", stands(*kinds)).next_step


def test_a_member_older_than_the_one_to_go_back_to_has_its_data_in_shape():
    assert _downgrade.toward("enabled", "3.6", stands(OLDER, DONE)).kind == _membership.DONE
    assert _downgrade.toward("completed", "3.6", stands(OLDER, DONE)).kind == _membership.WAIT


def test_in_no_state_of_three_members_an_old_program_is_let_at_newer_data():
    """Whoever goes on (done) with a member that is newer has every answering member's data made fit, or an old member left."""
    kinds = (NEW, TOLD, FIT, OLD, BESIDE_OLD, DONE, SILENT)
    seen = set()
    for three in itertools.product(kinds, repeat=3):
        members = stands(*three)
        move = _downgrade.toward("enabled", "3.6", members)
        seen.add(move.kind)
        if move.kind == _membership.DONE:
            assert not [one for one in members if one.version and _downgrade.line(one.storage) != (3, 6)], three
        if move.kind == _downgrade.ENABLE:
            assert all(_downgrade.line(one.version) == (3, 7) and not one.downgrade for one in members), three
    assert seen == {"done", "wait", "enable"}


def status(name, version="3.7.3", storage="3.7.0", downgrade=""):
    """Return what a member of this name says of itself."""
    counters = dict.fromkeys(("raft_term", "raft_index", "raft_applied_index", "db_size", "db_size_in_use"), 0)
    return _etcd.Status(
        f"id-{name}", "c", "id-m1", False, version=version, storage_version=storage, downgrade=downgrade, **counters
    )


@pytest.mark.parametrize(
    ("views", "stood"),
    [
        ([_etcd.View("https://m1:2379", status("m1", "3.7.3", "3.6.0", "3.6.0"), healthy=True)], Stand("m1", *FIT)),
        # it answers and proves nothing: its word about itself is as good
        ([_etcd.View("https://m1:2379", status("m1"), healthy=False)], Stand("m1", *NEW)),
        ([_etcd.View("https://m1:2379", error="timed out")], Stand("m1", *SILENT)),
        # another answers at its address, as after an exchange of hosts
        ([_etcd.View("https://m1:2379", status("m2"), healthy=True)], Stand("m1", *SILENT)),
        ([], Stand("m1", *SILENT)),
    ],
)
def test_a_member_stands_where_it_says_itself_and_who_is_silent_stands_nowhere(views, stood):
    members = (_etcd.Member("id-m1", "m1", (), (), False),)
    assert _downgrade.stands(_etcd.Observed(members, tuple(views), True)) == (stood,)


def test_who_was_added_and_never_started_has_no_data_to_fit():
    members = (_etcd.Member("id-m1", "m1", (), (), False), _etcd.Member("id-m2", "", ("https://m2:2380",), (), True))
    assert [one.name for one in _downgrade.stands(_etcd.Observed(members, (), True))] == ["m1"]


@pytest.mark.parametrize(("text", "found"), [("3.6", "3.6"), ("3.6.16", "3.6"), ("v3.10.0-rc.1", "3.10")])
def test_the_minor_of_a_version(text, found):
    assert _downgrade.minor(text) == found


@pytest.mark.parametrize("text", ["", "3", "three", None])
def test_what_is_no_version(text):
    assert _downgrade.line(text) is None
    with pytest.raises(ValueError, match="is no version"):
        _downgrade.minor(text)
