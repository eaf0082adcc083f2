# Copyright: the multimaster.kubernetes maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pod of the cluster's DNS that ends answers until every node has forgotten it (docs/adr/0015)."""

from __future__ import annotations

import json
import re
from pathlib import Path

GOLDEN = Path(__file__).parents[2] / "golden" / "coredns"
FAILURES = 3  # of a probe in a row until a pod is not ready, where the probe says nothing else (Kubernetes, "Probe")
# The EndpointSlice, the next sync of a kube-proxy and its work on a busy machine; seen: 1.2 s at the most.
HEARD = 3.0


def test_a_pod_that_ends_answers_until_it_is_known_not_to_serve():
    lame_duck = int(re.search(r"lameduck (\d+)s", (GOLDEN / "Corefile").read_text())[1])
    deployment = next(one for one in json.loads((GOLDEN / "objects.json").read_text()) if one["kind"] == "Deployment")
    probe = deployment["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]
    assert lame_duck > FAILURES * probe["periodSeconds"] + HEARD
