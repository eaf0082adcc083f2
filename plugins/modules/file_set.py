#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a whole set of files, secrets, directories and links in one execution."""

from __future__ import annotations

DOCUMENTATION = r"""
module: file_set
short_description: Make a set of files, directories and links at once
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Writes many files, secrets, directories and symbolic links in one execution, and removes exact paths.
  - Everything is read and judged first; new contents are staged beside their destination and validated; only then is the
    first file replaced, by rename.
  - A symbolic link at a destination is replaced, never followed. Parent directories that do not exist are created with
    mode V(0755) and owner root, unless they are listed in O(directories).
extends_documentation_fragment:
  - multimaster.kubernetes.attributes
  - multimaster.kubernetes.attributes.host
  - multimaster.kubernetes.files
"""

EXAMPLES = r"""
- name: Write the API server's configuration
  multimaster.kubernetes.file_set:
    directories:
      - {path: /etc/kubernetes, mode: "0755"}
    files:
      - path: /etc/kubernetes/audit-policy.json
        content: "{{ audit_policy | to_nice_json }}"
    secrets:
      - path: /etc/kubernetes/encryption.json
        content: "{{ encryption | to_json }}"
    links:
      /usr/local/bin/kubectl: /opt/multimaster/kubernetes/1.36.3/kubectl
    absent:
      - /etc/kubernetes/audit-policy.yaml
"""

RETURN = r"""
changed_paths:
  description: Paths that were, or in check mode would be, created, replaced, adjusted or removed.
  returned: always
  type: list
  elements: str
  sample: [/etc/kubernetes/audit-policy.json]
reasons:
  description: Why each of RV(changed_paths) differed.
  returned: always
  type: dict
  sample: {/etc/kubernetes/audit-policy.json: content}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _failure, _file_plan, _files


def main() -> None:
    """Read, decide, act unless in check mode, report."""
    module = AnsibleModule(_files.ARGUMENTS, supports_check_mode=True)
    try:
        changed = _files.converge(module.params, module.check_mode)
    except (_file_plan.PlanError, _files.FileError) as error:
        module.fail_json(msg=_failure.message(error))
    module.exit_json(
        changed=bool(changed),
        changed_paths=[step.wanted.path for step in changed],
        reasons={step.wanted.path: step.reason for step in changed},
        diff=_file_plan.diffs(changed, _files.names(changed)) if module._diff else [],
    )


if __name__ == "__main__":
    main()
