# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CA store: founded once however many race, whole or not at all, closed to other clusters and other users."""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import signal
import stat

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _pki
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _ca_store, _x509

NOW = 1_800_000_000.0
WANTED = _pki.Certificate(path="/x/y", ca="etcd-peer", common_name="etcd-peer", dns=("m1",), usages=("client", "server"))


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "prod" / "pki")


@pytest.fixture
def store(path):
    return _ca_store.open_store(path, "prod", NOW, may_create=True)


def test_a_missing_store_is_an_error_that_says_what_to_do(path):
    with pytest.raises(_ca_store.StoreError, match="CA store not found at .*/pki.*restore it from the backup"):
        _ca_store.open_store(path, "prod", NOW)
    assert not os.path.exists(path)


def test_what_a_new_store_holds(store, path):
    assert set(os.listdir(path)) == {
        *(f"{name}.{end}" for name in _pki.AUTHORITIES for end in ("crt", "key")),
        "sa.key",
        "sa.pub",
        "encryption-keys.json",
        "store.json",
        ".gitignore",
    }
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
    assert {stat.S_IMODE(os.stat(os.path.join(path, name)).st_mode) for name in os.listdir(path)} == {0o600}
    assert os.listdir(os.path.dirname(path)) == ["pki"]


def test_opening_again_changes_nothing(store, path):
    again = _ca_store.open_store(path, "prod", NOW + 100, may_create=True)
    assert [again.fingerprints(name) for name in _pki.AUTHORITIES] == [store.fingerprints(name) for name in _pki.AUTHORITIES]


def _open(path, results, barrier):
    barrier.wait()
    opened = _ca_store.open_store(path, "prod", NOW, may_create=True)
    results.put([opened.fingerprints(name)[0] for name in _pki.AUTHORITIES] + [opened.shared("sa.pub")])


@pytest.mark.parametrize("locks", [True, False], ids=["with locks", "on a file system without locks"])
def test_of_many_that_race_one_founds_the_store(path, locks, monkeypatch):
    if not locks:

        def refuse(*_args):
            raise OSError("no locks available")

        monkeypatch.setattr(_ca_store.fcntl, "flock", refuse)
    fork = multiprocessing.get_context("fork")
    results, barrier = fork.Queue(), fork.Barrier(12)
    workers = [fork.Process(target=_open, args=(path, results, barrier)) for _ in range(12)]
    for worker in workers:
        worker.start()
    seen = [results.get(timeout=30) for _ in workers]
    for worker in workers:
        worker.join()
    assert all(one == seen[0] for one in seen)
    assert os.listdir(os.path.dirname(path)) == ["pki"]


def _die(path, file_number):
    written = []
    write = _ca_store._write

    def dying(name, content):
        written.append(name)
        if len(written) == file_number:
            os.kill(os.getpid(), signal.SIGKILL)
        write(name, content)

    _ca_store._write = dying
    _ca_store.open_store(path, "prod", NOW, may_create=True)


@pytest.mark.parametrize("file_number", [1, 5, 13])
def test_a_founding_that_is_killed_leaves_no_half_store_and_the_next_removes_its_keys(path, file_number):
    worker = multiprocessing.get_context("fork").Process(target=_die, args=(path, file_number))
    worker.start()
    worker.join()
    assert worker.exitcode == -signal.SIGKILL
    assert not _ca_store.exists(path)
    assert len(os.listdir(os.path.dirname(path))) == 1
    _ca_store.open_store(path, "prod", NOW, may_create=True)
    assert os.listdir(os.path.dirname(path)) == ["pki"]


def test_an_empty_folder_is_used_and_a_full_one_left_alone(path):
    os.makedirs(path)
    _ca_store.open_store(path, "prod", NOW, may_create=True)
    other = path + "2"
    os.makedirs(other)
    with open(os.path.join(other, "mine"), "w"):
        pass
    with pytest.raises(_ca_store.StoreError, match="is no CA store"):
        _ca_store.open_store(other, "prod", NOW, may_create=True)
    assert os.listdir(other) == ["mine"]
    assert not [name for name in os.listdir(os.path.dirname(path)) if name.startswith(".")]


def test_another_clusters_store_is_refused(store, path):
    with pytest.raises(_ca_store.StoreError, match="belongs to cluster 'prod', this is cluster 'test'"):
        _ca_store.open_store(path, "test", NOW, may_create=True)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "cannot be understood"),
        ("[]", "cannot be understood"),
        ("{}", "cannot be understood"),
        ('{"version": 2, "cluster_name": "prod"}', "has layout 2, this release knows 1"),
    ],
)
def test_a_manifest_that_is_wrong(store, path, content, said):
    with open(os.path.join(path, "store.json"), "w") as handle:
        handle.write(content)
    with pytest.raises(_ca_store.StoreError, match=said):
        _ca_store.open_store(path, "prod", NOW)


@pytest.mark.parametrize("name", ["kubernetes.key", "sa.key", "encryption-keys.json"])
def test_keys_that_others_may_read_are_refused_unless_they_are_vaulted(store, path, name):
    os.chmod(os.path.join(path, name), 0o640)
    with pytest.raises(_ca_store.StoreError, match=f"{name} can be read by other users.*chmod -R go="):
        _ca_store.open_store(path, "prod", NOW)
    with open(os.path.join(path, name), "w") as handle:
        handle.write("$ANSIBLE_VAULT;1.1;AES256\n00\n")
    _ca_store.open_store(path, "prod", NOW)


def test_a_reader_that_decrypts_is_used_for_every_file(store, path):
    asked = []

    def reader(name):
        asked.append(os.path.basename(name))
        return _ca_store.read_plain(name)

    opened = _ca_store.open_store(path, "prod", NOW, reader=reader)
    opened.sign(WANTED, _x509.new_key().public_key(), NOW)
    opened.shared("encryption-config")
    assert asked == ["store.json", "etcd-peer.crt", "etcd-peer.key", "encryption-keys.json"]


def test_a_key_is_not_read_when_nothing_is_signed(store, path):
    os.unlink(os.path.join(path, "etcd-peer.key"))
    opened = _ca_store.open_store(path, "prod", NOW)
    assert opened.authority_pem("etcd-peer")
    with pytest.raises(_ca_store.StoreError, match="cannot read .*etcd-peer.key"):
        opened.sign(WANTED, _x509.new_key().public_key(), NOW)


def test_a_key_that_is_not_its_authoritys_signs_nothing(store, path):
    os.replace(os.path.join(path, "etcd-client.key"), os.path.join(path, "etcd-peer.key"))
    with pytest.raises(_ca_store.StoreError, match="is not the key of etcd-peer.crt"):
        _ca_store.open_store(path, "prod", NOW).sign(WANTED, _x509.new_key().public_key(), NOW)


def test_in_an_overlap_both_are_trusted_and_the_first_signs(store, path):
    key, certificate = _x509.new_authority("etcd-peer", "prod", NOW)
    old = store.authority_pem("etcd-peer")
    with open(os.path.join(path, "etcd-peer.crt"), "w") as handle:
        handle.write(_x509.pem(certificate) + old)
    with open(os.path.join(path, "etcd-peer.key"), "w") as handle:
        handle.write(_x509.key_pem(key))
    opened = _ca_store.open_store(path, "prod", NOW)
    assert opened.authority_pem("etcd-peer") == _x509.pem(certificate) + old
    leaf = _x509.load_certificates(opened.sign(WANTED, _x509.new_key().public_key(), NOW), "")[0]
    assert _x509.issued_by(leaf, certificate)
    assert not _x509.issued_by(leaf, store.authority("etcd-peer")[0])


def test_shared_files(store, path):
    key = _x509.load_key(store.shared("sa.key"), "sa.key")
    assert _x509.public_pem(key) == store.shared("sa.pub")
    secret = json.loads(_ca_store.read_plain(os.path.join(path, "encryption-keys.json")))[0]["secret"]
    assert len(base64.b64decode(secret)) == 32
    assert secret in store.shared("encryption-config")


@pytest.mark.parametrize("keys", ["", "[]", "{}", '[{"name": "a"}]', '[{"name": "a", "secret": "YQ=="}]', '[{"secret": "?"}]'])
def test_encryption_keys_that_are_wrong_are_refused_without_showing_them(store, path, keys):
    with open(os.path.join(path, "encryption-keys.json"), "w") as handle:
        handle.write(keys)
    with pytest.raises(_ca_store.StoreError, match="holds no list of 32-byte keys") as caught:
        _ca_store.open_store(path, "prod", NOW).shared("encryption-config")
    assert "YQ==" not in str(caught.value)


def test_keys_differ_between_stores(tmp_path):
    stores = [_ca_store.open_store(str(tmp_path / name / "pki"), "prod", NOW, may_create=True) for name in "ab"]
    for item in _pki.SHARED_ITEMS:
        assert stores[0].shared(item) != stores[1].shared(item)
    assert not {f for name in _pki.AUTHORITIES for f in stores[0].fingerprints(name)} & {
        f for name in _pki.AUTHORITIES for f in stores[1].fingerprints(name)
    }
