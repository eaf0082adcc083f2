# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The builder's pure parts: recipes, identity of a build, reproducible archives, checksum files."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import importlib.util
import io
import json
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SPEC = importlib.util.spec_from_file_location("components_build", ROOT / "components" / "build.py")
build = importlib.util.module_from_spec(SPEC)
sys.modules[SPEC.name] = build
SPEC.loader.exec_module(build)

RECIPES = build.recipes("amd64")
PAUSE = build.Image("registry.k8s.io/pause:3.10.2", "pause-3.10.2", user="65535:65535")


def published(recipe):
    for output in recipe.outputs:
        yield build.image_file(output.reference) if isinstance(output, build.Image) else output.path


def test_every_recipe_has_its_folder_with_pins():
    for name in RECIPES:
        assert (ROOT / "components" / name / "go.mod").is_file(), name


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (None, "and there is no program go in PATH. Next: install it"),
        ("go1.25.9", "and here is go1.25.9. Next: install it"),
        ("go1.26.10", ""),
        ("go1.27rc1", ""),
        ("", "and here is . Next"),
    ],
)
def test_the_go_of_this_machine_is_judged_before_anything_is_built(monkeypatch, capsys, found, says):
    monkeypatch.setattr(build, "go_needed", lambda: ("1.26.8", build.HERE))
    monkeypatch.setattr(build.shutil, "which", lambda name: found)
    monkeypatch.setattr(build, "go_env", lambda name, folder: found)
    assert build.main(["--check"]) == int(bool(says))
    said = capsys.readouterr().err
    assert said.startswith("Go 1.26.8 or newer builds") == bool(says) and says in said


def test_the_go_that_is_needed_is_the_newest_of_all_and_what_people_are_told():
    needed, folder = build.go_needed()
    lines = {path.parent: path.read_text().split("\ngo ")[1].split()[0] for path in build.HERE.glob("*/go.mod")}
    assert lines[folder] == needed and all(build.numbers(one) <= build.numbers(needed) for one in lines.values())
    for page in ("README.md", "components/README.md"):
        assert f"Go {needed} or newer" in (build.HERE.parent / page).read_text()


def test_every_pinned_folder_has_a_recipe():
    assert {path.parent.name for path in (ROOT / "components").glob("*/go.mod")} <= set(RECIPES)


def test_no_two_components_publish_the_same_file():
    paths = [path for recipe in RECIPES.values() for path in published(recipe)]
    assert len(paths) == len(set(paths))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("kubernetes-1.36.3", "dl.k8s.io/release/v1.36.3/bin/linux/amd64/kubelet"),
        ("etcd-3.6.16", "github.com/etcd-io/etcd/releases/download/v3.6.16/etcd-v3.6.16-linux-amd64.tar.gz"),
        ("containerd-2.3.7", "github.com/containerd/containerd/releases/download/v2.3.7/containerd-2.3.7-linux-amd64.tar.gz"),
        ("runc-1.5.2", "github.com/opencontainers/runc/releases/download/v1.5.2/runc.amd64"),
        (
            "cni-plugins-1.9.1",
            "github.com/containernetworking/plugins/releases/download/v1.9.1/cni-plugins-linux-amd64-v1.9.1.tgz",
        ),
        ("flannel-0.27.4", "github.com/flannel-io/flannel/releases/download/v0.27.4/flanneld-amd64"),
        ("coredns-1.14.7", "images/coredns-1.14.7.tar"),
        ("pause-3.10.2", "images/pause-3.10.2.tar"),
        ("kubernetes-1.36.3", "images/agnhost-2.63.0.tar"),
    ],
)
def test_files_are_named_as_on_the_official_hosts(name, path):
    assert path in set(published(RECIPES[name]))


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("dl.k8s.io/release/v1/kubelet", "abc"),
        ("images/pause-3.10.2.tar", "abc"),
        ("github.com/opencontainers/runc/runc.amd64", "abc  runc.amd64\n"),
    ],
)
def test_a_checksum_file_has_its_hosts_style(path, text):
    assert build.checksum_text(path, "abc", path.rsplit("/", 1)[1]) == text


def test_the_version_is_stamped_into_kubernetes():
    line = " ".join(build.command(RECIPES["kubernetes-1.36.3"], "out/"))
    assert "-X k8s.io/component-base/version.gitVersion=v1.36.3" in line
    assert "-X k8s.io/component-base/version.gitMinor=36" in line
    assert line.endswith("-o out/ tool")


@pytest.mark.parametrize("name", ["runc-1.5.2", "flannel-0.27.4"])
def test_what_needs_c_is_linked_statically(name):
    assert RECIPES[name].cgo
    flags = build.command(RECIPES[name], "out/")
    assert "-extldflags -static" in flags[flags.index("-ldflags") + 1]


def test_the_key_changes_with_everything_that_makes_the_bytes_and_with_nothing_else():
    recipe = RECIPES["etcd-3.6.16"]
    sources = {"go.mod": b"a", "go.sum": b"b"}
    key = build.recipe_key(recipe, sources, "go1.26.8")
    assert key == build.recipe_key(recipe, dict(reversed(sources.items())), "go1.26.8")
    others = {
        build.recipe_key(recipe, {**sources, "go.mod": b"c"}, "go1.26.8"),
        build.recipe_key(recipe, sources, "go1.26.9"),
        build.recipe_key(dataclasses.replace(recipe, tags="x"), sources, "go1.26.8"),
        build.recipe_key(RECIPES["etcd-3.7.3"], sources, "go1.26.8"),
    }
    assert key not in others
    assert len(others) == 4


def test_a_tarball_depends_on_its_members_only():
    one = build.tarball_bytes({"d/b": b"2", "d/a": b"1"})
    assert one == build.tarball_bytes({"d/a": b"1", "d/b": b"2"})
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(one))) as archive:
        infos = archive.getmembers()
    assert [i.name for i in infos] == ["d/a", "d/b"]
    assert {(i.mtime, i.uid, i.gid, i.mode) for i in infos} == {(0, 0, 0, 0o755)}


def test_an_image_archive_names_its_reference_and_its_digests_hold():
    content = build.image_bytes(PAUSE, b"binary", "amd64")
    assert content == build.image_bytes(PAUSE, b"binary", "amd64")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        manifest = json.load(archive.extractfile("manifest.json"))
        (entry,) = manifest
        config_bytes = archive.extractfile(entry["Config"]).read()
        layer = archive.extractfile(entry["Layers"][0]).read()
    config = json.loads(config_bytes)
    assert entry["RepoTags"] == ["registry.k8s.io/pause:3.10.2"]
    assert entry["Config"] == f"{hashlib.sha256(config_bytes).hexdigest()}.json"
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert config["config"]["Entrypoint"] == ["/pause"]
    assert config["config"]["User"] == "65535:65535"
    with tarfile.open(fileobj=io.BytesIO(layer)) as inner:
        assert inner.extractfile("pause").read() == b"binary"


def test_coredns_keeps_its_file_capability_in_the_layer():
    (image,) = RECIPES["coredns-1.14.7"].outputs
    with tarfile.open(fileobj=io.BytesIO(build.image_bytes(image, b"x", "amd64"))) as archive:
        layer = archive.extractfile(json.load(archive.extractfile("manifest.json"))[0]["Layers"][0]).read()
    with tarfile.open(fileobj=io.BytesIO(layer)) as inner:
        value = inner.getmember("coredns").pax_headers["SCHILY.xattr.security.capability"]
    assert len(value) == 20
    assert value.encode() == bytes.fromhex("01000002" + "00040000" + "00" * 12)


def test_publish_writes_every_output_with_a_checksum_that_holds(tmp_path):
    binaries = tmp_path / "bin"
    binaries.mkdir()
    for name in ("server", "etcdctl", "etcdutl"):
        (binaries / name).write_bytes(name.encode())
    digests = build.publish(RECIPES["etcd-3.6.16"], binaries, tmp_path / "mirror", "amd64")
    (tarball,) = (path for path in digests if path.endswith(".tar.gz"))
    digest, name = (tmp_path / "mirror" / Path(tarball).parent / "SHA256SUMS").read_text().split()
    assert digest == digests[tarball] == hashlib.sha256((tmp_path / "mirror" / tarball).read_bytes()).hexdigest()
    assert name == Path(tarball).name
    with tarfile.open(tmp_path / "mirror" / tarball) as archive:
        assert archive.extractfile("etcd-v3.6.16-linux-amd64/etcd").read() == b"server"


def test_a_component_is_built_again_when_a_file_or_the_record_is_gone(tmp_path):
    record = tmp_path / "record"
    assert not build.is_built(record, "key", tmp_path)
    record.write_text("{")
    assert not build.is_built(record, "key", tmp_path)
    record.write_text(json.dumps({"key": "key", "files": {"a": "digest"}}))
    assert not build.is_built(record, "key", tmp_path)
    (tmp_path / "a").write_text("")
    assert build.is_built(record, "key", tmp_path)
    assert not build.is_built(record, "other", tmp_path)
