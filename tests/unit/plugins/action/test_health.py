# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The action on what Ansible hands it: judging, showing, the exit, and the file."""

from __future__ import annotations

import functools
import json
import re
import time
from unittest import mock

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.multimaster.kubernetes.plugins.action import health
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _health_view, _pki, _pki_plan
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _document, _x509
from health_fixtures import cluster

YEAR = 365 * _pki.DAY


def certificate(days_left=300.0):
    now = time.time()
    begin, end = now - YEAR, now + days_left * _pki.DAY
    _key, made = _x509.new_authority("x", "prod", end - _x509.CA_DAYS * _pki.DAY)
    assert begin < end
    return _x509.pem(made)


PEM = certificate(3000.0)


@functools.cache
def serving(names):
    """Return a certificate for these names, as the collection signs one."""
    now = time.time()
    key, authority = _x509.new_authority("kubernetes", "prod", now)
    dns, ip = (tuple(name for name in names if _pki.is_address(name) is address) for address in (False, True))
    wanted = _pki.Certificate("/x", "kubernetes", "x", dns=dns, ip=ip, usages=("server",))
    return _x509.pem(_x509.sign(wanted, _x509.new_key().public_key(), authority, key, now))


def files_of(host, cluster_fact):
    """Return {file: PEM} of everything a host must have, each for what it must be for."""
    names = _pki_plan.names(host, cluster_fact)
    return {path: serving(names[path]) if path in names else PEM for path in _pki_plan.watched(host, cluster_fact)}


@pytest.fixture
def shown(monkeypatch):
    lines = []
    monkeypatch.setattr(_document, "Display", lambda: mock.MagicMock(display=lines.append))
    return lines


def hostvars(made):
    """Return what Ansible knows of every host after playbooks/health.yml has read it."""
    now, found = time.time(), {}
    for name, host in made.fact["hosts"].items():
        found[name] = {"ansible_facts": {}, "preflight_result": {"changed": False}}
        if name in made.observed:
            found[name]["ansible_facts"]["multimaster_host"] = dict(made.observed[name], clock_window=[now - 1, now])
        if name in made.read:
            found[name]["__health_read"] = dict(made.read[name], certificates=files_of(host, made.fact), changed=False)
    return found


def run(made, variables=None, check_mode=False, **args):
    task = mock.MagicMock(args={"cluster": made.fact, **args}, async_val=0, check_mode=check_mode, diff=False)
    plugin = health.ActionModule(task, mock.MagicMock(), mock.MagicMock(), mock.MagicMock(), mock.MagicMock(), None)
    return plugin.run(task_vars={"hostvars": variables or hostvars(made)})


def test_a_whole_cluster_ends_well_and_returns_the_document(shown):
    result = run(cluster())
    assert not result.get("failed")
    assert (result["changed"], result["verdict"], result["health"]["verdict"]) == (False, "HEALTHY", "HEALTHY")
    assert shown[0].strip().startswith("HEALTHY  prod: ")


@pytest.mark.parametrize(
    "stopped,must,failed",
    [
        ((), "be_healthy", False),
        (("m2",), "be_healthy", True),
        (("m2",), "serve", False),
        (("m2", "m3"), "serve", True),
        (("m2", "m3"), "be_judged", False),
    ],
)
def test_the_verdict_decides_the_exit(shown, stopped, must, failed):
    made = cluster()
    for name in stopped:
        made.stop_etcd(name)
    result = run(made, must=must)
    assert bool(result.get("failed")) is failed
    assert ("health" in result) is not failed
    if failed:
        assert result["msg"].startswith(result["verdict"] + ": ")
        assert re.search(r"\. Next: (on m2: journalctl -u etcd -n 50; systemctl|start etcd on m2, m3 )", result["msg"])


def test_json_is_one_line_for_a_program(shown):
    run(cluster(), format="json")
    assert len(shown) == 1
    assert "\n" not in shown[0]
    assert json.loads(shown[0])["verdict"] == "HEALTHY"


def test_the_document_is_written_for_others_to_read_but_not_in_check_mode(shown, tmp_path):
    path = tmp_path / "health.json"
    run(cluster(), check_mode=True, output=str(path))
    assert not path.exists()
    run(cluster(), output=str(path))
    assert json.loads(path.read_text())["cluster"] == "prod"
    assert path.stat().st_mode & 0o777 == 0o644
    assert [one.name for one in tmp_path.iterdir()] == ["health.json"]


def test_a_file_that_cannot_be_written_is_named(shown, tmp_path):
    with pytest.raises(AnsibleActionFail, match="none/health.json: .*No such file"):
        run(cluster(), output=str(tmp_path / "none" / "health.json"))


def test_a_host_that_was_not_reached_says_why(shown):
    made = cluster()
    variables = hostvars(made)
    variables["w1"] = {"ansible_facts": {}, "preflight_result": {"unreachable": True, "msg": "Connection timed out"}}
    document = run(made, variables, must="be_judged")["health"]
    assert [(one["host"], one["check"], one["found"]) for one in document["findings"]] == [
        ("w1", "host-unreachable", "Connection timed out")
    ]


@pytest.mark.parametrize("told", [{"failed": True, "msg": "no Python"}, {"unreachable": True, "msg": "no Python"}])
def test_a_host_that_broke_between_two_tasks_says_why(shown, told):
    made = cluster()
    variables = hostvars(made)
    variables["w1"]["__health_read"] = told
    findings = run(made, variables, must="be_judged")["health"]["findings"]
    assert [(one["check"], one["found"]) for one in findings] == [("host-unread", "no Python")]


def test_a_skipped_reading_is_no_reading(shown):
    made = cluster()
    variables = hostvars(made)
    variables["w1"]["__health_read"] = {"skipped": True, "changed": False}
    assert [one["check"] for one in run(made, variables, must="be_judged")["health"]["findings"]] == ["host-unread"]


def test_an_observation_from_a_cache_is_none(shown):
    made = cluster()
    variables = hostvars(made)
    variables["w1"]["ansible_facts"]["multimaster_host"]["clock_window"] = [0, 1]
    assert [one["check"] for one in run(made, variables, must="be_judged")["health"]["findings"]] == ["host-unreachable"]


def test_certificates_are_dated_by_what_stands_in_them():
    made = cluster()
    path = "/etc/kubernetes/pki/apiserver.crt"
    rows = {row.path: row for row in health.dated("m1", made.fact, {path: PEM, "/etc/kubernetes/pki/ca.crt": "x"}, time.time())}
    assert rows[path].days_left == pytest.approx(3000.0, abs=0.1)
    assert rows[path].days > 3000.0
    assert rows["/etc/kubernetes/pki/ca.crt"] == _health_view.Certificate("m1", "/etc/kubernetes/pki/ca.crt", "authority")
    assert rows["/var/lib/kubelet/pki/kubelet-server-current.pem"].days_left is None


SERVER, PEER = "/etc/etcd/pki/server.crt", "/etc/etcd/pki/peer.crt"


@pytest.mark.parametrize(
    ("path", "left_out", "lacks"),
    [
        ("/etc/kubernetes/pki/apiserver.crt", (), ()),
        ("/etc/kubernetes/pki/apiserver.crt", ("192.0.2.10", "kubernetes"), ("192.0.2.10", "kubernetes")),
        (SERVER, ("192.0.2.12",), ("192.0.2.12",)),
        (PEER, ("m2",), ("m2",)),
    ],
)
def test_a_certificate_lacks_the_names_that_it_must_be_for_and_is_not(path, left_out, lacks):
    made = cluster()
    wanted = _pki_plan.names(made.fact["hosts"]["m2"], made.fact)[path]
    assert set(left_out) <= set(wanted)
    pem = serving((*(name for name in wanted if name not in left_out), "more.example", "192.0.2.99"))
    rows = {row.path: row for row in health.dated("m2", made.fact, {path: pem}, time.time())}
    assert rows[path].lacks == lacks
    assert {row.lacks for row in rows.values() if row.path != path} == {()}


def test_a_certificate_for_no_name_at_all_lacks_every_one():
    made = cluster()
    wanted = _pki_plan.names(made.fact["hosts"]["m2"], made.fact)[PEER]
    rows = {row.path: row for row in health.dated("m2", made.fact, {PEER: PEM}, time.time())}
    assert rows[PEER].lacks == tuple(sorted(wanted)) == ("192.0.2.12", "m2")


def test_a_certificate_whose_names_cannot_be_read_lacks_none(monkeypatch):
    monkeypatch.setattr(_x509, "_extension", mock.Mock(side_effect=ValueError("no DER")))
    made = cluster()
    rows = {row.path: row for row in health.dated("m2", made.fact, {PEER: PEM}, time.time())}
    assert (rows[PEER].lacks, rows[PEER].days_left is None) == ((), False)
