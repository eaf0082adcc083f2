# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter that wires topology to certificates."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleFilterError
from ansible_collections.multimaster.kubernetes.plugins.filter import certificates_for as plugin

CLUSTER = {"endpoint": {"address": "192.0.2.100"}, "network": {"cluster_domain": "c.local", "api_service_address": "10.96.0.1"}}
MASTER = {"node_name": "m1", "address": "192.0.2.1", "master": True, "member": True, "worker": False}


def test_certificates_for():
    certificates_for = plugin.FilterModule().filters()["certificates_for"]
    assert set(certificates_for(MASTER, CLUSTER)) == {"certificates", "authorities", "shared"}


def test_a_topology_that_lacks_something_is_named():
    with pytest.raises(AnsibleFilterError, match="the topology lacks 'endpoint'"):
        plugin.certificates_for(MASTER, {"network": CLUSTER["network"]})
