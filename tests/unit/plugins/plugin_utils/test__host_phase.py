# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a phase of a module returns is returned, and its error is the task's."""

from __future__ import annotations

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _host_phase


class Action:
    """Play an action: it answers, and remembers what it was asked."""

    def __init__(self, **result):
        self.result, self.asked = result, []

    def _execute_module(self, **asked):
        self.asked.append(asked)
        return self.result


def test_a_phase_is_asked_for_with_its_arguments():
    action = Action(changed=False, size=3)
    assert _host_phase.run(action, "a.b.c", "read", {"one": 1}, offset=7) == {"changed": False, "size": 3}
    assert action.asked == [{"module_name": "a.b.c", "module_args": {"phase": "read", "offset": 7}, "task_vars": {"one": 1}}]


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({"failed": True, "msg": "no room"}, "no room"),
        ({"unreachable": True, "msg": "no route"}, "no route"),
        ({"failed": True}, "a.b.c failed in phase read. Next: run again with -vvv, which shows what the host said"),
    ],
)
def test_its_error_is_the_tasks(result, said):
    with pytest.raises(AnsibleActionFail) as error:
        _host_phase.run(Action(**result), "a.b.c", "read", {})
    assert str(error.value) == said
