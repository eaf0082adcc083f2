# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A zone that is cut off: which one, who led, and which failures came too late."""

from __future__ import annotations

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))

import drop_zone

ZONES = {"m1": "a", "m2": "b", "m3": "c"}


@pytest.mark.parametrize(
    ("leader", "holder", "chosen"), [("m1", "m1", "c"), ("m1", "m2", "c"), ("m3", "m2", "a"), ("m3", "m3", "b"), ("m2", "", "c")]
)
def test_the_zone_that_goes_has_neither_the_leader_nor_the_address(leader, holder, chosen):
    assert drop_zone.choose(ZONES, leader, holder) == chosen


class Holding:
    """A lab in which a master that lets the address go loses it to the one that ranks highest: m3, by VRRP's priority."""

    def __init__(self, holder):
        self.holder, self.told = holder, []

    def holders(self):
        return [self.holder]

    def ssh(self, host, command):
        self.told.append((host, command))
        self.holder = "m3"


@pytest.mark.parametrize(("holder", "told"), [("m1", [("m1", "systemctl restart keepalived")]), ("m3", [])])
def test_who_ranks_highest_has_the_address_and_leads_before_a_zone_goes(monkeypatch, holder, told):
    lab, led = Holding(holder), []
    monkeypatch.setattr(drop_zone.lead, "lead", lambda _cluster, host: led.append(host))
    drop_zone.settle(lab, list(ZONES))
    assert (lab.told, lab.holder, led) == (told, "m3", ["m3"])


def test_without_such_a_zone_nothing_is_cut():
    with pytest.raises(drop_zone.lab_tool.LabError, match="leader m1 and without the endpoint's holder m2"):
        drop_zone.choose({"m1": "a", "m2": "b", "m3": ""}, "m1", "m2")


def test_who_asks_in_the_cluster_is_outside():
    assert drop_zone.outside({"w1": "a", "w2": "b", "w3": "c"}, "c") == "w2"
    with pytest.raises(drop_zone.lab_tool.LabError, match="outside zone a, of w1"):
        drop_zone.outside({"w1": "a"}, "a")


def said(leader, *members):
    return {name: {"leader": leader, "raftTerm": "7", "header": {"member_id": name}} for name in members}


@pytest.mark.parametrize(("leader", "found"), [("m2", ("m2", "7")), ("0", ("", ""))])
def test_the_leader_is_who_says_so_of_itself(leader, found):
    assert drop_zone.lead.leader_of(said(leader, "m1", "m2")) == found


def result(*bursts):
    told = [
        {"from": f"2026-01-01T00:00:{begin:05.2f}Z", "to": f"2026-01-01T00:00:{end:05.2f}Z", "failed": failed}
        for begin, end, failed in bursts
    ]
    stream = {"sent": 100, "failed": 0, "longest_gap_ms": 9.0, "longest_gap_at": "", "gaps": [], "bursts": []}
    seen = stream | {"failed": sum(failed for *_when, failed in bursts), "bursts": told}
    return {"read": seen, "write": stream, "read_back": {"done": True, "lost": 0}, "watch": {"failed": 0}}


@pytest.mark.parametrize(
    ("bursts", "found"),
    [
        ((), 0),
        (((1, 4, 3),), 0),
        (((1, 9.4, 3), (21, 29.4, 3)), 0),
        (((1, 4, 4),), 1),
        (((1, 4, 2), (5, 6, 2)), 1),
        (((21, 28, 4),), 1),
        (((1, 9.6, 3),), 1),
        (((1, 4, 3), (21, 29.6, 1)), 1),
        (((1, 19, 3),), 1),
        (((18, 22, 3),), 1),
        (((0.1, 0.2, 1),), 1),
    ],
)
def test_what_was_on_its_way_may_fail_until_the_balancers_have_seen_the_cut_and_its_end(bursts, found):
    since = drop_zone.verdict.parse_time("2026-01-01T00:00:00.50Z")
    cut = drop_zone.lab_hosts.Cut("", 1, since, made=since + 0.5, until=since + 20, mended=since + 20.5)
    assert len(drop_zone.verdict.problems(result(*bursts), {}, windows=drop_zone.windows(cut))) == found


@pytest.mark.parametrize(
    ("holders", "kept_by", "said"),
    [
        (["m1"], "m1", ""),
        (["m3"], "m1", "is on m3 after the cut, and m1 was to keep it"),
        ([], "m1", "no host"),
        (["m1", "m3"], "m1", "m1, m3"),
    ],
)
def test_the_address_has_one_holder_after_the_cut(holders, kept_by, said):
    found = drop_zone.held_by(holders, kept_by)
    assert len(found) == bool(said) and said in "".join(found)
