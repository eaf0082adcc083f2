# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs of the lab and the benches start as the scenarios start them: by their file, with nothing set up around them."""

from __future__ import annotations

import pathlib
import subprocess
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = sorted(path for folder in ("lab", "bench") for path in (TESTS / folder).glob("*.py") if "__main__" in path.read_text())
# As the interpreter does with a program's file, but for the program's own `main`: not all of them only print when asked for help.
START = "import pathlib, runpy, sys; sys.path[0] = str(pathlib.Path(sys.argv[1]).parent); runpy.run_path(sys.argv[1])"


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_it_finds_what_it_imports(program):
    """Seen in CI: an import found the collection in the unit tests, which have it on their path, and nowhere else."""
    done = subprocess.run([sys.executable, "-c", START, str(program)], env={}, cwd="/", capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
