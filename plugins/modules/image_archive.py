#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Import container images from verified archives, so that a node needs no image registry."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image_archive
short_description: Import missing container images from archives
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Asks containerd once which images it has and imports the missing ones from archives, verified before.
  - An image that is there under its reference is left alone.
extends_documentation_fragment:
  - multimaster.kubernetes.attributes
  - multimaster.kubernetes.attributes.host
options:
  archives:
    description: The images.
    type: list
    elements: dict
    required: true
    suboptions:
      reference:
        description: Full reference of the image; the archive must carry it.
        type: str
        required: true
      url:
        description: Where the archive is; needs O(archives[].sha256) or O(archives[].checksum_url).
        type: str
      path:
        description: The archive's path on the host.
        type: path
      sha256:
        description: The archive's SHA-256.
        type: str
      checksum_url:
        description: A file that holds the archive's SHA-256.
        type: str
  namespace:
    description: containerd's namespace; the kubelet uses V(k8s.io).
    type: str
    default: k8s.io
  address:
    description: containerd's socket.
    type: path
    default: /run/containerd/containerd.sock
  ctr:
    description: containerd's command line program.
    type: path
    default: /usr/local/bin/ctr
  timeout:
    description: Seconds a server may be silent.
    type: float
    default: 30
"""

EXAMPLES = r"""
- name: Bring the pause image
  multimaster.kubernetes.image_archive:
    archives:
      - reference: registry.k8s.io/pause:3.10.2
        url: http://mirror.example/images/pause-3.10.2.tar
        checksum_url: http://mirror.example/images/pause-3.10.2.tar.sha256
"""

RETURN = r"""
imported:
  description: References that were, or in check mode would be, imported.
  returned: always
  type: list
  elements: str
  sample: ["registry.k8s.io/pause:3.10.2"]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _artifacts, _failure, _image_plan, _images

ARGUMENTS = {
    "archives": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "required_one_of": [("url", "path")],
        "mutually_exclusive": [("url", "path")],
        "options": {
            "reference": {"type": "str", "required": True},
            "url": {"type": "str"},
            "path": {"type": "path"},
            "sha256": {"type": "str"},
            "checksum_url": {"type": "str"},
        },
    },
    "namespace": {"type": "str", "default": "k8s.io"},
    "address": {"type": "path", "default": "/run/containerd/containerd.sock"},
    "ctr": {"type": "path", "default": "/usr/local/bin/ctr"},
    "timeout": {"type": "float", "default": 30},
}


def main():
    """Read, decide, act unless in check mode, report."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    params = module.params
    archives = [_image_plan.Archive(**{key: value or "" for key, value in item.items()}) for item in params["archives"]]
    findings = _image_plan.findings(archives)
    if findings:
        module.fail_json(msg=f"nothing was imported: {'; '.join(findings)}. Next: mend `archives`, then run again")
    fetcher = _artifacts.Fetcher("/dev/null", timeout=params["timeout"])
    images = _images.Images(params["ctr"], params["address"], params["namespace"], fetcher)
    try:
        missing = _image_plan.missing(archives, images.present(lenient=module.check_mode))
        if not module.check_mode:
            images.bring(missing)
    except (_images.ImageError, OSError) as error:
        module.fail_json(msg=_failure.message(error))
    imported = [archive.reference for archive in missing]
    diff = {"before": "", "after": "".join(f"{reference}\n" for reference in imported)}
    module.exit_json(changed=bool(imported), imported=imported, diff=diff if module._diff else {})


if __name__ == "__main__":
    main()
