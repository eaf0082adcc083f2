# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of image_archive and what it does to containerd: check, run, run again."""

from __future__ import annotations

import errno
import functools
import hashlib
import os

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _artifacts, _command, _images
from ansible_collections.multimaster.kubernetes.plugins.modules import image_archive
from file_server import FileServer

PAUSE = "registry.k8s.io/pause:3.10.2"


class Containerd:
    """Play ctr: an archive's content is the reference it carries."""

    def __init__(self):
        self.images, self.calls, self.up = ["docker.io/library/busybox:latest"], [], True

    def picture(self):
        """Return what a check must leave as it is: the images, and the calls that change something."""
        return list(self.images), [call for call in self.calls if call[6] != "ls"]

    def __call__(self, argv, timeout):
        self.calls.append(argv)
        if not self.up:
            return _command.Result(tuple(argv), 1, "", "ctr: failed to dial: connection refused")
        if argv[6] == "ls":
            return _command.Result(tuple(argv), 0, "\n".join(self.images) + "\n")
        with open(argv[7]) as handle:
            self.images.append(handle.read())
        return _command.Result(tuple(argv), 0)


@pytest.fixture
def containerd(monkeypatch, tmp_path, world):
    played = Containerd()
    world.watch(played.picture)
    (tmp_path / "lib").mkdir()
    monkeypatch.setattr(_images, "Images", functools.partial(_images.Images, runner=played, folder=str(tmp_path / "lib")))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return played


@pytest.fixture
def server():
    with FileServer() as serving:
        serving.add("/pause.tar", PAUSE.encode())
        yield serving


def from_url(server, **more):
    return {"archives": [{"reference": PAUSE, "url": server.url + "/pause.tar", **(more or {
        "checksum_url": server.url + "/pause.tar.sha256"})}]}


def test_a_missing_image_is_fetched_verified_and_imported_once(containerd, server, check_run_again, tmp_path):
    checked, done, again = check_run_again(image_archive, from_url(server))
    assert checked["imported"] == done["imported"] == [PAUSE] and again["imported"] == []
    assert checked["diff"] == done["diff"] == {"before": "", "after": PAUSE + "\n"}
    assert containerd.calls[-1] == [
        "/usr/local/bin/ctr", "-a", "/run/containerd/containerd.sock", "-n", "k8s.io", "images", "ls", "-q"]
    assert os.listdir(tmp_path / "lib") == []


def test_a_check_downloads_and_imports_nothing(containerd, server, call, tmp_path):
    assert call(image_archive, from_url(server), check=True)["imported"] == [PAUSE]
    assert len(containerd.calls) == 1 and server.requests == [] and os.listdir(tmp_path / "lib") == []


def test_what_is_there_costs_one_call(containerd, server, call):
    containerd.images.append(PAUSE)
    assert not call(image_archive, from_url(server))["changed"]
    assert len(containerd.calls) == 1 and server.requests == []


def test_an_archive_on_the_host_is_imported_where_it_lies(containerd, check_run_again, tmp_path):
    (tmp_path / "pause.tar").write_text(PAUSE)
    digest = hashlib.sha256(PAUSE.encode()).hexdigest()
    check_run_again(image_archive, {"archives": [{"reference": PAUSE, "path": str(tmp_path / "pause.tar"), "sha256": digest}]})
    assert (tmp_path / "pause.tar").exists()


@pytest.mark.parametrize("where", ["url", "path"])
def test_a_wrong_checksum_imports_nothing(containerd, server, call, tmp_path, where):
    (tmp_path / "pause.tar").write_text(PAUSE)
    arguments = from_url(server, sha256="0" * 64) if where == "url" else {
        "archives": [{"reference": PAUSE, "path": str(tmp_path / "pause.tar"), "sha256": "0" * 64}]}
    result = call(image_archive, arguments)
    assert "expected " + "0" * 64 in result["msg"] and PAUSE not in containerd.images
    assert os.listdir(tmp_path / "lib") == []


def test_an_archive_with_another_name_in_it_is_an_error(containerd, server, call):
    server.add("/pause.tar", b"registry.k8s.io/other:1")
    assert "does not hold " + PAUSE in call(image_archive, from_url(server))["msg"]


def test_a_missing_archive_is_named(containerd, call):
    result = call(image_archive, {"archives": [{"reference": PAUSE, "path": "/nowhere/pause.tar"}]})
    assert "cannot read /nowhere/pause.tar: No such file" in result["msg"]


def test_a_containerd_that_is_down_is_an_error_only_outside_check_mode(containerd, server, call):
    containerd.up = False
    assert call(image_archive, from_url(server), check=True)["imported"] == [PAUSE]
    assert "connection refused. Next: `systemctl status containerd`" in call(image_archive, from_url(server))["msg"]


def test_a_full_disk_is_told_and_not_a_defect_of_ours(containerd, server, call, monkeypatch):
    def full(*_args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_artifacts, "_copy", full)
    said = call(image_archive, from_url(server))["msg"]
    assert said.startswith(f"{PAUSE}: cannot keep what is downloaded: ") and "Next: make room (`df -h " in said


def test_a_download_without_checksum_is_refused(containerd, server, call):
    arguments = {"archives": [{"reference": PAUSE, "url": server.url + "/pause.tar"}]}
    assert "unverified" in call(image_archive, arguments)["msg"] and containerd.calls == []
