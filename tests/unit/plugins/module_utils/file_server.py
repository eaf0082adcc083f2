# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Serve files on loopback for tests, with the failures real servers have."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import io
import tarfile
import threading


class FileServer:
    """An HTTP server whose files, failures and requests are plain data."""

    def __init__(self):
        self.files, self.failures, self.cut, self.requests = {}, {}, {}, []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append(self.path)
                if outer.failures.get(self.path):
                    self.send_error(outer.failures[self.path].pop(0))
                elif self.path not in outer.files:
                    self.send_error(404)
                else:
                    body = outer.files[self.path]
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    with contextlib.suppress(ConnectionError):
                        self.wfile.write(body[: outer.cut[self.path].pop(0)] if outer.cut.get(self.path) else body)

            def log_message(self, *_arguments):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_error):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def add(self, path, body):
        """Serve a file and its checksum file; return the file's SHA-256."""
        digest = hashlib.sha256(body).hexdigest()
        self.files[path] = body
        self.files[path + ".sha256"] = digest.encode()
        return digest


def tarball(members, kind="gz"):
    """Return an archive of {name: content}; content None is a folder, a str is a link's target."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:" + kind) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if content is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
            else:
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
    return buffer.getvalue()
