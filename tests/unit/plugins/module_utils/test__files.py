# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of writing files: atomically, validated before the first one is replaced, links never followed."""

from __future__ import annotations

import os
import stat

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _command, _files
from ansible_collections.multimaster.kubernetes.plugins.module_utils._file_plan import PlanError, Wanted

UID, GID = os.geteuid(), os.getegid()


def file(path, content="x", **more):
    return Wanted(str(path), "file", content.encode(), **{"mode": 0o600, "uid": UID, "gid": GID, **more})


def make(*items, runner=_command.run):
    steps = _files.survey(items)
    _files.apply(steps, runner)
    return [step.action for step in steps]


def left_over(folder):
    return [name for _top, _folders, names in os.walk(folder) for name in names if "multimaster" in name]


def test_a_file_gets_its_mode_content_and_parents(tmp_path):
    assert make(file(tmp_path / "a/b/c", "text", mode=0o640)) == ["mkdir", "mkdir", "write"]
    assert (tmp_path / "a/b/c").read_text() == "text"
    assert stat.S_IMODE((tmp_path / "a/b/c").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o755
    assert make(file(tmp_path / "a/b/c", "text", mode=0o640)) == ["none"]
    assert left_over(tmp_path) == []


def test_parents_are_made_whatever_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        make(file(tmp_path / "a/b"))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o755


def test_a_listed_folder_gets_its_own_mode_and_holds_its_files(tmp_path):
    make(Wanted(str(tmp_path / "d"), "directory", mode=0o700, uid=UID, gid=GID), file(tmp_path / "d/a"))
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o700 and (tmp_path / "d/a").exists()


def test_a_folder_that_another_program_made_meanwhile_is_taken(tmp_path):
    """Seen in CI: three hosts on one machine needed the same parent, and one of them was told that it exists."""
    steps = _files.survey([file(tmp_path / "a/b")])
    (tmp_path / "a").mkdir(mode=0o700)
    _files.apply(steps)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o755 and (tmp_path / "a/b").exists()


def test_a_file_that_came_meanwhile_where_a_folder_is_wanted_stays(tmp_path):
    steps = _files.survey([file(tmp_path / "a/b")])
    (tmp_path / "a").write_text("theirs")
    with pytest.raises(_files.FileError, match="cannot make .*/a: File exists"):
        _files.apply(steps)
    assert (tmp_path / "a").read_text() == "theirs"


def test_a_link_at_the_destination_is_replaced_and_its_target_kept(tmp_path):
    (tmp_path / "target").write_text("precious")
    (tmp_path / "a").symlink_to(tmp_path / "target")
    assert make(file(tmp_path / "a", "new")) == ["write"]
    assert (tmp_path / "target").read_text() == "precious" and not (tmp_path / "a").is_symlink()


def test_a_dangling_link_is_replaced_too(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "nowhere")
    make(file(tmp_path / "a", "new"))
    assert (tmp_path / "a").read_text() == "new" and not (tmp_path / "nowhere").exists()


def test_a_parent_may_be_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "d").symlink_to("real")
    make(file(tmp_path / "d/a"))
    assert (tmp_path / "real/a").exists()


def test_a_parent_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "d").write_text("")
    with pytest.raises(PlanError, match="is no directory"):
        _files.survey([file(tmp_path / "d/a")])


def test_only_the_mode_is_touched_when_only_the_mode_differs(tmp_path):
    make(file(tmp_path / "a"))
    inode = (tmp_path / "a").stat().st_ino
    assert make(file(tmp_path / "a", mode=0o644)) == ["adjust"]
    assert (tmp_path / "a").stat().st_ino == inode


def test_a_replaced_file_is_a_new_one_so_that_readers_see_old_or_new(tmp_path):
    make(file(tmp_path / "a", "1"))
    with open(tmp_path / "a") as reader:
        make(file(tmp_path / "a", "2"))
        assert reader.read() == "1"


def test_a_refused_content_leaves_every_file_as_it_was(tmp_path):
    make(file(tmp_path / "a", "1"), file(tmp_path / "b", "1"))
    with pytest.raises(_files.FileError, match=r"refused by `/bin/false %s` \(exit code 1\)"):
        make(file(tmp_path / "a", "2"), file(tmp_path / "b", "2", validate=("/bin/false", "%s")))
    assert (tmp_path / "a").read_text() == (tmp_path / "b").read_text() == "1"
    assert left_over(tmp_path) == []


def test_a_validator_sees_the_new_content(tmp_path):
    make(file(tmp_path / "a", "right", validate=("/bin/grep", "-q", "right", "%s")))
    assert (tmp_path / "a").read_text() == "right"


def test_a_validator_that_is_not_there_says_so(tmp_path):
    with pytest.raises(_files.FileError, match="cannot run /nowhere/check: No such file"):
        make(file(tmp_path / "a", validate=("/nowhere/check", "%s")))


def test_what_a_killed_run_left_is_swept_up(tmp_path):
    make(file(tmp_path / "a"))
    name = _files.staging_name(str(tmp_path / "a"))
    with open(name, "w") as handle:
        handle.write("half a secret")
    assert make(file(tmp_path / "a")) == ["none"]
    assert left_over(tmp_path) == []


def test_a_link_planted_under_the_staging_name_is_not_followed(tmp_path):
    os.symlink(tmp_path / "victim", _files.staging_name(str(tmp_path / "a")))
    make(file(tmp_path / "a", "secret"))
    assert not (tmp_path / "victim").exists() and (tmp_path / "a").read_text() == "secret"


def test_links_are_made_and_moved(tmp_path):
    link = str(tmp_path / "bin/kubectl")
    assert make(Wanted(link, "link", target="/opt/1/kubectl"))[-1] == "link"
    assert make(Wanted(link, "link", target="/opt/2/kubectl")) == ["link"]
    assert make(Wanted(link, "link", target="/opt/2/kubectl")) == ["none"]
    assert os.readlink(link) == "/opt/2/kubectl"


def test_exactly_the_named_paths_go(tmp_path):
    for name in ("node1.crt", "node10.crt"):
        (tmp_path / name).write_text("")
    (tmp_path / "tree/deep").mkdir(parents=True)
    (tmp_path / "tree/deep/link").symlink_to(tmp_path / "node10.crt")
    make(Wanted(str(tmp_path / "node1.crt"), "absent"), Wanted(str(tmp_path / "tree"), "absent"))
    assert sorted(os.listdir(tmp_path)) == ["node10.crt"]


def test_a_tree_with_a_mount_point_is_refused(tmp_path):
    (tmp_path / "tree/m").mkdir(parents=True)
    assert _files.observe(str(tmp_path / "tree"), "absent", [str(tmp_path / "tree/m")]).mounts
    assert not _files.observe(str(tmp_path / "tree"), "absent", [str(tmp_path / "tree2")]).mounts


def test_mount_points_are_read_from_the_kernels_table(tmp_path):
    table = tmp_path / "mounts"
    table.write_text("/dev/sda1 / ext4 rw 0 0\ntmpfs /var/my\\040data tmpfs rw 0 0\n")
    assert _files.mount_points(str(table)) == ["/", "/var/my data"]


@pytest.mark.skipif(UID != 0, reason="changing owners takes root")
def test_owner_and_group_are_set_before_the_file_appears(tmp_path):
    make(file(tmp_path / "a", uid=12345, gid=23456, mode=0o640))
    info = (tmp_path / "a").stat()
    assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (12345, 23456, 0o640)
    assert make(file(tmp_path / "a", uid=12345, gid=23457, mode=0o640)) == ["adjust"]


def test_numbers_are_taken_as_accounts():
    assert _files.account("user", "1234") == 1234
    assert _files.account("group", "no-group-of-this-name") is None
