# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Make the message a module or a turn ends with: what was being done, the cause in the system's words, once what to do next.

Solves: what helps is known where an error arises, so its text ends with `Next: …`, or its class has a ``next_step``; nobody else
has to think of it. Leaves out: the texts of causes, and what checks find (``_finding``).
"""

from __future__ import annotations

import errno
import posixpath
from collections.abc import Mapping

#: What to do about a file that cannot be read or written, by the system's number for the cause.
_REMEDIES = {
    errno.ENOSPC: "make room (`df -h {folder}`), then run again",
    errno.EDQUOT: "make room (`df -h {folder}`), then run again",
    errno.EROFS: "`findmnt -T {folder}` and `dmesg | tail` say why that is read-only; mend it, then run again",
    errno.EIO: "the disk may be failing (`dmesg | tail`); mend it, then run again",
    errno.EACCES: "`namei -l {path}` shows who may; mend it, then run again",
    errno.EPERM: "`namei -l {path}` and `lsattr {path}` show who may; mend it, then run again",
}
#: What a turn failed on when Ansible keeps no result: a host that it was about, or that it asks, cannot be reached.
_FELL_SILENT = (
    "A host that was asked cannot be reached, as is said above. Next: make it reachable, or take it out of the cluster "
    "(remove_node.yml), then run again"
)


def remedy(error: OSError, path: str | None = None) -> str:
    """Return what to do about a file that cannot be read or written; the path is the error's own unless one is given."""
    path = str(path or error.filename or "")
    said = _REMEDIES.get(error.errno or 0, "") if path else ""
    return said.format(path=path, folder=posixpath.dirname(path) or ".") or "mend that, then run again"


def next_step(error: BaseException | None) -> str:
    """Return what an error, or else what caused it, says to do next; "" when none of them knows."""
    while error is not None:
        said = remedy(error) if isinstance(error, OSError) and error.filename else getattr(error, "next_step", "")
        if said:
            return said
        error = error.__cause__
    return ""


def message(error: BaseException, doing: str = "") -> str:
    """Return an error's text after ``doing``, what was being done, and with the next step where the text gives none yet."""
    text = f"{doing}: {error}" if doing else str(error)
    following = "" if "Next: " in text else next_step(error)
    return f"{text.rstrip('.')}. Next: {following}" if following else text


def of_task(result: Mapping) -> str:
    """Return what a task said that failed, or each of its items that did; Ansible has no `result` of a host that fell silent."""
    failed = [one for one in result.get("results") or [result] if one.get("failed")]
    return "; ".join(str(one.get("msg") or "Next: look at the task that failed above") for one in failed) or _FELL_SILENT
