#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Document the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: admin_kubeconfig
short_description: Write the operator's kubeconfig on the controller
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Issues a client certificate (C(O=kubeadm:cluster-admins, CN=kubernetes-admin)) from the CA store and writes a kubeconfig
    with mode 0600. It has no rights until its group is bound to C(cluster-admin), and can be taken back by that binding.
  - A kubeconfig that still points at the endpoint, trusts the store's authority and holds a certificate that does not expire
    soon is kept. A file that holds anything of somebody else's is never overwritten.
extends_documentation_fragment:
  - multimaster.kubernetes.attributes
  - multimaster.kubernetes.attributes.controller
  - multimaster.kubernetes.ca_store
attributes:
  diff_mode:
    details: Shows server and certificate before and after. The key is never shown.
options:
  path:
    description: Where the kubeconfig is written, on the controller.
    type: str
    required: true
  endpoint_address:
    description: The cluster's endpoint address.
    type: str
    required: true
  endpoint_port:
    description: The endpoint's port.
    type: int
    default: 6443
  days:
    description: Lifetime of the certificate in days.
    type: int
    default: 365
seealso:
  - module: multimaster.kubernetes.certificates
"""

EXAMPLES = r"""
- name: Write the operator's kubeconfig
  multimaster.kubernetes.admin_kubeconfig:
    store: "{{ inventory_dir }}/pki"
    cluster_name: prod
    path: "{{ inventory_dir }}/admin.conf"
    endpoint_address: 192.0.2.10
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
path:
  description: Where the kubeconfig is.
  returned: success
  type: str
  sample: inventories/prod/admin.conf
server:
  description: The API server's URL in it.
  returned: success
  type: str
  sample: https://192.0.2.10:6443
reasons:
  description: Why it was, or in check mode would be, written; empty when it was kept.
  returned: success
  type: list
  elements: str
  sample: [expires in 12 days]
"""
