# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Decide which image archives have to be imported.

It leaves out the content behind a reference: an image that is there under its reference counts as right.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Archive:
    """Hold one image and the archive it comes from."""

    reference: str
    url: str = ""
    path: str = ""
    sha256: str = ""
    checksum_url: str = ""


def full(reference: str) -> str:
    """Return a reference the way containerd stores it: with registry, and with a tag unless a digest is given.

    The defaults docker.io, library and latest are those of the distribution project's reference package.
    """
    host, slash, rest = reference.partition("/")
    if not slash:
        reference = f"docker.io/library/{reference}"
    elif "." not in host and ":" not in host and host != "localhost":
        reference = f"docker.io/{reference}"
    name = reference.rpartition("/")[2]
    return reference if ":" in name or "@" in reference else f"{reference}:latest"


def findings(archives: Sequence[Archive]) -> list[str]:
    """Return everything that makes a list of archives impossible."""
    said, seen = [], set()
    for archive in archives:
        reference = full(archive.reference)
        if reference in seen:
            said.append(f"{reference} is asked for twice")
        seen.add(reference)
        if archive.url and not (archive.sha256 or archive.checksum_url):
            said.append(f"{reference}: give `sha256` or `checksum_url`; nothing is imported unverified")
        if archive.path and archive.checksum_url:
            said.append(f"{reference}: `checksum_url` goes with `url`; give `sha256` with `path`")
    return said


def missing(archives: Sequence[Archive], present: Iterable[str]) -> list[Archive]:
    """Return the archives whose image is not there."""
    there = {full(line.strip()) for line in present if line.strip()}
    return [archive for archive in archives if full(archive.reference) not in there]
