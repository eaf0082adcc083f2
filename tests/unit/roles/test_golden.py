# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every unit and configuration file as it reaches a host, beside its golden copy.

A change that is meant is accepted by `GOLDEN=write make unit`; the difference is then read in the commit.
"""

from __future__ import annotations

import functools
import json
import os
import pathlib

import pytest
import yaml
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _kernel_plan
from ansible_collections.multimaster.kubernetes.plugins.modules import host_kernel
from rendering import ROOT, files, render, roles_with_files

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "golden"


def named(found):
    """Return {path: text} of files without programs, which have tests of their own."""
    return {one["path"]: one["content"] for one in found if not one["path"].startswith("/usr/local/lib/")}


def objects(found):
    """Return {path: text} of objects for the API, as if they were a file."""
    return {"objects.json": json.dumps(found, indent=2) + "\n"}


def rendered(role):
    """Return {path: text} of what a role writes; the endpoint's files depend on its state."""
    found = render(role, f"__{role}_files")
    return named(found["balanced"] if role == "api_endpoint" else found)


def of_coredns():
    found = render("coredns", "__coredns_objects")
    [corefile] = [one["data"]["Corefile"] for one in found if one["kind"] == "ConfigMap"]
    return {"Corefile": corefile, **objects(found)}


def of_kernel():
    """Return what module host_kernel keeps over a reboot of what the role itself asks for."""
    modules, sysctls = (render("host_preparation", f"__host_preparation_{what}") for what in ("kernel_modules", "sysctls"))
    return {
        host_kernel.ARGUMENTS["modules_file"]["default"]: _kernel_plan.render_modules(modules, _kernel_plan.Kernel()),
        host_kernel.ARGUMENTS["sysctl_file"]["default"]: _kernel_plan.render_sysctls(sysctls),
    }


def of_approver():
    return yaml.safe_load((ROOT / "roles/csr_approver/vars/objects.yml").read_text())["__csr_approver_objects"]


# What is rendered beside the usual state, or is no file: folder of the golden copies, and how to get it.
STATES = {
    "api_endpoint_direct": lambda: named(render("api_endpoint", "__api_endpoint_files")["direct"]),
    "cluster_access": lambda: objects(render("cluster_access", "__cluster_access_objects")),
    "containerd_without_pod_network": lambda: named(render("containerd", "__containerd_files", network="none")),
    "coredns": of_coredns,
    "host_preparation_kernel": of_kernel,
    "csr_approver_access": lambda: objects(of_approver()),
    "kubelet_kubeconfigs": lambda: named(
        [*render("kubelet", "__kubelet_kubeconfig_files", "w1"), *render("kubelet", "__kubelet_bootstrap_files", "w1")]
    ),
}
WRITTEN = {**{role: functools.partial(rendered, role) for role in roles_with_files()}, **STATES}


@pytest.mark.parametrize("name", WRITTEN)
def test_files_are_what_they_were(name):
    got = WRITTEN[name]()
    assert got, "what writes nothing has no place here"
    folder = GOLDEN / name
    paths = {file: folder / file.lstrip("/").replace("/", "__") for file in got}
    if os.environ.get("GOLDEN") == "write":
        folder.mkdir(parents=True, exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for file, path in paths.items():
            path.write_text(got[file])
    assert {path.name for path in paths.values()} == {path.name for path in folder.iterdir()}
    for file, path in paths.items():
        assert got[file] == path.read_text(), f"{file} differs from tests/golden; if that is meant: GOLDEN=write make unit"


def test_every_golden_copy_is_of_something():
    assert {path.name for path in GOLDEN.iterdir()} == set(WRITTEN)


def test_two_workers_differ_in_name_address_and_zone_only():
    one, other = files("kubelet", "w1"), files("kubelet", "m2")
    assert one["/var/lib/kubelet/config.yaml"] != other["/var/lib/kubelet/config.yaml"], "a master has its taint"
    text = one["/etc/systemd/system/kubelet.service"]
    assert "--node-ip=192.0.2.21" in text and "topology.kubernetes.io/zone=a" in text
