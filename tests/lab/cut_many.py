#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cut one lab's runs off again and again, at named and at random moments, then let the same command finish.

    cut_many.py mol-cut-off --cuts 10 --seed 7

After each cut the certificate authorities on the hosts must be those of the store, and once made they must stay; the last
run must finish, the next one must find nothing to do, and all etcd members must name one cluster. A seed repeats a series.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys

import access
import play

# A run is cut within these moments first: what is founded once is the dangerous part. In this order each still comes after the
# cut before it.
FOUNDING = (
    "inside Issue the certificates that are missing, expiring or different +{ms}",
    "inside Start the first voters from one bootstrap record +{ms}",
    "before Wait for quorum and take the record away +{ms}",
)
WITHIN = 1500  # milliseconds after the event
TASKS = (3, 42)  # a run with nothing to do has 48 tasks, one with everything to do 65
AUTHORITIES = (
    "/etc/kubernetes/pki/ca.crt",
    "/etc/kubernetes/pki/front-proxy-ca.crt",
    "/etc/etcd/pki/client-ca.crt",
    "/etc/etcd/pki/peer-ca.crt",
)


def draw(seed: int, cuts: int) -> list[str]:
    """Return so many cuts: those of the founding first, then random moments, each further on than the last.

    Further on, because a run repeats what the one before it did in little time: so every phase is cut while it has work.
    """
    chance = random.Random(seed)
    founding = [text.format(ms=chance.randrange(WITHIN)) for text in FOUNDING[:cuts]]
    later = sorted(chance.randint(*TASKS) for _cut in range(cuts - len(founding)))
    return founding + [f"inside #{number} +{chance.randrange(WITHIN)}" for number in later]


def second_authorities(before: dict[str, str], now: dict[str, set[str]]) -> list[str]:
    """Return where two hosts differ in an authority or one was made anew; before is filled with what is new."""
    found = []
    for path, digests in sorted(now.items()):
        if len(digests) > 1:
            found.append(f"{path} differs between hosts")
        for digest in digests:
            if before.setdefault(path, digest) != digest:
                found.append(f"{path} was made a second time")
    return found


def authorities(cluster: access.Cluster) -> dict[str, set[str]]:
    """Return {path: the digests found on the hosts}."""
    found: dict[str, set[str]] = {}
    command = f"sha256sum {' '.join(AUTHORITIES)} 2>/dev/null || true"
    for text in cluster.each(sorted(cluster.addresses), lambda host: cluster.ssh(host, command)).values():
        for line in text.splitlines():
            digest, path = line.split()
            found.setdefault(path, set()).add(digest)
    return found


def main(argv: list[str]) -> int:
    """Cut, look, finish, look again."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("lab")
    parser.add_argument("--cuts", type=int, default=10)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    options = parser.parse_args(argv)
    cluster = access.Cluster(options.lab)
    print(f"seed {options.seed}", flush=True)
    known: dict[str, str] = {}
    wrong: list[str] = []
    for number, cut in enumerate(draw(options.seed, options.cuts), 1):
        print(f"cut {number}: {cut}", flush=True)
        name = f"cut-{number}"
        if play.main([options.lab, "site.yml", "--name", name, "--cut", cut, "--expect", "cut"]):
            keep = cluster.results / f"failed-seed-{options.seed}-{name}.log"
            shutil.copy(cluster.results / f"{name}.log", keep)
            wrong.append(f"cut {number} ({cut}): the run ended by itself, see {keep}")
        wrong += [f"after cut {number} ({cut}): {line}" for line in second_authorities(known, authorities(cluster))]
    wrong += ["the run after the cuts failed"] if play.main([options.lab, "site.yml", "--name", "finish"]) else []
    wrong += [f"at the end: {line}" for line in second_authorities(known, authorities(cluster))]
    for line in wrong:
        print(f"NOT AS EXPECTED (seed {options.seed}): {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
