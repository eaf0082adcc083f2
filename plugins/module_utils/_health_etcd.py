# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Check etcd: quorum, members, alarms, size, and what the loss of a zone would do.

Each check is a function from a `_health_view.View` to findings; `_health` lists them.
"""

from __future__ import annotations

import dataclasses

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _membership, _quorum
from ansible_collections.multimaster.kubernetes.plugins.module_utils._finding import ERROR, WARNING, Finding
from ansible_collections.multimaster.kubernetes.plugins.module_utils._health_view import cause

# Shares of etcd's quota. At 100 % etcd raises NOSPACE and takes no write (etcd docs, "Space quota").
SIZE_WARNING, SIZE_ERROR = 0.8, 0.95


def etcd_quorum(seen):
    """Want more than half of etcd's voters to be proven healthy; without them the API neither reads nor writes."""
    if seen.survival.failures >= 0:
        return
    found = f"etcd: {seen.survival}" if seen.etcd.voters else "etcd: no member could be asked"
    down = [seen.place_of(member) for member in seen.etcd.voters if not runs(seen, member)]
    start = f"Start etcd on {', '.join(down)}" if down else "Start etcd on its hosts"
    yield Finding(
        "",
        "etcd-quorum",
        found,
        f"{seen.survival.quorum} healthy voters" if seen.etcd.voters else "a quorum of healthy voters",
        f"{start} (journalctl -u etcd says why it stopped); if their disks are lost: {_quorum.LOST_QUORUM_RUNBOOK}.",
    )


def etcd_one(seen):
    """Want all members to belong to one cluster."""
    if len(seen.etcd.cluster_ids) > 1:
        yield Finding(
            "",
            "etcd-split",
            f"etcd's members answer for {len(seen.etcd.cluster_ids)} clusters ({', '.join(seen.etcd.cluster_ids)})",
            "one cluster",
            "Find the host that carries another cluster's data and take it out of the inventory; wipe neither before.",
        )


def etcd_alarms(seen):
    """Want no alarm: with NOSPACE or CORRUPT raised etcd takes no write."""
    names = {member.id: seen.place_of(member) for member in seen.etcd.members}
    for member_id, alarm in seen.etcd.alarms:
        name = names.get(member_id, "")
        host = name if name in seen.cluster["hosts"] else ""
        yield Finding(host, "etcd-alarm", *_quorum.alarm_words(member_id, alarm, name))


def etcd_led(seen):
    """Want a leader while there is a quorum."""
    if seen.survival.failures >= 0 and seen.etcd.voters and seen.etcd.leader is None:
        yield Finding(
            "",
            "etcd-leader",
            "etcd has no leader, or one that is no voter",
            "a leader",
            "An election takes seconds: run this again. If it lasts, measure the way between the members (preflight.yml).",
        )


def etcd_members(seen):
    """Want every member to serve a linearizable read just now, and a learner to follow the leader."""
    for member in seen.etcd.members:
        if member.healthy or not (member.voter or member.started):
            continue
        name = seen.host_of(member)
        waits = runs(seen, member) and seen.survival.failures < 0
        yield Finding(
            name,
            "etcd-member",
            f"etcd member {member.label} runs and waits for a quorum"
            if waits
            else f"etcd member {member.label} is not healthy: {_etcd_error(seen, member)}{seen.unit(name, 'etcd')}",
            "a member that serves",
            "It serves again once a quorum of members runs."
            if waits
            else f"On {name or member.label}: journalctl -u etcd -n 50; systemctl start etcd."
            + (f" A lost disk: replace_node.yml -e node={name}." if name else ""),
        )


def etcd_complete(seen):
    """Want every etcd host of the inventory to carry a member."""
    for name in seen.cluster["members"] if seen.etcd.members else ():
        if seen.member_of(name) is None:
            yield Finding(
                name,
                "etcd-missing",
                "the host is no member of etcd",
                "a member on every etcd host of the inventory",
                "Run site.yml: it joins what is new.",
            )


def etcd_learners(seen):
    """Want no learner where a voter is wanted, and none that was added and never started."""
    for member in seen.etcd.learners:
        name = seen.host_of(member)
        if name and (seen.host(name)["voter"] or not member.started):
            yield Finding(
                name,
                "etcd-learner",
                f"{member.label} {'is still a learner' if member.started else 'was added and never started'}",
                "a finished join",
                "Run site.yml: it finishes a join that was cut off.",
            )


def etcd_known(seen):
    """Tell of members of etcd that no host of the inventory accounts for."""
    for member in seen.etcd.members:
        if not seen.host_of(member):
            yield Finding(
                "",
                "etcd-stray",
                f"etcd has {member.label} as a {'voter' if member.voter else 'learner'}, and the inventory does not know it",
                "only members of the inventory",
                f"Add its host to the inventory again. Only if the machine is gone for good: {_quorum.removal(member.id)}.",
                WARNING,
            )


def etcd_addressed(seen):
    """Want every member to be reached at its host's address; a restart at another one would cut it off from the others."""
    for member in seen.etcd.members:
        name = seen.host_of(member)
        host = seen.host(name) if name else None
        if host and host["peer_url"] and member.started and host["peer_url"] not in member.peer_urls:
            said = _membership.moved_words(member.name, member.peer_urls, host["peer_url"], host["address"])
            yield Finding(name, "etcd-address", *said, WARNING)


def etcd_odd(seen):
    """Tell of an even number of voters: one fewer survives as much, and fewer can fail."""
    voters = len(seen.etcd.voters)
    if voters and voters % 2 == 0:
        yield Finding(
            "",
            "etcd-even",
            f"etcd has {voters} voters, which survive no more than {voters - 1} would",
            "an odd number of voters",
            "A join that was cut off is finished by site.yml; multimaster_even_voters: true asks for this.",
            WARNING,
        )


def etcd_redundant(seen):
    """Tell of an etcd that is whole and yet survives no loss: one or two voters."""
    voters = len(seen.etcd.voters)
    if voters and seen.survival.healthy == voters and seen.survival.failures < 1:
        yield Finding(
            "",
            "etcd-survival",
            f"etcd has {voters} voter{'s' if voters > 1 else ''}: the loss of one stops the API",
            "three voters",
            f"With three {_hosts(seen)} the cluster survives the loss of any one.",
            WARNING,
        )


def etcd_small(seen):
    """Want etcd's database below 80 % of its quota (a warning) and below 95 % (an error)."""
    for member in seen.etcd.members:
        size, quota = db_size(seen, member.id)
        if quota and size >= SIZE_WARNING * quota:
            yield Finding(
                seen.host_of(member),
                "etcd-size",
                f"etcd's database takes {size >> 20} of {quota >> 20} MiB on {member.label}",
                f"less than {SIZE_WARNING:.0%} of the quota",
                "Find what fills it, then defragment one member after the other; raise etcd_quota_backend_bytes (8 GiB at most).",
                ERROR if size >= SIZE_ERROR * quota else WARNING,
            )


def etcd_downgraded(seen):
    """Tell of a downgrade that is left enabled: until it ends or is called off, etcd keeps to what the older minor knows."""
    members = [one for _name, answer in seen.answers for one in answer["members"]]
    targets = sorted({one["downgrade"] for one in members if one["downgrade"]})
    if targets:
        run = " and ".join(sorted({one["version"] for one in members if one["version"]}))
        yield Finding(
            "",
            "etcd-downgrade",
            f"a downgrade of etcd to {targets[0]} is enabled, and its members run {run or 'what they do not tell'}: until it "
            "ends etcd keeps to what that version knows",
            "a downgrade that ended, or was called off",
            "If no run is at work: upgrade.yml with the newer multimaster_etcd_version calls it off, with the older one it goes "
            "on. By hand: etcdctl downgrade cancel (docs/runbooks/upgrade-go-back.md, step 2).",
            WARNING,
        )


def etcd_seen_by_all(seen):
    """Tell of a healthy member that some hosts do not reach."""
    for member in seen.etcd.members:
        blind = [name for name, answer in seen.answers if not _healthy_for(answer, member.id)]
        if member.healthy and blind:
            yield Finding(
                seen.host_of(member),
                "etcd-view",
                f"etcd member {member.label} serves, but {', '.join(blind)} did not see it",
                "members that all masters reach",
                f"Look for a filter or a broken network between {blind[0]} and {' '.join(member.client_urls)}.",
                WARNING,
            )


def zones_survivable(seen):
    """Tell of the zones whose loss would take etcd's quorum, as things are just now."""
    lost = [loss for loss in zone_losses(seen) if not loss.survives]
    if not lost or seen.survival.failures < 0:
        return
    if seen.survival.healthy < seen.survival.voters:
        fix = "Bring back the members that are not healthy first."
    elif lost[0].avoidable:
        fix = f"Spread the {_hosts(seen)} over the zones."
    else:
        fix = "It takes three voters in three zones."
    zones = " or ".join(loss.zone for loss in lost)
    yield Finding("", "zone-loss", f"the loss of zone {zones} takes etcd's quorum", "quorum without any one zone", fix, WARNING)


def zone_losses(seen):
    """Return what the loss of each zone does (_quorum.ZoneLoss); nothing when a voter's zone is not known."""
    hosts = [(member, seen.host_of(member)) for member in seen.etcd.voters]
    voters = [dataclasses.replace(member, zone=seen.host(name)["zone"] if name else "") for member, name in hosts]
    return _quorum.voter_losses(voters, {host["zone"] for host in seen.cluster["hosts"].values() if host["zone"]})


def _hosts(seen):
    """Return what the hosts of etcd's members are called: masters, where etcd is on these."""
    return "masters" if set(seen.cluster["members"]) == set(seen.cluster["masters"]) else "etcd members"


def runs(seen, member):
    """Tell whether some host got a sign of life from a member: its status tells its version."""
    return any(told["version"] for _name, answer in seen.answers for told in answer["members"] if told["id"] == member.id)


def db_size(seen, member_id):
    """Return (size, quota) in bytes of a member's database, zeros when it did not tell."""
    told = [m for _name, answer in seen.answers for m in answer["members"] if m["id"] == member_id]
    return max((m["db_size"] for m in told), default=0), max((m["db_size_quota"] for m in told), default=0)


def _healthy_for(answer, member_id):
    return any(member["healthy"] for member in answer["members"] if member["id"] == member_id)


def _etcd_error(seen, member):
    """Return why a member did not prove itself, in a reader's words."""
    urls = tuple(url + ":" for url in member.client_urls)
    said = [line for _name, answer in seen.answers for line in answer["errors"] if line.startswith(urls)] if urls else []
    return cause(said[0]) if said else "nobody could ask it"
