#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install verified release files, several at once, without looking twice at what is right."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release_artifact
short_description: Install verified files from release hosts or a mirror
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Downloads files, or members of tar archives, verifies their SHA-256 and renames them into place, several at once.
  - A file that is already right costs one stat. What was installed is written down in O(manifest).
  - The manifest tells an earlier installation by O(artifacts[].sha256) where that is given, else by O(artifacts[].url).
  - URLs may be C(https), C(http) or C(file); the proxy variables of the environment are honoured. One with a user and a password
    is refused.
extends_documentation_fragment:
  - multimaster.kubernetes.attributes
  - multimaster.kubernetes.attributes.host
options:
  artifacts:
    description: The downloads.
    type: list
    elements: dict
    default: []
    suboptions:
      url:
        description: Where the file is.
        type: str
        required: true
      sha256:
        description: The file's SHA-256.
        type: str
      checksum_url:
        description: A file that holds the SHA-256, bare or in lines with file names. It is fetched only when something has to
          be downloaded or proven.
        type: str
      dest:
        description: Where the file itself goes.
        type: path
      extract:
        description: Members of the tar archive and where each goes.
        type: dict
      mode:
        description: Mode of the installed files, a quoted octal string.
        type: str
        default: "0755"
  links:
    description: Symbolic links, path to target.
    type: dict
    default: {}
  manifest:
    description: Where is written down what was installed.
    type: path
    default: /opt/multimaster/.artifacts.json
  timeout:
    description: Seconds a server may be silent.
    type: float
    default: 30
"""

EXAMPLES = r"""
- name: Install the kubelet and runc
  multimaster.kubernetes.release_artifact:
    artifacts:
      - url: https://dl.k8s.io/release/v1.36.3/bin/linux/amd64/kubelet
        checksum_url: https://dl.k8s.io/release/v1.36.3/bin/linux/amd64/kubelet.sha256
        dest: /opt/multimaster/kubernetes/1.36.3/kubelet
      - url: https://mirror.example/containerd-2.3.7-linux-amd64.tar.gz
        checksum_url: https://mirror.example/containerd-2.3.7-linux-amd64.tar.gz.sha256sum
        extract:
          bin/containerd: /opt/multimaster/containerd/2.3.7/bin/containerd
          bin/ctr: /opt/multimaster/containerd/2.3.7/bin/ctr
    links:
      /usr/local/bin/ctr: /opt/multimaster/containerd/2.3.7/bin/ctr
"""

RETURN = r"""
fetched:
  description: Files that were installed, or in check mode would be (or be proven right by their hash).
  returned: always
  type: list
  elements: str
  sample: [/opt/multimaster/kubernetes/1.36.3/kubelet]
adjusted:
  description: Files whose mode was, or would be, set.
  returned: always
  type: list
  elements: str
linked:
  description: Links that were, or would be, made.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _artifact_plan,
    _artifacts,
    _failure,
    _file_plan,
    _files,
)

ARTIFACT = {
    "url": {"type": "str", "required": True},
    "sha256": {"type": "str"},
    "checksum_url": {"type": "str"},
    "dest": {"type": "path"},
    "extract": {"type": "dict"},
    "mode": {"type": "str", "default": "0755"},
}
ARGUMENTS = {
    "artifacts": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": ARTIFACT,
        "mutually_exclusive": [("dest", "extract")],
        "required_one_of": [("dest", "extract"), ("sha256", "checksum_url")],
    },
    "links": {"type": "dict", "default": {}},
    "manifest": {"type": "path", "default": "/opt/multimaster/.artifacts.json"},
    "timeout": {"type": "float", "default": 30},
}


def artifact(item):
    """Return one entry of the arguments as an artifact."""
    return _artifact_plan.Artifact(
        item["url"],
        {"": item["dest"]} if item["dest"] else dict(item["extract"] or {}),
        item["sha256"] or "",
        item["checksum_url"] or "",
        _file_plan.parse_mode(item["mode"]),
    )


def predicted(judgements):
    """Return what would be done, as far as can be told without the network."""
    fetched = [path for item in judgements if item.action == "fetch" for path in item.artifact.files.values()]
    fetched += [path for item in judgements if item.action == "verify" and not item.known for path in item.paths]
    return {"fetched": fetched, "adjusted": [path for item in judgements if item.action == "chmod" for path in item.paths]}


def main():
    """Read, decide, act unless in check mode, report."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    params = module.params
    try:
        fetcher = _artifacts.Fetcher(params["manifest"], timeout=params["timeout"])
        judgements = fetcher.judge([artifact(item) for item in params["artifacts"]])
        wanted = [_files.wanted({"path": path, "target": target}, "link") for path, target in params["links"].items()]
        links = _files.survey(wanted)
        done = predicted(judgements) if module.check_mode else fetcher.make(judgements)
        if not module.check_mode:
            _files.apply(_files.survey(wanted))  # looked at again: a download may have made a folder
    except (_artifact_plan.ArtifactError, _file_plan.PlanError, _files.FileError) as error:
        module.fail_json(msg=_failure.message(error))
    linked = [step.wanted.path for step in links if step.changed]
    changed = sorted({*done["fetched"], *done["adjusted"]})
    module.exit_json(
        changed=bool(changed or linked),
        linked=linked,
        **done,
        diff=[{"before": "", "after": "".join(f"{path}\n" for path in changed)}, *_file_plan.diffs(links)]
        if module._diff and (changed or linked)
        else [],
    )


if __name__ == "__main__":
    main()
