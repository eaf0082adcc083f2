# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients notice nothing of a cluster that grows, shrinks or is upgraded: what they trust stays what it was at the first look."""

from __future__ import annotations

import identity


def test_address_authority_and_serving_certificates_are_those_of_the_first_look(cluster):
    now = identity.read(cluster)
    kept = identity.keep(cluster.results / identity.FILE, now)
    assert identity.differences(kept, now) == []
