# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which arguments a version does not take; and that the collection itself passes none of them."""

from __future__ import annotations

import pathlib

import pytest
import yaml
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _removed_flags, _settings, _skew

ROOT = pathlib.Path(__file__).resolve().parents[4]
TABLES = {
    "FLAGS_GONE": {"etcd": {(3, 7): ("old",)}},
    "FLAGS_ADDED": {"kubelet": {(1, 37): ("new",)}},
    "GATES_GONE": {"kubernetes": {(1, 37): ("Old",)}},
    "GATES_ADDED": {"kubernetes": {(1, 37): ("New",)}},
    "GATES_LOCKED": {"kubernetes": {(1, 37): {"On": True, "Off": False}}},
}


@pytest.fixture
def tables(monkeypatch):
    for name, table in TABLES.items():
        monkeypatch.setattr(_removed_flags, name, table)


CASES = {
    "a flag that is gone": ("etcd", (3, 7), {"old": 1}, ["old is gone since 3.7"]),
    "gone for good": ("etcd", (3, 8), {"--old": 1}, ["old is gone since 3.7"]),
    "still there": ("etcd", (3, 6), {"old": 1}, []),
    "another program's": ("kubelet", (1, 37), {"old": 1}, []),
    "left out": ("etcd", (3, 7), {"old": None}, []),
    "not there yet": ("kubelet", (1, 36), {"new": 1}, ["new comes only with 1.37"]),
    "there now": ("kubelet", (1, 37), {"new": 1}, []),
    "gates as text": ("kube-proxy", (1, 37), {"feature_gates": "kube:Old=true, New=true"}, ["Old is gone since 1.37"]),
    "gates as a list": ("kube-proxy", (1, 37), {"feature-gates": ["A=true", "Old=false"]}, ["Old is gone since 1.37"]),
    "gates of a configuration file": ("kubelet", (1, 36), {"featureGates": {"New": True}}, ["New comes only with 1.37"]),
    "locked gates set otherwise": (
        "kube-apiserver",
        (1, 37),
        {"feature-gates": {"On": False, "Off": True}},
        ["Off can only be false since 1.37", "On can only be true since 1.37"],
    ),
    "locked gates set so": ("kube-apiserver", (1, 37), {"feature-gates": "On=true,Off=False"}, []),
    "locked only later": ("kube-apiserver", (1, 36), {"feature-gates": "On=false"}, []),
    "a configuration file without gates": ("kubelet", (1, 37), {"featureGates": None}, []),
    "gates of etcd are others": ("etcd", (3, 7), {"feature-gates": "Old=true"}, []),
    "everything at once": (
        "kubelet",
        (1, 36),
        {"new": 1, "feature-gates": "New=true"},
        ["New comes only with 1.37", "new comes only with 1.37"],
    ),
    "nothing": ("kubelet", (1, 37), {}, []),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("tables")
def test_what_a_version_does_not_take(name):
    program, line, flags, expected = CASES[name]
    assert [f"{one.name} {one.why}" for one in _removed_flags.unfit(program, line, flags)] == expected


def test_a_program_that_is_none_of_ours_is_an_error():
    with pytest.raises(KeyError):
        _removed_flags.unfit("kubectl", (1, 37), {})


@pytest.mark.parametrize(
    ("program", "line", "flags", "expected"),
    [
        ("etcd", (3, 7), {"experimental-corrupt-check-time": "1h"}, 1),
        ("etcd", (3, 6), {"experimental-corrupt-check-time": "1h"}, 0),
        ("etcd", (3, 7), {"corrupt-check-time": "1h", "feature-gates": "CompactHashCheck=true"}, 0),
        # graduated long ago and left in somebody's inventory
        ("kube-apiserver", (1, 37), {"feature-gates": "SidecarContainers=true"}, 1),
        ("kubelet", (1, 37), {"featureGates": {"HostnameOverride": False}}, 1),
        ("kubelet", (1, 36), {"featureGates": {"HostnameOverride": False, "SidecarContainers": True}}, 0),
        ("kube-scheduler", (1, 36), {"feature-gates": "SchedulerPreQueueingHints=true"}, 1),
        ("kubelet", (1, 37), {"containerd": "/run/containerd/containerd.sock"}, 1),
    ],
)
def test_what_the_programs_of_1_37_and_3_7_said(program, line, flags, expected):
    assert len(_removed_flags.unfit(program, line, flags)) == expected


def role_flags():
    """Yield (program, {flag: value}) of every role that runs one of our programs."""
    for program in _skew.COMPONENTS.values():
        role = "etcd" if program == "etcd" else program.replace("-", "_")
        values = yaml.safe_load((ROOT / "roles" / role / "vars" / "main.yml").read_text(encoding="utf-8"))
        yield program, values.get(f"__{role}_flags", {})


def test_the_flags_of_the_roles_fit_the_default_version_and_the_next_one():
    defaults = {setting.name: setting.default for setting in _settings.SETTINGS}
    found, seen = [], 0
    for program, flags in role_flags():
        default = _skew.parse(defaults["etcd_version" if program == "etcd" else "kubernetes_version"])
        seen += len(flags)
        for line in (default.line, (default.major, default.minor + 1)):
            found += [(program, line, one) for one in _removed_flags.unfit(program, line, flags)]
    assert seen > 50
    assert found == []


def test_the_tables_are_of_known_programs_and_in_order():
    for table in (_removed_flags.FLAGS_GONE, _removed_flags.FLAGS_ADDED):
        assert set(table) <= set(_skew.COMPONENTS.values())
    for table in (_removed_flags.GATES_GONE, _removed_flags.GATES_ADDED, _removed_flags.GATES_LOCKED):
        assert set(table) <= {"kubernetes", "etcd"}
    for name in TABLES:
        for lines in getattr(_removed_flags, name).values():
            for names in lines.values():
                assert list(names) == sorted(names)
