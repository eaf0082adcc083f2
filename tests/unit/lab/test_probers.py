# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a prober is started on a host, stopped and given up."""

from __future__ import annotations

import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "lab"))

import access
import probers


class Cluster:
    """A lab whose host answers each command by the first of the given parts it contains."""

    name = "l"

    def __init__(self, folder, answers):
        self.state = self.results = folder
        self.answers, self.asked, self.given = answers, [], {}
        self.credentials = {"server": "https://192.0.2.10:6443"}
        for part in ("ca", "cert", "key"):
            (folder / f"{part}.pem").write_text(part)
            self.credentials[part] = str(folder / f"{part}.pem")

    def artifact(self, pattern):
        return pathlib.Path("/cache/prober")

    def artifact_url(self, path):
        return f"http://192.0.2.1:8067/{path.name}"

    def apply(self, objects):
        self.applied = objects

    def get(self, path):
        return (
            {"spec": {"clusterIP": "10.96.0.1", "ports": [{"port": 443}]}}
            if path.endswith("/default/services/kubernetes")
            else {}
        )

    def ssh(self, host, command, check=True, stdin=None, timeout=60):
        self.asked.append((host, command))
        if stdin:
            self.given[command] = stdin
        said = next((text for part, text in self.answers.items() if part in command), "")
        if isinstance(said, Exception):
            raise said
        return said


RUNS = {"is-active multimaster-prober": "active\n", "progress.json": '{"phase": "running"}'}


def test_the_prober_is_fetched_and_started_without_credentials(tmp_path):
    cluster = Cluster(tmp_path, {"systemd-run": "", **RUNS})
    probers.choose_host(cluster, probers.WORKLOAD, "m1")
    probers.start_workload(cluster, "http://10.96.0.7/hostname")
    host, command = cluster.asked[1]
    assert host == "m1" and not cluster.given
    assert "curl -sSf -o /var/lib/multimaster-prober/prober http://192.0.2.1:8067/prober &&" in command
    assert "--workload http://10.96.0.7/hostname --read-interval 50ms" in command
    assert "--cert" not in command and "--in-pod" not in command


def test_the_one_in_the_cluster_asks_the_service_with_files_nobody_else_reads(tmp_path):
    cluster = Cluster(tmp_path, {"systemd-run": "", **RUNS})
    probers.start_in_cluster(cluster, "w2")
    folder = "/var/lib/multimaster-prober-in-cluster"
    assert cluster.asked[0] == ("w2", f"mkdir --mode=0700 {folder}")
    assert cluster.given == {f"umask 077 && cat > {folder}/{part}": part.encode() for part in ("ca", "cert", "key")}
    _host, command = next(one for one in cluster.asked if "systemd-run" in one[1])
    assert f"--server https://10.96.0.1:443 --ca {folder}/ca --cert {folder}/cert --key {folder}/key" in command
    assert "--read-interval 40ms --write-interval 200ms" in command and "--unit=multimaster-prober-in-cluster " in command
    assert probers.marker(cluster, probers.IN_CLUSTER).read_text() == "w2"
    assert not probers.marker(cluster, probers.WORKLOAD).exists()
    assert cluster.applied == [probers.NAMESPACE_OBJECT]


def test_a_second_prober_of_a_workload_is_refused(tmp_path):
    cluster = Cluster(tmp_path, RUNS)
    probers.choose_host(cluster, probers.WORKLOAD, "m2")
    with pytest.raises(SystemExit, match="on m2 already asks a workload"):
        probers.choose_host(cluster, probers.WORKLOAD, "m1")
    assert probers.marker(cluster, probers.WORKLOAD).read_text() == "m2"


def test_a_prober_that_ends_at_once_is_told_with_what_it_said(tmp_path):
    cluster = Cluster(tmp_path, {"systemd-run": "", "is-active": "inactive\n", "journalctl": "prober: nothing was measured"})
    probers.choose_host(cluster, probers.WORKLOAD, "m1")
    with pytest.raises(SystemExit, match="nothing was measured"):
        probers.start_workload(cluster, "http://10.96.0.7/hostname")


@pytest.mark.parametrize("which", probers.ON_HOSTS, ids=lambda which: which.name)
def test_the_result_is_kept_and_the_host_left_clean(tmp_path, which):
    cluster = Cluster(tmp_path, {"systemctl stop": json.dumps({"clean": True})})
    probers.choose_host(cluster, which, "m1")
    assert probers.stop_on_host(cluster, which, "name") == {"clean": True}
    assert json.loads((tmp_path / "prober-name.json").read_text()) == {"clean": True}
    assert cluster.asked[-1] == ("m1", f"rm -rf {which.folder}")
    assert not probers.marker(cluster, which).exists()


def test_a_prober_that_died_has_proven_nothing(tmp_path):
    cluster = Cluster(tmp_path, {"systemctl stop": "", "journalctl": "out of memory"})
    probers.choose_host(cluster, probers.WORKLOAD, "m1")
    with pytest.raises(SystemExit, match="nothing was proven.*out of memory"):
        probers.stop_on_host(cluster, probers.WORKLOAD, "workload")


@pytest.mark.parametrize("answer", ["", access.AccessError("no route to host")], ids=["a host that answers", "a dead host"])
def test_a_prober_is_given_up_whether_or_not_its_host_answers(tmp_path, answer):
    cluster = Cluster(tmp_path, {"systemctl kill": answer})
    probers.choose_host(cluster, probers.WORKLOAD, "m1")
    probers.abandon_on_host(cluster, probers.WORKLOAD)
    assert "systemctl kill --signal=SIGKILL multimaster-prober;" in cluster.asked[0][1]
    assert not probers.marker(cluster, probers.WORKLOAD).exists()


def test_the_probers_last_words_may_stand_between_the_lines_of_its_result():
    text = '{\n  "run": "x",\nprober: reads 7 sent {0 failed}\n  "clean": false\n}\n'
    assert probers.result_in(text) == {"run": "x", "clean": False}
