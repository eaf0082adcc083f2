# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A token on a real API server, from the module's arguments to its result; the secret stays inside."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _https
from ansible_collections.multimaster.kubernetes.plugins.modules import bootstrap_token
from lab_etcd import wait_for

SECRET = "fedcba9876543210"
TOKEN = f"fedcba.{SECRET}"


@pytest.fixture
def asked(watched_kube):
    return {**watched_kube.params(), "token": TOKEN, "retry_seconds": 0}


def answer(kube_lab):
    """Return what the token alone is answered: 401 = not known, 403 = known and without rights.

    That it is forgotten too, a while later, is tried in test__kube.
    """
    opener = _https.https_opener(kube_lab.authority.cert)
    return opener("GET", kube_lab.server + "/api/v1/nodes", None, {"Authorization": f"Bearer {TOKEN}"}, 10).status


def test_a_token_is_foretold_valid_once_and_taken_back_once(asked, watched_kube, check_run_again):
    made = check_run_again(bootstrap_token, asked)
    assert made[0]["reason"] == made[1]["reason"] == "the token was not known"
    wait_for(lambda: answer(watched_kube) == 403, what="the token to be known")
    renewed = check_run_again(bootstrap_token, {**asked, "ttl": 8 * 3600})
    assert renewed[0]["seconds_left"] == renewed[1]["seconds_left"] == 8 * 3600
    gone = check_run_again(bootstrap_token, {**asked, "state": "absent"})
    assert SECRET not in str((made, renewed, gone))


def test_who_has_no_rights_makes_no_token_and_is_told_what_to_do(asked, watched_kube, call, warned):
    arguments = {**asked, **watched_kube.params(watched_kube.nobody)}
    refused = call(bootstrap_token, arguments)
    where = f"the bootstrap token is not present: Kubernetes API at {watched_kube.server}, asked for GET "
    assert refused["failed"] and refused["msg"].startswith(where) and 'User "nobody" cannot get' in refused["msg"]
    assert ". Next: site.yml gives this client its rights" in refused["msg"] and SECRET not in str(refused)
    assert call(bootstrap_token, arguments, check=True)["changed"] and warned
