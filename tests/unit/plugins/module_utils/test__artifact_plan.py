# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the decision which release files have to be fetched."""

from __future__ import annotations

import re

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _artifact_plan as plan
from ansible_collections.multimaster.kubernetes.plugins.module_utils._artifact_plan import Artifact, Stat

A, B = "a" * 64, "b" * 64
URL = "https://dl.k8s.io/release/v1.36.3/bin/linux/amd64/kubelet"
KUBELET = Artifact(URL, {"": "/opt/k/kubelet"}, A)
BY_URL = Artifact(URL, {"": "/opt/k/kubelet"}, checksum_url=URL + ".sha256")
ARCHIVE = Artifact("https://x/c.tgz", {"bin/ctr": "/opt/c/ctr", "bin/containerd": "/opt/c/containerd"}, B)
STAT = Stat(10, 20, 0o755)


def entry(**more):
    return {**plan.entry(KUBELET, A, A, STAT, "boot1"), **more}


@pytest.mark.parametrize(
    ("artifact", "entries", "stat", "action"),
    [
        (KUBELET, entry(), STAT, "none"),
        (KUBELET, entry(url="https://other.mirror/kubelet"), STAT, "none"),
        (BY_URL, entry(), STAT, "none"),
        (BY_URL, entry(url="https://other.mirror/kubelet"), STAT, "verify"),
        (KUBELET, entry(source=B), STAT, "verify"),
        (KUBELET, {}, STAT, "verify"),
        (KUBELET, entry(), None, "fetch"),
        (KUBELET, entry(), Stat(11, 20, 0o755), "verify"),
        (KUBELET, entry(), Stat(10, 21, 0o755), "verify"),
        (KUBELET, entry(), Stat(10, 20, 0o700), "chmod"),
        (KUBELET, entry(boot="boot0"), STAT, "verify"),
        (KUBELET, entry(boot="verified"), STAT, "none"),
        (KUBELET, entry(boot="verified"), Stat(10, 20, 0o600), "chmod"),
    ],
)
def test_one_stat_and_the_manifest_decide(artifact, entries, stat, action):
    verdict = plan.judge(artifact, {"/opt/k/kubelet": entries}, {"/opt/k/kubelet": stat}, "boot1")
    assert verdict.action == action
    assert verdict.known is (entries.get("boot") == "boot0")


@pytest.mark.parametrize(
    ("manifest", "stats", "action"),
    [
        ({}, {"/opt/c/ctr": STAT, "/opt/c/containerd": STAT}, "fetch"),
        (
            {path: plan.entry(ARCHIVE, B, A, STAT, "boot1") for path in ("/opt/c/ctr", "/opt/c/containerd")},
            {"/opt/c/ctr": STAT, "/opt/c/containerd": STAT},
            "none",
        ),
        (
            {path: plan.entry(ARCHIVE, B, A, STAT, "boot1") for path in ("/opt/c/ctr", "/opt/c/containerd")},
            {"/opt/c/ctr": STAT, "/opt/c/containerd": None},
            "fetch",
        ),
        (
            {path: plan.entry(ARCHIVE, B, A, STAT, "boot1") for path in ("/opt/c/ctr", "/opt/c/containerd")},
            {"/opt/c/ctr": STAT, "/opt/c/containerd": Stat(10, 99, 0o755)},
            "verify",
        ),
        (
            {path: plan.entry(ARCHIVE, A, A, STAT, "boot1") for path in ("/opt/c/ctr", "/opt/c/containerd")},
            {"/opt/c/ctr": STAT, "/opt/c/containerd": STAT},
            "fetch",
        ),
    ],
)
def test_members_of_an_archive_can_be_proven_only_by_the_manifest(manifest, stats, action):
    assert plan.judge(ARCHIVE, manifest, stats, "boot1").action == action


PATHS = ("/opt/c/ctr", "/opt/c/containerd")


@pytest.mark.parametrize(
    ("sha256", "more", "action"),
    [
        ("", {}, "verify"),
        ("", {"boot": "verified"}, "verify"),
        ("", {"source": ""}, "fetch"),
        ("", {"sha256": ""}, "fetch"),
        (B, {}, "none"),
        (A, {}, "fetch"),
    ],
)
def test_members_from_another_source_are_proven_when_what_they_came_from_is_known(sha256, more, action):
    moved = Artifact("https://mirror/c.tgz", ARCHIVE.files, sha256, "https://mirror/c.tgz.sha256")
    known = {path: {**plan.entry(ARCHIVE, B, A, STAT, "boot1"), **more} for path in PATHS}
    verdict = plan.judge(moved, known, dict.fromkeys(PATHS, STAT), "boot1")
    assert (verdict.action, verdict.known) == (action, False)


def test_who_makes_room_is_told_that_what_units_start_from_must_stay():
    """The version before the wanted one is the one that runs until its units are written."""
    assert "must stay, also an older one" in plan.MAKE_ROOM
    assert "may go" not in plan.MAKE_ROOM
    pattern = re.search(r"-rhoE '([^']+)'", plan.MAKE_ROOM)[1]
    unit = "ExecStart=/opt/multimaster/etcd/3.6.16/etcd --name=m1\nExecStartPost=/opt/multimaster/cni-plugins/1.9.1"
    assert re.findall(pattern, unit) == ["/opt/multimaster/etcd/3.6.16", "/opt/multimaster/cni-plugins/1.9.1"]


def test_what_proves_a_file_without_a_download():
    assert plan.proof(KUBELET, "/opt/k/kubelet", {}, A) == A
    known = {"/opt/c/ctr": plan.entry(ARCHIVE, B, A, STAT, "x")}
    assert plan.proof(ARCHIVE, "/opt/c/ctr", known, B) == A
    assert plan.proof(ARCHIVE, "/opt/c/ctr", known, A) == ""
    assert plan.proof(ARCHIVE, "/opt/c/ctr", {}, B) == ""


@pytest.mark.parametrize(
    ("artifacts", "said"),
    [
        ([Artifact(URL, {}, A)], "give `dest` or `extract`"),
        ([Artifact(URL, {"": "/a"})], "nothing is installed unverified"),
        ([Artifact(URL, {"": "/a"}, "abc")], "not 64 hexadecimal"),
        ([Artifact(URL, {"": "a"}, A)], "not an absolute path"),
        ([KUBELET, Artifact("https://x/y", {"": "/opt/k/kubelet"}, A)], "asked for twice"),
    ],
)
def test_impossible_lists_are_refused(artifacts, said):
    assert said in plan.findings(artifacts)[0]
    assert plan.findings([KUBELET, ARCHIVE]) == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (A, "kubelet"),
        (A + "\n", "kubelet"),
        (A.upper(), "kubelet"),
        (f"{A}  kubelet\n", "kubelet"),
        (f"{A} *runc.amd64\n", "runc.amd64"),
        (f"{B}  etcd-v3.6.16-linux-arm64.tar.gz\n{A}  etcd-v3.6.16-linux-amd64.tar.gz\n", "etcd-v3.6.16-linux-amd64.tar.gz"),
        (f"{A}  ./dist/kubelet\n", "kubelet"),
        (f"SHA256 (kubelet) = {A}\n", "kubelet"),
        (
            f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{B} *runc.386\n{A} *runc.amd64\n"
            "-----BEGIN PGP SIGNATURE-----\n",
            "runc.amd64",
        ),
    ],
)
def test_checksum_files_of_all_publishers_are_read(text, name):
    assert plan.parse_checksum(text, name, "https://x") == A


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{A}  kubectl\n", "holds kubectl"),
        ("<html>404</html>", "no SHA-256 digest"),
        ("", "no SHA-256 digest"),
        ("c" * 128 + "  kubelet\n", "no SHA-256 digest"),
        (f"{A}\n{B}\n", "no SHA-256 digest"),
        (f"{A}  old-kubelet\n", "holds old-kubelet"),
    ],
)
def test_a_checksum_file_without_this_file_is_an_error(text, said):
    with pytest.raises(plan.ArtifactError, match=said):
        plan.parse_checksum(text, "kubelet", "https://x/kubelet.sha256")


def test_passwords_in_urls_are_shown_nowhere():
    assert plan.bare("https://me:secret@mirror/x") == "https://mirror/x"
    assert plan.bare("https://me:sec@ret@mirror/x") == "https://mirror/x"
    assert plan.entry(Artifact("https://me:secret@m/x", {}), A, A, STAT, "b")["url"] == "https://m/x"
    assert plan.bare("https://mirror/x@y") == "https://mirror/x@y"


def test_names_come_from_the_path_of_the_url():
    assert plan.file_name("https://x/a/b%20c.tgz?token=1#f") == "b c.tgz"


def test_archives_need_room_for_what_is_in_them():
    assert plan.space_needed(100, False) == 100 + plan.RESERVE
    assert plan.space_needed(100, True) == 400 + plan.RESERVE
