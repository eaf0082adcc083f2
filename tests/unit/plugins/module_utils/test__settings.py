# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ipaddress

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _settings

NEEDED = {"multimaster_cluster_name": "prod", "multimaster_endpoint_address": "192.0.2.10"}


def parse(**more):
    return _settings.parse(dict(NEEDED, **{f"multimaster_{name}": value for name, value in more.items()}), "/inv")


def checks(findings):
    return [finding.check for finding in findings]


def test_the_two_required_settings_are_enough():
    settings, findings = parse()
    assert findings == ()
    assert (settings.endpoint_port, settings.network, settings.even_voters) == (6443, "flannel", False)
    assert settings.service_cidr == ipaddress.ip_network("10.96.0.0/16")


def test_the_ca_store_lies_beside_the_inventory_unless_said_otherwise():
    assert parse()[0].ca_store == "/inv/pki"
    assert parse(ca_store="/keys")[0].ca_store == "/keys"


def test_all_problems_are_reported_at_once():
    settings, findings = _settings.parse({"multimaster_pod_cidr": "10.244.0.1/16", "multimaster_endpoint_port": "https"})
    assert checks(findings) == ["setting-missing", "setting-missing", "setting-invalid", "setting-invalid"]
    assert settings.endpoint_port == 6443


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("endpoint_port", "8443", 8443),
        ("endpoint_port", 8443, 8443),
        ("upgrade_canary_seconds", "30", 30),
        ("upgrade_canary_seconds", 0, 0),
        ("drain_seconds", "30", 30),
        ("drain_seconds", 7200, 7200),
        ("upgrade_canary_leader_changes", 3600, 3600),
        ("before_host", "tasks/before.yml", "tasks/before.yml"),
        ("even_voters", "yes", True),
        ("even_voters", True, True),
        ("allow_lost_zone", "False", False),
        ("zones", "a, b,c", ("a", "b", "c")),
        ("zones", ["a", "b"], ("a", "b")),
        ("preflight_ignore", [], ()),
        ("artifact_source", "http://192.0.2.1/mirror/", "http://192.0.2.1/mirror"),
        ("artifact_source", "/srv/artifacts", "/srv/artifacts"),
        ("artifact_source", "https://mirror.example:8443/a@b/", "https://mirror.example:8443/a@b"),
        ("artifact_source", "http://[fd00::1]:80", "http://[fd00::1]:80"),
        ("endpoint_address", " 192.0.2.11 ", "192.0.2.11"),
    ],
)
def test_values_arrive_in_their_type_whatever_the_inventory_format(name, value, expected):
    settings, findings = parse(**{name: value})
    assert findings == ()
    assert getattr(settings, name) == expected


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("cluster_name", "Prod_1", "DNS label"),
        ("cluster_name", "a" * 64, "DNS label"),
        ("endpoint_address", "192.0.2.300", "IPv4"),
        ("endpoint_address", "2001:db8::1", "IPv4"),
        ("endpoint_port", 0, "port number"),
        ("endpoint_port", 65536, "port number"),
        ("endpoint_port", True, "port number"),
        ("endpoint_mode", "manged", "did you mean managed?"),
        ("pod_cidr", "10.244.0.1/16", "host bits"),
        ("service_cidr", "fd00::/108", "IPv4 network"),
        ("cluster_domain", "Cluster.Local", "DNS domain"),
        ("network", "calico", "one of flannel, none"),
        ("kubernetes_version", "v1.36.3", "without v"),
        ("kubernetes_version", "1.36", "version"),
        ("artifact_source", "mirror", "base URL"),
        ("artifact_source", "http://mirror:port", "base URL"),
        ("artifact_source", "http://fd00::1", "base URL"),
        ("even_voters", "perhaps", "true or false"),
        ("upgrade_canary_seconds", -1, "a whole number, 0 to 3600"),
        ("upgrade_canary_seconds", 3601, "a whole number, 0 to 3600"),
        ("upgrade_canary_seconds", "10s", "a whole number"),
        ("upgrade_canary_leader_changes", True, "a whole number"),
        ("endpoint_check_seconds", 2, "a whole number of seconds, 3 to 30"),
        ("endpoint_check_seconds", 31, "a whole number of seconds, 3 to 30"),
        ("drain_seconds", 29, "a whole number of seconds, 30 to 7200"),
        ("drain_seconds", 7201, "a whole number of seconds, 30 to 7200"),
        ("drain_seconds", "5m", "a whole number of seconds"),
        ("drain_seconds", True, "a whole number of seconds"),
        ("zones", {"a": 1}, "a list"),
        ("cluster_name", ["a"], "a text"),
    ],
)
def test_a_bad_value_is_named_with_what_is_wanted(name, value, wanted):
    _unused, findings = parse(**{name: value})
    assert checks(findings) == ["setting-invalid"]
    assert f"multimaster_{name}" in findings[0].found
    assert wanted in findings[0].wanted


@pytest.mark.parametrize("source", ["http://me:s3cret@m/x", "https://me:s3@cret@m", "http://me:s3/cret@m", "http://s3cret@m"])
def test_a_mirror_with_a_password_is_refused_and_the_password_said_nowhere(source):
    _unused, [finding] = parse(artifact_source=source)
    assert finding.check == "setting-invalid"
    differing = _settings.differing({"m1": {"multimaster_artifact_source": source}, "m2": {}})
    for said in (finding.line(), *(one.line() for one in differing)):
        assert "…@" in said and "s3" not in said and "cret" not in said
    if "/cret" not in source:
        assert "without user and password" in finding.wanted


def test_host_settings_are_read_per_host():
    host, findings = _settings.parse_host({"multimaster_zone": "a", "multimaster_node_address": "192.0.2.11"}, "m1")
    assert (host.zone, host.node_address, findings) == ("a", "192.0.2.11", ())
    _unused, findings = _settings.parse_host({"multimaster_zone": "a b"}, "m1")
    assert (findings[0].host, findings[0].check) == ("m1", "setting-invalid")


def test_a_misspelt_variable_is_found_with_the_nearest_name():
    found = _settings.unknown(["multimaster_endpoint_adress", "ansible_host", "multimaster_host", "multimaster_xyzzy"])
    assert [(finding.found.split()[0], finding.fix[:12]) for finding in found] == [
        ("multimaster_endpoint_adress", "Did you mean"),
        ("multimaster_xyzzy", "Remove it; s"),
    ]
    assert "multimaster_endpoint_address?" in found[0].fix


def test_known_variables_are_not_called_unknown():
    assert _settings.unknown([setting.variable for setting in _settings.SETTINGS]) == ()


def test_hosts_that_disagree_on_a_cluster_setting_are_named():
    same = dict(NEEDED, multimaster_endpoint_port=6443)
    findings = _settings.differing({"m1": same, "m2": same, "w1": dict(same, multimaster_endpoint_port=7443)})
    assert [(finding.host, finding.check) for finding in findings] == [("w1", "setting-differs")]
    assert "6443, as on m1, m2" in findings[0].wanted


def test_a_setting_that_only_one_host_has_is_a_disagreement():
    findings = _settings.differing({"m1": NEEDED, "w1": {}})
    assert checks(findings) == ["setting-differs", "setting-differs"]


def test_hosts_may_differ_in_zone_and_node_address():
    assert _settings.differing({"m1": {"multimaster_zone": "a"}, "m2": {"multimaster_zone": "b"}}) == ()


def test_every_row_is_documented_and_its_default_is_of_its_own_type():
    for setting in _settings.SETTINGS:
        assert setting.description.endswith(".")
        if setting.default not in (None, "", ()) and setting.type != "path":
            assert _settings.convert(setting, setting.default) is not None
    assert len({setting.name for setting in _settings.SETTINGS}) == len(_settings.SETTINGS)


@pytest.mark.parametrize(
    ("batch", "count", "size"), [("1", 10, 1), ("3", 10, 3), ("20%", 10, 2), ("20%", 4, 1), ("20%", 0, 1), ("100%", 7, 7)]
)
def test_a_batch_is_a_number_or_a_share_and_never_nobody(batch, count, size):
    assert _settings.batch_size(batch, count) == size


@pytest.mark.parametrize(
    ("batch", "count", "forks", "bounded"),
    [
        ("20%", 100, 20, "20%"),
        ("20%", 105, 20, "20"),
        ("20%", 104, 20, "20%"),
        ("7", 9, 5, "5"),
        ("5", 9, 5, "5"),
        ("4", 9, 5, "4"),
        # nobody knows how many forks there are
        ("100%", 50, 0, "100%"),
        ("1", 0, 1, "1"),
        ("all", 9, 5, "all"),
        ("0", 9, 5, "0"),
    ],
)
def test_a_batch_drains_at_once(batch, count, forks, bounded):
    assert _settings.batch_within(batch, count, forks) == bounded


@pytest.mark.parametrize("batch", ["0", "0%", "", "-1", "a", "1.5", "20 %"])
def test_a_batch_that_is_no_number_is_refused(batch):
    with pytest.raises(ValueError, match="neither a number"):
        _settings.batch_size(batch, 10)
