# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a filter of a function of one host and the topology, which names what the topology lacks instead of a traceback."""

from __future__ import annotations

from ansible.errors import AnsibleFilterError


def of_topology(name, function):
    """Return the filter of this name: ``function(host, cluster)``, an entry of `multimaster.hosts` and the fact `multimaster`."""

    def asked(host, cluster):
        try:
            return function(host, cluster)
        except (KeyError, TypeError) as error:
            raise AnsibleFilterError(
                f"{name}: the topology lacks {error}. Next: give it one entry of multimaster.hosts and the fact multimaster"
            ) from error

    return asked
