#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Observe everything a run needs to know about a host, in one execution
version_added: 0.1.0
description:
  - Reads the operating system, resources, addresses, listeners, units, certificates and the local etcd member of a host
    and returns them as the fact C(multimaster_host), from which M(multimaster.kubernetes.topology) is made.
  - It judges nothing and never fails because something is missing; what cannot be read is null or empty.
author: The multimaster.kubernetes maintainers (@multimaster)
extends_documentation_fragment:
  - multimaster.kubernetes.attributes.info
  - multimaster.kubernetes.attributes.host
options:
  endpoint_address:
    description:
      - The cluster's endpoint address, to say whether this host holds it.
      - By default the host's C(multimaster_endpoint_address).
    type: str
  peers:
    description:
      - Names and addresses of the hosts whose round-trip time is measured.
      - By default, on an etcd member, the other members of the inventory.
    type: dict
  peer_port:
    description:
      - TCP port the round-trip time is measured against; a connect is enough, nothing is sent.
      - By default the peers' C(ansible_port).
    type: int
    default: 22
  probe_arp:
    description:
      - When to ask by ARP who else holds O(endpoint_address), which takes half a second.
      - V(bare) asks on a host without certificates, before it becomes part of a cluster.
    type: str
    choices: [never, bare, always]
    default: never
  disk_latency:
    description: Measure the 99th percentile of synced 2300-byte writes where etcd's data lies; takes up to two seconds.
    type: bool
    default: false
  ports:
    description:
      - TCP ports of which listeners are reported.
      - By default those of all components, and the host's C(multimaster_endpoint_port).
    type: list
    elements: int
    default: [6443, 6440, 2379, 2380, 2381, 10248, 10249, 10250, 10256, 10257, 10259]
"""

EXAMPLES = r"""
- name: Observe the hosts
  multimaster.kubernetes.host_info:
    endpoint_address: 192.0.2.10

- name: Observe a master before its first run, with the neighbours' opinion on the endpoint address
  multimaster.kubernetes.host_info:
    endpoint_address: 192.0.2.10
    probe_arp: bare
    peers:
      m2: 192.0.2.12
      m3: 192.0.2.13
"""

RETURN = r"""
ansible_facts:
  description: The observation.
  returned: always
  type: dict
  contains:
    multimaster_host:
      description:
        - One host as seen just now. States of units are systemd's, or C(not-found).
        - C(versions) are those of the running processes, C(unit_versions) those that the unit files start.
        - C(disk_free_percent) is counted as a kubelet does, at what a process that is not root may use; null when not known.
        - C(etcd.status) is what its member says of itself. While its unit runs or comes up, one that is silent is looked at three
          times within about 5 seconds. C(asked) is false where it could not be asked, for want of a certificate that it accepts.
        - C(etcd.stale) are the certificates, of what such a member shows and is asked with, that have expired or are gone.
        - C(node_name) is the name that the host has in its cluster, by its kubelet's certificate or its etcd member's unit; empty
          where it has none yet.
        - C(etcd.first_start) says whether the settings of the member's first start are still there, which are to go after it.
        - C(ca_fingerprints) are SHA-256 sums of all certificates in the file, two while a CA is being rotated.
        - C(endpoint_files) are the masters that its keepalived and HAProxy are written for; null where neither is configured.
        - C(resolver) is the resolv.conf for pods that resolve names as the host does, with its name servers.
        - C(drained) are the API servers, by node name, that its balancer keeps out of use, in a turn or since a cut.
        - C(after_clock) is how many seconds the look went on after it had read the host's clock.
        - C(clock_window) holds the controller's clock before the execution, and so many seconds before its end, in seconds since
          the epoch.
      type: dict
      returned: always
      sample:
        hostname: m1
        machine_id: 3f0c2b9f8f0d4f0f9d0f6a2b6d0f1a11
        os: {id: debian, like: [], version_id: "12", name: Debian GNU/Linux 12 (bookworm)}
        architecture: amd64
        kernel: 6.1.0-30-amd64
        python: 3.11.2
        cpus: 4
        memory_mib: 7950
        disk_free_mib: {/var/lib: 41000, /opt: 41000}
        disk_free_percent: {/var/lib/containerd: 61.25, /var/lib/kubelet: 61.25}
        clock: 1763831820.25
        clock_window: [1763831819.9, 1763831820.4]
        after_clock: 0.31
        swap: false
        resolver: {path: /run/systemd/resolve/resolv.conf, nameservers: [192.0.2.1]}
        cgroup: 2
        addresses: [{interface: eth0, address: 192.0.2.11, prefix: 24}]
        macs: ["02:00:c0:00:02:0b"]
        default_interface: eth0
        default_address: 192.0.2.11
        listening:
          - {port: 2379, address: 192.0.2.11, process: etcd, executable: /opt/multimaster/etcd/3.6.16/etcd}
        commands: {openssl: true}
        users: [etcd]
        etcd: {data: false, record: null, first_start: false, unit: not-found, status: null, stale: []}
        certificates: false
        ca_fingerprints: {kubernetes: [], front_proxy: [], etcd_client: [], etcd_peer: []}
        units: {etcd: not-found, kubelet: active}
        versions: {kubelet: 1.36.3}
        unit_versions: {kubelet: 1.36.3}
        api_server: {etcd_servers: ["https://192.0.2.11:2379"]}
        kubelet_credentials: false
        node_name: ""
        endpoint_address: {held_on: []}
        arp: []
        endpoint_files: {source: 192.0.2.11, peers: [192.0.2.12], servers: {m1: 192.0.2.11, m2: 192.0.2.12}}
        drained: []
        rtt_ms: {m2: 0.412}
        disk_fdatasync_p99_ms: null
        cluster: null
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _host, _ports


def main():
    """Observe the host and return the fact."""
    module = AnsibleModule(
        argument_spec={
            "endpoint_address": {"type": "str"},
            "peers": {"type": "dict"},
            "peer_port": {"type": "int", "default": 22},
            "probe_arp": {"type": "str", "choices": list(_host.PROBES), "default": _host.NEVER},
            "disk_latency": {"type": "bool", "default": False},
            "ports": {"type": "list", "elements": "int", "default": list(_ports.NUMBERS)},
        },
        supports_check_mode=True,
    )
    observation = _host.observe(_host.System(), **module.params)
    module.exit_json(changed=False, ansible_facts={"multimaster_host": observation})


if __name__ == "__main__":
    main()
