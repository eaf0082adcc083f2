# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Every setting a user may put into the inventory, in one table, and the reading of it.

One row says name, type, default, choices and meaning; the reference page is made from it. Reading reports all problems
at once, and a misspelt variable is one of them: silently ignored settings are how clusters come out different from
what their owners think. Leaves out: what the values mean together (preflight) and where they go (topology, wiring).
"""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import re
import typing

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _drain
from ansible_collections.multimaster.kubernetes.plugins.module_utils._finding import Finding

PREFIX = "multimaster_"
# Facts of ours that carry the prefix without being settings.
FACTS = frozenset({"multimaster_host"})
#: What is wanted, by the id of the finding where it is not so.
CHECKS = {
    "setting-missing": "Want every setting that has no default to be given.",
    "setting-invalid": "Want values of the right type, form and range.",
    "setting-unknown": "Want every variable of this collection's prefix to be a setting.",
    "setting-differs": "Want the same value on all hosts of what is the cluster's.",
}
CLUSTER = "cluster"
HOST = "host"

# RFC 1123 section 2.1 as Kubernetes applies it (apimachinery validation.IsDNS1123Label / Subdomain).
LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
SUBDOMAIN = re.compile(r"^(?=.{1,253}$)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$")
# Kubernetes label values (a zone becomes one).
LABEL_VALUE = re.compile(r"^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")
VERSION = re.compile(r"^[0-9]+\.[0-9]+\.[0-9]+$")
BATCH = re.compile(r"^([1-9][0-9]*)(%?)$")

# An hour: the operation's lock is held for as long as the first master is watched.
COUNT_MAX = 3600
# Seconds: less ends no pod in an orderly way (Kubernetes' own grace period is 30), more holds up everybody behind one pod.
DRAIN_MIN, DRAIN_MAX = 30, 7200
# Seconds: in less than 3 no check takes a server out for sure, and an API server's unit has 90 to stop (role kube_apiserver), of
# which requests in flight may take 60 (--request-timeout).
CHECK_MIN, CHECK_MAX = 3, 30

TRUE = frozenset({"true", "yes", "on", "1", "y", "t"})
FALSE = frozenset({"false", "no", "off", "0", "n", "f"})


@dataclasses.dataclass(frozen=True)
class Setting:
    """Describe one inventory variable; `name` is without the prefix, `scope` says whether hosts may differ in it."""

    name: str
    type: str
    default: typing.Any
    description: str
    choices: tuple = ()
    required: bool = False
    scope: str = CLUSTER

    @property
    def variable(self):
        """Return the name as it stands in the inventory."""
        return PREFIX + self.name


SETTINGS = (
    Setting("cluster_name", "label", None, "Name of the cluster; part of etcd's token and of the kubeconfig.", required=True),
    Setting(
        "endpoint_address",
        "address",
        None,
        "The one address of the API. A free address in the masters' subnet, never a host's own; with an external "
        "balancer, the balancer's address.",
        required=True,
    ),
    Setting(
        "endpoint_port",
        "port",
        6443,
        "Port of the API at the endpoint address. The API servers listen on it too; behind an external balancer they listen on "
        "6443.",
    ),
    Setting(
        "endpoint_mode",
        "string",
        "managed",
        "Whether this collection moves the endpoint address itself or a balancer of yours holds it.",
        choices=("managed", "external"),
    ),
    Setting(
        "endpoint_check_seconds",
        "patience",
        CHECK_MAX,
        "With an external balancer: how many seconds its health check may take to see that an API server is about to stop, 3 "
        "to 30. The API server goes on serving for as long, so every restart of one takes as much longer.",
    ),
    Setting("pod_cidr", "network", "10.244.0.0/16", "Network of the pods; each node gets a /24 of it."),
    Setting("service_cidr", "network", "10.96.0.0/16", "Network of the services; the tenth address is the cluster's DNS."),
    Setting("cluster_domain", "domain", "cluster.local", "DNS domain of the services."),
    Setting(
        "network",
        "string",
        "flannel",
        "Pod network to install; none leaves it to you.",
        choices=("flannel", "none"),
    ),
    Setting("kubernetes_version", "version", "1.36.3", "Version of the Kubernetes components."),
    Setting("etcd_version", "version", "3.6.16", "Version of etcd."),
    Setting(
        "artifact_source",
        "source",
        "release",
        "Where binaries come from: release (the projects' own download hosts), the base URL of a mirror with the same "
        "layout, or an absolute folder that every host has, such as a mounted share.",
    ),
    Setting(
        "upgrade_batch",
        "batch",
        "20%",
        "How many workers are upgraded or restarted at once, all of one zone: a number, or a percentage of all workers (at least "
        "1); never more than Ansible's forks.",
    ),
    Setting(
        "drain_seconds",
        "seconds",
        _drain.SECONDS,
        "How many seconds a drain waits for pods to end or for a PodDisruptionBudget to allow it, 30 to 7200. More than the "
        "longest terminationGracePeriodSeconds of your pods.",
    ),
    Setting(
        "upgrade_canary_seconds",
        "count",
        10,
        "How many seconds an upgrade watches the first master it has changed before the next one begins, at most 3600; 0 "
        "leaves that out.",
    ),
    Setting(
        "upgrade_canary_leader_changes",
        "count",
        1,
        "So many changes of etcd's leader are let pass while the first master is watched; more stop the upgrade.",
    ),
    Setting(
        "before_host",
        "path",
        "",
        "File of tasks of yours that upgrade.yml and roll.yml run on each host before its turn; it may be relative to the "
        "inventory. The variable `multimaster_hook` says which turn it is.",
    ),
    Setting("after_host", "path", "", "The same, once the host is well again after its turn."),
    Setting("even_voters", "boolean", False, "Let an even number of etcd members vote (they survive no more failures)."),
    Setting(
        "ca_store",
        "path",
        "{inventory_dir}/pki",
        "Folder on the controller that keeps the cluster's CAs and shared keys.",
    ),
    Setting(
        "kubeconfig",
        "path",
        "{inventory_dir}/admin.conf",
        "Where the operator's kubeconfig is written on the controller.",
    ),
    Setting("preflight_ignore", "list", (), "Ids of preflight checks to leave out."),
    Setting("zones", "list", (), "The zones there are; when given, a host's zone must be one of them."),
    Setting("allow_lost_zone", "boolean", False, "Go on although the loss of one zone would lose etcd's quorum."),
    Setting("zone", "zone", "", "Zone of the host.", scope=HOST),
    Setting(
        "node_address",
        "address",
        "",
        "Address the host uses for etcd, the API server and the kubelet; by default ansible_host when that is an IP "
        "address, else the address of its default route.",
        scope=HOST,
    ),
)

Settings = dataclasses.make_dataclass(
    "Settings",
    [(setting.name, typing.Any) for setting in SETTINGS if setting.scope == CLUSTER],
    frozen=True,
    namespace={"__doc__": "Hold the cluster-wide settings, one attribute a row of SETTINGS."},
)
HostSettings = dataclasses.make_dataclass(
    "HostSettings",
    [(setting.name, typing.Any) for setting in SETTINGS if setting.scope == HOST],
    frozen=True,
    namespace={"__doc__": "Hold the settings of one host, one attribute a row of SETTINGS."},
)


def parse(variables, inventory_dir="."):
    """Read the cluster-wide settings and return (Settings, findings); a bad value counts as its default.

    `variables` maps inventory variable names to values; others than `multimaster_*` are not looked at.
    """
    return _read(Settings, CLUSTER, variables, inventory_dir, "")


def parse_host(variables, host):
    """Read the settings of one host and return (HostSettings, findings); `host` is its inventory name."""
    return _read(HostSettings, HOST, variables, ".", host)


def unknown(variables, host=""):
    """Return a finding for each `multimaster_*` variable that is no setting, with the nearest name there is."""
    known = {setting.name: setting.variable for setting in SETTINGS}
    found = []
    for name in sorted(str(name) for name in variables):
        if not name.startswith(PREFIX) or name in FACTS or name in known.values():
            continue
        near = difflib.get_close_matches(name[len(PREFIX) :], known, n=1, cutoff=0.6)
        fix = f"Did you mean {known[near[0]]}?" if near else "Remove it; see the list of settings in the docs."
        found.append(Finding(host, "setting-unknown", f"{name} is no setting", "a known setting", fix))
    return tuple(found)


def differing(variables_by_host):
    """Return a finding for each cluster-wide setting on which hosts disagree (host variables by inventory name)."""
    found = []
    for setting in SETTINGS:
        if setting.scope != CLUSTER:
            continue
        values = {}
        for host, variables in sorted(variables_by_host.items()):
            values.setdefault(_comparable(variables.get(setting.variable)), []).append(host)
        if len(values) < 2:
            continue
        ranked = sorted(values.items(), key=lambda item: (-len(item[1]), item[1]))
        for value, hosts in ranked[1:]:
            found.append(
                Finding(
                    hosts[0],
                    "setting-differs",
                    "{} is {} on {}".format(setting.variable, value or "not set", ", ".join(hosts)),
                    "{}, as on {}".format(ranked[0][0] or "not set", ", ".join(ranked[0][1])),
                    "Set it once for all hosts, in group_vars/all.yml.",
                )
            )
    return tuple(found)


def batch_size(batch: str, count: int) -> int:
    """Return how many of `count` hosts go at once: a number, or a percentage of them and at least 1; ValueError otherwise."""
    found = BATCH.match(str(batch).strip())
    if not found:
        raise ValueError(f"{batch!r} is neither a number from 1 on nor a percentage such as 20%")
    number = int(found.group(1))
    return max(1, count * number // 100) if found.group(2) else number


def batch_within(batch: str, count: int, forks: int) -> str:
    """Return the batch, or the number of Ansible's `forks` (0: not known) when it has more of `count` hosts than these work on.

    The lock is held for one drain. What is no batch stays as it is, for others to refuse.
    """
    try:
        return str(forks) if 0 < forks < batch_size(batch, count) else batch
    except ValueError:
        return batch


def _comparable(value):
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return "[{}]".format(", ".join(str(item) for item in value))
    return _shown(value)


def _shown(value):
    """Return a value as text, without what may be a password in a URL, since findings go to screens and logs."""
    return re.sub(r"(?<=://).*@", "…@", str(value), flags=re.DOTALL)


def _read(result, scope, variables, inventory_dir, host):
    values, findings = {}, []
    for setting in SETTINGS:
        if setting.scope != scope:
            continue
        values[setting.name] = _default(setting, inventory_dir)
        raw = variables.get(setting.variable)
        if raw is None or (isinstance(raw, str) and not raw.strip()):
            if setting.required:
                findings.append(
                    Finding(host, "setting-missing", f"{setting.variable} is not set", "a value", setting.description)
                )
            continue
        try:
            values[setting.name] = convert(setting, raw)
        except ValueError as reason:
            findings.append(
                Finding(
                    host,
                    "setting-invalid",
                    f"{setting.variable}: {_shown(raw)}",
                    str(reason),
                    f"Correct {setting.variable} in the inventory.",
                )
            )
    return result(**values), tuple(findings)


def _default(setting, inventory_dir):
    if setting.type == "path":
        return setting.default.format(inventory_dir=inventory_dir)
    if setting.type == "network":
        return ipaddress.ip_network(setting.default)
    return setting.default


def convert(setting, raw):
    """Return the value in the setting's type; raise ValueError that says what is wanted."""
    value = _CONVERT[setting.type](raw)
    if setting.choices and value not in setting.choices:
        near = difflib.get_close_matches(str(value), setting.choices, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(f"one of {', '.join(setting.choices)}{hint}")
    return value


def _string(raw):
    if isinstance(raw, (dict, list, tuple)):
        raise ValueError("a text")
    return str(raw).strip()


def _matching(pattern, wanted):
    def check(raw):
        value = _string(raw)
        if not pattern.match(value):
            raise ValueError(wanted)
        return value

    return check


def _boolean(raw):
    if isinstance(raw, bool):
        return bool(raw)
    text = str(raw).strip().lower()
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    raise ValueError("true or false")


def _whole(wanted, low, high):
    def check(raw):
        text = str(raw).strip()
        if isinstance(raw, bool) or not re.match(r"^[0-9]{1,5}$", text) or not low <= int(text) <= high:
            raise ValueError(f"{wanted}, {low} to {high}")
        return int(text)

    return check


def _address(raw):
    try:
        return str(ipaddress.IPv4Address(_string(raw)))
    except ValueError:
        raise ValueError("an IPv4 address, such as 192.0.2.10") from None


def _network(raw):
    try:
        return ipaddress.IPv4Network(_string(raw))
    except ValueError as reason:
        raise ValueError(f"an IPv4 network with no host bits, such as 10.244.0.0/16 ({reason})") from None


def _list(raw):
    if isinstance(raw, str):
        return tuple(item.strip() for item in raw.split(",") if item.strip())
    if not isinstance(raw, (list, tuple)):
        raise ValueError("a list")
    return tuple(str(item) for item in raw)


def _source(raw):
    value = _string(raw)
    if value == "release" or value.startswith("/"):
        return value.rstrip("/") or value
    host = re.match(r"^https?://([^/\s]+)", value)
    if host and "@" in host[1]:
        raise ValueError(
            "a base URL without user and password, which nothing sends: a mirror that lets these hosts in by their addresses, a "
            "proxy of theirs that logs in, or an absolute folder that every host has"
        )
    if host and re.fullmatch(r"(\[[^\]]+\]|[^:\[\]]+)(:[0-9]*)?", host[1]):
        return value.rstrip("/")
    raise ValueError("release, a base URL (http:// or https://) or an absolute folder")


_CONVERT = {
    "string": _string,
    "path": _string,
    "label": _matching(LABEL, "a DNS label: lower case letters, digits and hyphens, at most 63"),
    "domain": _matching(SUBDOMAIN, "a DNS domain in lower case, such as cluster.local"),
    "zone": _matching(LABEL_VALUE, "a zone name usable as a label value: letters, digits, - _ . (at most 63)"),
    "batch": _matching(BATCH, "a number from 1 on, or a percentage such as 20%"),
    "version": _matching(VERSION, "a version such as 1.36.3, without v"),
    "boolean": _boolean,
    "port": _whole("a port number", 1, 65535),
    "count": _whole("a whole number", 0, COUNT_MAX),
    "seconds": _whole("a whole number of seconds", DRAIN_MIN, DRAIN_MAX),
    "patience": _whole("a whole number of seconds", CHECK_MIN, CHECK_MAX),
    "address": _address,
    "network": _network,
    "list": _list,
    "source": _source,
}
