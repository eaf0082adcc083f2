# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Move one pod of a service that lies where all others do, and wait for the next: what the module ``pod_spread`` does.

Leaves out: the decision (``_spread``) and the requests (``_kube``).
"""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _drain, _kube_objects, _spread
from ansible_collections.multimaster.kubernetes.plugins.module_utils._kube import KubeError

TRIED = "multimaster.kubernetes/spread-tried"
LOOK = "`kubectl get pods -o wide` in that namespace shows which pod does not start and where, then run again"


class SpreadFlow:
    """The pods with these labels of a namespace, behind one API server (a ``_kube.Kube``)."""

    def __init__(self, kube, namespace, labels, tolerated, timeout):
        self._kube, self._namespace, self._tolerated, self._timeout = kube, namespace, tuple(tolerated), timeout
        self._selector = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
        self._pods, self._verdict = {}, None  # as of the last look

    def foreseen(self):
        """Return (the pod that `spread` would move, "" for none; why)."""
        verdict = self._look()
        return verdict.move, verdict.reason + (f": pod {verdict.move} is evicted" if verdict.move else "")

    def spread(self):
        """Move one pod where that is needed; return (its name, "" for none; why). Raise KubeError."""
        before, counted = None, 0

        def apart_or_gone():
            nonlocal before, counted
            verdict = self._look()
            if before and before.move not in self._pods:
                return True, ""  # the answer was lost, or somebody else was faster
            if not verdict.move or verdict.unready:
                return not verdict.move, f"not Ready: {', '.join(verdict.unready)}"
            before, counted = verdict, len(self._pods)
            return self._evicted(verdict.move)

        def whole():
            self._look()
            ready = sum(pod["ready"] for pod in self._pods.values())
            return ready >= counted, f"{ready} of {counted} pods are Ready"

        self._kube.wait_until("a pod to leave the place that all others are in", apart_or_gone, self._timeout, LOOK)
        if not before:
            return "", self._verdict.reason
        self._kube.wait_until(f"a pod in the place of {before.move}", whole, self._timeout, LOOK)
        after = self._verdict
        if after.takers == before.takers:
            self._note(after)
        return before.move, f"{before.reason}: pod {before.move} was evicted; {after.reason}"

    def _look(self):
        """Return the verdict of now, and keep it."""
        found = map(_kube_objects.pod_summary, self._kube.list("v1", "Pod", self._namespace, self._selector))
        self._pods = {pod["name"]: pod for pod in found if not pod["over"]}
        nodes = map(_kube_objects.node_summary, self._kube.list("v1", "Node"))
        self._verdict = _spread.judge(
            [
                _spread.Pod(one["name"], one["node"], one["ready"], one["annotations"].get(TRIED, ""))
                for one in self._pods.values()
            ],
            [_spread.Node(one["name"], one["zone"], _spread.takes_pods(one, self._tolerated)) for one in nodes],
        )
        return self._verdict

    def _evicted(self, name):
        """Ask for one pod's eviction; return (whether it goes, what was answered). Raise KubeError where no patience helps."""
        try:
            self._kube.evict(name, self._namespace, self._pods[name]["uid"])
        except KubeError as error:
            meaning = _drain.judge_answer(error.status, error.message)
            if meaning == _drain.FAIL:
                raise
            return meaning == _drain.ACCEPTED, error.came_back
        return True, ""

    def _note(self, verdict):
        """Say on a pod that one was moved in vain, so that the next run leaves them."""
        self._kube.merge("v1", "Pod", verdict.move, {"metadata": {"annotations": {TRIED: verdict.takers}}}, self._namespace)
