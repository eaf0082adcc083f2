# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the module from its arguments to its result, on a played API that others write to as well."""

from __future__ import annotations

import copy
import types

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _kube
from ansible_collections.multimaster.kubernetes.plugins.module_utils._https import CredentialsError
from ansible_collections.multimaster.kubernetes.plugins.modules import operation_lock
from drain_fixtures import node
from fake_kube import Raced

PATH = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/multimaster-operation"
MINE = {
    "holder": "ctl1/a",
    "controller": "ctl1",
    "run": "a",
    "boot": "boot1",
    "pid": 10,
    "started": 100,
    "purpose": "remove m1",
    "seconds": 600,
}
OTHERS = {**MINE, "holder": "ctl2/b", "controller": "ctl2", "run": "b", "purpose": "upgrade"}
DEFAULTS = {
    "state": "held",
    "places": ["cluster"],
    "else_host": False,
    "broken": False,
    "others": [],
    "path": "/nowhere/lock.json",
    "gone": "",
    "nodes": [],
    "nodes_now": [],
}
NOON, LATER = 1767268800.0, "2026-01-01T12:11:00.000000Z"


@pytest.fixture
def fake(monkeypatch, world):
    made = Raced()
    world.watch(made.picture)
    made.now = NOON
    monkeypatch.setattr(_kube, "https_opener", lambda *_args: made)
    monkeypatch.setattr(operation_lock.run, "__defaults__", (lambda: made.now,))
    return made


def without(params, name):
    return {key: value for key, value in params.items() if key != name}


def run_as(params, fake):
    module = types.SimpleNamespace(params={**DEFAULTS, **params}, check_mode=False)
    return operation_lock.run(module, _kube.Kube("https://m1:6443", fake), lambda: fake.now)


@pytest.mark.parametrize("state", ["held", "kept", "free"])
def test_no_place_is_refused_in_words(fake, call, state):
    said = call(operation_lock, {**MINE, "state": state, "places": []})
    assert said["failed"] and "no place is named in which the lock is. Next: give `places`" in said["msg"]


def writes(fake):
    return [method for method, _path, _query, _type in fake.asked if method != "GET"]


def test_check_take_renew_release(fake, call):
    assert call(operation_lock, MINE, check=True)["step"] == "take"
    assert fake.objects == {}
    taken = call(operation_lock, MINE)
    assert (taken["changed"], taken["step"], taken["reason"]) == (False, "take", "nobody held the lock")
    assert (taken["lock"]["since"], taken["lock"]["until"]) == ("2026-01-01T12:00:00.000000Z", LATER)
    assert {name: taken["lock"][name] for name in MINE if name != "seconds"} == {k: v for k, v in MINE.items() if k != "seconds"}
    lease = copy.deepcopy(fake.objects[PATH])
    assert lease["metadata"]["annotations"] == {
        "multimaster.kubernetes/purpose": "remove m1",
        "multimaster.kubernetes/controller": "ctl1",
        "multimaster.kubernetes/boot": "boot1",
        "multimaster.kubernetes/pid": "10",
        "multimaster.kubernetes/started": "100",
        "multimaster.kubernetes/run": "a",
    }
    assert lease["spec"] == {
        "holderIdentity": "ctl1/a",
        "leaseDurationSeconds": 660,
        "acquireTime": "2026-01-01T12:00:00.000000Z",
        "renewTime": "2026-01-01T12:00:00.000000Z",
        "leaseTransitions": 0,
    }
    fake.now += 30
    assert call(operation_lock, {**MINE, "seconds": 60}, check=True)["step"] == "renew"
    assert fake.objects[PATH] == lease
    renewed = call(operation_lock, {**MINE, "seconds": 60})
    assert (renewed["changed"], renewed["step"], renewed["lock"]["until"]) == (False, "renew", "2026-01-01T12:02:30.000000Z")
    assert renewed["lock"]["since"] == "2026-01-01T12:00:00.000000Z"
    free = {**MINE, "state": "free"}
    assert call(operation_lock, free, check=True)["step"] == "release"
    assert PATH in fake.objects
    released = call(operation_lock, free)
    assert (released["changed"], released["step"], released["lock"], fake.objects) == (False, "release", {}, {})
    assert call(operation_lock, free)["step"] == "nothing"


def test_another_run_is_refused_and_told_who_and_what_to_do(fake, call):
    call(operation_lock, MINE)
    before = copy.deepcopy(fake.objects)
    refused = call(operation_lock, OTHERS)
    assert refused["failed"] and refused["refused"]
    assert f"remove m1 from ctl1 (holder ctl1/a), since 2026-01-01T12:00:00.000000Z until {LATER}" in refused["msg"]
    assert "kubectl -n kube-system delete lease multimaster-operation" in refused["msg"]
    assert refused["lock"]["pid"] == 10
    released = call(operation_lock, {**OTHERS, "state": "free"})
    assert released["failed"] and "not this run's to release" in released["msg"]
    assert fake.objects == before


def test_a_check_is_told_and_goes_on(fake, call, monkeypatch):
    call(operation_lock, MINE)
    warned = []
    monkeypatch.setattr(operation_lock.AnsibleModule, "warn", lambda _module, text: warned.append(text))
    checked = call(operation_lock, OTHERS, check=True)
    assert not checked.get("failed")
    assert (checked["refused"], checked["step"], checked["changed"]) == (True, "refuse", False)
    assert warned == [checked["reason"]]


def test_a_lock_that_ended_is_taken_over(fake, call):
    call(operation_lock, MINE)
    fake.objects[PATH]["metadata"]["labels"] = {"kept": "yes"}
    fake.now += 660 + 2.1
    taken = call(operation_lock, OTHERS)
    assert (taken["step"], taken["lock"]["holder"], taken["lock"]["purpose"]) == ("take_over", "ctl2/b", "upgrade")
    assert "was not renewed" in taken["reason"]
    assert fake.objects[PATH]["spec"]["leaseTransitions"] == 1
    assert fake.objects[PATH]["metadata"]["labels"] == {"kept": "yes"}
    assert taken["lock"]["since"] == "2026-01-01T12:11:02.100000Z"


def test_a_holder_known_to_be_gone_is_replaced_and_only_that_one(fake, call):
    call(operation_lock, MINE)
    assert call(operation_lock, {**OTHERS, "gone": "ctl1/x"})["failed"]
    taken = call(operation_lock, {**OTHERS, "gone": "ctl1/a"})
    assert (taken["step"], taken["lock"]["holder"]) == ("take_over", "ctl2/b")
    assert "whose process is gone" in taken["reason"]


@pytest.mark.parametrize("there", [None, "ended"], ids=["create", "replace"])
def test_somebody_who_was_faster_keeps_the_lock(fake, call, there):
    if there:
        call(operation_lock, {**MINE, "holder": "ctl3/c"})
        fake.now += 3600
    fake.meanwhile = [lambda: run_as(OTHERS, fake)]
    refused = call(operation_lock, {**MINE, "retry_seconds": 60})
    assert refused["failed"] and refused["lock"]["holder"] == "ctl2/b"
    assert fake.objects[PATH]["spec"]["holderIdentity"] == "ctl2/b"


def test_a_lock_taken_from_this_run_is_not_released(fake, call):
    call(operation_lock, MINE)
    fake.now += 3600
    fake.meanwhile = [lambda: run_as(OTHERS, fake)]
    refused = call(operation_lock, {**MINE, "state": "free"})
    assert refused["failed"] and refused["lock"]["holder"] == "ctl2/b"
    assert PATH in fake.objects


def test_an_answer_that_was_lost_is_no_other_run(fake, call):
    """The write arrived, its answer did not: the second try finds the Lease and sees that it is this run's own."""
    fake.meanwhile = [lambda: run_as(MINE, fake)]
    assert call(operation_lock, MINE)["step"] == "renew"


def test_conflicts_without_end_are_said(fake, call, monkeypatch):
    monkeypatch.setattr(_kube.Kube, "create", conflicting)
    failed = call(operation_lock, MINE)
    assert failed["failed"]
    assert "5 times it was changed between reading and writing. Next: run again" in failed["msg"]


def test_a_refusal_that_is_no_conflict_is_the_message(fake, call):
    fake.refusals = [(403, "Forbidden", 'User "x" cannot get')]
    said = call(operation_lock, MINE)["msg"]
    assert said.startswith("this cluster's operation lock is not held: Kubernetes API at ") and "HTTP 403 Forbidden" in said
    assert said.endswith(". Next: site.yml gives this client its rights (role cluster_access); then run the same again")
    fake.meanwhile = [lambda: fake.refusals.append((403, "Forbidden", 'User "x" cannot create'))]
    assert "cannot create" in call(operation_lock, MINE)["msg"]


def test_a_check_before_there_is_an_api_server(fake, call):
    fake.down = 99
    assert call(operation_lock, MINE, check=True)["step"] == "take"
    assert call(operation_lock, {**MINE, "state": "free"}, check=True)["step"] == "nothing"
    assert "Next: `journalctl -u kube-apiserver -n 50`" in call(operation_lock, {**MINE, "retry_seconds": 0})["msg"]


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"seconds": 86401}, {"holder": ""}])
def test_what_makes_no_sense_writes_nothing(fake, call, wrong):
    assert call(operation_lock, {**MINE, **wrong})["failed"]
    assert writes(fake) == []


def test_a_lock_is_held_for_something_and_for_the_usual_time(fake, call):
    assert "purpose" in call(operation_lock, without(MINE, "purpose"))["msg"]
    assert fake.asked == []
    call(operation_lock, without(MINE, "seconds"))
    assert fake.objects[PATH]["spec"]["leaseDurationSeconds"] == 660


def conflicting(self, obj, path=None, optimistic=False):
    raise _kube.KubeRefused("POST", self.server, 409, "AlreadyExists", "there is one")


def test_no_lock_while_somebody_else_has_cordoned_one_of_the_nodes(fake, call):
    fake.objects["/api/v1/nodes/m2"] = node(name="m2", cordoned=True)
    fake.objects["/api/v1/nodes/m3"] = node(name="m3", cordoned=True, mark="0123456789abcdef")
    refused = call(operation_lock, {**MINE, "nodes": ["m1", "m2", "m3"]})
    assert "m2 was cordoned by somebody else" in refused["msg"] and "m3" not in refused["msg"] and writes(fake) == []
    assert call(operation_lock, {**MINE, "nodes": ["m1", "m3"]})["step"] == "take"


def test_nor_while_one_is_cordoned_that_has_its_turn_later(fake, call):
    fake.objects["/api/v1/nodes/w1"] = node(name="w1", cordoned=True)
    refused = call(operation_lock, {**MINE, "nodes": ["m1"], "nodes_now": ["m1", "w1"]})
    assert refused["msg"].count("w1 was cordoned by somebody else") == 1 and writes(fake) == []
    assert call(operation_lock, {**MINE, "nodes": ["m1"]})["step"] == "take"


def test_a_run_keeps_its_lock_and_what_it_said_it_is_for(fake, call):
    call(operation_lock, MINE)
    fake.now += 700
    kept = call(operation_lock, {**without(MINE, "purpose"), "state": "kept", "seconds": 60})
    assert (kept["changed"], kept["step"], kept["places"]) == (False, "renew", ["cluster"])
    assert kept["lock"]["purpose"] == "remove m1"
    assert (kept["lock"]["since"], kept["lock"]["until"]) == ("2026-01-01T12:00:00.000000Z", "2026-01-01T12:13:40.000000Z")


def test_a_run_stops_when_its_lock_was_taken_or_taken_away(fake, call):
    kept = {**without(MINE, "purpose"), "state": "kept"}
    call(operation_lock, MINE)
    fake.now += 700
    call(operation_lock, OTHERS)
    before = copy.deepcopy(fake.objects)
    lost = call(operation_lock, kept)
    assert lost["failed"] and lost["places"] == []
    assert "has lost the lock of this cluster to another operation: upgrade from ctl2 (holder ctl2/b)" in lost["msg"]
    fake.now += 3600
    assert call(operation_lock, kept)["failed"]
    assert fake.objects == before
    fake.objects.clear()
    assert "nobody does: somebody removed it" in call(operation_lock, kept)["msg"]
    assert fake.objects == {}


@pytest.fixture
def on_host(tmp_path):
    return {"places": ["host"], "path": str(tmp_path / "multimaster" / "lock.json")}


def test_on_a_host_without_an_api_server(fake, call, on_host, tmp_path):
    mine, others = {**MINE, **on_host}, {**OTHERS, **on_host}
    assert call(operation_lock, mine, check=True)["step"] == "take"
    assert list(tmp_path.iterdir()) == []
    taken = call(operation_lock, mine)
    assert (taken["changed"], taken["step"], taken["places"]) == (False, "take", ["host"])
    assert taken["lock"] == {**without(MINE, "seconds"), "since": "2026-01-01T12:00:00.000000Z", "until": LATER}
    refused = call(operation_lock, others)
    assert (
        refused["failed"]
        and f"remove m1 from ctl1 (holder ctl1/a), since 2026-01-01T12:00:00.000000Z until {LATER}" in (refused["msg"])
    )
    assert f"`rm {on_host['path']}` on " in refused["msg"]
    assert call(operation_lock, {**others, "state": "free"})["failed"]
    fake.now += 500
    kept = call(operation_lock, {**without(mine, "purpose"), "state": "kept"})
    assert (kept["step"], kept["lock"]["purpose"], kept["lock"]["since"]) == ("renew", "remove m1", "2026-01-01T12:00:00.000000Z")
    assert call(operation_lock, mine)["step"] == "renew"
    fake.now += 660 + 2.1
    assert call(operation_lock, others)["step"] == "take_over"
    assert "lost the lock" in call(operation_lock, {**mine, "state": "kept"})["msg"]
    assert call(operation_lock, {**others, "state": "free"})["step"] == "release"
    assert call(operation_lock, {**others, "state": "free"})["step"] == "nothing"
    assert fake.asked == []
    assert list((tmp_path / "multimaster").iterdir()) == []


def test_a_check_on_a_host_renews_and_releases_nothing(fake, call, on_host):
    mine = {**MINE, **on_host}
    call(operation_lock, mine)
    fake.now += 30
    for state, step in (("held", "renew"), ("kept", "renew"), ("free", "release")):
        assert call(operation_lock, {**mine, "state": state}, check=True)["step"] == step


def test_a_dead_run_on_a_host_is_taken_over_by_name(fake, call, on_host):
    call(operation_lock, {**MINE, **on_host})
    assert call(operation_lock, {**OTHERS, **on_host, "gone": "ctl1/x"})["failed"]
    assert call(operation_lock, {**OTHERS, **on_host, "gone": "ctl1/a"})["step"] == "take_over"


@pytest.mark.parametrize("text", ["", "[]", "{", "7"])
def test_a_record_that_cannot_be_read_is_somebodys(fake, call, on_host, tmp_path, text):
    (tmp_path / "multimaster").mkdir()
    (tmp_path / "multimaster" / "lock.json").write_text(text)
    refused = call(operation_lock, {**MINE, **on_host})
    assert refused["failed"] and "an operation whose record cannot be read" in refused["msg"] and "`rm " in refused["msg"]


def test_in_both_places(fake, call, on_host, tmp_path):
    both = {**on_host, "places": ["host", "cluster"]}
    assert call(operation_lock, {**MINE, **both})["places"] == ["host", "cluster"]
    assert call(operation_lock, {**OTHERS, **on_host})["failed"] and call(operation_lock, OTHERS)["failed"]
    freed = call(operation_lock, {**MINE, **both, "state": "free"})
    assert (freed["step"], fake.objects, list((tmp_path / "multimaster").iterdir())) == ("release", {}, [])


def test_an_api_server_that_gives_no_right_yet(fake, call, on_host):
    asked = {**MINE, "path": on_host["path"]}
    fake.refusals = [(403, "Forbidden", "cannot get")] * 2
    assert "HTTP 403" in call(operation_lock, asked)["msg"]
    held = call(operation_lock, {**asked, "else_host": True})
    assert (held["step"], held["places"], fake.objects) == ("take", ["host"], {})
    assert call(operation_lock, {**asked, "else_host": True})["places"] == ["cluster"]


def test_a_cluster_that_is_given_up_need_not_answer(fake, call, on_host):
    asked = {**MINE, "path": on_host["path"], "broken": True, "retry_seconds": 0}
    fake.refusals = [(500, "InternalError", "etcdserver: no leader")]
    assert call(operation_lock, asked)["places"] == ["host"]
    fake.refusals = [(400, "BadRequest", "no such thing")]
    assert "HTTP 400" in call(operation_lock, asked)["msg"]  # what is no sign of a broken cluster still ends the run


def test_of_a_cluster_that_is_given_up_each_api_server_is_asked_once(fake, call, on_host):
    fake.down = 9
    servers = [f"https://192.0.2.{number}:6443" for number in (11, 12, 13)]
    asked = {**MINE, "path": on_host["path"], "broken": True, "retry_seconds": 0, "server": servers[0], "others": servers}
    assert call(operation_lock, asked)["places"] == ["host"]
    assert len(fake.asked) == 3


def test_the_certificate_to_ask_with_is_gone(fake, call, on_host, monkeypatch):
    """What brings it back is site.yml, so it must not be what stops site.yml."""

    def unusable(*_unused):
        raise CredentialsError("cannot read operator.crt: No such file or directory")

    monkeypatch.setattr(operation_lock.Kube, "from_arguments", unusable)
    asked = {**MINE, "path": on_host["path"]}
    assert "operator.crt" in call(operation_lock, asked)["msg"]
    held = call(operation_lock, {**asked, "else_host": True})
    assert (held["step"], held["places"], fake.objects) == ("take", ["host"], {})
