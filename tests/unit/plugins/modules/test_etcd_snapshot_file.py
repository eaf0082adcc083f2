# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that a copy has its own name only when it is kept, and is for root only; etcd's programs are played by scripts."""

from __future__ import annotations

import base64
import hashlib

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _snapshot
from ansible_collections.multimaster.kubernetes.plugins.modules import etcd_snapshot_file
from fake_etcd_programs import install


@pytest.fixture
def play(tmp_path):
    """Return play(phase, ...): arguments of a phase in which the two programs end like this."""

    def played(phase="save", **how):
        programs = install(tmp_path / "etcd", **how)
        saving = {"endpoints": ["https://192.0.2.11:2379"], "programs": programs} if phase == "save" else {}
        return {"phase": phase, "path": str(tmp_path / "copies/prod.db"), **saving}

    return played


def test_a_copy_is_saved_read_piece_by_piece_and_kept_once(play, call, check_run_again, tmp_path, monkeypatch):
    monkeypatch.setattr(_snapshot, "PIECE", 100)
    checked = call(etcd_snapshot_file, play(), check=True)
    assert (checked["changed"], checked["snapshot"]) == (True, {}) and not (tmp_path / "copies").exists()
    done = call(etcd_snapshot_file, play())
    assert done["snapshot"] == {"revision": 42, "keys": 3, "bytes": 20480, "hash": 7}
    copy, saved = tmp_path / "copies/prod.db", tmp_path / "copies/unfinished.db"
    assert not copy.exists() and (saved.stat().st_mode & 0o777, saved.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    content = saved.read_bytes()
    assert content.startswith(b"--endpoints=https://192.0.2.11:2379 ") and len(content) > 100
    assert (done["size"], done["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    read = b""
    while piece := base64.b64decode(call(etcd_snapshot_file, {**play("read"), "offset": len(read)})["content"]):
        assert len(piece) <= 100
        read += piece
    assert read == content
    check_run_again(etcd_snapshot_file, play("keep"))
    assert copy.read_bytes() == content and not saved.exists()
    again = call(etcd_snapshot_file, play())
    assert again["failed"] and "is never overwritten. Next: give another path" in again["msg"]


def test_what_is_not_kept_is_discarded_once(play, call, check_run_again, tmp_path):
    call(etcd_snapshot_file, play())
    check_run_again(etcd_snapshot_file, play("discard"))
    assert list((tmp_path / "copies").iterdir()) == []
    for check in (True, False):
        kept = call(etcd_snapshot_file, play("keep"), check=check)
        assert kept["failed"] and "unfinished.db is gone" in kept["msg"] and "Next: run again" in kept["msg"]


def test_one_member_is_read_from(play, call):
    result = call(etcd_snapshot_file, {**play(), "endpoints": ["https://192.0.2.11:2379", "https://192.0.2.12:2379"]})
    assert result["failed"] and "2 are given. Next: give one" in result["msg"]


def test_a_copy_that_is_none_fails_with_the_reason(play, call):
    result = call(etcd_snapshot_file, play(ctl=1))
    assert result["failed"] and "etcd was not saved: " in result["msg"]


def test_a_folder_that_cannot_be_made_fails_with_the_reason(play, call, tmp_path):
    (tmp_path / "copies").write_text("no folder")
    result = call(etcd_snapshot_file, play())
    assert result["failed"] and "File exists" in result["msg"]
