# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One cluster that stays what it is: authorities, record, members of etcd, versions that run."""

from __future__ import annotations

import dataclasses
import itertools

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _preflight,
    _preflight_cluster,
    _preflight_view,
    _request,
    _topology,
    _upgrade_scene,
)
from cluster_fixtures import ENDPOINT, address, fresh, inventory, living, member, settings
from preflight_fixtures import NAMES, bare, found, judge, three, viewed

# Certificates


def test_a_living_cluster_without_its_ca_store_stops_the_run():
    observed = {"m1": living("m1", [member("m1")]), "w1": fresh("w1")}
    findings = judge(inventory(["m1"], ["w1"]), observed, store=False)
    assert found(findings) == found(findings, "error") == [("", "ca-store")]
    assert "/inv/pki" in findings[0].found
    assert judge(inventory(["m1"], ["w1"]), observed, store=True) == ()


@pytest.mark.parametrize("alive", [True, False])
def test_no_second_ca_is_made_where_the_one_that_leaves_has_all_of_the_first(alive):
    """With an endpoint of somebody else's nothing else tells of the cluster."""
    listed, made = inventory(["m1", "m2"]), settings(endpoint_mode="external")
    request = _request.Request("replace", ("m1",), "m2")
    observed = {"m2": fresh("m2")} | ({"m1": living("m1", [member("m1")])} if alive else {})
    topology = _topology.build(made, listed, observed, request=request)
    view = _preflight.View(made, listed.without(("m1",)), observed, topology)
    assert not topology.ca_may_be_created
    told = [one.found for one in _preflight.judge(view) if one.check == "ca-store"]
    assert told == (["CA store not found at /inv/pki, but m1 carry certificates"] if alive else [])


def test_a_host_of_another_ca_is_found():
    findings = three(ca_fingerprints={"kubernetes": ["aa"]})
    assert findings == ()
    observed = {name: fresh(name, ca_fingerprints={"kubernetes": ["aa"]}) for name in NAMES}
    observed["m2"]["ca_fingerprints"] = {"kubernetes": ["ff"]}
    assert found(judge(inventory(NAMES), observed)) == [("m2", "ca-differs")]


@pytest.mark.parametrize("authority", ["kubernetes", "front_proxy", "etcd_client", "etcd_peer"])
def test_each_authority_is_the_same_on_all_hosts(authority):
    members = [member(name) for name in NAMES]
    observed = {name: living(name, members) for name in NAMES}
    observed["m2"]["ca_fingerprints"] = {**observed["m1"]["ca_fingerprints"], authority: ["ff"]}
    findings = judge(inventory(NAMES), observed, store=True)
    assert [(finding.host, finding.level) for finding in findings] == [("m2", "error")]
    assert findings[0].found == f"m2: another {authority} CA than the other hosts"


@pytest.mark.parametrize(
    ("prints", "expected"),
    [
        ("abbbb", ["m1"]),
        ("aaabb", ["m4, m5"]),
        ("ab-ab", ["m2, m5"]),
        ("aabca", ["m3", "m4"]),
        ("-----", []),
        ("a----", []),
    ],
)
def test_the_smaller_part_of_the_hosts_is_the_one_of_another_ca(prints, expected):
    names = [f"m{number + 1}" for number in range(len(prints))]
    observed = bare(*names)
    for name, one in zip(names, prints):
        observed[name]["ca_fingerprints"] = {"kubernetes": [] if one == "-" else [one]}
    findings = judge(inventory(names), observed)
    assert found(findings) == [(hosts[:2], "ca-differs") for hosts in expected]
    assert [finding.found.split(":")[0] for finding in findings] == expected


def test_hosts_in_the_middle_of_a_ca_rotation_agree():
    observed = bare(*NAMES)
    for name, prints in (("m1", ["old"]), ("m2", ["new", "old"]), ("m3", ["new"])):
        observed[name]["ca_fingerprints"] = {"kubernetes": prints}
    assert judge(inventory(NAMES), observed) == ()


# One cluster


MADE = {
    "name": "prod",
    "endpoint": ENDPOINT,
    "endpoint_port": 6443,
    "endpoint_mode": "managed",
    "service_cidr": "10.96.0.0/16",
    "pod_cidr": "10.244.0.0/16",
    "cluster_domain": "cluster.local",
    "etcd": "stacked",
}


def recorded(record, **more):
    """Judge a living cluster of three masters that carry this record."""
    members = [member(name) for name in NAMES]
    observed = {name: living(name, members, cluster=record) for name in NAMES}
    return judge(inventory(NAMES), observed, store=True, **more)


@pytest.mark.parametrize(
    ("more", "was"),
    [
        ({"endpoint_address": "192.0.2.99"}, ENDPOINT),
        ({"endpoint_port": 8443}, "6443"),
        ({"endpoint_mode": "external"}, "managed"),
        ({"service_cidr": "10.97.0.0/16"}, "10.96.0.0/16"),
        ({"pod_cidr": "10.245.0.0/16"}, "10.244.0.0/16"),
        ({"cluster_domain": "example.org"}, "cluster.local"),
    ],
)
def test_what_a_living_cluster_was_made_with_stays(more, was):
    (name,) = more
    (finding,) = recorded(MADE, **more)
    assert (finding.check, finding.level) == ("cluster-changed", "error")
    assert finding.fix.startswith(f"Set multimaster_{name} back to {was}:")
    assert finding.found.endswith(f"made with {was} (m1, m2, m3)")


@pytest.mark.parametrize(
    ("record", "more"),
    [
        (MADE, {}),
        (MADE, {"even_voters": True}),
        ({"name": "prod", "endpoint": ENDPOINT}, {"endpoint_port": 8443, "endpoint_mode": "external"}),
        ({"name": "prod"}, {"service_cidr": "10.97.0.0/16", "pod_cidr": "10.245.0.0/16"}),
        ({"name": "prod", "endpoint": ENDPOINT}, {"cluster_domain": "example.org"}),
        (None, {"cluster_domain": "example.org"}),
    ],
)
def test_a_record_without_a_difference_says_nothing_and_neither_does_an_older_one(record, more):
    assert recorded(record, **more) == ()


def test_a_host_that_has_no_certificates_yet_may_still_change():
    assert three(cluster=MADE) == ()
    listed, observed = inventory(NAMES), {name: fresh(name, cluster=MADE) for name in NAMES}
    assert judge(listed, observed, service_cidr="10.97.0.0/16") == ()


@pytest.mark.parametrize("prints", list(itertools.permutations([["old"], ["new"], ["old", "new"]])))
def test_in_a_rotation_who_trusts_both_authorities_joins_the_rest_whatever_the_names(prints):
    observed = bare(*NAMES)
    for name, trusted in zip(NAMES, prints, strict=True):
        observed[name]["ca_fingerprints"] = {"kubernetes": trusted}
    assert judge(inventory(NAMES), observed) == ()
    observed["m1"]["ca_fingerprints"] = {"kubernetes": ["another"]}
    assert len(found(judge(inventory(NAMES), observed))) == (2 if len(prints[0]) == 2 else 1)


def test_without_a_name_no_host_is_said_to_be_another_clusters():
    view = viewed(inventory(["m1"]), {"m1": fresh("m1", cluster={"name": "other"})})
    assert found(_preflight_cluster.same_cluster(view)) == [("m1", "cluster-other")]
    nameless = dataclasses.replace(view, settings=dataclasses.replace(view.settings, cluster_name=None))
    assert found(_preflight_cluster.same_cluster(nameless)) == []


def test_a_fresh_host_that_names_another_cluster_is_an_error():
    findings = three(cluster={"name": "other"})
    assert found(findings) == [("m1", "cluster-other")]
    assert findings[0].level == "error"


@pytest.mark.parametrize(("name", "wanted"), [("other", [("m3", "cluster-other")]), ("prod", []), (None, [])])
def test_a_host_of_another_cluster_is_not_taken_out_of_use_here(name, wanted):
    members = [member(one) for one in NAMES]
    observed = {one: living(one, members) for one in NAMES}
    observed["m3"]["cluster"] = {"name": name} if name else None
    request = _request.Request(_request.REMOVE, ("m3",))
    topology = _topology.build(settings(), inventory(NAMES), observed, True, request=request)
    view = _preflight_view.View(settings(), inventory(NAMES).without(("m3",)), observed, topology, True)
    assert found(_preflight_cluster.same_cluster(view)) == wanted


def test_a_host_of_another_cluster_is_told_once_with_what_is_to_be_done():
    members = [member("m1")]
    observed = {"m1": living("m1", members), "w1": fresh("w1", certificates=True, cluster=dict(MADE, name="old", endpoint="x"))}
    (finding,) = judge(inventory(["m1"], ["w1"]), observed, store=True)
    assert (finding.host, finding.check) == ("w1", "cluster-other")
    assert "/etc/kubernetes/multimaster.json" in finding.found
    assert all(path in finding.fix for path in ("/etc/kubernetes", "/etc/etcd", "/var/lib/etcd", "/var/lib/kubelet"))


# etcd and versions


def test_data_without_a_record_and_without_quorum_is_an_error():
    etcd = {"data": True, "record": None, "unit": "active", "status": None}
    assert ("", "etcd-refused") in found(judge(inventory(["m1"]), {"m1": fresh("m1", etcd=etcd)}), "error")


def raised(observed, host, member_id, alarm="NOSPACE"):
    """Let a host's member tell of an alarm."""
    observed[host]["etcd"]["status"]["alarms"] = [{"member_id": member_id, "alarm": alarm}]
    return observed


@pytest.mark.parametrize(
    ("member_id", "alarm", "said", "following"),
    [
        (member("m2")["id"], "NOSPACE", "etcd has raised NOSPACE on m2: no write is taken", "defragment"),
        ("4711", "CORRUPT", "etcd has raised CORRUPT on 1267: no write is taken", "replace_node.yml"),
    ],
)
def test_an_alarm_of_etcd_is_an_error_that_names_the_member_whoever_tells_of_it(member_id, alarm, said, following):
    members = [member(name) for name in NAMES]
    observed = raised({name: living(name, members) for name in NAMES}, "m1", member_id, alarm)
    errors = [finding for finding in judge(inventory(NAMES), observed, store=True) if finding.level == "error"]
    assert [(finding.check, finding.found) for finding in errors] == [("etcd-alarm", said)]
    assert following in errors[0].fix


def test_a_host_with_another_address_than_its_member_is_an_error_that_says_what_to_do():
    members = [member("m1"), {**member("m2"), "peer_urls": ["https://192.0.2.99:2380"]}, member("m3")]
    observed = {name: living(name, members) for name in NAMES}
    errors = [finding for finding in judge(inventory(NAMES), observed, store=True) if finding.level == "error"]
    assert [(one.host, one.check) for one in errors] == [("m2", "etcd-address")]
    said = f"the others reach etcd member m2 at https://192.0.2.99:2380, and the host's address is {address('m2')}"
    assert errors[0].found == said
    assert "multimaster_node_address" in errors[0].fix and "docs/runbooks/address-changed.md" in errors[0].fix


def strays(listed, members, **changes):
    """Return (level, found) of the findings on strays in a living cluster; changes go to every host."""
    observed = {name: living(name, members, master=name in listed.masters, **changes) for name in listed.names}
    findings = judge(listed, observed, store=True)
    return [(finding.level, finding.found) for finding in findings if finding.check == "etcd-stray"]


@pytest.mark.parametrize(
    ("left_out", "level"),
    [
        (member("m3"), "error"),
        (member("m3", learner=True), "error"),
        (member("m3", learner=True, started=False), "warning"),
    ],
)
def test_a_master_left_out_of_the_inventory_is_an_error_and_a_member_that_never_ran_a_warning(left_out, level):
    found_ones = strays(inventory(["m1", "m2"]), [member("m1"), member("m2"), left_out])
    assert [one for one, _found in found_ones] == [level]
    assert "m3" in found_ones[0][1] or "unnamed" in found_ones[0][1]


def test_both_kinds_of_strays_are_told_apart():
    members = [member("m1"), member("m2"), member("m3"), member("m4", learner=True, started=False)]
    assert [level for level, _found in strays(inventory(["m1", "m2"]), members)] == ["error", "warning"]


@pytest.mark.parametrize(
    ("etcd", "record", "level"),
    [
        (["e1", "e2"], None, "warning"),
        (["e1", "e2"], {"name": "prod"}, "warning"),
        (["e1", "e2"], {"name": "prod", "etcd": "external"}, "warning"),
        (["e1", "e2"], {"name": "prod", "etcd": "stacked"}, "error"),
    ],
)
def test_a_stray_of_external_etcd_is_a_warning_unless_etcd_was_on_the_masters(etcd, record, level):
    members = [member(name) for name in ("e1", "e2", "e3")]
    assert [one for one, _found in strays(inventory(["m1"], etcd=etcd), members, cluster=record)] == [level]


def test_masters_that_are_listed_as_etcd_hosts_too_are_stacked():
    members = [member(name) for name in NAMES]
    listed = inventory(["m1", "m2"], etcd=["m1", "m2"])
    (finding,) = [
        finding
        for finding in judge(listed, {name: living(name, members) for name in listed.names}, store=True)
        if finding.check == "etcd-stray"
    ]
    assert (finding.level, finding.fix[:53]) == ("error", "List the host again under kube_control_plane and etcd")


@pytest.mark.parametrize(
    ("listed", "members", "said"),
    [
        (inventory(["m1", "m2"]), NAMES, "under kube_control_plane: it"),
        (inventory(["m1"], ["m2"]), ("m1", "m2"), "under kube_control_plane: it"),
        (inventory(["m1", "m2"], etcd=["m1", "m2"]), NAMES, "under kube_control_plane and etcd: it"),
    ],
)
def test_a_master_that_is_not_listed_as_one_is_left_out_and_the_groups_it_belongs_in_are_named(listed, members, said):
    there = [member(name) for name in members]
    observed = {name: living(name, there, master=name in listed.masters) for name in listed.names}
    findings = [finding for finding in judge(listed, observed, store=True) if finding.check == "etcd-stray"]
    assert [finding.level for finding in findings] == ["error"]
    assert said in findings[0].fix


def test_a_master_with_another_address_is_not_left_out():
    moved = dict(member("m2"), peer_urls=["https://192.0.2.99:2380"])
    assert [level for level, _found in strays(inventory(["m1", "m2"]), [member("m1"), moved])] == ["warning"]


# Masters left out


EXTERNAL = ("e1", "e2", "e3")


def with_parts(names=NAMES, leave=(), masters=NAMES, workers=(), seen=None, request=_request.CONVERGING, **hosts):
    """Return the findings `master-stray` where all masters of `names` were made with etcd elsewhere and know each other.

    `masters` and `workers` are listed; of `leave` nobody was observed; `hosts` are fields of InventoryHost.
    """
    members = [member(name) for name in EXTERNAL]
    listed = inventory(masters, workers, EXTERNAL, **hosts)
    observed = {name: living(name, members, master=name in names) for name in listed.names if name not in leave}
    for name in {*names} & {*observed}:
        peers, servers = [address(other) for other in names if other != name], {other: address(other) for other in names}
        observed[name]["endpoint_files"] = {"source": address(name), "peers": peers, "servers": servers}
        observed[name]["units"].update({"keepalived": "active", "multimaster-endpoint": "inactive"})
    for name, change in (seen or {}).items():
        observed[name].update(change)
    made = settings()
    topology = _topology.build(made, listed, observed, True, request=request)
    view = _preflight.View(made, listed.without(request.leaving), observed, topology, True)
    return [one for one in _preflight.judge(view) if one.check == "master-stray"]


def test_a_whole_cluster_with_etcd_elsewhere_has_no_master_left_out():
    assert with_parts() == []


@pytest.mark.parametrize("kept", [["m1", "m2"], ["m1"], ["m3"]])
def test_a_master_that_is_dropped_while_others_know_it_as_a_peer_is_an_error(kept):
    findings = with_parts(masters=kept)
    gone = [name for name in NAMES if name not in kept]
    assert [(one.host, one.level) for one in findings] == [("", "error")] * len(gone)
    for name, one in zip(gone, findings, strict=True):
        assert one.found == f"{name} ({address(name)}) is a VRRP peer of {', '.join(kept)} and no master of the inventory"
        assert f"remove_node.yml -e node={name}," in one.fix and f"List it as {name} under kube_control_plane again" in one.fix


def test_a_dropped_master_that_no_balancer_names_is_told_by_its_address():
    files = {"source": address("m1"), "peers": ["192.0.2.77"], "servers": {}}
    (finding,) = with_parts(masters=["m1"], names=["m1"], seen={"m1": {"endpoint_files": files}})
    assert finding.found.startswith("192.0.2.77 is a VRRP peer of m1 and") and "-e node=NAME," in finding.fix


def test_a_master_that_balancers_know_by_its_node_name_is_called_as_the_inventory_lists_it():
    files = {"source": address("m1"), "peers": ["192.0.2.77"], "servers": {"node-w1": "192.0.2.77"}}
    seen = {"m1": {"endpoint_files": files}, "w1": {"hostname": "node-w1"}}
    (finding,) = with_parts(masters=["m1"], names=["m1"], workers=["w1"], seen=seen)
    assert finding.found.startswith("w1 (192.0.2.77) is a VRRP peer of m1 and") and "-e node=w1," in finding.fix


def test_a_master_that_is_listed_as_a_worker_is_told_once_alive_or_dead():
    (alive,) = with_parts(masters=["m1", "m2"], workers=["m3"])
    assert (alive.host, alive.level) == ("m3", "error")
    assert alive.found == "it is not listed as a master and has the units kube-apiserver and multimaster-endpoint"
    (dead,) = with_parts(masters=["m1", "m2"], workers=["m3"], leave=["m3"])
    assert (dead.host, dead.level) == ("", "error") and dead.found.startswith("m3 (192.0.2.13) is a VRRP peer of m1, m2 and")


def test_one_of_two_masters_that_was_cut_off_while_it_left_is_no_worker_yet():
    """Its API server is stopped by then, but what would bring the address back at boot is there until it is bare."""
    units = {"kube-apiserver": "not-found", "multimaster-endpoint": "inactive", "kubelet": "active"}
    alone = {"source": "", "peers": [], "servers": {}}
    seen = {"m2": {"units": units}, "m1": {"endpoint_files": alone}}
    (finding,) = with_parts(("m1", "m2"), masters=["m1"], workers=["m2"], seen=seen)
    assert finding.found == "it is not listed as a master and has the units multimaster-endpoint"
    seen["m2"]["units"] = {"kubelet": "active"}
    assert with_parts(("m1", "m2"), masters=["m1"], workers=["m2"], seen=seen) == [], "bare, and made a worker"


@pytest.mark.parametrize(
    ("request_", "leave", "seen"),
    [
        pytest.param(_request.Request("remove", ("m3",)), (), {}, id="removal"),
        pytest.param(_request.Request("remove", ("m3",)), ("m3",), {}, id="removal of a dead one"),
        pytest.param(_request.Request("remove", ("m3",)), (), {"m3": fresh("m3")}, id="cut off when the host was bare already"),
        pytest.param(_request.Request("remove", ("m1", "m3")), ("m3",), {}, id="removal of two"),
        pytest.param(_request.Request("replace", ("m3",)), (), {"m3": fresh("m3")}, id="a new machine under the old name"),
    ],
)
def test_a_master_that_leaves_is_not_left_out(request_, leave, seen):
    assert with_parts(leave=leave, seen=seen, request=request_) == []


def test_a_replacement_that_was_cut_off_is_finished_by_the_same_command():
    request = _request.Request("replace", ("m3",), "m4")
    files = {"source": address("m4"), "peers": [address("m1"), address("m2")], "servers": {"m4": address("m4")}}
    seen = {"m4": {"endpoint_files": files, "cluster": {"name": "prod", "replaces": "m3"}}}
    assert with_parts(masters=[*NAMES, "m4"], leave=["m3"], seen=seen, request=request) == []
    (finding,) = with_parts(masters=["m1", "m2", "m4"], seen=seen)
    assert "-e node=m3," in finding.fix, "it was taken out of the inventory before its end"


def test_a_dead_master_that_leaves_and_is_reached_by_a_dns_name_is_known_by_the_others():
    request, named = _request.Request("remove", ("m3",)), {"ansible_host": "m3.example.org"}
    assert with_parts(leave=["m3"], request=request, m3=named) == []


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"m2": {"source": "192.0.2.99", "peers": [address("m1")], "servers": {}}}, id="set up with the old one"),
        pytest.param({"m2": None}, id="a new machine, which the balancers have by its name"),
    ],
)
def test_a_master_whose_address_changed_is_not_left_out(files):
    servers = {"m1": address("m1"), "m2": "192.0.2.99"} if files["m2"] is None else {}
    seen = {name: {"endpoint_files": found} for name, found in files.items()}
    seen["m1"] = {"endpoint_files": {"source": address("m1"), "peers": ["192.0.2.99"], "servers": servers}}
    assert with_parts(("m1", "m2"), masters=["m1", "m2"], seen=seen) == []


def test_files_of_another_cluster_or_of_none_say_nothing_of_ours():
    for record in (None, {"name": "other"}):
        assert with_parts(masters=["m1"], seen={"m1": {"cluster": record}}) == []
        assert with_parts(masters=["m1"], workers=["m2"], names=["m2"], seen={"m2": {"cluster": record}}) == []


def test_data_of_no_member_is_in_the_way():
    members = [member("m1")]
    lost = {"data": True, "record": None, "unit": "inactive", "status": None}
    observed = {"m1": living("m1", members), "m2": fresh("m2", etcd=lost, certificates=True)}
    findings = judge(inventory(["m1", "m2"]), observed, store=True)
    assert found(findings, "error") == [("m2", "etcd-obstacle")]


@pytest.mark.parametrize(
    ("measured", "said"),
    [
        ({"m2": 0.3, "m3": 150.0}, ""),
        ({"m2": 0.3, "m3": 151.0}, "the largest round-trip time is 151 ms (m1-m3)"),
        ({"m2": None, "m3": 0.3}, "no round-trip time was measured between m1-m2"),
    ],
)
def test_members_far_from_each_other_are_a_warning_and_so_is_a_distance_nobody_knows(measured, said):
    observed = bare(*NAMES)
    observed["m1"]["rtt_ms"], observed["m2"]["rtt_ms"] = measured, {"m3": 0.3}
    observed["m3"]["rtt_ms"] = {}
    findings = judge(inventory(NAMES), observed)
    assert [(finding.check, finding.level) for finding in findings] == ([("etcd-latency", "warning")] if said else [])
    assert not said or findings[0].found.startswith(said)


@pytest.mark.parametrize(
    ("running", "wanted", "checks"),
    [
        ({"kube-apiserver": "1.36.3", "kubelet": "1.36.3"}, "1.36.3", []),
        ({"kube-apiserver": "1.36.3", "kubelet": "1.36.3"}, "1.36.9", []),
        ({"kube-apiserver": "1.36.3"}, "1.37.0", ["version-hop"]),
        ({"kube-apiserver": "1.36.3"}, "1.38.0", ["version-hop"]),
        ({"kube-apiserver": "1.36.3"}, "2.0.0", ["version-hop"]),
        ({"kube-apiserver": "1.36.3", "etcd": "3.6.17"}, "1.37.0", ["version-hop", "version-older-patch"]),
        ({"kube-apiserver": "1.38.0", "kube-scheduler": "1.36.3"}, "1.38.0", ["skew-kube-scheduler", "version-skips"]),
        ({"kubelet": "1.36.3"}, "1.37.2", ["version-hop"]),
        ({"kube-apiserver": "1.37.2", "kubelet": "1.36.3"}, "1.37.2", []),  # a hop that was begun is finished
        ({"kube-apiserver": "1.37.2"}, "1.36.3", ["version-downgrade"]),
        ({"kube-apiserver": "1.36.5"}, "1.36.3", ["version-older-patch"]),
        ({"kube-apiserver": "what"}, "1.37.2", ["skew-version"]),
        ({"etcd": "3.6.16"}, "1.36.3", []),
    ],
)
def test_a_running_cluster_keeps_its_minor(running, wanted, checks):
    observed = {"m1": living("m1", [member("m1")], versions=running)}
    findings = judge(inventory(["m1"]), observed, store=True, kubernetes_version=wanted)
    assert [finding.check for finding in findings] == checks


@pytest.mark.parametrize(
    ("running", "wanted", "checks"),
    [("3.6.16", "3.6.17", []), ("3.6.16", "3.7.3", ["version-hop"]), ("3.6.10", "3.7.3", ["version-hop"])],
)
def test_a_running_etcd_keeps_its_minor(running, wanted, checks):
    observed = {"m1": living("m1", [member("m1")], versions={"etcd": running})}
    findings = judge(inventory(["m1"]), observed, store=True, etcd_version=wanted)
    assert found(findings, "error") == [("", check) for check in checks]


def test_the_newest_that_runs_is_the_version_to_go_back_to():
    members = [member("m1"), member("m2"), member("m3")]
    observed = {name: living(name, members) for name in NAMES}
    observed["m2"]["versions"]["kube-apiserver"] = "1.36.10"
    (finding,) = judge(inventory(NAMES), observed, store=True, kubernetes_version="1.37.2")
    assert finding.fix.endswith("or set multimaster_kubernetes_version back to 1.36.10.") and "upgrade.yml" in finding.fix
    assert finding.wanted == "a release of 1.36"


STEPWISE = "no minor may be skipped: set multimaster_kubernetes_version to a 1.37 release, run upgrade.yml, then go on"


@pytest.mark.parametrize(
    ("wanted", "way"),
    [("1.37.0", "upgrade.yml goes there without an outage"), ("1.38.0", STEPWISE), ("2.0.0", STEPWISE)],
)
def test_upgrade_yml_is_named_as_the_way_to_the_next_minor_only(wanted, way):
    (finding,) = judge(inventory(["m1"]), {"m1": living("m1", [member("m1")])}, store=True, kubernetes_version=wanted)
    assert finding.fix == f"{way}; or set multimaster_kubernetes_version back to 1.36.3."


def test_a_node_that_is_too_old_may_be_taken_out_as_its_finding_says_and_nothing_else_be_done():
    observed = {"m1": living("m1", [member("m1")]), "w1": living("w1", [], master=False)}
    observed["w1"]["versions"]["kubelet"] = "1.32.9"
    listed, made = inventory(["m1"], ["w1"]), settings()
    told = {}
    for request in (_request.Request(), _request.Request("roll", ("m1",)), _request.Request("remove", ("w1",))):
        topology = _topology.build(made, listed, observed, True, request=request)
        view = _preflight.View(made, listed.without(request.leaving), observed, topology, True)
        told[request.kind] = [one.fix for one in _preflight.judge_request(view, request.kind) if one.check == "skew-kubelet"]
    assert [len(fixes) for fixes in told.values()] == [1, 1, 0]
    assert "remove_node.yml -e node=w1" in told["converge"][0]


def test_a_dead_master_is_replaced_in_the_middle_of_an_upgrade():
    members = [member("m1"), member("m2"), member("m3")]
    observed = {name: living(name, members) for name in ("m1", "m3")} | {"m4": fresh("m4")}
    listed, made = inventory([*NAMES, "m4"]), settings(kubernetes_version="1.37.2", etcd_version="3.7.3")
    request = _request.Request("replace", ("m2",), "m4")
    topology = _topology.build(made, listed, observed, True, request=request)
    view = _preflight.View(made, listed.without(("m2",)), observed, topology, True)
    assert not [one for one in _preflight.judge(view) if one.check.startswith(("version-", "skew-"))]
    # what the run leaves has to fit: here the controllers of a master whose API server nobody knows anything of
    observed["m1"]["versions"].update({"kube-controller-manager": "1.37.2", "kube-apiserver": "1.37.2"})
    del observed["m1"]["versions"]["kube-apiserver"]
    unknown = _topology.build(made, listed, observed, True, request=request)
    view = _preflight.View(made, listed.without(("m2",)), observed, unknown, True)
    assert "skew-kube-controller-manager" in {one.check for one in _preflight.judge(view)}
    observed["m1"]["unit_versions"] = {"kube-apiserver": "1.37.2"}
    stopped = _topology.build(made, listed, observed, True, request=request)
    view = _preflight.View(made, listed.without(("m2",)), observed, stopped, True)
    assert "skew-kube-controller-manager" not in {one.check for one in _preflight.judge(view)}
    converging = _topology.build(made, listed, observed, True)
    assert "version-hop" in {one.check for one in _preflight.judge(_preflight.View(made, listed, observed, converging, True))}


def test_a_new_cluster_is_built_in_any_minor():
    assert judge(inventory(["m1"]), bare("m1"), kubernetes_version="1.37.2", etcd_version="3.7.3") == ()


def test_running_versions_are_gathered_by_component():
    observed = {"m1": living("m1", [member("m1")])}
    listed, made = inventory(["m1"]), settings()
    view = _preflight.View(made, listed, observed, _topology.build(made, listed, observed, True), True)
    running = _upgrade_scene.running_versions(view.seen())
    assert (running.apiserver, running.etcd, running.kubelet) == ({"m1": "1.36.3"}, {"m1": "3.6.16"}, {})
