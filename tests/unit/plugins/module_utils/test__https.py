# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test what is said of credentials and connections that fail; TLS itself is tried in the integration tests."""

from __future__ import annotations

import socket
import ssl

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _https


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(_https.CredentialsError, match="cannot read .*nowhere.crt: No such file or directory. Next: site.yml"):
        _https.https_opener(str(tmp_path / "nowhere.crt"))


def test_a_file_that_is_no_certificate_is_named(tmp_path):
    wrong = tmp_path / "wrong.crt"
    wrong.write_text("no certificate")
    with pytest.raises(_https.CredentialsError, match="cannot use CA .*wrong.crt"):
        _https.https_opener(str(wrong))


def test_in_check_mode_missing_credentials_mean_that_nobody_answers(tmp_path):
    opener = _https.https_opener(str(tmp_path / "nowhere.crt"), check=True)
    with pytest.raises(_https.TransportError, match="cannot read .*nowhere.crt") as silent:
        opener("GET", "https://a:2379/health")
    assert not silent.value.sent


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "connection refused (nothing listens there)"),
        (socket.timeout("timed out"), "no answer in time"),
        (TimeoutError(110, "Connection timed out"), "no answer in time"),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), "TLS failed (is our client certificate accepted there?)"),
        (OSError(113, "No route to host"), "OSError: [Errno 113] No route to host"),
    ],
)
def test_causes_in_one_line(error, said):
    assert _https._cause(error).startswith(said)


@pytest.mark.parametrize(
    ("error", "refused"),
    [
        (ssl.SSLCertVerificationError(1, "certificate verify failed"), True),
        (ssl.SSLError(1, "tlsv1 alert unknown ca"), True),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), False),  # it died in the handshake
        (ssl.SSLZeroReturnError(6, "TLS/SSL connection has been closed"), False),
        (ConnectionRefusedError(111, "Connection refused"), False),
    ],
)
def test_a_process_that_dies_in_the_handshake_has_refused_nobody(error, refused):
    assert _https._refused_by_tls(error) is refused
