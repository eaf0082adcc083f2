# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module as a host would and watch its world, so that a check which writes and a second run which writes are seen.

For played worlds (tests/unit) and real components (tests/integration) alike.
"""

from __future__ import annotations

import contextlib
import json
import os

import pytest

# Seconds since the epoch that folders are said to have changed at, so that a file which came and went is seen by the time.
LONG_AGO = 1_000_000_000
# What a result says of what it did, and so what that of a check says of what would be done.
FORETOLD = (
    "diff", "changed_paths", "started", "restarted", "reloaded", "stopped", "issued", "written", "adjusted", "removed", "loaded",
    "set", "swaps", "imported", "fetched", "linked", "evicted", "actions", "step",
)  # fmt: skip  # names


def differences(before, after, place=""):
    """Yield where two pictures are not the same, and how."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*before, *(key for key in after if key not in before)]:
            yield from differences(before.get(key), after.get(key), f"{place}/{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, pair in enumerate(zip(before, after)):
            yield from differences(*pair, f"{place}/{number}")
    elif before != after:
        yield f"{place}: {before!r} became {after!r}"


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
        found = list(differences(before, self.look()))
        assert not found, f"{what} writes nothing, but {'; '.join(found)}"

    def prove(self, run, besides=()):
        """Return what a check, a run and a second run gave; `run` takes whether it is a check and returns the result.

        The check changes nothing and foresees what the run does (but for the keys of a result in `besides`), the run changes
        something, and the second one nothing.
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
        told = [key for key in FORETOLD if key in done and key not in besides]
        # A reason that names a file says that it would change in the one and that it did in the other.
        foretold = json.loads(json.dumps({key: checked.get(key) for key in told}).replace(" would change", " changed"))
        assert foretold == {key: done[key] for key in told}, "a check foretells what the run does"
        return results

    def prove_reading(self, run):
        """Return what a check, a run and a second run gave of a module that only reads: no change, made or foretold."""
        with self.untouched("what only reads"):
            results = (run(True), run(False), run(False))
        assert not [result["msg"] for result in results if "msg" in result]
        assert not [result for result in results if result["changed"]], "what only reads changes nothing"
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
def watched(tmp_path):
    """Return the folder whose files are the world's."""
    return tmp_path


@pytest.fixture
def world(watched):
    """Return the World of this test."""
    return World(watched)


@pytest.fixture
def call(capsys, world):
    """Return call(module, arguments, check=False): what its main() gives, arguments in, JSON out, secrets masked by Ansible.

    Every check proves that it writes nothing in the test's world.
    """
    from ansible.module_utils.testing import patch_module_args

    def run(module, arguments, check=False):
        if check:
            with world.untouched("a check"):
                return execute(module, arguments, True)
        return execute(module, arguments, False)

    def execute(module, arguments, check):
        with patch_module_args({**arguments, "_ansible_check_mode": check, "_ansible_diff": True}), pytest.raises(SystemExit):
            module.main()
        return json.loads(capsys.readouterr().out.strip().splitlines()[-1])

    return run


@pytest.fixture
def warned(monkeypatch):
    """Return the list of what modules warn of, in order."""
    from ansible.module_utils.basic import AnsibleModule

    said = []
    monkeypatch.setattr(AnsibleModule, "warn", lambda _module, text: said.append(text))
    return said


@pytest.fixture
def check_run_again(call, world):
    """Return check_run_again(module, arguments): the results of World.prove for a module."""
    return lambda module, arguments, besides=(): world.prove(lambda check: call(module, arguments, check), besides)


@pytest.fixture
def only_reads(call, world):
    """Return only_reads(module, arguments): the results of World.prove_reading for a module."""
    return lambda module, arguments: world.prove_reading(lambda check: call(module, arguments, check))
