#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watch the first upgraded API server for a while, before others follow."""

from __future__ import annotations

DOCUMENTATION = r"""
module: api_server_canary
short_description: Let an upgrade go on only while its first API server is well
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Reads the metrics of an API server and of the etcd members, looks at C(/readyz) every second for O(seconds), reads the metrics
    again, and fails when it was not ready, restarted, answered too many requests with 5xx, or etcd changed its leader too often.
  - 5xx are judged from 20 requests on, and more than 5 % are too many. Watches, streams and health probes do not count; 429 is no
    failure.
  - Changes nothing. In check mode nothing was upgraded, so it reads once, does not wait and never fails.
extends_documentation_fragment:
  - multimaster.kubernetes.attributes.info
  - multimaster.kubernetes.attributes.host
  - multimaster.kubernetes.kube_client
options:
  etcd_endpoints:
    description: Client URLs of the etcd members. They are asked with the operator's certificate of etcd at its usual place.
    type: list
    elements: str
    required: true
  seconds:
    description: How long to watch.
    type: int
    default: 10
  leader_changes:
    description: So many changes of etcd's leader meanwhile are let pass.
    type: int
    default: 1
  untouched:
    description: Names of the masters that are still to follow, for the message.
    type: list
    elements: str
    default: []
  way_back:
    description: What the way back is, for the message.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: The first master is well
  multimaster.kubernetes.api_server_canary:
    etcd_endpoints: [https://192.0.2.11:2379, https://192.0.2.12:2379, https://192.0.2.13:2379]
    untouched: [m2, m3]
"""

RETURN = r"""
reason:
  description: What was seen, or all that is wrong.
  returned: always
  type: str
  sample: ready in 11 of 11 looks, 0 of 84 requests failed, 0 leader changes in 10.2 s
well:
  description: Whether others may follow.
  returned: always
  type: bool
  sample: true
reasons:
  description: Each thing that is wrong, with what to do about it.
  returned: always
  type: list
  elements: dict
  sample: []
figures:
  description: What was counted; C(leader_changes) is null when no member could tell.
  returned: always
  type: dict
  sample: {seconds: 10.2, looks: 11, not_ready: 0, requests: 84, failed: 0, throttled: 0, leader_changes: 0}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _canary, _canary_reading, _etcd, _https, _kube

# seconds for which the reading of metrics is repeated while an API server is too busy to answer
RETRY_SECONDS = 5.0


def main():
    module = AnsibleModule(
        argument_spec={
            **_kube.ARGUMENTS,
            "etcd_endpoints": {"type": "list", "elements": "str", "required": True},
            "seconds": {"type": "int", "default": 10},
            "leader_changes": {"type": "int", "default": _canary.LEADER_CHANGES_LET_PASS},
            "untouched": {"type": "list", "elements": "str", "default": []},
            "way_back": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    params, check = module.params, module.check_mode
    files = [_etcd.ARGUMENTS[name]["default"] for name in ("ca", "client_cert", "client_key")]
    try:
        kube = _kube.Kube.from_arguments(params, RETRY_SECONDS, check)
        opener = _https.https_opener(*files, check)
    except _https.CredentialsError as error:
        module.fail_json(msg=f"The canary cannot be watched: {error}", well=False, reason=str(error), reasons=[], figures={})
    seen = _canary_reading.watch(kube, params["etcd_endpoints"], opener, 0 if check else params["seconds"])
    verdict = _canary.judge(*seen, params["leader_changes"], params["server"])
    result = {"reason": verdict.reason, **verdict.as_dict()}
    if check:
        result["reason"] = f"check mode, nothing was upgraded: {verdict.reason}"
    elif not verdict.well:
        module.fail_json(msg=_canary.failure(verdict, params["untouched"], params["way_back"]), **result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
