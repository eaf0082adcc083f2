# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Read, request and install certificates on a host, with nothing but the standard library and the openssl program.

A private key is made here and never leaves: it goes from one program's output into a 0600 file. A new key waits at
``.key.new`` until its certificate arrives; both are then renamed into place one right after the other, the key first.
A cut between the two renames is seen as "key does not match" by the next run; one after them leaves a second copy of the
key, which the next run removes (`tidy`). Leaves out: judging anything.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import ssl

from . import _command, _file_plan, _files

#: Seconds one openssl call may take; it needs milliseconds, and more only while a fresh machine gathers entropy.
OPENSSL_TIMEOUT = 30.0
CERTIFICATE_MODE, KEY_MODE = "0644", "0600"
#: openssl req insists on a section for the subject; what it says is ignored by the controller that signs.
REQUEST_CONFIG = "[req]\ndistinguished_name=dn\nprompt=no\n[dn]\nCN=request\n"
#: Options of one certificate, and of one shared file, of the module certificate_set.
CERTIFICATE = {
    "path": {"type": "path", "required": True},
    **_files.ACCOUNT,
    "new_key": {"type": "bool", "default": False, "no_log": False},
    "certificate": {"type": "str"},
}
FILE = {
    "path": {"type": "path", "required": True},
    "mode": {"type": "str", "default": "0600"},
    **_files.ACCOUNT,
    "public": {"type": "bool", "default": False},
    "authority": {"type": "bool", "default": False},
    "sha256": {"type": "str"},
    "content": {"type": "str", "no_log": True},
}


class RequestError(Exception):
    """Say which key or signing request could not be made, and what to do."""


def pending(path):
    """Return where a new key waits for its certificate."""
    return f"{path}.key.new"


def tidy(path):
    """Remove the waiting key of a run that was cut off, once the pair in service is whole."""
    _forget(pending(path))


def read(path, owner, group):
    """Return {certificate, key, adjust} of the certificate at `path`.crt and `path`.key; never the key itself."""
    present = {".crt": _files.observe(f"{path}.crt", "file"), ".key": _files.observe(f"{path}.key", "")}
    modes = {".crt": CERTIFICATE_MODE, ".key": KEY_MODE}
    text, key = None, "missing"
    if present[".crt"].kind == "file":
        text = present[".crt"].content.decode("ascii", "replace")
    if present[".key"].kind == "file":
        key = key_state(f"{path}.crt", f"{path}.key") if text else "unused"
    return {
        "certificate": text,
        "key": key,
        "adjust": [
            path + suffix
            for suffix, found in present.items()
            if found.kind == "file" and _adjusts(path + suffix, found, modes[suffix], owner, group)
        ],
    }


def read_file(path, mode, owner, group, public):
    """Return {exists, sha256, content, adjust} of an authority or shared file; the content only of a public one."""
    found = _files.observe(path, "file")
    if found.kind != "file":
        return {"exists": False, "sha256": None, "content": None, "adjust": False}
    return {
        "exists": True,
        "sha256": hashlib.sha256(found.content).hexdigest(),
        "content": found.content.decode("ascii", "replace") if public else None,
        "adjust": _adjusts(path, found, mode, owner, group),
    }


def _adjusts(path, found, mode, owner, group):
    """Tell whether owner or mode differ; the content counts as right."""
    wanted = _files.wanted({"path": path, "mode": mode, "owner": owner, "group": group}, "file")
    return (found.mode, found.uid, found.gid) != (wanted.mode, wanted.uid, wanted.gid)


def key_state(certificate, key):
    """Return whether the key file belongs to the certificate file: matches, differs or unreadable."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        return "differs" if error.reason == "KEY_VALUES_MISMATCH" else "unreadable"
    except (OSError, ValueError):
        return "unreadable"
    return "matches"


def request(path, new_key, folder, run=_command.run):
    """Return a signing request for the key at `path`.key, or for a new one made beside it; `folder` is private.

    A key from an earlier run that was cut off is never used again.
    """
    _forget(pending(path))
    if not new_key and _files.observe(f"{path}.key", "").kind == "file":
        result = _request(f"{path}.key", folder, run)
        if result.rc == 0:
            return result.out
    _make_key(pending(path), run)
    result = _request(pending(path), folder, run)
    if result.rc != 0:
        _forget(pending(path))
        raise RequestError(f"no signing request for {path}: {result}. Next: {_remedy(result)}")
    return result.out


def _make_key(path, run):
    made = run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], OPENSSL_TIMEOUT)
    if made.rc != 0:
        said = f"{made.err.strip() or 'no output'} (exit code {made.rc})"
        raise RequestError(f"no key for {path}: openssl: {said}. Next: {_remedy(made)}")
    try:
        _files.write(path, made.out, 0o600)
    except (_file_plan.PlanError, _files.FileError) as error:
        raise RequestError(str(error)) from error


def _remedy(result):
    if result.rc == _command.NOT_FOUND:
        return "install the package openssl on this host, then run again"
    return "mend what openssl says, then run again; the certificate in service is as it was"


def _request(key, folder, run):
    config = os.path.join(folder, "request.cnf")
    if not os.path.exists(config):
        _files.write(config, REQUEST_CONFIG, 0o600)
    return run(["openssl", "req", "-new", "-key", key, "-passin", "pass:", "-config", config], OPENSSL_TIMEOUT)


def _forget(path):
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def installation(path, certificate, owner, group, folder):
    """Return the files (as _file_plan.Wanted, the key first) that put a certificate in service with its key.

    `folder` is private: to compare it with a key the certificate has to be a file, and beside the key a check would write.
    """
    account = {"owner": owner, "group": group}
    staged = os.path.join(folder, "signed.crt")
    _files.write(staged, certificate, 0o644)
    try:
        source = next((key for key in (pending(path), f"{path}.key") if key_state(staged, key) == "matches"), None)
    finally:
        _forget(staged)
    if source is None:
        said = f"the certificate signed for {path} belongs to no key on this host"
        raise RequestError(f"{said}. Next: run again, which has one signed anew")
    key = {"path": f"{path}.key", "content": _text(source), "mode": KEY_MODE, **account}
    crt = {"path": f"{path}.crt", "content": certificate, "mode": CERTIFICATE_MODE, **account}
    return [
        _files.wanted(key, "file", secret=True),
        _files.wanted(crt, "file"),
        _files.wanted({"path": pending(path)}, "absent"),
    ]


def attributes(path, mode, owner, group):
    """Return an existing file as wanted with its own content, so that only owner and mode are put right."""
    item = {"path": path, "content": _text(path), "mode": mode, "owner": owner, "group": group}
    return _files.wanted(item, "file", secret=True)


def _text(path):
    return _files.observe(path, "file").content.decode("utf-8", "surrogateescape")
