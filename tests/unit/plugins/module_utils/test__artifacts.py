# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of fetching: verified or not at all, against a real HTTP server on loopback."""

from __future__ import annotations

import hashlib
import json
import os
import stat

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _artifacts
from ansible_collections.multimaster.kubernetes.plugins.module_utils._artifact_plan import Artifact, ArtifactError
from file_server import FileServer, tarball

BODY = os.urandom(3 << 20)
MEMBERS = {"bin": None, "bin/ctr": b"ctr" * 1000, "./bin/containerd": os.urandom(300000), "README": b"no"}


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with FileServer() as serving:
        yield serving


@pytest.fixture
def target(tmp_path):
    return tmp_path / "opt"


@pytest.fixture
def fetch(tmp_path):
    """Return fetch(artifacts): what was done, by a fresh object each time; pauses are kept in fetch.pauses."""

    def run(*artifacts, **more):
        fetcher = _artifacts.Fetcher(
            str(tmp_path / "manifest.json"), timeout=5, sleep=run.pauses.append, **{"boot": "boot1", **more}
        )
        run.fetcher = fetcher
        run.judged = fetcher.judge(artifacts)
        return fetcher.make(run.judged)

    run.pauses = []
    return run


def single(server, target, **more):
    return Artifact(
        server.url + "/kubelet", {"": str(target / "kubelet")}, **{"checksum_url": server.url + "/kubelet.sha256", **more}
    )


def archive(server, target, **more):
    return Artifact(
        server.url + "/c.tgz",
        {"bin/ctr": str(target / "ctr"), "bin/containerd": str(target / "containerd")},
        **{"checksum_url": server.url + "/c.tgz.sha256", **more},
    )


def files_below(path):
    return sorted(name for _top, _folders, names in os.walk(path) for name in names)


def test_a_file_is_installed_verified_and_then_costs_no_request(server, target, fetch):
    server.add("/kubelet", BODY)
    assert fetch(single(server, target))["fetched"] == [str(target / "kubelet")]
    assert (target / "kubelet").read_bytes() == BODY
    assert stat.S_IMODE((target / "kubelet").stat().st_mode) == 0o755
    server.requests.clear()
    assert fetch(single(server, target)) == {"fetched": [], "adjusted": []}
    assert server.requests == [] and files_below(target) == ["kubelet"]


def test_a_given_hash_needs_no_checksum_file(server, target, fetch):
    digest = server.add("/kubelet", BODY)
    fetch(single(server, target, sha256=digest.upper(), checksum_url=""))
    assert server.requests == ["/kubelet"]


@pytest.mark.parametrize("kind", ["gz", "xz", ""])
def test_members_are_taken_out_of_an_archive(server, target, fetch, kind):
    server.add("/c.tgz", tarball(MEMBERS, kind))
    fetch(archive(server, target))
    assert (target / "ctr").read_bytes() == MEMBERS["bin/ctr"]
    assert (target / "containerd").read_bytes() == MEMBERS["./bin/containerd"]
    assert files_below(target) == ["containerd", "ctr"]
    assert fetch(archive(server, target))["fetched"] == []


def test_many_are_fetched_at_once_with_one_shared_checksum_file(server, target, fetch):
    names = [f"/f{number}" for number in range(6)]
    digests = {name: server.add(name, name.encode() * 5000) for name in names}
    server.files["/SHA256SUMS"] = "".join(f"{digests[name]}  {name[1:]}\n" for name in names).encode()
    artifacts = [Artifact(server.url + name, {"": str(target) + name}, checksum_url=server.url + "/SHA256SUMS") for name in names]
    assert len(fetch(*artifacts)["fetched"]) == 6
    assert files_below(target) == [name[1:] for name in names]


def test_the_manifest_is_what_unit_set_reads(server, target, fetch, tmp_path):
    server.add("/c.tgz", tarball(MEMBERS))
    fetch(archive(server, target))
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest[str(target / "ctr")]["sha256"] == hashlib.sha256(MEMBERS["bin/ctr"]).hexdigest()
    assert manifest[str(target / "ctr")]["source"] == hashlib.sha256(server.files["/c.tgz"]).hexdigest()


@pytest.mark.parametrize("make", [single, archive])
def test_a_wrong_checksum_installs_nothing_and_says_both(server, target, fetch, make):
    server.add("/kubelet", BODY)
    server.add("/c.tgz", tarball(MEMBERS))
    wanted = "0" * 64
    with pytest.raises(ArtifactError) as error:
        fetch(make(server, target, sha256=wanted, checksum_url=""))
    assert wanted in str(error.value) and server.url in str(error.value)
    assert any(hashlib.sha256(body).hexdigest() in str(error.value) for body in server.files.values())
    assert files_below(target) == [] and fetch.pauses == []


def test_a_wrong_checksum_leaves_the_installed_file_alone(server, target, fetch):
    server.add("/kubelet", BODY)
    fetch(single(server, target))
    with pytest.raises(ArtifactError):
        fetch(single(server, target, sha256="0" * 64))
    assert (target / "kubelet").read_bytes() == BODY


@pytest.mark.parametrize(("status", "tries"), [(404, 1), (403, 1), (503, 3), (429, 3)])
def test_the_status_and_the_url_are_said_and_only_passing_failures_are_tried_again(server, target, fetch, status, tries):
    server.add("/kubelet", BODY)
    server.failures["/kubelet"] = [status] * 9
    with pytest.raises(ArtifactError, match=rf"GET {server.url}/kubelet answered HTTP {status}"):
        fetch(single(server, target))
    assert server.requests.count("/kubelet") == tries and len(fetch.pauses) == tries - 1
    assert files_below(target) == []


def test_a_failure_that_passes_is_survived(server, target, fetch):
    server.add("/kubelet", BODY)
    server.failures.update({"/kubelet": [503, 500], "/kubelet.sha256": [502]})
    assert fetch(single(server, target))["fetched"]


@pytest.mark.parametrize(("make", "path"), [(single, "/kubelet"), (archive, "/c.tgz")])
def test_a_download_that_breaks_off_is_tried_again(server, target, fetch, make, path):
    server.add("/kubelet", BODY)
    server.add("/c.tgz", tarball(MEMBERS))
    server.cut[path] = [100]
    assert fetch(make(server, target))["fetched"]
    server.cut[path] = [100] * 9
    (target / "kubelet").write_text("")
    with pytest.raises(ArtifactError, match="broke off after 100 of"):
        fetch(make(server, target, sha256="1" * 64))


@pytest.mark.parametrize("given", ["sha256", "checksum_url"])
def test_a_url_with_a_password_is_refused_without_it(target, fetch, given):
    url = "http://me:s3cret@127.0.0.1:9/x"
    checksum = {"sha256": "0" * 64} if given == "sha256" else {"checksum_url": url + ".sha256"}
    with pytest.raises(ArtifactError, match=r"^http://127\.0\.0\.1:9/x\S* is given with a user or a password") as raised:
        fetch(Artifact(url, {"": str(target / "x")}, **checksum))
    assert "s3cret" not in str(raised.value) + raised.value.next_step and fetch.pauses == []


def test_a_server_that_is_not_there_is_named(target, fetch):
    with pytest.raises(ArtifactError, match=r"GET http://127\.0\.0\.1:9/x failed: .*refused.*") as raised:
        fetch(Artifact("http://127.0.0.1:9/x", {"": str(target / "x")}, "0" * 64))
    assert "can be reached from this host" in raised.value.next_step


def test_all_failures_are_said_and_what_worked_stays(server, target, fetch):
    server.add("/kubelet", BODY)
    gone = [Artifact(f"{server.url}/{name}", {"": str(target / name)}, "0" * 64) for name in ("a", "b")]
    with pytest.raises(ArtifactError, match=r"(?s)/a answered HTTP 404.*/b answered HTTP 404") as raised:
        fetch(single(server, target), *gone)
    assert raised.value.next_step.count("check the artifact source") == 1
    server.requests.clear()
    assert fetch(single(server, target))["fetched"] == [] and server.requests == []


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"bin/ctr": b"x"}, "does not hold bin/containerd"),
        ({"bin/ctr": b"x", "bin/containerd": "ctr"}, "bin/containerd is no regular file"),
    ],
)
def test_an_archive_with_another_layout_is_refused(server, target, fetch, members, said):
    server.add("/c.tgz", tarball(members))
    with pytest.raises(ArtifactError, match=said):
        fetch(archive(server, target))
    assert files_below(target) == []


def test_what_is_no_archive_is_said_to_be_none(server, target, fetch):
    server.add("/c.tgz", b"<html>hello</html>" * 1000)
    with pytest.raises(ArtifactError, match="cannot be unpacked"):
        fetch(archive(server, target))
    assert fetch.pauses == []


def test_a_full_disk_is_seen_before_anything_is_written(server, target, fetch):
    server.add("/kubelet", BODY)
    with pytest.raises(ArtifactError, match=r"kubelet needs 67 MiB in .*, 66 MiB are free") as raised:
        fetch(single(server, target), free=lambda path: 66 << 20)
    assert raised.value.next_step.startswith("make room") and "must stay" in raised.value.next_step
    assert files_below(target) == []


def test_room_is_counted_for_all_downloads_under_way(server, target, tmp_path):
    fetcher = _artifacts.Fetcher(str(tmp_path / "m"), free=lambda path: 100 << 20, boot="b")
    target.mkdir()
    artifact = single(server, target)
    with fetcher._room(artifact, str(target / "a"), 30 << 20), pytest.raises(ArtifactError, match="70 MiB are free"):
        fetcher._room(artifact, str(target / "b"), 30 << 20).__enter__()
    with fetcher._room(artifact, str(target / "b"), 30 << 20):
        pass


def test_a_lost_manifest_costs_a_hash_not_a_download(server, target, fetch, tmp_path):
    server.add("/kubelet", BODY)
    fetch(single(server, target))
    for damage in (lambda: (tmp_path / "manifest.json").unlink(), lambda: (tmp_path / "manifest.json").write_text("{damaged")):
        damage()
        server.requests.clear()
        assert fetch(single(server, target)) == {"fetched": [], "adjusted": []}
        assert server.requests == ["/kubelet.sha256"]
        fetch(single(server, target))
        assert server.requests == ["/kubelet.sha256"]


def test_a_file_changed_behind_our_back_is_fetched_again(server, target, fetch):
    server.add("/kubelet", BODY)
    fetch(single(server, target))
    (target / "kubelet").write_bytes(BODY[:-1] + b"x")
    assert fetch(single(server, target))["fetched"] == [str(target / "kubelet")]
    assert (target / "kubelet").read_bytes() == BODY


def test_a_changed_mode_is_set_without_a_download(server, target, fetch):
    server.add("/kubelet", BODY)
    fetch(single(server, target))
    (target / "kubelet").chmod(0o600)
    server.requests.clear()
    assert fetch(single(server, target)) == {"fetched": [], "adjusted": [str(target / "kubelet")]}
    assert server.requests == [] and fetch(single(server, target))["adjusted"] == []


@pytest.mark.parametrize(("damaged", "fetched"), [(False, 0), (True, 1)])
def test_the_first_look_after_a_reboot_proves_what_reached_the_disk(server, target, fetch, damaged, fetched):
    server.add("/kubelet", BODY)
    fetch(single(server, target))
    if damaged:  # same size and time, other content
        info = (target / "kubelet").stat()
        (target / "kubelet").write_bytes(bytes(len(BODY)))
        os.utime(target / "kubelet", ns=(info.st_atime_ns, info.st_mtime_ns))
    server.requests.clear()
    assert len(fetch(single(server, target), boot="boot2")["fetched"]) == fetched
    assert (target / "kubelet").read_bytes() == BODY
    if not damaged:
        assert server.requests == []
        assert fetch.fetcher.judge([single(server, target)])[0].action == "none"
        fetch(single(server, target), boot="boot3")
        assert fetch.judged[0].action == "none"


def test_members_of_an_archive_are_proven_after_a_reboot_too(server, target, fetch):
    server.add("/c.tgz", tarball(MEMBERS))
    fetch(archive(server, target))
    server.requests.clear()
    assert fetch(archive(server, target), boot="boot2") == {"fetched": [], "adjusted": []}
    assert server.requests == []


def test_a_new_version_under_the_same_name_is_fetched(server, target, fetch):
    server.add("/kubelet", BODY)
    fetch(single(server, target))
    digest = server.add("/kubelet", b"new")
    assert fetch(single(server, target, sha256=digest))["fetched"]
    assert (target / "kubelet").read_bytes() == b"new"


def test_another_mirror_with_the_same_checksum_costs_no_download(server, target, fetch):
    server.add("/kubelet", BODY)
    server.add("/mirror/kubelet", BODY)
    fetch(single(server, target))
    server.requests.clear()
    moved = Artifact(server.url + "/mirror/kubelet", {"": str(target / "kubelet")}, "", server.url + "/mirror/kubelet.sha256")
    assert fetch(moved)["fetched"] == [] and server.requests == ["/mirror/kubelet.sha256"]
    server.requests.clear()
    assert fetch(moved)["fetched"] == [] and server.requests == []


def moved(server, target):
    """Return the archive as another source has it."""
    return Artifact(server.url + "/mirror/c.tgz", archive(server, target).files, checksum_url=server.url + "/mirror/c.tgz.sha256")


def inodes(target):
    """Return which files stand there; a program whose file was replaced counts as another one (_systemd)."""
    return {name: ((target / name).stat().st_ino, (target / name).stat().st_mtime_ns) for name in ("ctr", "containerd")}


def test_an_archive_of_another_mirror_with_the_same_checksum_costs_no_download(server, target, fetch):
    for name in ("/c.tgz", "/mirror/c.tgz"):
        server.add(name, tarball(MEMBERS))
    server.files["/mirror/c.tgz"] = server.files["/c.tgz"]
    server.files["/mirror/c.tgz.sha256"] = server.files["/c.tgz.sha256"]
    fetch(archive(server, target))
    before = inodes(target)
    server.requests.clear()
    assert fetch(moved(server, target)) == {"fetched": [], "adjusted": []} and inodes(target) == before
    assert server.requests == ["/mirror/c.tgz.sha256"]
    server.requests.clear()
    assert fetch(moved(server, target)) == {"fetched": [], "adjusted": []} and server.requests == []


@pytest.mark.parametrize("changed", [{}, {"bin/ctr": b"another"}])
def test_only_what_is_another_file_is_replaced(server, target, fetch, changed):
    """A mirror may pack the same files anew, and then the archive has another checksum."""
    server.add("/c.tgz", tarball(MEMBERS))
    server.add("/mirror/c.tgz", tarball({**MEMBERS, "LICENSE": b"x", **changed}))
    fetch(archive(server, target))
    before = inodes(target)
    (target / "containerd").chmod(0o700)
    done = fetch(moved(server, target))["fetched"]
    assert sorted(done) == sorted([*([str(target / "ctr")] if changed else []), str(target / "containerd")])
    assert [name for name, seen in inodes(target).items() if seen != before[name]] == (["ctr"] if changed else [])
    assert stat.S_IMODE((target / "containerd").stat().st_mode) == 0o755 and files_below(target) == ["containerd", "ctr"]
    server.requests.clear()
    assert fetch(moved(server, target), boot="boot1") == {"fetched": [], "adjusted": []} and server.requests == []


def test_files_on_the_host_are_taken_too(target, fetch, tmp_path):
    (tmp_path / "kubelet").write_bytes(BODY)
    digest = hashlib.sha256(BODY).hexdigest()
    assert fetch(Artifact((tmp_path / "kubelet").as_uri(), {"": str(target / "kubelet")}, digest))["fetched"]
    with pytest.raises(ArtifactError, match="No such file"):
        fetch(Artifact((tmp_path / "nothing").as_uri(), {"": str(target / "x")}, digest))
    assert fetch.pauses == []


def test_the_manifest_forgets_files_that_are_gone(server, target, fetch, tmp_path):
    server.add("/kubelet", BODY)
    server.add("/c.tgz", tarball(MEMBERS))
    fetch(single(server, target))
    (target / "kubelet").unlink()
    fetch(archive(server, target))
    assert sorted(json.loads((tmp_path / "manifest.json").read_text())) == [str(target / "containerd"), str(target / "ctr")]


def test_what_a_killed_run_left_is_replaced(server, target, fetch):
    server.add("/kubelet", BODY)
    target.mkdir()
    (target / ".kubelet.multimaster-new").write_text("half")
    fetch(single(server, target))
    assert files_below(target) == ["kubelet"]
