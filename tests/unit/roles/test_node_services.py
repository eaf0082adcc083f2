# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services of a node that would end again are not taken for up: what each is asked, or says by itself."""

from __future__ import annotations

import pytest
from ansible.template import Templar
from rendering import files, render, variables


@pytest.mark.parametrize(
    ("extra", "url"),
    [
        ({}, "http://127.0.0.1:10256/healthz"),
        ({"healthzBindAddress": "127.0.0.1:10300"}, "http://127.0.0.1:10300/healthz"),
        ({"healthzBindAddress": "0.0.0.0:10300"}, "http://127.0.0.1:10300/healthz"),
        ({"healthzBindAddress": "192.0.2.11"}, "http://192.0.2.11:10256/healthz"),
        ({"healthzBindAddress": None}, "http://127.0.0.1:10256/healthz"),
        ({"healthzBindAddress": ""}, "http://127.0.0.1:10256/healthz"),
    ],
)
def test_kube_proxy_is_asked_where_its_configuration_has_it_listen(extra, url):
    loader, known = variables("kube_proxy", "m1")
    known["kube_proxy_extra_config"] = extra
    (unit,) = Templar(loader=loader, variables=known).template(known["__kube_proxy_units"])
    assert unit["ready"] == {"url": url, "timeout": 120}


def test_flannel_says_itself_when_it_is_ready():
    unit = files("network")["/etc/systemd/system/flanneld.service"]
    assert "\nType=notify\n" in unit and "\nTimeoutStartSec=infinity\n" in unit
    (ready,) = (one["ready"] for one in render("network", "__network_units"))
    assert ready == {"timeout": 120}
