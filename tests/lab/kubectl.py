#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run kubectl on a lab's cluster, as an act of a scenario: kubectl.py mol-roll get nodes."""

from __future__ import annotations

import sys

import access

if __name__ == "__main__":
    try:
        print(access.Cluster(sys.argv[1]).kubectl(*sys.argv[2:]), end="")
    except access.AccessError as error:
        sys.exit(str(error))
