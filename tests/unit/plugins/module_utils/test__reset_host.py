# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of _reset_host on a played host: every step, cut off at every act, and what refuses to go."""

from __future__ import annotations

import os

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _reset_host, _systemd
from fake_reset_host import CTR, PROXY, RECORD, STAYS, Cut, Machine


@pytest.fixture
def machine(tmp_path):
    return Machine(tmp_path)


def words(machine):
    return [" ".join(call) for call in machine.calls]


def test_nothing_of_the_cluster_is_left(machine):
    said = machine.host().apply("prod", True)
    left, tasks, mounts, links, tables, processes, units = machine.state()
    assert said == [] and left == STAYS
    assert not tasks and mounts == ["/"] and links == ["br0", "lo", "veth2"]
    assert tables == [("inet", "filter"), ("ip", "mine")] and processes == ["1", "80", "self"]
    assert set(units.values()) == {("inactive", "disabled")}
    assert machine.path(CTR).exists() and not machine.path("/etc/kubernetes").exists()
    assert not machine.path("/etc/systemd/system/kubelet.service.d").exists() and not machine.path("/etc/cni").exists()


def test_programs_go_when_they_shall(machine):
    machine.host().apply("prod", False)
    assert not machine.path("/opt/multimaster").exists()


def test_the_order_is_units_pods_runtime_mounts_network_paths(machine):
    removed = []
    real = machine.remove
    machine.remove = lambda path, empty: (removed.append(path[len(str(machine.root)) :]), real(path, empty))
    machine.host().apply("prod", False)
    said = words(machine)
    order = [
        next(number for number, line in enumerate(said) if line.startswith(beginning))
        for beginning in (
            "systemctl stop kubelet.service",
            f"{CTR} -n k8s.io tasks kill",
            "systemctl stop containerd.service",
            "umount",
            f"{PROXY} --cleanup",
            "ip link delete",
            "systemctl daemon-reload",
        )
    ]
    assert order == sorted(order)
    assert removed[-2:] == [RECORD, "/etc/kubernetes"]
    assert removed.index("/var/lib/etcd") < removed.index("/etc/systemd/system/etcd.service")


DISKS = ("/var/lib/etcd", "/var/lib/containerd", "/var/lib/kubelet")


def total_acts(folder, disks=()):
    machine = Machine(folder)
    machine.disk(*disks)
    machine.host().apply("prod", False)
    return machine.acts, machine.state()


@pytest.mark.parametrize("disks", [(), DISKS], ids=["no disks", "disks of their own"])
@pytest.mark.parametrize("halfway", [False, True], ids=["before an act", "in an act"])
def test_a_run_cut_off_anywhere_is_finished_by_the_next(tmp_path, halfway, disks):
    total, wanted = total_acts(tmp_path / "whole", disks)
    assert total > 60
    for cut in range(total):
        machine = Machine(tmp_path / f"{cut}")
        machine.disk(*disks)
        machine.cut, machine.halfway = cut, halfway
        with pytest.raises(Cut):
            machine.host().apply("prod", False)
        machine.cut = None
        plan = machine.host().decide("prod", False)
        assert plan.changed or machine.state() == wanted, cut
        machine.host().apply("prod", False)
        assert machine.state() == wanted, cut
        assert not machine.host().decide("prod", False).changed


def test_pods_are_found_and_killed_without_containerd(machine):
    machine.units.units["containerd.service"].active = "failed"
    assert machine.host().decide("prod", True).pods == ("pod1",)
    machine.tasks = []  # its own store cannot be asked
    machine.host().apply("prod", True)
    assert machine.state()[5] == ["1", "80", "self"] and ["systemctl", "reset-failed", "containerd.service"] in machine.calls


def test_a_process_that_does_not_end_is_named_and_nothing_is_removed(machine):
    machine.stuck = {71}
    with pytest.raises(_reset_host.ResetError, match="do not end within 30 s of SIGKILL: 71"):
        machine.host().apply("prod", True)
    assert machine.path("/var/lib/kubelet").exists()
    machine.stuck = set()
    machine.host().apply("prod", True)
    assert machine.left() == STAYS


def test_a_process_that_ended_but_is_not_waited_for_is_no_obstacle(machine):
    machine.stuck = {71}
    real = machine._end
    machine._end = lambda pid: (machine.path("/proc/71/stat").write_text("71 (a) Z 1 0"), real(pid))
    machine.host().apply("prod", True)
    assert machine.left() == STAYS


def test_a_busy_mount_is_unmounted_lazily_and_that_is_said(machine):
    machine.busy = {"/var/lib/kubelet/pods/1/volumes/s"}
    said = machine.host().apply("prod", True)
    assert len(said) == 1 and "was unmounted lazily" in said[0] and "target is busy" in said[0]
    assert machine.left() == STAYS


def test_a_mount_that_stays_is_an_error_and_nothing_below_it_is_removed(machine):
    machine.failing = {"umount": "Invalid argument"}
    with pytest.raises(_reset_host.ResetError, match="cannot unmount /var/lib/kubelet/pods/1/volumes/s/deep.*lazily neither"):
        machine.host().apply("prod", True)
    assert machine.path("/var/lib/kubelet/pods/1/etc-hosts").exists()


@pytest.mark.parametrize("words", ["umount -- ", "umount -l -- "])
def test_a_mount_that_another_run_takes_away_first_is_none(machine, words):
    deepest = "/var/lib/kubelet/pods/1/volumes/s/deep"
    machine.failing = {f"{word}{deepest}": "target is busy" for word in ("umount -- ", "umount -l -- ")}
    real = machine.__call__

    def late(argv, timeout):
        result = real(argv, timeout)
        if " ".join(argv) == words + deepest:
            machine.mounts.remove(deepest)
            machine._write_mounts()
        return result

    host = machine.host()
    host._run = late
    host.apply("prod", True)
    assert machine.left() == STAYS


def test_disks_of_their_own_are_emptied_of_what_is_ours_and_stay_mounted(machine):
    machine.disk(*DISKS)
    machine.write("/var/lib/etcd/member.old/wal/0.wal")
    before = machine.host().decide("prod", True)
    assert machine.host().apply("prod", True) == []
    kept = [f"{disk}/lost+found/x" for disk in DISKS]
    assert machine.left() == sorted([*STAYS, *kept, "/var/lib/etcd/member.old/wal/0.wal"])
    assert machine.mounts == ["/", *DISKS] and set(machine.state()[-1].values()) == {("inactive", "disabled")}
    assert [line.partition(":")[0] for line in before.kept if "mount point" in line] == [DISKS[2], DISKS[0], DISKS[1]]
    assert not machine.host().decide("prod", True).changed


def test_a_mount_that_comes_meanwhile_stops_the_removal(machine):
    host = machine.host()
    step = host._clean_network

    def somebody_mounts(todo):
        machine.mounts.append("/var/lib/etcd/new")
        machine._write_mounts()
        return step(todo)

    host._clean_network = somebody_mounts
    with pytest.raises(_reset_host.ResetError, match="/var/lib/etcd/new is a mount point"):
        host.apply("prod", True)
    assert machine.path("/var/lib/etcd/member/wal/0.wal").exists() and machine.path(RECORD).exists()


def test_kube_proxys_rules_go_without_its_program_by_their_tables(machine):
    os.unlink(machine.path(PROXY))
    assert machine.host().apply("prod", True) == []
    assert ("ip", "kube-proxy") not in machine.tables


def test_rules_that_cannot_be_removed_are_said_and_hold_nothing_up(machine):
    machine.failing = {PROXY: "modprobe failed", "nft delete table ip kube-proxy": "busy"}
    said = machine.host().apply("prod", True)
    assert [line.partition(":")[0] for line in said] == ["rules of kube-proxy", "table ip kube-proxy"]
    assert machine.left() == STAYS


def test_chains_of_iptables_are_looked_for_only_where_kube_proxy_makes_them(machine):
    machine.host().decide("prod", True)
    assert not [line for line in words(machine) if line.startswith("iptables-save")]
    machine.write("/etc/kubernetes/kube-proxy.json", '{\n  "mode": "iptables"\n}')
    machine.tables, machine.chains = [], True
    assert machine.host().decide("prod", True).rules
    machine.host().apply("prod", True)
    assert not machine.chains


def test_chains_whose_cleaner_is_missing_are_said(machine):
    machine.write("/etc/kubernetes/kube-proxy.json", '{"mode": "iptables"}')
    machine.tables, machine.chains = [], True
    os.unlink(machine.path(PROXY))
    assert f"its program ({PROXY}) is missing" in machine.host().apply("prod", True)[0]


def test_an_interface_that_does_not_go_is_an_error(machine):
    machine.failing = {"ip link delete cni0": "busy"}
    with pytest.raises(_reset_host.ResetError, match="cannot delete the network interface cni0"):
        machine.host().apply("prod", True)


def test_a_pods_interface_that_went_with_its_pod_is_none(machine):
    real = machine._ip

    def late(*words):
        if words[:2] == ("link", "delete") and words[2] == "veth1":
            machine.links = [link for link in machine.links if link["ifname"] != "veth1"]
        return real(*words)

    machine._ip = late
    machine.host().apply("prod", True)
    assert machine.left() == STAYS


def test_a_unit_that_does_not_stop_is_an_error(machine):
    machine.units._stop = lambda name: None
    with pytest.raises(_systemd.UnitError, match="did not stop"):
        machine.host().apply("prod", True)


@pytest.mark.parametrize(
    "call,said",
    [("systemctl daemon-reload", "systemd does not read its units again"), ("ip -j", "cannot list the network interfaces")],
)
def test_a_program_that_fails_is_quoted(machine, call, said):
    machine.failing = {call: "no way"}
    with pytest.raises(_reset_host.ResetError, match=f"{said}.*no way"):
        machine.host().apply("prod", True)
    assert machine.path(RECORD).exists()


@pytest.mark.parametrize("text", ["{", "[]", '{"name": ""}', '{"name": 3}'])
def test_a_record_that_cannot_be_understood_refuses(machine, text):
    machine.write(RECORD, text)
    with pytest.raises(_reset_host.ResetError, match="cannot tell from .* which cluster"):
        machine.host().apply("prod", True)
    assert machine.acts == 0


def test_what_cannot_be_removed_is_named(machine):
    def refuse(path, empty):
        raise PermissionError(1, "Operation not permitted", path + "/x")

    machine.remove = refuse
    with pytest.raises(_reset_host.ResetError, match="cannot remove .*/x of .*: Operation not permitted"):
        machine.host().apply("prod", True)


def test_links_are_removed_and_never_followed(machine, tmp_path):
    _reset_host.remove(str(machine.path("/var/lib/containerd")), False)
    machine.write("/data/kept", "")
    machine.link("/var/lib/containerd", "/data")
    machine.host().apply("prod", True)
    assert machine.path("/data/kept").exists() and machine.left() == sorted([*STAYS, "/data/kept"])


def test_a_folder_goes_whole_although_another_run_removes_what_is_in_it(tmp_path, monkeypatch):
    for name in "abc":
        (tmp_path / "folder" / name).mkdir(parents=True)
    real = _reset_host.shutil.rmtree

    def late(path):
        monkeypatch.setattr(_reset_host.shutil, "rmtree", real)
        raise FileNotFoundError(2, "No such file or directory", f"{path}/b")

    monkeypatch.setattr(_reset_host.shutil, "rmtree", late)
    _reset_host.remove(str(tmp_path / "folder"), False)
    assert os.listdir(tmp_path) == []


def test_a_name_that_a_folder_lists_and_nobody_finds_ends_the_removal(tmp_path, monkeypatch):
    """As on a damaged file system; what goes by another's hand is another name each time."""
    (tmp_path / "folder").mkdir()
    real, walks, names = _reset_host.shutil.rmtree, [], [f"file-{number}" for number in range(500)]

    def walk(path):
        walks.append(path)
        assert len(walks) < 1000, "it goes on for ever"
        raise FileNotFoundError(2, "No such file or directory", names.pop() if names else "ghost")

    monkeypatch.setattr(_reset_host.shutil, "rmtree", walk)
    with pytest.raises(FileNotFoundError, match="ghost"):
        _reset_host.remove(str(tmp_path / "folder"), False)
    assert len(walks) == 500 + _reset_host.MISSING
    monkeypatch.setattr(_reset_host.shutil, "rmtree", real)


def test_removing_takes_a_link_a_file_a_folder_and_nothing(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/file").touch()
    os.symlink(tmp_path / "folder", tmp_path / "link")
    _reset_host.remove(str(tmp_path / "link"), False)
    assert (tmp_path / "folder/file").exists()
    with pytest.raises(OSError):
        _reset_host.remove(str(tmp_path / "folder"), True)
    _reset_host.remove(str(tmp_path / "folder"), False)
    _reset_host.remove(str(tmp_path / "folder"), False)
    assert os.listdir(tmp_path) == []
