# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that a copy is made once, for root only, and counts only when it was read back; etcd's programs are played by scripts."""

from __future__ import annotations

import json
import sys

import pytest
from ansible_collections.multimaster.kubernetes.plugins.modules import etcd_snapshot

TOLD = {"hash": 7, "revision": 42, "totalKey": 3, "totalSize": 20480, "version": "3.6.0"}


@pytest.fixture
def play(tmp_path):
    """Return play(ctl, utl): arguments for a run in which the two programs end like this; `utl` is what etcdutl tells."""
    folder = tmp_path / "etcd"
    folder.mkdir()

    def played(ctl=0, utl=None, code=0):
        answer = utl if isinstance(utl, str) else json.dumps(TOLD if utl is None else utl)
        write = "open(sys.argv[-1], 'w').write(' '.join(sys.argv[1:-1]))"
        save = f"if not {ctl}: {write}\nsys.stderr.write('no leader')\nsys.exit({ctl})"
        for name, text in (("etcdctl", save), ("etcdutl", f"print({answer!r})\nsys.exit({code})")):
            program = folder / name
            program.write_text(f"#!{sys.executable}\nimport sys\n{text}\n")
            program.chmod(0o755)
        return {"endpoints": ["https://192.0.2.11:2379"], "path": str(tmp_path / "copies/prod.db"), "programs": str(folder)}

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


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"ctl": 1}, "etcd was not saved: "),
        ({"code": 1}, "is not whole: "),
        ({"utl": "no JSON"}, "cannot be read: 'no JSON"),
        ({"utl": {"hash": 7}}, "cannot be read: "),
        ({"utl": {**TOLD, "totalKey": 0}}, "holds no key, so it is of no cluster"),
    ],
)
def test_what_is_no_copy_of_a_cluster_fails_with_the_reason(play, call, how, why):
    result = call(etcd_snapshot, play(**how))
    assert result["failed"] and why in result["msg"]


def test_one_member_is_read_from(play, call):
    result = call(etcd_snapshot, {**play(), "endpoints": ["https://192.0.2.11:2379", "https://192.0.2.12:2379"]})
    assert result["failed"] and "2 are given. Next: give one" in result["msg"]
