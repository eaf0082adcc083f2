# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module's main() as a host would: arguments in, JSON out."""

from __future__ import annotations

import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "module_utils"))


@pytest.fixture
def call(capsys, world):
    """Return call(module, arguments, check=False): the module's result, secrets masked as Ansible masks them.

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
    return lambda module, arguments: world.prove(lambda check: call(module, arguments, check))
