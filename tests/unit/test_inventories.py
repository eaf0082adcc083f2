# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold each sample inventory to what a user would get from it on bare hosts that are all there."""

from __future__ import annotations

import pathlib

import pytest
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.manager import VariableManager
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _preflight, _topology
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _inventory_view
from cluster_fixtures import fresh

ROOT = pathlib.Path(__file__).resolve().parents[2]
SAMPLES = sorted(path.name for path in (ROOT / "inventories").iterdir() if (path / "hosts.yml").exists())
# inventory: masters, workers, hosts of a dedicated etcd
EXPECTED = {
    "air-gapped": (3, 2, 0),
    "external-etcd": (2, 2, 3),
    "prod": (3, 3, 0),
    "single": (1, 1, 0),
    "three-zones": (3, 6, 0),
}


def load(name):
    """Return (groups, variables by host) as Ansible reads them."""
    loader = DataLoader()
    inventory = InventoryManager(loader, sources=[str(ROOT / "inventories" / name)])
    variables = VariableManager(loader, inventory)
    hosts = {host.name: variables.get_vars(host=host) for host in inventory.get_hosts()}
    return inventory.get_groups_dict(), hosts


def bare(number, name, variables, others):
    """Return what is observed on a bare host of that inventory."""
    near = {other: 0.3 for other in others if other != name}
    seen = fresh("m1", hostname=name, machine_id=f"{number:032x}", rtt_ms=near, macs=[f"02:00:c0:00:02:{number:02x}"])
    seen["addresses"] = [{"interface": "eth0", "address": variables["ansible_host"], "prefix": 24}]
    seen["default_address"] = variables["ansible_host"]
    return seen


def test_every_sample_is_expected():
    assert sorted(EXPECTED) == SAMPLES


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_read_without_a_finding(name):
    _settings, inventory, findings, folder = _inventory_view.read(*load(name))
    assert findings == ()
    assert (len(inventory.masters), len(inventory.workers), len(inventory.etcd)) == EXPECTED[name]
    assert folder == str(ROOT / "inventories" / name)


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_passes_preflight_on_bare_hosts(name):
    groups, variables = load(name)
    settings, inventory, _findings, _folder = _inventory_view.read(groups, variables)
    observed = {host: bare(number, host, variables[host], inventory.names) for number, host in enumerate(inventory.names, 1)}
    topology = _topology.build(settings, inventory, observed)
    found = _preflight.judge(_preflight.View(settings, inventory, observed, topology))
    assert [finding.line() for finding in found] == []
    assert topology.etcd.action == "bootstrap"


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_uses_documentation_addresses(name):
    _groups, variables = load(name)
    assert all(host["ansible_host"].startswith("192.0.2.") for host in variables.values())
    assert all(host["multimaster_endpoint_address"].startswith("192.0.2.") for host in variables.values())
