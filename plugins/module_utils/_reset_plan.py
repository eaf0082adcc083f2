# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Decide what makes a host that has left its cluster bare again, from what was seen of it.

It solves: what this collection puts on a host is written down once (PARTS, HOST_PATHS, KEPT), and only that goes; what
belongs to a package, an administrator or another cluster stays and is named. The record of the cluster goes last, so a
run that was cut off anywhere is finished by the next one. It leaves out looking and acting (``_reset_host.py``), and
whether the cluster can spare the host: that is decided before.
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _membership, _releases, _unit_plan
from ansible_collections.multimaster.kubernetes.plugins.module_utils._cluster_record import PATH as RECORD

HOME = "/etc/kubernetes"
PROGRAMS = _releases.ROOT
LIBRARY = "/usr/local/lib/multimaster"
COMMANDS = "/usr/local/bin"
UNITS = "/etc/systemd/system"
FLANNEL_CONFIG = HOME + "/flannel.json"
PROXY_CONFIG = HOME + "/kube-proxy.json"
NETNS = "/run/netns/cni-"
BRIDGE = "cni0"
#: Names of our drop-ins of a unit: settings for a package's unit, and what unit_set writes.
OWN_DROP_IN, IDENTITY_DROP_IN = "10-multimaster.conf", "50-multimaster.conf"
#: In the first line of a configuration whose path belongs to a package.
MARK = "Written by Ansible (role multimaster.kubernetes."
#: Tables of kube-proxy (KEP-3866) and of flannel (its pkg/trafficmngr/nftables), as (family, name).
PROXY_TABLES = (("ip", "kube-proxy"), ("ip6", "kube-proxy"))
FLANNEL_TABLES = (("ip", "flannel-ipv4"), ("ip6", "flannel-ipv6"))
#: The chain that only kube-proxy makes; others that begin with KUBE- are the kubelet's.
PROXY_CHAIN = "KUBE-SERVICES"


KUBELET_FOLDER = "/var/lib/kubelet"
RUNTIME_FOLDER = "/var/lib/containerd"
ETCD_FOLDER = "/var/lib/etcd"
#: Folders that may be disks of their own, as preflight advises for etcd: what is ours in them goes, the mount stays.
DISKS = (ETCD_FOLDER, RUNTIME_FOLDER, KUBELET_FOLDER)
#: What etcd makes in its folder, and what ``_etcd_host`` puts aside; copies beside it were made by people, as by the runbooks.
ETCD_DATA = re.compile(re.escape(posixpath.dirname(_membership.WAL)) + r"(\.aside-[0-9]+)?")
#: What mkfs(8) makes in a file system and fsck(8) wants there.
OF_THE_DISK = "lost+found"


@dataclass(frozen=True)
class Part:
    """Hold what one component leaves on a host; its unit is ours when the file ``proof`` holds ``mark``.

    ``paths`` go with what is in them, ``marked`` only when they carry MARK, ``shells`` only when nothing is left in them.
    ``mounts`` are beginnings of mount points.
    """

    unit: str
    mark: str = PROGRAMS + "/"
    package: bool = False  # the unit comes with a package, ours is only a drop-in
    paths: tuple[str, ...] = ()
    marked: tuple[str, ...] = ()
    shells: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Return the folder of the unit's drop-ins."""
        return f"{UNITS}/{self.unit}.d"

    @property
    def proof(self) -> str:
        """Return the file that shows whether the unit is ours."""
        return f"{self.folder}/{OWN_DROP_IN}" if self.package else f"{UNITS}/{self.unit}"

    @property
    def removals(self) -> tuple[str, ...]:
        """Return every path that goes, the proof last: until then a cut-off run still knows whose the rest is."""
        return (*self.paths, *self.marked, f"{self.folder}/{IDENTITY_DROP_IN}", self.proof)

    @property
    def all_shells(self) -> tuple[str, ...]:
        """Return the folders that go when they are empty, those inside others first."""
        return (self.folder, *self.shells)


#: The runtime stops after all others: killing pods needs it.
RUNTIME = Part(
    "containerd.service",
    paths=(
        RUNTIME_FOLDER,
        "/etc/containerd",
        "/run/containerd",
        # containerd writes this one from our template; addresses of pods that no longer live; libcni's cache.
        "/etc/cni/net.d/10-containerd-net.conflist",
        "/var/lib/cni/networks/multimaster",
        "/var/lib/cni/results",
    ),
    shells=("/etc/cni/net.d", "/etc/cni", "/var/lib/cni/networks", "/var/lib/cni"),
    mounts=("/run/containerd/", NETNS, RUNTIME_FOLDER + "/tmpmounts/"),
)
KUBELET = Part("kubelet.service", paths=(KUBELET_FOLDER, "/var/log/pods", "/var/log/containers"), mounts=(KUBELET_FOLDER + "/",))
PROXY = Part("kube-proxy.service")
FLANNEL = Part("flanneld.service", paths=("/run/flannel",))
#: One row a unit, in no order that matters: systemd stops them by their own.
PARTS = (
    KUBELET,
    PROXY,
    FLANNEL,
    Part("csr-approver.service", mark=LIBRARY + "/"),
    Part("kube-scheduler.service"),
    Part("kube-controller-manager.service"),
    Part("kube-apiserver.service"),
    Part("multimaster-endpoint.service", mark=LIBRARY + "/"),
    Part("keepalived.service", mark="", package=True, marked=("/etc/keepalived/keepalived.conf",)),
    Part("haproxy.service", mark="", package=True, marked=("/etc/haproxy/haproxy.cfg",)),
    Part(
        "etcd.service",
        paths=(ETCD_FOLDER, "/etc/etcd", _membership.FIRST_START),
        shells=(posixpath.dirname(_membership.FIRST_START),),
    ),
    RUNTIME,
)
#: What belongs to no unit. /etc/kubernetes (whose content goes one by one) and the programs are apart.
HOST_PATHS = (
    "/etc/modules-load.d/multimaster.conf",
    "/etc/sysctl.d/99-zz-multimaster.conf",
    "/var/log/kubernetes",
    "/run/multimaster",
    "/var/lib/multimaster",
    LIBRARY,
)
#: What stays on purpose: what, and why.
KEPT = (
    ("packages", "what the package manager installed (haproxy, keepalived, nftables and others) is for it to remove"),
    ("users", "files elsewhere may belong to them"),
    ("/etc/fstab", "lines of swap stay comments; enable swap by hand where it is wanted"),
    ("kernel modules and settings", "those in force stay so until the next boot"),
    ("rules and routes of other programs", "port mappings, the kubelet's own chains and routes to pods go with the next boot"),
)
#: Folders that, unless empty, tell of a cluster even when the record is missing; so do files in /etc/kubernetes and units.
TELLING = (LIBRARY, "/etc/etcd", ETCD_FOLDER, KUBELET_FOLDER)
#: Beginnings of what tells the same by itself.
INSIDE = (HOME + "/", UNITS + "/", ETCD_FOLDER + "/", KUBELET_FOLDER + "/")


@dataclass(frozen=True)
class Found:
    """Describe one path that is there: file, directory (with its names), link or other."""

    kind: str = "file"
    target: str = ""
    names: tuple[str, ...] = ()
    through: str = ""  # a symbolic link above the path


@dataclass(frozen=True)
class Link:
    """Describe one network interface."""

    name: str
    master: str = ""


@dataclass(frozen=True)
class Mount:
    """Hold the first fields of a row of mountinfo: ``root`` is the folder of the file system that is seen at ``point``."""

    number: str
    parent: str
    device: str
    root: str
    point: str


@dataclass(frozen=True)
class Seen:
    """Hold what was seen of a host; ``record`` is the recorded cluster's name, None without a record."""

    record: str | None = None
    paths: Mapping[str, Found] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)  # of proofs, marked files and what rules depend on
    states: Mapping[str, _unit_plan.State] = field(default_factory=dict)
    unit_files: Mapping[str, str] = field(default_factory=dict)  # unit: the file systemd reads
    pods: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()
    binds: tuple[str, ...] = ()  # mount points at which a folder is mounted on itself, and nothing else
    tables: tuple[tuple[str, str], ...] = ()
    chains: bool = False  # whether kube-proxy's chains of iptables are there
    links: tuple[Link, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Say what is to be done, in this order, or why nothing may be; ``shells`` are those of ``remove`` that must be empty."""

    reason: str
    refused: bool = False
    stop: tuple[_unit_plan.Verdict, ...] = ()
    pods: tuple[str, ...] = ()
    runtime: tuple[_unit_plan.Verdict, ...] = ()
    unmount: tuple[str, ...] = ()
    rules: bool = False  # kube-proxy takes its own away
    tables: tuple[tuple[str, str], ...] = ()
    links: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    shells: frozenset[str] = frozenset()
    kept: tuple[str, ...] = ()

    @property
    def stopped(self) -> list[str]:
        """Return the units that are stopped or taken off the boot."""
        return [verdict.name for verdict in (*self.stop, *self.runtime) if verdict.changed]

    @property
    def removed(self) -> list[str]:
        """Return what goes, in words: rules, tables, links and paths."""
        return [
            *(["rules of kube-proxy"] if self.rules else []),
            *(f"table {family} {name}" for family, name in self.tables),
            *(f"link {name}" for name in self.links),
            *self.remove,
        ]

    @property
    def changed(self) -> bool:
        """Return whether there is anything to do."""
        return bool(self.stopped or self.pods or self.unmount or self.removed)


def table_paths() -> list[str]:
    """Return every path that has to be looked at, those inside /etc/kubernetes and links to programs left out."""
    return [
        *(path for part in PARTS for path in (*part.removals, *part.all_shells)),
        *HOST_PATHS,
        PROGRAMS,
        HOME,
        RECORD,
    ]


def table_texts() -> list[str]:
    """Return every file whose content decides something."""
    return [*(path for part in PARTS for path in (part.proof, *part.marked)), FLANNEL_CONFIG, PROXY_CONFIG]


def decide(seen: Seen, cluster: str, keep_binaries: bool) -> Plan:
    """Return what makes the host bare, or a refusal when it belongs to something else or something stands in the way."""
    if seen.record not in (None, cluster):
        return Plan(
            f"nothing was changed: this host belongs to cluster {seen.record!r} ({RECORD}), not to {cluster!r}. "
            "Next: give that name, or take this host off the list",
            refused=True,
        )
    plan = _plan(seen, cluster, keep_binaries)
    if seen.record is None:
        plan = _without_record(plan, seen, keep_binaries)
    obstacles = [] if plan.refused else _obstacles(plan, seen)
    if obstacles:
        return Plan(f"nothing was removed: {'; '.join(obstacles)}. Next: do that on this host, then run again", refused=True)
    return plan


def _plan(seen: Seen, cluster: str, keep_binaries: bool) -> Plan:
    own = [part for part in PARTS if not _foreign(part, seen)]
    names = _links(seen, own)
    tables = tuple(
        table
        for part, found in ((PROXY, PROXY_TABLES), (FLANNEL, FLANNEL_TABLES))
        if part in own
        for table in found
        if table in seen.tables
    )
    remove, shells = _removals(seen, own, keep_binaries)
    verdicts = {
        part: _unit_plan.decide_down(seen.states[part.unit], disable=True)
        for part in own
        if ours(part, seen) and part.unit in seen.states
    }
    return Plan(
        f"this host has left cluster {cluster!r}",
        stop=tuple(verdict for part, verdict in verdicts.items() if part is not RUNTIME),
        pods=seen.pods if RUNTIME in own else (),
        runtime=tuple(verdict for part, verdict in verdicts.items() if part is RUNTIME),
        unmount=unmounts(seen.mounts, [beginning for part in own for beginning in part.mounts], _own_binds(seen, own)),
        rules=PROXY in own and (seen.chains or bool(set(PROXY_TABLES) & set(seen.tables))),
        tables=tables,
        links=names,
        remove=remove,
        shells=shells,
        kept=_kept(seen, own, remove, keep_binaries),
    )


def ours(part: Part, seen: Seen) -> bool:
    """Return whether a component's unit is one of ours."""
    return part.proof in seen.texts and part.mark in seen.texts[part.proof]


def _foreign(part: Part, seen: Seen) -> bool:
    """Return whether the unit is somebody else's; one that is not there is nobody's, and what lies about is ours."""
    return not ours(part, seen) and bool(seen.unit_files.get(part.unit))


def unmounts(mounts: Iterable[str], beginnings: Iterable[str], exactly: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the mount points that begin so or are these, the deepest first and of two at one point the later one first."""
    chosen = [point for point in reversed(list(mounts)) if point.startswith(tuple(beginnings)) or point in set(exactly)]
    return tuple(sorted(chosen, key=lambda point: -point.count("/")))


def _own_binds(seen: Seen, own: list[Part]) -> tuple[str, ...]:
    """Return the kubelet's folder where it is mounted on itself: the kubelet does that to make its mounts shared.

    Whatever else is mounted there, a disk, a folder of another place or a subvolume, is somebody's decision and stays.
    """
    return tuple(path for path in (KUBELET_FOLDER,) if path in seen.binds and any(path in part.paths for part in own))


def _disks(seen: Seen, own: list[Part]) -> tuple[str, ...]:
    """Return the folders of ours that are disks of their own: an administrator mounted them, and they stay mounted."""
    return tuple(path for path in DISKS if path in seen.mounts and path not in _own_binds(seen, own))


def of_disk(folder: str, names: Iterable[str]) -> list[str]:
    """Return what is ours in a folder that is a disk of its own."""
    if folder == ETCD_FOLDER:
        return [name for name in names if ETCD_DATA.fullmatch(name)]
    return [name for name in names if name != OF_THE_DISK]


def _links(seen: Seen, own: list[Part]) -> tuple[str, ...]:
    """Return the interfaces of the pod network: the pods' ends at our bridge, the bridge, flannel's own."""
    bridge = [BRIDGE] if RUNTIME in own else []
    found = [link.name for link in seen.links if link.master in bridge and link.name.startswith("veth")]
    wanted = bridge + (flannel_links(seen.texts.get(FLANNEL_CONFIG, "")) if FLANNEL in own else [])
    return (*found, *(name for name in wanted if name in [link.name for link in seen.links]))


def flannel_links(config: str) -> list[str]:
    """Return the names flannel gives its interface (its page on backends): with the VXLAN's number, 1 when none is given."""
    try:
        backend = json.loads(config)["Backend"]
        number = backend.get("VNI", 1)
    except (ValueError, KeyError, TypeError, AttributeError):
        number = 1
    return [f"flannel.{number}", "flannel.ipip", "flannel-wg"]


def _removals(seen: Seen, own: list[Part], keep_binaries: bool) -> tuple[tuple[str, ...], frozenset[str]]:
    """Return the paths to remove in order, and which of them are folders that must be empty by then."""
    gone: list[str] = []
    shells = []
    disks = _disks(seen, own)
    for part in PARTS:
        if part is RUNTIME and part in own:
            gone += [path for path in seen.paths if path.startswith(NETNS)]
        for path in part.removals:
            if path in seen.paths and _may_go(path, part, seen, part in own):
                gone += [f"{path}/{name}" for name in of_disk(path, seen.paths[path].names)] if path in disks else [path]
        for shell in part.all_shells:
            found = seen.paths.get(shell, Found("missing"))
            if found.kind == "directory" and not set(found.names) - _names_in(shell, gone):
                gone.append(shell)
                shells.append(shell)
    gone += [path for path in HOST_PATHS if path in seen.paths]
    gone += [path for path, found in seen.paths.items() if posixpath.dirname(path) == COMMANDS and points_into_programs(found)]
    if not keep_binaries and PROGRAMS in seen.paths:
        gone.append(PROGRAMS)
    gone += [path for path in seen.paths if posixpath.dirname(path) == HOME and path != RECORD]
    gone += [path for path in (RECORD, HOME) if path in seen.paths and (path, seen.paths[path].kind) != (HOME, "link")]
    return tuple(gone), frozenset((*shells, HOME))


def _may_go(path: str, part: Part, seen: Seen, own: bool) -> bool:
    if path in part.marked:
        return MARK in seen.texts.get(path, "").partition("\n")[0]
    return own and (path != part.proof or ours(part, seen))


def _names_in(folder: str, paths: Iterable[str]) -> set[str]:
    return {posixpath.basename(path) for path in paths if posixpath.dirname(path) == folder}


def points_into_programs(found: Found) -> bool:
    """Return whether a link leads to one of our programs."""
    return found.kind == "link" and posixpath.normpath(found.target).startswith(PROGRAMS + "/")


def _kept(seen: Seen, own: list[Part], remove: Iterable[str], keep_binaries: bool) -> tuple[str, ...]:
    """Return what stays, each with its reason."""
    gone, disks = set(remove), _disks(seen, own)
    said = [f"{what}: {why}" for what, why in KEPT]
    if keep_binaries and PROGRAMS in seen.paths:
        said.append(f"{PROGRAMS}: keep_binaries is true")
    for part in PARTS:
        left = [path for path in (*part.paths, *part.marked) if path in seen.paths and path not in gone]
        if left and part not in own:
            said.append(f"{', '.join(left)}: {part.unit} is not ours, {part.proof} says nothing of it")
            continue
        said += [_disk_said(path, seen.paths[path].names) for path in left if path in disks]
        left = [path for path in left if path not in disks]
        if left:
            said.append(f"{', '.join(left)}: not written by this collection")
    for shell in RUNTIME.shells:
        names = sorted(set(seen.paths.get(shell, Found()).names) - _names_in(shell, gone))
        if names and not any(name in names for name in _names_in(shell, RUNTIME.shells)):
            said.append(f"{shell}: holds what is not ours ({', '.join(names[:3])})")
    said += [
        f"{found.target}: {path} is only a link to it"
        for path, found in seen.paths.items()
        if path in gone and found.kind == "link" and posixpath.dirname(path) not in (COMMANDS, HOME)
    ]
    return tuple(said)


def _disk_said(folder: str, names: Iterable[str]) -> str:
    """Return why a disk of its own stays, and what on it."""
    others = sorted(set(names) - set(of_disk(folder, names)) - {OF_THE_DISK})
    more = f"{', '.join(others[:3])}{' and more' if len(others) > 3 else ''}"
    return f"{folder}: a mount point of yours, which stays mounted" + (
        f", and so does what is not ours on it ({more})" if others else ""
    )


def _without_record(plan: Plan, seen: Seen, keep_binaries: bool) -> Plan:
    """Return what may be done on a host that has no record: the last touch of a cut-off run, and programs nobody uses."""
    telling = [verdict.name for verdict in (*plan.stop, *plan.runtime) if verdict.changed]
    telling += [
        path
        for path in plan.remove
        if path not in plan.shells and (path in TELLING and seen.paths[path] != Found("directory") or path.startswith(INSIDE))
    ]
    if telling:
        return Plan(
            f"nothing was changed: this host belongs to no cluster of ours, {RECORD} is missing; what else is there "
            f"({', '.join(telling[:3])}{' and more' if len(telling) > 3 else ''}) is not touched. "
            f'Next: if it was a host of ours, write that file back, {{"name": "<cluster>"}}, and run again',
            refused=True,
        )
    programs = [path for path in plan.remove if path == PROGRAMS or posixpath.dirname(path) == COMMANDS]
    rest = (*([] if keep_binaries or PROGRAMS not in seen.paths else programs), *(path for path in plan.remove if path == HOME))
    reason = "an earlier reset is finished" if rest else "nothing of a cluster of ours is on this host"
    return Plan(reason, remove=rest, shells=plan.shells)


def _obstacles(plan: Plan, seen: Seen) -> list[str]:
    """Return what stands in the way of removing: other mounts, also those on a disk of its own, and links above a path."""
    going = set(plan.unmount)
    said = [
        f"{point} is a mount point, and what is mounted there is not removed; unmount it"
        for point in dict.fromkeys(seen.mounts)
        if point not in going and any(point == path or point.startswith(path + "/") for path in plan.remove)
    ]
    return said + [
        f"{path} lies behind the symbolic link {seen.paths[path].through}, and nothing is removed through one; remove it by hand"
        for path in plan.remove
        if path in seen.paths and seen.paths[path].through
    ]


def parse_tables(text: str) -> tuple[tuple[str, str], ...]:
    """Return (family, name) of every table from the output of `nft -j list tables`."""
    rows = json.loads(text or "{}").get("nftables", ())
    return tuple((row["table"]["family"], row["table"]["name"]) for row in rows if "table" in row)


def parse_binds(text: str) -> tuple[str, ...]:
    """Return the mount points at which a folder is mounted on itself, from /proc/self/mountinfo (proc_pid_mountinfo(5)).

    One at which something else is mounted too is none: both would be unmounted.
    """
    rows = [Mount(*fields[:5]) for fields in (line.split(" ") for line in text.splitlines()) if len(fields) > 4]
    known = {row.number: row for row in rows}
    own = {row.number for row in rows if _on_itself(row, known)}
    others = {row.point for row in rows if row.number not in own}
    return tuple(dict.fromkeys(row.point for row in rows if row.point not in others))


def _on_itself(row: Mount, known: Mapping[str, Mount]) -> bool:
    """Return whether a mount shows what its mount point is in the mount below it, which may be another of the same folder."""
    below = known.get(row.parent)
    return below is not None and below is not row and (row.device, row.root) == (below.device, _within(below, row.point))


def _within(mount: Mount, path: str) -> str:
    """Return which folder of its file system a path in a mount is."""
    return posixpath.normpath(posixpath.join(mount.root, posixpath.relpath(path, mount.point)))


def parse_links(text: str) -> tuple[Link, ...]:
    """Return the interfaces from the output of `ip -j link show`."""
    return tuple(Link(row["ifname"], row.get("master", "")) for row in json.loads(text or "[]") if "ifname" in row)


def uses_iptables(config: str) -> bool:
    """Return whether kube-proxy's configuration asks for iptables; only then are chains of it looked for."""
    return bool(re.search(r'"mode"\s*:\s*"iptables"', config))


def program(unit_text: str, name: str) -> str:
    """Return the path of a program of ours beside the one a unit file runs, empty when it runs none of ours."""
    found = re.search(rf"(?m)^ExecStart=({re.escape(PROGRAMS)}/\w[\w.-]*/\w[\w.+-]*)/", unit_text)
    return f"{found[1]}/{name}" if found else ""


def diff(plan: Plan) -> dict[str, str]:
    """Return Ansible's diff: what is there and will not be."""
    lines = [f"unit {name}" for name in plan.stopped] + [f"pod task {name}" for name in plan.pods]
    lines += [f"mount {point}" for point in plan.unmount] + plan.removed
    return {"before_header": "host", "after_header": "host", "before": "".join(f"{line}\n" for line in lines), "after": ""}
