#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Save what etcd holds on this host, hand the copy over piece by piece, and keep or discard it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_snapshot_file
short_description: Save what etcd holds into a file on this host, and hand it over in pieces
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - The host's part of M(multimaster.kubernetes.etcd_snapshot), which calls this phase by phase; use that instead.
  - What is saved is called C(unfinished.db) in the folder of O(path) until it is kept. A try that failed or was cut off leaves
    no more than this one file, which the next try replaces.
extends_documentation_fragment:
  - multimaster.kubernetes.attributes
  - multimaster.kubernetes.attributes.host
attributes:
  diff_mode:
    support: none
    details: A copy changes no configuration.
options:
  phase:
    description:
      - V(save) saves the key space of one member, has C(etcdutl) read the copy back, and returns its hash.
      - V(read) returns a piece of the saved copy.
      - V(keep) gives it its own name. V(discard) removes it.
    type: str
    choices: [save, read, keep, discard]
    required: true
  path:
    description: What the copy is called once it is kept. Its folder is made, for root only.
    type: path
    required: true
  offset:
    description: In phase V(read), the byte the piece begins with.
    type: int
    default: 0
  programs:
    description: In phase V(save), the folder with C(etcdctl) and C(etcdutl).
    type: path
  endpoints:
    description: In phase V(save), the client URL of the one member to read from.
    type: list
    elements: str
    default: []
  ca:
    description: File with the CA that signed the members' client-side certificates.
    type: path
    default: /etc/etcd/pki/client-ca.crt
  client_cert:
    description: File with the client certificate.
    type: path
    default: /etc/etcd/pki/operator-client.crt
  client_key:
    description: File with the client certificate's key.
    type: path
    default: /etc/etcd/pki/operator-client.key
"""

EXAMPLES = r"""
- name: Give up what was saved and is not wanted any more
  multimaster.kubernetes.etcd_snapshot_file:
    phase: discard
    path: /var/lib/multimaster/snapshots/prod-before-upgrade.db
"""

RETURN = r"""
snapshot:
  description: What the copy holds; empty in check mode.
  returned: phase is save
  type: dict
  sample: {revision: 4711, keys: 812, bytes: 3145728, hash: 2847391044}
size:
  description: Bytes of the file.
  returned: phase is save, not in check mode
  type: int
  sample: 3145760
sha256:
  description: The file's SHA-256.
  returned: phase is save, not in check mode
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
content:
  description: The piece, in base64. It holds what the cluster holds, Secrets too.
  returned: phase is read
  type: str
  sample: AAAAAA==
"""

import base64
import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _command, _etcd, _failure, _snapshot

ARGUMENTS = {
    **_etcd.ARGUMENTS,
    "phase": {"type": "str", "choices": ["save", "read", "keep", "discard"], "required": True},
    "path": {"type": "path", "required": True},
    "offset": {"type": "int", "default": 0},
    "programs": {"type": "path"},
    "endpoints": {"type": "list", "elements": "str", "default": []},
}


def save(params, check):
    """Refuse what exists, save unless in check mode."""
    path, count = params["path"], len(params["endpoints"])
    if count != 1:
        raise _snapshot.SnapshotError(f"one member is read from, {count} are given. Next: give one in `endpoints`")
    if os.path.exists(path):
        raise _snapshot.SnapshotError(f"{path} exists, and a copy is never overwritten. Next: give another path")
    if check:
        return {"changed": True, "snapshot": {}}
    credentials = (params["ca"], params["client_cert"], params["client_key"])
    found = _snapshot.save(path, params["endpoints"][0], credentials, params["programs"], _command.run)
    size, sha256 = _snapshot.digest(path)
    return {"changed": True, "snapshot": found, "size": size, "sha256": sha256}


def read(params, check):
    """Return one piece."""
    return {"changed": False, "content": base64.b64encode(_snapshot.piece(params["path"], params["offset"])).decode()}


def keep(params, check):
    """Give the copy its name."""
    return {"changed": _snapshot.keep(params["path"], check)}


def discard(params, check):
    """Remove what is not kept."""
    return {"changed": _snapshot.discard(params["path"], check)}


def main():
    """Run the phase asked for."""
    module = AnsibleModule(ARGUMENTS, required_if=[("phase", "save", ("programs",))], supports_check_mode=True)
    phase = {"save": save, "read": read, "keep": keep, "discard": discard}[module.params["phase"]]
    try:
        module.exit_json(**phase(module.params, module.check_mode))
    except (_snapshot.SnapshotError, OSError) as error:
        module.fail_json(msg=_failure.message(error, f"phase {module.params['phase']} of {module.params['path']} failed"))


if __name__ == "__main__":
    main()
