#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: summary
short_description: Say what the cluster is now
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Renders what earlier tasks read into the few lines a person wants at the end of a run.
  - Runs on the controller, asks nobody and changes nothing.
extends_documentation_fragment:
  - multimaster.kubernetes.attributes.info
  - multimaster.kubernetes.attributes.controller
options:
  cluster:
    description: The fact C(multimaster).
    type: dict
    required: true
  nodes:
    description: Nodes as P(multimaster.kubernetes.cluster_ready#module) returns them.
    type: list
    elements: dict
    required: true
  members:
    description: etcd members as P(multimaster.kubernetes.etcd_info#module) returns them.
    type: list
    elements: dict
    required: true
  holders:
    description: Hosts that have the endpoint address.
    type: list
    elements: str
    default: []
  certificates:
    description: Certificates of all hosts, each with C(host), C(path) and C(days_left).
    type: list
    elements: dict
    default: []
  kubeconfig:
    description: The operator's kubeconfig on the controller.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Say what there is
  multimaster.kubernetes.summary:
    cluster: "{{ multimaster }}"
    nodes: "{{ ready.nodes }}"
    members: "{{ etcd.members }}"
"""

RETURN = r"""
lines:
  description: The summary, a line each.
  returned: success
  type: list
  elements: str
"""
