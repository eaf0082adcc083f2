# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Read in one go what one host knows of the cluster's health: etcd, API servers, endpoint, nodes, leases, certificates.

Everything is asked at once, each with a bound, because a dead cluster is when this runs. What cannot be read is null,
with the reason beside it, never an exception. The readers are injected. Leaves out: judging, which is `_health`.
"""

from __future__ import annotations

import calendar
import concurrent.futures
import re
import time

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _endpoint_reading,
    _etcd,
    _etcd_report,
    _https,
    _kube,
    _kube_reading,
)

# seconds for one request to an API server; a ready one answers in milliseconds.
KUBE_SECONDS = 5.0
# What health needs of a node; labels and annotations of a thousand nodes would only travel.
NODE_FIELDS = (
    *("name", "ready", "ready_message", "version", "zone", "internal_ip", "unschedulable"),
    *("pressures", "pressure_message"),
)
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def read(etcd_endpoints=(), api_server="", endpoint="", endpoint_address="", interface="", certificates=(), clock=time.time):
    """Return everything that was asked for by a non-empty argument; see the module health_info."""
    jobs = {
        "etcd": (read_etcd, etcd_endpoints),
        "api": (read_api, api_server, clock),
        "endpoint": (read_endpoint, endpoint),
        "balancer": (_endpoint_reading.read, endpoint_address, interface),
        "certificates": (read_certificates, certificates),
    }
    wanted = {name: job for name, job in jobs.items() if all(job[1:])}
    with concurrent.futures.ThreadPoolExecutor(max_workers=len(jobs)) as pool:
        running = {name: pool.submit(*job) for name, job in wanted.items()}
        return {**dict.fromkeys(jobs), **{name: future.result() for name, future in running.items()}}


def read_etcd(endpoints, connect=_https.https_opener):
    """Return the etcd cluster as seen from here, `error` saying why nobody could be asked."""
    files = {name: _etcd.ARGUMENTS[name]["default"] for name in ("ca", "client_cert", "client_key")}
    try:
        opener = connect(files["ca"], files["client_cert"], files["client_key"])
    except _https.CredentialsError as error:
        return {"members": [], "error": str(error)}
    return {"error": "", **_etcd_report.report(_etcd.observe(endpoints, opener))}


def read_api(server, clock=time.time, connect=_https.https_opener):
    """Return {ready, failed, nodes, leases, error} of an API server; nodes and leases only of one that is ready."""
    found = {"ready": False, "failed": [], "nodes": None, "leases": None, "error": ""}
    files = [_kube.ARGUMENTS[name]["default"] for name in ("ca", "client_cert", "client_key")]
    try:
        kube = _kube.Kube(server, connect(*files), timeout=KUBE_SECONDS)
        found.update(_kube_reading.readyz(kube))
        if found["ready"]:
            found["nodes"] = [{name: node[name] for name in NODE_FIELDS} for node in _kube_reading.nodes(kube)]
            found["leases"] = {name: lease and aged(lease, clock()) for name, lease in _kube_reading.leases(kube).items()}
    except (_kube.KubeError, _https.CredentialsError) as error:
        found["error"] = str(error)
    return found


def read_endpoint(server, connect=_https.https_opener):
    """Return {ready, failed, error} of whoever answers at the endpoint address; health paths need no client certificate."""
    found = {"ready": False, "failed": [], "error": ""}
    try:
        found.update(_kube_reading.readyz(_kube.Kube(server, connect(_kube.ARGUMENTS["ca"]["default"]), timeout=KUBE_SECONDS)))
    except (_kube.KubeError, _https.CredentialsError) as error:
        found["error"] = str(error)
    return found


def read_certificates(paths):
    """Return {path: its first certificate as PEM, or None}; never a key that lies in the same file."""
    found = {}
    for path in paths:
        try:
            with open(path, encoding="ascii", errors="replace") as stream:
                blocks = CERTIFICATE.findall(stream.read())
        except OSError:
            blocks = []
        found[path] = blocks[0] if blocks else None
    return found


def aged(lease, now):
    """Return {holder, age_seconds, duration_seconds} of a lease; the age is None when it was never renewed.

    A lease's time is the clock of the host that holds it; `now` is the clock here.
    """
    return {
        "holder": lease["holder"],
        "age_seconds": age_seconds(lease["renewed"], now),
        "duration_seconds": lease["duration_seconds"],
    }


def age_seconds(stamp, now):
    """Return the seconds since an RFC 3339 time in UTC as Kubernetes writes it, None when it is none."""
    match = re.match(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?Z$", stamp or "")
    if not match:
        return None
    begin = calendar.timegm(time.strptime(match.group(1), "%Y-%m-%dT%H:%M:%S")) + float(match.group(2) or 0)
    return round(now - begin, 1)
