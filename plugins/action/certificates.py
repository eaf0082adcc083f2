# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give a host its certificates: read it, judge, sign with the CA store, install.

One module execution when nothing is to do, two for a fresh host (requests for missing certificates come with the first
reading), three for a renewal.
"""

from __future__ import annotations

import time

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _finding, _pki
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _ca_store, _host_phase, _issuing, _x509

MODULE = "multimaster.kubernetes.certificate_set"
ARGUMENTS = {
    "store": {"type": "str", "required": True},
    "cluster_name": {"type": "str", "required": True},
    "may_create": {"type": "bool", "default": False},
    "new_keys": {"type": "bool", "default": False, "no_log": False},
    "certificates": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "str", "required": True},
            "ca": {"type": "str", "required": True, "choices": list(_pki.AUTHORITIES)},
            "common_name": {"type": "str", "required": True},
            "organizations": {"type": "list", "elements": "str", "default": []},
            "dns": {"type": "list", "elements": "str", "default": []},
            "ip": {"type": "list", "elements": "str", "default": []},
            "usages": {"type": "list", "elements": "str", "default": ["client"], "choices": list(_pki.USAGES)},
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str", "default": "root"},
            "days": {"type": "int"},
            "minutes": {"type": "int"},
        },
        "mutually_exclusive": [["days", "minutes"]],
    },
    "authorities": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "ca": {"type": "str", "required": True, "choices": list(_pki.AUTHORITIES)},
            "path": {"type": "str", "required": True},
            "key_path": {"type": "str", "no_log": False},
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str", "default": "root"},
        },
    },
    "shared": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "item": {"type": "str", "required": True, "choices": list(_pki.SHARED_ITEMS)},
            "path": {"type": "str", "required": True},
            "owner": {"type": "str", "default": "root"},
            "group": {"type": "str", "default": "root"},
            "mode": {"type": "str"},
        },
    },
}


class ActionModule(ActionBase):
    """Issue what is missing, expiring or different, and nothing else."""

    _requires_connection = True
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        """Return changed, what was issued and why, and when every certificate ends."""
        super().run(tmp, task_vars)
        self._task_vars = task_vars
        _unused, args = self.validate_argument_spec(argument_spec=ARGUMENTS)
        now = time.time()
        wanted, findings = _pki.certificates(args["certificates"])
        findings += _pki.authority_findings(args["authorities"]) + _pki.shared_findings(args["shared"])
        self._stop_on(findings)
        try:
            return self._converge(args, wanted, now)
        except (_ca_store.StoreError, _x509.CertificateError) as error:
            raise AnsibleActionFail(str(error)) from None

    def _converge(self, args, wanted, now):
        host = self._task_vars.get("inventory_hostname", "")
        accounts = [{"path": item.path, "owner": item.owner, "group": item.group} for item in wanted]
        store = self._existing(args, now)
        files = _issuing.files(args["authorities"], args["shared"], store)
        present = self._host("read", certificates=accounts, files=[item.question() for item in files])
        if store is None:
            self._stop_on(_pki.guard_new_store(host, _issuing.held(present)))
            if not self._task.check_mode:
                store = self._open(args, now, may_create=True)
                files = _issuing.files(args["authorities"], args["shared"], store)
        plan = _issuing.plan(host, wanted, files, present, store, now, args["new_keys"])
        self._stop_on(plan.findings)
        signed, changed_paths = {}, []
        if plan.changed and not self._task.check_mode:
            signed = self._sign(plan, store, now)
            changed_paths = self._install(plan, signed)
        return {
            "changed": plan.changed,
            "issued": [{"path": item.wanted.path, "reasons": list(item.verdict.reasons)} for item in plan.issue],
            "written": [item.path for item in plan.write],
            "adjusted": [spec["path"] for spec in plan.adjust],
            "changed_paths": changed_paths,
            "certificates": _issuing.report(plan, signed, now),
            "ca_fingerprints": {name: store.fingerprints(name)[0] for name in _pki.AUTHORITIES} if store else {},
            "diff": _issuing.diffs(plan, present) if self._task.diff else [],
            "warnings": _issuing.authorities_that_end(store, now),
        }

    def _existing(self, args, now):
        """Return the store, or None when it does not exist yet and may be made."""
        if args["may_create"] and not _ca_store.exists(args["store"]):
            return None
        return self._open(args, now)

    def _open(self, args, now, may_create=False):
        read = _ca_store.vault_reader(self._loader)
        return _ca_store.open_store(args["store"], args["cluster_name"], now, may_create, read)

    def _sign(self, plan, store, now):
        requests = {item.wanted.path: item.request for item in plan.issue}
        asked = [
            {"path": item.wanted.path, "new_key": item.verdict.new_key}
            for item in plan.issue
            if not item.request or item.verdict.new_key
        ]
        if asked:
            answers = self._host("request", certificates=asked)["certificates"]
            requests.update({path: answer["request"] for path, answer in answers.items()})
        return {item.wanted.path: store.sign_request(item.wanted, requests[item.wanted.path], now) for item in plan.issue}

    def _install(self, plan, signed):
        files = [{**item.spec(), "content": item.content} for item in plan.write]
        certificates = _issuing.installed(plan, signed)
        return self._host("install", files=files + list(plan.adjust), certificates=certificates)["changed_paths"]

    def _host(self, phase, **arguments):
        return _host_phase.run(self, MODULE, phase, self._task_vars, **arguments)

    def _stop_on(self, findings):
        if findings:
            lines = [finding.line() for finding in _finding.in_order(findings)]
            raise AnsibleActionFail("\n".join(["nothing was issued:", *lines, "Next: mend that, then run again"]))
