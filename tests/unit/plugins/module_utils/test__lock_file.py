# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock in a file on one host: what is read, what is written, and who of several is first."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import json
import os
import socket
import threading

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _lock, _lock_file, _lock_flow

NOON = 1767268800.0
TWELVE = "2026-01-01T12:00:00.000000Z"
MINE = _lock.Run("ctl1/a", "remove m1", "ctl1", "boot1", 10, 100, "a")
OTHER = _lock.Run("ctl2/b", "upgrade", "ctl2", "boot2", 20, 200, "b")


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "multimaster" / "lock.json")


def hold(path, me=MINE, now=NOON, **more):
    return _lock_file.hold(path, _lock_flow.Wish(me, 600, **more), lambda: now)


def written(path):
    """Return the record as it stands, None where there is none."""
    with contextlib.suppress(FileNotFoundError), open(path, encoding="utf-8") as file:
        return json.load(file)
    return None


@pytest.mark.parametrize("text", ["", "[]", '{"holder": 7'])
def test_a_record_that_cannot_be_read_is_somebodys(text):
    lease = _lock_file.lease_of(text)
    assert lease.run.holder and lease.ends is None
    assert _lock.judge(lease, MINE, NOON).refused


def test_of_many_on_a_host_at_once_exactly_one_gets_it(tmp_path):
    path, results = str(tmp_path / "multimaster" / "lock.json"), {}

    def ask(name):
        wish = _lock_flow.Wish(_lock.Run(name), 600)
        results[name] = _lock_file.hold(path, wish, lambda: NOON)

    threads = [threading.Thread(target=ask, args=(f"ctl/{number}",)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [name for name, outcome in results.items() if not outcome.verdict.refused]
    assert {outcome.lease.run.holder for outcome in results.values()} == {winner}


# The record


def test_a_record_is_read_back_as_it_was():
    text = _lock_file.record(MINE, None, _lock.TAKE, 600, NOON)
    assert text.endswith("}\n")
    assert _lock_file.lease_of(text) == _lock.Lease(MINE, TWELVE, "2026-01-01T12:11:00.000000Z", NOON + 660)


@pytest.mark.parametrize(
    ("step", "purpose", "since", "said"),
    [
        (_lock.RENEW, "", "earlier", "upgrade"),
        (_lock.RENEW, "remove m1", "earlier", "remove m1"),
        (_lock.TAKE_OVER, "", TWELVE, ""),
        (_lock.TAKE, "remove m1", TWELVE, "remove m1"),
    ],
)
def test_only_a_renewal_keeps_since_when_and_for_what(step, purpose, since, said):
    lease = _lock.Lease(OTHER, "earlier")
    record = json.loads(_lock_file.record(dataclasses.replace(MINE, purpose=purpose), lease, step, 60, NOON))
    assert (record["since"], record["purpose"], record["renewed"], record["seconds"]) == (since, said, TWELVE, 120)
    assert record["holder"] == "ctl1/a"


@pytest.mark.parametrize(
    ("changes", "ends"),
    [
        ({}, NOON + 660),
        ({"seconds": "660"}, NOON + 660),
        ({"seconds": 0}, None),
        ({"seconds": "long"}, None),
        ({"seconds": 10**18}, None),
        ({"renewed": "noon"}, None),
    ],
    ids=["as written", "by hand", "no bound", "in words", "beyond any year", "no time"],
)
def test_a_record_of_which_the_end_cannot_be_read_has_none(changes, ends):
    record = json.loads(_lock_file.record(MINE, None, _lock.TAKE, 600, NOON))
    lease = _lock_file.lease_of(json.dumps({**record, **changes}))
    assert (lease.run, lease.ends) == (MINE, ends)
    assert _lock.judge(lease, OTHER, NOON).refused


def test_what_a_record_does_not_say_is_not_known_and_what_it_says_besides_is_left_out():
    lease = _lock_file.lease_of('{"holder": "x", "pid": "ten", "started": -5, "colour": "red"}')
    assert lease == _lock.Lease(_lock.Run("x"))


def test_an_emptied_record_is_nobodys_as_an_emptied_lease_is():
    assert _lock.judge(_lock_file.lease_of("{}"), MINE, NOON).step == _lock.TAKE


def test_how_a_dead_runs_record_is_taken_away_names_path_and_host(path):
    hold(path, OTHER)
    assert _lock_file.remedy(path) == f"`rm {path}` on {socket.gethostname()}"
    assert f"when that run is known to be dead, {_lock_file.remedy(path)} and run again" in hold(path).verdict.reason


# Holding and freeing


def test_taken_renewed_taken_over_and_released(path):
    assert hold(path).verdict.step == _lock.TAKE
    renewed = hold(path, dataclasses.replace(MINE, purpose=""), NOON + 60, kept=True)
    assert (renewed.verdict.step, renewed.lease.run, renewed.lease.since) == (_lock.RENEW, MINE, TWELVE)
    assert hold(path, OTHER, NOON + 60).lease == renewed.lease, "who is refused hears who has it"
    assert hold(path, OTHER, NOON + 60, gone="ctl1/a").verdict.step == _lock.TAKE_OVER
    assert _lock_file.free(path, MINE).verdict.refused and written(path)["holder"] == "ctl2/b"
    freed = _lock_file.free(path, OTHER)
    assert (freed.verdict.step, freed.lease, written(path)) == (_lock.RELEASE, None, None)
    assert _lock_file.free(path, OTHER).verdict.step == _lock.NOTHING


def test_others_may_read_who_keeps_them_waiting(path):
    before = os.umask(0o077)
    try:
        hold(path)
    finally:
        os.umask(before)
    assert os.stat(path).st_mode & 0o777 == 0o644
    assert os.listdir(os.path.dirname(path)) == ["lock.json"]


def test_a_look_makes_no_folder_and_takes_nothing_away(path, tmp_path):
    assert hold(path, check=True).verdict.step == _lock.TAKE
    assert _lock_file.free(path, MINE, check=True).verdict.step == _lock.NOTHING
    assert os.listdir(tmp_path) == []
    hold(path)
    looked = hold(path, OTHER, check=True)
    assert looked.verdict.refused and looked.lease.run == MINE
    assert _lock_file.free(path, MINE, check=True).lease.run == MINE
    assert written(path)["holder"] == "ctl1/a"


def test_a_record_that_is_no_text_is_somebodys(path):
    hold(path)
    with open(path, "wb") as file:
        file.write(b"\xff\x00{")
    refused = hold(path)
    assert refused.verdict.refused and refused.lease.run.purpose == "an operation whose record cannot be read"


# One at a time


def test_who_writes_waits_for_another_on_this_host_and_who_looks_does_not(path):
    hold(path)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    done = []
    waiting = threading.Thread(target=lambda: done.append(_lock_file.free(path, MINE)))
    waiting.start()
    try:
        assert hold(path, OTHER, check=True).verdict.refused
        waiting.join(0.1)
        assert waiting.is_alive() and done == [] and written(path)
    finally:
        os.close(folder)
        waiting.join()
    assert done[0].verdict.step == _lock.RELEASE and written(path) is None


def test_who_fails_keeps_nobody_waiting(path):
    def clock():
        raise OSError("no clock")

    with pytest.raises(OSError, match="no clock"):
        _lock_file.hold(path, _lock_flow.Wish(MINE, 600), clock)
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(folder)
    assert written(path) is None
