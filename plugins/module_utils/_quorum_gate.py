# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Decide whether the gate before a step on etcd opens: the step is safe, and has been so for long enough.

Solves: a cluster of which one member after the other restarts is safe again and again, and never for long. Leaves out: whether a
step is safe at one moment (``_quorum``), looking again and the bound on that (module etcd_quorum).
"""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils._quorum import LOST_QUORUM_RUNBOOK

# What to do when waiting was in vain and the last thing waited for says nothing better.
LOOK = "health.yml names the members that do not serve; when they do, run this again"


def safe_since(safe, before, now):
    """Return since when a step has been safe without interruption, None while it is not; ``before``: as the last look gave it."""
    if not safe:
        return None
    return now if before is None else before


def opens(since, now, stable_for):
    """Return whether a step that has been safe ``since`` then may be taken; the times are seconds of one clock."""
    return since is not None and now - since >= stable_for


def refusal(verdict, stable_for, silent=(), unproven=(), name=""):
    """Return why the gate stayed shut, with what to do.

    ``verdict``: the last one; ``name``: of its target, which may be given by a URL; ``silent``: who does not answer, and why;
    ``unproven``: the members that were named without a quorum behind it, whom no verdict counts.
    """
    said, following = verdict.reason, verdict.next_step
    if unproven:
        said = f"no quorum stood behind the list of members ({', '.join(unproven)}), so it cannot be judged"
        following = f"bring back those that do not answer; if that is impossible, see {LOST_QUORUM_RUNBOOK}"
    if verdict.safe:
        said, following = f"safe just now, but never for {stable_for} s without interruption", LOOK
    missing = f". Not answering: {'; '.join(silent)}" if silent else ""
    return f"unsafe to {verdict.step.kind} {name or verdict.step.target}: {said}{missing}. Next: {following}"
