# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test how a module ends when something failed: the cause, and once what to do next."""

from __future__ import annotations

import errno
import os
import pathlib

import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import (
    _addresses,
    _endpoint_host,
    _etcd,
    _failure,
    _files,
    _haproxy,
    _keepalived,
    _kube,
)
from ansible_collections.multimaster.kubernetes.plugins.module_utils._https import CredentialsError, TransportError
from ansible_collections.multimaster.kubernetes.plugins.module_utils._kube_objects import look_at
from ansible_collections.multimaster.kubernetes.plugins.module_utils._node_flow import NodeError

MODULES = sorted((pathlib.Path(_failure.__file__).parents[1] / "modules").glob("*.py"))
API = "https://m1:6443"


def system(number, path="/etc/kubernetes/pki/ca.crt"):
    return OSError(number, os.strerror(number), path)


def caused(error, cause):
    error.__cause__ = cause
    return error


def refused(status, message="no"):
    return _kube.KubeRefused("GET /x", API, status, "Word", message)


@pytest.mark.parametrize(
    ("error", "following"),
    [
        # what a file's own error asks for
        (system(errno.ENOSPC), "make room (`df -h /etc/kubernetes/pki`), then run again"),
        (system(errno.EDQUOT), "make room (`df -h /etc/kubernetes/pki`), then run again"),
        (system(errno.EROFS), "`findmnt -T /etc/kubernetes/pki` and `dmesg | tail` say why that is read-only"),
        (system(errno.EIO), "the disk may be failing (`dmesg | tail`)"),
        (system(errno.EACCES), "`namei -l /etc/kubernetes/pki/ca.crt` shows who may"),
        (system(errno.EPERM), "`lsattr /etc/kubernetes/pki/ca.crt` show who may"),
        (system(errno.EISDIR), "mend that, then run again"),
        (system(errno.ENOSPC, "relative"), "make room (`df -h .`), then run again"),
        # nobody knows
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), ""),
        (ValueError("a ttl of 0 s"), ""),
        # the API's own
        (_kube.KubeUnreachable("GET /x", API, "no answer in time"), "`journalctl -u kube-apiserver -n 50` on the master"),
        (refused(403, 'leases is forbidden: User "x" cannot get'), "site.yml gives this client its rights"),
        (refused(403, "exceeded quota"), "mend what the API server names"),
        (refused(422), "mend what the API server names"),
        (refused(401), "site.yml gives this client a certificate"),
        (refused(503), "health.yml says whether the API is well"),
        (_kube.KubeNotYet("a", API, "not within 3 s: b"), "health.yml says whether the API is well"),
        (_kube.KubeNotYet("a", API, "not within 3 s: b", "look there"), "look there"),
        (_etcd.EtcdRefused("/v3/x", "https://m1:2379", 400, 3, "no"), "`journalctl -u etcd -n 50` on that member's host"),
        # the endpoint's tools
        (_haproxy.HaproxyError("no"), "`systemctl status haproxy` and `journalctl -u haproxy -n 50` on this host"),
        (_keepalived.KeepalivedError("no"), "`systemctl status keepalived` and `journalctl -u keepalived -n 50` on this host"),
        (_endpoint_host.EndpointError("no", "see there"), "see there"),
        (_addresses.AddressError("`ip` exited with 2"), "`ip -br address` on this host"),
        # what is at the bottom of it
        (caused(NodeError("it failed. Node w1 takes pods again"), refused(503)), "health.yml says whether the API is well"),
        (caused(NodeError("no"), caused(ValueError("no"), system(errno.EIO))), "the disk may be failing"),
        (caused(_kube.KubeUnreachable("a", API, "b"), TransportError(API, "b")), "`journalctl -u kube-apiserver"),
    ],
)
def test_the_next_step_is_the_errors_own_or_its_causes(error, following):
    said = _failure.message(error, "m1 is not drained")
    assert said.startswith(f"m1 is not drained: {str(error).rstrip('.')}")
    assert said.count("Next: ") == bool(following)
    assert said.partition(". Next: ")[2].startswith(following) or following in said


@pytest.mark.parametrize(
    ("error", "doing", "said"),
    [
        (CredentialsError("cannot read a. Next: b"), "etcd cannot be asked", "etcd cannot be asked: cannot read a. Next: b"),
        (_haproxy.HaproxyError("it ends. Next: bring one up"), "", "it ends. Next: bring one up"),
        (ValueError("it ends."), "", "it ends."),
    ],
)
def test_a_text_that_says_what_to_do_is_left_alone(error, doing, said):
    assert _failure.message(error, doing) == said


def test_a_path_may_be_given_where_the_system_names_none():
    assert _failure.remedy(OSError(errno.ENOSPC, "full"), "/opt/x/y") == "make room (`df -h /opt/x`), then run again"
    assert _failure.remedy(OSError(errno.ENOSPC, "full")) == "mend that, then run again"


def test_a_file_that_cannot_be_made_says_how_to_make_room(monkeypatch, tmp_path):
    def full(_item):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(_files, "_stage", full)
    with pytest.raises(_files.FileError) as raised:
        _files.write(str(tmp_path / "a"), "x")
    assert str(raised.value) == (
        f"cannot make {tmp_path}/a: No space left on device. Next: make room (`df -h {tmp_path}`), then run again"
    )


@pytest.mark.parametrize(
    ("obj", "said"),
    [
        ({"kind": "Deployment", "metadata": {"name": "a", "namespace": "b"}}, "`kubectl -n b describe deployment a` says why"),
        ({"kind": "ClusterRole", "metadata": {"name": "a"}}, "`kubectl describe clusterrole a` says why"),
    ],
)
def test_an_object_is_looked_at_where_it_is(obj, said):
    assert look_at({"apiVersion": "v1", **obj}).startswith(said)


ABOVE, SILENT = "Next: look at the task that failed above", "cannot be reached, as is said above. Next: make it reachable"


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({"failed": True, "msg": "unsafe. Next: wait"}, "unsafe. Next: wait"),
        (
            {
                "failed": True,
                "msg": "items failed",
                "results": [{"failed": False, "msg": "a"}, {"msg": "b"}, {"failed": True, "msg": "c"}],
            },
            "c",
        ),
        ({"results": [{"failed": True, "msg": "a"}, {"failed": True, "msg": "b"}]}, "a; b"),
        ({"failed": True}, ABOVE),
        ({"failed": True, "msg": ""}, ABOVE),
        ({"results": [{"failed": True}, {"failed": True, "msg": "b"}]}, f"{ABOVE}; b"),
        ({}, SILENT),
        ({"results": []}, SILENT),
        ({"msg": "it is well"}, SILENT),
    ],
)
def test_what_a_task_failed_on(result, said):
    assert said == _failure.of_task(result) or said is SILENT and said in _failure.of_task(result)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_no_module_ends_with_an_error_and_nothing_else(path):
    assert "fail_json(msg=str(" not in path.read_text(), "_failure.message says what to do next as well"
