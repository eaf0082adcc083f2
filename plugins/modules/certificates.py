#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Document the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificates
short_description: Give a host its certificates, signed by the CA store on the controller
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Reads the certificates of a host, issues those that are missing, expire within 30 days (or a third of their life), differ
    from what is wanted or do not belong to their key, and leaves the others alone.
  - Private keys are made on the host and stay there. Names and usages come from O(certificates); of the host's signing
    request only the public key is used. A renewal keeps the key, unless O(new_keys) asks for a new one.
  - Installs authorities, and the shared keys that every master needs, from the store.
  - Stops before changing anything when the host belongs to another CA store, and when the store is missing and
    O(may_create) does not allow a new one.
  - Any file of the store may be encrypted with ansible-vault.
requirements:
  - cryptography on the controller (a dependency of ansible-core)
  - openssl on the host
extends_documentation_fragment:
  - multimaster.kubernetes.attributes
  - multimaster.kubernetes.ca_store
attributes:
  check_mode:
    details: Says which certificates would be issued and why; makes no keys, no requests and no CA store.
  diff_mode:
    details: Shows what a certificate says before and after. Keys are never shown.
  action:
    support: full
    description: Runs on the controller as an action plugin, together with a module on the host.
  platform:
    support: full
    description: Hosts this can be used on.
    platforms: linux
options:
  may_create:
    description: Whether a store that is missing is founded. Refused all the same when this host already holds a certificate.
    type: bool
    default: false
  new_keys:
    description: Whether every certificate is issued anew with a new key. Not idempotent.
    type: bool
    default: false
  certificates:
    description: Certificates the host shall hold. Others are not touched.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Absolute path without C(.crt) and C(.key).
        type: str
        required: true
      ca:
        description: The authority that signs it.
        type: str
        required: true
        choices: [kubernetes, etcd-client, etcd-peer, front-proxy]
      common_name:
        description: Common name, the user in Kubernetes.
        type: str
        required: true
      organizations:
        description: Organizations, the groups in Kubernetes. C(system:masters) is accepted for at most an hour.
        type: list
        elements: str
        default: []
      dns:
        description: DNS names.
        type: list
        elements: str
        default: []
      ip:
        description: IP addresses.
        type: list
        elements: str
        default: []
      usages:
        description: Extended key usages.
        type: list
        elements: str
        choices: [client, server]
        default: [client]
      owner:
        description: Owner of certificate and key.
        type: str
        default: root
      group:
        description: Group of certificate and key.
        type: str
        default: root
      days:
        description: Lifetime in days, 365 when neither this nor O(certificates[].minutes) is given. Never beyond the
          authority's own end.
        type: int
      minutes:
        description: Lifetime in minutes.
        type: int
  authorities:
    description: Authority certificates the host shall hold, and the key where it signs itself.
    type: list
    elements: dict
    default: []
    suboptions:
      ca:
        description: The authority.
        type: str
        required: true
        choices: [kubernetes, etcd-client, etcd-peer, front-proxy]
      path:
        description: Where its certificate is written, with mode 0644.
        type: str
        required: true
      key_path:
        description: Where its key is written, with mode 0600; left out, the key stays on the controller.
        type: str
      owner:
        description: Owner.
        type: str
        default: root
      group:
        description: Group.
        type: str
        default: root
  shared:
    description: Keys that are equal on all masters.
    type: list
    elements: dict
    default: []
    suboptions:
      item:
        description: V(encryption-config) is the API server's EncryptionConfiguration (secretbox, for Secrets).
        type: str
        required: true
        choices: [sa.key, sa.pub, encryption-config]
      path:
        description: Where it is written.
        type: str
        required: true
      owner:
        description: Owner.
        type: str
        default: root
      group:
        description: Group.
        type: str
        default: root
      mode:
        description: Mode as a quoted octal string; V(0644) for sa.pub and V(0600) for the others when left out.
        type: str
seealso:
  - module: multimaster.kubernetes.admin_kubeconfig
  - plugin: multimaster.kubernetes.certificates_for
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Issue the certificates of this host
  multimaster.kubernetes.certificates:
    store: "{{ inventory_dir }}/pki"
    cluster_name: prod
    certificates:
      - path: /etc/kubernetes/pki/scheduler
        ca: kubernetes
        common_name: system:kube-scheduler
    authorities:
      - ca: kubernetes
        path: /etc/kubernetes/pki/ca.crt
    shared:
      - item: sa.pub
        path: /etc/kubernetes/pki/sa.pub

- name: Hold an all-powerful certificate for ten minutes, to make the first RBAC bindings
  multimaster.kubernetes.certificates:
    store: "{{ inventory_dir }}/pki"
    cluster_name: prod
    certificates:
      - path: /run/multimaster/bootstrap-admin
        ca: kubernetes
        common_name: multimaster-bootstrap
        organizations: [system:masters]
        minutes: 10
"""

RETURN = r"""
issued:
  description: Certificates that were, or in check mode would be, issued, and why.
  returned: success
  type: list
  elements: dict
  sample: [{path: /etc/kubernetes/pki/scheduler, reasons: [expires in 12 days]}]
written:
  description: Authority and shared files that were, or would be, written.
  returned: success
  type: list
  elements: str
  sample: [/etc/kubernetes/pki/ca.crt]
adjusted:
  description: Files whose owner or mode was, or would be, put right.
  returned: success
  type: list
  elements: str
  sample: []
changed_paths:
  description: Paths that were written or adjusted; empty in check mode.
  returned: success
  type: list
  elements: str
  sample: [/etc/kubernetes/pki/scheduler.crt]
certificates:
  description: By path, the authority, when it ends and what was decided about it.
  returned: success
  type: dict
  sample:
    /etc/kubernetes/pki/scheduler:
      ca: kubernetes
      not_after: "2027-11-22T17:00:00Z"
      days_left: 364
      action: keep
      reasons: []
ca_fingerprints:
  description: SHA-256 of the store's authorities; empty while the store does not exist.
  returned: success
  type: dict
  sample: {kubernetes: 9f86d081884c7d65}
"""
