# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy counts only when it was read back; etcd's programs are played by scripts."""

from __future__ import annotations

import collections
import os
import pathlib
import re

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _command, _snapshot
from fake_etcd_programs import TOLD, install

FOUND = {"revision": 42, "keys": 3, "bytes": 20480, "hash": 7}
FILES = ("/pki/ca.crt", "/pki/me.crt", "/pki/me.key")


@pytest.fixture
def save(tmp_path):
    """Return save(...): what a save tells when the two programs end like this."""

    def saved(**how):
        path = str(tmp_path / "copies" / "prod.db")
        return _snapshot.save(path, "https://m1:2379", FILES, install(tmp_path / "etcd", **how), _command.run)

    return saved


def inspect(answer="", rc=0, err=""):
    """Return what is found in a copy of which etcdutl tells this."""
    return _snapshot.inspect("/x.db", "/opt/etcd", lambda argv, _bound: _command.Result(tuple(argv), rc, answer, err))


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
def test_what_is_no_copy_of_a_cluster_fails_with_the_reason(save, how, why):
    with pytest.raises(_snapshot.SnapshotError) as raised:
        save(**how)
    assert why in str(raised.value)


def test_a_copy_is_asked_for_with_the_credentials_and_read_back(save, tmp_path):
    assert save() == FOUND
    copy = tmp_path / "copies" / "unfinished.db"
    assert copy.read_text().split() == [
        "--endpoints=https://m1:2379",
        "--cacert=/pki/ca.crt",
        "--cert=/pki/me.crt",
        "--key=/pki/me.key",
        "--command-timeout=600s",
        "snapshot",
        "save",
    ]


def test_a_copy_is_for_its_owner_only_whatever_the_umask(save, tmp_path):
    before = os.umask(0)
    try:
        save()
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("copies", "copies/unfinished.db")] == [0o700, 0o600]


@pytest.mark.parametrize(
    ("size", "free", "refused"), [(100 << 20, 200 << 20, False), (100 << 20, (200 << 20) - 1, True), (0, 0, False)]
)
def test_a_copy_leaves_etcd_room_for_as_much_again(size, free, refused):
    said = _snapshot.no_room("/copies", size, free)
    assert ("it holds 100 MiB" in said and "Next: remove copies" in said) is refused
    assert bool(said) is refused


@pytest.mark.parametrize("how", [{"ctl": 1}, {"code": 1}, {"utl": "no JSON"}])
def test_a_save_that_fails_leaves_no_file(save, tmp_path, how):
    with pytest.raises(_snapshot.SnapshotError):
        save(**how)
    assert list((tmp_path / "copies").iterdir()) == []


def test_what_earlier_tries_left_goes_before_the_room_is_looked_at(save, tmp_path):
    (tmp_path / "copies").mkdir()
    for name in ("unfinished.db", "unfinished.db.part", "older.db"):
        (tmp_path / "copies" / name).write_text("half")
    seen = []

    def usage(folder):
        seen.append(sorted(os.listdir(folder)))
        return collections.namedtuple("usage", "free")(1 << 40)

    path = str(tmp_path / "copies" / "prod.db")
    _snapshot.save(path, "https://m1:2379", FILES, install(tmp_path / "etcd"), _command.run, usage)
    assert seen == [["older.db"]] and sorted(os.listdir(tmp_path / "copies")) == ["older.db", "unfinished.db"]


def test_without_room_nothing_is_saved(tmp_path):
    path, few = tmp_path / "copies" / "prod.db", collections.namedtuple("usage", "free")(20480)
    with pytest.raises(_snapshot.SnapshotError, match="a copy must leave as much again"):
        _snapshot.save(str(path), "https://m1:2379", FILES, install(tmp_path / "etcd"), _command.run, lambda _folder: few)
    assert os.listdir(path.parent) == []


@pytest.mark.parametrize("answer", ["", "null", "[]", "[{}]", '[{"Status": {"dbSize": "many"}}]'])
def test_a_member_that_does_not_tell_its_size_is_saved_all_the_same(tmp_path, answer):
    asked = []

    def runner(argv, _bound):
        asked.append(argv[-3:])
        return _command.Result(tuple(argv), 1 if "save" in argv else 0, answer, "no leader")

    with pytest.raises(_snapshot.SnapshotError, match="no leader"):
        _snapshot.save(str(tmp_path / "x.db"), "https://m1:2379", FILES, "/opt", runner)
    assert len(asked) == 2


def test_a_member_that_does_not_answer_soon_is_not_waited_for_as_long_as_a_copy_may_take(tmp_path):
    asked = []

    def runner(argv, bound):
        asked.append((argv[5:], bound))
        return _command.Result(tuple(argv), 1, "", "context deadline exceeded")

    with pytest.raises(_snapshot.SnapshotError, match="deadline exceeded. Next: health.yml says whether https://m1:2379 serves;"):
        _snapshot.save(str(tmp_path / "x.db"), "https://m1:2379", FILES, "/opt", runner)
    assert asked == [(("--command-timeout=10s", "endpoint", "status", "--write-out=json"), 20.0)]


def test_a_folder_that_is_there_stays_as_it_is(save, tmp_path):
    (tmp_path / "copies").mkdir()
    (tmp_path / "copies").chmod(0o750)
    save()
    assert (tmp_path / "copies").stat().st_mode & 0o777 == 0o750


def test_what_was_not_saved_is_not_read(save, tmp_path):
    with pytest.raises(_snapshot.SnapshotError, match="no leader. Next: health.yml says whether https://m1:2379 serves"):
        save(ctl=1, code=1)
    assert os.listdir(tmp_path / "copies") == []


def test_a_program_that_is_not_there_is_named(tmp_path):
    with pytest.raises(_snapshot.SnapshotError, match="cannot run /nowhere/etcdctl: No such file"):
        _snapshot.save(str(tmp_path / "x.db"), "https://m1:2379", FILES, "/nowhere", _command.run)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("", "etcdutl's answer about /x.db cannot be read: ''"),
        ("null", "cannot be read: 'null'"),
        ("[]", "cannot be read: '\\[\\]'"),
        ("x" * 300, "cannot be read: '" + "x" * 200 + "'. Next: "),
    ],
)
def test_an_answer_that_is_none_is_quoted_and_not_without_end(answer, why):
    with pytest.raises(_snapshot.SnapshotError, match=why):
        inspect(answer)


def test_a_copy_that_is_not_whole_is_said_in_the_words_of_the_program():
    with pytest.raises(_snapshot.SnapshotError, match="/x.db is not whole: .*invalid page. Next: see whether the disk is"):
        inspect(rc=1, err="invalid page")


@pytest.mark.parametrize("missing", ["hash", "revision", "totalKey", "totalSize"])
def test_every_part_of_the_answer_is_wanted(missing, tmp_path):
    programs = install(tmp_path / "etcd", utl={key: value for key, value in TOLD.items() if key != missing})
    with pytest.raises(_snapshot.SnapshotError, match="cannot be read"):
        _snapshot.inspect("/x.db", programs, _command.run)


def test_what_the_runbook_lets_a_person_do_has_as_long_as_a_copy_has():
    """etcdctl gives up after 5 s by default, and a defragmentation of gigabytes takes longer."""
    page = pathlib.Path(__file__).resolve().parents[4] / "docs/runbooks/quorum-at-risk.md"
    slow = re.findall(r"^e (?:compact|defrag) .*", page.read_text(), re.MULTILINE)
    assert len(slow) == 2
    assert all(f"--command-timeout={_snapshot.BOUND / 60:.0f}m " in line for line in slow)
