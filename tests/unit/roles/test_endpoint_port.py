# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which port balancer, API servers and their clients use when the endpoint answers on another than the usual one."""

from __future__ import annotations

import re

import pytest
from rendering import files, flags, render

MASTERS = ("192.0.2.11", "192.0.2.12", "192.0.2.13")


def flag(name, **more):
    return flags(files("kube_apiserver", **more)["/etc/systemd/system/kube-apiserver.service"])[name]


def secure_port(**more):
    return flag("secure-port", **more)


def haproxy(**more):
    written = {one["path"]: one["content"] for one in render("api_endpoint", "__api_endpoint_files", **more)["balanced"]}
    text = written["/etc/haproxy/haproxy.cfg"]
    return re.findall(r"bind (192\S+)", text), sorted(set(re.findall(r"^    server \S+ (\S+)", text, re.M)))


@pytest.mark.parametrize("port", [443, 6443])
def test_a_managed_endpoint_and_its_api_servers_share_the_port(port):
    assert secure_port(endpoint_port=port) == str(port)
    assert haproxy(endpoint_port=port) == ([f"192.0.2.10:{port}"], [f"{address}:{port}" for address in MASTERS])
    assert render("kubelet", "kubelet_server", "m1", endpoint_port=port) == f"https://192.0.2.11:{port}"
    assert render("kubelet", "kubelet_server", "w1", endpoint_port=port) == f"https://192.0.2.10:{port}"


def test_api_servers_behind_another_balancer_keep_their_own_port_and_its_owner_is_told_so():
    external = {"endpoint_mode": "external", "endpoint_port": 443}
    assert secure_port(**external) == "6443"
    advice = render("api_endpoint", "__api_endpoint_advice", **external)
    assert "at 192.0.2.11:6443, 192.0.2.12:6443, 192.0.2.13:6443 (TCP" in advice
    assert "answer on 192.0.2.10:443. Its check" in advice and advice.endswith("within 30 s.")
    assert flag("shutdown-delay-duration", **external) == "30s"
    assert flag("shutdown-delay-duration", endpoint_check_seconds=12, **external) == "12s"
    assert render("kubelet", "kubelet_server", "m1", **external) == "https://192.0.2.11:6443"
    assert render("kubelet", "kubelet_server", "w1", **external) == "https://192.0.2.10:443"
