#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a host that has left its cluster bare again."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_reset
short_description: Take away everything a cluster left on a host
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Stops and disables the services this collection runs, kills what is left of pods, unmounts what they had mounted, deletes
    the pod network's interfaces and rules, and removes files and data, exact names only.
  - It is for a host that has left. Whether the cluster can spare the host, and its node object, its membership of etcd and the
    endpoint address, are decided and arranged before; this asks nobody but the host.
  - The file C(/etc/kubernetes/multimaster.json), which records the cluster, goes last. A run that was cut off anywhere is
    finished by the next one; without that file nothing but what such a run left is touched.
  - A unit of the same name that is not ours, the configuration of a package that we did not write, and what other programs
    have in shared folders stay, and RV(kept) names them. Symbolic links are never followed.
  - A disk that an administrator mounted at C(/var/lib/etcd), C(/var/lib/containerd) or C(/var/lib/kubelet) stays mounted. The
    services stop, and what they made on it goes, of C(/var/lib/etcd) only C(member) and what this collection put beside it. Any
    other mount point in what would be removed is never emptied; the module refuses, before it stops anything, until it is
    unmounted.
extends_documentation_fragment:
  - multimaster.kubernetes.attributes
  - multimaster.kubernetes.attributes.host
options:
  cluster:
    description: Name of the cluster the host has left. It must be the one the host has recorded.
    type: str
    required: true
  keep_binaries:
    description: Whether C(/opt/multimaster) stays, so that a host that comes back need not fetch the programs again. Links in
      C(/usr/local/bin) to them go in any case.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Make the host bare again
  multimaster.kubernetes.host_reset:
    cluster: prod

- name: Leave nothing, the programs included
  multimaster.kubernetes.host_reset:
    cluster: prod
    keep_binaries: false
"""

RETURN = r"""
reason:
  description: Why something was, or in check mode would be, done, or nothing.
  returned: always
  type: str
  sample: this host has left cluster 'prod'
stopped:
  description: Units that were, or would be, stopped or kept from starting at boot.
  returned: always
  type: list
  elements: str
  sample: [kubelet.service, containerd.service]
killed:
  description: Tasks of pods, by containerd's names, that were, or would be, killed.
  returned: always
  type: list
  elements: str
unmounted:
  description: Mount points that were, or would be, unmounted, in this order. One that was unmounted lazily is named in
    RV(kept) as well.
  returned: always
  type: list
  elements: str
  sample: [/run/netns/cni-6f0c1c5e-8f2b-2f0e-5a55-3f1a6fd6a6a1]
removed:
  description: Rules, tables and interfaces (each with the word before its name) and paths that were, or would be, removed.
  returned: always
  type: list
  elements: str
  sample: [rules of kube-proxy, link cni0, /var/lib/kubelet]
kept:
  description: What stays on the host, each with the reason.
  returned: always
  type: list
  elements: str
  sample: ["/opt/multimaster: keep_binaries is true"]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _failure,
    _file_plan,
    _files,
    _reset_host,
    _reset_plan,
    _systemd,
)

ARGUMENTS = {
    "cluster": {"type": "str", "required": True},
    "keep_binaries": {"type": "bool", "default": True},
}


def main():
    """Look, decide, act unless in check mode, report."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    host, said = _reset_host.Host(), []
    try:
        plan = host.decide(**module.params)
        if plan.changed and not module.check_mode:
            said = host.apply(**module.params)
    except (_reset_host.ResetError, _systemd.UnitError, _file_plan.PlanError, _files.FileError) as error:
        module.fail_json(msg=_failure.message(error))
    module.exit_json(
        changed=plan.changed,
        reason=plan.reason,
        stopped=plan.stopped,
        killed=list(plan.pods),
        unmounted=list(plan.unmount),
        removed=plan.removed,
        kept=[*plan.kept, *said],
        diff=_reset_plan.diff(plan) if module._diff else {},
    )


if __name__ == "__main__":
    main()
