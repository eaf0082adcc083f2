# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that a copy is made once, for root only, and counts only when it was read back; etcd's programs are played by scripts."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.modules import etcd_snapshot
from fake_etcd_programs import install


@pytest.fixture
def play(tmp_path):
    """Return play(...): arguments for a run in which the two programs end like this."""

    def played(**how):
        programs = install(tmp_path / "etcd", **how)
        return {"endpoints": ["https://192.0.2.11:2379"], "path": str(tmp_path / "copies/prod.db"), "programs": programs}

    return played


def test_a_copy_is_saved_read_back_and_never_overwritten(play, call, tmp_path):
    arguments = play()
    checked = call(etcd_snapshot, arguments, check=True)
    assert (checked["changed"], checked["snapshot"]) == (True, {}) and not (tmp_path / "copies").exists()
    done = call(etcd_snapshot, arguments)
    assert done["snapshot"] == {"revision": 42, "keys": 3, "bytes": 20480, "hash": 7}
    copy = tmp_path / "copies/prod.db"
    assert copy.read_text().startswith("--endpoints=https://192.0.2.11:2379 ") and copy.read_text().endswith("snapshot save")
    assert (copy.stat().st_mode & 0o777, copy.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    again = call(etcd_snapshot, arguments)
    assert again["failed"] and "is never overwritten. Next: give another path" in again["msg"]


def test_one_member_is_read_from(play, call):
    result = call(etcd_snapshot, {**play(), "endpoints": ["https://192.0.2.11:2379", "https://192.0.2.12:2379"]})
    assert result["failed"] and "2 are given. Next: give one" in result["msg"]


def test_a_copy_that_is_none_fails_with_the_reason(play, call):
    result = call(etcd_snapshot, play(ctl=1))
    assert result["failed"] and "etcd was not saved: " in result["msg"]


def test_a_folder_that_cannot_be_made_fails_with_the_reason(play, call, tmp_path):
    (tmp_path / "copies").write_text("no folder")
    result = call(etcd_snapshot, play())
    assert result["failed"] and "File exists" in result["msg"]
