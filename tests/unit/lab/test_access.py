# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lab remembers of its last run, and what its inventories mean."""

from __future__ import annotations

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))

import access


def cluster(state=None, masters=(), **variables):
    """Return a cluster without a lab."""
    made = object.__new__(access.Cluster)
    made.state, made.inventories = state, ["lab", "settings", "own"]
    made.inventory = {
        "kube_control_plane": {"hosts": list(masters)},
        "_meta": {"hostvars": {host: dict(variables) for host in masters}},
    }
    return made


def test_a_run_that_stopped_is_remembered_until_one_comes_to_its_end(tmp_path):
    made = cluster(tmp_path)
    assert made.finished
    for finished in (False, False, True, True):
        made.remember(finished=finished)
        assert made.finished is finished
        assert made._remembered() == ["own"]


@pytest.mark.parametrize("said,words", [("", "says no JSON: ''"), ("404 page not found", "says no JSON: '404 page")])
def test_an_answer_of_etcd_that_cannot_be_read_is_an_error_that_is_waited_out(said, words):
    made = cluster()
    made.addresses, made.ssh = {"m1": "192.0.2.11"}, lambda _host, _command: said
    with pytest.raises(access.AccessError, match=words):
        made.etcd("m1", "maintenance/status")


@pytest.mark.parametrize(
    "masters,variables,balanced",
    [
        (["m1"], {}, False),
        (["m1", "m2"], {}, True),
        (["m1", "m2"], {"multimaster_endpoint_mode": "managed"}, True),
        (["m1", "m2"], {"multimaster_endpoint_mode": "external"}, False),
    ],
)
def test_several_masters_are_balanced_unless_somebody_else_does_it(masters, variables, balanced):
    assert cluster(masters=masters, **variables).balanced is balanced


@pytest.mark.parametrize("mode,port", [("managed", 443), ("external", 6443)])
def test_a_master_s_own_api_server_has_the_endpoints_port_unless_that_is_somebody_elses(mode, port):
    made = cluster(masters=["m1"], multimaster_endpoint_mode=mode)
    made.addresses, made.credentials = {"m1": "192.0.2.11"}, {"server": "https://192.0.2.10:443"}
    assert made.server_of("m1") == f"https://192.0.2.11:{port}"
