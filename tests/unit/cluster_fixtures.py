# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Inventories and observations as data, for the tests of topology, preflight and the action plugin."""

from __future__ import annotations

import copy

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _settings, _topology

ENDPOINT = "192.0.2.10"
NUMBERS = {"m1": 11, "m2": 12, "m3": 13, "m4": 14, "m5": 15, "e1": 31, "e2": 32, "e3": 33, "e4": 34, "w1": 21, "w2": 22}
VARIABLES = {"multimaster_cluster_name": "prod", "multimaster_endpoint_address": ENDPOINT}


def address(name):
    return f"192.0.2.{NUMBERS[name]}"


def settings(**more):
    parsed, findings = _settings.parse(dict(VARIABLES, **{f"multimaster_{name}": value for name, value in more.items()}), "/inv")
    assert findings == ()
    return parsed


def inventory(masters=(), workers=(), etcd=(), zones=None, **hosts):
    """`zones` maps hosts to zones; further arguments map hosts to fields of InventoryHost."""
    names = sorted({*masters, *workers, *etcd})
    return _topology.Inventory(
        tuple(masters),
        tuple(workers),
        tuple(etcd),
        tuple(
            _topology.InventoryHost(
                name, **dict({"ansible_host": address(name), "zone": (zones or {}).get(name, "")}, **hosts.get(name, {}))
            )
            for name in names
        ),
        ("kube_control_plane", "kube_node"),
    )


def host(name, **changes):
    """Return a host in its place: m is a master with a member, e a member alone, w a worker; its node has another name."""
    master = name.startswith("m")
    roles = {"master": master, "worker": name.startswith("w"), "member": master or name.startswith("e")}
    placed = {"node_name": f"node-{name}", "address": address(name), "interface": "eth0", "prefix": 24, "zone": "", **roles}
    return _topology.Host(name, **{**placed, **changes})


def fresh(name, **changes):
    """Return what is observed on a bare Debian host."""
    number = NUMBERS[name]
    seen = {
        "hostname": name,
        "machine_id": f"{number:032x}",
        "os": {"id": "debian", "like": [], "version_id": "12", "name": "Debian GNU/Linux 12 (bookworm)"},
        "architecture": "amd64",
        "kernel": "6.1.0-30-amd64",
        "python": "3.11.2",
        "cpus": 4,
        "memory_mib": 7950,
        "disk_free_mib": {"/var/lib": 41000, "/opt": 41000},
        "disk_free_percent": {"/var/lib/containerd": 61.25, "/var/lib/kubelet": 61.25},
        "clock": 1000.5,
        "clock_window": [1000.0, 1001.0],
        "after_clock": 0.25,
        "swap": False,
        "resolver": {"path": "/etc/resolv.conf", "nameservers": ["192.0.2.1"]},
        "cgroup": 2,
        "addresses": [{"interface": "eth0", "address": address(name), "prefix": 24}],
        "macs": [f"02:00:c0:00:02:{number:02x}"],
        "default_interface": "eth0",
        "default_address": address(name),
        "listening": [],
        "commands": {"openssl": True, "systemctl": True, "ip": True},
        "users": [],
        "etcd": {"data": False, "record": None, "first_start": False, "unit": "not-found", "status": None},
        "certificates": False,
        "ca_fingerprints": {"kubernetes": [], "front_proxy": [], "etcd_client": [], "etcd_peer": []},
        "units": {"etcd": "not-found", "kube-apiserver": "not-found", "kubelet": "not-found"},
        "versions": {},
        "unit_versions": {},
        "api_server": None,
        "kubelet_credentials": False,
        "node_name": "",
        "endpoint_address": {"held_on": []},
        "arp": None,
        "endpoint_files": None,
        "drained": [],
        "rtt_ms": {other: 0.3 for other in NUMBERS if other != name},
        "disk_fdatasync_p99_ms": None,
        "cluster": None,
    }
    return dict(copy.deepcopy(seen), **changes)


def member(name, learner=False, started=True):
    return {
        "id": str(NUMBERS[name]),
        "name": name if started else "",
        "peer_urls": [f"https://{address(name)}:2380"],
        "client_urls": [f"https://{address(name)}:2379"] if started else [],
        "is_learner": learner,
    }


def status(name, members, healthy=True, leader=None):
    own = next((one for one in members if one["id"] == str(NUMBERS[name])), None)
    return {
        "ok": True,
        "asked": True,
        "error": "",
        "member_id": str(NUMBERS[name]),
        "cluster_id": "77",
        "leader_id": str(NUMBERS[leader]) if leader else members[0]["id"],
        "is_learner": bool(own and own["is_learner"]),
        "raft_term": 3,
        "raft_index": 900,
        "db_size": 1,
        "version": "3.6.16",
        "healthy": healthy,
        "alarms": [],
        "members": [] if own and own["is_learner"] else members,
    }


def living(name, members, master=True, **changes):
    """Return what is observed on a host of a living cluster whose etcd members are `members`."""
    seen = fresh(name)
    seen.update(
        certificates=True,
        kubelet_credentials=True,
        cluster={"name": "prod"},
        ca_fingerprints={"kubernetes": ["aa"], "front_proxy": ["bb"], "etcd_client": ["cc"], "etcd_peer": ["dd"]},
    )
    seen["units"]["kubelet"] = "active"
    own = next((one for one in members if one["id"] == str(NUMBERS[name])), None)
    if master:
        voters = [url for one in members if not one["is_learner"] for url in one["client_urls"]]
        voting = own and not own["is_learner"]
        seen["units"]["kube-apiserver"] = "active"
        seen["versions"]["kube-apiserver"] = "1.36.3"
        seen["api_server"] = {"etcd_servers": own["client_urls"] if voting else voters}
    if own:
        seen["units"]["etcd"] = "active"
        seen["versions"]["etcd"] = "3.6.16"
        seen["etcd"] = {"data": True, "record": None, "first_start": False, "unit": "active", "status": status(name, members)}
    return dict(seen, **changes)


def many(masters, workers):
    """Return (masters, workers, what is observed of each) of a cluster at rest with so many of them, and number the hosts."""
    names = [f"m{n}" for n in range(1, masters + 1)], [f"w{n}" for n in range(1, workers + 1)]
    NUMBERS.update({name: number for number, name in enumerate([*names[0], f"m{masters + 1}", *names[1]], 11)})
    members = [member(name) for name in names[0]]
    observed = {name: living(name, members, name in names[0]) for name in (*names[0], *names[1])}
    for name, seen in observed.items():
        control = ("kube-apiserver", "kube-controller-manager", "kube-scheduler") if name in names[0] else ()
        for program in (*control, "kubelet", "kube-proxy"):
            seen["units"][program], seen["versions"][program] = "active", "1.36.3"
    return *names, observed
