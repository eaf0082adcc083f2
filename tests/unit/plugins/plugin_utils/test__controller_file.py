# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that a file on the controller is the old one or the new one, whatever happens meanwhile."""

from __future__ import annotations

import os

import pytest
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _controller_file


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_the_file_has_its_text_and_mode_whatever_the_umask_and_the_old_one_were(tmp_path, mode):
    path = tmp_path / "a"
    path.write_text("old")
    path.chmod(0o666)
    before = os.umask(0o077)
    try:
        _controller_file.replace(str(path), "häuser\n", mode)
    finally:
        os.umask(before)
    assert path.read_text(encoding="utf-8") == "häuser\n"
    assert path.stat().st_mode & 0o777 == mode
    assert os.listdir(tmp_path) == ["a"]


def test_who_has_the_old_file_open_reads_the_old_text_to_its_end(tmp_path):
    path = tmp_path / "a"
    path.write_text("old " * 1000)
    with open(path) as reader:
        begun = reader.read(4)
        _controller_file.replace(str(path), "new", 0o600)
        assert begun + reader.read() == "old " * 1000
    assert path.read_text() == "new"


def test_a_link_is_replaced_and_what_it_points_to_is_left_alone(tmp_path):
    (tmp_path / "target").write_text("theirs")
    (tmp_path / "a").symlink_to(tmp_path / "target")
    _controller_file.replace(str(tmp_path / "a"), "ours", 0o600)
    assert not (tmp_path / "a").is_symlink()
    assert (tmp_path / "target").read_text() == "theirs"


def test_a_name_without_a_folder_is_in_the_working_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _controller_file.replace("a", "text", 0o600)
    assert (tmp_path / "a").read_text() == "text"


@pytest.mark.parametrize("when", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError("no space"), KeyboardInterrupt()])
def test_a_write_that_fails_or_is_cut_off_leaves_the_old_file_and_nothing_beside_it(tmp_path, monkeypatch, when, error):
    def fail(*_arguments):
        raise error

    path = tmp_path / "a"
    path.write_text("old")
    monkeypatch.setattr(os, when, fail)
    with pytest.raises(type(error)):
        _controller_file.replace(str(path), "new", 0o600)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_folder_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        _controller_file.replace(str(tmp_path / "no" / "a"), "text", 0o600)
    assert os.listdir(tmp_path) == []


def test_bytes_come_piece_by_piece_and_what_breaks_them_off_leaves_nothing(tmp_path):
    def broken():
        yield b"half"
        raise KeyError("the rest")

    _controller_file.replace_by(str(tmp_path / "a"), (b"\xff", b"\x00"), 0o600)
    with pytest.raises(KeyError):
        _controller_file.replace_by(str(tmp_path / "a"), broken(), 0o600)
    assert (tmp_path / "a").read_bytes() == b"\xff\x00" and os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("before", [None, 0o700, 0o755, 0o1777])
def test_a_private_folder_opens_for_its_owner_only(tmp_path, before):
    path = tmp_path / "inv" / "snapshots"
    if before is not None:
        path.mkdir(parents=True)
        path.chmod(before)
    _controller_file.private_folder(str(path))
    assert path.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_cannot_be_written_to_is_said_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda _path, wanted: wanted != os.W_OK | os.X_OK)
    with pytest.raises(PermissionError) as raised:
        _controller_file.private_folder(str(tmp_path))
    assert raised.value.filename == str(tmp_path)
