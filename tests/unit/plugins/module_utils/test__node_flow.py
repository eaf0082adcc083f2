# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The course of a drain on a played API and clock: order, patience, and what is left behind when it fails."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _failure, _kube, _node_flow
from ansible_collections.multimaster.kubernetes.plugins.module_utils._drain import Wanted
from drain_fixtures import FOUND, MARK, budget, node, owner, pod
from fake_kube import FakeKube

NODE = "/api/v1/nodes/w1"
BLOCKED = (429, "TooManyRequests", "Cannot evict pod as it would violate the pod's disruption budget.")
EVICTED = "/eviction"


def path(name):
    return f"/api/v1/namespaces/shop/pods/{name}"


class World:
    """A played API with one node, and a clock at whose seconds things happen (``at``: second -> what)."""

    def __init__(self, *pods, **about):
        self.fake, self.now, self.at = FakeKube(), 0.0, {}
        self.fake.objects[NODE] = node(**about)
        for one in pods:
            self.fake.objects[path(one["metadata"]["name"])] = one
        self.fake.objects["/apis/apps/v1/namespaces/shop/daemonsets/o"] = {"metadata": {"name": "o", "namespace": "shop"}}

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        for second in sorted(second for second in self.at if second <= self.now):
            self.at.pop(second)()

    def flow(self, check=False, **wanted):
        kube = _kube.Kube("https://m1:6443", self.fake, clock=self.clock, sleep=self.sleep)
        return _node_flow.NodeFlow(kube, Wanted("w1", **{"operation": "op", **wanted}), check, self.clock, self.sleep)

    def attach(self, volume, where="w1"):
        self.fake.objects[f"/apis/storage.k8s.io/v1/volumeattachments/{volume}"] = {
            "spec": {"nodeName": where, "source": {"persistentVolumeName": volume}}
        }

    @property
    def cordoned(self):
        return self.fake.objects[NODE]["spec"].get("unschedulable", False)

    @property
    def mark(self):
        return self.fake.objects[NODE]["metadata"]["annotations"].get(MARK)

    def pods(self):
        return sorted(key.rsplit("/", 1)[1] for key in self.fake.objects if "/pods/" in key)

    def wrote(self):
        return [(method, where) for method, where, *_ in self.fake.asked if method != "GET"]

    def fails(self, **wanted):
        with pytest.raises(_node_flow.NodeError) as failed:
            self.flow(**wanted).drained()
        return failed.value


def titles(verdicts):
    return [one.title for one in verdicts]


def web(name="web", **more):
    return pod(name, owners=["ReplicaSet"], **more)


def test_cordoned_before_anything_is_evicted_and_the_rest_is_named():
    world = World(web(), pod("agent", owners=["DaemonSet"]), web("other", where="w2"))
    done = world.flow().drained()
    assert world.wrote() == [("PATCH", NODE), ("POST", path("web") + EVICTED)]
    assert (world.cordoned, world.mark) == (True, "op")
    assert (titles(done.evicted), titles(done.left)) == (["shop/web"], ["shop/agent"])
    assert done.reason == "it is cordoned; pods evicted: 1, left: 1"
    assert world.pods() == ["agent", "other"]


def test_a_check_writes_nothing_and_foretells_the_run():
    world = World(web(), pod("agent", owners=["DaemonSet"]), web("ending", deletionTimestamp="x"))
    world.attach("pv")
    foretold = world.flow(check=True).drained()
    assert world.wrote() == []
    assert world.now == 0
    world.at = {2: lambda: world.fake.objects.pop(path("ending"))}
    world.fake.objects.pop("/apis/storage.k8s.io/v1/volumeattachments/pv")
    assert world.flow().drained() == foretold


def test_a_drained_node_is_as_it_should_be_and_costs_reads_only():
    world = World(web())
    world.flow().drained()
    world.fake.asked.clear()
    again = world.flow(operation="another").drained()
    assert not again.changed
    assert world.wrote() == []
    assert "our operation 'op'" in again.reason
    assert again.after == {"unschedulable": True, "operation": "op"}


def test_a_drain_that_was_cut_off_is_finished():
    world = World(web(), cordoned=True, mark="op")
    done = world.flow().drained()
    assert done.changed
    assert world.wrote() == [("POST", path("web") + EVICTED)]


def beside(other):
    """Return a world in which w2, as given, is drained for the same operation after w1."""
    world = World(web(), web("next", where="w2"))
    world.fake.objects["/api/v1/nodes/w2"] = other
    return world


def stands(world, name):
    """Return (whether a node is cordoned, the operation that its mark names)."""
    found = world.fake.objects[f"/api/v1/nodes/{name}"]
    return bool(found["spec"].get("unschedulable")), found["metadata"]["annotations"].get(MARK)


TOGETHER = {"beside": ("w1", "w2", "w3")}


def test_a_pod_that_goes_lands_on_no_node_that_is_drained_next():
    world = beside(node("w2"))
    done = world.flow(**TOGETHER).drained()
    assert world.wrote() == [("PATCH", NODE), ("PATCH", "/api/v1/nodes/w2"), ("POST", path("web") + EVICTED)]
    assert stands(world, "w2") == (True, "op")
    assert (done.changed, done.reason) == (True, "it is cordoned; pods evicted: 1, left: 0; cordoned as well: w2")
    checked = beside(node("w2"))
    assert checked.flow(check=True, **TOGETHER).drained().reason == done.reason
    assert checked.wrote() == []


@pytest.mark.parametrize(
    ("other", "options", "words", "stood"),
    [
        (node("w2"), {}, "Node w2 takes pods again", (False, None)),
        # what a run of ours cordoned before, this one or one that was cut off, is taken back as well, and nobody else's
        (node("w2", cordoned=True, mark="op"), {}, "Node w2 takes pods again", (False, None)),
        (node("w2", cordoned=True, mark="op", found="x"), {"take_over": True}, "Node w2 is cordoned as it was", (True, None)),
        (node("w2", cordoned=True, mark="before"), {}, "Node w2 takes pods again", (False, None)),
        (node("w2", cordoned=True), {"take_over": True}, "Node w2 is cordoned as it was before", (True, None)),
    ],
)
def test_when_one_of_several_cannot_be_drained_all_stand_as_they_were_found(other, options, words, stood):
    world = beside(other)
    world.fake.evictions[path("web")] = [(403, "Forbidden", 'User "x" cannot')]
    assert words in str(world.fails(**TOGETHER, **options))
    assert (stands(world, "w1"), stands(world, "w2")) == ((False, None), stood)


def test_an_operation_without_a_name_takes_back_only_what_it_cordoned_just_now():
    world = beside(node("w2", cordoned=True, mark="unnamed"))
    world.fake.evictions[path("web")] = [(403, "Forbidden", 'User "x" cannot')]
    world.fails(**TOGETHER, operation="unnamed")
    assert stands(world, "w2") == (True, "unnamed")


def test_somebody_elses_cordon_of_a_node_that_is_drained_next_is_refused_before_anything_is_touched():
    world = beside(node("w2", cordoned=True))
    assert "node w2 was cordoned by somebody else" in str(world.fails(**TOGETHER))
    assert world.wrote() == []


@pytest.mark.parametrize("check", [False, True])
def test_somebody_elses_cordon_and_pods_that_would_be_lost_are_refused_before_anything_is_touched(check):
    theirs = World(web(), cordoned=True)
    assert "cordoned by somebody else" in str(theirs.fails(check=check))
    bare = World(web(), pod("bare"))
    assert "shop/bare (it has no controller" in str(bare.fails(check=check))
    assert theirs.wrote() == bare.wrote() == []


def test_a_budget_is_asked_again_every_five_seconds_until_it_allows():
    world = World(web(), web("free"))
    world.fake.evictions[path("web")] = [BLOCKED] * 3
    done = world.flow().drained()
    assert titles(done.evicted) == ["shop/free", "shop/web"]
    assert 15 <= world.now < 17
    assert world.wrote().count(("POST", path("web") + EVICTED)) == 4


def test_a_budget_that_never_allows_is_named_and_the_node_takes_pods_again():
    world = World(web(labels={"app": "web"}), web("free"))
    world.fake.evictions[path("web")] = [BLOCKED] * 99
    world.fake.objects["/apis/policy/v1/namespaces/shop/poddisruptionbudgets/b"] = budget("b", {"matchLabels": {"app": "web"}})
    failed = world.fails(timeout=20)
    said = str(failed)
    assert "after 20 s: shop/web (HTTP 429 TooManyRequests: Cannot evict pod" in said
    assert "Budgets that allow no disruption: shop/b (1 healthy pods, 1 needed)" in said
    assert said.endswith("Node w1 takes pods again")
    assert (world.cordoned, world.mark) == (False, None)
    assert (titles(failed.evicted), failed.changed) == (["shop/free"], True)
    assert 20 <= world.now <= 21


def test_budgets_that_cannot_be_read_do_not_hide_the_failure():
    world = World(web())
    world.fake.evictions[path("web")] = [BLOCKED] * 99
    flow = world.flow(timeout=0)
    real = flow.kube.list

    def unreadable(api_version, kind, **more):
        if kind == "PodDisruptionBudget":
            raise _kube.KubeRefused("GET", "m1", 403, "Forbidden", "no")
        return real(api_version, kind, **more)

    flow.kube.list = unreadable
    with pytest.raises(_node_flow.NodeError, match="violate the pod's disruption budget"):
        flow.drained()


def test_a_pod_that_does_not_end_is_named():
    world = World(web("stuck", deletionTimestamp="x"), ready="True")
    said = str(world.fails(timeout=10))
    assert "shop/stuck (it is still ending)" in said
    assert "finalizers" in said


def test_a_node_whose_kubelet_died_is_named_when_its_pods_do_not_end():
    world = World(web("stuck", deletionTimestamp="x"), ready="True")
    world.at = {5: lambda: world.fake.objects.update({NODE: node(cordoned=True, mark="op", ready="Unknown")})}
    said = str(world.fails(timeout=10))
    assert "`systemctl start kubelet`" in said
    assert "finalizers" not in said


def test_a_node_that_cannot_be_read_at_the_end_does_not_hide_the_failure():
    world = World(web("stuck", deletionTimestamp="x"), ready="Unknown")
    world.at = {10: lambda: world.fake.objects.pop(NODE)}
    assert "shop/stuck (it is still ending)" in str(world.fails(timeout=10))


@pytest.mark.parametrize(
    ("about", "options", "words", "cordoned", "mark"),
    [
        ({}, {}, "takes pods again", False, None),
        ({"mark": "old"}, {}, "takes pods again", False, None),
        ({}, {"keep_cordoned": True}, "stays cordoned, as keep_cordoned says", True, "op"),
        ({"cordoned": True, "mark": "before"}, {}, "takes pods again", False, None),
        ({"cordoned": True, "mark": "unnamed"}, {"operation": "unnamed"}, "was cordoned before this run", True, "unnamed"),
        ({"cordoned": True}, {"take_over": True}, "is cordoned as it was before", True, None),
        ({"cordoned": True}, {"take_over": True, "keep_cordoned": True}, "stays cordoned", True, "op"),
    ],
)
@pytest.mark.parametrize(
    "refusal", [(403, "Forbidden", 'User "x" cannot'), (500, "InternalError", "more than one PodDisruptionBudget")]
)
def test_after_any_failure_the_node_stands_as_it_was_found(about, options, words, cordoned, mark, refusal):
    world = World(web(), **about)
    world.fake.evictions[path("web")] = [refusal]
    failed = world.fails(**options)
    assert refusal[2] in str(failed) and words in str(failed)
    assert (world.cordoned, world.mark) == (cordoned, mark)
    assert failed.changed is bool(options.get("keep_cordoned"))
    assert world.now == 0, "no patience mends it"


def test_a_defect_of_ours_does_not_leave_the_node_out_of_use():
    world = World(web())
    flow = world.flow()
    flow.kube.evict = None
    with pytest.raises(_node_flow.NodeError, match="takes pods again"):
        flow.drained()
    assert not world.cordoned


def test_a_cordon_that_cannot_be_taken_back_is_said_beside_the_first_failure():
    world = World(web())
    world.fake.evictions[path("web")] = [(403, "Forbidden", "first")]
    flow = world.flow()
    write = flow._write
    flow._write = lambda change, name: write(change, name) if change["spec"]["unschedulable"] else flow.kube.get("v1", "X", "x")
    with pytest.raises(_node_flow.NodeError, match=r"first.*may still be cordoned.*`kubectl uncordon w1`"):
        flow.drained()


def test_an_api_server_that_stops_for_a_moment_is_outlived():
    world = World(web())
    world.fake.evictions[path("web")] = [(503, "", "starting"), (409, "Conflict", "uid"), (500, "", "leader changed")]
    assert titles(world.flow().drained().evicted) == ["shop/web"]


def test_a_pod_that_went_by_itself_is_no_eviction_of_ours():
    world = World(web())
    world.fake.evictions[path("web")] = [(404, "NotFound", "gone")]
    world.at = {1: lambda: world.fake.objects.pop(path("web"))}
    assert world.flow().drained().evicted == ()


def test_a_pod_that_comes_between_the_look_and_the_cordon_goes_too_or_is_refused():
    for late, fails in ((web("late"), False), (pod("late"), True)):
        world = World(web())
        world.at = {1: lambda world=world, late=late: world.fake.objects.update({path("late"): late})}
        world.fake.evictions[path("web")] = [BLOCKED]
        if fails:
            assert "shop/late" in str(world.fails())
            assert not world.cordoned
        else:
            assert titles(world.flow().drained().evicted) == ["shop/late", "shop/web"]


def test_volumes_are_waited_for_and_those_left_are_told():
    world = World(web())
    world.attach("pv-a")
    world.attach("pv-b", where="w2")
    world.at = {5: lambda: world.fake.objects.pop("/apis/storage.k8s.io/v1/volumeattachments/pv-a")}
    assert world.flow().drained().attached == ()
    assert 5 <= world.now < 6
    world.attach("pv-a")
    done = world.flow(detach_timeout=10).drained()
    assert (done.attached, done.changed) == (("pv-a",), False)
    assert done.reason.endswith("still attached: pv-a")
    assert 15 <= world.now < 17


def test_pods_of_a_dead_host_are_deleted_and_its_volumes_left_to_the_control_plane():
    world = World(web(), web("ending", deletionTimestamp="x"), pod("agent", owners=["DaemonSet"]))
    world.attach("pv")
    done = world.flow(node_dead=True).drained()
    assert world.wrote() == [("PATCH", NODE), ("DELETE", path("ending")), ("DELETE", path("web"))]
    assert (titles(done.evicted), titles(done.left)) == (["shop/ending", "shop/web"], ["shop/agent"])
    assert world.now < 2


def test_a_host_that_lives_is_not_treated_as_dead():
    world = World(web(), ready="True")
    with pytest.raises(_kube.KubeNotYet, match="its kubelet still reports") as caught:
        world.flow(node_dead=True, timeout=40).drained()
    said = _failure.message(caught.value)
    assert "node_dead" not in said, "playbooks set it, nobody who reads this"
    assert said.endswith(f"Next: {_node_flow.SWITCH_OFF}") and "make it reachable by SSH" in said
    assert world.wrote() == []
    world.at = {60: lambda: world.fake.objects.update({NODE: node(ready="Unknown")})}
    assert world.flow(node_dead=True).drained().changed


def test_orphans_of_a_daemonset_are_refused_without_force():
    world = World(pod("orphan", owners=[owner("DaemonSet", "gone")]))
    assert "DaemonSet gone is gone" in str(world.fails())
    assert titles(world.flow(force=True).drained().evicted) == ["shop/orphan"]


@pytest.mark.parametrize("state", ["drained", "ready"])
def test_a_node_nobody_knows_is_a_misspelt_name(state):
    world = World(name="w2")
    world.fake.objects = {"/api/v1/nodes/w2": world.fake.objects.pop(NODE)}
    with pytest.raises(_node_flow.NodeError, match="there is no node w1 .* it knows w2"):
        getattr(world.flow(), state)()


@pytest.mark.parametrize(
    ("about", "changed", "words", "cordoned"),
    [
        ({}, False, "takes pods", False),
        ({"mark": "op"}, True, "mark that operation 'op' left goes", False),
        ({"cordoned": True, "mark": "another"}, True, "cordon of operation 'another' goes", False),
        ({"cordoned": True}, False, "cordoned by somebody else", True),
        ({"cordoned": True, "mark": "op", "found": "kubectl-cordon"}, True, "before operation 'op' and stays", True),
    ],
)
def test_ready_takes_back_what_is_ours(about, changed, words, cordoned):
    world = World(**about)
    assert world.flow(check=True).ready().changed is changed
    assert world.wrote() == []
    done = world.flow().ready()
    assert (done.changed, world.cordoned, world.mark) == (changed, cordoned, None)
    assert words in done.reason
    assert done.after == {"unschedulable": cordoned, "operation": ""}
    assert FOUND not in world.fake.objects[NODE]["metadata"]["annotations"]
    assert not world.flow().ready().changed


def test_a_run_leaves_a_node_to_who_drained_it_by_hand():
    """Its turn ends by letting the node take pods again, also after a drain that was refused."""
    world, run = World(web()), {"operation": "0123456789abcdef"}
    world.flow(operation="disk-swap").drained()
    wrote = world.wrote()
    assert "w1 was cordoned by somebody else (kube_node, for operation 'disk-swap')" in str(world.fails(**run))
    assert not world.flow(**run).ready().changed
    assert (world.cordoned, world.mark, world.wrote()) == (True, "disk-swap", wrote)
    world.flow().ready()
    assert not world.cordoned


def test_a_run_goes_on_where_another_was_cut_off_and_takes_its_cordon_back():
    world = World(web(), cordoned=True, mark="fedcba9876543210")
    assert titles(world.flow(operation="0123456789abcdef").drained().evicted) == ["shop/web"]
    assert world.flow(operation="0123456789abcdef").ready().changed
    assert (world.cordoned, world.mark) == (False, None)


def test_a_removal_that_is_given_up_leaves_a_node_cordoned_as_it_found_it():
    world = World(web(), cordoned=True, setters=[("kubectl-cordon", "2026-01-01T00:00:00Z", ["cordon"])])
    world.flow(take_over=True).drained()
    assert world.mark == "op"
    assert not world.flow(take_over=True, operation="again").drained().changed, "a run that goes on finds it so"
    assert "kubectl-cordon at 2026-01-01T00:00:00Z" in str(world.fails(operation="upgrade")), "it is still theirs"
    world.flow().ready()
    assert (world.cordoned, world.mark) == (True, None)
    assert world.fake.objects[NODE]["metadata"]["annotations"] == {}


def test_absent_deletes_the_object_once():
    world = World(cordoned=True, mark="op")
    assert world.flow(check=True).absent().changed
    assert NODE in world.fake.objects
    done = world.flow().absent()
    assert (done.changed, done.before, done.after) == (True, {"unschedulable": True, "operation": "op"}, None)
    assert NODE not in world.fake.objects
    assert not world.flow().absent().changed


def test_a_node_that_a_cut_off_run_has_deleted_counts_as_drained_where_that_is_said():
    world = World()
    del world.fake.objects[NODE]
    outcome = world.flow(missing_ok=True, node_dead=True).drained()
    assert (outcome.changed, outcome.after, outcome.reason) == (False, None, "there is no node w1")
