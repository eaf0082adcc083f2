#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure for how long the endpoint does not answer while a second master comes, and while it goes again.

Usage: promotion.py [--times 5] [-e NAME=VALUE ...]    (makes a lab of its own and removes it)
A connection is tried every 10 ms from this machine during the whole run. Wanted: not one that fails. Nothing here is asserted.
A lab's adverts are slower than the default, which is measured with `-e '{"api_endpoint_advert_seconds": 0.1}'`.
"""

from __future__ import annotations

import argparse
import json
import sys

import endpoint
import scale

LAB = "bench-promotion"
#: (what is measured, how many masters are listed, who is removed).
ACTS = (("a second master comes (promotion)", 2, ()), ("it goes again (give-back)", 2, ("m2",)))


def main(argv: list[str]) -> int:
    """Measure both in turn and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("-e", action="append", default=[], dest="settings", metavar="NAME=VALUE", help="of the playbooks")
    options = parser.parse_args(argv)
    scale.lab("up", "-", input=json.dumps(scale.described(LAB, 2, 0)), text=True)
    seen: dict[str, list] = {what: [] for what, _masters, _going in ACTS}
    try:
        scale.converge(LAB, "build", 1, 0, (), options.settings)
        for _time in range(options.times):
            for what, masters, going in ACTS:
                cluster = endpoint.access.Cluster(LAB)
                gap, lost = endpoint.watched(
                    cluster, lambda m=masters, g=going: scale.converge(LAB, "act", m, 0, g, options.settings)
                )
                seen[what].append((gap, lost))
                print(f"{what}: {gap:.2f} s, {lost} failed", flush=True)  # hours of which the last run may fail
        print(endpoint.HEAD)
        for what, figures in seen.items():
            print(endpoint.told(what, [gap for gap, _lost in figures], [lost for _gap, lost in figures]), flush=True)
    finally:
        scale.lab("down", LAB)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
