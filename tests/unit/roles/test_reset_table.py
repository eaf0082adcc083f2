# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hold the one table of what a reset removes against everything that roles and modules put on a host."""

from __future__ import annotations

import json
import posixpath
import re

import pytest
import yaml
from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _cluster_record,
    _etcd_host,
    _files,
    _host,
    _pki_plan,
    _releases,
    _systemd,
)
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _reset_plan as plan
from ansible_collections.multimaster.kubernetes.plugins.modules import host_kernel
from rendering import ROOT, cluster, files, render, roles_with_files

# A path in a role's YAML, template or program.
PATH = re.compile(r"(?<![\w.}/:-])/(?:etc|var|run|opt|usr/local)/[\w./-]*\w")
# Named in a role but not made by it: read, part of a package, or inside a pod.
NOT_OURS = {
    "/etc/coredns",
    "/etc/coredns/Corefile",
    "/etc/resolv.conf",
    "/opt/cni/bin",
    "/run/haproxy",
    "/run/haproxy/admin.sock",
    "/run/keepalived",
    "/usr/local/bin",
    "/usr/local/sbin",
    "/var/lib/haproxy",
}
# Folders shared with others, of which a reset removes what is ours.
SHARED = {"/etc/cni/net.d", "/usr/local/lib"}
ROLES = sorted(path.name for path in (ROOT / "roles").iterdir())


def goes(path):
    """Return whether a reset removes this path: itself, a folder above it, or because it is empty by then."""
    whole = [*plan.HOST_PATHS, plan.HOME, plan.PROGRAMS]
    single = []
    for part in plan.PARTS:
        whole += part.removals
        single += part.all_shells
    return path in single or any(path == row or path.startswith(row + "/") for row in whole)


def mentioned(role):
    """Return every path that the text of a role's tasks, variables, templates and programs names."""
    for folder in ("tasks", "vars", "defaults", "templates", "files"):
        for file in sorted((ROOT / "roles" / role / folder).glob("*")):
            yield from PATH.findall(re.sub(r"\{\{ *__\w+_library *\}\}", plan.LIBRARY, file.read_text()))


def test_every_file_a_role_writes_goes():
    written = {path for role in roles_with_files() if role != "api_endpoint" for path in files(role)}
    written |= {one["path"] for one in render("api_endpoint", "__api_endpoint_files")["balanced"]}
    written |= {one["path"] for one in render("csr_approver", "__csr_approver_program")}
    assert len(written) > 30
    assert [path for path in sorted(written) if not goes(path)] == []


@pytest.mark.parametrize("role", ROLES)
def test_every_path_a_role_names_goes_or_is_known_to_stay(role):
    left = {path for path in mentioned(role) if not goes(path)} - NOT_OURS - SHARED
    assert not left, "add it to PARTS or HOST_PATHS of _reset_plan, or here with the others that stay"


def test_every_unit_of_the_roles_is_stopped():
    listed = {part.unit for part in plan.PARTS}
    assert listed == {name + ".service" for name in _host.UNITS}
    text = "\n".join(f.read_text() for f in sorted((ROOT / "roles").glob("*/vars/main.yml")))
    assert set(re.findall(r"/etc/systemd/system/([\w-]+\.service)", text)) == listed


@pytest.mark.parametrize("part", [part for part in plan.PARTS if not part.package], ids=lambda part: part.unit)
def test_our_unit_files_carry_the_mark_that_proves_them_ours(part):
    known = {path: text for role in roles_with_files() if role != "api_endpoint" for path, text in files(role).items()}
    known.update({one["path"]: one["content"] for one in render("api_endpoint", "__api_endpoint_files")["balanced"]})
    assert part.mark in known[part.proof]


@pytest.mark.parametrize("unit,name", [("containerd.service", "ctr"), ("kube-proxy.service", "kube-proxy")])
def test_programs_are_found_through_our_unit_files_where_they_are_installed(unit, name):
    role = unit.partition(".")[0].replace("-", "_")
    path = plan.program(files(role)[f"/etc/systemd/system/{unit}"], name)
    _listed, _seen, fact = cluster()
    wanted = _releases.artifacts(["node"], _releases.versions(fact["hosts"]["m1"]["versions"]), "amd64", "release")
    installed = [row.get("dest") for row in wanted] + [file for row in wanted for file in row.get("extract", {}).values()]
    assert path in installed


def test_marked_files_carry_our_mark_in_their_first_line():
    written = {one["path"]: one["content"] for one in render("api_endpoint", "__api_endpoint_files")["balanced"]}
    for part in plan.PARTS:
        for path in part.marked:
            assert plan.MARK in written[path].partition("\n")[0]


def test_what_modules_write_goes():
    paths = [host_kernel.ARGUMENTS[name]["default"] for name in ("modules_file", "sysctl_file")] + [
        _etcd_host.Paths().data_dir,
        _etcd_host.Paths().record,
        _etcd_host.Paths().drop_in,
        "/" + _systemd.RECORDS,
    ]
    paths += [_cluster_record.PATH, _host.KUBELET_CERTIFICATE, _host.KUBELET_KUBECONFIG, *_host.CERTIFICATE_FOLDERS]
    paths += [f"{part.folder}/{_systemd.DROP_IN}" for part in plan.PARTS]
    assert [path for path in paths if not goes(path)] == []
    assert posixpath.dirname(_cluster_record.PATH) == plan.HOME and plan.IDENTITY_DROP_IN == _systemd.DROP_IN
    assert _files.ARGUMENTS["absent"]["default"] == []


@pytest.mark.parametrize("host", ["m1", "w1"])
def test_every_certificate_and_key_goes(host):
    _listed, _seen, fact = cluster()
    text = json.dumps(_pki_plan.for_host(fact["hosts"][host], fact))
    paths = [path for path in re.findall(r'"(/[^"]+)"', text) if path.startswith(("/etc", "/var", "/run", "/usr", "/opt"))]
    assert paths and [path for path in paths if not goes(path)] == []


def test_links_to_programs_are_known_as_such():
    links = _releases.links(list(_releases.SETS), {**_releases.VERSIONS, "kubernetes": "1", "etcd": "1"})
    for path, target in links.items():
        assert path.startswith(plan.COMMANDS + "/") and plan.points_into_programs(plan.Found("link", target))


def test_the_cni_plugins_names_are_those_of_the_template():
    template = (ROOT / "roles/containerd/templates/cni-template.json.j2").read_text()
    assert f'"bridge": "{plan.BRIDGE}"' in template
    name = re.search(r'"name": "(\w+)"', template)[1]
    assert f"/var/lib/cni/networks/{name}" in plan.RUNTIME.paths


def test_kube_proxys_modes_are_the_known_ones():
    specs = yaml.safe_load((ROOT / "roles/kube_proxy/meta/argument_specs.yml").read_text())["argument_specs"]
    assert specs["main"]["options"]["kube_proxy_mode"]["choices"] == ["iptables", "nftables"]
