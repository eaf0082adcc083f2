# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup on a real CA store: one token for one run and one store, and none without a store."""

from __future__ import annotations

import re
import shutil

import pytest
from ansible.errors import AnsibleError, AnsibleLookupError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.plugins.loader import lookup_loader
from ansible_collections.multimaster.kubernetes.plugins.lookup import bootstrap_token
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _bootstrap_token
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _ca_store

NOW = 1_800_000_000.0


@pytest.fixture
def stores(tmp_path):
    """Return the paths of two stores of the same cluster."""
    for name in ("pki", "other"):
        _ca_store.open_store(str(tmp_path / name), "prod", NOW, may_create=True)
    return tmp_path / "pki", tmp_path / "other"


def look_up(store, *runs, cluster_name="prod", secrets=()):
    loader = DataLoader()
    loader.set_vault_secrets(list(secrets))
    plugin = lookup_loader.get("multimaster.kubernetes.bootstrap_token", loader=loader, templar=None)
    return plugin.run(list(runs), {}, store=str(store), cluster_name=cluster_name)


def test_a_token_is_one_that_the_module_takes(stores):
    (token,) = look_up(stores[0], "run-1")
    assert re.fullmatch("[a-z0-9]{6}[.][a-z0-9]{16}", token)
    assert _bootstrap_token.secret(token, 3600, NOW, "nodes join")["metadata"]["name"] == f"bootstrap-token-{token[:6]}"


def test_the_same_run_has_the_same_token_wherever_it_is_asked(stores, tmp_path):
    shutil.copytree(stores[0], tmp_path / "copy")
    first, second = look_up(stores[0], "run-1", "run-2")
    assert look_up(tmp_path / "copy", "run-1") == look_up(stores[0], "run-1") == [first]
    assert first.split(".")[0] != second.split(".")[0] and first.split(".")[1] != second.split(".")[1]


def test_the_store_alone_keeps_the_secret(stores):
    (ours,), (theirs,) = look_up(stores[0], "run-1"), look_up(stores[1], "run-1")
    assert ours.split(".")[0] == theirs.split(".")[0], "the id is no secret, and of the run alone"
    assert ours.split(".")[1] != theirs.split(".")[1]


def test_how_a_token_is_made_is_kept():
    """So that a run which goes on after the collection was updated finds its token."""
    assert bootstrap_token.token("run-1", b"key") == "q2xjfs.m7lip0bt8hp2hqa7"
    assert set(bootstrap_token.letters(b"\xff" * 32, 49)) <= set(bootstrap_token.ALPHABET)


def test_without_a_store_there_is_no_token_and_no_store_is_made(tmp_path):
    assert look_up(tmp_path / "none", "run-1", "run-2") == ["", ""]
    assert list(tmp_path.iterdir()) == []


def test_the_store_of_another_cluster_is_refused(stores):
    with pytest.raises(AnsibleLookupError, match="prod"):
        look_up(stores[0], "run-1", cluster_name="test")


def test_a_store_that_lost_its_key_is_told(stores):
    (stores[0] / "sa.key").unlink()
    with pytest.raises(AnsibleLookupError, match="sa.key.*restore the CA store from the backup"):
        look_up(stores[0], "run-1")


def test_a_vaulted_key_gives_the_same_token_and_without_its_password_that_is_said(stores):
    (before,) = look_up(stores[0], "run-1")
    secrets, key = [("default", VaultSecret(b"password"))], stores[0] / "sa.key"
    key.write_bytes(VaultLib(secrets).encrypt(key.read_text(), secrets[0][1]))
    assert look_up(stores[0], "run-1", secrets=secrets) == [before]
    with pytest.raises(AnsibleLookupError, match="give its password"):
        look_up(stores[0], "run-1")


@pytest.mark.parametrize("missing", ["store", "cluster_name"])
def test_what_it_needs_is_asked_for(stores, missing):
    given = {name: value for name, value in {"store": str(stores[0]), "cluster_name": "prod"}.items() if name != missing}
    plugin = lookup_loader.get("multimaster.kubernetes.bootstrap_token", loader=DataLoader(), templar=None)
    with pytest.raises(AnsibleError, match=missing):
        plugin.run(["run-1"], {}, **given)
