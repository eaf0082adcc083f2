# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host is made the leader of etcd before harm is done to it."""

from __future__ import annotations

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))

import lead


class Members:
    """A lab of three members; a transfer to one of them is done at once."""

    masters = ("m1", "m2", "m3")

    def __init__(self, leader):
        self.leader, self.asked = leader, []

    def each(self, hosts, work):
        return {host: work(host) for host in hosts}

    def etcd(self, host, path, body=None):
        if body:
            self.asked.append((host, path))
            self.leader = body["targetID"]
        return {"leader": self.leader, "raftTerm": "7", "header": {"member_id": host}}


@pytest.mark.parametrize(
    ("leader", "asked", "said"),
    [
        ("m2", [("m2", "maintenance/transfer-leadership")], "m1 leads etcd, as m2 did"),
        ("m1", [], "m1 leads etcd"),
    ],
)
def test_the_leader_is_asked_to_hand_over_and_nobody_where_the_host_leads(leader, asked, said):
    lab = Members(leader)
    assert lead.lead(lab, "m1") == said
    assert (lab.asked, lab.leader) == (asked, "m1")


@pytest.mark.parametrize(("leader", "host"), [("0", "m1"), ("m2", "w1")])
def test_without_a_leader_or_a_member_nothing_is_moved(leader, host):
    with pytest.raises(SystemExit, match=f"{host} is to lead etcd"):
        lead.lead(Members(leader), host)
