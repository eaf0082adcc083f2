# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real members go back from etcd 3.7 to 3.6 and forth, as upgrade.yml has them do it, and what happens when nobody tells etcd."""

from __future__ import annotations

import base64
import json
import time

import lab_etcd
import pytest
from ansible_collections.multimaster.kubernetes.plugins.module_utils import _etcd, _https
from ansible_collections.multimaster.kubernetes.plugins.module_utils._membership import StepFailed
from ansible_collections.multimaster.kubernetes.plugins.modules import etcd_downgrade
from lab_etcd import wait_for

OLD, NEW = "3.6", "3.7"
KEY, VALUE = (base64.b64encode(text).decode() for text in (b"written-by-3.7", b"kept"))


class Members:
    """Members whose programs change one by one, and the module that tells them to go back."""

    def __init__(self, lab, minors):
        self.lab, self.minors = lab, minors
        self.opener = _https.https_opener(lab.client_ca.cert, *lab.operator)

    def start(self, *names):
        """Found a cluster and wait until the data of each are of its version."""
        for one in self.lab.bootstrap(*names):
            self.wait(one)
        wait_for(lambda: {self.version(name)["storage"] for name in names} == {"3.7.0"}, what="data of 3.7")
        return self

    def wait(self, one):
        wait_for(lambda: _etcd.look(one.client_url, self.opener).healthy, what=f"{one.name} to serve")

    def run(self, name, minor, serves=True):
        """Restart a member with the program of this minor."""
        one = self.lab.member(name)
        one.stop()
        self.lab.binary = self.minors[minor]
        one.start()
        if serves:
            self.wait(one)
        return one

    def told(self, state, check=False, timeout=30):
        urls = [one.client_url for one in self.lab.members.values()]
        params = {"state": state, "version": "3.6.16", "timeout": timeout}
        return etcd_downgrade.run(
            params, lambda: _etcd.observe(urls, self.opener), lambda url: _etcd.Etcd(url, self.opener), check
        )

    def version(self, name):
        """Return what /version says: {etcdserver, etcdcluster, storage}, the last once it is known."""
        answer = self.opener("GET", self.lab.member(name).client_url + "/version", None, {}, 5)
        return {"storage": "", **json.loads(answer.body)}

    def cluster_versions(self):
        return {self.version(name)["etcdcluster"] for name in self.lab.members}

    def ask(self, name, path, body):
        return _etcd.Etcd(self.lab.member(name).client_url, self.opener)._call(path, body)

    def log(self, name):
        return (self.lab.folder / f"{name}.log").read_text()


@pytest.fixture
def members(etcd_minors, tmp_path):
    lab = lab_etcd.EtcdLab(etcd_minors[NEW], tmp_path)
    yield Members(lab, etcd_minors)
    lab.close()


def test_three_members_go_back_one_by_one_with_their_data(members):
    members.start("a", "b", "c").ask("a", "/v3/kv/put", {"key": KEY, "value": VALUE})
    assert members.cluster_versions() == {"3.7.0"}
    assert members.told("enabled", check=True)["actions"] == ["enable"]
    started = time.monotonic()
    done = members.told("enabled")
    print(f"enabled, and the data of three members fit, after {time.monotonic() - started:.1f} s")
    assert done["actions"] == ["enable"]
    assert {(one["version"], one["storage"], one["downgrade"]) for one in done["after"]} == {("3.7.3", "3.6.0", "3.6.0")}
    assert members.cluster_versions() == {"3.6.0"}
    assert not members.told("enabled")["changed"]
    for name in "abc":
        members.run(name, OLD)
        # a run that is cut off here asks again
        assert not members.told("enabled")["changed"]
    started = time.monotonic()
    assert members.told("completed")["after"][0] == {"name": "a", "version": "3.6.16", "storage": "3.6.0", "downgrade": ""}
    print(f"ended by etcd {time.monotonic() - started:.1f} s after the last member")
    assert members.cluster_versions() == {"3.6.0"}
    assert members.ask("c", "/v3/kv/range", {"key": KEY})["kvs"][0]["value"] == VALUE
    assert not members.told("enabled")["changed"]
    assert not members.told("cancelled")["changed"]


def test_without_it_the_older_program_does_not_start(members):
    members.start("a", "b", "c")
    old = members.run("a", OLD, serves=False)
    wait_for(lambda: not old.running(), what="the older program to give up")
    assert 'version \\"3.7.0\\" is not supported' in members.log("a")
    # and while it is down etcd is not told
    with pytest.raises(StepFailed, match="a does not say which version it runs"):
        members.told("enabled", timeout=1)
    members.run("a", NEW)
    assert members.told("enabled")["changed"]
    members.run("a", OLD)


def test_a_newer_member_may_restart_meanwhile(members):
    members.start("a", "b", "c").told("enabled")
    members.run("b", NEW)
    assert members.version("b") == {"etcdserver": "3.7.3", "etcdcluster": "3.6.0", "storage": "3.6.0"}


def test_called_off_before_any_member_is_old_the_cluster_version_is_the_newer_again(members):
    members.start("a", "b", "c").told("enabled")
    assert members.told("cancelled")["actions"] == ["cancel"]
    assert not members.told("cancelled")["changed"]
    wait_for(lambda: members.cluster_versions() == {"3.7.0"}, what="the cluster version to rise")


def test_called_off_in_the_middle_it_goes_either_way(members):
    members.start("a", "b", "c").told("enabled")
    members.run("a", OLD)
    assert members.told("cancelled")["actions"] == ["cancel"]
    # an old member is left, so nothing is to be enabled, and the others may follow it
    assert not members.told("enabled")["changed"]
    members.run("b", OLD)
    assert members.cluster_versions() == {"3.6.0"}
    for name in "ab":
        members.run(name, NEW)
    # at once: etcd raises its cluster version some seconds later, and is told then
    assert members.told("enabled")["changed"]


def test_a_learner_has_its_data_made_fit_and_goes_back_first(members):
    members.start("a")
    b = members.lab.member("b")
    client = _etcd.Etcd(members.lab.member("a").client_url, members.opener)
    client.member_add([b.peer_url])
    b.drop_in.parent.mkdir()
    a = members.lab.member("a")
    b.drop_in.write_text(
        f'[Unit]\nAssertPathExists=\n[Service]\nEnvironment="ETCD_INITIAL_CLUSTER=a={a.peer_url},b={b.peer_url}"\n'
        'Environment="ETCD_INITIAL_CLUSTER_STATE=existing"\n'
    )
    b.start()
    members.wait(b)
    assert [one["storage"] for one in members.told("enabled")["after"]] == ["3.6.0", "3.6.0"]
    members.run("b", OLD)
    wait_for(lambda: _etcd.look(b.client_url, members.opener).status.is_learner)
    with pytest.raises(StepFailed, match=r"a runs 3\.7\.3, not 3\.6"):
        members.told("completed", timeout=1)


def test_two_minors_back_are_refused(members):
    members.start("a")
    with pytest.raises(StepFailed, match="one minor at a time"):
        etcd_downgrade.run(
            {"state": "enabled", "version": "3.5.21", "timeout": 1},
            lambda: _etcd.observe([members.lab.member("a").client_url], members.opener),
            lambda url: _etcd.Etcd(url, members.opener),
        )
