# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of host_reset as a module: check, run, run again; refusals; a run that was cut off."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _reset_host
from ansible_collections.multimaster.kubernetes.plugins.modules import host_reset
from fake_reset_host import RECORD, STAYS, Cut, Machine


@pytest.fixture
def play(monkeypatch, world):
    def play(machine):
        world.watch(machine.state)
        world.watch(lambda: machine.acts)
        monkeypatch.setattr(_reset_host, "Host", machine.host)
        return machine

    return play


def test_check_tells_what_the_run_does_and_a_second_run_has_nothing_to_do(play, tmp_path, check_run_again):
    machine = play(Machine(tmp_path))
    checked, done, again = check_run_again(host_reset, {"cluster": "prod"})
    assert checked == {**done, "invocation": checked["invocation"]}
    assert "kubelet.service" in done["stopped"] and "containerd.service" in done["stopped"]
    assert done["killed"] == ["pod1", "box1"] and len(done["unmounted"]) == 4
    assert done["removed"][-2:] == [RECORD, "/etc/kubernetes"] and {"link cni0", "rules of kube-proxy"} <= set(done["removed"])
    assert "/opt/multimaster: keep_binaries is true" in done["kept"] and done["reason"] == "this host has left cluster 'prod'"
    assert "unit kubelet.service\n" in done["diff"]["before"]
    assert again["reason"] == "nothing of a cluster of ours is on this host" and again["kept"] == again["removed"] == []
    assert machine.left() == STAYS


def test_a_disk_of_its_own_stays_and_check_tells_the_same(play, tmp_path, check_run_again):
    machine = play(Machine(tmp_path))
    machine.disk("/var/lib/etcd")
    checked, done, again = check_run_again(host_reset, {"cluster": "prod"})
    assert checked == {**done, "invocation": checked["invocation"]} and not again["changed"]
    assert "/var/lib/etcd/member" in done["removed"] and "/var/lib/etcd" not in done["removed"]
    assert "/var/lib/etcd: a mount point of yours, which stays mounted" in done["kept"]
    assert machine.left() == sorted([*STAYS, "/var/lib/etcd/lost+found/x"])


def test_what_is_returned_is_what_went(play, tmp_path, call):
    machine = play(Machine(tmp_path))
    before = set(machine.left())
    done = call(host_reset, {"cluster": "prod"})
    gone = before - set(machine.left())
    assert [path for path in gone if not any(path == row or path.startswith(row + "/") for row in done["removed"])] == []
    assert [row for row in done["removed"] if row.startswith("/") and machine.path(row).exists()] == []


def test_check_mode_touches_nothing(play, tmp_path, call):
    machine = play(Machine(tmp_path))
    before = machine.state()
    assert call(host_reset, {"cluster": "prod", "keep_binaries": False}, check=True)["changed"]
    assert machine.acts == 0 and machine.state() == before


def test_a_bare_host_is_unchanged(play, tmp_path, call):
    machine = play(Machine(tmp_path, bare=True))
    result = call(host_reset, {"cluster": "prod"})
    assert not result["changed"] and machine.acts == 0


def test_the_host_of_another_cluster_is_refused(play, tmp_path, call):
    machine = play(Machine(tmp_path))
    assert "belongs to cluster 'prod'" in call(host_reset, {"cluster": "test"})["msg"]
    assert machine.acts == 0


def test_a_host_that_lost_its_record_is_refused(play, tmp_path, call):
    machine = play(Machine(tmp_path))
    machine.path(RECORD).unlink()
    assert "belongs to no cluster of ours" in call(host_reset, {"cluster": "prod"})["msg"]
    assert machine.acts == 0


def test_a_run_that_was_cut_off_is_finished(play, tmp_path, call):
    machine = play(Machine(tmp_path))
    machine.cut = 20
    with pytest.raises(Cut):
        machine.host().apply("prod", True)
    machine.cut = None
    assert call(host_reset, {"cluster": "prod"})["changed"]
    assert machine.left() == STAYS and not call(host_reset, {"cluster": "prod"})["changed"]


def test_what_could_not_be_done_cleanly_is_returned(play, tmp_path, call):
    machine = play(Machine(tmp_path))
    machine.busy = {"/run/netns/cni-1"}
    done = call(host_reset, {"cluster": "prod"})
    assert [line for line in done["kept"] if line.startswith("/run/netns/cni-1: was unmounted lazily")]


def test_a_unit_that_does_not_stop_is_an_error(play, tmp_path, call):
    machine = play(Machine(tmp_path))
    machine.units._stop = lambda name: None
    assert "kubelet.service did not stop" in call(host_reset, {"cluster": "prod"})["msg"]
