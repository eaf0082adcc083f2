#!/usr/bin/env python3
# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the collection, install the tarball without a network, and check what a user then has.

Usage: sanity.py [--package-only] [SANITY TEST…]    (default: every test of `ansible-test sanity`)
The installed copy must pass a syntax check by its full name from anywhere, and `ansible-test sanity`, which works only
below a folder `ansible_collections/<namespace>/<name>`. Leaves out: the tests of the checkout itself (`make lint`).
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(sys.executable).parent
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
# ansible-test makes virtual environments with one pip of its own choice (get_venv_packages in its python_requirements.py),
# whose bootstrap script it downloads. Where that host is not reached, this does the same with ensurepip and an index.
BOOTSTRAP = """\
import os, subprocess, sys
environment = {name: value for name, value in os.environ.items() if name not in ("GET_PIP", "PIP_CONFIG_FILE")}
subprocess.check_call([sys.executable, "-m", "ensurepip", "--default-pip"], env=environment, stdout=subprocess.DEVNULL)
subprocess.check_call([sys.executable, "-m", "pip", "install", "--quiet", "pip==%s"], env=environment)
"""


def run(*command, cwd=ROOT, **more):
    """Run a program of this Python environment and end with its code when it fails."""
    environment = dict(os.environ, PATH=f"{BIN}{os.pathsep}{os.environ['PATH']}", **more)
    code = subprocess.call([str(BIN / command[0]), *command[1:]], cwd=cwd, env=environment)
    if code:
        sys.exit(f"{' '.join(command)}: failed with code {code}, in {cwd}")


def snapshot(folder):
    """Copy what git knows or would add, so that an edit during the build does no harm."""
    listed = subprocess.check_output(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    return folder


def install(folder):
    """Return where the collection is, installed below `folder` from a tarball built of this checkout."""
    checkout = snapshot(pathlib.Path(folder) / "checkout")
    run("ansible-galaxy", "collection", "build", str(checkout), "--output-path", folder)
    [tarball] = pathlib.Path(folder).glob("*.tar.gz")
    run("ansible-galaxy", "collection", "install", "--offline", str(tarball), "-p", folder, ANSIBLE_COLLECTIONS_PATH=folder)
    return pathlib.Path(folder) / "ansible_collections" / "multimaster" / "kubernetes"


def check_playbooks(collection, folder):
    """Check the syntax of every playbook by its full name, without the checkout's ansible.cfg."""
    for playbook in sorted((collection / "playbooks").glob("*.yml")):
        name = f"multimaster.kubernetes.{playbook.stem}"
        inventory = str(collection / "inventories" / "prod")
        run("ansible-playbook", "--syntax-check", "-i", inventory, name, cwd=folder, ANSIBLE_COLLECTIONS_PATH=folder)


def place_bootstrap():
    """Put a bootstrap script for ansible-test's own pip where it looks, unless one is there."""
    from ansible_test._internal import python_requirements

    class Any:
        version = VERSION

    pip = python_requirements.get_venv_packages(Any)["pip"]
    path = pathlib.Path.home() / ".ansible" / "test" / "cache" / f"get_pip_{pip.replace('.', '_')}.py"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(BOOTSTRAP % pip, encoding="utf-8")


def main():
    """Install, then check."""
    tests = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    # Outside the checkout: below it, ansible-test asks the checkout's git, which ignores such a copy.
    with tempfile.TemporaryDirectory(prefix="multimaster-sanity-") as folder:
        collection = install(folder)
        check_playbooks(collection, folder)
        if "--package-only" in sys.argv[1:]:
            return
        place_bootstrap()
        chosen = [part for test in tests for part in ("--test", test)]
        run("ansible-test", "sanity", "--python", VERSION, *chosen, cwd=collection, LC_ALL="C.UTF-8")


if __name__ == "__main__":
    main()
