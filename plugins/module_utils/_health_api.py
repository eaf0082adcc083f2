# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Check the API: every server, every balancer, the one address, and the leaders behind it.

Each check is a function from a `_health_view.View` to findings; `_health` lists them.
"""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils._endpoint import BALANCED, EXTERNAL
from ansible_collections.multimaster.kubernetes.plugins.module_utils._finding import ERROR, WARNING, Finding
from ansible_collections.multimaster.kubernetes.plugins.module_utils._health_view import cause
from ansible_collections.multimaster.kubernetes.plugins.module_utils._lock import CLOCK_SECONDS

# keepalived states in which it knows its place.
SETTLED = ("holder", "backup")


def api_served(seen):
    """Want at least one API server to be ready; as good is an answer through the endpoint."""
    if not api_ready(seen) and not endpoint_answers(seen):
        said = "; ".join(f"{name}: {_not_ready(api)}" for name, api in seen.part("api").items())
        yield Finding(
            "",
            "api-none",
            f"no API server is ready ({said or 'none could be asked'})",
            "a ready API server on every master",
            "etcd first, if it has no quorum; then on a master: journalctl -u kube-apiserver -n 50.",
        )


def api_servers(seen):
    """Want the API server of every master to be ready, asked directly."""
    for name, api in seen.part("api").items():
        if not api["ready"]:
            yield Finding(
                name,
                "api-down",
                f"the API server is not ready: {_not_ready(api)}{seen.unit(name, 'kube-apiserver')}",
                "/readyz answers ok",
                _api_fix(seen, name, api),
            )


def _api_fix(seen, name, api):
    if "etcd" not in api["failed"]:
        return f"On {name}: journalctl -u kube-apiserver -n 50; systemctl start kube-apiserver."
    member = seen.member_of(name)
    if member and not member.healthy:
        return "It waits for its etcd: mend that first."
    # gRPC's back-off after a lost connection ends at 120 s (grpc/doc/connection-backoff.md); tried on 1.36.3.
    return f"Wait two minutes: it finds an etcd that came back by itself. Then on {name}: systemctl restart kube-apiserver."


def api_readable(seen):
    """Want nodes and leases to be read from a ready API server."""
    if api_ready(seen) and not any(api["nodes"] is not None and api["leases"] is not None for api in seen.part("api").values()):
        why = "; ".join(dict.fromkeys(cause(api["error"]) for api in seen.part("api").values() if api["ready"]))
        yield Finding(
            "",
            "api-unread",
            f"nodes and leases could not be read: {why}",
            "an API server that lists them",
            "Run site.yml: it binds the rights of the operator's certificate; then this again.",
        )


def endpoint_served(seen):
    """Want the API to answer at the endpoint address."""
    if endpoint_answers(seen):
        return
    asked = seen.part("endpoint")
    why = dict.fromkeys(_not_ready(found) for found in asked.values())
    if seen.mode == EXTERNAL:
        fix = "Point your balancer at the masters that are ready."
    elif not api_ready(seen):
        fix = "It answers again once an API server is ready."
    else:
        fix = f"On {' and '.join(holders(seen)) or 'the masters'}: journalctl -u keepalived -u haproxy -n 50."
    yield Finding(
        "",
        "endpoint-dead",
        f"the API does not answer at {seen.url} ({'; '.join(why) if asked else 'nobody could ask'})",
        "an API that answers at its one address",
        fix,
    )


def endpoint_reached(seen):
    """Want every host to reach the API at the endpoint address."""
    for name, found in seen.part("endpoint").items() if endpoint_answers(seen) else ():
        if not found["ready"]:
            yield Finding(
                name,
                "endpoint-unreached",
                f"no API at {seen.url} from here: {_not_ready(found)}",
                "the API, as other hosts reach it",
                f"On {name}: ip neigh; curl -k {seen.url}/readyz. Run this again: the address may just have moved.",
            )


def endpoint_held(seen):
    """Want a holder of the endpoint address."""
    if seen.mode != EXTERNAL and not holders(seen):
        yield Finding(
            "",
            "endpoint-nobody",
            f"nobody was seen to hold the endpoint address {seen.cluster['endpoint']['address']}",
            "one holder",
            "On the masters: journalctl -u keepalived -u multimaster-endpoint -n 50; then site.yml.",
        )


def endpoint_once(seen):
    """Want the endpoint address to have one holder only, by the masters' interfaces and by ARP."""
    found = holders(seen)
    hung = [name for name in found if name in seen.masters and name not in seen.observed]
    if seen.mode != EXTERNAL and len(found) > 1:
        yield Finding(
            "",
            "endpoint-twice",
            f"the endpoint address is held by {', '.join(found)}",
            "one holder",
            f"{' and '.join(hung)} may hang and still answer by ARP: switch it off."
            if hung
            else "Run this again: it may just have moved. If it stays, look whether VRRP (protocol 112) passes between them.",
        )


def balancers_run(seen):
    """Want HAProxy on every master, and its opinion on the API servers."""
    for name, balancer in seen.part("balancer").items() if seen.mode == BALANCED else ():
        if balancer["servers"] is None:
            said = balancer["errors"].get("servers") or balancer["errors"].get("haproxy") or "HAProxy does not run"
            yield Finding(
                name,
                "balancer-down",
                f"{said}{seen.unit(name, 'haproxy')}",
                "a balancer on every master",
                f"On {name}: journalctl -u haproxy -n 50; systemctl start haproxy.",
            )


def balancers_send(seen):
    """Want every balancer to send to every API server that is ready; one failed health check is a warning."""
    apis = seen.part("api")
    for name in seen.masters if seen.mode == BALANCED else ():
        if name in apis and not apis[name]["ready"]:
            continue
        opinions = {}
        for reader, balancer in seen.part("balancer").items():
            if balancer["servers"] is not None:
                server = balancer["servers"].get(seen.host(name)["node_name"])
                opinions.setdefault(_opinion(server), []).append(reader)
        for (level, state), readers in sorted(opinions.items()):
            if level:
                yield Finding(
                    name,
                    "balancer-server",
                    f"the balancer of {', '.join(readers)} has it {state}",
                    "UP on every balancer",
                    "Run site.yml: it takes back a drain that was left, and lists new masters."
                    if state.startswith(("drain", "maint", "unchecked", "not"))
                    else f"On {readers[0]}: curl -k {seen.host(name)['api_server']}/readyz; look for a filter between them.",
                    level,
                )


def vrrp_settled(seen):
    """Want keepalived on every master to be holder or backup."""
    for name, balancer in seen.part("balancer").items() if seen.mode == BALANCED else ():
        state = (balancer["vrrp"] or {}).get("state", "unknown")
        if state not in SETTLED:
            said = balancer["errors"].get("vrrp")
            yield Finding(
                name,
                "vrrp-down",
                f"keepalived is {state}{': ' + said if said else ''}{seen.unit(name, 'keepalived')}",
                "holder or backup",
                f"On {name}: journalctl -u keepalived -n 50. In fault it watches a HAProxy that does not run.",
            )


def leases_fresh(seen):
    """Want controller-manager and scheduler each to have a leader that renewed its lease in time."""
    for name, lease in leases(seen).items():
        age = lease["age_seconds"] if lease else None
        if lease and lease["holder"] and age is not None and age <= lease["duration_seconds"] + CLOCK_SECONDS:
            continue  # the clocks of two masters may differ
        if not lease:
            found = f"nobody has ever led the {name}s"
        elif not lease["holder"]:
            found = f"nobody leads the {name}s"
        else:
            said = "; when it last said so is not known" if age is None else f" and last said so {age:.0f} s ago"
            found = f"{lease['holder'].split('_')[0]} leads the {name}s{said}"
        yield Finding(
            "",
            "lease-stale",
            found,
            f"renewed within {lease['duration_seconds']:.0f} s" if lease and lease["holder"] else "a leader",
            f"After a crash another takes over within 25 s: run this again. Then on the masters: journalctl -u {name} -n 50.",
        )


def api_ready(seen):
    """Return the masters whose API server is proven ready."""
    return [name for name, api in seen.part("api").items() if api["ready"]]


def endpoint_answers(seen):
    """Return the hosts that reach a ready API at the endpoint address."""
    return [name for name, found in seen.part("endpoint").items() if found["ready"]]


def holders(seen):
    """Return who holds the endpoint address: hosts by their interfaces, others by the MAC that answers for it.

    A MAC that belongs to no host is a master that could not be asked, if there is one.
    """
    found, macs = [], set()
    for name, balancer in seen.part("balancer").items():
        if any(interface != "lo" for interface in balancer["held_on"] or ()):
            found.append(name)
        macs.update(mac.lower() for mac in balancer["others"] or ())
    owner = {mac.lower(): name for name, host in seen.observed.items() for mac in host.get("macs", ())}
    silent = [name for name in seen.masters if name not in seen.observed]
    for mac in sorted(macs):
        name = owner.get(mac) or (silent.pop(0) if silent else mac)
        if name not in found:
            found.append(name)
    return found


def leases(seen):
    """Return {name: lease} as the API server saw it that saw the latest renewal; nothing when none could be read."""
    found = {}
    for api in seen.part("api").values():
        for name, lease in (api["leases"] or {}).items():
            if name not in found or _age(lease) < _age(found[name]):
                found[name] = lease
    return dict(sorted(found.items()))


def _age(lease):
    return lease["age_seconds"] if lease and lease["age_seconds"] is not None else float("inf")


def _opinion(server):
    """Return (level, what a balancer says of a server); no level when it sends there for a good reason."""
    if server is None:
        return ERROR, "not in its configuration"
    if server["up"]:
        return "", "up"
    check = f" ({server['check']})" if server["check"] else ""
    if server["status"] == "up":
        return WARNING, f"up, though the last check did not pass{check}"
    return ERROR, server["status"] + check


def _not_ready(found):
    """Return why an API server is not ready: the checks that failed, else what came back."""
    return ", ".join(found["failed"]) or cause(found["error"]) or "it says no more"
