#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: health
short_description: Judge the cluster from what every host told, show it, and fail unless it is healthy
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Takes what M(multimaster.kubernetes.host_info) observed and what a task with M(multimaster.kubernetes.health_info)
    registered as C(__health_read) on every host, and judges all of it together.
  - C(HEALTHY) means that nothing is wrong, warnings aside; C(DEGRADED) that it serves, and something that should carry a
    failure is missing; C(DOWN) that it does not serve, or that nothing proves that it does. Unknown counts as bad.
  - Asks nobody and changes nothing on any host.
extends_documentation_fragment:
  - multimaster.kubernetes.attributes.info
  - multimaster.kubernetes.attributes.controller
options:
  cluster:
    description: The fact C(multimaster).
    type: dict
    required: true
  format:
    description: Whether to show lines for a person, or one line with the JSON document.
    type: str
    choices: [text, json]
    default: text
  output:
    description: File on the controller that the JSON document is written to as well; not in check mode.
    type: str
    default: ""
  must:
    description:
      - When the task fails. V(be_healthy) on C(DEGRADED) and C(DOWN), V(serve) on C(DOWN) only, V(be_judged) never.
    type: str
    choices: [be_healthy, serve, be_judged]
    default: be_healthy
  max_age:
    description: Seconds after which an observation counts as none, so that a fact cache does not pass for a living host.
    type: int
    default: 900
seealso:
  - module: multimaster.kubernetes.health_info
  - module: multimaster.kubernetes.host_info
"""

EXAMPLES = r"""
- name: Say how the cluster is
  multimaster.kubernetes.health:
    cluster: "{{ multimaster }}"
    output: /var/lib/monitoring/cluster.json
"""

RETURN = r"""
verdict:
  description: C(HEALTHY), C(DEGRADED) or C(DOWN).
  returned: always
  type: str
  sample: HEALTHY
health:
  description: The JSON document.
  returned: success
  type: dict
  sample:
    cluster: prod
    verdict: HEALTHY
    reason: survives the loss of 1 etcd voter and of any one zone
    etcd: {voters: 3, healthy: 3, quorum: 2, survives: 1, leader: m2}
    findings: []
"""
