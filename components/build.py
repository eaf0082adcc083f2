#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the upstream components from their pinned Go modules into a mirror of the release hosts.

A machine that reaches no release host still needs kubelet, etcd and their friends to test an installation. This builds
them from the go.mod/go.sum pairs beside this file and lays them out in a cache folder exactly as the official hosts do
(`<cache>/<host>/<path>` with the official file and checksum names), so the install path under test is the production
path with another base URL. Container images become archives under `<cache>/images/`, importable without a registry.

Left out: signatures, other operating systems than Linux, other architectures than Go's own (GOARCH decides).
"""

from __future__ import annotations

import argparse
import fcntl
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKING = 1  # raise it when the bytes of tarballs or images change for the same binaries
STATIC = "-linkmode external -extldflags -static"
# cap_net_bind_service=+ep as the kernel stores it (linux/capability.h: struct vfs_cap_data, revision 2, effective bit)
CAP_NET_BIND_SERVICE = "\x01\x00\x00\x02\x00\x04" + "\x00" * 14
NO_COMMIT = "built-from-go-module"  # a module archive does not carry its git commit


@dataclass(frozen=True)
class File:
    """A single binary, published under its own name."""

    binary: str
    path: str
    checksum: str


@dataclass(frozen=True)
class Tarball:
    """A gzipped tarball; members maps the name inside to the built binary."""

    path: str
    checksum: str
    members: dict[str, str]


@dataclass(frozen=True)
class Image:
    """An image archive with one static binary; capability is the binary's file capability or empty."""

    reference: str
    binary: str
    command: tuple[str, ...] = ()
    user: str = ""
    capability: str = ""


@dataclass(frozen=True)
class Recipe:
    """How `go build` is called for one component, and what is published from its binaries."""

    outputs: tuple[File | Tarball | Image, ...]
    package: str = "tool"
    cgo: bool = False
    tags: str = ""
    stamps: dict[str, str] = field(default_factory=dict)
    linker: str = ""


def kubernetes(version: str, arch: str, agnhost: str) -> Recipe:
    """Return the recipe of one Kubernetes release and of the test server agnhost that belongs to it."""
    major, minor = version.split(".")[:2]
    stamps = {}
    for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
        stamps |= {
            f"{package}.gitVersion": f"v{version}",
            f"{package}.gitMajor": major,
            f"{package}.gitMinor": minor,
            f"{package}.gitTreeState": "clean",
            f"{package}.gitCommit": NO_COMMIT,
        }
    names = ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet")
    base = f"dl.k8s.io/release/v{version}/bin/linux/{arch}"
    files = tuple(File(name, f"{base}/{name}", f"{base}/{name}.sha256") for name in names)
    image = Image(f"registry.k8s.io/e2e-test-images/agnhost:{agnhost}", "agnhost", command=("pause",))
    return Recipe((*files, image), stamps=stamps)


def etcd(version: str, arch: str) -> Recipe:
    """Return the recipe of one etcd release (its server's package is called `server`)."""
    name = f"etcd-v{version}-linux-{arch}"
    base = f"github.com/etcd-io/etcd/releases/download/v{version}"
    members = {f"{name}/etcd": "server", f"{name}/etcdctl": "etcdctl", f"{name}/etcdutl": "etcdutl"}
    return Recipe(
        (Tarball(f"{base}/{name}.tar.gz", f"{base}/SHA256SUMS", members),),
        stamps={"go.etcd.io/etcd/api/v3/version.GitSHA": NO_COMMIT},
    )


def containerd(version: str, arch: str) -> Recipe:
    """Return the recipe of one containerd release without the snapshotters that need C libraries."""
    path = f"github.com/containerd/containerd/releases/download/v{version}/containerd-{version}-linux-{arch}.tar.gz"
    members = {f"bin/{name}": name for name in ("containerd", "containerd-shim-runc-v2", "ctr")}
    package = "github.com/containerd/containerd/v2/version"
    return Recipe(
        (Tarball(path, f"{path}.sha256sum", members),),
        tags="no_btrfs,no_devmapper,no_zfs",
        stamps={f"{package}.Version": f"v{version}", f"{package}.Revision": NO_COMMIT},
    )


def runc(version: str, arch: str) -> Recipe:
    """Return the recipe of one runc release, static like the official binary (needs libseccomp's headers and archive)."""
    base = f"github.com/opencontainers/runc/releases/download/v{version}"
    return Recipe(
        (File("runc", f"{base}/runc.{arch}", f"{base}/runc.sha256sum"),),
        cgo=True,
        tags="seccomp,urfave_cli_no_docs,netgo,osusergo",
        stamps={"main.gitCommit": NO_COMMIT},
        linker=STATIC,
    )


def cni_plugins(version: str, arch: str) -> Recipe:
    """Return the recipe of the CNI plugins a node here runs."""
    base = f"github.com/containernetworking/plugins/releases/download/v{version}"
    path = f"{base}/cni-plugins-linux-{arch}-v{version}.tgz"
    members = {f"./{name}": name for name in ("bridge", "host-local", "loopback", "portmap", "ptp")}
    return Recipe(
        (Tarball(path, f"{path}.sha256", members),),
        stamps={"github.com/containernetworking/plugins/pkg/utils/buildversion.BuildVersion": f"v{version}"},
    )


def flannel(version: str, arch: str) -> Recipe:
    """Return the recipe of flanneld (its UDP back end is C)."""
    path = f"github.com/flannel-io/flannel/releases/download/v{version}/flanneld-{arch}"
    return Recipe(
        (File("flannel", path, f"{path}.sha256"),),
        cgo=True,
        tags="netgo,osusergo",
        stamps={"github.com/flannel-io/flannel/pkg/version.Version": f"v{version}"},
        linker=STATIC,
    )


def coredns(version: str, _arch: str) -> Recipe:
    """Return the recipe of the CoreDNS image: the plugins that main.go names, the official image's user and capability."""
    reference = f"registry.k8s.io/coredns/coredns:v{version}"
    return Recipe(
        (Image(reference, f"coredns-{version}", user="65532:65532", capability=CAP_NET_BIND_SERVICE),),
        package=".",
        stamps={"github.com/coredns/coredns/coremain.GitCommit": NO_COMMIT},
    )


def pause(version: str, _arch: str) -> Recipe:
    """Return the recipe of the sandbox image, from the few lines in this repository."""
    return Recipe((Image(f"registry.k8s.io/pause:{version}", f"pause-{version}", user="65535:65535"),), package=".")


def prober() -> Recipe:
    """Return the recipe of the tests' prober: a binary for the host it measures from, an image for the pod."""
    path = "multimaster.test/prober/1/prober"
    return Recipe((File("prober", path, f"{path}.sha256"), Image("multimaster.test/prober:1", "prober")), package=".")


def recipes(arch: str) -> dict[str, Recipe]:
    """Return every component that can be built; a pin is raised here and in the folder of the same name."""
    return {
        "kubernetes-1.36.3": kubernetes("1.36.3", arch, agnhost="2.63.0"),
        "kubernetes-1.37.2": kubernetes("1.37.2", arch, agnhost="2.66.1"),
        "etcd-3.6.16": etcd("3.6.16", arch),
        "etcd-3.7.3": etcd("3.7.3", arch),
        "containerd-2.3.7": containerd("2.3.7", arch),
        "runc-1.5.2": runc("1.5.2", arch),
        "cni-plugins-1.9.1": cni_plugins("1.9.1", arch),
        "coredns-1.14.7": coredns("1.14.7", arch),
        "flannel-0.27.4": flannel("0.27.4", arch),
        "pause-3.10.2": pause("3.10.2", arch),
        "prober": prober(),
    }


def command(recipe: Recipe, out: str) -> list[str]:
    """Return the `go build` command that leaves the recipe's binaries in the folder out."""
    flags = ["-s", "-w", *(part for name, value in recipe.stamps.items() for part in ("-X", f"{name}={value}"))]
    flags += [recipe.linker] if recipe.linker else []
    tags = ["-tags", recipe.tags] if recipe.tags else []
    return ["go", "build", "-trimpath", "-buildvcs=false", "-ldflags", " ".join(flags), *tags, "-o", out, recipe.package]


def image_file(reference: str) -> str:
    """Return the archive's path in the cache: `registry.k8s.io/coredns/coredns:v1.14.7` is `images/coredns-1.14.7.tar`."""
    name, tag = reference.rsplit("/", 1)[1].split(":")
    return f"images/{name}-{tag.removeprefix('v')}.tar"


def recipe_key(recipe: Recipe, sources: dict[str, bytes], go_version: str) -> str:
    """Return the identity of a build: the same key means the same bytes, so nothing has to be done."""
    digest = hashlib.sha256()
    parts = [json.dumps([PACKING, go_version, [type(o).__name__ for o in recipe.outputs], asdict(recipe)], sort_keys=True)]
    parts += [f"{name}={hashlib.sha256(content).hexdigest()}" for name, content in sorted(sources.items())]
    digest.update("\n".join(parts).encode())
    return digest.hexdigest()


def checksum_text(path: str, digest: str, file_name: str) -> str:
    """Return a checksum file in its host's own style: bare on dl.k8s.io and for images, `digest  name` elsewhere."""
    bare = path.startswith(("dl.k8s.io/", "images/"))
    return digest if bare else f"{digest}  {file_name}\n"


def tar_bytes(members: dict[str, bytes], capabilities: dict[str, str] | None = None) -> bytes:
    """Return a tar archive that depends on nothing but its members (sorted, epoch 0, root, 0755)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in sorted(members.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755
            capability = (capabilities or {}).get(name)
            if capability:
                info.pax_headers["SCHILY.xattr.security.capability"] = capability
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def tarball_bytes(members: dict[str, bytes]) -> bytes:
    """Return tar_bytes gzipped without name and time."""
    return gzip.compress(tar_bytes(members), compresslevel=6, mtime=0)


def image_bytes(image: Image, content: bytes, arch: str) -> bytes:
    """Return a one-layer image in the docker-archive format (docker load, ctr images import, skopeo read it)."""
    name = image.binary.split("-", 1)[0]
    layer = tar_bytes({name: content}, {name: image.capability})
    layer_digest = hashlib.sha256(layer).hexdigest()
    config = {
        "architecture": arch,
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {"Entrypoint": [f"/{name}"], "Cmd": list(image.command), "User": image.user, "WorkingDir": "/"},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "components/build.py"}],
    }
    config_bytes = json.dumps(config, sort_keys=True).encode()
    config_name = f"{hashlib.sha256(config_bytes).hexdigest()}.json"
    layer_name = f"{layer_digest}/layer.tar"
    manifest = [{"Config": config_name, "RepoTags": [image.reference], "Layers": [layer_name]}]
    return tar_bytes({config_name: config_bytes, layer_name: layer, "manifest.json": json.dumps(manifest).encode()})


def publish(recipe: Recipe, binaries: Path, target: Path, arch: str) -> dict[str, str]:
    """Write the recipe's outputs and their checksum files below target and return {path: sha256}."""
    digests = {}

    def write(path: str, content: bytes, checksum: str) -> None:
        file = target / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        digests[path] = hashlib.sha256(content).hexdigest()
        (target / checksum).write_text(checksum_text(path, digests[path], file.name))
        digests[checksum] = hashlib.sha256((target / checksum).read_bytes()).hexdigest()

    for output in recipe.outputs:
        if isinstance(output, File):
            write(output.path, (binaries / output.binary).read_bytes(), output.checksum)
            (target / output.path).chmod(0o755)
        elif isinstance(output, Tarball):
            members = {inner: (binaries / name).read_bytes() for inner, name in output.members.items()}
            write(output.path, tarball_bytes(members), output.checksum)
        else:
            path = image_file(output.reference)
            write(path, image_bytes(output, (binaries / output.binary).read_bytes(), arch), f"{path}.sha256")
    return digests


def is_built(record: Path, key: str, cache: Path) -> bool:
    """Say whether the record carries this key and every file it names is there."""
    try:
        content = json.loads(record.read_text())
    except (OSError, ValueError):
        return False
    return content.get("key") == key and all((cache / path).is_file() for path in content["files"])


def go_env(name: str, folder: Path = HERE) -> str:
    """Ask the Go tool for one of its settings, in a folder whose go.mod may have it fetch a newer Go (GOTOOLCHAIN)."""
    return subprocess.run(["go", "env", name], check=True, capture_output=True, text=True, cwd=folder).stdout.strip()


def numbers(version: str) -> tuple[int, ...]:
    """Return a version of Go as numbers, () for what is none."""
    found = re.search(r"\d+(\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()


def go_needed(here: Path = HERE) -> tuple[str, Path]:
    """Return the newest Go that a folder's go.mod asks for, and that folder: with this one all of them are built and tested."""
    asked = {}
    for path in sorted(here.glob("*/go.mod")):
        asked[path.parent] = next(line.split()[1] for line in path.read_text().splitlines() if line.startswith("go "))
    folder = max(asked, key=lambda one: numbers(asked[one]))
    return asked[folder], folder


def go_lacks() -> str:
    """Return what is wrong with the Go of this machine, and what to do; "" when it can build everything."""
    needed, folder = go_needed()
    what = f"Go {needed} or newer builds the components and the prober and tests it"
    install = "Next: install it (https://go.dev/dl), with its folder bin in PATH, then run this again"
    if shutil.which("go") is None:
        return f"{what}, and there is no program go in PATH. {install}."
    try:
        found = go_env("GOVERSION", folder)
    except subprocess.CalledProcessError as error:
        return f"{what}, and the one here says: {error.stderr.strip()}. {install}."
    return "" if numbers(found) >= numbers(needed) else f"{what}, and here is {found}. {install}."


def build(name: str, recipe: Recipe, cache: Path, go_version: str, arch: str) -> bool:
    """Build one component unless the cache has it; return whether anything was built."""
    folder = HERE / name
    sources = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    key = recipe_key(recipe, sources, go_version)
    records = cache / ".records"
    records.mkdir(parents=True, exist_ok=True)
    record = records / f"{name}.json"
    with (records / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_built(record, key, cache):
            return False
        with tempfile.TemporaryDirectory(prefix=f".building-{name}-", dir=cache) as temporary:
            binaries, staged = Path(temporary, "bin"), Path(temporary, "mirror")
            binaries.mkdir()
            environment = os.environ | {"CGO_ENABLED": str(int(recipe.cgo)), "GOWORK": "off"}
            subprocess.run(command(recipe, f"{binaries}/"), check=True, cwd=folder, env=environment)
            digests = publish(recipe, binaries, staged, arch)
            for path in digests:
                (cache / path).parent.mkdir(parents=True, exist_ok=True)
                os.replace(staged / path, cache / path)
            (staged / "record").write_text(json.dumps({"key": key, "go": go_version, "files": digests}, indent=1))
            os.replace(staged / "record", record)
    return True


def default_cache() -> Path:
    """Return the artifact cache of this user, outside every checkout."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "multimaster-kubernetes" / "artifacts"


def main(argv: list[str]) -> int:
    """Build what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--cache", type=Path, default=default_cache(), metavar="DIR")
    parser.add_argument("--list", action="store_true", help="print what can be built and leave")
    parser.add_argument("--check", action="store_true", help="see whether the Go here can build it all and leave")
    parser.add_argument("components", nargs="*", metavar="NAME-VERSION")
    options = parser.parse_args(argv)
    lacks = go_lacks()
    if lacks or options.check:
        print(lacks, end="\n" * bool(lacks), file=sys.stderr)
        return int(bool(lacks))
    arch, go_version = go_env("GOARCH"), go_env("GOVERSION")
    known = recipes(arch)
    if options.list:
        print("\n".join(known))
        return 0
    unknown = [name for name in options.components if name not in known]
    if unknown or not options.components:
        what = f"unknown component: {', '.join(unknown)}" if unknown else "no component named"
        print(f"{what}; known are: {', '.join(known)}", file=sys.stderr)
        return 2
    for name in options.components:
        start = time.monotonic()
        try:
            built = build(name, known[name], options.cache, go_version, arch)
        except subprocess.CalledProcessError as error:
            print(f"{name}: go build failed with code {error.returncode}, see the lines above.", file=sys.stderr)
            return 1
        print(f"{name}: {'built' if built else 'is there'} ({time.monotonic() - start:.1f} s)", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
