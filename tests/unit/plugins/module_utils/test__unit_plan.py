# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the decision which units are started, restarted or reloaded."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _unit_plan as plan

FILES = {"/etc/systemd/system/etcd.service": "a" * 64}
INPUTS = {"/etc/etcd/pki/server.crt": "b" * 64}
WANTED = plan.identity(FILES, INPUTS)
OTHER_INPUT = plan.identity(FILES, {"/etc/etcd/pki/server.crt": "c" * 64})
OTHER_FILE = plan.identity({"/etc/systemd/system/etcd.service": "d" * 64}, INPUTS)
NOBODY = plan.NOTHING
#: As systemd 252 on Debian 12 prints it.
SHOWN = """\
MainPID=48
Result=success
NRestarts=0
Id=web.service
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
ActiveEnterTimestamp=Sun 2026-11-22 17:47:25 UTC
ActiveEnterTimestampMonotonic=12500000
Job=
NeedDaemonReload=yes
InvocationID=30519bf8f5e1446b840044bf95f5d372

MainPID=0
Result=exit-code
NRestarts=1
Id=bad.service
LoadState=loaded
ActiveState=activating
SubState=auto-restart
UnitFileState=static
ActiveEnterTimestamp=Sun 2026-11-22 17:50:45 UTC
Job=431
NeedDaemonReload=no
InvocationID=6ba5a87bc6da47b9a6f129d02b2507cc

MainPID=0
Result=success
NRestarts=0
Id=nothere.service
LoadState=not-found
ActiveState=inactive
SubState=dead
UnitFileState=
ActiveEnterTimestamp=
ActiveEnterTimestampMonotonic=0
Job=
NeedDaemonReload=no
InvocationID=
"""


def state(active="active", sub="running", **more):
    return plan.State("etcd.service", "loaded", active, sub, **{"pid": 7, "file_state": "enabled", "invocation": "i1", **more})


def decide(now, running=WANTED, drop_in=None, **more):
    text = plan.render_drop_in(WANTED) if drop_in is None else drop_in
    return plan.decide_started(now, WANTED, running, text, more.pop("can_reload", False), **more)


@pytest.mark.parametrize(
    ("now", "running", "can_reload", "action"),
    [
        (state(), WANTED, False, "none"),
        (state(), OTHER_INPUT, False, "restart"),
        (state(), OTHER_INPUT, True, "reload"),
        (state(), OTHER_FILE, True, "restart"),
        (state(), NOBODY, False, "restart"),
        (state(), NOBODY, True, "restart"),
        (state("reloading", "reload"), WANTED, True, "none"),
        (state("activating", "start"), WANTED, False, "wait"),
        (state("activating", "start"), OTHER_INPUT, False, "restart"),
        (state("activating", "start"), OTHER_INPUT, True, "restart"),
        (state("activating", "auto-restart"), WANTED, False, "restart"),
        (state("inactive", "dead"), NOBODY, False, "start"),
        (state("inactive", "dead"), WANTED, False, "start"),
        (state("deactivating", "stop-sigterm"), WANTED, False, "start"),
        (state("failed", "failed"), NOBODY, False, "start"),
    ],
)
def test_the_running_process_decides(now, running, can_reload, action):
    assert decide(now, running, can_reload=can_reload).action == action


def test_failures_are_forgotten_before_a_failed_or_looping_unit_is_started_again():
    assert decide(state("failed", "failed")).reset
    assert decide(state("activating", "auto-restart")).reset
    assert decide(state("activating", "auto-restart-queued")).reset  # systemd 254 and newer
    assert not decide(state("inactive", "dead")).reset


@pytest.mark.parametrize(
    ("restarts", "running", "action", "reset"),
    [
        (319, OTHER_INPUT, "restart", True),  # seen in the moment of a try, with the flag that ends it
        (319, NOBODY, "restart", True),
        (319, WANTED, "wait", False),  # it tries with what is written: maybe for another that is to come
        (0, OTHER_INPUT, "restart", False),  # its first start, which may well succeed
    ],
)
def test_a_looping_unit_is_one_in_the_moment_of_a_try_as_well(restarts, running, action, reset):
    verdict = decide(state("activating", "start", restarts=restarts), running)
    assert (verdict.action, verdict.reset) == (action, reset)
    held, configured = plan.hold_restarts([verdict])[0], plan.only_configure([verdict])[0]
    if reset:
        assert (held.action, configured.action) == ("restart", "stop"), "nobody counts on it, so it is no restart to put off"
    else:
        assert held.action in ("hold", "wait") and configured.action in ("hold", "configure")


@pytest.mark.parametrize(
    ("file_state", "enable"),
    [
        ("enabled", False),
        ("static", False),
        ("indirect", False),
        ("generated", False),
        ("alias", False),
        ("transient", False),
        ("disabled", True),
        ("enabled-runtime", True),
        ("", True),
    ],
)
def test_what_is_not_enabled_is_enabled_when_that_is_possible(file_state, enable):
    assert decide(state(file_state=file_state)).enable is enable
    assert not decide(state(file_state=file_state), enabled=False).enable


def test_a_drop_in_is_written_only_when_it_differs():
    assert decide(state()).drop_in is None
    assert decide(state(), drop_in="").drop_in == plan.render_drop_in(WANTED)


def test_an_identity_survives_the_drop_in_and_the_environment():
    text = plan.render_drop_in(WANTED)
    assert (plan.parse_drop_in(text).all, plan.parse_drop_in(text).fixed) == (WANTED.all, WANTED.fixed)
    line = text.splitlines()[-1].replace("Environment=", "")
    for environ in ("PATH=/bin\0" + line.replace(" ", "\0") + "\0", " " + line + "\n"):
        assert (plan.parse_environ(environ).all, plan.parse_environ(environ).fixed) == (WANTED.all, WANTED.fixed)
    assert plan.parse_environ("XMULTIMASTER_INPUTS=ab\0") == NOBODY


def test_moving_a_hash_between_unit_file_and_inputs_changes_the_identity():
    assert plan.identity({"/a": "1"}, {"/b": "2"}) != plan.identity({"/a": "1", "/b": "2"}, {})
    assert plan.identity({}, {"/a": "1"}).fixed == plan.identity({}, {"/b": "2"}).fixed


@pytest.mark.parametrize(
    ("running", "written", "words"),
    [
        (OTHER_INPUT, OTHER_INPUT, "/etc/etcd/pki/server.crt changed"),
        (OTHER_FILE, OTHER_FILE, "/etc/systemd/system/etcd.service changed"),
        (plan.identity(FILES, {}), plan.identity(FILES, {}), "/etc/etcd/pki/server.crt is new"),
        (
            plan.identity(FILES, {**INPUTS, "/old": "e" * 64}),
            plan.identity(FILES, {**INPUTS, "/old": "e" * 64}),
            "/old is no longer read",
        ),
        (NOBODY, WANTED, "the running process was not started by this collection"),
        (OTHER_FILE, WANTED, "its unit file or program changed"),
        (OTHER_INPUT, WANTED, "its inputs changed"),
    ],
)
def test_a_restart_says_what_changed(running, written, words):
    assert decide(state(), running, plan.render_drop_in(written)).reason == words


def test_holding_restarts_touches_nothing_that_runs_but_starts_what_is_down():
    verdicts = [decide(state(), OTHER_INPUT, ""), decide(state("inactive", "dead")), decide(state("activating", "auto-restart"))]
    held, started, looping = plan.hold_restarts(verdicts)
    assert (held.action, held.drop_in, held.changed) == ("hold", None, False)
    assert (started.action, looping.action) == ("start", "restart")


def test_configuring_starts_nothing_and_still_hands_over_the_identity():
    down, looping, running = plan.only_configure(
        [
            decide(state("inactive", "dead"), drop_in=""),
            decide(state("activating", "auto-restart"), drop_in=""),
            decide(state(), OTHER_INPUT, ""),
        ]
    )
    assert (down.action, looping.action, looping.reset) == ("configure", "stop", True), "systemd's next try would be the start"
    assert down.drop_in and looping.drop_in and down.changed
    assert plan.only_configure([decide(state("failed", "failed"), drop_in="")])[0].action == "configure"
    assert running.action == "hold" and running.drop_in is None
    assert not plan.only_configure([decide(state("inactive", "dead"))])[0].changed


@pytest.mark.parametrize(
    ("active", "file_state", "disable", "action", "disables"),
    [
        ("active", "enabled", True, "stop", True),
        ("activating", "enabled", False, "stop", False),
        ("inactive", "disabled", True, "none", False),
        ("failed", "enabled", True, "none", True),
        ("deactivating", "static", True, "stop", False),
        ("inactive", "enabled-runtime", True, "none", True),
    ],
)
def test_stopping_stops_what_is_up_and_disables_on_demand(active, file_state, disable, action, disables):
    verdict = plan.decide_down(state(active, file_state=file_state), disable)
    assert (verdict.action, verdict.disable) == (action, disables)


def test_a_unit_that_is_not_installed_counts_as_down():
    assert plan.decide_down(plan.State("x.service"), True).action == "none"


@pytest.mark.parametrize(
    ("load", "has_file", "check", "possible"),
    [
        ("loaded", True, False, True),
        ("not-found", True, False, True),
        ("not-found", False, False, False),
        ("not-found", False, True, True),
        ("masked", True, True, False),
        ("masked", False, False, False),
    ],
)
def test_a_unit_without_a_file_is_an_error_only_outside_check_mode(load, has_file, check, possible):
    assert (plan.impossible(plan.State("x.service", load), has_file, check) == "") is possible


@pytest.mark.parametrize(
    ("now", "action", "there"),
    [
        (state(), "none", True),
        (state("activating", "start"), "none", False),
        (state(), "restart", False),
        (state(invocation="i2"), "restart", True),
        (state(invocation="i2"), "start", True),
        (state(), "start", False),
        (state("activating", "start", invocation="i2"), "restart", False),
        (state(), "reload", True),
    ],
)
def test_after_a_restart_only_a_new_invocation_counts(now, action, there):
    assert plan.arrived(now, state(), plan.Verdict("etcd.service", action, "")) is there


@pytest.mark.parametrize(
    ("active", "job", "lost"),
    [
        ("failed", False, True),
        ("inactive", False, True),
        ("inactive", True, False),
        ("failed", True, False),
        ("activating", False, False),
        ("active", False, False),
    ],
)
def test_a_start_is_lost_when_nothing_is_under_way_any_more(active, job, lost):
    assert plan.lost(state(active, job=job)) is lost


def test_states_are_read_in_the_order_asked_for():
    web, bad, nothere = plan.parse_show(SHOWN, ["web.service", "bad.service", "nothere.service"]).values()
    assert (web.pid, web.up, web.stale, web.job, web.file_state) == (48, True, True, False, "enabled")
    assert web.since == "Sun 2026-11-22 17:47:25 UTC"
    assert (bad.restarts, bad.sub, bad.job, bad.invocation) == (1, "auto-restart", True, "6ba5a87bc6da47b9a6f129d02b2507cc")
    assert bad.words == "activating (auto-restart), last result exit-code, restarted 1 times"
    assert (nothere.load, nothere.pid, nothere.up) == ("not-found", 0, False)


def test_an_alias_keeps_the_name_it_was_asked_by():
    assert list(plan.parse_show(SHOWN, ["www.service", "b.service", "n.service"])) == ["www.service", "b.service", "n.service"]


def test_a_short_answer_of_systemctl_is_an_error():
    with pytest.raises(ValueError, match="3 blocks for 2 units"):
        plan.parse_show(SHOWN, ["web.service", "bad.service"])


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("etcd", "etcd.service"),
        ("etcd.service", "etcd.service"),
        ("a.b", "a.b.service"),
        ("x.target", "x.target"),
    ],
)
def test_a_name_without_suffix_is_a_service(given, full):
    assert plan.service(given) == full


def test_the_programs_of_a_unit_are_found_behind_systemds_prefixes():
    text = "[Service]\nExecStartPre=-/bin/mkdir -p /x\nExecStart=@!/opt/multimaster/etcd/3.6.16/etcd --name m1\n#ExecStart=/no\n"
    assert plan.programs(text) == ["/bin/mkdir", "/opt/multimaster/etcd/3.6.16/etcd"]


def test_the_diff_names_only_what_is_touched():
    verdicts = [decide(state(file_state="disabled"), OTHER_INPUT, "")]
    shown = plan.diff(verdicts, {"etcd.service": state(file_state="disabled")})
    assert shown["before"] == "etcd.service: active (running)\n"
    assert shown["after"] == "etcd.service: restarted, its inputs changed, enabled\n"
    assert plan.diff([decide(state())], {"etcd.service": state()}) == {"before": "", "after": ""}


@pytest.mark.parametrize(
    ("verdict", "changed"),
    [
        (plan.Verdict("a", "none", ""), False),
        (plan.Verdict("a", "wait", ""), False),
        (plan.Verdict("a", "hold", ""), False),
        (plan.Verdict("a", "none", "", enable=True), True),
        (plan.Verdict("a", "none", "", disable=True), True),
        (plan.Verdict("a", "none", "", drop_in=""), True),
        (plan.Verdict("a", "start", ""), True),
        (plan.Verdict("a", "stop", ""), True),
        (plan.Verdict("a", "reload", ""), True),
    ],
)
def test_any_touch_of_the_host_is_a_change(verdict, changed):
    assert verdict.changed is changed


def test_a_state_is_not_waited_for_unless_a_job_is_under_way():
    assert plan.State("a.service").job is False and plan.lost(plan.State("a.service"))


def test_counters_that_are_no_numbers_count_as_none():
    shown = plan.parse_show("Id=a.service\nMainPID=[not set]\nNRestarts=\n", ["a.service"])["a.service"]
    assert (shown.pid, shown.restarts) == (0, 0)


@pytest.mark.parametrize(("entered", "began"), [(12_500_000, 1012.5), (0, 0.0)])
def test_when_a_unit_began_is_told_by_this_hosts_clock(entered, began):
    assert plan.began(state(entered=entered), 1100.0, 100.0) == began


FILE, INPUT = "/etc/systemd/system/etcd.service", "/etc/etcd/pki/server.crt"


def seen(now, running=WANTED, **more):
    """Return a unit of one file and one input, as it was read."""
    known = {"drop_in": plan.render_drop_in(WANTED), "sources": (FILE, INPUT), **more}
    return plan.Seen(now, WANTED, running, **known)


RIGHT, OTHER, DOWN = seen(state()), seen(state(), OTHER_INPUT), seen(state("inactive", "dead"), NOBODY)
LOOPING, WAITING = seen(state("activating", "auto-restart")), seen(state("activating", "start"))
RELOADING = seen(state(), OTHER_INPUT, reloads=(INPUT,))


@pytest.mark.parametrize(
    ("unit", "started", "held", "configured", "down"),
    [
        (RIGHT, "none", "none", "none", "stop"),
        (OTHER, "restart", "hold", "hold", "stop"),
        (RELOADING, "reload", "hold", "hold", "stop"),
        (DOWN, "start", "start", "configure", "none"),
        (LOOPING, "restart", "restart", "stop", "stop"),
        (WAITING, "wait", "wait", "configure", "stop"),
    ],
)
def test_what_brings_a_unit_to_each_goal(unit, started, held, configured, down):
    assert [one.action for one in plan.decide("started", [unit])] == [started]
    assert [one.action for one in plan.decide("started", [unit], restart=False)] == [held]
    for restart in (True, False):
        assert [one.action for one in plan.decide("configured", [unit], restart)] == [configured]
        for goal in plan.DOWN:
            assert [one.action for one in plan.decide(goal, [unit], restart)] == [down]


def test_only_who_is_to_be_absent_is_not_started_at_boot_any_more():
    assert [plan.decide(goal, [RIGHT])[0].disable for goal in plan.GOALS] == [False, False, False, True]


@pytest.mark.parametrize(
    ("unit", "changing", "started", "held", "configured"),
    [
        (RIGHT, [INPUT], "restart", "hold", "hold"),
        (RIGHT, [FILE], "restart", "hold", "hold"),
        (RIGHT, ["/etc/other"], "none", "none", "none"),
        (seen(state(), reloads=(INPUT,)), [INPUT], "reload", "hold", "hold"),
        (seen(state(), reloads=(INPUT,)), [INPUT, FILE], "restart", "hold", "hold"),
        (seen(state(), reloads=()), [INPUT], "restart", "hold", "hold"),
        (RELOADING, [FILE], "restart", "hold", "hold"),
        (DOWN, [INPUT, FILE], "start", "start", "configure"),
        (WAITING, [INPUT], "restart", "hold", "hold"),
        (seen(state("activating", "start"), reloads=(INPUT,)), [INPUT], "restart", "hold", "hold"),
    ],
)
def test_a_check_foresees_what_files_that_would_change_do_to_who_was_started_with_them(unit, changing, started, held, configured):
    assert [one.action for one in plan.decide("started", [unit], True, changing)] == [started]
    assert [one.action for one in plan.decide("started", [unit], False, changing)] == [held]
    assert [one.action for one in plan.decide("configured", [unit], True, changing)] == [configured]
    assert plan.decide("stopped", [unit], True, changing) == plan.decide("stopped", [unit])


@pytest.mark.parametrize(
    ("unit", "check", "said"),
    [
        (RIGHT, False, []),
        (seen(state(), missing=("/a", "/b")), False, ["etcd.service reads /a", "etcd.service reads /b"]),
        (seen(state(), missing=("/a",)), True, []),
        (plan.Seen(plan.State("etcd.service"), WANTED, has_file=False), False, ["etcd.service has no unit file"]),
        (plan.Seen(plan.State("etcd.service"), WANTED, has_file=False), True, []),
        (
            plan.Seen(plan.State("etcd.service", "masked"), WANTED, missing=("/a",)),
            False,
            ["etcd.service is masked", "etcd.service reads /a"],
        ),
        (plan.Seen(plan.State("etcd.service", "masked"), WANTED), True, ["etcd.service is masked"]),
    ],
)
def test_all_that_keeps_units_from_coming_up_is_named_and_none_of_it_from_going_down(unit, check, said):
    for goal in (plan.STARTED, plan.CONFIGURED):
        found = plan.obstacles(goal, [RIGHT, unit], check)
        assert len(found) == len(said) and all(text.startswith(part) for text, part in zip(found, said))
    for goal in plan.DOWN:
        assert plan.obstacles(goal, [unit], check) == []


@pytest.mark.parametrize(
    ("action", "key"),
    [
        ("start", "started"),
        ("restart", "restarted"),
        ("reload", "reloaded"),
        ("stop", "stopped"),
        ("hold", "restart_needed"),
    ],
)
def test_a_result_names_units_by_what_is_done_to_them_and_says_why(action, key):
    told = plan.told([plan.Verdict("a", action, "so"), plan.Verdict("b", "none", "it runs with what is written")])
    assert told.pop("changed") is (action != "hold")
    assert told.pop("reasons") == {"a": "so"}
    assert {name: units for name, units in told.items() if units} == {key: ["a"]}
