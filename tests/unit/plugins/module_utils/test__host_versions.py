# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools
from dataclasses import fields

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _host_versions, _skew
from ansible_collections.multimaster.kubernetes.plugins.module_utils._topology import Host

OLD, NEW, PATCHED = "1.36.3", "1.37.2", "1.36.4"
ETCD_OLD, ETCD_NEW = "3.6.16", "3.7.3"
MASTERS, WORKERS = ("m1", "m2", "m3"), ("w1",)


def running(servers=(OLD,) * 3, controllers=None, nodes=(OLD,) * 4, etcd=(ETCD_OLD,) * 3):
    """Return what runs on m1 to m3 and w1; "" runs not."""

    def told(names, versions):
        return {name: version for name, version in zip(names, versions, strict=True) if version}

    both = told(MASTERS, controllers or servers)
    kubelets = told((*MASTERS, *WORKERS), nodes)
    return _skew.Versions(told(MASTERS, servers), both, dict(both), kubelets, dict(kubelets), told(MASTERS, etcd))


def host(name):
    master = name.startswith("m")
    return Host(name, name, "", "", 0, "", master=master, worker=not master, member=master)


def kept(name, seen):
    return _host_versions.kept(host(name), seen, NEW, ETCD_NEW)


HALF = {"servers": (NEW, OLD, OLD), "etcd": (ETCD_NEW, ETCD_OLD, ETCD_OLD)}


@pytest.mark.parametrize(
    ("name", "seen", "kubernetes", "apiserver", "kubelet", "etcd"),
    [
        ("m1", running(), OLD, OLD, OLD, ETCD_OLD),
        # in the middle of an upgrade: each goes on with its own
        ("m1", running(**HALF), NEW, NEW, OLD, ETCD_NEW),
        ("m2", running(**HALF), OLD, OLD, OLD, ETCD_OLD),
        # a newcomer has what goes with everybody
        ("m4", running(**HALF), OLD, OLD, OLD, ETCD_OLD),
        ("w9", running(**HALF), OLD, OLD, OLD, ETCD_OLD),
        ("m4", running((NEW,) * 3, etcd=(ETCD_NEW,) * 3), NEW, NEW, NEW, ETCD_NEW),
        # neither runs nor has a unit: it is not newer than the others
        ("m1", running(("", OLD, OLD), (OLD,) * 3), OLD, OLD, OLD, ETCD_OLD),
        ("m1", running((NEW, NEW, NEW), nodes=("", OLD, OLD, OLD)), NEW, NEW, NEW, ETCD_OLD),
        ("m1", running(etcd=("", ETCD_NEW, ETCD_NEW)), OLD, OLD, OLD, ETCD_NEW),
        # a worker needs no API server's program
        ("w1", running((NEW,) * 3), OLD, NEW, OLD, ETCD_OLD),
        # a patch that the inventory names does not come in by the back door either
        ("m1", running((PATCHED, OLD, OLD)), PATCHED, PATCHED, OLD, ETCD_OLD),
        # nothing is there, so nothing is to go with
        ("m1", _skew.Versions(), NEW, NEW, NEW, ETCD_NEW),
        # what says no version is not taken for one
        ("m4", running(("weird", NEW, NEW)), NEW, NEW, NEW, ETCD_OLD),
    ],
)
def test_case(name, seen, kubernetes, apiserver, kubelet, etcd):
    found = kept(name, seen)
    assert (found["kubernetes"], found["apiserver"], found["kubelet"], found["etcd"]) == (kubernetes, apiserver, kubelet, etcd)


def legal():
    """Yield every state that an upgrade of three masters and a worker passes; of a host nothing may be known."""
    members = ((ETCD_OLD,) * 3, (ETCD_NEW, ETCD_OLD, ETCD_OLD), ("", ETCD_NEW, ETCD_OLD), (ETCD_NEW, ETCD_NEW, ""))
    for servers, controllers in itertools.product(itertools.product((OLD, NEW, ""), repeat=3), repeat=2):
        # Whose controllers are new has a new API server; of one that is down its unit tells.
        known = all(server == NEW or controller != NEW for server, controller in zip(servers, controllers, strict=True))
        done = all(version == NEW for version in servers)
        for nodes in itertools.product((OLD, NEW) if done else (OLD,), repeat=4) if any(servers) and known else ():
            for etcd in members:
                seen = running(servers, controllers, nodes, etcd)
                if not _skew.judge_skew(seen):
                    yield seen


def test_nobody_is_taken_out_of_step_and_whoever_comes_is_in_step_with_all():
    states = list(legal())
    assert len(states) > 500
    hosts = [host(name) for name in (*MASTERS, "m4", "w1", "w2")]
    for seen in states:
        chosen = {one.name: kept(one.name, seen) for one in hosts}
        after = _host_versions.as_running(hosts, chosen)
        assert not _skew.judge_skew(after), seen
        for field in fields(_skew.Versions):
            before, now = getattr(seen, field.name), getattr(after, field.name)
            assert all(now[name] == version for name, version in before.items()), (field.name, seen)


def test_what_does_not_run_is_on_the_disk_of_its_host():
    for seen in legal():
        for name in (*MASTERS, "m4"):
            found = kept(name, seen)
            unknown = [program for program in _host_versions.PROGRAMS if name not in getattr(seen, program)]
            assert {found[program] for program in unknown} <= {found["kubernetes"]}


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (running((NEW,) * 3, nodes=(NEW,) * 4, etcd=(ETCD_NEW,) * 3), []),
        (running((NEW, OLD, OLD)), [f"Kubernetes {OLD}, {NEW}; etcd {ETCD_OLD}", f"to {NEW} and {ETCD_NEW}"]),
        (running((NEW,) * 3, nodes=(NEW,) * 4), [f"etcd {ETCD_OLD}"]),
        (_skew.Versions(), []),
    ],
)
def test_a_plan_tells_when_other_versions_are_wanted(seen, words):
    said = "".join(_host_versions.note(seen, NEW, ETCD_NEW))
    assert all(one in said for one in words)
    assert bool(said) == bool(words)


def test_a_run_that_changes_versions_wants_the_same_of_all():
    assert set(_host_versions.wanted(NEW, ETCD_NEW).values()) == {NEW, ETCD_NEW}
    assert _host_versions.wanted(NEW, ETCD_NEW)["etcd"] == ETCD_NEW
