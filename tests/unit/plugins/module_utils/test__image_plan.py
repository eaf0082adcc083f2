# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the decision which images have to be imported."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _image_plan as plan
from ansible_collections.multimaster.kubernetes.plugins.module_utils._image_plan import Archive

#: `ctr -n k8s.io images ls -q` of containerd 2.3, after an import and a pull by the kubelet.
LISTED = """\
docker.io/library/busybox:latest
registry.k8s.io/pause:3.10.2
registry.k8s.io/pause@sha256:ee6521f290b2168b6e0935a181d4cff9be1ac3f505666ef0e3c98fae8199917a
sha256:873ed75102791e5b0b8a7fcd41606c92fcec98d56d05ead4ac5131650004c136
""".splitlines()


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1", "docker.io/library/busybox:1"),
        ("me/app", "docker.io/me/app:latest"),
        ("localhost/app:1", "localhost/app:1"),
        ("host:5000/app", "host:5000/app:latest"),
        ("registry.k8s.io/pause:3.10.2", "registry.k8s.io/pause:3.10.2"),
        ("x.io/a@sha256:ab", "x.io/a@sha256:ab"),
    ],
)
def test_references_are_completed_as_containerd_does(given, full):
    assert plan.full(given) == full


def test_only_what_is_missing_is_imported():
    archives = [Archive(name) for name in ("busybox", "registry.k8s.io/pause:3.10.2", "registry.k8s.io/pause:3.10")]
    assert [archive.reference for archive in plan.missing(archives, LISTED)] == ["registry.k8s.io/pause:3.10"]
    assert len(plan.missing(archives, [])) == 3


@pytest.mark.parametrize(
    ("archives", "said"),
    [
        ([Archive("a", url="http://x")], "nothing is imported unverified"),
        ([Archive("a", path="/a", checksum_url="http://x")], "give `sha256` with `path`"),
        ([Archive("busybox", path="/a"), Archive("docker.io/library/busybox:latest", path="/b")], "asked for twice"),
    ],
)
def test_impossible_lists_are_refused(archives, said):
    assert said in plan.findings(archives)[0]


def test_a_local_archive_needs_no_checksum():
    assert (
        plan.findings(
            [
                Archive("a", path="/a"),
                Archive("b", url="http://x", sha256="1"),
                Archive("c", url="http://x", checksum_url="http://y"),
            ]
        )
        == []
    )
