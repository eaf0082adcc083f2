# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is done on one host, from what it holds: named cases over real certificates, without a host."""

from __future__ import annotations

import hashlib
import shutil

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _pki
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _ca_store, _issuing, _x509

NOW = 1_800_000_000.0
WANTED, _findings = _pki.certificates(
    [
        {"path": "/k/scheduler", "ca": "kubernetes", "common_name": "system:kube-scheduler"},
        {"path": "/e/peer", "ca": "etcd-peer", "common_name": "etcd-peer", "usages": ["client", "server"], "dns": ["m1"]},
    ]
)
AUTHORITIES = [{"ca": "kubernetes", "path": "/k/ca.crt", "key_path": "/k/ca.key"}, {"ca": "etcd-peer", "path": "/e/ca.crt"}]
SHARED = [
    {"item": "sa.key", "path": "/k/sa.key"},
    {"item": "sa.pub", "path": "/k/sa.pub"},
    {"item": "encryption-config", "path": "/k/enc"},
]


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    return [_ca_store.open_store(str(folder / name), "prod", NOW, may_create=True) for name in ("ours", "theirs")]


@pytest.fixture(scope="module")
def ours(stores):
    return stores[0]


def host(store, files=()):
    """Return the read phase's result of a host that `store` served; without a store, of an empty host."""
    files = files or _issuing.files(AUTHORITIES, SHARED, store)
    return {
        "certificates": {
            item.path: {
                "certificate": store.sign(item, _x509.new_key().public_key(), NOW) if store else None,
                "key": "matches" if store else "missing",
                "adjust": [],
                "request": None,
            }
            for item in WANTED
        },
        "files": {
            item.path: {
                "exists": bool(store),
                "adjust": False,
                "sha256": hashlib.sha256(item.content.encode()).hexdigest() if store else None,
                "content": item.content if store and item.public else None,
            }
            for item in files
        },
    }


def plan(present, store, now=NOW, **options):
    return _issuing.plan("m1", WANTED, _issuing.files(AUTHORITIES, SHARED, store), present, store, now, **options)


def issued(decided):
    return [item.wanted.path for item in decided.issue]


def test_nothing_to_do(ours):
    decided = plan(host(ours), ours)
    assert not decided.changed
    assert (issued(decided), decided.write, decided.adjust, decided.findings) == ([], (), (), ())


def test_an_empty_host_gets_everything(ours):
    decided = plan(host(None), ours)
    assert issued(decided) == ["/k/scheduler", "/e/peer"]
    assert [(item.path, item.mode) for item in decided.write] == [
        ("/k/ca.crt", "0644"),
        ("/k/ca.key", "0600"),
        ("/e/ca.crt", "0644"),
        ("/k/sa.key", "0600"),
        ("/k/sa.pub", "0644"),
        ("/k/enc", "0600"),
    ]
    assert decided.findings == ()


def test_the_same_without_a_store_is_what_check_mode_says(ours):
    decided = plan(host(None), None)
    assert issued(decided) == ["/k/scheduler", "/e/peer"]
    assert [item.path for item in decided.write] == [item.path for item in plan(host(None), ours).write]
    assert "PRIVATE" not in str(_issuing.diffs(decided, host(None)))


def test_a_host_of_another_store_is_refused_whole(stores):
    ours, theirs = stores
    decided = plan(host(theirs), ours)
    assert sorted(finding.found.split()[0] for finding in decided.findings) == ["/e/ca.crt", "/k/ca.crt"]


def test_a_certificate_of_another_store_without_any_authority_is_refused(stores):
    ours, theirs = stores
    present = host(None)
    present["certificates"]["/e/peer"] = host(theirs)["certificates"]["/e/peer"]
    assert [finding.found.split()[0] for finding in plan(present, ours).findings] == ["/e/peer.crt"]


def test_a_certificate_of_the_wrong_authority_is_mended_where_ours_is_trusted(ours):
    present = host(ours)
    present["certificates"]["/e/peer"]["certificate"] = present["certificates"]["/k/scheduler"]["certificate"]
    decided = plan(present, ours)
    assert decided.findings == ()
    assert issued(decided) == ["/e/peer"]
    assert decided.issue[0].verdict.new_key


def test_an_unreadable_authority_file_is_mended_and_proves_nothing(stores):
    ours, theirs = stores
    present = host(ours)
    present["files"]["/k/ca.crt"].update(sha256="0", content="nonsense")
    assert [item.path for item in plan(present, ours).write] == ["/k/ca.crt"]
    present["certificates"]["/k/scheduler"] = host(theirs)["certificates"]["/k/scheduler"]
    assert [finding.found.split()[0] for finding in plan(present, ours).findings] == ["/k/scheduler.crt"]


@pytest.fixture
def rotated(ours, tmp_path):
    """Return the store with another authority besides, by which of them comes first."""
    key, new = _x509.new_authority("etcd-peer", "prod", NOW)
    made = {}
    for name, order in (("new second", "old new"), ("new first", "new old"), ("new alone", "new")):
        folder = tmp_path / name.replace(" ", "-")
        shutil.copytree(ours.path, folder)
        pem = {"old": ours.authority_pem("etcd-peer"), "new": _x509.pem(new)}
        (folder / "etcd-peer.crt").write_text("".join(pem[one] for one in order.split()))
        if order.startswith("new"):
            (folder / "etcd-peer.key").write_text(_x509.key_pem(key))
        made[name] = _ca_store.open_store(str(folder), "prod", NOW)
    return {"old": ours, **made}


@pytest.mark.parametrize(
    ("before", "after", "issues", "refused"),
    [
        ("old", "new second", [], False),
        ("new second", "new first", ["/e/peer"], False),
        ("new first", "new alone", [], False),
        ("old", "new first", ["/e/peer"], True),  # nobody trusts it yet
        ("new second", "old", [], False),
        ("new first", "new second", ["/e/peer"], False),
    ],
)
def test_an_authority_signs_only_when_the_host_trusts_it(rotated, before, after, issues, refused):
    decided = plan(host(rotated[before]), rotated[after])
    assert (issued(decided), [item.path for item in decided.write]) == (issues, ["/e/ca.crt"])
    assert [(one.check, one.found.split()[0]) for one in decided.findings] == ([("pki.rotation", "/e/ca.crt")] if refused else [])


def test_a_new_host_gets_both_authorities_at_once(rotated):
    assert plan(host(None), rotated["new first"]).findings == ()


def test_the_controller_manager_takes_no_second_certificate(ours, tmp_path):
    shutil.copytree(ours.path, tmp_path / "two")
    _key, new = _x509.new_authority("kubernetes", "prod", NOW)
    (tmp_path / "two" / "kubernetes.crt").write_text(ours.authority_pem("kubernetes") + _x509.pem(new))
    two = _ca_store.open_store(str(tmp_path / "two"), "prod", NOW)
    for present in (host(ours), host(None)):
        assert [one.found for one in plan(present, two).findings] == ["the CA store's kubernetes.crt holds 2 certificates"]


def test_other_secrets_are_replaced_and_owners_put_right(ours):
    present = host(ours)
    present["files"]["/k/sa.key"]["sha256"] = "0"
    present["files"]["/k/sa.pub"]["adjust"] = True
    present["certificates"]["/k/scheduler"]["adjust"] = ["/k/scheduler.key"]
    decided = plan(present, ours)
    assert [item.path for item in decided.write] == ["/k/sa.key"]
    assert [(spec["path"], spec["mode"]) for spec in decided.adjust] == [("/k/sa.pub", "0644"), ("/k/scheduler.key", "0600")]
    shown = str(_issuing.diffs(decided, present))
    assert "a secret, not shown" in shown
    assert "PRIVATE" not in shown and "PUBLIC KEY" not in shown.replace("sa.pub", "")


def test_the_authority_is_asked_about_by_hash_and_secrets_are_not(ours):
    for item in _issuing.files(AUTHORITIES, SHARED, ours):
        question = item.question()
        assert question["authority"] == (item.path in ("/k/ca.crt", "/e/ca.crt"))
        assert (question["sha256"] is not None) == question["authority"]
        assert "content" not in question
        assert "PRIVATE" not in repr(item)


def test_the_report_speaks_of_what_is_in_service_afterwards(ours):
    now = NOW + 350 * _pki.DAY
    present = host(ours)
    decided = plan(present, ours, now)
    signed = {item.wanted.path: ours.sign(item.wanted, _x509.new_key().public_key(), now) for item in decided.issue}
    before, after = _issuing.report(decided, {}, now)["/e/peer"], _issuing.report(decided, signed, now)["/e/peer"]
    assert (before["days_left"], after["days_left"]) == (15, 365)
    assert before["reasons"] == after["reasons"] == ["expires in 15 days"]
    assert after["not_after"] == "2028-12-30T08:00:00Z"


def test_held(ours):
    assert _issuing.held(host(None)) == []
    assert "/e/peer.crt" in _issuing.held(host(ours))
    assert "/k/ca.key" in _issuing.held(host(ours))


def test_what_is_installed_is_what_was_signed_for_each_and_whose_it_is():
    made = _issuing.plan("m1", WANTED, [], host(None, files=[]), None, NOW)
    signed = {item.path: f"signed for {item.path}" for item in WANTED}
    assert _issuing.installed(made, signed) == [
        {"path": item.path, "owner": "root", "group": "root", "certificate": signed[item.path]} for item in WANTED
    ]


def test_an_authority_is_warned_of_in_its_last_year(ours):
    end = min(ours.authority(name)[0].not_valid_after_utc.timestamp() for name in _pki.AUTHORITIES)
    assert _issuing.authorities_that_end(None, NOW) == [] == _issuing.authorities_that_end(ours, end - 366 * _pki.DAY)
    said = _issuing.authorities_that_end(ours, end - 364 * _pki.DAY)
    assert len(said) == len(_pki.AUTHORITIES) and all("authority expires on" in one and _pki.ROTATION in one for one in said)
    assert [one.split()[1] for one in said if "cannot be rotated yet" in one] == [_pki.SIGNERS]
    said = _issuing.authorities_that_end(ours, end + 2 * _pki.DAY)
    assert all("expired on" in one and "no run renews" in one for one in said) and said
