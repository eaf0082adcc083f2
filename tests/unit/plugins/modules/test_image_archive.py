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
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _artifacts, _images
from ansible_collections.multimaster.kubernetes.plugins.modules import image_archive
from fake_containerd import PAUSE, Containerd
from file_server import FileServer


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
    return {
        "archives": [
            {"reference": PAUSE, "url": server.url + "/pause.tar", **(more or {"checksum_url": server.url + "/pause.tar.sha256"})}
        ]
    }


def test_a_missing_image_is_fetched_verified_and_imported_once(containerd, server, check_run_again, tmp_path):
    checked, done, again = check_run_again(image_archive, from_url(server))
    assert checked["imported"] == done["imported"] == [PAUSE] and again["imported"] == []
    assert checked["diff"] == done["diff"] == {"before": "", "after": PAUSE + "\n"}
    assert containerd.calls[-1] == [
        "/usr/local/bin/ctr",
        "-a",
        "/run/containerd/containerd.sock",
        "-n",
        "k8s.io",
        "images",
        "ls",
        "-q",
    ]
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
