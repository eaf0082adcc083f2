# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys, requests and files on a host, with the real openssl program on temporary paths."""

from __future__ import annotations

import getpass
import os
import shutil
import stat
import tempfile

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _certificate_files as files
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _command, _files, _pki
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _x509
from cryptography import x509

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="needs the openssl program")
NOW = 1_800_000_000.0
ME = getpass.getuser()
GROUP = str(os.getgid())


@pytest.fixture
def place(tmp_path):
    (tmp_path / "private").mkdir(mode=0o700)
    return tmp_path


@pytest.fixture(scope="module")
def authority():
    return _x509.new_authority("kubernetes", "prod", NOW)


def sign(request, authority, path="/x/y"):
    key, certificate = authority
    wanted = _pki.Certificate(path=path, ca="kubernetes", common_name="someone")
    return _x509.pem(_x509.sign(wanted, _x509.request_key(request, path), certificate, key, NOW))


def install(base, certificate):
    with tempfile.TemporaryDirectory() as folder:
        steps = _files.survey(files.installation(base, certificate, ME, GROUP, folder))
    _files.apply(steps)
    return [step.wanted.path for step in steps if step.changed]


def issue(place, authority, name="pki/leaf", new_key=False):
    base = str(place / name)
    request = files.request(base, new_key, str(place / "private"))
    return base, install(base, sign(request, authority, base))


def content_of(path):
    with open(path) as handle:
        return handle.read()


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_from_nothing_to_a_certificate_with_its_key(place, authority):
    base, changed = issue(place, authority)
    assert changed[:2] == [base + ".key", base + ".crt"]
    found = files.read(base, ME, GROUP)
    assert (found["key"], found["adjust"]) == ("matches", [])
    assert (mode(base + ".key"), mode(base + ".crt")) == (0o600, 0o644)
    assert sorted(os.listdir(place / "pki")) == ["leaf.crt", "leaf.key"]


def test_a_pending_key_is_private_and_the_key_in_service_stays_until_the_certificate_comes(place, authority):
    base, _changed = issue(place, authority)
    before = content_of(base + ".key")
    request = files.request(base, True, str(place / "private"))
    assert content_of(base + ".key") == before
    assert files.read(base, ME, GROUP)["key"] == "matches"
    assert mode(files.pending(base)) == 0o600
    install(base, sign(request, authority))
    assert content_of(base + ".key") != before
    assert files.read(base, ME, GROUP)["key"] == "matches"
    assert not os.path.exists(files.pending(base))


def test_a_renewal_keeps_the_key_and_replaces_one_file(place, authority):
    base, _changed = issue(place, authority)
    before = content_of(base + ".key")
    _base, changed = issue(place, authority)
    assert changed == [base + ".crt"]
    assert content_of(base + ".key") == before


def test_a_pending_key_of_a_run_that_was_cut_off_is_never_used(place, authority):
    base = str(place / "leaf")
    first = files.request(base, False, str(place / "private"))
    abandoned = content_of(files.pending(base))
    second = files.request(base, False, str(place / "private"))
    assert content_of(files.pending(base)) != abandoned
    with pytest.raises(files.RequestError, match="belongs to no key on this host"):
        install(base, sign(first, authority))
    assert not os.path.exists(base + ".crt")
    install(base, sign(second, authority))
    assert files.read(base, ME, GROUP)["key"] == "matches"


def test_a_cut_between_the_two_renames_is_seen_and_mended(place, authority):
    base, _changed = issue(place, authority)
    request = files.request(base, True, str(place / "private"))
    sign(request, authority)
    os.rename(files.pending(base), base + ".key")  # and here the run dies
    assert files.read(base, ME, GROUP)["key"] == "differs"
    issue(place, authority)
    assert files.read(base, ME, GROUP)["key"] == "matches"


@pytest.mark.parametrize("content", ["", "no key at all", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_a_broken_key_is_replaced(place, authority, content):
    base, _changed = issue(place, authority)
    with open(base + ".key", "w") as handle:
        handle.write(content)
    assert files.read(base, ME, GROUP)["key"] == "unreadable"
    issue(place, authority)
    assert files.read(base, ME, GROUP)["key"] == "matches"


def test_links_are_replaced_and_never_followed(place, authority):
    base, _changed = issue(place, authority)
    target = place / "elsewhere"
    os.rename(base + ".key", target)
    content = target.read_text()
    os.symlink(target, base + ".key")
    assert files.read(base, ME, GROUP)["key"] == "missing"
    issue(place, authority)
    assert not os.path.islink(base + ".key")
    assert target.read_text() == content


def test_loose_modes_are_reported_and_put_right(place, authority):
    base, _changed = issue(place, authority)
    os.chmod(base + ".key", 0o644)
    assert files.read(base, ME, GROUP)["adjust"] == [base + ".key"]
    _files.apply(_files.survey([files.attributes(base + ".key", "0600", ME, GROUP)]))
    assert files.read(base, ME, GROUP)["adjust"] == []
    assert files.read(base, ME, GROUP)["key"] == "matches"


def test_what_is_not_there(place):
    assert files.read(str(place / "leaf"), ME, GROUP) == {"certificate": None, "key": "missing", "adjust": []}
    assert files.read_file(str(place / "ca.crt"), "0644", ME, GROUP, True)["exists"] is False


def test_a_secret_files_content_stays_on_the_host(place):
    path = place / "sa.key"
    path.write_text("SECRET")
    path.chmod(0o600)
    assert "SECRET" not in str(files.read_file(str(path), "0600", ME, GROUP, False))
    assert files.read_file(str(path), "0600", ME, GROUP, False)["adjust"] is False
    assert files.read_file(str(path), "0644", ME, GROUP, True)["content"] == "SECRET"


def test_no_secret_stands_on_a_command_line(place):
    asked = []

    def run(argv, timeout):
        asked.append(list(argv))
        return _command.run(argv, timeout)

    request = files.request(str(place / "leaf"), False, str(place / "private"), run)
    assert x509.load_pem_x509_csr(request.encode()).is_signature_valid
    secret = content_of(str(place / "leaf.key.new")).splitlines()[1]
    assert not any(secret in word for argv in asked for word in argv)
    assert [argv[1] for argv in asked] == ["genpkey", "req"]


def test_a_host_without_openssl_says_what_to_install(place):
    def run(argv, timeout):
        return _command.run(["/nonexistent/openssl"], timeout)

    with pytest.raises(files.RequestError, match="install the package openssl"):
        files.request(str(place / "leaf"), False, str(place / "private"), run)
    assert not os.path.exists(str(place / "leaf.key.new"))


def test_the_error_of_openssl_is_passed_on_without_the_key(place):
    def run(argv, timeout):
        if argv[1] == "req":
            return _command.Result(tuple(argv), 1, "", "unable to load")
        return _command.run(argv, timeout)

    with pytest.raises(files.RequestError, match="unable to load") as caught:
        files.request(str(place / "leaf"), False, str(place / "private"), run)
    assert "PRIVATE" not in str(caught.value)
    assert not os.path.exists(str(place / "leaf.key.new"))
