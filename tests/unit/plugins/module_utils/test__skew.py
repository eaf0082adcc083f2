# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions side by side and one after the other: named cases."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils._finding import ERROR, WARNING
from ansible_collections.multimaster.kubernetes.plugins.module_utils._skew import (
    COMPONENTS,
    Version,
    Versions,
    judge_skew,
    judge_target,
    parse,
)
from hypothesis import given
from hypothesis import strategies as st


def on(*versions):
    """Return {m1: version, m2: version, ...}."""
    return {f"m{n}": version for n, version in enumerate(versions, 1)}


def said(findings):
    return [f"{one.host} {one.check}".strip() for one in findings]


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("1.36.3", (1, 36, 3)),
        ("v1.36.3", (1, 36, 3)),
        ("1.37.0-rc.1", (1, 37, 0)),
        ("v1.36.3+k3s1", (1, 36, 3)),
        ("3.6.16\n", (3, 6, 16)),
        ("1.9.10", (1, 9, 10)),
    ],
)
def test_parse(text, version):
    assert parse(text) == version
    assert isinstance(parse(text), Version)


@pytest.mark.parametrize("text", ["", "1.36", "1.36.x", "latest", None, "1.36.3.4", "x1.36.3", "1,36,3", "1.36.3 extra"])
def test_what_is_no_version_is_an_error(text):
    with pytest.raises(ValueError, match="no version"):
        parse(text)


def test_versions_compare_by_number():
    assert parse("1.9.10") < parse("1.10.9") < parse("1.10.10")
    assert str(parse("v1.9.10")) == "1.9.10"


SIDE_BY_SIDE = {
    # name: (versions, findings)
    "nothing runs": (Versions(), []),
    "all the same": (Versions(on("1.36.3"), on("1.36.3"), on("1.36.3"), on("1.36.3"), on("1.36.3"), on("3.6.16")), []),
    "an upgrade under way": (Versions(on("1.37.2", "1.36.3"), kubelet=on("1.36.3", "1.36.3")), []),
    "API servers two minors apart": (Versions(on("1.37.2", "1.35.1")), ["m2 skew-apiserver"]),
    "a patch apart is nothing": (Versions(on("1.36.3", "1.36.0"), kubelet=on("1.36.9")), []),
    "a kubelet before the API server (kubespray #6831)": (
        Versions(on("1.36.3"), kubelet=on("1.37.2")),
        ["m1 skew-kubelet"],
    ),
    "a kubelet newer than one API server it may reach": (
        Versions(on("1.37.2", "1.36.3"), kubelet=on("1.37.2")),
        ["m1 skew-kubelet"],
    ),
    "a kubelet three minors behind": (Versions(on("1.36.3"), kubelet=on("1.33.0")), []),
    "a kubelet four minors behind": (Versions(on("1.36.3"), kubelet=on("1.32.9")), ["m1 skew-kubelet"]),
    "three behind one, four behind the other": (
        Versions(on("1.36.3", "1.35.3"), kubelet=on("1.32.0")),
        ["m1 skew-kubelet"],
    ),
    "a kube-proxy newer than the API server": (Versions(on("1.36.3"), kube_proxy=on("1.37.0")), ["m1 skew-kube-proxy"]),
    "a controller-manager newer than its own API server": (
        Versions(on("1.36.3", "1.37.2"), controller_manager=on("1.37.2", "1.37.2")),
        ["m1 skew-kube-controller-manager"],
    ),
    "a controller-manager as new as its own, not as another": (
        Versions(on("1.36.3", "1.37.2"), controller_manager=on("1.36.3", "1.37.2")),
        [],
    ),
    "a scheduler one behind": (Versions(on("1.37.2"), scheduler=on("1.36.3")), []),
    "a scheduler two behind": (Versions(on("1.37.2"), scheduler=on("1.35.3")), ["m1 skew-kube-scheduler"]),
    "a scheduler whose API server is down, as when a hop is cut off there": (
        Versions(on("1.36.3"), scheduler={"m9": "1.37.2"}),
        [],
    ),
    "another major is never near": (Versions(on("2.36.3"), kubelet=on("1.36.3")), ["m1 skew-kubelet"]),
    "etcd a minor apart": (Versions(etcd=on("3.7.3", "3.6.16")), []),
    "etcd two minors apart": (Versions(etcd=on("3.7.3", "3.5.21")), ["m2 skew-etcd"]),
    "an etcd 3.6 too old beside 3.7": (Versions(etcd=on("3.7.3", "3.6.10")), ["m2 skew-etcd", "m2 etcd-security"]),
    "an etcd 3.6 just new enough beside 3.7": (Versions(etcd=on("3.7.3", "3.6.11")), ["m2 etcd-security"]),
    "an etcd below the security floor": (Versions(etcd=on("3.6.13", "3.6.14")), ["m1 etcd-security"]),
    "an etcd 3.7 below the security floor": (Versions(etcd=on("3.7.0")), ["m1 etcd-security"]),
    "etcd just secure": (Versions(etcd=on("3.7.1", "3.6.14")), []),
    "no version": (Versions(on("unknown"), kubelet=on("")), ["m1 skew-version", "m1 skew-version"]),
    "everything at once": (
        Versions(on("1.37.2", "1.35.0"), kubelet=on("1.38.0", "1.33.9"), etcd=on("3.7.3", "3.5.0")),
        ["m2 skew-apiserver", "m1 skew-kubelet", "m2 skew-kubelet", "m2 skew-etcd"],
    ),
}


@pytest.mark.parametrize("name", SIDE_BY_SIDE)
def test_side_by_side(name):
    running, expected = SIDE_BY_SIDE[name]
    assert said(judge_skew(running)) == expected


HOPS = {
    # name: (versions, wanted kubernetes, wanted etcd, findings)
    "a new cluster": (Versions(), "1.36.3", "3.6.16", []),
    "nothing wanted": (Versions(on("1.36.3")), None, None, []),
    "the same again": (Versions(on("1.36.3"), etcd=on("3.6.16")), "1.36.3", "3.6.16", []),
    "the next minor": (Versions(on("1.36.3"), etcd=on("3.6.16")), "1.37.2", "3.7.3", []),
    "a skipped minor": (Versions(on("1.36.3", "1.35.0")), "1.37.2", None, ["m2 version-skips"]),
    "the other half of an upgrade": (Versions(on("1.37.2", "1.36.3")), "1.37.2", None, []),
    "an upgrade that is called off half-way": (
        Versions(on("1.37.2", "1.36.3")),
        "1.36.3",
        None,
        ["m1 version-downgrade"],
    ),
    "a minor back": (Versions(on("1.37.2")), "1.36.3", None, ["m1 version-downgrade"]),
    "a patch back": (Versions(on("1.36.3")), "1.36.2", None, ["m1 version-older-patch"]),
    "another major": (Versions(on("1.36.3")), "2.0.0", None, ["m1 version-skips"]),
    "a kubelet too far behind the wanted": (
        Versions(on("1.36.3"), kubelet=on("1.33.0")),
        "1.37.2",
        None,
        ["m1 version-kubelet"],
    ),
    "a kubelet newer than the wanted": (Versions(kubelet=on("1.37.0")), "1.36.3", None, ["m1 version-kubelet"]),
    "a kubelet three behind the wanted": (Versions(kubelet=on("1.34.0")), "1.37.2", None, []),
    "a kubelet as new as the wanted": (Versions(kubelet=on("1.37.9")), "1.37.2", None, []),
    "a kube-proxy newer than the wanted": (
        Versions(kube_proxy=on("1.37.0")),
        "1.36.3",
        None,
        ["m1 version-kube-proxy"],
    ),
    "etcd skips a minor": (Versions(etcd=on("3.5.21")), None, "3.7.3", ["m1 version-skips"]),
    "etcd to 3.7 from too old a 3.6": (Versions(etcd=on("3.6.10", "3.6.11")), None, "3.7.3", ["m1 version-etcd-floor"]),
    "etcd a minor back": (Versions(etcd=on("3.7.3")), None, "3.6.16", ["m1 version-downgrade"]),
    "a wanted etcd with holes": (Versions(), None, "3.6.13", ["etcd-security"]),
    "a wanted etcd 3.7 with holes": (Versions(), None, "3.7.0", ["etcd-security"]),
    "no version is wanted": (Versions(on("1.36.3")), "latest", None, ["version-unreadable"]),
    "two of them": (Versions(), "1.36", "three", ["version-unreadable", "version-unreadable"]),
    "what runs cannot be read": (Versions(on("?")), "1.36.3", None, []),
    "everything at once": (
        Versions(on("1.35.0", "1.38.0"), kubelet=on("1.33.0", "1.39.1"), etcd=on("3.5.0", "3.8.0")),
        "1.37.2",
        "3.7.0",
        [
            *("m1 version-skips", "m2 version-downgrade", "m1 version-skips", "m2 version-downgrade"),
            *("m1 version-kubelet", "m2 version-kubelet", "etcd-security"),
        ],
    ),
}


@pytest.mark.parametrize("name", HOPS)
def test_hop(name):
    running, kubernetes, etcd, expected = HOPS[name]
    assert said(judge_target(running, kubernetes, etcd)) == expected


@pytest.mark.parametrize("findings", [judge_skew(v) for v, _said in SIDE_BY_SIDE.values()])
def test_every_finding_says_what_is_wanted_and_how_to_get_there(findings):
    for finding in findings:
        assert finding.found
        assert finding.wanted
        assert finding.fix.endswith(".")
        assert finding.level == (WARNING if finding.check == "etcd-security" else ERROR)


def test_an_older_patch_is_only_a_warning():
    assert [one.level for one in judge_target(Versions(on("1.36.3")), "1.36.2")] == [WARNING]


def test_a_skipped_minor_says_where_to_stop_over():
    (finding,) = judge_target(Versions(on("1.34.7")), "1.37.2")
    assert "a 1.35 release" in finding.fix


ANEW = "Take the host out and bring it in again, in the version of the others: remove_node.yml -e node={}, then site.yml."


TO_SERVERS = (
    "Set multimaster_kubernetes_version to the API servers' 1.36.3 and run upgrade.yml, which brings the nodes up to it; "
    "then go on."
)
OVER = "Set multimaster_kubernetes_version to a 1.36 release, upgrade, then go on."


@pytest.mark.parametrize(
    ("running", "kubernetes", "fixes"),
    [
        (
            Versions(on("1.36.3"), kubelet=on("1.33.9")),
            "1.37.2",
            [TO_SERVERS],
        ),
        (Versions(on("1.37.2"), kubelet=on("1.33.9")), "1.37.2", [ANEW.format("m1")] * 2),  # no upgrade begins beside it
        (Versions(on("1.37.2", "1.35.0")), "1.37.2", [ANEW.format("m2"), OVER]),
        (Versions(kubelet=on("1.33.9")), "1.37.2", [ANEW.format("m1")]),
        (Versions(etcd=on("3.7.3", "3.5.0")), None, [ANEW.format("m2")]),
        (Versions(etcd=on("3.7.3", "3.6.10")), None, [ANEW.format("m2")]),
    ],
)
def test_what_is_too_far_behind_is_told_with_a_playbook_that_can(running, kubernetes, fixes):
    errors = [one for one in (*judge_skew(running), *judge_target(running, kubernetes)) if one.level == ERROR]
    assert [one.fix for one in errors] == fixes


MINORS = st.integers(30, 40)


@given(MINORS, MINORS, st.sampled_from(["kubelet", "kube_proxy"]))
def test_a_node_is_fine_exactly_from_three_behind_to_the_same(server, node, component):
    running = Versions(on(f"1.{server}.0"), **{component: on(f"1.{node}.0")})
    assert (not judge_skew(running)) is (server - 3 <= node <= server)


@given(MINORS, MINORS)
def test_a_hop_is_fine_exactly_to_the_same_or_the_next_minor(present, target):
    running = Versions(on(f"1.{present}.1"))
    assert (not judge_target(running, f"1.{target}.1")) is (0 <= target - present <= 1)


def test_every_component_has_a_name():
    assert set(COMPONENTS) == set(Versions.__dataclass_fields__)
