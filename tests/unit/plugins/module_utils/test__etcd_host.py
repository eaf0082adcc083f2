# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what is done to etcd's unit and data on one host; whole operations are in test__etcd_flows."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _command, _etcd_host, _membership

#: systemd-system.conf(5), DefaultTimeoutStopSec: etcd's unit sets no TimeoutStopSec, so systemd kills it then.
TIMEOUT_STOP_SEC = 90.0


class Systemctl:
    """Take each call down; `stop` fails when `refuses`."""

    def __init__(self, refuses=False):
        self.calls, self._refuses = [], refuses

    def __call__(self, argv, timeout):
        self.calls.append((argv, timeout))
        return _command.Result(argv, int(self._refuses and argv[1] == "stop"))


def host(folder, systemctl):
    return _etcd_host.Host(systemctl, _etcd_host.Paths(str(folder)))


def test_a_wipe_takes_the_members_data_and_neither_the_folder_nor_what_else_is_in_it(tmp_path):
    """The folder may be a disk of its own."""
    for name in ("member/wal", "member/snap", "lost+found", "member.old"):
        (tmp_path / name).mkdir(parents=True)
    host(tmp_path, Systemctl()).wipe()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lost+found", "member.old"]
    host(tmp_path, Systemctl()).wipe()


def test_a_wipe_waits_longer_for_etcd_to_stop_than_systemd_does_before_it_kills(tmp_path):
    systemctl = Systemctl()
    host(tmp_path, systemctl).wipe()
    ((argv, timeout),) = systemctl.calls
    assert argv == ("systemctl", "stop", "etcd.service") and timeout > TIMEOUT_STOP_SEC


def test_nothing_is_wiped_while_etcd_does_not_stop(tmp_path):
    (tmp_path / "member").mkdir()
    with pytest.raises(_membership.StepFailed, match="Next: `systemctl status etcd.service`"):
        host(tmp_path, Systemctl(refuses=True)).wipe()
    assert (tmp_path / "member").exists()
