# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools
import pathlib

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _beside_turns, _lock, _request
from cluster_fixtures import settings

DOCS = pathlib.Path(__file__).resolve().parents[4] / "docs"
TURNING = (_request.UPGRADE, _request.ROLL)
OTHERS = (_request.CONVERGE, _request.REMOVE, _request.REPLACE, _request.MOVE)


def fact(kind, *wishes, before="", after="", gives_way=False, checking=False, **more):
    """Return the keys for a request with these wishes; `more` are settings without their prefix."""
    wanted = {name: name in wishes for name in _beside_turns.WISHES}
    order = dict.fromkeys(("demote", "roll_late"), ("m1",) if gives_way else ())
    return _beside_turns.fact(settings(**more), kind, {"before": before, "after": after}, wanted, order, checking)


@pytest.mark.parametrize("kind", TURNING)
@pytest.mark.parametrize(
    ("wishes", "before", "checking", "each", "confirmed", "before_host"),
    [
        ((), "", False, False, False, False),
        ((), "b.yml", False, False, False, True),  # tasks of the user's alone are enough
        (("confirmed",), "", False, False, True, False),
        (("confirm_each",), "", False, True, False, True),
        (("confirm_each", "confirmed"), "", False, True, False, True),  # who is to be asked each time is asked the first time too
        (("confirm_each",), "", True, False, False, False),  # check mode asks nobody
        (("confirm_each", "confirmed"), "", True, False, True, False),
    ],
)
def test_what_is_asked_and_run_before_a_turn(kind, wishes, before, checking, each, confirmed, before_host):
    made = fact(kind, *wishes, before=before, checking=checking)
    assert (made["confirm_each"], made["confirmed"], made["before_host"]) == (each, confirmed, before_host)


@pytest.mark.parametrize("kind", OTHERS)
def test_without_turns_that_were_asked_for_a_wish_means_nothing_but_that_the_plan_was_read(kind):
    made = fact(kind, *_beside_turns.WISHES, before="b.yml", after="a.yml", gives_way=True, upgrade_canary_seconds=30)
    assert made["operation"] == made["go_on"] == ""
    assert made["hooks"] == {"before": "", "after": ""}
    assert not any(made[key] for key in ("confirm_each", "before_host", "before_swap", "reboot"))
    assert made["confirmed"] and made["canary"]["seconds"] == 0
    assert made["seconds"]["restart"] == made["seconds"]["usual"]


@pytest.mark.parametrize(("before", "gives_way"), list(itertools.product(("", "b.yml"), (False, True))))
def test_before_members_change_places_comes_what_comes_before_a_turn(before, gives_way):
    made = fact(_request.UPGRADE, before=before, gives_way=gives_way)
    assert made["gives_way"] == gives_way
    assert made["before_swap"] == bool(before and gives_way)


@pytest.mark.parametrize(("kind", "which"), [(_request.ROLL, "roll_late"), (_request.UPGRADE, "demote")])
def test_who_gives_way_is_known_by_the_order_of_the_request(kind, which):
    order = {"demote": [], "roll_late": [], which: ["m1"]}
    no_wish = dict.fromkeys(_beside_turns.WISHES, False)
    assert _beside_turns.fact(settings(), kind, {"before": "", "after": ""}, no_wish, order, False)["gives_way"]
    order[which] = []
    assert not _beside_turns.fact(settings(), kind, {"before": "", "after": ""}, no_wish, order, False)["gives_way"]


@pytest.mark.parametrize(
    ("kind", "wishes", "reboot"),
    [
        (_request.ROLL, ("reboot",), True),
        (_request.ROLL, (), False),
        (_request.UPGRADE, ("reboot",), False),  # upgrade.yml reboots nobody
    ],
)
def test_a_reboot_takes_as_long_as_a_slow_step(kind, wishes, reboot):
    made = fact(kind, *wishes)
    assert made["reboot"] == reboot
    assert made["seconds"]["restart"] == made["seconds"]["slow" if reboot else "usual"]
    assert made["seconds"]["slow"] > made["seconds"]["usual"]


def test_an_upgrade_alone_is_watched():
    assert fact(_request.UPGRADE, upgrade_canary_seconds=30)["canary"] == {"seconds": 30, "leader_changes": 1}
    assert fact(_request.ROLL, upgrade_canary_seconds=30)["canary"]["seconds"] == 0


def test_where_a_person_says_no_the_next_command_is_said():
    assert fact(_request.UPGRADE)["go_on"] == "the same command again goes on here"
    assert fact(_request.ROLL)["go_on"] == "roll.yml with -e node=HOSTS,… and whoever else is left"
    assert fact(_request.ROLL, "reboot")["go_on"].endswith("left, and -e reboot=true")


def test_who_cannot_be_asked_is_told_what_to_give():
    assert "confirmed=true" in fact(_request.REMOVE)["ask_without"]
    assert fact(_request.ROLL, "confirm_each")["ask_without"] == "leave confirm_each out"


@pytest.mark.parametrize("kind", [*TURNING, *OTHERS])
@pytest.mark.parametrize(("given", "longer"), [(30, 0), (300, 0), (301, 1), (7200, 6900)])
def test_the_lock_is_held_for_as_long_as_pods_are_given_to_end(kind, given, longer):
    made = fact(kind, drain_seconds=given)
    usual = made["seconds"]["usual"]
    assert made["drain_seconds"] == given
    assert made["seconds"]["drain"] == usual + longer <= _lock.LONGEST_SECONDS
    assert made["seconds"]["turns"] == {"member": usual, "master": usual, "node": usual + longer, "restart": usual + longer}


def longest(**more):
    """Return for how many seconds the lock may be held at most, of an upgrade with a person to ask and of a roll with reboots."""
    made = [fact(kind, "confirm_each", "reboot", **more)["seconds"] for kind in TURNING]
    return max(_lock.duration(seconds) for one in made for seconds in (*one.pop("turns").values(), *one.values()))


@pytest.mark.parametrize("page", ["operations/README.md", "runbooks/master-is-dead.md", "runbooks/upgrade-stopped.md"])
def test_whoever_waits_for_a_dead_runs_lock_is_told_how_long(page):
    text = " ".join((DOCS / page).read_text().split())
    assert "31 minutes at most, by default" in text or "after 11 minutes at most, 31 in those steps, by default" in text
    assert (_lock.duration(_lock.STEP_SECONDS), longest()) == (11 * 60, 31 * 60)
    assert "names the end" in text


def test_from_which_settings_on_the_lock_lasts_longer():
    text = " ".join((DOCS / "operations/README.md").read_text().split())
    assert "with more than 1500 or 1200 in these settings" in text and "at most two and a quarter hours" in text
    assert longest(drain_seconds=1500) == longest(upgrade_canary_seconds=1200) == longest()
    assert longest(drain_seconds=1501) == longest(upgrade_canary_seconds=1201) == longest() + 1
    most = max(longest(drain_seconds=7200), longest(upgrade_canary_seconds=3600))
    assert 2 * 3600 < most < 2.25 * 3600
