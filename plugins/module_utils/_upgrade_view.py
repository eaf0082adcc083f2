# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""What an upgrade is decided from: the hosts, what runs on them, what is wanted, and small questions to these.

Leaves out: which step comes next (``_upgrade``) and what forbids an upgrade (``_upgrade_refusals``).
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _quorum, _settings, _skew

ETCD, APISERVER = "etcd", "apiserver"
CONTROLLERS = ("controller_manager", "scheduler")
NODE = ("kubelet", "kube_proxy")
KUBERNETES = (APISERVER, *CONTROLLERS, *NODE)
# The roles' inputs for the user's own arguments of each program; of those on every node they are a part of a configuration file.
EXTRA = {
    "etcd": "etcd_extra_flags",
    "kube-apiserver": "kube_apiserver_extra_flags",
    "kube-controller-manager": "kube_controller_manager_extra_flags",
    "kube-scheduler": "kube_scheduler_extra_flags",
    "kubelet": "kubelet_extra_config",
    "kube-proxy": "kube_proxy_extra_config",
}

# Directions.
UP, BACK, STAY = "up", "back", "stay"


def components(host):
    """Return what is to run on a host, of which `master`, `worker` and `member` are known."""
    etcd = (ETCD,) if host.member else ()
    control = (APISERVER, *CONTROLLERS) if host.master else ()
    return (*etcd, *control, *(NODE if host.master or host.worker else ()))


@dataclass(frozen=True)
class Host:
    """One host: its inventory name and zone, what it is, and what was seen of it.

    ``holds`` the endpoint address; ``leads`` etcd. ``votes``: its etcd member is a voter, False a learner, None no member at
    this moment; ``sick``: that member runs and is not healthy, so it hangs or is cut off. ``stopped``: components (names of
    ``_skew.COMPONENTS``) that are installed and do not run, as a cut-off run or a crash leaves them. ``starts``: the version of
    etcd that its unit starts, "" when it is not known. ``pinned``: its pods could go to no other node, so it is not drained.
    """

    name: str
    zone: str = ""
    master: bool = False
    worker: bool = False
    member: bool = False
    reachable: bool = True
    holds: bool = False
    leads: bool = False
    votes: bool | None = True
    sick: bool = False
    stopped: tuple = ()
    starts: str = ""
    pinned: bool = False

    @property
    def components(self):
        """Return what is to run here."""
        return components(self)


@dataclass(frozen=True)
class Wanted:
    """The wanted versions, and how to get there.

    ``batch``: how many workers at once, a number or a percentage of all workers ("20%"). ``allow_outage``: whether the only
    master or only voter may restart. ``allow_downgrade``: whether etcd may be told to go back a minor. ``extra``: {program:
    {host: {flag: value}}}, the user's own arguments on each host; feature gates as the value of ``feature-gates`` or
    ``featureGates``, text or dict.
    ``even_voters``: whether both of two members are to vote, so that neither gives way to the other.
    """

    kubernetes: str
    etcd: str
    batch: str = "1"
    allow_outage: bool = False
    allow_downgrade: bool = False
    extra: dict = field(default_factory=dict)
    even_voters: bool = False


@dataclass(frozen=True)
class Etcd:
    """What etcd says of itself: its cluster version, and the target of a downgrade that is enabled; "" is not known or none.

    The cluster version that counts is the one at rest: the downgrade's target, which etcd takes over within seconds (tried), else
    the oldest member's minor when every member runs, else what is told.
    """

    cluster_version: str = ""
    downgrade: str = ""


@dataclass(frozen=True)
class View:
    """The cluster at one point of the plan.

    ``holder`` has the endpoint address, "" nobody, None not known; it stays where it is, since what restarts is behind the
    balancers of all masters.
    """

    running: _skew.Versions
    hosts: tuple
    wanted: Wanted
    etcd: Etcd = Etcd()
    holder: str | None = None

    @functools.cached_property
    def skew(self):
        """Return the findings on what runs now."""
        return _skew.judge_skew(self.running)

    @functools.cached_property
    def hops(self):
        """Return the findings on the way from what runs to what is wanted."""
        return _skew.judge_target(self.running, self.wanted.kubernetes, self.wanted.etcd, back=True)

    def target(self, component):
        """Return the wanted version of a component as text."""
        return self.wanted.etcd if component == ETCD else self.wanted.kubernetes

    def now(self, component, host):
        """Return the running _skew.Version, None when nothing readable runs."""
        return read(getattr(self.running, component).get(host.name))

    def present(self, component, host):
        """Return likewise the running version as text, "" when nothing readable runs."""
        return plain(getattr(self.running, component).get(host.name))

    def changing(self, host, components):
        """Return those of the components that are to run on this host and do not run as wanted."""
        due = host.components
        return tuple(
            component
            for component in components
            if component in due
            and (component in host.stopped or self.now(component, host) != _skew.parse(self.target(component)))
        )

    def versions(self, *components):
        """Return the readable running versions of these components, on whatever host."""
        texts = {text for component in components for text in getattr(self.running, component).values()}
        return [version for version in map(read, texts) if version]

    def cluster(self):
        """Return etcd as it is seen, as _quorum.Cluster; who hangs, does not run or cannot be reached is not healthy."""
        return _quorum.Cluster(
            tuple(
                _quorum.Member(
                    id=host.name,
                    name=host.name,
                    is_learner=not host.votes,
                    healthy=host.reachable and not host.sick and ETCD not in host.stopped,
                    zone=host.zone,
                )
                for host in self.hosts
                if host.member and host.votes is not None
            )
        )

    def spares(self, host):
        """Return whether etcd keeps its quorum while this host's member restarts, everybody else being healthy."""
        voters = [other for other in self.hosts if other.member and other.votes]
        return host not in voters or ETCD in host.stopped or len(voters) - 1 >= _quorum.quorum(len(voters))

    def learners(self):
        """Return the hosts whose learner could vote instead of another."""
        return [host for host in self.hosts if host.member and host.votes is False]

    def batch(self):
        """Return how many workers at once, None when the setting cannot be read."""
        try:
            return _settings.batch_size(self.wanted.batch, sum(host.worker and not host.master for host in self.hosts))
        except ValueError:
            return None

    def cluster_version(self):
        """Return (major, minor) of etcd's cluster version as it is at rest (see ``Etcd``), None without any member."""
        enabled, told, members = self.downgrade(), read(self.etcd.cluster_version), self.versions(ETCD)
        if enabled:
            return enabled.line
        oldest = min(members).line if members else None
        if not told:
            return oldest
        return told.line if self.members_down() or not oldest else max(told.line, oldest)

    def members_down(self):
        """Return the names of hosts whose member does not run; one that was taken out is none."""
        return [host.name for host in self.hosts if host.member and host.votes is not None and ETCD in host.stopped]

    def downgrade(self):
        """Return the target of the downgrade that is enabled, None without one; etcd tells it with or without a patch."""
        text = self.etcd.downgrade
        return read(f"{text}.0" if text.count(".") == 1 else text)

    def control(self):
        """Return the View of masters and etcd members alone, which is a small one however many nodes there are.

        Of what the others run as nodes it keeps each version once, on the first host by name, which is all that judging needs.
        """
        hosts = tuple(host for host in self.hosts if host.master or host.member)
        names = {host.name for host in hosts}

        def few(versions):
            first = {text: name for name, text in sorted(versions.items(), reverse=True)}
            return {name: text for name, text in versions.items() if name in names or first[text] == name}

        nodes = {component: few(getattr(self.running, component)) for component in NODE}
        return replace(self, running=replace(self.running, **nodes), hosts=hosts)

    def after(self, changes, votes=None, leads=None):
        """Return the View when these (host, component) run as wanted; `votes` and `leads` by host name where they change."""
        running = {component: dict(getattr(self.running, component)) for component in _skew.COMPONENTS}
        done = {}
        for name, component in changes:
            running[component][name] = self.target(component)
            done.setdefault(name, set()).add(component)
        hosts = tuple(
            replace(
                host,
                stopped=tuple(component for component in host.stopped if component not in done.get(host.name, ())),
                votes=(votes or {}).get(host.name, host.votes),
                leads=(leads or {}).get(host.name, host.leads),
            )
            for host in self.hosts
        )
        return replace(self, running=_skew.Versions(**running), hosts=hosts)


def read(text):
    """Return the _skew.Version in a text, None when there is none."""
    try:
        return _skew.parse(text)
    except ValueError:
        return None


@functools.lru_cache(maxsize=256)  # a plan tells the same few versions thousands of times
def plain(text):
    """Return a version's text without a suffix, "" when there is none in it."""
    return str(read(text) or "")


def direction(running, wanted):
    """Return whether the way from these versions to the wanted one is up, back (as soon as one is newer) or none."""
    if any(version > wanted for version in running):
        return BACK
    return UP if any(version < wanted for version in running) else STAY
