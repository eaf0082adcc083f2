#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring this host's etcd member to the role it shall have, behind the quorum gate."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_member
short_description: Found an etcd cluster, join it, become a voter, move, leave it
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Each step is decided from a fresh look at the cluster, judged by the quorum rule, taken, and looked at again. So a
    run that was cut off anywhere is finished by the next one.
  - While a step is unsafe, or etcd asks for patience (its voters must have been connected for 5 s, a learner must be in
    sync), the module waits up to O(timeout) and then fails with the reason and the next step. Nothing was changed by a
    step that was refused.
  - An etcd that was started ten times in half a minute, and does not stay up, is given up then; the failure has the last lines
    of its journal.
  - Needs a unit that asserts its write-ahead log. This module alone lets etcd start without one, by a drop-in under
    C(/run) that it removes in the same step.
extends_documentation_fragment:
  - multimaster.kubernetes.attributes
  - multimaster.kubernetes.attributes.host
  - multimaster.kubernetes.etcd_client
options:
  state:
    description:
      - V(started_first) writes the bootstrap record and starts etcd from it, without waiting for the other hosts.
      - V(bootstrapped) waits until this member serves a linearizable read, then removes the record.
      - V(learner) makes the host a started member in sync; a voter stays a voter.
      - V(voter) promotes this host's learner and waits until it serves.
      - V(follower) gives the leadership away when this member has it. A member that alone votes keeps it.
      - V(updated) has the other members reach the started member O(name) at O(peer_url), and nowhere else. The quorum must
        survive its absence, since they do not reach it there before etcd on it listens there, which takes a restart
        (U(https://etcd.io/docs/v3.6/op-guide/runtime-configuration/#update-advertise-peer-urls)). It touches no host and may
        run on any that reaches O(endpoints).
      - V(absent) removes the member from the cluster, after giving its leadership away; it touches no data and may run
        on any host that reaches O(endpoints).
    type: str
    choices: [started_first, bootstrapped, learner, voter, follower, updated, absent]
    required: true
  name:
    description: The member's name.
    type: str
    required: true
  peer_url:
    description: The member's peer URL. Not needed with O(state=absent), where a peer URL or name finds the member.
    type: str
  client_url:
    description: The member's own client URL. Not needed with O(state=updated) and O(state=absent).
    type: str
  endpoints:
    description: Client URLs of members. Not needed with O(state=started_first) and O(state=bootstrapped).
    required: false
  initial_cluster:
    description: For V(started_first), the peer URL of each first voter by name.
    type: dict
  token:
    description: For V(started_first), what tells this cluster from any other.
    type: str
  cluster:
    description: For V(started_first), the cluster's name, for the record.
    type: str
    default: ""
  ours:
    description: Names or peer URLs of the members the inventory accounts for; a learner outside forbids changes. All
      count as ours when this is not given.
    type: list
    elements: str
  wipe:
    description: With O(state=learner), whether data that belong to no member of this cluster may be deleted from
      O(data_dir).
    type: bool
    default: false
  host:
    description: The name of this host in the inventory, where that is not O(name), for messages that tell which command to run.
    type: str
    default: ""
  timeout:
    description: Seconds to wait at most.
    type: int
    default: 180
  data_dir:
    description: etcd's data directory.
    type: path
    default: /var/lib/etcd
  record:
    description: The bootstrap record.
    type: path
    default: /etc/etcd/bootstrap.json
  drop_in:
    description: The one-shot drop-in.
    type: path
    default: /run/systemd/system/etcd.service.d/10-first-start.conf
  unit:
    description: etcd's unit.
    type: str
    default: etcd.service
"""

EXAMPLES = r"""
- name: Join as a learner
  multimaster.kubernetes.etcd_member:
    state: learner
    name: m2
    peer_url: https://192.0.2.12:2380
    client_url: https://192.0.2.12:2379
    endpoints: [https://192.0.2.11:2379]

- name: Become a voter
  multimaster.kubernetes.etcd_member:
    state: voter
    name: m2
    peer_url: https://192.0.2.12:2380
    client_url: https://192.0.2.12:2379
    endpoints: [https://192.0.2.11:2379]

- name: Reach m2 at its new address
  multimaster.kubernetes.etcd_member:
    state: updated
    name: m2
    peer_url: https://192.0.2.22:2380
    endpoints: [https://192.0.2.11:2379]
"""

RETURN = r"""
reason:
  description: Why something was, or would be, done or not.
  returned: success
  type: str
  sample: it is a learner in sync
actions:
  description: The moves made; in check mode the first one that would be made.
  returned: success
  type: list
  elements: str
  sample: [add, start, remove_one_shots]
before:
  description: The members before (with V(started_first) the record, with V(bootstrapped) the one-shot files).
  returned: success
  type: list
  elements: raw
  sample: [{name: m1, id: "10501334649042878790", role: voter, peer_urls: [https://192.0.2.11:2380]}]
after:
  description: The same afterwards; in check mode after the first move.
  returned: success
  type: list
  elements: raw
  sample: []
verdict:
  description: The gate's verdict, when it was the gate that refused.
  returned: failure
  type: dict
  sample: {safe: false}
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _command, _etcd, _failure, _file_plan, _files, _https
from ansible_collections.multimaster.kubernetes.plugins.module_utils._etcd_flows import Flow, WantedMember
from ansible_collections.multimaster.kubernetes.plugins.module_utils._etcd_host import Host, Paths
from ansible_collections.multimaster.kubernetes.plugins.module_utils._membership import StepFailed

LOCAL = ("started_first", "bootstrapped", "learner", "voter", "follower")
ARGUMENTS = {
    **_etcd.ARGUMENTS,
    "endpoints": {"type": "list", "elements": "str"},
    "state": {"type": "str", "choices": [*LOCAL, "updated", "absent"], "required": True},
    "name": {"type": "str", "required": True},
    "peer_url": {"type": "str"},
    "client_url": {"type": "str"},
    "initial_cluster": {"type": "dict"},
    "token": {"type": "str", "no_log": False},
    "cluster": {"type": "str", "default": ""},
    "ours": {"type": "list", "elements": "str"},
    "wipe": {"type": "bool", "default": False},
    "host": {"type": "str", "default": ""},
    "timeout": {"type": "int", "default": 180},
    "data_dir": {"type": "path", "default": Paths.data_dir},
    "record": {"type": "path", "default": Paths.record},
    "drop_in": {"type": "path", "default": Paths.drop_in},
    "unit": {"type": "str", "default": "etcd.service"},
}


def run(params, check, runner=_command.run, clock=time.monotonic, sleep=time.sleep):
    """Bring the member to its state and return the Outcome."""
    state = params["state"]
    local = state in LOCAL
    host = Host(runner, Paths(params["data_dir"], params["record"], params["drop_in"]), params["unit"]) if local else None
    wanted = WantedMember(
        params["name"],
        params["peer_url"] or "",
        params["client_url"] or "",
        tuple(params["endpoints"] or ()),
        None if params["ours"] is None else tuple(params["ours"]),
        params["wipe"],
        params["host"],
    )
    opener = _https.https_opener(params["ca"], params["client_cert"], params["client_key"], check)
    flow = Flow(wanted, host, opener, clock, sleep, params["timeout"])
    if state == "started_first":
        record = {key: params[key] for key in ("cluster", "token", "initial_cluster")}
        return flow.found(record, check)
    return flow.finish(check) if state == "bootstrapped" else flow.bring_to(state, check)


def main():
    own = ["peer_url", "client_url"]
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        required_if=[
            ("state", "started_first", [*own, "initial_cluster", "token"]),
            ("state", "bootstrapped", own),
            *(("state", state, [*own, "endpoints"]) for state in ("learner", "voter", "follower")),
            ("state", "updated", ["peer_url", "endpoints"]),
            ("state", "absent", ["endpoints"]),
        ],
        supports_check_mode=True,
    )
    try:
        outcome = run(module.params, module.check_mode)
    except (StepFailed, _etcd.EtcdError, _https.CredentialsError, _file_plan.PlanError, _files.FileError, OSError) as error:
        verdict = getattr(error, "verdict", None)
        said = _failure.message(error, f"etcd member {module.params['name']} is not brought to {module.params['state']}")
        module.fail_json(msg=said, verdict=verdict.as_dict() if verdict else None)
    module.exit_json(**outcome.as_dict(module._diff))


if __name__ == "__main__":
    main()
