# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What makes a certificate be issued, what forbids it, and which specifications are refused."""

from __future__ import annotations

import dataclasses

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _pki
from hypothesis import given
from hypothesis import strategies as st

NOW = 1_800_000_000.0
WANTED = _pki.Certificate(
    path="/etc/kubernetes/pki/apiserver",
    ca="kubernetes",
    common_name="kube-apiserver",
    organizations=("team",),
    dns=("m1",),
    ip=("192.0.2.1",),
    usages=("server",),
)


def present(**changes):
    right = _pki.Present(
        common_name=WANTED.common_name,
        organizations=WANTED.organizations,
        dns=WANTED.dns,
        ip=WANTED.ip,
        usages=WANTED.usages,
        not_before=NOW - _pki.BACKDATE,
        not_after=NOW + WANTED.lifetime,
        issued_by_store=True,
    )
    return dataclasses.replace(right, **changes)


@pytest.mark.parametrize(
    ("name", "found", "reason", "new_key"),
    [
        ("right", present(), None, False),
        ("missing", None, "missing", False),
        ("unreadable", _pki.Present(problem="cannot be read as a certificate"), "cannot be read", False),
        ("another order of names", present(dns=("m1",), organizations=("team",)), None, False),
        ("31 days left", present(not_before=NOW - 330 * _pki.DAY, not_after=NOW + 31 * _pki.DAY), None, False),
        ("30 days left", present(not_before=NOW - 330 * _pki.DAY, not_after=NOW + 30 * _pki.DAY), "expires in 30 days", False),
        ("expired", present(not_after=NOW - 3 * _pki.DAY, not_before=NOW - 300 * _pki.DAY), "expired 3 days ago", False),
        ("from the future", present(not_before=NOW + 3600, not_after=NOW + 300 * _pki.DAY), "not valid for another 60", False),
        ("lives too long", present(not_after=NOW + 800 * _pki.DAY), "lives 800 days, wanted 365 days", False),
        ("name missing", present(dns=()), "lacks the DNS name m1", False),
        ("name too many", present(dns=("m1", "m2")), "carries the DNS name m2 nobody asked for", False),
        ("other address", present(ip=("192.0.2.2",)), "lacks the IP address 192.0.2.1", False),
        ("other common name", present(common_name="x"), "common name is x, wanted kube-apiserver", False),
        ("group gained", present(organizations=("team", "system:masters")), "carries the organization system:masters", False),
        ("usage gained", present(usages=("server", "client")), "carries the usage client", False),
        ("usage lost", present(usages=()), "lacks the usage server", False),
        ("another authority", present(issued_by_store=False), "issued by another authority", True),
        ("key missing", present(key="missing"), "its key is missing", True),
        ("key of another", present(key="differs"), "its key does not match", True),
        ("key unreadable", present(key="unreadable"), "its key cannot be read", True),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_judge(name, found, reason, new_key):
    verdict = _pki.judge(found, WANTED, NOW)
    assert verdict.action == (_pki.ISSUE if reason else _pki.KEEP), name
    assert any(reason in said for said in verdict.reasons) if reason else verdict.reasons == ()
    assert verdict.new_key is new_key


def test_all_reasons_are_given_at_once():
    verdict = _pki.judge(present(dns=(), ip=(), issued_by_store=False, key="differs", not_after=NOW), WANTED, NOW)
    assert len(verdict.reasons) == 5


def test_a_renewal_keeps_the_key_unless_a_new_one_is_asked_for():
    expiring = present(not_after=NOW + 1)
    assert _pki.judge(expiring, WANTED, NOW).new_key is False
    assert _pki.judge(expiring, WANTED, NOW, new_keys=True).new_key is True
    assert _pki.judge(present(), WANTED, NOW, new_keys=True) == _pki.Verdict("issue", ("a new key was asked for",), True)


@given(st.integers(1, 825 * 24 * 60), st.floats(0, 2))
def test_renewal_begins_in_the_last_third_and_never_earlier_than_30_days_before(minutes, part):
    life = minutes * 60
    gone = int(life * part)  # X.509 knows whole seconds only (RFC 5280 section 4.1.2.5)
    found = present(not_before=NOW - gone - _pki.BACKDATE, not_after=NOW + life - gone)
    wanted = dataclasses.replace(WANTED, lifetime=life)
    left = found.not_after - NOW
    issues = _pki.judge(found, wanted, NOW).action == _pki.ISSUE
    assert issues == (left <= min((found.not_after - found.not_before - _pki.BACKDATE) / 3.0, 30 * _pki.DAY))


@given(st.sampled_from(["common_name", "organizations", "dns", "ip", "usages"]), st.text("abc", min_size=1, max_size=3))
def test_any_difference_in_identity_is_seen(field, value):
    other = value if field == "common_name" else (value,)
    assert _pki.judge(present(**{field: other}), WANTED, NOW).action == _pki.ISSUE


@pytest.mark.parametrize(
    ("found", "wanted", "verdict"),
    [
        (None, ["a"], "issue"),
        (["a"], ["a"], "keep"),
        (["b"], ["a"], "refuse"),
        (["old"], ["new", "old"], "issue"),
        (["new", "old"], ["new"], "issue"),
        (["new", "old"], ["old", "new"], "issue"),
        ([], ["a"], "refuse"),
    ],
)
def test_authority_files_are_replaced_only_by_an_overlap(found, wanted, verdict):
    assert _pki.judge_authority(found, wanted) == verdict


def test_a_foreign_certificate_is_mended_only_where_the_host_trusts_our_authority():
    stranger = [("/etc/etcd/pki/peer.crt", "etcd-peer")]
    assert _pki.guard("m1", [], stranger, {"etcd-peer"}) == ()
    (finding,) = _pki.guard("m1", [], stranger, {"kubernetes"})
    assert (finding.host, finding.check) == ("m1", "pki.other_store")
    assert "/etc/etcd/pki/peer.crt" in finding.found


def test_a_foreign_authority_is_named_once_and_not_again_for_each_of_its_certificates():
    found = _pki.guard("m1", [("/x/peer-ca.crt", "etcd-peer")], [("/x/peer.crt", "etcd-peer")], set())
    assert [finding.found.split()[0] for finding in found] == ["/x/peer-ca.crt"]


@pytest.mark.parametrize(
    ("ca", "found", "wanted", "refused"),
    [
        ("etcd-peer", "a", "a", False),
        ("etcd-peer", "a", "ab", False),
        ("etcd-peer", "ab", "ba", False),
        ("etcd-peer", "ba", "b", False),
        ("etcd-peer", "a", "ba", True),
        ("etcd-peer", "a", "b", False),  # another cluster's, of which judge_authority tells
        ("etcd-peer", None, "ba", False),
        ("kubernetes", "a", "a", False),
        ("kubernetes", "a", "ab", True),
        ("kubernetes", None, "ab", True),
    ],
)
def test_an_authority_signs_only_when_the_host_trusts_it(ca, found, wanted, refused):
    findings = _pki.guard_overlap("m1", [(f"/k/{ca}.crt", ca, found and list(found), list(wanted))])
    assert [(one.host, one.check) for one in findings] == ([("m1", "pki.rotation")] if refused else [])
    assert all(_pki.ROTATION in one.fix for one in findings)


@pytest.mark.parametrize(
    ("held", "authorities", "may"),
    [
        (False, [], True),
        (True, [], False),  # certificates without the authorities they come from
        (True, [("a", "a")], True),
        (True, [("a", "a"), ("b", "b")], True),
        (True, [("a", "a"), ("x", "b")], False),
        (True, [("x", "a")], False),
        (True, [("a", None)], False),  # the CA store is not there yet
    ],
)
def test_keys_are_made_on_bare_hosts_and_those_of_this_cluster_only(held, authorities, may):
    assert _pki.may_have_keys(held, authorities) is may


def test_no_second_store_beside_certificates():
    assert _pki.guard_new_store("m1", []) == ()
    (finding,) = _pki.guard_new_store("m1", ["/d", "/c", "/b", "/a"])
    assert finding.check == "pki.second_ca"
    assert "/a, /b, /c" in finding.found


RIGHT = {"path": "/x/y", "ca": "kubernetes", "common_name": "someone"}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"path": "x/y"}, "no usable path"),
        ({"path": "/x/../y"}, "no usable path"),
        ({"path": "/x/y.crt"}, "no usable path"),
        ({"path": ""}, "no usable path"),
        ({"path": "/x//y"}, "no usable path"),
        ({"path": "/x"}, "no usable path"),
        ({"ca": "etcd"}, "names the authority 'etcd'"),
        ({"common_name": ""}, "common name or organization ''"),
        ({"common_name": "x" * 65}, "common name or organization"),
        ({"organizations": ["x" * 65]}, "common name or organization"),
        ({"dns": ["*.example"]}, "DNS name '*.example'"),
        ({"dns": ["a_b"]}, "DNS name 'a_b'"),
        ({"dns": ["192.0.2.1/24"]}, "DNS"),
        ({"ip": ["192.0.2.300"]}, "IP address '192.0.2.300'"),
        ({"usages": ["email"]}, "usages email"),
        ({"usages": ["server"]}, "without names"),
        ({"days": 0}, "lifetime"),
        ({"days": 826}, "lifetime"),
        ({"minutes": -1}, "lifetime"),
        ({"organizations": ["system:masters"]}, "system:masters for 365 days"),
        ({"organizations": ["system:masters"], "minutes": 61}, "system:masters for 61 minutes"),
    ],
)
def test_refused_specifications(changes, found):
    _wanted, findings = _pki.certificates([{**RIGHT, **changes}])
    assert any(found in finding.found for finding in findings)
    assert all(finding.fix and finding.wanted for finding in findings)


def test_a_right_specification_is_normalised():
    entry = {**RIGHT, "dns": ["M1.", "m1"], "ip": ["2001:DB8::0:1", "2001:db8::1"], "usages": ["server", "client"]}
    (wanted,), findings = _pki.certificates([entry])
    assert findings == ()
    assert (wanted.dns, wanted.ip, wanted.usages) == (("m1",), ("2001:db8::1",), ("client", "server"))
    assert wanted.lifetime == 365 * _pki.DAY


def test_findings_of_all_entries_come_at_once_and_a_path_is_listed_once():
    _wanted, findings = _pki.certificates([RIGHT, RIGHT, {**RIGHT, "path": "/a/b", "ca": "x"}])
    assert [finding.found for finding in findings] == ["/x/y: listed twice", "/a/b: names the authority 'x'"]


def test_lists_of_authorities_and_shared_files():
    assert _pki.authority_findings([{"ca": "kubernetes", "path": "/x/ca.crt", "key_path": "/x/ca.key"}]) == ()
    assert len(_pki.authority_findings([{"ca": "x", "path": "ca.crt", "key_path": "/x/.."}])) == 3
    assert _pki.shared_findings([{"item": "sa.key", "path": "/x/sa.key"}]) == ()
    assert len(_pki.shared_findings([{"item": "ca.key", "path": "sa.key"}])) == 2


def test_encryption_config_passes_the_benchmarks_grep():
    text = _pki.encryption_config([{"name": "key2", "secret": "B"}, {"name": "key1", "secret": "A"}])
    lines = text.splitlines()
    after = lines[next(i for i, line in enumerate(lines) if "providers:" in line) + 1]  # CIS 1.2.28: grep -A1 'providers:'
    assert after.strip() == "- secretbox:"
    assert text.index("key2") < text.index("key1")
    assert "identity" not in text
