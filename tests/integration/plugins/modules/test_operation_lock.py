# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operation lock on a real kube-apiserver: two holders, lost races, a lock that ended, a take-over, a release."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
import yaml
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _lock, _lock_flow
from ansible_collections.multimaster.kubernetes.plugins.modules import operation_lock
from lab_etcd import wait_for

PLAYBOOK = shutil.which("ansible-playbook", path=os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", ""))
COLLECTIONS = pathlib.Path(operation_lock.__file__).parents[5]


def run(kube, who, state="held", ahead=0.0, check=False, **more):
    """Run the module for the run ``who``, on a host whose clock is ``ahead`` by so many seconds."""
    params = {
        "state": state,
        "holder": f"ctl/{who}",
        "run": who,
        "controller": "ctl",
        "boot": "boot",
        "pid": 7,
        "started": 9,
        "purpose": f"work of {who}",
        "seconds": 1,
        "gone": "",
        "nodes": [],
        "nodes_now": [],
        "places": ["cluster"],
        "else_host": False,
        "broken": False,
        "others": [],
        "path": "/nowhere/lock.json",
        **more,
    }
    return operation_lock.run(SimpleNamespace(params=params, check_mode=check), kube, lambda: time.time() + ahead)


def lease(kube):
    return kube.get(_lock_flow.API, _lock_flow.KIND, _lock.NAME, _lock.NAMESPACE)


@pytest.fixture
def kube(kube_lab):
    made = kube_lab.client(retry_seconds=10)
    made.delete(_lock_flow.API, _lock_flow.KIND, _lock.NAME, _lock.NAMESPACE)
    return made


def racing(kube_lab, meanwhile):
    """Return a client that has ``meanwhile()`` done between its first reading and its first writing."""
    client = kube_lab.client(retry_seconds=10)
    read, pending = client.get, [meanwhile]

    def get(*args):
        found = read(*args)
        if pending:
            pending.pop()()
        return found

    client.get = get
    return client


def test_one_run_has_it_another_is_refused_until_it_is_released(kube):
    assert run(kube, "a", check=True)["step"] == "take"
    assert lease(kube) is None
    taken = run(kube, "a")
    assert (taken["step"], taken["lock"]["holder"], taken["lock"]["purpose"]) == ("take", "ctl/a", "work of a")
    assert lease(kube)["spec"]["leaseDurationSeconds"] == 61
    refused = run(kube, "b")
    assert refused["refused"] and f"until {taken['lock']['until']}" in refused["reason"]
    assert run(kube, "b", state="free")["refused"]
    renewed = run(kube, "a", seconds=600)
    assert renewed["step"] == "renew"
    assert (renewed["lock"]["since"], renewed["lock"]["until"] > taken["lock"]["until"]) == (taken["lock"]["since"], True)
    assert run(kube, "a", state="free", check=True)["step"] == "release"
    assert lease(kube)["spec"]["holderIdentity"] == "ctl/a"
    assert run(kube, "a", state="free")["step"] == "release"
    assert lease(kube) is None
    assert run(kube, "a", state="free")["step"] == "nothing"
    assert run(kube, "b")["step"] == "take"


def test_a_lock_that_ended_is_taken_over_and_one_that_has_not_is_not(kube):
    run(kube, "a")
    assert run(kube, "b", ahead=60)["refused"]
    taken = run(kube, "b", ahead=64)
    assert (taken["step"], taken["lock"]["holder"]) == ("take_over", "ctl/b")
    assert lease(kube)["spec"]["leaseTransitions"] == 1
    assert run(kube, "a", ahead=64)["refused"]


def test_a_lock_is_kept_until_it_is_lost(kube):
    run(kube, "a")
    kept = run(kube, "a", state="kept", purpose=None, seconds=30)
    assert (kept["step"], kept["lock"]["purpose"], lease(kube)["spec"]["leaseDurationSeconds"]) == ("renew", "work of a", 90)
    assert run(kube, "a", state="kept", ahead=600)["step"] == "renew", "it ended, and nobody took it"
    assert run(kube, "b", ahead=1200)["step"] == "take_over"
    assert "lost the lock" in run(kube, "a", state="kept", ahead=1200)["reason"]
    kube.delete(_lock_flow.API, _lock_flow.KIND, _lock.NAME, _lock.NAMESPACE)
    assert "somebody removed it" in run(kube, "b", state="kept", ahead=1200)["reason"]
    assert lease(kube) is None


def test_a_dead_holder_is_taken_over_by_name(kube):
    run(kube, "a")
    assert run(kube, "b", gone="ctl/x")["refused"]
    assert run(kube, "b", gone="ctl/a")["step"] == "take_over"
    assert run(kube, "c", gone="ctl/a")["refused"]


def test_who_is_slower_by_one_write_is_refused_at_once(kube_lab, kube):
    started = time.monotonic()
    slow = racing(kube_lab, lambda: run(kube, "a"))
    assert run(slow, "b")["lock"]["holder"] == "ctl/a"  # a create
    slow = racing(kube_lab, lambda: run(kube, "c", ahead=70))
    assert run(slow, "b", ahead=70)["lock"]["holder"] == "ctl/c"  # a replacement
    slow = racing(kube_lab, lambda: run(kube, "d", ahead=140))
    assert run(slow, "c", state="free")["refused"]  # a deletion
    assert lease(kube)["spec"]["holderIdentity"] == "ctl/d"
    assert time.monotonic() - started < 5


def test_a_lock_that_was_deleted_meanwhile_is_taken_anew(kube_lab, kube):
    run(kube, "a")
    before = lease(kube)["metadata"]["uid"]
    slow = racing(kube_lab, lambda: run(kube, "a", state="free"))
    assert run(slow, "b", ahead=70)["step"] == "take"
    assert lease(kube)["metadata"]["uid"] != before


def test_of_many_at_once_exactly_one_gets_it(kube_lab, kube):
    """Twice: with no lock, and with one that ended."""
    for ahead in (0, 70):
        results = {}
        clients = {f"{ahead}-{number}": kube_lab.client(retry_seconds=10) for number in range(8)}

        def ask(name, ahead=ahead, results=results, clients=clients):
            results[name] = run(clients[name], name, ahead=ahead)

        threads = [threading.Thread(target=ask, args=(name,)) for name in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (winner,) = [name for name, result in results.items() if not result["refused"]]
        assert len(results) == 8
        assert {result["lock"]["holder"] for result in results.values()} == {f"ctl/{winner}"}


class Controller:
    """Run playbooks that hold the lock, wait for a file when asked to, renew the lock and release it."""

    def __init__(self, folder, params):
        self.folder, self.go_on = folder, folder / "go_on"
        hold = {"multimaster.kubernetes.operation_lock": {**params, "purpose": "{{ purpose }}", "seconds": 60}}
        wait = {"ansible.builtin.wait_for": {"path": str(self.go_on), "timeout": 30}, "when": "wait | bool"}
        keep = {"multimaster.kubernetes.operation_lock": {**params, "state": "kept", "seconds": "{{ keep_seconds }}"}}
        free = {"multimaster.kubernetes.operation_lock": {**params, "state": "free"}}
        play = {"hosts": "all", "gather_facts": False, "vars": {"keep_seconds": 60}, "tasks": [hold, wait, keep, hold, free]}
        (folder / "play.yml").write_text(yaml.safe_dump([play]))
        (folder / "ansible.cfg").write_text("[defaults]\n")

    def start(self, purpose, *options, wait=False):
        inventory = self.folder / "hosts.yml"
        inventory.write_text(
            yaml.safe_dump(
                {"all": {"hosts": {"m1": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}}}}
            )
        )
        environment = {
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
            "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "tmp"),
            "ANSIBLE_REMOTE_TEMP": str(self.folder / "tmp"),
        }
        command = [PLAYBOOK, "-vv", "-i", str(inventory), str(self.folder / "play.yml"), *options]
        command += ["-e", f"purpose={purpose}", "-e", f"wait={wait}"]
        return subprocess.Popen(
            command, env=environment, cwd=self.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def run(self, purpose, *options):
        process = self.start(purpose, *options)
        return process.communicate(timeout=120)[0]


@pytest.mark.skipif(not PLAYBOOK, reason="needs ansible-playbook")
def test_a_playbook_renews_its_own_lock_and_takes_over_from_one_that_was_killed(kube_lab, kube, tmp_path):
    controller = Controller(tmp_path, kube_lab.params())
    first = controller.start("one", wait=True)
    try:
        wait_for(lambda: lease(kube), 60, "the lock")
        assert lease(kube)["metadata"]["annotations"][_lock_flow.PREFIX + "pid"] == str(first.pid)
        said = controller.run("two")
        assert "another operation holds the lock of this cluster: one from" in said
        assert "failed=1" in said
        said = controller.run("two", "--check")
        assert "another operation holds the lock of this cluster: one from" in said
        assert "failed=0" in said
        first.kill()
        first.wait()
        said = controller.run("two")
        assert "whose process is gone" in said and "this run has held the lock since" in said
        assert re.search("this run renewed its lock [0-9]+ s ago", said), "asked at once again, it asks nobody"
        assert "changed=0" in said and "failed=0" in said
        assert lease(kube) is None
    finally:
        first.kill()
        first.wait()
        controller.go_on.touch()  # the task of the killed run outlives it otherwise


@pytest.mark.skipif(not PLAYBOOK, reason="needs ansible-playbook")
def test_a_playbook_that_lost_its_lock_stops_before_its_next_step(kube_lab, kube, tmp_path):
    controller = Controller(tmp_path, kube_lab.params())
    first = controller.start("one", "-e", "keep_seconds=61", wait=True)  # more than it has, so it is due
    try:
        wait_for(lambda: lease(kube), 60, "the lock")
        run(kube, "thief", ahead=600)
        controller.go_on.touch()
        said = first.communicate(timeout=120)[0]
        assert "has lost the lock of this cluster to another operation: work of thief" in said
        assert "failed=1" in said
        assert lease(kube)["spec"]["holderIdentity"] == "ctl/thief"
    finally:
        first.kill()
        first.wait()


@pytest.mark.skipif(not PLAYBOOK, reason="needs ansible-playbook")
def test_two_playbooks_on_a_host_without_an_api_server(tmp_path):
    path = tmp_path / "multimaster" / "lock.json"
    controller = Controller(tmp_path, {"places": ["host"], "path": str(path)})
    first = controller.start("one", wait=True)
    try:
        wait_for(path.exists, 60, "the lock")
        said = controller.run("two")
        assert "another operation holds the lock of this cluster: one from" in said and "failed=1" in said
        first.kill()
        first.wait()
        said = controller.run("two")
        assert "whose process is gone" in said and "failed=0" in said and not path.exists()
    finally:
        first.kill()
        first.wait()
        controller.go_on.touch()
