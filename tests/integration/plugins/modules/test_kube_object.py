# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects on a real API server, from the module's arguments to its result: applied and deleted once, conflicts, no rights."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.modules import kube_object

# with a label: of a bare one nothing is owned, and the server writes down who applied it at the second time only
SPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "objects", "labels": {"a": "b"}}}
CONFIG = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "objects"}, "data": {"k": "v"}}
ROLE = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "objects:r"}, "rules": []}


@pytest.fixture
def asked(watched_kube):
    """Return asked(objects..., more): the module's arguments."""
    return lambda *objects, **more: {**watched_kube.params(), "objects": list(objects), "retry_seconds": 0, **more}


def named(name, **more):
    return {**CONFIG, "metadata": {"name": name, "namespace": "default"}, **more}


def test_objects_are_foretold_applied_changed_and_deleted_once(asked, check_run_again):
    checked, done, _again = check_run_again(kube_object, asked(SPACE, CONFIG, ROLE))
    assert checked["objects"] == done["objects"] and {one["result"] for one in done["objects"]} == {"created"}
    checked, done, _again = check_run_again(kube_object, asked(ROLE, {**CONFIG, "data": {"k": "other"}}))
    assert checked["reason"] == done["reason"] == "1 changed of 2 objects (ConfigMap objects/c changed)"
    assert checked["diff"] == done["diff"] and done["diff"][0]["before"]["data"] == {"k": "v"}
    checked, done, _again = check_run_again(kube_object, asked(CONFIG, ROLE, state="absent", wait=True))
    assert checked["objects"] == done["objects"] and {one["result"] for one in done["objects"]} == {"deleted"}


def test_what_the_server_refuses_for_the_objects_sake_a_check_foretells_in_the_same_words(asked, call):
    call(kube_object, asked(named("old"), named("fixed", immutable=True)))
    stale = named("old", data={"k": "new"})
    stale["metadata"]["resourceVersion"] = "1"
    for wrong, said in (
        (stale, "/configmaps/old?"),
        (stale, "HTTP 409 Conflict: "),
        (named("fixed", immutable=True, data={"k": "new"}), "HTTP 422 Invalid: "),
    ):
        checked, refused = (call(kube_object, asked(wrong), check=check) for check in (True, False))
        assert refused["failed"] and said in refused["msg"] and refused["msg"].count("Next: ") == 1
        assert checked["failed"] and said in checked["msg"]


def test_who_has_no_rights_or_no_certificate_that_counts_is_told_what_to_do(asked, call, warned, watched_kube):
    etcd = watched_kube.etcd
    for (cert, key), said, following in (
        (
            watched_kube.nobody,
            'HTTP 403 Forbidden: configmaps "no" is forbidden: User "nobody" cannot get',
            "site.yml gives this",
        ),
        (etcd.operator, "HTTP 401 Unauthorized: Unauthorized", "site.yml gives this client"),
    ):
        arguments = asked(named("no"), client_cert=cert, client_key=key)
        refused = call(kube_object, arguments)
        where = f"Kubernetes API at {watched_kube.server}, asked for GET /api/v1/namespaces/default/configmaps/no: "
        assert refused["failed"] and refused["msg"].startswith(where + said)
        assert f". Next: {following}" in refused["msg"]
        assert call(kube_object, arguments, check=True)["changed"] and f"{watched_kube.server} does not let" in warned.pop()
    assert call(kube_object, asked(named("no"), ca=etcd.peer_ca.cert))["msg"].count("its certificate was not accepted: ") == 1
