# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of a lab's cluster share: the cluster, its hosts (testinfra), and objects made once for all tests."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from pathlib import Path

import pytest
import testinfra

LAB = str(Path(__file__).resolve().parent)
if LAB not in sys.path:
    sys.path.insert(0, LAB)

import access
import workloads as objects

READY_TIMEOUT = 120  # seconds until everything runs, on a machine that is busy with other things


def lab_name() -> str:
    """Return the lab that is meant: $LAB, or the one Molecule made for its scenario (.config/molecule/create.yml)."""
    scenario = os.environ.get("MOLECULE_SCENARIO_NAME", "").replace("_", "-")
    return os.environ.get("LAB") or (f"mol-{scenario}" if scenario else "")


@pytest.fixture(scope="session")
def cluster():
    """The cluster of the lab named by $LAB, or of Molecule's scenario."""
    return access.Cluster(lab_name() or "demo")


@pytest.fixture(scope="session")
def hosts(cluster):
    """Testinfra's hosts by name, over the tests' own SSH connections."""
    options = shlex.join(cluster.ssh_options())
    return {
        name: testinfra.get_host(f"ssh://root@{cluster.addresses[name]}", ssh_extra_args=options) for name in cluster.addresses
    }


@pytest.fixture(scope="session")
def etcd(cluster):
    """Ask etcd's JSON gateway through the member of a host, with the operator's certificate of that host."""
    return cluster.etcd


@pytest.fixture(scope="session")
def voter(cluster, etcd):
    """The first host whose member votes: of two masters the other's is a learner, which answers for its own status only."""
    return next(host for host in cluster.members if not etcd(host, "maintenance/status").get("isLearner"))


@pytest.fixture(scope="session")
def member_list(etcd, voter):
    """Etcd's members as a voter lists them."""
    return etcd(voter, "cluster/member/list")["members"]


@pytest.fixture(scope="session")
def work(cluster):
    """One of each thing a user runs, made at once and waited for once; removed at the end."""
    image = cluster.test_image()
    made = objects.Workloads(cluster, access.names("verify"), image)
    cluster.apply(made.objects())
    try:
        access.wait("the test's pods run and the failing one was restarted", made.settled, READY_TIMEOUT)
        yield made
    finally:
        cluster.delete(f"/api/v1/namespaces/{made.namespace}")


@pytest.fixture(scope="session")
def reached(cluster, work):
    """What the Service answered {host: {how: answer}}, asked from every node and from a pod on every node, by name too."""
    latest = {}

    def ask() -> bool:
        latest.update(cluster.each(cluster.nodes, work.reach))
        return all(answer.startswith("web-") for answers in latest.values() for answer in answers.values())

    try:
        access.wait("the Service answers from everywhere", ask, 30)
    except access.AccessError as error:
        print(error)  # the tests say which node cannot
    return latest


def pytest_sessionstart(session):
    session.began = time.time()
    session.outcomes = {}


def pytest_runtest_logreport(report):
    if report.when == "call" or report.outcome != "passed":
        REPORTS[report.nodeid.split("::", 1)[-1]] = {"outcome": report.outcome, "seconds": round(report.duration, 2)}


REPORTS: dict = {}


def pytest_sessionfinish(session, exitstatus):
    name = lab_name()
    if not name or not REPORTS:
        return
    folder = access.lab_tool.cache() / "results" / name
    folder.mkdir(parents=True, exist_ok=True)
    number = len(list(folder.glob("verify-*.json"))) + 1
    result = {"seconds": round(time.time() - session.began, 1), "exit": int(exitstatus), "tests": REPORTS}
    (folder / f"verify-{number}.json").write_text(json.dumps(result, indent=1) + "\n")
