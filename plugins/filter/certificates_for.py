# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Offer the derivation of a host's certificates to the wiring."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _pki_plan


def certificates_for(host, cluster):
    """Return {certificates, authorities, shared} of one host (an entry of the `multimaster` fact's hosts)."""
    try:
        return _pki_plan.for_host(host, cluster)
    except (KeyError, TypeError) as error:
        raise AnsibleFilterError(
            f"certificates_for: the topology lacks {error}; give it one entry of multimaster.hosts and the fact multimaster"
        ) from error


class FilterModule:
    """Map filter names to the pure functions behind them."""

    def filters(self):
        """Return the filters of this file."""
        return {"certificates_for": certificates_for}
