# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Read and write sets of files: every new content is staged and validated before the first file is replaced.

Replacing is atomic (a temporary file beside it, fsync, rename), symbolic links are replaced and never followed. The
temporary name is fixed, so that a run that was killed leaves at most one file per path and the next one removes it.
"""

from __future__ import annotations

import contextlib
import grp
import os
import posixpath
import pwd
import shutil
import stat
from collections.abc import Iterable, Mapping, Sequence

from . import _command, _failure
from ._file_plan import PlanError, Present, Step, Wanted, parents, parse_mode, plan, redact

#: Seconds a validator may take; upstream programs check a configuration in well under one.
VALIDATE_TIMEOUT = 30.0

ACCOUNT = {"owner": {"type": "str", "default": "root"}, "group": {"type": "str", "default": "root"}}


def _entries(secret: bool) -> dict:
    return {
        "type": "list",
        "elements": "dict",
        "default": [],
        "no_log": False,
        "options": {
            "path": {"type": "path", "required": True},
            "content": {"type": "str", "required": True, "no_log": secret},
            "mode": {"type": "str", "default": "0600"},
            "validate": {"type": "list", "elements": "str", "default": []},
            **ACCOUNT,
        },
    }


#: What a module takes to write sets of files; one shape for files and secrets (doc fragment `files`).
ARGUMENTS = {
    "files": _entries(secret=False),
    "secrets": _entries(secret=True),
    "directories": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {"path": {"type": "path", "required": True}, "mode": {"type": "str", "default": "0755"}, **ACCOUNT},
    },
    "links": {"type": "dict", "default": {}},
    "absent": {"type": "list", "elements": "path", "default": []},
}


class FileError(Exception):
    """Say which path could not be made, why, and what was left as it was."""


def account(kind: str, name: str) -> int | None:
    """Return the number of a user or group (a name, or a number as text), None when there is none."""
    if name.isdigit():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid if kind == "user" else grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def names(steps: Iterable[Step]) -> dict[tuple[str, int], str]:
    """Return the names of the accounts that own the paths now, for a readable diff."""
    found = {}
    for step in steps:
        with contextlib.suppress(KeyError):
            found["user", step.present.uid] = pwd.getpwuid(step.present.uid).pw_name
        with contextlib.suppress(KeyError):
            found["group", step.present.gid] = grp.getgrgid(step.present.gid).gr_name
    return found


def wanted(item: Mapping, kind: str, secret: bool = False) -> Wanted:
    """Return the wanted state of one entry of a module's arguments; raise PlanError on a mode that is none."""
    owner, group = item.get("owner") or "root", item.get("group") or "root"
    return Wanted(
        path=item["path"],
        kind=kind,
        content=(item.get("content") or "").encode("utf-8", "surrogateescape"),
        mode=parse_mode(item.get("mode") or ("0755" if kind == "directory" else "0600")),
        uid=account("user", owner),
        gid=account("group", group),
        owner=owner,
        group=group,
        secret=secret,
        target=item.get("target") or "",
        validate=tuple(item.get("validate") or ()),
    )


def from_arguments(params: Mapping) -> list[Wanted]:
    """Return the wanted state of every path that arguments of the shape ARGUMENTS name."""
    return [
        *(wanted(item, "directory") for item in params["directories"]),
        *(wanted(item, "file") for item in params["files"]),
        *(wanted(item, "file", secret=True) for item in params["secrets"]),
        *(wanted({"path": path, "target": target}, "link") for path, target in params["links"].items()),
        *(wanted({"path": path}, "absent") for path in params["absent"]),
    ]


def converge(params: Mapping, check: bool) -> list[Step]:
    """Make the paths as the arguments say, or in check mode only look; return the steps that change something."""
    steps = survey(from_arguments(params), check=check)
    if not check:
        apply(steps)
    return [step for step in steps if step.changed]


def observe(path: str, want: str, mounts: Sequence[str] = ()) -> Present:
    """Return what stands at ``path``; a file's content only when a file is wanted there."""
    try:
        info = os.lstat(path)
        mode, owner = stat.S_IMODE(info.st_mode), {"uid": info.st_uid, "gid": info.st_gid}
        if stat.S_ISLNK(info.st_mode):
            return Present("link", target=os.readlink(path), **owner)
        if stat.S_ISDIR(info.st_mode):
            below = [point for point in mounts if point == path or point.startswith(path + "/")]
            return Present("directory", mode=mode, mounts=tuple(below), **owner)
        if not stat.S_ISREG(info.st_mode):
            return Present("other", mode=mode, **owner)
        content = b""
        if want == "file":
            with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as handle:
                content = handle.read()
        return Present("file", content, mode, **owner)
    except (FileNotFoundError, NotADirectoryError):
        return Present()
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}. Next: {_failure.remedy(error, path)}") from error


def mount_points(table: str = "/proc/self/mounts") -> list[str]:
    """Return the host's mount points."""
    with contextlib.suppress(OSError), open(table, encoding="utf-8", errors="replace") as handle:
        return [line.split(" ")[1].replace("\\040", " ") for line in handle if line.count(" ") > 1]
    return []


def survey(items: Sequence[Wanted], check: bool = False) -> list[Step]:
    """Read every path and return the plan, missing parent directories (root's, 0755) included."""
    missing = []
    for path in parents(items):
        try:
            if not stat.S_ISDIR(os.stat(path).st_mode):
                raise PlanError(f"nothing was changed: {path} is no directory, but paths below it are wanted; move it away")
        except (FileNotFoundError, NotADirectoryError):
            missing.append(Wanted(path, "directory", mode=0o755, uid=os.geteuid(), gid=os.getegid()))
    points = mount_points() if any(item.kind == "absent" for item in items) else ()
    present = {path: observe(path, kind, points) for path, kind in {item.path: item.kind for item in items}.items()}
    return plan([*missing, *items], present, check)


def staging_name(path: str) -> str:
    """Return the one temporary name a path is written under."""
    return posixpath.join(posixpath.dirname(path), f".{posixpath.basename(path)}.multimaster-new")


def apply(steps: Sequence[Step], runner: _command.Runner = _command.run) -> None:
    """Make the directories, stage and validate every content, then replace, link and remove; raise FileError.

    A validator that says no leaves every existing file as it was.
    """
    staged: list[str] = []
    path = ""
    try:
        for step in steps:
            path = step.wanted.path
            if step.action == "mkdir":
                _make_directory(path)
                _own(path, step.wanted)
        for step in steps:
            path = step.wanted.path
            with contextlib.suppress(OSError):
                os.unlink(staging_name(path))
            if step.action in ("write", "link"):
                staged.append(staging_name(path))
                _stage(step.wanted)
                _validate(step.wanted, runner)
        for step in steps:
            path = step.wanted.path
            if step.action in ("write", "link"):
                os.rename(staging_name(path), path)
            elif step.action == "adjust":
                _own(path, step.wanted)
            elif step.action == "remove":
                _remove(path, step.present)
        for path in sorted({posixpath.dirname(step.wanted.path) for step in steps if step.changed}):
            _sync(path)
    except OSError as error:
        raise FileError(f"cannot make {path}: {error.strerror}. Next: {_failure.remedy(error, path)}") from error
    finally:
        for path in staged:
            with contextlib.suppress(OSError):
                os.unlink(path)


def _make_directory(path: str) -> None:
    """Make a directory, or take the one that another program has made since the survey."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(path).st_mode):
            raise


def _stage(item: Wanted) -> None:
    """Write a content (or a link) under its temporary name, with its final owner and mode."""
    name = staging_name(item.path)
    if item.kind == "link":
        os.symlink(item.target, name)
        return
    with open(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "wb") as handle:
        handle.write(item.content)
        handle.flush()
        os.fchown(handle.fileno(), _number(item.uid), _number(item.gid))
        os.fchmod(handle.fileno(), item.mode)
        os.fsync(handle.fileno())


def _validate(item: Wanted, runner: _command.Runner) -> None:
    """Let the program that will read a file judge its new content."""
    if not item.validate:
        return
    result = runner([part.replace("%s", staging_name(item.path)) for part in item.validate], VALIDATE_TIMEOUT)
    if result.rc != 0:
        said = redact(result.said, item.content) if item.secret else result.said
        raise FileError(
            f"the new content of {item.path} is refused by `{' '.join(item.validate)}` (exit code {result.rc}): "
            f"{said or 'no output'}. No file was replaced. Next: mend the content, then run again"
        )


def _own(path: str, item: Wanted) -> None:
    """Set owner, group and mode of an existing file or directory through a descriptor, never through a link."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.fchown(handle, _number(item.uid), _number(item.gid))
        os.fchmod(handle, item.mode)
    finally:
        os.close(handle)


def _remove(path: str, present: Present) -> None:
    """Remove exactly one path, a directory with what is in it."""
    if present.kind == "directory":
        shutil.rmtree(path)
    else:
        os.unlink(path)


def _sync(path: str) -> None:
    """Make renames in a directory durable."""
    with contextlib.suppress(FileNotFoundError):
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _number(account_id: int | None) -> int:
    """Return an account's number, -1 (leave as it is) for none."""
    return -1 if account_id is None else account_id


def write(path: str, content: str, mode: int = 0o644) -> bool:
    """Make one small file of ours; return whether it changed. A convenience for other utilities."""
    item = Wanted(path, "file", content.encode(), mode, os.geteuid(), os.getegid())
    steps = survey([item])
    apply(steps)
    return any(step.changed for step in steps)
