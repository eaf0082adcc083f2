# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.multimaster.kubernetes.plugins.filter import questions
from ansible_collections.multimaster.kubernetes.plugins.modules import health_info
from health_fixtures import cluster


def test_the_playbook_hears_what_the_module_takes():
    fact = cluster().fact
    asked = questions.FilterModule().filters()["health_questions"](fact["hosts"]["m1"], fact)
    assert set(asked) == set(yaml.safe_load(health_info.DOCUMENTATION)["options"])


def test_what_is_no_host_is_refused():
    with pytest.raises(AnsibleFilterError, match="the topology lacks"):
        questions.health_questions({"master": True}, {})
