# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What containerd has made of an older template goes when it starts, and nothing else does."""

from __future__ import annotations

import os
import subprocess

import pytest
from rendering import files, render

TEMPLATE, MADE = "/etc/containerd/cni-template.json", "/etc/cni/net.d/10-containerd-net.conflist"


@pytest.mark.parametrize(
    ("template", "made", "left"), [(1, 2, True), (2, 1, False), (1, 1, False), (None, 1, True), (1, None, False)]
)
def test_what_was_made_of_an_older_template_goes(tmp_path, template, made, left):
    (line,) = [one for one in files("containerd")["/etc/systemd/system/containerd.service"].splitlines() if "StartPre" in one]
    assert line.startswith("ExecStartPre=-/usr/bin/find ")
    command = line.partition("-")[2].replace(TEMPLATE, f"{tmp_path}/template").replace(MADE, f"{tmp_path}/made")
    for name, age in (("template", template), ("made", made)):
        if age is not None:
            (tmp_path / name).write_text(name)
            os.utime(tmp_path / name, (age, age))
    subprocess.run(command.split(), check=None not in (template, made))
    assert (tmp_path / "made").exists() is left
    assert (tmp_path / "template").exists() is (template is not None)


def test_who_brings_another_network_keeps_what_is_there():
    assert "ExecStartPre" not in files("containerd", network="none")["/etc/systemd/system/containerd.service"]


@pytest.mark.parametrize("role", ["containerd", "kubelet"])
def test_who_makes_it_and_who_has_it_made_restart_for_a_changed_template(role):
    assert TEMPLATE in [path for unit in render(role, f"__{role}_units") for path in unit["inputs"]]
