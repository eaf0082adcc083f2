# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of the API and the way to it: what each says, and where it says nothing."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _health_api, _lock
from health_fixtures import cluster, told

FETCHED = "Kubernetes API at https://x:6443, asked for GET /readyz?verbose: "
DEAD = {"ready": False, "failed": [], "error": FETCHED + "connection refused"}


def alter(part, names, **changes):
    """Return a change of that part of what these hosts read."""

    def change(made):
        for name in names:
            made.read[name][part].update(changes)

    return change


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


# API servers


@pytest.mark.parametrize(
    ("failed", "error", "said"),
    [
        (["etcd", "ping"], FETCHED + "no", "etcd, ping"),
        ([], FETCHED + "connection refused", "connection refused"),
        ([], "timed out", "timed out"),
        ([], "", "it says no more"),
    ],
    ids=["its checks come first", "the cause alone", "no client's words", "nothing"],
)
def test_why_an_api_server_is_not_ready(failed, error, said):
    made = cluster()
    made.read["m2"]["api"].update(ready=False, failed=failed, error=error)
    made.observed["m2"]["units"]["kube-apiserver"] = "failed"
    assert made.found(_health_api.api_servers) == [
        ("m2", "error", f"the API server is not ready: {said}; the unit kube-apiserver is failed")
    ]


@pytest.mark.parametrize(
    ("failed", "etcd", "fix"),
    [
        ([], True, "On m2: journalctl -u kube-apiserver -n 50; systemctl start kube-apiserver."),
        (["etcd"], False, "It waits for its etcd: mend that first."),
        (
            ["etcd"],
            True,
            "Wait two minutes: it finds an etcd that came back by itself. Then on m2: systemctl restart kube-apiserver.",
        ),
    ],
    ids=["by itself", "its etcd is down", "its etcd is back"],
)
def test_what_to_do_about_an_api_server(failed, etcd, fix):
    made = cluster()
    made.read["m2"]["api"].update(ready=False, failed=failed)
    made.member("m2", healthy=etcd)
    assert [one.fix for one in _health_api.api_servers(made.view())] == [fix]


def test_an_api_server_without_a_member_beside_it_waits_for_nobody_there():
    made = cluster(masters=("m1", "m2"), etcd=("e1", "e2", "e3"))
    made.read["m2"]["api"].update(ready=False, failed=["etcd"])
    for name in ("e1", "e2", "e3"):
        made.stop_etcd(name)
    assert [one.fix[:16] for one in _health_api.api_servers(made.view())] == ["Wait two minutes"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            [alter("api", ("m1", "m2", "m3"), **DEAD), alter("endpoint", ("m1", "m2", "m3", "w1"), **DEAD)],
            ["no API server is ready (m1: connection refused; m2: connection refused; m3: connection refused)"],
        ),
        ([alter("api", ("m1", "m2", "m3"), **DEAD)], []),
        ([alter("api", ("m1", "m2"), **DEAD), alter("endpoint", ("m1", "m2", "m3", "w1"), **DEAD)], []),
    ],
    ids=["none", "the endpoint answers", "one is left"],
)
def test_the_api_is_served_as_long_as_anybody_proves_it(change, said):
    made = cluster()
    for one in change:
        one(made)
    assert [one[2] for one in made.found(_health_api.api_served)] == said


def test_where_nobody_could_be_asked_that_is_the_reason():
    made = cluster()
    for name in list(made.observed):
        made.lose(name)
    assert made.found(_health_api.api_served) == [("", "error", "no API server is ready (none could be asked)")]
    (one,) = _health_api.endpoint_served(made.view())
    assert one.found == "the API does not answer at https://192.0.2.10:6443 (nobody could ask)"
    assert one.fix == "It answers again once an API server is ready."


def test_what_cannot_be_listed_is_said_with_each_cause_once():
    made = cluster()
    alter("api", ("m1", "m2", "m3"), leases=None, error="asked for GET /api/v1/nodes: HTTP 403 Forbidden: no")(made)
    made.read["m3"]["api"].update(ready=False, error="asked for GET /readyz: not of interest")
    assert made.found(_health_api.api_readable) == [("", "error", "nodes and leases could not be read: HTTP 403 Forbidden: no")]
    made.read["m2"]["api"].update(leases={}, error="")
    assert made.found(_health_api.api_readable) == []


def test_that_nothing_can_be_listed_is_nothing_new_where_no_api_server_is_ready():
    made = cluster()
    alter("api", ("m1", "m2", "m3"), nodes=None, leases=None, **DEAD)(made)
    assert made.found(_health_api.api_readable) == []


# The endpoint


@pytest.mark.parametrize(
    ("made", "fix"),
    [
        ({}, "On m1: journalctl -u keepalived -u haproxy -n 50."),
        ({"endpoint_mode": "external"}, "Point your balancer at the masters that are ready."),
    ],
    ids=["ours", "a balancer of the user's own"],
)
def test_an_endpoint_that_answers_nobody(made, fix):
    made = cluster(**made)
    alter("endpoint", ("m1", "m2", "m3"), **DEAD)(made)
    made.read["w1"]["endpoint"].update(ready=False, failed=["etcd"])
    (one,) = _health_api.endpoint_served(made.view())
    assert one.found == "the API does not answer at https://192.0.2.10:6443 (connection refused; etcd)"
    assert one.fix == fix
    assert made.found(_health_api.endpoint_reached) == [], "it is said once, not of every host"


def test_an_endpoint_that_nobody_holds_is_looked_for_on_the_masters():
    made = cluster()
    alter("endpoint", ("m1", "m2", "m3", "w1"), **DEAD)(made)
    alter("balancer", ("m1", "m2", "m3"), held_on=None, others=None)(made)
    assert next(_health_api.endpoint_served(made.view())).fix.startswith("On the masters: journalctl")
    assert made.found(_health_api.endpoint_held) == [("", "error", "nobody was seen to hold the endpoint address 192.0.2.10")]


def test_a_host_that_does_not_reach_what_others_reach():
    made = cluster()
    made.read["w1"]["endpoint"].update(DEAD)
    (one,) = _health_api.endpoint_reached(made.view())
    assert (one.host, one.found) == ("w1", "no API at https://192.0.2.10:6443 from here: connection refused")
    assert one.fix.startswith("On w1: ip neigh; curl -k https://192.0.2.10:6443/readyz. ")


def test_nobody_holds_an_address_that_is_not_ours_to_hold():
    made = cluster(endpoint_mode="external")
    assert [made.found(check) for check in (_health_api.endpoint_held, _health_api.endpoint_once)] == [[], []]
    assert [made.found(check) for check in (_health_api.balancers_run, _health_api.balancers_send)] == [[], []]
    assert made.found(_health_api.vrrp_settled) == []


def test_one_master_has_no_balancer_and_no_vrrp_to_be_judged():
    made = cluster(masters=("m1",))
    made.read["m1"]["balancer"].update(servers=None, vrrp=None)
    for check in (_health_api.balancers_run, _health_api.balancers_send, _health_api.vrrp_settled):
        assert made.found(check) == []
    made.read["m1"]["balancer"]["held_on"] = []
    assert len(made.found(_health_api.endpoint_held)) == 1, "the address itself is ours all the same"


MAC = "02:00:C0:00:02:"
HELD = [
    ("by its interface", {"m1": ["eth0"]}, {}, (), ["m1"]),
    ("on two interfaces of one host", {"m1": ["eth0", "lo"]}, {}, (), ["m1"]),
    ("as a cover only", {"m1": ["lo"]}, {}, (), []),
    ("by what others hear, in whatever letters", {}, {"m2": [MAC + "0B"], "m3": [(MAC + "0b").lower()]}, (), ["m1"]),
    ("seen on it and heard", {"m1": ["eth0"]}, {"m2": [MAC + "0B"]}, (), ["m1"]),
    ("by a master that cannot be asked", {}, {"m2": ["02:99"]}, ("m1",), ["m1"]),
    ("by two that cannot be asked, in their order", {}, {"m2": ["02:99", "02:98"]}, ("m1", "m3"), ["m1", "m3"]),
    ("by more than cannot be asked", {}, {"m2": ["02:98", "02:99"]}, ("m1",), ["m1", "02:99"]),
    ("by a stranger while all can be asked", {"m1": ["eth0"]}, {"m1": ["02:99"]}, (), ["m1", "02:99"]),
    ("by a worker", {}, {"m2": [MAC + "15"]}, (), ["w1"]),
]


@pytest.mark.parametrize(("held", "heard", "lost", "holders"), [row[1:] for row in HELD], ids=[row[0] for row in HELD])
def test_who_holds_the_address(held, heard, lost, holders):
    made = cluster()
    for name in ("m1", "m2", "m3"):
        made.read[name]["balancer"].update(held_on=held.get(name, []), others=heard.get(name, []))
    for name in lost:
        made.lose(name)
    assert _health_api.holders(made.view()) == holders
    twice = made.found(_health_api.endpoint_once)
    assert twice == ([("", "error", f"the endpoint address is held by {', '.join(holders)}")] if len(holders) > 1 else [])


def test_two_holders_that_both_can_be_asked_are_a_matter_of_vrrp():
    made = cluster()
    made.read["m2"]["balancer"]["held_on"] = ["eth0"]
    (one,) = _health_api.endpoint_once(made.view())
    assert one.fix.startswith("Run this again: it may just have moved.") and "protocol 112" in one.fix


# Balancers


@pytest.mark.parametrize(
    ("errors", "unit", "said"),
    [
        ({"servers": "no answer", "haproxy": "not this"}, "active", "no answer"),
        ({"haproxy": "the socket is gone"}, "active", "the socket is gone"),
        ({}, "failed", "HAProxy does not run; the unit haproxy is failed"),
    ],
)
def test_a_balancer_that_tells_nothing(errors, unit, said):
    made = cluster()
    made.read["m2"]["balancer"].update(servers=None, errors=errors)
    made.observed["m2"]["units"]["haproxy"] = unit
    assert made.found(_health_api.balancers_run) == [("m2", "error", said)]


DRAINED = "Run site.yml: it takes back a drain that was left, and lists new masters."
FILTERED = "On m2: curl -k https://192.0.2.11:6443/readyz; look for a filter between them."
OPINIONS = [
    ("it sends there", {"up": True, "status": "drain"}, None, None, None),
    ("its last check failed", {"check": "L7TOUT"}, "warning", "up, though the last check did not pass (L7TOUT)", FILTERED),
    ("no check was made yet", {"check": ""}, "warning", "up, though the last check did not pass", FILTERED),
    ("it finds it down", {"status": "down", "check": "L4CON"}, "error", "down (L4CON)", FILTERED),
    ("it was drained", {"status": "drain", "check": ""}, "error", "drain", DRAINED),
    ("it was taken out", {"status": "maint", "check": ""}, "error", "maint", DRAINED),
    ("it was left half drained", {"status": "unchecked", "check": ""}, "error", "unchecked", DRAINED),
    ("it does not know it", None, "error", "not in its configuration", DRAINED),
]


@pytest.mark.parametrize(("server", "level", "state", "fix"), [row[1:] for row in OPINIONS], ids=[row[0] for row in OPINIONS])
def test_what_a_balancer_says_of_an_api_server_that_is_ready(server, level, state, fix):
    made = cluster()
    servers = made.read["m2"]["balancer"]["servers"]
    if server is None:
        del servers["m1"]
    else:
        servers["m1"].update({"up": False, "status": "up", **server})
    findings = list(_health_api.balancers_send(made.view()))
    said = [("m1", level, f"the balancer of m2 has it {state}", fix)] if level else []
    assert [(one.host, one.level, one.found, one.fix) for one in findings] == said


def test_balancers_of_one_opinion_are_named_together():
    made = cluster()
    for reader in ("m1", "m2", "m3"):
        made.read[reader]["balancer"]["servers"]["m3"].update(up=False, status="down", check="L4CON")
    made.read["m2"]["balancer"]["servers"]["m3"].update(status="drain", check="")
    assert [one[2] for one in made.found(_health_api.balancers_send)] == [
        "the balancer of m1, m3 has it down (L4CON)",
        "the balancer of m2 has it drain",
    ]


def test_an_api_server_that_nobody_could_ask_is_judged_by_the_balancers():
    made = cluster()
    made.lose("m3")
    for reader in ("m1", "m2"):
        made.read[reader]["balancer"]["servers"]["m3"].update(up=False, status="down", check="L4TOUT")
    assert made.found(_health_api.balancers_send) == [("m3", "error", "the balancer of m1, m2 has it down (L4TOUT)")]


@pytest.mark.parametrize(
    ("vrrp", "errors", "said"),
    [
        ({"state": "holder"}, {"vrrp": "not of interest"}, None),
        ({"state": "backup"}, {}, None),
        ({"state": "fault"}, {}, "keepalived is fault"),
        (None, {"vrrp": "it does not answer"}, "keepalived is unknown: it does not answer"),
        ({}, {}, "keepalived is unknown"),
    ],
)
def test_a_keepalived_that_does_not_know_its_place(vrrp, errors, said):
    made = cluster()
    made.read["m2"]["balancer"].update(vrrp=vrrp, errors=errors)
    made.observed["m2"]["units"]["keepalived"] = "activating"
    unit = "; the unit keepalived is activating"
    assert made.found(_health_api.vrrp_settled) == ([("m2", "error", said + unit)] if said else [])


# Leases

LED = {"holder": "m2_5e0c", "age_seconds": 1.0, "duration_seconds": 15}


@pytest.mark.parametrize(
    ("lease", "said", "wanted"),
    [
        ({**LED, "age_seconds": 15 + _lock.CLOCK_SECONDS}, None, None),
        ({**LED, "age_seconds": -3.0}, None, None),
        (
            {**LED, "age_seconds": 15.1 + _lock.CLOCK_SECONDS},
            "m2 leads the kube-schedulers and last said so 17 s ago",
            "renewed within 15 s",
        ),
        (
            {**LED, "age_seconds": None},
            "m2 leads the kube-schedulers; when it last said so is not known",
            "renewed within 15 s",
        ),
        ({**LED, "holder": ""}, "nobody leads the kube-schedulers", "a leader"),
        (None, "nobody has ever led the kube-schedulers", "a leader"),
    ],
    ids=["just in time", "clocks differ", "late", "no time", "released", "never"],
)
def test_a_leader_that_renews(lease, said, wanted):
    made = cluster()
    for api in made.apis():
        api["leases"]["kube-scheduler"] = lease
    findings = list(_health_api.leases_fresh(made.view()))
    assert [(one.found, one.wanted) for one in findings] == ([(said, wanted)] if said else [])


def test_the_latest_renewal_that_anybody_saw_counts():
    made = cluster()
    for name, lease in (("m1", None), ("m2", {**LED, "age_seconds": 2.0}), ("m3", {**LED, "age_seconds": None})):
        made.read[name]["api"]["leases"] = {"kube-scheduler": lease}
    assert _health_api.leases(made.view()) == {"kube-scheduler": {**LED, "age_seconds": 2.0}}
    for name in ("m1", "m2", "m3"):
        made.read[name]["api"]["leases"] = None
    assert _health_api.leases(made.view()) == {}
    assert made.found(_health_api.leases_fresh) == [], "that they cannot be read is said by another check"
