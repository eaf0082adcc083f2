# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge the cluster from what every host told, show it, and fail unless it is healthy.

The decision is _health, what is shown _health_report. It asks nobody.
"""

from __future__ import annotations

import time

from ansible.plugins.action import ActionBase
from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _finding,
    _health,
    _health_report,
    _health_view,
    _pki,
    _pki_plan,
)
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _document, _inventory_view, _x509
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils._x509 import CertificateError

ARGUMENTS = {
    "cluster": {"type": "dict", "required": True},
    "format": {"type": "str", "choices": ["text", "json"], "default": "text"},
    "output": {"type": "str", "default": ""},
    "must": {"type": "str", "choices": ["be_healthy", "serve", "be_judged"], "default": "be_healthy"},
    "max_age": {"type": "int", "default": 900},
}
# What playbooks/health.yml registers of the module health_info.
READ = "__health_read"
PARTS = ("etcd", "api", "endpoint", "balancer", "certificates")
# The worst verdict that is no failure.
ALLOWED = {"be_healthy": _health.HEALTHY, "serve": _health.DEGRADED, "be_judged": _health.DOWN}


class ActionModule(ActionBase):
    """Return the document and fail by its verdict."""

    _requires_connection = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp=None, task_vars=None):
        """Judge, show, and write the document where it is wanted."""
        result = super().run(tmp, task_vars)
        _unused, args = self.validate_argument_spec(argument_spec=ARGUMENTS)
        now = time.time()
        seen = look(args["cluster"], task_vars["hostvars"], now, args["max_age"])
        findings = _health.judge(seen)
        verdict = _health.verdict(seen, findings)
        document = _health_report.document(seen, findings, verdict, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)))
        output = "" if self._task.check_mode else args["output"]
        _document.publish(document, _health_report.lines(document), args["format"], output)
        result.update(changed=False, verdict=verdict.status)
        if _health.VERDICTS.index(verdict.status) > _health.VERDICTS.index(ALLOWED[args["must"]]):
            result.update(failed=True, msg=f"{verdict.status}: {verdict.reason}. Next: {verdict.next_step}")
        else:
            result["health"] = document
        return result


def look(cluster, hostvars, now, max_age):
    """Return the _health_view.View of what the hosts told; `now` and `max_age` in seconds."""
    names = sorted(cluster["hosts"])
    observed = _inventory_view.observations(names, hostvars, now, max_age)
    read, certificates = {}, []
    reasons = _inventory_view.reasons(names, hostvars)
    for name in names:
        told = _inventory_view.variable(hostvars[name], READ, {})
        if told.get("unreachable") or told.get("failed"):
            reasons[name] = _finding.cause(told.get("msg"))
        elif all(part in told for part in PARTS):
            read[name] = {part: told[part] for part in PARTS}
            certificates += dated(name, cluster, told["certificates"] or {}, now)
    own = _inventory_view.own_eviction(names, hostvars)
    return _health_view.view(cluster, observed, read, certificates, reasons, own)


def dated(name, cluster, found, now):
    """Return the _health_view.Certificate of each file a host must have; `found` maps files to PEM text or None."""
    rows, wanted = [], _pki_plan.names(cluster["hosts"][name], cluster)
    for path, kind in sorted(_pki_plan.watched(cluster["hosts"][name], cluster).items()):
        try:
            certificate = _x509.load_certificates(found.get(path) or "", path)[0]
        except CertificateError:
            rows.append(_health_view.Certificate(name, path, kind))
            continue
        begin, end = certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()
        lacks = lacking(certificate, wanted.get(path, ()))
        rows.append(_health_view.Certificate(name, path, kind, (end - now) / _pki.DAY, (end - begin) / _pki.DAY, lacks))
    return rows


def lacking(certificate, wanted):
    """Return the names of `wanted` that a certificate is not for; none when what it is for cannot be read."""
    names = _x509.names(certificate)
    return () if names is None else tuple(sorted(set(wanted) - names))
