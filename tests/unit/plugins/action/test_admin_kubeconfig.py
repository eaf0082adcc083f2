# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action on a real CA store: what it writes, when it keeps what is there, and what it never overwrites."""

from __future__ import annotations

import errno
import os
import time
import types

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible.parsing.dataloader import DataLoader
from ansible_collections.multimaster.kubernetes.plugins.action import admin_kubeconfig
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _ca_store


@pytest.fixture
def run(tmp_path):
    """Return run(check=False, **changes): the action's result."""

    def run(check=False, **changes):
        args = {
            "store": str(tmp_path / "pki"),
            "cluster_name": "prod",
            "path": str(tmp_path / "admin.conf"),
            "endpoint_address": "192.0.2.100",
            **changes,
        }
        action = admin_kubeconfig.ActionModule.__new__(admin_kubeconfig.ActionModule)
        action._task = types.SimpleNamespace(args=args, check_mode=check, diff=True, action="", async_val=0, delegate_to=None)
        action._loader = DataLoader()
        action._connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir=None))
        return action.run(None, {})

    return run


@pytest.fixture
def path(tmp_path):
    """Return where the kubeconfig goes, with a CA store beside it."""
    _ca_store.open_store(str(tmp_path / "pki"), "prod", time.time(), may_create=True)
    return tmp_path / "admin.conf"


def test_without_a_store_a_check_foresees_it_and_a_run_fails(run, world):
    with world.untouched("a check"):
        assert run(check=True)["reasons"] == ["the CA store does not exist yet"]
    with pytest.raises(AnsibleActionFail, match="CA store not found"):
        run()


def test_it_is_written_once(run, path, world):
    checked, done, _again = world.prove(run)
    assert checked["reasons"] == done["reasons"] == ["missing"]
    assert checked["diff"] == done["diff"] and "client-key-data" not in str(done)
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(os.listdir(path.parent)) == ["admin.conf", "pki"]


def test_others_may_not_read_it(run, path, world):
    run()
    path.chmod(0o644)
    assert world.prove(run)[1]["reasons"] == ["others may read it"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_another_endpoint_is_written(run, path, world):
    run()
    _checked, done, _again = world.prove(lambda check: run(check, endpoint_address="2001:db8::1"))
    assert done["reasons"] == ["points at https://192.0.2.100:6443, wanted https://[2001:db8::1]:6443"]
    assert yaml.safe_load(path.read_text())["clusters"][0]["cluster"]["server"] == "https://[2001:db8::1]:6443"


def test_a_lifetime_that_is_none_is_refused(run):
    with pytest.raises(AnsibleActionFail, match="days is 0. Next: give 1 to 825"):
        run(days=0)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00caf\xe9", b"# caf\xe9\n", b"\0", b"[1, 2]", b"clusters: {"])
@pytest.mark.parametrize("check", [False, True])
def test_what_is_no_kubeconfig_is_told_and_kept(run, path, world, content, check):
    path.write_bytes(content)
    with world.untouched("a refusal"), pytest.raises(AnsibleActionFail, match="admin.conf is no kubeconfig that can be read"):
        run(check)


def test_what_cannot_be_read_is_not_said_to_be_unwritable(run, path):
    path.mkdir()
    said = f"cannot read the kubeconfig {path}: Is a directory. Next: "
    with pytest.raises(AnsibleActionFail, match=said):
        run()


def test_what_cannot_be_written_says_why(run, path, world, monkeypatch):
    def full(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    said = f"cannot write the kubeconfig {path}: No space left on device. Next: make room"
    with pytest.raises(AnsibleActionFail, match=said):
        run()
    assert os.listdir(path.parent) == ["pki"], "and nothing half is left"
