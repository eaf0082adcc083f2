# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of file_set as a module: check, run, run again, and what it never shows."""

from __future__ import annotations

import getpass
import grp
import json
import os

import pytest
from ansible_collections.multimaster.kubernetes.plugins.modules import file_set

ME = {"owner": getpass.getuser(), "group": grp.getgrgid(os.getegid()).gr_name}
SECRET = "correct-horse-battery-staple"


@pytest.fixture
def everything(tmp_path):
    (tmp_path / "old").write_text("x")
    return {
        "directories": [{"path": str(tmp_path / "d"), "mode": "0700", **ME}],
        "files": [{"path": str(tmp_path / "d/sub/a"), "content": "hello\n", "mode": "0644", **ME}],
        "secrets": [{"path": str(tmp_path / "d/key"), "content": SECRET, **ME}],
        "links": {str(tmp_path / "link"): "d/sub/a"},
        "absent": [str(tmp_path / "old")],
    }


def test_a_whole_set_is_made_once(check_run_again, everything, tmp_path):
    checked, done, again = check_run_again(file_set, everything)
    assert (
        checked["changed_paths"]
        == done["changed_paths"]
        == [str(tmp_path / name) for name in ("d", "d/sub", "d/sub/a", "d/key", "link", "old")]
    )
    assert checked["diff"] == done["diff"] and again["diff"] == [] and again["changed_paths"] == []
    assert (tmp_path / "link").read_text() == "hello\n"


def test_check_mode_leaves_the_disk_alone(call, everything, tmp_path):
    call(file_set, everything, check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["old"]


def test_a_secret_is_in_no_result(call, everything, tmp_path):
    for _run in range(2):
        assert SECRET not in json.dumps(call(file_set, everything))
        (tmp_path / "d/key").write_text("another-secret-of-yesterday")
    assert "another-secret-of-yesterday" not in json.dumps(call(file_set, everything))


def test_a_validators_no_is_shown_without_the_secret(call, everything, tmp_path):
    everything["secrets"][0]["validate"] = ["/bin/sh", "-c", "cat %s; echo 'line 3: no such key' >&2; exit 1"]
    result = call(file_set, everything)
    assert (
        result["failed"] and "line 3: no such key" in result["msg"] and SECRET not in json.dumps({**result, "invocation": None})
    )
    assert not (tmp_path / "d/sub/a").exists()


def test_a_validators_output_that_quotes_the_secret_is_masked(call, everything):
    everything["secrets"][0]["validate"] = ["/bin/sh", "-c", f"echo 'bad value: {SECRET[8:]}x{SECRET}' >&2; false %s"]
    assert f"x{SECRET}" not in call(file_set, everything)["msg"]


def test_the_diff_of_a_text_is_the_text(call, everything, tmp_path):
    call(file_set, everything)
    everything["files"][0]["content"] = "bye\n"
    path = str(tmp_path / "d/sub/a")
    assert call(file_set, everything)["diff"] == [
        {"before_header": path, "after_header": path, "before": "hello\n", "after": "bye\n"}
    ]


@pytest.mark.parametrize("change", [{"mode": "0600"}, {"mode": "0755"}])
def test_a_changed_mode_alone_is_a_change(call, everything, change, tmp_path):
    call(file_set, everything)
    everything["files"][0].update(change)
    result = call(file_set, everything)
    assert result["reasons"] == {str(tmp_path / "d/sub/a"): "mode"}
    assert f"mode: {change['mode']}" in result["diff"][0]["after"] and "mode: 0644" in result["diff"][0]["before"]


def test_an_account_that_does_not_exist_is_an_error_only_outside_check_mode(call, tmp_path):
    arguments = {"files": [{"path": str(tmp_path / "a"), "content": "", "owner": "nobody-of-this-name"}]}
    assert call(file_set, arguments, check=True)["changed"]
    assert "there is no user 'nobody-of-this-name'" in call(file_set, arguments)["msg"]


def test_a_mode_that_yaml_has_turned_into_a_number_is_refused(call, tmp_path):
    result = call(file_set, {"files": [{"path": str(tmp_path / "a"), "content": "", "mode": 0o640}]})
    assert "four octal digits" in result["msg"]
