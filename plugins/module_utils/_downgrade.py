# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Decide the next single move of etcd's formal downgrade: enable it, call it off, or wait for etcd.

Solves: once every member runs a newer minor, etcd's data are of that minor, and an older program refuses them. etcd makes them
fit again when it is told to, in seconds and on each member by itself; a member that restarts with the old program before
does not come up. Leaves out: rolling the members (``_upgrade``), and talking to etcd (``_etcd``).

Sources: etcd "Downgrade etcd from v3.7 to v3.6"; server/etcdserver/version/{downgrade,monitor}.go; tried with 3.6.16 and 3.7.3
(tests/integration/plugins/modules/test_etcd_downgrade.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ansible_collections.multimaster.kubernetes.plugins.module_utils._membership import DONE, REFUSE, WAIT, Move
from ansible_collections.multimaster.kubernetes.plugins.module_utils._skew import HOP, line

ENABLED, CANCELLED, COMPLETED = "enabled", "cancelled", "completed"
STATES = (ENABLED, CANCELLED, COMPLETED)
# Moves in which etcd is told something; all others look or wait.
ENABLE, CANCEL = TELLING = ("enable", "cancel")

START_FIRST = "start them with the program they ran with (upgrade.yml with the newer version does), then run this again"
AS_IT_IS = "start etcd there as it is installed (`systemctl start etcd`), then run this again"
LOGS = "journalctl -u etcd -n 50 on the leader's host says what holds it up"


@dataclass(frozen=True)
class Stand:
    """Hold what one started member says of itself: versions as "3.7.3", "3.6.0"; "" = it does not tell.

    ``storage``: which minor its data fit. ``downgrade``: the target of the downgrade it knows to be enabled.
    """

    name: str
    version: str = ""
    storage: str = ""
    downgrade: str = ""


def minor(text):
    """Return "3.6" of "3.6.16"; ValueError on what is no version."""
    found = line(text)
    if not found:
        raise ValueError(f"{text!r} is no version like 3.6.16")
    return "{}.{}".format(*found)


def stands(observed):
    """Return the Stand of each started member of an `_etcd.Observed`; one that was added and never started has no data."""
    told = [(one.name, observed.view_of(one.id)) for one in observed.members if one.started]
    return tuple(_stand(name, view.status if view else None) for name, view in told)


def _stand(name, status):
    return Stand(name, status.version, status.storage_version, status.downgrade) if status else Stand(name)


def toward(state, target, members, begun=False):
    """Return the _membership.Move that leads to a state; `target` is a minor as "3.6", `members` the Stands of all started.

    `begun`: whether this run itself has just enabled it, so that whoever is silent since may hold data that do not fit.
    """
    if state == CANCELLED:
        return _cancelled(members)
    if state == COMPLETED:
        return _completed(target, members)
    silent = [one.name for one in members if not line(one.version)]
    if begun and silent:
        said = f"{_names(silent)} went silent after the downgrade was enabled, and may have data that do not fit {target} yet"
        return Move(WAIT, said, next_step=AS_IT_IS)
    return _enabled(target, members)


def foretold(kind, target, members):
    """Return the Stands as they will be when etcd was told to enable a downgrade and did it, or to call one off."""
    if kind == ENABLE:
        return tuple(replace(one, storage=f"{target}.0", downgrade=f"{target}.0") for one in members)
    return tuple(replace(one, downgrade="") for one in members) if kind == CANCEL else tuple(members)


def _enabled(target, members):
    """Enable it only when every member answers and is newer; once it is enabled, wait for the data of those that answer."""
    goal = line(target)
    told = [one for one in members if line(one.version)]
    newer = [one for one in told if line(one.version) > goal]
    skipping = [one for one in newer if line(one.version) != (goal[0], goal[1] + HOP)]
    if skipping:
        return Move(REFUSE, f"{_said(skipping)}, and one minor at a time is gone back", next_step="go back one minor first")
    others = sorted({one.downgrade for one in told if one.downgrade and line(one.downgrade) != goal})
    if others:
        hint = "call it off first; when every member runs that version etcd ends it by itself"
        return Move(WAIT, f"a downgrade to {others[0]} is enabled", next_step=hint)
    enabled = any(one.downgrade for one in told)
    old = [one for one in told if one not in newer]
    unfit = [one.name for one in newer if line(one.storage) != goal]
    if unfit and (enabled or old):
        return Move(WAIT, f"the data of {_names(unfit)} do not fit {target} yet", next_step=LOGS)
    if enabled:
        return Move(DONE, f"a downgrade to {target} is enabled, and the data fit it")
    if old:
        return Move(DONE, f"{_said(old[:1])}, so the data fit {target}")
    return _ready(target, members, told)


def _ready(target, members, told):
    silent = [one.name for one in members if one not in told]
    if silent or not told:
        said = f"{_names(silent)} does not say" if silent else "no member says"
        return Move(WAIT, f"{said} which version it runs", next_step=START_FIRST)
    return Move(ENABLE, f"every member runs {_names(sorted({one.version for one in told}))}")


def _cancelled(members):
    targets = sorted({one.downgrade for one in members if one.downgrade})
    if targets:
        return Move(CANCEL, f"a downgrade to {', '.join(targets)} is enabled")
    return Move(DONE, "no downgrade is enabled")


def _completed(target, members):
    goal = line(target)
    silent = [one.name for one in members if not line(one.version)]
    if silent:
        return Move(WAIT, f"{_names(silent)} does not say which version it runs")
    other = [one for one in members if line(one.version) != goal]
    if other:
        return Move(WAIT, f"{_said(other)}, not {target}", next_step="run upgrade.yml again, which goes on")
    if any(one.downgrade for one in members):
        return Move(WAIT, f"every member runs {target}, and etcd has not ended the downgrade yet", next_step=LOGS)
    unfit = [one.name for one in members if one.storage and line(one.storage) != goal]
    if unfit:
        return Move(WAIT, f"the data of {_names(unfit)} are not of {target}", next_step=LOGS)
    return Move(DONE, f"every member runs {target}, and no downgrade is enabled any more")


def _said(members):
    return ", ".join(f"{one.name} runs {one.version}" for one in members)


def _names(names):
    return ", ".join(names)
