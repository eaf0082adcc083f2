# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Decide whose cordon a node carries, which of its pods a drain moves away, and what an eviction's answer means.

Solves: a drain never works against a person who cordoned the node, never loses a pod that nothing makes again, and says of
every pod why it goes or stays. Which pods go is the rule of ``kubectl drain`` (github.com/kubernetes/kubectl,
pkg/drain/filters.go, with ``--ignore-daemonsets``); what an eviction's answers mean is pkg/drain/drain.go there. Leaves
out: requests and waiting (``_node_flow``). Nodes, pods and budgets are objects as the API server returns them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: The annotation by which a cordon of ours is known again; its value is the operation's id.
MARK = "multimaster.kubernetes/operation"
#: Beside the mark: whose cordon was taken over, so that the node stays cordoned when the operation is given up.
FOUND = "multimaster.kubernetes/found-cordoned"
#: An operation that was given no id: two of that name may be two.
UNNAMED = "unnamed"
#: The ids that our playbooks give, one a run (`multimaster.run`, of the action `topology`); kube_node is given others by hand.
RUN = re.compile("[0-9a-f]{16}")
#: Under this name our requests stand in a node's managedFields (``_kube.FIELD_MANAGER``).
MANAGER = "multimaster"
#: The kubelet marks the API's image of a static pod with it (k8s.io/api/core/v1, MirrorPodAnnotationKey).
MIRROR = "kubernetes.io/config.mirror"

# what to do with a pod
EVICT, DELETE, WAIT, LEAVE, REFUSE = "evict", "delete", "wait", "leave", "refuse"
GOING = (EVICT, DELETE, WAIT)
# what an eviction's answer means
ACCEPTED, AGAIN, FAIL = "accepted", "again", "fail"
#: Answers after which the same eviction may succeed: the pod was replaced or its budget is being written (409), a budget
#: allows no disruption now or the server is busy (429), the server stops, starts or hangs (5xx).
PASSING = (409, 429, 500, 502, 503, 504)
#: Seconds that pods are given to end unless somebody gives them other; a usual step of the lock has room for so many.
SECONDS = 300


@dataclass(frozen=True)
class Wanted:
    """What is asked of a node; the times are seconds. ``address``: the node that has it is meant, "": the one of that name.

    ``beside``: names of nodes that are drained for the same operation, before or after this one.
    """

    name: str
    address: str = ""
    operation: str = UNNAMED
    beside: tuple = ()
    take_over: bool = False
    force: bool = False
    delete_emptydir: bool = True
    node_dead: bool = False
    keep_cordoned: bool = False
    missing_ok: bool = False
    timeout: float = SECONDS
    detach_timeout: float = 60


@dataclass(frozen=True)
class Cordon:
    """What to do about a node's cordon: nothing, a merge patch that makes the ``change``, or a refusal with a next step.

    ``undo`` is the merge patch that makes the node as it was found; None when there is nothing to take back. A change without
    ``spec`` leaves the cordon itself alone.
    """

    reason: str
    change: dict | None = None
    undo: dict | None = None
    refusal: str = ""


@dataclass(frozen=True)
class Verdict:
    """What happens to one pod, and why; ``action`` is EVICT, DELETE, WAIT (it ends already), LEAVE or REFUSE."""

    namespace: str
    name: str
    uid: str
    action: str
    reason: str

    @property
    def title(self):
        """Return the pod's name for messages."""
        return f"{self.namespace}/{self.name}"

    def as_dict(self):
        """Return what a module's result shows."""
        return {"pod": self.title, "reason": self.reason}


def _mark(node, which=MARK):
    return (node["metadata"].get("annotations") or {}).get(which)


def _patch(unschedulable, operation, found=None):
    """Return the merge patch that sets a cordon with its marks; None removes a field (RFC 7386)."""
    return {**_marks(operation, found), "spec": {"unschedulable": unschedulable or None}}


def _marks(operation, found):
    return {"metadata": {"annotations": {MARK: operation, FOUND: found}}}


def _setters(node, *path):
    """Return (time, manager) of everybody who holds a field, the latest last (managedFields, format FieldsV1)."""
    found = []
    for entry in node["metadata"].get("managedFields") or ():
        fields = entry.get("fieldsV1")
        for step in path:
            fields = (fields or {}).get(f"f:{step}")
        if fields is not None:
            found.append((entry.get("time", ""), entry.get("manager", "")))
    return sorted(found)


def _left_over(node):
    """Tell whether somebody else set the cordon after our mark was made: they uncordoned, which keeps the mark, and cordoned.

    Who took part in a cordon of ours (it stands under our name), and one that was taken over (older than the mark), pass.
    """
    cordoned, marked = _setters(node, "spec", "unschedulable"), _setters(node, "metadata", "annotations", MARK)
    if not cordoned or not marked or any(manager == MANAGER for _time, manager in cordoned):
        return False
    return cordoned[-1][0] > marked[-1][0]


def cordon_of(node):
    """Return {unschedulable, operation}: whether a node is cordoned, and the mark of ours it carries ("" = none)."""
    return {"unschedulable": bool(node.get("spec", {}).get("unschedulable")), "operation": _mark(node) or ""}


def cordons_of_ours(nodes, stay):
    """Return the names of the nodes whose cordon carries a mark that a run of a playbook left, of ``_kube_reading``'s summaries.

    ``nodes``: None where they cannot be read, as in a check before there is a cluster. ``stay``: names of the nodes that do not
    leave. Who drained a node with kube_node alone set a mark of another form, may be at work on it, and is not cut off; who
    cordoned it otherwise has set none. A mark that is left over, and a cordon that was taken over, are told apart when the
    cordon is taken back.
    """
    ours = [node["name"] for node in nodes or () if node["unschedulable"] and RUN.fullmatch(node["annotations"].get(MARK, ""))]
    return [name for name in ours if name in stay]


def _by_whom(node):
    """Return who cordoned a node as far as the API server knows."""
    setters = _setters(node, "spec", "unschedulable")
    return "{1} at {0}".format(*setters[-1]) if setters else "somebody the API server has no record of"


def _valid_mark(node):
    """Return the mark by which a cordon is known, None where none is, also for one that is only left over."""
    return None if _left_over(node) else _mark(node)


def _ours(node, operation):
    """Tell whether a node's mark is one of ours to who works for this operation.

    A run of a playbook, and the lock that one asks for (None), goes on with what a run left, this one or one that was cut off,
    since there is one at a time. Who drained the node by kube_node alone may be at work on it. By hand any mark is gone on with.
    """
    marked = _valid_mark(node)
    by_a_run = operation is None or RUN.fullmatch(operation)
    return marked is not None and bool(not by_a_run or RUN.fullmatch(marked))


def _whose(node):
    """Return who made a cordon that is none of ours."""
    marked = _valid_mark(node)
    return _by_whom(node) if marked is None else f"kube_node, for operation {marked!r}"


def judge_cordon(node, operation, take_over, spared="it was left as it is"):
    """Judge the cordon before a drain: make it, resume one of ours, or refuse to work beside somebody else.

    ``operation``: None where a run only asks before it takes the lock. One that was taken over is resumed by who would take it
    over. For anybody else it is theirs who made it. One of ours is taken back when the drain fails: it was made for the same
    drain, or by a run that has ended, since there is one at a time. ``spared``: what is not done because of a refusal; what the
    run did before is the caller's to know.
    """
    name, marked, found = node["metadata"]["name"], _mark(node), _mark(node, FOUND)
    if not node.get("spec", {}).get("unschedulable"):
        return Cordon("it is cordoned", _patch(True, operation), _patch(False, None))
    ours = _ours(node, operation)
    if ours and (take_over or found is None):
        own = _marks(None, None) if found else _patch(False, None)
        return Cordon(f"it was cordoned by our operation {marked!r} before", undo=own if operation != UNNAMED else None)
    who = found if ours else _whose(node)
    if take_over:
        return Cordon(f"the cordon of {who} is taken over", _patch(True, operation, who), _patch(True, marked, found))
    return Cordon(
        "",
        refusal=(
            f"node {name} was cordoned by somebody else ({who}), so somebody may be at work on it; {spared}. Next: "
            f"ask them; when they are done, `kubectl uncordon {name}` and run again"
        ),
    )


def judge_uncordon(node, operation):
    """Judge the end of an operation: a cordon of ours goes, with its mark; anybody else's stays, also one that was taken over.

    It comes after a drain that was refused too, so what is no cordon of ours to a drain is none here.
    """
    marked, found = _mark(node), _mark(node, FOUND)
    if not node.get("spec", {}).get("unschedulable"):
        if marked is None:
            return Cordon("it takes pods")
        return Cordon(f"it takes pods; the mark that operation {marked!r} left goes", _patch(False, None))
    if not _ours(node, operation):
        return Cordon(f"it was cordoned by somebody else ({_whose(node)}) and stays so; `kubectl uncordon` is up to them")
    if found is not None:
        said = f"it was cordoned by somebody else ({found}) before operation {marked!r} and stays so"
        return Cordon(f"{said}; `kubectl uncordon` is up to them", _marks(None, None))
    return Cordon(f"the cordon of operation {marked!r} goes", _patch(False, None))


def lives(node):
    """Tell whether a node's kubelet still reports: then its pods run, and a second one beside them could do harm.

    A kubelet writes True or False itself, False while its runtime or network is sick. Of one that says nothing any more the
    control plane writes Unknown (kubernetes.io, "Node status").
    """
    conditions = node.get("status", {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") in ("True", "False") for one in conditions)


def classify(pod, wanted, daemonsets):
    """Judge one pod of a node that is drained; ``daemonsets`` holds (namespace, name) of those that exist."""
    metadata, status = pod["metadata"], pod.get("status") or {}

    def verdict(action, reason):
        return Verdict(metadata["namespace"], metadata["name"], metadata["uid"], action, reason)

    if MIRROR in (metadata.get("annotations") or {}):
        return verdict(LEAVE, "its kubelet runs it from a file")
    owner = next((one for one in metadata.get("ownerReferences") or () if one.get("controller")), None)
    finished = status.get("phase") in ("Succeeded", "Failed")
    by_daemonset = owner is not None and owner.get("kind") == "DaemonSet" and not finished
    if by_daemonset and (metadata["namespace"], owner["name"]) in daemonsets:
        # its controller ignores the cordon and would make it again at once
        return verdict(LEAVE, f"DaemonSet {owner['name']} keeps it on every node")
    if metadata.get("deletionTimestamp"):
        return verdict(DELETE if wanted.node_dead else WAIT, "it is being deleted already")
    gone = DELETE if wanted.node_dead else EVICT
    if finished:
        return verdict(gone, f"it is finished ({status['phase']})")
    refusals, reasons = [], []
    if any("emptyDir" in volume for volume in pod.get("spec", {}).get("volumes") or ()):
        (reasons if wanted.delete_emptydir else refusals).append("the data of its emptyDir is lost")
    if by_daemonset:
        (reasons if wanted.force else refusals).append(f"its DaemonSet {owner['name']} is gone, so nothing makes it again")
    elif owner is None:
        (reasons if wanted.force else refusals).append("it has no controller, so nothing makes it again")
    else:
        reasons.append(f"{owner.get('kind')} {owner.get('name')} makes it again elsewhere")
    return verdict(REFUSE, "; ".join(refusals)) if refusals else verdict(gone, "; ".join(reasons))


def refusal(node_name, verdicts):
    """Return why a node must not be drained, all pods named, and what to do; "" when it may."""
    refused = [f"{one.title} ({one.reason})" for one in verdicts if one.action == REFUSE]
    if not refused:
        return ""
    return (
        f"node {node_name} has pods that a drain would lose: {', '.join(refused)}. Next: move or delete them, or say force "
        "(pods without a controller) or delete_emptydir (data of an emptyDir)"
    )


def judge_answer(status, message):
    """Judge an eviction's answer: ACCEPTED, AGAIN (ask later) or FAIL; ``status`` is None for none at all.

    A pod that is gone (404) is as good as evicted. Its namespace being deleted deletes it too, if later (403); two budgets
    over one pod are refused forever, as 500.
    """
    if status is None:
        return AGAIN
    if status < 300 or status == 404:
        return ACCEPTED
    if status == 500 and "more than one PodDisruptionBudget" in message:
        return FAIL
    if status == 403 and "because it is being terminated" in message:
        return AGAIN
    return AGAIN if status in PASSING else FAIL


def unevictable(title, answer):
    """Return the message for an eviction that was refused for good."""
    two = "more than one PodDisruptionBudget" in answer
    way_on = "let only one budget select it" if two else "mend what the API server names"
    return f"pod {title} cannot be evicted: {answer}. Next: {way_on}, then run again"


def _expression_holds(expression, labels):
    """Judge one of matchExpressions (k8s.io/apimachinery, LabelSelectorRequirement); an unknown operator holds."""
    value, values = labels.get(expression.get("key")), expression.get("values") or ()
    return {
        "In": value in values,
        "NotIn": value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }.get(expression.get("operator"), True)


def selects(selector, labels):
    """Tell whether a label selector takes in these labels; an empty one takes all, none at all takes nothing (policy/v1)."""
    if selector is None:
        return False
    wanted = selector.get("matchLabels") or {}
    expressions = selector.get("matchExpressions") or ()
    return all(labels.get(k) == v for k, v in wanted.items()) and all(_expression_holds(one, labels) for one in expressions)


def blocking(budgets, pods):
    """Return the names of the budgets that now let none of these pods go, with how they stand."""
    found = []
    for budget in budgets:
        metadata, spec, status = budget["metadata"], budget.get("spec") or {}, budget.get("status") or {}
        takes_in = any(
            pod["metadata"]["namespace"] == metadata["namespace"]
            and selects(spec.get("selector"), pod["metadata"].get("labels") or {})
            for pod in pods
        )
        if takes_in and not status.get("disruptionsAllowed"):
            healthy, needed = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
            found.append(f"{metadata['namespace']}/{metadata['name']} ({healthy} healthy pods, {needed} needed)")
    return sorted(found)


def overdue(wanted, pending, budgets, alive=True):
    """Return the message when time ran out; ``pending`` is [(verdict, last answer)], ``budgets`` comes from ``blocking``.

    ``alive``: whether the node's kubelet reports (``lives``). Without one no pod of it ends.
    """
    pods = ", ".join(f"{one.title} ({answer or 'it is still ending'})" for one, answer in pending)
    said = f"node {wanted.name} has pods left after {wanted.timeout:g} s: {pods}"
    if budgets:
        said += f". Budgets that allow no disruption: {', '.join(budgets)}"
    if not alive and not wanted.node_dead:
        return (
            f"{said}. Its kubelet does not report, and without it no pod there ends. Next: on its host `systemctl start kubelet` "
            "and `journalctl -u kubelet -n 50`, then run again; is the host to leave for good, power it off and run the same "
            "again, which then forgets it"
        )
    if budgets:
        return f"{said}. Next: let more of their pods become Ready, or change the budget, then run again"
    return (
        f"{said}. Next: `kubectl describe pod` on them (finalizers, a long grace period), or raise timeout "
        "(multimaster_drain_seconds in the inventory), then run again"
    )


def shown(cordon, pods=()):
    """Return a node as text for a diff: its cordon and the pods that are to go."""
    lines = [f"unschedulable: {str(cordon['unschedulable']).lower()}", f"operation: {cordon['operation']}"]
    return "\n".join([*lines, *(f"pod: {title}" for title in sorted(pods))]) + "\n"
