# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judging inventories and observations, for the tests of preflight and of the modules that hold its checks."""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _preflight, _topology
from cluster_fixtures import fresh, inventory, settings

NAMES = ("m1", "m2", "m3")


def viewed(listed, observed, store=False, **more):
    """Return what a check may look at; `more` are settings."""
    made = settings(**more)
    topology = _topology.build(made, listed, observed, store, nonce="5eed")
    return _preflight.View(made, listed, observed, topology, store)


def judge(listed, observed, store=False, ignore=(), **more):
    return _preflight.judge(viewed(listed, observed, store, **more), ignore)


def bare(*names):
    return {name: fresh(name) for name in names}


def three(**changes):
    """Judge three bare masters and a worker, with changes to m1's observation."""
    observed = bare(*NAMES, "w1")
    observed["m1"].update(changes)
    return judge(inventory(NAMES, ["w1"]), observed)


def found(findings, level=None):
    return [(finding.host, finding.check) for finding in findings if level in (None, finding.level)]
