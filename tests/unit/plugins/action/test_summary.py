# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action on what Ansible hands it: printing what it returns, and asking nobody."""

from __future__ import annotations

import types
from unittest import mock

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible_collections.multimaster.kubernetes.plugins.action import summary
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _topology, _topology_fact
from ansible_collections.multimaster.kubernetes.plugins.modules import summary as docs
from cluster_fixtures import address, fresh, inventory, member, settings

LISTED = inventory(("m1",), ["w1"])
FACT = _topology_fact.as_fact(_topology.build(settings(), LISTED, {name: fresh(name) for name in LISTED.names}))
NODES = [
    {"name": name, "ready": True, "unschedulable": False, "zone": "", "version": "v1.36.3", "internal_ip": address(name)}
    for name in ("m1", "w1")
]
MEMBERS = [{**member("m1"), "leader": True, "healthy": True}]
GIVEN = {"cluster": FACT, "nodes": NODES, "members": MEMBERS, "holders": ["m1"], "kubeconfig": "/inv/admin.conf"}


@pytest.fixture
def run(monkeypatch):
    """Return run(check=False, **arguments): the action's result and what was printed."""

    def run(check=False, **arguments):
        printed = []
        monkeypatch.setattr(summary, "Display", lambda: mock.MagicMock(display=printed.append))
        action = summary.ActionModule.__new__(summary.ActionModule)
        action._task = types.SimpleNamespace(
            args=arguments, check_mode=check, diff=True, action="summary", async_val=0, delegate_to=None
        )
        action._connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir=None))
        action._execute_module = lambda **_arguments: pytest.fail("a host is asked")
        return action.run(None, {}), printed

    return run


@pytest.mark.parametrize("check", [False, True])
def test_what_is_returned_is_what_was_printed(run, world, check):
    with world.untouched("a summary"):
        result, printed = run(check, **GIVEN)
    assert result["changed"] is False
    assert printed == ["\n" + "\n".join(result["lines"]) + "\n"]
    assert result["lines"][0] == "Cluster    prod: 1 masters, 1 workers"
    assert "held by m1" in printed[0] and printed[0].endswith("export KUBECONFIG=/inv/admin.conf\n")


def test_a_check_on_bare_hosts_has_nothing_to_tell_and_does_not_fail(run):
    result, _printed = run(True, cluster=FACT, nodes=[], members=[])
    assert "held by NOBODY" in result["lines"][1] and "HAS NO QUORUM" in result["lines"][2]
    assert "Certificates: not read in this run, health.yml does" in result["lines"]
    assert not [line for line in result["lines"] if "KUBECONFIG" in line]


def test_the_first_certificate_to_end_is_named(run):
    rows = [{"host": "m1", "path": f"/{days}.crt", "days_left": days} for days in (300, 20)]
    assert "Certificates: 2 read, the first to end in 20 days (m1:/20.crt)" in run(**GIVEN, certificates=rows)[0]["lines"]


@pytest.mark.parametrize("missing", ["cluster", "nodes", "members"])
def test_what_it_needs_is_asked_for(run, missing):
    with pytest.raises(AnsibleActionFail, match=missing):
        run(**{name: value for name, value in GIVEN.items() if name != missing})


def test_arguments_and_documentation_agree():
    options = yaml.safe_load(docs.DOCUMENTATION)["options"]
    assert set(options) == set(summary.ARGUMENTS)
    for name, argument in summary.ARGUMENTS.items():
        for field in ("type", "elements", "default", "required"):
            assert argument.get(field) == options[name].get(field), (name, field)
