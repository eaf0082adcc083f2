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
def call(capsys):
    """Return call(module, arguments, check=False): the module's result, secrets masked as Ansible masks them."""
    from ansible.module_utils.testing import patch_module_args

    def run(module, arguments, check=False):
        with patch_module_args({**arguments, "_ansible_check_mode": check, "_ansible_diff": True}), pytest.raises(SystemExit):
            module.main()
        return json.loads(capsys.readouterr().out.strip().splitlines()[-1])

    return run


@pytest.fixture
def check_run_again(call):
    """Return check_run_again(module, arguments): check mode tells what the run does, and a second run has nothing to do."""

    def run(module, arguments):
        checked = call(module, arguments, check=True)
        done = call(module, arguments)
        again = call(module, arguments)
        assert not [result["msg"] for result in (checked, done, again) if "msg" in result]
        assert checked["changed"] and done["changed"] and not again["changed"]
        return checked, done, again

    return run
