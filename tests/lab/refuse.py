#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a lab's cluster of three masters into situations in which a run must be refused, and hold the run to it.

    refuse.py mol-refused                                        every situation, then the negative controls
    refuse.py mol-refused --only no-space                        that one
    refuse.py mol-refused --only no-space --only control         that one, then its control

A refusal ends the run with Ansible's code for a failed task, within seconds; nothing differs on any host, in etcd's members, in
the nodes, in the lock, in the controller's files; and what is said names what, why and what next. A run that is not refused is
cut off before it touches a host, so the next situation finds the cluster as it was. The negative control of a situation is such a
command with nothing in its way, in check mode: if that one is refused too, the refusal proves nothing.

What looks like such a situation and is none is held to the opposite: the run does well, changes nothing, and says what it saw.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import hashlib
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import access
import cutoff
import play

# Seconds, by which a run is told from one that waits in vain, as a module does for sixty. Refusals take two to nine on two cores,
# fifteen beside much else; one that asks a member that hangs was seen to take eleven where others took five.
WITHIN, WITHIN_HANGING = 30.0, 40.0
SETTLED = 120.0  # seconds until the cluster is whole again
# The first tasks, after looking, judging and the lock, of the playbooks that are run here.
TOUCHES = cutoff.Cut(
    "task",
    task="Use those again that stay|host_preparation : |Send its API server no new connections|"
    "Take the pods of one node after the other as gone",
)
# The first task after the programs were fetched.
FETCHED = cutoff.Cut("task", task="certificates : ")
# They leave by themselves when they cannot renew their lease, ten seconds after the last time (client-go's renew deadline).
LEADERS = ("kube-controller-manager", "kube-scheduler", "csr-approver")
CONFIGURATION = ("/etc/kubernetes", "/etc/etcd", "/etc/haproxy", "/etc/keepalived", "/etc/systemd/system")
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/multimaster-operation"
LOCK = "the lock"
LEASES = tuple(
    f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{name}"
    for name in ("kube-controller-manager", "kube-scheduler", "multimaster-csr-approver")
)
OURS = "multimaster.kubernetes/"  # prefix of the product's annotations
REMOVE_M2 = ("remove_node.yml", "-e", "node=m2", "-e", "confirmed=true")
UPGRADE_KUBERNETES = ("upgrade.yml", "-e", "multimaster_kubernetes_version=1.37.2", "-e", "confirmed=true")
HEALTH = ("health.yml",)
UPGRADE_ETCD = ("upgrade.yml", "-e", "multimaster_etcd_version=3.7.3", "-e", "confirmed=true")
# site.yml is run by every scenario that has its situations refused.
BY_THE_SCENARIO: tuple[str, ...] = ()


@dataclass(frozen=True)
class Situation:
    """A situation, the run that it must refuse, and the words that say what, why and what next.

    ``make`` makes it and takes it away; what it yields fills the placeholders of command and words. ``control``: the command that
    must not be refused when nothing is in its way. ``restless``: what the situation itself changes, units that restart by their
    names. ``within``: the seconds that the refusal may take. ``cut``: where a run that is not refused is cut off. ``passes``: it
    is no reason to refuse, so the run is to end well, to change nothing and to say these words in one line.
    """

    name: str
    make: Callable[[access.Cluster], AbstractContextManager[dict[str, str]]]
    command: tuple[str, ...]
    says: tuple[str, ...]
    control: tuple[str, ...] = REMOVE_M2
    restless: tuple[str, ...] = ()
    within: float = WITHIN
    cut: cutoff.Cut = TOUCHES
    passes: bool = False


@dataclass
class Result:
    """How a situation went; seconds are the run's, from its start to its end."""

    name: str
    refused: bool
    seconds: float
    said: str
    wrong: list[str] = field(default_factory=list)
    passed: bool = False


# --- judging: data in, data out --------------------------------------------------------------------------------------


def table_rows(text: str) -> list[dict[str, str]]:
    """Return the rows of the tables of findings in a run's output, the wrapped cells put together again."""
    rows: list[dict[str, str]] = []
    lines = text.splitlines()
    for number, line in enumerate(lines[:-1]):
        rule = lines[number + 1]
        if not line.startswith("LEVEL") or set(rule) != {"-", " "}:
            continue
        starts = [at for at in range(len(rule)) if rule[at] == "-" and (at == 0 or rule[at - 1] == " ")]
        titles = line.lower().split()
        for row in lines[number + 2 :]:
            cells = [row[start:end].strip() for start, end in zip(starts, [*starts[1:], None], strict=True)]
            if not any(cells):
                break
            if cells[0]:
                rows.append(dict(zip(titles, cells, strict=True)))
            else:
                for title, cell in zip(titles, cells, strict=True):
                    rows[-1][title] = f"{rows[-1][title]} {cell}".strip()
    return rows


def what_was_said(outcome: play.Outcome, text: str) -> list[str]:
    """Return what a run told the person before it: each error of its table, then each failed task's message."""
    rows = [f"{row['found']}; wanted: {row['wanted']}; {row['fix']}" for row in table_rows(text) if row["level"] == "error"]
    return rows + [failure["message"] for failure in outcome.failures]


def squeezed(text: str) -> str:
    """Return a text without its white space: a table wraps long words where no space was."""
    return "".join(text.split())


def not_said(words: list[str], said: list[str]) -> list[str]:
    """Return the expected words that were not said."""
    whole = squeezed(" ".join(said))
    return [one for one in words if squeezed(one) not in whole]


def touched(before: dict[str, str], after: dict[str, str], restless: tuple[str, ...]) -> list[str]:
    """Return what differs between two observations, without what the situation itself changes, such as units it lets restart."""
    units = tuple(f" {unit}.service" for unit in restless)
    kept = [
        {key: value for key, value in seen.items() if key not in restless and not key.endswith(units or "\0")}
        for seen in (before, after)
    ]
    return play.differences(*kept)


def was_refused(outcome: play.Outcome) -> bool:
    """Say whether a run ended by itself, on a failed task."""
    return outcome.code == play.FAILED_TASK and not outcome.cut


def wrong_with(
    outcome: play.Outcome, said: list[str], words: list[str], differences: list[str], within: float = WITHIN
) -> list[str]:
    """Return in which way a run was not the refusal it should be; empty = it was."""
    if not was_refused(outcome):
        how = f"it came as far as {outcome.cut}" if outcome.cut else f"it ended with code {outcome.code}"
        found = [f"it was not refused: {how}"]
    else:
        found = [f"it was not said: {one!r}" for one in not_said(words, said)]
        found += [f"it took {outcome.seconds} s, longer than {within:g}"] if outcome.seconds > within else []
    found += [f"a task reports a change: {one}" for one in outcome.changed]
    return found + [f"it was touched: {one}" for one in differences]


def did_pass(outcome: play.Outcome) -> bool:
    """Say whether a run came to its end, and well."""
    return outcome.code == 0 and not outcome.cut


def lines_with(words: list[str], text: str) -> list[str]:
    """Return the lines of a text that have all of these words."""
    return [line for line in text.splitlines() if not not_said(words, [line])]


def wrong_with_passing(outcome: play.Outcome, said: list[str], words: list[str], differences: list[str]) -> list[str]:
    """Return in which way a run did not do well, did something, or did not say the words; empty = all is as it should be."""
    found = play.findings(outcome, "unchanged") + [f"it was not said: {one!r}" for one in not_said(words, said)]
    return found + [f"it was touched: {one}" for one in differences]


def line_of(result: Result) -> str:
    """Return the one line that tells how a situation went."""
    how = "let pass" if result.passed else "refused"
    verdict = f"{how} in {result.seconds:.1f} s" if result.passed or result.refused else f"NOT refused ({result.seconds:.1f} s)"
    said = " ".join(result.said.split())
    return f"{result.name}: {verdict}{': ' + said if said else ''}"


# --- looking ---------------------------------------------------------------------------------------------------------


def digest(folder: Path) -> str:
    """Return one digest of the names and contents below a folder; "absent" when there is none."""
    if not folder.exists():
        return "absent"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    parts = [f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def held(first: dict[str, tuple[str, str]], now: dict[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Return the leases as they were when their present holders were first seen; (holder, renewed) of each, by path."""
    return {lease: first[lease] if lease in first and first[lease][0] == now[lease][0] else now[lease] for lease in now}


def renewed(first: dict[str, tuple[str, str]], now: dict[str, tuple[str, str]]) -> bool:
    """Say whether everybody who was seen to hold a lease has renewed it since."""
    return all(now[lease][0] and first[lease][1] != now[lease][1] for lease in now)


def whole(cluster: access.Cluster) -> dict[str, str]:
    """Return all that a run which is refused must leave as it is: hosts, members, nodes, the lock, the controller's files."""
    found, first = cluster.observe(), cluster.masters[0]  # no situation disturbs the first
    command = f"find {' '.join(CONFIGURATION)} -type f -exec sha256sum {{}} + 2>/dev/null | sort | sha256sum | cut -c1-12"
    digests = cluster.each(sorted(cluster.addresses), lambda host: cluster.ssh(host, command).strip())
    found |= {f"{host} configuration": value for host, value in digests.items()}
    members = cluster.etcd(first, "cluster/member/list")["members"]
    found["etcd's members"] = json.dumps(sorted(members, key=lambda one: one["ID"]), sort_keys=True)
    for node in cluster.get("/api/v1/nodes", server=cluster.server_of(first))["items"]:
        marks = {key: value for key, value in node["metadata"].get("annotations", {}).items() if key.startswith(OURS)}
        found[f"node {node['metadata']['name']}"] = json.dumps([node["spec"].get("unschedulable", False), marks])
    status, lease = cluster.request("GET", LEASE, server=cluster.server_of(first))
    found[LOCK] = json.dumps([lease["spec"], lease["metadata"].get("annotations")]) if status == 200 else f"HTTP {status}"
    found["the CA store"] = digest(store(cluster))
    found["the kubeconfig"] = hashlib.sha256(cluster.kubeconfig.read_bytes()).hexdigest()[:12]
    return found


def is_whole(cluster: access.Cluster) -> bool:
    """Say whether members, API servers and nodes are all well, and no alarm is raised."""

    def serves(host: str) -> bool:
        ready = cluster.request("GET", "/readyz", server=cluster.server_of(host))[0] == 200
        return ready and "header" in cluster.etcd(host, "kv/range", {"key": "AA=="})

    if not all(cluster.each(cluster.masters, serves).values()):
        return False
    if cluster.etcd(cluster.masters[0], "maintenance/alarm", {"action": "GET"}).get("alarms"):
        return False
    conditions = [one for node in cluster.get("/api/v1/nodes")["items"] for one in node["status"]["conditions"]]
    return all(one["status"] == "True" for one in conditions if one["type"] == "Ready")


def settle(cluster: access.Cluster) -> None:
    """Wait until the cluster is whole, takes a write through the endpoint, and whoever leads has not given up meanwhile.

    A leader that could not write for ten seconds ends even when it could again a moment later (client-go's renew deadline).
    """
    access.wait("the cluster is whole again", lambda: is_whole(cluster), SETTLED)
    name = access.names("refuse")
    cluster.apply([{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}])
    cluster.delete(f"/api/v1/namespaces/default/configmaps/{name}")
    first: dict[str, tuple[str, str]] = {}

    def lead_on() -> bool:
        specs = {lease: cluster.get(lease)["spec"] for lease in LEASES}
        now = {lease: (spec.get("holderIdentity", ""), spec.get("renewTime", "")) for lease, spec in specs.items()}
        first.update(held(first, now))
        return renewed(first, now)

    access.wait("those who lead have renewed their leases", lead_on, SETTLED)


# --- situations ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def nothing(cluster: access.Cluster):
    """Change nothing: the command itself is what must be refused."""
    yield {}


@contextlib.contextmanager
def without_etcd(cluster: access.Cluster, take: str, give: str):
    """Take the etcd member of m3 away by one command, which the others survive, and give it back by another."""
    cluster.ssh("m3", take)
    try:
        # the endpoint's balancers have to learn that the API server beside it is not ready
        access.wait("the others carry the API", lambda: all(cluster.request("GET", "/readyz")[0] == 200 for _ in range(6)))
        yield {}
    finally:
        cluster.ssh("m3", give)


def member_down(cluster: access.Cluster):
    """Stop the member."""
    return without_etcd(cluster, "systemctl stop etcd.service", "systemctl start etcd.service")


def member_hangs(cluster: access.Cluster):
    """Let the member hang, as on a disk that does not answer: it runs, and nobody hears of it.

    An upgrade starts a member that is stopped first, as a run that was cut off may have left one; this one nothing can start.
    """
    return without_etcd(cluster, "systemctl kill --signal=STOP etcd.service", "systemctl kill --signal=CONT etcd.service")


@contextlib.contextmanager
def no_space(cluster: access.Cluster):
    """Raise the alarm that etcd raises itself when its quota is used up: it takes no write until somebody disarms it."""
    member = cluster.etcd("m1", "maintenance/status")["header"]["member_id"]
    body = {"memberID": member, "alarm": "NOSPACE"}
    cluster.etcd("m1", "maintenance/alarm", {"action": "ACTIVATE", **body})
    try:
        raised = cluster.etcd("m1", "maintenance/alarm", {"action": "GET"}).get("alarms", [])
        if body not in raised:
            raise access.AccessError(f"the alarm was not raised: {raised}")
        yield {}
    finally:
        cluster.etcd("m1", "maintenance/alarm", {"action": "DEACTIVATE", **body})


def held_lease(now: datetime.datetime) -> dict:
    """Return the lock as a run on another controller holds it, for ten minutes from now."""
    noted = {
        "purpose": "remove m1",
        "controller": "elsewhere",
        "boot": "0f0e0d0c-another-boot pid:[4026531836]",
        "pid": "4711",
        "started": "902113",
        "run": "0f0e0d0c-4711-902113",
    }
    moment = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": LEASE.rsplit("/", 1)[1],
            "namespace": "kube-system",
            "annotations": {f"{OURS}{key}": value for key, value in noted.items()},
        },
        "spec": {
            "holderIdentity": f"elsewhere/{noted['run']}",
            "leaseDurationSeconds": 600,
            "acquireTime": moment,
            "renewTime": moment,
            "leaseTransitions": 0,
        },
    }


@contextlib.contextmanager
def lock_held(cluster: access.Cluster):
    """Let a run on another controller hold the lock."""
    now = datetime.datetime.now(datetime.timezone.utc)
    cluster.apply([held_lease(now)])
    try:
        yield {"until": (now + datetime.timedelta(seconds=600)).strftime("%Y-%m-%dT%H:%M")}
    finally:
        cluster.delete(LEASE)


@contextlib.contextmanager
def cordoned(cluster: access.Cluster):
    """Cordon m3 as a person does who is at work on it."""
    cluster.kubectl("cordon", "m3")
    try:
        yield {}
    finally:
        cluster.kubectl("uncordon", "m3")
        cluster.delete(LEASE)  # of the run that was cut off, while this is not refused


def store(cluster: access.Cluster) -> Path:
    """Return the controller's CA store (tests/lab/settings.yml)."""
    return cluster.state / "pki"


@contextlib.contextmanager
def store_missing(cluster: access.Cluster):
    """Move the CA store away; one that a run made meanwhile is kept beside it."""
    there = store(cluster)
    away = there.with_name("pki-kept-by-refuse")
    there.rename(away)
    try:
        yield {"store": str(there), "nodes": ", ".join(cluster.nodes)}
    finally:
        if there.exists():
            there.rename(there.with_name(access.names("pki-made-by-a-run")))
        away.rename(there)


def without(group: dict, host: str) -> dict:
    """Return a group of an inventory with its groups, in which nothing is said of a host."""
    children = {name: without(child, host) for name, child in group.get("children", {}).items()}
    hosts = {name: variables for name, variables in group.get("hosts", {}).items() if name != host}
    return {**group, "hosts": hosts, "children": children}


@contextlib.contextmanager
def left_out(cluster: access.Cluster, host: str):
    """Leave a host of the cluster out of the inventory; it goes on as it is."""
    inventories, here = list(cluster.inventories), cluster.inventory  # who is to be there, is read before
    lab = json.loads(Path(inventories[0]).read_text())
    shorter = cluster.state / f"inventory-without-{host}.json"
    shorter.write_text(json.dumps({"all": without(lab["all"], host)}))
    cluster.inventories[0] = str(shorter)
    try:
        yield {"address": here["_meta"]["hostvars"][host]["ansible_host"]}
    finally:
        cluster.inventories[:] = inventories
        shorter.unlink()


def master_left_out(cluster: access.Cluster):
    """Leave out a master."""
    return left_out(cluster, "m3")


def worker_left_out(cluster: access.Cluster):
    """Leave out the worker."""
    return left_out(cluster, "w1")


def peer_taken(text: str, address: str) -> str:
    """Return a configuration of keepalived without the line of a peer."""
    kept = [line for line in text.splitlines(keepends=True) if line.strip() != address]
    if len(kept) != len(text.splitlines()) - 1:
        raise access.AccessError(f"keepalived's configuration should name the peer {address} in one line of its own")
    return "".join(kept)


@contextlib.contextmanager
def peer_missing(cluster: access.Cluster):
    """Take m3 out of the VRRP peers of m2, in the file; keepalived itself reads it when somebody reloads it."""
    path, kept = "/etc/keepalived/keepalived.conf", "/run/keepalived.conf-kept-by-refuse"
    fewer = peer_taken(cluster.ssh("m2", f"cat {path}"), cluster.addresses["m3"])
    cluster.ssh("m2", f"cp -a {path} {kept} && cat > {path}", stdin=fewer.encode())
    try:
        yield {"address": cluster.addresses["m3"]}
    finally:
        cluster.ssh("m2", f"mv {kept} {path}")  # with its time of change, by which others would see that it was touched


@contextlib.contextmanager
def two_holders(cluster: access.Cluster):
    """Give a second master the endpoint address by hand, and let its kernel answer for it as that of the holder does.

    Its own balancer serves there too, so nobody who is sent to it is turned away. It is on an interface of its own, since
    keepalived looks after those it knows; never on m1, which no situation disturbs.
    """
    holders = cluster.holders()
    second = next(host for host in cluster.masters[1:] if host not in holders)
    link = "refuse"
    cluster.ssh(
        second, f"ip link add {link} type bridge && ip address add {cluster.endpoint}/32 dev {link} && ip link set {link} up"
    )
    try:
        yield {"holders": ", ".join(sorted([*holders, second]))}
    finally:
        cluster.ssh(second, f"ip link delete {link}")


@contextlib.contextmanager
def release_absent(cluster: access.Cluster):
    """Name a release of the next minor that no source of artifacts has."""
    version = cluster.get("/version")
    try:
        yield {"absent": f"{version['major']}.{int(version['minor'].rstrip('+')) + 1}.99"}
    finally:
        cluster.delete(LEASE)  # of the run that ended while it held it


@contextlib.contextmanager
def minor_skipped(cluster: access.Cluster):
    """Name the release two minors after the one that runs."""
    version = cluster.get("/version")
    running, minor = version["gitVersion"].lstrip("v"), int(version["minor"].rstrip("+"))
    major = version["major"]
    yield {"running": running, "between": f"{major}.{minor + 1}", "skipped": f"{major}.{minor + 2}.0"}


SITUATIONS = (
    Situation(
        "quorum",
        member_down,
        REMOVE_M2,
        (
            "remove m2: after removing m2 1 of 2 voters would be healthy and 2 are needed",
            "bring back m3 first, or remove the dead member before this one",
            "Nothing was touched.",
        ),
        restless=LEADERS,
    ),
    Situation(
        "no-space",
        no_space,
        REMOVE_M2,
        (
            "etcd has raised NOSPACE on m1: no write is taken",
            "Compact, defragment one member after the other, then disarm (docs/runbooks/quorum-at-risk.md, section 4).",
            "remove m2: NOSPACE is raised on m1",
            "Nothing was touched.",
        ),
        restless=LEADERS,
    ),
    Situation(
        "locked",
        lock_held,
        REMOVE_M2,
        (
            "another operation holds the lock of this cluster: remove m1 from elsewhere (holder elsewhere/0f0e0d0c-4711-902113)",
            "until {until}",
            "Next: run again after that",
            "`kubectl -n kube-system delete lease multimaster-operation`",
        ),
    ),
    Situation(
        "cordoned",
        cordoned,
        REMOVE_M2,
        ("m3", "cordoned by somebody else", "`kubectl uncordon m3`"),
    ),
    Situation(
        "no-ca-store",
        store_missing,
        ("site.yml",),
        (
            "CA store not found at {store}, but {nodes} carry certificates",
            "Copy it from where the cluster was built, restore it, or correct multimaster_ca_store.",
            "No new CA is made.",
            "Nothing was touched.",
        ),
        control=BY_THE_SCENARIO,
    ),
    Situation(
        "unknown-host",
        nothing,
        ("remove_node.yml", "-e", "node=m22", "-e", "confirmed=true"),
        ("m22 is no host of the inventory", "Did you mean m2?", "Nothing was touched."),
    ),
    Situation(
        "not-confirmed",
        nothing,
        ("remove_node.yml", "-e", "node=m2"),
        ("Nothing was changed.", "Without somebody to ask, give -e confirmed=true after reading the plan."),
    ),
    Situation(
        "skipped-minor",
        minor_skipped,
        ("site.yml", "-e", "multimaster_kubernetes_version={skipped}"),
        (
            "Kubernetes runs in {running}, multimaster_kubernetes_version is {skipped}",
            "no minor may be skipped: set multimaster_kubernetes_version to a {between} release, run upgrade.yml, then go on",
            "or set multimaster_kubernetes_version back to {running}",
            "Nothing was touched.",
        ),
        control=BY_THE_SCENARIO,
    ),
    Situation(
        "upgrade-skips",
        minor_skipped,
        ("upgrade.yml", "-e", "multimaster_kubernetes_version={skipped}", "-e", "confirmed=true"),
        (
            "m1: kube-apiserver {running} to {skipped}; wanted: at most 1 minor at a time",
            "Set multimaster_kubernetes_version to a {between} release, upgrade, then go on.",
            "Nothing was touched.",
        ),
        control=UPGRADE_KUBERNETES,
    ),
    # Programs lie ready on every host before anything stops: it has asked, it holds the lock, and no host has done anything.
    Situation(
        "upgrade-unfetched",
        release_absent,
        ("upgrade.yml", "-e", "multimaster_kubernetes_version={absent}", "-e", "confirmed=true"),
        (
            "{absent}",
            "answered HTTP 404",
            "check the artifact source, the version and whether this host may reach it, then run again",
        ),
        control=UPGRADE_KUBERNETES,
        restless=(LOCK,),
        cut=FETCHED,
    ),
    Situation(
        "master-left-out",
        master_left_out,
        ("site.yml",),
        (
            "etcd has members whose masters are not in the inventory: m3",
            "remove_node.yml takes masters out while they are listed, dead ones too.",
            "m3 ({address}) is a VRRP peer of m1, m2 and no master of the inventory",
            "Nothing was touched.",
        ),
        control=BY_THE_SCENARIO,
    ),
    Situation(
        "worker-left-out",
        worker_left_out,
        ("site.yml",),
        ("Strays in the cluster, not in the inventory, left alone:", "node w1"),
        control=BY_THE_SCENARIO,
        restless=(LOCK,),
        passes=True,
    ),
    Situation(
        "health-peer-missing",
        peer_missing,
        HEALTH,
        (
            "keepalived's configuration",
            "lacks m3",
            "Run site.yml: it writes the peers anew.",
            "DEGRADED: it serves, but not everything is there: m2: keepalived's configuration",
            ". Next: run site.yml: it writes the peers anew",
        ),
        control=HEALTH,
    ),
    Situation(
        "health-two-holders",
        two_holders,
        HEALTH,
        (
            "the endpoint address is held by {holders}; wanted: one holder",
            "If it stays, look whether VRRP (protocol 112) passes between them.",
            "DEGRADED: it serves, but not everything is there: the endpoint address is held by {holders}",
            ". Next: run this again: it may just have moved",
        ),
        control=HEALTH,
    ),
    Situation(
        "health-member-down",
        member_down,
        HEALTH,
        (
            "etcd member m3 is not healthy",
            "On m3: journalctl -u etcd -n 50; systemctl start etcd.",
            "DEGRADED: one more failure loses quorum (2 of 3 voters healthy)",
            ". Next: on m3: journalctl -u etcd -n 50; systemctl start etcd",
        ),
        control=HEALTH,
        restless=LEADERS,
    ),
    Situation(
        "upgrade-member-hangs",
        member_hangs,
        UPGRADE_ETCD,
        ("etcd on m3 runs and is not healthy: without another one 1 of 2 needed were left", "on m3 `journalctl -u etcd -n 50`"),
        control=UPGRADE_ETCD,
        restless=LEADERS,
        within=WITHIN_HANGING,
    ),
)


# --- doing -----------------------------------------------------------------------------------------------------------


def hold(cluster: access.Cluster, situation: Situation) -> Result:
    """Make a situation, run, judge, and take it away."""
    with situation.make(cluster) as values:
        command = [part.format(**values) for part in situation.command]
        before = whole(cluster)
        cut = None if situation.passes else situation.cut
        outcome, log = play.perform(cluster, f"refuse-{situation.name}", command, cut)
        differences = touched(before, whole(cluster), situation.restless)
    settle(cluster)
    words = [one.format(**values) for one in situation.says]
    if situation.passes:
        said = lines_with(words, log.read_text())
        wrong = wrong_with_passing(outcome, said, words, differences)
    else:
        said = what_was_said(outcome, log.read_text())
        wrong = wrong_with(outcome, said, words, differences, situation.within)
    first = said[0] if said else ""
    return Result(situation.name, was_refused(outcome), outcome.seconds, first, wrong, did_pass(outcome))


def controls(situations: Sequence[Situation]) -> dict[tuple[str, ...], list[str]]:
    """Return {command: the situations whose control it is}."""
    found: dict[tuple[str, ...], list[str]] = {}
    for situation in situations:
        if situation.control:
            found.setdefault(situation.control, []).append(situation.name)
    return found


def control(cluster: access.Cluster, command: tuple[str, ...], names: list[str], restless: tuple[str, ...] = ()) -> Result:
    """Plan with nothing in the way what was refused: it must not be refused, and check mode touches nothing.

    ``restless``: units that the situation before lets restart, which may take a moment.
    """
    before = whole(cluster)
    outcome, log = play.perform(cluster, f"refuse-control-{names[0]}", [*command, "--check"])
    differences = touched(before, whole(cluster), restless)
    said = what_was_said(outcome, log.read_text())
    wrong = [f"the negative control ended with code {outcome.code}: {'; '.join(said)}"] if outcome.code else []
    wrong += [f"check mode touched it: {one}" for one in differences]
    return Result(f"control of {', '.join(names)}", was_refused(outcome), outcome.seconds, said[0] if said else "", wrong)


def main(argv: list[str]) -> int:
    """Hold every situation that is asked for to its refusal, and tell."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    names = [one.name for one in SITUATIONS]
    parser.add_argument("lab")
    parser.add_argument("--only", action="append", choices=[*names, "control"], help="may be given several times")
    options = parser.parse_args(argv)
    cluster = access.Cluster(options.lab)
    wanted = options.only or [*names, "control"]
    held = [one for one in SITUATIONS if one.name in wanted]
    results = []
    for situation in held:
        results.append(hold(cluster, situation))
        print(line_of(results[-1]), flush=True)
    for command, of in controls(held or SITUATIONS).items() if "control" in wanted else ():
        results.append(control(cluster, command, of, held[-1].restless if held else ()))
        print(f"{results[-1].name}: {command[0]} in check mode, nothing in its way: {results[-1].seconds:.1f} s", flush=True)
    (cluster.results / "refused.json").write_text(json.dumps([asdict(one) for one in results], indent=1) + "\n")
    wrong = [f"{result.name}: {line}" for result in results for line in result.wrong]
    for line in wrong:
        print(f"NOT AS EXPECTED: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
