#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have a host's member lead a lab's etcd, so that what is done to that host next is done to the leader.

Usage: lead.py LAB HOST
"""

from __future__ import annotations

import argparse
import sys

import access

LEADS = 30.0  # seconds until every member follows it; a transfer takes a tenth


def status(cluster: access.Cluster) -> dict[str, dict]:
    """Return {master: status of its etcd member}."""
    return cluster.each(cluster.masters, lambda host: cluster.etcd(host, "maintenance/status"))


def leader_of(said: dict[str, dict]) -> tuple[str, str]:
    """Return (the leader's host, its term) out of every member's status; ("", "") when nobody leads."""
    leading = ((host, one["raftTerm"]) for host, one in said.items() if one["leader"] == one["header"]["member_id"])
    return next(leading, ("", ""))


def lead(cluster: access.Cluster, host: str) -> str:
    """Move the leadership to a host's member, by the present leader, and return what was done; raise SystemExit without one."""
    said = status(cluster)
    leader, _term = leader_of(said)
    if not leader or host not in said:
        raise SystemExit(f"{host} is to lead etcd: its members are of {', '.join(said)}, and {leader or 'nobody'} leads")
    if leader == host:
        return f"{host} leads etcd"
    cluster.etcd(leader, "maintenance/transfer-leadership", {"targetID": said[host]["header"]["member_id"]})
    access.wait(f"{host} leads etcd", lambda: leader_of(status(cluster))[0] == host, LEADS)
    return f"{host} leads etcd, as {leader} did"


def main(argv: list[str]) -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("lab")
    parser.add_argument("host")
    options = parser.parse_args(argv)
    print(lead(access.Cluster(options.lab), options.host))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
