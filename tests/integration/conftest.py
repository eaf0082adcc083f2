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

import lab_etcd  # noqa: E402
import lab_kube  # noqa: E402


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


@pytest.fixture
def lab(etcd_binary, tmp_path):
    made = lab_etcd.EtcdLab(etcd_binary, tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def kube_lab(etcd_binary, apiserver_binary, tmp_path_factory):
    made = lab_kube.KubeLab(etcd_binary, apiserver_binary, tmp_path_factory.mktemp("kube"))
    try:
        made.start_and_wait()
        yield made
    finally:
        made.close()
