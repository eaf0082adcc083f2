# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Offer the derivation of a host's certificates to the wiring."""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _pki_plan
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils._of_topology import of_topology

certificates_for = of_topology("certificates_for", _pki_plan.for_host)


class FilterModule:
    """Map filter names to the pure functions behind them."""

    def filters(self):
        """Return the filters of this file."""
        return {"certificates_for": certificates_for}
