# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of a real member, saved and read back by etcd's own programs, phase by phase."""

from __future__ import annotations

import base64
import hashlib

import pytest
from ansible_collections.multimaster.kubernetes.plugins.modules import etcd_snapshot_file


@pytest.fixture
def asked(lab, world, watched, etcd_programs):
    """Return asked(phase, ...): a phase's arguments, where one member with a key serves."""
    lab.bootstrap("a")
    lab.serve("a")
    lab.put("kept", "yes")
    world.watch(lab.picture)
    saving = {**lab.params("a"), "programs": etcd_programs}

    def phase(name, **more):
        return {"phase": name, "path": str(watched / "copies/prod.db"), **(saving if name == "save" else {}), **more}

    return phase


def test_a_copy_is_foretold_saved_read_and_kept_once(asked, call, check_run_again, watched):
    checked = call(etcd_snapshot_file, asked("save"), check=True)
    assert checked["changed"] and list(watched.iterdir()) == []
    saved = call(etcd_snapshot_file, asked("save"))
    assert saved["snapshot"]["keys"] == 1 and saved["size"] > 0
    content = base64.b64decode(call(etcd_snapshot_file, asked("read"))["content"])
    assert (len(content), hashlib.sha256(content).hexdigest()) == (saved["size"], saved["sha256"])
    check_run_again(etcd_snapshot_file, asked("keep"))
    assert (watched / "copies/prod.db").read_bytes() == content
    for check in (True, False):
        refused = call(etcd_snapshot_file, asked("save"), check=check)
        assert refused["failed"] and "a copy is never overwritten. Next: give another path" in refused["msg"]


def test_what_is_not_kept_is_discarded_once(asked, call, check_run_again, watched):
    call(etcd_snapshot_file, asked("save"))
    check_run_again(etcd_snapshot_file, asked("discard"))
    assert list((watched / "copies").iterdir()) == []


def test_a_member_that_does_not_answer_and_one_that_does_not_know_us_leave_no_file(asked, lab, call, watched):
    cert, key = lab.peer
    refused = call(etcd_snapshot_file, asked("save", client_cert=cert, client_key=key))
    lab.member("a").stop()
    down = call(etcd_snapshot_file, asked("save"))
    # etcdctl says what it was refused with, where it hears of it before its own patience ends
    for result, why in ((refused, "remote error: tls: "), (down, "connection refused")):
        assert why in result["msg"] or "context deadline exceeded" in result["msg"]
    for result in (refused, down):
        assert result["failed"] and "etcd was not saved: " in result["msg"]
        assert f"Next: health.yml says whether {lab.member('a').client_url} serves" in result["msg"]
    assert list((watched / "copies").iterdir()) == []
