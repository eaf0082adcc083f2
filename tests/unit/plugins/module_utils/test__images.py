# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of containerd, and what is said when an image cannot be brought."""

from __future__ import annotations

import errno
import hashlib
import os

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _artifacts, _command, _image_plan, _images
from fake_containerd import PAUSE, Containerd
from file_server import FileServer

CTR = ["/opt/ctr", "-a", "/run/c.sock", "-n", "k8s.io", "images"]
OTHER = "registry.k8s.io/other:1"
ZEROS = "0" * 64


@pytest.fixture
def containerd():
    return Containerd()


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "lib"
    made.mkdir()
    return made


@pytest.fixture
def images(containerd, folder, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    fetcher = _artifacts.Fetcher(os.devnull, sleep=lambda _seconds: None)
    return _images.Images("/opt/ctr", "/run/c.sock", "k8s.io", fetcher, containerd, str(folder))


@pytest.fixture
def server():
    with FileServer() as serving:
        serving.add("/pause.tar", PAUSE.encode())
        yield serving


@pytest.fixture
def local(tmp_path):
    """Return local(reference, ...): an archive on this host that carries a reference."""

    def made(reference=PAUSE, content=None, **more):
        path = tmp_path / f"{hashlib.sha256(reference.encode()).hexdigest()[:8]}.tar"
        path.write_text(content or reference)
        return _image_plan.Archive(reference, path=str(path), **more)

    return made


def remote(server, **more):
    return _image_plan.Archive(PAUSE, server.url + "/pause.tar", **(more or {"checksum_url": server.url + "/pause.tar.sha256"}))


def imports(containerd):
    return [argv[7] for argv in containerd.calls if argv[6] == "import"]


@pytest.mark.parametrize("where", ["url", "path"])
def test_a_wrong_checksum_imports_nothing(images, containerd, server, local, folder, where):
    archive = remote(server, sha256=ZEROS) if where == "url" else local(sha256=ZEROS)
    with pytest.raises(_images.ImageError, match="expected " + ZEROS) as raised:
        images.bring([archive])
    assert PAUSE in str(raised.value) or archive.path in str(raised.value), "it says which"
    assert containerd.calls == [] and PAUSE not in containerd.images
    assert os.listdir(folder) == []


def test_an_archive_with_another_name_in_it_is_an_error(images, server, local):
    server.add("/pause.tar", OTHER.encode())
    with pytest.raises(_images.ImageError) as raised:
        images.bring([remote(server), local("example.org/mine:1", "example.org/yours:1")])
    told = str(raised.value).split("; the archive's own name must be the full reference")
    assert told[0] == f"{server.url}/pause.tar was imported but does not hold {PAUSE}"
    assert told[1].endswith(".tar was imported but does not hold example.org/mine:1"), "all of them at once"


@pytest.mark.parametrize("sha256", ["", ZEROS])
def test_a_missing_archive_is_named(images, containerd, sha256):
    with pytest.raises(_images.ImageError, match="cannot read /nowhere/pause.tar: No such file.* Next: copy the archive to this"):
        images.bring([_image_plan.Archive(PAUSE, path="/nowhere/pause.tar", sha256=sha256)])
    assert containerd.calls == []


def test_what_is_there_is_listed_by_one_call(images, containerd):
    containerd.images.append(PAUSE)
    assert images.present() == ["docker.io/library/busybox:latest", PAUSE]
    assert containerd.calls == [[*CTR, "ls", "-q"]]


def test_a_containerd_that_does_not_answer_has_no_image_only_for_who_is_lenient(images, containerd):
    containerd.up = False
    assert images.present(lenient=True) == []
    said = _images.Images("/opt/ctr", "", "", None, lambda argv, _timeout: _command.Result(tuple(argv), 1, "half\nan answer"))
    assert said.present(lenient=True) == []
    with pytest.raises(_images.ImageError, match="cannot list .*connection refused. Next: `systemctl status containerd`"):
        images.present()


def test_nothing_to_bring_asks_nobody(images, containerd):
    assert images.bring([]) == []
    assert containerd.calls == []


def test_archives_are_imported_in_order_and_proven_by_one_look(images, containerd, server, local, folder):
    mine = local("example.org/mine:1")
    assert images.bring([remote(server), mine]) == [PAUSE, "example.org/mine:1"]
    first, second = imports(containerd)
    assert os.path.dirname(os.path.dirname(first)) == str(folder), "a download lies on containerd's disk"
    assert second == mine.path and os.path.exists(mine.path), "what was there stays"
    assert [argv[6] for argv in containerd.calls] == ["import", "import", "ls"]
    assert os.listdir(folder) == []


@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_a_checksum_may_be_given_in_any_letters(images, local, case):
    assert images.bring([local(sha256=case(hashlib.sha256(PAUSE.encode()).hexdigest()))]) == [PAUSE]


def test_the_first_that_fails_ends_it_and_is_named(images, containerd, server, local, folder):
    containerd.up = False
    with pytest.raises(_images.ImageError, match=f"cannot import {PAUSE} from {server.url}/pause.tar: .*connection refused"):
        images.bring([remote(server), local()])
    assert len(containerd.calls) == 1
    with pytest.raises(_images.ImageError, match=f"cannot import {PAUSE} from {local().path}: "):
        images.bring([local()])
    assert os.listdir(folder) == []


def test_an_archive_that_no_server_has_is_told_with_its_reference(images, containerd, server):
    with pytest.raises(_images.ImageError, match=f"^{PAUSE}: GET .*none.tar answered HTTP 404"):
        images.bring([_image_plan.Archive(PAUSE, server.url + "/none.tar", sha256=ZEROS)])
    assert containerd.calls == []


def test_a_folder_that_cannot_be_written_to_is_said_so(containerd, server, tmp_path):
    folder = str(tmp_path / "none")
    images = _images.Images("/opt/ctr", "/run/c.sock", "k8s.io", _artifacts.Fetcher(os.devnull), containerd, folder)
    with pytest.raises(_images.ImageError, match=f"{PAUSE}: cannot keep what is downloaded: .*No such file.*{folder}"):
        images.bring([remote(server)])


def test_a_disk_that_fills_up_is_said_so(containerd, server, folder):
    class Full(_artifacts.Fetcher):
        def download(self, *_arguments):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    images = _images.Images("/opt/ctr", "/run/c.sock", "k8s.io", Full(os.devnull), containerd, str(folder))
    with pytest.raises(_images.ImageError) as raised:
        images.bring([remote(server)])
    assert str(raised.value).endswith(f"No space left on device. Next: make room (`df -h {folder}`), then run again")
    assert os.listdir(folder) == []
