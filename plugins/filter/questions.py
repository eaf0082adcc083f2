# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Offer to the playbooks what each host is asked."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _questions


def health_questions(host, cluster):
    """Return the arguments of health_info for a host (an entry of the `multimaster` fact's hosts)."""
    try:
        return _questions.health(host, cluster)
    except (KeyError, TypeError) as error:
        raise AnsibleFilterError(
            f"health_questions: the topology lacks {error}; give it one entry of multimaster.hosts and the fact multimaster"
        ) from error


class FilterModule:
    """Map filter names to the pure functions behind them."""

    def filters(self):
        """Return the filters of this file."""
        return {"health_questions": health_questions, "preflight_questions": _questions.preflight}
