# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cuts: where a run is ended, and that nothing of it survives."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))

import cutoff

TASK = {"event": "task", "task": "etcd : Start the first voters", "number": 7}
START = {"event": "start", "task": "etcd : Start the first voters", "number": 7, "host": "m2"}


@pytest.mark.parametrize(
    "text,cut",
    [
        ("before Start the first", cutoff.Cut("task", task="Start the first")),
        ("inside Start the first voters", cutoff.Cut("start", task="Start the first voters")),
        ("inside Start @m2 +250", cutoff.Cut("start", task="Start", host="m2", delay=0.25)),
        ("inside Start @!m3 x2 +200", cutoff.Cut("start", task="Start", host="m3", delay=0.2, nth=2, other=True)),
        ("before Start x3", cutoff.Cut("task", task="Start", nth=3)),
        ("inside Restart what > Start @m1 +50", cutoff.Cut("start", task="Start", host="m1", delay=0.05, play="Restart what")),
        ("inside #37", cutoff.Cut("start", number=37)),
        ("before #3 +5", cutoff.Cut("task", number=3, delay=0.005)),
        ("at 12.5", cutoff.Cut("", delay=12.5)),
    ],
)
def test_a_cut_is_read_from_its_text(text, cut):
    assert cutoff.parse_cut(text) == cut


@pytest.mark.parametrize("text", ["", "after Start", "inside", "at", "at soon", "before   "])
def test_what_is_no_cut_is_refused_with_examples(text):
    with pytest.raises(ValueError):
        cutoff.parse_cut(text)


@pytest.mark.parametrize(
    "text,event,hit",
    [
        ("before Start the first", TASK, True),
        ("before Start the first", START, False),
        ("inside Start the first", TASK, False),
        ("inside Start the first", START, True),
        ("inside Start @m2", START, True),
        ("inside Start @m1", START, False),
        ("inside Form > Start @m2", START | {"play": "Form the etcd cluster"}, True),
        ("inside Form > Start @m2", START | {"play": "Configure the etcd members"}, False),
        ("inside Form > Start @m2", START, False),
        ("inside Start @!m1", START, True),
        ("inside Start @!m2", START, False),
        ("inside #7", START, True),
        ("inside #8", START, False),
        ("before Stop", TASK, False),
        ("at 1", {"event": "play", "play": "x"}, True),
    ],
)
def test_a_cut_happens_at_its_event_only(text, event, hit):
    assert cutoff.parse_cut(text).matches(event) is hit


def test_killing_a_run_takes_along_what_has_left_its_process_group():
    marker = f"LAB_RUN=test-{os.getpid()}"
    program = (
        "import os, subprocess, time\nsubprocess.Popen(['sleep', '60'], start_new_session=True)\nos.setsid()\ntime.sleep(60)"
    )
    name, value = marker.split("=")
    with subprocess.Popen([sys.executable, "-c", program], env=os.environ | {name: value}) as process:
        deadline = time.monotonic() + 10
        while len(cutoff.processes_of(marker, "")) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert cutoff.kill(marker) == 2
        assert process.wait() == -9
    assert not [pid for pid in cutoff.processes_of(marker, "") if not cutoff.is_zombie(pid)]


def test_killing_a_run_leaves_everybody_else_alone():
    with subprocess.Popen(["sleep", "60"]) as other:
        assert cutoff.kill("LAB_RUN=nobody-has-this") == 0
        assert other.poll() is None
        other.kill()
