# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the operator's kubeconfig on the controller, with a client certificate from the CA store."""

from __future__ import annotations

import os
import stat
import time

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _failure, _pki, _pki_plan
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _ca_store, _controller_file, _kubeconfig, _x509

ARGUMENTS = {
    "store": {"type": "str", "required": True},
    "cluster_name": {"type": "str", "required": True},
    "path": {"type": "str", "required": True},
    "endpoint_address": {"type": "str", "required": True},
    "endpoint_port": {"type": "int", "default": 6443},
    "days": {"type": "int", "default": _pki.DEFAULT_DAYS},
}


def read(path):
    """Return (the file's bytes, whether others may read it), (None, False) when there is none; YAML tells its own encoding."""
    try:
        with open(path, "rb") as handle:
            return handle.read(), bool(stat.S_IMODE(os.fstat(handle.fileno()).st_mode) & 0o077)
    except FileNotFoundError:
        return None, False
    except OSError as error:
        following = _failure.remedy(error, path)
        raise _kubeconfig.KubeconfigError(f"cannot read the kubeconfig {path}: {error.strerror}. Next: {following}") from error


class ActionModule(ActionBase):
    """Keep a kubeconfig that is still right, write it anew otherwise."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        """Return changed and the reasons."""
        super().run(tmp, task_vars)
        _unused, args = self.validate_argument_spec(argument_spec=ARGUMENTS)
        wanted, findings = _pki.certificates([_pki_plan.administrator("/admin", args["days"])])
        if any("lifetime" in finding.found for finding in findings):
            raise AnsibleActionFail(f"days is {args['days']}. Next: give 1 to {_pki.LONGEST_DAYS}")
        path = os.path.abspath(os.path.expanduser(args["path"]))
        try:
            return self._converge(args, path, wanted[0], time.time())
        except (_ca_store.StoreError, _x509.CertificateError, _kubeconfig.KubeconfigError) as error:
            raise AnsibleActionFail(str(error)) from None
        except OSError as error:
            following = _failure.remedy(error, error.filename or path)
            raise AnsibleActionFail(f"cannot write the kubeconfig {path}: {error.strerror}. Next: {following}") from error

    def _converge(self, args, path, wanted, now):
        if self._task.check_mode and not _ca_store.exists(args["store"]):
            return self._result(args, path, ("the CA store does not exist yet",), None, wanted)
        store = _ca_store.open_store(args["store"], args["cluster_name"], now, False, _ca_store.vault_reader(self._loader))
        server = _kubeconfig.server_url(args["endpoint_address"], args["endpoint_port"])
        authority = store.authority_pem("kubernetes")
        content, loose = read(path)
        reasons, present = _kubeconfig.judge(
            content, path, args["cluster_name"], server, authority, store.authority("kubernetes")[0], wanted, now
        )
        if loose:
            reasons += ("others may read it",)
        if reasons and not self._task.check_mode:
            key = _x509.new_key()
            certificate = store.sign(wanted, key.public_key(), now)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            text = _kubeconfig.compose(args["cluster_name"], server, authority, certificate, _x509.key_pem(key))
            _controller_file.replace(path, text, 0o600)
        return self._result(args, path, reasons, present, wanted)

    def _result(self, args, path, reasons, present, wanted):
        server = _kubeconfig.server_url(args["endpoint_address"], args["endpoint_port"])
        before = present.lines(wanted.ca) if present else []
        after = [*wanted.lines(), f"server: {server}", *(f"reason: {reason}" for reason in reasons)]
        entry = {
            "before_header": path,
            "after_header": path,
            "before": "".join(f"{line}\n" for line in before),
            "after": "".join(f"{line}\n" for line in after),
        }
        return {
            "changed": bool(reasons),
            "path": path,
            "server": server,
            "reasons": list(reasons),
            "diff": [entry] if self._task.diff and reasons else [],
        }
