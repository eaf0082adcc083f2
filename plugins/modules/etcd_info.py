#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read an etcd cluster as it is proven to be just now."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_info
short_description: Read an etcd cluster's members, health and alarms
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Asks every member through its own client URL, all at once. A voter is healthy only when it served a linearizable
    read just now, a learner when it follows a leader; what does not answer is unhealthy.
  - Never fails because of what it finds; RV(errors) says what did not answer and why.
extends_documentation_fragment:
  - multimaster.kubernetes.attributes.info
  - multimaster.kubernetes.attributes.host
  - multimaster.kubernetes.etcd_client
options:
  wait:
    description: Seconds to ask again while no quorum serves; what is seen at the end is returned all the same. Nothing is waited
      for in check mode.
    type: float
    default: 0
"""

EXAMPLES = r"""
- name: The etcd cluster as it is
  multimaster.kubernetes.etcd_info:
    endpoints: [https://192.0.2.11:2379]
  register: etcd
"""

RETURN = r"""
members:
  description: The members by name. C(downgrade) is the version to which an enabled downgrade leads, empty when none is known.
  returned: success
  type: list
  elements: dict
  sample:
    - {id: "10501334649042878790", name: m1, peer_urls: [https://192.0.2.11:2380], client_urls: [https://192.0.2.11:2379],
       is_learner: false, healthy: true, leader: true, version: 3.6.16, downgrade: "",
       raft_index: 8123, raft_term: 4, db_size: 5242880, db_size_in_use: 4194304, db_size_quota: 8589934592}
confirmed:
  description: Whether a quorum stood behind the list of members.
  returned: success
  type: bool
  sample: true
cluster_ids:
  description: The clusters the members answer for; more than one is a serious fault.
  returned: success
  type: list
  elements: str
  sample: ["14841639068965178418"]
leader_id:
  description: The leader's member id, empty when there is none.
  returned: success
  type: str
  sample: "10501334649042878790"
alarms:
  description: Raised alarms.
  returned: success
  type: list
  elements: dict
  sample: [{member_id: "10501334649042878790", alarm: NOSPACE}]
survival:
  description: Voters, those healthy, the quorum, and how many more may fail (negative without quorum).
  returned: success
  type: dict
  sample: {voters: 3, healthy: 3, quorum: 2, survives: 1}
errors:
  description: One line for each endpoint that did not prove itself.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _etcd, _etcd_report, _failure, _https


def main():
    module = AnsibleModule(argument_spec={**_etcd.ARGUMENTS, "wait": {"type": "float", "default": 0}}, supports_check_mode=True)
    params = module.params
    try:
        opener = _https.https_opener(params["ca"], params["client_cert"], params["client_key"], module.check_mode)
    except _https.CredentialsError as error:
        module.fail_json(msg=_failure.message(error, "etcd cannot be asked"))

    def look():
        return _etcd_report.report(_etcd.observe(params["endpoints"], opener))

    seconds = 0 if module.check_mode else params["wait"]
    module.exit_json(changed=False, **_etcd.awaited(look, _etcd_report.serves, seconds))


if __name__ == "__main__":
    main()
