# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters to upgrade as data, and a model that does a plan's steps piece by piece, so that it can be cut off anywhere."""

from __future__ import annotations

import dataclasses

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _quorum, _skew, _upgrade
from ansible_collections.multimaster.kubernetes.plugins.module_utils._finding import errors

COMPONENT = {program: component for component, program in _skew.COMPONENTS.items()}
OLD, NEW = ("1.36.3", "3.6.16"), ("1.37.2", "3.7.3")
ZONES = "abc"


def stacked(count, learner=""):
    """Return masters m1 (holder and leader), m2, … in zones a, b, c, with etcd on them."""
    return tuple(
        _upgrade.Host(f"m{n}", ZONES[(n - 1) % 3], master=True, member=True, holds=n == 1, leads=n == 1, votes=f"m{n}" != learner)
        for n in range(1, count + 1)
    )


def workers(count):
    return tuple(_upgrade.Host(f"w{n}", ZONES[(n - 1) % 3], worker=True) for n in range(1, count + 1))


def external(masters, members):
    """Return masters m1 (holder), … and dedicated etcd hosts e1, …, of which e2 leads."""
    return (
        *(_upgrade.Host(f"m{n}", ZONES[(n - 1) % 3], master=True, holds=n == 1) for n in range(1, masters + 1)),
        *(_upgrade.Host(f"e{n}", ZONES[(n - 1) % 3], member=True, leads=n == min(2, members)) for n in range(1, members + 1)),
    )


def running(hosts, kubernetes, etcd, /, **differing):
    """Return Versions: everything the same, but for `component={host: version}`."""
    found = {component: {} for component in _skew.COMPONENTS}
    for host in hosts:
        for component in host.components:
            found[component][host.name] = etcd if component == "etcd" else kubernetes
    for component, versions in differing.items():
        found[component].update(versions)
    return _skew.Versions(**found)


def wanted(versions=NEW, **more):
    return _upgrade.Wanted(*versions, **{"allow_downgrade": True, **more})


class Cluster:
    """A cluster that does steps; `pieces` yields after each thing that stops or starts."""

    def __init__(self, versions, hosts, cluster_version=""):
        self.running = {component: dict(getattr(versions, component)) for component in _skew.COMPONENTS}
        self.hosts = {host.name: host for host in hosts}
        self.downgrade = ""
        self.cluster_version = cluster_version or self._oldest()
        for host in hosts:
            for component in host.stopped:
                self.running[component].pop(host.name, None)

    def versions(self):
        return _skew.Versions(**{component: dict(found) for component, found in self.running.items()})

    def plan(self, wished):
        told = _upgrade.Etcd(f"{self.cluster_version}.0" if self.cluster_version else "", self.downgrade)
        return _upgrade.plan(self.versions(), tuple(self.hosts.values()), wished, told)

    def pieces(self, step):
        """Do one step, yielding whenever it could be cut off."""
        if step.kind == _upgrade.DOWNGRADE:
            self.downgrade = self.cluster_version = self._minor_before(self.cluster_version)
        elif step.kind == _upgrade.CANCEL:
            self.downgrade = ""
            self._settle()
        yield
        if step.kind == _upgrade.SWAP:
            yield from self._leave(step)
        to = {(one.host, one.program): one.wanted for one in step.changes}
        for name in step.hosts if step.restarts else ():
            # An API server does not run while the etcd beside it restarts.
            both = step.kind == _upgrade.MASTER and {"etcd", "kube-apiserver"} <= set(step.restarts)
            for program in step.restarts:
                if (name, program) not in to and not (both and program == "kube-apiserver"):
                    continue
                if both and program == "etcd":
                    self._stop(name, "kube-apiserver")
                    yield
                self._stop(name, program)
                yield
                self._start(name, program, to.get((name, program)))
                yield

    def _leave(self, step):
        """Do what comes before the change of a voter that is not spared."""
        [name] = step.hosts
        voters = [host for host in self.hosts.values() if host.member and host.votes and host.name != name]
        if self.hosts[name].votes is None:
            return
        heir = min(voters or [host for host in self.hosts.values() if host.member and host.votes is False], key=lambda h: h.name)
        self._set(heir.name, votes=True)
        yield
        self._set(name, leads=False)
        self._set(heir.name, leads=True)
        yield
        self._stop(name, "etcd")
        self._set(name, votes=None)
        self._settle()
        yield

    def _stop(self, name, program):
        component, host = COMPONENT[program], self.hosts[name]
        if component in host.stopped:
            return
        self.before = dict(getattr(self, "before", {}), **{f"{name} {component}": self.running[component].pop(name)})
        self._set(name, stopped=(*host.stopped, component))
        if program == "etcd" and host.leads:
            self._set(name, leads=False)
            living = sorted(n for n, h in self.hosts.items() if h.member and h.votes and n in self.running["etcd"])
            if living:
                self._set(living[0], leads=True)

    def _start(self, name, program, version):
        component, host = COMPONENT[program], self.hosts[name]
        self.running[component][name] = version or self.before[f"{name} {component}"]
        self._set(name, stopped=tuple(one for one in host.stopped if one != component))
        if program == "etcd":
            if host.votes is None:
                self._set(name, votes=False)
            self._settle()
            if self.downgrade and {_minor(text) for text in self.running["etcd"].values()} == {self.downgrade}:
                self.downgrade = ""

    def _settle(self):
        """Raise the cluster version as etcd does (tried with 3.6.16 and 3.7.3): when every member of the list is newer."""
        listed = [host for host in self.hosts.values() if host.member and host.votes is not None]
        if not self.downgrade and all(host.name in self.running["etcd"] for host in listed):
            self.cluster_version = max(self.cluster_version, self._oldest())

    def _set(self, name, **values):
        self.hosts[name] = dataclasses.replace(self.hosts[name], **values)

    def _oldest(self):
        return min((_minor(text) for text in self.running["etcd"].values()), default="")

    @staticmethod
    def _minor_before(minor):
        major, number = minor.split(".")
        return f"{major}.{int(number) - 1}"

    def faults(self):
        """Return what is not allowed at this moment."""
        found = [one.line() for one in errors(_skew.judge_skew(self.versions()))]
        masters = [host for host in self.hosts.values() if host.master]
        without = [host.name for host in masters if "apiserver" in host.stopped]
        voters = [host for host in self.hosts.values() if host.member and host.votes]
        up = [host for host in voters if "etcd" not in host.stopped]
        if len(without) > 1 or (without and len(masters) == 1):
            found.append(f"no API server on {without}")
        if voters and len(up) < _quorum.quorum(len(voters)):
            found.append(f"{len(up)} of {len(voters)} voters")
        for name, text in self.running["etcd"].items():
            if _minor(text) < self.cluster_version:
                found.append(f"etcd {text} on {name} does not start in a cluster of {self.cluster_version}")
        for host in masters:
            if host.votes and "etcd" in host.stopped and "apiserver" not in host.stopped:
                found.append(f"the API server of {host.name} lost its etcd")
        return found


def _minor(text):
    return text.rpartition(".")[0]


def planned(hosts, before=OLD, target=NEW, differing=None, **more):
    return _upgrade.plan(running(hosts, *before, **(differing or {})), hosts, wanted(target, **more))


def codes(plan):
    return [one.code for one in plan.refusals]


def changed(hosts, name, **values):
    return tuple(dataclasses.replace(host, **values) if host.name == name else host for host in hosts)


def all_but_m1(etcd, **more):
    """Return the plan back to OLD where m1's member is down, the others run 3.7, and etcd tells its cluster version."""
    hosts = changed(stacked(3), "m1", stopped=("etcd",))
    versions = running(hosts, OLD[0], NEW[1])
    del versions.etcd["m1"]
    return _upgrade.plan(versions, hosts, wanted(OLD, **more), _upgrade.Etcd(etcd))
