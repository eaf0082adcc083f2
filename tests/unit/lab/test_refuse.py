# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals: what a run said, whether it is what should be said, and what it must not have touched."""

from __future__ import annotations

import datetime
import json
import pathlib
import string
import sys

import health_fixtures
import pytest
import yaml
from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _finding,
    _health_report,
    _keepalived,
    _lock,
    _lock_flow,
    _quorum,
    _summary,
)
from cluster_fixtures import address, inventory, living, member
from preflight_fixtures import judge

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))

import play
import refuse

ROOT = pathlib.Path(__file__).resolve().parents[3]
LONG = _finding.Finding(
    "",
    "ca-store",
    "CA store not found at /a/very/long/folder/that/no/column/of/the/table/holds/pki, but m1, m2 carry certificates",
    "the store the cluster was made with",
    "Copy it from where the cluster was built, restore it, or correct multimaster_ca_store. No new CA is made.",
)
SHORT = _finding.Finding("m2", "memory", "900 MiB", "1700 MiB", "Give it more.", _finding.WARNING)
STRAY = _finding.Finding("m3", "memory", "100 MiB", "1700 MiB", "Give it more.")


def output(*findings):
    """Return a run's output with the product's own table in it."""
    return f"TASK [Judge] ***\n\n{_finding.table(findings)}\n\nfatal: [localhost]: FAILED!\n  msg: 2 problem(s)\n"


def test_the_products_table_is_read_back_row_by_row_however_its_cells_wrap():
    rows = refuse.table_rows(output(LONG, STRAY, SHORT))
    assert [(row["level"], row["host"], row["check"]) for row in rows] == [
        ("error", "(cluster)", "ca-store"),
        ("error", "m3", "memory"),
        ("warning", "m2", "memory"),
    ]
    for row, finding in zip(rows, (LONG, STRAY, SHORT), strict=True):
        for cell in ("found", "wanted", "fix"):
            assert refuse.squeezed(row[cell]) == refuse.squeezed(getattr(finding, cell))


def test_an_output_without_a_table_has_no_rows():
    assert refuse.table_rows("TASK [x]\nLEVEL of water\n\nok") == []


def outcome(**fields):
    return play.Outcome("n", ["c"], **{"code": 2, "seconds": 5.0, **fields})


def test_errors_and_failed_tasks_are_what_was_said_and_warnings_are_not():
    said = refuse.what_was_said(outcome(failures=[{"message": "1 problem(s)"}]), output(STRAY, SHORT))
    assert said == ["100 MiB; wanted: 1700 MiB; Give it more.", "1 problem(s)"]


def test_words_are_found_across_the_places_where_a_cell_was_wrapped():
    said = refuse.what_was_said(outcome(), output(LONG))
    assert refuse.not_said(["not found at /a/very/long/folder/that/no/column/of/the/table/holds/pki, but m1"], said) == []
    assert refuse.not_said(["not found at /another"], said) == ["not found at /another"]


SEEN = {"m1 etcd.service": "process 7", "m1 kube-scheduler.service": "process 8", "the lock": "HTTP 404"}


def test_only_what_the_situation_itself_restarts_may_differ():
    other = {**SEEN, "m1 kube-scheduler.service": "process 99"}
    assert refuse.touched(SEEN, dict(SEEN), ()) == []
    assert refuse.touched(SEEN, other, ("kube-scheduler",)) == []
    assert refuse.touched(SEEN, other, ()) == ["m1 kube-scheduler.service was process 8, is process 99"]
    assert len(refuse.touched(SEEN, {**other, "m1 etcd.service": "process 9", "the lock": "[]"}, ("kube-scheduler",))) == 2
    assert refuse.touched(SEEN, {**SEEN, "the lock": "[]"}, (refuse.LOCK,)) == []
    assert refuse.touched(SEEN, {**other, "the lock": "[]"}, (refuse.LOCK,)) == [
        "m1 kube-scheduler.service was process 8, is process 99"
    ]


WORDS = ["what", "next"]


@pytest.mark.parametrize(
    ("made", "said", "differences", "wrong"),
    [
        (outcome(), ["what, why, next"], [], []),
        (outcome(), ["what"], [], ["it was not said: 'next'"]),
        (outcome(code=0), ["what, next"], [], ["it was not refused: it ended with code 0"]),
        (outcome(code=4), ["what, next"], [], ["it was not refused: it ended with code 4"]),
        (outcome(code=-9, cut="task 9 x"), [], [], ["it was not refused: it came as far as task 9 x"]),
        (outcome(seconds=refuse.WITHIN), ["what, next"], [], []),
        (outcome(seconds=30.1), ["what, next"], [], ["it took 30.1 s, longer than 30"]),
        (outcome(changed=["m1: y"]), ["what, next"], [], ["a task reports a change: m1: y"]),
        (outcome(), ["what, next"], ["the lock was a, is b"], ["it was touched: the lock was a, is b"]),
    ],
)
def test_a_run_is_held_to_being_refused(made, said, differences, wrong):
    assert refuse.wrong_with(made, said, WORDS, differences) == wrong


PLAYED = {"localhost": {"ok": 1}}


@pytest.mark.parametrize(
    ("made", "said", "differences", "wrong"),
    [
        (outcome(code=0, hosts=PLAYED), ["what", "next"], [], []),
        (outcome(code=0, hosts=PLAYED), ["what"], [], ["it was not said: 'next'"]),
        (outcome(hosts=PLAYED), ["what, next"], [], ["it ended with code 2"]),
        (outcome(code=0, hosts=PLAYED, changed=["m1: y"]), WORDS, [], ["a run with nothing to do reports 1 changes: m1: y"]),
        (outcome(code=0), WORDS, [], ["no host took part: wrong inventory or pattern"]),
        (outcome(code=0, hosts=PLAYED), WORDS, ["node w1 was a, is b"], ["it was touched: node w1 was a, is b"]),
    ],
)
def test_a_run_that_is_to_pass_is_held_to_doing_well_and_nothing(made, said, differences, wrong):
    assert refuse.wrong_with_passing(made, said, WORDS, differences) == wrong


def test_of_a_run_that_passes_the_lines_with_all_the_words_are_what_was_said():
    text = "node w1\nStrays  left alone: node w1, b\n\nleft\nalone\n"
    assert refuse.lines_with(["left alone:", "node w1"], text) == ["Strays  left alone: node w1, b"]


@pytest.mark.parametrize(
    ("refused", "passed", "line"),
    [
        (True, False, "x: refused in 5.2 s: because of it"),
        (False, True, "x: let pass in 5.2 s: because of it"),
        (False, False, "x: NOT refused (5.2 s): because of it"),
    ],
)
def test_each_situation_is_told_in_one_line(refused, passed, line):
    assert refuse.line_of(refuse.Result("x", refused, 5.21, "because\nof it", passed=passed)) == line


@pytest.mark.parametrize(
    ("made", "passed"),
    [(outcome(), False), (outcome(code=0), True), (outcome(code=0, cut="task 9 x"), False), (outcome(code=4), False)],
)
def test_only_a_run_that_came_to_its_end_and_well_did_pass(made, passed):
    assert refuse.did_pass(made) is passed


def test_a_digest_tells_names_and_contents_and_absence(tmp_path):
    assert refuse.digest(tmp_path / "no") == "absent"
    (tmp_path / "a").write_text("1")
    first = refuse.digest(tmp_path)
    (tmp_path / "a").write_text("2")
    second = refuse.digest(tmp_path)
    (tmp_path / "a").rename(tmp_path / "b")
    assert len({first, second, refuse.digest(tmp_path)}) == 3


def test_every_situation_names_what_and_what_next_and_a_playbook_that_exists():
    assert len({one.name for one in refuse.SITUATIONS}) == len(refuse.SITUATIONS)
    for one in refuse.SITUATIONS:
        assert len(one.says) >= 2, one.name
        assert (ROOT / one.command[0]).exists(), one.name
        assert all(field is None or field for text in one.says for _t, field, _s, _c in string.Formatter().parse(text))


def removal_refused(*healthy, alarms=()):
    """Return what the gate says of the removal of m2, one of three voters of which these are healthy."""
    members = tuple(_quorum.Member(name, name, healthy=name in healthy) for name in ("m1", "m2", "m3"))
    observed = _quorum.Cluster(members, "m1", ("1",), alarms, frozenset(("m1", "m2", "m3")))
    verdict = _quorum.judge(observed, _quorum.Step(_quorum.REMOVE, "m2"))
    assert not verdict.safe
    return f"remove m2: {verdict.reason}; {verdict.next_step}"


def left_out_refused(name):
    """Return what is said of a cluster of three masters when the inventory lacks one, as `table_rows` has it."""
    members = [member(one) for one in ("m1", "m2", "m3")]
    servers = {one: address(one) for one in ("m1", "m2", "m3")}
    observed = {"w1": living("w1", members, master=False)}
    for one in ("m1", "m2"):
        peers = [address(other) for other in servers if other != one]
        files = {"source": address(one), "peers": peers, "servers": servers}
        observed[one] = living(one, members, endpoint_files=files, cluster={"name": "prod"})
    listed = inventory([one for one in ("m1", "m2", "m3") if one != name], ["w1"])
    return refuse.what_was_said(outcome(), output(*judge(listed, observed, store=True)))


def health_told(disturb):
    """Return what health.yml says of a cluster of three masters that was disturbed, its failed task last."""
    made = health_fixtures.cluster(zones={"m1": "a", "m2": "b", "m3": "c", "w1": "a"})
    disturb(made)
    findings, verdict = made.judge()
    lines = _health_report.lines(_health_report.document(made.view(), findings, verdict))
    failure = {"message": f"{verdict.status}: {verdict.reason}. Next: {verdict.next_step}"}
    return refuse.what_was_said(outcome(failures=[failure]), "\n".join(lines) + "\n\n")


def member_stopped(made):
    """Let the member of m3 be stopped, and the API server beside it say so."""
    made.stop_etcd("m3")
    made.read["m3"]["api"].update(ready=False, failed=["etcd"])


def peer_lost(made):
    """Take m3 out of the peers of m2."""
    made.read["m2"]["balancer"]["peers"].remove(address("m3"))


def held_twice(made):
    """Let m2 have the address that m1 has, as both of them and m3 see it."""
    made.read["m2"]["balancer"]["held_on"] = ["refuse"]
    mac = "02:00:c0:00:02:0c"
    for name in ("m1", "m3"):
        made.read[name]["balancer"]["others"].append(mac)


def strays_told(*left):
    """Return the summary's lines on nodes of a cluster whose inventory lists three masters only."""
    hosts = {name: {"node_name": name, "member": True, "peer_url": ""} for name in ("m1", "m2", "m3")}
    return _summary.stray_lines({"hosts": hosts}, [{"name": name} for name in (*hosts, *left)], [])


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("quorum", [removal_refused("m1", "m2")]),
        ("master-left-out", left_out_refused("m3")),
        ("worker-left-out", strays_told("w1")),
        ("health-member-down", health_told(member_stopped)),
        ("health-peer-missing", health_told(peer_lost)),
        ("health-two-holders", health_told(held_twice)),
        (
            "no-space",
            [*_quorum.alarm_words("m1", "NOSPACE", "m1"), removal_refused("m1", "m2", "m3", alarms=(("m1", "NOSPACE"),))],
        ),
    ],
)
def test_the_words_that_are_wanted_are_those_of_the_product(name, told):
    (situation,) = [one for one in refuse.SITUATIONS if one.name == name]
    words = [one.format(address=address("m3"), holders="m1, m2") for one in situation.says if one != "Nothing was touched."]
    assert refuse.not_said(words, told) == []


def test_a_cluster_that_is_well_has_none_of_what_health_is_to_find():
    said = health_told(lambda made: None)
    assert len(said) == 1 and said[0].startswith("HEALTHY")


def test_an_inventory_without_a_host_says_nothing_of_it_and_all_of_the_others():
    hosts = {"m1": {"ansible_host": "1"}, "m3": {"ansible_host": "3"}}
    group = {
        "vars": {"a": 1},
        "hosts": hosts,
        "children": {"g": {"hosts": {"m1": {}, "m3": {}}, "children": {"h": {"hosts": {"m3": {}}}}}},
    }
    shorter = refuse.without(group, "m3")
    assert "m3" not in json.dumps(shorter)
    assert shorter["vars"] == group["vars"] and shorter["hosts"]["m1"] == {"ansible_host": "1"}
    assert "m1" in shorter["children"]["g"]["hosts"] and "m3" in group["hosts"]


def test_a_host_is_left_out_of_the_inventory_of_the_run_alone_and_only_meanwhile(tmp_path):
    lab = tmp_path / "inventory.json"
    hosts = {"m3": {"ansible_host": "3"}, "w1": {"ansible_host": "9"}}
    lab.write_text(json.dumps({"all": {"hosts": hosts}}))

    class Cluster:
        state, inventories, inventory = tmp_path, [str(lab), "settings"], {"_meta": {"hostvars": hosts}}

    with refuse.left_out(Cluster, "m3") as values:
        assert values == {"address": "3"}
        assert Cluster.inventories[1:] == ["settings"]
        assert list(json.loads(pathlib.Path(Cluster.inventories[0]).read_text())["all"]["hosts"]) == ["w1"]
    assert Cluster.inventories == [str(lab), "settings"]
    assert [one.name for one in tmp_path.iterdir()] == ["inventory.json"]


class Masters:
    """Three masters and a worker, as far as who has the address and what is done by SSH."""

    masters, endpoint = ["m1", "m2", "m3"], "192.0.2.10"

    def __init__(self, holder):
        self.holder, self.done = holder, []

    def holders(self):
        return [self.holder]

    def ssh(self, host, command):
        self.done.append((host, command))


@pytest.mark.parametrize(
    ("holder", "second", "told"),
    [("m1", "m2", "m1, m2"), ("m2", "m3", "m2, m3"), ("m3", "m2", "m2, m3")],
)
def test_the_address_is_given_to_a_master_that_does_not_hold_it_and_taken_off_again(holder, second, told):
    made = Masters(holder)
    with pytest.raises(ValueError), refuse.two_holders(made) as values:
        assert values == {"holders": told}
        [(host, command)] = made.done
        assert host == second and "ip address add 192.0.2.10/32 dev refuse" in command
        raise ValueError
    assert made.done[1:] == [(second, "ip link delete refuse")]


KEEPALIVED = (ROOT / "tests/golden/api_endpoint/etc__keepalived__keepalived.conf").read_text()


def test_a_peer_is_taken_out_of_the_configuration_that_the_role_writes():
    fewer = refuse.peer_taken(KEEPALIVED, "192.0.2.13")
    assert _keepalived.parse_peers(KEEPALIVED, _keepalived.INSTANCE) == ["192.0.2.12", "192.0.2.13"]
    assert _keepalived.parse_peers(fewer, _keepalived.INSTANCE) == ["192.0.2.12"]
    assert fewer.splitlines() == [line for line in KEEPALIVED.splitlines() if line.strip() != "192.0.2.13"]


@pytest.mark.parametrize("address", ["192.0.2.1", "192.0.2.99", ""])
def test_a_peer_that_is_not_there_cannot_be_taken_out(address):
    with pytest.raises(refuse.access.AccessError):
        refuse.peer_taken(KEEPALIVED, address)


def test_a_control_is_the_same_playbook_with_nothing_in_its_way():
    for one in refuse.SITUATIONS:
        assert (one.control or ("site.yml",))[0] == one.command[0], one.name
    found = refuse.controls(refuse.SITUATIONS)
    assert set(found) == {refuse.REMOVE_M2, refuse.UPGRADE_KUBERNETES, refuse.UPGRADE_ETCD, refuse.HEALTH}
    assert found[refuse.UPGRADE_KUBERNETES] == ["upgrade-skips", "upgrade-unfetched"]
    assert found[refuse.UPGRADE_ETCD] == ["upgrade-member-hangs"]
    assert refuse.controls([one for one in refuse.SITUATIONS if one.name == "no-ca-store"]) == {}


def test_the_controls_upgrade_to_the_versions_that_the_scenarios_do():
    following = yaml.safe_load((ROOT / "molecule/upgrade/inventory/next.yml").read_text())["all"]["vars"]
    for command in (refuse.UPGRADE_KUBERNETES, refuse.UPGRADE_ETCD):
        name, version = command[2].split("=")
        assert following[name] == version


class Lab:
    def __init__(self, results):
        self.results = results


@pytest.mark.parametrize(
    ("code", "after", "restless", "wrong"),
    [
        (0, {}, (), 0),
        (2, {}, (), 1),
        (0, {"m1 kube-scheduler.service": "process 99"}, (), 1),
        (0, {"m1 kube-scheduler.service": "process 99"}, ("kube-scheduler",), 0),
        (0, {"the lock": "[]"}, ("kube-scheduler",), 1),
    ],
)
def test_a_control_is_held_to_passing_and_to_touching_nothing(monkeypatch, tmp_path, code, after, restless, wrong):
    log, seen, ran = tmp_path / "log", [dict(SEEN), {**SEEN, **after}], []
    log.write_text("")
    monkeypatch.setattr(refuse, "whole", lambda _cluster: seen.pop(0))
    monkeypatch.setattr(refuse.play, "perform", lambda _cluster, name, command: ran.append(command) or (outcome(code=code), log))
    result = refuse.control(Lab(tmp_path), refuse.UPGRADE_ETCD, ["upgrade-member-hangs"], restless)
    assert len(result.wrong) == wrong
    assert ran == [[*refuse.UPGRADE_ETCD, "--check"]]


@pytest.mark.parametrize(
    ("only", "done"),
    [
        (["quorum", "locked"], ["quorum", "locked"]),
        (["quorum", "locked", "no-ca-store", "control"], ["quorum", "locked", "no-ca-store", "control of quorum, locked ()"]),
        (
            ["upgrade-skips", "upgrade-member-hangs", "control"],
            [
                "upgrade-skips",
                "upgrade-member-hangs",
                f"control of upgrade-skips {refuse.LEADERS}",
                f"control of upgrade-member-hangs {refuse.LEADERS}",
            ],
        ),
    ],
)
def test_the_controls_of_what_is_held_follow_it(monkeypatch, tmp_path, only, done):
    seen = []

    def control(_cluster, _command, names, restless):
        seen.append(f"control of {', '.join(names)} {restless}")
        return refuse.Result(seen[-1], False, 1.0, "")

    def hold(_cluster, situation):
        seen.append(situation.name)
        return refuse.Result(seen[-1], True, 1.0, "")

    monkeypatch.setattr(refuse.access, "Cluster", lambda _name: Lab(tmp_path))
    monkeypatch.setattr(refuse, "control", control)
    monkeypatch.setattr(refuse, "hold", hold)
    assert refuse.main(["lab", *(part for name in only for part in ("--only", name))]) == 0
    assert seen == done


@pytest.mark.parametrize(
    ("looks", "led"),
    [
        ([("m1", "1")], False),  # it may be about to give up
        ([("m1", "1"), ("m1", "1")], False),
        ([("m1", "1"), ("m1", "2")], True),
        ([("m1", "1"), ("", "2")], False),  # it gave up, and released its lease
        ([("m1", "1"), ("", "2"), ("m2", "3")], False),
        ([("m1", "1"), ("m2", "3"), ("m2", "4")], True),
    ],
)
def test_leaders_are_settled_when_they_have_renewed_since(looks, led):
    first = {}
    for look in looks:
        now = {"lease": look}
        first = refuse.held(first, now)
    assert refuse.renewed(first, now) is led


@pytest.mark.parametrize(("passes", "cut"), [(False, "the cut"), (True, None)])
def test_a_run_that_is_to_pass_is_not_cut_off(monkeypatch, tmp_path, passes, cut):
    log, cuts = tmp_path / "log", []
    log.write_text("TASK [x]\nwhat and next\n")
    ended = outcome(code=0, hosts=PLAYED) if passes else outcome(failures=[{"message": "what and next"}])
    monkeypatch.setattr(refuse, "whole", lambda _cluster: dict(SEEN))
    monkeypatch.setattr(refuse, "settle", lambda _cluster: None)
    monkeypatch.setattr(refuse.play, "perform", lambda _cluster, _name, _command, where: cuts.append(where) or (ended, log))
    result = refuse.hold(
        Lab(tmp_path), refuse.Situation("x", refuse.nothing, ("site.yml",), ("what", "next"), cut="the cut", passes=passes)
    )
    assert cuts == [cut]
    assert result == refuse.Result("x", not passes, 5.0, "what and next", [], passes)


# The phases that touch no host; renew.yml none but where certificates have expired.
LOOKING = ("observe.yml", "renew.yml", "begin.yml", "ask.yml", "lock.yml", "keep.yml", "health.yml")


def task_names(path):
    """Return the names of a playbook's own tasks."""
    return [task["name"] for item in yaml.safe_load(path.read_text()) for task in item.get("tasks", [])]


def test_a_run_that_is_not_refused_is_cut_off_at_the_first_task_that_would_touch_a_host():
    phases = ROOT / "playbooks" / "phases"
    first = {
        "in_use.yml": "Use those again that stay",
        "prepare.yml": "multimaster.kubernetes.host_preparation : Any",
        # where no host leaves whose member alone is dead
        "forget.yml": "Take the pods of one node after the other as gone",
    }
    for phase in ("in_use.yml", "forget.yml"):
        assert first[phase] in task_names(phases / phase)
    assert yaml.safe_load((phases / "begin.yml").read_text())[-1]["ansible.builtin.import_playbook"] == "in_use.yml"
    leave = yaml.safe_load((phases / "tasks" / "leave.yml").read_text())
    assert refuse.TOUCHES.matches({"event": "task", "task": leave[0]["name"]})
    prepare = next(one for one in yaml.safe_load((phases / "prepare.yml").read_text()) if "hosts" in one)
    assert prepare["tasks"][0]["ansible.builtin.import_role"]["name"] == "multimaster.kubernetes.host_preparation"
    for playbook in {one.command[0] for one in refuse.SITUATIONS}:
        imported = [one["ansible.builtin.import_playbook"] for one in yaml.safe_load((ROOT / "playbooks" / playbook).read_text())]
        names = [name.removeprefix("phases/") for name in imported]
        looking = [name for name in names if name in LOOKING]
        assert names[: len(looking)] == looking, playbook
        if playbook == "health.yml":
            assert names == looking
            continue
        assert refuse.TOUCHES.matches({"event": "task", "task": first[names[len(looking)]]}), playbook
    for phase in LOOKING:
        assert not [name for name in task_names(phases / phase) if refuse.TOUCHES.matches({"event": "task", "task": name})]


def test_an_upgrade_without_its_programs_is_cut_off_by_what_follows_the_fetching():
    """Nothing of what is before that stops anything: the drill of a run with nothing to do holds it to that."""
    playbook = yaml.safe_load((ROOT / "playbooks/upgrade.yml").read_text())
    phases = [one["ansible.builtin.import_playbook"].removeprefix("phases/") for one in playbook]
    assert phases[: phases.index("prepare.yml")] == ["observe.yml", "begin.yml"]
    prepare = next(one for one in yaml.safe_load((ROOT / "playbooks/phases/prepare.yml").read_text()) if "hosts" in one)
    assert prepare["hosts"] == "{{ multimaster.order.all }}" and prepare["any_errors_fatal"] and "serial" not in prepare
    roles = [task["ansible.builtin.import_role"]["name"].rpartition(".")[2] for task in prepare["tasks"]]
    assert roles[roles.index("binaries") + 1] == "certificates"
    assert refuse.FETCHED.matches({"event": "task", "task": "multimaster.kubernetes.certificates : Any"})
    (situation,) = [one for one in refuse.SITUATIONS if one.cut != refuse.TOUCHES]
    assert (situation.name, situation.cut) == ("upgrade-unfetched", refuse.FETCHED)


def test_the_lock_that_is_held_reads_as_one_that_is_held_by_a_run_elsewhere():
    now = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
    lease = _lock_flow.lease_of(refuse.held_lease(now))
    assert lease.run.controller == "elsewhere"
    assert lease.ends == now.timestamp() + 600
    verdict = _lock.judge(lease, _lock.Run(holder="me"), now.timestamp() + 1)
    assert verdict.refused
    assert not _lock.abandoned(lease.run, _lock.Run(controller="here", boot=lease.run.boot), None)
    [situation] = [one for one in refuse.SITUATIONS if one.name == "locked"]
    assert refuse.not_said([one.format(until="2026-01-02T03:14") for one in situation.says], [verdict.reason]) == []
