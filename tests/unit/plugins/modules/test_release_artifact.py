# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of release_artifact as a module: check, run, run again."""

from __future__ import annotations

import os

import pytest
from ansible_collections.multimaster.kubernetes.plugins.modules import release_artifact
from file_server import FileServer, tarball


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with FileServer() as serving:
        yield serving


@pytest.fixture
def arguments(server, tmp_path):
    server.add("/kubectl", b"kubectl")
    server.add("/c.tgz", tarball({"bin/ctr": b"ctr"}))
    return {
        "manifest": str(tmp_path / "opt/.artifacts.json"),
        "artifacts": [
            {
                "url": server.url + "/kubectl",
                "checksum_url": server.url + "/kubectl.sha256",
                "dest": str(tmp_path / "opt/k/kubectl"),
            },
            {
                "url": server.url + "/c.tgz",
                "checksum_url": server.url + "/c.tgz.sha256",
                "extract": {"bin/ctr": str(tmp_path / "opt/c/ctr")},
            },
        ],
        "links": {str(tmp_path / "opt/ctr"): str(tmp_path / "opt/c/ctr")},
    }


def test_everything_is_installed_and_linked_once(check_run_again, arguments, server, tmp_path):
    checked, done, again = check_run_again(release_artifact, arguments)
    files = [str(tmp_path / "opt/k/kubectl"), str(tmp_path / "opt/c/ctr")]
    assert checked["fetched"] == files and sorted(done["fetched"]) == sorted(files) and again["fetched"] == []
    assert checked["linked"][-1:] == done["linked"][-1:] == [str(tmp_path / "opt/ctr")] and again["linked"] == []
    assert (tmp_path / "opt/ctr").read_bytes() == b"ctr"
    assert len(server.requests) == 4


def test_check_mode_asks_no_server_and_writes_nothing(call, arguments, server, tmp_path):
    call(release_artifact, arguments, check=True)
    assert server.requests == [] and os.listdir(tmp_path) == []


def test_a_file_removed_by_hand_comes_back(call, arguments, check_run_again, tmp_path):
    call(release_artifact, arguments)
    (tmp_path / "opt/c/ctr").unlink()
    assert check_run_again(release_artifact, arguments)[1]["fetched"] == [str(tmp_path / "opt/c/ctr")]


def test_a_mode_is_set_back(call, arguments, check_run_again, tmp_path):
    call(release_artifact, arguments)
    (tmp_path / "opt/c/ctr").chmod(0o700)
    assert check_run_again(release_artifact, arguments)[1]["adjusted"] == [str(tmp_path / "opt/c/ctr")]


def test_a_failure_names_the_url(call, arguments):
    arguments["artifacts"][0]["url"] += "x"
    assert "kubectlx" in call(release_artifact, arguments)["msg"]


def test_a_folder_where_a_link_goes_is_refused_before_anything_is_fetched(call, arguments, server, tmp_path):
    (tmp_path / "opt/ctr").mkdir(parents=True)
    assert "is a directory, a link is wanted" in call(release_artifact, arguments)["msg"] and server.requests == []


@pytest.mark.parametrize("wrong", [{"dest": None}, {"extract": {"a": "/b"}}, {"checksum_url": None}])
def test_an_entry_needs_one_destination_and_a_checksum(call, arguments, wrong):
    arguments["artifacts"][0].update(wrong)
    assert call(release_artifact, arguments)["failed"]
