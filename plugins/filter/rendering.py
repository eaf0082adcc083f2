# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Offer the renderers and the release table to roles, and host patterns to the wiring."""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _releases, _rendering, _topology


class FilterModule:
    """Map filter names to the pure functions behind them."""

    def filters(self):
        """Return the filters of this file."""
        return {
            "command_line": _rendering.command_line,
            "host_pattern": _topology.host_pattern,
            "image_archives": _releases.image_archives,
            "kubeconfig": _rendering.kubeconfig,
            "node_objects": _rendering.node_objects,
            "release_artifacts": _releases.artifacts,
            "release_links": _releases.links,
            "release_versions": _releases.versions,
            "unit_file": _rendering.unit_file,
        }
