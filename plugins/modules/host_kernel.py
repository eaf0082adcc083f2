#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give a host's kernel the modules and settings a cluster needs, now and after a reboot."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_kernel
short_description: Load kernel modules, set kernel settings, switch swap off, write files
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Loads modules and sets kernel settings now, and writes the files that keep both over a reboot.
  - A module that is built in counts as loaded. A setting that cannot be written is fine as long as its value is right, so
    hosts may be containers.
  - Writes the files it is given besides, as M(multimaster.kubernetes.file_set) does, in the same execution.
extends_documentation_fragment:
  - multimaster.kubernetes.attributes
  - multimaster.kubernetes.attributes.host
  - multimaster.kubernetes.files
options:
  modules:
    description: Kernel modules.
    type: list
    elements: str
    default: []
  sysctls:
    description: Kernel settings and their values.
    type: dict
    default: {}
  extra_sysctls:
    description: Further settings, such as a user's. One replaces that of O(sysctls) of the same name, in whichever spelling, and
      null leaves it out.
    type: dict
    default: {}
  swap_off:
    description: Switch all swap off and make comments of its lines in C(/etc/fstab).
    type: bool
    default: false
  modules_file:
    description: Where the modules are listed for the next boot.
    type: path
    default: /etc/modules-load.d/multimaster.conf
  sysctl_file:
    description: Where the settings are kept for the next boot. The name sorts after Debian's C(99-sysctl.conf), so that
      C(/etc/sysctl.conf) does not override it.
    type: path
    default: /etc/sysctl.d/99-zz-multimaster.conf
"""

EXAMPLES = r"""
- name: Prepare the kernel for pods
  multimaster.kubernetes.host_kernel:
    modules: [overlay, br_netfilter]
    sysctls:
      net.ipv4.ip_forward: 1
    swap_off: true
"""

RETURN = r"""
loaded:
  description: Modules that were, or in check mode would be, loaded.
  returned: always
  type: list
  elements: str
set:
  description: Settings that were, or would be, set, with the value before and after.
  returned: always
  type: dict
  sample: {net.ipv4.ip_forward: ["0", "1"]}
swaps:
  description: Swap devices and files that were, or would be, switched off.
  returned: always
  type: list
  elements: str
changed_paths:
  description: Paths that were, or would be, written or removed.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _failure, _file_plan, _files, _kernel, _kernel_plan

ARGUMENTS = {
    **_files.ARGUMENTS,
    "modules": {"type": "list", "elements": "str", "default": []},
    "sysctls": {"type": "dict", "default": {}},
    "extra_sysctls": {"type": "dict", "default": {}},
    "swap_off": {"type": "bool", "default": False},
    "modules_file": {"type": "path", "default": "/etc/modules-load.d/multimaster.conf"},
    "sysctl_file": {"type": "path", "default": "/etc/sysctl.d/99-zz-multimaster.conf"},
}


def kept(params, sysctls, kernel):
    """Return the files that keep everything over a reboot."""
    fstab = _kernel_plan.without_swap(kernel.fstab) if params["swap_off"] else kernel.fstab
    wanted = {
        params["modules_file"]: params["modules"] and _kernel_plan.render_modules(params["modules"], kernel),
        params["sysctl_file"]: (params["sysctls"] or sysctls) and _kernel_plan.render_sysctls(sysctls),
        "/etc/fstab": fstab if fstab != kernel.fstab else "",
    }
    return [_files.wanted({"path": path, "content": text, "mode": "0644"}, "file") for path, text in wanted.items() if text]


def main():
    """Read, decide, act unless in check mode, report."""
    module = AnsibleModule(ARGUMENTS, supports_check_mode=True)
    modules, swap_off = module.params["modules"], module.params["swap_off"]
    sysctls = _kernel_plan.merged(module.params["sysctls"], module.params["extra_sysctls"])
    findings = _kernel_plan.findings(modules, sysctls)
    if findings:
        module.fail_json(
            msg=f"nothing was changed: {'; '.join(findings)}. Next: mend `modules`, `sysctls` or `extra_sysctls`, then run again"
        )
    host = _kernel.Host()
    try:
        kernel = host.read(modules, sysctls)
        verdict = _kernel_plan.decide(modules, sysctls, swap_off, kernel)
        files = [*_files.from_arguments(module.params), *kept(module.params, sysctls, kernel)]
        steps = _files.survey(files, check=module.check_mode)
        if not module.check_mode:
            host.apply(verdict)
            _files.apply(steps)
    except (_kernel.KernelError, _file_plan.PlanError, _files.FileError) as error:
        module.fail_json(msg=_failure.message(error))
    changed = [step for step in steps if step.changed]
    module.exit_json(
        changed=verdict.changed or bool(changed),
        loaded=list(verdict.load),
        set=dict(verdict.set),
        swaps=list(verdict.swaps),
        changed_paths=[step.wanted.path for step in changed],
        diff=[*_kernel_plan.diff(verdict), *_file_plan.diffs(changed, _files.names(changed))] if module._diff else [],
    )


if __name__ == "__main__":
    main()
