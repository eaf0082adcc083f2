# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Document the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_snapshot
short_description: Save what etcd holds, verify the copy, and keep one on the controller
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Saves the whole key space of one member by C(etcdctl) into a file, and reads the copy back by C(etcdutl), which checks its
    hash. A copy that is not whole fails the task.
  - With O(controller_folder) the copy is fetched as well, in pieces of 8 MiB, so that no memory holds it as a whole, and its
    SHA-256 is compared. The controller's part is written by the user who runs the playbook, whatever C(become) says.
  - The file has its name on the host only when all of that is done. A try that failed leaves nothing there; one that was cut off
    leaves C(unfinished.db) in its folder, which the next one replaces.
  - Refused where the copy would leave less room on the disk than the member's database takes, since that disk is most often
    etcd's own. Earlier copies are not removed.
  - Not idempotent. Each run saves anew and counts as changed. O(path) is a file that does not exist yet, and a second run with
    the same one fails, since a copy is never overwritten.
extends_documentation_fragment:
  - multimaster.kubernetes.attributes
  - multimaster.kubernetes.etcd_client
attributes:
  diff_mode:
    support: none
    details: A copy changes no configuration.
  action:
    support: full
    description: Runs on the controller as an action plugin, together with a module on the host.
  platform:
    support: full
    description: Hosts this can be used on.
    platforms: linux
options:
  path:
    description: File to save to. Its folder is made, for root only.
    type: path
    required: true
  programs:
    description: Folder with C(etcdctl) and C(etcdutl).
    type: path
    required: true
  controller_folder:
    description:
      - Folder on the controller that gets a copy of the same name, mode 0600. It is made, and closed to others than its owner.
      - Nothing is fetched when this is empty.
    type: str
    default: ""
notes:
  - Exactly one of O(endpoints) is given, the member to read from.
seealso:
  - module: multimaster.kubernetes.etcd_snapshot_file
"""

EXAMPLES = r"""
- name: Save etcd before it changes
  multimaster.kubernetes.etcd_snapshot:
    path: /var/lib/multimaster/snapshots/prod-before-upgrade.db
    endpoints: [https://192.0.2.11:2379]
    programs: /opt/multimaster/etcd/3.6.16
    controller_folder: "{{ inventory_dir }}/snapshots"
"""

RETURN = r"""
path:
  description: Where the copy is, or in check mode would be.
  returned: success
  type: str
  sample: /var/lib/multimaster/snapshots/prod-before-upgrade.db
controller_path:
  description: Where the controller's copy is, or in check mode would be; empty without O(controller_folder).
  returned: success
  type: str
  sample: /srv/inventory/snapshots/prod-before-upgrade.db
snapshot:
  description: What the copy holds; empty in check mode.
  returned: success
  type: dict
  sample: {revision: 4711, keys: 812, bytes: 3145728, hash: 2847391044}
"""
