# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gate on three real members, from its arguments to its result: all there, one killed, no quorum, one that comes back."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.modules import etcd_quorum

NAMES = ("a", "b", "c")


@pytest.fixture
def asked(lab, world):
    """Return the arguments of a restart of a, asked of three members that serve."""
    lab.bootstrap(*NAMES)
    lab.serve(*NAMES)
    world.watch(lab.picture)
    return {**lab.params(*NAMES), "step": "restart", "target": "a", "timeout": 0}


def test_a_safe_step_passes_alike_in_a_check_and_in_every_run(asked, only_reads):
    for step, target in (("restart", "a"), ("remove", "b"), ("add_learner", "d")):
        results = only_reads(etcd_quorum, {**asked, "step": step, "target": target})
        assert [(one["safe"], one["errors"]) for one in results] == [(True, [])] * 3
        assert len({one["reason"] for one in results}) == 1


def test_a_killed_member_shuts_the_gate_and_its_return_opens_it(asked, lab, call, warned):
    c = lab.member("c")
    c.kill()
    lab.serve("a", "b")  # c may have led
    refused = call(etcd_quorum, asked)
    assert refused["failed"] and not refused["verdict"]["safe"]
    assert refused["msg"] == (
        "unsafe to restart a: without a 1 of 3 voters would be healthy and 2 are needed. Not answering: "
        f"{c.client_url}: etcd at {c.client_url}, asked for /v3/maintenance/status: connection refused (nothing listens there). "
        "Next: bring back c first"
    )
    checked = call(etcd_quorum, {**asked, "timeout": 60}, check=True)
    assert not checked["safe"] and "failed" not in checked and warned == [refused["msg"]]
    c.start()
    assert call(etcd_quorum, {**asked, "timeout": 60})["safe"]


def test_without_a_quorum_nothing_is_safe_and_who_is_missing_is_named(asked, lab, call):
    for name in "bc":
        lab.member(name).kill()
    refused = call(etcd_quorum, {**asked, "step": "remove", "target": "c"})
    said = "unsafe to remove c: no quorum stood behind the list of members (a, b, c), so it cannot be judged. Not answering: "
    assert refused["failed"] and refused["msg"].startswith(said)
    for name in NAMES:
        assert f"{lab.member(name).client_url}: etcd at " in refused["msg"]
    assert refused["msg"].endswith(
        "Next: bring back those that do not answer; if that is impossible, see docs/runbooks/etcd-lost-quorum.md"
    )


def test_a_certificate_that_etcd_does_not_accept_is_told_apart_from_a_member_that_is_down(asked, lab, call):
    cert, key = lab.peer
    refused = call(etcd_quorum, {**asked, "client_cert": cert, "client_key": key})
    assert refused["failed"] and "TLS failed (is our client certificate accepted there?)" in refused["msg"]
    refused = call(etcd_quorum, {**asked, "ca": lab.peer_ca.cert})
    assert refused["failed"] and "its certificate was not accepted: " in refused["msg"]
