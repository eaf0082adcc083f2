# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Say at the end of a run what there is, in the few lines a person reads.

Pure: everything observed comes in as plain data. Leaves out: judging, which is health's business.
"""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _quorum

GAP = "  "


def table(titles, rows):
    """Return an aligned text table as a list of lines."""
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[index]) for row in [list(titles), *rows]) for index in range(len(titles))]
    return [GAP.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [list(titles), *rows]]


def endpoint_line(cluster, holders):
    """Return where the API is and who holds that address; `holders` are the names of hosts that have it."""
    endpoint = cluster["endpoint"]
    where = "https://{0}:{1}".format(endpoint["address"], endpoint["port"])
    if endpoint["mode"] == "external":
        return "Endpoint   {0} (a balancer of yours; point it at port {1} of: {2})".format(
            where, endpoint["api_port"], ", ".join(cluster["masters"])
        )
    held = ", ".join(holders) if holders else "NOBODY"
    return "Endpoint   {0} ({1}), held by {2}".format(where, endpoint["mode"], held)


def node_rows(cluster, nodes):
    """Return one row a node: name, role ("-" when the inventory does not know it), zone, version, address, state."""
    roles = {host["node_name"]: "master" if host["master"] else "worker" for host in cluster["hosts"].values()}
    rows = []
    for node in nodes:
        role = roles.get(node["name"], "-")
        state = "Ready" if node["ready"] else "NotReady"
        if node["unschedulable"]:
            state += ", cordoned"
        rows.append((node["name"], role, node["zone"] or "-", node["version"], node["internal_ip"], state))
    return rows


def member_rows(members):
    """Return one row an etcd member: name, role, state."""
    rows = []
    for member in sorted(members, key=lambda item: item["name"]):
        role = "learner" if member["is_learner"] else "leader" if member["leader"] else "voter"
        rows.append((member["name"] or "(never started)", role, "healthy" if member["healthy"] else "NOT HEALTHY"))
    return rows


def stray_lines(cluster, nodes, members):
    """Return a line that names the nodes and etcd members no host of the inventory accounts for; none when there are none."""
    hosts = cluster["hosts"].values()
    node_names, peer_urls = {host["node_name"] for host in hosts}, {host["peer_url"] for host in hosts if host["member"]}
    found = ["node " + node["name"] for node in nodes if node["name"] not in node_names]
    found += [
        "etcd member " + (member["name"] or _quorum.hex_id(member["id"]))
        for member in members
        if not peer_urls.intersection(member["peer_urls"])
    ]
    return ["Strays     in the cluster, not in the inventory, left alone: {0}".format(", ".join(found))] if found else []


def etcd_line(stacked, members):
    """Return how many voters there are and what they survive; `members` as in `lines`."""
    voters = [member for member in members if not member["is_learner"]]
    survival = _quorum.Survival(len(voters), len([member for member in voters if member["healthy"]]))
    survives = "survives the loss of {0}".format(survival.failures) if survival.failures >= 0 else "HAS NO QUORUM"
    return "etcd       {0}, {1} voters (quorum {2}), {3}".format(
        "stacked" if stacked else "external", survival.voters, survival.quorum, survives
    )


def certificate_reports(hostvars, names):
    """Return [{host, path, days_left}] from what the certificates role registered on each named host."""
    found = []
    for name in names:
        registered = hostvars[name].get("certificates_result") or {}
        for path, row in (registered.get("certificates") or {}).items():
            found.append({"host": name, "path": path, "days_left": row.get("days_left")})
    return found


def endpoint_holders(hostvars, names):
    """Return those of the named hosts that have the endpoint address, from what endpoint_info returned on each (``__endpoint``).

    A host that was not asked, or could not be, is not among them.
    """
    return [name for name in names if (hostvars[name].get("__endpoint") or {}).get("held_on")]


def left(hostvars, cluster, checking=False):
    """Return {said: what a cluster that was given up left bare and what stays where, not_bare: which hosts are not, or ""}.

    ``hostvars``: {inventory name: variables}, among them what `host_reset` returned on each host (``__bare``); a host without it
    was not reached. ``cluster``: the fact `multimaster`. ``checking``: nothing was done, so only said what would be.
    """
    results = {name: hostvars[name].get("__bare") or {} for name in cluster["hosts"]}
    other = [name for name, result in results.items() if result.get("failed") or result.get("unreachable") or not result]
    bare = [name for name in results if name not in other]
    done = "{0}: {1}.".format("Would be bare" if checking else "Bare", ", ".join(bare) or "no host")
    not_bare = (
        "NOT bare, or not known to be: {0}; what each said is above. Next: mend that, then run the same again; a host "
        "that is gone for good must not come back into this network as it is.".format(", ".join(other))
    )
    stays = (
        "{0} and {1} stay on this controller: keep them with the backups they belong to, or remove them before a new cluster is "
        "made under this name.".format(cluster["ca_store"], cluster["kubeconfig"])
    )
    return {"said": " ".join([done, *([not_bare] if other else []), stays]), "not_bare": not_bare if other else ""}


def certificate_line(certificates):
    """Return which certificate ends first; `certificates`: [{host, path, days_left (None: not issued)}]."""
    dated = [item for item in certificates if item.get("days_left") is not None]
    if not dated:
        return "Certificates: not read in this run, health.yml does"
    first = min(dated, key=lambda item: (item["days_left"], item["host"], item["path"]))
    return "Certificates: {0} read, the first to end in {1} days ({2}:{3})".format(
        len(dated), first["days_left"], first["host"], first["path"]
    )


def lines(cluster, nodes, members, holders, certificates, kubeconfig):
    """Return the whole summary as lines of text.

    `cluster`: the fact `multimaster`; `nodes`: summaries as kube_info returns them; `members`: [{id, name, peer_urls,
    is_learner, leader, healthy}]; `holders`: hosts with the endpoint address; `certificates`: see certificate_line;
    `kubeconfig`: path on the controller or "".
    """
    text = [
        "Cluster    {0}: {1} masters, {2} workers".format(
            cluster["cluster"]["name"], len(cluster["masters"]), len(cluster["workers"])
        ),
        endpoint_line(cluster, holders),
        etcd_line(cluster["etcd"]["stacked"], members),
        "           heartbeat {0} ms, election timeout {1} ms".format(
            cluster["etcd"]["heartbeat_ms"], cluster["etcd"]["election_ms"]
        ),
        *stray_lines(cluster, nodes, members),
        "",
        *table(("NODE", "ROLE", "ZONE", "VERSION", "ADDRESS", "STATE"), node_rows(cluster, nodes)),
        "",
        *table(("ETCD MEMBER", "ROLE", "STATE"), member_rows(members)),
        "",
        certificate_line(certificates),
    ]
    if cluster["way_back"]["end"]:
        text += ["", "Way back   {0}".format(cluster["way_back"]["end"])]
    if kubeconfig:
        text += ["", "export KUBECONFIG={0}".format(kubeconfig)]
    return text
