# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""List and import containerd's images by its `ctr` program, from verified archives only."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence

from . import _artifacts, _command, _failure, _image_plan
from ._artifact_plan import ArtifactError, bare

#: Seconds an import may take; 1 GiB on a slow disk stays well below.
IMPORT_TIMEOUT = 300.0
#: A place with room for archives: the disk containerd's own data is on.
FOLDER = "/var/lib"
LOOK = "`systemctl status containerd` and `journalctl -u containerd -n 50` on this host say why; then run again"


class ImageError(Exception):
    """Say which image could not be imported, why, and what to do next."""


class Images:
    """Give the two operations this collection needs of containerd's image store."""

    def __init__(
        self,
        ctr: str,
        address: str,
        namespace: str,
        fetcher: _artifacts.Fetcher,
        runner: _command.Runner = _command.run,
        folder: str = FOLDER,
    ) -> None:
        self._base = [ctr, "-a", address, "-n", namespace, "images"]
        self._runner, self._fetcher, self._folder = runner, fetcher, folder

    def present(self, lenient: bool = False) -> list[str]:
        """Return the references that are there; with ``lenient`` a containerd that does not answer has none."""
        result = self._runner([*self._base, "ls", "-q"], 20.0)
        if result.rc != 0 and not lenient:
            raise ImageError(f"cannot list containerd's images: {result}. Next: {LOOK}")
        return result.out.splitlines() if result.rc == 0 else []

    def bring(self, archives: Sequence[_image_plan.Archive]) -> list[str]:
        """Fetch, verify and import archives one after another; return the references, proven to be there."""
        for archive in archives:
            with self._verified(archive) as path:
                result = self._runner([*self._base, "import", path], IMPORT_TIMEOUT)
            if result.rc != 0:
                source = bare(archive.path or archive.url)
                raise ImageError(f"cannot import {archive.reference} from {source}: {result}. Next: {LOOK}")
        absent = _image_plan.missing(archives, self.present()) if archives else []
        if absent:
            raise ImageError(
                "; ".join(
                    f"{bare(archive.path or archive.url)} was imported but does not hold {archive.reference}; the archive's own "
                    "name must be the full reference. Next: save it under that name and copy it again"
                    for archive in absent
                )
            )
        return [archive.reference for archive in archives]

    @contextlib.contextmanager
    def _verified(self, archive: _image_plan.Archive):
        """Give the path of a verified archive; what was downloaded is removed afterwards."""
        if archive.path:
            try:
                found = _artifacts.hash_file(archive.path) if archive.sha256 else ""
                os.stat(archive.path)
            except OSError as error:
                gone = isinstance(error, FileNotFoundError)
                following = "copy the archive to this host, then run again" if gone else _failure.remedy(error, archive.path)
                raise ImageError(f"cannot read {archive.path}: {error.strerror}. Next: {following}") from error
            if found != archive.sha256.lower():
                said = f"{archive.path} has the SHA-256 {found}, expected {archive.sha256}"
                raise ImageError(f"{said}. Next: copy it to this host again, or give the `sha256` of this one, then run again")
            yield archive.path
            return
        try:
            with tempfile.TemporaryDirectory(prefix=".multimaster-image-", dir=self._folder) as folder:
                yield self._fetcher.download(archive.url, archive.sha256, archive.checksum_url, folder)
        except ArtifactError as error:
            raise ImageError(f"{archive.reference}: {error}") from error
        except OSError as error:
            following = _failure.remedy(error, error.filename or os.path.join(self._folder, ""))
            raise ImageError(f"{archive.reference}: cannot keep what is downloaded: {error}. Next: {following}") from error
