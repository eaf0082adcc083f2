# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import functools
import json
import time
from unittest import mock

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible_collections.multimaster.kubernetes.plugins.action import topology
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _drain, _plan
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _document, _inventory_view, _known
from cluster_fixtures import VARIABLES, address, fresh, living, member
from hostvars_fixtures import Templated


def task_vars(folder, masters=("m1",), workers=(), observed=None, age=0.0, **more):
    """Return what Ansible hands to an action plugin; `more` are variables of all hosts."""
    now = time.time() - age
    hostvars = {}
    for name in (*masters, *workers):
        seen = (observed or {}).get(name) or fresh(name)
        seen.update(clock=now, clock_window=[now - 0.1, now + 0.1])
        hostvars[name] = dict(
            VARIABLES,
            ansible_host=address(name),
            inventory_dir=str(folder),
            ansible_facts={"multimaster_host": seen},
            preflight_result={"changed": False},
            **more,
        )
    groups = {"all": list(hostvars), "ungrouped": [], "kube_control_plane": list(masters)}
    if workers:
        groups["kube_node"] = list(workers)
    return {"groups": groups, "hostvars": hostvars}


def run(variables, check_mode=True, **args):
    task = mock.MagicMock(args=args, async_val=0, check_mode=check_mode, diff=False, action="multimaster.kubernetes.topology")
    plugin = topology.ActionModule(task, mock.MagicMock(), mock.MagicMock(), DataLoader(), mock.MagicMock(), None)
    return plugin.run(task_vars=variables)


@pytest.fixture
def shown():
    """Return what was displayed, as texts."""
    return []


@pytest.fixture
def warned(monkeypatch, shown):
    lines = []
    monkeypatch.setattr(topology, "Display", lambda: mock.MagicMock(warning=lines.append, display=shown.append))
    monkeypatch.setattr(_document, "Display", lambda: mock.MagicMock(display=shown.append))
    return lines


def words(shown):
    """Return what was displayed with every run of white space as one space."""
    return " ".join(" ".join(shown).split())


@pytest.mark.parametrize(("forks", "batch"), [({}, "4"), ({"ansible_forks": 3}, "3"), ({"ansible_forks": "4"}, "4")])
def test_no_more_workers_restart_together_than_forks_drain_them(tmp_path, warned, forks, batch):
    variables = task_vars(tmp_path, workers=["w1", "w2"], multimaster_upgrade_batch="4")
    assert run({**variables, **forks})["multimaster"]["upgrade_batch"] == batch


def test_one_master_and_one_worker_become_the_fact(tmp_path, warned):
    result = run(task_vars(tmp_path, workers=["w1"]))
    fact = result["multimaster"]
    assert (result["changed"], result["findings"], warned) == (False, [], [])
    assert (fact["masters"], fact["workers"], fact["order"]["bootstrap"]) == (["m1"], ["w1"], "m1")
    assert fact["ca_store"] == str(tmp_path / "pki")
    assert fact["kubeconfig"] == str(tmp_path / "admin.conf")
    assert fact["ca_may_be_created"] is True
    assert _drain.RUN.fullmatch(fact["run"]), "a cordon of a run is known by it"
    assert json.loads(json.dumps(fact)) == fact


def test_errors_stop_the_run_with_every_finding_in_one_table(tmp_path, warned, shown):
    variables = task_vars(tmp_path, multimaster_endpoint_adress="x", multimaster_pod_cidr="192.0.2.0/24")
    result = run(variables)
    assert result["failed"] is True
    assert "multimaster" not in result
    assert len(shown) == 1
    for text in ("setting-unknown", "multimaster_endpoint_address?", "network-overlap"):
        assert text in shown[0]
    for text in ("setting-unknown (cluster)", "network-overlap (cluster)", "multimaster_preflight_ignore"):
        assert text in result["msg"]
    assert result["msg"].endswith("Next: do what the table says of each, then run again.")


def test_who_looks_a_second_time_says_what_was_done_before(tmp_path, warned, shown):
    variables = task_vars(tmp_path, multimaster_pod_cidr="192.0.2.0/24")
    assert "(cluster). Nothing was touched. " in run(variables)["msg"]
    renewed = run(variables, so_far="Certificates that had expired were renewed; nothing else was touched.")["msg"]
    assert "(cluster). Certificates that had expired were renewed; nothing else was touched. " in renewed
    assert "Nothing was touched" not in renewed


def test_a_preflight_that_passes_says_how_many_hosts_are_fine(tmp_path, warned, shown):
    run(task_vars(tmp_path), only="preflight")
    run(task_vars(tmp_path, masters=["m1", "m2"]), only="preflight")
    assert shown[0].strip() == "1 host, no problem found"
    assert "members-even" in shown[1]
    assert shown[1].strip().endswith("2 hosts, no problem found, 1 warning(s)")
    assert warned == []


def test_a_host_that_could_not_be_reached_is_reported_with_the_reason(tmp_path, warned, shown):
    variables = task_vars(tmp_path, masters=["m1", "m2", "m3"])
    host = variables["hostvars"]["m2"]
    host["ansible_facts"] = {}
    host["preflight_result"] = {
        "unreachable": True,
        "msg": "Task failed: Failed to connect to the host via ssh: Warning: x\r\nssh: connect: No route to host",
    }
    assert "host-unreachable (m2)" in run(variables)["msg"]
    assert "not observed: ssh:" in words(shown)
    assert _inventory_view.reasons(["m1", "m2"], variables["hostvars"]) == {"m2": "ssh: connect: No route to host"}


def test_warnings_are_shown_once_each_and_do_not_stop(tmp_path, warned):
    result = run(task_vars(tmp_path, masters=["m1", "m2"]))
    assert [finding["check"] for finding in result["findings"]] == ["members-even"]
    assert len(warned) == 1


@pytest.mark.parametrize("check", ["memory", "setting-unknown"])
def test_checks_are_left_out_by_id(tmp_path, warned, check):
    more = {"memory": {}, "setting-unknown": {"multimaster_xyzzy": 1}}[check]
    observed = {"m1": fresh("m1", memory_mib=1)} if check == "memory" else None
    assert run(task_vars(tmp_path, observed=observed, **more))["failed"] is True
    assert not run(task_vars(tmp_path, observed=observed, multimaster_preflight_ignore=[check], **more)).get("failed")


def test_limits_of_the_users_own_are_not_judged_by_the_kubelets_defaults(tmp_path, warned):
    short = {"m1": fresh("m1", disk_free_percent={"/var/lib/containerd": 1.0})}
    assert [one["check"] for one in run(task_vars(tmp_path, observed=short))["findings"]] == ["disk-pressure"]
    own = {"evictionHard": {"imagefs.available": "1Gi"}}
    assert run(task_vars(tmp_path, observed=short, kubelet_extra_config=own))["findings"] == []


def test_only_preflight_plans_nothing_and_only_topology_judges_no_host(tmp_path, warned):
    observed = {"m1": fresh("m1", memory_mib=1)}
    assert "plan" not in run(task_vars(tmp_path), only="preflight")
    assert "memory (m1)" in run(task_vars(tmp_path, observed=observed), only="preflight")["msg"]
    assert run(task_vars(tmp_path, observed=observed), only="topology")["multimaster"]["masters"] == ["m1"]


def test_a_fact_from_a_cache_is_no_observation(tmp_path, warned):
    result = run(task_vars(tmp_path, age=1000))
    assert "host-unreachable" in result["msg"]
    assert not run(task_vars(tmp_path, age=1000), max_age=2000).get("failed")


@pytest.mark.parametrize("args", [{}, {"only": "topology"}, {"only": "preflight"}])
def test_a_run_that_leaves_a_host_out_decides_nothing_whatever_a_cache_holds_of_it(tmp_path, warned, shown, args):
    variables = task_vars(tmp_path, workers=["w1"], multimaster_preflight_ignore=["host-left-out", "host-unreachable"])
    del variables["hostvars"]["w1"]["preflight_result"]
    result = run({**variables, "ansible_limit": "m1,localhost"}, **args)
    assert result["failed"] and "multimaster" not in result
    assert "1 problem(s) to solve first, see the table above: host-left-out (w1). Nothing was touched." in result["msg"]
    assert "--limit m1,localhost" in words(shown) and "left out by its id" not in result["msg"]


def test_a_host_that_was_never_observed_is_reported(tmp_path, warned):
    variables = task_vars(tmp_path, workers=["w1"])
    variables["hostvars"]["w1"]["ansible_facts"] = {}
    assert "host-unreachable" in run(variables)["msg"]


def test_a_living_cluster_without_its_store_is_not_given_a_new_one(tmp_path, warned):
    observed = {"m1": living("m1", [member("m1")])}
    assert "ca-store (cluster)" in run(task_vars(tmp_path, observed=observed))["msg"]
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / _known._ca_store.MANIFEST).write_text("{}")
    assert not run(task_vars(tmp_path, observed=observed)).get("failed")


def test_a_relative_store_lies_beside_the_inventory(tmp_path, warned):
    fact = run(task_vars(tmp_path, multimaster_ca_store="keys"))["multimaster"]
    assert fact["ca_store"] == str(tmp_path / "keys")


def test_hosts_with_other_settings_are_reported(tmp_path, warned):
    variables = task_vars(tmp_path, workers=["w1"])
    variables["hostvars"]["w1"]["multimaster_cluster_name"] = "other"
    assert "setting-differs" in run(variables)["msg"]


def test_a_template_that_cannot_be_worked_out_is_reported_with_the_rest(tmp_path, warned, shown):
    variables = task_vars(tmp_path, multimaster_network="x", multimaster_endpoint_port="y")
    variables["hostvars"]["m1"] = Templated(("multimaster_network",), **variables["hostvars"]["m1"])
    run(variables)
    assert "nothere" in words(shown)
    assert "multimaster_endpoint_port" in words(shown)


def test_an_empty_inventory_says_what_to_write(warned):
    result = run({"groups": {"all": [], "ungrouped": []}, "hostvars": {}})
    assert "inventory-no-master" in result["msg"]


def test_secrets_do_not_repeat_between_runs(tmp_path, warned):
    facts = [run(task_vars(tmp_path))["multimaster"] for _run in range(2)]
    assert facts[0]["run"] != facts[1]["run"]
    assert facts[0]["etcd"]["token"] != facts[1]["etcd"]["token"]


def living_three(tmp_path, **more):
    """Return a healthy cluster of three masters and a worker, with its CA store."""
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "store.json").write_text("{}")
    names = ("m1", "m2", "m3")
    members = [member(name) for name in names]
    seen = {name: living(name, members) for name in names} | {"w1": living("w1", members, master=False)}
    return task_vars(tmp_path, masters=names, workers=["w1"], observed=seen, **more)


@pytest.mark.parametrize(
    ("leaving", "check", "said"),
    [
        ("", "request-unknown", "no host is named"),
        ("m9", "request-unknown", "m9 is no host of the inventory"),
        ("m1,m2,m3", "request-refused", "no master"),
    ],
)
def test_what_cannot_leave_is_refused_before_anything_is_touched(tmp_path, warned, shown, monkeypatch, leaving, check, said):
    monkeypatch.setattr(_known._ca_store, "exists", lambda store: True)
    result = run(living_three(tmp_path), remove=leaving)
    assert result["failed"] and check in result["msg"] and "Nothing was touched" in result["msg"]
    assert said in words(shown) and "multimaster" not in result


def test_the_plan_is_shown_and_the_hosts_that_leave_are_judged_no_more(tmp_path, warned, shown, monkeypatch):
    monkeypatch.setattr(_known._ca_store, "exists", lambda store: True)
    variables = living_three(tmp_path)
    variables["hostvars"]["m2"]["ansible_facts"] = {}
    assert "host-unreachable (m2)" in run(variables, remove="w1")["msg"]
    result = run(variables, remove="m2", drifted=[])  # of the two that are left one may have to give way
    assert not result.get("failed"), result["msg"]
    assert result["multimaster"]["masters"] == ["m1", "m3"]
    assert "What will be done: 1. forget m2 its pods are taken as gone" in words(shown)
    assert "etcd: 2 of 3 healthy, quorum 2 -> 2 of 2 healthy, quorum 2" in words(shown)


@pytest.mark.parametrize(
    ("request_of", "note"), [({}, _plan.NOT_COMPARED), ({"remove": "w1"}, _plan.AS_SITE_YML), ({"roll": "w1"}, "")]
)
def test_what_a_plan_does_not_compare_is_said_in_the_text_and_in_the_document(
    tmp_path, warned, shown, monkeypatch, request_of, note
):
    monkeypatch.setattr(_known._ca_store, "exists", lambda store: True)
    variables = living_three(tmp_path)
    result = run(variables, **request_of)
    assert not result.get("failed"), result["msg"]
    text, document = words(shown), run(variables, format="json", **request_of) and shown[-1]
    for one in (_plan.NOT_COMPARED, _plan.AS_SITE_YML):
        assert all((one in told) is (one == note) for told in (result["plan"]["notes"], text, document)), one


def test_a_plan_with_steps_fails_where_it_must_be_empty(tmp_path, warned, shown, monkeypatch):
    monkeypatch.setattr(_known._ca_store, "exists", lambda store: True)
    variables = living_three(tmp_path)
    assert not run(variables, must="be_empty").get("failed")
    assert "Nobody joins, leaves or moves." in words(shown)
    result = run(variables, must="be_empty", remove="w1")
    assert result["failed"] and "nothing was touched. Next: read the plan above, then run" in result["msg"]


def test_of_two_members_the_plan_is_shown_once_it_is_known_who_has_to_restart(tmp_path, warned, shown, monkeypatch):
    monkeypatch.setattr(_known._ca_store, "exists", lambda store: True)
    members = [member("m1"), member("m2", learner=True)]
    variables = task_vars(tmp_path, masters=("m1", "m2"), observed={name: living(name, members) for name in ("m1", "m2")})
    first = run(variables, must="be_empty")
    assert first["multimaster"]["order"]["sole_voters"] == "m1"
    assert first["multimaster"]["order"]["again"] == "localhost"
    assert "plan" not in first and (shown, warned) == ([], []) and not first.get("failed")
    same = run(variables, must="be_empty", drifted=[])
    assert same["plan"]["steps"] == [] and not same.get("failed")
    for decided in (same, run(variables, only="topology")):
        order = decided["multimaster"]["order"]
        assert (order["sole_voters"], order["again"]) == ("all:!all", "all:!all"), "nobody is looked at a second time"
    changed = run(variables, must="be_empty", drifted=["m1"])
    assert changed["failed"] and [step["kind"] for step in changed["plan"]["steps"]][0] == "promote"
    assert changed["multimaster"]["order"]["demote"] == "m1"
    assert "m2 votes instead of it" in words(shown)


def test_the_plan_is_one_line_for_a_program_and_kept_in_a_file(tmp_path, warned, shown, monkeypatch):
    monkeypatch.setattr(_known._ca_store, "exists", lambda store: True)
    kept = tmp_path / "plan.json"
    result = run(living_three(tmp_path), False, remove="w1", format="json", output=str(kept))
    assert json.loads(shown[-1]) == json.loads(kept.read_text()) == result["plan"]
    assert [step["kind"] for step in result["plan"]["steps"]] == ["drain", "clean"]


def test_in_check_mode_the_plan_is_kept_nowhere(tmp_path, warned, shown, monkeypatch):
    monkeypatch.setattr(_known._ca_store, "exists", lambda store: True)
    kept = tmp_path / "plan.json"
    assert run(living_three(tmp_path), remove="w1", output=str(kept))["plan"]["steps"] and not kept.exists()


def back_to_an_older_etcd(tmp_path, **more):
    """Return a cluster whose members all run etcd 3.7, where 3.6 is wanted."""
    variables = living_three(tmp_path, multimaster_etcd_version="3.6.16", multimaster_kubernetes_version="1.36.3", **more)
    programs = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
    for name, host in variables["hostvars"].items():
        seen = host["ansible_facts"]["multimaster_host"]
        seen["versions"] = dict.fromkeys(programs[3:] if name == "w1" else programs, "1.36.3")
        if name != "w1":
            seen["versions"]["etcd"] = seen["etcd"]["status"]["version"] = "3.7.3"
            seen["etcd"]["status"]["storage_version"] = "3.7.0"
    return variables


def next_minor(tmp_path, **more):
    """Return a cluster that runs Kubernetes 1.36 and etcd 3.6, where the next minors are wanted; `more`: of all hosts."""
    variables = living_three(tmp_path, multimaster_etcd_version="3.7.3", multimaster_kubernetes_version="1.37.2", **more)
    for name, host in variables["hostvars"].items():
        seen = host["ansible_facts"]["multimaster_host"]
        seen["versions"] = dict.fromkeys(("kubelet", "kube-proxy"), "1.36.3")
        if name != "w1":
            seen["versions"].update(dict.fromkeys(("kube-apiserver", "kube-controller-manager", "kube-scheduler"), "1.36.3"))
            seen["versions"]["etcd"] = seen["etcd"]["status"]["version"] = "3.6.16"
    return variables


GONE = {"featureGates": {"SidecarContainers": True}}
ARGUMENTS = {
    "etcd": ("etcd_extra_flags", {"experimental-memory-mlock": True}, "m1, m2, m3: etcd 3.7.3 does not start with the flag"),
    "kube-apiserver": (
        "kube_apiserver_extra_flags",
        {"feature-gates": "SidecarContainers=true"},
        "m1, m2, m3: kube-apiserver 1.37.2 does not start with the feature gate SidecarContainers",
    ),
    "kube-controller-manager": (
        "kube_controller_manager_extra_flags",
        {"concurrent-service-syncs": 2},
        "m1, m2, m3: kube-controller-manager 1.37.2 does not start with the flag concurrent-service-syncs",
    ),
    "kube-scheduler": (
        "kube_scheduler_extra_flags",
        {"feature-gates": ["GangScheduling=true"]},
        "m1, m2, m3: kube-scheduler 1.37.2 does not start with the feature gate GangScheduling",
    ),
    "kubelet": (
        "kubelet_extra_config",
        GONE,
        "m1, m2, m3 and 1 more: kubelet 1.37.2 does not start with the feature gate SidecarContainers",
    ),
    "kube-proxy": (
        "kube_proxy_extra_config",
        GONE,
        "m1, m2, m3 and 1 more: kube-proxy 1.37.2 does not start with the feature gate SidecarContainers",
    ),
}


@pytest.fixture
def in_lines(monkeypatch):
    """Have findings shown as lines, which no column breaks."""
    monkeypatch.setattr(topology._finding, "table", lambda findings: "\n".join(one.line() for one in findings))
    monkeypatch.setattr(_known._ca_store, "exists", lambda store: True)


@pytest.mark.parametrize("program", ARGUMENTS)
@pytest.mark.usefixtures("in_lines")
def test_an_upgrade_is_refused_for_what_a_user_gives_a_program_on_every_host_that_runs_it(tmp_path, warned, shown, program):
    name, value, said = ARGUMENTS[program]
    refused = run(next_minor(tmp_path, **{name: value}), upgrade=True)
    assert refused["failed"] and "request-refused" in refused["msg"] and "Nothing was touched" in refused["msg"]
    (line,) = shown[0].strip().splitlines()
    assert line.startswith(said) and f" of {name}: it is gone since " in line and f"out of {name} [request-refused]" in line
    (tmp_path / "again").mkdir()
    assert not run(next_minor(tmp_path / "again"), upgrade=True).get("failed")


@pytest.mark.parametrize("name", ["kubelet_extra_config", "kube_proxy_extra_config"])
@pytest.mark.usefixtures("in_lines")
def test_a_workers_own_configuration_is_read_and_of_it_the_gates_only(tmp_path, warned, shown, name):
    variables = next_minor(tmp_path)
    # A field called like a flag of the kubelet's that is gone, and values that are no configuration.
    variables["hostvars"]["w1"][name] = {"containerd": "x", "featureGates": {"HPAConfigurableTolerance": True}}
    assert not run(variables, upgrade=True).get("failed")
    variables["hostvars"]["m1"][name] = variables["hostvars"]["m2"][name] = "text"
    said = run(variables, upgrade=True)["msg"]
    assert said.startswith("1 problem(s)") and "role-input-invalid (m1)" in said and "(on m1, m2) (wanted" in shown[-1]
    variables["hostvars"]["m1"][name] = variables["hostvars"]["m2"][name] = {}
    variables["hostvars"]["w1"][name] = {"featureGates": {"HPAConfigurableTolerance": False}}
    assert run(variables, upgrade=True)["failed"]
    (line,) = shown[-1].strip().splitlines()
    assert line.startswith("w1: kube") and "HPAConfigurableTolerance" in line and "can only be true since 1.37" in line


def test_etcd_goes_back_a_minor_only_when_that_is_allowed_for_the_run(tmp_path, warned, shown, monkeypatch):
    monkeypatch.setattr(_known._ca_store, "exists", lambda store: True)
    refused = run(back_to_an_older_etcd(tmp_path), upgrade=True)
    assert "request-refused" in refused["msg"]
    assert "etcd_allow_downgrade=true" in "".join(words(shown).split())
    (tmp_path / "again").mkdir()
    allowed = run(back_to_an_older_etcd(tmp_path / "again", etcd_allow_downgrade="true"), upgrade=True)
    assert not allowed.get("failed"), allowed["msg"]
    fact = allowed["multimaster"]
    assert fact["downgrade"] == "enabled"
    assert [fact["order"][name] for name in ("snapshot", "downgrade", "downgraded")] == ["m1", "m1", "m1"]
    assert fact["way_back"]["etcd"]["m1"] == "run again with etcd 3.7.3: the downgrade is called off"
    assert fact["way_back"]["control"]["m3"] == fact["way_back"]["end"] == "run again with etcd 3.7.3"


@pytest.mark.parametrize(
    ("asked", "operation", "before", "seconds"),
    [
        ({"upgrade": True}, "upgrade", "before.yml", 30),
        ({"roll": ["m2"]}, "roll", "before.yml", 0),
        ({"remove": ["w1"]}, "", "", 0),
        ({}, "", "", 0),
        ({"only": "topology"}, "", "", 0),
    ],
)
def test_hooks_and_the_canary_are_for_turns_that_were_asked_for(
    tmp_path, warned, shown, monkeypatch, asked, operation, before, seconds
):
    monkeypatch.setattr(_known._ca_store, "exists", lambda store: True)
    (tmp_path / "before.yml").write_text("- name: x\n  ansible.builtin.debug:\n")
    more = {"multimaster_before_host": "before.yml", "multimaster_upgrade_canary_seconds": "30"}
    made = functools.partial(back_to_an_older_etcd, etcd_allow_downgrade=True) if "upgrade" in asked else living_three
    fact = run(made(tmp_path, **more), **asked)["multimaster"]
    assert fact["operation"] == operation
    assert fact["hooks"] == {"before": str(tmp_path / before) if before else "", "after": ""}
    assert fact["canary"] == {"seconds": seconds, "leader_changes": 1}


@pytest.mark.parametrize(
    ("asked", "stops"),
    [
        ({"upgrade": True}, True),
        ({"roll": ["m2"]}, True),
        ({"only": "preflight"}, True),
        ({"remove": ["w1"]}, False),
        ({}, False),
    ],
)
def test_a_hook_that_cannot_be_used_stops_what_would_run_it_and_the_preflight(tmp_path, warned, shown, monkeypatch, asked, stops):
    monkeypatch.setattr(_known._ca_store, "exists", lambda store: True)
    more = {"multimaster_before_host": "nothere.yml", "multimaster_after_host": "/nowhere/a.yml"}
    made = functools.partial(back_to_an_older_etcd, etcd_allow_downgrade=True) if "upgrade" in asked else living_three
    result = run(made(tmp_path, **more), **asked)
    assert bool(result.get("failed")) is stops
    if stops:
        assert "hook-unusable (cluster)" in result["msg"] and "Nothing was touched" in result["msg"]
        assert "multimaster_before_host" in "".join(words(shown).split())
        assert "/nowhere/a.yml" in "".join(words(shown).split())
        (tmp_path / "again").mkdir()
        again = run(made(tmp_path / "again", multimaster_preflight_ignore=["hook-unusable"], **more), **asked)
        assert not again.get("failed")


def with_balancers(variables, holder):
    """Return the same with HAProxy and keepalived on every master, of which one has the address ("" for none)."""
    for name in variables["groups"]["kube_control_plane"]:
        seen = variables["hostvars"][name]["ansible_facts"].get("multimaster_host")
        if seen:
            seen["units"].update(haproxy="active", keepalived="active")
            seen["endpoint_address"] = {"held_on": ["eth0"] if name == holder else []}
    return variables


def test_a_move_is_shown_though_hosts_are_not_as_they_should_be(tmp_path, warned, shown):
    variables = living_three(tmp_path)
    variables["hostvars"]["w1"]["ansible_facts"] = {}
    variables["hostvars"]["m1"]["ansible_facts"]["multimaster_host"]["memory_mib"] = 1
    result = run(with_balancers(variables, "m1"), move=True)
    assert not result.get("failed"), result["msg"]
    assert [(step["kind"], step["host"]) for step in result["plan"]["steps"]] == [("yield", "m1"), ("balance", "m1")]
    assert "1. yield m1 the endpoint address goes to m3, by VRRP priority before m2" in words(shown)
    order = result["multimaster"]["order"]
    assert (order["move"], order["may_hold"]) == ("m1", "m1,m2,m3")
    assert order["any_master"] == "m2", "the lock is not asked for through the master that is to be relieved"


def test_a_move_writes_no_master_out_that_nobody_listed(tmp_path, warned, shown):
    """Who holds the address would send it no adverts any more, and it would take the address beside the new holder."""
    variables = with_balancers(living_three(tmp_path), "m1")
    variables["groups"]["kube_control_plane"].remove("m3")
    result = run(variables, move=True)
    assert result["failed"] and "etcd-stray" in result["msg"] and "multimaster" not in result


@pytest.mark.parametrize(
    ("changed", "check"),
    [
        ({"multimaster_endpoint_port": 8443}, "cluster-changed (cluster)"),
        ({"multimaster_endpoint_address": "192.0.2.250"}, "cluster-changed (cluster)"),
        ({"multimaster_cluster_name": "test"}, "cluster-other (m1)"),
    ],
)
def test_a_move_writes_no_other_endpoint_than_the_cluster_was_made_with(tmp_path, warned, shown, changed, check):
    """The old holder would write it, ask it who answers at the address, and not come back as a backup."""
    variables = with_balancers(living_three(tmp_path), "m1")
    for host in variables["hostvars"].values():
        made = {"name": "prod", "endpoint": VARIABLES["multimaster_endpoint_address"], "endpoint_port": 6443}
        host["ansible_facts"]["multimaster_host"]["cluster"] = made
    assert not run(variables, move=True).get("failed")
    for host in variables["hostvars"].values():
        host.update(changed)
    result = run(variables, move=True)
    assert result["failed"] and check in result["msg"] and "ansible_facts" not in result


def test_a_move_that_nobody_can_make_is_refused_before_anything_is_touched(tmp_path, warned, shown):
    result = run(with_balancers(living_three(tmp_path), ""), move=True)
    assert result["failed"] and "request-refused" in result["msg"] and "Nothing was touched" in result["msg"]
    assert "no master was seen to have" in words(shown) and "multimaster" not in result


@pytest.mark.parametrize("asked", [{"move": True}, {"upgrade": True}, {"remove": "m9"}])
def test_a_refusal_is_no_check_to_leave_out_and_nobody_is_told_to(tmp_path, warned, shown, monkeypatch, asked):
    monkeypatch.setattr(_known._ca_store, "exists", lambda store: True)
    made = back_to_an_older_etcd if "upgrade" in asked else living_three
    variables = made(tmp_path, multimaster_preflight_ignore=["request-refused", "request-unknown", "ignore-unknown"])
    result = run(with_balancers(variables, ""), **asked)
    wanted = "request-unknown" if "remove" in asked else "request-refused"
    assert result["failed"] and wanted in result["msg"] and "multimaster" not in result
    assert "multimaster_preflight_ignore" not in result["msg"]


def test_beside_a_check_it_is_told_how_that_is_left_out(tmp_path, warned, shown):
    result = run(task_vars(tmp_path, observed={"m1": fresh("m1", memory_mib=1)}))
    assert "multimaster_preflight_ignore: [CHECK]" in result["msg"]


def test_two_requests_at_once_are_refused(tmp_path, warned, shown):
    result = run(with_balancers(living_three(tmp_path), "m1"), move=True, remove="w1")
    assert result["failed"] and "request-unknown" in result["msg"]
