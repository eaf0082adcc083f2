# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Play a canary: an API server and members that keep counters, for whoever reads them over a while."""

from __future__ import annotations

from ansible_collections.multimaster.kubernetes.plugins.module_utils._https import Answer, TransportError
from fake_kube import FakeKube


class Played:
    """An API server and two members; each reading of metrics sees ``step`` more of everything."""

    def __init__(self):
        self.kube, self.started, self.codes, self.leader_changes = FakeKube(), 100.0, {"200": 30}, {"m1": 5, "m2": 7}
        self.step, self.more_leader_changes, self.restarts, self.down, self.metrics_asked = {"200": 30}, 0, False, set(), 0
        self.silent = False

    def __call__(self, method, url, body=None, headers=None, timeout=5.0):
        if ":2379" in url:
            return self._member(url)
        if url.endswith("/metrics"):
            return self._metrics()
        return self.kube(method, url, body, headers, timeout)

    def _member(self, url):
        name = url.split("//")[1].split(":")[0]
        if name in self.down:
            raise TransportError(url, "connection refused (nothing listens there)")
        text = f"etcd_server_leader_changes_seen_total {self.leader_changes[name]}\n"
        self.leader_changes[name] += self.more_leader_changes
        return Answer(404 if self.silent else 200, b"" if self.silent else text.encode())

    def _metrics(self):
        self.metrics_asked += 1
        if "api" in self.down:
            return Answer(503, b"shutting down")
        lines = [f'apiserver_request_total{{code="{code}",verb="GET"}} {count}' for code, count in self.codes.items()]
        lines.append(f"process_start_time_seconds {self.started}")
        self.started += self.restarts
        for code, more in self.step.items():
            self.codes[code] = self.codes.get(code, 0) + more
        return Answer(200, "\n".join(lines).encode())
