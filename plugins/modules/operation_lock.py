#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Let one run at a time operate on a cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: operation_lock
short_description: Take, renew or release the lock on a cluster's operations
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Holds a Lease C(multimaster-operation) in C(kube-system), which says who is operating on the cluster, for what, and until
    when. Nothing renews it in the background, so each step takes it for its own bound and 60 seconds more.
  - A lock that another run holds is refused at once, with who holds it and until when. It is taken over when it ended
    without being renewed, and at once when its holder is a run of this same controller whose process is gone. Same means the
    hostname, the boot and the process namespace; after a reboot of the controller the lock has to end.
  - A task that a killed run had begun on a host may go on there for a while; a run that takes over judges what it reads.
  - Of two runs that want it at the same moment one gets it, and the other reads again.
  - The end is judged by the clock of the master this runs on, which is its API server's too. Clocks of masters may be two
    seconds apart, as P(multimaster.kubernetes.topology#module) holds them to, and that much later a lock counts as ended.
  - Taking and releasing is bookkeeping of the run, so it never counts as changed.
extends_documentation_fragment:
  - multimaster.kubernetes.attributes
  - multimaster.kubernetes.attributes.host
  - multimaster.kubernetes.kube_client
attributes:
  action:
    support: full
    description: Is completed by an action plugin on the controller.
    details: [It fills in what names this run, and looks whether the process of a run that holds the lock is gone.]
  check_mode:
    details: [A refusal is a warning then, and RV(refused) says it; a run that changes nothing needs no lock.]
  diff_mode:
    support: none
    details: [Who holds the lock is no configuration; RV(lock) and RV(reason) tell it.]
options:
  state:
    description: V(held) takes or renews the lock, V(free) releases it when this run holds it.
    type: str
    choices: [held, free]
    default: held
  purpose:
    description: What the run does, for people it keeps waiting. Required when O(state=held).
    type: str
  seconds:
    description: Bound of the coming step in seconds, at most a day. Required when O(state=held).
    type: int
  nodes:
    description: Nodes that nobody else may have cordoned, the earliest sign that somebody is at work there. While one is, the
      lock is refused.
    type: list
    elements: str
    default: []
  run:
    description: Identity of the run, unique to it. By default made from boot, number and start of its ansible process.
    type: str
    default: ""
  holder:
    description: Who holds the lock. By default O(controller) and O(run).
    type: str
    default: ""
  controller:
    description: By default the controller's hostname.
    type: str
    default: ""
  boot:
    description: By default the boot id of the controller's kernel and its process namespace, within which O(pid) and
      O(started) tell a process from all others.
    type: str
    default: ""
  pid:
    description: By default the number of the ansible process on the controller.
    type: int
    default: 0
  started:
    description: By default the start of that process, in clock ticks after the boot.
    type: int
    default: 0
  gone:
    description: Holder that is known to be dead; a lock of exactly this holder is taken over. By default found out for the runs
      of this controller.
    type: str
    default: ""
  retry_seconds:
    description: Seconds during which a request is repeated that is refused by an API server that starts or stops.
    type: int
    default: 60
seealso:
  - module: multimaster.kubernetes.etcd_quorum
"""

EXAMPLES = r"""
- name: Nobody else operates on the cluster while m1 is removed
  multimaster.kubernetes.operation_lock:
    purpose: remove m1
    seconds: 600

- name: Others may operate on the cluster again
  multimaster.kubernetes.operation_lock:
    state: free
"""

RETURN = r"""
step:
  description: What was, or in check mode would be, done; one of C(take), C(renew), C(take_over), C(release), C(nothing) and
    C(refuse).
  returned: when the Lease could be read, also on a refusal
  type: str
  sample: take
refused:
  description: Whether another run holds the lock, so that this one must not go on.
  returned: when the Lease could be read, also on a refusal
  type: bool
lock:
  description: The lock as it stands afterwards; empty when nobody holds it.
  returned: when the Lease could be read, also on a refusal
  type: dict
  sample: {holder: ctl1/5c1f7d0e-4711-902113, purpose: remove m1, controller: ctl1, boot: "5c1f7d0e-... pid:[4026531836]",
           pid: 4711, started: 902113, run: 5c1f7d0e-4711-902113, since: "2026-05-04T10:00:00.000000Z",
           until: "2026-05-04T10:11:00.000000Z"}
reason:
  description: Why.
  returned: when the Lease could be read, also on a refusal
  type: str
  sample: nobody held the lock
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _lock, _lock_flow
from ansible_collections.multimaster.kubernetes.plugins.module_utils._https import CredentialsError
from ansible_collections.multimaster.kubernetes.plugins.module_utils._kube import ARGUMENTS, Kube, KubeError


def run(module, kube, clock=time.time):
    """Bring the lock to its state and return the module's result."""
    params, check = module.params, module.check_mode
    names = ("holder", *_lock_flow.ANNOTATED)
    me = _lock.Run(**{name: params[name] or getattr(_lock.Run, name) for name in names})
    if params["state"] == "free":
        return _lock_flow.free(kube, me, check).as_dict()
    return _lock_flow.hold(kube, me, params["seconds"], clock, params["gone"], check, params["nodes"]).as_dict()


def main():
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "state": {"type": "str", "choices": ["held", "free"], "default": "held"},
            "purpose": {"type": "str"},
            "seconds": {"type": "int"},
            "nodes": {"type": "list", "elements": "str", "default": []},
            **{name: {"type": "str", "default": ""} for name in ("run", "holder", "controller", "boot", "gone")},
            **{name: {"type": "int", "default": 0} for name in ("pid", "started")},
            "retry_seconds": {"type": "int", "default": 60},
        },
        required_if=[("state", "held", ("purpose", "seconds"))],
        supports_check_mode=True,
    )
    try:
        kube = Kube.from_arguments(module.params, module.params["retry_seconds"], module.check_mode)
        result = run(module, kube)
    except (KubeError, CredentialsError, ValueError) as error:
        module.fail_json(msg=str(error))
    if result["refused"]:
        if not module.check_mode:
            module.fail_json(msg=result["reason"], **result)
        module.warn(result["reason"])
    module.exit_json(**result)


if __name__ == "__main__":
    main()
