# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Decide what has to be done to a set of files, directories and links, and say why.

It solves: many files in one module execution, all judged before the first one is touched. It leaves out reading and
writing (``_files.py``), ACLs and extended attributes.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

#: Directories of the Filesystem Hierarchy Standard 3.0 (and of systemd) that no cluster owns: never removed as a whole.
PROTECTED = frozenset(
    (
        "/boot/efi",
        "/dev/shm",
        "/etc/apt",
        "/etc/default",
        "/etc/network",
        "/etc/ssh",
        "/etc/ssl",
        "/etc/sysctl.d",
        "/etc/modules-load.d",
        "/etc/systemd",
        "/etc/systemd/system",
        "/etc/pki",
        "/opt/bin",
        "/run/systemd",
        "/run/systemd/system",
        "/usr/bin",
        "/usr/lib",
        "/usr/local",
        "/usr/local/bin",
        "/usr/local/lib",
        "/usr/local/sbin",
        "/usr/sbin",
        "/usr/share",
        "/var/cache",
        "/var/lib",
        "/var/lib/apt",
        "/var/lib/dpkg",
        "/var/lib/systemd",
        "/var/local",
        "/var/log",
        "/var/mail",
        "/var/opt",
        "/var/run",
        "/var/spool",
        "/var/tmp",
    )
)
#: A diff of more bytes than this is noise (and memory) on the controller.
DIFF_LIMIT = 128 * 1024
#: What stands in a diff for a secret, and for one that takes another's place: were they the same, no diff would be shown.
HIDDEN, OTHER = "(not shown)\n", "(changed, not shown)\n"
MODE = re.compile(r"0[0-7]{3}|0?[0-7]{4}")


class PlanError(ValueError):
    """Say why a set of files cannot be made as asked; every finding is listed."""

    next_step = "mend what is named, then run again"


@dataclass(frozen=True)
class Wanted:
    """Describe one path as it shall be; ``uid``/``gid`` None means that the account does not exist (yet)."""

    path: str
    kind: str  # file | directory | link | absent
    content: bytes = field(default=b"", repr=False)
    mode: int = 0o600
    uid: int | None = 0
    gid: int | None = 0
    owner: str = "root"
    group: str = "root"
    target: str = ""
    secret: bool = False
    validate: tuple[str, ...] = ()


@dataclass(frozen=True)
class Present:
    """Describe one path as it is."""

    kind: str = "absent"  # file | directory | link | absent | other
    content: bytes = field(default=b"", repr=False)
    mode: int = 0
    uid: int = 0
    gid: int = 0
    target: str = ""
    mounts: tuple[str, ...] = ()  # mount points at or below a directory


@dataclass(frozen=True)
class Step:
    """Say what to do with one path: none, write, adjust (owner and mode), mkdir, link, remove or refuse."""

    wanted: Wanted
    present: Present
    action: str
    reason: str

    @property
    def changed(self) -> bool:
        """Return whether the path differs from what is wanted."""
        return self.action not in ("none", "refuse")


def parse_mode(text: str) -> int:
    """Return a file mode from a quoted octal string such as ``"0640"``; raise PlanError on anything else."""
    if not MODE.fullmatch(str(text)):
        raise PlanError(f'mode {text!r} is not four octal digits; write it quoted, such as "0640" (YAML turns 0640 into 416)')
    return int(str(text), 8)


def findings(wanted: Sequence[Wanted]) -> list[str]:
    """Return everything that makes a set impossible or dangerous, before anything is looked at."""
    said = []
    seen: set[str] = set()
    gone = [item.path for item in wanted if item.kind == "absent"]
    for item in wanted:
        # POSIX lets a path begin with two slashes, and normpath keeps them: it is no name of what is protected, and has no top
        rooted = item.path.startswith("/") and not item.path.startswith("//")
        if not rooted or posixpath.normpath(item.path) != item.path or "\0" in item.path:
            said.append(f"{item.path!r} is not an absolute, normalised path")
        if item.path in seen:
            said.append(f"{item.path} is asked for twice")
        seen.add(item.path)
        if item.kind != "absent":
            said += [
                f"{item.path} is wanted inside {path}, which shall be absent" for path in gone if item.path.startswith(path + "/")
            ]
        elif item.path in PROTECTED or item.path.count("/") < 2:
            said.append(f"{item.path} belongs to the operating system and is never removed")
        if item.kind == "link" and not item.target:
            said.append(f"{item.path}: a link needs a target")
        if item.validate and "%s" not in " ".join(item.validate):
            said.append(f"{item.path}: `validate` needs %s where the file's name goes")
    return said


def decide(wanted: Wanted, present: Present) -> Step:
    """Return the step that turns ``present`` into ``wanted``, or a refusal with its reason."""
    if wanted.kind == "absent":
        return _removal(wanted, present)
    if present.kind == "other":
        return Step(wanted, present, "refuse", f"{wanted.path} is a device, socket or pipe; move it away")
    if wanted.kind == "directory":
        if present.kind == "absent":
            return Step(wanted, present, "mkdir", "missing")
        if present.kind != "directory":
            return Step(wanted, present, "refuse", f"{wanted.path} is a {present.kind}, a directory is wanted; move it away")
        return _adjustment(wanted, present)
    if present.kind == "directory":
        return Step(wanted, present, "refuse", f"{wanted.path} is a directory, a {wanted.kind} is wanted; move it away")
    if wanted.kind == "link":
        if present.kind == "link" and present.target == wanted.target:
            return Step(wanted, present, "none", "right")
        return Step(
            wanted,
            present,
            "link",
            "missing" if present.kind == "absent" else "points elsewhere" if present.kind == "link" else "a file stands there",
        )
    if present.kind == "absent":
        return Step(wanted, present, "write", "missing")
    if present.kind == "link":
        return Step(wanted, present, "write", "a symbolic link stands there")
    if present.content != wanted.content:
        return Step(wanted, present, "write", "content")
    return _adjustment(wanted, present)


def _adjustment(wanted: Wanted, present: Present) -> Step:
    """Compare owner, group and mode of something whose kind and content are right."""
    differs = [
        name
        for name, want, have in (
            ("mode", wanted.mode, present.mode),
            ("owner", wanted.uid, present.uid),
            ("group", wanted.gid, present.gid),
        )
        if want != have
    ]
    return Step(wanted, present, "adjust" if differs else "none", ", ".join(differs) or "right")


def _removal(wanted: Wanted, present: Present) -> Step:
    """Judge a path that shall not exist; directories go with what is in them, mount points never."""
    if present.kind == "absent":
        return Step(wanted, present, "none", "right")
    if present.mounts:
        return Step(wanted, present, "refuse", f"{wanted.path} holds the mount point {present.mounts[0]}; unmount it first")
    return Step(wanted, present, "remove", f"a {present.kind} stands there")


def plan(wanted: Sequence[Wanted], present: Mapping[str, Present], check: bool = False) -> list[Step]:
    """Return one step per path in the order they are done; raise PlanError with all findings.

    In check mode an account that does not exist is no finding: an earlier step would have made it.
    """
    said = findings(wanted)
    if not check:
        said += [
            f"{item.path}: there is no {what} {name!r} on this host; create it first"
            for item in wanted
            if item.kind in ("file", "directory")
            for what, name, number in (("user", item.owner, item.uid), ("group", item.group, item.gid))
            if number is None
        ]
    rank = {"directory": 0, "file": 1, "link": 2, "absent": 3}
    steps = [
        decide(item, present.get(item.path, Present()))
        for item in sorted(wanted, key=lambda item: (rank[item.kind], item.path.count("/") if item.kind == "directory" else 0))
    ]
    said += [step.reason for step in steps if step.action == "refuse"]
    if said:
        raise PlanError("nothing was changed: " + "; ".join(said))
    return steps


def parents(wanted: Iterable[Wanted]) -> list[str]:
    """Return every ancestor directory of the wanted paths that is not itself listed, the shortest first."""
    listed = {item.path for item in wanted}
    found = set()
    for item in wanted:
        if item.kind == "absent":
            continue
        above = posixpath.dirname(item.path)
        while above != posixpath.dirname(above):  # the top: of a path with two slashes "//", of a relative one ""
            found.add(above)
            above = posixpath.dirname(above)
    return sorted(found - listed, key=lambda path: (path.count("/"), path))


def diffs(steps: Iterable[Step], names: Mapping[tuple[str, int], str] | None = None) -> list[dict]:
    """Return Ansible's diff entries of the changed paths; of secrets only that they change, and no removed contents."""
    return [_diff(step, names or {}) for step in steps if step.changed]


def _diff(step: Step, names: Mapping[tuple[str, int], str]) -> dict:
    """Return one diff entry: text for contents, attribute lines for the rest."""
    wanted, present = step.wanted, step.present
    head = {"before_header": wanted.path, "after_header": wanted.path}
    if step.action == "write" and wanted.secret:
        there = present.kind == "file"
        return {**head, "before": HIDDEN if there else _shown(present), "after": OTHER if there else HIDDEN}
    if step.action == "write":
        return {**head, "before": _shown(present), "after": _shown(Present("file", wanted.content))}
    if step.action == "remove":
        return {**head, "before": f"state: {present.kind}\n", "after": "state: absent\n"}
    before = {"absent": "state: absent", "link": f"state: link to {present.target}"}.get(present.kind, f"state: {present.kind}")
    after = f"state: link to {wanted.target}" if wanted.kind == "link" else f"state: {wanted.kind}"
    if present.kind in ("file", "directory"):
        before += _attributes(
            present.mode, names.get(("user", present.uid), str(present.uid)), names.get(("group", present.gid), str(present.gid))
        )
    if wanted.kind in ("file", "directory"):
        after += _attributes(wanted.mode, wanted.owner, wanted.group)
    return {**head, "before": before + "\n", "after": after + "\n"}


def _attributes(mode: int, owner: str, group: str) -> str:
    return f"\nmode: {mode:04o}\nowner: {owner}\ngroup: {group}"


def _shown(present: Present) -> str:
    """Return a content as text for a diff, or a note in its place."""
    if present.kind != "file":
        return "" if present.kind == "absent" else f"(a {present.kind}{' to ' + present.target if present.target else ''})\n"
    if b"PRIVATE KEY" in present.content:
        return "(a private key, not shown)\n"
    if len(present.content) > DIFF_LIMIT or b"\0" in present.content:
        return f"({len(present.content)} bytes, not shown)\n"
    return present.content.decode("utf-8", "replace")


def redact(text: str, content: bytes) -> str:
    """Return ``text`` without any line or longer word of a secret ``content``, so that a validator's error can be shown."""
    secret = content.decode("utf-8", "replace")
    parts = {line.strip() for line in secret.splitlines() if len(line.strip()) >= 6}
    parts |= set(re.findall(r"[^\s\"'{}\[\],:=]{8,}", secret))
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, "********")
    return text
