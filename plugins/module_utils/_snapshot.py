# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Save what one etcd member holds into a file, and prove that the file is whole.

Solves: a copy that nobody has read is no copy. etcd's own programs do both; this asks them for JSON and judges the answer.
A copy has a name of its own only when all is done with it. Until then it has one that every try uses, so that tries that fail
or are cut off do not fill the disk, which is etcd's own. Leaves out: restoring, and keeping copies elsewhere (the action
etcd_snapshot). Source: etcd docs v3.6, "Disaster recovery".
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil

# Seconds for saving and for reading the copy back; the largest database etcd recommends is 8 GiB.
BOUND = 600.0
# Seconds for the member to tell how much it holds: one that serves does in milliseconds. etcdctl asks again for as long as it may
# whom it cannot reach and who does not take its certificate (tried on 3.6.16), which is minutes for nothing.
ANSWER = 10.0
# What a copy is called until it is kept. One run at a time saves into a folder.
UNFINISHED = "unfinished.db"
# etcdctl writes to this beside the copy, and leaves it behind when it is killed.
PART = ".part"
# Bytes of a copy that are in memory at once: some five times as much while they travel, and a master may have 2 GiB in all.
PIECE = 8 << 20


class SnapshotError(Exception):
    """A copy was not made or is not whole; the message says what to do."""


def no_room(folder, size, free):
    """Return why a copy of ``size`` bytes must not be saved with ``free`` bytes left, with what to do; "" when it may.

    etcd's own data are most often on that disk, and copies of earlier runs are never removed by one. So as much again must be
    left, which defragmenting the member takes for a while.
    """
    if free >= 2 * size:
        return ""
    return (
        f"etcd was not saved: it holds {size >> 20} MiB, and on the disk of {folder}, where its own data may be, "
        f"{free >> 20} MiB are free; a copy must leave as much again. Next: remove copies of earlier runs that nobody needs "
        f"there (`ls -lt {folder}`; upgrade.yml has fetched each beside the inventory), then run again"
    )


def unfinished(path):
    """Return where the copy that is to become ``path`` lies until it is kept."""
    return os.path.join(os.path.dirname(path), UNFINISHED)


def discard(path, check=False):
    """Remove what was saved and not kept, of this try and of those before it; return whether there was, or is, any."""
    leftovers = [one for one in (unfinished(path), unfinished(path) + PART) if os.path.lexists(one)]
    for leftover in () if check else leftovers:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(leftover)
    return bool(leftovers)


def keep(path, check=False):
    """Give the saved copy its own name and return whether it had, or has, none; SnapshotError where neither is there."""
    if os.path.exists(unfinished(path)):
        if not check:
            os.rename(unfinished(path), path)
        return True
    if not os.path.exists(path):
        raise SnapshotError(f"{unfinished(path)} is gone, which was to become {path}. Next: run again, and remove nothing there")
    return False


def piece(path, offset):
    """Return the bytes of the saved copy from ``offset`` on, PIECE of them at most; none at its end."""
    with open(unfinished(path), "rb") as handle:
        handle.seek(offset)
        return handle.read(PIECE)


def digest(path):
    """Return (bytes, SHA-256) of the saved copy, which is read a piece at a time."""
    size, found = 0, hashlib.sha256()
    with open(unfinished(path), "rb") as handle:
        for data in iter(lambda: handle.read(PIECE), b""):
            size += len(data)
            found.update(data)
    return size, found.hexdigest()


def save(path, endpoint, credentials, programs, runner, usage=shutil.disk_usage):
    """Return what the saved copy holds: {revision, keys, bytes, hash}; `credentials` are (CA, certificate, key) files.

    It lies in ``unfinished(path)``. Nothing does where this raises SnapshotError or OSError.
    """
    try:
        return _save(path, endpoint, credentials, programs, runner, usage)
    except BaseException:
        with contextlib.suppress(OSError):  # the reason that is told is the one above
            discard(path)
        raise


def _save(path, endpoint, credentials, programs, runner, usage):
    ca, certificate, key = credentials
    folder, copy = os.path.dirname(path), unfinished(path)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    discard(path)
    asking = (
        os.path.join(programs, "etcdctl"),
        f"--endpoints={endpoint}",
        f"--cacert={ca}",
        f"--cert={certificate}",
        f"--key={key}",
    )
    told = runner((*asking, f"--command-timeout={ANSWER:.0f}s", "endpoint", "status", "--write-out=json"), 2 * ANSWER)
    if told.rc:
        raise SnapshotError(f"etcd was not saved: {told}. Next: health.yml says whether {endpoint} serves; then run again")
    said = no_room(folder, _size(told.out), usage(folder).free)
    if said:
        raise SnapshotError(said)
    saved = runner((*asking, f"--command-timeout={BOUND:.0f}s", "snapshot", "save", copy), BOUND)
    if saved.rc:
        raise SnapshotError(
            f"etcd was not saved: {saved}. Next: health.yml says whether {endpoint} serves, "
            f"`df -h {folder}` whether there is room"
        )
    os.chmod(copy, 0o600)
    return inspect(copy, programs, runner)


def _size(answer):
    """Return how many bytes a member's database has; 0 when it does not tell: then saving it says why."""
    try:
        return int(json.loads(answer)[0]["Status"]["dbSize"])
    except (ValueError, KeyError, TypeError, IndexError):
        return 0


def inspect(path, programs, runner):
    """Return what a copy holds; raise SnapshotError when it is not whole or holds nothing."""
    read = runner((os.path.join(programs, "etcdutl"), "snapshot", "status", path, "--write-out=json"), BOUND)
    if read.rc:
        raise SnapshotError(f"the copy {path} is not whole: {read}. Next: see whether the disk is full, then run again")
    try:
        told = json.loads(read.out)
        found = {"revision": told["revision"], "keys": told["totalKey"], "bytes": told["totalSize"], "hash": told["hash"]}
    except (ValueError, KeyError, TypeError) as error:
        raise SnapshotError(
            f"etcdutl's answer about {path} cannot be read: {read.out[:200]!r}. Next: check that "
            f"{programs} holds etcd's own etcdutl, then save again under another path"
        ) from error
    if not found["keys"]:
        raise SnapshotError(f"the copy {path} holds no key, so it is of no cluster. Next: name the member that serves the API")
    return found
