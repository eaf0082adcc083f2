# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action plugins as a person runs them: ansible-playbook on temporary paths, first run to renewal to refusal."""

from __future__ import annotations

import getpass
import glob
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
import yaml
from ansible_collections.multimaster.kubernetes.plugins.action import certificates
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _pki
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _ca_store

PLAYBOOK = shutil.which("ansible-playbook", path=os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", ""))
pytestmark = pytest.mark.skipif(not (PLAYBOOK and shutil.which("openssl")), reason="needs ansible-playbook and openssl")
COLLECTIONS = pathlib.Path(certificates.__file__).parents[5]
ME, GROUP = getpass.getuser(), str(os.getgid())

PLAY = [
    {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {
                "multimaster.kubernetes.certificates": {
                    "store": "{{ base }}/inv/pki",
                    "cluster_name": "{{ cluster }}",
                    "may_create": "{{ may_create }}",
                    "new_keys": "{{ new_keys }}",
                    "certificates": [
                        {
                            "path": "{{ root }}/k/apiserver",
                            "ca": "kubernetes",
                            "common_name": "kube-apiserver",
                            "usages": ["server"],
                            "dns": ["{{ inventory_hostname }}"],
                            "ip": ["{{ address }}"],
                            "owner": ME,
                            "group": GROUP,
                        },
                        {
                            "path": "{{ root }}/e/peer",
                            "ca": "etcd-peer",
                            "common_name": "etcd-peer",
                            "usages": ["server", "client"],
                            "ip": ["{{ address }}"],
                            "owner": ME,
                            "group": GROUP,
                        },
                        {
                            "path": "{{ root }}/run/admin",
                            "ca": "kubernetes",
                            "common_name": "bootstrap",
                            "organizations": ["system:masters"],
                            "minutes": 10,
                            "owner": ME,
                            "group": GROUP,
                        },
                    ],
                    "authorities": [
                        {
                            "ca": "kubernetes",
                            "path": "{{ root }}/k/ca.crt",
                            "key_path": "{{ root }}/k/ca.key",
                            "owner": ME,
                            "group": GROUP,
                        },
                        {"ca": "etcd-peer", "path": "{{ root }}/e/ca.crt", "owner": ME, "group": GROUP},
                    ],
                    "shared": [
                        {"item": item, "path": "{{ root }}/k/" + item, "owner": ME, "group": GROUP} for item in _pki.SHARED_ITEMS
                    ],
                }
            }
        ],
    },
    {
        "hosts": "m1",
        "gather_facts": False,
        "tasks": [
            {
                "multimaster.kubernetes.admin_kubeconfig": {
                    "store": "{{ base }}/inv/pki",
                    "cluster_name": "{{ cluster }}",
                    "path": "{{ base }}/inv/admin.conf",
                    "endpoint_address": "{{ endpoint }}",
                }
            }
        ],
    },
]


#: A callback plugin: one JSON line a result, beside what a person sees.
RECORD = """
import json, os
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_NAME, CALLBACK_TYPE, CALLBACK_VERSION, CALLBACK_NEEDS_ENABLED = "record", "notification", 2.0, True

    def _record(self, result, failed=False):
        entry = [result.task.action, result.host.name, dict(result.result, failed=failed)]
        with open(os.environ["RECORD"], "a") as out:
            print(json.dumps(entry, default=str), file=out)

    def v2_runner_on_ok(self, result):
        self._record(result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._record(result, True)

    v2_runner_on_unreachable = v2_runner_on_failed
"""


class Site:
    """Run the play against made-up hosts that are folders."""

    def __init__(self, base):
        self.base = base
        self.root = base / "hosts"
        self.hosts = ["m1", "m2", "m3"]
        self.variables = {
            "base": str(base),
            "root": str(self.root) + "/{{ inventory_hostname }}",
            "cluster": "prod",
            "may_create": True,
            "new_keys": False,
            "address": "192.0.2.1",
            "endpoint": "192.0.2.100",
        }
        (base / "play.yml").write_text(yaml.safe_dump(PLAY))
        (base / "ansible.cfg").write_text("[defaults]\n")
        (base / "callbacks").mkdir(exist_ok=True)
        (base / "callbacks" / "record.py").write_text(RECORD)

    def command(self, *options):
        inventory = {
            "all": {
                "hosts": {name: {} for name in self.hosts},
                "vars": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, **self.variables},
            }
        }
        (self.base / "hosts.yml").write_text(yaml.safe_dump(inventory))
        return [PLAYBOOK, "-i", str(self.base / "hosts.yml"), str(self.base / "play.yml"), *options]

    def environment(self):
        return {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_CALLBACKS_ENABLED": "record",
            "ANSIBLE_CALLBACK_PLUGINS": str(self.base / "callbacks"),
            "RECORD": str(self.base / "record"),
            "ANSIBLE_LOCAL_TEMP": str(self.base / "tmp"),
            "ANSIBLE_REMOTE_TEMP": str(self.base / "tmp"),
            "ANSIBLE_FORKS": "3",
            "ANSIBLE_CONFIG": str(self.base / "ansible.cfg"),
            "ANSIBLE_PIPELINING": "true",
        }

    def run(self, *options):
        """Return {host: result of the certificates task}, the kubeconfig's result under "admin", and the raw text."""
        (self.base / "record").write_text("")
        done = subprocess.run(self.command(*options), env=self.environment(), capture_output=True, text=True, cwd=self.base)
        self.text = done.stdout + done.stderr
        records = [json.loads(line) for line in (self.base / "record").read_text().splitlines()]
        assert records, self.text
        return {"admin" if name.endswith("admin_kubeconfig") else host: result for name, host, result in records}

    def changed(self, *options):
        return {name: result["changed"] for name, result in self.run(*options).items()}

    def files(self):
        return sorted(str(path.relative_to(self.base)) for path in self.root.rglob("*") if path.is_file())

    def snapshot(self):
        return {path: (self.base / path).read_bytes() for path in self.files()}


def all_are(value, *names):
    return dict.fromkeys([*names, "admin"], value)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    base = tmp_path_factory.mktemp("built")
    site = Site(base)
    site.first = site.changed()
    return site


@pytest.fixture
def site(built, tmp_path):
    """Return a copy of the built site, so that every test starts from the same cluster."""
    shutil.copytree(built.base, tmp_path / "site", symlinks=True)
    return Site(tmp_path / "site")


class TestLife:
    """From nothing to a renewal."""

    def test_check_mode_on_nothing_makes_nothing(self, tmp_path):
        site = Site(tmp_path)
        results = site.run("--check", "--diff")
        assert all(result["changed"] for result in results.values())
        assert [item["reasons"] for item in results["m1"]["issued"]] == [["missing"]] * 3
        assert not (tmp_path / "inv").exists()
        assert not (tmp_path / "hosts").exists()

    def test_the_first_run_and_the_second(self, built):
        assert built.first == all_are(True, "m1", "m2", "m3")
        assert len({(built.root / name / "k" / "ca.crt").read_text() for name in built.hosts}) == 1
        assert len({(built.root / name / "k" / "apiserver.key").read_text() for name in built.hosts}) == 3
        assert not any(path.endswith(".new") for path in built.files())
        before = built.snapshot()
        assert built.changed() == all_are(False, "m1", "m2", "m3")
        assert built.changed("--check") == all_are(False, "m1", "m2", "m3")
        assert built.snapshot() == before
        assert (built.base / "inv" / "admin.conf").stat().st_mode & 0o777 == 0o600

    def test_drift_is_said_in_check_mode_and_then_mended(self, site):
        site.variables.update(address="192.0.2.77", endpoint="192.0.2.101")
        before = site.snapshot()
        results = site.run("--check", "--diff")
        assert [pathlib.Path(item["path"]).name for item in results["m1"]["issued"]] == ["apiserver", "peer"]
        assert "lacks the IP address 192.0.2.77" in results["m1"]["issued"][0]["reasons"]
        assert results["admin"]["changed"]
        assert site.snapshot() == before
        assert site.changed() == all_are(True, "m1", "m2", "m3")
        assert site.changed() == all_are(False, "m1", "m2", "m3")
        kept = "hosts/m1/e/peer.key"
        assert site.snapshot()[kept] == before[kept]

    def test_new_keys(self, site):
        before = site.snapshot()
        site.variables["new_keys"] = True
        assert site.run()["m1"]["changed"]
        assert site.snapshot()["hosts/m1/e/peer.key"] != before["hosts/m1/e/peer.key"]
        site.variables["new_keys"] = False
        assert site.changed() == all_are(False, "m1", "m2", "m3")

    def test_nothing_secret_is_ever_said(self, tmp_path):
        site = Site(tmp_path)
        site.run("-vvvv", "--diff")
        said = site.text
        site.variables["address"] = "192.0.2.78"
        site.run("-vvvv", "--diff")
        said += site.text
        keys = glob.glob(f"{tmp_path}/**/*.key", recursive=True)
        keys += glob.glob(f"{tmp_path}/**/encryption-config", recursive=True) + [str(tmp_path / "inv/pki/encryption-keys.json")]
        secrets = {word for path in keys for word in re.findall(r"[A-Za-z0-9+/=]{30,}", pathlib.Path(path).read_text())}
        assert len(secrets) > 20
        assert [word for word in secrets if word in said] == []
        assert "192.0.2.78" in said


class TestRefusals:
    """What stops a run before it changes anything."""

    def refused(self, site, said, *options):
        before = site.snapshot()
        results = site.run(*options)
        for name in site.hosts:
            assert results[name].get("failed"), results[name]
            assert said in results[name]["msg"]
        assert site.snapshot() == before

    @pytest.mark.parametrize("options", [(), ("--check",)], ids=["run", "check"])
    def test_no_store(self, site, options):
        shutil.move(site.base / "inv" / "pki", site.base / "gone")
        site.variables["may_create"] = False
        self.refused(site, "CA store not found at", *options)
        site.variables["may_create"] = True
        self.refused(site, "pki.second_ca", *options)
        assert not (site.base / "inv" / "pki").exists()

    @pytest.mark.parametrize("missing", [(), ("k/ca.crt", "e/ca.crt", "k/ca.key")], ids=["whole", "without its authorities"])
    def test_another_store(self, site, missing):
        shutil.rmtree(site.base / "inv" / "pki")
        _ca_store.open_store(str(site.base / "inv" / "pki"), "prod", time.time(), may_create=True)
        for name in site.hosts:
            for path in missing:
                (site.root / name / path).unlink()
            (site.root / name / "e" / "peer.crt").unlink()
        self.refused(site, "pki.other_store")

    def test_another_cluster(self, site):
        site.variables["cluster"] = "test"
        self.refused(site, "belongs to cluster 'prod'")

    def test_all_wrong_entries_are_named_at_once(self, site):
        site.variables["address"] = "nonsense"
        results = site.run()
        assert results["m1"]["msg"].count("IP address 'nonsense'") == 2

    def test_somebody_elses_kubeconfig(self, site):
        (site.base / "inv" / "admin.conf").write_text("clusters: []\n")
        assert "nothing was written" in site.run()["admin"]["msg"]
        assert (site.base / "inv" / "admin.conf").read_text() == "clusters: []\n"


def test_a_vaulted_store(site):
    (site.base / "password").write_text("pw\n")
    vault = os.path.join(os.path.dirname(PLAYBOOK), "ansible-vault")
    files = [str(path) for path in (site.base / "inv" / "pki").glob("*.*") if path.suffix in (".key", ".json")]
    subprocess.run(
        [vault, "encrypt", "--vault-password-file", str(site.base / "password"), *files],
        check=True,
        capture_output=True,
        env=site.environment(),
    )
    assert "give its password (--vault-id)" in site.run()["m1"]["msg"]
    (site.root / "m2" / "k" / "apiserver.key").unlink()
    password = ("--vault-password-file", str(site.base / "password"))
    assert site.changed(*password) == {"m1": False, "m2": True, "m3": False, "admin": False}
    assert site.changed(*password) == all_are(False, "m1", "m2", "m3")


def kill(pid):
    """Kill a process and its descendants, the parents first, so that nobody notices a child's death."""
    os.kill(pid, signal.SIGSTOP)
    lists = [pathlib.Path(name).read_text() for name in glob.glob(f"/proc/{pid}/task/*/children")]
    children = [int(child) for line in lists for child in line.split()]
    os.kill(pid, signal.SIGKILL)
    for child in children:
        kill(child)


@pytest.mark.parametrize("trigger", ["inv/.pki.new-*", "inv/pki/store.json", "hosts/m1/k/*.key.new", "hosts/m2/e/*.crt"])
def test_a_run_that_is_killed_is_finished_by_the_next(tmp_path, trigger):
    """SIGKILL the run with all its children, of which the workers have sessions of their own, when a step's file appears."""
    site = Site(tmp_path)
    with open(tmp_path / "said", "w", encoding="utf-8") as said:
        process = subprocess.Popen(
            site.command(), env=site.environment(), stdout=said, stderr=subprocess.STDOUT, start_new_session=True, cwd=tmp_path
        )
    deadline = time.monotonic() + 60
    while not glob.glob(str(tmp_path / trigger)) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.0005)
    assert process.poll() is None, (tmp_path / "said").read_text()
    kill(process.pid)
    process.wait()
    time.sleep(0.3)
    for result in site.run().values():
        assert not result.get("failed"), result
    assert site.changed() == all_are(False, "m1", "m2", "m3")
    assert not any(path.endswith(".new") for path in site.files())
    assert sorted(os.listdir(tmp_path / "inv")) == ["admin.conf", "pki"]
