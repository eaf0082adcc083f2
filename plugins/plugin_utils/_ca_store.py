# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep what a cluster's identity hangs on in one folder of the controller: the CA store.

Four authorities, the service-account key pair and the keys that encrypt Secrets at rest. The folder is made as a whole
under another name and renamed into place: rename(2) onto a folder that is not empty fails, so of any number of workers
or runs that race exactly one founds the store and the others use it, and a run that was cut off leaves no half store.
Any file may be encrypted with ansible-vault. Leaves out: who may found a store, which the topology decides.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import fcntl
import functools
import json
import os
import secrets
import shutil
import stat
import tempfile

from ansible.errors import AnsibleError
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _failure, _pki
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _x509

VERSION = 1
MANIFEST = "store.json"
ENCRYPTION_KEYS = "encryption-keys.json"
ENCRYPTION_KEY_BYTES = 32  # secretbox (XSalsa20-Poly1305) takes exactly this many
VAULT_HEADER = b"$ANSIBLE_VAULT"
README = "# Private keys. Commit them only when they are encrypted with ansible-vault; then remove this file.\n*\n"


class StoreError(Exception):
    """Say what is wrong with the CA store at which path, and what to do."""


def read_plain(path):
    """Return a file's text; the reader used where nothing is vaulted."""
    with open(path, encoding="utf-8") as handle:
        return handle.read()


def vault_reader(loader):
    """Return a reader that decrypts vaulted files with the secrets of this run (`loader` is Ansible's DataLoader).

    Of a file that cannot be read at all it raises the system's OSError, which the loader hides.
    """

    def read(path):
        try:
            return str(loader.get_text_file_contents(path))
        except AnsibleError as error:
            cause = error.__cause__
            if isinstance(cause, OSError):
                raise OSError(cause.errno, cause.strerror, cause.filename) from None
            raise StoreError(f"cannot read {path}: {error}. Next: if it is vaulted, give its password (--vault-id)") from None

    return read


def exists(path):
    """Return whether a CA store stands at `path`."""
    return os.path.exists(os.path.join(path, MANIFEST))


def open_store(path, cluster_name, now, may_create=False, reader=read_plain):
    """Return the CA store at `path`; found it first when it is missing and `may_create`. Raises StoreError.

    `reader(path)` returns a file's text, decrypted when it is vaulted; `now` in seconds since the epoch.
    """
    if not exists(path):
        if not may_create:
            raise StoreError(not_found(path, cluster_name))
        _found(path, cluster_name, now)
    return CaStore(path, cluster_name, reader)


def not_found(path, cluster_name):
    """Return the message for a store that is missing where a cluster may already live."""
    return (
        f"CA store not found at {path}. It holds the authorities of cluster {cluster_name}; new ones would cut off all that "
        "trusts the old ones, so nothing was issued. Next: copy the store from the machine the cluster was built from, or "
        "restore it from the backup, or set multimaster_ca_store to where it is"
    )


def _found(path, cluster_name, now):
    parent = os.path.dirname(os.path.abspath(path))
    try:
        os.makedirs(parent, exist_ok=True)
        with _lock(parent) as alone:
            if exists(path):
                return
            prefix = f".{os.path.basename(path)}.new-"
            for name in os.listdir(parent) if alone else ():
                if name.startswith(prefix):  # keys nobody used, of a run that was killed
                    shutil.rmtree(os.path.join(parent, name))
            folder = tempfile.mkdtemp(prefix=prefix, dir=parent)
            try:
                for name, content in _contents(cluster_name, now).items():
                    _write(os.path.join(folder, name), content)
                _sync(folder)
                os.rename(folder, path)
                _sync(parent)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST) and exists(path):
            return
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise StoreError(
                f"{path} exists but is no CA store (no {MANIFEST} in it). Next: move it away, or set multimaster_ca_store to "
                "another path"
            ) from error
        following = _failure.remedy(error, error.filename or path)
        said = f"cannot make the CA store at {path}: {error.strerror}; nothing was issued. Next: {following}"
        raise StoreError(said) from error


@contextlib.contextmanager
def _lock(folder):
    """Hold the folder so that parallel workers wait instead of making keys in vain; yield whether that worked.

    A network file system may not lock folders; the rename is what decides.
    """
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        alone = True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:
            alone = False
        yield alone
    finally:
        os.close(handle)


def _contents(cluster_name, now):
    contents = {".gitignore": README}
    for name in _pki.AUTHORITIES:
        key, certificate = _x509.new_authority(name, cluster_name, now)
        contents[f"{name}.key"], contents[f"{name}.crt"] = _x509.key_pem(key), _x509.pem(certificate)
    service_accounts = _x509.new_key()
    contents["sa.key"], contents["sa.pub"] = _x509.key_pem(service_accounts), _x509.public_pem(service_accounts)
    secret = base64.b64encode(secrets.token_bytes(ENCRYPTION_KEY_BYTES)).decode()
    contents[ENCRYPTION_KEYS] = json.dumps([{"name": "key1", "secret": secret}], indent=2) + "\n"
    contents[MANIFEST] = json.dumps({"version": VERSION, "cluster_name": cluster_name}, indent=2) + "\n"
    return contents


def _write(path, content):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w", encoding="utf-8") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())


def _sync(folder):
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class CaStore:
    """Read one store and sign with it; keys are read only when something is signed or copied."""

    def __init__(self, path, cluster_name, reader=read_plain):
        """Refuse a store of another cluster, of a newer layout, or with keys that others may read."""
        self.path = path
        self._reader = reader
        self._check_manifest(cluster_name)
        self._check_modes()

    def _check_manifest(self, cluster_name):
        try:
            manifest = json.loads(self._text(MANIFEST))
            owner, version = manifest["cluster_name"], int(manifest["version"])
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{self.path}/{MANIFEST} cannot be understood. Next: restore the store from the backup") from error
        if owner != cluster_name:
            raise StoreError(
                f"the CA store at {self.path} belongs to cluster {owner!r}, this is cluster {cluster_name!r}. "
                "Next: set multimaster_ca_store to this cluster's own store"
            )
        if version > VERSION:
            raise StoreError(
                f"the CA store at {self.path} has layout {version}, this release knows {VERSION}. Next: update it "
                "(`ansible-galaxy collection install --upgrade multimaster.kubernetes`)"
            )

    def _check_modes(self):
        for name in sorted(os.listdir(self.path)):
            path = os.path.join(self.path, name)
            if not name.endswith(".key") and name != ENCRYPTION_KEYS:
                continue
            if stat.S_IMODE(os.stat(path).st_mode) & 0o077 and not self._vaulted(path):
                said = f"{path} can be read by other users of this machine"
                raise StoreError(f"{said}. Next: `chmod -R go= {self.path}`, then run again")

    @staticmethod
    def _vaulted(path):
        with open(path, "rb") as handle:
            return handle.read(len(VAULT_HEADER)) == VAULT_HEADER

    def _text(self, name):
        path = os.path.join(self.path, name)
        try:
            return str(self._reader(path))
        except (OSError, UnicodeDecodeError) as error:
            denied = isinstance(error, PermissionError)
            following = _failure.remedy(error, path) if denied else "restore the CA store from the backup"
            raise StoreError(f"cannot read {path}: {error}. Next: {following}") from error

    @functools.lru_cache(maxsize=16)  # noqa: B019 - a store lives as long as one task
    def authority(self, name):
        """Return the certificates of an authority: the first one signs, further ones are trusted too (rotation)."""
        return _x509.load_certificates(self._text(f"{name}.crt"), f"{self.path}/{name}.crt")

    @functools.lru_cache(maxsize=16)  # noqa: B019 - likewise
    def _key(self, name):
        place = f"{self.path}/{name}.key"
        key = _x509.load_key(self._text(f"{name}.key"), place)
        if key.public_key() != self.authority(name)[0].public_key():
            raise StoreError(f"{place} is not the key of {name}.crt beside it. Next: restore the CA store from the backup")
        return key

    def authority_pem(self, name):
        """Return what hosts trust: every certificate of an authority."""
        return "".join(_x509.pem(certificate) for certificate in self.authority(name))

    def authority_key_pem(self, name):
        """Return an authority's private key, for the controller-manager's signer."""
        return _x509.key_pem(self._key(name))

    def fingerprints(self, name):
        """Return the SHA-256 fingerprints of an authority, the signing certificate's first."""
        return [_x509.fingerprint(certificate) for certificate in self.authority(name)]

    def sign_request(self, wanted, request, now):
        """Return the PEM of a certificate as `wanted` for the key of a signing request."""
        return self.sign(wanted, _x509.request_key(request, wanted.path), now)

    def sign(self, wanted, public_key, now):
        """Return the PEM of a certificate as `wanted` for a public key."""
        return _x509.pem(_x509.sign(wanted, public_key, self.authority(wanted.ca)[0], self._key(wanted.ca), now))

    def shared(self, item):
        """Return a shared file's content: sa.key, sa.pub or encryption-config."""
        if item != "encryption-config":
            return self._text(item)
        try:
            listed = json.loads(self._text(ENCRYPTION_KEYS))
            keys = [{"name": str(key["name"]), "secret": str(key["secret"])} for key in listed]
            sizes = {len(base64.b64decode(key["secret"], validate=True)) for key in keys}
            right = sizes == {ENCRYPTION_KEY_BYTES}
        except (ValueError, KeyError, TypeError):
            right = False
        if not right:
            raise StoreError(f"{self.path}/{ENCRYPTION_KEYS} holds no list of 32-byte keys. Next: restore it from the backup")
        return _pki.encryption_config(keys)
