# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give the integration tests real components on loopback; a test is skipped, with the reason, where there is no binary."""

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


@pytest.fixture(scope="session")
def etcd_binary():
    found = lab_etcd.find_program("MULTIMASTER_ETCD", ("etcd",), lab_etcd.CACHE_PATTERNS)
    if not found:
        pytest.skip("no etcd: set MULTIMASTER_ETCD to the server's binary")
    return found


@pytest.fixture(scope="session")
def apiserver_binary():
    found = lab_etcd.find_program("MULTIMASTER_KUBE_APISERVER", ("kube-apiserver",), lab_kube.CACHE_PATTERNS)
    if not found:
        pytest.skip("no API server: set MULTIMASTER_KUBE_APISERVER to kube-apiserver's binary")
    return found


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
