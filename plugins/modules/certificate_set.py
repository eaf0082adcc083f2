#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read, request and install all certificates of a host, one execution a phase."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_set
short_description: Read, request and install the certificates of a host
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - The host's part of M(multimaster.kubernetes.certificates), which judges, signs and calls this; by itself it is good for
    reading certificates.
  - Private keys are made on the host (ECDSA P-256, with the program C(openssl)) and never leave it. A new key waits beside
    the old one until its certificate is installed.
extends_documentation_fragment:
  - multimaster.kubernetes.attributes
  - multimaster.kubernetes.attributes.host
attributes:
  diff_mode:
    details: Only phase V(install) changes what is in service. Of keys and of O(files) it is said that they change, never how.
options:
  phase:
    description:
      - V(read) returns what is present and, unless in check mode, a signing request for every certificate that is missing,
        provided that the host is fresh or holds the authorities named in O(files).
      - V(request) returns a signing request for every certificate listed.
      - V(install) writes certificates and files, and puts owners and modes right.
    type: str
    choices: [read, request, install]
    default: read
  certificates:
    description: Certificates, by the path without C(.crt) and C(.key).
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path without suffix.
        type: path
        required: true
      owner:
        description: Owner of certificate and key.
        type: str
        default: root
      group:
        description: Group of certificate and key.
        type: str
        default: root
      new_key:
        description: In phase V(request), whether to make a new key although there is one.
        type: bool
        default: false
      certificate:
        description: In phase V(install), the signed certificate as PEM.
        type: str
  files:
    description: Authorities and shared keys.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path.
        type: path
        required: true
      mode:
        description: Mode as a quoted octal string of four digits.
        type: str
        default: "0600"
      owner:
        description: Owner's name.
        type: str
        default: root
      group:
        description: Group's name.
        type: str
        default: root
      public:
        description: In phase V(read), whether the content is returned; without it only its SHA-256 is.
        type: bool
        default: false
      authority:
        description: In phase V(read), whether this is an authority, by which a host shows which CA store it belongs to.
        type: bool
        default: false
      sha256:
        description: In phase V(read), the SHA-256 an authority's file has when it is the CA store's.
        type: str
      content:
        description: In phase V(install), the content; without it owner and mode are put right.
        type: str
"""

EXAMPLES = r"""
- name: Read a certificate and whether its key belongs to it
  multimaster.kubernetes.certificate_set:
    certificates:
      - path: /etc/kubernetes/pki/apiserver
  check_mode: true
"""

RETURN = r"""
certificates:
  description: By path, what is present (phase V(read)) and the signing request, if one was made.
  returned: phase is read or request
  type: dict
  sample:
    /etc/kubernetes/pki/apiserver:
      certificate: "-----BEGIN CERTIFICATE-----…"
      key: matches
      adjust: []
      request: null
files:
  description: By path, what is present.
  returned: phase is read
  type: dict
  sample: {/etc/kubernetes/pki/sa.key: {exists: true, sha256: 9f86d0…, content: null, adjust: false}}
changed_paths:
  description: Paths that were, or in check mode would be, written or adjusted.
  returned: phase is install
  type: list
  elements: str
  sample: [/etc/kubernetes/pki/apiserver.crt]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _certificate_files,
    _failure,
    _file_plan,
    _files,
    _pki,
)

ARGUMENTS = {
    "phase": {"type": "str", "choices": ["read", "request", "install"], "default": "read"},
    "certificates": {"type": "list", "elements": "dict", "default": [], "options": _certificate_files.CERTIFICATE},
    "files": {"type": "list", "elements": "dict", "default": [], "options": _certificate_files.FILE},
}


def read(params: dict, folder: str, check: bool) -> dict:
    """Return what is present; a missing certificate gets its signing request in the same execution when that is safe."""
    files = {
        item["path"]: _certificate_files.read_file(item["path"], item["mode"], item["owner"], item["group"], item["public"])
        for item in params["files"]
    }
    certificates = {
        item["path"]: {**_certificate_files.read(item["path"], item["owner"], item["group"]), "request": None}
        for item in params["certificates"]
    }
    if not check:
        for path in (path for path, found in certificates.items() if found["key"] == "matches"):
            _certificate_files.tidy(path)
    held = any(found["certificate"] for found in certificates.values()) or any(found["exists"] for found in files.values())
    authorities = [
        (files[item["path"]]["sha256"], item["sha256"])
        for item in params["files"]
        if item["authority"] and files[item["path"]]["exists"]
    ]
    if not check and _pki.may_have_keys(held, authorities):
        for path, found in certificates.items():
            if found["certificate"] is None:
                found["request"] = _certificate_files.request(path, False, folder)
    return {"changed": False, "certificates": certificates, "files": files}


def request(params: dict, folder: str, check: bool) -> dict:
    """Return a signing request for every certificate."""
    return {
        "changed": False,
        "certificates": {
            item["path"]: {"request": None if check else _certificate_files.request(item["path"], item["new_key"], folder)}
            for item in params["certificates"]
        },
    }


def install(params: dict, folder: str, check: bool) -> dict:
    """Write what was signed and what is shared; stage everything first, see _files.apply."""
    wanted = []
    for item in params["files"]:
        wanted.append(
            _certificate_files.attributes(item["path"], item["mode"], item["owner"], item["group"])
            if item["content"] is None
            else _files.wanted(item, "file", secret=True)
        )
    for item in params["certificates"]:
        account = (item["owner"], item["group"])
        wanted += _certificate_files.installation(item["path"], item["certificate"], *account, folder)
    steps = _files.survey(wanted, check=check)
    if not check:
        _files.apply(steps)
    changed = [step for step in steps if step.changed and not step.wanted.path.endswith(".new")]
    return {
        "changed": bool(changed),
        "changed_paths": [step.wanted.path for step in changed],
        "diff": _file_plan.diffs(changed, _files.names(changed)),
    }


def main() -> None:
    """Run the phase asked for."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    try:
        phase = {"read": read, "request": request, "install": install}[module.params["phase"]]
        result = phase(module.params, module.tmpdir, module.check_mode)
        module.exit_json(**{name: value for name, value in result.items() if name != "diff" or module._diff})
    except (_certificate_files.RequestError, _file_plan.PlanError, _files.FileError, OSError) as error:
        module.fail_json(msg=_failure.message(error))


if __name__ == "__main__":
    main()
