# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give the integration tests real components on loopback."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
for folder in (HERE, HERE.parent.parent / "collections"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

import lab_etcd
import lab_kube
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _etcd, _kube


def program(variable, name, pattern, folder, any_version=True):
    """Return a real binary; without one the tests fail, since `make integration` builds what they need."""
    found = lab_etcd.find_program(variable, name, pattern, folder, any_version)
    assert found, f"no {name}: run `make components`, or set {variable} to the binary"
    return found


@pytest.fixture(scope="session")
def etcd_binary(tmp_path_factory):
    return program("MULTIMASTER_ETCD", "etcd", lab_etcd.ARCHIVE, tmp_path_factory.mktemp("bin"))


@pytest.fixture(scope="session")
def etcd_minors(tmp_path_factory):
    """Return {minor: binary} of two etcd minors, one after the other."""
    named = (
        ("3.6", "MULTIMASTER_ETCD_3_6", lab_etcd.ARCHIVE),
        ("3.7", "MULTIMASTER_ETCD_3_7", lab_etcd.NEWER_ARCHIVE),
    )
    return {
        minor: program(variable, "etcd", pattern, tmp_path_factory.mktemp("bin"), any_version=False)
        for minor, variable, pattern in named
    }


@pytest.fixture(scope="session")
def apiserver_binary(tmp_path_factory):
    return program("MULTIMASTER_KUBE_APISERVER", "kube-apiserver", lab_kube.BINARY, tmp_path_factory.mktemp("bin"))


@pytest.fixture(scope="session")
def etcd_programs(tmp_path_factory):
    """Return the folder with etcdctl and etcdutl."""
    folder = tmp_path_factory.mktemp("bin")
    for name in ("etcdctl", "etcdutl"):
        found = program(f"MULTIMASTER_{name.upper()}", name, lab_etcd.ARCHIVE, folder)
        if not (folder / name).exists():
            (folder / name).symlink_to(found)
    return str(folder)


@pytest.fixture
def watched(tmp_path):
    """Return the folder of files that no module may write in check mode; etcd's own are beside it and change all the time."""
    folder = tmp_path / "host"
    folder.mkdir()
    return folder


@pytest.fixture
def lab(etcd_binary, tmp_path):
    made = lab_etcd.EtcdLab(etcd_binary, tmp_path)
    yield made
    made.close()


# one for all: an API server takes longer to start than most tests of it together
@pytest.fixture(scope="session")
def kube_lab(etcd_binary, apiserver_binary, tmp_path_factory):
    made = lab_kube.KubeLab(etcd_binary, apiserver_binary, tmp_path_factory.mktemp("kube"))
    try:
        made.start_and_wait()
        yield made
    finally:
        made.close()


@pytest.fixture
def watched_kube(kube_lab, world):
    """Return the API server; a check that writes anything behind it is seen."""
    world.watch(kube_lab.picture)
    return kube_lab


@pytest.fixture
def kube_without_etcd(kube_lab):
    """Return the API server while its etcd is away."""
    kube_lab.member.stop()
    try:
        yield kube_lab
    finally:
        kube_lab.member.start()
        kube_lab.etcd.serve(kube_lab.member.name)
        kube_lab.wait()


@pytest.fixture
def credentials_at_home(kube_lab, monkeypatch):
    """Have the lab's certificates where the collection gives a master its own, for modules that are not told any."""
    etcd = kube_lab.etcd.params()
    for arguments, given in ((_kube.ARGUMENTS, kube_lab.params()), (_etcd.ARGUMENTS, etcd)):
        for name in ("ca", "client_cert", "client_key"):
            monkeypatch.setitem(arguments[name], "default", given[name])
