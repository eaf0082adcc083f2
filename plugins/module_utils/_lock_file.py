# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Take, renew and release the operation lock in a file on one host, for the time in which no API server holds a Lease.

Solves: two runs on bare hosts, or while the only API server restarts, would both find no Lease. The record says what the
Lease would, ``_lock`` judges it by the same rules, and the host's clock. Reading, judging and writing happen under flock(2)
of the folder, so of two runs one wins; the kernel takes that away when the module ends, the record is what lasts.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from dataclasses import asdict

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _files, _lock
from ansible_collections.multimaster.kubernetes.plugins.module_utils._lock_flow import (
    NUMBERS,
    Outcome,
    number,
    stamp,
    timed,
)

PATH = "/var/lib/multimaster/operation-lock.json"
# Whoever may read the folder is told who keeps him waiting; nothing in the record is secret.
MODE = 0o644


def lease_of(text):
    """Return the _lock.Lease of a record's text; one that cannot be read is held by nobody known, without an end."""
    try:
        said = {key: str(value) for key, value in json.loads(text).items()}
    except (ValueError, AttributeError):
        said = {"holder": "unknown", "purpose": "an operation whose record cannot be read"}
    fields = {name: said.get(name, "") for name in asdict(_lock.Run())}
    run = _lock.Run(**{**fields, **{name: number(fields[name]) for name in NUMBERS}})
    return timed(run, said.get("since", ""), said.get("renewed"), number(said.get("seconds", "")))


def record(me, lease, step, seconds, now):
    """Return the text of the record that makes this run the holder; ``lease`` is what was read, or None."""
    mine = lease if step == _lock.RENEW else None
    said = {
        **asdict(me),
        "purpose": me.purpose or (mine.run.purpose if mine else ""),
        "since": mine.since if mine else stamp(now),
        "renewed": stamp(now),
        "seconds": _lock.duration(seconds),
    }
    return json.dumps(said, indent=2, sort_keys=True) + "\n"


def remedy(path):
    """Return how the record of a dead run is taken away."""
    return f"`rm {path}` on {socket.gethostname()}"


def hold(path, wish, clock):
    """Take, renew or take over the lock as the Wish says; ``clock()`` in seconds since the epoch."""
    with _alone(path, wish.check):
        now, lease = clock(), _read(path)
        verdict = wish.judge(lease, now, remedy(path))
        if verdict.refused or wish.check:
            return Outcome(verdict, lease)
        text = record(wish.me, lease, verdict.step, wish.seconds, now)
        _files.write(path, text, MODE)
        return Outcome(verdict, lease_of(text))


def free(path, me, check=False):
    """Release the lock by removing the record, when it is this run's."""
    with _alone(path, check):
        lease = _read(path)
        verdict = _lock.judge_release(lease, me)
        if verdict.step != _lock.RELEASE or check:
            return Outcome(verdict, lease)
        os.unlink(path)
        return Outcome(verdict, None)


def _read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return lease_of(file.read())
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def _alone(path, check):
    """Keep other modules on this host from the record meanwhile; one that only looks needs no folder and waits for nobody."""
    if check:
        yield
        return
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    handle = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
