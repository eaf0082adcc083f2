# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a cluster must stay the same, and what begins afresh."""

from __future__ import annotations

import base64
import copy
import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))

import identity

NOW = {
    "cluster": "id-1",
    "server": "https://192.0.2.10:6443",
    "authority": "ca",
    "kubeconfig": "k",
    "certificates": {"m1 n1": "c1", "m2 n2": "c2"},
}


def other(**changes):
    return {**copy.deepcopy(NOW), **changes}


def looked(tmp_path, *series):
    """Return what differs at the last of several looks."""
    for now in series:
        found = identity.differences(identity.keep(tmp_path / identity.FILE, now), now)
    return found


def test_a_cluster_is_what_it_was_at_the_first_look(tmp_path):
    assert looked(tmp_path, NOW, copy.deepcopy(NOW)) == []


@pytest.mark.parametrize("key", identity.LASTING)
def test_what_lasts_may_not_change_and_stays_found(tmp_path, key):
    for series in ((NOW, other(**{key: "x"})), (other(**{key: "x"}),)):
        [found] = looked(tmp_path, *series)
        assert found == f"{identity.LASTING[key]} was {NOW[key]}, is x"


def test_masters_come_and_go_and_one_that_stays_shows_its_certificate(tmp_path):
    fewer, more = other(certificates={"m2 n2": "c2"}), other(certificates={"m2 n2": "c2", "m3 n3": "c3"})
    assert looked(tmp_path, NOW, fewer, more, NOW) == []
    [found] = looked(tmp_path, other(certificates={"m3 n3": "c4"}))
    assert found == "the certificate of m3 n3 (SHA-256) was c3, is c4"


def test_a_host_that_came_back_is_another_node(tmp_path):
    assert looked(tmp_path, NOW, other(certificates={"m1 n9": "c9", "m2 n2": "c2"})) == []


def test_a_cluster_that_was_built_anew_begins_afresh(tmp_path):
    anew = other(cluster="id-2", authority="another", kubeconfig="another", certificates={"m1 n5": "c5"})
    assert looked(tmp_path, NOW, anew, anew) == []
    assert json.loads((tmp_path / identity.FILE).read_text()) == anew


def kubeconfig(ca=b"ca", client="a"):
    data = base64.b64encode(ca).decode()
    cluster = {"name": "c", "cluster": {"server": "https://192.0.2.10:6443", "certificate-authority-data": data}}
    return json.dumps({"clusters": [cluster], "users": [{"user": {"client-certificate-data": client}}]})


def test_of_a_kubeconfig_the_cluster_counts_and_the_operators_certificate_does_not():
    assert identity.of_kubeconfig(kubeconfig()) == identity.of_kubeconfig(kubeconfig(client="b"))
    first, changed = (identity.of_kubeconfig(kubeconfig(ca=ca)) for ca in (b"ca", b"other"))
    assert [key for key in first if first[key] != changed[key]] == ["authority", "kubeconfig"]
