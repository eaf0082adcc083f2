#!/usr/bin/python
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take an API server out of this host's balancer before it stops, and bring it back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: endpoint_server
short_description: Drain an API server in this host's balancer, or bring it back
version_added: 0.1.0
author: The multimaster.kubernetes maintainers (@multimaster)
description:
  - Before an API server is stopped on purpose, every balancer stops sending it new connections; those it has are kept
    until the API server itself ends them. So this runs on every master, for the one API server.
  - A host without a running balancer has nothing to do, nor one whose HAProxy is not of this collection, or does not know the
    server (yet, or any more).
extends_documentation_fragment:
  - multimaster.kubernetes.attributes
  - multimaster.kubernetes.attributes.host
options:
  name:
    description: Node name of the master whose API server it is; not for V(taken_back).
    type: str
  state:
    description:
      - V(drained) - its health check is off and it gets no new connections; read back from HAProxy. Another server must be up
        to take them.
      - V(ready) - its health check is on, and HAProxy has seen it pass.
      - V(taken_back) - those of O(in_use) that a run which was cut off left drained are checked and used again. One that does not
        pass its check is used when it does, and is not waited for.
    type: str
    required: true
    choices: [drained, ready, taken_back]
  in_use:
    description: Node names of the masters that are to be in use while this one is V(drained). One of them that a run which was
      cut off left drained is brought back first. O(name) among them means nothing.
    type: list
    elements: str
    default: []
  allow_outage:
    description: Whether it is drained though no other server is up.
    type: bool
    default: false
  timeout:
    description: Seconds until HAProxy must say so, and before that until another server is up. A check looks once, and warns
      where a run would wait for another server.
    type: float
    default: 30
"""

EXAMPLES = r"""
- name: Send m2's API server no new connections
  multimaster.kubernetes.endpoint_server:
    name: m2
    state: drained

- name: Use m2's API server again
  multimaster.kubernetes.endpoint_server:
    name: m2
    state: ready

- name: Leave nobody drained whose turn was cut off
  multimaster.kubernetes.endpoint_server:
    state: taken_back
    in_use: [m1, m2, m3]
"""

RETURN = r"""
before:
  description: The server as HAProxy saw it; null without a balancer, and with V(taken_back).
  returned: always
  type: dict
after:
  description: The server as HAProxy sees it now; in check mode as before.
  returned: always
  type: dict
  sample: {name: m2, status: drain, checked: false, proven: false, up: false, sessions: 4}
back:
  description: Node names of others, or with V(taken_back) of all, that were left drained and are, or would be, taken back.
  returned: always
  type: list
  elements: str
  sample: [m1]
reason:
  description: What was done, or why nothing was.
  returned: always
  type: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _endpoint_server, _failure, _haproxy, _systemd


def shown(server):
    """Return a server as a line of a diff."""
    return "" if server is None else f"{server['status']}, checked: {server['checked']}\n"


def drains(names):
    """Return the servers that were left drained as lines of a diff."""
    return "".join(f"{name} was left drained\n" for name in names)


def main():
    """Read, decide, act unless in check mode, report."""
    module = AnsibleModule(
        {
            "name": {"type": "str"},
            "state": {"type": "str", "required": True, "choices": ["drained", "ready", "taken_back"]},
            "in_use": {"type": "list", "elements": "str", "default": []},
            "allow_outage": {"type": "bool", "default": False},
            "timeout": {"type": "float", "default": 30},
        },
        required_if=[("state", "drained", ["name"]), ("state", "ready", ["name"])],
        supports_check_mode=True,
    )
    wanted, haproxy, systemd = module.params, _haproxy.Haproxy(), _systemd.Systemd()
    about = wanted["name"] or ", ".join(wanted["in_use"])
    try:
        if wanted["state"] == "taken_back":
            outcome = _endpoint_server.take_back(haproxy, systemd, wanted["in_use"], module.check_mode)
        else:
            outcome = _endpoint_server.bring(haproxy, systemd, wanted, module.check_mode)
    except (_haproxy.HaproxyError, _systemd.UnitError) as error:
        module.fail_json(msg=_failure.message(error, f"{about} is not {wanted['state']}"))
    if outcome.unsafe:
        module.warn(outcome.unsafe)
    result = outcome.as_dict()
    if module._diff and wanted["state"] == "taken_back":
        result["diff"] = {"before": drains(outcome.back), "after": ""}
    elif module._diff:
        drained, foretold = module.params["state"] == "drained", module.check_mode and result["changed"]
        after = {"status": "drain" if drained else "up", "checked": not drained} if foretold else result["after"]
        result["diff"] = {"before": shown(result["before"]), "after": shown(after)}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
