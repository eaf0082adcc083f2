# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
import yaml
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _host
from ansible_collections.multimaster.kubernetes.plugins.modules import host_info, topology
from cluster_fixtures import fresh


class Exited(Exception):
    pass


@pytest.mark.parametrize("check_mode", [False, True])
def test_the_observation_is_returned_as_a_fact_in_check_mode_too(monkeypatch, check_mode):
    asked = {}

    class Module:
        def __init__(self, argument_spec, supports_check_mode):
            assert supports_check_mode
            self.check_mode = check_mode
            self.params = {name: spec.get("default") for name, spec in argument_spec.items()}

        def exit_json(self, **result):
            asked.update(result)
            raise Exited

    monkeypatch.setattr(host_info, "AnsibleModule", Module)
    monkeypatch.setattr(_host, "observe", lambda system, **arguments: {"arguments": arguments})
    with pytest.raises(Exited):
        host_info.main()
    assert asked["changed"] is False
    assert asked["ansible_facts"]["multimaster_host"]["arguments"]["peer_port"] == 22


def test_the_documented_sample_has_the_keys_of_a_real_observation():
    sample = yaml.safe_load(host_info.RETURN)["ansible_facts"]["contains"]["multimaster_host"]["sample"]
    assert sorted(sample) == sorted(fresh("m1"))


def test_the_fixture_of_the_tests_has_the_keys_of_a_real_observation():
    class Nothing(_host.System):
        def run(self, argv):
            return 127, ""

        def names(self, path):
            return []

    seen = _host.observe(Nothing(), etcd_status=lambda files, listeners: None)
    assert sorted(set(fresh("m1")) - {"clock_window"}) == sorted(seen)


@pytest.mark.parametrize("module", [host_info, topology])
def test_the_documentation_is_whole(module):
    documented = yaml.safe_load(module.DOCUMENTATION)
    assert documented["short_description"]
    assert all(option["description"] for option in documented["options"].values())
    assert yaml.safe_load(module.EXAMPLES)
    assert yaml.safe_load(module.RETURN)
