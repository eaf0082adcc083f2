# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock in a Lease: what is read, what is written, and what becomes of a write that came second."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _kube, _lock, _lock_flow
from drain_fixtures import node
from fake_kube import Raced

PATH = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/multimaster-operation"
NOON = 1767268800.0
TWELVE, MINUTE_PAST = "2026-01-01T12:00:00.000000Z", "2026-01-01T12:01:00.000000Z"
MINE = _lock.Run("ctl1/a", "remove m1", "ctl1", "boot1", 10, 100, "a")
OTHER = _lock.Run("ctl2/b", "upgrade", "ctl2", "boot2", 20, 200, "b")


class Cluster:
    """The API as runs see it from noon on, whose other writers may be faster."""

    def __init__(self):
        self.fake, self.now = Raced(), NOON
        self.kube = _kube.Kube("https://m1:6443", self.fake)

    def hold(self, me=MINE, **more):
        return _lock_flow.hold(self.kube, _lock_flow.Wish(me, 600, **more), lambda: self.now)

    def free(self, me=MINE, check=False):
        return _lock_flow.free(self.kube, me, check)

    def writes(self):
        return [method for method, _path, _query, _type in self.fake.asked if method != "GET"]


@pytest.fixture
def cluster():
    return Cluster()


@pytest.mark.parametrize(
    ("spec", "ends"),
    [
        ({"renewTime": "2026-01-01T12:00:00Z", "leaseDurationSeconds": 10}, NOON + 10),
        ({"renewTime": "2026-01-01T12:00:00.500000Z", "leaseDurationSeconds": 10}, NOON + 10.5),
        ({"renewTime": "yesterday", "leaseDurationSeconds": 10}, None),
        ({"renewTime": "2026-01-01T12:00:00Z"}, None),
        ({"leaseDurationSeconds": 10}, None),
        (None, None),
    ],
)
def test_a_lease_of_somebody_else_is_read_as_far_as_it_goes(spec, ends):
    noted = {"multimaster.kubernetes/pid": "ten", "multimaster.kubernetes/started": "-5"}
    lease = _lock_flow.lease_of({"metadata": {"annotations": noted}, "spec": spec})
    assert (lease.ends, lease.run.pid, lease.run.started, lease.run.holder) == (ends, 0, 0, "")


# Texts


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (TWELVE, NOON),
        ("2026-01-01T12:00:00.250000Z", NOON + 0.25),
        ("2026-01-01T12:00:00Z", NOON),
        ("2026-01-01T12:00:00", None),
        ("2026-01-01T12:00:00+01:00", None),
        ("2026-13-01T12:00:00Z", None),
        ("", None),
        (None, None),
    ],
)
def test_a_time_is_read_as_kubernetes_writes_it_or_not_at_all(text, seconds):
    assert _lock_flow.moment(text) == seconds


@pytest.mark.parametrize("seconds", [0.0, NOON, NOON + 0.25, 4102444799.5])
def test_a_stamp_is_read_back_as_it_was(seconds):
    assert _lock_flow.moment(_lock_flow.stamp(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "number"), [("10", 10), ("0", 0), ("", 0), ("-5", 0), ("1.5", 0), ("ten", 0), (" 7", 0), ("\u00b2", 0)]
)
def test_what_is_no_number_is_none(text, number):
    assert _lock_flow.number(text) == number


@pytest.mark.parametrize(
    ("renewed", "lasts", "until", "ends"),
    [
        (TWELVE, 60, MINUTE_PAST, NOON + 60),
        (TWELVE, 0, "", None),
        (TWELVE, None, "", None),
        ("noon", 60, "", None),
        ("9999-12-31T23:59:59Z", 60, "", None),
        (TWELVE, 10**18, "", None),
    ],
    ids=["both", "no bound", "nothing said", "no time", "beyond the last year", "beyond any year"],
)
def test_a_lock_ends_when_it_says_so_in_a_way_that_can_be_read(renewed, lasts, until, ends):
    lease = _lock_flow.timed(MINE, "since", renewed, lasts)
    assert (lease.run, lease.since, lease.until, lease.ends) == (MINE, "since", until, ends)


# Leases


def test_no_lease_is_no_lock_and_one_of_which_nothing_is_said_is_nobodys():
    assert _lock_flow.lease_of(None) is None
    for bare in ({"metadata": {}}, {"metadata": {"annotations": None}, "spec": None}):
        assert _lock_flow.lease_of(bare) == _lock.Lease(_lock.Run())


def test_what_is_claimed_is_read_back_as_it_was():
    lease = _lock_flow.lease_of(_lock_flow.claim(None, MINE, _lock.TAKE, 600, NOON))
    assert lease == _lock.Lease(MINE, TWELVE, "2026-01-01T12:11:00.000000Z", NOON + 660)


FOUND = {
    "metadata": {
        "name": "multimaster-operation",
        "namespace": "kube-system",
        "resourceVersion": "7",
        "labels": {"kept": "yes"},
        "annotations": {"somebody/else": "kept", "multimaster.kubernetes/purpose": "upgrade", "multimaster.kubernetes/pid": "20"},
    },
    "spec": {"holderIdentity": "ctl2/b", "acquireTime": "earlier", "leaseTransitions": 3},
}


@pytest.mark.parametrize(
    ("found", "step", "acquired", "transitions"),
    [
        (None, _lock.TAKE, MINUTE_PAST, 0),
        (FOUND, _lock.TAKE, MINUTE_PAST, 3),
        (FOUND, _lock.TAKE_OVER, MINUTE_PAST, 4),
        (FOUND, _lock.RENEW, "earlier", 3),
        ({**FOUND, "spec": None}, _lock.RENEW, MINUTE_PAST, 0),
        ({**FOUND, "spec": {"leaseTransitions": None}}, _lock.TAKE_OVER, MINUTE_PAST, 1),
    ],
    ids=["none", "released", "ended", "mine", "mine and emptied", "no transition told"],
)
def test_what_is_written_of_a_holder(found, step, acquired, transitions):
    before = repr(found)
    claimed = _lock_flow.claim(found, MINE, step, 60, NOON + 60)
    assert claimed["spec"] == {
        "holderIdentity": "ctl1/a",
        "leaseDurationSeconds": 120,
        "acquireTime": acquired,
        "renewTime": MINUTE_PAST,
        "leaseTransitions": transitions,
    }
    assert (claimed["apiVersion"], claimed["kind"]) == ("coordination.k8s.io/v1", "Lease")
    assert repr(found) == before, "what was read stays what was read"


@pytest.mark.parametrize(("purpose", "said"), [("remove m1", "remove m1"), ("", "upgrade")])
def test_what_others_noted_on_it_is_kept_and_a_purpose_that_is_not_said_again(purpose, said):
    metadata = _lock_flow.claim(FOUND, dataclasses.replace(MINE, purpose=purpose), _lock.RENEW, 60, NOON)["metadata"]
    assert (metadata["resourceVersion"], metadata["labels"]) == ("7", {"kept": "yes"})
    noted = {key.rpartition("/")[2]: value for key, value in metadata["annotations"].items()}
    assert noted == {
        "else": "kept",
        "purpose": said,
        "controller": "ctl1",
        "boot": "boot1",
        "pid": "10",
        "started": "100",
        "run": "a",
    }


# Runs


@pytest.mark.parametrize("seconds", [0, -1, 86401])
def test_a_wild_bound_is_no_wish(seconds):
    with pytest.raises(ValueError, match="wanted 1 to 86400"):
        _lock_flow.Wish(MINE, seconds)


def test_nothing_of_a_lock_counts_as_changed():
    refused = _lock_flow.Outcome(_lock.Verdict(_lock.REFUSE, "why"), None).as_dict()
    assert refused == {"changed": False, "step": "refuse", "refused": True, "reason": "why", "lock": {}}
    held = _lock_flow.Outcome(_lock.Verdict(_lock.TAKE, ""), _lock.Lease(MINE)).as_dict()
    assert (held["refused"], held["changed"], held["lock"]["holder"]) == (False, False, "ctl1/a")


def test_taken_renewed_taken_over_and_released(cluster):
    assert cluster.hold().verdict.step == _lock.TAKE
    cluster.now += 60
    renewed = cluster.hold(dataclasses.replace(MINE, purpose=""), kept=True)
    assert (renewed.verdict.step, renewed.lease.run, renewed.lease.since) == (_lock.RENEW, MINE, TWELVE)
    assert cluster.hold(OTHER).lease == renewed.lease, "who is refused hears who has it"
    assert cluster.hold(OTHER, gone="ctl1/a").verdict.step == _lock.TAKE_OVER
    assert cluster.free().verdict.refused and PATH in cluster.fake.objects
    freed = cluster.free(OTHER)
    assert (freed.verdict.step, freed.lease, cluster.fake.objects) == (_lock.RELEASE, None, {})
    assert cluster.free(OTHER).verdict.step == _lock.NOTHING


@pytest.mark.parametrize(
    ("first", "step", "holder"),
    [(OTHER, _lock.REFUSE, "ctl2/b"), (MINE, _lock.RENEW, "ctl1/a")],
    ids=["another run", "this run, whose answer was lost"],
)
@pytest.mark.parametrize("ended", [False, True], ids=["create", "replace"])
def test_a_write_that_comes_second_is_judged_anew(cluster, first, step, holder, ended):
    if ended:
        cluster.hold(_lock.Run("ctl3/c", "reset"))
        cluster.now += 3600
    cluster.fake.meanwhile = [lambda: cluster.hold(first)]
    outcome = cluster.hold()
    assert (outcome.verdict.step, outcome.lease.run.holder) == (step, holder)
    assert cluster.fake.objects[PATH]["spec"]["holderIdentity"] == holder


def test_a_lock_that_somebody_took_meanwhile_is_not_released(cluster):
    cluster.hold()
    cluster.now += 3600
    cluster.fake.meanwhile = [lambda: cluster.hold(OTHER)]
    outcome = cluster.free()
    assert outcome.verdict.refused and outcome.lease.run == OTHER


def test_who_is_always_second_gives_up_and_says_so(cluster):
    cluster.fake.meanwhile = [lambda: cluster.fake.refusals.append((409, "Conflict", "modified"))] * 9
    with pytest.raises(_kube.KubeError, match="kube-system/multimaster-operation.* 5 times it was changed between reading and"):
        cluster.hold()
    assert len(cluster.writes()) == _lock_flow.ATTEMPTS


def test_what_a_run_no_longer_holds_it_takes_from_nobody(cluster):
    assert cluster.hold(kept=True).verdict.refused and cluster.fake.objects == {}
    cluster.hold(OTHER)
    cluster.now += 3600
    lost = cluster.hold(kept=True)
    assert "has lost the lock of this cluster to another operation" in lost.verdict.reason and lost.lease.run == OTHER


def test_a_look_releases_nothing(cluster):
    cluster.hold()
    looked = cluster.free(check=True)
    assert (looked.verdict.step, looked.lease.run) == (_lock.RELEASE, MINE) and PATH in cluster.fake.objects


def test_what_is_refused_for_another_reason_is_asked_for_once(cluster):
    cluster.fake.meanwhile = [lambda: cluster.fake.refusals.append((403, "Forbidden", "cannot create"))]
    with pytest.raises(_kube.KubeRefused, match="cannot create"):
        cluster.hold()
    assert cluster.writes() == ["POST"]


def test_only_a_look_is_patient_with_an_api_server_that_does_not_answer_yet(cluster):
    cluster.fake.down = 99
    outcome = cluster.hold(check=True, nodes=("m1", "m2"))
    assert (outcome.verdict.step, outcome.lease) == (_lock.TAKE, None)
    assert cluster.free(check=True).verdict.step == _lock.NOTHING
    for ask in (cluster.hold, cluster.free, lambda: cluster.hold(nodes=("m1",))):
        with pytest.raises(_kube.KubeUnreachable):
            ask()


@pytest.mark.parametrize("check", [False, True])
def test_a_look_is_refused_like_a_wish_and_neither_writes(cluster, check):
    cluster.hold(OTHER)
    before = cluster.writes()
    outcome = cluster.hold(check=check)
    assert outcome.verdict.refused and outcome.lease.run == OTHER
    assert cluster.free(check=check).verdict.refused
    assert cluster.writes() == before


def test_every_foreign_cordon_is_told_with_who_has_the_lock(cluster):
    cluster.hold(OTHER)
    for name, mark in (("m1", None), ("m2", "disk-swap"), ("m3", "0123456789abcdef")):
        cluster.fake.objects[f"/api/v1/nodes/{name}"] = node(name=name, cordoned=True, mark=mark)
    cluster.fake.objects["/api/v1/nodes/m4"] = node(name="m4")
    outcome = cluster.hold(nodes=("m4", "m1", "m2", "m3", "m5"))
    assert (outcome.verdict.step, outcome.lease.run) == (_lock.REFUSE, OTHER)
    told = outcome.verdict.reason.split("; node ")
    assert [one.partition(" was cordoned by somebody else")[0] for one in told] == ["node m1", "m2"]
    assert told[-1].endswith("run again")
    # other steps of the run may be done: a third master, when two are upgraded
    assert all("the next step was not begun. Next: " in one and "nothing was changed" not in one for one in told)
    assert _lock_flow.cordoned(cluster.kube, ()) == []
