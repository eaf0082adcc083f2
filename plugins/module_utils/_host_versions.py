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

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _skew

KUBERNETES, ETCD = "kubernetes", "etcd"
PROGRAMS = tuple(component for component in _skew.COMPONENTS if component != ETCD)
NODE = ("kubelet", "kube_proxy")


def wanted(kubernetes, etcd):
    """Return {program: version} of any host in a run that changes versions; `kubernetes` is what is to lie on its disk."""
    return {**dict.fromkeys((KUBERNETES, *PROGRAMS), kubernetes), ETCD: etcd}


def kept(host, standing, kubernetes, etcd):
    """Return {program: version} of one host in a run that leaves versions alone.

    `host` says what it is (`name`, `master`); `standing` is a _skew.Versions of what runs, or would by its unit file. A program
    of which nothing is known gets the version of the oldest API server or etcd member, in a cluster without any the wanted one.
    What is known lies on the disk already, so `kubernetes` is the version of the rest, else the newest that is known here.
    """
    oldest = _oldest(standing.apiserver.values()) or kubernetes
    own = {program: getattr(standing, program).get(host.name) for program in PROGRAMS}
    here = [own[program] for program in (PROGRAMS if host.master else NODE)]
    return {
        KUBERNETES: max(here, key=_rank) if all(here) else oldest,
        **{program: version or oldest for program, version in own.items()},
        ETCD: standing.etcd.get(host.name) or _oldest(standing.etcd.values()) or etcd,
    }


def as_running(hosts, versions):
    """Return the _skew.Versions of hosts whose programs run in these versions ({host: {program: version}})."""
    parts = {program: [host for host in hosts if host.master] for program in PROGRAMS}
    parts.update({program: [host for host in hosts if host.master or host.worker] for program in NODE})
    parts[ETCD] = [host for host in hosts if host.member]
    return _skew.Versions(
        **{program: {host.name: versions[host.name][program] for host in names} for program, names in parts.items()}
    )


def note(standing, kubernetes, etcd):
    """Yield the sentence of a plan that leaves versions alone although others are wanted."""
    programs = sorted({version for program in PROGRAMS for version in getattr(standing, program).values()}, key=_rank)
    members = sorted(set(standing.etcd.values()), key=_rank)
    if any(version != kubernetes for version in programs) or any(version != etcd for version in members):
        yield (
            f"versions stay as they are (Kubernetes {', '.join(programs)}; etcd {', '.join(members)}): upgrade.yml takes them to "
            f"{kubernetes} and {etcd}, or goes on where it stopped"
        )


def _oldest(versions):
    return min(versions, key=_rank, default="")


def _rank(version):
    """Order versions; what is none comes last, and preflight tells of it."""
    try:
        return False, _skew.parse(version)
    except ValueError:
        return True, (version,)
