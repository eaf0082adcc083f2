# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what tells a run that lives from a dead one: the process it is, and when a process started."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from unittest import mock

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _lock
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _this_run


@pytest.fixture
def ended():
    """Return the number of a process that is no more."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_a_run_says_all_by_which_it_is_known_again():
    said = _this_run.process()
    assert said == {
        "controller": _this_run.socket.gethostname(),
        "boot": _this_run.boot(),
        "pid": os.getpid(),
        "started": _this_run.started(os.getpid()),
    }
    kernel, space = said["boot"].split()
    assert len(kernel) == 36 and space.startswith("pid:["), "two containers of one host number their processes alike"


@pytest.mark.parametrize("answer", [None, _lock.UNKNOWN], ids=["there-is-none", "hidden"])
def test_a_start_that_is_not_known_is_said_as_nothing(monkeypatch, answer):
    monkeypatch.setattr(_this_run, "started", lambda _pid: answer)
    assert _this_run.process()["started"] == 0


def test_a_task_names_the_process_it_was_forked_from():
    """Tasks run in children; the lock is the run's, whichever child asks for it."""
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe()
    child = context.Process(target=lambda: theirs.send(_this_run.process()))
    child.start()
    assert mine.recv() == _this_run.process()
    child.join()


def test_the_start_of_processes(ended):
    assert _this_run.started(os.getpid()) > 0
    assert _this_run.started(os.getpid()) >= _this_run.started(os.getppid())
    assert _this_run.started(ended) is None
    assert _this_run.started(2**80) == _lock.UNKNOWN


def test_a_killed_process_that_nobody_waited_for_is_gone():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        assert _this_run.started(child.pid) > 0
        os.kill(child.pid, signal.SIGKILL)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert _this_run.started(child.pid) is None
    finally:
        child.kill()
        child.wait()


def test_a_process_hidden_from_this_account_may_be_alive(monkeypatch):
    def hidden(*_args, **_more):
        raise FileNotFoundError

    for answer in (PermissionError, None):
        monkeypatch.setattr(_this_run.os, "kill", mock.Mock(side_effect=answer))
        monkeypatch.setattr("builtins.open", hidden)
        assert _this_run.started(4711) == _lock.UNKNOWN
        assert _this_run.boot() == ""
        monkeypatch.undo()


def test_a_program_may_be_called_anything(monkeypatch):
    text = "4711 (a) Z (b) S 1 " + " ".join(str(number) for number in range(5, 53))
    monkeypatch.setattr(_this_run.os, "kill", mock.Mock())
    monkeypatch.setattr("builtins.open", mock.mock_open(read_data=text))
    assert _this_run.started(4711) == 22
