# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Turn an observed etcd cluster into what etcd_info and health return.

Pure: the observation is `_etcd.Observed`. Leaves out judging what it says.
"""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _etcd, _quorum


def member(observed, one):
    """Return a member with what was proven of it, as plain data."""
    view = observed.view_of(one.id)
    status = view.status if view else None
    return {
        **_etcd.member_dict(one),
        "healthy": observed.healthy(one.id),
        "leader": one.id == observed.leader_id,
        "version": status.version if status else "",
        "downgrade": status.downgrade if status else "",
        "raft_index": status.raft_applied_index if status else 0,
        "raft_term": status.raft_term if status else 0,
        "db_size": status.db_size if status else 0,
        "db_size_in_use": status.db_size_in_use if status else 0,
        "db_size_quota": status.db_size_quota if status else 0,
    }


def serves(told):
    """Return whether a quorum of the voters in a report serves."""
    return told["survival"]["voters"] > 0 and told["survival"]["survives"] >= 0


def report(observed):
    """Return an observation as plain data."""
    members = [member(observed, one) for one in observed.members]
    voters = [one for one in members if not one["is_learner"]]
    return {
        "members": members,
        "confirmed": observed.confirmed,
        "cluster_ids": list(observed.cluster_ids),
        "leader_id": observed.leader_id,
        "alarms": [{"member_id": member_id, "alarm": alarm} for member_id, alarm in observed.alarms],
        "survival": _quorum.Survival(len(voters), sum(one["healthy"] for one in voters)).as_dict(),
        "errors": list(observed.errors),
    }
