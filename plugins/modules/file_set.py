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
author: The multimaster.kubernetes maintainers
description:
  - Writes many files, secrets, directories and symbolic links in one execution, and removes exact paths.
  - Everything is read and judged first; new contents are staged beside their destination and validated; only then is the
    first file replaced, by rename.
  - A symbolic link at a destination is replaced, never followed. Parent directories that do not exist are created with
    mode V(0755) and owner root, unless they are listed in O(directories).
extends_documentation_fragment:
  - multimaster.kubernetes.attributes
  - multimaster.kubernetes.attributes.host
options:
  files:
    description: Files whose content may be shown in a diff.
    type: list
    elements: dict
    default: []
    suboptions: &file
      path:
        description: Absolute path.
        type: path
        required: true
      content:
        description: The whole content.
        type: str
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
      validate:
        description: A program and its arguments that judges the new content; C(%s) stands for the staged file. It does not
          run in check mode.
        type: list
        elements: str
        default: []
  secrets:
    description: Files like O(files) whose content is never shown, neither in a diff nor in an error.
    type: list
    elements: dict
    default: []
    suboptions: *file
  directories:
    description: Directories.
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
        default: "0755"
      owner:
        description: Owner's name.
        type: str
        default: root
      group:
        description: Group's name.
        type: str
        default: root
  links:
    description: Symbolic links, path to target.
    type: dict
    default: {}
  absent:
    description: Exact paths that shall not exist; no patterns. A directory goes with what is in it, unless something is
      mounted there or it belongs to the operating system.
    type: list
    elements: path
    default: []
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
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _file_plan, _files


def argument_spec() -> dict:
    """Return the arguments, one shape for files and secrets."""
    account = {"owner": {"type": "str", "default": "root"}, "group": {"type": "str", "default": "root"}}

    def entries(secret: bool) -> dict:
        return {"type": "list", "elements": "dict", "default": [], "no_log": False, "options": {
            "path": {"type": "path", "required": True},
            "content": {"type": "str", "required": True, "no_log": secret},
            "mode": {"type": "str", "default": "0600"},
            "validate": {"type": "list", "elements": "str", "default": []},
            **account,
        }}

    return {
        "files": entries(secret=False),
        "secrets": entries(secret=True),
        "directories": {"type": "list", "elements": "dict", "default": [], "options": {
            "path": {"type": "path", "required": True}, "mode": {"type": "str", "default": "0755"}, **account}},
        "links": {"type": "dict", "default": {}},
        "absent": {"type": "list", "elements": "path", "default": []},
    }


def wanted(params: dict) -> list[_file_plan.Wanted]:
    """Return the wanted state of every path the arguments name."""
    return [
        *(_files.wanted(item, "directory") for item in params["directories"]),
        *(_files.wanted(item, "file") for item in params["files"]),
        *(_files.wanted(item, "file", secret=True) for item in params["secrets"]),
        *(_files.wanted({"path": path, "target": target}, "link") for path, target in params["links"].items()),
        *(_files.wanted({"path": path}, "absent") for path in params["absent"]),
    ]


def main() -> None:
    """Read, decide, act unless in check mode, report."""
    module = AnsibleModule(argument_spec(), supports_check_mode=True)
    try:
        steps = _files.survey(wanted(module.params), check=module.check_mode)
        changed = [step for step in steps if step.changed]
        if not module.check_mode:
            _files.apply(steps)
    except (_file_plan.PlanError, _files.FileError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(changed), changed_paths=[step.wanted.path for step in changed],
        reasons={step.wanted.path: step.reason for step in changed},
        diff=_file_plan.diffs(changed, _files.names(changed)) if module._diff else [],
    )


if __name__ == "__main__":
    main()
