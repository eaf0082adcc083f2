# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of reading units and of waiting for them, against a played systemd."""

from __future__ import annotations

import json

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _command, _https, _systemd
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _unit_plan as plan
from fake_systemd import FakeSystemd


class Host:
    """Hold a played systemd, the object under test, and what a probe answers."""

    def __init__(self, root):
        self.root, self.fake, self.answers = root, FakeSystemd(root), []
        self.systemd = self.fresh()

    def fresh(self):
        return _systemd.Systemd(
            self.fake, self.probe, str(self.root), str(self.root / "manifest"), self.fake.sleep, self.fake.monotonic
        )

    def probe(self, ready):
        return self.answers.pop(0) if self.answers else (True, "HTTP 200 OK")

    def run(self, *units, restart=True, running_ready=True):
        """Do what the module does; return {unit: verdict} and the states."""
        self.systemd = systemd = self.fresh()
        before = systemd.show([unit.name for unit in units])
        wanted = {unit.name: systemd.identity(unit) for unit in units}
        verdicts = [
            plan.decide_started(
                before[unit.name], wanted[unit.name], systemd.running(before[unit.name]), systemd.drop_in(unit.name), unit.reload
            )
            for unit in units
        ]
        verdicts = verdicts if restart else plan.hold_restarts(verdicts)
        systemd.act(units, verdicts, before)
        return {verdict.name: verdict for verdict in verdicts}, systemd.settle(units, verdicts, before, wanted, running_ready)


@pytest.fixture
def host(tmp_path):
    return Host(tmp_path)


def unit(name="web.service", **more):
    return _systemd.Unit(name, **more)


def action(result, name="web.service"):
    return result[0][name].action


def test_one_show_asks_for_all_units(host):
    host.fake.add("a.service")
    host.fake.add("b.service", active="active", sub="running", pid=5)
    states = host.systemd.show(["a.service", "b.service", "c.service"])
    assert [states[name].up for name in states] == [False, True, False]
    assert len(host.fake.calls) == 1


def test_what_runs_as_written_costs_one_call_and_nothing_else(host):
    host.fake.add("web.service")
    assert action(host.run(unit())) == "start"
    host.fake.calls.clear()
    assert action(host.run(unit())) == "none"
    assert [call[1] for call in host.fake.calls] == ["show"]


def test_several_units_are_started_by_one_call_and_one_reload_of_systemd(host):
    host.fake.add("a.service")
    host.fake.add("b.service")
    host.run(unit("a.service"), unit("b.service"))
    assert host.fake.commands() == [["enable", "a.service", "b.service"], ["daemon-reload"], ["start", "a.service", "b.service"]]
    assert ["systemctl", "start", "--no-block", "a.service", "b.service"] in host.fake.calls


@pytest.mark.parametrize("what", ["input", "unit file", "drop-in", "program"])
def test_a_change_of_anything_the_unit_is_made_of_restarts_it_once(host, what):
    source, manifest = host.root / "input", host.root / "manifest"
    source.write_text("1")
    manifest.write_text(json.dumps({"/bin/true": {"sha256": "1"}}))
    host.fake.add("web.service")
    web = unit(inputs=(str(source),))
    host.run(web)
    lasting = host.fake.folder / "web.service.d"
    {
        "input": lambda: source.write_text("2"),
        "unit file": lambda: (host.fake.folder / "web.service").write_text("[Unit]\n"),
        "drop-in": lambda: (lasting / "10-nice.conf").write_text("[Service]\nNice=1\n"),
        "program": lambda: manifest.write_text(json.dumps({"/bin/true": {"sha256": "2"}})),
    }[what]()
    assert action(host.run(web)) == "restart"
    assert action(host.run(web)) == "none"


def test_a_restart_that_was_cut_off_after_writing_happens_in_the_next_run(host):
    source = host.root / "input"
    source.write_text("1")
    host.fake.add("web.service")
    web = unit(inputs=(str(source),))
    host.run(web)
    first = host.fake.units["web.service"].pid
    source.write_text("2")
    before = host.systemd.show(["web.service"])
    verdict = plan.Verdict("web.service", "none", "", drop_in=plan.render_drop_in(host.fresh().identity(web)))
    host.systemd.act([web], [verdict], before)  # killed here: the drop-in is new, the process is old
    assert action(host.run(web)) == "restart"
    assert host.fake.units["web.service"].pid != first
    assert action(host.run(web)) == "none"


def test_first_start_arguments_below_run_are_no_part_of_the_identity(host):
    host.fake.add("etcd.service")
    host.run(unit("etcd.service"))
    runtime = host.root / "run/systemd/system/etcd.service.d"
    runtime.mkdir(parents=True)
    (runtime / "10-first-start.conf").write_text("[Service]\nEnvironment=X=1\n")
    assert action(host.run(unit("etcd.service")), "etcd.service") == "none"


def test_a_drop_in_of_etc_hides_the_one_of_the_same_name_in_lib(host):
    host.fake.add("haproxy.service")
    for folder in ("lib/systemd/system", "etc/systemd/system"):
        where = host.root / folder / "haproxy.service.d"
        where.mkdir(parents=True)
        (where / "10-x.conf").write_text(folder)
    files = host.systemd.unit_files("haproxy.service")
    assert [file.replace(str(host.root), "") for file in files] == [
        "/etc/systemd/system/haproxy.service",
        "/etc/systemd/system/haproxy.service.d/10-x.conf",
    ]


def test_an_input_folder_counts_with_everything_in_it(host):
    folder = host.root / "conf"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep/a").write_text("1")
    host.fake.add("web.service")
    web = unit(inputs=(str(folder),))
    host.run(web)
    (folder / "deep/a").write_text("2")
    assert action(host.run(web)) == "restart"


def test_what_was_written_since_the_last_look_counts(host):
    config = host.root / "web.conf"
    host.fake.add("web.service")
    config.write_text("one")
    one = host.systemd.identity(unit(inputs=(str(config),)))
    config.write_text("two")
    assert host.systemd.identity(unit(inputs=(str(config),))).all != one.all, "module api_endpoint looks, writes and looks again"


def test_missing_inputs_are_named(host):
    assert host.systemd.missing_inputs(unit(inputs=("/nowhere/a", __file__))) == ["/nowhere/a"]


def test_a_reloading_unit_takes_new_inputs_without_a_new_process(host):
    source = host.root / "haproxy.cfg"
    source.write_text("1")
    host.fake.add("haproxy.service")
    haproxy = unit("haproxy.service", inputs=(str(source),), reload=True)
    host.run(haproxy)
    pid = host.fake.units["haproxy.service"].pid
    source.write_text("2")
    assert action(host.run(haproxy), "haproxy.service") == "reload"
    assert action(host.run(haproxy), "haproxy.service") == "none"
    assert host.fake.units["haproxy.service"].pid == pid
    (host.fake.folder / "haproxy.service").write_text("[Service]\nNice=1\n")
    assert action(host.run(haproxy), "haproxy.service") == "restart"
    assert action(host.run(haproxy), "haproxy.service") == "none"


def test_a_reloaded_unit_that_was_restarted_by_hand_is_judged_by_its_process(host):
    source = host.root / "haproxy.cfg"
    source.write_text("1")
    host.fake.add("haproxy.service")
    haproxy = unit("haproxy.service", inputs=(str(source),), reload=True)
    host.run(haproxy)
    source.write_text("2")
    host.run(haproxy)
    host.fake(["systemctl", "restart", "haproxy.service"], 1)
    assert action(host.run(haproxy), "haproxy.service") == "none"


def test_a_unit_without_a_process_is_restarted_once_when_its_input_changes(host):
    source = host.root / "address"
    source.write_text("1")
    host.fake.add("endpoint.service", outcome="exited")
    endpoint = unit("endpoint.service", inputs=(str(source),))
    host.run(endpoint)
    assert action(host.run(endpoint), "endpoint.service") == "none"
    source.write_text("2")
    assert action(host.run(endpoint), "endpoint.service") == "restart"
    assert action(host.run(endpoint), "endpoint.service") == "none"


def test_a_unit_without_a_process_that_was_started_at_boot_is_left_alone(host):
    host.fake.add("endpoint.service", outcome="exited")
    host.run(unit("endpoint.service"))
    (host.root / "run/multimaster/endpoint.service.inputs").unlink()  # /run is new after a boot
    assert action(host.run(unit("endpoint.service")), "endpoint.service") == "none"


def test_a_process_started_by_somebody_else_is_restarted(host):
    host.fake.add("web.service", active="active", sub="running", pid=77, invocation="x")
    verdicts, _states = host.run(unit())
    assert verdicts["web.service"].reason == "the running process was not started by this collection"


def test_a_process_whose_program_was_replaced_is_restarted_once(host):
    host.fake.add("web.service")
    _verdicts, states = host.run(unit(reload=True))
    (host.root / "proc" / str(states["web.service"].pid) / "exe").symlink_to("/usr/sbin/web (deleted)")
    verdicts, _states = host.run(unit(reload=True))
    assert (verdicts["web.service"].action, verdicts["web.service"].reason) == ("restart", "its unit file or program changed")
    assert action(host.run(unit(reload=True))) == "none"


def test_a_unit_that_starts_slowly_is_waited_for(host):
    host.fake.add("etcd.service", looks=20)
    _verdicts, states = host.run(unit("etcd.service"))
    assert states["etcd.service"].up


def test_readiness_is_asked_until_it_is_there(host):
    host.fake.add("web.service")
    host.answers = [(False, "ConnectionRefusedError"), (False, "HTTP 500"), (True, "HTTP 200 OK")]
    host.run(unit(ready={"url": "http://127.0.0.1/readyz"}))
    assert not host.answers


def test_a_unit_that_runs_but_is_not_ready_fails_with_its_answer_and_journal(host):
    host.fake.add("web.service")
    host.answers = [(False, "HTTP 503 Service Unavailable: etcd failed")] * 1000
    with pytest.raises(_systemd.UnitError) as error:
        host.run(unit(ready={"url": "https://127.0.0.1:6443/readyz", "timeout": 5}))
    said = str(error.value)
    assert "web.service is not ready after 5." in said and "(limit 5 s)" in said and "active (running)" in said
    assert "GET https://127.0.0.1:6443/readyz: last answer: HTTP 503 Service Unavailable: etcd failed" in said
    assert "cannot bind" in said and "journalctl -u web.service -e" in said
    assert host.fake.now - 100 < 6


def test_nothing_changed_but_no_longer_ready_is_an_error_too(host):
    host.fake.add("web.service")
    host.run(unit())
    host.answers = [(False, "HTTP 500")] * 1000
    with pytest.raises(_systemd.UnitError, match="HTTP 500"):
        host.run(unit(ready={"url": "http://x/", "timeout": 1}))


@pytest.mark.parametrize(
    ("changes", "more", "unready"),
    [
        (True, {"restart": False}, ["web.service"]),  # its restart is held: its turn makes it ready
        (False, {"restart": False, "running_ready": False}, ["web.service"]),  # what it uses is yet to restart
        (False, {"restart": False}, None),
        (True, {"running_ready": False}, None),  # it was restarted just now
    ],
)
def test_who_waits_for_a_turn_is_not_waited_for(host, changes, more, unready):
    host.fake.add("web.service")
    source = host.root / "web.conf"
    source.write_text("wrong")
    web = unit(inputs=(str(source),), ready={"url": "http://x/", "timeout": 3})
    host.run(web)
    if changes:
        source.write_text("right")
    host.answers = [(False, "HTTP 500: [-]kms-providers failed")] * 1000
    if unready is None:
        with pytest.raises(_systemd.UnitError, match="HTTP 500"):
            host.run(web, **more)
        return
    began = host.fake.now
    verdicts, states = host.run(web, **more)
    assert (verdicts["web.service"].action, host.systemd.unready) == ("hold" if changes else "none", unready)
    assert states["web.service"].up
    assert host.fake.now - began < 1


def test_a_unit_that_dies_for_good_fails_at_once(host):
    host.fake.add("web.service", outcome="failed")
    with pytest.raises(_systemd.UnitError, match=r"(?s)is failed \(failed\), last result exit-code.*cannot bind"):
        host.run(unit(ready={"timeout": 60}))
    assert host.fake.now - 100 < 1


def test_an_assertion_that_is_not_met_fails_at_once(host):
    host.fake.add("etcd.service", outcome="assert")
    with pytest.raises(_systemd.UnitError, match="is not up"):
        host.run(unit("etcd.service"))
    assert host.fake.now - 100 < 1


@pytest.mark.parametrize(
    ("every", "timeout", "took", "said"),
    [
        (1.0, 180, 30, r"after 30\.. s \(limit 180 s\): it is activating \(auto-restart\).*restarted \d\d times"),
        (0.1, 180, 30, "restarted ... times"),
        (5.0, 180, 50, "restarted 10 times"),
        (1.0, 20, 20, "restarted 1. times"),
        (20.0, 180, 180, "restarted 8 times"),  # it waits for another, which may come
    ],
)
def test_a_unit_that_ends_again_and_again_is_given_up_and_one_that_tries_for_long_gets_its_whole_time(
    host, every, timeout, took, said
):
    host.fake.add("web.service", outcome="loop", every=every)
    with pytest.raises(_systemd.UnitError, match=said):
        host.run(unit(ready={"timeout": timeout}))
    assert took <= host.fake.now - 100 < took + 1


def test_a_unit_that_cannot_be_asked_has_to_stay_up_for_a_moment(host):
    fake = host.fake.add("web.service")
    original, looks = host.fake._arrive, []

    def dies(unit_):
        original(unit_)
        looks.append(1)

    host.fake._arrive = dies
    show = host.fake._show

    def shown(name):
        if looks and host.fake.now > 100.15:
            fake.active = fake.sub = "failed"
        return show(name)

    host.fake._show = shown
    with pytest.raises(_systemd.UnitError, match="is not up"):
        host.run(unit())


def test_every_unit_that_failed_is_named(host):
    host.fake.add("a.service", outcome="failed")
    host.fake.add("b.service", outcome="failed")
    with pytest.raises(_systemd.UnitError, match=r"(?s)a\.service is not up.*b\.service is not up"):
        host.run(unit("a.service"), unit("b.service"))


def test_a_failed_unit_is_forgiven_before_it_is_started(host):
    host.fake.add("web.service", active="failed", sub="failed")
    host.run(unit())
    assert host.fake.commands("reset-failed", "start") == [["reset-failed", "web.service"], ["start", "web.service"]]


def test_holding_restarts_writes_nothing(host):
    source = host.root / "input"
    source.write_text("1")
    host.fake.add("web.service")
    web = unit(inputs=(str(source),))
    host.run(web)
    source.write_text("2")
    host.fake.calls.clear()
    text = host.systemd.drop_in("web.service")
    assert action(host.run(web, restart=False)) == "hold"
    assert host.fake.commands() == [] and host.systemd.drop_in("web.service") == text


def test_unusable_probe_certificates_fail_at_once(host):
    def broken(ready):
        raise _https.CredentialsError("cannot read /x.crt")

    host.fake.add("web.service")
    host.probe = broken
    with pytest.raises(_systemd.UnitError, match=r"web\.service cannot be asked.*x\.crt"):
        host.run(unit(ready={"url": "https://x"}))


def test_systemctls_own_words_are_kept(tmp_path):
    def refuses(argv, timeout):
        return _command.Result(tuple(argv), 1, "", "Failed to connect to bus: Host is down")

    with pytest.raises(_systemd.UnitError, match=r"`systemctl show .*exited with 1: Failed to connect to bus"):
        _systemd.Systemd(refuses, root=str(tmp_path)).show(["a.service"])


def test_a_unit_that_does_not_stop_is_an_error(host):
    host.fake.add("web.service", active="active", sub="running", pid=3)
    host.fake._stop = lambda name: None
    before = host.systemd.show(["web.service"])
    verdicts = [plan.decide_down(before["web.service"], False)]
    host.systemd.act([unit()], verdicts, before)
    with pytest.raises(_systemd.UnitError, match="did not stop"):
        host.systemd.settle([unit()], verdicts, before, {})
