# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Ask a service once whether it is ready, by URL or by TCP, and say what it answered.

Proxy variables are ignored: a probe goes to this host or its neighbours. Left out: waiting (``_systemd.py`` does it).
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from . import _https

#: Seconds one probe may take; a service on the same host that needs longer is not ready.
PROBE_TIMEOUT = 2.0
#: ``prober(ready) -> (is it ready, what it answered)``; raises ``_https.CredentialsError`` for unusable files.
Prober = Callable[[Mapping], "tuple[bool, str]"]


def target(ready: Mapping) -> str:
    """Return what is asked, in words."""
    return f"GET {ready['url']}" if ready.get("url") else f"TCP connect to {ready['tcp']}" if ready.get("tcp") else ""


def probe(ready: Mapping) -> tuple[bool, str]:
    """Ask once: any 2xx (or an accepted TCP connection) is ready; nothing to ask is ready too."""
    try:
        if ready.get("url"):
            return _get(ready)
        if ready.get("tcp"):
            host, port = ready["tcp"].rsplit(":", 1)
            socket.create_connection((host.strip("[]"), int(port)), PROBE_TIMEOUT).close()
        return True, "connected"
    except (OSError, http.client.HTTPException) as error:
        return False, f"{type(error).__name__}: {error}"


def _get(ready: Mapping) -> tuple[bool, str]:
    """Send one GET and judge its status."""
    parts = urlsplit(ready["url"])
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=PROBE_TIMEOUT, context=_tls(ready))
    else:
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=PROBE_TIMEOUT)
    try:
        connection.request("GET", (parts.path or "/") + ("?" + parts.query if parts.query else ""))
        answer = connection.getresponse()
        body = answer.read(600).decode("utf-8", "replace").strip()
        return 200 <= answer.status < 300, f"HTTP {answer.status} {answer.reason}" + (f": {body}" if body else "")
    finally:
        connection.close()


def _tls(ready: Mapping) -> ssl.SSLContext:
    """Return the TLS client of a probe: the given CA only, or no verification when that was asked for."""
    if ready.get("ca") and not ready.get("insecure"):
        return _https.context(ready["ca"], ready.get("cert"), ready.get("key"))
    context = ssl.create_default_context()
    if ready.get("insecure"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if ready.get("cert"):
        context.load_cert_chain(ready["cert"], ready.get("key"))
    return context
