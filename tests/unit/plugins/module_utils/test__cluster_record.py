# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what a host's record of its cluster says, and that the role that writes it means the same file and keys."""

from __future__ import annotations

import pathlib

import pytest
import yaml
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _cluster_record, _preflight_cluster

ROLE = pathlib.Path(__file__).resolve().parents[4] / "roles" / "host_preparation"


@pytest.mark.parametrize("text", ["", "[]", "{", "{}", '{"name": ""}', '{"name": 1}'])
def test_a_record_without_a_name_is_none(text):
    with pytest.raises(ValueError):
        _cluster_record.cluster_name(text)


def test_a_record_names_its_cluster_whatever_else_it_says():
    assert _cluster_record.cluster_name('\n{"name": "prod", "etcd": "stacked"}') == "prod"


@pytest.mark.parametrize("observation", [None, {}, {"cluster": None}, {"cluster": {}}])
def test_a_host_that_is_bare_or_was_not_seen_has_no_record(observation):
    assert _cluster_record.of(observation) == {}


def test_the_record_of_a_host_is_what_was_read_there():
    assert _cluster_record.of({"cluster": {"name": "prod", "replaces": "m1"}}) == {"name": "prod", "replaces": "m1"}


def test_the_role_writes_the_file_that_is_read():
    [written] = yaml.safe_load((ROLE / "vars/main.yml").read_text())["__host_preparation_files"]
    assert written["path"] == _cluster_record.PATH


def test_what_preflight_wants_kept_is_in_the_record():
    specs = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text())["argument_specs"]
    assert set(_preflight_cluster.RECORDED) <= set(specs["main"]["options"]["host_preparation_cluster"]["options"])
