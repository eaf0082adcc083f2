# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Decide which release files have to be fetched, from a manifest and one stat per file.

It solves: a binary that is already right costs no hash and no request. The manifest says for every file what it is made
of (``source``, the hash of the download; ``sha256``, the file's own) and how it looked (size, mtime). It leaves out
downloading (``_artifacts.py``).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

#: Room an unpacked archive takes, as a multiple of its packed size: Go binaries pack to 0.25-0.4 of theirs.
UNPACKED = 4
#: Bytes that stay free beside what is fetched.
RESERVE = 64 * 1024 * 1024
#: What to do about a full disk. The folder of an older version may be the one that every unit still starts from.
MAKE_ROOM = (
    "make room on that disk, then run again. Below /opt/multimaster a version that anything refers to must stay, also an older "
    "one: `grep -rhoE '/opt/multimaster/[^/ ]+/[^/ ]+' /etc /run/containerd 2>/dev/null | sort -u` lists those of units and "
    "configurations, `ls -l /proc/*/exe /usr/local/bin 2>/dev/null | grep /opt/multimaster/` those of processes and links"
)
HEX = re.compile(r"[0-9a-fA-F]{64}")


class ArtifactError(Exception):
    """Say which file could not be had, from where and why; ``next_step``: what to do about it."""

    next_step = "mend the artifact source, the version or the way from this host to it, then run again"

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.next_step = next_step or self.next_step


@dataclass(frozen=True)
class Artifact:
    """Hold one download and the files it becomes: {member: path}, with the member "" for the download itself."""

    url: str
    files: Mapping[str, str]
    sha256: str = ""
    checksum_url: str = ""
    mode: int = 0o755

    @property
    def archive(self) -> bool:
        """Return whether files are taken out of the download."""
        return "" not in self.files


@dataclass(frozen=True)
class Stat:
    """Hold what one stat says of a regular file."""

    size: int
    mtime_ns: int
    mode: int


@dataclass(frozen=True)
class Judgement:
    """Say what an artifact needs: none, verify (hash what is there), chmod, or fetch."""

    artifact: Artifact
    action: str
    reason: str
    paths: tuple[str, ...] = ()  # what is wrong
    known: bool = False  # verify: the manifest is right, only what reached the disk is to be proven


def bare(url: str) -> str:
    """Return a URL without user and password, for messages and the manifest."""
    return re.sub(r"(?<=://)[^/]*@", "", url)


def file_name(url: str) -> str:
    """Return the file name a URL ends in."""
    return unquote(posixpath.basename(urlsplit(url).path))


def findings(artifacts: Sequence[Artifact]) -> list[str]:
    """Return everything that makes a list of artifacts impossible."""
    said, owner = [], {}
    for artifact in artifacts:
        name = bare(artifact.url)
        if not artifact.files:
            said.append(f"{name}: give `dest` or `extract`")
        if artifact.sha256 and not HEX.fullmatch(artifact.sha256):
            said.append(f"{name}: sha256 {artifact.sha256!r} is not 64 hexadecimal digits")
        if not artifact.sha256 and not artifact.checksum_url:
            said.append(f"{name}: give `sha256` or `checksum_url`; nothing is installed unverified")
        for path in artifact.files.values():
            if not path.startswith("/"):
                said.append(f"{name}: {path!r} is not an absolute path")
            if path in owner:
                said.append(f"{path} is asked for twice, from {owner[path]} and {name}")
            owner[path] = name
    return said


def judge(artifact: Artifact, manifest: Mapping, stats: Mapping[str, Stat | None], boot: str) -> Judgement:
    """Return what an artifact needs.

    An entry written in an earlier boot and not looked at since is verified once: what was written shortly before a
    power cut may never have reached the disk.
    """
    missing = tuple(path for path in artifact.files.values() if stats.get(path) is None)
    if missing:
        return Judgement(artifact, "fetch", "missing", missing)
    unknown, unproven, wrong_mode = [], [], []
    for path in artifact.files.values():
        entry, stat = manifest.get(path) or {}, stats[path]
        if not _same(artifact, entry) or (entry.get("size"), entry.get("mtime_ns")) != (stat.size, stat.mtime_ns):
            unknown.append(path)
        elif entry.get("boot") not in (boot, "verified"):
            unproven.append(path)
        elif stat.mode != artifact.mode:
            wrong_mode.append(path)
    if unknown:
        provable = not artifact.archive or all(_provable(artifact, manifest.get(path)) for path in unknown)
        return Judgement(artifact, "verify" if provable else "fetch", "not what was installed", tuple(unknown))
    if unproven:
        return Judgement(artifact, "verify", "first look after a reboot", tuple(unproven), known=True)
    if wrong_mode:
        return Judgement(artifact, "chmod", "mode", tuple(wrong_mode))
    return Judgement(artifact, "none", "right")


def _same(artifact: Artifact, entry: Mapping) -> bool:
    """Return whether a manifest entry comes from the same download: by its hash where that is known, else by its URL."""
    if artifact.sha256:
        return entry.get("source") == artifact.sha256.lower()
    return bool(entry) and entry.get("url") == bare(artifact.url)


def _provable(artifact: Artifact, entry: Mapping | None) -> bool:
    """Return whether hashing the file itself can prove it: its own hash is known from a download, which may be the right one.

    Where the right one's hash is not given, its checksum file tells, wherever the file came from then: another source of the same
    release is no reason to fetch it again.
    """
    known = bool(entry) and bool(entry.get("sha256")) and bool(entry.get("source"))
    return known and (not artifact.sha256 or _same(artifact, entry))


def proof(artifact: Artifact, path: str, manifest: Mapping, source: str) -> str:
    """Return the hash a file must have to be right without a download, or nothing when there is no such proof."""
    if not artifact.archive:
        return source
    entry = manifest.get(path) or {}
    return entry.get("sha256", "") if entry.get("source") == source else ""


def parse_checksum(text: str, name: str, where: str) -> str:
    """Return the SHA-256 of file ``name`` from a checksum file; raise ArtifactError when it is not there.

    Takes a bare digest, `digest  name` lines (sha256sum, `*` for binary) and BSD's `SHA256 (name) = digest`.
    """
    named = {}
    for line in text.splitlines():
        match = re.fullmatch(r"\s*(?P<hex>[0-9a-fA-F]{64})\s+\*?(?P<name>\S.*?)\s*", line) or re.fullmatch(
            r"\s*SHA256 \((?P<name>.+)\) = (?P<hex>[0-9a-fA-F]{64})\s*", line
        )
        if match:
            named[posixpath.basename(match["name"])] = match["hex"].lower()
    if name in named:
        return named[name]
    if not named and HEX.fullmatch(text.strip()):
        return text.strip().lower()
    listed = ", ".join(sorted(named)[:8]) or "no SHA-256 digest"
    raise ArtifactError(f"{where} has no checksum for {name}: it holds {listed}", "check the URL and the version, then run again")


def space_needed(length: int, archive: bool) -> int:
    """Return the bytes that must be free before a download of ``length`` bytes begins."""
    return length * (UNPACKED if archive else 1) + RESERVE


def entry(artifact: Artifact, source: str, sha256: str, stat: Stat, boot: str) -> dict:
    """Return the manifest entry of one installed file."""
    return {
        "url": bare(artifact.url),
        "source": source,
        "sha256": sha256,
        "size": stat.size,
        "mtime_ns": stat.mtime_ns,
        "boot": boot,
    }
