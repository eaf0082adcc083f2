# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
import yaml
from ansible_collections.multimaster.kubernetes.plugins.action import health as action
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _health_reading
from ansible_collections.multimaster.kubernetes.plugins.modules import health, health_info


@pytest.mark.parametrize("check", [False, True])
def test_the_arguments_reach_the_reading_in_check_mode_too(call, monkeypatch, check):
    monkeypatch.setattr(_health_reading, "read", lambda **given: {"etcd": given})
    result = call(health_info, {"etcd_endpoints": ["https://a:2379"], "certificates": ["/etc/x.crt"]}, check=check)
    assert result["changed"] is False
    assert result["etcd"] == {
        "etcd_endpoints": ["https://a:2379"],
        "certificates": ["/etc/x.crt"],
        "api_server": "",
        "endpoint": "",
        "endpoint_address": "",
        "interface": "",
    }


def test_nothing_asked_for_is_nothing_read(call):
    assert call(health_info, {}) == {
        "changed": False,
        "etcd": None,
        "api": None,
        "endpoint": None,
        "balancer": None,
        "certificates": None,
        "invocation": {
            "module_args": {
                "etcd_endpoints": [],
                "certificates": [],
                "api_server": "",
                "endpoint": "",
                "endpoint_address": "",
                "interface": "",
            }
        },
    }


def test_the_action_wants_the_parts_that_the_module_returns(call):
    assert set(action.PARTS) <= set(call(health_info, {}))
    assert set(action.PARTS) == set(yaml.safe_load(health_info.RETURN))


def test_the_documented_options_are_the_actions():
    options = yaml.safe_load(health.DOCUMENTATION)["options"]
    for name, spec in action.ARGUMENTS.items():
        documented = options.pop(name)
        assert documented.get("default") == spec.get("default")
        assert documented.get("choices") == spec.get("choices")
        assert documented["type"] == spec["type"]
    assert options == {}
