# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Judge which versions may run side by side, and which may follow which.

Solves: a skipped minor or a kubelet that is newer than an API server breaks in ways that show days later. Every
finding is reported at once. Leaves out: which versions are installed where, and the order of an upgrade.

Sources: Kubernetes "Version Skew Policy"; etcd "Upgrade etcd from v3.6 to v3.7" and its changelogs.
"""

from __future__ import annotations

import functools
import re
import typing
from dataclasses import dataclass, field

from ansible_collections.multimaster.kubernetes.plugins.module_utils._finding import WARNING, Finding

# Minors.
APISERVER_APART = 1
KUBELET_BEHIND = 3
CONTROLLER_BEHIND = 1
HOP = 1
# A member of 3.7 joins a cluster of 3.6 only from this patch on.
ETCD_HOP_FLOOR = {(3, 7): (3, 6, 11)}
# The first patch without the known security holes, by minor.
ETCD_SECURITY_FLOOR = {(3, 6): (3, 6, 14), (3, 7): (3, 7, 1)}

#: What is wanted, by the id of the finding where it is not so.
CHECKS = {
    "skew-version": "Want every program to say a version that is one.",
    "skew-apiserver": f"Want API servers at most {APISERVER_APART} minor apart.",
    **{
        f"skew-{name}": f"Want {name} newer than no API server, and at most {KUBELET_BEHIND} minors older than the newest."
        for name in ("kubelet", "kube-proxy")
    },
    **{
        f"skew-{name}": f"Want {name} not newer than its own API server, and at most {CONTROLLER_BEHIND} minor older."
        for name in ("kube-controller-manager", "kube-scheduler")
    },
    "skew-etcd": "Want members at most one minor apart, and of a patch that goes beside the newer minor.",
    "etcd-security": "Want etcd without the security holes that are known.",
    "version-unreadable": "Want the versions of the inventory to be some.",
    "version-downgrade": "Want no older minor, and on the way back one at a time.",
    "version-older-patch": "Want no older patch.",
    "version-skips": "Want one minor at a time.",
    **{
        f"version-{name}": f"Want {name} to go beside the API servers of the version that is wanted."
        for name in ("kubelet", "kube-proxy")
    },
    "version-etcd-floor": "Want etcd's members at the patch from which the wanted minor can join them.",
}

_LINE = re.compile(r"v?(\d+)\.(\d+)")
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)([-+][0-9A-Za-z.+-]+)?")


class Version(typing.NamedTuple):
    """A version without its suffix; compares by number."""

    major: int
    minor: int
    patch: int

    def __str__(self):
        return f"{self.major}.{self.minor}.{self.patch}"

    @property
    def line(self):
        """Return (major, minor)."""
        return self[:2]


@dataclass(frozen=True)
class Versions:
    """Running versions by host: {host: "1.36.3"} for each component; a host that runs none is left out."""

    apiserver: dict = field(default_factory=dict)
    controller_manager: dict = field(default_factory=dict)
    scheduler: dict = field(default_factory=dict)
    kubelet: dict = field(default_factory=dict)
    kube_proxy: dict = field(default_factory=dict)
    etcd: dict = field(default_factory=dict)


COMPONENTS = {
    "apiserver": "kube-apiserver",
    "controller_manager": "kube-controller-manager",
    "scheduler": "kube-scheduler",
    "kubelet": "kubelet",
    "kube_proxy": "kube-proxy",
    "etcd": "etcd",
}


def parse(text) -> Version:
    """Return the Version in "1.36.3", "v1.36.3" or "1.36.3-rc.1"; ValueError on anything else."""
    return _parse(str(text))


@functools.lru_cache(maxsize=256)  # a plan asks for the same few versions thousands of times
def _parse(text):
    found = _VERSION.fullmatch(text.strip())
    if not found:
        raise ValueError(f"{text!r} is no version like 1.36.3")
    return Version(*(int(part) for part in found.groups()[:3]))


def line(text):
    """Return (major, minor) of "3.6", "3.6.16" or "v3.6.0", None when there is none."""
    found = _LINE.match(text or "")
    return (int(found.group(1)), int(found.group(2))) if found else None


def _behind(version, reference):
    """Return by how many minors a version is behind another; another major is any number behind."""
    return (reference.major - version.major) * 1000 + reference.minor - version.minor


def _parsed(running):
    """Return ({component: {host: Version}}, findings for what is no version)."""
    known, findings = {}, []
    for component, name in COMPONENTS.items():
        known[component] = {}
        for host, text in sorted(getattr(running, component).items()):
            try:
                known[component][host] = parse(text)
            except ValueError:
                fix = f"See what {name} on this host is; reinstall it by site.yml."
                findings.append(Finding(host, "skew-version", f"{name} says {text!r}", "a version like 1.36.3", fix))
    return known, findings


def judge_skew(running: Versions) -> tuple:
    """Return the findings on what runs now."""
    known, findings = _parsed(running)
    servers = known["apiserver"]
    if servers:
        oldest, newest = min(servers.values()), max(servers.values())
        findings += _servers_apart(servers, newest)
        for component in ("kubelet", "kube_proxy"):
            findings += _nodes(COMPONENTS[component], known[component], oldest, newest)
        for component in ("controller_manager", "scheduler"):
            findings += _controllers(COMPONENTS[component], known[component], servers)
    findings += _members(known["etcd"])
    return tuple(findings)


def _anew(host):
    """Return what to do about a program that is too far behind the others: upgrade.yml begins on nothing that must not be."""
    return (
        f"Take the host out and bring it in again, in the version of the others: remove_node.yml -e node={host}, then site.yml."
    )


def _servers_apart(servers, newest):
    for host, version in sorted(servers.items()):
        if _behind(version, newest) > APISERVER_APART:
            wanted = f"at most {APISERVER_APART} minor behind {newest}"
            yield Finding(host, "skew-apiserver", f"kube-apiserver {version}", wanted, _anew(host))


def _outside(versions, oldest, newest):
    """Return (host, Version) of the nodes that are newer than the oldest API server, or too far behind the newest, by host.

    A thousand nodes have a few versions, each of which is judged once.
    """
    out = {v for v in set(versions.values()) if _behind(v, oldest) < 0 or _behind(v, newest) > KUBELET_BEHIND}
    return sorted((host, version) for host, version in versions.items() if version in out)


def _nodes(name, versions, oldest, newest):
    for host, version in _outside(versions, oldest, newest):
        if _behind(version, oldest) < 0:
            wanted = f"not newer than any API server ({oldest})"
            fix = "Upgrade the API servers first; they come before all else."
        else:
            wanted = f"at most {KUBELET_BEHIND} minors behind the API servers ({newest})"
            fix = _anew(host)
        yield Finding(host, f"skew-{name}", f"{name} {version}", wanted, fix)


def _controllers(name, versions, servers):
    """Judge each against the API server of its own host, the only one it talks to; while that is down it talks to nobody."""
    for host, version in sorted(versions.items()):
        own = servers.get(host, version)
        if _behind(version, own) < 0:
            wanted, fix = f"not newer than its API server ({own})", "Upgrade that API server first."
        elif _behind(version, own) > CONTROLLER_BEHIND:
            wanted = f"at most {CONTROLLER_BEHIND} minor behind its API server ({own})"
            fix = "Upgrade it to its API server's version."
        else:
            continue
        yield Finding(host, f"skew-{name}", f"{name} {version}", wanted, fix)


def _members(members):
    if not members:
        return
    newest = max(members.values())
    floor = ETCD_HOP_FLOOR.get(newest.line)
    for host, version in sorted(members.items()):
        if _behind(version, newest) > HOP:
            wanted = f"at most {HOP} minor behind {newest}"
            yield Finding(host, "skew-etcd", f"etcd {version}", wanted, _anew(host))
        elif floor and version < floor:
            wanted = f"at least {_text(floor)} beside {newest}"
            yield Finding(host, "skew-etcd", f"etcd {version}", wanted, _anew(host))
        yield from _secure(host, version)


def _secure(host, version):
    floor = ETCD_SECURITY_FLOOR.get(version.line)
    if floor and version < floor:
        wanted = f"{_text(floor)} or later, without the known security holes"
        yield Finding(host, "etcd-security", f"etcd {version}", wanted, "Set multimaster_etcd_version and upgrade.", WARNING)


def _text(version):
    return ".".join(map(str, version))


def judge_target(running: Versions, kubernetes=None, etcd=None, back=False) -> tuple:
    """Return the findings on the hop from what runs to the wanted versions; None leaves a version out.

    ``back``: going back one minor is no finding by itself, but judged by what it needs: no node newer than the API servers
    will be, no etcd member beside newer ones that it does not go with.
    """
    known, _unreadable = _parsed(running)
    findings = []
    if kubernetes:
        findings += _target("kubernetes", kubernetes, {"kube-apiserver": known["apiserver"]}, back)
    if etcd:
        findings += _target("etcd", etcd, {"etcd": known["etcd"]}, back)
    if any(finding.check == "version-unreadable" for finding in findings):
        return tuple(findings)
    if kubernetes:
        findings += _controllers_after(known, parse(kubernetes))
        findings += _nodes_after(known, parse(kubernetes))
    if etcd:
        findings += _members_after(known["etcd"], parse(etcd))
    return tuple(findings)


def _target(setting, text, components, back):
    """Judge a wanted version against each host's present one: no skipped minor, and a way back only where it is asked for."""
    variable = f"multimaster_{setting}_version"
    try:
        target = parse(text)
    except ValueError as error:
        yield Finding("", "version-unreadable", f"{variable}: {error}", "a version like 1.36.3", f"Correct {variable}.")
        return
    for name, versions in components.items():
        for host, version in sorted(versions.items()):
            hop = _behind(version, target)
            found = f"{name} {version} to {target}"
            if hop > HOP:
                yield _skips(host, found, variable, version)
            elif hop < -HOP and back:
                fix = f"Set {variable} to a {version.major}.{version.minor - 1} release first, then go back again."
                yield Finding(host, "version-downgrade", found, f"at most {HOP} minor back at a time", fix)
            elif hop < 0 and not back:
                fix = f"Set {variable} to {version} or later, or go back by upgrade.yml (docs/runbooks/upgrade-go-back.md)."
                yield Finding(host, "version-downgrade", found, "no older minor", fix)
            elif target < version and not hop:
                fix = f"Set {variable} to {version} or later, unless you mean it."
                yield Finding(host, "version-older-patch", found, "no older patch", fix, WARNING)


def _skips(host, found, variable, version):
    fix = f"Set {variable} to a {version.major}.{version.minor + 1} release, upgrade, then go on."
    return Finding(host, "version-skips", found, f"at most {HOP} minor at a time", fix)


def _controllers_after(known, target):
    """Judge the controllers beside API servers that run the wanted version already: these are upgraded first."""
    for component in ("controller_manager", "scheduler"):
        for host, version in sorted(known[component].items()):
            if _behind(version, target) > CONTROLLER_BEHIND:
                found = f"{COMPONENTS[component]} {version} to {target}"
                yield _skips(host, found, "multimaster_kubernetes_version", version)


def _nodes_after(known, target):
    """Judge the nodes against API servers that run the wanted version already: these are upgraded first."""
    newest = max(known["apiserver"].values(), default=target)
    for component in ("kubelet", "kube_proxy"):
        name = COMPONENTS[component]
        for host, version in _outside(known[component], target, target):
            if _behind(version, target) > KUBELET_BEHIND:
                wanted = f"at most {KUBELET_BEHIND} minors behind {target}"
                first = (
                    f"Set multimaster_kubernetes_version to the API servers' {newest} and run upgrade.yml, which brings the "
                    "nodes up to it; then go on."
                )
                fix = first if _behind(version, newest) <= KUBELET_BEHIND else _anew(host)
                yield Finding(host, f"version-{name}", f"{name} {version}", wanted, fix)
            else:
                fix = f"Set multimaster_kubernetes_version to {version} or later."
                yield Finding(host, f"version-{name}", f"{name} {version}", f"not newer than {target}", fix)


def _members_after(members, target):
    floor = ETCD_HOP_FLOOR.get(target.line)
    for host, version in sorted(members.items()):
        if floor and version < floor and _behind(version, target) == HOP:
            fix = f"Upgrade to {_text(floor)} or later of {version.major}.{version.minor} first."
            yield Finding(host, "version-etcd-floor", f"etcd {version}", f"{_text(floor)} before {target}", fix)
        beside = ETCD_HOP_FLOOR.get(version.line)
        if beside and target < beside and _behind(version, target) == -HOP:
            fix = f"Set multimaster_etcd_version to {_text(beside)} or later of {target.major}.{target.minor}."
            yield Finding(host, "version-etcd-floor", f"etcd {target} wanted", f"{_text(beside)} beside {version}", fix)
    yield from _secure("", target)
