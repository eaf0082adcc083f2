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
    when. While no API server runs that could hold it, a file on one host says the same (O(places)).
  - Nothing renews it in the background. V(kept) renews it before each step for the bound of that step and 60 seconds more,
    and ends a run that has lost it, before the step. It costs nothing while the last renewal, which the controller remembers,
    is not half a minute old.
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
    details:
      - It fills in what names this run, and looks whether the process of a run that holds the lock is gone.
      - It remembers what this run holds, since when and for what, and leaves a renewal out that is not due.
  check_mode:
    details: A refusal is a warning then, and RV(refused) says it; a run that changes nothing needs no lock and keeps none.
  diff_mode:
    support: none
    details: Who holds the lock is no configuration; RV(lock) and RV(reason) tell it.
options:
  state:
    description:
      - V(held) takes or renews the lock.
      - V(kept) renews what this run holds when that is due, and fails when it was lost, with who has it now. It asks for what
        the run took, so O(places), O(purpose) and O(nodes) are those of V(held); a file only from the host that has it.
      - V(free) releases the lock when this run holds it, in every place in which it was taken.
    type: str
    choices: [held, kept, free]
    default: held
  places:
    description: Where the lock is. V(cluster) is the Lease, V(host) the file O(path) on this host.
    type: list
    elements: str
    choices: [host, cluster]
    default: [cluster]
  else_host:
    description: Whether V(host) is taken instead while the API server gives no right to the Lease, as before the operators' first
      binding, or the certificate to ask it with is missing or has expired.
    type: bool
    default: false
  broken:
    description: Whether V(host) is taken also when neither O(server) nor any of O(others) answers, or all answer that they cannot
      (HTTP 500, 502, 503, 504), for a cluster that is given up.
    type: bool
    default: false
  others:
    description: With O(broken), further API servers by URL, asked in turn where the ones before do not answer.
    type: list
    elements: str
    default: []
  path:
    description: The file of V(host).
    type: path
    default: /var/lib/multimaster/operation-lock.json
  purpose:
    description: What the run does, for people it keeps waiting. Required when O(state=held).
    type: str
  seconds:
    description: Bound of the coming step in seconds, at most a day.
    type: int
    default: 600
  nodes:
    description: Nodes that nobody else may have cordoned, the earliest sign that somebody is at work there. While one is, the
      lock is refused. With O(state=kept), those that the run named before are asked about as well.
    type: list
    elements: str
    default: []
  nodes_now:
    description: Further nodes, that nobody else may have cordoned now. Keeping the lock asks about them no more, since each of
      them is drained later, which asks.
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

- name: Go on only while that is still so
  multimaster.kubernetes.operation_lock:
    state: kept

- name: Nobody else builds on these hosts, which have no API server yet
  multimaster.kubernetes.operation_lock:
    purpose: build the cluster
    places: [host]

- name: Others may operate on the cluster again
  multimaster.kubernetes.operation_lock:
    state: free
"""

RETURN = r"""
step:
  description: What was, or in check mode would be, done; one of C(take), C(renew), C(take_over), C(release), C(nothing) and
    C(refuse). The last place's, or the one's that refused.
  returned: when the lock could be read, also on a refusal
  type: str
  sample: take
refused:
  description: Whether another run holds the lock, so that this one must not go on.
  returned: when the lock could be read, also on a refusal
  type: bool
lock:
  description: The lock as it stands afterwards; empty when nobody holds it.
  returned: when the lock could be read, also on a refusal
  type: dict
  sample: {holder: ctl1/5c1f7d0e-4711-902113, purpose: remove m1, controller: ctl1, boot: "5c1f7d0e-... pid:[4026531836]",
           pid: 4711, started: 902113, run: 5c1f7d0e-4711-902113, since: "2026-05-04T10:00:00.000000Z",
           until: "2026-05-04T10:11:00.000000Z"}
places:
  description: Where this run holds it; with O(state=free), where it was released.
  returned: when the lock could be read, also on a refusal
  type: list
  elements: str
  sample: [cluster]
reason:
  description: Why.
  returned: when the lock could be read, also on a refusal
  type: str
  sample: nobody held the lock
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _failure, _lock, _lock_file, _lock_flow, _lock_places
from ansible_collections.multimaster.kubernetes.plugins.module_utils._files import FileError
from ansible_collections.multimaster.kubernetes.plugins.module_utils._https import CredentialsError
from ansible_collections.multimaster.kubernetes.plugins.module_utils._kube import ARGUMENTS, Kube, KubeError


def run(module, kube, clock=time.time):
    """Bring the lock to its state and return the module's result."""
    params, check = module.params, module.check_mode
    names = ("holder", *_lock_flow.ANNOTATED)
    me = _lock.Run(**{name: params[name] or getattr(_lock.Run, name) for name in names})
    others = tuple(kube.at(server) for server in params["others"] if server != params["server"]) if kube else ()
    places = _lock_places.Places(kube, params["path"], clock, params["else_host"], params["broken"], others)
    if params["state"] == "free":
        return {**places.free(params["places"], me, check).as_dict(), "places": params["places"]}
    nodes = tuple(dict.fromkeys(params["nodes"] + params["nodes_now"]))
    wish = _lock_flow.Wish(me, params["seconds"], params["gone"], params["state"] == "kept", check, nodes)
    outcome, held = places.hold(params["places"], wish)
    return {**outcome.as_dict(), "places": list(held)}


def client(params, check):
    """Return the client of the API server, None where nobody is to be asked or the host may stand in for credentials."""
    if _lock.CLUSTER not in params["places"]:
        return None
    try:
        return Kube.from_arguments(params, params["retry_seconds"], check)
    except CredentialsError:
        if not params["else_host"]:
            raise
        return None


def main():
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "state": {"type": "str", "choices": ["held", "kept", "free"], "default": "held"},
            "places": {"type": "list", "elements": "str", "choices": list(_lock.PLACES), "default": ["cluster"]},
            "else_host": {"type": "bool", "default": False},
            "broken": {"type": "bool", "default": False},
            "others": {"type": "list", "elements": "str", "default": []},
            "path": {"type": "path", "default": _lock_file.PATH},
            "purpose": {"type": "str"},
            "seconds": {"type": "int", "default": _lock.STEP_SECONDS},
            **{name: {"type": "list", "elements": "str", "default": []} for name in ("nodes", "nodes_now")},
            **{name: {"type": "str", "default": ""} for name in ("run", "holder", "controller", "boot", "gone")},
            **{name: {"type": "int", "default": 0} for name in ("pid", "started")},
            "retry_seconds": {"type": "int", "default": 60},
        },
        required_if=[("state", "held", ("purpose",))],
        supports_check_mode=True,
    )
    try:
        result = run(module, client(module.params, module.check_mode))
    except (KubeError, CredentialsError, FileError, OSError, ValueError) as error:
        module.fail_json(msg=_failure.message(error, f"this cluster's operation lock is not {module.params['state']}"))
    if result["refused"]:
        if not module.check_mode:
            module.fail_json(msg=result["reason"], **result)
        module.warn(result["reason"])
    module.exit_json(**result)


if __name__ == "__main__":
    main()
