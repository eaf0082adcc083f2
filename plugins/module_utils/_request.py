# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Read what is asked of a cluster: to be as the inventory says, to lose hosts, to have one replaced, to be
upgraded, to have hosts restarted, to have the endpoint address moved.

Solves: a name that is mistyped is told before anything is looked at in earnest. Leaves out: whether it can be done (``_plan``).
To promote, a learner to a voter or one master's own address to the balancer's, is no request of its own: who votes and whose the
address is follow from the hosts that are listed, so every run that changes those does it in its place, behind its gates.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from ansible_collections.multimaster.kubernetes.plugins.module_utils._finding import Finding

CONVERGE, REMOVE, REPLACE, UPGRADE, ROLL, MOVE = "converge", "remove", "replace", "upgrade", "roll", "move"
ALL = "all"
CHECK, REFUSED, LEFT_OUT = "request-unknown", "request-refused", "host-left-out"
#: What is wanted, by the id of the finding where it is not so; these cannot be left out.
CHECKS = {
    CHECK: "Want a request to be one, and to name hosts of the inventory.",
    REFUSED: "Want every step of the plan to be safe.",
    LEFT_OUT: "Want a run to look at every host of the inventory, so without `--limit`.",
}


@dataclass(frozen=True)
class Request:
    """What is asked, in inventory names.

    ``nodes``: the hosts that are to go, or to restart; ``by``: the host that takes the place of the one to be replaced, "" when
    it is a new machine under the same name.
    """

    kind: str = CONVERGE
    nodes: tuple = ()
    by: str = ""

    @property
    def leaving(self):
        """Return the hosts that the cluster is to be without."""
        return self.nodes if self.kind == REMOVE or (self.kind == REPLACE and self.by) else ()

    @property
    def keeps_versions(self):
        """Return whether each host goes on with the versions it runs, whatever the inventory says."""
        return self.kind not in (CONVERGE, UPGRADE)

    @property
    def renewed(self):
        """Return the hosts that come back as new machines under their names."""
        return self.nodes if self.kind == REPLACE and not self.by else ()


CONVERGING = Request()


def read(known, remove=None, replace=None, by="", upgrade=False, roll=None, move=False) -> tuple:
    """Return (Request, findings) of lists of names, None when that is not asked for; ``known`` are the inventory's hosts.

    To restart `all` is to restart every host; an empty name, such as of an unset variable of a shell, names nobody.
    """
    whole = [(kind, ()) for kind, true in ((UPGRADE, upgrade), (MOVE, move)) if true]
    named = [(kind, names) for kind, names in ((REMOVE, remove), (REPLACE, replace), (ROLL, roll)) if names is not None]
    asked = [*whole, *named]
    if len(asked) > 1:
        kinds = " and ".join(kind for kind, _names in asked)
        return Request(), (Finding("", CHECK, f"{kinds} are asked for at once", "one request", "Do one after the other."),)
    kind, named = asked[0] if asked else (CONVERGE, ())
    if by and kind != REPLACE:
        said = f"by={by} says who takes the place of a host, and no replacement is asked for"
        return Request(), (Finding("", CHECK, said, "`by` beside a host to replace", "Leave `by` out, or use replace_node.yml."),)
    if not asked:
        return Request(), ()
    if whole:
        return Request(kind), ()
    if kind == ROLL and [name.strip() for name in named] == [ALL]:
        return Request(ROLL, tuple(sorted(known))), ()
    nodes = tuple(sorted({name.strip() for name in named} - {""}))
    wrong = [_unknown(name, known) for name in (*nodes, *filter(None, [by])) if name not in known]
    if not nodes:
        wrong.append(("no host is named", "-e node=NAME" + ("" if kind == REPLACE else ", or several with commas")))
    if kind == REPLACE and len(nodes) > 1:
        wrong.append((f"{', '.join(nodes)} are {len(nodes)} hosts", "Replace one after the other."))
    if by and by in nodes:
        wrong.append((f"{by} is to be replaced by itself", "Leave `by` out: then a new machine has the old name."))
    findings = tuple(Finding("", CHECK, said, "names of hosts in the inventory", fix) for said, fix in wrong)
    return Request(kind, tuple(name for name in nodes if name in known), by if by in known else ""), findings


def _unknown(name, known):
    near = difflib.get_close_matches(name, known, n=1)
    return (
        f"{name} is no host of the inventory",
        f"Did you mean {near[0]}?" if near else "List the host: one that leaves until it is out, one that comes from the start.",
    )
