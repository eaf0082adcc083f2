# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Save what one etcd member holds into a file, and prove that the file is whole.

Solves: a copy that nobody has read is no copy. etcd's own programs do both; this asks them for JSON and judges the answer.
Leaves out: restoring, and keeping copies elsewhere. Source: etcd docs v3.6, "Disaster recovery".
"""

from __future__ import annotations

import json
import os
import shutil

# Seconds for saving and for reading the copy back; the largest database etcd recommends is 8 GiB.
BOUND = 600.0


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


def save(path, endpoint, credentials, programs, runner, usage=shutil.disk_usage):
    """Return what the saved copy holds: {revision, keys, bytes, hash}; `credentials` are (CA, certificate, key) files."""
    ca, certificate, key = credentials
    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    asking = (
        os.path.join(programs, "etcdctl"), f"--endpoints={endpoint}", f"--cacert={ca}", f"--cert={certificate}",
        f"--key={key}", f"--command-timeout={BOUND:.0f}s",
    )  # fmt: skip
    said = no_room(folder, _size(runner((*asking, "endpoint", "status", "--write-out=json"), BOUND)), usage(folder).free)
    if said:
        raise SnapshotError(said)
    saved = runner((*asking, "snapshot", "save", path), BOUND)
    if saved.rc:
        raise SnapshotError(
            f"etcd was not saved: {saved}. Next: health.yml says whether {endpoint} serves, "
            f"`df -h {os.path.dirname(path)}` whether there is room"
        )
    os.chmod(path, 0o600)
    return inspect(path, programs, runner)


def _size(answer):
    """Return how many bytes a member's database has; 0 when it does not tell: then saving it says why."""
    try:
        return 0 if answer.rc else int(json.loads(answer.out)[0]["Status"]["dbSize"])
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
