#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read everything one host knows of the cluster's health, in one execution."""

from __future__ import annotations

DOCUMENTATION = r"""
module: health_info
short_description: Read what a host knows of the cluster's health, in one execution
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Asks etcd's members, the host's own API server, the API through the endpoint, its HAProxy and keepalived all at once,
    and reads certificates. An empty argument leaves its part out, and that part is null.
  - It judges nothing and never fails because of what it finds; M(multimaster.kubernetes.health) judges all hosts together.
  - etcd and the API server are asked with the credentials the collection gives a master; the endpoint only with the
    cluster's CA.
extends_documentation_fragment:
  - multimaster.kubernetes.attributes.info
  - multimaster.kubernetes.attributes.host
options:
  etcd_endpoints:
    description: Client URLs of etcd members; members found there are asked too.
    type: list
    elements: str
    default: []
  api_server:
    description: URL of the host's own API server.
    type: str
    default: ""
  endpoint:
    description: URL of the API at the endpoint address.
    type: str
    default: ""
  endpoint_address:
    description: The endpoint address, on a master that takes part in moving it.
    type: str
    default: ""
  interface:
    description: The interface of the master's node address.
    type: str
    default: ""
  certificates:
    description: Files of which the first certificate is returned; a key in the same file is not.
    type: list
    elements: path
    default: []
seealso:
  - module: multimaster.kubernetes.health
"""

EXAMPLES = r"""
- name: What a master knows
  multimaster.kubernetes.health_info:
    etcd_endpoints: [https://192.0.2.11:2379, https://192.0.2.12:2379, https://192.0.2.13:2379]
    api_server: https://192.0.2.11:6443
    endpoint: https://192.0.2.10:6443
    endpoint_address: 192.0.2.10
    interface: eth0
    certificates: [/etc/kubernetes/pki/apiserver.crt]
  register: __health_read
"""

RETURN = r"""
etcd:
  description: As P(multimaster.kubernetes.etcd_info#module) returns it, with C(error) when nobody could be asked.
  returned: success
  type: dict
  sample: {error: "", members: [], confirmed: true, leader_id: "1", cluster_ids: ["2"], alarms: [], errors: []}
api:
  description: The host's own API server, the nodes and the age of the leases as it tells them.
  returned: success
  type: dict
  sample:
    ready: true
    failed: []
    error: ""
    nodes:
      - {name: m1, ready: true, ready_message: kubelet is posting ready status, version: v1.36.3, zone: a,
         internal_ip: 192.0.2.11, unschedulable: false, pressures: [], pressure_message: ""}
    leases: {kube-scheduler: {holder: m1_6d1f, age_seconds: 1.2, duration_seconds: 15}}
endpoint:
  description: Whoever answers at the endpoint address.
  returned: success
  type: dict
  sample: {ready: true, failed: [], error: ""}
balancer:
  description: As P(multimaster.kubernetes.endpoint_info#module) returns it.
  returned: success
  type: dict
certificates:
  description: By path, the first certificate as PEM, or null.
  returned: success
  type: dict
  sample: {/etc/kubernetes/pki/apiserver.crt: "-----BEGIN CERTIFICATE-----…"}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _health_reading

LIST = {"type": "list", "elements": "str", "default": []}
TEXT = {"type": "str", "default": ""}


def main():
    """Read and report."""
    module = AnsibleModule(
        {
            "etcd_endpoints": LIST,
            "api_server": TEXT,
            "endpoint": TEXT,
            "endpoint_address": TEXT,
            "interface": TEXT,
            "certificates": {**LIST, "elements": "path"},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, **_health_reading.read(**module.params))


if __name__ == "__main__":
    main()
