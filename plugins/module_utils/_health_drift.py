# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Check that every place that names members names the right ones: API servers, balancers, VRRP, certificates, first starts.

Each check is a function from a `_health_view.View` to findings; `_health` lists them. What is missing carries no failure,
which is an error; what is left over is a warning. Of what could not be read nothing is said, nor of what a run has yet to
bring in: a host that is to become a master is named by the others before it takes part, or not yet.
"""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _join_order, _membership
from ansible_collections.multimaster.kubernetes.plugins.module_utils._endpoint import BALANCED
from ansible_collections.multimaster.kubernetes.plugins.module_utils._finding import ERROR, WARNING, Finding


def first_starts_over(seen):
    """Tell of a member that serves and still has what its first start needed: it might start without its data."""
    for name in seen.cluster["members"]:
        member, etcd = seen.member_of(name), seen.observed.get(name, {}).get("etcd", {})
        left = [path for path, there in _first_start_files(etcd).items() if there]
        if left and member and member.healthy and member.started:
            yield Finding(
                name,
                "etcd-first-start",
                f"etcd member {member.label} serves and still has {' and '.join(left)} of its first start",
                "neither once it serves",
                "Run site.yml: it finishes what was cut off and takes them away."
                if _membership.RECORD in left
                else f"On {name}: rm {left[0]}; systemctl daemon-reload.",
                WARNING,
            )


def _first_start_files(etcd):
    return {_membership.RECORD: etcd.get("record") is not None, _membership.FIRST_START: bool(etcd.get("first_start"))}


def api_servers_pointed(seen):
    """Want every API server to use the etcd member of its host when that votes, else all voters, and nothing else."""
    if seen.survival.failures < 0:
        return  # who votes is known from a quorum only
    for name in seen.masters:
        used = (seen.observed.get(name, {}).get("api_server") or {}).get("etcd_servers")
        wanted = _join_order.repointed(seen.host(name)["node_name"], used, seen.etcd.members) if used else None
        # Where it will belong when members that are on their way vote, it may be already.
        if wanted and set(used) != set(seen.host(name)["etcd_endpoints"]):
            yield Finding(
                name,
                "api-etcd",
                f"the API server uses etcd at {', '.join(sorted(used))}",
                ", ".join(sorted(wanted)),
                "Run site.yml: it drains the API server and restarts it with these.",
                ERROR if set(wanted) - set(used) else WARNING,
            )


def balancers_know(seen):
    """Tell of an API server that balancers list and that is no master's of the inventory."""
    names = {seen.host(name)["node_name"] for name in seen.masters}
    addresses = {seen.host(name)["address"] for name in seen.masters}
    listing = {}
    for reader, balancer in seen.part("balancer").items() if seen.mode == BALANCED else ():
        for server, state in (balancer["servers"] or {}).items():
            address = state.get("address", "")
            if server not in names and address.rsplit(":", 1)[0] not in addresses:
                listing.setdefault((server, address), []).append(reader)
    # The name and the address of a master that was not observed are a guess: it may be this one.
    for (server, address), readers in sorted(listing.items()) if _all_observed(seen) else ():
        yield Finding(
            "",
            "balancer-stray",
            f"the balancer of {', '.join(readers)} lists {server} ({address}), and no master of the inventory is that",
            "only masters of the inventory",
            "List it in the inventory again; if it is no master any more, or gone, then remove_node.yml takes it out.",
            WARNING,
        )


def vrrp_peers_known(seen):
    """Want every keepalived to know all other masters that take part, and nobody else: who is not told takes the address."""
    parts = {
        name: part
        for name, part in seen.part("balancer").items()
        if seen.mode == BALANCED and name in seen.observed and (part["vrrp"] or {}).get("state", "down") != "down"
    }
    for name, part in parts.items():
        peers = part.get("peers")
        if peers is None:
            continue
        others = {other: seen.host(other)["address"] for other in seen.masters if other != name}
        missing = [other for other, address in others.items() if other in parts and address not in peers]
        strange = sorted(set(peers) - set(others.values())) if _all_observed(seen) else []
        said = [f"lacks {', '.join(missing)}"] if missing else []
        said += [f"names {', '.join(strange)}, which is no other master"] if strange else []
        if said:
            yield Finding(
                name,
                "vrrp-peers",
                f"keepalived's configuration {' and '.join(said)}",
                f"the other masters ({', '.join(address for address in others.values() if address)})",
                "List it in the inventory again; if it is no master any more, or gone, then remove_node.yml takes it out."
                if strange
                else "Run site.yml: it writes the peers anew.",
                ERROR if missing else WARNING,
            )


def certificates_named(seen):
    """Want every serving certificate of ours to be for all names and addresses its host is reached by."""
    for one in seen.certificates:
        # The names of a host that was not observed are a guess.
        if one.lacks and one.host in seen.observed:
            yield Finding(
                one.host,
                "certificate-names",
                f"{one.path} is not for {', '.join(one.lacks)}",
                "a certificate for every name and address of its host's part",
                "Run site.yml: it issues it anew.",
            )


def _all_observed(seen):
    """Tell whether the name and the address of every master are known from itself."""
    return all(name in seen.observed for name in seen.masters)
