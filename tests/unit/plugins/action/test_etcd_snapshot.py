# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action with the host module in this process: what is fetched, and what a try that failed leaves where."""

from __future__ import annotations

import base64
import os
import pathlib
import sys
import types

import pytest
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible_collections.multimaster.kubernetes.plugins.action import etcd_snapshot
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _command, _snapshot
from ansible_collections.multimaster.kubernetes.plugins.modules import etcd_snapshot_file

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "module_utils"))
from fake_etcd_programs import install


class Site:
    """One made-up host that is a folder, and the controller's folder beside it."""

    def __init__(self, base):
        self.programs = install(base / "etcd")
        self.host, self.controller = base / "host", base / "inv" / "snapshots"
        self.phases, self.silent, self.broken = [], [], {}

    def execute(self, module_name, module_args, task_vars):
        assert module_name == "multimaster.kubernetes.etcd_snapshot_file"
        phase = module_args["phase"]
        self.phases.append(phase)
        self.silent.append(self.context.no_log)
        if phase in self.broken:
            return self.broken[phase]()
        options = etcd_snapshot_file.ARGUMENTS
        assert not set(module_args) - set(options)
        params = {**{name: option.get("default") for name, option in options.items()}, **module_args}
        return getattr(etcd_snapshot_file, phase)(params, self.check)

    def run(self, check=False, **changes):
        args = {
            "path": f"{self.host}/prod.db",
            "programs": self.programs,
            "endpoints": ["https://m1:2379"],
            "controller_folder": str(self.controller),
            **changes,
        }
        action = etcd_snapshot.ActionModule.__new__(etcd_snapshot.ActionModule)
        action._task = types.SimpleNamespace(args=args, check_mode=check, diff=True, action="", async_val=0, delegate_to=None)
        action._play_context = self.context = types.SimpleNamespace(no_log=False)
        action._connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir=None))
        action._execute_module = self.execute
        self.check, self.phases, self.silent = check, [], []
        return action.run(None, {})

    def left(self):
        """Return the files on the host, and on the controller."""
        return [sorted(os.listdir(place)) if place.exists() else [] for place in (self.host, self.controller)]


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setattr(_snapshot, "PIECE", 100)
    return Site(tmp_path)


def test_a_copy_is_saved_fetched_in_pieces_compared_and_kept(site, world):
    with world.untouched("a check"):
        assert site.run(check=True)["snapshot"] == {} and site.phases == ["save"]
    done = site.run()
    assert done["snapshot"]["revision"] == 42 and done["controller_path"] == str(site.controller / "prod.db")
    assert site.phases[:3] == ["save", "read", "read"] and site.phases[-1] == "keep"
    assert (site.controller / "prod.db").read_bytes() == (site.host / "prod.db").read_bytes()
    assert site.left() == [["prod.db"], ["prod.db"]]


def test_what_the_cluster_holds_is_for_its_owner_only_and_never_shown(site):
    site.controller.mkdir(parents=True)
    site.controller.chmod(0o755)
    site.run()
    modes = [place.stat().st_mode & 0o777 for place in (site.controller, site.controller / "prod.db", site.host / "prod.db")]
    assert modes == [0o700, 0o600, 0o600]
    assert {told for phase, told in zip(site.phases, site.silent) if phase == "read"} == {True}
    assert site.silent[0] is False and site.context.no_log is False


def test_without_a_folder_nothing_is_fetched(site):
    assert site.run(controller_folder="")["controller_path"] == ""
    assert site.phases == ["save", "keep"] and site.left() == [["prod.db"], []]


def unreachable():
    raise AnsibleConnectionFailure("No route to host")


@pytest.mark.parametrize(
    ("broken", "error", "said"),
    [
        ({"read": lambda: {"failed": True, "msg": "Input/output error"}}, AnsibleActionFail, "Input/output error"),
        ({"read": unreachable}, AnsibleConnectionFailure, "No route to host"),
        ({"read": lambda: {"content": ""}}, AnsibleActionFail, "0 of .* bytes came"),
        ({"read": lambda: {"content": base64.b64encode(b"x" * 100).decode()}}, AnsibleActionFail, "changed while it was fetched"),
        ({"keep": lambda: {"failed": True}}, AnsibleActionFail, "failed in phase keep. Next: run again with -vvv"),
    ],
)
def test_a_try_that_failed_leaves_nothing_on_the_host(site, broken, error, said):
    site.broken = broken
    with pytest.raises(error, match=said):
        site.run()
    assert site.phases[-1] == "discard"
    assert site.left() == [[], ["prod.db"] if "keep" in broken else []]


def test_a_try_that_was_cut_off_leaves_one_file_which_the_next_replaces(site):
    site.broken = {"read": unreachable, "discard": unreachable}
    for _try in range(2):
        with pytest.raises(AnsibleConnectionFailure):
            site.run()
        assert site.left() == [["unfinished.db"], []]
    site.broken = {}
    site.run()
    assert site.left() == [["prod.db"], ["prod.db"]]


def test_a_folder_of_somebody_elses_is_said_before_the_host_does_anything(site, monkeypatch):
    """As when an earlier run made it as root."""
    monkeypatch.setattr(os, "access", lambda *_arguments: False)
    with pytest.raises(AnsibleActionFail, match="the controller cannot keep its copy of etcd in .*: Permission denied") as raised:
        site.run()
    assert site.phases == [] and f"`namei -l {site.controller}` shows who may" in str(raised.value)


def test_a_save_that_fails_is_the_tasks_error(site, monkeypatch):
    monkeypatch.setattr(_command, "run", lambda argv, _bound: _command.Result(tuple(argv), 1, "", "no leader"))
    with pytest.raises(_snapshot.SnapshotError, match="no leader"):
        site.run()
    assert site.left() == [[], []]
