# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every unit and configuration file as it reaches a host, beside its golden copy.

A change that is meant is accepted by `GOLDEN=write make unit`; the difference is then read in the commit.
"""

from __future__ import annotations

import os
import pathlib

import pytest
from rendering import files, render, roles_with_files

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "golden"


def rendered(role):
    """Return {path: text} without programs, which have tests of their own; the endpoint's files depend on its state."""
    chosen = (
        {one["path"]: one["content"] for one in render(role, f"__{role}_files")["balanced"]}
        if role == "api_endpoint"
        else files(role)
    )
    return {path: text for path, text in chosen.items() if not path.startswith("/usr/local/lib/")}


@pytest.mark.parametrize("role", roles_with_files())
def test_files_are_what_they_were(role):
    got = rendered(role)
    assert got, "a role that writes no file has no place here"
    folder = GOLDEN / role
    paths = {name: folder / name.lstrip("/").replace("/", "__") for name in got}
    if os.environ.get("GOLDEN") == "write":
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for name, path in paths.items():
            path.write_text(got[name])
    assert {path.name for path in paths.values()} == {path.name for path in folder.iterdir()}
    for name, path in paths.items():
        assert got[name] == path.read_text(), f"{name} differs from tests/golden; if that is meant: GOLDEN=write make unit"


def test_two_workers_differ_in_name_address_and_zone_only():
    one, other = files("kubelet", "w1"), files("kubelet", "m2")
    assert one["/var/lib/kubelet/config.yaml"] != other["/var/lib/kubelet/config.yaml"], "a master has its taint"
    text = one["/etc/systemd/system/kubelet.service"]
    assert "--node-ip=192.0.2.21" in text and "topology.kubernetes.io/zone=a" in text
