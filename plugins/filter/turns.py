# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Offer to the playbooks who takes a turn, whose turn is watched, and which cordons a run of ours left."""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _canary, _drain, _failure, _turns


class FilterModule:
    """Map filter names to the pure functions behind them."""

    def filters(self):
        """Return the filters of this file."""
        return {
            "canary": _canary.first,
            "control_turns": _turns.control_turns,
            "cordons_of_ours": _drain.cordons_of_ours,
            "failed_on": _failure.of_task,
            "node_turns": _turns.node_turns,
            "runs_as_it_should": _turns.runs_as_it_should,
        }
