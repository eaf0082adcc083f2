# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugins in this process, the host module included: executions counted, refusals before any change."""

from __future__ import annotations

import getpass
import os
import shutil
import types

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible_collections.multimaster.kubernetes.plugins.action import admin_kubeconfig, certificates
from ansible_collections.multimaster.kubernetes.plugins.doc_fragments import ca_store
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _pki
from ansible_collections.multimaster.kubernetes.plugins.modules import admin_kubeconfig as admin_kubeconfig_docs
from ansible_collections.multimaster.kubernetes.plugins.modules import certificate_set
from ansible_collections.multimaster.kubernetes.plugins.modules import certificates as certificates_docs

needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="needs the openssl program")
ACCOUNT = {"owner": getpass.getuser(), "group": str(os.getgid())}


class Site:
    """One made-up host that is a folder, and the controller's folder beside it."""

    def __init__(self, base):
        self.base = base
        self.phases = []
        host = str(base / "host")
        (base / "private").mkdir(mode=0o700)
        self.args = {
            "store": str(base / "inv" / "pki"),
            "cluster_name": "prod",
            "may_create": True,
            "certificates": [
                {"path": f"{host}/scheduler", "ca": "kubernetes", "common_name": "system:kube-scheduler", **ACCOUNT},
                {
                    "path": f"{host}/peer",
                    "ca": "etcd-peer",
                    "common_name": "etcd-peer",
                    "usages": ["client", "server"],
                    "ip": ["192.0.2.1"],
                    **ACCOUNT,
                },
            ],
            "authorities": [{"ca": "kubernetes", "path": f"{host}/ca.crt", "key_path": f"{host}/ca.key", **ACCOUNT}],
            "shared": [{"item": item, "path": f"{host}/{item}", **ACCOUNT} for item in _pki.SHARED_ITEMS],
        }

    def action(self, plugin, args, check=False):
        task = types.SimpleNamespace(args=args, check_mode=check, diff=True, action="certificates", async_val=0, delegate_to=None)
        action = plugin.ActionModule.__new__(plugin.ActionModule)
        action._task, action._loader, action._task_vars = task, DataLoader(), {}
        action._execute_module = self.execute
        action._connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir=None))
        self.check = check
        self.phases = []
        return action

    def execute(self, module_name, module_args, task_vars):
        assert module_name == "multimaster.kubernetes.certificate_set"
        self.phases.append(module_args["phase"])
        params = {name: module_args.get(name, []) for name in ("certificates", "files")}
        for kind, entries in params.items():
            options = certificate_set.ARGUMENTS[kind]["options"]
            assert not {name for entry in entries for name in entry} - set(options)
            params[kind] = [{**{name: option.get("default") for name, option in options.items()}, **entry} for entry in entries]
        phase = getattr(certificate_set, module_args["phase"])
        return phase(params, str(self.base / "private"), self.check)

    def run(self, check=False, now=None, **changes):
        action = self.action(certificates, {**self.args, **changes}, check)
        return action.run(None, {"inventory_hostname": "m1"})

    def host(self):
        return sorted(os.listdir(self.base / "host")) if (self.base / "host").exists() else []


@pytest.fixture
def site(tmp_path, monkeypatch):
    site = Site(tmp_path)
    site.clock = certificates.time.time()
    monkeypatch.setattr(certificates, "time", types.SimpleNamespace(time=lambda: site.clock))
    return site


@needs_openssl
def test_executions_on_the_host(site):
    """Two for a fresh host, one when nothing is to do, three for a renewal, one in check mode."""
    assert site.run(check=True)["changed"]
    assert (site.phases, site.host()) == (["read"], [])
    assert not os.path.exists(site.args["store"])
    assert site.run()["changed"]
    assert site.phases == ["read", "install"]
    assert not site.run()["changed"]
    assert site.phases == ["read"]
    site.clock += 340 * _pki.DAY
    assert site.run(check=True)["changed"]
    assert site.phases == ["read"]
    result = site.run()
    assert site.phases == ["read", "request", "install"]
    assert result["changed_paths"] == [str(site.base / "host" / name) for name in ("scheduler.crt", "peer.crt")]
    assert not site.run()["changed"]


@needs_openssl
def test_a_check_founds_no_store_and_foresees_the_run(site, world):
    # Nobody knows the keys of a store that is not founded yet; `changed_paths` is empty in a check, as its documentation says.
    checked, done, _again = world.prove(lambda check: site.run(check=check), besides=("diff", "changed_paths"))
    foreseen = ("issued", "written", "adjusted")
    assert [checked[name] for name in foreseen] == [done[name] for name in foreseen]
    site.clock += 340 * _pki.DAY
    checked, done, _again = world.prove(lambda check: site.run(check=check), besides=("changed_paths",))
    assert [checked[name] for name in (*foreseen, "diff")] == [done[name] for name in (*foreseen, "diff")]


@needs_openssl
def test_what_has_expired_altogether_is_renewed(site):
    site.run()
    site.clock += 400 * _pki.DAY
    result = site.run()
    assert [item["reasons"] for item in result["issued"]] == [["expired 35 days ago"]] * 2
    assert {row["days_left"] for row in result["certificates"].values()} <= {364, 365}


@needs_openssl
def test_an_authority_near_its_end_is_warned_about(site):
    assert site.run()["warnings"] == []
    site.clock += 3500 * _pki.DAY
    assert any("kubernetes authority expires on" in warning for warning in site.run()["warnings"])


@needs_openssl
def test_an_owner_or_mode_alone_is_put_right_without_issuing(site):
    site.run()
    os.chmod(site.base / "host" / "peer.key", 0o644)
    result = site.run()
    assert (result["issued"], result["adjusted"]) == ([], [str(site.base / "host" / "peer.key")])
    assert site.phases == ["read", "install"]
    assert not site.run()["changed"]


@needs_openssl
def test_the_store_is_not_founded_for_a_host_that_holds_something(site):
    site.run()
    shutil.rmtree(site.args["store"])
    for may_create, said in ((True, "pki.second_ca"), (False, "CA store not found at")):
        before = site.host()
        with pytest.raises(AnsibleActionFail, match=said):
            site.run(may_create=may_create)
        assert site.host() == before
        assert not os.path.exists(site.args["store"])


@needs_openssl
def test_a_host_of_another_store_is_left_as_it_is(site):
    site.run()
    os.unlink(site.base / "host" / "scheduler.crt")
    before = site.host()
    site.args["store"] += "2"
    site.action(certificates, {})
    from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _ca_store

    _ca_store.open_store(site.args["store"], "prod", site.clock, may_create=True)
    with pytest.raises(AnsibleActionFail, match="pki.other_store"):
        site.run()
    assert (site.phases, site.host()) == (["read"], before)


def test_wrong_entries_are_refused_before_the_host_is_asked(site):
    site.args["certificates"][1]["ip"] = ["nonsense"]
    site.args["shared"][0]["path"] = "relative"
    with pytest.raises(AnsibleActionFail) as caught:
        site.run()
    assert "nonsense" in str(caught.value) and "relative" in str(caught.value)
    assert site.phases == []


def test_a_failure_on_the_host_is_the_tasks_failure(site):
    site.execute = lambda **_arguments: {"failed": True, "msg": "no key for /x: install the package openssl"}
    with pytest.raises(AnsibleActionFail, match="install the package openssl"):
        site.run()


@pytest.mark.parametrize(
    ("action", "docs"),
    [(certificates, certificates_docs), (admin_kubeconfig, admin_kubeconfig_docs)],
    ids=["certificates", "kubeconfig"],
)
def test_arguments_and_documentation_agree(action, docs):
    def agree(arguments, options):
        assert set(arguments) == set(options)
        for name, argument in arguments.items():
            for field in ("type", "elements", "default", "choices", "required"):
                assert argument.get(field) == options[name].get(field), (name, field)
            agree(argument.get("options", {}), options[name].get("suboptions", {}))

    document = yaml.safe_load(docs.DOCUMENTATION)
    assert "multimaster.kubernetes.ca_store" in document["extends_documentation_fragment"]
    shared = yaml.safe_load(ca_store.ModuleDocFragment.DOCUMENTATION)["options"]
    agree(action.ARGUMENTS, {**shared, **document["options"]})
