# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools
import json
import pathlib
import re

import pytest
import yaml
from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _host,
    _kube_objects,
    _request,
    _topology,
    _topology_fact,
)
from cluster_fixtures import ENDPOINT, address, fresh, inventory, living, member, settings

NOBODY = "all:!all"
# What a host whose member does not answer tells of it.
NO_STATUS = _host.no_status("nothing listens on port 2379")
ROOT = pathlib.Path(__file__).resolve().parents[4]


def built(listed, observed, store=False, **more):
    return _topology.build(settings(**more), listed, observed, store, nonce="5eed")


def fact(listed, observed, store=False, **more):
    return _topology_fact.as_fact(built(listed, observed, store, **more))


def etcd(listed, observed, store=False, **more):
    return built(listed, observed, store, **more).etcd


def bare(*names):
    return {name: fresh(name) for name in names}


def one_and_one():
    return fact(inventory(["m1"], ["w1"]), bare("m1", "w1"))


def test_one_master_and_one_worker_are_founded():
    made = one_and_one()
    assert made["masters"] == made["members"] == ["m1"]
    assert made["workers"] == ["w1"]
    assert made["endpoint"]["mode"] == "direct"
    assert (made["endpoint"]["address"], made["endpoint"]["port"]) == (ENDPOINT, 6443)
    assert made["etcd"]["initial_cluster"] == {"m1": "https://192.0.2.11:2380"}
    assert made["order"]["bootstrap"] == made["order"]["token_issuer"] == "m1"
    assert made["order"]["grow"] == made["order"]["balancers"] == NOBODY
    assert made["joining"] == ["m1", "w1"]
    assert (made["ca_store"], made["ca_may_be_created"]) == ("/inv/pki", True)


@pytest.mark.parametrize("kind", ["remove", "replace", "roll", "move"])
def test_only_site_and_upgrade_change_versions(kind):
    listed, new = inventory(["m1", "m2", "m3", "m4"]), {"kubernetes_version": "1.37.2", "etcd_version": "3.7.3"}
    members = [member("m1"), member("m2"), member("m3")]
    seen = {**{name: living(name, members) for name in ("m1", "m3")}, "m4": fresh("m4")}
    request = _request.Request(kind, ("m2",), by="m4" if kind == "replace" else "")
    made = _topology.build(settings(**new), listed, seen, True, request=request)
    assert made.keeps_versions
    assert {made.versions[name]["apiserver"] for name in ("m1", "m3", "m4")} == {"1.36.3"}
    assert {made.versions[name]["etcd"] for name in ("m1", "m3", "m4")} == {"3.6.16"}
    assert any("versions stay as they are" in said for said in made.plan.notes)
    for request in (_request.CONVERGING, _request.Request("upgrade")):
        changing = _topology.build(settings(**new), listed, seen, True, request=request)
        assert not changing.keeps_versions
        assert {changing.versions[name]["apiserver"] for name in ("m1", "m3", "m4")} == {"1.37.2"}


def test_the_fact_is_plain_data():
    made = one_and_one()
    assert json.loads(json.dumps(made)) == made


# Who is given the fact: playbooks and their wiring, actions, and the files actions and filters hand it to.
HANDED_ON = ("_summary", "_pki_plan", "_turns", "_health*")
READERS = ("playbooks/**/*.yml", "plugins/action/*.py", *(f"plugins/module_utils/{name}.py" for name in HANDED_ON))
KEYS = sorted(
    (part, key)
    for part, content in {"multimaster": one_and_one(), **one_and_one(), "host": one_and_one()["hosts"]["m1"]}.items()
    if isinstance(content, dict) and part not in ("hosts", "order")
    for key in content
)


def readings(part, key):
    """Return a pattern for every way in which a key is read: by the part's usual names, as an attribute or as an item."""
    names = {"multimaster": "multimaster|cluster|fact", "host": r"__self|hosts?|host\(\w+\)", "etcd": "etcd"}.get(part, part)
    item = rf'\.{key}\b|(?:"\])?\["{key}"\]|\.get\("{key}"\)'
    return re.compile(rf"""\b(?:{names})(?:{item})|(?:attribute|key_name|value_name)='{key}'""")


@pytest.mark.parametrize(("part", "key"), KEYS)
def test_every_key_of_the_fact_is_read_by_somebody(part, key):
    files = [path for pattern in READERS for path in ROOT.glob(pattern)]
    assert any(readings(part, key).search(path.read_text()) for path in files), "leave out of the fact what nobody reads"


def test_the_wiring_knows_every_order_and_no_other():
    wiring = yaml.safe_load((ROOT / "playbooks/vars/wiring.yml").read_text())
    assert sorted(wiring["__orders"]) == sorted(one_and_one()["order"])


def test_the_services_first_addresses_are_the_apis_and_the_dns():
    network = fact(inventory(["m1"]), bare("m1"), service_cidr="10.32.0.0/24")["network"]
    assert (network["api_service_address"], network["dns_address"]) == ("10.32.0.1", "10.32.0.10")


def test_a_master_that_is_no_worker_is_tainted_and_a_worker_is_not():
    hosts = one_and_one()["hosts"]
    assert hosts["m1"]["taints"] == [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]
    assert hosts["m1"]["labels"] == {}, "a kubelet may not give itself a node-role label"
    assert (hosts["w1"]["taints"], hosts["w1"]["labels"]) == ([], {})


def test_a_master_that_is_a_worker_too_has_no_taint():
    made = fact(inventory(["m1"], ["m1"]), bare("m1"))
    assert made["hosts"]["m1"]["taints"] == []
    assert made["order"]["nodes"] == "m1"


def test_a_zone_becomes_the_well_known_label():
    made = fact(inventory(["m1"], ["w1"], zones={"m1": "a", "w1": "b"}), bare("m1", "w1"))
    assert made["hosts"]["m1"]["labels"]["topology.kubernetes.io/zone"] == "a"
    assert made["hosts"]["w1"]["labels"] == {"topology.kubernetes.io/zone": "b"}


def test_masters_use_their_own_api_server_and_workers_the_endpoint():
    hosts = one_and_one()["hosts"]
    assert hosts["m1"]["api_server"] == "https://192.0.2.11:6443"
    assert hosts["w1"]["api_server"] == "https://192.0.2.10:6443"


def test_the_files_a_host_needs_follow_its_roles():
    made = fact(inventory(["m1"], ["w1"], ["e1"]), bare("m1", "w1", "e1"))
    assert made["hosts"]["m1"]["sets"] == ["master", "node", "flannel"]
    assert made["hosts"]["w1"]["sets"] == ["node", "flannel"]
    assert made["hosts"]["e1"]["sets"] == ["member"]
    assert fact(inventory(["m1"]), bare("m1"), network="none")["hosts"]["m1"]["sets"] == ["master", "member", "node"]


def test_three_masters_found_together_and_are_balanced():
    names = ["m3", "m1", "m2"]
    made = fact(inventory(names, ["w1"]), bare(*names, "w1"))
    assert made["endpoint"]["mode"] == "balanced"
    assert made["order"]["bootstrap"] == "m1,m2,m3"
    assert sorted(made["etcd"]["initial_cluster"]) == ["m1", "m2", "m3"]
    assert made["hosts"]["m2"]["vrrp"]["peers"] == [address("m1"), address("m3")]
    assert len({made["hosts"][name]["vrrp"]["priority"] for name in names}) == 3
    assert made["hosts"]["m2"]["etcd_endpoints"] == ["https://192.0.2.12:2379"]


@pytest.mark.parametrize("names", list(itertools.permutations(["m1", "m2", "m3"])))
def test_inventory_order_means_nothing(names):
    assert fact(inventory(names), bare(*names)) == fact(inventory(sorted(names)), bare(*sorted(names)))


def test_of_two_masters_one_votes_and_one_joins_as_learner():
    made = fact(inventory(["m1", "m2"]), bare("m1", "m2"))
    voters = [name for name, host in made["hosts"].items() if host["voter"]]
    assert len(voters) == 1
    (learner,) = {"m1", "m2"} - set(voters)
    assert (made["order"]["bootstrap"], made["order"]["grow"]) == (voters[0], learner)
    assert etcd(inventory(["m1", "m2"]), bare("m1", "m2")).promote == ()
    assert made["hosts"][learner]["etcd_endpoints"] == [f"https://{address(voters[0])}:2379"]


def test_even_voters_when_asked_for():
    made = fact(inventory(["m1", "m2"]), bare("m1", "m2"), even_voters=True)
    assert [host["voter"] for host in made["hosts"].values()] == [True, True]


def test_an_etcd_cluster_of_its_own_is_used_by_every_api_server():
    names = ["e1", "e2", "e3"]
    made = fact(inventory(["m1", "m2"], [], names), bare("m1", "m2", *names))
    assert made["etcd"]["stacked"] is False
    assert made["members"] == names
    assert made["hosts"]["m1"]["etcd_endpoints"] == [f"https://{address(name)}:2379" for name in names]
    assert (made["hosts"]["m1"]["voter"], made["hosts"]["e1"]["voter"]) == (False, True)
    assert (made["hosts"]["e1"]["labels"], made["hosts"]["e1"]["taints"]) == ({}, [])
    assert "e1" not in made["joining"]


def test_an_etcd_group_that_is_the_masters_is_stacked():
    assert fact(inventory(["m1"], [], ["m1"]), bare("m1"))["etcd"]["stacked"] is True


def test_etcd_on_some_masters_serves_the_others_too():
    made = fact(inventory(["m1", "m2"], [], ["m1"]), bare("m1", "m2"))
    assert made["hosts"]["m2"]["etcd_endpoints"] == ["https://192.0.2.11:2379"]


def test_a_finished_cluster_has_nothing_to_do():
    listed, members = inventory(["m1", "m2", "m3"]), [member(name) for name in ("m1", "m2", "m3")]
    observed = {name: living(name, members) for name in ("m1", "m2", "m3")}
    made, decided = fact(listed, observed, True), etcd(listed, observed, True)
    assert (decided.action, decided.start, decided.join, decided.promote) == ("none", (), (), ())
    for name in ("bootstrap", "grow", "token_issuer"):
        assert made["order"][name] == NOBODY
    assert made["joining"] == []
    assert made["ca_may_be_created"] is False


def test_a_node_keeps_its_name_when_the_hostname_has_changed():
    listed = inventory(["m1"], ["w1"])
    observed = {"m1": living("m1", [member("m1")]), "w1": living("w1", [], master=False, hostname="ip-192-0-2-21")}
    observed["w1"]["node_name"] = "w1"
    made = fact(listed, observed, True)
    assert made["hosts"]["w1"]["node_name"] == "w1", "by that name it is drained and taken out"


def test_where_certificates_have_expired_masters_renew_them_and_all_is_looked_at_again():
    listed, members = inventory(["m1", "m2", "m3"], ["w1"]), [member(name) for name in ("m1", "m2", "m3")]
    observed = {**{name: living(name, members) for name in ("m1", "m2", "m3")}, "w1": living("w1", [], master=False)}
    asked = ("stale", "stale_through", "stale_seen", "stale_decided")
    assert {fact(listed, observed, True)["order"][name] for name in asked} == {NOBODY}
    for name in ("m1", "m2", "m3"):
        expired = {
            "status": {**observed[name]["etcd"]["status"], "ok": False, "asked": False},
            "stale": ["/etc/etcd/pki/peer.crt"],
        }
        observed[name]["etcd"].update(expired)
    observed["m3"]["certificates"] = False  # another machine under its name: it waits for its part of the run
    made = _topology.build(settings(), listed, observed, True)
    order = _topology_fact.as_fact(made)["order"]
    assert [order[name] for name in asked] == ["m1,m2", "m1", "m1,m2,m3,w1", "localhost"]
    assert (order["bootstrap"], order["grow"], order["demote"]) == (NOBODY, NOBODY, NOBODY)
    assert made.plan.steps == ()
    assert "m1, m2, m3 could not be asked" in made.plan.notes[-1]


def test_the_api_is_asked_where_it_runs_and_in_check_mode_nowhere_else():
    listed, members = inventory(["m1", "m2", "m3"]), [member("m2")]
    observed = {**bare("m1", "m3"), "m2": living("m2", members)}
    assert fact(listed, observed, True)["order"]["any_master"] == "m2"
    assert fact(listed, bare("m1", "m2", "m3"))["order"]["any_master"] == "m1"
    looking = _topology.build(settings(), listed, bare("m1", "m2", "m3"), acts=False)
    assert dict(looking.order)["any_master"] == dict(looking.order)["token_issuer"] == []


def with_dead_etcd(observed, *names):
    """Let the etcd member of these masters be dead beside an API server that systemd still calls active."""
    for name in names:
        observed[name]["etcd"]["status"] = dict(NO_STATUS)
        observed[name]["units"]["etcd"] = "failed"
    return observed


@pytest.mark.parametrize(
    ("dead", "asked"),
    [((), "m1"), (("m1",), "m2"), (("m1", "m2"), "m3"), (("m2",), "m1"), (("m1", "m2", "m3"), "m1")],
)
def test_an_api_server_whose_etcd_is_dead_is_asked_only_when_no_other_is_better(dead, asked):
    listed, members = inventory(["m1", "m2", "m3"]), [member(name) for name in ("m1", "m2", "m3")]
    observed = with_dead_etcd({name: living(name, members) for name in ("m1", "m2", "m3")}, *dead)
    made = fact(listed, observed, True)
    assert (made["order"]["any_master"], made["lock"]["host"]) == (asked, asked)
    for name, host in made["hosts"].items():
        assert host["neighbour"] == min({"m1", "m2", "m3"} - {name}, key=lambda one: (one in dead, one))


def test_an_api_server_of_external_etcd_can_answer_while_one_of_its_members_serves():
    listed, members = inventory(["m1", "m2"], [], ["e1", "e2", "e3"]), [member(name) for name in ("e1", "e2", "e3")]
    observed = {name: living(name, members, master=name[0] == "m") for name in listed.names}
    observed["m1"]["api_server"]["etcd_servers"] = ["https://192.0.2.31:2379"]
    assert fact(listed, observed, True)["order"]["any_master"] == "m1"
    with_dead_etcd(observed, "e1")
    assert fact(listed, observed, True)["order"]["any_master"] == "m2"
    observed["m1"]["api_server"]["etcd_servers"].append("https://192.0.2.32:2379")
    assert fact(listed, observed, True)["order"]["any_master"] == "m1"


def test_who_lets_the_address_go_is_asked_when_nobody_else_can_answer():
    listed, members = inventory(["m1", "m2"]), [member("m1"), member("m2")]
    observed = {name: living(name, members) for name in ("m1", "m2")}
    for name, seen in observed.items():
        seen["units"].update(haproxy="active", keepalived="active")
        seen["endpoint_address"]["held_on"] = ["eth0"] if name == "m1" else []
    moved = _request.Request(_request.MOVE)
    assert _topology.build(settings(), listed, observed, True, request=moved).lock_host == "m2"
    with_dead_etcd(observed, "m2")
    assert _topology.build(settings(), listed, observed, True, request=moved).lock_host == "m1"


def test_a_cluster_is_given_up_where_it_is_still_known():
    listed, members = inventory(["m1", "m2", "m3"]), [member("m2")]
    observed = {**bare("m1", "m3"), "m2": living("m2", members)}
    assert fact(listed, observed, True)["order"]["given_up"] == fact(listed, observed, True)["order"]["lease"] == "m2"
    bare_hosts = fact(listed, bare("m1", "m2", "m3"))["order"]
    assert bare_hosts["given_up"] == bare_hosts["lease"] == NOBODY
    other = {**observed, "m2": {**observed["m2"], "cluster": {"name": "another"}}}
    assert fact(listed, other, True)["order"]["given_up"] == NOBODY


@pytest.mark.parametrize(("mode", "wanted"), [("managed", "m1"), ("external", NOBODY)])
def test_who_leaves_gives_up_its_part_in_an_endpoint_of_ours(mode, wanted):
    listed, members = inventory(["m1", "m2", "m3"], ["w1", "w2"]), [member("m1"), member("m2"), member("m3")]
    observed = {name: living(name, members, master=name[0] == "m") for name in ("m1", "m2", "m3", "w1")}
    request = _request.Request(_request.REMOVE, ("m1", "w1", "w2"))
    topology = _topology.build(settings(endpoint_mode=mode), listed, observed, True, request=request)
    made = _topology_fact.as_fact(topology)
    order = made["order"]
    assert made["leaving"]["balancers"] == (["m1"] if mode == "managed" else [])
    assert sorted(order["leaving"].split(",")) == ["m1", "w1"], "w2 cannot be reached"
    assert (order["leaving_masters"], order["leaving_balancers"]) == ("m1", wanted)


@pytest.mark.parametrize(
    ("in_etcd", "first"),
    [(["m1", "m2", "m3", "m4", "m5"], "m5"), (["m1", "m2", "m3", "m4"], "m4"), (["m1", "m2", "m3"], None)],
    ids=["nobody is out", "a run that was cut off took one out", "both are out"],
)
def test_the_gate_before_anything_stops_is_asked_for_the_first_member_that_is_still_in_etcd(in_etcd, first):
    listed, members = inventory(["m1", "m2", "m3", "m4", "m5"]), [member(name) for name in in_etcd]
    observed = {name: living(name, members) for name in ("m1", "m2", "m3", "m4", "m5")}
    topology = _topology.build(settings(), listed, observed, True, request=_request.Request(_request.REMOVE, ("m5", "m4")))
    leaving = _topology_fact.as_fact(topology)["leaving"]
    assert [one["node_name"] for one in leaving["next_member"]] == ([first] if first else [])
    assert len(leaving["members"]) == 2


@pytest.mark.parametrize(
    ("mode", "drained", "remove", "balancing"),
    [
        ("managed", {}, "", NOBODY),
        ("managed", {"m1": ["m2"], "m3": ["m2"]}, "", "m1,m3"),
        ("managed", {"m2": ["m1"]}, "m2", "m2"),  # it leaves, and may have the address until it has
        ("external", {"m1": ["m2"]}, "", NOBODY),
    ],
)
def test_a_balancer_that_keeps_an_api_server_out_of_use_is_told_also_where_one_master_is_to_be_left(
    mode, drained, remove, balancing
):
    listed, members = inventory(["m1", "m2", "m3"]), [member("m1"), member("m2"), member("m3")]
    observed = {name: living(name, members, drained=drained.get(name, [])) for name in ("m1", "m2", "m3")}
    request = _request.Request(_request.REMOVE, (remove,)) if remove else _request.Request()
    topology = _topology.build(settings(endpoint_mode=mode), listed, observed, True, request=request)
    assert _topology_fact.as_fact(topology)["order"]["balancing"] == balancing


def test_the_lock_lies_where_every_run_would_look():
    """In the cluster; while no API server runs on the host of that name that is first; both where the only one may be away."""
    three, members = inventory(["m1", "m2", "m3"]), [member("m2")]
    one_serves = {**bare("m1", "m3"), "m2": living("m2", members)}
    assert fact(three, one_serves, True)["lock"] == {"host": "m2", "places": ["cluster"]}
    assert fact(three, bare("m1", "m2", "m3"))["lock"] == {"host": "m1", "places": ["host"]}
    assert fact(three, bare("m2", "m3"), True)["lock"]["host"] == "m2", "a dead master can hold nothing"
    assert fact(three, {}, True)["lock"]["host"] == "m1"
    one = fact(inventory(["m1"]), {"m1": living("m1", [member("m1")])}, True)
    assert one["lock"] == {"host": "m1", "places": ["host", "cluster"]}
    looking = _topology.build(settings(), three, bare("m1", "m2", "m3"), acts=False)
    assert looking.lock_host == "m1", "a check has to find a host's name there"


def test_a_second_master_joins_as_learner_and_the_first_keeps_voting():
    listed, observed = inventory(["m1", "m2"]), {"m1": living("m1", [member("m1")]), "m2": fresh("m2")}
    made, decided = fact(listed, observed, True), etcd(listed, observed, True)
    assert (decided.action, decided.join, decided.promote) == ("join", ("m2",), ())
    assert made["hosts"]["m1"]["voter"] is True
    assert made["order"]["token_issuer"] == made["order"]["any_master"] == "m1"


def test_a_founding_that_was_cut_off_goes_on_from_its_record():
    record = {"token": "prod-old", "initial_cluster": {name: f"https://{address(name)}:2380" for name in ("m1", "m2", "m3")}}
    seen = {"data": True, "record": record, "unit": "active", "status": None}
    observed = {"m1": fresh("m1", etcd=seen, certificates=True), "m2": fresh("m2"), "m3": fresh("m3")}
    assert etcd(inventory(["m1", "m2", "m3"]), observed, True).action == "resume"
    made = fact(inventory(["m1", "m2", "m3"]), observed, True)
    assert (made["etcd"]["token"], made["etcd"]["initial_cluster"]) == ("prod-old", record["initial_cluster"])


def test_the_holder_of_the_endpoint_comes_first():
    members = [member(name) for name in ("m1", "m2", "m3")]
    observed = {name: living(name, members) for name in ("m1", "m2", "m3")}
    observed["m2"]["endpoint_address"] = {"held_on": ["eth0"]}
    assert fact(inventory(["m1", "m2", "m3"]), observed, True)["order"]["holder_first"] == "m2,m1,m3"


def test_who_runs_vrrp_comes_before_a_newcomer_whom_it_does_not_know_yet():
    members = [member(name) for name in ("m1", "m2", "m3")]
    observed = {name: living(name, members) for name in ("m1", "m2", "m3")}
    observed["m3"]["units"]["keepalived"] = "active"
    assert fact(inventory(["m1", "m2", "m3"]), observed, True)["order"]["holder_first"] == "m3,m1,m2"


@pytest.mark.parametrize(
    ("status", "leftover"),
    [
        pytest.param(None, True, id="removed, not back yet"),
        pytest.param({"ok": True, "healthy": False}, True, id="a removed member that does not know it yet"),
        pytest.param({"ok": True, "healthy": True}, False, id="back as a learner, cut off before that was recorded"),
    ],
)
def test_data_that_etcd_serves_are_no_leftover_of_a_former_member(status, leftover):
    members = [member("m1"), member("m2", learner=True)]
    observed = {name: living(name, members, cluster={"name": "prod", "etcd_leftover": True}) for name in ("m1", "m2")}
    observed["m2"]["etcd"]["status"] = status and dict(observed["m2"]["etcd"]["status"], **status)
    assert fact(inventory(["m1", "m2"]), observed, True)["hosts"]["m2"]["etcd_leftover"] is leftover


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ({"node_address": "198.51.100.7"}, "198.51.100.7"),
        ({"ansible_host": "192.0.2.11"}, "192.0.2.11"),
        ({"ansible_host": "m1.example.org"}, "192.0.2.11"),
        ({"ansible_host": "203.0.113.5"}, "192.0.2.11"),
        # an IPv6 address of the host is no node address
        ({"ansible_host": "2001:db8::11"}, "192.0.2.11"),
    ],
)
def test_the_node_address_is_set_or_reached_or_of_the_default_route(host, expected):
    one, seen = _topology.InventoryHost("m1", **host), fresh("m1")
    seen["addresses"].append({"interface": "eth0", "address": "2001:db8::11", "prefix": 64})
    assert _topology.node_address(one, seen, ENDPOINT) == expected


def test_an_unseen_host_keeps_the_address_it_is_reached_by():
    assert _topology.node_address(_topology.InventoryHost("m1", ansible_host="192.0.2.11"), None) == "192.0.2.11"
    assert _topology.node_address(_topology.InventoryHost("m1", ansible_host="m1.example.org"), None) == ""


@pytest.mark.parametrize(
    ("said", "found"),
    [
        pytest.param({"ansible_host": "rack7.example.org"}, ("m3", "192.0.2.13"), id="reached by a DNS name"),
        pytest.param({"ansible_host": "203.0.113.5"}, ("m3", "192.0.2.13"), id="reached behind address translation"),
        pytest.param({"node_address": "192.0.2.13", "ansible_host": "x"}, ("m3", "192.0.2.13"), id="its address is set"),
    ],
)
@pytest.mark.parametrize("kind", ["remove", "converge"])
def test_a_dead_host_is_the_member_that_etcd_knows(said, found, kind):
    members = [member(name) for name in ("m1", "m2", "m3")]
    seen = {name: living(name, members) for name in ("m1", "m2")}
    request = _request.Request(kind, ("m3",) if kind == "remove" else ())
    made = _topology.build(settings(), inventory(["m1", "m2", "m3"], m3=said), seen, True, request=request)
    (dead,) = [host for host in (*made.hosts, *made.leaving) if host.name == "m3"]
    assert (dead.node_name, dead.address) == found
    assert made.etcd.strays == ()
    assert made.etcd.remove == (("m3", "m2") if kind == "remove" else ()), "of two voters one comes back as the learner"


def test_a_dead_host_whose_inventory_name_is_another_than_its_hostname_is_found_by_its_address():
    members = [member("m1"), {**member("m2"), "name": "node-2"}, member("m3")]
    seen = {name: living(name, members) for name in ("m1", "m3")}
    made = _topology.build(settings(), inventory(["m1", "m2", "m3"]), seen, True, request=_request.Request("remove", ("m2",)))
    forgotten = _topology_fact.as_fact(made)["forgotten"]
    assert forgotten["members"] == [{"node_name": "node-2", "peer_url": "https://192.0.2.12:2380"}]
    assert forgotten["nodes"] == [{"node_name": "node-2", "address": "192.0.2.12"}]


@pytest.mark.parametrize("node", ["m2", "node-b"])
@pytest.mark.parametrize("former", ["m2", "node-a"])
def test_a_new_machine_under_an_old_name_takes_its_former_self_out_whatever_either_is_called(former, node):
    members = [member("m1"), {**member("m2"), "name": former}, member("m3")]
    seen = {**{name: living(name, members) for name in ("m1", "m3")}, "m2": fresh("m2", hostname=node)}
    request = _request.Request("replace", ("m2",))
    made = _topology.build(settings(), inventory(["m1", "m2", "m3"]), seen, True, request=request)
    assert not made.plan.refusals
    assert [(step.kind, step.host) for step in made.plan.steps if step.kind in ("remove", "add_learner", "promote")] == [
        ("remove", "m2"),
        ("add_learner", "m2"),
        ("promote", "m2"),
    ]
    forgotten = _topology_fact.as_fact(made)["forgotten"]
    assert [one["peer_url"] for one in forgotten["members"]] == ["https://192.0.2.12:2380"]
    assert [one["address"] for one in forgotten["nodes"]] == ["192.0.2.12"]


def test_a_dead_master_with_etcd_elsewhere_is_known_by_the_balancers():
    members = [member("e1")]
    seen = {name: living(name, members, master=name[0] == "m") for name in ("m1", "e1")}
    seen["m1"]["endpoint_files"] = {"source": "192.0.2.11", "peers": [], "servers": {"m1": "192.0.2.11", "node-2": "192.0.2.12"}}
    listed, request = inventory(["m1", "m2"], [], ["e1"]), _request.Request("remove", ("m2",))
    made = _topology.build(settings(), listed, seen, True, request=request)
    assert [(host.node_name, host.address) for host in made.leaving] == [("node-2", "192.0.2.12")]


def test_the_endpoint_address_is_never_taken_for_the_node_address():
    observation = fresh("m1", addresses=[*fresh("m1")["addresses"], {"interface": "eth0", "address": ENDPOINT, "prefix": 24}])
    assert _topology.node_address(_topology.InventoryHost("m1", ansible_host=ENDPOINT), observation, ENDPOINT) == "192.0.2.11"


@pytest.mark.parametrize("file", ["playbooks/vars/wiring.yml", "roles/coredns/vars/main.yml"])
def test_the_label_of_masters_is_what_data_has_too(file):
    assert _topology.CONTROL_PLANE_LABEL in (pathlib.Path(__file__).parents[4] / file).read_text()


def test_a_zone_is_written_and_read_by_one_label():
    assert _topology.ZONE_LABEL == _kube_objects.ZONE_LABEL


def test_the_node_name_is_the_hostname_in_lower_case():
    assert fact(inventory(["m1"]), {"m1": fresh("m1", hostname="Master-1")})["hosts"]["m1"]["node_name"] == "master-1"


def test_a_new_ca_is_never_made_when_a_host_has_certificates_or_was_not_seen():
    listed = inventory(["m1"], ["w1"])
    assert fact(listed, bare("m1", "w1"), store=True)["ca_may_be_created"] is False
    assert fact(listed, {"m1": fresh("m1", certificates=True), "w1": fresh("w1")})["ca_may_be_created"] is False
    assert fact(listed, {"m1": fresh("m1")})["ca_may_be_created"] is False


def test_an_external_balancer_leaves_the_api_server_on_its_own_port():
    made = fact(inventory(["m1", "m2", "m3"], ["w1"]), bare("m1", "m2", "m3", "w1"), endpoint_mode="external", endpoint_port=443)
    assert made["endpoint"]["mode"] == "external"
    assert (made["endpoint"]["api_port"], made["hosts"]["m1"]["api_server"]) == (6443, "https://192.0.2.11:6443")
    assert made["hosts"]["w1"]["api_server"] == "https://192.0.2.10:443"


@pytest.mark.parametrize(
    ("more", "seconds"),
    [
        ({}, 3),
        ({"endpoint_check_seconds": 12}, 3),
        ({"endpoint_mode": "external"}, 30),
        ({"endpoint_mode": "external", "endpoint_check_seconds": 12}, 12),
    ],
)
def test_an_api_server_that_stops_serves_until_somebody_elses_balancer_has_found_out(more, seconds):
    assert fact(inventory(["m1"]), bare("m1"), **more)["endpoint"]["serves_on"] == seconds


def test_who_could_take_the_address_is_told_from_what_runs():
    assert fact(inventory(["m1", "m2"]), bare("m1", "m2"))["endpoint"]["able"] == []


def test_another_port_of_a_managed_endpoint_is_the_api_servers_too():
    made = fact(inventory(["m1"]), bare("m1"), endpoint_port=8443)
    assert made["hosts"]["m1"]["api_server"] == "https://192.0.2.11:8443"


def test_measured_round_trips_set_etcds_timing():
    observed = bare("m1", "m2", "m3")
    for one, other in itertools.permutations(observed, 2):
        observed[one]["rtt_ms"][other] = 180.0
    made = fact(inventory(["m1", "m2", "m3"]), observed)["etcd"]
    assert made["heartbeat_ms"] >= 180
    assert made["election_ms"] >= 10 * made["heartbeat_ms"]


def test_the_timing_in_use_stays_while_it_fits():
    members = [member("m1")]
    cluster = {"name": "prod", "heartbeat_ms": 100, "election_ms": 1000}
    made = fact(inventory(["m1"]), {"m1": living("m1", members, cluster=cluster)}, True)["etcd"]
    assert (made["heartbeat_ms"], made["election_ms"]) == (100, 1000)


def test_an_empty_inventory_and_missing_settings_still_make_a_topology():
    from ansible_collections.multimaster.kubernetes.plugins.module_utils import _settings

    parsed, _findings = _settings.parse({})
    made = _topology_fact.as_fact(_topology.build(parsed, _topology.Inventory(), {}))
    assert made["masters"] == []
    assert set(made["order"].values()) == {NOBODY}


def test_a_thousand_workers_are_placed_in_no_time():
    names = [f"n{number}" for number in range(1000)]
    hosts = tuple(_topology.InventoryHost(name, "a", f"198.18.{n // 250}.{n % 250 + 1}") for n, name in enumerate(names))
    listed = _topology.Inventory(("m1",), tuple(names), (), (*hosts, _topology.InventoryHost("m1", "a", "192.0.2.11")))
    topology = _topology.build(settings(), listed, {"m1": fresh("m1")})
    assert len(_topology_fact.as_fact(topology)["hosts"]) == 1001


def test_a_learner_that_stands_by_becomes_a_voter_together_with_the_newcomer():
    listed = inventory(["m1", "m2", "m3"])
    members = [member("m1"), member("m2", learner=True)]
    seen = {name: living(name, members) for name in ("m1", "m2")}
    seen["m3"] = fresh("m3")
    assert etcd(listed, seen, store=True).join == ("m3",)
    assert fact(listed, seen, store=True)["order"]["grow"] == "m2,m3"
