# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test that a report is read by people and by programs, and what is left of it on the controller."""

from __future__ import annotations

import json
import os
from unittest import mock

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _document

DOCUMENT = {"verdict": "HEALTHY", "hosts": ["m1"], "cluster": "prod"}
LINES = ["prod is", "healthy"]


@pytest.fixture
def shown(monkeypatch):
    """Return what was displayed, as texts."""
    lines = []
    monkeypatch.setattr(_document, "Display", lambda: mock.MagicMock(display=lines.append))
    return lines


def test_people_get_the_lines_with_space_around_them(shown):
    _document.publish(DOCUMENT, LINES)
    assert shown == ["\nprod is\nhealthy\n"]


def test_a_program_gets_one_line_that_is_the_same_every_time(shown):
    _document.publish(DOCUMENT, LINES, "json")
    _document.publish(dict(reversed(DOCUMENT.items())), LINES, "json")
    [line, again] = shown
    assert json.loads(line) == DOCUMENT and "\n" not in line
    assert line == again


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_file_holds_the_document_in_either_form_below_the_users_home_too(shown, monkeypatch, tmp_path, form):
    monkeypatch.setenv("HOME", str(tmp_path))
    _document.publish(DOCUMENT, LINES, form, "~/report.json")
    text = (tmp_path / "report.json").read_text()
    assert json.loads(text) == DOCUMENT and text.endswith("}\n") and text.count("\n") > 3


def test_nothing_is_kept_unless_that_is_asked_for(shown, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    _document.publish(DOCUMENT, LINES)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("there", ["no/report.json", "folder"])
def test_who_cannot_keep_it_says_where_and_what_to_do_and_has_shown_it_before(shown, tmp_path, there):
    (tmp_path / "folder").mkdir()
    with pytest.raises(AnsibleActionFail, match=f"cannot be written to {tmp_path}/{there}: .*Next: \\w"):
        _document.publish(DOCUMENT, LINES, output=str(tmp_path / there))
    assert shown
    assert os.listdir(tmp_path) == ["folder"]
