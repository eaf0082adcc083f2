# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of unit_set as a module: check, run, run again."""

from __future__ import annotations

import functools
import time

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _systemd
from ansible_collections.multimaster.kubernetes.plugins.modules import unit_set
from fake_systemd import FakeSystemd


@pytest.fixture
def fake(tmp_path, monkeypatch, world):
    played = FakeSystemd(tmp_path)
    world.watch(played.picture)
    monkeypatch.setattr(
        _systemd,
        "Systemd",
        functools.partial(
            _systemd.Systemd, played, lambda ready: (True, ""), str(tmp_path), sleep=played.sleep, monotonic=played.monotonic
        ),
    )
    return played


def test_units_are_started_once(fake, check_run_again):
    fake.add("etcd.service")
    fake.add("kube-apiserver.service")
    checked, done, again = check_run_again(unit_set, {"units": [{"name": "etcd"}, {"name": "kube-apiserver"}]})
    assert checked["started"] == done["started"] == ["etcd.service", "kube-apiserver.service"]
    assert checked["diff"] == done["diff"]
    assert done["pids"] == again["pids"] and all(done["pids"].values())
    assert again["units"]["etcd.service"]["since"] == "Sun 2026-11-22 17:47:25 UTC"
    assert again["units"]["etcd.service"]["began"] == pytest.approx(time.time() - fake.now + 12.5, abs=60)


def test_a_changed_input_restarts_once(fake, check_run_again, call, tmp_path):
    source = tmp_path / "input"
    source.write_text("1")
    fake.add("etcd.service")
    arguments = {"units": [{"name": "etcd", "inputs": [str(source)]}]}
    call(unit_set, arguments)
    source.write_text("2")
    checked, done, _again = check_run_again(unit_set, arguments)
    assert checked["restarted"] == done["restarted"] == ["etcd.service"]
    assert done["reasons"] == {"etcd.service": f"{source} changed"}


def test_a_check_of_units_that_somebody_else_starts_foresees_what_would_need_a_restart(fake, check_run_again, call, tmp_path):
    unit = tmp_path / "input"
    unit.write_text("old")
    fake.add("etcd.service")
    arguments = {"units": [{"name": "etcd", "inputs": [str(unit)]}]}
    call(unit_set, arguments)
    new = {**arguments, "files": [{"path": str(unit), "content": "new", "mode": "0644"}], "state": "configured"}
    checked, done, _again = check_run_again(unit_set, new)
    assert checked["restart_needed"] == done["restart_needed"] == ["etcd.service"]
    assert checked["restarted"] == done["restarted"] == []


def test_check_mode_touches_nothing(fake, call):
    fake.add("etcd.service")
    call(unit_set, {"units": [{"name": "etcd"}]}, check=True)
    assert fake.commands() == [] and not (fake.folder / "etcd.service.d").exists()


def test_check_mode_takes_a_unit_for_startable_whose_file_is_still_to_be_written(fake, call):
    result = call(unit_set, {"units": [{"name": "etcd", "inputs": ["/nowhere"]}]}, check=True)
    assert result["started"] == ["etcd.service"] and result["changed"]


def test_outside_check_mode_everything_that_is_missing_is_named_and_nothing_is_done(fake, call):
    fake.add("web.service")
    result = call(unit_set, {"units": [{"name": "etcd"}, {"name": "web", "inputs": ["/nowhere"]}]})
    assert result["failed"] and fake.commands() == []
    assert "etcd.service has no unit file" in result["msg"] and "web.service reads /nowhere" in result["msg"]


def test_files_that_were_written_are_not_said_to_be_unchanged_where_no_unit_can_start(fake, call, tmp_path):
    fake.add("etcd.service", masked=True)
    source = tmp_path / "input"
    files = [{"path": str(source), "content": "new", "mode": "0644"}]
    result = call(unit_set, {"units": [{"name": "etcd", "inputs": [str(source)]}], "files": files})
    assert result["failed"] and source.read_text() == "new" and fake.commands() == []
    assert result["msg"].startswith("no unit was touched: etcd.service is masked; run `systemctl unmask etcd.service`")


def test_restarts_can_be_only_reported(fake, call, tmp_path):
    source = tmp_path / "input"
    source.write_text("1")
    fake.add("etcd.service")
    arguments = {"units": [{"name": "etcd", "inputs": [str(source)]}], "restart": False}
    assert call(unit_set, arguments)["started"] == ["etcd.service"]
    source.write_text("2")
    result = call(unit_set, arguments)
    assert not result["changed"] and result["restart_needed"] == ["etcd.service"]
    assert result["reasons"] == {"etcd.service": f"{source} changed"}


def test_configured_units_are_prepared_but_not_started(fake, check_run_again):
    fake.add("etcd.service")
    _checked, done, again = check_run_again(unit_set, {"units": [{"name": "etcd"}], "state": "configured"})
    assert done["started"] == again["started"] == [] and fake.commands("start") == []
    assert (fake.folder / "etcd.service.d/50-multimaster.conf").stat().st_mode & 0o777 == 0o600


def test_a_unit_started_by_another_step_after_configuring_needs_no_restart(fake, call):
    fake.add("etcd.service")
    call(unit_set, {"units": [{"name": "etcd"}], "state": "configured"})
    fake(["systemctl", "start", "etcd.service"], 1)
    fake(["systemctl", "show", "etcd.service"], 1)
    assert not call(unit_set, {"units": [{"name": "etcd"}]})["changed"]


@pytest.mark.parametrize(("state", "enabled"), [("stopped", "enabled"), ("absent", "disabled")])
def test_units_are_stopped_once(fake, check_run_again, state, enabled):
    fake.add("etcd.service", active="active", sub="running", pid=9, enabled="enabled")
    _checked, done, _again = check_run_again(unit_set, {"units": [{"name": "etcd"}, {"name": "nothere"}], "state": state})
    assert done["stopped"] == ["etcd.service"] and fake.units["etcd.service"].enabled == enabled
    assert (fake.folder / "etcd.service").exists()


@pytest.mark.parametrize("state", ["stopped", "absent"])
def test_what_is_to_be_down_is_not_said_to_restart_for_its_files(fake, check_run_again, call, tmp_path, state):
    source = tmp_path / "input"
    source.write_text("old")
    fake.add("etcd.service")
    files = [{"path": str(source), "content": "new", "mode": "0644"}]
    wanted = {"units": [{"name": "etcd", "inputs": [str(source)]}], "files": files, "state": state}
    checked, done, _again = check_run_again(unit_set, wanted)
    told = ("started", "restarted", "reloaded", "stopped", "restart_needed", "reasons", "diff")
    assert [checked[name] for name in told] == [done[name] for name in told]


def running(fake, call, source, **more):
    """Start etcd with one input, and return the arguments that do so."""
    source.write_text("old")
    fake.add("etcd.service")
    arguments = {"units": [{"name": "etcd", "inputs": [str(source)], **more}]}
    call(unit_set, arguments)
    return arguments


def test_an_input_that_a_reload_takes_up_is_foreseen_as_one(fake, check_run_again, call, tmp_path):
    arguments = running(fake, call, tmp_path / "input", reload=True)
    (tmp_path / "input").write_text("by hand")
    checked, done, _again = check_run_again(unit_set, arguments)
    assert checked["reloaded"] == done["reloaded"] == ["etcd.service"] and checked["diff"] == done["diff"]
    arguments["files"] = [{"path": str(tmp_path / "input"), "content": "new", "mode": "0644"}]
    checked, done, _again = check_run_again(unit_set, arguments)
    assert checked["reloaded"] == done["reloaded"] == ["etcd.service"]


def test_a_unit_file_that_changes_is_foreseen_as_a_restart_though_it_could_reload(fake, check_run_again, call, tmp_path):
    arguments = running(fake, call, tmp_path / "input", reload=True)
    unit = fake.folder / "etcd.service"
    arguments["files"] = [
        {"path": str(unit), "content": unit.read_text() + "Nice=1\n", "mode": "0644"},
        {"path": str(tmp_path / "input"), "content": "new", "mode": "0644"},
    ]
    checked, done, _again = check_run_again(unit_set, arguments)
    assert checked["restarted"] == done["restarted"] == ["etcd.service"]
    assert checked["reloaded"] == done["reloaded"] == []


@pytest.mark.parametrize("running_first", [False, True])
def test_configured_units_are_foreseen_as_they_are_prepared(fake, check_run_again, call, tmp_path, running_first):
    arguments = running(fake, call, tmp_path / "input")
    if not running_first:
        call(unit_set, {**arguments, "state": "stopped"})
    arguments["files"] = [{"path": str(tmp_path / "input"), "content": "new", "mode": "0644"}]
    # That what does not run is prepared for its start is no step of its own to a check: the file that changes is told.
    besides = () if running_first else ("diff",)
    checked, done, _again = check_run_again(unit_set, {**arguments, "state": "configured"}, besides)
    told = ("started", "restarted", "reloaded", "stopped", "restart_needed")
    assert (
        [checked[name] for name in told]
        == [done[name] for name in told]
        == [[], [], [], [], ["etcd.service"] if running_first else []]
    )


def test_a_unit_that_fails_fails_the_module_with_its_journal(fake, call):
    fake.add("etcd.service", outcome="failed")
    result = call(unit_set, {"units": [{"name": "etcd"}]})
    assert result["failed"] and "cannot bind" in result["msg"]
