# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sample a lab's cluster all along a drill: which versions run side by side, and which etcd members carry it.

Each host, API server and member is asked by itself, about once a second. A host or an API server that does not answer just now is
unknown, and no finding. The product's own rules say what may run side by side (`_skew`) and what a quorum is (`_quorum`).
"""

from __future__ import annotations

import contextlib
import datetime
import http.client
import json
import subprocess
import threading
import time
from dataclasses import dataclass, field

import access
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _finding, _host, _quorum, _skew

EVERY = 1.0  # seconds between two samples
PATIENCE = 3.0  # seconds for an API server's answer
SSH_PATIENCE = 20.0  # seconds for a host's; its three questions to etcd take five each at most
# What tells its version by the folder it was started from, and by nothing that is cheaper to ask.
PROGRAMS = {
    "kube-controller-manager": "controller_manager",
    "kube-scheduler": "scheduler",
    "kube-proxy": "kube_proxy",
}
QUESTIONS = {
    "status": ("maintenance/status", {}),
    "read": ("kv/range", {"key": "AA=="}),  # linearizable, as is every one that does not say otherwise
    "list": ("cluster/member/list", {}),
}
SILENT = (access.AccessError, OSError, ValueError, http.client.HTTPException, subprocess.SubprocessError)


@dataclass(frozen=True)
class Sample:
    """The cluster at one moment (seconds since the epoch).

    A member of etcd is healthy when it served a linearizable read, a learner when it follows a leader; it is None when its host
    was not read. ``running``: the names of those that answered at all, which needs no quorum. ``silent``: who did not answer.
    """

    at: float
    versions: _skew.Versions = _skew.Versions()
    etcd: _quorum.Cluster = _quorum.Cluster()
    running: frozenset = frozenset()
    silent: tuple = ()


# --- judging: data in, data out --------------------------------------------------------------------------------------


def members_of(told: dict[str, dict], known: tuple = ()) -> tuple:
    """Return the _quorum.Members out of {host: {question: answer}} of the hosts that were read.

    `known` are those of an earlier sample: who is a member when nobody tells. Of two lists that of the member that is further on
    counts, and of one that serves before one that does not.
    """
    lists = [
        ("header" in said["read"], int(said["status"].get("raftAppliedIndex", 0)), said["list"]["members"])
        for said in told.values()
        if said["list"].get("members")
    ]
    if lists:
        latest = max(lists, key=lambda one: one[:2])[2]
        known = tuple(_quorum.Member(one["ID"], one.get("name", ""), bool(one.get("isLearner"))) for one in latest)
    return tuple(
        _quorum.Member(one.id, one.name, one.is_learner, proven(told[one.name], one.is_learner) if one.name in told else None)
        for one in known
    )


def proven(said: dict, is_learner: bool) -> bool:
    """Say whether a member's own answers show that it does its part."""
    return bool(said["status"].get("leader")) if is_learner else "header" in said["read"]


def serving(sample: Sample) -> int:
    """Return how many voters are not known to fail."""
    return sum(member.healthy is not False for member in sample.etcd.voters)


def standing(sample: Sample) -> int:
    """Return how many voters are not known to be down."""
    return sum(member.healthy is not False or member.name in sample.running for member in sample.etcd.voters)


def has_quorum(sample: Sample) -> bool:
    """Say whether a majority of the voters is known to serve; who could not be asked does not count."""
    return len(sample.etcd.healthy) >= _quorum.quorum(len(sample.etcd.voters))


def is_short(sample: Sample) -> bool:
    """Say whether fewer voters may serve than a quorum; who could not be asked may."""
    return serving(sample) < _quorum.quorum(len(sample.etcd.voters))


def must_stand(voters: int) -> int:
    """Return how many voters must run in every single sample: a quorum, but of one and two voters one less.

    One voter that restarts is an outage of the API by itself, which whoever runs it has allowed; a run that may not restart it
    leaves it running. Of two none restarts, the gate forbids it; but one that is removed stops right after the other was asked
    for the list, so a single sample may still count it.
    """
    return min(_quorum.quorum(voters), voters - 1)


def lacks_quorum(sample: Sample) -> bool:
    """Say whether what is seen twice in a row is a lost quorum: voters are short, and not because the only one restarts."""
    voters = len(sample.etcd.voters)
    return bool(voters) and is_short(sample) and not (voters == 1 and standing(sample) == 0)


def quorum_findings(before: Sample | None, sample: Sample) -> list[str]:
    """Return what is wrong with the voters of a sample that is taken while a run goes on.

    So many that are down are found at once. So few that serve may be electing a leader, which was moved, or one of them was
    removed just then: that is found when the sample before says the same.
    """
    voters = len(sample.etcd.voters)
    if standing(sample) < must_stand(voters):
        return [f"{standing(sample)} of {voters} voters run and {_quorum.quorum(voters)} must"]
    if before and lacks_quorum(before) and lacks_quorum(sample):
        return [
            f"{serving(sample)} of {voters} voters serve for longer than an election takes, and {_quorum.quorum(voters)} must"
        ]
    return []


def skew_findings(sample: Sample) -> list[str]:
    """Return which versions must not run side by side."""
    found = _finding.errors(_skew.judge_skew(sample.versions))
    return [f"{one.host}: {one.found} (wanted: {one.wanted})" for one in found]


def judge(samples: list[Sample]) -> list[str]:
    """Return what is wrong with a series of samples, each thing once; a series that saw nothing proves nothing."""
    counted: dict[str, list[float]] = {}
    for before, sample in zip([None, *samples], samples, strict=False):
        for line in quorum_findings(before, sample) + skew_findings(sample):
            counted.setdefault(line, []).append(sample.at)
    found = [f"{line} (in {len(times)} of {len(samples)} samples, first at {clock(times[0])})" for line, times in counted.items()]
    if not any(sample.versions.apiserver and sample.versions.kubelet for sample in samples):
        found.append("no sample tells the versions of API servers and kubelets")
    if not any(member.healthy for sample in samples for member in sample.etcd.voters):
        found.append("no sample tells of a voter that serves")
    return found


def clock(at: float) -> str:
    """Return a moment as the time of day in UTC."""
    return datetime.datetime.fromtimestamp(at, datetime.timezone.utc).strftime("%H:%M:%S")


def state_of(sample: Sample) -> str:
    """Return who carries etcd at the moment, in one line."""
    etcd = sample.etcd
    waiting = [member.label for member in etcd.members if not member.started]
    learners = [member.name for member in etcd.learners if member.started]
    parts = [str(_quorum.Survival(len(etcd.voters), serving(sample)))]
    parts += [f"learners: {', '.join(learners)}"] if learners else []
    parts += [f"added and never started: {', '.join(waiting)}"] if waiting else []
    return "; ".join(parts)


def tell(samples: list[Sample]) -> list[str]:
    """Return what a series of samples saw, the worst state first."""
    with_voters = [sample for sample in samples if sample.etcd.voters]
    if not with_voters:
        return [f"{len(samples)} samples, of which none tells of a voter"]
    worst = min(with_voters, key=lambda one: serving(one) - _quorum.quorum(len(one.etcd.voters)))
    voters = len(worst.etcd.voters)
    seen: dict[str, set[str]] = {name: set() for name in _skew.COMPONENTS}
    for sample in samples:
        for component, versions in seen.items():
            versions.update(getattr(sample.versions, component).values())
    told = "; ".join(f"{_skew.COMPONENTS[one]} {', '.join(sorted(found)) or 'unread'}" for one, found in seen.items())
    silent = sum(bool(sample.silent) for sample in samples)
    return [
        f"{len(samples)} samples in {samples[-1].at - samples[0].at:.0f} s: fewest healthy voters {serving(worst)} of {voters}, "
        f"quorum {_quorum.quorum(voters)}, at {clock(worst.at)}; somebody was silent in {silent}",
        f"versions seen: {told}",
    ]


def changes(samples: list[Sample]) -> list[dict]:
    """Return each state that differs from the one before it, as plain data."""
    states = [
        {
            "versions": vars(sample.versions),
            "etcd": state_of(sample),
            "healthy": {member.label: member.healthy for member in sample.etcd.members},
            "silent": list(sample.silent),
        }
        for sample in samples
    ]
    pairs = zip([None, *states], states, samples, strict=False)
    return [{"at": clock(sample.at), **state} for before, state, sample in pairs if state != before]


# --- looking ---------------------------------------------------------------------------------------------------------


def question(cluster: access.Cluster, host: str) -> str:
    """Return the one command that asks a host for its programs and its etcd member; a line for each."""
    process = "$(systemctl show --property=MainPID --value {unit}.service)"
    asked = {unit: f"readlink /proc/{process.format(unit=unit)}/exe" for unit in PROGRAMS}
    if host in cluster.members:
        asked |= {name: f"{cluster.etcd_question(host, *one)} | tr -d '\\n'" for name, one in QUESTIONS.items()}
    parts = [f"""printf '%s %s\\n' {name} "$({command})" """ for name, command in asked.items()]
    return f"{{ {'; '.join(parts)}; }} 2>/dev/null; true"


def answers(text: str) -> dict[str, str]:
    """Return {name: answer} of a host's output; who has no answer is left out."""
    return dict(line.split(" ", 1) for line in text.splitlines() if " " in line.strip())


def parsed(text: str) -> dict:
    """Return etcd's answer, {} when it is none."""
    with contextlib.suppress(ValueError):
        return json.loads(text)
    return {}


def ask_hosts(cluster: access.Cluster) -> dict[str, dict[str, str]]:
    """Return {host: answers} of the hosts that could be read."""

    def ask(host: str) -> dict[str, str] | None:
        with contextlib.suppress(*SILENT):
            return answers(cluster.ssh(host, question(cluster, host), timeout=SSH_PATIENCE))
        return None

    found = cluster.each(asked_hosts(cluster), ask)
    return {host: said for host, said in found.items() if said is not None}


def asked_hosts(cluster: access.Cluster) -> list[str]:
    """Return the nodes and members that are on."""
    return [host for host in sorted({*cluster.nodes, *cluster.members}) if host in cluster.addresses]


def ask_api(cluster: access.Cluster, host: str, path: str) -> dict:
    """Return what a master's own API server answers, {} when it does not."""
    with contextlib.suppress(*SILENT):
        return cluster.get(path, server=cluster.server_of(host), timeout=PATIENCE)
    return {}


def kubelets(cluster: access.Cluster, masters: list[str]) -> dict[str, str]:
    """Return {node: its kubelet's version} as the first API server that answers has it."""
    lists = (ask_api(cluster, host, "/api/v1/nodes").get("items") for host in masters)
    nodes = next((found for found in lists if found), [])
    return {node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes}


def look(cluster: access.Cluster, known: tuple = ()) -> Sample:
    """Return the cluster as it is just now; `known` are the members of an earlier sample.

    The API servers come last: what must not be newer than them was read before.
    """
    at, said = time.time(), ask_hosts(cluster)
    masters = [host for host in cluster.masters if host in cluster.addresses]
    nodes = kubelets(cluster, masters)
    servers = cluster.each(masters, lambda host: ask_api(cluster, host, "/version").get("gitVersion", ""))
    off = {host: {} for host in cluster.members if host not in cluster.addresses}
    told = {
        host: {name: parsed(one.get(name, "")) for name in QUESTIONS}
        for host, one in (said | off).items()
        if host in cluster.members
    }
    running = {component: {} for component in PROGRAMS.values()}
    for host, one in said.items():
        for unit, component in PROGRAMS.items():
            match = _host.VERSIONED.match(one.get(unit, ""))
            if match:
                running[component][host] = match.group(1)
    members = {host: one["status"]["version"] for host, one in told.items() if one["status"].get("version")}
    servers = {host: version for host, version in servers.items() if version}
    silent = [f"host {host}" for host in asked_hosts(cluster) if host not in said]
    silent += [f"API server {host}" for host in masters if host not in servers]
    return Sample(
        at,
        _skew.Versions(apiserver=servers, kubelet=nodes, etcd=members, **running),
        _quorum.Cluster(members_of(told, known)),
        frozenset(host for host, one in told.items() if "header" in one["status"]),
        tuple(silent + [f"etcd {host}" for host, one in told.items() if not one["status"]]),
    )


@dataclass
class Watch:
    """Samples a cluster in the background as long as its `with` block lasts."""

    cluster: access.Cluster
    samples: list[Sample] = field(default_factory=list)
    died: str = ""

    def __enter__(self):
        """Read what does not change, so that the thread reads no file that a run writes meanwhile, and begin."""
        _read = (self.cluster.addresses, self.cluster.inventory, self.cluster.tls)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_error):
        """End with the sample that is being taken."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._over.wait(EVERY):
                self.samples.append(look(self.cluster, self.samples[-1].etcd.members if self.samples else ()))
        except Exception as error:
            self.died = repr(error)

    def report(self, name: str) -> list[str]:
        """Tell what was seen, keep it with the results, and return what was wrong."""
        found = judge(self.samples) + ([f"sampling ended early: {self.died}"] if self.died else [])
        for line in tell(self.samples):
            print(line, flush=True)
        kept = {"samples": len(self.samples), "findings": found, "changes": changes(self.samples)}
        (self.cluster.results / f"{name}-samples.json").write_text(json.dumps(kept, indent=1) + "\n")
        return found
