# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what a filter of a host and the topology says where one of the two is not what it should be."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils._of_topology import of_topology


def of_master(host, cluster):
    return [cluster["endpoint"]["address"], len(host)]


@pytest.mark.parametrize(
    ("host", "cluster", "lacks"),
    [
        ("m1", {}, "'endpoint'"),
        ("m1", {"endpoint": {}}, "'address'"),
        ("m1", {"endpoint": None}, "'NoneType' object is not subscriptable"),
        (None, {"endpoint": {"address": "192.0.2.10"}}, "object of type 'NoneType' has no len"),
    ],
)
def test_what_is_missing_is_named_with_the_filter_and_what_to_give_it(host, cluster, lacks):
    with pytest.raises(AnsibleFilterError, match=f"^names: the topology lacks {lacks}.*Next: give it one entry of") as raised:
        of_topology("names", of_master)(host, cluster)
    assert isinstance(raised.value.__cause__, (KeyError, TypeError)), "who looks for the place finds it in the traceback"


def test_a_whole_topology_is_answered():
    assert of_topology("names", of_master)("m1", {"endpoint": {"address": "192.0.2.10"}}) == ["192.0.2.10", 2]


def test_what_the_function_refuses_itself_is_left_to_it():
    def refuse(_host, _cluster):
        raise ValueError("a zone of this name there is not")

    with pytest.raises(ValueError, match="a zone of this name"):
        of_topology("names", refuse)({}, {})
