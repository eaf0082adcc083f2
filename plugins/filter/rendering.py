# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Offer the renderers and the release table to roles, and to the wiring who restarts, holds the address, is cordoned."""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _canary,
    _drain,
    _failure,
    _releases,
    _rendering,
    _summary,
    _topology,
    _turns,
)


class FilterModule:
    """Map filter names to the pure functions behind them."""

    def filters(self):
        """Return the filters of this file."""
        return {
            "canary": _canary.first,
            "command_line": _rendering.command_line,
            "control_turns": _turns.control_turns,
            "cordons_of_ours": _drain.cordons_of_ours,
            "endpoint_holders": _summary.endpoint_holders,
            "failed_on": _failure.of_task,
            "host_pattern": _topology.host_pattern,
            "image_archives": _releases.image_archives,
            "kubeconfig": _rendering.kubeconfig,
            "left_bare": _summary.left,
            "node_turns": _turns.node_turns,
            "node_objects": _rendering.node_objects,
            "release_artifacts": _releases.artifacts,
            "release_links": _releases.links,
            "release_versions": _releases.versions,
            "certificate_reports": _summary.certificate_reports,
            "runs_as_it_should": _turns.runs_as_it_should,
            "unit_file": _rendering.unit_file,
        }
