# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the judgement on what users give the roles by their own variables."""

from __future__ import annotations

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _role_inputs as inputs
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _systemd
from ansible_collections.multimaster.kubernetes.plugins.plugin_utils import _role_specs

TAINTS = {"type": "list", "elements": "dict", "options": {"key": {"required": True}, "effect": {"choices": ["NoSchedule"]}}}
SPECS = {
    "kubelet": {
        "main": {
            "options": {"kubelet_taints": TAINTS, "kubelet_extra_args": {"type": "dict"}, "kubelet_restart": {"type": "bool"}}
        }
    },
    "etcd": {
        "main": {"options": {"etcd_quota_bytes": {"type": "int", "default": 8}, "etcd_name": {"required": True}}},
        "join": {"options": {"etcd_wipe": {"type": "bool"}}},
    },
}
DECLARED = inputs.options(SPECS)


def judged(hosts):
    return inputs.judge(DECLARED, hosts, _role_specs.wrong)


def said(**variables):
    return [(one.check, one.level, one.found) for one in judged({"m1": variables})]


def test_the_variables_of_all_entry_points_are_known():
    assert set(DECLARED) == {
        "kubelet_taints",
        "kubelet_extra_args",
        "kubelet_restart",
        "etcd_quota_bytes",
        "etcd_name",
        "etcd_wipe",
    }


@pytest.mark.parametrize(
    ("name", "fits", "does_not"),
    [
        ("etcd_quota_bytes", [8, "8", 8.0], ["soon", [8], {}, "8Gi"]),
        ("etcd_wipe", [True, "no", 1], ["perhaps", [True]]),
        ("kubelet_extra_args", [{}, {"v": 2}], ["v", [["v", 2]]]),
        (
            "kubelet_taints",
            [[], [{"key": "a", "effect": "NoSchedule"}]],
            [[{"effect": "NoSchedule"}], [{"key": "a", "effect": "No"}]],
        ),
        ("kubelet_taints", [[{"key": "a"}]], [[{"key": "a", "effekt": "NoSchedule"}]]),
    ],
)
def test_a_value_fits_what_its_role_declares_or_is_named(name, fits, does_not):
    for value in fits:
        assert said(**{name: value}) == []
    for value in does_not:
        [(check, level, found)] = said(**{name: value})
        assert (check, level) == ("role-input-invalid", "error") and found.endswith("(on m1)")


@pytest.mark.parametrize(
    ("flag", "meant"), [("audit_log_maxage", "audit-log-maxage"), ("--v", "v"), ("feature_gates", "feature-gates")]
)
@pytest.mark.parametrize("value", [None, "x"])
def test_a_flag_in_another_spelling_than_ours_is_refused(flag, meant, value):
    declared = {"kube_apiserver_extra_flags": {"type": "dict"}, "kubelet_extra_config": {"type": "dict"}}
    given = {"kube_apiserver_extra_flags": {flag: value, meant: "y"}, "kubelet_extra_config": {flag: value}}
    [one] = inputs.judge(declared, {"m1": given}, _role_specs.wrong)
    assert (one.check, one.found) == (
        "role-input-invalid",
        f"kube_apiserver_extra_flags: a flag is named with dashes between its words and none before, not {flag}: {meant} (on m1)",
    )
    assert inputs.judge(declared, {"m1": {"kube_apiserver_extra_flags": {meant: value}}}, _role_specs.wrong) == ()


@pytest.mark.parametrize(
    ("value", "fits"), [(0, False), (1, True), (20, True), (90, True), ("90", True), (91, False), ("120", False), (-1, False)]
)
def test_what_has_bounds_is_held_to_them(value, fits):
    declared = inputs.options(_role_specs.read())
    findings = inputs.judge(declared, {"m1": {"api_endpoint_stop_seconds": value}}, _role_specs.wrong)
    said = f"api_endpoint_stop_seconds: {value} is not within 1 to 90 (on m1)"
    assert [(one.check, one.level, one.found) for one in findings] == ([] if fits else [("role-input-invalid", "error", said)])


@pytest.mark.parametrize("value", ["soon", [20], None, "inf", *(float(one) for one in ("inf", "-inf", "nan"))])
def test_what_is_no_number_is_said_as_ansible_says_it(value):
    findings = inputs.judge(
        {"api_endpoint_stop_seconds": {"type": "int"}}, {"m1": {"api_endpoint_stop_seconds": value}}, _role_specs.wrong
    )
    assert all("is not within" not in one.found for one in findings)
    assert value is None or [(one.check, one.level) for one in findings] == [("role-input-invalid", "error")]


@pytest.mark.parametrize("option", [{"type": "int"}, {"type": "list", "elements": "int"}])
def test_what_is_without_end_is_no_whole_number(option):
    given = float("inf") if option["type"] == "int" else [float("inf")]
    [error] = _role_specs.wrong("some_seconds", option, given)
    assert error.startswith("argument 'some_seconds' is of type ") and error.endswith("cannot convert Infinity to integer")


def test_bounds_are_of_inputs_that_there_are_and_a_stop_ends_before_it_is_given_up():
    declared = inputs.options(_role_specs.read())
    assert all(low <= declared[name]["default"] <= high for name, (low, high) in inputs.LIMITS.items())
    assert inputs.LIMITS["api_endpoint_stop_seconds"][1] < _systemd.BLOCKING


def test_what_is_no_mapping_of_flags_is_said_as_ansible_says_it():
    [one] = inputs.judge({"etcd_extra_flags": {"type": "dict"}}, {"m1": {"etcd_extra_flags": ["a_b"]}}, _role_specs.wrong)
    assert one.check == "role-input-invalid" and "named with dashes" not in one.found


def test_all_that_is_wrong_is_said_once_however_many_hosts_have_it():
    hosts = {f"w{number}": {"etcd_quota_bytes": "soon", "kubelet_restart": True} for number in range(5)}
    hosts["m1"] = {"etcd_quota_bytes": "later", "etcd_wipe": "perhaps"}
    found = {one.found.split(" (on ")[1]: one for one in judged(hosts) if "quota" in one.fix}
    assert sorted(found) == ["m1)", "w0, w1, w2 and 2 more)"]
    assert found["m1)"].host == "m1" and found["m1)"].fix == "Correct etcd_quota_bytes."
    assert len(judged(hosts)) == 3


@pytest.mark.parametrize(
    ("name", "meant"),
    [("kubelet_extra_arg", "kubelet_extra_args"), ("etcd_quota_byte", "etcd_quota_bytes"), ("kubelet_taint", "kubelet_taints")],
)
def test_a_name_that_is_all_but_one_of_ours_is_a_warning(name, meant):
    assert said(**{name: 1}) == [("role-input-unknown", "warning", f"no role has {name}")]
    [finding] = judged({"m1": {name: 1}, "m2": {name: 2}})
    assert (finding.host, finding.fix) == ("", f"Did you mean {meant}?")


@pytest.mark.parametrize("name", ["etcd_backup_bucket", "kubelet_owner", "kubelet_restart_result", "etcd_name_result", "other"])
def test_what_is_somebody_elses_is_left_alone(name):
    assert said(**{name: "x"}) == []
