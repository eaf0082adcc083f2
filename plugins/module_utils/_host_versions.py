# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Say in which version each program of each host is to run.

Solves: a master dies in the middle of an upgrade, when the inventory names one version and most hosts run another. To replace it,
or to take it out, must not be the upgrade by another name: without its order, its canary and its copy of etcd. So only site.yml
and upgrade.yml change versions. Whatever else is asked leaves each host what it runs, and gives a newcomer the oldest that runs,
which goes with all others: a kubelet is not newer than any API server, and an etcd member not newer than the cluster (Kubernetes
"Version Skew Policy"; etcd "Upgrade etcd from v3.6 to v3.7"). Leaves out: which versions may be wanted (``_skew``).
"""

from __future__ import annotations

import functools

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _skew
from ansible_collections.multimaster.kubernetes.plugins.module_utils._upgrade_view import (
    ETCD,
    KUBERNETES,
    NODE,
    components,
)

# What is to lie on a host's disk, beside what lies there.
ON_DISK = "kubernetes"


def wanted(kubernetes, etcd):
    """Return {program: version} of any host in a run that changes versions, the one ON_DISK among them."""
    return {**dict.fromkeys((ON_DISK, *KUBERNETES), kubernetes), ETCD: etcd}


def kept(hosts, running, units, kubernetes, etcd):
    """Return {host: {program: version}} in a run that leaves versions alone.

    Each host says what it is (`name`, `master`, `worker`, `member`); `running` is a _skew.Versions of what runs, `units` of what
    the unit files start. A program that runs keeps its version. One that does not has its unit's, as far as that goes with the
    others: a run that was cut off may have written units of a turn that never came. So a node's is no newer than the oldest API
    server, a controller's no newer than its own, and a member no older than those that run, whose data it may have. One without
    a unit has the oldest there is, and in a cluster without any the wanted one.
    """
    servers = {**units.apiserver, **running.apiserver}
    oldest = _oldest(servers.values()) or kubernetes
    data = _oldest(running.etcd.values()) or _oldest(units.etcd.values()) or etcd

    @functools.cache  # a thousand nodes are a few kinds of host
    def chosen(programs, server, runs, starts, member):
        found = {}
        for program, now, unit in zip(KUBERNETES, runs, starts):
            bound = oldest if program in NODE else server
            found[program] = now or min(unit or bound, bound, key=_rank)
        here = [program for program in programs if program != ETCD]
        new = [found[one] for one, *seen in zip(KUBERNETES, runs, starts) if one in here and found[one] not in seen]
        on_disk = _oldest(new) or max(dict.fromkeys(found[program] for program in here), key=_rank, default=oldest)
        return {ON_DISK: on_disk, **found, ETCD: member}

    return {
        host.name: chosen(
            components(host),
            servers.get(host.name) or oldest,
            *(tuple(getattr(of, one).get(host.name) for one in KUBERNETES) for of in (running, units)),
            running.etcd.get(host.name) or max(units.etcd.get(host.name) or data, data, key=_rank),
        )
        for host in hosts
    }


def as_running(hosts, versions):
    """Return the _skew.Versions of hosts whose programs run in these versions ({host: {program: version}})."""
    return _skew.Versions(
        **{
            program: {host.name: versions[host.name][program] for host in hosts if program in components(host)}
            for program in _skew.COMPONENTS
        }
    )


def note(running, kubernetes, etcd):
    """Yield the sentence of a plan that leaves versions alone although others are wanted."""
    programs = sorted({version for program in KUBERNETES for version in getattr(running, program).values()}, key=_rank)
    members = sorted(set(running.etcd.values()), key=_rank)
    if any(version != kubernetes for version in programs) or any(version != etcd for version in members):
        yield (
            f"versions stay as they are (Kubernetes {', '.join(programs)}; etcd {', '.join(members)}): upgrade.yml takes them to "
            f"{kubernetes} and {etcd}, or goes on where it stopped"
        )


def _oldest(versions):
    # The same few versions on many hosts are compared once each.
    return min(dict.fromkeys(versions), key=_rank, default="")


def _rank(version):
    """Order versions; what is none comes last, and preflight tells of it."""
    try:
        return False, _skew.parse(version)
    except ValueError:
        return True, (version,)
