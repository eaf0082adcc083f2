#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Save what etcd holds into a file on this host, and verify it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_snapshot
short_description: Save what etcd holds, and verify the copy
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Saves the whole key space of one member by C(etcdctl) into a file, and reads the copy back by C(etcdutl), which checks its
    hash. A copy that is not whole fails the task.
  - Refused where the copy would leave less room on the disk than the member's database takes, since that disk is most often
    etcd's own. Earlier copies are not removed.
  - Not idempotent. Each run saves anew and counts as changed. O(path) is a file that does not exist yet, and a second run with
    the same one fails, since a copy is never overwritten.
extends_documentation_fragment:
  - multimaster.kubernetes.attributes
  - multimaster.kubernetes.attributes.host
  - multimaster.kubernetes.etcd_client
attributes:
  diff_mode:
    support: none
    details: A copy changes no configuration.
options:
  path:
    description: File to save to. Its folder is made, for root only.
    type: path
    required: true
  programs:
    description: Folder with C(etcdctl) and C(etcdutl).
    type: path
    required: true
notes:
  - Exactly one of O(endpoints) is given, the member to read from.
"""

EXAMPLES = r"""
- name: Save etcd before it changes
  multimaster.kubernetes.etcd_snapshot:
    path: /var/lib/multimaster/snapshots/prod-before-upgrade.db
    endpoints: [https://192.0.2.11:2379]
    programs: /opt/multimaster/etcd/3.6.16
"""

RETURN = r"""
path:
  description: Where the copy is, or in check mode would be.
  returned: success
  type: str
  sample: /var/lib/multimaster/snapshots/prod-before-upgrade.db
snapshot:
  description: What the copy holds; empty in check mode.
  returned: success
  type: dict
  sample: {revision: 4711, keys: 812, bytes: 3145728, hash: 2847391044}
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _command, _etcd, _failure, _snapshot


def main():
    """Refuse what exists, save unless in check mode, report."""
    module = AnsibleModule(
        argument_spec={
            **_etcd.ARGUMENTS,
            "path": {"type": "path", "required": True},
            "programs": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    params, path = module.params, module.params["path"]
    if len(params["endpoints"]) != 1:
        module.fail_json(msg=f"one member is read from, {len(params['endpoints'])} are given. Next: give one in `endpoints`")
    if os.path.exists(path):
        module.fail_json(msg=f"{path} exists, and a copy is never overwritten. Next: give another path")
    found = {}
    try:
        if not module.check_mode:
            credentials = (params["ca"], params["client_cert"], params["client_key"])
            found = _snapshot.save(path, params["endpoints"][0], credentials, params["programs"], _command.run)
    except (_snapshot.SnapshotError, OSError) as error:
        module.fail_json(msg=_failure.message(error, f"{path} is not saved"))
    module.exit_json(changed=True, path=path, snapshot=found)


if __name__ == "__main__":
    main()
