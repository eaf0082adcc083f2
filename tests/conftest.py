# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watch the world that a test plays, so that a check which writes and a second run which writes are seen."""

from __future__ import annotations

import contextlib
import os

import pytest

# Seconds since the epoch that folders are said to have changed at, so that a file which came and went is seen by the time.
LONG_AGO = 1_000_000_000


class World:
    """Hold what a run could change: the files below a folder, and what every fake shows of itself.

    A fake's picture is plain data, of what it keeps and of the changes it was asked for; what it was asked to read is no part.
    """

    def __init__(self, folder):
        self._folder, self._pictures = folder, []

    def watch(self, picture):
        """Take a function without arguments whose result a check must leave as it is; a second time it is known already."""
        if picture not in self._pictures:
            self._pictures.append(picture)

    def look(self):
        """Return the world as plain data, to compare."""
        return {"files": self._files(), "fakes": [picture() for picture in self._pictures]}

    @contextlib.contextmanager
    def untouched(self, what):
        """Fail when the world is another one after the block."""
        for path in (self._folder, *self._folder.rglob("*")):
            if path.is_dir() and not path.is_symlink():
                os.utime(path, (LONG_AGO, LONG_AGO))
        before = self.look()
        yield
        assert self.look() == before, what + " writes nothing"

    def prove(self, run):
        """Return what a check, a run and a second run gave; `run` takes whether it is a check and returns the result.

        The check changes nothing and foresees that the run does, the run changes something, and the second one nothing.
        """
        with self.untouched("a check"):
            checked = run(True)
        before = self.look()
        done = run(False)
        assert self.look() != before, "what the run changes is not watched: hand the fake's picture to world.watch"
        with self.untouched("a second run"):
            again = run(False)
        results = (checked, done, again)
        assert not [result["msg"] for result in results if "msg" in result]
        assert [bool(result["changed"]) for result in results] == [True, True, False]
        return results

    def _files(self):
        found = {}
        for path in sorted([self._folder, *self._folder.rglob("*")]):
            info, kind = path.lstat(), "folder"
            if path.is_symlink():
                kind = f"link to {os.readlink(path)}"
            elif path.is_file():
                kind = path.read_bytes()
            found[str(path.relative_to(self._folder))] = (kind, f"{info.st_mode:o}", info.st_mtime_ns, info.st_ino)
        return found


@pytest.fixture
def world(tmp_path):
    """Return the World of this test, whose files are those below `tmp_path`."""
    return World(tmp_path)
