# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Check that all hosts belong to one cluster, that it stays the cluster it is, and that etcd and versions allow the run.

Each check is a function from a `_preflight_view.View` to findings; `_preflight` lists them. Leaves out: how etcd gets where
it shall be (`_bootstrap`, `_join_order`) and which versions go together (`_skew`).
"""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _bootstrap,
    _cluster_record,
    _etcd_scene,
    _host_versions,
    _identity,
    _membership,
    _quorum,
    _skew,
    _topology,
    _upgrade_scene,
)
from ansible_collections.multimaster.kubernetes.plugins.module_utils._finding import WARNING, Finding, some

AUTHORITIES = ("kubernetes", "front_proxy", "etcd_client", "etcd_peer")
# Which key of a host's record is which setting.
RECORDED = {
    "endpoint": "endpoint_address",
    "endpoint_port": "endpoint_port",
    "endpoint_mode": "endpoint_mode",
    "service_cidr": "service_cidr",
    "pod_cidr": "pod_cidr",
    "cluster_domain": "cluster_domain",
}
STACKED = "stacked"
# What only a master has, from its first run until it is left bare; states of units are as in the observation.
MASTER_UNITS = ("kube-apiserver", "multimaster-endpoint")
NO_UNIT = "not-found"
# The reboot ends the processes, mounts and addresses that removing files would leave.
MAKE_BARE = (
    "Take it out of the inventory. Only a host that is given up for good where it belongs is made bare by hand, and no "
    "other: disable its services, reboot, remove /etc/kubernetes, /etc/etcd, /var/lib/etcd and /var/lib/kubelet "
    "(docs/inventory.md says how)."
)
# Findings of _skew on how to make a hop; while none is made their remedies would mislead.
HOP_IDS = frozenset({"version-skips", "version-etcd-floor"})


def ca_store_there(view):
    """Want the CA store to be there when any host carries certificates: a second CA would end the living cluster.

    One that is to leave may be all there is of it.
    """
    holding = [host.name for host, observation in (*view.seen(), *view.seen_leaving()) if observation["certificates"]]
    if holding and not view.ca_store_exists:
        yield Finding(
            "",
            "ca-store",
            f"CA store not found at {view.settings.ca_store}, but {', '.join(holding)} carry certificates",
            "the store the cluster was made with",
            "Copy it from where the cluster was built, restore it, or correct multimaster_ca_store. No new CA is made.",
        )


def ca_same(view):
    """Want all hosts to trust the same authorities; hosts in the middle of a CA rotation still share one."""
    for name in AUTHORITIES:
        trusted = {host.name: frozenset(observation["ca_fingerprints"].get(name) or ()) for host, observation in view.seen()}
        camps = []
        for host, prints in sorted(trusted.items()):
            # Whoever trusts two authorities makes one camp of theirs, whatever the order of names.
            joined = [camp for camp in camps if prints & camp[0]]
            camps = [camp for camp in camps if camp not in joined]
            if prints:
                hosts = sorted([host, *(one for camp in joined for one in camp[1])])
                camps.append((prints.union(*(camp[0] for camp in joined)), hosts))
        for _prints, hosts in sorted(camps, key=lambda camp: (-len(camp[1]), camp[1]))[1:]:
            yield Finding(
                hosts[0],
                "ca-differs",
                f"{', '.join(hosts)}: another {name} CA than the other hosts",
                "one CA for the whole cluster",
                f"Is this host another cluster's ({_cluster_record.PATH} on it names one)? {MAKE_BARE}",
            )


def same_cluster(view):
    """Want no host that belongs to another cluster; without a name (which is a finding of its own) nobody knows which that is.

    One that is to leave neither: it would be taken out of use before its reset refuses.
    """
    for host, observation in (*view.seen(), *view.seen_leaving()):
        name = _cluster_record.of(observation).get("name")
        if name and view.settings.cluster_name not in (None, name):
            yield Finding(
                host.name,
                "cluster-other",
                f"the host belongs to the cluster {name} ({_cluster_record.PATH})",
                f"a host of {view.settings.cluster_name}, or a fresh one",
                f"A cluster is not renamed: is multimaster_cluster_name right? {MAKE_BARE}",
            )


def settings_kept(view):
    """Want a living cluster to keep what it was made with: endpoint address, port and mode, service and pod network, domain."""
    for key, setting in RECORDED.items():
        wanted = getattr(view.settings, setting)
        made = {}
        for host, observation in view.seen():
            record = _cluster_record.of(observation)
            # Without certificates nothing hangs on a value yet; an older record lacks the key.
            if wanted and observation["certificates"] and view.recorded(observation):
                made.setdefault(str(record.get(key) or wanted), []).append(host.name)
        for value, hosts in sorted(made.items()):
            if value != str(wanted):
                yield Finding(
                    "",
                    "cluster-changed",
                    f"multimaster_{setting} is {wanted}; the cluster was made with {value} ({some(hosts)})",
                    value,
                    f"Set multimaster_{setting} back to {value}: certificates, kubeconfigs and Services of the living cluster "
                    "hang on it.",
                )


def etcd_startable(view):
    """Want a way to an etcd cluster that loses nothing."""
    etcd = view.topology.etcd
    if etcd.action == _bootstrap.REFUSE and view.topology.members:
        yield Finding("", "etcd-refused", etcd.reason, "a new cluster, or one with quorum", etcd.next_step)


def etcd_joinable(view):
    """Want nothing in the way of the members that are to join, or to go."""
    for name, reason, next_step in view.topology.etcd.obstacles:
        yield Finding(name, "etcd-obstacle", reason, "a member that can join, or go", next_step)


def etcd_addressed(view):
    """Want every member to be reached at its host's address.

    etcd that is started at another one than the others dial is cut off from them, and so it would be by a run that writes the
    new address into its unit.
    """
    hosts = {host.name: host for host in view.topology.hosts}
    for name, peer_urls in view.topology.etcd.moved:
        host = hosts[name]
        yield Finding(name, "etcd-address", *_membership.moved_words(host.node_name, peer_urls, host.peer_url, host.address))


def alarms_none(view):
    """Want no alarm in etcd: with one raised it takes no write, so a run would stop half-way."""
    cluster = _etcd_scene.cluster(view.topology.hosts, view.observed)
    for member_id, alarm in cluster.alarms:
        yield Finding("", "etcd-alarm", *_quorum.alarm_words(member_id, alarm, cluster.name_of(member_id)))


def etcd_known(view):
    """Want no master left out: an error when etcd has a member of a host that is not listed and etcd is on the masters.

    Nothing takes such a master out of the cluster, while the others forget it as a VRRP peer: two hosts would then hold the
    endpoint address. Other members that no host accounts for are a warning; none is ever removed by itself.
    """
    dropped = _dropped_masters(view)
    others = [name for name in view.topology.etcd.strays if name not in dropped]
    if dropped:
        groups = f"{_topology.MASTER_GROUP} and {_topology.ETCD_GROUP}" if view.inventory.etcd else _topology.MASTER_GROUP
        yield Finding(
            "",
            "etcd-stray",
            f"etcd has members whose masters are not in the inventory: {', '.join(dropped)}",
            "every master of the living cluster",
            f"List the host again under {groups}: it goes on as a master, and could hold the endpoint address beside another. "
            "remove_node.yml takes masters out while they are listed, dead ones too.",
        )
    if others:
        yield Finding(
            "",
            "etcd-stray",
            f"etcd has members that are not in the inventory: {', '.join(others)}",
            "only members of the inventory",
            "List the host again, with the address its member has. No run removes a member that is not listed.",
            WARNING,
        )


def _dropped_masters(view):
    """Return the strays that are masters left out: members that ran, where etcd is on the masters.

    Where etcd was counts too (_cluster_record), since a group etcd may have been added just now. A master that is listed with
    another address is not left out.
    """
    stacked = view.topology.stacked or any(_cluster_record.of(seen).get("etcd") == STACKED for _host, seen in view.seen())
    cluster = _etcd_scene.cluster(view.topology.hosts, view.observed)
    not_so = {member.label for member in cluster.strays if not member.started}
    not_so |= {host.node_name for host in view.topology.hosts if host.master}
    return [name for name in view.topology.etcd.strays if stacked and name not in not_so]


def masters_known(view):
    """Want no master left out, whatever etcd knows of it: none that VRRP peers name, and none that is listed as something else.

    With etcd on hosts of its own nothing else tells of it. The others would forget it as a peer, and it would hear nobody and
    take the endpoint address beside them. A host that leaves is a master until it has left.
    """
    ours = [(host, seen) for host, seen in view.seen() if view.recorded(seen)]
    masters = [host for host in (*view.topology.hosts, *view.topology.leaving) if host.master]
    known = {address for host in masters for address in _identity.addresses_of(host, view.observed)}
    for host, seen in ours:
        parts = [unit for unit in MASTER_UNITS if seen["units"].get(unit, NO_UNIT) != NO_UNIT]
        if parts and not host.master:
            known.add(host.address)
            yield _left_out(host.name, f"it is not listed as a master and has the units {' and '.join(parts)}", host.name)
    called = {key: host.name for host in view.topology.hosts for key in (host.address, host.node_name)}
    peers = _identity.vrrp_peers({host.name: seen for host, seen in ours if host.master})
    for address, hosts in sorted(peers.items()):
        if address not in known:
            node_name = _identity.server_at(address, view.observed)
            name = called.get(address) or called.get(node_name, node_name)
            said = f"{name} ({address})" if name else address
            yield _left_out("", f"{said} is a VRRP peer of {some(hosts)} and no master of the inventory", name or "NAME")


def _left_out(host, found, name):
    return Finding(
        host,
        "master-stray",
        found,
        "every master of the living cluster",
        f"List it as {name} under {_topology.MASTER_GROUP} again, with the address it has or had, then "
        f"remove_node.yml -e node={name}, also when it is gone: unlisted it goes on as a master, and could hold the endpoint "
        "address beside another.",
    )


def timings_good(view):
    """Tell what the measured round-trip times mean for etcd."""
    fix = "Members must reach each other (measured on the SSH port); far ones belong closer together."
    for sentence in view.topology.timing.warnings:
        yield Finding("", "etcd-latency", sentence, "members near each other", fix, WARNING)


def versions_fit(view):
    """Want versions that may run side by side, and of a running cluster the same minors: only patches change.

    In a run that leaves versions alone, such as in the middle of an upgrade, it is those that it leaves that have to fit.
    """
    if view.topology.keeps_versions:
        yield from _skew.judge_skew(_host_versions.as_running(view.topology.hosts, view.topology.versions))
        return
    running = _upgrade_scene.running_versions(view.seen())
    hops = tuple(_hops(running, view.settings))
    targets = _skew.judge_target(running, view.settings.kubernetes_version, view.settings.etcd_version)
    yield from _skew.judge_skew(running)
    yield from (finding for finding in targets if not hops or finding.check not in HOP_IDS)
    yield from hops


def _hops(running, settings):
    """Refuse a newer minor: upgrade.yml saves etcd first, drains nodes and shows the way back; site.yml does none of it.

    The newest that runs counts, so a hop that was begun may be finished.
    """
    kubernetes = [getattr(running, component) for component in _skew.COMPONENTS if component != "etcd"]
    for what, setting, versions in (
        ("Kubernetes", "kubernetes_version", kubernetes),
        ("etcd", "etcd_version", [running.etcd]),
    ):
        newest, wanted = _newest(versions), _skew.parse(getattr(settings, setting))
        if newest and wanted.line > newest.line:
            following = f"{newest.major}.{newest.minor + 1}"
            if wanted.line == (newest.major, newest.minor + 1):
                way = "upgrade.yml goes there without an outage"
            else:
                way = f"no minor may be skipped: set multimaster_{setting} to a {following} release, run upgrade.yml, then go on"
            yield Finding(
                "",
                "version-hop",
                f"{what} runs in {newest}, multimaster_{setting} is {wanted}",
                f"a release of {newest.major}.{newest.minor}",
                f"{way}; or set multimaster_{setting} back to {newest}.",
            )


def _newest(versions):
    """Return the newest _skew.Version of several {host: text}, None when there is none; what is no version does not count."""
    found = []
    for text in {text for one in versions for text in one.values()}:
        try:
            found.append(_skew.parse(text))
        except ValueError:
            continue  # judge_skew tells of it
    return max(found, default=None)
