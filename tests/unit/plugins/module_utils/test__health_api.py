# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the API and the way to it: what each says, and where it says nothing."""

from __future__ import annotations

from health_fixtures import cluster, told


def test_an_api_server_whose_etcd_came_back_is_left_two_minutes():
    made = cluster()
    made.read["m2"]["api"].update(ready=False, failed=["etcd"])
    assert told(made.judge()[0], "api-down")[0].fix.startswith("Wait two minutes")
    made.stop_etcd("m2")
    assert told(made.judge()[0], "api-down")[0].fix == "It waits for its etcd: mend that first."


def test_a_balancer_that_avoids_a_dead_api_server_is_right():
    made = cluster()
    made.read["m2"]["api"]["ready"] = False
    for reader in ("m1", "m2", "m3"):
        made.read[reader]["balancer"]["servers"]["m2"].update(status="down", up=False)
    assert told(made.judge()[0], "balancer-server") == []


def test_a_hung_master_that_still_answers_by_arp_is_named():
    made = cluster()
    made.lose("m1")  # it held the address, and its kernel still answers for it
    made.read["m2"]["balancer"].update(held_on=["eth0"], others=["02:00:c0:00:02:0b"])
    found = told(made.judge()[0], "endpoint-twice")[0]
    assert found.found.endswith("is held by m2, m1")
    assert found.fix == "m1 may hang and still answer by ARP: switch it off."


def test_the_only_one_who_answers_for_the_address_may_be_a_master_that_cannot_be_asked():
    made = cluster()
    made.lose("m1")
    findings, _verdict = made.judge()
    assert told(findings, "endpoint-nobody") + told(findings, "endpoint-twice") == []
