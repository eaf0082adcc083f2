# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Flags of an inventory and the processes that run: what one lacks is found."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests" / "lab"))

import flags


def test_every_role_that_takes_flags_is_looked_at():
    roles = {
        path.parents[1].name
        for path in ROOT.glob("roles/*/meta/argument_specs.yml")
        for entry in yaml.safe_load(path.read_text())["argument_specs"].values()
        if any(name.endswith("_extra_flags") for name in entry.get("options", {}))
    }
    assert roles == {role for role, _hosts in flags.PROGRAMS.values()}


class Lab:
    masters, members = ["m1", "m2"], ["e1"]

    def variable(self, name, host):
        given = {"etcd_extra_flags": {"a": 1}, "kube_scheduler_extra_flags": {} if host == "m1" else {"b": True}}
        return given.get(name)


def test_only_who_runs_a_program_that_is_given_flags_is_asked():
    assert flags.wanted(Lab()) == {"e1": {"etcd": {"a": 1}}, "m2": {"kube-scheduler": {"b": True}}}


def test_a_host_tells_the_flags_of_each_unit():
    text = "unit etcd\n/opt/etcd\n--a=b=c\n--d\nunit kube-apiserver\nunit kube-scheduler\nx\n--a=\n"
    assert flags.command_lines(text) == {"etcd": {"a": "b=c", "d": ""}, "kube-apiserver": {}, "kube-scheduler": {"a": ""}}


def test_the_question_is_a_command_that_answers_also_where_nothing_runs():
    done = subprocess.run(["sh", "-c", flags.ASK], capture_output=True, text=True)
    assert done.returncode == 0
    assert flags.command_lines(done.stdout) == {unit: {} for unit in flags.PROGRAMS}


@pytest.mark.parametrize(
    "given,has,wrong",
    [
        ({"a": 200, "b": True, "c": ["x", "y"]}, {"a": "200", "b": "true", "c": "x,y", "d": "z"}, []),
        ({"a": "200ms"}, {"a": "100ms"}, ["m1: etcd runs with a=100ms, not 200ms"]),
        ({"a": "200ms"}, {}, ["m1: etcd runs with a=(absent), not 200ms"]),
        ({"a": None}, {}, []),
        ({"a": None}, {"a": "1"}, ["m1: etcd runs with a=1, not None"]),
        ({"feature-gates": "X=true"}, {"feature-gates": "A=true,X=true"}, []),
        (
            {"feature-gates": {"X": True}},
            {"feature-gates": "A=true,X=false"},
            ["m1: etcd runs with feature-gates=A=true,X=false, not X=true"],
        ),
        ({"feature-gates": "X=true"}, {}, ["m1: etcd runs with feature-gates=(absent), not X=true"]),
    ],
)
def test_a_flag_that_the_process_does_not_have_is_found(given, has, wrong):
    assert flags.missing({"m1": {"etcd": given}}, {"m1": {"etcd": has}}) == wrong


def test_a_unit_that_does_not_run_has_no_flag():
    assert flags.missing({"m1": {"etcd": {"a": "1"}}}, {"m1": {}}) == ["m1: etcd runs with a=(absent), not 1"]
