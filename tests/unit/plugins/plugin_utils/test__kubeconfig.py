# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator's kubeconfig: kept while right, written anew with a reason, never in place of somebody else's file."""

from __future__ import annotations

import base64

import pytest
import yaml
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _pki, _pki_plan
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _kubeconfig, _x509

NOW = 1_800_000_000.0
SERVER = "https://192.0.2.100:6443"
CA_KEY, CA = _x509.new_authority("kubernetes", "prod", NOW)
(WANTED,), _findings = _pki.certificates([_pki_plan.administrator("/admin")])
KEY = _x509.new_key()


def text(**changes):
    certificate = _x509.pem(_x509.sign(WANTED, KEY.public_key(), CA, CA_KEY, NOW))
    values = {
        "cluster_name": "prod",
        "server": SERVER,
        "authority": _x509.pem(CA),
        "certificate": certificate,
        "key": _x509.key_pem(KEY),
    }
    return _kubeconfig.compose(**{**values, **changes})


def judge(config, now=NOW):
    return _kubeconfig.judge(config, "/x/admin.conf", "prod", SERVER, _x509.pem(CA), CA, WANTED, now)[0]


def test_what_is_composed_is_kept():
    assert judge(text()) == ()
    config = yaml.safe_load(text())
    assert config["current-context"] == config["contexts"][0]["name"] == "kubernetes-admin@prod"
    subject = _x509.load_certificates(base64.b64decode(config["users"][0]["user"]["client-certificate-data"]).decode(), "")[
        0
    ].subject
    assert subject.rfc4514_string() == "CN=kubernetes-admin,O=kubeadm:cluster-admins"


@pytest.mark.parametrize(
    ("config", "now", "reason"),
    [
        (None, NOW, "missing"),
        (text(server="https://192.0.2.1:6443"), NOW, "points at https://192.0.2.1:6443, wanted " + SERVER),
        (text(authority="other"), NOW, "trusts another authority"),
        (text(), NOW + 340 * _pki.DAY, "expires in 25 days"),
        (text(), NOW + 400 * _pki.DAY, "expired 35 days ago"),
        (text(key=_x509.key_pem(_x509.new_key())), NOW, "its key does not match"),
        (text(key="nonsense"), NOW, "its key cannot be read"),
        (text(certificate="nonsense"), NOW, "cannot be read as a certificate"),
    ],
)
def test_reasons_to_write_it_anew(config, now, reason):
    assert any(reason in said for said in judge(config, now))


def test_a_users_own_settings_are_kept():
    config = yaml.safe_load(text())
    config["contexts"][0]["context"]["namespace"] = "shop"
    assert judge(yaml.safe_dump(config)) == ()


def strange(change):
    config = yaml.safe_load(text())
    change(config)
    return yaml.safe_dump(config)


@pytest.mark.parametrize(
    "config",
    [
        "",
        "- a",
        "just text",
        "{",
        "apiVersion: v1\nclusters: null\n",
        text(cluster_name="other"),
        strange(lambda config: config["clusters"].append({"name": "other", "cluster": {}})),
        strange(lambda config: config["users"].append({"name": "me", "user": {"token": "x"}})),
        strange(lambda config: config["contexts"].append({"name": "me", "context": {}})),
    ],
)
def test_somebody_elses_file_is_never_overwritten(config):
    with pytest.raises(_kubeconfig.KubeconfigError, match="nothing was written"):
        judge(config)


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("192.0.2.1", "https://192.0.2.1:6443"),
        ("2001:db8::1", "https://[2001:db8::1]:6443"),
        ("api.example", "https://api.example:6443"),
    ],
)
def test_server_url(address, url):
    assert _kubeconfig.server_url(address, 6443) == url
