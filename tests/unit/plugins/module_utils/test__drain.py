# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The decisions of a drain, in tables: whose cordon it is, which pods go, what an eviction's answer means."""

from __future__ import annotations

import itertools

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _drain, _kube
from ansible_collections.multimaster.kubernetes.plugins.module_utils._drain import DELETE, EVICT, LEAVE, REFUSE, WAIT, Wanted
from drain_fixtures import FOUND, MARK, budget, node, owner, pod

EARLY, LATE = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"
OURS, THEIRS = "multimaster", "kubectl-cordon"


def test_our_name_is_the_one_requests_are_made_under():
    assert _drain.MANAGER == _kube.FIELD_MANAGER
    assert (_drain.MARK, _drain.FOUND) == (MARK, FOUND)


# --- whose cordon --------------------------------------------------------------------------------------------------

CORDONS = {
    # name: (node, is it a cordon of ours; None = it is not cordoned, "" = it was taken over)
    "no cordon": (node(), None),
    "no cordon, a mark left over": (node(mark="op"), None),
    "ours, nothing known of who": (node(cordoned=True, mark="op"), True),
    "ours, an empty id": (node(cordoned=True, mark=""), True),
    "ours by name": (node(cordoned=True, mark="op", setters=[(OURS, EARLY, ["cordon", "mark"])]), True),
    "ours, somebody cordoned it once more": (
        node(cordoned=True, mark="op", setters=[(OURS, EARLY, ["cordon", "mark"]), (THEIRS, LATE, ["cordon"])]), True),
    "no cordon, marks of one that was taken over left over": (node(mark="op", found=THEIRS), None),
    "taken over": (
        node(cordoned=True, mark="op", found=THEIRS, setters=[(THEIRS, EARLY, ["cordon"]), (OURS, LATE, ["mark"])]), ""),
    "taken over within the same second": (
        node(cordoned=True, mark="op", found=THEIRS, setters=[(THEIRS, EARLY, ["cordon"]), (OURS, EARLY, ["mark"])]), ""),
    "taken over before that was recorded": (
        node(cordoned=True, mark="op", setters=[(THEIRS, EARLY, ["cordon"]), (OURS, LATE, ["mark"])]), True),
    "taken over, uncordoned and cordoned by somebody": (
        node(cordoned=True, mark="op", found="x", setters=[(OURS, EARLY, ["mark"]), (THEIRS, LATE, ["cordon"])]), False),
    "uncordoned and cordoned by somebody, our mark left over": (
        node(cordoned=True, mark="op", setters=[(OURS, EARLY, ["mark"]), (THEIRS, LATE, ["cordon"])]), False),
    "ours, the record of the mark is lost": (node(cordoned=True, mark="op", setters=[(THEIRS, LATE, ["cordon"])]), True),
    "theirs": (node(cordoned=True, setters=[(THEIRS, EARLY, ["cordon"])]), False),
    "theirs, nothing known of who": (node(cordoned=True), False),
}  # fmt: skip  # a case a row


def patch(mark, found, unschedulable):
    return {"metadata": {"annotations": {MARK: mark, FOUND: found}}, "spec": {"unschedulable": unschedulable}}


@pytest.mark.parametrize(("found", "ours"), CORDONS.values(), ids=CORDONS)
@pytest.mark.parametrize("take_over", [False, True])
def test_a_drain_makes_resumes_or_refuses_a_cordon(found, ours, take_over):
    judged = _drain.judge_cordon(found, "new", take_over)
    if ours is None:
        assert (judged.change, judged.refusal) == (patch("new", None, True), "")
        assert judged.undo == patch(None, None, None)
    elif ours or (ours == "" and take_over):
        assert (judged.change, judged.refusal) == (None, "")
        assert judged.undo == (patch(None, None, None) if ours else {"metadata": {"annotations": {MARK: None, FOUND: None}}})
        assert "was cordoned by our operation" in judged.reason
    elif take_over:
        before = found["metadata"]["annotations"]
        assert (judged.change, judged.refusal) == (patch("new", _drain._by_whom(found), True), "")
        assert judged.undo == patch(before.get(MARK), before.get(FOUND), True)
    else:
        assert (judged.change, judged.undo) == (None, None)
        assert "w1 was cordoned by somebody else" in judged.refusal
        assert "`kubectl uncordon w1`" in judged.refusal


@pytest.mark.parametrize(("found", "ours"), CORDONS.values(), ids=CORDONS)
def test_only_a_cordon_of_ours_is_taken_back(found, ours):
    judged = _drain.judge_uncordon(found, "op")
    takes_back, marked = patch(None, None, None), MARK in found["metadata"]["annotations"]
    if ours == "":
        del takes_back["spec"]
    assert judged.change == (takes_back if ours or ours == "" or (ours is None and marked) else None)
    assert judged.refusal == ""
    assert ("somebody else" in judged.reason) is (ours in (False, ""))


RUN, CUT_OFF = "0123456789abcdef", "fedcba9876543210"
LEFT = [(OURS, EARLY, ["mark"]), (THEIRS, LATE, ["cordon"])]
BY_HAND = ["disk-swap", _drain.UNNAMED, "", RUN + "0", "x" + RUN, RUN.upper()]


@pytest.mark.parametrize("operation", [RUN, None, "disk-swap", _drain.UNNAMED], ids=["a run", "a lock", "by hand", "unnamed"])
@pytest.mark.parametrize("mark", [RUN, CUT_OFF, *BY_HAND])
def test_a_run_goes_on_only_with_what_a_run_left(operation, mark):
    """Who drained a node with kube_node alone may be at work on it; a run that was cut off has ended."""
    found = node(cordoned=True, mark=mark, setters=[(OURS, EARLY, ["cordon", "mark"])])
    ours = mark in (RUN, CUT_OFF) or operation in ("disk-swap", _drain.UNNAMED)
    begin, end = _drain.judge_cordon(found, operation, take_over=False), _drain.judge_uncordon(found, operation)
    assert bool(begin.refusal) is not ours and begin.change is None
    assert end.change == (patch(None, None, None) if ours else None)
    if not ours:
        assert begin.undo is None, "a drain that is refused takes nothing back"
        assert (
            f"by somebody else (kube_node, for operation {mark!r})" in begin.refusal and f"{mark!r}) and stays so" in end.reason
        )


@pytest.mark.parametrize("operation", [RUN, "disk-swap"])
def test_a_mark_that_was_left_over_is_not_taken_for_who_cordoned_it(operation):
    found = node(cordoned=True, mark="before", setters=LEFT)
    assert f"by somebody else ({THEIRS} at {LATE})" in _drain.judge_cordon(found, operation, False).refusal
    assert f"by somebody else ({THEIRS} at {LATE})" in _drain.judge_uncordon(found, operation).reason


@pytest.mark.parametrize("found", [None, THEIRS])
def test_a_run_that_takes_a_node_over_which_was_drained_by_hand_gives_it_back_as_it_was(found):
    judged = _drain.judge_cordon(node(cordoned=True, mark="disk-swap", found=found), RUN, take_over=True)
    assert judged.change == patch(RUN, "kube_node, for operation 'disk-swap'", True)
    assert judged.undo == patch("disk-swap", found, True)
    taken = node(cordoned=True, mark=RUN, found="kube_node, for operation 'disk-swap'")
    assert "spec" not in _drain.judge_uncordon(taken, CUT_OFF).change, "a removal is given up, and the host is still theirs"
    assert _drain.judge_cordon(taken, CUT_OFF, take_over=True).change is None, "a removal goes on"


def test_what_was_left_of_a_node_uncordoned_by_hand_is_no_cordon():
    found = node(mark="disk-swap")
    assert _drain.judge_cordon(found, RUN, False).change == patch(RUN, None, True)
    assert _drain.judge_uncordon(found, RUN).change == patch(None, None, None)


def test_a_refusal_names_who_the_api_server_saw_last():
    found = node(cordoned=True, setters=[("kubectl-edit", LATE, ["cordon"]), (THEIRS, EARLY, ["cordon"])])
    assert "nothing was" not in _drain.judge_cordon(found, "op", False).refusal
    assert f"kubectl-edit at {LATE}" in _drain.judge_cordon(found, "op", False).refusal
    assert "no record of" in _drain.judge_cordon(node(cordoned=True), "op", False).refusal


def test_other_managers_fields_are_no_cordon():
    found = node(cordoned=True, mark="op", setters=[(OURS, EARLY, ["mark"])])
    found["metadata"]["managedFields"] += [{"manager": "kubelet", "time": LATE}, {"manager": "x", "fieldsV1": {"f:spec": {}}}]
    assert _drain.judge_cordon(found, "op", False).refusal == ""


@pytest.mark.parametrize(
    ("found", "seen"),
    [
        (node(), {"unschedulable": False, "operation": ""}),
        (node(cordoned=True, mark="op"), {"unschedulable": True, "operation": "op"}),
        ({"metadata": {"name": "w1"}}, {"unschedulable": False, "operation": ""}),
    ],
)
def test_a_cordon_is_shown_as_it_stands(found, seen):
    assert _drain.cordon_of(found) == seen


@pytest.mark.parametrize(("ready", "lives"), [("True", True), ("False", True), ("Unknown", False)])
def test_a_host_lives_while_its_kubelet_says_anything(ready, lives):
    assert _drain.lives(node(ready=ready)) is lives


def test_a_node_without_conditions_never_lived():
    assert not _drain.lives({"metadata": {"name": "w1"}})


# --- which pods go -------------------------------------------------------------------------------------------------

KNOWN = frozenset({("shop", "o")})
MIRRORED = {_drain.MIRROR: "hash"}
FORCE, KEEP_DATA, DEAD = {"force": True}, {"delete_emptydir": False}, {"node_dead": True}

PODS = {
    # name: (pod, options, action, words of the reason)
    "of a ReplicaSet": (pod(owners=["ReplicaSet"]), {}, EVICT, "ReplicaSet o makes it again"),
    "of a StatefulSet": (pod(owners=["StatefulSet"]), {}, EVICT, "StatefulSet o"),
    "of a Job": (pod(owners=["Job"]), {}, EVICT, "Job o"),
    "pending": (pod(owners=["ReplicaSet"], phase="Pending"), {}, EVICT, "ReplicaSet"),
    "static": (pod(owners=["Node"], annotations=MIRRORED), {}, LEAVE, "from a file"),
    "static, whatever is asked": (pod(annotations=MIRRORED), {**FORCE, **DEAD}, LEAVE, "from a file"),
    "static and finished": (pod(annotations=MIRRORED, phase="Failed"), {}, LEAVE, "from a file"),
    "static and being deleted": (pod(annotations=MIRRORED, deletionTimestamp=EARLY), DEAD, LEAVE, "from a file"),
    "with another annotation": (pod(owners=["ReplicaSet"], annotations={"a": "b"}), {}, EVICT, "ReplicaSet"),
    "of a DaemonSet": (pod(owners=["DaemonSet"]), {}, LEAVE, "DaemonSet o keeps it"),
    "of a DaemonSet, by force": (pod(owners=["DaemonSet"]), FORCE, LEAVE, "DaemonSet o keeps it"),
    "of a DaemonSet on a dead host": (pod(owners=["DaemonSet"]), DEAD, LEAVE, "DaemonSet o keeps it"),
    "of a DaemonSet, being deleted": (pod(owners=["DaemonSet"], deletionTimestamp=EARLY), {}, LEAVE, "DaemonSet o"),
    "of a DaemonSet, with an emptyDir": (pod(owners=["DaemonSet"], volumes=["emptyDir"]), KEEP_DATA, LEAVE, "DaemonSet o"),
    "of a DaemonSet, finished": (pod(owners=["DaemonSet"], phase="Failed"), {}, EVICT, "finished (Failed)"),
    "of a DaemonSet that is gone": (pod(owners=[owner("DaemonSet", "x")]), {}, REFUSE, "DaemonSet x is gone"),
    "of a DaemonSet that is gone, by force": (pod(owners=[owner("DaemonSet", "x")]), FORCE, EVICT, "DaemonSet x is gone"),
    "of a DaemonSet that is gone, ending": (pod(owners=[owner("DaemonSet", "x")], deletionTimestamp=EARLY), {}, WAIT, "being"),
    "of a DaemonSet that does not control it": (
        pod(owners=[owner("DaemonSet", controller=False), owner("ReplicaSet", "rs")]), {}, EVICT, "ReplicaSet rs"),
    "finished well": (pod(phase="Succeeded"), {}, EVICT, "finished (Succeeded)"),
    "finished badly": (pod(phase="Failed", volumes=["emptyDir"]), KEEP_DATA, EVICT, "finished (Failed)"),
    "finished on a dead host": (pod(phase="Failed"), DEAD, DELETE, "finished"),
    "finished and being deleted": (pod(phase="Failed", deletionTimestamp=EARLY), {}, WAIT, "being deleted"),
    "bare": (pod(), {}, REFUSE, "no controller"),
    "bare, with an owner that does not control it": (pod(owners=[owner("ReplicaSet", controller=False)]), {}, REFUSE, "no cont"),
    "bare, by force": (pod(), FORCE, EVICT, "no controller"),
    "bare on a dead host": (pod(), DEAD, REFUSE, "no controller"),
    "bare on a dead host, by force": (pod(), {**FORCE, **DEAD}, DELETE, "no controller"),
    "bare and being deleted": (pod(deletionTimestamp=EARLY), {}, WAIT, "being deleted"),
    "being deleted": (pod(owners=["ReplicaSet"], deletionTimestamp=EARLY), {}, WAIT, "being deleted"),
    "being deleted on a dead host": (pod(owners=["ReplicaSet"], deletionTimestamp=EARLY), DEAD, DELETE, "being deleted"),
    "with an emptyDir": (pod(owners=["ReplicaSet"], volumes=["emptyDir"]), {}, EVICT, "emptyDir is lost; ReplicaSet o makes"),
    "with an emptyDir that is kept": (pod(owners=["ReplicaSet"], volumes=["emptyDir"]), KEEP_DATA, REFUSE, "emptyDir is lost"),
    "with other volumes": (pod(owners=["ReplicaSet"], volumes=["configMap", "hostPath"]), KEEP_DATA, EVICT, "ReplicaSet"),
    "bare with an emptyDir that is kept": (
        pod(volumes=["emptyDir"]), KEEP_DATA, REFUSE, "emptyDir is lost; it has no controller"),
    "bare with an emptyDir": (pod(volumes=["emptyDir"]), {}, REFUSE, "it has no controller"),
    "on a dead host": (pod(owners=["ReplicaSet"]), DEAD, DELETE, "ReplicaSet"),
}  # fmt: skip  # a case a row


@pytest.mark.parametrize(("found", "options", "action", "words"), PODS.values(), ids=PODS)
def test_every_kind_of_pod(found, options, action, words):
    verdict = _drain.classify(found, Wanted("w1", **options), KNOWN)
    assert verdict.action == action
    assert words in verdict.reason
    assert (verdict.title, verdict.uid) == ("shop/p", "uid-p")


def every_pod():
    """Yield every mix of what a verdict looks at."""
    controllers = ((), ("ReplicaSet",), ("DaemonSet",), (owner("DaemonSet", "x"),))
    marks = ({}, {"annotations": MIRRORED}, {"deletionTimestamp": EARLY})
    for owners, phase, volumes, more in itertools.product(controllers, ("Running", "Failed"), ((), ("emptyDir",)), marks):
        yield pod(owners=owners, phase=phase, volumes=volumes, **more)


@pytest.mark.parametrize(
    "options",
    [dict(zip(("force", "delete_emptydir", "node_dead"), bits)) for bits in itertools.product((False, True), repeat=3)],
    ids=str,
)
def test_over_every_mix_options_only_do_what_they_say(options):
    wanted = Wanted("w1", **options)
    for found in every_pod():
        plain, asked = _drain.classify(found, Wanted("w1"), KNOWN), _drain.classify(found, wanted, KNOWN)
        assert (plain.action == LEAVE) == (asked.action == LEAVE), "no option moves what would come back at once"
        assert asked.reason
        if options["node_dead"]:
            assert asked.action not in (EVICT, WAIT), "nothing on a dead host ends by itself"
        else:
            assert asked.action != DELETE, "a pod that may run is never deleted past its budget"
        if options["force"] and options["delete_emptydir"]:
            assert asked.action != REFUSE
        if asked.action == REFUSE:
            assert found["status"]["phase"] == "Running"


def test_a_refusal_names_every_pod_and_the_way_on():
    found = [pod("a"), pod("b", owners=["ReplicaSet"]), pod("c", owners=["ReplicaSet"], volumes=["emptyDir"])]
    verdicts = [_drain.classify(one, Wanted("w1", delete_emptydir=False), KNOWN) for one in found]
    said = _drain.refusal("w1", verdicts)
    assert "shop/a (it has no controller" in said
    assert "shop/c (the data of its emptyDir" in said
    assert "shop/b" not in said
    assert "Next:" in said
    assert _drain.refusal("w1", [verdicts[1]]) == ""


# --- what an answer means --------------------------------------------------------------------------------------------

ANSWERS = {
    "created": (201, "", _drain.ACCEPTED),
    "deleted": (200, "", _drain.ACCEPTED),
    "gone": (404, "pods not found", _drain.ACCEPTED),
    "another pod of that name": (409, "Precondition failed: UID in precondition", _drain.AGAIN),
    "a budget": (429, "Cannot evict pod as it would violate the pod's disruption budget.", _drain.AGAIN),
    "overload": (429, "too many requests", _drain.AGAIN),
    "two budgets": (500, "This pod has more than one PodDisruptionBudget, which is not supported", _drain.FAIL),
    "another internal error": (500, "etcdserver: leader changed", _drain.AGAIN),
    "not yet": (503, "starting", _drain.AGAIN),
    "gateway": (502, "", _drain.AGAIN),
    "timeout": (504, "", _drain.AGAIN),
    "not implemented": (501, "", _drain.FAIL),
    "the namespace ends": (403, "forbidden: unable to create: namespace x because it is being terminated", _drain.AGAIN),
    "no rights": (403, 'User "x" cannot create resource "pods/eviction"', _drain.FAIL),
    "not known": (401, "Unauthorized", _drain.FAIL),
    "a wrong request": (422, "invalid", _drain.FAIL),
    "no answer": (None, "", _drain.AGAIN),
}


@pytest.mark.parametrize(("status", "message", "meaning"), ANSWERS.values(), ids=ANSWERS)
def test_every_answer_to_an_eviction(status, message, meaning):
    assert _drain.judge_answer(status, message) == meaning


def expression(operator, *values):
    return {"matchExpressions": [{"key": "app", "operator": operator, "values": list(values)}]}


SELECTORS = {
    "none": (None, False),
    "empty": ({}, True),
    "one label": ({"matchLabels": {"app": "web"}}, True),
    "another value": ({"matchLabels": {"app": "db"}}, False),
    "one of two labels": ({"matchLabels": {"app": "web", "tier": "x"}}, False),
    "in": (expression("In", "db", "web"), True),
    "not among": (expression("In", "db"), False),
    "not in": (expression("NotIn", "db"), True),
    "not in, but it is": (expression("NotIn", "web"), False),
    "exists": (expression("Exists"), True),
    "does not exist": (expression("DoesNotExist"), False),
    "unknown operators are named rather than hidden": (expression("Gt", "1"), True),
    "labels and expressions": ({"matchLabels": {"app": "web"}, **expression("NotIn", "web")}, False),
}


@pytest.mark.parametrize(("selector", "takes_in"), SELECTORS.values(), ids=SELECTORS)
def test_selectors(selector, takes_in):
    assert _drain.selects(selector, {"app": "web"}) is takes_in


def test_budgets_in_the_way_are_those_of_the_namespace_that_allow_nothing():
    budgets = [
        budget("blocks", {"matchLabels": {"app": "web"}}),
        budget("allows", {}, allowed=1),
        budget("elsewhere", {}, namespace="other"),
        budget("of-others", {"matchLabels": {"app": "db"}}),
        {"metadata": {"name": "not-seen-yet", "namespace": "shop"}, "spec": {"selector": {}}},
    ]
    found = _drain.blocking(budgets, [pod(labels={"app": "web"})])
    assert found == ["shop/blocks (1 healthy pods, 1 needed)", "shop/not-seen-yet (0 healthy pods, 0 needed)"]
    assert _drain.blocking(budgets[:1], [pod()]) == []


@pytest.mark.parametrize(
    ("answer", "budgets", "words"),
    [
        ("HTTP 429 TooManyRequests: no", ["shop/b (1 healthy)"], ["shop/p (HTTP 429", "no disruption: shop/b (1 healthy)"]),
        ("", [], ["shop/p (it is still ending)", "finalizers", "multimaster_drain_seconds"]),
    ],
)
def test_what_is_said_when_time_ran_out(answer, budgets, words):
    verdict = _drain.classify(pod(owners=["ReplicaSet"]), Wanted("w1"), KNOWN)
    said = _drain.overdue(Wanted("w1", timeout=7), [(verdict, answer)], budgets)
    assert all(one in said for one in ["node w1", "after 7 s", "Next:", *words])


@pytest.mark.parametrize(("alive", "dead", "said"), [(True, False, False), (False, False, True), (False, True, False)])
@pytest.mark.parametrize("budgets", [[], ["shop/b (1 healthy)"]])
def test_of_a_node_whose_kubelet_is_dead_that_is_said(alive, dead, said, budgets):
    pending = [(_drain.classify(pod(owners=["ReplicaSet"]), Wanted("w1"), KNOWN), "")]
    words = _drain.overdue(Wanted("w1", node_dead=dead), pending, budgets, alive)
    assert ("`systemctl start kubelet`" in words and "power it off and run the same again" in words) is said
    assert ("describe pod" in words) is (not said and not budgets)
    assert ("no disruption: shop/b (1 healthy)" in words) is bool(budgets)


@pytest.mark.parametrize(
    ("answer", "words"),
    [("HTTP 500: This pod has more than one PodDisruptionBudget", "only one budget"), ("HTTP 403: no", "the API server names")],
)
def test_what_is_said_of_an_eviction_refused_for_good(answer, words):
    said = _drain.unevictable("shop/p", answer)
    assert all(one in said for one in ("shop/p", answer, "Next:", words))


def test_a_diff_shows_the_cordon_and_the_pods():
    seen = {"unschedulable": True, "operation": "op"}
    assert _drain.shown(seen, ["b/b", "a/a"]) == "unschedulable: true\noperation: op\npod: a/a\npod: b/b\n"


@pytest.mark.parametrize(
    ("cordoned", "annotations", "ours"),
    [
        (True, {_drain.MARK: RUN}, ["w1"]),
        # kube_node by hand: its default, the id of its example, what only begins or ends as an id of ours
        (True, {_drain.MARK: _drain.UNNAMED}, []),
        (True, {_drain.MARK: "upgrade-1.37.2"}, []),
        (True, {_drain.MARK: RUN + "0"}, []),
        (True, {_drain.MARK: "x" + RUN}, []),
        (True, {_drain.MARK: ""}, []),
        (True, {"somebody.example/maintenance": "disk"}, []),
        (True, {}, []),
        # uncordoned by hand, which keeps the mark
        (False, {_drain.MARK: RUN}, []),
        (False, {}, []),
    ],
)
def test_a_cordon_of_ours_is_known_by_its_mark(cordoned, annotations, ours):
    nodes = [
        {"name": "w1", "unschedulable": cordoned, "annotations": annotations},
        {"name": "w2", "unschedulable": False, "annotations": {}},
    ]
    assert _drain.cordons_of_ours(nodes, ["w1", "w2"]) == ours
    assert _drain.cordons_of_ours(nodes, ["w2"]) == [], "who leaves is drained for good"


def test_a_check_of_a_cluster_that_is_yet_to_be_knows_no_nodes():
    assert _drain.cordons_of_ours(None, ["w1"]) == []
