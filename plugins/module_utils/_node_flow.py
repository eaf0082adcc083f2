# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Drain a node, let it take pods again, or delete its object: what the module ``kube_node`` does, without Ansible.

Solves: everything is judged before the node is touched, and whatever fails after our cordon takes that cordon back, so that
a failed drain costs no capacity. Leaves out: the decisions (``_drain``) and the requests (``_kube``).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _drain, _kube_objects
from ansible_collections.multimaster.kubernetes.plugins.module_utils._kube import KubeError, KubeNotYet

# seconds between two looks at the pods that are ending
PAUSE = 1.0
# seconds until the same eviction is asked for again (kubectl drain waits as long)
ASK_AGAIN = 5.0
SWITCH_OFF = "switch that host off for good, or make it reachable by SSH, then run again: one that answers is drained"


class NodeError(Exception):
    """What failed and what to do; ``evicted`` and ``left`` are the verdicts on pods until then."""

    def __init__(self, message, changed=False, evicted=(), left=()):
        super().__init__(message)
        self.changed, self.evicted, self.left = changed, tuple(evicted), tuple(left)


@dataclass(frozen=True)
class Outcome:
    """What was done, or would be; ``before`` and ``after`` are as of ``_drain.cordon_of``, None = there is no node."""

    changed: bool
    reason: str
    before: dict | None
    after: dict | None
    evicted: tuple = ()
    left: tuple = ()
    attached: tuple = ()

    def as_dict(self, diff=False):
        """Return the module's result."""
        pods = [one.title for one in self.evicted]
        result = {
            "changed": self.changed,
            "reason": self.reason,
            "before": self.before,
            "after": self.after,
            "evicted": [one.as_dict() for one in self.evicted],
            "left": [one.as_dict() for one in self.left],
            "attached": list(self.attached),
        }
        if diff:
            result["diff"] = {
                "before": _drain.shown(self.before, pods) if self.before else "",
                "after": _drain.shown(self.after) if self.after else "",
            }
        return result


class NodeFlow:
    """One node (``wanted`` is a ``_drain.Wanted``) behind one API server; in check mode nothing is written."""

    def __init__(self, kube, wanted, check=False, clock=time.monotonic, sleep=time.sleep):
        self.kube, self.wanted, self.check = kube, wanted, check
        self._clock, self._sleep = clock, sleep
        self.evicted, self.left = [], []

    def ready(self):
        """Take back a cordon of ours, leave one that was taken over; raise NodeError without a node."""
        node = self._node()
        return self._uncordoned(node, _drain.judge_uncordon(node, self.wanted.operation))

    def absent(self):
        """Delete the node's object; the API server's controllers then clean up after it."""
        node = self._look_up()
        if node is None:
            return self._nobody()
        if not self.check:
            self.kube.delete("v1", "Node", self.wanted.name)
        return Outcome(True, f"the node {self.wanted.name} was known", _drain.cordon_of(node), None)

    def drained(self):
        """Cordon the node and move its pods away; raise NodeError when that is refused or fails."""
        if self._look_up() is None and self.wanted.missing_ok:
            return self._nobody()
        node, wanted = self._node(), self.wanted
        nodes = (node, *self._beside())
        cordons = {one["metadata"]["name"]: _drain.judge_cordon(one, wanted.operation, wanted.take_over) for one in nodes}
        cordon = cordons[wanted.name]
        verdicts, _pods = self._look()
        said = "; ".join(one.refusal for one in cordons.values() if one.refusal) or _drain.refusal(wanted.name, verdicts)
        if said:
            raise NodeError(said)
        if self.check:
            self.evicted = [one for one in verdicts if one.action in (_drain.EVICT, _drain.DELETE)]
            return self._outcome(node, cordons)
        if wanted.node_dead:
            self.kube.wait_until(f"node {wanted.name} to be dead", self._is_dead, wanted.timeout, SWITCH_OFF)
        try:
            for name, one in cordons.items():
                if one.change:
                    self._write(one.change, name)
            self._empty()
            attached = () if wanted.node_dead else self._detached()
        except Exception as error:
            # whatever it was, a defect of ours too: a node that nobody works on must not stay out of use
            changed = bool(self.evicted or (cordon.change and wanted.keep_cordoned))
            stands = ". ".join(self._as_found(*one) for one in cordons.items())
            raise NodeError(f"{error}. {stands}", changed, self.evicted, self.left) from error
        return self._outcome(node, cordons, attached)

    def _beside(self):
        """Return the other nodes of this operation that there are: no pod is to land on one of them."""
        names = {*self.wanted.beside} - {self.wanted.name}
        return [node for node in self.kube.list("v1", "Node") if node["metadata"]["name"] in names] if names else []

    def _look_up(self):
        """Return the node, None without one: whoever has the address, whatever its name; raise NodeError when several have it.

        From here on it is called by its own name.
        """
        address = self.wanted.address
        nodes = self.kube.list("v1", "Node") if address else ()
        there = [node for node in nodes if _kube_objects.node_summary(node)["internal_ip"] == address]
        if len(there) > 1:
            names = ", ".join(sorted(node["metadata"]["name"] for node in there))
            raise NodeError(
                f"the address {address} is that of the nodes {names}, so which of them is meant is not known. Next: find the one "
                "that is no host any more (`kubectl get nodes -o wide`), `kubectl delete node` it, then run again"
            )
        if there:
            self.wanted = replace(self.wanted, name=there[0]["metadata"]["name"])
            return there[0]
        return self.kube.get("v1", "Node", self.wanted.name)

    def _nobody(self):
        at = f", and none with the address {self.wanted.address}" if self.wanted.address else ""
        return Outcome(False, f"there is no node {self.wanted.name}{at}", None, None)

    def _node(self):
        node = self.kube.get("v1", "Node", self.wanted.name)
        if node is None:
            known = ", ".join(sorted(one["metadata"]["name"] for one in self.kube.list("v1", "Node"))) or "none"
            raise NodeError(f"there is no node {self.wanted.name} at {self.kube.server}; it knows {known}. Next: mend the name")
        return node

    def _write(self, change, name):
        self.kube.merge("v1", "Node", name, change)

    def _uncordoned(self, node, cordon):
        if cordon.change and not self.check:
            self._write(cordon.change, self.wanted.name)
        before = _drain.cordon_of(node)
        stays = before["unschedulable"] and "spec" not in (cordon.change or {})
        after = {"unschedulable": stays, "operation": ""} if cordon.change else before
        return Outcome(bool(cordon.change), cordon.reason, before, after)

    def _is_dead(self):
        alive = _drain.lives(self._node())
        return not alive, "its kubelet still reports; when the host is gone the control plane notices within a minute"

    def _look(self):
        """Return (verdicts, {uid: pod}) of all pods that are on the node now."""
        pods = self.kube.list("v1", "Pod", fields=f"spec.nodeName={self.wanted.name}")
        sets = self.kube.list("apps/v1", "DaemonSet") if pods else ()
        known = {(one["metadata"]["namespace"], one["metadata"]["name"]) for one in sets}
        verdicts = [_drain.classify(pod, self.wanted, known) for pod in pods]
        self.left = [one for one in verdicts if one.action == _drain.LEAVE]
        return verdicts, {pod["metadata"]["uid"]: pod for pod in pods}

    def _empty(self):
        """Evict, or of a dead host delete, until no pod is left that has to go; raise NodeError when time runs out."""
        deadline = self._clock() + self.wanted.timeout
        asked, answers = {}, {}
        while True:
            verdicts, pods = self._look()
            said = _drain.refusal(self.wanted.name, verdicts)  # a pod may have come between the look and the cordon
            if said:
                raise NodeError(said)
            going = [one for one in verdicts if one.action in _drain.GOING]
            for one in going:
                due = one.uid not in asked or self._clock() >= asked[one.uid] + ASK_AGAIN
                if one.action != _drain.WAIT and due:
                    asked[one.uid], answers[one.uid] = self._clock(), self._ask(one)
            if not going:
                return
            if self._clock() >= deadline:
                pending = [(one, "" if one.action == _drain.WAIT else answers[one.uid]) for one in going]
                budgets = self._budgets([pods[one.uid] for one in going])
                raise NodeError(_drain.overdue(self.wanted, pending, budgets, self._alive()))
            self._sleep(PAUSE)

    def _ask(self, one):
        """Ask for one pod to go and return what was answered, "" when accepted; raise NodeError when no patience helps."""
        act = self.kube.delete_at_once if one.action == _drain.DELETE else self.kube.evict
        try:
            act(one.name, one.namespace, one.uid)
        except KubeError as error:
            meaning = _drain.judge_answer(error.status, error.message)
            if meaning == _drain.FAIL:
                raise NodeError(_drain.unevictable(one.title, error.came_back)) from error
            return "" if meaning == _drain.ACCEPTED else error.came_back
        if one.uid not in {known.uid for known in self.evicted}:
            self.evicted.append(one)
        return ""

    def _budgets(self, pods):
        """Return the budgets in the way; none when they cannot be read, since that must not hide what failed first."""
        try:
            return _drain.blocking(self.kube.list("policy/v1", "PodDisruptionBudget"), pods)
        except KubeError:
            return []

    def _alive(self):
        """Tell whether the node's kubelet reports; yes where that cannot be read, for the same reason."""
        try:
            return _drain.lives(self._node())
        except (KubeError, NodeError):
            return True

    def _detached(self):
        """Wait a bounded time until no volume is attached to the node and return the names of those that still are."""
        name, found = self.wanted.name, []

        def question():
            attachments = [one["spec"] for one in self.kube.list("storage.k8s.io/v1", "VolumeAttachment")]
            sources = [one["source"] for one in attachments if one["nodeName"] == name]
            found[:] = sorted(one.get("persistentVolumeName") or "an inline volume" for one in sources)
            return not found, ", ".join(found)

        try:
            self.kube.wait_until(f"volumes of node {name} to be detached", question, self.wanted.detach_timeout)
        except KubeNotYet:
            pass
        return tuple(found)

    def _as_found(self, name, cordon):
        """Take back this run's cordon after a failure, and say how the node stands now."""
        if cordon.undo is None:
            return f"Node {name} was cordoned before this run and stays so; `kubectl uncordon {name}` gives it back"
        if self.wanted.keep_cordoned:
            return f"Node {name} stays cordoned, as keep_cordoned says; `kubectl uncordon {name}` gives it back"
        try:
            self._write(cordon.undo, name)
        except KubeError as error:
            return f"Node {name} may still be cordoned ({error}); `kubectl uncordon {name}` gives it back"
        cordoned = cordon.undo.get("spec", {"unschedulable": True})["unschedulable"]
        return f"Node {name} {'is cordoned as it was before' if cordoned else 'takes pods again'}"

    def _outcome(self, node, cordons, attached=()):
        cordon, before = cordons[self.wanted.name], _drain.cordon_of(node)
        after = {"unschedulable": True, "operation": self.wanted.operation} if cordon.change else before
        reason = f"{cordon.reason}; pods evicted: {len(self.evicted)}, left: {len(self.left)}"
        if attached:
            reason += f"; still attached: {', '.join(attached)}"
        beside = sorted(name for name, one in cordons.items() if one.change and one is not cordon)
        if beside:
            reason += f"; cordoned as well: {', '.join(beside)}"
        changed = bool(cordon.change or beside or self.evicted)
        return Outcome(changed, reason, before, after, tuple(self.evicted), tuple(self.left), tuple(attached))
