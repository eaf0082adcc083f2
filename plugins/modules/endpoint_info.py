#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""See what one master does for the endpoint, and how its HAProxy sees the API servers."""

from __future__ import annotations

DOCUMENTATION = r"""
module: endpoint_info
short_description: See who holds the endpoint address and how a balancer sees the API servers
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Returns the interfaces that carry the address on this host (C(lo) included), the MACs of other hosts that answer for
    it, the state of the three services, keepalived's VRRP state and every API server as this host's HAProxy sees it.
  - It judges nothing; what cannot be read is null, with the reason in RV(errors).
extends_documentation_fragment:
  - multimaster.kubernetes.attributes.info
  - multimaster.kubernetes.attributes.host
options:
  address:
    description: The endpoint address.
    type: str
    required: true
  interface:
    description: The interface of this host's node address.
    type: str
    required: true
  ask_neighbours:
    description: Ask by ARP who else holds the address; takes half a second.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: See the endpoint from this master
  multimaster.kubernetes.endpoint_info:
    address: 192.0.2.10
    interface: eth0
  register: endpoint
"""

RETURN = r"""
held_on:
  description: Interfaces of this host that carry the address.
  returned: always
  type: list
  elements: str
  sample: [eth0]
others:
  description: MACs of other hosts that answer for it; null when they were not asked.
  returned: always
  type: list
  elements: str
  sample: []
units:
  description: Per service whether it is up and comes back at boot.
  returned: always
  type: dict
  sample: {haproxy: {up: true, enabled: true}}
vrrp:
  description: keepalived's view - state (holder, backup, fault, init, down), vrid, effective priority, last change.
  returned: always
  type: dict
  sample: {state: holder, vrid: 51, priority: 200, since: 1767225600.0}
peers:
  description: The addresses keepalived's configuration sends adverts to; null without a configuration that names any.
  returned: always
  type: list
  elements: str
  sample: [192.0.2.12, 192.0.2.13]
servers:
  description: The API servers by name, as this host's HAProxy sees them; null when it does not run.
  returned: always
  type: dict
  sample:
    m1: {name: m1, address: "192.0.2.11:6443", status: up, proven: true, up: true, checked: true, sessions: 3,
         check: L7OK HTTP status check returned code <200>, seconds: 17}
haproxy:
  description: Version, process, uptime in seconds, connections and their limit; null when it does not run.
  returned: always
  type: dict
errors:
  description: What could not be read, and why.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _endpoint_reading


def main():
    """Read and report."""
    module = AnsibleModule(
        {
            "address": {"type": "str", "required": True},
            "interface": {"type": "str", "required": True},
            "ask_neighbours": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, **_endpoint_reading.read(**module.params))


if __name__ == "__main__":
    main()
