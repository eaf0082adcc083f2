# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import pathlib

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _artifacts, _releases

VERSIONS = _releases.versions({"kubernetes": "1.36.3", "etcd": "3.6.16"})


def urls(source, sets=("member",)):
    return [entry["url"] for entry in _releases.artifacts(sets, VERSIONS, "amd64", source)]


@pytest.mark.parametrize(
    ("source", "start"),
    [
        ("release", "https://github.com/etcd-io/etcd/releases/"),
        ("http://192.0.2.5", "http://192.0.2.5/github.com/etcd-io/etcd/releases/"),
        ("http://192.0.2.5/mirror/", "http://192.0.2.5/mirror/github.com/etcd-io/etcd/releases/"),
        ("/srv/mirror", "file:///srv/mirror/github.com/etcd-io/etcd/releases/"),
        ("/srv/mirror/", "file:///srv/mirror/github.com/etcd-io/etcd/releases/"),
    ],
)
def test_a_mirror_or_folder_keeps_the_publishers_layout(source, start):
    assert urls(source)[0].startswith(start)


def test_every_file_of_every_set_names_its_version_its_checksum_and_a_folder_of_its_version():
    for entry in _releases.artifacts(_releases.SETS, VERSIONS, "arm64", "release"):
        assert "{" not in entry["url"] + entry.get("checksum_url", "")
        assert ("sha256" in entry) is not ("checksum_url" in entry), "nothing is installed unverified"
        targets = [entry["dest"]] if "dest" in entry else list(entry["extract"].values())
        assert targets
        for target in targets:
            component, version = target[len(_releases.ROOT) + 1 :].split("/")[:2]
            assert VERSIONS[component] == version
            assert version in entry["url"]


@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_a_publisher_without_a_checksum_file_has_its_digest_pinned_and_a_mirror_brings_the_file(architecture):
    [released] = _releases.artifacts(["flannel"], VERSIONS, architecture, "release")
    assert len(released["sha256"]) == 64 and released["url"].endswith(f"/flanneld-{architecture}")
    [mirrored] = _releases.artifacts(["flannel"], VERSIONS, architecture, "http://192.0.2.5")
    assert mirrored["checksum_url"] == mirrored["url"] + ".sha256" and "sha256" not in mirrored
    assert set(_releases.PINNED) <= set(_releases.VERSIONS.items()), "a digest of a version nobody installs"


def test_links_point_at_files_that_are_installed():
    for name in _releases.SETS:
        installed = {
            target
            for entry in _releases.artifacts([name], VERSIONS, "amd64", "release")
            for target in ([entry["dest"]] if "dest" in entry else entry["extract"].values())
        }
        assert set(_releases.links([name], VERSIONS).values()) <= installed


def test_the_runtime_pulls_images_itself_unless_there_is_a_mirror():
    assert _releases.image_archives("release") == []
    [pause, coredns] = _releases.image_archives("http://192.0.2.5")
    assert pause["url"].startswith("http://192.0.2.5/images/pause-")
    assert coredns["checksum_url"] == coredns["url"] + ".sha256"
    assert _releases.image_archives("/srv/mirror")[0]["url"].startswith("file:///srv/mirror/images/")


@pytest.mark.parametrize(
    ("master", "worker", "member", "network", "sets"),
    [
        (True, False, True, "flannel", ["master", "member", "node", "flannel"]),
        (True, False, False, "none", ["master", "node"]),
        (False, True, False, "flannel", ["node", "flannel"]),
        (False, False, True, "flannel", ["member"]),
    ],
)
def test_a_host_gets_what_its_part_needs(master, worker, member, network, sets):
    assert _releases.sets_for(master, worker, member, network) == sets


def test_a_file_of_a_folder_is_fetched_and_verified_like_any_other(tmp_path):
    (tmp_path / "program").write_bytes(b"binary")
    url = f"{_releases.base_url(str(tmp_path))}/program"
    fetcher = _artifacts.Fetcher(str(tmp_path / "manifest.json"))
    (tmp_path / "out").mkdir()
    path = fetcher.download(url, hashlib.sha256(b"binary").hexdigest(), "", str(tmp_path / "out"))
    assert pathlib.Path(path).read_bytes() == b"binary"
