# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Say what forbids an upgrade, all of it at once, each with the next step; and which way back there is at a point of it.

Leaves out: the order of the steps (``_upgrade``), and what stands in the way of one step at its moment (``_quorum``).
"""

from __future__ import annotations

import functools
import heapq
from dataclasses import dataclass, replace

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _quorum, _removed_flags, _skew
from ansible_collections.multimaster.kubernetes.plugins.module_utils._finding import errors, some, warnings
from ansible_collections.multimaster.kubernetes.plugins.module_utils._quorum import Refusal
from ansible_collections.multimaster.kubernetes.plugins.module_utils._upgrade_view import (
    BACK,
    ETCD,
    EXTRA,
    KUBERNETES,
    direction,
    read,
)

# What _skew says to a state that runs assumes that somebody upgrades; an upgrade must not begin beside it.
_BY_HAND = (
    "bring {program} on {host} to a version its API servers allow, by hand or by remove_node.yml and site.yml; then run again"
)

# The permission for etcd's formal downgrade, given for one run (-e) and read by no role; and what to read before it is given.
ALLOW_DOWNGRADE = "etcd_allow_downgrade"
GO_BACK = "docs/runbooks/upgrade-go-back.md"
UNTOUCHED = "nothing has changed yet: stop here"


@dataclass(frozen=True)
class Old:
    """The versions to go back to; "" where nothing changes."""

    kubernetes: str = ""
    etcd: str = ""


def refusals(view) -> tuple:
    """Return every Refusal of an upgrade, in a stable order."""
    found = [*_settings(view), *_hosts(view), *_sick(view), *_unreadable(view), *_skewed(view), *_hops(view), *_arguments(view)]
    return tuple(dict.fromkeys(found))


def outage(host, restarts) -> Refusal:
    """Return the Refusal of a step that stops the whole API: of a master, or of an etcd member that has a host of its own."""
    others = "etcd members" if tuple(restarts) == (_skew.COMPONENTS[ETCD],) else "masters"
    verb = "restarts" if len(restarts) == 1 else "restart"
    return Refusal(
        "outage",
        f"{host} has no other to stand in for it: while {', '.join(restarts)} {verb} there, the whole API is away",
        f"allow it for this run (-e etcd_allow_outage=true), or add {others} first: of three, one can be spared",
    )


def even(host) -> Refusal:
    """Return the Refusal of letting a voter give way of which multimaster_even_voters says that it always votes."""
    return Refusal(
        "even",
        f"etcd on {host} cannot be spared, and multimaster_even_voters keeps it from giving way to the other member",
        _quorum.EVEN_NEXT,
    )


def downgrade(view):
    """Yield each Refusal of etcd's formal downgrade: it is to be allowed, and takes members that run."""
    target, minor = _skew.parse(view.wanted.etcd), ".".join(map(str, view.cluster_version()))
    if not view.wanted.allow_downgrade:
        yield Refusal(
            "downgrade",
            f"every etcd member runs {minor}, so etcd goes back to {target} by its formal downgrade, which is to be allowed",
            f"read {GO_BACK}, then allow it for this run (-e {ALLOW_DOWNGRADE}=true)",
        )
    down = view.members_down()
    if down:
        yield Refusal(
            "downgrade-down",
            f"etcd does not run on {', '.join(down)}, and {target} does not start with data of {minor}",
            f"start it with {minor} first: upgrade.yml with that version in multimaster_etcd_version does",
        )


def unfit(view):
    """Yield a Refusal where a downgrade is enabled and a member stopped before its turn came: its data may not fit yet.

    Units are written for the older program only when the data of every member fit (``phases/downgrade.yml`` comes first). So who
    is down in its turn, as a run that was cut off leaves it, starts the older program and goes on.
    """
    enabled, target = view.downgrade(), _skew.parse(view.wanted.etcd)
    if not enabled or enabled.line != target.line:
        return
    starts = {host.name: read(host.starts) for host in view.hosts}
    early = [name for name in view.members_down() if starts[name] and starts[name].line > target.line]
    if early:
        yield Refusal(
            "downgrade-down",
            f"etcd stopped on {', '.join(early)} while its downgrade was enabled: {target} may not start with its data yet",
            "start it there as it is installed (`systemctl start etcd`), so that its data are made to fit; then run again",
        )


def notes(view) -> tuple:
    """Return what to know beside the plan."""
    told = [_sentence(one) for one in warnings((*view.skew, *view.hops))]
    voters = [host for host in view.hosts if host.member and host.votes]
    if voters and all(ETCD in host.stopped for host in voters):
        told.append("no etcd voter runs, so no snapshot can be taken first: use the one of the run that was cut off")
    if unsupported(view.running, view.wanted.kubernetes):
        told.append(
            f"every API server is newer than {view.wanted.kubernetes}: upstream does not support going back from here; what only "
            "the newer one knows (new APIs, new fields) would be lost"
        )
    return tuple(dict.fromkeys(told))


def old_versions(view) -> Old:
    """Return what to run again with to go back: the nearest version that is left behind on this way."""
    kubernetes = _left(view.versions(*KUBERNETES), _skew.parse(view.wanted.kubernetes))
    return Old(kubernetes, _left(view.versions(ETCD), _skew.parse(view.wanted.etcd)))


def _left(running, wanted):
    if direction(running, wanted) == BACK:
        return str(max(running))
    older = [version for version in running if version < wanted]
    return str(max(older)) if older else ""


def unsupported(running, wanted) -> bool:
    """Tell whether the API servers would go back a minor with none left that runs it, which upstream does not support."""
    servers, target = [read(text) for text in running.apiserver.values()], read(wanted)
    return bool(servers and target) and all(version and version.line > target.line for version in servers)


def way_back_now(view, old: Old) -> str:
    """Return the way back before anything is done: nothing to undo, unless a run that was cut off did some of it."""
    done = (old.kubernetes and read(view.wanted.kubernetes) in view.versions(*KUBERNETES)) or (
        old.etcd and read(view.wanted.etcd) in view.versions(ETCD)
    )
    return way_back(view, old) if done else UNTOUCHED


def way_back(view, old: Old) -> str:
    """Return the way back from what runs now, in one sentence."""
    parts, plain = [], []
    if old.kubernetes:
        blocking = errors(_skew.judge_target(view.running, old.kubernetes, back=True))
        if blocking:
            newer = f"{blocking[0].host} runs {blocking[0].found}"
            parts.append(f"Kubernetes only goes on ({newer}); the last resort is to restore the snapshot")
        else:
            beyond = " (not supported upstream: every API server is new)" if unsupported(view.running, old.kubernetes) else ""
            plain.append(f"Kubernetes {old.kubernetes}{beyond}")
    if old.etcd:
        members, back = view.versions(ETCD), _skew.parse(old.etcd).line
        if members and min(members).line > back:
            parts.append(f"etcd {old.etcd} by its formal downgrade (-e {ALLOW_DOWNGRADE}=true), since every member is new")
        else:
            plain.append(f"etcd {old.etcd}")
    if plain:
        parts.insert(0, f"run again with {' and '.join(plain)}")
    return "; ".join(parts)


def ways_back(view, nodes, old: Old, batches):
    """Yield the way back after each of these batches of nodes, which change in this order.

    ``view``: all else, as it is by then; ``nodes``: {component: {host: version}} before the first batch; ``batches``: (host,
    component) of what runs as wanted then. Which node forbids the old version first is all that a batch can change, so the way is
    worked out again only where it does.
    """

    @functools.cache
    def forbids(component, text):
        running = _skew.Versions(**{component: {"": text}})
        return bool(errors(_skew.judge_target(running, old.kubernetes, back=True)))

    now = {component: dict(versions) for component, versions in nodes.items()}
    # A sorted list is a heap; who forbids it no more is taken out when it comes first.
    queues = {c: sorted(name for name, text in versions.items() if forbids(c, text)) for c, versions in now.items()}
    told, text = None, ""
    for batch in batches:
        for name, component in batch:
            now[component][name] = view.target(component)
            if forbids(component, view.target(component)):
                heapq.heappush(queues[component], name)
        for component, queue in queues.items():
            while queue and not forbids(component, now[component][queue[0]]):
                heapq.heappop(queue)
        first = {component: {name: now[component][name] for name in queue[:1]} for component, queue in queues.items()}
        if first != told:
            told, text = first, way_back(replace(view, running=replace(view.running, **first)), old)
        yield text


def _settings(view):
    if view.batch() is None:
        reason = f"the batch of workers is {view.wanted.batch!r}"
        yield Refusal("batch", reason, 'give a number from 1 on, or a percentage such as "20%"')


def _hosts(view):
    listed = {host.name for host in view.hosts}
    for host in view.hosts:
        if not host.reachable:
            what = "master" if host.master else "etcd member" if host.member else "worker"
            reason = f"the {what} {host.name} cannot be reached"
            fix = "make it reachable, or take it out by remove_node.yml or replace_node.yml, then run again"
            yield Refusal("unreachable", reason, fix)
    others = {name for component in _skew.COMPONENTS for name in getattr(view.running, component)} - listed
    for name in sorted(others):
        yield Refusal("unlisted", f"{name} runs parts of the cluster and is not to be upgraded", "list it, or remove it first")


def _sick(view):
    """Refuse to stop a member beside one that hangs or is cut off, where etcd cannot do without both.

    A member that is stopped is another matter: it is started before anybody else has a turn.
    """
    if not (read(view.wanted.kubernetes) and read(view.wanted.etcd)):
        return  # which is refused by itself
    voters = [host for host in view.hosts if host.member and host.votes]
    sick = [host for host in view.hosts if host.member and host.sick]
    needed = _quorum.quorum(len(voters))
    left = len([host for host in voters if host not in sick]) - 1
    for host in sick:
        due = [one for one in view.hosts if one != host and view.changing(one, (ETCD,))]
        takes_over = len(voters) == 1 and not host.votes
        if due and (takes_over or (host.votes and left < needed)):
            few = f"without another one {max(left, 0)} of {needed} needed were left"
            beside = "nobody else can take over" if takes_over else few
            yield Refusal(
                "sick",
                f"etcd on {host.name} runs and is not healthy: {beside}",
                f"on {host.name} `journalctl -u etcd -n 50`; restart it there, or replace the host (replace_node.yml)",
            )


def _unreadable(view):
    for host in view.hosts:
        missing = [
            _skew.COMPONENTS[component]
            for component in host.components
            if host.reachable and component not in host.stopped and host.name not in getattr(view.running, component)
        ]
        if missing:
            reason = f"no version can be read of {', '.join(missing)} on {host.name}"
            yield Refusal("no-version", reason, "build the host by site.yml with the present versions first")


def _skewed(view):
    for one in errors(view.skew):
        program = one.check[len("skew-") :]
        by_hand = one.check not in ("skew-version", "skew-etcd", "skew-apiserver")
        fix = _BY_HAND.format(program=program, host=one.host) if by_hand else one.fix
        yield Refusal(one.check, _sentence(one), fix)


def _hops(view):
    for one in errors(view.hops):
        yield Refusal(one.check, _sentence(one), one.fix)


def _sentence(finding):
    place = f"{finding.host}: " if finding.host else ""
    return f"{place}{finding.found}; wanted: {finding.wanted}"


def _arguments(view):
    for program, arguments in sorted(view.wanted.extra.items()):
        wanted = read(view.wanted.etcd if program == "etcd" else view.wanted.kubernetes)
        unfit = {}
        for host, flags in arguments.items() if wanted else ():
            for one in _removed_flags.unfit(program, wanted.line, flags):
                unfit.setdefault(one, {})[host] = None
        for one, hosts in unfit.items():
            said = f"{program} {wanted} does not start with the {one.what} {one.name} of {EXTRA[program]}: it {one.why}"
            yield Refusal("argument", f"{some(list(hosts))}: {said}", f"take {one.name} out of {EXTRA[program]}")
