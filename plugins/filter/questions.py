# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Offer to the playbooks what each host is asked."""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _questions
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils._of_topology import of_topology

health_questions = of_topology("health_questions", _questions.health)


class FilterModule:
    """Map filter names to the pure functions behind them."""

    def filters(self):
        """Return the filters of this file."""
        return {"health_questions": health_questions, "preflight_questions": _questions.preflight}
