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


NOTHING = _skew.Versions()


def kept(name, seen, units=NOTHING):
    return _host_versions.kept([host(name)], seen, units, NEW, ETCD_NEW)[name]


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
        # what starts anew must be fetched, beside what lies there
        ("m1", running((NEW, OLD, OLD), nodes=("", OLD, OLD, OLD)), OLD, NEW, OLD, ETCD_OLD),
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


@pytest.mark.parametrize(
    ("name", "seen", "units", "wanted"),
    [
        # the first master's turn, cut off at different points; its units are written beforehand, as are those of the others
        ("m1", {"servers": ("", OLD, OLD), "controllers": (OLD,) * 3}, {}, {"apiserver": NEW, "scheduler": OLD}),
        ("m1", {"controllers": ("", OLD, OLD)}, {}, {"apiserver": OLD, "scheduler": OLD}),
        ("m1", {"servers": ("", OLD, OLD), "controllers": ("", OLD, OLD)}, {}, {"apiserver": NEW, "scheduler": NEW}),
        ("m1", {"servers": (NEW, OLD, OLD), "controllers": ("", OLD, OLD)}, {}, {"apiserver": NEW, "scheduler": NEW}),
        # a kubelet's unit that is newer than the oldest API server
        ("w1", {"nodes": (OLD, OLD, OLD, "")}, {}, {"kubelet": OLD}),
        ("w1", {"servers": (NEW,) * 3, "nodes": (OLD, OLD, OLD, "")}, {}, {"kubelet": NEW}),
        # a member that never heard that a downgrade was called off
        ("m3", {"etcd": (ETCD_NEW, ETCD_NEW, "")}, {"etcd": (ETCD_OLD,) * 3}, {"etcd": ETCD_NEW}),
        ("m3", {"etcd": (ETCD_OLD, ETCD_OLD, "")}, {}, {"etcd": ETCD_NEW}),
    ],
)
def test_a_program_that_does_not_run_has_its_units_version_as_far_as_that_goes(name, seen, units, wanted):
    written = {"servers": (NEW,) * 3, "nodes": (NEW,) * 4, "etcd": (ETCD_NEW,) * 3, **units}
    found = kept(name, running(**seen), running(**written))
    assert {program: found[program] for program in wanted} == wanted


def states():
    """Yield what runs, and what the units start, wherever an upgrade of three masters and a worker is cut off."""
    members = ((ETCD_OLD,) * 3, (ETCD_NEW, ETCD_OLD, ETCD_OLD), ("", ETCD_NEW, ETCD_OLD), (ETCD_NEW, ETCD_NEW, ""))
    for servers, controllers in itertools.product(itertools.product((OLD, NEW, ""), repeat=3), repeat=2):
        done = all(version == NEW for version in servers)
        for nodes in ((OLD,) * 4, *([(NEW, OLD, "", OLD), ("", NEW, NEW, NEW)] if done else ())) if any(servers) else ():
            for etcd in members:
                seen = running(servers, controllers, nodes, etcd)
                for written in (OLD, NEW, ""):
                    units = running((written,) * 3, (written,) * 3, (written if done else OLD,) * 4, (ETCD_NEW,) * 3)
                    # New controllers beside an API server that is down and whose unit is not: nobody's doing of ours.
                    pairs = zip(servers, controllers, strict=True)
                    ours = all(server or controller != NEW or written == NEW for server, controller in pairs)
                    if ours and not _skew.judge_skew(seen):
                        yield seen, units


def test_nobody_is_taken_out_of_step_and_whoever_comes_is_in_step_with_all():
    found = list(states())
    assert len(found) > 1000
    hosts = [host(name) for name in (*MASTERS, "m4", "w1", "w2")]
    for seen, units in found:
        chosen = _host_versions.kept(hosts, seen, units, NEW, ETCD_NEW)
        after = _host_versions.as_running(hosts, chosen)
        assert not _skew.judge_skew(after), (seen, units)
        for field in fields(_skew.Versions):
            before, now = getattr(seen, field.name), getattr(after, field.name)
            assert all(now[name] == version for name, version in before.items()), (field.name, seen)


def test_what_is_to_start_is_on_the_disk_of_its_host():
    for seen, units in states():
        for name in (*MASTERS, "m4", "w1"):
            found = kept(name, seen, units)
            for program in _host_versions.KUBERNETES if name != "w1" else _host_versions.NODE:
                there = {getattr(versions, part).get(name) for versions in (seen, units) for part in _host_versions.KUBERNETES}
                assert found[program] in {*there, found["kubernetes"]}, (name, program, seen, units)


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
