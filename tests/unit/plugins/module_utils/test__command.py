# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of running programs."""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _command


def test_output_and_exit_code_come_back():
    result = _command.run(["/bin/sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (result.rc, result.out, result.err) == (3, "out\n", "err\n")
    assert str(result) == "`/bin/sh -c echo out; echo err >&2; exit 3` exited with 3: err"


def test_a_missing_program_is_a_result_not_an_exception():
    assert "cannot run /nowhere/x: No such file" in str(_command.run(["/nowhere/x"]))


def test_a_program_that_hangs_is_ended():
    result = _command.run(["/bin/sleep", "5"], 0.1)
    assert result.rc == _command.TIMED_OUT and "no end within 0.1 s" in str(result)


def test_programs_speak_english():
    assert _command.run(["/bin/sh", "-c", "echo $LC_ALL"]).out == "C\n"
