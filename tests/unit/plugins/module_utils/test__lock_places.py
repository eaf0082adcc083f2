# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a refusal, a check and an API server that fails leave behind in each place."""

from __future__ import annotations

import json
from unittest import mock

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _kube, _lock, _lock_flow, _lock_places
from ansible_collections.multimaster.kubernetes.plugins.module_utils._https import TransportError
from fake_kube import FakeKube

NOON = 1767268800.0
MINE, OTHER = _lock.Run("ctl1/a", "remove m1", "ctl1"), _lock.Run("ctl2/b", "upgrade", "ctl2")
BOTH = (_lock.HOST, _lock.CLUSTER)


class Host:
    """One host and the cluster's API, as runs see them from noon on."""

    def __init__(self, folder, else_host=False, broken=False):
        self.fake, self.path, self.now = FakeKube(), folder / "multimaster" / "lock.json", NOON
        kube = _kube.Kube("https://m1:6443", self.fake)
        self.places = _lock_places.Places(kube, str(self.path), lambda: self.now, else_host, broken)

    def hold(self, me, *names, **more):
        return self.places.hold(names, _lock_flow.Wish(me, 600, **more))

    def holders(self):
        """Return who holds the file, and who the Lease; None for nobody."""
        leases = [lease["spec"]["holderIdentity"] for lease in self.fake.objects.values()]
        file = json.loads(self.path.read_text())["holder"] if self.path.exists() else None
        return file, next(iter(leases), None)


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def test_both_are_held_and_given_back(host):
    assert host.hold(MINE, *BOTH)[1] == BOTH
    assert host.holders() == ("ctl1/a", "ctl1/a")
    assert host.places.free(BOTH, OTHER).verdict.refused
    assert host.holders() == ("ctl1/a", "ctl1/a"), "it is not that run's to release"
    host.places.free(BOTH, MINE)
    assert host.holders() == (None, None)


def test_a_run_that_did_not_start_keeps_nobody_waiting(host):
    host.hold(OTHER, _lock.CLUSTER)
    outcome, held = host.hold(MINE, *reversed(BOTH))
    assert (outcome.verdict.refused, held, host.holders()) == (True, (), (None, "ctl2/b"))


def test_an_api_server_that_does_not_answer_gives_back_what_was_taken(host):
    host.fake.refusals = [(401, "Unauthorized", "who are you")]
    with pytest.raises(_kube.KubeRefused):
        host.hold(MINE, *reversed(BOTH))
    assert host.holders() == (None, None)


def test_what_the_run_had_before_stays_its_own_when_it_is_refused(host):
    host.hold(MINE, _lock.HOST)
    host.hold(OTHER, _lock.CLUSTER)
    assert host.hold(MINE, *BOTH)[0].verdict.refused
    assert host.holders() == ("ctl1/a", "ctl2/b")


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize("else_host", [True, False])
def test_the_host_stands_in_only_for_a_right_that_is_missing_and_only_when_asked_to(tmp_path, status, else_host):
    host = Host(tmp_path, else_host)
    host.fake.refusals = [(status, "Refused", "cannot get")]
    if status != 400 and else_host:
        assert host.hold(MINE, _lock.CLUSTER)[1] == (_lock.HOST,)
        return
    with pytest.raises(_kube.KubeRefused):
        host.hold(MINE, _lock.CLUSTER)
    assert host.holders() == (None, None)


@pytest.mark.parametrize(("else_host", "unverified", "held"), [(True, True, True), (True, False, False), (False, True, False)])
def test_the_host_stands_in_for_an_api_server_whose_certificate_is_not_accepted(tmp_path, else_host, unverified, held):
    """One that has expired is renewed by the run that needs the lock."""
    host = Host(tmp_path, else_host)
    expired = TransportError("https://m1:6443", "its certificate was not accepted", tls=True, unverified=unverified)
    host.places.kube._opener = mock.Mock(side_effect=expired)
    if held:
        assert host.hold(MINE, _lock.CLUSTER)[1] == (_lock.HOST,)
        return
    with pytest.raises(_kube.KubeUnreachable):
        host.hold(MINE, _lock.CLUSTER)
    assert host.holders() == (None, None)


@pytest.mark.parametrize(
    ("broken", "answer", "held"),
    [
        (True, (503, "ServiceUnavailable", "no leader"), True),
        (False, (503, "ServiceUnavailable", "no leader"), False),
        (True, TransportError("https://m1:6443", "connection refused"), True),
        (False, TransportError("https://m1:6443", "connection refused"), False),
        (True, (400, "BadRequest", "no such thing"), False),  # it answers: nothing is broken
        (True, (403, "Forbidden", "cannot get"), False),
    ],
)
def test_a_cluster_that_is_given_up_need_not_answer(tmp_path, broken, answer, held):
    host = Host(tmp_path, broken=broken)
    if isinstance(answer, tuple):
        host.fake.refusals = [answer]
    else:
        host.places.kube._opener = mock.Mock(side_effect=answer)
    if held:
        assert host.hold(MINE, _lock.CLUSTER)[1] == (_lock.HOST,)
        return
    with pytest.raises(_kube.KubeError):
        host.hold(MINE, _lock.CLUSTER)


def test_of_a_cluster_that_is_given_up_every_api_server_is_asked_before_a_host_stands_in(tmp_path):
    """A run at work stops one API server after the other, and holds the Lease all the while."""
    host = Host(tmp_path)
    host.hold(OTHER, _lock.CLUSTER)
    away = _kube.Kube("https://m2:6443", mock.Mock(side_effect=TransportError("https://m2:6443", "connection refused")))

    def asked(*kubes, else_host=True):
        places = _lock_places.Places(kubes[0], str(host.path), lambda: NOON, else_host, True, kubes[1:])
        return places.hold([_lock.CLUSTER], _lock_flow.Wish(MINE, 600))

    assert asked(away, away, host.places.kube)[0].verdict.refused
    assert asked(away, away)[1] == (_lock.HOST,)


def test_a_busy_api_server_is_no_broken_cluster(tmp_path):
    host = Host(tmp_path, else_host=True, broken=True)
    host.fake.refusals = [(429, "TooManyRequests", "try again later")]
    with pytest.raises(_kube.KubeRefused):
        host.hold(MINE, _lock.CLUSTER)


def test_without_credentials_the_host_stands_in(tmp_path):
    places = _lock_places.Places(None, str(tmp_path / "lock.json"), lambda: NOON, True)
    outcome, held = places.hold([_lock.CLUSTER], _lock_flow.Wish(MINE, 600))
    assert (outcome.verdict.step, held) == (_lock.TAKE, (_lock.HOST,))
    assert places.hold([_lock.CLUSTER], _lock_flow.Wish(OTHER, 600))[0].verdict.refused


@pytest.mark.parametrize("check", [False, True])
def test_a_lock_that_is_nowhere_is_held_by_nobody(host, check):
    for ask in (lambda: host.hold(MINE, check=check), lambda: host.places.free([], MINE, check)):
        with pytest.raises(ValueError, match="no place is named in which the lock is. Next: give `places`, of host and cluster"):
            ask()


def test_a_check_writes_nowhere(host):
    assert host.hold(MINE, *BOTH, check=True)[0].verdict.step == _lock.TAKE
    assert host.holders() == (None, None) and not host.path.parent.exists()
    host.hold(MINE, *BOTH)
    assert host.places.free(BOTH, MINE, check=True).verdict.step == _lock.RELEASE
    assert host.holders() == ("ctl1/a", "ctl1/a")


def test_a_renewal_keeps_since_when_and_for_what(host):
    host.hold(MINE, *BOTH)
    host.now += 60
    outcome, _held = host.hold(_lock.Run("ctl1/a"), *BOTH, kept=True)
    assert (outcome.verdict.step, outcome.lease.run.purpose) == (_lock.RENEW, "remove m1")
    assert outcome.lease.since == _lock_flow.stamp(NOON)
    assert json.loads(host.path.read_text())["purpose"] == "remove m1"


@pytest.mark.parametrize("name", BOTH)
def test_who_lost_it_takes_it_from_nobody(host, name):
    host.hold(OTHER, name)
    host.now += 3600
    assert host.hold(MINE, name, kept=True)[0].verdict.refused
    assert "ctl1/a" not in host.holders()
