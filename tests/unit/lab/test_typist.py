# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real run that asks, on a real terminal."""

from __future__ import annotations

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))

import play

ASKS = """
- hosts: localhost
  gather_facts: false
  tasks:
    - ansible.builtin.pause: {prompt: "Type w1 to go on, anything else to stop"}
      register: first
    - ansible.builtin.pause: {prompt: "Type w2 to go on, anything else to stop"}
      register: second
    - ansible.builtin.debug: {msg: "typed <{{ first.user_input }}> and <{{ second.user_input }}>"}
"""


def test_each_question_gets_its_answer_and_one_too_many_gets_none(tmp_path):
    (tmp_path / "asks.yml").write_text(ASKS)
    log = tmp_path / "log"
    assert play.converse(["ansible-playbook", str(tmp_path / "asks.yml")], log, tmp_path / "events", ["w1"]) == 0
    assert "typed <w1> and <>" in log.read_text()
