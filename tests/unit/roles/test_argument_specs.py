# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the wiring hands to every entry point of every role, on every host of many clusters, fits what the role declares.

Done as ansible.builtin.validate_argument_spec does it in a run, so what passes here does not end a run there.
"""

from __future__ import annotations

import functools

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.template import Templar, trust_as_template
from ansible_collections.multimaster.kubernetes.plugins.action import certificates as certificates_action
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _request, _topology, _topology_fact
from ansible_collections.multimaster.kubernetes.plugins.modules import image_archive
from cluster_fixtures import fresh, inventory, living, member, settings
from rendering import ROOT, known_to

ROLES = sorted(path.name for path in (ROOT / "roles").iterdir() if path.is_dir())
SPECS = {
    role: yaml.safe_load((ROOT / "roles" / role / "meta/argument_specs.yml").read_text())["argument_specs"] for role in ROLES
}
MASTERS, MEMBERS, NODES, ALL = "master", "member", "node", "node_name"
# Whose turn it is with a role, by a key of the host's entry in the fact; `node_name` has everybody.
WHERE = {
    "api_endpoint": MASTERS,
    "binaries": ALL,
    "certificates": ALL,
    "cluster_access": MASTERS,
    "containerd": NODES,
    "coredns": MASTERS,
    "csr_approver": MASTERS,
    "etcd": MEMBERS,
    "host_preparation": ALL,
    "kube_apiserver": MASTERS,
    "kube_controller_manager": MASTERS,
    "kube_proxy": NODES,
    "kube_scheduler": MASTERS,
    "kubelet": NODES,
    "network": NODES,
    "preflight": ALL,
}
SERVING = ("kube_apiserver", "kube_controller_manager", "kube_scheduler")
# What a phase asks of a role at that moment, beside the wiring. A role that is not here is asked one thing only.
STATES = ("direct", "prepared", "balanced", "yielded", "absent", "external")
VERBS = {
    "api_endpoint": [{"api_endpoint_state": state} for state in STATES],
    "containerd": [{}, {"containerd_restart": True}],
    "etcd": [{}, {"etcd_wipe": True}],
    "host_preparation": [{"host_preparation_recorded": one} for one in ({}, {"etcd_leftover": True}, {"replaces": ""})],
    "kube_apiserver": [
        {},
        {"kube_apiserver_restart": True, "kube_apiserver_etcd_servers": "{{ __self.etcd_now }}"},
        {"kube_apiserver_restart": True, "kube_apiserver_etcd_servers": "{{ __self.etcd_endpoints }}"},
    ],
    "kube_controller_manager": [{}, {"kube_controller_manager_restart": True}],
    "kube_proxy": [{}, {"kube_proxy_restart": True}],
    "kube_scheduler": [{}, {"kube_scheduler_restart": True}],
    "kubelet": [{}, {"kubelet_restart": True}],
    "network": [{}, {"network_restart": True}],
}
# What a run knows by then of what roles left.
KNOWN = {"kube_apiserver_result": {"restart_needed": []}}


def options(role, entry="main"):
    return SPECS[role][entry]["options"]


def every_option(role):
    return {name: option for entry in SPECS[role] for name, option in options(role, entry).items()}


def wrong(spec, given):
    """Return what ansible.builtin.validate_argument_spec would say of these arguments."""
    return ArgumentSpecValidator(spec).validate(given).error_messages


def bare(listed):
    return {name: fresh(name) for name in listed.names}


def grown(listed, *names, **changes):
    """Return what is observed where these hosts are a cluster already and the others are bare."""
    members = [member(name) for name in names if name in listed.members]
    there = {name: living(name, members, name in listed.masters, **changes) for name in names}
    return {**bare(listed), **there}


def dead_member(seen, name):
    """Return these observations with one host whose etcd fails."""
    return {**seen, name: {**seen[name], "etcd": {**seen[name]["etcd"], "unit": "failed", "status": None}}}


ZONED = inventory(["m1", "m2", "m3"], ["w1", "w2"], zones={"m1": "a", "m2": "b", "m3": "c", "w1": "a", "w2": "b"})
OWN_ETCD = inventory(["m1", "m2"], ["w1", "w2"], ["e1", "e2", "e3"])
BARE, REMOVE, REPLACE, UPGRADE, ROLL = (
    _request.CONVERGING,
    _request.Request("remove", ("m3", "w2")),
    _request.Request("replace", ("m2",), by="m4"),
    _request.Request("upgrade"),
    _request.Request("roll", ("m1", "w1")),
)
OTHER = {"name": "prod", "heartbeat_ms": 150, "election_ms": 1500, "etcd_leftover": True, "replaces": "m9"}
# name: (inventory, observations, request, settings without their prefix)
CLUSTERS = {
    "one host of both kinds": (one := inventory(["m1"], ["m1"]), bare(one), BARE, {}),
    "one master": (one := inventory(["m1"], ["w1"]), bare(one), BARE, {}),
    "two masters": (one := inventory(["m1", "m2"], ["w1"]), bare(one), BARE, {}),
    "three masters": (ZONED, bare(ZONED), BARE, {}),
    "five masters": (one := inventory(["m1", "m2", "m3", "m4", "m5"]), bare(one), BARE, {}),
    "etcd on hosts of its own": (OWN_ETCD, bare(OWN_ETCD), BARE, {}),
    "etcd on a host of its own, one master": (one := inventory(["m1"], [], ["e1"]), bare(one), BARE, {}),
    "a balancer of somebody else": (ZONED, bare(ZONED), BARE, {"endpoint_mode": "external", "endpoint_port": 443}),
    "a mirror": (ZONED, bare(ZONED), BARE, {"artifact_source": "http://192.0.2.5"}),
    "another pod network": (ZONED, bare(ZONED), BARE, {"network": "none"}),
    "finished": (ZONED, grown(ZONED, *ZONED.names), BARE, {}),
    "growing": (ZONED, grown(ZONED, "m1", "w1"), BARE, {}),
    "growing, etcd on hosts of its own": (OWN_ETCD, grown(OWN_ETCD, "m1", "w1", "e1"), BARE, {}),
    "cut off": (ZONED, grown(ZONED, "m1", "m2", "m3", cluster=OTHER), BARE, {}),
    "losing hosts": (ZONED, grown(ZONED, *ZONED.names), REMOVE, {}),
    "a replacement": (one := inventory(["m1", "m2", "m3", "m4"]), grown(one, "m1", "m2", "m3"), REPLACE, {}),
    "a replacement of a living master whose member is dead": (
        one := inventory(["m1", "m2", "m3", "m4"]),
        dead_member(grown(one, "m1", "m2", "m3"), "m2"),
        REPLACE,
        {},
    ),
    "upgrading": (ZONED, grown(ZONED, *ZONED.names), UPGRADE, {"kubernetes_version": "1.37.2", "etcd_version": "3.7.3"}),
    "restarting": (ZONED, grown(ZONED, *ZONED.names), ROLL, {}),
    "restarting, etcd on hosts of its own": (OWN_ETCD, grown(OWN_ETCD, *OWN_ETCD.names), _request.Request("roll", ("e1",)), {}),
}


@functools.cache
def decided(name):
    """Return (observations, the fact `multimaster`, the hosts that stay) of a cluster."""
    listed, seen, request, more = CLUSTERS[name]
    topology = _topology.build(settings(**more), listed, seen, nonce="0", request=request)
    fact = dict(_topology_fact.as_fact(topology, run="run"), ca_store="/inventory/ca", kubeconfig="/inventory/admin.conf")
    return seen, fact, [host.name for host in topology.hosts]


def handed(cluster, role, host):
    """Yield what a role is given on a host for each thing that is asked of it, templated as in a run."""
    seen, fact, _staying = decided(cluster)
    loader, known = known_to(role, host, seen, fact)
    known.update(KNOWN)
    templar = Templar(loader=loader, variables=known)
    wired = templar.template({name: known[name] for name in every_option(role) if name in known})
    for verbs in VERBS.get(role, [{}]):
        trusted = {name: trust_as_template(value) if isinstance(value, str) else value for name, value in verbs.items()}
        yield {**wired, **templar.template(trusted)}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("cluster", CLUSTERS)
def test_what_a_role_is_given_fits_what_it_declares(cluster, role):
    _seen, fact, staying = decided(cluster)
    # Of the hosts that leave only the part in the endpoint ends by a role; the rest is host_reset's. A master whose member is
    # dead serves until then by the members that stay.
    leaving = {"api_endpoint": list(fact["hosts"]), **dict.fromkeys(SERVING, fact["order"]["leaving_stranded"].split(","))}
    there = {*staying, *leaving.get(role, ())}
    hosts = [name for name, host in fact["hosts"].items() if host[WHERE[role]] and name in there]
    for host in hosts:
        for given in handed(cluster, role, host):
            for entry in SPECS[role]:
                arguments = {name: value for name, value in given.items() if name in options(role, entry)}
                assert wrong(options(role, entry), arguments) == [], f"{role}, {entry} on {host}"


def test_every_role_has_a_place():
    assert sorted(WHERE) == ROLES


def test_the_clusters_are_what_they_are_called():
    facts = {name: decided(name)[1] for name in CLUSTERS}
    assert len({str(fact) for fact in facts.values()}) == len(CLUSTERS)
    assert {one["node_name"] for one in facts["losing hosts"]["leaving"]["nodes"]} == {"m3", "w2"}
    assert facts["a replacement"]["hosts"]["m4"]["replaces"] == "m2"
    assert facts["cut off"]["hosts"]["m1"]["replaces"] == "m9"
    assert facts["a replacement of a living master whose member is dead"]["order"]["leaving_stranded"] == "m2"
    assert all(facts["upgrading"]["hosts"][name]["drains"] for name in ("m1", "w1"))
    assert facts["growing"]["order"]["grow"] == "m2,m3"
    assert {name: fact["endpoint"]["mode"] for name, fact in facts.items() if fact["endpoint"]["mode"] != "balanced"} == {
        "one host of both kinds": "direct",
        "one master": "direct",
        "etcd on a host of its own, one master": "direct",
        "a balancer of somebody else": "external",
    }


def test_the_wiring_gives_every_role_what_it_needs_and_nothing_it_does_not_know():
    """A name that is mistyped would leave the default in force, and say nothing."""
    wired = set()
    for path in sorted((ROOT / "playbooks/vars").glob("*.yml")):
        wired.update(yaml.safe_load(path.read_text()))
    inputs = {name: option for role in ROLES for name, option in every_option(role).items()}
    of_roles = {name for name in wired if name.startswith(tuple(f"{role}_" for role in ROLES))}
    assert of_roles - set(inputs) == set()
    asked = {name for verbs in VERBS.values() for one in verbs for name in one}
    assert {name for name, option in inputs.items() if option.get("required")} - wired - asked == set()


@pytest.mark.parametrize(
    "role,name,value",
    [
        ("kubelet", "kubelet_taints", [{"key": "a", "effekt": "NoSchedule"}]),
        ("kubelet", "kubelet_taints", [{"key": "a", "effect": "Never"}]),
        ("certificates", "certificates_wanted", [{"path": "/a", "ca": "kubernetes"}]),
        ("certificates", "certificates_wanted", [{"path": "/a", "ca": "etcd-peer", "common_name": "a", "days": 1, "minutes": 1}]),
        ("host_preparation", "host_preparation_cluster", {"nam": "prod"}),
        ("etcd", "etcd_heartbeat_ms", "soon"),
    ],
)
def test_what_does_not_fit_is_said(role, name, value):
    assert wrong({name: options(role)[name]}, {name: value})


def plain(spec):
    """Return an argument specification without what is for people."""
    kept = ("type", "elements", "required", "default", "choices")
    return {name: {key: option[key] for key in kept if key in option} for name, option in spec.items()}


def test_what_a_role_declares_of_its_lists_is_what_its_module_takes():
    for name, whole in (("certificates", "wanted"), ("authorities", "authorities"), ("shared", "shared")):
        ours, theirs = options("certificates")[f"certificates_{whole}"], certificates_action.ARGUMENTS[name]
        assert plain(ours["options"]) == plain(theirs["options"])
        assert ours.get("mutually_exclusive") == theirs.get("mutually_exclusive")
    archives = yaml.safe_load(image_archive.DOCUMENTATION)["options"]["archives"]["suboptions"]
    assert plain(options("containerd")["containerd_image_archives"]["options"]) == plain(archives)


def test_the_record_has_the_keys_that_the_wiring_writes():
    wired = yaml.safe_load((ROOT / "playbooks/vars/wiring.yml").read_text())["host_preparation_cluster"]
    assert list(options("host_preparation")["host_preparation_cluster"]["options"]) == list(wired)
