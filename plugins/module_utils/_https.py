# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""One HTTPS request at a time with a client certificate, by the standard library.

Solves: etcd's JSON gateway and the Kubernetes API are asked from hosts that have nothing but Python, and every
failure must say what was asked, where, and what came back. Proxy variables are ignored on purpose: cluster traffic
never goes through a proxy. Leaves out: kept connections, redirects, streaming of large bodies into memory-safe form.
"""

from __future__ import annotations

import errno
import http.client
import ssl
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _failure


class TransportError(Exception):
    """No HTTP answer came: refused, timed out, TLS failed. ``sent`` tells whether the request may have been received.

    ``tls`` tells whether TLS refused it: then somebody listens there, who may well answer others. ``unverified``: it was we who
    did not accept the server's certificate, an expired one for example.
    """

    def __init__(self, where, cause, sent=False, tls=False, unverified=False):
        self.where, self.cause, self.sent, self.tls, self.unverified = where, cause, sent, tls, unverified
        super().__init__(f"{where}: {cause}")


class CredentialsError(Exception):
    """A certificate or key file cannot be used."""


@dataclass(frozen=True)
class Answer:
    """What came back: HTTP status, body, headers by lower-case name."""

    status: int
    body: bytes
    headers: dict = field(default_factory=dict)


def _refused_by_tls(error):
    """Tell whether one side did not accept the other; a process that dies in the handshake ends the connection instead."""
    return isinstance(error, ssl.SSLError) and not isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError))


def _cause(error):
    """Return the reason of a failed connection in one line."""
    if isinstance(error, TimeoutError) or "timed out" in str(error):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate was not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "TLS failed (is our client certificate accepted there?): %s" % (getattr(error, "reason", None) or error)
    if isinstance(error, ConnectionRefusedError):
        return "connection refused (nothing listens there)"
    return f"{type(error).__name__}: {error}"


def context(ca, cert=None, key=None):
    """Return a TLS client context that trusts only ``ca``; raise CredentialsError naming the file at fault."""
    try:
        for path in filter(None, (ca, cert, key)):
            open(path, "rb").close()
    except OSError as error:
        gone = error.errno == errno.ENOENT
        following = "site.yml gives each listed host its certificates" if gone else _failure.remedy(error, path)
        said = f"cannot read {path}: {error.strerror}. Next: {following}"
        raise CredentialsError(said) from error
    try:
        result = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=ca)
        result.minimum_version = ssl.TLSVersion.TLSv1_2
        if cert:
            result.load_cert_chain(cert, key)
    except (ssl.SSLError, OSError) as error:
        raise CredentialsError(
            f"cannot use CA {ca} with certificate {cert} and key {key}: {error}. Next: site.yml issues one that is gone"
        ) from error
    return result


def _nobody(cause):
    def opener(method, url, body=None, headers=None, timeout=5.0):
        raise TransportError(url, cause)

    return opener


def https_opener(ca, cert=None, key=None, check=False):
    """Return ``opener(method, url, body, headers, timeout) -> Answer``; timeout in seconds, per socket operation.

    In check mode credentials may not exist yet, as the tasks that make them were only looked at: then nobody answers.
    """
    try:
        tls = context(ca, cert, key)
    except CredentialsError as error:
        if not check:
            raise
        return _nobody(str(error))

    def opener(method, url, body=None, headers=None, timeout=5.0):
        parts = urlsplit(url)
        target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
        where = f"{parts.scheme}://{parts.netloc}"
        connection = http.client.HTTPSConnection(parts.hostname, parts.port or 443, timeout=timeout, context=tls)
        sent = False
        try:
            connection.connect()
            sent = True
            connection.request(method, target, body=body, headers=headers or {})
            response = connection.getresponse()
            return Answer(response.status, response.read(), {k.lower(): v for k, v in response.getheaders()})
        except (OSError, http.client.HTTPException) as error:
            unverified = isinstance(error, ssl.SSLCertVerificationError)
            raise TransportError(where, _cause(error), sent, _refused_by_tls(error), unverified) from error
        finally:
            connection.close()

    return opener
