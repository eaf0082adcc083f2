# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Fetch release files: stream, hash and unpack in one pass, beside the destination, then rename what was verified.

Several artifacts at once; nothing unverified ever stands under its final name, and temporary files go on every way out.
Data is not forced to disk (it would cost seconds while a cluster is built); instead the manifest carries the boot in which
a file was written, and the first look in a later boot hashes it again. Left out: resuming, signatures.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import lzma
import os
import shutil
import socket
import ssl
import stat
import tarfile
import threading
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from . import _artifact_plan as plan
from . import _failure, _files
from ._artifact_plan import Artifact, ArtifactError, bare

CHUNK = 1 << 20
#: Downloads at once: enough to fill a link past one server's latency, few enough for a host with two cores.
PARALLEL = 4
#: Tries of a download that broke for a reason that may pass, and the seconds between them.
PAUSES = (1.0, 3.0)
PASSING = (408, 429, 500, 502, 503, 504)
#: A checksum file is a few lines; more than this is something else.
CHECKSUM_LIMIT = 1 << 20
AGENT = "multimaster.kubernetes release_artifact"

#: ``opener(url, timeout_seconds) -> readable response with .headers``, raising what urllib raises.
Opener = Callable[[str, float], object]


def open_url(url: str, timeout: float) -> object:
    """Open a URL with urllib's defaults (proxy variables of the environment included)."""
    request = urllib.request.Request(url, headers={"User-Agent": AGENT})
    return urllib.request.build_opener().open(request, timeout=timeout)


class Passing(ArtifactError):
    """Mark a failure that another try may not meet."""


class Hashing:
    """Read a response, counting and hashing every byte."""

    def __init__(self, response) -> None:
        self._response, self.size, self._digest = response, 0, hashlib.sha256()

    def read(self, size: int = CHUNK) -> bytes:
        """Return the next bytes."""
        data = self._response.read(size)
        self._digest.update(data)
        self.size += len(data)
        return data

    def finish(self) -> str:
        """Read what is left and return the digest of everything."""
        while self.read(CHUNK):
            pass
        return self._digest.hexdigest()


class Fetcher:
    """Bring artifacts to their places and keep the manifest."""

    def __init__(
        self,
        manifest: str,
        opener: Opener = open_url,
        timeout: float = 30.0,
        boot: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
        parallel: int = PARALLEL,
        free: Callable[[str], int] = lambda path: shutil.disk_usage(path).free,
    ) -> None:
        self._path, self._opener, self._timeout, self._sleep = manifest, opener, timeout, sleep
        self._parallel, self._free = parallel, free
        self._boot = boot_id() if boot is None else boot
        self._lock, self._checksums, self._reserved = threading.Lock(), {}, {}
        self.manifest = read_manifest(manifest)

    def judge(self, artifacts: Sequence[Artifact]) -> list[plan.Judgement]:
        """Return what every artifact needs: one stat per file; raise ArtifactError with all findings."""
        said = plan.findings(artifacts)
        if said:
            raise ArtifactError("nothing was fetched: " + "; ".join(said), "mend `artifacts`, then run again")
        return [
            plan.judge(artifact, self.manifest, {path: look(path) for path in artifact.files.values()}, self._boot)
            for artifact in artifacts
        ]

    def make(self, judgements: Sequence[plan.Judgement]) -> dict[str, list[str]]:
        """Do what was judged, several at once; return {fetched, adjusted: [paths]}; raise ArtifactError with all failures.

        What was brought before a failure stays and is written to the manifest.
        """
        done: dict[str, list[str]] = {"fetched": [], "adjusted": []}
        failures: list[ArtifactError] = []
        before = json.dumps(self.manifest, sort_keys=True)
        work = [judgement for judgement in judgements if judgement.action != "none"]
        with ThreadPoolExecutor(max_workers=max(1, min(self._parallel, len(work)))) as pool:
            for future in [pool.submit(self._one, judgement) for judgement in work]:
                try:
                    kind, paths = future.result()
                    done.setdefault(kind, []).extend(paths)
                except ArtifactError as error:
                    failures.append(error)
        if json.dumps(self.manifest, sort_keys=True) != before:
            self.manifest = {path: entry for path, entry in self.manifest.items() if look(path)}
            _files.write(self._path, json.dumps(self.manifest, indent=1, sort_keys=True) + "\n")
        if failures:
            following = "; ".join(dict.fromkeys(error.next_step for error in failures))
            raise ArtifactError("; ".join(map(str, failures)), following)
        return done

    def download(self, url: str, sha256: str, checksum_url: str, folder: str) -> str:
        """Fetch one verified file into ``folder`` under a temporary name and return that; the caller removes it."""
        artifact = Artifact(url, {"": os.path.join(folder, plan.file_name(url) or "download")}, sha256, checksum_url)
        source = self._source(artifact)
        staged, _hashes = self._patiently(artifact, source)
        return staged[""]

    # Details

    def _one(self, judgement: plan.Judgement) -> tuple[str, list[str]]:
        """Bring one artifact to its places."""
        artifact = judgement.artifact
        try:
            if judgement.action == "chmod" or (judgement.action == "verify" and self._adopt(judgement)):
                return "adjusted", [path for path in artifact.files.values() if _chmod(path, artifact.mode)]
            source = self._source(artifact)
            staged, hashes = self._patiently(artifact, source)
            try:
                placed = [
                    path
                    for member, path in artifact.files.items()
                    if self._place(artifact, path, source, staged[member], hashes[member])
                ]
            finally:
                _discard(staged.values())
        except OSError as error:
            following = _failure.remedy(error, error.filename or next(iter(artifact.files.values())))
            raise ArtifactError(f"cannot install {bare(artifact.url)}: {error}", following) from error
        return "fetched", placed

    def _place(self, artifact: Artifact, path: str, source: str, staged: str, sha256: str) -> bool:
        """Put a verified file in its place, unless the same one is there: who runs it would have to restart for nothing."""
        if look(path) and hash_file(path) == sha256:
            changed = _chmod(path, artifact.mode)
            self._remember(artifact, path, source, sha256, self._boot)
            return changed
        os.chmod(staged, artifact.mode)
        os.rename(staged, path)
        self._remember(artifact, path, source, sha256, self._boot)
        return True

    def _adopt(self, judgement: plan.Judgement) -> bool:
        """Return whether the files that stand there prove right by their hashes; then they are in the manifest again."""
        artifact = judgement.artifact
        source = self.manifest[judgement.paths[0]]["source"] if judgement.known else self._source(artifact)
        for path in judgement.paths:
            right = plan.proof(artifact, path, self.manifest, source)
            if not right or hash_file(path) != right:
                return False
            # Proven is what is in memory: whether a file of this boot reached the disk is told by the first look in the next.
            self._remember(artifact, path, source, right, "verified" if judgement.known else self._boot)
        return True

    def _remember(self, artifact: Artifact, path: str, source: str, sha256: str, boot: str) -> None:
        with self._lock:
            self.manifest[path] = plan.entry(artifact, source, sha256, look(path), boot)

    def _source(self, artifact: Artifact) -> str:
        """Return the hash a download must have, fetching its checksum file when no hash was given."""
        if artifact.sha256:
            return artifact.sha256.lower()
        if artifact.checksum_url not in self._checksums:  # no lock: at worst a few lines are fetched twice
            self._checksums[artifact.checksum_url] = self._retry(lambda: self._text(artifact.checksum_url))
        return plan.parse_checksum(
            self._checksums[artifact.checksum_url], plan.file_name(artifact.url), bare(artifact.checksum_url)
        )

    def _text(self, url: str) -> str:
        with self._open(url) as response:
            return response.read(CHECKSUM_LIMIT).decode("utf-8", "replace")

    def _patiently(self, artifact: Artifact, source: str) -> tuple[dict[str, str], dict[str, str]]:
        return self._retry(lambda: self._stage(artifact, source))

    def _retry(self, action: Callable) -> object:
        """Try an action again after failures that may pass."""
        for pause in PAUSES:
            try:
                return action()
            except Passing:
                self._sleep(pause)
        return action()

    @contextlib.contextmanager
    def _open(self, url: str):
        """Open a URL and turn whatever breaks while it is read into a message that says where and why."""
        if bare(url) != url:  # urllib takes the password for a port, and says it
            raise ArtifactError(
                f"{bare(url)} is given with a user or a password, which are not sent",
                "give a source that needs none from this host, or a folder that it has, then run again",
            )
        try:
            with contextlib.closing(self._opener(url, self._timeout)) as response:
                yield response
        except urllib.error.HTTPError as error:
            kind = Passing if error.code in PASSING else ArtifactError
            raise kind(
                f"GET {bare(url)} answered HTTP {error.code} {error.reason}",
                "check the artifact source, the version and whether this host may reach it, then run again",
            ) from error
        except (
            urllib.error.URLError,
            http.client.HTTPException,
            socket.timeout,
            TimeoutError,
            ConnectionError,
            ssl.SSLError,
        ) as error:  # Python 3.9: socket.timeout is no TimeoutError
            reason = getattr(error, "reason", None) or error
            final = isinstance(reason, (FileNotFoundError, PermissionError, IsADirectoryError, ssl.SSLCertVerificationError))
            raise (ArtifactError if final else Passing)(
                f"GET {bare(url)} failed: {reason}",
                "check whether the artifact source is right and can be reached from this host, then run again",
            ) from error
        except ValueError as error:
            raise ArtifactError(f"cannot open {bare(url)}: {error}", "check the artifact source, then run again") from error

    def _stage(self, artifact: Artifact, source: str) -> tuple[dict[str, str], dict[str, str]]:
        """Download into temporary files beside the destinations; return them and their hashes once verified."""
        staged = {member: _files.staging_name(path) for member, path in artifact.files.items()}
        try:
            for path in staged.values():
                os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
                _discard([path])
            with self._open(artifact.url) as response:
                length = response.headers.get("Content-Length")
                with self._room(artifact, next(iter(staged.values())), int(length or 0)):
                    reader = Hashing(response)
                    hashes, problem = _unpack(reader, staged) if artifact.archive else ({"": _copy(reader, staged[""])}, "")
                    digest = reader.finish()
            if length and reader.size != int(length):
                raise Passing(f"GET {bare(artifact.url)} broke off after {reader.size} of {length} bytes", "run again")
            if digest != source:
                raise ArtifactError(
                    f"{bare(artifact.url)} has the SHA-256 {digest}, expected {source}; nothing was installed from it: "
                    "the mirror is damaged or serves another file under this name",
                    "mend it there, then run again",
                )
            missing = sorted(set(artifact.files) - set(hashes))
            if missing:
                raise ArtifactError(
                    f"{bare(artifact.url)} does not hold {', '.join(missing)}{problem and f' ({problem})'}",
                    "check the version's layout and the source, then run again",
                )
            return staged, hashes
        except BaseException:
            _discard(staged.values())
            raise

    @contextlib.contextmanager
    def _room(self, artifact: Artifact, path: str, length: int):
        """Reserve room for a download among those under way at once; raise ArtifactError when the disk is too full."""
        folder, needed = os.path.dirname(path), plan.space_needed(length, artifact.archive)
        device = os.stat(folder).st_dev
        with self._lock:
            free = self._free(folder) - self._reserved.get(device, 0)
            if free < needed:
                raise ArtifactError(
                    f"{bare(artifact.url)} needs {needed >> 20} MiB in {folder}, {max(free, 0) >> 20} MiB are free",
                    plan.MAKE_ROOM,
                )
            self._reserved[device] = self._reserved.get(device, 0) + needed - plan.RESERVE
        try:
            yield
        finally:
            with self._lock:
                self._reserved[device] -= needed - plan.RESERVE


def _copy(reader: Hashing, path: str) -> str:
    """Write everything a reader gives to a new file and return its hash."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as handle:
        for data in iter(reader.read, b""):
            handle.write(data)
    return reader.finish()


def _unpack(reader: Hashing, staged: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """Write the wanted members of a tar archive to their temporary files while it streams by.

    Returns their hashes and what made it stop early; whether the archive is the right one is judged by its own hash.
    """
    hashes: dict[str, str] = {}
    try:
        with tarfile.open(fileobj=reader, mode="r|*") as archive:
            for member in archive:
                name = member.name[2:] if member.name.startswith("./") else member.name
                if name in hashes or name not in staged:
                    continue
                if not member.isreg():
                    return hashes, f"{name} is no regular file"
                hashes[name] = _copy(Hashing(archive.extractfile(member)), staged[name])
                if len(hashes) == len(staged):
                    break
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        return {}, f"it cannot be unpacked: {error}"
    return hashes, ""


def look(path: str) -> plan.Stat | None:
    """Return one stat of a regular file, None for anything else."""
    with contextlib.suppress(OSError):
        info = os.lstat(path)
        if stat.S_ISREG(info.st_mode):
            return plan.Stat(info.st_size, info.st_mtime_ns, stat.S_IMODE(info.st_mode))
    return None


def hash_file(path: str) -> str:
    """Return a file's SHA-256."""
    with open(path, "rb") as handle:
        return Hashing(handle).finish()


def boot_id() -> str:
    """Return the kernel's id of this boot, empty where there is none."""
    with contextlib.suppress(OSError), open("/proc/sys/kernel/random/boot_id", encoding="ascii") as handle:
        return handle.read().strip()
    return ""


def read_manifest(path: str) -> dict:
    """Return the manifest; one that is missing or damaged is empty, and everything is looked at again."""
    with contextlib.suppress(OSError, ValueError), open(path, encoding="utf-8") as handle:
        found = json.load(handle)
        return {key: value for key, value in found.items() if isinstance(value, dict)} if isinstance(found, dict) else {}
    return {}


def _chmod(path: str, mode: int) -> bool:
    if stat.S_IMODE(os.lstat(path).st_mode) == mode:
        return False
    os.chmod(path, mode)
    return True


def _discard(paths) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            os.unlink(path)
