# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Judge which versions may run side by side and follow each other (interface; being filled)."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Versions:
    """Running versions by host: {host: "1.36.3"} for each component."""

    apiserver: dict = dataclasses.field(default_factory=dict)
    controller_manager: dict = dataclasses.field(default_factory=dict)
    scheduler: dict = dataclasses.field(default_factory=dict)
    kubelet: dict = dataclasses.field(default_factory=dict)
    kube_proxy: dict = dataclasses.field(default_factory=dict)
    etcd: dict = dataclasses.field(default_factory=dict)


def parse(text):
    """Return (major, minor, patch); ValueError on anything else. A leading v is fine."""
    raise NotImplementedError


def judge_skew(running):
    """Return tuple[_finding.Finding] for versions that may not run side by side."""
    raise NotImplementedError


def judge_target(running, kubernetes=None, etcd=None):
    """Return tuple[_finding.Finding] for the hop from running to the wanted versions (skipped minor, downgrade, floors)."""
    raise NotImplementedError
