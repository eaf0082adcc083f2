# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Say which hosts take their turn at being started or restarted, in which order, and how many at once.

Solves: what restarts is decided from what runs (``_unit_plan``), so whoever already runs as it should is left out, and what
restarts together never takes more out of the cluster than it can spare. Leaves out: the gates between two turns (the modules).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _canary,
    _endpoint,
    _etcd_scene,
    _settings,
    _topology,
    _unit_plan,
)

DOWN, RESTART, ANY = "down", "restart", "any"
# The variables in which the roles register what `unit_set` and `api_endpoint` returned.
ETCD, API_SERVER, ENDPOINT = ("etcd_result",), ("kube_apiserver_result",), ("api_endpoint_result",)
CONTROLLERS = ("kube_controller_manager_result", "kube_scheduler_result")
# The orders of the fact with those whose member is new: it starts by founding or joining.
NEW = ("bootstrap", "grow")
NODE_SERVICES = ("containerd_result", "kubelet_result", "kube_proxy_result", "network_result")


def control_turns(hostvars: Mapping[str, Mapping], fact: Mapping) -> dict:
    """Return whose etcd member, control plane and part in the endpoint take a turn, each in the order in which they do.

    One drain a master, in the order of docs/architecture.md, "Turns" (docs/adr/0009-one-drain-a-master.md).

    ``hostvars``: {inventory name: variables}, among them what `unit_set` and `api_endpoint` returned (a host without a result
    needs nothing). ``fact``: the fact `multimaster` (`_topology_fact`). The keys, all lists of inventory names but
    ``running_ready``, which says whether an API server that runs as it should has to be ready: not while a member, which it may
    use, is yet to restart.

        ==========  =================================================================================================
        drifted     members that run with other settings than they should, voters and learners
        early       members that start before any other restarts: who is down is missing from the quorum, and a learner
                    has no vote to miss, but is to vote with what is written
        members     voters on hosts of their own that run with other settings than they should
        last        those of them that wait for the masters: the API server of one has that member alone, until its turn
        masters     masters of whose etcd, API server or controllers that is so: one drain a master. First where controllers
                    are down (they wait for their API server) or something runs and is not ready, then what a run that was
                    cut off left half done; no member restarts while the API server of another master has that one alone
        etcd        whose etcd member restarts in its turn
        renewing    those of them whose lock is kept through another master before it does; with one master nobody could be asked
        drained     masters whose connections move away in their turn; controllers alone need no drain
        watched     masters that an earlier run of an upgrade changed, looked at before anybody else follows
        endpoint    masters that take their part in the endpoint, its holder first; where it is somebody else's balancer, the one
                    master that says what to point it at
        ==========  =================================================================================================

    A new member starts by joining, a voter that is about to come back as a learner starts with what is written then, and the
    other one of two members waits for the next run: none of them takes a turn at etcd.
    """
    masters, drifted = fact["masters"], _asking(hostvars, fact["turns"], ETCD, RESTART)
    voters = _voters(drifted, fact)
    of_their_own = [name for name in voters if name not in masters]
    last = _last(of_their_own, fact)
    drained = {*voters, *_asking(hostvars, fact["turns"], API_SERVER, RESTART)}
    in_turn = _masters(hostvars, fact, voters, drained)
    return {
        "drifted": drifted,
        "early": _early(hostvars, fact, drifted),
        "members": [name for name in of_their_own if name not in last],
        "last": last,
        "masters": in_turn,
        "etcd": voters,
        "renewing": [name for name in voters if name in in_turn and fact["hosts"][name]["neighbour"] != name],
        "drained": [name for name in in_turn if name in drained],
        "watched": _canary.earlier(masters, in_turn) if fact["canary"]["seconds"] > 0 else [],
        "endpoint": _parts(hostvars, fact),
        "running_ready": not voters,
    }


def _asking(hostvars, names, variables, why):
    """Return those of these names for whom one of these variables holds a result that asks for a turn."""
    return [name for name in names if any(_asks(hostvars[name].get(one) or {}, why) for one in variables)]


def _named(fact, *orders):
    """Return the names of these orders of the fact, which are host patterns there."""
    return [name for order in orders for name in fact["order"][order].split(",")]


def _early(hostvars, fact, drifted):
    """Return the members that start before any other restarts: who is down and does not join, then learners that drifted."""
    new = _named(fact, *NEW)
    down = [name for name in _asking(hostvars, fact["turns"], ETCD, DOWN) if name not in new]
    return down + [name for name in drifted if name in fact["learners"]]


def _voters(drifted, fact):
    """Return the members that restart in a turn: not who has started early, joins, gives way or waits for another run."""
    elsewhere = {*fact["learners"], *fact["later"], *_named(fact, *NEW, "demote")}
    return [name for name in drifted if name not in elsewhere]


def _masters(hostvars, fact, voters, drained):
    """Return the masters that take a turn, in order; `voters`, `drained`: whose etcd restarts, whose connections move away.

    As in the plan of an upgrade (_upgrade): while something is down on one master nothing else may stop, and one that was left
    half done is finished.
    """
    turns = fact["turns"]
    due = drained.union(_asking(hostvars, turns, CONTROLLERS, RESTART))
    found = [name for name in turns if name in fact["masters"] and name in due]
    found.sort(key=lambda name: not _half_done(hostvars[name]))
    ill = {*_asking(hostvars, turns, CONTROLLERS, DOWN), *(name for name in turns if _sick(hostvars[name]))}
    after = _after(_asking(hostvars, found, API_SERVER, RESTART), {*found}.intersection(voters), fact["hosts"])
    first, then = ([name for name in found if (name in ill) is group] for group in (True, False))
    return [*_in_order(first, after), *_in_order(then, after)]


def _parts(hostvars, fact):
    """Return the masters that take their part in the endpoint: who has something to do, or whoever says what to do."""
    parts, mode = _named(fact, "holder_first"), fact["endpoint"]["mode"]
    if mode == _endpoint.BALANCED:
        return _asking(hostvars, parts, ENDPOINT, ANY)
    return parts[:1] if mode == _endpoint.EXTERNAL else parts


def runs_as_it_should(result: Mapping) -> bool:
    """Return whether no unit of what `unit_set` returned has to restart, so that nothing waits for its turn."""
    return not result["restart_needed"]


def _after(moved, restarting, hosts):
    """Return {master: the masters whose turn comes before its own} for API servers that move from some etcd members to others.

    An API server that has one member alone answers nothing while that one restarts, and balancers find out seconds later (seen
    on the lab: a removal that made m3 use m2's member, and then a flag of etcd for m2).
    """
    now, then = _servers(moved, hosts)
    after = {}
    for member in restarting:
        url = [hosts[member]["client_url"]]
        used, wanted = (_etcd_scene.alone_on(url, servers) - {member} for servers in (now, then))
        for name in wanted - used:
            after.setdefault(name, set()).add(member)
        after.setdefault(member, set()).update(used - wanted)
    return after


def _servers(masters, hosts):
    """Return (name, etcd URLs) of the API servers of these masters twice: with those that they use, and that they are to use."""
    known = [(name, hosts[name]) for name in masters]
    return [(name, host["etcd_used"]) for name, host in known], [(name, host["etcd_endpoints"]) for name, host in known]


def _last(members, fact):
    """Return those of these members that an API server has alone and is not to, so that its turn takes it off them.

    It is told by what was seen at the beginning, since the masters' turns must not change it. Who moves to a lone member does so
    after that one has restarted.
    """
    now, then = _servers(fact["masters"], fact["hosts"])
    urls = {name: [fact["hosts"][name]["client_url"]] for name in members}
    return [name for name, url in urls.items() if _etcd_scene.alone_on(url, now) and not _etcd_scene.alone_on(url, then)]


def _in_order(names, after):
    """Return these names in their order, but each after those that come before it."""
    ordered, left = [], list(names)
    while left:
        free = [name for name in left if not after.get(name, set()).intersection(left)]
        ordered.append((free or left)[0])
        left.remove(ordered[-1])
    return ordered


def _half_done(variables):
    """Return whether some program of a master's runs as it should, and it is not for all that it takes a turn."""
    results = [variables[one] for one in (*ETCD, *API_SERVER, *CONTROLLERS) if (variables.get(one) or {}).get("units")]
    return any(not _asks(result, ANY) for result in results)


def _sick(variables):
    """Return whether some program of a master's control plane was left running and is not ready, as with a wrong setting."""
    return any((variables.get(one) or {}).get("unready") for one in (*API_SERVER, *CONTROLLERS))


def _asks(result, why):
    """Return whether a result asks for a turn; a unit that is activating counts as up: it may wait for other members."""
    states = [unit["active"] for unit in (result.get("units") or {}).values()]
    down = any(state not in (*_unit_plan.UP, "activating") for state in states)
    restart = bool(result.get("restart_needed") or result.get("turn_needed"))
    return {DOWN: down, RESTART: restart, ANY: down or restart}[why]


def node_turns(hostvars: Mapping[str, Mapping], fact: Mapping) -> dict:
    """Return the ``batches`` of the nodes whose services run with other settings or programs than they should."""
    nodes = [name for name in fact["hosts"] if name in fact["masters"] or name in fact["workers"]]
    due = [name for name in nodes if any(_asks(hostvars[name].get(one) or {}, RESTART) for one in NODE_SERVICES)]
    return batches(due, fact["hosts"], fact["upgrade_batch"])


def batches(names: Sequence[str], hosts: Mapping[str, Mapping], batch: str) -> dict:
    """Return {hosts: a host pattern, serial: how many in each batch}: masters one by one, then workers of one zone at a time.

    ``hosts`` is that of the fact `multimaster`; ``batch`` as for ``_settings.batch_size``, of all workers of the cluster.
    """
    masters = sorted((name for name in names if hosts[name]["master"]), key=lambda name: (hosts[name]["zone"], name))
    workers = sum(host["worker"] and not host["master"] for host in hosts.values())
    size = _settings.batch_size(batch, workers)
    ordered, serial = masters, [1] * len(masters)
    for zone in sorted({hosts[name]["zone"] for name in names if name not in masters}):
        same = sorted(name for name in names if name not in masters and hosts[name]["zone"] == zone)
        ordered = ordered + same
        serial += [len(same[start : start + size]) for start in range(0, len(same), size)]
    return {"hosts": _topology.host_pattern(ordered), "serial": serial or [1]}
