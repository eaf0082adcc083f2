# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Offer to the playbooks what a run tells when it ends: who holds the address, which certificates, which hosts are not bare."""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _summary


class FilterModule:
    """Map filter names to the pure functions behind them."""

    def filters(self):
        """Return the filters of this file."""
        return {
            "certificate_reports": _summary.certificate_reports,
            "endpoint_holders": _summary.endpoint_holders,
            "left_bare": _summary.left,
        }
