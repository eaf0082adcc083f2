# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The phases of the host module on temporary paths, with the real openssl program."""

from __future__ import annotations

import getpass
import hashlib
import os
import shutil

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _pki
from ansible_collections.multimaster.kubernetes.plugins.modules import certificate_set as module
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _x509

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="needs the openssl program")
NOW = 1_800_000_000.0
ME, GROUP = getpass.getuser(), str(os.getgid())
OURS, THEIRS = (_x509.pem(_x509.new_authority("kubernetes", "prod", NOW)[1]) for _ in range(2))


@pytest.fixture
def params(tmp_path):
    account = {"owner": ME, "group": GROUP}
    (tmp_path / "private").mkdir(mode=0o700)
    return {
        "certificates": [{"path": str(tmp_path / "k" / name), "new_key": False, "certificate": None, **account} for name in "ab"],
        "files": [
            {
                "path": str(tmp_path / "k" / "ca.crt"),
                "mode": "0644",
                "public": True,
                "authority": True,
                "content": None,
                "sha256": hashlib.sha256(OURS.encode()).hexdigest(),
                **account,
            }
        ],
    }


def read(params, tmp_path, check=False):
    return module.read(params, str(tmp_path / "private"), check)


def requests(result):
    return [bool(found["request"]) for found in result["certificates"].values()]


def test_a_fresh_host_answers_with_requests_at_once(params, tmp_path):
    assert requests(read(params, tmp_path)) == [True, True]
    assert sorted(os.listdir(tmp_path / "k")) == ["a.key.new", "b.key.new"]


def test_check_mode_makes_nothing(params, tmp_path):
    assert requests(read(params, tmp_path, check=True)) == [False, False]
    assert module.request(params, str(tmp_path / "private"), True)["certificates"][params["certificates"][0]["path"]] == {
        "request": None
    }
    assert os.listdir(tmp_path) == ["private"]


@pytest.mark.parametrize(("authority", "makes"), [(OURS, True), (THEIRS, False)], ids=["ours", "theirs"])
def test_a_host_of_another_authority_is_left_untouched(params, tmp_path, authority, makes):
    (tmp_path / "k").mkdir()
    (tmp_path / "k" / "ca.crt").write_text(authority)
    result = read(params, tmp_path)
    assert requests(result) == [makes, makes]
    assert result["files"][params["files"][0]["path"]]["content"] == authority
    if not makes:
        assert os.listdir(tmp_path / "k") == ["ca.crt"]


def test_without_a_store_a_host_that_holds_something_makes_no_keys(params, tmp_path):
    params["files"][0]["sha256"] = None
    (tmp_path / "k").mkdir()
    (tmp_path / "k" / "ca.crt").write_text(OURS)
    assert requests(read(params, tmp_path)) == [False, False]


@pytest.fixture
def signed(params, tmp_path):
    """The parameters with every certificate signed for the keys that wait on the host."""
    key, authority = _x509.new_authority("kubernetes", "prod", NOW)
    answers = read(params, tmp_path)["certificates"]
    for item in params["certificates"]:
        wanted = _pki.Certificate(path=item["path"], ca="kubernetes", common_name="x")
        public = _x509.request_key(answers[item["path"]]["request"], item["path"])
        item["certificate"] = _x509.pem(_x509.sign(wanted, public, authority, key, NOW))
    params["files"][0]["content"] = OURS
    return params


def test_install_writes_all_or_nothing(signed, tmp_path):
    params = signed
    swapped = {
        **params,
        "certificates": [
            params["certificates"][0],
            {**params["certificates"][1], "certificate": params["certificates"][0]["certificate"]},
        ],
    }
    folder = str(tmp_path / "private")
    with pytest.raises(module._certificate_files.RequestError, match="belongs to no key"):
        module.install(swapped, folder, False)
    assert sorted(os.listdir(tmp_path / "k")) == ["a.key.new", "b.key.new"]
    did = module.install(params, folder, False)
    assert did["changed_paths"] == [str(tmp_path / "k" / name) for name in ("ca.crt", "a.key", "a.crt", "b.key", "b.crt")]
    assert sorted(os.listdir(tmp_path / "k")) == ["a.crt", "a.key", "b.crt", "b.key", "ca.crt"]


def test_install_tells_in_a_check_what_a_run_changes_and_never_shows_a_key(signed, check_run_again, tmp_path):
    checked, done, again = check_run_again(module, {**signed, "phase": "install"})
    assert checked["changed_paths"] == done["changed_paths"] != again["changed_paths"] == []
    assert checked["diff"] == done["diff"]
    entries = {entry["after_header"]: (entry["before"], entry["after"]) for entry in done["diff"]}
    assert list(entries) == done["changed_paths"]
    path, hidden = signed["certificates"][0]["path"], ("", "(not shown)\n")
    assert entries[path + ".crt"] == ("", signed["certificates"][0]["certificate"])
    assert entries[path + ".key"] == entries[str(tmp_path / "k" / "ca.crt")] == hidden
    (tmp_path / "k" / "a.key").chmod(0o644)
    _checked, done, _again = check_run_again(module, {**signed, "phase": "install"})
    assert [entry["before"].splitlines()[:2] for entry in done["diff"]] == [["state: file", "mode: 0644"]]
    assert again["diff"] == []


def test_a_new_key_is_told_and_neither_is_shown(signed, call, tmp_path):
    """As when a certificate is issued anew: the old key is in service, and the new one waits beside it."""
    call(module, {**signed, "phase": "install"})
    key = tmp_path / "k" / "a.key"
    new, old = key.read_text(), (tmp_path / "k" / "b.key").read_text()
    key.write_text(old)
    (tmp_path / "k" / "a.key.new").write_text(new)
    result = call(module, {**signed, "phase": "install"}, check=True)
    assert [(entry["after_header"], entry["before"], entry["after"]) for entry in result["diff"]] == [
        (str(key), "(not shown)\n", "(changed, not shown)\n")
    ]
    assert not [line for line in (new + old).splitlines() if line in str(result)]


@pytest.mark.parametrize("phase", ["read", "request"])
def test_a_check_that_reads_or_requests_makes_no_keys(params, call, phase):
    assert not call(module, {**params, "phase": phase}, check=True)["changed"]


def test_the_waiting_copy_of_a_run_cut_after_the_renames_is_removed(signed, tmp_path):
    module.install(signed, str(tmp_path / "private"), False)
    copy = tmp_path / "k" / "a.key.new"
    copy.write_bytes((tmp_path / "k" / "a.key").read_bytes())
    read(signed, tmp_path, check=True)
    assert copy.exists()
    read(signed, tmp_path)
    assert sorted(os.listdir(tmp_path / "k")) == ["a.crt", "a.key", "b.crt", "b.key", "ca.crt"]


def test_arguments_and_documentation_agree():
    import yaml

    documented = yaml.safe_load(module.DOCUMENTATION)["options"]
    assert set(documented) == set(module.ARGUMENTS)
    for name in ("certificates", "files"):
        assert set(documented[name]["suboptions"]) == set(module.ARGUMENTS[name]["options"])
    assert module.ARGUMENTS["files"]["options"]["content"]["no_log"]
