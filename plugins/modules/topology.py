#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: topology
short_description: Judge the inventory and the observed hosts, and work out the whole cluster as one fact
version_added: 0.1.0
description:
  - Reads the groups C(kube_control_plane), C(kube_node) and C(etcd), the settings (variables C(multimaster_*)) and what
    M(multimaster.kubernetes.host_info) observed on each host in this run, which role C(preflight) registers as
    C(preflight_result).
  - A host that has no such result was left out, as by C(--limit), and is an error.
  - Reports everything that is wrong at once, before anything is touched; errors stop the run, warnings are shown.
  - Returns C(multimaster), from which all roles get what they need to know of other hosts. It is registered and no fact of
    Ansible's, since a fact cache would hand it to a run that decided nothing.
author: The multimaster.kubernetes maintainers (@multimaster)
extends_documentation_fragment:
  - multimaster.kubernetes.attributes.info
  - multimaster.kubernetes.attributes.controller
options:
  only:
    description: Only judge (V(preflight)), or only work out the fact without judging the hosts (V(topology)).
    type: str
    choices: [preflight, topology]
  remove:
    description:
      - Hosts of the inventory that the cluster is to be without. They stay in the inventory until they are out, since their
        groups say what they are.
    type: list
    elements: str
  replace:
    description:
      - The one host that is to be replaced, by O(by) or by a new machine that has its name and address already.
    type: list
    elements: str
  by:
    description: The host that takes the place of the one in O(replace); of the same groups and zone, and new.
    type: str
    default: ""
  roll:
    description: Hosts that are to restart; all of them when none is named.
    type: list
    elements: str
  move:
    description:
      - Whether the endpoint address is to go to another master.
      - Hosts are not judged then, but for what the move writes of the endpoint, since one that is not well is a reason to move
        it. Refused is a move that has nobody to take the address from, or nobody to give it to.
    type: bool
    default: false
  upgrade:
    description: Whether the versions that run may change to the wanted ones by more than a patch.
    type: bool
    default: false
  drifted:
    description:
      - Hosts whose etcd runs with other settings than it should. Where two members cannot spare one, the other votes instead of
        it. Until it is given, nothing is shown of a group of two members, whose plan depends on it.
    type: list
    elements: str
  format:
    description: Whether to show the plan as lines for a person, or as one line of JSON.
    type: str
    choices: [text, json]
    default: text
  output:
    description: File on the controller that the plan is written to as JSON as well; not in check mode.
    type: str
    default: ""
  so_far:
    description: What the run did before it decides, in one sentence. Who is told why it stops is told this too.
    type: str
    default: Nothing was touched.
  must:
    description:
      - V(be_empty) fails when the plan has steps, so that a scheduler sees by the exit code whether anything is to be done.
    type: str
    choices: [be_sound, be_empty]
    default: be_sound
  max_age:
    description:
      - Seconds after which an observation counts as none, so that a fact cache does not pass for a living host.
      - Of a host that this run tried to observe in vain, none counts.
    type: int
    default: 900
seealso:
  - module: multimaster.kubernetes.host_info
"""

EXAMPLES = r"""
- name: Decide what is to be done
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Judge the inventory and the hosts, work out the topology
      multimaster.kubernetes.topology:
      register: __decided
"""

RETURN = r"""
findings:
  description: The warnings; errors make the task fail and stand in its message.
  returned: success
  type: list
  elements: dict
  sample:
    - host: ""
      check: members-even
      found: "2 etcd members: 1 vote, 1 stands by as a learner"
      wanted: an odd number of members
      fix: With two masters the loss of the voter stops the API; a third one makes the cluster survive any one loss.
      level: warning
plan:
  description:
    - What will be done in order, and what to know beside it. Files, flags and programs that differ are not part of it, which the
      notes of a plan that converges say. What they restart is seen by C(--check --diff).
    - C(before), C(during) and C(after) are what etcd is before a step, at its worst moment and after it, null where there is
      none; its C(zones) are those of which any one may be lost, null while the zone of a voter is not known.
    - C(holder_before) and C(holder_after) name the master that has the endpoint address, "" for nobody, null where that is not
      known, as where VRRP decides among several. C(restarts) are the programs that restart on the step's host.
    - A step of an upgrade has C(hosts), C(changes), C(way_back) and C(outage) besides, and no C(host).
  returned: success, unless O(only) is given
  type: dict
  sample:
    steps:
      - kind: remove
        host: m1
        why: it is to leave
        before: {voters: 3, healthy: 3, quorum: 2, survives: 1, zones: [a, b, c]}
        during: {voters: 2, healthy: 2, quorum: 2, survives: 0, zones: []}
        after: {voters: 2, healthy: 2, quorum: 2, survives: 0, zones: []}
        holder_before: m3
        holder_after: m3
        restarts: []
    notes: []
multimaster:
  description:
    - The wanted cluster. The values of C(order) are Ansible host patterns, C(all:!all) for nobody.
  returned: success
  type: dict
  sample:
    cluster: {name: prod}
    endpoint: {address: 192.0.2.10, port: 6443, api_port: 6443, mode: direct, vrid: 51}
    versions: {kubernetes: 1.36.3, etcd: 3.6.16}
    masters: [m1]
    workers: [w1]
    members: [m1]
    joining: [m1, w1]
    order: {bootstrap: m1, grow: "all:!all", holder_first: m1}
"""
